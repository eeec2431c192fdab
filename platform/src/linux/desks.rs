//! Desks: how one core shows rows of a table of another's, such as its connections. Each core's
//! stack is its own, so nobody reads in another's: he asks, and gets a sheet with a few rows.
//!
//! ```text
//!   core 0, seat 2 ── look(core 1, from place 40) ─► sheet: asked ──┐  and core 1 is called
//!   core 1, between two polls ─ answer ────────────► sheet: rows ◄──┘  and core 0 is called
//! ```
//!
//! A sheet lies in memory of whoever asks, one for each of his seats, and has [`ROWS_MAX`] rows: a
//! long table is many sheets, and costs a core that serves a little between two polls. Nobody waits
//! for a lock: who finds a sheet in another's hands comes back.

use std::boxed::Box;
use std::sync::{Arc, Mutex};
use std::vec::Vec;

use super::Mesh;
use super::mesh::Bell;
use crate::net::{CoreRows, Looked};

/// Rows on a sheet: what goes into a frame or two as text.
const ROWS_MAX: usize = 8;

/// Places of a table that are looked at for one sheet.
const PLACES_MAX: usize = 512;

/// What was asked for, and the answer.
struct Sheet<R> {
    /// Who asks: each time that a seat is taken is a turn.
    turn: u64,
    core: usize,
    from: usize,
    state: State,
    /// Rows and their places, up to `next`.
    rows: Vec<(usize, R)>,
    next: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unused,
    Asked,
    Answered,
}

impl<R: Copy> Sheet<R> {
    fn unused() -> Mutex<Self> {
        Mutex::new(Self {
            turn: 0,
            core: 0,
            from: 0,
            state: State::Unused,
            rows: Vec::with_capacity(ROWS_MAX),
            next: 0,
        })
    }

    fn fill(&mut self, places: usize, row: &mut dyn FnMut(usize) -> Option<R>) {
        self.rows.clear();
        let end = places.min(self.from.saturating_add(PLACES_MAX));
        let mut place = self.from;
        while place < end && self.rows.len() < ROWS_MAX {
            self.rows.extend(row(place).map(|row| (place, row)));
            place += 1;
        }
        // What lies behind the table is empty.
        self.next = if place < places { place } else { usize::MAX };
        self.state = State::Answered;
    }
}

/// What belongs to one core.
struct Place<R> {
    bell: Arc<Bell>,
    sheets: Box<[Mutex<Sheet<R>>]>,
}

/// The desks of all cores, as one of them has them.
#[derive(Clone)]
pub struct Desks<R> {
    idx: usize,
    all: Arc<[Place<R>]>,
}

impl<R: Copy> Desks<R> {
    /// Desks for the cores of `meshes`, with so many seats each; none for a core alone.
    pub fn of(meshes: &[Mesh], seats_cnt: usize) -> Vec<Self> {
        let places = meshes.iter().filter_map(|mesh| {
            Some(Place {
                bell: mesh.bell()?,
                sheets: (0..seats_cnt).map(|_| Sheet::unused()).collect(),
            })
        });
        let all: Arc<[_]> = places.collect();
        let idxs = 0..all.len();
        idxs.map(|idx| Self {
            idx,
            all: Arc::clone(&all),
        })
        .collect()
    }
}

impl<R: Copy + Send> CoreRows<R> for Desks<R> {
    fn core(&self) -> usize {
        self.idx
    }

    fn cores_cnt(&self) -> usize {
        self.all.len()
    }

    fn is_called(&self) -> bool {
        self.all[self.idx].bell.is_called()
    }

    fn look(&self, seat: usize, turn: u64, core: usize, from: usize) -> Looked<R> {
        let sheet = self.all[self.idx].sheets.get(seat);
        let (Some(sheet), Some(other)) = (sheet, self.all.get(core)) else {
            return Looked::End(usize::MAX);
        };
        let Ok(mut sheet) = sheet.try_lock() else {
            return Looked::Busy;
        };
        let is_same = (sheet.turn, sheet.core) == (turn, core);
        match sheet.state {
            State::Answered if is_same && (sheet.from..sheet.next).contains(&from) => {
                let found = sheet.rows.iter().find(|(place, _)| *place >= from);
                found.map_or(Looked::End(sheet.next), |(place, row)| {
                    Looked::Row(*place, *row)
                })
            }
            State::Asked if is_same && sheet.from == from => Looked::Asked,
            _ => {
                (sheet.turn, sheet.core, sheet.from) = (turn, core, from);
                sheet.state = State::Asked;
                drop(sheet);
                other.bell.call();
                Looked::Asked
            }
        }
    }

    fn answer(&self, places: usize, row: &mut dyn FnMut(usize) -> Option<R>) {
        let ours = &self.all[self.idx];
        ours.bell.take_call();
        // Nobody asks himself.
        for place in &*self.all {
            for sheet in &place.sheets {
                let Ok(mut sheet) = sheet.try_lock() else {
                    // It may be for us: we come back.
                    ours.bell.call();
                    continue;
                };
                if (sheet.state, sheet.core) == (State::Asked, self.idx) {
                    sheet.fill(places, row);
                    drop(sheet);
                    place.bell.call();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
