//! The third step of a handshake where nothing is the matter: the half-open connection becomes one,
//! established, and waits for what follows in the burst: nearly always a request.
//!
//! ```text
//!   SYN queue ── ACK of our SYN-ACK, the next in the stream, nothing in it ──► connection ─► App
//! ```

use simoom_ring::TxRing;

use super::Headers;
use crate::tcp::app::App;
use crate::tcp::listen::SynEntry;
use crate::tcp::state::Event;
use crate::tcp::{Cx, Tcp};
use crate::time::Instant;

impl Headers {
    /// Whether it completes the handshake of `entry`, and says nothing else.
    #[inline]
    fn completes(&self, entry: &SynEntry, now: Instant) -> bool {
        let is_recent = match self.timestamps {
            Some(theirs) => entry.ts.is_on() && !entry.ts.is_old(theirs, now),
            None => !entry.ts.is_on(),
        };
        self.seq == entry.irs + 1
            && self.ack == entry.iss + 1
            && self.payload_len == 0
            && self.wnd.0 != 0
            && entry.retransmits == 0
            && !entry.ecn.is_on()
            && is_recent
    }
}

impl<'p, A: App> Tcp<'p, A> {
    /// Whether a segment for a half-open connection completes it in the plainest way.
    #[inline]
    pub(super) fn expects_completion(&mut self, idx: u32, headers: &Headers, now: Instant) -> bool {
        let Some(entry) = self.syns.get(idx) else {
            return false;
        };
        let listener = entry.listener;
        headers.is_plain() && headers.completes(entry, now) && self.lacks_place(listener).is_none()
    }

    /// SYN-RECEIVED, RFC 9293 3.10.7.4, fifth: what is left of it.
    pub(super) fn completes<T: TxRing<'p>>(
        &mut self,
        cx: &mut Cx<'_, 'p, T, A>,
        conn: u32,
        headers: &Headers,
    ) {
        let Some(tcb) = self.conns.tcb(conn) else {
            return;
        };
        tcb.transition(Event::AckOfSyn);
        tcb.snd.una = headers.ack;
        tcb.snd.window_told(headers.seq, headers.wnd);
        if let Some(theirs) = headers.timestamps {
            tcb.ts.update(theirs, headers.seq, cx.now);
        }
        tcb.neighbor_hint = self.neighbor_hint;
        self.recent = conn;
        self.unsettled = conn;
        self.tell_established(cx, conn);
        // Who accepts later neither sends nor reads yet.
        if !A::ACCEPTS_LATER {
            self.tell_writable(cx, conn);
            // Frames may have come home since the SYN-ACK.
            self.after_offer(cx, conn);
            self.look_again(conn);
        }
    }
}
