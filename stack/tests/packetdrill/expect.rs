//! What was sent against what is expected.

use std::net::IpAddr;

use super::content;
use super::flow::Flow;
use super::machine::{self, OUR_MAC, PEER_MAC};
use super::run::{Runner, ports_text};
use super::script::{Body, IpInfo, Packet, Tos};
use super::tcp::{Flags, Segment};
use super::wire::{self, Ends};

impl Runner<'_, '_> {
    /// Waits for a packet, and compares it.
    pub(crate) fn outbound(
        &mut self,
        packet: &Packet,
        from_us: i64,
        until_us: i64,
    ) -> Result<(), String> {
        let Body::Tcp(expected) = &packet.body else {
            return Err("only TCP is expected".to_string());
        };
        let flow = self.flow(packet.ports);
        let ports = ports_text(packet.ports);
        let wanted = format!("{ports}{expected}");
        while self.machine.sent.is_empty() {
            if self.machine.now_us() >= until_us {
                let at = self.machine.now_us() as f64 / 1e6;
                return Err(format!(
                    "missing segment\n  expected: > {wanted}\n  got:      nothing until {at:.6}"
                ));
            }
            self.step(until_us);
        }
        let mut expected = expected.clone();
        // What is longer than a packet can be stands for several in a row.
        let most = u32::from(self.config.mtu.saturating_sub(40));
        let is_several = expected.len > most;
        while expected.len > most {
            let len = self.first_len().unwrap_or(0);
            if len == 0 || len >= expected.len {
                break;
            }
            let mut piece = expected.clone();
            piece.len = len;
            piece.flags = Flags(piece.flags.0 & !(Flags::PSH | Flags::FIN));
            self.compare(&piece, packet.ip, flow, (from_us, until_us), true)?;
            expected.seq = expected.seq.wrapping_add(len);
            expected.len -= len;
            while self.machine.sent.is_empty() && self.machine.now_us() < until_us {
                self.step(until_us);
            }
        }
        // Linux pushes at the end of each write, we at the end of the queue.
        let is_push_free = is_several && expected.is(Flags::PSH);
        self.compare(
            &expected,
            packet.ip,
            flow,
            (from_us, until_us),
            is_push_free,
        )
    }

    /// Payload bytes of the next segment that was sent.
    fn first_len(&self) -> Option<u32> {
        let sent = self.machine.sent.front()?;
        let datagram = wire::datagram(sent.bytes.get(14..)?).ok()?;
        let (segment, ..) = Segment::parse(datagram.payload).ok()?;
        Some(segment.len)
    }

    /// Takes the next packet that was sent, and compares it with a segment.
    fn compare(
        &mut self,
        expected: &Segment,
        ip: IpInfo,
        flow: usize,
        (from_us, until_us): (i64, i64),
        is_push_free: bool,
    ) -> Result<(), String> {
        let Some(sent) = self.machine.sent.pop_front() else {
            return Err(format!(
                "missing segment\n  expected: > {expected}\n  got:      nothing"
            ));
        };
        let at_us = machine::micros(sent.at);
        let (wire, tos, ends) = self.taken_apart(&sent.bytes)?;
        let mut expected = expected.clone();
        if expected.names_cookie() {
            let given = wire.cookie().map(<[u8]>::to_vec);
            self.cookie = self.cookie.take().or(given);
            expected.put_cookie(self.cookie.as_deref())?;
        }
        let expected = &expected;
        let known = &mut self.flows[flow];
        if known.local_port.is_none() && wire.is(Flags::SYN) {
            known.local_port = Some(ends.src_port);
        }
        let ports = (Some(ends.src_port), ends.dst_port);
        let is_same_flow = (known.local_port, known.remote_port) == ports;
        if is_same_flow {
            known.learn(&wire, expected);
        }
        // In the numbers of the flow that it belongs to.
        let is_it = |known: &&Flow| (known.local_port, known.remote_port) == ports;
        let known = self.flows.iter().find(is_it).unwrap_or(&self.flows[flow]);
        let mut got = known.map_outbound(&wire);
        self.log(at_us, &format!("> {got}"));
        if is_push_free {
            let push = expected.flags.0 & Flags::PSH;
            got.flags = Flags(got.flags.0 & !Flags::PSH | push);
        }
        let tick_us = u64::from(self.config.ts_tick_us);
        let ticks = self.config.tolerance_us.checked_div(tick_us);
        let mut wrong = expected.differences(&got, ticks.map(|ticks| ticks as u32));
        if !is_same_flow {
            wrong.push("ports");
        }
        let is_tos = match ip.tos {
            None => true,
            Some(Tos::Ecn(ecn)) => tos & 3 == ecn,
            Some(Tos::Whole(whole)) => tos == whole,
            Some(Tos::AnyEct) => matches!(tos & 3, 1 | 2),
        };
        if !is_tos {
            wrong.push("ECN or type of service");
        }
        if !wrong.is_empty() {
            let ports = if is_same_flow {
                String::new()
            } else {
                ports_text(Some((ends.src_port, ends.dst_port)))
            };
            return Err(format!(
                "wrong {}\n  expected: > {expected}\n  got:      > {ports}{got} (tos {tos:#x})",
                wrong.join(", ")
            ));
        }
        if !content::is_at(got.text_seq(), &payload(&sent.bytes)) {
            return Err(format!("wrong payload\n  got:      > {got}"));
        }
        if at_us < from_us || at_us > until_us {
            let times = [from_us, until_us, at_us].map(|us| us as f64 / 1e6);
            let [from, until, at] = times;
            return Err(format!(
                "wrong time\n  expected: > {expected} between {from:.6} and {until:.6}\n  \
                 got:      > {got} at {at:.6}"
            ));
        }
        Ok(())
    }

    /// A segment of ours, the type of service, and its ends, after everything has been checked
    /// that can be without knowing what is expected.
    fn taken_apart(&self, frame: &[u8]) -> Result<(Segment, u8, Ends), String> {
        let is_addressed = frame.starts_with(&PEER_MAC.0) && frame[6..].starts_with(&OUR_MAC.0);
        if !is_addressed || frame.get(12..14) != Some(&wire::IPV4[..]) {
            return Err(format!("not a frame that was expected: {frame:02x?}"));
        }
        let datagram = wire::datagram(&frame[14..])?;
        let addresses: (IpAddr, IpAddr) = (datagram.src, datagram.dst);
        if datagram.proto != wire::TCP || addresses != (self.config.local, self.config.remote) {
            return Err(format!("not a packet that was expected: {datagram:02x?}"));
        }
        let (segment, [src_port, dst_port], _) = Segment::parse(datagram.payload)?;
        let ends = Ends {
            src: datagram.src,
            dst: datagram.dst,
            src_port,
            dst_port,
        };
        if wire::transport_checksum(&ends, wire::TCP, datagram.payload) != 0 {
            return Err(format!("a wrong TCP checksum: > {segment}"));
        }
        Ok((segment, datagram.tos, ends))
    }

    /// What was sent and never expected, in text.
    pub(crate) fn unexpected(&mut self) -> Option<String> {
        let sent = self.machine.sent.pop_front()?;
        let at = machine::micros(sent.at) as f64 / 1e6;
        Some(match self.taken_apart(&sent.bytes) {
            Ok((wire, ..)) => format!(
                "> {} at {at:.6}",
                self.flows[self.current].map_outbound(&wire)
            ),
            Err(text) => text,
        })
    }
}

/// The payload of a segment in a frame.
fn payload(frame: &[u8]) -> Vec<u8> {
    let datagram = frame.get(14..).and_then(|bytes| wire::datagram(bytes).ok());
    let parsed = datagram.and_then(|datagram| Segment::parse(datagram.payload).ok());
    parsed.map_or(Vec::new(), |(.., payload)| payload.to_vec())
}
