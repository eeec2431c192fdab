//! A TCP segment: text, bytes, and what differs between two.

use super::options::{self, TcpOption};
use super::wire::{self, Ends};

/// The flags of a segment, as the bits of its header (RFC 9293 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags(pub(crate) u8);

impl Flags {
    pub(crate) const FIN: u8 = 1;
    pub(crate) const SYN: u8 = 2;
    pub(crate) const RST: u8 = 4;
    pub(crate) const PSH: u8 = 8;
    pub(crate) const ACK: u8 = 16;

    const LETTERS: [(char, u8); 8] = [
        ('F', Self::FIN),
        ('S', Self::SYN),
        ('R', Self::RST),
        ('P', Self::PSH),
        ('U', 32),
        ('E', 64),
        ('W', 128),
        ('.', Self::ACK),
    ];

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bits = 0;
        for letter in text.chars() {
            let (_, bit) = Self::LETTERS.iter().find(|(known, _)| *known == letter)?;
            bits |= bit;
        }
        Some(Self(bits))
    }

    pub(crate) fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }
}

impl std::fmt::Display for Flags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 == 0 {
            return f.write_str("-");
        }
        let set = Self::LETTERS.iter().filter(|(_, bit)| self.has(*bit));
        let text: String = set.map(|(letter, _)| *letter).collect();
        f.write_str(&text)
    }
}

/// A segment without its ports and its bytes: those follow from the sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) flags: Flags,
    pub(crate) seq: u32,
    /// Payload bytes.
    pub(crate) len: u32,
    pub(crate) ack: u32,
    /// `None` when expected: any.
    pub(crate) win: Option<u16>,
    pub(crate) urg: u16,
    /// `None` when expected: any.
    pub(crate) options: Option<Vec<TcpOption>>,
}

impl Segment {
    pub(crate) fn is(&self, flag: u8) -> bool {
        self.flags.has(flag)
    }

    /// The sequence number of the first byte of the payload.
    pub(crate) fn text_seq(&self) -> u32 {
        self.seq.wrapping_add(u32::from(self.is(Flags::SYN)))
    }

    /// The bytes on the wire, with the payload `text`.
    pub(crate) fn emit(&self, ends: &Ends, text: &[u8]) -> Result<Vec<u8>, String> {
        let options = options::emit(self.options.as_deref().unwrap_or(&[]))?;
        let mut bytes = ends.src_port.to_be_bytes().to_vec();
        bytes.extend(ends.dst_port.to_be_bytes());
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(self.ack.to_be_bytes());
        bytes.extend([((20 + options.len()) as u8 / 4) << 4, self.flags.0]);
        bytes.extend(self.win.unwrap_or(0).to_be_bytes());
        bytes.extend([0; 2]);
        bytes.extend(self.urg.to_be_bytes());
        bytes.extend(options);
        bytes.extend(text);
        let csum = wire::transport_checksum(ends, wire::TCP, &bytes);
        bytes[16..18].copy_from_slice(&csum.to_be_bytes());
        Ok(bytes)
    }

    /// A segment from the wire, its ports and its payload.
    pub(crate) fn parse(bytes: &[u8]) -> Result<(Self, [u16; 2], &[u8]), String> {
        let Some(header) = bytes.first_chunk::<20>() else {
            return Err("a TCP segment without a header".to_string());
        };
        let u16_at = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let u32_at = |at: usize| u32::from(u16_at(at)) << 16 | u32::from(u16_at(at + 2));
        let header_len = usize::from(header[12] >> 4) * 4;
        let Some(option_bytes) = bytes.get(20..header_len) else {
            return Err(format!("a TCP header of {header_len} bytes"));
        };
        let payload = &bytes[header_len..];
        let segment = Self {
            flags: Flags(header[13]),
            seq: u32_at(4),
            len: payload.len() as u32,
            ack: u32_at(8),
            win: Some(u16_at(14)),
            urg: u16_at(18),
            options: Some(options::parse(option_bytes)?),
        };
        if header[12] & 0x0f != 0 {
            return Err("reserved bits are set in a TCP header".to_string());
        }
        Ok((segment, [u16_at(0), u16_at(2)], payload))
    }

    /// The timestamps option, if there is one.
    pub(crate) fn timestamps(&mut self) -> Option<(&mut u32, &mut u32)> {
        let options = self.options.as_mut()?;
        options.iter_mut().find_map(|option| match option {
            TcpOption::Timestamps { val, ecr } => Some((val, ecr)),
            _ => None,
        })
    }

    /// The Fast Open cookie, if there is one.
    pub(crate) fn cookie(&self) -> Option<&[u8]> {
        let options = self.options.as_ref()?;
        options.iter().find_map(|option| match option {
            TcpOption::FastOpen(cookie) if !cookie.is_empty() => Some(cookie.as_slice()),
            _ => None,
        })
    }

    /// Whether it has the cookie that the stack has given, by its name.
    pub(crate) fn names_cookie(&self) -> bool {
        let mut options = self.options.iter().flatten();
        options.any(|option| *option == TcpOption::FastOpenGiven)
    }

    /// Puts the cookie that the stack has given in place of its name.
    pub(crate) fn put_cookie(&mut self, given: Option<&[u8]>) -> Result<(), String> {
        for option in self.options.iter_mut().flatten() {
            if *option == TcpOption::FastOpenGiven {
                let given = given.ok_or("no cookie has been given yet")?;
                *option = TcpOption::FastOpen(given.to_vec());
            }
        }
        Ok(())
    }

    /// Turns acknowledgments, those of SACK too, by `offset`.
    pub(crate) fn shift_acks(&mut self, offset: u32) {
        if self.is(Flags::ACK) {
            self.ack = self.ack.wrapping_add(offset);
        }
        for option in self.options.iter_mut().flatten() {
            if let TcpOption::Sack(blocks) = option {
                for (left, right) in blocks {
                    *left = left.wrapping_add(offset);
                    *right = right.wrapping_add(offset);
                }
            }
        }
    }

    /// What is wrong with `got`, in a few words each; timestamps may differ by `ticks`, or
    /// altogether.
    pub(crate) fn differences(&self, got: &Self, ticks: Option<u32>) -> Vec<&'static str> {
        let mut found = Vec::new();
        let mut check = |is_equal: bool, what| {
            if !is_equal {
                found.push(what);
            }
        };
        check(self.flags == got.flags, "flags");
        check(self.seq == got.seq, "sequence number");
        check(self.len == got.len, "length");
        let has_ack = self.is(Flags::ACK) || got.is(Flags::ACK);
        check(!has_ack || self.ack == got.ack, "acknowledgment");
        check(self.win.is_none() || self.win == got.win, "window");
        check(self.urg == got.urg, "urgent pointer");
        if let (Some(wanted), Some(got)) = (&self.options, &got.options) {
            let is_equal = |(a, b): (&TcpOption, &TcpOption)| is_same_option(a, b, ticks);
            let is_same = wanted.len() == got.len() && wanted.iter().zip(got).all(is_equal);
            check(is_same, "options");
        }
        found
    }
}

fn is_same_option(wanted: &TcpOption, got: &TcpOption, ticks: Option<u32>) -> bool {
    match (wanted, got) {
        (
            TcpOption::Timestamps { val, ecr },
            TcpOption::Timestamps {
                val: got_val,
                ecr: got_ecr,
            },
        ) => {
            let off_by = (val.wrapping_sub(*got_val) as i32).unsigned_abs();
            ecr == got_ecr && ticks.is_none_or(|ticks| off_by <= ticks)
        }
        _ => wanted == got,
    }
}

impl std::fmt::Display for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            flags,
            seq,
            len,
            ack,
            win,
            urg,
            options,
        } = self;
        write!(f, "{flags} {seq}:{}({len})", seq.wrapping_add(*len))?;
        if self.is(Flags::ACK) {
            write!(f, " ack {ack}")?;
        }
        if let Some(win) = win {
            write!(f, " win {win}")?;
        }
        if *urg != 0 {
            write!(f, " urg {urg}")?;
        }
        match options.as_deref() {
            None => f.write_str(" <...>"),
            Some([]) => Ok(()),
            Some(options) => write!(f, " <{}>", options::text(options)),
        }
    }
}
