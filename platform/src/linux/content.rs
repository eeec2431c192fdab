//! The site into memory, once: straight to where the port sends it from.

use std::boxed::Box;
use std::io::{self, Read};
use std::vec;

use simoom::Sums;
use simoom_netmap::{Host, NetmapPort};
use simoom_ring::{BodyMemory, Port};

use super::sums;

/// Reads `len` bytes to where the port can refer to them: its region, or, where
/// the stack has to copy bodies anyhow, any memory. They stay until the process ends.
///
/// # Errors
/// They cannot be read or are fewer, or the region has no room.
pub fn load<H: Host>(
    port: &mut NetmapPort<'static, H>,
    from: &mut dyn Read,
    len: usize,
) -> io::Result<&'static [u8]> {
    match port.caps().body_memory {
        BodyMemory::Region => {
            let placed = port.place_with(len, |room| from.read_exact(room))?;
            placed.ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))
        }
        _ => {
            let mut bytes = vec![0; len];
            from.read_exact(&mut bytes)?;
            Ok(bytes.leak())
        }
    }
}

/// Sums `content` up, which is going to be sent, on a port that leaves checksums to us: a body of
/// any length is not read then to be sent. Two bytes for each block of it.
pub fn sums<H: Host>(
    port: &NetmapPort<'static, H>,
    content: &'static [u8],
) -> Option<&'static Sums> {
    if port.caps().checksums.tx {
        return None;
    }
    let table = vec![0; Sums::entries(content.len())].leak();
    let sums = Sums::of_blocks(content, table, sums::of_blocks)?;
    Some(Box::leak(Box::new(sums)))
}
