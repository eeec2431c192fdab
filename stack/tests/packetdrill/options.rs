//! TCP options: text, bytes, and back, from the bytes on the wire alone.

/// One option. Sequence numbers and timestamps are the script's or the wire's, as the segment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TcpOption {
    End,
    Nop,
    Mss(u16),
    WindowScale(u8),
    SackPermitted,
    Sack(Vec<(u32, u32)>),
    Timestamps {
        val: u32,
        ecr: u32,
    },
    FastOpen(Vec<u8>),
    /// The cookie that the stack has given: learned where it is first expected.
    FastOpenGiven,
    /// Kind 254 with the magic number of RFC 7413's experiment.
    FastOpenExperimental(Vec<u8>),
    /// Anything else: kind and what follows its length.
    Other(u8, Vec<u8>),
}

impl TcpOption {
    fn emit(&self, bytes: &mut Vec<u8>) {
        let mut put = |kind: u8, value: &[u8]| {
            bytes.extend([kind, value.len() as u8 + 2]);
            bytes.extend(value);
        };
        match self {
            Self::End => bytes.push(0),
            Self::Nop => bytes.push(1),
            Self::Mss(mss) => put(2, &mss.to_be_bytes()),
            Self::WindowScale(shift) => put(3, &[*shift]),
            Self::SackPermitted => put(4, &[]),
            Self::Sack(blocks) => {
                let edges = blocks.iter().flat_map(|(left, right)| [*left, *right]);
                let value: Vec<u8> = edges.flat_map(u32::to_be_bytes).collect();
                put(5, &value);
            }
            Self::Timestamps { val, ecr } => {
                put(8, &[val.to_be_bytes(), ecr.to_be_bytes()].concat());
            }
            Self::FastOpen(cookie) => put(34, cookie),
            // The runner has put the bytes in its place.
            Self::FastOpenGiven => put(34, &[]),
            Self::FastOpenExperimental(cookie) => put(254, &[&MAGIC[..], cookie].concat()),
            Self::Other(kind, value) => put(*kind, value),
        }
    }

    fn parse(kind: u8, value: &[u8]) -> Self {
        let u32_at = |at: usize| {
            let bytes = value[at..at + 4].try_into().expect("four bytes");
            u32::from_be_bytes(bytes)
        };
        match (kind, value.len()) {
            (2, 2) => Self::Mss(u16::from_be_bytes([value[0], value[1]])),
            (3, 1) => Self::WindowScale(value[0]),
            (4, 0) => Self::SackPermitted,
            (5, len) if len % 8 == 0 => Self::Sack(
                (0..len)
                    .step_by(8)
                    .map(|at| (u32_at(at), u32_at(at + 4)))
                    .collect(),
            ),
            (8, 8) => Self::Timestamps {
                val: u32_at(0),
                ecr: u32_at(4),
            },
            (34, _) => Self::FastOpen(value.to_vec()),
            (254, 2..) if value.starts_with(&MAGIC) => {
                Self::FastOpenExperimental(value[2..].to_vec())
            }
            _ => Self::Other(kind, value.to_vec()),
        }
    }
}

/// The bytes of an option list; an error when they do not fill words of four bytes.
pub(crate) fn emit(options: &[TcpOption]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for option in options {
        option.emit(&mut bytes);
    }
    if !bytes.len().is_multiple_of(4) || bytes.len() > 40 {
        let len = bytes.len();
        return Err(format!(
            "TCP options of {len} bytes: not a multiple of 4 up to 40; add nop or eol"
        ));
    }
    Ok(bytes)
}

/// Every option on the wire, the padding, too.
pub(crate) fn parse(mut bytes: &[u8]) -> Result<Vec<TcpOption>, String> {
    let mut options = Vec::new();
    loop {
        match bytes {
            [] => return Ok(options),
            [0, rest @ ..] => {
                options.push(TcpOption::End);
                bytes = rest;
            }
            [1, rest @ ..] => {
                options.push(TcpOption::Nop);
                bytes = rest;
            }
            [kind, len, ..] if (2..=bytes.len()).contains(&usize::from(*len)) => {
                let (option, rest) = bytes.split_at(usize::from(*len));
                options.push(TcpOption::parse(*kind, &option[2..]));
                bytes = rest;
            }
            _ => return Err(format!("malformed TCP options: {bytes:02x?}")),
        }
    }
}

/// The list as packetdrill writes it, without the brackets.
pub(crate) fn text(options: &[TcpOption]) -> String {
    let texts: Vec<String> = options.iter().map(TcpOption::to_string).collect();
    texts.join(",")
}

impl std::fmt::Display for TcpOption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hex = |name: &str, bytes: &[u8]| {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{name} {digits}").trim_end().to_string()
        };
        match self {
            Self::End => f.write_str("eol"),
            Self::Nop => f.write_str("nop"),
            Self::Mss(mss) => write!(f, "mss {mss}"),
            Self::WindowScale(shift) => write!(f, "wscale {shift}"),
            Self::SackPermitted => f.write_str("sackOK"),
            Self::Sack(blocks) => {
                f.write_str("sack")?;
                let mut blocks = blocks.iter();
                blocks.try_for_each(|(left, right)| write!(f, " {left}:{right}"))
            }
            Self::Timestamps { val, ecr } => write!(f, "TS val {val} ecr {ecr}"),
            Self::FastOpen(cookie) => f.write_str(&hex("FO", cookie)),
            Self::FastOpenGiven => write!(f, "FO {COOKIE_GIVEN}"),
            Self::FastOpenExperimental(cookie) => f.write_str(&hex("FOEXP", cookie)),
            Self::Other(kind, value) => f.write_str(&hex(&format!("kind {kind}"), value)),
        }
    }
}

/// How a script names the cookie that the stack has given.
pub(crate) const COOKIE_GIVEN: &str = "TFO_COOKIE";

/// What an experimental option of Fast Open begins with (RFC 7413 appendix, RFC 6994).
const MAGIC: [u8; 2] = [0xf9, 0x89];
