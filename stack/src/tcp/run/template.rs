//! The headers of a run of segments: made once, patched for each.

use simoom_ring::{CsumOffload, Frame, TxOffload, TxPacket, TxRing};

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
use crate::wire::tcp::{CSUM_OFFSET, Ctl, HEADER_LEN, Timestamps};
use crate::wire::{ethernet, ipv4};

/// The headers of the last run: those of the next, if it is of the same connection. And what is
/// known of their checksums.
pub(crate) struct Template {
    /// Whose they are; `NOBODY` when there are none.
    tuple: Tuple,
    /// That of the neighbors.
    epoch: u32,
    /// With zeros for what is not the same in each run. Nothing is written here but all of it: what
    /// was just written in parts is slow to read as a whole.
    bytes: [u8; LEN_MAX],
    pub(super) len: usize,
    /// The sum of the IP header, in the machine's order as the others.
    ip_sum: u16,
    /// The sum of the pseudo-header and, where the device does not sum, of what is the same in the
    /// TCP headers of all runs.
    tcp_sum: u16,
    /// What the device is asked to do to each.
    pub(super) offload: TxOffload,
}

/// What the headers of one run say, all the same: what has come, how much more may, and the time.
pub(super) struct Said {
    ack: SeqNum,
    wnd: u16,
    stamps: Timestamps,
    /// As the template's `tcp_sum`, with these.
    tcp_sum: u64,
    /// Payload of a full segment.
    pub(super) smss: u16,
}

/// What is not the same in each segment of a run.
struct Fields {
    /// The length of the datagram.
    ip_len: u16,
    ident: u16,
    ip_csum: u16,
    seq: SeqNum,
    ctl: Ctl,
    csum: u16,
}

impl Template {
    /// None yet.
    pub(in crate::tcp) const NONE: Self = Self {
        tuple: Tuple::NOBODY,
        epoch: 0,
        bytes: FIXED,
        len: 0,
        ip_sum: 0,
        tcp_sum: 0,
        offload: TxOffload {
            csum: None,
            gso: None,
        },
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
        let (local, remote) = tcb.tuple.addrs();
        let mac = net.station_of(local, remote, &mut tcb.neighbor_hint)?;
        let (from, to) = (local.octets(), remote.octets());
        let mut bytes = FIXED;
        *part(&mut bytes, 0) = mac.0;
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
        *self = Self {
            tuple: tcb.tuple,
            epoch: net.neighbors.epoch(),
            bytes,
            len,
            ip_sum: fold_words(addrs + ip.iter().sum::<u64>()),
            tcp_sum: fold_words(tcp_sum),
            offload,
        };
        Some(())
    }

    /// What `tcb` has to say now. From here on its window is promised.
    #[inline(always)]
    pub(super) fn say<'p, C: Congestion>(
        &self,
        tcb: &mut Tcb<'p, C>,
        net: &Net<'p>,
        now: Instant,
    ) -> Said {
        let ack = tcb.rcv.nxt;
        let wnd = tcb.rcv.advertise(net.budget(), false).0;
        // Where there are none, they are not sent.
        let none = Timestamps { val: 0, ecr: 0 };
        let stamps = tcb.ts.stamp(ack, now).unwrap_or(none);
        let mut tcp_sum = u64::from(self.tcp_sum);
        if self.offload.csum.is_none() {
            let words = [ack.0, u32::from(wnd), stamps.val, stamps.ecr];
            // A sum of words of 32 bits does not overflow 64.
            tcp_sum += words
                .map(|word| u64::from(word.to_be()))
                .iter()
                .sum::<u64>();
        }
        Said {
            ack,
            wnd,
            stamps,
            tcp_sum,
            smss: tcb.snd.smss,
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
        said: &Said,
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
        if taken > usize::from(said.smss) {
            let tcp_len = self.len - ip::HEADERS_LEN;
            super_segment::request(&mut packet, taken, (said.smss, tcp_len), net);
        }
        let ctl = if taken == len {
            next.ctl()
        } else {
            Ctl::default()
        };
        let room = packet.head_mut().bytes_mut();
        self.write(said, room, net, next.seq, (taken, ctl, load.sum));
        let is_sent = tx.send(packet).is_ok();
        self.count(net, taken, is_sent);
        // A datagram is shorter than 64 KiB.
        taken as u32
    }

    /// Sends a segment without payload.
    #[inline]
    pub(super) fn send_empty<'p>(
        &self,
        said: &Said,
        net: &mut Net<'p>,
        tx: &mut impl TxRing<'p>,
        mut head: Frame<'p>,
        (seq, ctl): (SeqNum, Ctl),
    ) {
        self.write(said, head.bytes_mut(), net, seq, (0, ctl, Sum::new()));
        let is_sent = tx.send(TxPacket::new(head, self.offload)).is_ok();
        self.count(net, 0, is_sent);
    }

    /// Writes the headers in front of so many bytes of payload that sum to this.
    #[inline(always)]
    pub(super) fn write(
        &self,
        said: &Said,
        room: &mut [u8],
        net: &mut Net<'_>,
        seq: SeqNum,
        (payload_len, ctl, payload): (usize, Ctl, Sum),
    ) {
        // A datagram is shorter than 64 KiB.
        let ip_len = (self.len - ethernet::HEADER_LEN + payload_len) as u16;
        let ident = net.ident;
        net.ident = ident.wrapping_add(1);
        let fields = Fields {
            ip_len,
            ident,
            ip_csum: self.ip_csum(ip_len, ident),
            seq,
            ctl,
            csum: self.csum(said, ip_len, (seq, ctl), payload),
        };
        if self.len == LEN_MAX
            && let Some(room) = room.first_chunk_mut::<LEN_MAX>()
        {
            self.write_of(said, room, fields);
        } else if let Some(room) = room.first_chunk_mut::<LEN_MIN>() {
            self.write_of(said, room, fields);
        }
    }

    /// The same, of headers of `N` bytes.
    #[inline(always)]
    fn write_of<const N: usize>(&self, said: &Said, bytes: &mut [u8; N], fields: Fields) {
        if let Some(same) = self.bytes.first_chunk() {
            *bytes = *same;
        }
        said.write(bytes);
        *part(bytes, IP_LEN) = fields.ip_len.to_be_bytes();
        *part(bytes, IP_IDENT) = fields.ident.to_be_bytes();
        *part(bytes, IP_CSUM) = fields.ip_csum.to_ne_bytes();
        *part(bytes, SEQ) = fields.seq.0.to_be_bytes();
        *part(bytes, TCP + 13) = [ACK | fields.ctl.to_wire()];
        *part(bytes, TCP_CSUM) = fields.csum.to_ne_bytes();
    }

    /// The headers of `N` bytes of all full segments of a run: with zeros for the rest.
    #[inline(always)]
    pub(super) fn shared<const N: usize>(&self, said: &Said) -> [u8; N] {
        let mut bytes = [0; N];
        let ip_len = said.ip_len(N);
        let fields = Fields {
            ip_len,
            ident: 0,
            ip_csum: 0,
            seq: SeqNum(0),
            ctl: Ctl::default(),
            csum: fold(self.pseudo_sum(ip_len)),
        };
        self.write_of(said, &mut bytes, fields);
        bytes
    }

    /// The checksum of the IP header.
    #[inline(always)]
    pub(super) fn ip_csum(&self, ip_len: u16, ident: u16) -> u16 {
        !fold(u32::from(self.ip_sum) + u32::from(ip_len.to_be()) + u32::from(ident.to_be()))
    }

    /// The sum of the pseudo-header, where the device sums the rest.
    #[inline(always)]
    fn pseudo_sum(&self, ip_len: u16) -> u32 {
        u32::from(self.tcp_sum) + u32::from((ip_len - ipv4::HEADER_LEN as u16).to_be())
    }

    /// What is in the checksum's place of a segment: what the device is to find there, or all.
    #[inline(always)]
    pub(super) fn csum(
        &self,
        said: &Said,
        ip_len: u16,
        (seq, ctl): (SeqNum, Ctl),
        payload: Sum,
    ) -> u16 {
        if self.offload.csum.is_some() {
            return fold(self.pseudo_sum(ip_len));
        }
        let len = u64::from((ip_len - ipv4::HEADER_LEN as u16).to_be());
        let ctl = u64::from(u16::from(ctl.to_wire()).to_be());
        let mut sum = Sum::of_words(said.tcp_sum + len + ctl + u64::from(seq.0.to_be()));
        sum.combine(payload);
        !fold_words(sum.words())
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

impl Said {
    /// Writes it.
    #[inline(always)]
    fn write<const N: usize>(&self, bytes: &mut [u8; N]) {
        *part(bytes, TCP + 8) = self.ack.0.to_be_bytes();
        *part(bytes, TCP + 14) = self.wnd.to_be_bytes();
        if N == LEN_MAX {
            *part(bytes, TCP + 24) = self.stamps.val.to_be_bytes();
            *part(bytes, TCP + 28) = self.stamps.ecr.to_be_bytes();
        }
    }

    /// The length of the datagram of a full segment behind headers of `len` bytes.
    #[inline(always)]
    pub(super) fn ip_len(&self, len: usize) -> u16 {
        // A datagram is shorter than 64 KiB.
        (len - ethernet::HEADER_LEN) as u16 + self.smss
    }
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
const IP_LEN: usize = IP + 2;
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
