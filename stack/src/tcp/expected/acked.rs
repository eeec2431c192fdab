//! What follows from expected segments on a connection where nothing is the matter: an answer, or
//! the next full segments if the windows have opened for any, and the timers.
//!
//! ```text
//!   request ─► nothing in flight ─► an answer as a whole ───────────────────┐
//!   acknowledgments ─► SND.UNA, cwnd, RTT ─► full segments in a row, or none ─► timers
//!                                            anything else ─► Tcp::settle
//! ```

use simoom_ring::TxRing;

use super::is_quiet;
use crate::tcp::app::App;
use crate::tcp::flags::{SndFlags, TcbFlags};
use crate::tcp::output::Tables;
use crate::tcp::run;
use crate::tcp::{Cx, Tcp};

impl<'p, A: App> Tcp<'p, A> {
    /// As [`settle`](Self::settle), for a connection that has nothing to send now but an answer as
    /// a whole, or, something having been acknowledged, full segments. False for any other: it is
    /// to be settled still.
    #[inline]
    pub(super) fn settle_acked<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        idx: u32,
    ) -> bool {
        let Some(tcb) = self.conns.tcb(idx) else {
            return true;
        };
        // What is queued while nothing is in flight is an answer, nearly always.
        let is_answer = tcb.snd.una == tcb.snd.max && !tcb.snd.queue.is_empty();
        let is_plain = (self.has_moved || is_answer)
            && is_quiet(tcb)
            && !cx.net.cuts.is_in_doubt()
            && !tcb.snd.flags.has(SndFlags::NARROWED)
            && tcb.rcv.is_all_read()
            && !tcb.rcv.is_receiver;
        let mut tables = Tables {
            bodies: &self.bodies,
            gaps: &mut self.gaps,
            flights: &mut self.flights,
            template: &mut self.template,
            short_cuts: true,
        };
        let is_sent = match is_answer {
            _ if !is_plain => false,
            true => run::send_answer(tcb, &mut tables, cx.net, cx.tx, cx.now),
            // Nothing is in flight, either: no more than an acknowledgment can be due.
            _ if tcb.snd.queue.is_empty() => !tcb.flags.has(TcbFlags::ACK_DUE),
            false => run::send_row(tcb, &mut tables, cx.net, cx.tx, cx.now),
        };
        if !is_sent {
            return false;
        }
        let flight_at = tcb.set_timers(&mut self.flights, cx.now, self.has_moved);
        tcb.invariants();
        self.wheel.set(idx, tcb.next_deadline(flight_at));
        true
    }
}
