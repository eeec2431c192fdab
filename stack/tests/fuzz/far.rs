//! The far sides: everything on the wire that is not the stack. They see every packet that the
//! stack sends, check what a peer can check, and remember what a peer would, so that segments can
//! be built that are right but for what the program changes in them.
//!
//! Payload tells its place: the byte with sequence number `n` is [`byte_at`]`(n)`, in every
//! segment, so the application can see whether it gets the stream, and nothing but the stream.
//! What the stack sends is compared with what the application has queued.

use std::collections::VecDeque;

use simoom::wire::checksum::Sum;
use simoom::wire::ipv4::proto;
use simoom::wire::tcp::{Ctl, FastOpen, Options, Segment};
use simoom::{Addr, FourTuple, Instant};
use simoom_ring::TxOffload;

/// Our address, the stack's.
pub(crate) const OUR_IP: [u8; 4] = [10, 0, 2, 15];
pub(crate) const OUR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// The far sides': two on our network, one behind the first.
pub(crate) const FAR_IPS: [[u8; 4]; 3] = [[10, 0, 2, 2], [10, 0, 2, 3], [192, 0, 2, 7]];

/// The station address of a far side: that of the gateway for one that is elsewhere.
pub(crate) fn far_mac(ip: [u8; 4]) -> [u8; 6] {
    [2, 0, 0, 0, 1, if ip[0] == 10 { ip[3] } else { 2 }]
}

/// The byte of a far side's stream with this sequence number.
pub(crate) fn byte_at(seq: u32) -> u8 {
    let [_, _, high, low] = (seq >> 1).to_be_bytes();
    if seq & 1 == 0 { low } else { high ^ 0x5a }
}

/// One four-tuple, and what its far side knows of the stack's side.
pub(crate) struct Flow {
    pub(crate) remote_ip: [u8; 4],
    pub(crate) remote_port: u16,
    pub(crate) local_port: u16,
    /// The sequence number of the last SYN that the far side sent, and of the next byte that it
    /// has not sent.
    pub(crate) iss: u32,
    pub(crate) nxt: u32,
    /// The same of the stack's side, as far as it was seen; the last acknowledgment that the far
    /// side sent.
    pub(crate) irs: u32,
    pub(crate) seen_end: u32,
    pub(crate) acked: u32,
    /// The last acknowledgment seen.
    pub(crate) una: u32,
    /// Timestamp value of the last segment seen, and whether the far side sends them.
    pub(crate) tsval: u32,
    pub(crate) has_timestamps: bool,
    /// The Fast Open cookie that the stack has given; empty if none.
    pub(crate) cookie: Vec<u8>,
    /// Where the segments seen last began and ended.
    pub(crate) segments: VecDeque<(u32, u32)>,
    /// What the application has queued since the connection was established.
    pub(crate) queued: Vec<u8>,
    /// Sequence numbers of all SYNs of either side: the stream begins behind one of them.
    far_syns: Vec<u32>,
    our_syns: Vec<u32>,
    /// First sequence number and SEG.LEN of all that the far side sent.
    told: Vec<(u32, u32)>,
    /// Segments with bytes that no SYN of ours, as far as it came out, and the application's queue
    /// account for.
    pub(crate) strays: Vec<String>,
    /// Bytes were sent that are not of the stream: only the stack's own bytes can be checked.
    pub(crate) is_dirty: bool,
}

impl Flow {
    fn new(remote_ip: [u8; 4], remote_port: u16, local_port: u16, iss: u32) -> Self {
        Self {
            remote_ip,
            remote_port,
            local_port,
            iss,
            nxt: iss,
            irs: 0,
            seen_end: 0,
            acked: 0,
            una: iss,
            tsval: 0,
            has_timestamps: false,
            cookie: Vec::new(),
            segments: VecDeque::new(),
            queued: Vec::new(),
            far_syns: Vec::new(),
            our_syns: Vec::new(),
            told: Vec::new(),
            strays: Vec::new(),
            is_dirty: false,
        }
    }

    /// Whether its far side has ever said something.
    pub(crate) fn has_begun(&self) -> bool {
        !self.told.is_empty()
    }

    /// The far side says this much, beginning here.
    pub(crate) fn tells(&mut self, seq: u32, ctl: u8, payload_len: usize) {
        let is_syn = ctl & SYN != 0;
        let len = payload_len as u32 + u32::from(is_syn) + u32::from(ctl & FIN != 0);
        if is_syn {
            self.far_syns.push(seq);
            self.iss = seq;
            self.nxt = seq;
        }
        if seq == self.nxt {
            self.nxt = seq.wrapping_add(len);
        }
        self.told.push((seq, len));
    }

    /// A connection begins: its application has queued nothing.
    pub(crate) fn begins(&mut self) {
        self.queued.clear();
    }

    /// The application is shown bytes of its stream, so many bytes into it.
    pub(crate) fn shows(&mut self, offset: u32, bytes: &[u8]) {
        if self.is_dirty {
            return;
        }
        let fits = |iss: &u32| {
            let first = iss.wrapping_add(1).wrapping_add(offset);
            let mut seqs = (0..bytes.len() as u32).map(|n| first.wrapping_add(n));
            seqs.by_ref()
                .zip(bytes)
                .all(|(seq, byte)| byte_at(seq) == *byte)
        };
        let is_right = self.far_syns.iter().any(fits);
        assert!(
            is_right,
            "{offset}: not what the far side has sent: {:02x?}",
            bytes.get(..32).unwrap_or(bytes)
        );
    }

    fn sees(&mut self, segment: &Segment, options: &[u8], payload: &[u8]) {
        let is_reset = segment.ctl.has(Ctl::RST);
        let is_syn = segment.ctl.has(Ctl::SYN);
        let (seq, end) = (segment.seq.0, segment.seq.0.wrapping_add(segment.len()));
        if is_syn {
            self.irs = seq;
            self.seen_end = end;
            self.acked = seq;
            self.our_syns.push(seq);
        }
        if let (Some(ack), false) = (segment.ack, is_reset) {
            self.una = ack.0;
            let is_told = |(seq, len): &(u32, u32)| ack.0.wrapping_sub(*seq) <= *len;
            assert!(
                self.is_dirty || self.told.iter().any(is_told),
                "an acknowledgment of what was not sent: {segment:?}"
            );
        }
        if let Some(tsval) = timestamp(options) {
            self.tsval = tsval;
        }
        if let Some(FastOpen::Cookie(cookie)) = Options::parse(options).fast_open {
            self.cookie = cookie.to_vec();
        }
        if !payload.is_empty() {
            assert!(!is_reset && !is_syn, "no data goes with these: {segment:?}");
            let is_queued = |iss: &u32| {
                let offset = seq.wrapping_sub(*iss).wrapping_sub(1) as usize;
                let place = self
                    .queued
                    .get(offset..offset.saturating_add(payload.len()));
                place == Some(payload)
            };
            if !self.our_syns.iter().any(is_queued) {
                self.strays.push(format!("{segment:?}"));
            }
        }
        if !segment.is_empty() && !is_reset {
            if end.wrapping_sub(self.seen_end) < HALF {
                self.seen_end = end;
            }
            self.segments.push_back((seq, end));
            if self.segments.len() > SEGMENTS_MAX {
                self.segments.pop_front();
            }
        }
    }
}

/// All far sides.
pub(crate) struct Far {
    pub(crate) flows: Vec<Flow>,
    /// Stations that want an answer to their ARP request, and what they asked for.
    pub(crate) asked: Vec<([u8; 4], [u8; 4])>,
    /// Transaction of the last DHCP message.
    pub(crate) dhcp_xid: u32,
    /// Frames that the stack has sent.
    pub(crate) sent_cnt: usize,
    /// All bytes that were sent last, for errors that quote them.
    pub(crate) last: Vec<u8>,
    /// The time of the stack's last look.
    pub(crate) now: Instant,
    /// All that was seen, where it is written down.
    pub(crate) seen: Option<Vec<Seen>>,
}

/// What is to be seen of a stack from outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    /// A packet went out.
    Sent(Instant, TxOffload, Vec<u8>),
    /// Its application was told something, or has asked.
    Told(String),
}

impl Far {
    pub(crate) fn new() -> Self {
        let flow = |n: usize| {
            // Among them one that wraps, and one in the middle of the sequence space.
            let iss = [0, u32::MAX - 900, 0x7fff_f000, 123_456_789][n % 4];
            let local_port = if n < FLOWS_PASSIVE { LISTEN_PORT } else { 0 };
            let ip = FAR_IPS[n % FAR_IPS.len()];
            Flow::new(ip, 40_000 + n as u16, local_port, iss)
        };
        Self {
            flows: (0..FLOWS_PASSIVE + FLOWS_ACTIVE).map(flow).collect(),
            asked: Vec::new(),
            dhcp_xid: 0,
            sent_cnt: 0,
            last: Vec::new(),
            now: Instant::ZERO,
            seen: None,
        }
    }

    /// Writes down what was seen, where that is wanted.
    pub(crate) fn write(&mut self, what: Seen) {
        if let Some(seen) = &mut self.seen {
            seen.push(what);
        }
    }

    /// The same of something that the application was told.
    pub(crate) fn told(&mut self, what: impl FnOnce() -> String) {
        if let Some(seen) = &mut self.seen {
            seen.push(Seen::Told(what()));
        }
    }

    /// The flow of a connection.
    pub(crate) fn flow_of(&mut self, tuple: &FourTuple) -> Option<&mut Flow> {
        let remote = tuple.remote;
        self.flows.iter_mut().find(|flow| {
            Addr::v4(flow.remote_ip.into()) == remote.addr
                && flow.remote_port == remote.port
                && flow.local_port == tuple.local.port
        })
    }

    /// A packet leaves the stack.
    pub(crate) fn sees(&mut self, mut bytes: Vec<u8>, offload: TxOffload) {
        self.sent_cnt += 1;
        if let Some(seen) = &mut self.seen {
            seen.push(Seen::Sent(self.now, offload, bytes.clone()));
        }
        assert!(bytes.len() >= 14, "shorter than an Ethernet header");
        assert_eq!(bytes[6..12], OUR_MAC);
        match bytes[12..14] {
            [0x08, 0x00] => {
                complete(&mut bytes, offload);
                self.sees_datagram(&bytes[14..], offload.gso.is_some());
                self.last = bytes;
            }
            [0x08, 0x06] => {
                assert_eq!(bytes.len(), 42, "an ARP packet");
                if bytes[20..22] == [0, 1] {
                    let ip = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
                    self.asked.push((ip(38), ip(28)));
                }
            }
            _ => panic!("an unknown type: {:02x?}", &bytes[..14]),
        }
    }

    fn sees_datagram(&mut self, datagram: &[u8], is_gso: bool) {
        assert!(
            Sum::of(&datagram[..20]).is_valid(),
            "a wrong header checksum"
        );
        assert_eq!(datagram[0], 0x45);
        let total_len = usize::from(u16::from_be_bytes([datagram[2], datagram[3]]));
        assert_eq!(total_len, datagram.len());
        let ip = |at: usize| {
            [
                datagram[at],
                datagram[at + 1],
                datagram[at + 2],
                datagram[at + 3],
            ]
        };
        let (src, dst, body) = (ip(12), ip(16), &datagram[20..]);
        let pseudo = |proto| {
            let (src, dst) = (Addr::v4(src.into()), Addr::v4(dst.into()));
            let mut sum = Sum::pseudo_header(src, dst, proto, body.len() as u16);
            sum.add(body);
            sum
        };
        match datagram[9] {
            proto::TCP => {
                assert!(is_gso || pseudo(proto::TCP).is_valid(), "a wrong checksum");
                self.sees_segment(dst, body);
            }
            proto::UDP => {
                assert!(pseudo(proto::UDP).is_valid(), "a wrong checksum");
                if body[2..4] == [0, 67] {
                    let xid = [body[12], body[13], body[14], body[15]];
                    self.dhcp_xid = u32::from_be_bytes(xid);
                }
            }
            proto::ICMP => assert!(Sum::of(body).is_valid(), "a wrong checksum"),
            other => panic!("protocol {other}"),
        }
    }

    fn sees_segment(&mut self, dst: [u8; 4], body: &[u8]) {
        let segment = Segment::parse(body, body.len()).expect("a whole segment");
        let flow = self.flows.iter_mut().find(|flow| {
            flow.remote_ip == dst
                && flow.remote_port == segment.dst_port
                && flow.local_port == segment.src_port
        });
        if let Some(flow) = flow {
            let (header, payload) = body.split_at(segment.header_len);
            flow.sees(&segment, &header[20..], payload);
        }
    }
}

/// Does what a device with checksum offload does.
fn complete(bytes: &mut [u8], offload: TxOffload) {
    if let Some(csum) = offload.csum {
        let start = usize::from(csum.csum_start);
        let field = start + usize::from(csum.csum_offset);
        let sum = Sum::of(&bytes[start..]).finish();
        bytes[field..field + 2].copy_from_slice(&sum.to_be_bytes());
    }
}

/// The value of the timestamps option (RFC 7323 3.2).
fn timestamp(mut options: &[u8]) -> Option<u32> {
    loop {
        match options {
            [8, 10, a, b, c, d, ..] => return Some(u32::from_be_bytes([*a, *b, *c, *d])),
            [0, ..] | [] | [_] => return None,
            [1, rest @ ..] => options = rest,
            [_, len, ..] => options = options.get(usize::from(*len).max(2)..)?,
        }
    }
}

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const PSH: u8 = 8;
pub(crate) const ACK: u8 = 16;

/// The port that is listened on from the start.
pub(crate) const LISTEN_PORT: u16 = 80;
/// Flows that the far side opens, and flows that the stack opens.
pub(crate) const FLOWS_PASSIVE: usize = 8;
pub(crate) const FLOWS_ACTIVE: usize = 4;

const HALF: u32 = 1 << 31;
const SEGMENTS_MAX: usize = 8;
