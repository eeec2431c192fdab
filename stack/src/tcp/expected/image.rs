//! What the next segment of a connection looks like: nearly all of it like the last one.
//!
//! ```text
//!   Ethernet      IPv4                            TCP           timestamps
//!   │ to │··│ 0800 45 │··│len│··│ DF │··│6 │··│ from to ports │··│ off ctl │··│wnd│··│ 08 0a │··│
//!     └── equal ────┘             └────────┘    └─────────────┘    └───────┘           └─────┘
//! ```
//!
//! A connection of which a segment was expected stays one where nothing is the matter until
//! something else happens to it than what is expected: then its image is forgotten. Until then a
//! segment of it is known by eight words, and what is looked at is what moves: lengths, sequence
//! and acknowledgment number, and the time.

use simoom_ring::{RxChecksum, RxPacket};

use super::acks::Said;
use super::headers::{ETHERNET_LEN, Headers, LEN_MAX, is_summed};
use crate::ip;
use crate::net::Net;
use crate::tcp::idx::NONE;
use crate::tcp::seqnum::{SeqNum, WireWnd};
use crate::wire::checksum::{carry_add, is_valid_sum};
use crate::wire::tcp::{Ctl, Timestamps};

/// The last expected segment.
pub(in crate::tcp) struct Image {
    /// Whose it was; `NONE` when there is none.
    idx: u32,
    /// Our address then.
    ours: u32,
    /// Its headers, with zero for what differs from segment to segment.
    words: [u64; WORDS],
}

impl Image {
    pub(in crate::tcp) const NONE: Self = Self {
        idx: NONE,
        ours: 0,
        words: [0; WORDS],
    };

    /// The connection that it is of.
    #[inline(always)]
    pub(super) fn idx(&self) -> u32 {
        self.idx
    }

    /// Something has happened that is not known to leave all as it was.
    #[inline]
    pub(in crate::tcp) fn forget(&mut self) {
        self.idx = NONE;
    }

    /// The same, if it has happened to the connection `idx`.
    #[inline]
    pub(in crate::tcp) fn forget_of(&mut self, idx: u32) {
        if self.idx == idx {
            self.forget();
        }
    }

    /// Takes the image of a segment of connection `idx` that was expected, if it has timestamps.
    #[inline]
    pub(super) fn take(
        &mut self,
        (idx, headers): (u32, &Headers),
        net: &Net<'_>,
        pkt: &RxPacket<'_>,
    ) {
        self.forget();
        if headers.timestamps.is_some()
            && let Some(front) = pkt.frame.bytes().first_chunk::<LEN_MAX>()
        {
            let (words, _) = front.as_chunks::<8>();
            for ((known, word), mask) in self.words.iter_mut().zip(words).zip(&MASK) {
                *known = u64::from_ne_bytes(*word) & mask;
            }
            (self.idx, self.ours) = (idx, net.ours_v4());
        }
    }

    /// What moves in a segment that looks like it; `None` of any other.
    #[inline(always)]
    pub(super) fn read<'a>(&self, net: &Net<'_>, pkt: &'a RxPacket<'_>) -> Option<Next<'a>> {
        if self.idx == NONE {
            return None;
        }
        let bytes = pkt.frame.bytes();
        let front = bytes.first_chunk::<LEN_MAX>()?;
        let (words, _) = front.as_chunks::<8>();
        let mut differing = u64::from(pkt.gso_size);
        for ((known, word), mask) in self.words.iter().zip(words).zip(&MASK) {
            differing |= (u64::from_ne_bytes(*word) & mask) ^ known;
        }
        // Our address may have changed.
        if differing != 0 || self.ours != net.ours_v4() || !pkt.rest.is_empty() {
            return None;
        }
        let [_, w1, w2, w3, w4, ..] = words else {
            return None;
        };
        let [l0, l1, ..] = *w2;
        let len = ETHERNET_LEN.wrapping_add(u16::from_be_bytes([l0, l1]).into());
        let text = bytes.get(LEN_MAX..len)?;
        let ends = u64::from_ne_bytes(*w1) & IN_W1 | u64::from_ne_bytes(*w4) & IN_W4;
        let middle = carry_add(u64::from_ne_bytes(*w2), u64::from_ne_bytes(*w3));
        is_valid_sum(carry_add(middle, ends)).then_some(Next { front, text })
    }
}

/// What moves in a segment that looks like the last one.
pub(super) struct Next<'a> {
    front: &'a [u8; LEN_MAX],
    pub(super) text: &'a [u8],
}

impl Next<'_> {
    /// SEG.SEQ.
    #[inline(always)]
    pub(super) fn seq(&self) -> SeqNum {
        SeqNum(u32::from_be_bytes(self.at::<SEQ_AT, 4>()))
    }

    /// SEG.ACK.
    #[inline(always)]
    pub(super) fn ack(&self) -> SeqNum {
        SeqNum(u32::from_be_bytes(self.at::<ACK_AT, 4>()))
    }

    /// SEG.WND.
    #[inline(always)]
    pub(super) fn wnd(&self) -> WireWnd {
        WireWnd(u16::from_be_bytes(self.at::<WND_AT, 2>()))
    }

    /// Whether it is pushed.
    #[inline(always)]
    pub(super) fn is_pushed(&self) -> bool {
        let [ctl] = self.at::<CTL_AT, 1>();
        Ctl::from_wire(ctl).has(Ctl::PSH)
    }

    /// Its timestamps.
    #[inline(always)]
    pub(super) fn timestamps(&self) -> Timestamps {
        Timestamps {
            val: u32::from_be_bytes(self.at::<VAL_AT, 4>()),
            ecr: u32::from_be_bytes(self.at::<{ VAL_AT + 4 }, 4>()),
        }
    }

    /// What it says beside what it acknowledges.
    #[inline(always)]
    pub(super) fn said(&self) -> Said {
        Said {
            seq: self.at::<SEQ_AT, 4>(),
            wnd: self.at::<WND_AT, 2>(),
            val: self.at::<VAL_AT, 4>(),
        }
    }

    /// All of it.
    #[inline]
    pub(super) fn headers(&self) -> Option<Headers> {
        Headers::of_usual(self.front)
    }

    /// Whether the checksum of the segment in `pkt`, which this is of, is right, or known to be.
    #[inline(always)]
    pub(super) fn is_summed_right(&self, pkt: &RxPacket<'_>) -> bool {
        let end = LEN_MAX + self.text.len();
        pkt.csum != RxChecksum::Unknown || is_summed(pkt.frame.bytes(), end)
    }

    #[inline(always)]
    fn at<const AT: usize, const LEN: usize>(&self) -> [u8; LEN] {
        let bytes = self.front.get(AT..).and_then(|rest| rest.first_chunk());
        // The constants below are within.
        *bytes.unwrap_or(&[0; LEN])
    }
}

/// Where things lie.
const SEQ_AT: usize = ip::HEADERS_LEN + 4;
const ACK_AT: usize = ip::HEADERS_LEN + 8;
const CTL_AT: usize = ip::HEADERS_LEN + 13;
const WND_AT: usize = ip::HEADERS_LEN + 14;
const VAL_AT: usize = LEN_MAX - 8;

/// What of the second and the fifth word is the datagram's header.
const IN_W1: u64 = u64::from_ne_bytes([0, 0, 0, 0, 0, 0, 0xff, 0xff]);
const IN_W4: u64 = u64::from_ne_bytes([0xff, 0xff, 0, 0, 0, 0, 0, 0]);

/// Words that are looked at.
const WORDS: usize = 8;

/// What is the same in all segments that are expected: all but the far station, type of service,
/// length, identification, time to live and checksum of the datagram, and of the segment its
/// sequence and acknowledgment number, PSH, window, checksum, urgent pointer and times.
const MASK: [u64; WORDS] = {
    let equal: [(usize, usize); 7] = [
        (0, 6),
        (12, 15),
        // Fragments: the bit without a meaning and DF are looked at, too.
        (20, 22),
        (23, 24),
        (26, 38),
        (46, 47),
        (54, 58),
    ];
    let mut bytes = [0_u8; WORDS * 8];
    let mut n = 0;
    while n < equal.len() {
        let (mut at, end) = equal[n];
        while at < end {
            bytes[at] = 0xff;
            at += 1;
        }
        n += 1;
    }
    // All control bits but PSH.
    bytes[47] = !0x08;
    let (words, _) = bytes.as_chunks::<8>();
    let mut mask = [0; WORDS];
    let mut n = 0;
    while n < WORDS {
        mask[n] = u64::from_ne_bytes(words[n]);
        n += 1;
    }
    mask
};
