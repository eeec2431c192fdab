//! Runs a script: every event at its time, everything that is sent against what is expected.

use std::cell::RefCell;
use std::rc::Rc;

use simoom::FourTuple;
use simoom_ring::{FrameMemory, FrameMeta, FramePool};

use super::asserts;
use super::config::Config;
use super::content;
use super::flow::Flow;
use super::lex::Error;
use super::machine::{self, Machine, OUR_MAC, PEER_MAC};
use super::parse::parse;
use super::script::{Action, Body, Call, Event, Expr, Icmp, Packet, Script, Tos, When};
use super::sockets::{Calling, Reply, Sockets};
use super::wire::{self, Ends};

/// What happened, line by line; shared, so that it outlives a panic.
pub(crate) type Trace = Rc<RefCell<Vec<String>>>;

/// Runs a script from its text.
pub(crate) fn run(text: &str, trace: &Trace) -> Result<(), Error> {
    let script = parse(text)?;
    let mut config = Config::new(&script.options)?;
    // Settings are the stack's from its start on: they come before everything else.
    let is_shell = |event: &&Event| matches!(event.action, Action::Shell(_));
    let first_cnt = script.events.iter().take_while(is_shell).count();
    for event in &script.events[..first_cnt] {
        if let Action::Shell(text) = &event.action {
            config.shell(event.line, text)?;
        }
    }
    let mut memory = vec![FrameMemory::ZERO; config.frames];
    let mut metas: Vec<FrameMeta> = (0..config.frames).map(|_| FrameMeta::new()).collect();
    let pool = FramePool::new(&mut memory, &mut metas);
    let ran = run_over(&pool, &config, &script, first_cnt, trace);
    if ran.is_ok() && !pool.all_home() {
        let last = script.events.last().map_or(1, |event| event.line);
        return Err(Error::new(last, format!("frames are not home: {pool:?}")));
    }
    ran
}

fn run_over(
    pool: &FramePool<'_>,
    config: &Config,
    script: &Script,
    first_cnt: usize,
    trace: &Trace,
) -> Result<(), Error> {
    let mut runner = Runner {
        machine: Machine::new(config, pool)?,
        config,
        sockets: Sockets::default(),
        flows: vec![Flow::new(Some(config.bind_port), config.remote_port)],
        current: 0,
        cookie: None,
        blocked: None,
        last_inbound_us: None,
        trace: trace.clone(),
    };
    for event in &script.events[first_cnt..] {
        runner
            .event(event)
            .map_err(|text| Error::new(event.line, text))?;
        // A call that blocked may have returned in the meantime, wrongly.
        runner.check_blocked()?;
    }
    runner.finish()?;
    let line = script.events.last().map_or(1, |event| event.line);
    if let Some(text) = runner.unexpected() {
        return Err(Error::new(
            line,
            format!("sent and not expected\n  got:      {text}"),
        ));
    }
    runner.sockets.abort_all(&mut runner.machine);
    let levels = runner.machine.stack.levels();
    if levels.conns != 0 || levels.bodies != 0 {
        let text = format!("connections are left after all were aborted: {levels:?}");
        return Err(Error::new(line, text));
    }
    Ok(())
}

/// A call that waits.
pub(crate) struct Blocked<'s> {
    call: &'s Call,
    line: u32,
    /// When it is to return, in microseconds of the script.
    end_us: i64,
    /// What it has returned, and when.
    returned: Option<(Result<Reply, String>, i64)>,
}

pub(crate) struct Runner<'s, 'p> {
    pub(crate) machine: Machine<'p>,
    pub(crate) config: &'s Config,
    pub(crate) sockets: Sockets,
    pub(crate) flows: Vec<Flow>,
    /// The flow that lines without ports are about.
    pub(crate) current: usize,
    /// The Fast Open cookie that the stack has given, once it is known.
    pub(crate) cookie: Option<Vec<u8>>,
    blocked: Option<Blocked<'s>>,
    /// When the last event was due, if it was an inbound packet.
    last_inbound_us: Option<i64>,
    trace: Trace,
}

impl<'s> Runner<'s, '_> {
    pub(crate) fn log(&self, at_us: i64, text: &str) {
        let line = format!("{:.6} {text}", at_us as f64 / 1e6);
        self.trace.borrow_mut().push(line);
    }

    fn event(&mut self, event: &'s Event) -> Result<(), String> {
        let is_inbound = matches!(event.action, Action::Inbound(_));
        // As packetdrill has it: after an inbound packet an inbound packet counts from when that
        // one was due, everything else from now.
        let now_us = self.machine.now_us();
        let base_us = self
            .last_inbound_us
            .filter(|_| is_inbound)
            .unwrap_or(now_us);
        let tolerance_us = self.config.tolerance_us as i64;
        let (start_us, end_us) = match event.when {
            When::At(at) => (at, at),
            When::After(by) => (base_us + by, base_us + by),
            When::Between(from, to) => (from, to),
            When::AfterBetween(from, to) => (base_us + from, base_us + to),
            When::Any => (i64::MIN / 2, now_us + ANY_TIME_US),
        };
        self.last_inbound_us = is_inbound.then_some(start_us);
        match &event.action {
            Action::Outbound(packet) => {
                let tolerance_us = if event.when == When::Any {
                    0
                } else {
                    tolerance_us
                };
                return self.outbound(packet, start_us - tolerance_us, end_us + tolerance_us);
            }
            _ if start_us < now_us - tolerance_us => {
                let (start, now) = (start_us as f64 / 1e6, now_us as f64 / 1e6);
                return Err(format!("time goes backwards: {start:.6} after {now:.6}"));
            }
            Action::Call(_) => self.wait_for_call()?,
            _ => {}
        }
        self.go_to(start_us);
        match &event.action {
            Action::Inbound(packet) => self.inbound(packet),
            Action::Outbound(_) => Ok(()),
            Action::Call(call) => {
                let base_us = if matches!(event.when, When::At(_)) {
                    0
                } else {
                    base_us
                };
                self.call(call, event.line, call.end.map(|end_us| base_us + end_us))
            }
            Action::Code(code) => {
                let now = self.machine.now();
                let id = self.sockets.newest.ok_or("no connection to look at")?;
                let status = self
                    .machine
                    .stack
                    .with_conn(now, id, |conn, _| conn.status());
                asserts::check(code, status.as_ref())
            }
            Action::Shell(text) => {
                let mut config = Config::default();
                config.shell(event.line, text).map_err(|error| error.text)?;
                match config.sysctls.first() {
                    None => Ok(()),
                    Some((_, name, _)) => Err(format!("{name} comes after the first event")),
                }
            }
        }
    }

    /// One step of time, and a look at whoever waits for something.
    pub(crate) fn step(&mut self, until_us: i64) {
        self.machine.step(machine::instant(until_us));
        self.settle();
    }

    /// What follows from something that has happened.
    fn settle(&mut self) {
        self.sockets.refuse(&mut self.machine);
        self.machine.poll();
        let Some(blocked) = self.blocked.as_mut().filter(|b| b.returned.is_none()) else {
            return;
        };
        let call = blocked.call;
        let reply = self.calling(call, |calling| calling.run_again());
        if reply == Ok(Reply::Blocks) {
            return;
        }
        let now_us = self.machine.now_us();
        self.log(now_us, &format!("returns: {call}"));
        if let Some(blocked) = &mut self.blocked {
            blocked.returned = Some((reply, now_us));
        }
        self.machine.poll();
    }

    fn go_to(&mut self, until_us: i64) {
        while self.machine.now_us() < until_us {
            self.step(until_us);
        }
    }

    fn calling<R>(&mut self, call: &Call, act: impl FnOnce(&mut Calling<'_, '_>) -> R) -> R {
        let (flows, current) = (&self.flows, self.current);
        let starts = |tuple: FourTuple| {
            let ports = (tuple.local.port, tuple.remote.port);
            let is_it =
                |flow: &&Flow| (flow.local_port, flow.remote_port) == (Some(ports.0), ports.1);
            let flow = flows.iter().find(is_it).unwrap_or(&flows[current]);
            (flow.our_start(), flow.their_start())
        };
        act(&mut Calling {
            sockets: &mut self.sockets,
            machine: &mut self.machine,
            config: self.config,
            starts: &starts,
            call,
        })
    }

    fn call(&mut self, call: &'s Call, line: u32, end_us: Option<i64>) -> Result<(), String> {
        let now_us = self.machine.now_us();
        self.log(now_us, &call.to_string());
        let reply = self.calling(call, |calling| calling.run())?;
        if call.name == "connect" && matches!(reply, Reply::Errno("EINPROGRESS") | Reply::Blocks) {
            let port = self.config.connect_port;
            self.flows.push(Flow::new(None, port));
            self.current = self.flows.len() - 1;
        }
        self.settle();
        match (reply, end_us) {
            (Reply::Blocks, Some(end_us)) => {
                self.blocked = Some(Blocked {
                    call,
                    line,
                    end_us,
                    returned: None,
                });
                Ok(())
            }
            (Reply::Blocks, None) => Err(format!(
                "it would block: write +0...0.1 {} for that",
                call.name
            )),
            (reply, Some(end_us)) => {
                is_expected(call, reply)?;
                self.is_in_time(end_us, now_us)
            }
            (reply, None) => is_expected(call, reply),
        }
    }

    fn is_in_time(&self, end_us: i64, at_us: i64) -> Result<(), String> {
        if (at_us - end_us).unsigned_abs() <= self.config.tolerance_us {
            return Ok(());
        }
        let (end, at) = (end_us as f64 / 1e6, at_us as f64 / 1e6);
        Err(format!(
            "wrong time: expected to return at {end:.6}, returned at {at:.6}"
        ))
    }

    /// A second call waits until the first has returned.
    fn wait_for_call(&mut self) -> Result<(), String> {
        let tolerance_us = self.config.tolerance_us as i64;
        while let Some(blocked) = self.blocked.as_ref().filter(|b| b.returned.is_none()) {
            let until_us = blocked.end_us + tolerance_us;
            if self.machine.now_us() >= until_us {
                break;
            }
            self.step(until_us);
        }
        self.check_blocked().map_err(|error| error.text)
    }

    /// Judges a call that waited, once it has returned or should have.
    fn check_blocked(&mut self) -> Result<(), Error> {
        let now_us = self.machine.now_us();
        let tolerance_us = self.config.tolerance_us as i64;
        let is_due = |b: &Blocked<'_>| b.returned.is_some() || now_us >= b.end_us + tolerance_us;
        if !self.blocked.as_ref().is_some_and(is_due) {
            return Ok(());
        }
        let Some(blocked) = self.blocked.take() else {
            return Ok(());
        };
        let judged = match blocked.returned {
            None => Err(format!("{} has not returned", blocked.call.name)),
            Some((reply, at_us)) => reply
                .and_then(|reply| is_expected(blocked.call, reply))
                .and_then(|()| self.is_in_time(blocked.end_us, at_us)),
        };
        judged.map_err(|text| Error::new(blocked.line, text))
    }

    /// The end: a call that waits has until its time.
    fn finish(&mut self) -> Result<(), Error> {
        if let Some(line) = self.blocked.as_ref().map(|blocked| blocked.line) {
            self.wait_for_call()
                .map_err(|text| Error::new(line, text))?;
        }
        Ok(())
    }

    /// The flow that a line is about: the current one, or that of its ports (ours, theirs).
    pub(crate) fn flow(&mut self, ports: Option<(u16, u16)>) -> usize {
        let Some((local, remote)) = ports else {
            return self.current;
        };
        let is_it = |flow: &Flow| (flow.local_port, flow.remote_port) == (Some(local), remote);
        self.flows.iter().position(is_it).unwrap_or_else(|| {
            self.flows.push(Flow::new(Some(local), remote));
            self.flows.len() - 1
        })
    }

    /// Both ends of a flow, in the direction of what comes in.
    fn ends(&self, flow: usize) -> Result<Ends, String> {
        let flow = &self.flows[flow];
        let local = flow.local_port;
        Ok(Ends {
            src: self.config.remote,
            dst: self.config.local,
            src_port: flow.remote_port,
            dst_port: local.ok_or("our port is not known before our SYN has been seen")?,
        })
    }

    fn inbound(&mut self, packet: &Packet) -> Result<(), String> {
        let Packet { ip, ports, body } = packet;
        let flow = self.flow(ports.map(|(src, dst)| (dst, src)));
        let ends = self.ends(flow)?;
        let (proto, payload) = match body {
            Body::Tcp(segment) => {
                let now_us = self.machine.now_us();
                self.log(now_us, &format!("< {}{segment}", ports_text(*ports)));
                let mut wire = self.flows[flow].map_inbound(segment)?;
                wire.put_cookie(self.cookie.as_deref())?;
                let text = content::bytes(segment.text_seq(), segment.len as usize);
                (wire::TCP, wire.emit(&ends, &text)?)
            }
            Body::Icmp(icmp) => {
                let now_us = self.machine.now_us();
                self.log(now_us, &format!("< {icmp}"));
                (wire::ICMP, self.icmp(icmp, flow, &ends))
            }
        };
        if payload.len() + 20 > usize::from(u16::MAX) {
            return Err("longer than a datagram can be".to_string());
        }
        let tos = match ip.tos {
            None => 0,
            Some(Tos::Ecn(tos) | Tos::Whole(tos)) => tos,
            Some(Tos::AnyEct) => return Err("[ect01] is for outbound packets".to_string()),
        };
        let ttl = ip.ttl.unwrap_or(64);
        let frame = wire::frame((PEER_MAC, OUR_MAC), &ends, (tos, ttl), proto, &payload);
        self.machine.arrive(&frame);
        self.settle();
        Ok(())
    }

    fn icmp(&self, icmp: &Icmp, flow: usize, ends: &Ends) -> Vec<u8> {
        let ours = Ends {
            src: ends.dst,
            dst: ends.src,
            src_port: ends.dst_port,
            dst_port: ends.src_port,
        };
        let seq = self.flows[flow].our_seq(icmp.seq);
        let quoted_len = 20 + icmp.len as usize;
        let mtu = icmp.mtu.unwrap_or(0);
        wire::icmp_error((icmp.kind, icmp.code, mtu), &ours, seq, quoted_len)
    }
}

pub(crate) fn ports_text(ports: Option<(u16, u16)>) -> String {
    ports.map_or(String::new(), |(src, dst)| format!("{src} > {dst} "))
}

/// Compares what a call returned with what the script says.
fn is_expected(call: &Call, reply: Reply) -> Result<(), String> {
    let found = match reply {
        Reply::Value(value) => value.to_string(),
        Reply::Errno(name) => format!("-1 {name}"),
        Reply::Blocks => "nothing yet".to_string(),
    };
    let is_same = match (&call.result, reply) {
        (Expr::Any, _) => true,
        (Expr::Int(-1), Reply::Errno(name)) => {
            let wanted = call.errno.as_deref();
            wanted.is_none_or(|wanted| {
                super::constants::named(wanted) == super::constants::named(name)
            })
        }
        (wanted, Reply::Value(value)) => super::constants::value(wanted)? == value,
        _ => false,
    };
    if is_same {
        return Ok(());
    }
    let wanted = match &call.errno {
        Some(errno) => format!("{} {errno}", call.result),
        None => call.result.to_string(),
    };
    Err(format!(
        "wrong result of {}\n  expected: {wanted}\n  got:      {found}",
        call.name
    ))
}

/// How long `*` waits: longer than any timer.
const ANY_TIME_US: i64 = 3_600_000_000;
