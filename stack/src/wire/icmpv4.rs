//! ICMP messages for IPv4 (RFC 792), those that a server of content meets.
//!
//! ```text
//!   echo           │ type │ code │ csum 2 │ ident 2 │ seq 2 │ anything                 │
//!   errors         │ type │ code │ csum 2 │ 0 2     │ mtu 2 │ IP header │ 8 bytes or more │
//! ```

use super::checksum;
use super::ipv4;

/// Bytes in front of an echo's payload, or of a quoted datagram.
pub const HEADER_LEN: usize = 8;

/// Bytes of a datagram behind its header that every error quotes: ports, and TCP's sequence number.
pub const QUOTED_LEN: usize = 8;

/// A message, as far as it means something here. Its checksum is checked by the caller, which may
/// have it in more than one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Wants its payload back.
    EchoRequest,
    /// A datagram of ours did not arrive.
    Error {
        /// Why.
        cause: Cause,
        /// The header of that datagram.
        quoted: ipv4::Header,
        /// The first bytes behind that header.
        bytes: &'a [u8; QUOTED_LEN],
    },
    /// A type or code without meaning here.
    Unknown,
}

/// Why a datagram did not arrive (RFC 792, RFC 1122 3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No way to the network, the host, or by the given route, for now.
    Unreachable,
    /// The host does not speak the protocol.
    ProtocolUnreachable,
    /// Nobody listens on the port.
    PortUnreachable,
    /// Larger than the link ahead takes (RFC 1191).
    FragmentationNeeded {
        /// IP MTU of that link; 0 from a router older than RFC 1191.
        mtu: u16,
    },
    /// Forbidden by an administrator (RFC 1812 5.2.7.1).
    Prohibited,
    /// The time to live ran out.
    TimeExceeded,
    /// A router did not like the header.
    ParameterProblem,
}

impl<'a> Message<'a> {
    /// Reads a message; `None` when it is shorter than its type wants.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let ([kind, code, _, _, _, _, m0, m1], rest) = bytes.split_first_chunk::<HEADER_LEN>()?;
        let cause = match (*kind, *code) {
            (ECHO_REQUEST, 0) => return Some(Self::EchoRequest),
            (UNREACHABLE, 2) => Cause::ProtocolUnreachable,
            (UNREACHABLE, 3) => Cause::PortUnreachable,
            (UNREACHABLE, 4) => Cause::FragmentationNeeded {
                mtu: u16::from_be_bytes([*m0, *m1]),
            },
            (UNREACHABLE, 9 | 10 | 13) => Cause::Prohibited,
            (UNREACHABLE, 0..=15) => Cause::Unreachable,
            (TIME_EXCEEDED, 0 | 1) => Cause::TimeExceeded,
            (PARAMETER_PROBLEM, 0..=2) => Cause::ParameterProblem,
            _ => return Some(Self::Unknown),
        };
        let quoted = ipv4::Header::parse_quoted(rest)?;
        let (bytes, _) = rest.get(quoted.header_len.into()..)?.split_first_chunk()?;
        Some(Self::Error {
            cause,
            quoted,
            bytes,
        })
    }
}

/// Turns an echo request into its reply, in place: the type changes, and the checksum by as much.
/// The message is as it was when it is too short.
pub fn reply_in_place(message: &mut [u8]) {
    if let Some([kind, code, c0, c1]) = message.first_chunk_mut::<4>() {
        let old = u16::from_be_bytes([*kind, *code]);
        let new = u16::from_be_bytes([ECHO_REPLY, 0]);
        let csum = checksum::update(u16::from_be_bytes([*c0, *c1]), old, new);
        [*kind, *code] = new.to_be_bytes();
        [*c0, *c1] = csum.to_be_bytes();
    }
}

/// What we tell the other side about a datagram of its.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// We do not speak the protocol.
    Protocol,
    /// Nobody listens on the port.
    Port,
}

impl Unreachable {
    /// The header of the error that quotes `quoted` (IP header and what follows).
    pub fn emit(self, quoted: &[u8]) -> [u8; HEADER_LEN] {
        let code = match self {
            Self::Protocol => 2,
            Self::Port => 3,
        };
        let mut sum = checksum::Sum::of(&[UNREACHABLE, code]);
        sum.add(quoted);
        let [c0, c1] = sum.finish().to_be_bytes();
        [UNREACHABLE, code, c0, c1, 0, 0, 0, 0]
    }
}

const ECHO_REPLY: u8 = 0;
const UNREACHABLE: u8 = 3;
const ECHO_REQUEST: u8 = 8;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;

#[cfg(test)]
mod tests;
