//! What an application does between two polls: what is no packet's work.

use core::cell::RefCell;

use simoom::Instant;
use simoom::iface::Stack;
use simoom::tcp::App;
use simoom_capture::Store;
use simoom_ring::{FramePool, Queue};

/// An application that may have something to do between two polls: to look at the whole stack, to
/// write down what has happened. Packets wait meanwhile, so it is to do a little at a time.
pub trait Attend: App + Sized + 'static {
    /// Called after each poll. True when there is something to do or to send at once.
    #[inline]
    fn attend<Q: Queue<'static>>(&mut self, _round: Round<'_, Self, Q>) -> bool {
        false
    }

    /// When it wants to be called again though nothing comes in.
    #[inline]
    fn attend_at(&self) -> Instant {
        Instant::NEVER
    }

    /// The server ends: connections are being closed.
    fn ending(&mut self) {}
}

/// Everything that there is between two polls.
pub struct Round<'a, A: App + 'static, Q> {
    /// The time of the poll.
    pub now: Instant,
    /// Nothing is left to do: no packet waits.
    pub is_idle: bool,
    /// The stack.
    pub stack: &'a mut Stack<'static, A>,
    /// The rings.
    pub queue: &'a mut Q,
    /// The frames.
    pub pool: &'static FramePool<'static>,
    /// What is captured of what passes.
    pub capture: &'a RefCell<Store<'static>>,
    /// Writes text for whoever watches the machine, as much as goes without waiting; says how many
    /// bytes that was.
    pub print: &'a mut dyn FnMut(&[u8]) -> usize,
}

/// What the cores of a process have written down for each other.
pub trait CoreFigures: Sync {
    /// How many cores there are.
    fn cores_cnt(&self) -> usize;

    /// The `idx`-th figure of a core: its name, its value, and whether it only grows.
    fn figure(&self, core: usize, idx: usize) -> Option<(&'static str, u64, bool)>;
}

/// What the cores of a process show each other when they are asked: rows of a table that each of
/// them has, by their places.
pub trait CoreRows<R>: Sync {
    /// Which core this is.
    fn core(&self) -> usize;

    /// How many there are.
    fn cores_cnt(&self) -> usize;

    /// Whether there is something to [`answer`](Self::answer), or an answer has come.
    fn is_called(&self) -> bool;

    /// The row of another core in the first place from `from` on that has one. It is looked for by
    /// one asker at a time on each seat: whoever comes after him has another turn.
    fn look(&self, seat: usize, turn: u64, core: usize, from: usize) -> Looked<R>;

    /// Answers all that the others have asked: this core has so many places, and `row` is what is
    /// in one.
    fn answer(&self, places: usize, row: &mut dyn FnMut(usize) -> Option<R>);
}

/// What is known of a row that was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked<R> {
    /// It is in this place.
    Row(usize, R),
    /// There is none up to this place, which has not been looked at.
    End(usize),
    /// The other core was asked: it calls.
    Asked,
    /// Nothing could be asked at this moment: at once again.
    Busy,
}
