//! Devices that cut super-segments wrongly, each in a way of its own.

use crate::checksum::fill;
use crate::layout::{Layout, be32, put};

/// How a device cuts super-segments. Packets of one segment are sent as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cutting {
    /// As it should.
    #[default]
    Right,
    /// Nothing leaves the device.
    NoneSent,
    /// The first segment leaves, and nothing behind it.
    FirstSent,
    /// All segments leave but the last.
    LastForgotten,
    /// The checksum of the first is right, that of the others is the first's.
    FirstSummed,
    /// The checksum of the last is wrong: its length may be odd, or it is the one that is short.
    LastMissummed,
    /// All have the sequence number of the first, and a checksum that says so.
    SeqRepeated,
}

impl Cutting {
    /// Every wrong way.
    pub const WRONG: [Self; 6] = [
        Self::NoneSent,
        Self::FirstSent,
        Self::LastForgotten,
        Self::FirstSummed,
        Self::LastMissummed,
        Self::SeqRepeated,
    ];

    /// Makes of segments that were cut rightly what the device makes of them.
    pub(crate) fn spoil(self, segments: &mut Vec<Vec<u8>>) {
        let Some(layout) = segments.first().and_then(|first| Layout::of(first)) else {
            return;
        };
        let seq_at = layout.transport.start + SEQ;
        let sum_at = layout.transport.start + layout.csum_offset().unwrap_or(0);
        match self {
            Self::Right => {}
            Self::NoneSent => segments.clear(),
            Self::FirstSent => segments.truncate(1),
            Self::LastForgotten => {
                segments.pop();
            }
            Self::FirstSummed => {
                let (first, rest) = segments.split_at_mut(1);
                let sum: Vec<u8> = first[0][sum_at..sum_at + 2].to_vec();
                for segment in rest {
                    segment[sum_at..sum_at + 2].copy_from_slice(&sum);
                }
            }
            Self::LastMissummed => {
                if let Some(last) = segments.last_mut() {
                    last[sum_at] ^= 1;
                }
            }
            Self::SeqRepeated => {
                let seq = be32(&segments[0], seq_at).unwrap_or(0);
                for segment in &mut segments[1..] {
                    put(segment, seq_at, seq.to_be_bytes());
                    fill(segment);
                }
            }
        }
    }
}

/// Where a TCP header has its sequence number.
const SEQ: usize = 4;

#[cfg(test)]
mod tests;
