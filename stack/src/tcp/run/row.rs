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
    /// A whole number of segments, at least one.
    pub(super) bytes: &'static [u8],
    /// Where the sums of it are.
    pub(super) sums: Option<&'static Sums>,
    /// Where it begins in the stream.
    pub(super) seq: SeqNum,
}

impl Template {
    /// Sends a row, the first segment of it in `head`, as far as ring and frames go; how many bytes
    /// have gone.
    #[inline]
    pub(super) fn send_row<'p>(
        &self,
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

    /// The same, of headers of `LEN` bytes.
    #[inline(always)]
    fn send_row_of<'p, const LEN: usize>(
        &self,
        net: &mut Net<'p>,
        tx: &mut impl TxRing<'p>,
        mut head: Frame<'p>,
        row: &Row,
    ) -> u32 {
        let smss = usize::from(self.smss);
        let shared = self.shared_by(LEN);
        let load = Load::new(&net.caps);
        let (mut seq, mut left, mut ident) = (row.seq, row.bytes, net.ident);
        let (mut sent_cnt, mut full_cnt) = (0_u32, 0_u32);
        // Each round takes a segment out of a finite row.
        while let Some((body, rest)) = left.split_at_checked(smss) {
            if let (Some(room), Some(bytes)) = (
                head.bytes_mut().first_chunk_mut::<LEN>(),
                self.bytes.first_chunk::<LEN>(),
            ) {
                *room = *bytes;
                let ip_sum = shared.ip + u32::from(ident.to_be());
                *part(room, IP_LEN) = shared.ip_len;
                *part(room, IP_IDENT) = ident.to_be_bytes();
                *part(room, IP_CSUM) = (!fold(ip_sum)).to_ne_bytes();
                *part(room, SEQ) = seq.0.to_be_bytes();
                let csum = if self.offload.csum.is_some() {
                    shared.tcp_csum
                } else {
                    let mut sum = Sum::of_words(u64::from(shared.tcp) + u64::from(seq.0.to_be()));
                    sum.combine(load.sum_of(body, true, row.sums, &mut net.counters));
                    !fold_words(sum.words())
                };
                *part(room, TCP_CSUM) = csum.to_ne_bytes();
            }
            ident = ident.wrapping_add(1);
            let packet = TxPacket::with_content(head, body, self.offload);
            full_cnt += u32::from(tx.send(packet).is_err());
            sent_cnt += 1;
            // As long as a segment.
            seq += u32::from(self.smss);
            left = rest;
            if left.is_empty() || tx.space() == 0 {
                break;
            }
            // That there is none is counted where it is asked for again.
            let Some(another) = net.pool.alloc_window(net.caps.headroom.into(), LEN) else {
                break;
            };
            head = another;
        }
        net.ident = ident;
        self.count_row(net, LEN, (sent_cnt, full_cnt));
        sent_cnt * u32::from(self.smss)
    }

    /// Counts so many segments, so many of which found the ring full.
    #[inline]
    fn count_row(&self, net: &mut Net<'_>, len: usize, (cnt, full_cnt): (u32, u32)) {
        let (payload_len, counters) = (u64::from(self.smss), &mut net.counters);
        counters.tcp_segments_out += u64::from(cnt);
        counters.payload_bytes_referenced += u64::from(cnt) * payload_len;
        let sent_cnt = u64::from(cnt - full_cnt);
        counters.tx_packets += sent_cnt;
        counters.tx_bytes += sent_cnt * (len as u64 + payload_len);
        for _ in 0..full_cnt {
            // As good as lost on the way: the timers send it again.
            counters.drop(DropReason::TxRingFull);
        }
    }
}
