//! What arrived, held against what was sent.
//!
//! ```text
//!   near │ seq 1, PSH: 4,000 bytes               │    what we gave the device
//!   far  │ seq 1 │ seq 1,449 │ seq 2,897, PSH    │    what must arrive, and nothing else
//! ```
//!
//! Checksums are summed here two bytes at a time, by nobody else's code.

use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};

/// What a connection's client has read.
pub(super) struct Stream {
    /// The client's port.
    pub(super) port: u16,
    pub(super) bytes: Vec<u8>,
}

/// What is to be expected.
#[derive(Clone, Copy, Debug)]
pub(super) struct What {
    /// Payload of a full segment.
    pub(super) mss: usize,
    pub(super) mtu: usize,
    /// Checksums are right before the device has done anything.
    pub(super) has_near_sums: bool,
    /// Not everything arrives.
    pub(super) may_lack: bool,
}

/// What there was of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// Segments that arrived.
    pub(super) segments: usize,
    /// Packets of more than one segment.
    pub(super) supers: usize,
    /// Packets that were sent again, those among them of more than one segment, and those with a
    /// segment that has bytes of two that were sent before.
    pub(super) again: usize,
    pub(super) again_supers: usize,
    pub(super) again_across: usize,
}

impl Seen {
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            segments: self.segments + other.segments,
            supers: self.supers + other.supers,
            again: self.again + other.again,
            again_supers: self.again_supers + other.again_supers,
            again_across: self.again_across + other.again_across,
        }
    }
}

/// A segment from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Segment {
    client_port: u16,
    ident: u16,
    seq: u32,
    flags: u8,
    payload: Vec<u8>,
}

/// Holds all that arrived against all that was sent.
///
/// # Errors
/// The first that is not as it should be.
pub(super) fn check(
    near: &[Vec<u8>],
    far: &[Vec<u8>],
    streams: &[Stream],
    what: What,
) -> Result<Seen> {
    let sent = read(near, what.has_near_sums)?;
    let arrived = read(far, true)?;
    if let Some(frame) = far.iter().find(|frame| frame.len() > what.mtu + ETH_LEN) {
        bail!("a frame of {} bytes", frame.len());
    }
    let mut seen = Seen::default();
    for stream in streams {
        let is_its = |segment: &&Segment| segment.client_port == stream.port;
        let sent: Vec<&Segment> = sent.iter().filter(is_its).collect();
        let arrived: Vec<&Segment> = arrived.iter().filter(is_its).collect();
        let one = connection(&sent, &arrived, stream, what);
        seen = seen.and(one.with_context(|| format!("client port {}", stream.port))?);
    }
    Ok(seen)
}

/// One connection.
fn connection(
    sent: &[&Segment],
    arrived: &[&Segment],
    stream: &Stream,
    what: What,
) -> Result<Seen> {
    let syn = sent.iter().find(|segment| segment.flags & SYN != 0);
    let first = syn.context("no SYN-ACK was sent")?.seq.wrapping_add(1);
    let mut seen = Seen {
        segments: arrived.len(),
        ..Seen::default()
    };
    let pieces: Vec<Segment> = sent.iter().flat_map(|whole| cut(whole, what.mss)).collect();
    let mut expected = pieces.iter();
    for (n, segment) in arrived.iter().enumerate() {
        let next = match what.may_lack {
            true => expected.find(|piece| piece == segment),
            false => expected.next().filter(|piece| piece == segment),
        };
        if next.is_none() {
            bail!(
                "segment {n} is not the next that was sent: {} bytes at {}, flags {:#x}, {:#x}",
                segment.payload.len(),
                segment.seq.wrapping_sub(first),
                segment.flags,
                segment.ident
            );
        }
    }
    if !what.may_lack && expected.next().is_some() {
        bail!("not all that was sent has arrived");
    }
    let mut missing: BTreeMap<usize, usize> = BTreeMap::from([(0, stream.bytes.len())]);
    for segment in arrived.iter().filter(|segment| !segment.payload.is_empty()) {
        let at = segment.seq.wrapping_sub(first) as usize;
        let end = at + segment.payload.len();
        if stream.bytes.get(at..end) != Some(&segment.payload[..]) {
            bail!("bytes {at} to {end} are others than the client has read");
        }
        remove(&mut missing, at, end);
    }
    if let Some((from, to)) = missing.first_key_value() {
        bail!("bytes {from} to {to} have come to the client unseen");
    }
    count(sent, first, what.mss, &mut seen);
    Ok(seen)
}

/// Looks for super-segments, and for what was sent again.
fn count(sent: &[&Segment], first: u32, mss: usize, seen: &mut Seen) {
    // Where segments that were sent begin and end.
    let mut bounds = BTreeSet::new();
    let mut sent_to = 0;
    for whole in sent.iter().filter(|whole| !whole.payload.is_empty()) {
        let at = whole.seq.wrapping_sub(first) as usize;
        let end = at + whole.payload.len();
        let is_super = whole.payload.len() > mss;
        seen.supers += usize::from(is_super);
        let starts = (at..end).step_by(mss);
        if end <= sent_to {
            seen.again += 1;
            seen.again_supers += usize::from(is_super);
            let is_across = |from: usize| {
                let to = end.min(from + mss);
                bounds.range(from + 1..to).next().is_some()
            };
            seen.again_across += usize::from(starts.clone().any(is_across));
        }
        bounds.extend(starts);
        bounds.insert(end);
        sent_to = sent_to.max(end);
    }
}

/// The segments that a device makes of what it was given.
fn cut(whole: &Segment, mss: usize) -> Vec<Segment> {
    if whole.payload.len() <= mss {
        return vec![whole.clone()];
    }
    let last = (whole.payload.len() - 1) / mss;
    let each = whole.payload.chunks(mss).zip(0_u16..);
    each.map(|(payload, n)| Segment {
        ident: whole.ident.wrapping_add(n),
        seq: whole.seq.wrapping_add(u32::from(n) * mss as u32),
        flags: match usize::from(n) == last {
            true => whole.flags,
            false => whole.flags & !(FIN | PSH),
        },
        payload: payload.to_vec(),
        ..*whole
    })
    .collect()
}

/// The segments from the server among frames.
fn read(frames: &[Vec<u8>], has_sums: bool) -> Result<Vec<Segment>> {
    let each = frames.iter().enumerate();
    let read = each.map(|(n, frame)| {
        segment(frame, has_sums).with_context(|| format!("frame {n} of {} bytes", frame.len()))
    });
    let read: Result<Vec<Option<Segment>>> = read.collect();
    Ok(read?.into_iter().flatten().collect())
}

/// A segment from the server, if it is one; with its checksums looked at.
fn segment(frame: &[u8], has_sums: bool) -> Result<Option<Segment>> {
    let Some((eth, datagram)) = frame.split_at_checked(ETH_LEN) else {
        bail!("too short");
    };
    if eth[12..] != [0x08, 0x00] || datagram.first() != Some(&0x45) || datagram.get(9) != Some(&6) {
        return Ok(None);
    }
    let word = |bytes: &[u8], at: usize| {
        let bytes = bytes.get(at..at + 2).unwrap_or(&[0, 0]);
        u16::from_be_bytes([bytes[0], bytes[1]])
    };
    let total_len = usize::from(word(datagram, 2));
    // Behind it there may be padding.
    let datagram = datagram.get(..total_len).context("it is cut")?;
    let (ip, tcp) = datagram.split_at_checked(20).context("no IP header")?;
    if word(tcp, 0) != SERVER_PORT {
        return Ok(None);
    }
    if sum(0, ip) != 0xffff {
        bail!("the checksum of its IP header is wrong");
    }
    let pseudo = 6 + tcp.len() as u32;
    let pseudo = u32::from(sum(pseudo, &ip[12..20]));
    if has_sums && sum(pseudo, tcp) != 0xffff {
        bail!("its checksum is wrong");
    }
    let header_len = usize::from(tcp.get(12).copied().unwrap_or(0) >> 4) * 4;
    let payload = tcp.get(header_len..).context("no TCP header")?;
    let seq = u32::from(word(tcp, 4)) << 16 | u32::from(word(tcp, 6));
    Ok(Some(Segment {
        client_port: word(tcp, 2),
        ident: word(ip, 4),
        seq,
        flags: tcp.get(13).copied().unwrap_or(0),
        payload: payload.to_vec(),
    }))
}

/// RFC 1071: two bytes at a time, added to `start`, folded.
fn sum(start: u32, bytes: &[u8]) -> u16 {
    let mut sum = u64::from(start);
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u64::from(u16::from_be_bytes([pair[0], low]));
    }
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    // No more than 16 bits are left.
    sum as u16
}

/// Takes `[at, end)` out of what is missing.
fn remove(missing: &mut BTreeMap<usize, usize>, at: usize, end: usize) {
    let hit: Vec<(usize, usize)> = missing
        .range(..end)
        .filter(|(_, to)| **to > at)
        .map(|(from, to)| (*from, *to))
        .collect();
    for (from, to) in hit {
        missing.remove(&from);
        if from < at {
            missing.insert(from, at);
        }
        if end < to {
            missing.insert(end, to);
        }
    }
}

const ETH_LEN: usize = 14;
const SERVER_PORT: u16 = 80;
const FIN: u8 = 1;
const SYN: u8 = 2;
const PSH: u8 = 8;

#[cfg(test)]
mod tests;
