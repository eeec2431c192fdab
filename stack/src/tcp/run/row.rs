//! Full segments in a row, out of one piece of content: what most bytes leave in.
//!
//! ```text
//!   content  ──┤ smss │ smss │ smss │ smss │ a part, or the last: by itself
//!              └─ one set of headers; of each its own are identification, sequence number, sums
//! ```

use simoom_ring::{Frame, TxPacket, TxRing};

use super::template::{IP_CSUM, IP_IDENT, LEN_MAX, LEN_MIN, SEQ, Said, TCP_CSUM, Template, part};
use crate::content::Sums;
use crate::counters::DropReason;
use crate::net::Net;
use crate::tcp::bodies::Content;
use crate::tcp::load::Load;
use crate::tcp::seqnum::SeqNum;
use crate::wire::tcp::Ctl;

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

impl Row {
    /// As many segments of `smss` bytes as are in the first `usable` bytes of `content`, which
    /// begins at `seq`, if there are any.
    #[inline(always)]
    pub(super) fn within(
        (content, sums): Content,
        usable: usize,
        smss: usize,
        seq: SeqNum,
    ) -> Option<Self> {
        let cnt = usable.min(content.len()).checked_div(smss)?;
        let bytes = content.get(..cnt * smss).filter(|_| cnt > 0)?;
        Some(Self {
            bytes,
            cnt,
            sums,
            seq,
        })
    }
}

impl Template {
    /// Sends a row, the first segment of it in `head`, as far as the ring, which has space, and
    /// frames go; how many bytes have gone.
    #[inline]
    pub(super) fn send_row<'p>(
        &self,
        said: &Said,
        net: &mut Net<'p>,
        tx: &mut impl TxRing<'p>,
        head: Frame<'p>,
        row: &Row,
    ) -> u32 {
        if row.cnt == 1 {
            return self.send_one(said, net, tx, head, row);
        }
        match (self.len, self.offload.csum) {
            (LEN_MAX, None) => self.send_row_of::<LEN_MAX, true, _>(said, net, tx, head, row),
            (LEN_MAX, _) => self.send_row_of::<LEN_MAX, false, _>(said, net, tx, head, row),
            (_, None) => self.send_row_of::<LEN_MIN, true, _>(said, net, tx, head, row),
            _ => self.send_row_of::<LEN_MIN, false, _>(said, net, tx, head, row),
        }
    }

    /// The same, of one segment: nothing is shared.
    #[inline(always)]
    fn send_one<'p>(
        &self,
        said: &Said,
        net: &mut Net<'p>,
        tx: &mut impl TxRing<'p>,
        mut head: Frame<'p>,
        row: &Row,
    ) -> u32 {
        let load = Load::new(&net.caps);
        let sum = load.sum_of(row.bytes, true, row.sums, &mut net.counters);
        let fields = (row.bytes.len(), Ctl::default(), sum);
        self.write(said, head.bytes_mut(), net, row.seq, fields);
        let packet = TxPacket::with_content(head, row.bytes, self.offload);
        let is_full = tx.send(packet).is_err();
        self.count_row(net, (self.len, said.smss), (1, usize::from(is_full)));
        said.smss.into()
    }

    /// As [`send_row`](Self::send_row), of headers of `LEN` bytes, in which our sum is if
    /// `IS_SUMMED`.
    #[inline]
    fn send_row_of<'p, const LEN: usize, const IS_SUMMED: bool, T: TxRing<'p>>(
        &self,
        said: &Said,
        net: &mut Net<'p>,
        tx: &mut T,
        head: Frame<'p>,
        row: &Row,
    ) -> u32 {
        let shared: [u8; LEN] = self.shared(said);
        self.send_alike::<LEN, IS_SUMMED, T>((said, &shared), net, tx, head, row)
    }

    /// The same, with what is the same in all headers. Called, so that what goes round stays in
    /// registers.
    #[inline(never)]
    fn send_alike<'p, const LEN: usize, const IS_SUMMED: bool, T: TxRing<'p>>(
        &self,
        (said, shared): (&Said, &[u8; LEN]),
        net: &mut Net<'p>,
        tx: &mut T,
        head: Frame<'p>,
        row: &Row,
    ) -> u32 {
        let (load, offload, ip_len) = (Load::new(&net.caps), self.offload, said.ip_len(LEN));
        let (mut seq, mut ident, mut full_cnt) = (row.seq, net.ident, 0);
        let (smss, most) = (usize::from(said.smss), row.cnt.min(tx.space().max(1)));
        let (pool, headroom) = (net.pool, usize::from(net.caps.headroom));
        let (mut left, mut next) = (most, Some(head));
        // Each round takes a segment out of a finite row.
        for body in row.bytes.chunks_exact(smss) {
            let Some(mut head) = next else {
                break;
            };
            if let Some(room) = head.bytes_mut().first_chunk_mut::<LEN>() {
                *room = *shared;
                *part(room, IP_IDENT) = ident.to_be_bytes();
                *part(room, IP_CSUM) = self.ip_csum(ip_len, ident).to_ne_bytes();
                *part(room, SEQ) = seq.0.to_be_bytes();
                if IS_SUMMED {
                    let sum = load.sum_of(body, true, row.sums, &mut net.counters);
                    let csum = self.csum(said, ip_len, (seq, Ctl::default()), sum);
                    *part(room, TCP_CSUM) = csum.to_ne_bytes();
                }
            }
            let packet = TxPacket::with_content(head, body, offload);
            full_cnt += usize::from(tx.send(packet).is_err());
            ident = ident.wrapping_add(1);
            // As long as a segment.
            seq += u32::from(said.smss);
            left -= 1;
            // That there is none is counted where it is asked for again.
            next = match left {
                0 => None,
                _ => pool.alloc_window(headroom, LEN),
            };
        }
        net.ident = ident;
        self.count_row(net, (LEN, said.smss), (most - left, full_cnt));
        seq.bytes_since(row.seq)
    }

    /// Counts so many segments of `smss` bytes behind `len` of headers, so many of which found the
    /// ring full.
    #[inline]
    fn count_row(
        &self,
        net: &mut Net<'_>,
        (len, smss): (usize, u16),
        (cnt, full_cnt): (usize, usize),
    ) {
        let (payload_len, counters) = (u64::from(smss), &mut net.counters);
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
