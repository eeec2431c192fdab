//! The headers of a run of segments: made once, patched for each.

use simoom_ring::{CsumOffload, Frame, TxOffload, TxPacket, TxRing};

use super::Way;
use crate::counters::DropReason;
use crate::ip;
use crate::net::Net;
use crate::tcp::bodies::{Bodies, Place};
use crate::tcp::cc::Congestion;
use crate::tcp::load::Load;
use crate::tcp::seqnum::SeqNum;
use crate::tcp::snd::NextData;
use crate::tcp::super_segment;
use crate::tcp::tcb::Tcb;
use crate::tcp::tuple::Tuple;
use crate::time::Instant;
use crate::wire::checksum::{Sum, fold, fold_words};
use crate::wire::tcp::{CSUM_OFFSET, Ctl, HEADER_LEN};
use crate::wire::{ethernet, ipv4};

/// The headers of the last run: those of the next, if it is of the same connection. And what is
/// known of their checksums.
pub(crate) struct Template {
    /// Whose they are; `NOBODY` when there are none.
    tuple: Tuple,
    /// That of the neighbors.
    epoch: u32,
    /// With anything for what is not the same in each segment.
    pub(super) bytes: [u8; LEN_MAX],
    pub(super) len: usize,
    /// The sum of the IP header, in the machine's order as the others.
    ip_sum: u16,
    /// The sum of the pseudo-header and, where the device does not sum, of what is the same in the
    /// TCP headers of all runs; and of what is in all of this run.
    made_sum: u16,
    tcp_sum: u16,
    /// What the device is asked to do to each.
    pub(super) offload: TxOffload,
    /// Payload of a full segment.
    pub(super) smss: u16,
}

/// What all segments of a row share beside their headers.
pub(super) struct Shared {
    /// The length of the datagram.
    pub(super) ip_len: [u8; 2],
    /// The sum of the IP header.
    pub(super) ip: u32,
    /// The sum of the pseudo-header and, where the device does not sum, the TCP header; and what a
    /// device that does is to find in the checksum's place.
    pub(super) tcp: u32,
    pub(super) tcp_csum: u16,
}

impl Template {
    /// None yet.
    pub(in crate::tcp) const NONE: Self = Self {
        tuple: Tuple::NOBODY,
        epoch: 0,
        bytes: FIXED,
        len: 0,
        ip_sum: 0,
        made_sum: 0,
        tcp_sum: 0,
        offload: TxOffload {
            csum: None,
            gso: None,
        },
        smss: 0,
    };

    /// Those of what `tcb` sends, but for what each run says anew: as they are, or made. `None`
    /// when it is not known which station they go to.
    #[inline]
    pub(super) fn find<'p, C: Congestion>(
        &mut self,
        tcb: &mut Tcb<'p, C>,
        net: &Net<'p>,
    ) -> Option<()> {
        if self.is_for(tcb, net) {
            return Some(());
        }
        self.make(tcb, net)
    }

    /// Whether those that would be made for `tcb` now are the same.
    #[inline]
    pub(super) fn is_for<C>(&self, tcb: &Tcb<'_, C>, net: &Net<'_>) -> bool {
        let has = |at: usize, byte: u8| self.bytes.get(at) == Some(&byte);
        self.tuple == tcb.tuple
            && self.epoch == net.neighbors.epoch()
            && self.len == Self::len_of(tcb)
            && self.offload.csum.is_some() == net.caps.checksums.tx
            && has(IP_TOS, tcb.tos)
            && has(IP_TTL, net.ttl.get())
    }

    #[inline(never)]
    fn make<'p, C: Congestion>(&mut self, tcb: &mut Tcb<'p, C>, net: &Net<'p>) -> Option<()> {
        let way = Way::find(tcb, net)?;
        let (local, remote) = tcb.tuple.addrs();
        let (from, to) = (local.octets(), remote.octets());
        let mut bytes = FIXED;
        *part(&mut bytes, 0) = way.mac.0;
        *part(&mut bytes, 6) = net.mac.0;
        *part(&mut bytes, IP_TOS) = [tcb.tos];
        *part(&mut bytes, IP_TTL) = [net.ttl.get()];
        *part(&mut bytes, IP_ADDRS) = from;
        *part(&mut bytes, IP_ADDRS + 4) = to;
        *part(&mut bytes, TCP) = tcb.tuple.local_port().to_be_bytes();
        *part(&mut bytes, TCP + 2) = tcb.tuple.remote_port().to_be_bytes();
        let len = Self::len_of(tcb);
        if len == LEN_MAX {
            *part(&mut bytes, TCP + 12) = [OFFSET_MAX];
        }
        // Sums of words in the machine's order, whichever that is (RFC 1071 2 (B)).
        let addrs = u64::from(u32::from_ne_bytes(from)) + u64::from(u32::from_ne_bytes(to));
        let ip = [[0x45, tcb.tos], [0x40, 0], [net.ttl.get(), ip::proto::TCP]];
        let ip = ip.map(|word| u64::from(u16::from_ne_bytes(word)));
        let mut tcp_sum = addrs + u64::from(u16::from(ip::proto::TCP).to_be());
        let mut offload = TxOffload::default();
        if net.caps.checksums.tx {
            offload.csum = Some(CsumOffload {
                csum_start: ip::HEADERS_LEN as u16,
                csum_offset: CSUM_OFFSET,
            });
        } else {
            // Without timestamps, what lies behind is not sent.
            let part = bytes.get(TCP..len).unwrap_or_default();
            tcp_sum += u64::from(fold_words(Sum::of(part).words()));
        }
        let tcp_sum = fold_words(tcp_sum);
        *self = Self {
            tuple: tcb.tuple,
            epoch: net.neighbors.epoch(),
            bytes,
            len,
            ip_sum: fold_words(addrs + ip.iter().sum::<u64>()),
            made_sum: tcp_sum,
            tcp_sum,
            offload,
            smss: tcb.snd.smss,
        };
        Some(())
    }

    /// Has them say what `tcb` has to say now: what has come, how much more may, and the time. From
    /// here on their window is promised.
    #[inline(always)]
    pub(super) fn say<'p, C: Congestion>(
        &mut self,
        tcb: &mut Tcb<'p, C>,
        net: &Net<'p>,
        now: Instant,
    ) {
        let wnd = match tcb.rcv.advertised() {
            Some(wnd) => wnd,
            None => tcb.rcv.advertise(net.budget(), false),
        };
        self.smss = tcb.snd.smss;
        let bytes = &mut self.bytes;
        let (nxt, wnd) = (tcb.rcv.nxt.0.to_be(), wnd.0.to_be());
        *part(bytes, TCP + 8) = nxt.to_ne_bytes();
        *part(bytes, TCP + 14) = wnd.to_ne_bytes();
        let mut said = u64::from(nxt) + u64::from(wnd);
        if let Some(stamps) = tcb.ts.stamp(tcb.rcv.nxt, now) {
            let (val, ecr) = (stamps.val.to_be(), stamps.ecr.to_be());
            *part(bytes, TCP + 24) = val.to_ne_bytes();
            *part(bytes, TCP + 28) = ecr.to_ne_bytes();
            said += u64::from(val) + u64::from(ecr);
        }
        if self.offload.csum.is_none() {
            self.tcp_sum = fold_words(said + u64::from(self.made_sum));
        }
    }

    /// Bytes of the headers of what `tcb` sends.
    #[inline]
    pub(super) fn len_of<C>(tcb: &Tcb<'_, C>) -> usize {
        if tcb.ts.is_on() { LEN_MAX } else { LEN_MIN }
    }

    /// Sends a segment as `next` says, with what lies at `place`, which moves on; how many bytes
    /// of payload it took.
    #[inline(always)]
    pub(super) fn send<'p>(
        &self,
        net: &mut Net<'p>,
        tx: &mut impl TxRing<'p>,
        head: Frame<'p>,
        next: NextData,
        (bodies, place): (&Bodies<'p>, &mut Place),
    ) -> u32 {
        let mut packet = TxPacket::new(head, self.offload);
        let mut load = Load::new(&net.caps);
        let len = next.len as usize;
        let mut taken = 0;
        if len > 0 {
            taken = bodies.attach_at(place, len, &mut packet, &mut load, &mut net.counters);
        }
        if taken > usize::from(self.smss) {
            let tcp_len = self.len - ip::HEADERS_LEN;
            super_segment::request(&mut packet, taken, (self.smss, tcp_len), net);
        }
        let ctl = if taken == len {
            next.ctl()
        } else {
            Ctl::default()
        };
        self.write(packet.head_mut(), net, next.seq, (taken, ctl, load.sum));
        let is_sent = tx.send(packet).is_ok();
        self.count(net, taken, is_sent);
        // A datagram is shorter than 64 KiB.
        taken as u32
    }

    /// Sends a segment without payload.
    #[inline]
    pub(super) fn send_empty<'p>(
        &self,
        net: &mut Net<'p>,
        tx: &mut impl TxRing<'p>,
        mut head: Frame<'p>,
        (seq, ctl): (SeqNum, Ctl),
    ) {
        self.write(&mut head, net, seq, (0, ctl, Sum::new()));
        let is_sent = tx.send(TxPacket::new(head, self.offload)).is_ok();
        self.count(net, 0, is_sent);
    }

    /// What full segments behind headers of `len` bytes share, beside these.
    #[inline(always)]
    pub(super) fn shared_by(&self, len: usize) -> Shared {
        // A datagram is shorter than 64 KiB.
        let ip_len = (len - ethernet::HEADER_LEN) as u16 + self.smss;
        let tcp_len = ip_len - ipv4::HEADER_LEN as u16;
        let tcp = u32::from(self.tcp_sum) + u32::from(tcp_len.to_be());
        Shared {
            ip_len: ip_len.to_be_bytes(),
            ip: u32::from(self.ip_sum) + u32::from(ip_len.to_be()),
            tcp,
            tcp_csum: fold(tcp),
        }
    }

    /// Writes the headers.
    #[inline(always)]
    pub(super) fn write(
        &self,
        head: &mut Frame<'_>,
        net: &mut Net<'_>,
        seq: SeqNum,
        (payload_len, ctl, payload): (usize, Ctl, Sum),
    ) {
        // A datagram is shorter than 64 KiB.
        let ip_len = (self.len - ethernet::HEADER_LEN + payload_len) as u16;
        let tcp_len = ip_len - ipv4::HEADER_LEN as u16;
        let ident = net.ident;
        net.ident = ident.wrapping_add(1);
        let ip_sum = u32::from(self.ip_sum) + u32::from(ip_len.to_be()) + u32::from(ident.to_be());
        let ctl = ctl.to_wire();
        let tcp_sum = u32::from(self.tcp_sum) + u32::from(tcp_len.to_be());
        let csum = if self.offload.csum.is_some() {
            fold(tcp_sum)
        } else {
            let words = u64::from(tcp_sum) + u64::from(u16::from(ctl).to_be());
            let mut sum = Sum::of_words(words + u64::from(seq.0.to_be()));
            sum.combine(payload);
            !fold_words(sum.words())
        };
        let fields = (ip_len, ident, !fold(ip_sum), seq, ctl, csum);
        let room = head.bytes_mut();
        if let Some(room) = room.first_chunk_mut::<LEN_MAX>()
            && self.len == LEN_MAX
        {
            *room = self.bytes;
            patch(room, fields);
        } else if let (Some(room), Some(bytes)) = (
            room.first_chunk_mut::<LEN_MIN>(),
            self.bytes.first_chunk::<LEN_MIN>(),
        ) {
            *room = *bytes;
            patch(room, fields);
        }
    }

    /// Counts a segment that was given to the ring.
    #[inline(always)]
    pub(super) fn count(&self, net: &mut Net<'_>, payload_len: usize, is_sent: bool) {
        net.counters.tcp_segments_out += 1;
        if is_sent {
            net.counters.tx_packets += 1;
            net.counters.tx_bytes += (self.len + payload_len) as u64;
        } else {
            // As good as lost on the way: the timers send it again.
            net.counters.drop(DropReason::TxRingFull);
        }
    }
}

/// Writes what is not the same in each segment.
#[inline(always)]
fn patch<const N: usize>(
    bytes: &mut [u8; N],
    (ip_len, ident, ip_csum, seq, ctl, csum): (u16, u16, u16, SeqNum, u8, u16),
) {
    *part(bytes, IP_LEN) = ip_len.to_be_bytes();
    *part(bytes, IP_IDENT) = ident.to_be_bytes();
    *part(bytes, IP_CSUM) = ip_csum.to_ne_bytes();
    *part(bytes, TCP + 4) = seq.0.to_be_bytes();
    *part(bytes, TCP + 13) = [ACK | ctl];
    *part(bytes, TCP_CSUM) = csum.to_ne_bytes();
}

/// The `K` bytes at `at`, which is a constant: nothing is left of the check.
///
/// # Panics
/// When they are not within the headers: a bug of ours.
#[inline(always)]
pub(in crate::tcp) fn part<const N: usize, const K: usize>(
    bytes: &mut [u8; N],
    at: usize,
) -> &mut [u8; K] {
    let rest = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut());
    rest.expect("a field of the headers")
}

/// Bytes of the timestamps with their padding.
const OPTIONS_LEN: usize = 12;

/// Bytes of all headers, without timestamps and with them.
pub(super) const LEN_MIN: usize = ip::HEADERS_LEN + HEADER_LEN;
pub(super) const LEN_MAX: usize = LEN_MIN + OPTIONS_LEN;

/// Where the fields lie.
const IP: usize = ethernet::HEADER_LEN;
const IP_TOS: usize = IP + 1;
pub(super) const IP_LEN: usize = IP + 2;
pub(super) const IP_IDENT: usize = IP + 4;
const IP_TTL: usize = IP + 8;
pub(super) const IP_CSUM: usize = IP + 10;
const IP_ADDRS: usize = IP + 12;
const TCP: usize = ip::HEADERS_LEN;
pub(super) const TCP_CSUM: usize = TCP + CSUM_OFFSET as usize;
pub(super) const SEQ: usize = TCP + 4;

/// The offset byte of a header with timestamps.
const OFFSET_MAX: u8 = ((HEADER_LEN + OPTIONS_LEN) as u8) << 2;

/// The control bit that all of them have.
const ACK: u8 = 0x10;

/// What is the same in all headers: IPv4's type and version, DF, TCP, ACK, and behind the header
/// two NOPs and the kind and length of timestamps.
const FIXED: [u8; LEN_MAX] = {
    let mut bytes = [0; LEN_MAX];
    bytes[IP - 2] = 0x08;
    bytes[IP] = 0x45;
    bytes[IP + 6] = 0x40;
    bytes[IP + 9] = ip::proto::TCP;
    bytes[TCP + 12] = (HEADER_LEN as u8) << 2;
    bytes[TCP + 13] = ACK;
    bytes[TCP + 20] = 1;
    bytes[TCP + 21] = 1;
    bytes[TCP + 22] = 8;
    bytes[TCP + 23] = 10;
    bytes
};
