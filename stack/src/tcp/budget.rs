//! How the frames of the pool are shared between all that receive.
//!
//! Received data stays in the frames that it came in, so what a stack can hold is what the pool had
//! at the start, less the frames that are reserved for sending. As they go, in this order:
//!
//! 1. Enough: a window promises no more than half of the frames that are free, and may grow.
//! 2. Pressure, less than a quarter is left: windows stop growing, and promise no more than half of
//!    a fair share, which is all frames divided by the connections that hold any.
//! 3. Shortage, less than an eighth is left: with each segment that brings data, the connection
//!    that holds most out-of-order data loses it (it was not acknowledged, and comes again), and a
//!    connection that holds its fair share or more keeps nothing new.
//! 4. [`FRAMES_RESERVED`] are left: nothing is kept.
//!
//! What was promised and then could not be kept is counted as
//! [`TcpNoMemory`](crate::DropReason::TcpNoMemory), what was given up again as
//! [`tcp_frames_shed`](crate::Counters::tcp_frames_shed). Data that is in order has been
//! acknowledged and is never given up: connections whose application does not read can hold a
//! share each, which leaves one for whoever takes what comes. When they are more than there are
//! frames, one frame each takes all; only ending connections helps then.

use simoom_ring::FramePool;

use crate::config::{FRAMES_RESERVED, RCV_WND_SCALED_MAX};
use crate::tcp::seqnum::{WndScale, WndSize};

/// The frames for received data, and those who hold them, now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget<'p> {
    pub(crate) pool: &'p FramePool<'p>,
    /// Frames that the pool had at the start, when the rings had theirs.
    pub(crate) frames_max: u32,
    /// Connections that hold received data.
    pub(crate) receivers: u32,
    /// The largest segment that we accept: what one frame is for.
    pub(crate) rmss: u16,
}

impl Budget<'_> {
    /// Frames that received data may be in.
    #[inline]
    fn all(self) -> u32 {
        self.frames_max.saturating_sub(FRAMES_RESERVED)
    }

    /// Those of them that are free.
    #[inline]
    fn free(self) -> u32 {
        self.pool.free_cnt().saturating_sub(FRAMES_RESERVED)
    }

    /// Less than a quarter is free.
    #[inline]
    pub(crate) fn is_pressed(self) -> bool {
        self.free() < self.all() / 4
    }

    /// Less than an eighth is free.
    #[inline]
    pub(crate) fn is_short(self) -> bool {
        self.free() < self.all() / 8
    }

    /// Frames that a connection may hold when there are few: as many as every other.
    pub(crate) fn share(self) -> u32 {
        (self.all() / self.receivers.saturating_add(1)).max(1)
    }

    /// Frames that one window may promise. Half of what there is: a segment may fill half a frame.
    #[inline]
    fn promise(self) -> u32 {
        let free = self.free() / 2;
        if self.is_pressed() {
            free.min(self.share() / 2)
        } else {
            free
        }
    }

    /// The widest window that there could ever be, in bytes.
    pub(crate) fn window_max(self) -> u32 {
        self.bytes(self.all() / 2).min(RCV_WND_SCALED_MAX)
    }

    /// What can be promised now, in bytes.
    #[inline]
    pub(crate) fn promise_len(self) -> u32 {
        self.bytes(self.promise())
    }

    #[inline]
    fn bytes(self, frames: u32) -> u32 {
        frames.saturating_mul(self.rmss.into())
    }

    /// Rcv.Wind.Shift for that.
    pub(crate) fn wscale(self) -> WndScale {
        WndScale::fitting(WndSize(self.window_max()))
    }
}

#[cfg(test)]
mod tests;
