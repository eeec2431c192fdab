//! What clients by script say, as frames.

use std::net::Ipv4Addr;

use simoom::eth::EtherType;
use simoom::tcp::seqnum::{SeqNum, WireWnd, WndScale};
use simoom::wire::tcp::{Ctl, Options, Repr, Segment, Timestamps};
use simoom::wire::{arp, ethernet, ipv4};
use simoom_ring::{FramePool, MacAddr, RxChecksum, RxPacket};
use simoom_sim::MemoryRings;

/// Who speaks, and to whom.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    /// Station addresses.
    pub(crate) from_mac: MacAddr,
    pub(crate) to_mac: MacAddr,
    pub(crate) from: Ipv4Addr,
    pub(crate) to: Ipv4Addr,
}

impl Ends {
    /// A segment as a frame. Its checksum is zero.
    pub(crate) fn segment(&self, repr: &Repr, payload: &[u8]) -> Vec<u8> {
        let header_len = ipv4::HEADER_LEN + repr.header_len();
        let datagram = ipv4::Repr {
            tos: 0,
            total_len: (header_len + payload.len()) as u16,
            ident: 1,
            ttl: 64,
            proto: simoom::ip::proto::TCP,
            src: self.from,
            dst: self.to,
        };
        let mut frame = self.ethernet(EtherType::Ipv4);
        frame.extend_from_slice(&datagram.emit());
        let at = frame.len();
        frame.resize(at + repr.header_len(), 0);
        repr.emit(&mut frame[at..]);
        frame.extend_from_slice(payload);
        frame
    }

    /// An ARP request for `to`, of which whoever is asked learns `from`.
    pub(crate) fn who_has(&self) -> Vec<u8> {
        let request = arp::Repr {
            op: arp::Op::Request,
            sha: self.from_mac,
            spa: self.from,
            tha: MacAddr([0; 6]),
            tpa: self.to,
        };
        let mut frame = self.ethernet(EtherType::Arp);
        frame.extend_from_slice(&request.emit());
        frame
    }

    fn ethernet(&self, ethertype: EtherType) -> Vec<u8> {
        let header = ethernet::Repr {
            dst: self.to_mac,
            src: self.from_mac,
            ethertype,
        };
        header.emit().to_vec()
    }
}

/// What one client knows of its connection, in twelve bytes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Client {
    pub(crate) snd_nxt: u32,
    /// All before this has come.
    pub(crate) rcv_nxt: u32,
    /// The timestamp to echo.
    pub(crate) ts_recent: u32,
}

/// What a client says.
#[derive(Clone, Copy)]
pub(crate) struct Saying<'a> {
    pub(crate) ctl: Ctl,
    pub(crate) ack: Option<u32>,
    /// As the header has it: shifted by [`WND_SHIFT`].
    pub(crate) wnd: u16,
    pub(crate) now_ms: u32,
    pub(crate) payload: &'a [u8],
}

impl Client {
    /// Its next segment to port [`PORT`], as a frame. Its checksum is zero.
    pub(crate) fn say(&mut self, (ends, src_port): (&Ends, u16), saying: Saying<'_>) -> Vec<u8> {
        let Saying { ctl, payload, .. } = saying;
        let timestamps = Timestamps {
            val: saying.now_ms,
            ecr: self.ts_recent,
        };
        let repr = Repr {
            src_port,
            dst_port: PORT,
            seq: SeqNum(self.snd_nxt),
            ack: saying.ack.map(SeqNum),
            ctl,
            wnd: WireWnd(saying.wnd),
            options: options(ctl, timestamps),
        };
        let len = payload.len() as u32 + u32::from(ctl.has(Ctl::SYN) || ctl.has(Ctl::FIN));
        self.snd_nxt = self.snd_nxt.wrapping_add(len);
        ends.segment(&repr, payload)
    }

    /// Takes what came for it.
    ///
    /// # Panics
    /// When that is not what comes next.
    pub(crate) fn hear(&mut self, heard: &Heard) {
        let Heard {
            segment, options, ..
        } = heard;
        if segment.ctl.has(Ctl::SYN) {
            self.rcv_nxt = segment.seq.0;
        }
        assert_eq!(segment.seq.0, self.rcv_nxt, "what comes next");
        self.rcv_nxt = self.rcv_nxt.wrapping_add(segment.len());
        self.ts_recent = options.timestamps.expect("they were agreed on").val;
    }
}

/// A segment that came for a client.
pub(crate) struct Heard {
    pub(crate) segment: Segment,
    options: Options,
    /// Whom it is for.
    to: Ipv4Addr,
}

impl Heard {
    /// Reads a frame of `frame_len` bytes that begins with `head`, headers and all; `None` when it
    /// is ARP's.
    pub(crate) fn read(head: &[u8], frame_len: usize) -> Option<Self> {
        if head[12..14] == [0x08, 0x06] {
            return None;
        }
        let segment = Segment::parse(&head[IP_END..], frame_len - IP_END).expect("a segment");
        Some(Self {
            options: Options::parse(&head[IP_END + 20..IP_END + segment.header_len]),
            to: Ipv4Addr::new(head[30], head[31], head[32], head[33]),
            segment,
        })
    }

    /// Which of many clients it is for.
    pub(crate) fn number(&self) -> usize {
        let port = usize::from(self.segment.dst_port - PORTS_FIRST);
        (u32::from(self.to) - CLIENTS_FIRST) as usize * PORTS + port
    }
}

/// Where client `n` of many speaks from, and its port: all are behind one gateway. Its address is
/// `11.0.0.0 + n / 40,000`, its port `10,000 + n % 40,000`.
pub(crate) fn home(n: usize) -> (Ends, u16) {
    let from = Ipv4Addr::from(CLIENTS_FIRST + (n / PORTS) as u32);
    (Ends { from, ..ENDS }, PORTS_FIRST + (n % PORTS) as u16)
}

/// From the one client that there is, or the gateway of many, to the server.
pub(crate) const ENDS: Ends = Ends {
    from_mac: MacAddr([2, 0, 0, 0, 0, 2]),
    to_mac: MacAddr([2, 0, 0, 0, 0, 1]),
    from: Ipv4Addr::new(10, 0, 0, 2),
    to: Ipv4Addr::new(10, 0, 0, 1),
};

/// The server's port.
pub(crate) const PORT: u16 = 80;

/// Where the segment begins in a frame.
pub(crate) const IP_END: usize = ethernet::HEADER_LEN + ipv4::HEADER_LEN;

const CLIENTS_FIRST: u32 = 0x0b00_0000;
const PORTS: usize = 40_000;
const PORTS_FIRST: u16 = 10_000;

/// The options of a segment of a client that uses all that is usual.
fn options(ctl: Ctl, timestamps: Timestamps) -> Options {
    let mut options = Options {
        timestamps: Some(timestamps),
        ..Options::default()
    };
    if ctl.has(Ctl::SYN) {
        options.mss = Some(1_460);
        options.wscale = Some(WndScale::from_wire(WND_SHIFT));
        options.sack_permitted = true;
    }
    options
}

/// By how much the windows of such clients are shifted.
pub(crate) const WND_SHIFT: u8 = 7;

/// Puts a frame into the receive ring, in a frame of `pool`; a card has summed it.
pub(crate) fn arrive(
    rings: &mut MemoryRings<'static>,
    pool: &'static FramePool<'static>,
    bytes: &[u8],
) {
    let mut frame = pool.alloc(0).expect("a frame for the script");
    frame.append(bytes).expect("it fits");
    let mut packet = RxPacket::plain(frame);
    packet.csum = RxChecksum::Verified;
    rings.arrive(packet);
}
