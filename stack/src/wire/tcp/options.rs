//! The options of a TCP header: parsed once into values, written in Linux's order, which
//! middleboxes know.
//!
//! ```text
//!   SYN:   MSS 4 │ SACK-permitted 2, timestamps 10 │ NOP, window scale 4 │ Fast Open 10, NOP NOP
//!   else:  NOP NOP, timestamps 12 │ NOP NOP, SACK 4 + 8 for each block
//! ```

use super::{HEADER_LEN, HEADER_LEN_MAX};
use crate::tcp::seqnum::{SeqNum, WndScale};

/// What the options of a segment say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Maximum segment size (RFC 9293 3.7.1); of a SYN.
    pub mss: Option<u16>,
    /// Window scale (RFC 7323 2.2); of a SYN.
    pub wscale: Option<WndScale>,
    /// SACK may be sent to us (RFC 2018 2); of a SYN.
    pub sack_permitted: bool,
    /// Timestamps (RFC 7323 3.2).
    pub timestamps: Option<Timestamps>,
    /// What has arrived behind a gap (RFC 2018 3); not of a SYN.
    pub sack: SackBlocks,
    /// Fast Open (RFC 7413 2); of a SYN.
    pub fast_open: Option<FastOpen>,
}

/// The Fast Open option (RFC 7413 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FastOpen {
    /// The client asks for a cookie, or brings one of a length that ours do not have.
    Request,
    /// A cookie.
    Cookie(Cookie),
}

/// A Fast Open cookie of ours: 8 of the 4 to 16 bytes that RFC 7413 4.1.2 allows.
pub type Cookie = [u8; 8];

/// The timestamps option (RFC 7323 3.2), in milliseconds of the sender's clock where that is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamps {
    /// TSval: the sender's clock.
    pub val: u32,
    /// TSecr: the receiver's clock, echoed; valid with ACK.
    pub ecr: u32,
}

/// A block of a SACK option: the bytes `[left, right)` have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SackBlock {
    /// The first sequence number of the block.
    pub left: SeqNum,
    /// One past the last.
    pub right: SeqNum,
}

/// The blocks of a SACK option, in the option's order: at most four fit into a header.
#[derive(Clone, Copy, Debug)]
pub struct SackBlocks {
    blocks: [SackBlock; Self::MAX],
    cnt: u8,
}

impl SackBlocks {
    /// Most blocks that the 40 bytes of options hold.
    pub const MAX: usize = 4;

    /// None.
    pub const NONE: Self = Self {
        blocks: [SackBlock {
            left: SeqNum(0),
            right: SeqNum(0),
        }; Self::MAX],
        cnt: 0,
    };

    /// Adds a block behind the others; false when there is no room.
    pub fn push(&mut self, block: SackBlock) -> bool {
        let Some(place) = self.blocks.get_mut(usize::from(self.cnt)) else {
            return false;
        };
        *place = block;
        self.cnt += 1;
        true
    }

    /// The blocks, in the option's order.
    #[inline]
    pub fn as_slice(&self) -> &[SackBlock] {
        self.blocks.get(..usize::from(self.cnt)).unwrap_or_default()
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.cnt == 0
    }

    /// Keeps the first `cnt` at most.
    pub fn truncate(&mut self, cnt: usize) {
        self.cnt = self.cnt.min(u8::try_from(cnt).unwrap_or(u8::MAX));
    }
}

impl Default for SackBlocks {
    fn default() -> Self {
        Self::NONE
    }
}

impl PartialEq for SackBlocks {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for SackBlocks {}

impl Options {
    /// Reads the options between the fixed header and the payload. What is unknown, or has a length
    /// that its kind does not have, is skipped by its length (RFC 9293 3.1, MUST-6); a length that
    /// leads out of the header ends the list (MUST-7).
    #[inline]
    pub fn parse(options: &[u8]) -> Self {
        // What nearly every segment of a connection with timestamps has, and nothing else.
        if let [KIND_NOP, KIND_NOP, KIND_TIMESTAMPS, 10, option @ ..] = options
            && let Some((timestamps, [])) = Timestamps::parse(option)
        {
            return Self {
                timestamps: Some(timestamps),
                ..Self::default()
            };
        }
        // And a SYN in Linux's order.
        if let [
            KIND_MSS,
            4,
            m0,
            m1,
            KIND_SACK_PERMITTED,
            2,
            KIND_TIMESTAMPS,
            10,
            fields @ ..,
        ] = options
            && let Some((timestamps, [KIND_NOP, KIND_WSCALE, 3, shift])) = Timestamps::parse(fields)
        {
            return Self {
                mss: Some(u16::from_be_bytes([*m0, *m1])),
                wscale: Some(WndScale::from_wire(*shift)),
                sack_permitted: true,
                timestamps: Some(timestamps),
                ..Self::default()
            };
        }
        Self::parse_any(options)
    }

    #[inline(never)]
    fn parse_any(mut options: &[u8]) -> Self {
        let mut parsed = Self::default();
        // Each round takes at least one byte off at most forty.
        while let Some((&kind, rest)) = options.split_first() {
            match kind {
                KIND_END => break,
                KIND_NOP => {
                    options = rest;
                    continue;
                }
                _ => {}
            }
            let Some(&len) = rest.first() else { break };
            let Some((option, rest)) = options.split_at_checked(usize::from(len)) else {
                break;
            };
            match *option {
                [KIND_MSS, _, high, low] => parsed.mss = Some(u16::from_be_bytes([high, low])),
                [KIND_WSCALE, _, shift] => parsed.wscale = Some(WndScale::from_wire(shift)),
                [KIND_SACK_PERMITTED, _] => parsed.sack_permitted = true,
                [KIND_TIMESTAMPS, 10, ref fields @ ..] => {
                    parsed.timestamps = Timestamps::parse(fields).map(|(timestamps, _)| timestamps);
                }
                [KIND_SACK, _, ref blocks @ ..] => parsed.sack = parse_sack(blocks),
                [KIND_FAST_OPEN, _, ref cookie @ ..] => {
                    parsed.fast_open = parse_fast_open(cookie).or(parsed.fast_open);
                }
                // A length that does not even cover kind and length.
                [] | [_] => break,
                _ => {}
            }
            options = rest;
        }
        parsed
    }

    /// Bytes that these options take in a header, padding included: a multiple of four.
    #[inline]
    pub fn len(&self) -> usize {
        let mut len = 0;
        if self.mss.is_some() {
            len += 4;
        }
        if self.timestamps.is_some() {
            len += 12;
        } else if self.sack_permitted {
            len += 4;
        }
        if self.wscale.is_some() {
            len += 4;
        }
        match self.fast_open {
            None => {}
            Some(FastOpen::Request) => len += 4,
            Some(FastOpen::Cookie(_)) => len += 12,
        }
        len + self.sack_len()
    }

    /// Bytes of those that the SACK option takes.
    #[inline]
    pub fn sack_len(&self) -> usize {
        match self.sack.as_slice().len() {
            0 => 0,
            cnt => 4 + 8 * cnt,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Leaves out the last SACK blocks until all options fit into a header.
    pub fn fit(&mut self) {
        let others = Self {
            sack: SackBlocks::NONE,
            ..*self
        };
        let room = (HEADER_LEN_MAX - HEADER_LEN).saturating_sub(others.len() + 4);
        self.sack.truncate(room / 8);
    }

    /// Writes the options to `bytes`, which [`len`](Self::len) has counted.
    #[inline]
    pub(super) fn emit(&self, bytes: &mut [u8]) {
        let mut out = Out(bytes);
        if let Some(mss) = self.mss {
            let [high, low] = mss.to_be_bytes();
            out.put([KIND_MSS, 4, high, low]);
        }
        match (self.timestamps, self.sack_permitted) {
            (Some(timestamps), true) => {
                out.put([KIND_SACK_PERMITTED, 2, KIND_TIMESTAMPS, 10]);
                out.put_timestamps(timestamps);
            }
            (Some(timestamps), false) => {
                out.put([KIND_NOP, KIND_NOP, KIND_TIMESTAMPS, 10]);
                out.put_timestamps(timestamps);
            }
            (None, true) => out.put([KIND_NOP, KIND_NOP, KIND_SACK_PERMITTED, 2]),
            (None, false) => {}
        }
        if let Some(wscale) = self.wscale {
            out.put([KIND_NOP, KIND_WSCALE, 3, wscale.get()]);
        }
        match self.fast_open {
            None => {}
            Some(FastOpen::Request) => out.put([KIND_FAST_OPEN, 2, KIND_NOP, KIND_NOP]),
            Some(FastOpen::Cookie([c0, c1, c2, c3, c4, c5, c6, c7])) => {
                out.put([KIND_FAST_OPEN, 10, c0, c1]);
                out.put([c2, c3, c4, c5]);
                out.put([c6, c7, KIND_NOP, KIND_NOP]);
            }
        }
        let blocks = self.sack.as_slice();
        if !blocks.is_empty() {
            // At most four blocks.
            let len = 2 + 8 * blocks.len() as u8;
            out.put([KIND_NOP, KIND_NOP, KIND_SACK, len]);
            for block in blocks {
                out.put(block.left.0.to_be_bytes());
                out.put(block.right.0.to_be_bytes());
            }
        }
    }
}

impl Timestamps {
    /// The option as nearly every segment of a connection with timestamps has it: behind two NOPs.
    #[inline]
    pub(crate) fn of_usual(bytes: &[u8; 12]) -> Option<Self> {
        let [
            KIND_NOP,
            KIND_NOP,
            KIND_TIMESTAMPS,
            10,
            v0,
            v1,
            v2,
            v3,
            e0,
            e1,
            e2,
            e3,
        ] = *bytes
        else {
            return None;
        };
        Some(Self {
            val: u32::from_be_bytes([v0, v1, v2, v3]),
            ecr: u32::from_be_bytes([e0, e1, e2, e3]),
        })
    }

    /// The two fields, and what follows them.
    fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (val, rest) = bytes.split_first_chunk::<4>()?;
        let (ecr, rest) = rest.split_first_chunk::<4>()?;
        let parsed = Self {
            val: u32::from_be_bytes(*val),
            ecr: u32::from_be_bytes(*ecr),
        };
        Some((parsed, rest))
    }
}

fn parse_sack(bytes: &[u8]) -> SackBlocks {
    let mut blocks = SackBlocks::NONE;
    let (pairs, _) = bytes.as_chunks::<8>();
    for [l0, l1, l2, l3, r0, r1, r2, r3] in pairs {
        blocks.push(SackBlock {
            left: SeqNum(u32::from_be_bytes([*l0, *l1, *l2, *l3])),
            right: SeqNum(u32::from_be_bytes([*r0, *r1, *r2, *r3])),
        });
    }
    blocks
}

/// RFC 7413 2: no bytes ask for a cookie; a cookie has 4 to 16 of them, an even number.
fn parse_fast_open(bytes: &[u8]) -> Option<FastOpen> {
    match (<Cookie>::try_from(bytes), bytes.len()) {
        (Ok(cookie), _) => Some(FastOpen::Cookie(cookie)),
        (Err(_), 0 | 4 | 6 | 10 | 12 | 14 | 16) => Some(FastOpen::Request),
        (Err(_), _) => None,
    }
}

/// Room that is filled in words.
struct Out<'a>(&'a mut [u8]);

impl Out<'_> {
    #[inline]
    fn put(&mut self, word: [u8; 4]) {
        let room = core::mem::take(&mut self.0);
        if let Some((place, rest)) = room.split_first_chunk_mut::<4>() {
            *place = word;
            self.0 = rest;
        }
    }

    #[inline]
    fn put_timestamps(&mut self, timestamps: Timestamps) {
        self.put(timestamps.val.to_be_bytes());
        self.put(timestamps.ecr.to_be_bytes());
    }
}

const KIND_END: u8 = 0;
const KIND_NOP: u8 = 1;
const KIND_MSS: u8 = 2;
const KIND_WSCALE: u8 = 3;
const KIND_SACK_PERMITTED: u8 = 4;
const KIND_SACK: u8 = 5;
const KIND_TIMESTAMPS: u8 = 8;
const KIND_FAST_OPEN: u8 = 34;
