//! Super-segments: one packet of many segments, for a device that cuts it (segmentation offload).
//!
//! ```text
//!   what goes      │ headers │ body, by reference:  smss │ smss │ smss │ rest │
//!   what arrives   │ headers, seq        │ smss │
//!                  │ headers, seq + smss │ smss │         PSH and FIN on the last alone
//! ```
//!
//! All else in TCP counts bytes and is not aware of them: a flight is ranges, windows and quotas
//! are bytes, an acknowledgment may end within what was one packet. What is lost goes again in one,
//! too, wherever that begins and ends: from where the first lost byte is, across the bounds of what
//! was sent before, to where the lost bytes end. As long as it is not certain that what the device
//! cuts arrives at that length ([`Cuts`](crate::net::cuts::Cuts)), it goes again in shorter ones,
//! or a segment at a time. Where a segment differs from its neighbors (CWR, SACK blocks) it goes
//! alone.

use simoom_ring::{GsoKind, GsoOffload, TxOffload, TxPacket};

use crate::ip;
use crate::net::Net;
use crate::tcp::cc::Congestion;
use crate::tcp::flags::SndFlags;
use crate::tcp::flight::{Flights, Range};
use crate::tcp::snd::{NextData, Phase, Snd};
use crate::tcp::tcb::Tcb;
use crate::wire::tcp::Options;

impl Snd {
    /// Lets a full segment of new data go on, as far as the window, the `quota` of the network and
    /// `room` bytes go: to a whole number of segments, or to the end of what is queued, if a short
    /// segment there does not have to wait (RFC 896).
    #[inline]
    pub(crate) fn grown(&self, next: NextData, quota: u32, room: u32) -> NextData {
        let smss = u32::from(self.smss);
        let can_grow =
            next.len == smss && !next.psh && next.seq == self.max && self.phase == Phase::Open;
        if !can_grow {
            return next;
        }
        let sent = self.max.bytes_since(self.una);
        let usable = self.wnd.0.saturating_sub(sent).min(quota).min(room);
        let unsent = self.queue.len().saturating_sub(sent.into());
        let len = u32::try_from(unsent).unwrap_or(u32::MAX).min(usable);
        if len <= smss {
            return next;
        }
        let is_nodelay = self.flags.has(SndFlags::NODELAY);
        let can_end_short = u64::from(len) == unsent && (is_nodelay || self.has_fin());
        // One division for many segments.
        let short_len = len.checked_rem(smss).filter(|_| !can_end_short);
        let len = len.saturating_sub(short_len.unwrap_or(0));
        let is_last = u64::from(len) == unsent;
        NextData {
            len,
            fin: is_last && self.has_fin(),
            psh: is_last,
            ..next
        }
    }

    /// Lets a full segment of what is sent again go on, as far as `lost` does, which begins with
    /// it, and the window, the `quota` and `room`: to a whole number of segments, or to the end of
    /// what is lost.
    #[cold]
    fn grown_again(&self, next: NextData, lost: Range, quota: u32, room: u32) -> NextData {
        let smss = u32::from(self.smss);
        let is_due = self
            .flags
            .has(SndFlags::REXMT_DUE.with(SndFlags::PROBE_DUE));
        if is_due || next.len != smss || lost.start != next.seq {
            return next;
        }
        let in_window = (self.una + self.wnd.0).bytes_since(next.seq);
        let len = lost.len().min(quota).min(in_window).min(room);
        let short_len = len.checked_rem(smss).filter(|_| len < lost.len());
        let len = len.saturating_sub(short_len.unwrap_or(0));
        let grown = self.again_at_most(next.seq, len, room);
        grown.filter(|_| len > smss).unwrap_or(next)
    }
}

/// What is to be sent next, made longer where it may be.
#[inline]
pub(crate) fn grow<C: Congestion>(
    tcb: &Tcb<'_, C>,
    flights: &Flights<'_>,
    next: NextData,
    net: &Net<'_>,
) -> NextData {
    // A tail loss probe is one segment (RFC 8985 7.3).
    let is_probe = flights
        .get(tcb.flight)
        .is_some_and(|(flight, _)| flight.probe.is_due);
    if is_probe {
        return next;
    }
    let (quota, room) = (tcb.quota(flights), net.super_len);
    if !next.seq.before(tcb.snd.max) {
        return tcb.snd.grown(next, quota, room);
    }
    // As long as is beyond doubt.
    let room = room.min(net.cuts.trusted_len());
    let lost = flights.get(tcb.flight);
    let lost = lost.and_then(|(flight, nodes)| flight.next_lost(nodes, quota.min(room)));
    match lost {
        Some(lost) => tcb.snd.grown_again(next, lost, quota, room),
        None => next,
    }
}

/// Bytes of the next packet at most, as far as headers go; `None` for one segment. SACK blocks are
/// not for every segment of a super-segment, and CWR is for the first alone (RFC 3168 6.1.2):
/// whether a device knows that is not to be relied upon.
#[inline]
pub(crate) fn most<C>(tcb: &Tcb<'_, C>, options: &Options) -> Option<usize> {
    let is_alone = options.sack_len() > 0 || tcb.ecn.is_cwr_due();
    (!is_alone).then_some(usize::MAX)
}

/// Has the device cut `packet`, of `payload_len` bytes behind a TCP header of `header_len`, into
/// segments of `smss` bytes.
pub(crate) fn request(
    packet: &mut TxPacket<'_>,
    payload_len: usize,
    (smss, header_len): (u16, usize),
    net: &mut Net<'_>,
) {
    let TxOffload { csum, .. } = packet.offload();
    packet.set_offload(TxOffload {
        csum,
        gso: Some(GsoOffload {
            kind: GsoKind::TcpV4,
            gso_size: smss,
            // Three headers: at most 94 bytes.
            hdr_len: (ip::HEADERS_LEN + header_len) as u16,
        }),
    });
    let segments = payload_len.div_ceil(usize::from(smss).max(1)) as u64;
    // A datagram is shorter than 64 KiB.
    net.cuts.sent(payload_len as u32);
    net.counters.tcp_super_segments += 1;
    net.counters.tcp_segments_out += segments.saturating_sub(1);
}
