//! The transmission control block: everything that TCP knows of one connection.

use crate::config::{RETRANSMITS_MAX, SEND_RETRY, SYN_ACK_RETRANSMITS_MAX, SYN_RETRANSMITS_MAX};
use crate::tcp::cc::{Algorithm, Congestion, Signal};
use crate::tcp::deadline::Deadline;
use crate::tcp::ecn::Ecn;
use crate::tcp::fast_open::opening::Opening;
use crate::tcp::flags::TcbFlags;
use crate::tcp::flight::{Flight, Flights, ProbeTiming, Reordering, Unsettled};
use crate::tcp::idx::NONE;
use crate::tcp::keep::Keep;
use crate::tcp::rcv::Rcv;
use crate::tcp::rtt::Rtt;
use crate::tcp::seqnum::SeqNum;
use crate::tcp::snd::{Phase, Snd};
use crate::tcp::state::{Event, State};
use crate::tcp::totals::Totals;
use crate::tcp::ts::Ts;
use crate::tcp::tuple::Tuple;
use crate::time::{Duration, Instant};

/// One connection. The state changes through [`Tcb::transition`] alone.
///
/// ```text
///   0         what decides on the short cut, in and out          116           212
///   │ snd │ rcv │ flight │ tuple │ ts │ state, flags, tos, hint │ timers │ cc │ rest │
///   └─────────────── two cache lines' worth ────────────────────┘
/// ```
#[repr(C)]
pub(crate) struct Tcb<'p, C> {
    pub(crate) snd: Snd,
    pub(crate) rcv: Rcv<'p>,
    /// What is in flight, in the table of flights; `NONE` while nothing is, and for a last FIN.
    pub(crate) flight: u32,
    pub(crate) tuple: Tuple,
    pub(crate) ts: Ts,
    state: State,
    pub(crate) opening: Opening,
    pub(crate) ecn: Ecn,
    pub(crate) flags: TcbFlags,
    /// Type of service: the codepoint that the application has set.
    pub(crate) tos: u8,
    /// Where the neighbor table had the next hop last.
    pub(crate) neighbor_hint: u8,
    /// `Rexmt`, `Persist`, the retry of a refused send, or the end of FIN-WAIT-2: one deadline,
    /// since only one of them runs.
    pub(crate) rexmt_at: Deadline,
    /// `DelAck`.
    pub(crate) delack_at: Deadline,
    /// The application's own.
    pub(crate) app_at: Deadline,
    pub(crate) cc: C,
    /// ISS.
    pub(crate) iss: SeqNum,
    /// IRS.
    pub(crate) irs: SeqNum,
    /// What was in flight when the window was last reduced ends here.
    pub(crate) ecn_end: SeqNum,
    /// The user timeout in milliseconds; 0 for that of RFC 9293 3.8.3 (R2).
    pub(crate) user_timeout_ms: u32,
    pub(crate) keep: Keep,
    pub(crate) totals: Totals,
    pub(crate) rtt: Rtt,
    /// Timeouts of the segment at SND.UNA.
    pub(crate) retransmits: u8,
    /// How much the path reorders.
    pub(crate) reordering: Reordering,
    /// Which listener it came from; out of range for an active open.
    pub(crate) listener: u8,
}

impl<'p, C: Congestion> Tcb<'p, C> {
    /// A connection in `Closed`, for an open to start.
    pub(crate) fn new(tuple: Tuple, (iss, smss): (SeqNum, u16), asked: Algorithm) -> Self {
        Self {
            snd: Snd::new(iss, smss),
            rcv: Rcv::new(),
            cc: C::new(smss, asked),
            rtt: Rtt::new(),
            ts: Ts::OFF,
            keep: Keep::OFF,
            user_timeout_ms: 0,
            state: State::Closed,
            opening: Opening::DONE,
            ecn: Ecn::OFF,
            ecn_end: iss,
            flags: TcbFlags::default(),
            retransmits: 0,
            flight: NONE,
            tos: 0,
            reordering: Reordering::NONE,
            listener: u8::MAX,
            neighbor_hint: 0,
            rexmt_at: Deadline::NEVER,
            delack_at: Deadline::NEVER,
            app_at: Deadline::NEVER,
            totals: Totals::default(),
            iss,
            irs: SeqNum(0),
            tuple,
        }
    }

    #[inline]
    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Moves to the state that follows `event`.
    ///
    /// # Panics
    /// When the event cannot happen in this state: the steps of `input` and `output` ask first.
    pub(crate) fn transition(&mut self, event: Event) {
        let Some(next) = self.state.after(event) else {
            panic!("{event:?} cannot happen in {}", self.state);
        };
        self.state = next;
    }

    /// Whether selective acknowledgments may be sent both ways (RFC 2018 2).
    #[inline]
    pub(crate) fn is_sack_permitted(&self) -> bool {
        self.flags.has(TcbFlags::SACK_PERMITTED)
    }

    /// Whether our SYN is not acknowledged yet.
    #[inline]
    pub(crate) fn is_syn_unacked(&self) -> bool {
        self.snd.una == self.iss && !self.state.is_synchronized()
    }

    /// What both sides have agreed on: timestamps make segments shorter (RFC 9293 3.7.1).
    pub(crate) fn set_ts(&mut self, ts: Ts, now: Instant) {
        if ts.is_on() {
            self.snd.smss = self.snd.smss.saturating_sub(ts.option_len());
        }
        self.ts = ts;
        self.cc.signalled(self.snd.smss, Signal::Agreed, 0, now);
    }

    /// Sends what is in flight again, from the first byte on, as the windows allow.
    pub(crate) fn send_again(&mut self, flights: &mut Flights<'_>) {
        match flights.get_mut(self.flight) {
            Some((flight, nodes)) => flight.all_lost(nodes),
            None => self.snd.nxt = self.snd.una,
        }
    }

    /// Whether nothing is left to be sent but our FIN, behind theirs. Nobody waits for it: when it
    /// is lost, the timeout is early enough, and it needs no flight.
    #[inline]
    pub(crate) fn is_last_fin(&self) -> bool {
        self.state == State::LastAck && self.snd.queue.is_empty()
    }

    /// The earliest of all deadlines, and of that of its flight.
    #[inline(always)]
    pub(crate) fn next_deadline(&self, flight_at: Deadline) -> Deadline {
        let first = self.rexmt_at.min(flight_at);
        if [self.delack_at, self.app_at, self.keep.at] == [Deadline::NEVER; 3] {
            // Nearly always, while something is in flight.
            return first;
        }
        first.min(self.delack_at).min(self.app_at).min(self.keep.at)
    }

    /// Bytes that may be sent now, as far as the network goes.
    #[inline]
    pub(crate) fn quota(&self, flights: &Flights<'_>) -> u32 {
        let cwnd = self.usable_cwnd();
        match flights.get(self.flight) {
            Some((flight, _)) => flight.quota(self.snd.phase, cwnd),
            None => cwnd.saturating_sub(self.snd.nxt.bytes_since(self.snd.una)),
        }
    }

    /// How long to wait for an acknowledgment now: no longer than the user does.
    #[inline(always)]
    fn rto(&self) -> Duration {
        let rto = self.rtt.rto();
        match self.user_timeout_ms {
            0 => rto,
            _ => self.rto_of_user(rto),
        }
    }

    #[cold]
    fn rto_of_user(&self, rto: Duration) -> Duration {
        let left = self.user_timeout().saturating_sub(self.silence());
        rto.min(left.max(Duration::from_millis(1)))
    }

    fn user_timeout(&self) -> Duration {
        Duration::from_millis(self.user_timeout_ms.into())
    }

    /// How long nothing has been acknowledged, by the timeouts that there were.
    fn silence(&self) -> Duration {
        self.rtt.elapsed(self.retransmits)
    }

    /// Whether the far side has been silent for longer than the user bears (RFC 5482), or for as
    /// many timeouts as we bear by ourselves (R2).
    pub(crate) fn is_given_up(&self) -> bool {
        if self.user_timeout_ms != 0 {
            return self.silence() >= self.user_timeout();
        }
        let most = match self.state {
            // As in the SYN queue, which the segment that was to complete it has taken it from.
            State::SynReceived if self.listener != u8::MAX => SYN_ACK_RETRANSMITS_MAX,
            _ if self.opening.is_unacked() => SYN_ACK_RETRANSMITS_MAX,
            State::SynSent | State::SynReceived => SYN_RETRANSMITS_MAX,
            _ => RETRANSMITS_MAX,
        };
        self.retransmits > most
    }

    /// Runs the retransmission timer while something is in flight, and the persist timer while
    /// something waits for a window; stops it otherwise. `moved` restarts it (RFC 6298 5.3).
    #[inline(always)]
    pub(crate) fn set_rexmt(&mut self, now: Instant, moved: bool) {
        let is_needed =
            self.snd.una != self.snd.max || self.snd.has_unsent() || self.opening.is_unacked();
        if !is_needed {
            if !matches!(self.state, State::FinWait2 | State::TimeWait) {
                self.rexmt_at = Deadline::NEVER;
            }
        } else if moved || self.rexmt_at == Deadline::NEVER {
            self.rexmt_at = Deadline::after(now, self.rto());
        }
    }

    /// What the last flight has left unknown of its last probe: once.
    pub(crate) fn take_probe_left(&mut self) -> Unsettled {
        let (open, unmeasured) = (TcbFlags::PROBE_OPEN, TcbFlags::PROBE_UNMEASURED);
        let left = Unsettled {
            is_open: self.flags.has(open),
            is_unmeasured: self.flags.has(unmeasured),
        };
        self.flags.clear(open.with(unmeasured));
        left
    }

    /// Gives the flight back when nothing is in flight any more.
    #[inline(always)]
    pub(crate) fn end_flight(&mut self, flights: &mut Flights<'_>) {
        if self.snd.una == self.snd.max && self.flight != NONE {
            let left = flights.probe_left(self.flight);
            self.flags.put(TcbFlags::PROBE_OPEN, left.is_open);
            self.flags
                .put(TcbFlags::PROBE_UNMEASURED, left.is_unmeasured);
            flights.end(&mut self.flight);
        }
    }

    /// All that may be sent has been: sets the timers. `has_moved` is whether an acknowledgment has
    /// moved SND.UNA. When something is to be done for what is in flight.
    #[inline(always)]
    pub(crate) fn set_timers(
        &mut self,
        flights: &mut Flights<'_>,
        now: Instant,
        has_moved: bool,
    ) -> Deadline {
        self.set_rexmt(now, has_moved);
        self.set_retry(now);
        self.end_flight(flights);
        let Some((flight, _)) = flights.get_mut(self.flight) else {
            return Deadline::NEVER;
        };
        self.set_probe(flight, now);
        flight.invariants(&self.snd);
        flight.next_deadline()
    }

    /// Has a tail loss probe sent when nothing is heard (RFC 8985 7.2).
    #[inline(always)]
    fn set_probe(&self, flight: &mut Flight, now: Instant) {
        let can = self.is_sack_permitted() && self.state.is_synchronized();
        if can && flight.probe.is_stale() {
            let is_open = self.snd.phase == Phase::Open;
            flight.set_probe(ProbeTiming {
                can: is_open && self.snd.wnd.0 > 0 && self.usable_cwnd() > 0,
                srtt: self.rtt.srtt(),
                smss: self.snd.smss.into(),
                now,
                until: self.rexmt_at,
            });
        }
    }

    /// Has a refused send tried again: while nothing is in flight, no acknowledgment will.
    #[inline]
    fn set_retry(&mut self, now: Instant) {
        if self.flags.has(TcbFlags::WANTS_TO_SEND)
            && self.rexmt_at == Deadline::NEVER
            && self.state.can_send()
        {
            self.rexmt_at = Deadline::after(now, SEND_RETRY);
        }
    }

    /// What must hold after every event, whatever came in. One line a promise.
    ///
    /// # Panics
    /// When one does not hold: a bug of ours.
    #[inline(always)]
    pub(crate) fn invariants(&self) {
        let Snd { una, nxt, max, .. } = self.snd;
        // Seen from SND.UNA, what lies before it is far away.
        let (to_nxt, to_max) = (nxt.0.wrapping_sub(una.0), max.0.wrapping_sub(una.0));
        assert!(
            to_nxt <= to_max,
            "SND.NXT is neither before SND.UNA nor after the highest byte sent"
        );
        if u64::from(to_max) > self.snd.queue.len() {
            let queued = self.snd.queue.len() + u64::from(self.snd.has_fin());
            let syn = u64::from(self.is_syn_unacked());
            assert!(
                u64::from(to_max) <= queued + syn,
                "nothing is in flight that is not queued"
            );
        }
        assert!(
            !self.rcv.nxt.after(self.rcv.adv + 1),
            "RCV.NXT is within what was advertised"
        );
    }
}

/// The contract is 256 bytes for an idle connection: 16 are its slot's links and what holds the
/// application's value, 12 its timer's, 16 its places' in the hash table.
const _: () = assert!(size_of::<Tcb<'static, crate::tcp::cc::Cubic>>() <= 212);

/// What decides whether a segment is expected, and what headers say, lies together.
const _: () =
    assert!(core::mem::offset_of!(Tcb<'static, crate::tcp::cc::Cubic>, rexmt_at) <= 2 * 64);
