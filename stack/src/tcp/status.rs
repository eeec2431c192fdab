//! STATUS (RFC 9293 3.9.1): what is known of a connection, in the spirit of Linux's `tcp_info`.

use crate::tcp::budget::Budget;
use crate::tcp::cc::Congestion;
use crate::tcp::flight::Flights;
use crate::tcp::state::State;
use crate::tcp::tcb::Tcb;
use crate::time::Duration;

/// What is known of a connection. Lengths in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The state of RFC 9293.
    pub state: State,
    /// Smoothed round-trip time; zero while unknown.
    pub srtt: Duration,
    /// Its variation.
    pub rttvar: Duration,
    /// Retransmission timeout, with backoff.
    pub rto: Duration,
    /// Congestion window.
    pub cwnd: u32,
    /// Slow start threshold; `u32::MAX` until there has been congestion.
    pub ssthresh: u32,
    /// SND.WND.
    pub snd_wnd: u32,
    /// RCV.WND.
    pub rcv_wnd: u32,
    /// Sent and not acknowledged.
    pub flight_size: u32,
    /// Of those, what is taken for lost and not sent again yet.
    pub lost_len: u32,
    /// Of those, what has arrived behind a gap (SACK).
    pub sacked_len: u32,
    /// Queued to send and not acknowledged.
    pub unacked_len: u64,
    /// Received and not taken.
    pub unread_len: usize,
    /// Sent and acknowledged since the connection began.
    pub bytes_acked: u64,
    /// Received in order since the connection began.
    pub bytes_received: u64,
    /// Segments sent again since the connection began, 65,535 at most.
    pub retransmits_total: u32,
    /// Timeouts of the oldest segment in flight.
    pub retransmits: u8,
    /// Largest segment that we send, without options.
    pub smss: u16,
    /// Largest segment that we accept.
    pub rmss: u16,
    /// Snd.Wind.Shift: how far the far side shifts its window.
    pub snd_wscale: u8,
    /// Rcv.Wind.Shift: how far we shift ours.
    pub rcv_wscale: u8,
    /// Timestamps are used (RFC 7323).
    pub has_timestamps: bool,
    /// Selective acknowledgments are used (RFC 2018).
    pub has_sack: bool,
    /// Congestion marks are used (RFC 3168).
    pub has_ecn: bool,
}

impl Status {
    pub(crate) fn of<'p, C: Congestion>(
        tcb: &Tcb<'p, C>,
        flights: &Flights<'p>,
        budget: Budget<'p>,
    ) -> Self {
        let ranges = flights.get(tcb.flight).map(|(flight, _)| &flight.ranges);
        let is_open = tcb.state().is_synchronized();
        let has_fin = !tcb.state().can_receive() && is_open;
        Self {
            state: tcb.state(),
            srtt: tcb.rtt.srtt(),
            rttvar: tcb.rtt.rttvar(),
            rto: tcb.rtt.rto(),
            cwnd: tcb.cc.cwnd(),
            ssthresh: tcb.cc.ssthresh(),
            snd_wnd: tcb.snd.wnd.0,
            rcv_wnd: tcb.rcv.wnd(),
            flight_size: tcb.snd.flight_size(),
            lost_len: ranges.map_or(0, |ranges| ranges.lost_len()),
            sacked_len: ranges.map_or(0, |ranges| ranges.sacked_len()),
            unacked_len: tcb.snd.queue.len(),
            unread_len: tcb.rcv.unread_len(budget.pool),
            bytes_acked: tcb.totals.acked(tcb.snd.una, tcb.iss),
            bytes_received: tcb
                .totals
                .received(tcb.rcv.nxt, tcb.irs)
                .saturating_sub(has_fin.into()),
            retransmits_total: tcb.totals.retransmits.into(),
            retransmits: tcb.retransmits,
            smss: tcb.snd.smss,
            rmss: budget.rmss,
            snd_wscale: tcb.snd.wscale.get(),
            rcv_wscale: tcb.rcv.scale().get(),
            has_timestamps: tcb.ts.is_on(),
            has_sack: tcb.is_sack_permitted(),
            has_ecn: tcb.ecn.is_on(),
        }
    }
}
