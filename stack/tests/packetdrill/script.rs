//! A script, read: what happens when, and what is expected.

use super::tcp::Segment;

/// A whole script.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// `--name=value` lines in their order, each with its line.
    pub(crate) options: Vec<(u32, String, String)>,
    pub(crate) events: Vec<Event>,
}

/// One thing that happens, or is expected to.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) line: u32,
    pub(crate) when: When,
    pub(crate) action: Action,
}

/// When, in microseconds of the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// `0.5`
    At(i64),
    /// `+.1`: so long after the event before.
    After(i64),
    /// `*`: whenever it is sent.
    Any,
    /// `0.1~0.2`
    Between(i64, i64),
    /// `+.1~+.2`
    AfterBetween(i64, i64),
}

#[derive(Debug)]
pub(crate) enum Action {
    Inbound(Packet),
    Outbound(Packet),
    Call(Call),
    /// A shell line.
    Shell(String),
    /// Assertions.
    Code(String),
}

/// A packet line, without its direction.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) ip: IpInfo,
    /// Source and destination port, where the line says so.
    pub(crate) ports: Option<(u16, u16)>,
    pub(crate) body: Body,
}

/// What stands in brackets in front of a packet: the second byte of the IP header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IpInfo {
    /// The ECN bits alone, or the whole byte.
    pub(crate) tos: Option<Tos>,
    pub(crate) ttl: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tos {
    Ecn(u8),
    /// Outbound only: ECT(0) or ECT(1).
    AnyEct,
    Whole(u8),
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Tcp(Segment),
    Icmp(Icmp),
}

/// An ICMP error about a segment of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Icmp {
    pub(crate) kind: u8,
    pub(crate) code: u8,
    pub(crate) mtu: Option<u16>,
    /// The sequence number and length of the segment that it quotes.
    pub(crate) seq: u32,
    pub(crate) len: u32,
}

impl std::fmt::Display for Icmp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "icmp type {} code {}", self.kind, self.code)?;
        if let Some(mtu) = self.mtu {
            write!(f, " mtu {mtu}")?;
        }
        let (seq, len) = (self.seq, self.len);
        write!(f, " [{seq}:{}({len})]", seq.wrapping_add(len))
    }
}

/// A socket call, and what it returns.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// A blocking call returns at this time, counted like its start.
    pub(crate) end: Option<i64>,
    pub(crate) name: String,
    pub(crate) args: Vec<Expr>,
    pub(crate) result: Expr,
    pub(crate) errno: Option<String>,
}

/// An argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expr {
    /// `...`: whatever.
    Any,
    Int(i64),
    Word(String),
    Text(String),
    Address(String),
    /// `a|b`
    Or(Vec<Expr>),
    /// `[a, b]`
    Array(Vec<Expr>),
    /// `{a = 1, b(2) = [..]}` or `{..., 1000}`
    Struct(Vec<(Option<String>, Expr)>),
    /// `htons(80)`
    Apply(String, Vec<Expr>),
}

impl Expr {
    /// The value of a field of a structure.
    pub(crate) fn field(&self, name: &str) -> Option<&Expr> {
        let Self::Struct(fields) = self else {
            return None;
        };
        let found = fields
            .iter()
            .find(|(field, _)| field.as_deref() == Some(name));
        found.map(|(_, value)| value)
    }
}

impl std::fmt::Display for Expr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |exprs: &[Expr], between: &str| {
            let texts: Vec<String> = exprs.iter().map(Expr::to_string).collect();
            texts.join(between)
        };
        match self {
            Self::Any => f.write_str("..."),
            Self::Int(value) => write!(f, "{value}"),
            Self::Word(text) | Self::Address(text) => f.write_str(text),
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Or(exprs) => f.write_str(&list(exprs, "|")),
            Self::Array(exprs) => write!(f, "[{}]", list(exprs, ", ")),
            Self::Apply(name, exprs) => write!(f, "{name}({})", list(exprs, ", ")),
            Self::Struct(fields) => {
                let texts: Vec<String> = fields
                    .iter()
                    .map(|(name, value)| match name {
                        Some(name) => format!("{name}={value}"),
                        None => value.to_string(),
                    })
                    .collect();
                write!(f, "{{{}}}", texts.join(", "))
            }
        }
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let args: Vec<String> = self.args.iter().map(Expr::to_string).collect();
        write!(f, "{}({}) = {}", self.name, args.join(", "), self.result)?;
        match &self.errno {
            Some(errno) => write!(f, " {errno}"),
            None => Ok(()),
        }
    }
}
