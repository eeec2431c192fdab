//! Writes the head of an answer into memory that the caller gives, without formatting machinery.

/// A cursor over the memory. What does not fit is noticed once, at the end.
pub(crate) struct HeadWriter<'o> {
    out: &'o mut [u8],
    len: usize,
    is_full: bool,
}

impl<'o> HeadWriter<'o> {
    pub(crate) fn new(out: &'o mut [u8]) -> Self {
        Self {
            out,
            len: 0,
            is_full: false,
        }
    }

    /// Adds bytes.
    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        let room = self
            .out
            .get_mut(self.len..)
            .and_then(|rest| rest.get_mut(..bytes.len()));
        match room {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.is_full = true,
        }
    }

    /// Adds a number in decimal digits.
    pub(crate) fn decimal(&mut self, value: u64) {
        let mut digits = [0; 20];
        self.put(decimal(value, &mut digits));
    }

    /// Adds a path, percent-encoding all but what RFC 3986 allows in one.
    pub(crate) fn put_escaped(&mut self, path: &[u8]) {
        for &byte in path {
            if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte) {
                self.put(&[byte]);
            } else {
                let digit = |value: u8| b"0123456789ABCDEF".get(usize::from(value)).copied();
                let (high, low) = (digit(byte >> 4), digit(byte & 15));
                self.put(&[b'%', high.unwrap_or(b'0'), low.unwrap_or(b'0')]);
            }
        }
    }

    /// Bytes written.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes that still fit.
    pub(crate) fn room_len(&self) -> usize {
        self.out.len() - self.len
    }

    /// Bytes written, or `None` when they did not fit.
    pub(crate) fn finish(self) -> Option<usize> {
        (!self.is_full).then_some(self.len)
    }
}

impl core::fmt::Write for HeadWriter<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}

/// How many decimal digits `value` has.
pub(crate) fn decimal_len(value: u64) -> u64 {
    u64::from(value.checked_ilog10().unwrap_or(0)) + 1
}

/// The digits of `value`. Twenty are enough for any `u64`.
fn decimal(mut value: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        *digit = hexadecimal(value % 10);
        value /= 10;
        start = at;
        if value == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or(&[])
}

/// The sixteen hexadecimal digits of `value`, zeros in front.
pub(crate) fn sixteen_digits(value: u64) -> [u8; 16] {
    let mut shift = 64u32;
    [(); 16].map(|()| {
        shift = shift.saturating_sub(4);
        hexadecimal(value >> shift & 15)
    })
}

/// The digit of a number below 16.
fn hexadecimal(nibble: u64) -> u8 {
    let digit = b"0123456789abcdef".get(nibble as usize);
    digit.copied().unwrap_or(b'0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;

    #[test]
    fn numbers_as_the_formatter_writes_them() {
        let mut values = std::vec![0, 9, 10, 15, 16, 99, 100, u64::MAX, u64::MAX - 1];
        values.extend((0..64).map(|bit| 1u64 << bit));
        for value in values {
            let mut digits = [0; 20];
            assert_eq!(decimal(value, &mut digits), format!("{value}").as_bytes());
            assert_eq!(decimal_len(value), format!("{value}").len() as u64);
            assert_eq!(
                sixteen_digits(value)[..],
                *format!("{value:016x}").as_bytes()
            );
        }
    }

    #[test]
    fn too_much_is_noticed_and_nothing_is_overrun() {
        let mut out = [b'-'; 8];
        let mut head = HeadWriter::new(&mut out);
        head.put(b"12345");
        head.put(b"6789");
        head.put(b"678");
        assert_eq!(head.room_len(), 0);
        assert_eq!(head.finish(), None);
        assert_eq!(String::from_utf8_lossy(&out), "12345678");
    }
}
