//! Several stacks with one address, each over a queue of its own: a segment that comes by another
//! queue than its connection's.
//!
//! ```text
//!   queue 0 ─► Stack ── whose is this? ─► Siblings::stray ─┐   by way of the embedder
//!   queue 1 ─► Stack ◄─────────────────────────────────────┘   looks for it, and so on
//! ```
//!
//! Flows should stay with one queue, but need not: a TAP device forgets them when they are quiet,
//! a veth device sends what the kernel answers by itself from any queue, and steering can change.
//! A stack that does not know a segment's connection knows only that it is not here, so it must
//! not answer with a reset before all others have been asked. Connections stay where they were
//! opened: what moves is the segment.

use simoom_ring::{RxPacket, RxRing, TxRing};

use super::Above;
use super::others::Stray;
use crate::addr::FourTuple;
use crate::config::BURST_MAX;
use crate::counters::DropReason;
use crate::net::Net;
use crate::tcp::{App, Cx};

/// What became of a packet that may be another stack's.
#[derive(Debug)]
pub enum Asked<'p> {
    /// Another stack looks at it.
    Elsewhere,
    /// There was no room for it: it is lost, as on a wire.
    NoRoom,
    /// Nobody else is left to ask: the stack does with it what it would do alone.
    Nowhere(RxPacket<'p>),
}

/// A receive ring whose station has more stacks than one.
pub trait Siblings<'p>: RxRing<'p> {
    /// Whether there are others at all.
    fn has_any(&self) -> bool;

    /// Takes over the packet that [`recv`](RxRing::recv) gave last, as it came: it is for a
    /// connection that is not here. With `has_trace` there is something of the same endpoints here
    /// (a half-open connection, or one in TIME-WAIT) which does not fit: if nobody has the
    /// connection, this stack must answer, and no other.
    fn stray(&mut self, packet: RxPacket<'p>, has_trace: bool) -> Asked<'p>;

    /// The far side has completed a handshake here: whatever the others have of the same endpoints
    /// is of an old connection, which the far side knows nothing of any more. They should be told.
    fn opened(&mut self, tuple: FourTuple);

    /// The next endpoints of a connection that was opened with another stack.
    fn opened_elsewhere(&mut self) -> Option<FourTuple>;
}

/// The ring of a stack that has its address for itself.
pub(super) struct Alone<'a, R>(pub(super) &'a mut R);

impl<'p, R: RxRing<'p>> RxRing<'p> for Alone<'_, R> {
    #[inline]
    fn sync(&mut self) -> usize {
        self.0.sync()
    }

    #[inline]
    fn recv(&mut self) -> Option<RxPacket<'p>> {
        self.0.recv()
    }

    #[inline]
    fn dropped(&mut self, why: &'static str) {
        self.0.dropped(why);
    }
}

impl<'p, R: RxRing<'p>> Siblings<'p> for Alone<'_, R> {
    #[inline]
    fn has_any(&self) -> bool {
        false
    }

    fn stray(&mut self, packet: RxPacket<'p>, _has_trace: bool) -> Asked<'p> {
        Asked::Nowhere(packet)
    }

    fn opened(&mut self, _tuple: FourTuple) {}

    fn opened_elsewhere(&mut self) -> Option<FourTuple> {
        None
    }
}

impl<'p, A: App> Above<'p, A> {
    /// Forgets what others have opened anew: a burst of it.
    #[inline(never)]
    pub(super) fn hear_of_opened<R: Siblings<'p>, T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        rx: &mut R,
    ) {
        for _ in 0..BURST_MAX {
            let Some(tuple) = rx.opened_elsewhere() else {
                break;
            };
            self.tcp.opened_elsewhere(cx, &tuple);
        }
    }

    /// Says to the others what there is to say of the last packet.
    #[inline(never)]
    pub(super) fn tell_others<R: Siblings<'p>, T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        rx: &mut R,
    ) {
        if let Some(stray) = cx.net.others.stray.take() {
            self.ask_others(stray, cx, rx);
        }
        if let Some(tuple) = cx.net.others.opened.take() {
            rx.opened(tuple);
        }
    }

    /// A packet that is not ours goes to the others, or is looked at as the only stack would. It is
    /// counted once, by the stack that keeps it.
    #[cold]
    fn ask_others<R: Siblings<'p>, T: TxRing<'p>>(
        &mut self,
        stray: Stray<'p>,
        cx: &mut Cx<'_, 'p, T, A>,
        rx: &mut R,
    ) {
        let Stray { packet, has_trace } = stray;
        let frame_len = packet.frame_len();
        match rx.stray(packet, has_trace) {
            Asked::Elsewhere => {
                uncount(cx.net, frame_len);
                cx.net.counters.tcp_passed_on += 1;
            }
            Asked::NoRoom => cx.net.counters.drop(DropReason::TcpHandOverFull),
            Asked::Nowhere(packet) => {
                uncount(cx.net, frame_len);
                cx.net.others.were_asked = true;
                self.input(cx, packet);
                cx.net.others.were_asked = false;
            }
        }
    }
}

/// Takes back what was counted of a segment that is looked at once more, here or elsewhere. What
/// Ethernet had padded it with is cut off already, and stays counted here.
fn uncount(net: &mut Net<'_>, frame_len: usize) {
    let counters = &mut net.counters;
    counters.rx_frames = counters.rx_frames.wrapping_sub(1);
    counters.rx_bytes = counters.rx_bytes.wrapping_sub(frame_len as u64);
    counters.tcp_segments_in = counters.tcp_segments_in.wrapping_sub(1);
}
