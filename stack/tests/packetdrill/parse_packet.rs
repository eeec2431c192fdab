//! Packet lines: `[ect0] 40000 > 8080 P. 1:1001(1000) ack 1 win 100 <nop,nop,TS val 1 ecr 2>`.

use super::lex::{Error, Kind};
use super::options::{COOKIE_GIVEN, TcpOption};
use super::parse::Cursor;
use super::script::{Body, Icmp, IpInfo, Packet, Tos};
use super::tcp::{Flags, Segment};

/// What stands behind `<` or `>`.
pub(crate) fn packet(cursor: &mut Cursor, is_outbound: bool) -> Result<Packet, Error> {
    let mut ip = IpInfo::default();
    let mut quoted = None;
    if cursor.eat('[') || cursor.eat('(') {
        // The segment that an ICMP error quotes may stand in front, too.
        if matches!(cursor.kind(), Some(Kind::Int(_))) {
            quoted = Some(seq(cursor)?);
        } else {
            ip = ip_info(cursor)?;
        }
        if !cursor.eat(']') {
            cursor.expect(')')?;
        }
    }
    if cursor.eat_word("icmp") {
        if is_outbound {
            let text = "outbound ICMP cannot be expected";
            return Err(Error::new(cursor.line(), text));
        }
        let body = Body::Icmp(icmp(cursor, quoted)?);
        return Ok(Packet {
            ip,
            ports: None,
            body,
        });
    }
    if quoted.is_some() {
        return Err(cursor.wrong("`icmp`"));
    }
    if is_outbound && ip.ttl.is_some() {
        return Err(Error::new(
            cursor.line(),
            "the TTL of ours is not looked at",
        ));
    }
    let ports = match (cursor.kind(), cursor.kind_after(1)) {
        (Some(Kind::Int(_)), Some(Kind::Symbol('>'))) => {
            let src = cursor.int()?;
            cursor.skip();
            Some((src, cursor.int()?))
        }
        _ => None,
    };
    let body = Body::Tcp(segment(cursor, is_outbound)?);
    Ok(Packet { ip, ports, body })
}

fn ip_info(cursor: &mut Cursor) -> Result<IpInfo, Error> {
    let mut ip = IpInfo::default();
    loop {
        let line = cursor.line();
        let word = cursor.word();
        match word.as_deref() {
            Some("noecn") => ip.tos = Some(Tos::Ecn(0)),
            Some("ect1") => ip.tos = Some(Tos::Ecn(1)),
            Some("ect0") => ip.tos = Some(Tos::Ecn(2)),
            Some("ce") => ip.tos = Some(Tos::Ecn(3)),
            Some("ect01") => ip.tos = Some(Tos::AnyEct),
            Some("tos") => ip.tos = Some(Tos::Whole(cursor.int()?)),
            Some("ttl") => ip.ttl = Some(cursor.int()?),
            Some(other) => {
                let text = format!("unknown field of the IP header: {other}");
                return Err(Error::new(line, text));
            }
            None => return Err(cursor.wrong("a field of the IP header")),
        }
        if !cursor.eat(',') {
            return Ok(ip);
        }
    }
}

/// `seq:end(len)`
fn seq(cursor: &mut Cursor) -> Result<(u32, u32), Error> {
    let line = cursor.line();
    let start: u32 = cursor.int()?;
    cursor.expect(':')?;
    let end: u32 = cursor.int()?;
    cursor.expect('(')?;
    let len: u32 = cursor.int()?;
    cursor.expect(')')?;
    if start.wrapping_add(len) != end {
        let text = format!("{start}:{end}({len}) contradicts itself");
        return Err(Error::new(line, text));
    }
    Ok((start, len))
}

fn segment(cursor: &mut Cursor, is_outbound: bool) -> Result<Segment, Error> {
    let flags = flags(cursor)?;
    let (seq, len) = seq(cursor)?;
    let mut segment = Segment {
        flags,
        seq,
        len,
        ack: 0,
        win: None,
        urg: 0,
        options: Some(Vec::new()),
    };
    if cursor.eat_word("ack") {
        segment.ack = cursor.int()?;
    }
    if cursor.eat_word("win") {
        segment.win = Some(cursor.int()?);
    }
    if cursor.eat_word("urg") {
        segment.urg = cursor.int()?;
    }
    if cursor.eat('<') {
        if cursor.kind() == Some(&Kind::Ellipsis) {
            if !is_outbound {
                let text = "<...> is for outbound packets only";
                return Err(Error::new(cursor.line(), text));
            }
            cursor.skip();
            segment.options = None;
        } else {
            segment.options = Some(options(cursor)?);
        }
        cursor.expect('>')?;
    }
    Ok(segment)
}

/// `S`, `S.`, `FP.`, `.`, or `-` for none.
fn flags(cursor: &mut Cursor) -> Result<Flags, Error> {
    if cursor.eat('-') {
        return Ok(Flags(0));
    }
    let line = cursor.line();
    let word = cursor.word();
    let mut text = word.clone().unwrap_or_default();
    if cursor.eat('.') {
        text.push('.');
    }
    if text.is_empty() {
        return Err(cursor.wrong("TCP flags"));
    }
    Flags::parse(&text).ok_or_else(|| Error::new(line, format!("unknown TCP flags: {text}")))
}

fn options(cursor: &mut Cursor) -> Result<Vec<TcpOption>, Error> {
    let mut found = Vec::new();
    loop {
        found.push(option(cursor)?);
        if !cursor.eat(',') {
            return Ok(found);
        }
    }
}

fn option(cursor: &mut Cursor) -> Result<TcpOption, Error> {
    let line = cursor.line();
    let Some(word) = cursor.word() else {
        return Err(cursor.wrong("a TCP option"));
    };
    Ok(match word.as_str() {
        "nop" => TcpOption::Nop,
        "eol" => TcpOption::End,
        "sackOK" => TcpOption::SackPermitted,
        "mss" => TcpOption::Mss(cursor.int()?),
        "wscale" => TcpOption::WindowScale(cursor.int()?),
        "TS" => {
            if !cursor.eat_word("val") {
                return Err(cursor.wrong("`val`"));
            }
            let val = cursor.int()?;
            if !cursor.eat_word("ecr") {
                return Err(cursor.wrong("`ecr`"));
            }
            let ecr = cursor.int()?;
            TcpOption::Timestamps { val, ecr }
        }
        "sack" => {
            let mut blocks = Vec::new();
            while matches!(cursor.kind(), Some(Kind::Int(_))) {
                let left = cursor.int()?;
                cursor.expect(':')?;
                blocks.push((left, cursor.int()?));
            }
            TcpOption::Sack(blocks)
        }
        "FO" if cursor.eat_word(COOKIE_GIVEN) => TcpOption::FastOpenGiven,
        "FO" => TcpOption::FastOpen(hex(cursor)?),
        "FOEXP" => TcpOption::FastOpenExperimental(hex(cursor)?),
        other => return Err(Error::new(line, format!("unknown TCP option: {other}"))),
    })
}

/// The bytes of a cookie, if there is one.
fn hex(cursor: &mut Cursor) -> Result<Vec<u8>, Error> {
    let line = cursor.line();
    let text = cursor.word().unwrap_or_default();
    let bad = || Error::new(line, format!("not bytes in hexadecimal: {text}"));
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return Err(bad());
    }
    let pairs = (0..text.len()).step_by(2).map(|at| &text[at..at + 2]);
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).map_err(|_| bad()))
        .collect()
}

/// `unreachable frag_needed mtu 1400 [1:1461(1460)]`; without the segment, one of nothing at 0.
fn icmp(cursor: &mut Cursor, quoted: Option<(u32, u32)>) -> Result<Icmp, Error> {
    let line = cursor.line();
    let kind = cursor.word().unwrap_or_default();
    let code = match cursor.kind() {
        Some(Kind::Word(word)) if word != "mtu" => cursor.word(),
        _ => None,
    };
    let known = ICMP_ERRORS
        .iter()
        .find(|(name, sub, ..)| *name == kind && *sub == code.as_deref());
    let Some((_, _, kind, code)) = known else {
        let text = format!("unknown ICMP error: {kind} {}", code.unwrap_or_default());
        return Err(Error::new(line, text.trim_end()));
    };
    let mtu = if cursor.eat_word("mtu") {
        Some(cursor.int()?)
    } else {
        None
    };
    let quoted = match quoted {
        Some(quoted) => quoted,
        None if cursor.eat('[') => {
            let quoted = seq(cursor)?;
            cursor.expect(']')?;
            quoted
        }
        None => (0, 0),
    };
    let (seq, len) = quoted;
    Ok(Icmp {
        kind: *kind,
        code: *code,
        mtu,
        seq,
        len,
    })
}

/// ICMP errors by packetdrill's names: type and code (RFC 792, RFC 1122 3.2.2.1).
const ICMP_ERRORS: [(&str, Option<&str>, u8, u8); 21] = [
    ("unreachable", None, 3, 0),
    ("unreachable", Some("net_unreachable"), 3, 0),
    ("unreachable", Some("host_unreachable"), 3, 1),
    ("unreachable", Some("protocol_unreachable"), 3, 2),
    ("unreachable", Some("port_unreachable"), 3, 3),
    ("unreachable", Some("frag_needed"), 3, 4),
    ("unreachable", Some("source_route_failed"), 3, 5),
    ("unreachable", Some("net_unknown"), 3, 6),
    ("unreachable", Some("host_unknown"), 3, 7),
    ("unreachable", Some("source_host_isolated"), 3, 8),
    ("unreachable", Some("net_prohibited"), 3, 9),
    ("unreachable", Some("host_prohibited"), 3, 10),
    ("unreachable", Some("net_unreachable_for_tos"), 3, 11),
    ("unreachable", Some("host_unreachable_for_tos"), 3, 12),
    ("unreachable", Some("packet_filtered"), 3, 13),
    ("unreachable", Some("precedence_violation"), 3, 14),
    ("unreachable", Some("precedence_cutoff"), 3, 15),
    ("source_quench", None, 4, 0),
    ("redirect", None, 5, 0),
    ("time_exceeded", None, 11, 0),
    ("parameter_problem", None, 12, 0),
];
