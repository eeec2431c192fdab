//! One 512-byte header block of a tar: POSIX.1-2017 pax, "ustar Interchange Format", and the
//! dialects of GNU and of the tar of Unix version 7.
//!
//! ```text
//!   0     100  124   136   148    156  157       257   263      345      500  512
//!   │name │... │size │mtime│chksum│type│linkname │magic│version │ prefix │    │
//! ```

use super::error::Fault;

/// Header and padding unit of the format, in bytes.
pub(super) const BLOCK_LEN: usize = 512;

/// A header whose checksum is right.
#[derive(Clone, Copy)]
pub(super) struct Block {
    bytes: &'static [u8; BLOCK_LEN],
}

impl Block {
    /// The header, or why it is none. `None` is a block of zeros: the end of the archive.
    pub(super) fn read(bytes: &'static [u8; BLOCK_LEN]) -> Result<Option<Self>, Fault> {
        let block = Self { bytes };
        let stored = number(block.field::<148, 8>());
        let (unsigned, is_zero) = byte_sum(bytes);
        if is_zero {
            return Ok(None);
        }
        // The checksum's own bytes count as spaces.
        let own: i64 = block
            .field::<148, 8>()
            .iter()
            .map(|&byte| i64::from(byte))
            .sum();
        let sum = unsigned - own + 8 * i64::from(b' ');
        if stored == Some(sum) {
            return Ok(Some(block));
        }
        // Some old writers summed signed characters.
        let negative = |range: &[u8]| range.iter().filter(|&&byte| byte >= 0x80).count() as i64;
        let high = negative(bytes) - negative(block.field::<148, 8>());
        if stored == Some(sum - 256 * high) {
            return Ok(Some(block));
        }
        Err(Fault::Checksum)
    }

    fn field<const AT: usize, const LEN: usize>(&self) -> &'static [u8] {
        self.bytes.get(AT..AT + LEN).unwrap_or(&[])
    }

    pub(super) fn name(&self) -> &'static [u8] {
        until_nul(self.field::<0, 100>())
    }

    pub(super) fn linkname(&self) -> &'static [u8] {
        until_nul(self.field::<157, 100>())
    }

    /// The front of a long name; GNU and version 7 keep other things, or nothing, in this field.
    pub(super) fn prefix(&self) -> &'static [u8] {
        if self.field::<257, 6>() == b"ustar\0" {
            return until_nul(self.field::<345, 155>());
        }
        &[]
    }

    /// Bytes of body, as the header says.
    pub(super) fn size(&self) -> Result<i64, Fault> {
        number(self.field::<124, 12>()).ok_or(Fault::Number)
    }

    /// Seconds since 1970.
    pub(super) fn mtime(&self) -> Result<i64, Fault> {
        number(self.field::<136, 12>()).ok_or(Fault::Number)
    }

    pub(super) fn typeflag(&self) -> u8 {
        self.bytes[156]
    }
}

/// The bytes before the first zero, or all of them.
pub(super) fn until_nul(field: &'static [u8]) -> &'static [u8] {
    field.split(|&byte| byte == 0).next().unwrap_or(&[])
}

/// A number field: octal digits between spaces and zeros, or GNU's base 256 when the first bit is
/// set (two's complement, big-endian). An empty field is 0.
fn number(field: &[u8]) -> Option<i64> {
    let (&first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        let is_negative = first & 0x40 != 0;
        let top = i64::from(first & 0x3f) - if is_negative { 0x40 } else { 0 };
        return rest.iter().try_fold(top, |value, &byte| {
            value.checked_mul(256)?.checked_add(i64::from(byte))
        });
    }
    let is_blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field
        .iter()
        .position(|byte| !is_blank(byte))
        .unwrap_or(field.len());
    let digits = field.get(start..)?;
    let end = digits.iter().position(is_blank).unwrap_or(digits.len());
    digits
        .get(..end)?
        .iter()
        .try_fold(0i64, |value, &byte| match byte {
            b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(byte - b'0')),
            _ => None,
        })
}

/// Sum of all bytes, and whether all are zero. Eight bytes at a time: under emulation, where a
/// site's headers are read at boot, this is several times faster than a byte loop.
fn byte_sum(bytes: &[u8; BLOCK_LEN]) -> (i64, bool) {
    const EVEN: u64 = 0x00ff_00ff_00ff_00ff;
    let (words, _) = bytes.as_chunks::<8>();
    // Four lanes of 16 bits: 64 words of two bytes a lane stay below 65,536.
    let (lanes, any) = words.iter().fold((0u64, 0u64), |(lanes, any), word| {
        let word = u64::from_le_bytes(*word);
        (lanes + (word & EVEN) + ((word >> 8) & EVEN), any | word)
    });
    let sum = (0..4)
        .map(|lane| ((lanes >> (16 * lane)) & 0xffff) as i64)
        .sum();
    (sum, any == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let row = |field: &[u8], want: Option<i64>| assert_eq!(number(field), want, "{field:?}");
        row(b"", None);
        row(b"00000000017\0", Some(15));
        row(b"     17 \0\0\0\0", Some(15));
        row(b"\0\0\0\0", Some(0));
        row(b"777777777777", Some(0o777_777_777_777));
        row(b"0000008", None);
        row(b"-1", None);
        row(b"\x80\0\0\0\0\0\0\0\0\0\x01\0", Some(256));
        row(&[0xff; 12], Some(-1));
        row(
            b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
            Some(i64::MAX),
        );
        row(b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None);
        row(b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None);
        row(&[b'7'; 30], None);
    }

    #[test]
    fn sums() {
        let mut bytes = [0xffu8; BLOCK_LEN];
        assert_eq!(byte_sum(&bytes), (512 * 255, false));
        bytes = [0; BLOCK_LEN];
        assert_eq!(byte_sum(&bytes), (0, true));
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = (at * 7 % 256) as u8;
        }
        assert_eq!(
            byte_sum(&bytes).0,
            bytes.iter().map(|&byte| i64::from(byte)).sum()
        );
    }
}
