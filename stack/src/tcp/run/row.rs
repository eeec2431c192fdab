//! Full segments in a row, out of one piece of content: what most bytes leave in.
//!
//! ```text
//!   content  ──┤ smss │ smss │ smss │ smss │ a part, or the last: by itself
//!              └─ one set of headers; of each its own are identification, sequence number, sums
//! ```

use simoom_ring::{Frame, TxPacket, TxRing};

use super::template::{IP_CSUM, IP_IDENT, IP_LEN, LEN_MAX, LEN_MIN, SEQ, TCP_CSUM, Template, part};
use crate::content::Sums;
use crate::counters::DropReason;
use crate::net::Net;
use crate::tcp::load::Load;
use crate::tcp::seqnum::SeqNum;
use crate::wire::checksum::{Sum, fold, fold_words};

/// What is sent in a row.
pub(super) struct Row {
    /// So many segments.
    pub(super) bytes: &'static [u8],
    pub(super) cnt: usize,
    /// Where the sums of it are.
    pub(super) sums: Option<&'static Sums>,
    /// Where it begins in the stream.
    pub(super) seq: SeqNum,
}

impl Template {
    /// Sends a row, the first segment of it in `head`, as far as the ring, which has space, and
    /// frames go; how many bytes have gone.
    #[inline]
    pub(super) fn send_row<'p>(
        &mut self,
        net: &mut Net<'p>,
        tx: &mut impl TxRing<'p>,
        head: Frame<'p>,
        row: &Row,
    ) -> u32 {
        if self.len == LEN_MAX {
            self.send_row_of::<LEN_MAX>(net, tx, head, row)
        } else {
            self.send_row_of::<LEN_MIN>(net, tx, head, row)
        }
    }

    /// The same, of headers of `LEN` bytes. Called, so that what goes round stays in registers.
    #[inline(never)]
    fn send_row_of<'p, const LEN: usize>(
        &mut self,
        net: &mut Net<'p>,
        tx: &mut impl TxRing<'p>,
        mut head: Frame<'p>,
        row: &Row,
    ) -> u32 {
        let shared = self.shared_by(LEN);
        *part(&mut self.bytes, IP_LEN) = shared.ip_len;
        *part(&mut self.bytes, TCP_CSUM) = shared.tcp_csum.to_ne_bytes();
        let load = Load::new(&net.caps);
        let (mut seq, mut ident, mut full_cnt) = (row.seq, net.ident, 0);
        let (smss, most) = (usize::from(self.smss), row.cnt.min(tx.space().max(1)));
        let (mut bytes, mut left) = (row.bytes, most);
        // Each round takes a segment out of a finite row.
        while let Some((body, rest)) = bytes.split_at_checked(smss) {
            left -= 1;
            // That there is none is counted where it is asked for again.
            let another = match left {
                0 => None,
                _ => head.another(),
            };
            if let (Some(room), Some(bytes)) = (
                head.bytes_mut().first_chunk_mut::<LEN>(),
                self.bytes.first_chunk::<LEN>(),
            ) {
                *room = *bytes;
                let ip_sum = shared.ip + u32::from(ident.to_be());
                *part(room, IP_IDENT) = ident.to_be_bytes();
                *part(room, IP_CSUM) = (!fold(ip_sum)).to_ne_bytes();
                *part(room, SEQ) = seq.0.to_be_bytes();
                if self.offload.csum.is_none() {
                    let mut sum = Sum::of_words(u64::from(shared.tcp) + u64::from(seq.0.to_be()));
                    sum.combine(load.sum_of(body, true, row.sums, &mut net.counters));
                    *part(room, TCP_CSUM) = (!fold_words(sum.words())).to_ne_bytes();
                }
            }
            let packet = TxPacket::with_content(head, body, self.offload);
            full_cnt += usize::from(tx.send(packet).is_err());
            ident = ident.wrapping_add(1);
            // As long as a segment.
            seq += u32::from(self.smss);
            let Some(another) = another else {
                break;
            };
            (head, bytes) = (another, rest);
        }
        net.ident = ident;
        self.count_row(net, LEN, (most - left, full_cnt));
        seq.bytes_since(row.seq)
    }

    /// Counts so many segments, so many of which found the ring full.
    #[inline]
    fn count_row(&self, net: &mut Net<'_>, len: usize, (cnt, full_cnt): (usize, usize)) {
        let (payload_len, counters) = (u64::from(self.smss), &mut net.counters);
        counters.tcp_segments_out += cnt as u64;
        counters.payload_bytes_referenced += cnt as u64 * payload_len;
        let sent_cnt = (cnt - full_cnt) as u64;
        counters.tx_packets += sent_cnt;
        counters.tx_bytes += sent_cnt * (len as u64 + payload_len);
        for _ in 0..full_cnt {
            // As good as lost on the way: the timers send it again.
            counters.drop(DropReason::TxRingFull);
        }
    }
}
