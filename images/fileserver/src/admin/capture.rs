//! `/capture`: packets as they pass, as a pcapng file that grows until its time is over.

use core::cell::RefCell;

use simoom::{Duration, Instant};
use simoom_capture::{Filter, Store, pcapng};

use super::text::Text;

/// The media type.
pub(super) const TYPE: &str = "application/x-pcapng";

/// How long a capture may last.
pub(super) const SECONDS_MAX: u32 = 3_600;

/// Bytes of each packet: all headers with options, and a little more; or a whole frame.
pub(super) const SNAP_DEFAULT: u16 = 128;
pub(super) const SNAP_MAX: u16 = 1_514;

/// How often what was captured is sent on.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// Packets that wait from which on they are sent on at once.
const UNREAD_SOON: usize = 32;

/// Memory that captures take while there is an admin port: bytes of packets, and how many.
pub const BYTES: usize = 256 << 10;
/// See [`BYTES`].
pub const SLOTS: usize = 1_024;

/// What somebody wants to see.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) seconds: u32,
    pub(super) snap_len: u16,
    pub(super) filter: Filter,
    /// The filter as it was said.
    pub(super) text: FilterText,
}

/// A filter in words, with its escapes undone.
#[derive(Debug, Clone, Copy)]
pub(super) struct FilterText {
    bytes: [u8; 128],
    len: u8,
}

impl FilterText {
    pub(super) const EMPTY: Self = Self {
        bytes: [0; 128],
        len: 0,
    };

    /// Undoes the escapes of a query (`%20`, `+`). `None` when it is too long, or not ASCII text.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let mut out = Self::EMPTY;
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            let byte = match byte {
                b'+' => b' ',
                b'%' => {
                    let digit = |byte: u8| char::from(byte).to_digit(16);
                    let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
                    u8::try_from(high << 4 | low).ok()?
                }
                byte => byte,
            };
            if !byte.is_ascii_graphic() && byte != b' ' {
                return None;
            }
            *out.bytes.get_mut(usize::from(out.len))? = byte;
            out.len += 1;
        }
        Some(out)
    }

    pub(super) fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.len.into()).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

/// How far a capture is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    wish: Wish,
    began_at: Instant,
    stage: Stage,
    /// Microseconds between the stack's clock and that on the wall; fixed when the capture begins,
    /// so that no packet is before another that passed earlier.
    wall_us: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Beginning,
    Running,
    /// The time is over; what was captured is still to be sent.
    Ending,
    Ended,
}

/// What a piece of a capture is followed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// More at once.
    Piece,
    /// More when packets have passed.
    Later,
    /// Nothing.
    End,
}

impl Cursor {
    pub(super) fn new(wish: &Wish, now: Instant) -> Self {
        Self {
            wish: *wish,
            began_at: now,
            stage: Stage::Beginning,
            wall_us: 0,
        }
    }

    /// Writes the next blocks. Packets are taken out of the store when they have been queued, not
    /// before: `queued` packets of the last piece.
    pub(super) fn write(
        &mut self,
        out: &mut Text<'_>,
        store: &RefCell<Store<'static>>,
        about: About,
    ) -> Next {
        let mut store = store.borrow_mut();
        if self.stage == Stage::Beginning {
            let wish = simoom_capture::Wish {
                filter: self.wish.filter,
                snap_len: self.wish.snap_len,
                without_tcp_port: about.without_port,
            };
            store.begin(wish);
            self.wall_us = about.wall_us;
            let (text, snap) = (self.wish.text, self.wish.snap_len.into());
            let begun = pcapng::begin(out.rest(), "simoom", about.interface, text.as_str(), snap);
            // A piece has room for more than that.
            out.advance(begun.unwrap_or(0));
            self.stage = Stage::Running;
        }
        let end_at = self.began_at + Duration::from_secs(self.wish.seconds.into());
        if self.stage == Stage::Running && about.now >= end_at {
            store.end();
            self.stage = Stage::Ending;
        }
        while let Some(packet) = store.oldest() {
            let at_ns = packet
                .at_us
                .saturating_add(self.wall_us)
                .saturating_mul(1_000);
            match pcapng::packet(out.rest(), &packet, at_ns) {
                Some(len) => out.advance(len),
                None => return Next::Piece,
            }
            store.forget_oldest();
        }
        if self.stage != Stage::Ending {
            return Next::Later;
        }
        let ns = |at: Instant| (at.as_micros() + self.wall_us).saturating_mul(1_000);
        let counts = store.counts();
        match pcapng::end(out.rest(), &counts, ns(self.began_at), ns(about.now)) {
            Some(len) => out.advance(len),
            None => return Next::Piece,
        }
        self.stage = Stage::Ended;
        Next::End
    }
}

/// What a capture has to know.
#[derive(Debug, Clone, Copy)]
pub(super) struct About {
    pub(super) now: Instant,
    pub(super) interface: &'static str,
    pub(super) without_port: u16,
    pub(super) wall_us: u64,
}

/// Whether so much has been captured that it should be sent on.
pub(super) fn is_due(store: &RefCell<Store<'static>>) -> bool {
    store.borrow().unread_cnt() >= UNREAD_SOON
}
