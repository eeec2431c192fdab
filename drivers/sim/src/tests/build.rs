//! Frames made by hand.

use simoom_ring::{FrameMemory, FrameMeta};

use crate::Wire;

/// Memory for a pool.
pub(crate) fn memory(frames: usize) -> (Vec<FrameMemory>, Vec<FrameMeta>) {
    (
        vec![FrameMemory::ZERO; frames],
        (0..frames).map(|_| FrameMeta::new()).collect(),
    )
}

/// Lets all happen that is under way.
pub(crate) fn settle(wire: &Wire) {
    while let Some(at_us) = wire.next_at() {
        wire.advance_to(at_us);
    }
}

/// What a TCP segment made by hand has.
#[derive(Clone, Copy)]
pub(crate) struct Tcp {
    pub(crate) is_v4: bool,
    pub(crate) ident: u16,
    pub(crate) seq: u32,
    pub(crate) flags: u8,
    pub(crate) options: &'static [u8],
}

pub(crate) const TIMESTAMPS: &[u8] = &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];

impl Tcp {
    pub(crate) fn v4(seq: u32, flags: u8) -> Self {
        Self {
            is_v4: true,
            ident: 0,
            seq,
            flags,
            options: &[],
        }
    }

    pub(crate) fn hdr_len(&self) -> u16 {
        (14 + if self.is_v4 { 20 } else { 40 } + 20 + self.options.len()) as u16
    }

    /// The frame, with its checksums zero.
    pub(crate) fn frame(&self, payload: &[u8]) -> Vec<u8> {
        let tcp_len = (20 + self.options.len() + payload.len()) as u16;
        let mut frame = ip(self.is_v4, self.ident, 6, tcp_len);
        frame.extend_from_slice(&[0x1f, 0x90, 0xc0, 0x01]);
        frame.extend_from_slice(&self.seq.to_be_bytes());
        frame.extend_from_slice(&0x0102_0304u32.to_be_bytes());
        frame.push((5 + self.options.len() as u8 / 4) << 4);
        frame.push(self.flags);
        frame.extend_from_slice(&[0x20, 0x00, 0, 0, 0, 0]);
        frame.extend_from_slice(self.options);
        frame.extend_from_slice(payload);
        frame
    }

    /// The frame, with checksums as the textbook computes them.
    pub(crate) fn whole(&self, payload: &[u8]) -> Vec<u8> {
        let mut frame = self.frame(payload);
        let start = if self.is_v4 { 34 } else { 54 };
        textbook(&mut frame, self.is_v4, start + 16, 6);
        frame
    }
}

/// A UDP datagram with its checksums.
pub(crate) fn udp(is_v4: bool, ident: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = udp_without(is_v4, ident, payload);
    textbook(&mut frame, is_v4, if is_v4 { 34 } else { 54 } + 6, 17);
    frame
}

/// A UDP datagram with its checksums zero.
pub(crate) fn udp_without(is_v4: bool, ident: u16, payload: &[u8]) -> Vec<u8> {
    let udp_len = (8 + payload.len()) as u16;
    let mut frame = ip(is_v4, ident, 17, udp_len);
    frame.extend_from_slice(&[0x00, 0x35, 0x30, 0x39]);
    frame.extend_from_slice(&udp_len.to_be_bytes());
    frame.extend_from_slice(&[0, 0]);
    frame.extend_from_slice(payload);
    frame
}

fn ip(is_v4: bool, ident: u16, proto: u8, transport_len: u16) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    if is_v4 {
        frame.extend_from_slice(&[0x08, 0x00, 0x45, 0x00]);
        frame.extend_from_slice(&(20 + transport_len).to_be_bytes());
        frame.extend_from_slice(&ident.to_be_bytes());
        frame.extend_from_slice(&[0x40, 0x00, 64, proto, 0, 0]);
        frame.extend_from_slice(&[192, 168, 1, 1, 192, 168, 1, 2]);
    } else {
        frame.extend_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend_from_slice(&transport_len.to_be_bytes());
        frame.extend_from_slice(&[proto, 64]);
        for station in [1, 2] {
            frame.extend_from_slice(&[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, station]);
        }
    }
    frame
}

/// RFC 1071 word by word, by another way than the code under test: end-around carry each time.
fn ones_complement(bytes: &[u8]) -> u16 {
    bytes.chunks(2).fold(0u16, |sum, word| {
        let word = u16::from(word[0]) << 8 | u16::from(*word.get(1).unwrap_or(&0));
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}

fn textbook(frame: &mut [u8], is_v4: bool, field: usize, proto: u8) {
    let (start, addresses) = if is_v4 { (34, 26..34) } else { (54, 22..54) };
    if is_v4 {
        let csum = !ones_complement(&frame[14..34]);
        frame[24..26].copy_from_slice(&csum.to_be_bytes());
    }
    let transport_len = (frame.len() - start) as u16;
    let mut pseudo = frame[addresses].to_vec();
    pseudo.extend_from_slice(&[0, proto]);
    pseudo.extend_from_slice(&transport_len.to_be_bytes());
    pseudo.extend_from_slice(&frame[start..]);
    let csum = !ones_complement(&pseudo);
    let csum = if csum == 0 { 0xffff } else { csum };
    frame[field..field + 2].copy_from_slice(&csum.to_be_bytes());
}
