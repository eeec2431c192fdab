//! What is seen of a stack, whatever application is above it: so the look inside need not know the
//! application that it is a part of.

use simoom::tcp::{App, Levels, Status};
use simoom::{Counters, FourTuple, Stack};

/// What an application keeps with a connection, as far as it is shown.
pub trait Whose {
    /// By which server it is served, and how many requests were answered on it.
    fn whose(&self) -> (&'static str, u32);
}

/// A connection, as it is shown.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    pub(super) tuple: FourTuple,
    pub(super) status: Status,
    /// By which server it is served.
    pub(super) server: &'static str,
    /// How many requests were answered on it.
    pub(super) requests: u32,
}

/// A stack between two polls. Its calls are virtual: nothing here is on a packet's way.
pub(super) trait Seen {
    fn counters(&self) -> &Counters;
    fn levels(&self) -> Levels;
    /// Places of the table of connections.
    fn conns_max(&self) -> usize;
    /// The connection in a place of the table.
    fn conn(&self, place: usize) -> Option<Shown>;
}

impl<A: App> Seen for Stack<'static, A>
where
    A::Conn: Whose,
{
    fn counters(&self) -> &Counters {
        self.counters()
    }

    fn levels(&self) -> Levels {
        self.levels()
    }

    fn conns_max(&self) -> usize {
        self.conns_max()
    }

    fn conn(&self, place: usize) -> Option<Shown> {
        let found = self.survey(place, 1).next()?;
        let (server, requests) = found.state.map_or(("none", 0), Whose::whose);
        Some(Shown {
            tuple: found.tuple,
            status: found.status,
            server,
            requests,
        })
    }
}
