//! How memory is divided, on every machine, and where TCP's tables come from.

use core::fmt;

use simoom::tcp::{
    App, BodyNode, ConnSlot, DemuxEntry, FlightEntry, GapEntry, SentNode, Storage, SynEntry,
    TimeWaitEntry, TimerNode,
};
use simoom_ring::{FRAME_SIZE, FrameMeta};

/// Where tables come from: memory that lasts until the program ends.
pub trait Tables {
    /// Why there is none.
    type Error;

    /// A table of `len` entries.
    ///
    /// # Errors
    /// There is no room for it.
    fn slice<T>(
        &mut self,
        len: usize,
        make: impl FnMut() -> T,
    ) -> Result<&'static mut [T], Self::Error>;
}

/// What is left of the memory is too little to serve with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLittle {
    /// Bytes in the largest free piece.
    pub free_len: u64,
    /// Bytes that it takes at least.
    pub least_len: u64,
}

impl fmt::Display for TooLittle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "too little memory: {} KiB left beside the image and what it serves, {} KiB needed",
            self.free_len >> 10,
            self.least_len.div_ceil(1024)
        )
    }
}

impl core::error::Error for TooLittle {}

/// How the memory is divided. Half of what is free may become frames, a quarter connections; the
/// rest stays free. Both have a least, below which the machine refuses to serve, and a most,
/// beyond which more would only take longer to boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Frames: those in the rings, received data that is kept, heads of answers.
    pub frames: usize,
    /// Connections; and as many in TIME-WAIT.
    pub conns: usize,
    /// Half-open connections.
    pub syns: usize,
    /// Pieces in all send queues: two are an answer.
    pub bodies: usize,
    /// Connections that have received something behind a gap.
    pub gaps: usize,
    /// Connections that have something in flight at once, with what each range of it takes; one
    /// more makes do with less.
    pub flights: usize,
}

impl Sizes {
    /// Sizes for `free_len` bytes in one piece, with `conn_len` bytes for each connection.
    ///
    /// # Errors
    /// [`TooLittle`] to serve with.
    pub const fn of(free_len: u64, conn_len: usize) -> Result<Sizes, TooLittle> {
        let frames = clamp(free_len / 2 / FRAME_LEN, FRAMES_MIN, FRAMES_MAX);
        let conns = clamp(free_len / 4 / conn_len as u64, CONNS_MIN, CONNS_MAX);
        let sizes = Sizes::with(frames, conns);
        let least_len = frames as u64 * FRAME_LEN + (conns * conn_len) as u64 + SPARE_LEN;
        if least_len > free_len {
            return Err(TooLittle {
                free_len,
                least_len,
            });
        }
        Ok(sizes)
    }

    /// So many frames and connections, and what belongs to them.
    pub const fn with(frames: usize, conns: usize) -> Sizes {
        Sizes {
            frames,
            conns,
            syns: conns / 4,
            bodies: conns * BODIES_A_CONN,
            gaps: conns / GAP_CONNS,
            flights: conns / FLIGHT_CONNS,
        }
    }

    /// Bytes that one connection takes in all tables.
    pub const fn conn_len<A: App>() -> usize {
        let own = size_of::<ConnSlot<'static, A>>() + size_of::<TimeWaitEntry>();
        let share = BODIES_A_CONN * size_of::<BodyNode<'static>>()
            + size_of::<SynEntry>().div_ceil(4)
            + size_of::<GapEntry<'static>>().div_ceil(GAP_CONNS)
            + flight_len().div_ceil(FLIGHT_CONNS)
            + 2 * size_of::<TimerNode>();
        // Twice two and a quarter places, rounded up to a power of two.
        own + share + 9 * size_of::<DemuxEntry>()
    }

    /// TCP's tables, in memory that `from` gives.
    ///
    /// # Errors
    /// Those of `from`.
    pub fn storage<A: App + 'static, T: Tables>(
        &self,
        from: &mut T,
    ) -> Result<Storage<'static, A>, T::Error> {
        let Sizes {
            frames: _,
            conns,
            syns,
            bodies,
            gaps,
            flights,
        } = *self;
        let demux = Storage::<A>::demux_len(conns, syns, conns);
        Ok(Storage {
            conns: from.slice(conns, ConnSlot::default)?.into(),
            syns: from.slice(syns, SynEntry::default)?.into(),
            time_waits: from.slice(conns, TimeWaitEntry::default)?.into(),
            bodies: from.slice(bodies, BodyNode::default)?.into(),
            gaps: from.slice(gaps, GapEntry::default)?.into(),
            flights: from.slice(flights, FlightEntry::default)?.into(),
            sent: from
                .slice(flights * SENT_A_FLIGHT, SentNode::default)?
                .into(),
            timers: from.slice(conns + syns, TimerNode::default)?.into(),
            demux: from.slice(demux, DemuxEntry::default)?.into(),
        })
    }
}

const fn clamp(wanted: u64, least: usize, most: usize) -> usize {
    if wanted < least as u64 {
        least
    } else if wanted > most as u64 {
        most
    } else {
        wanted as usize
    }
}

/// Memory of one frame with its place in the pool's table, in bytes.
const FRAME_LEN: u64 = (FRAME_SIZE + size_of::<FrameMeta>()) as u64;

/// Both rings of 256 full, and as many beside them.
const FRAMES_MIN: usize = 768;
/// 16 MiB: both rings, an answer's head for each of the most connections, and nearly as much again.
const FRAMES_MAX: usize = 8_192;
const CONNS_MIN: usize = 1_024;
const CONNS_MAX: usize = 4_096;

/// Pieces of send queues for each connection: two answers, on the average over all of them.
const BODIES_A_CONN: usize = 4;

/// Of so many connections one has something in flight, on the average.
const FLIGHT_CONNS: usize = 4;

/// Of so many connections one has received something behind a gap: the rest of a request that is
/// longer than a segment, or of an upload.
const GAP_CONNS: usize = 16;

/// Ranges in flight for each connection that has any, on the average over all of them: a burst is
/// one, and a recovery of a wide window takes tens.
const SENT_A_FLIGHT: usize = 8;

/// Bytes that a connection with something in flight takes for that.
const fn flight_len() -> usize {
    size_of::<FlightEntry>() + SENT_A_FLIGHT * size_of::<SentNode>()
}

/// What page-sized pieces and roundings may cost, in bytes.
const SPARE_LEN: u64 = 64 << 10;

#[cfg(test)]
mod tests;
