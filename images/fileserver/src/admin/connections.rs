//! `/connections`: what is known of each connection, as JSON and as a page for people.

use core::fmt::{self, Write};

use simoom::tcp::State;
use simoom_platform::net::{CoreRows, Looked};

use super::seen::Shown;
use super::text::{Text, Written};
use super::view::View;

/// Places of the tables that are looked at for one piece.
const PLACES: usize = 512;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) is_html: bool,
    /// The first place of the table; those of several cores are one behind the other.
    pub(super) from: usize,
    /// Connections at most.
    pub(super) limit: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            is_html: false,
            from: 0,
            limit: usize::MAX,
        }
    }
}

impl Shape {
    pub(super) fn media_type(&self) -> &'static str {
        match self.is_html {
            true => "text/html; charset=utf-8",
            false => "application/json",
        }
    }
}

/// How far an answer is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    shape: Shape,
    /// Who looks: a seat, and which time it is that somebody sits there.
    looker: (u8, u64),
    /// The next place to look at; places that come and go behind it are not seen.
    place: usize,
    rows: usize,
    has_begun: bool,
}

impl Cursor {
    pub(super) fn new(shape: &Shape, looker: (u8, u64)) -> Self {
        Self {
            shape: *shape,
            looker,
            place: shape.from,
            rows: 0,
            has_begun: false,
        }
    }

    /// Writes as many connections as fit.
    pub(super) fn write(&mut self, out: &mut Text<'_>, view: &View<'_>) -> Written {
        let is_html = self.shape.is_html;
        if !self.has_begun {
            self.has_begun = out.item(|out| out.write_str(if is_html { PAGE } else { "[" }));
        }
        for _ in 0..PLACES {
            let found = match self.look(view) {
                _ if self.rows >= self.shape.limit => None,
                At::Row(found) => Some(found),
                At::Empty => continue,
                At::End => None,
                // What there is goes out before the next core is asked, or answers.
                _ if out.len() > 0 => return Written::More,
                At::NextSheet => continue,
                At::Asked => return Written::Wait,
                At::Busy => return Written::Step,
            };
            let Some((core, found)) = found else {
                let end = if is_html { PAGE_END } else { "\n]\n" };
                return match out.item(|out| out.write_str(end)) {
                    true => Written::Last,
                    false => Written::More,
                };
            };
            let is_first = self.rows == 0;
            let fits = match is_html {
                true => out.item(|out| html(out, &found)),
                false => out.item(|out| json(out, (self.place, core), &found, is_first)),
            };
            if !fits {
                return Written::More;
            }
            self.rows += 1;
            self.place += 1;
        }
        match out.len() {
            0 => Written::Step,
            _ => Written::More,
        }
    }

    /// What is in the next place, on whichever core; it moves to where that is.
    fn look(&mut self, view: &View<'_>) -> At {
        let places = view.stack.conns_max();
        let desk = view.admin.desk;
        let cores_cnt = desk.map_or(1, CoreRows::cores_cnt);
        if self.place >= places.saturating_mul(cores_cnt) {
            return At::End;
        }
        let (core, place) = (self.place / places, self.place % places);
        let Some(desk) = desk.filter(|desk| desk.core() != core) else {
            let core = desk.map(|_| core);
            let found = view.stack.conn(place);
            self.place += usize::from(found.is_none());
            return found.map_or(At::Empty, |found| At::Row((core, found)));
        };
        let (seat, turn) = self.looker;
        match desk.look(seat.into(), turn, core, place) {
            Looked::Row(at, found) => {
                self.place = core * places + at.min(places);
                At::Row((Some(core), found))
            }
            Looked::End(next) => {
                self.place = core * places + next.min(places);
                At::NextSheet
            }
            Looked::Asked => At::Asked,
            Looked::Busy => At::Busy,
        }
    }
}

/// What there is at a place.
enum At {
    /// A connection, and of which core, where there are several.
    Row((Option<usize>, Shown)),
    Empty,
    /// Of another core, nothing as far as it was looked at.
    NextSheet,
    Asked,
    Busy,
    /// No place any more.
    End,
}

/// One object. All that is in it is ours: numbers and names, nothing that would need escapes.
fn json(
    out: &mut Text<'_>,
    (place, core): (usize, Option<usize>),
    found: &Shown,
    is_first: bool,
) -> fmt::Result {
    let Shown {
        tuple,
        status,
        server,
        requests,
    } = found;
    let comma = if is_first { "" } else { "," };
    write!(
        out,
        "{comma}\n{{\"place\":{place},\"local\":\"{}\",\"remote\":\"{}\",\"state\":\"{}\",\
         \"server\":\"{server}\",\"requests\":{requests}",
        tuple.local, tuple.remote, status.state
    )?;
    if let Some(core) = core {
        write!(out, ",\"core\":{core}")?;
    }
    for (name, value) in [
        ("srtt_us", status.srtt.as_micros()),
        ("rttvar_us", status.rttvar.as_micros()),
        ("rto_us", status.rto.as_micros()),
        ("cwnd", status.cwnd.into()),
        ("snd_wnd", status.snd_wnd.into()),
        ("rcv_wnd", status.rcv_wnd.into()),
        ("flight_size", status.flight_size.into()),
        ("lost_len", status.lost_len.into()),
        ("sacked_len", status.sacked_len.into()),
        ("unacked_len", status.unacked_len),
        ("unread_len", status.unread_len as u64),
        ("bytes_acked", status.bytes_acked),
        ("bytes_received", status.bytes_received),
        ("retransmits", status.retransmits_total.into()),
        ("smss", status.smss.into()),
        ("rmss", status.rmss.into()),
    ] {
        write!(out, ",\"{name}\":{value}")?;
    }
    match status.ssthresh {
        u32::MAX => out.write_str(",\"ssthresh\":null")?,
        ssthresh => write!(out, ",\"ssthresh\":{ssthresh}")?,
    }
    write!(
        out,
        ",\"sack\":{},\"timestamps\":{},\"ecn\":{}}}",
        status.has_sack, status.has_timestamps, status.has_ecn
    )
}

/// One row of the table.
fn html(out: &mut Text<'_>, found: &Shown) -> fmt::Result {
    let Shown {
        tuple,
        status,
        server,
        requests,
    } = found;
    let mood = match status.state {
        State::Established => "",
        _ => " class=other",
    };
    let rtt_us = status.srtt.as_micros();
    writeln!(
        out,
        "<tr{mood}><td>{}<td>{}<td>{server}<td>{requests}<td>{}.{:03}<td>{}<td>{}<td>{}<td>{}\
         <td>{}<td>{}",
        tuple.remote,
        status.state,
        rtt_us / 1_000,
        rtt_us % 1_000,
        status.cwnd,
        status.flight_size,
        status.unacked_len,
        status.bytes_acked,
        status.bytes_received,
        status.retransmits_total,
    )
}

const PAGE: &str = "<!doctype html>\n<html lang=en><meta charset=utf-8>\
<meta name=viewport content=\"width=device-width\"><title>Connections</title><style>\
:root{color-scheme:light dark}body{font:14px system-ui,sans-serif;margin:2rem}\
table{border-collapse:collapse}th,td{padding:.25rem .75rem;text-align:right;\
border-bottom:1px solid color-mix(in srgb,currentColor 15%,transparent)}\
th{position:sticky;top:0;background:Canvas}td{font-variant-numeric:tabular-nums}\
td:nth-child(-n+3),th:nth-child(-n+3){text-align:left}.other{opacity:.6}</style>\
<h1>Connections</h1><p><a href=/>overview</a></p><table><thead><tr><th>remote<th>state<th>server\
<th>requests<th>round trip, ms<th>cwnd<th>in flight<th>queued<th>acknowledged<th>received\
<th>sent again</thead><tbody>\n";

const PAGE_END: &str = "</table>\n";
