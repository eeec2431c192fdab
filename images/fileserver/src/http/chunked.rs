//! A chunked request body, read to be thrown away: RFC 9112 7.1.
//!
//! ```text
//!   chunk   = 1*HEXDIG [ ;extension ] CR LF  bytes  CR LF
//!   body    = chunks  0 [ ;extension ] CR LF  trailer fields  CR LF
//! ```
//!
//! The reading is as strict as that of heads: a size of more than eight digits, a line that does
//! not end in CR LF, a control byte, an extension or a trailer beyond the bound are the end of the
//! connection, so that nobody can hide a request behind a body that two servers read in two ways.

/// Where in a body the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunks {
    at: At,
    /// Bytes of the chunk that are to come, or its size so far.
    size: u32,
    /// Bytes that the body may have from here on, framing included.
    left: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In front of the size's first digit.
    Size,
    /// Behind so many digits.
    Digits(u8),
    /// In an extension: it means nothing to us.
    Extension,
    /// Behind the CR of a size's line.
    SizeEnd,
    Bytes,
    /// Behind the last byte of a chunk.
    BytesEnd,
    /// Behind the CR that follows it.
    BytesEndCr,
    /// At the start of a line behind the last chunk.
    Trailer,
    /// In a trailer field: its name if `false`, behind its colon if `true`.
    TrailerField(bool),
    /// Behind the CR of a trailer field.
    TrailerFieldEnd,
    /// Behind the CR of the empty line.
    End,
}

/// What became of the bytes offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// All taken, and more to come.
    More,
    /// The body ended with so many.
    Done(usize),
    /// It is malformed, or too long.
    Bad,
}

impl Chunks {
    pub(super) fn new(len_max: u32) -> Self {
        Self {
            at: At::Size,
            size: 0,
            left: len_max,
        }
    }

    /// Reads on.
    pub(super) fn skip(&mut self, bytes: &[u8]) -> Progress {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            let taken = match self.at {
                At::Bytes => rest
                    .len()
                    .min(usize::try_from(self.size).unwrap_or(usize::MAX)),
                _ => 1,
            };
            // At most `size` or 1.
            let taken_len = u32::try_from(taken).unwrap_or(u32::MAX);
            let Some(left) = self.left.checked_sub(taken_len) else {
                return Progress::Bad;
            };
            self.left = left;
            if self.at == At::Bytes {
                self.size = self.size.saturating_sub(taken_len);
                if self.size == 0 {
                    self.at = At::BytesEnd;
                }
                rest = rest.get(taken..).unwrap_or(&[]);
                continue;
            }
            rest = after;
            match self.step(byte) {
                Some(At::End) if self.at == At::End => {
                    return Progress::Done(bytes.len() - rest.len());
                }
                Some(at) => self.at = at,
                None => return Progress::Bad,
            }
        }
        Progress::More
    }

    /// Where a byte of the framing leads. The end of the body leads from `End` to `End`.
    fn step(&mut self, byte: u8) -> Option<At> {
        let is_text = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        Some(match (self.at, byte) {
            (At::Size, _) => {
                self.size = digit(byte)?;
                At::Digits(1)
            }
            (At::Digits(_), b';' | b' ' | b'\t') => At::Extension,
            (At::Digits(_) | At::Extension, b'\r') => At::SizeEnd,
            (At::Digits(cnt), _) => {
                // Zeros in front count: there is no reason for them.
                self.size = (self.size.checked_mul(16)?).checked_add(digit(byte)?)?;
                At::Digits(Some(cnt + 1).filter(|cnt| *cnt <= DIGITS_MAX)?)
            }
            (At::Extension, _) if is_text => At::Extension,
            (At::SizeEnd, b'\n') if self.size == 0 => At::Trailer,
            (At::SizeEnd, b'\n') => At::Bytes,
            (At::BytesEnd, b'\r') => At::BytesEndCr,
            (At::BytesEndCr, b'\n') => At::Size,
            (At::Trailer, b'\r') => At::End,
            (At::Trailer, _) if is_token(byte) => At::TrailerField(false),
            (At::TrailerField(false), b':') => At::TrailerField(true),
            (At::TrailerField(false), _) if is_token(byte) => At::TrailerField(false),
            (At::TrailerField(true), b'\r') => At::TrailerFieldEnd,
            (At::TrailerField(true), _) if is_text => At::TrailerField(true),
            (At::TrailerFieldEnd, b'\n') => At::Trailer,
            (At::End, b'\n') => At::End,
            _ => return None,
        })
    }
}

/// Digits of a size: as many as 32 bits have.
const DIGITS_MAX: u8 = 8;

fn digit(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(16)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `text` in one piece, cut at each place, and in single bytes.
    fn skip(text: &str, len_max: u32) -> Progress {
        let bytes = text.as_bytes();
        let whole = Chunks::new(len_max).skip(bytes);
        for cut in 0..=bytes.len() {
            let mut chunks = Chunks::new(len_max);
            let (front, back) = bytes.split_at(cut);
            let progress = match chunks.skip(front) {
                Progress::More => match chunks.skip(back) {
                    Progress::Done(len) => Progress::Done(cut + len),
                    progress => progress,
                },
                progress => progress,
            };
            assert_eq!(progress, whole, "{text:?} cut at {cut}");
        }
        whole
    }

    #[test]
    fn bodies() {
        let done = |text: &str| {
            let behind = std::format!("{text}GET / HTTP/1.1\r\n");
            assert_eq!(skip(&behind, 1000), Progress::Done(text.len()), "{text:?}");
        };
        done("0\r\n\r\n");
        done("5\r\nhello\r\n0\r\n\r\n");
        done("A\r\n0123456789\r\n00000000\r\n\r\n");
        done("5;name=value;x=\"y z\"\r\nhello\r\n0;last\r\n\r\n");
        done("1\r\n\r\r\n2\r\n\r\n\r\n0\r\n\r\n");
        done("0\r\nX-Sum: 1\r\nY:\r\n\r\n");
    }

    #[test]
    fn malformed_bodies() {
        for bad in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            " 1\r\n",
            ";\r\n",
            "5\nhello",
            "5\r\nhello0\r\n",
            "5\r\nhello\n0",
            "5\r\nhello\r\r",
            "5\rhello",
            "123456789\r\n",
            "000000000\r\n",
            "0\r\n\n",
            "0\r\n\r\r",
            "0\r\n X: y\r\n",
            "0\r\nX\r\n",
            "0\r\nX : y",
            "0\r\nX: \0",
            "0\r\nX: y\n",
            "5;\n",
            "5;a\0b\r\n",
            "5;a\rb\r\n",
            "0\r\nX: y\r\r\n",
        ] {
            assert_eq!(skip(bad, 1000), Progress::Bad, "{bad:?}");
        }
    }

    #[test]
    fn bodies_are_bounded() {
        let body = "5\r\nhello\r\n0\r\n\r\n";
        for len_max in 0..body.len() as u32 {
            assert_eq!(skip(body, len_max), Progress::Bad, "{len_max}");
        }
        assert_eq!(skip(body, body.len() as u32), Progress::Done(body.len()));
        assert_eq!(skip("ffffffff\r\nxxxx", 1000), Progress::More);
        assert_eq!(skip(&"1;x\r\n0\r\n".repeat(200), 1000), Progress::Bad);
    }
}
