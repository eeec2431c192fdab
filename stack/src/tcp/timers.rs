//! What happens when a connection's time comes: RETRANSMISSION TIMEOUT, the persist timer, the
//! delayed acknowledgment, the application's own time (RFC 9293 3.10.8).

use crate::counters::Counters;
use crate::tcp::cc::Congestion;
use crate::tcp::deadline::Deadline;
use crate::tcp::ecn::Ecn;
use crate::tcp::flags::{SndFlags, TcbFlags};
use crate::tcp::flight::Flights;
use crate::tcp::keep::Verdict;
use crate::tcp::path::suspect_black_hole;
use crate::tcp::recovery::Recovery;
use crate::tcp::state::{Event, State};
use crate::tcp::tcb::Tcb;
use crate::time::Instant;

/// What the timers of one connection have brought about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TimedOut {
    /// The far side is given up.
    pub(crate) is_given_up: bool,
    /// A send that was refused while nothing was in flight may be tried again; in FIN-WAIT-2 and
    /// TIME-WAIT, the far side has had its time.
    pub(crate) is_retry: bool,
    /// The application's time has come.
    pub(crate) is_woken: bool,
}

/// Looks at each deadline of a connection.
pub(crate) fn timers<'p, C: Congestion>(
    tcb: &mut Tcb<'p, C>,
    flights: &mut Flights<'p>,
    counters: &mut Counters,
    now: Instant,
) -> TimedOut {
    let mut timed_out = TimedOut::default();
    if tcb.delack_at.has_come(now) {
        tcb.delack_at = Deadline::NEVER;
        tcb.flags.set(TcbFlags::ACK_DUE);
    }
    if flights.next_deadline(tcb.flight).has_come(now) {
        flight_timers(tcb, flights, counters, now);
    }
    if tcb.rexmt_at.has_come(now) {
        tcb.rexmt_at = Deadline::NEVER;
        let is_syn_unacked = tcb.is_syn_unacked() || tcb.opening.is_unacked();
        if tcb.snd.una == tcb.snd.max && !tcb.snd.has_unsent() && !is_syn_unacked {
            timed_out.is_retry = true;
        } else {
            retransmission_timeout(tcb, flights, counters, now);
            timed_out.is_given_up = tcb.is_given_up();
        }
    }
    if tcb.keep.at.has_come(now) {
        let is_idle = tcb.snd.una == tcb.snd.max && !tcb.snd.has_unsent();
        match tcb.keep.fire(is_idle && tcb.state().is_synchronized(), now) {
            Some(Verdict::Probe) => {
                counters.tcp_keep_alives += 1;
                tcb.flags.set(TcbFlags::KEEP_ALIVE_DUE);
            }
            Some(Verdict::GiveUp) => timed_out.is_given_up = true,
            None => {}
        }
    }
    if tcb.app_at.has_come(now) {
        tcb.app_at = Deadline::NEVER;
        timed_out.is_woken = true;
    }
    if timed_out.is_given_up {
        tcb.transition(Event::Timeout);
    }
    tcb.invariants();
    flights.invariants(tcb.flight, &tcb.snd);
    timed_out
}

/// RACK's reordering timer and the tail loss probe (RFC 8985 6.3 and 7.3). The retransmission timer
/// starts afresh behind a probe.
#[cold]
fn flight_timers<'p, C: Congestion>(
    tcb: &mut Tcb<'p, C>,
    flights: &mut Flights<'p>,
    counters: &mut Counters,
    now: Instant,
) {
    let Some((flight, _)) = flights.get_mut(tcb.flight) else {
        return;
    };
    if flight.probe.at.has_come(now) {
        flight.probe.at = Deadline::NEVER;
        flight.probe.is_due = true;
        counters.tcp_probes += 1;
        tcb.rexmt_at = Deadline::after(now, tcb.rtt.rto());
    }
    if flight.reorder_at <= now {
        Recovery {
            tcb,
            flights,
            counters,
            now,
        }
        .reordering_timeout();
    }
}

fn retransmission_timeout<'p, C: Congestion>(
    tcb: &mut Tcb<'p, C>,
    flights: &mut Flights<'p>,
    counters: &mut Counters,
    now: Instant,
) {
    tcb.ecn.release();
    let has_flown = tcb.snd.una != tcb.snd.max || tcb.opening.is_unacked();
    if !has_flown && tcb.state().is_synchronized() && tcb.snd.wnd.0 > 0 {
        // RFC 9293 3.8.6.2.1: what holds back new data is overridden. What goes out now goes for
        // the first time: it is no retransmission, and nothing has stayed without an answer.
        tcb.snd.flags.set(SndFlags::PROBE_DUE);
        return tcb.set_rexmt(now, true);
    }
    tcb.retransmits = tcb.retransmits.saturating_add(1);
    tcb.rtt.back_off();
    if tcb.opening.is_unacked() {
        // The SYN-ACK, without data: what else is in flight means nothing without it.
        counters.tcp_timeouts += 1;
        tcb.opening.set_due();
        return tcb.set_rexmt(now, true);
    }
    let has_flight = flights.get(tcb.flight).is_some();
    let is_waiting_for_window = tcb.snd.una == tcb.snd.max || tcb.snd.wnd.0 == 0;
    if !tcb.state().is_synchronized() {
        // Our SYN.
        counters.tcp_timeouts += 1;
        tcb.snd.nxt = tcb.snd.una;
        if tcb.state() == State::SynSent {
            // RFC 3168 6.1.1.1: something on the path may drop SYNs that ask.
            tcb.ecn = Ecn::OFF;
        }
    } else if is_waiting_for_window {
        // The persist timer: the window may have opened unheard (RFC 9293 3.8.6.1).
        tcb.snd.flags.set(SndFlags::PROBE_DUE);
    } else {
        counters.tcp_timeouts += 1;
        if suspect_black_hole(tcb) {
            counters.tcp_black_holes += 1;
        }
        Recovery {
            tcb,
            flights,
            counters,
            now,
        }
        .timed_out();
    }
    if !has_flight {
        tcb.snd.nxt = tcb.snd.una;
        tcb.snd.flags.clear(SndFlags::REXMT_DUE);
    }
    tcb.set_rexmt(now, true);
}
