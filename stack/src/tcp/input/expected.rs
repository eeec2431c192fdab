//! What of SEGMENT ARRIVES is left for a segment that is expected (`tcp/expected.rs`).

use super::{Arrival, Outcome};
use crate::tcp::cc::Congestion;
use crate::tcp::seqnum::SeqNum;

impl<C: Congestion> Arrival<'_, '_, C> {
    /// The fifth to seventh steps, for a segment that is expected. Its payload is the caller's.
    #[inline]
    pub(crate) fn expected(mut self, ack: SeqNum) -> Outcome {
        self.tcb.keep.heard(self.now);
        if ack != self.tcb.snd.una {
            self.acked(ack, true);
        }
        // The window is as it was; whether a later segment has moved it is not forgotten.
        if self.tcb.snd.wl1.before(self.seg.seq) {
            self.tcb.snd.wl1 = self.seg.seq;
        }
        if let Some(theirs) = self.options.timestamps {
            self.tcb.ts.update(theirs, self.seg.seq, self.now);
        }
        if self.seg.payload_len > 0 {
            self.measure(0);
            let tcb = &mut *self.tcb;
            let nxt = tcb.rcv.nxt;
            tcb.rcv.nxt += self.seg.payload_len;
            tcb.totals.nxt_moved(nxt, tcb.rcv.nxt, tcb.irs);
            self.acknowledge_later();
        }
        // Output follows at once, and looks at the invariants.
        self.outcome
    }
}
