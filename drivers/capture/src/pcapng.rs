//! The file format that Wireshark opens (draft-ietf-opsawg-pcapng), in little endian.
//!
//! ```text
//!   Section Header │ Interface Description │ Enhanced Packet ... │ Interface Statistics
//!                    name, filter, ns          time, way, comment    seen, taken, overflowed
//! ```
//!
//! Every block is written as a whole into the room that it is given, or not at all.

use crate::store::{Counts, Direction, Packet};

/// Bytes that an Enhanced Packet Block takes beside the packet's own and its comment's, at most.
pub const PACKET_OVERHEAD: usize = 64;

/// Writes the two blocks that a file begins with; how long they are. `None`: no room.
#[must_use]
pub fn begin(
    room: &mut [u8],
    hardware: &str,
    if_name: &str,
    filter: &str,
    snap: u32,
) -> Option<usize> {
    let mut out = Out { room, len: 0 };
    out.block(SECTION_HEADER, |out| {
        out.u32(BYTE_ORDER_MAGIC)?;
        out.u16(1)?;
        out.u16(0)?;
        // The length of the section: not known yet.
        out.bytes(&[0xff; 8])?;
        out.option(SHB_HARDWARE, hardware.as_bytes())?;
        out.option(SHB_USERAPPL, b"simoom")?;
        out.option(OPT_END, &[])
    })?;
    out.block(INTERFACE_DESCRIPTION, |out| {
        out.u16(LINKTYPE_ETHERNET)?;
        out.u16(0)?;
        out.u32(snap)?;
        out.option(IF_NAME, if_name.as_bytes())?;
        // Ten to the power of minus nine.
        out.option(IF_TSRESOL, &[9])?;
        if !filter.is_empty() {
            out.option_of(IF_FILTER, &[b"\0", filter.as_bytes()])?;
        }
        out.option(OPT_END, &[])
    })?;
    Some(out.len)
}

/// Writes a packet that passed at `at_ns`; how long its block is. `None`: no room.
#[must_use]
pub fn packet(room: &mut [u8], packet: &Packet<'_>, at_ns: u64) -> Option<usize> {
    let mut out = Out { room, len: 0 };
    out.block(ENHANCED_PACKET, |out| {
        out.u32(0)?;
        out.time(at_ns)?;
        out.u32(u32::try_from(packet.bytes.len()).ok()?)?;
        out.u32(packet.frame_len)?;
        out.padded(&[packet.bytes])?;
        let way: u32 = match packet.direction {
            Direction::Received => 1,
            Direction::Sent => 2,
        };
        out.option(EPB_FLAGS, &way.to_le_bytes())?;
        if let Some(why) = packet.why {
            // Reasons of what goes out are those of an answer.
            let prefix: &[u8] = match why.starts_with("tx_") {
                true => b"answer dropped: ",
                false => b"dropped: ",
            };
            out.option_of(OPT_COMMENT, &[prefix, why.as_bytes()])?;
        }
        out.option(OPT_END, &[])
    })?;
    Some(out.len)
}

/// Writes what was counted from `begin_ns` to `end_ns`; how long the block is. `None`: no room.
#[must_use]
pub fn end(room: &mut [u8], counts: &Counts, begin_ns: u64, end_ns: u64) -> Option<usize> {
    let mut out = Out { room, len: 0 };
    out.block(INTERFACE_STATISTICS, |out| {
        out.u32(0)?;
        out.time(end_ns)?;
        if counts.overflowed > 0 {
            out.option(OPT_COMMENT, b"packets came faster than they were read")?;
        }
        for (code, at_ns) in [(ISB_STARTTIME, begin_ns), (ISB_ENDTIME, end_ns)] {
            let (high, low) = halves(at_ns);
            out.option_of(code, &[&high.to_le_bytes(), &low.to_le_bytes()])?;
        }
        out.option(ISB_IFRECV, &counts.seen.to_le_bytes())?;
        out.option(ISB_IFDROP, &counts.overflowed.to_le_bytes())?;
        out.option(ISB_FILTERACCEPT, &counts.taken.to_le_bytes())?;
        let delivered = counts.taken - counts.overflowed.min(counts.taken);
        out.option(ISB_USRDELIV, &delivered.to_le_bytes())?;
        out.option(OPT_END, &[])
    })?;
    Some(out.len)
}

/// Room that is written into from the front.
struct Out<'a> {
    room: &'a mut [u8],
    len: usize,
}

impl Out<'_> {
    /// A block around what `body` writes: type and length in front, the length once more behind.
    fn block(&mut self, kind: u32, body: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        let start = self.len;
        self.u32(kind)?;
        self.u32(0)?;
        body(self)?;
        let len = u32::try_from(self.len.checked_sub(start)?.checked_add(4)?).ok()?;
        self.u32(len)?;
        let place = self.room.get_mut(start.checked_add(4)?..)?;
        *place.first_chunk_mut::<4>()? = len.to_le_bytes();
        Some(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.len.checked_add(bytes.len())?;
        self.room.get_mut(self.len..end)?.copy_from_slice(bytes);
        self.len = end;
        Some(())
    }

    fn u16(&mut self, value: u16) -> Option<()> {
        self.bytes(&value.to_le_bytes())
    }

    fn u32(&mut self, value: u32) -> Option<()> {
        self.bytes(&value.to_le_bytes())
    }

    /// A time: its upper half first, whatever the byte order.
    fn time(&mut self, at_ns: u64) -> Option<()> {
        let (high, low) = halves(at_ns);
        self.u32(high)?;
        self.u32(low)
    }

    fn option(&mut self, code: u16, value: &[u8]) -> Option<()> {
        self.option_of(code, &[value])
    }

    fn option_of(&mut self, code: u16, pieces: &[&[u8]]) -> Option<()> {
        let len: usize = pieces.iter().map(|piece| piece.len()).sum();
        self.u16(code)?;
        self.u16(u16::try_from(len).ok()?)?;
        self.padded(pieces)
    }

    /// Pieces, and zeros up to the next multiple of four.
    fn padded(&mut self, pieces: &[&[u8]]) -> Option<()> {
        for piece in pieces {
            self.bytes(piece)?;
        }
        let len: usize = pieces.iter().map(|piece| piece.len()).sum();
        let zeros = [0; 3];
        self.bytes(zeros.get(..len.wrapping_neg() % 4)?)
    }
}

/// The upper half and the lower.
fn halves(value: u64) -> (u32, u32) {
    ((value >> 32) as u32, value as u32)
}

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const LINKTYPE_ETHERNET: u16 = 1;

const OPT_END: u16 = 0;
const OPT_COMMENT: u16 = 1;
const SHB_HARDWARE: u16 = 2;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const IF_FILTER: u16 = 11;
const EPB_FLAGS: u16 = 2;
const ISB_STARTTIME: u16 = 2;
const ISB_ENDTIME: u16 = 3;
const ISB_IFRECV: u16 = 4;
const ISB_IFDROP: u16 = 5;
const ISB_FILTERACCEPT: u16 = 6;
const ISB_USRDELIV: u16 = 8;

#[cfg(test)]
mod tests;
