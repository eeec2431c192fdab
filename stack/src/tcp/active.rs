//! Active OPEN: connections that begin here.

use super::app::{App, ConnId};
use super::demux::Found;
use super::ecn::{Ecn, EcnUse};
use super::flags::TcbFlags;
use super::state::Event;
use super::tcb::Tcb;
use super::ts::Ts;
use super::tuple::Tuple;
use super::{Tcp, smss_to};
use crate::addr::{Addr, Endpoint, FourTuple};
use crate::net::Net;
use crate::time::Instant;

/// Why a connection cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// Not the address of one host, or port 0.
    BadRemote,
    /// There is no address to connect from yet.
    NoAddress,
    /// All ports towards this endpoint are taken.
    NoPort,
    /// The connection table is full.
    Full,
}

impl core::fmt::Display for ConnectError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::BadRemote => "not an endpoint that can be connected to",
            Self::NoAddress => "no address yet",
            Self::NoPort => "no free port",
            Self::Full => "too many connections",
        })
    }
}

impl core::error::Error for ConnectError {}

impl<'p, A: App> Tcp<'p, A> {
    /// Active OPEN. The SYN goes out at the next poll.
    pub(crate) fn connect(
        &mut self,
        net: &Net<'p>,
        now: Instant,
        remote: Endpoint,
        state: A::Conn,
    ) -> Result<ConnId, ConnectError> {
        // RFC 9293 3.9.2.3, MUST-46: one host, or it is an error.
        let is_loopback = remote.addr.as_v4().is_some_and(|addr| addr.is_loopback());
        let is_host = remote.addr.is_unicast() && !net.is_broadcast(remote.addr);
        if !is_host || is_loopback || remote.port == 0 {
            return Err(ConnectError::BadRemote);
        }
        let addr = net.addr().ok_or(ConnectError::NoAddress)?;
        if !self.conns.has_free() {
            return Err(ConnectError::Full);
        }
        let tuple = self.free_tuple(addr, remote).ok_or(ConnectError::NoPort)?;
        let smss = smss_to(net, remote.addr, Some(net.rmss()), now);
        let secret = self.isn_key.of(tuple);
        let starts = (secret.iss(now), smss);
        let mut tcb = Tcb::new(tuple, starts, self.settings.congestion);
        tcb.transition(Event::ActiveOpen);
        // What we offer; their answer decides.
        tcb.flags.put(TcbFlags::SACK_PERMITTED, self.settings.sack);
        tcb.ecn = Ecn::agreed(self.settings.ecn == EcnUse::Ask);
        tcb.rcv.wscale = self.our_wscale(net);
        tcb.rcv.quick_acks = self.settings.quick_acks;
        if self.settings.timestamps {
            tcb.ts = Ts::on(secret.ts_offset(), 0, tcb.rcv.nxt, now);
        }
        let idx = self
            .conns
            .insert(tcb, Some(state))
            .ok_or(ConnectError::Full)?;
        if !self.demux.insert(self.demux.hash(tuple), Found::Conn(idx)) {
            self.conns.remove(idx);
            return Err(ConnectError::Full);
        }
        self.conns.push_ready(idx);
        Ok(self.conns.id(idx))
    }

    /// A four-tuple that is free, its port drawn at random (RFC 6056 3.3.1) among those that nobody
    /// listens on.
    fn free_tuple(&mut self, addr: Addr, remote: Endpoint) -> Option<Tuple> {
        let first = self.random.below(PORTS_CNT.into()) as u16;
        // A bounded search: almost every try succeeds unless almost every port is taken.
        (0..PORT_TRIES_MAX).find_map(|n| {
            let port = PORTS_FIRST + first.wrapping_add(n) % PORTS_CNT;
            let local = Endpoint { addr, port };
            let tuple = Tuple::new(&FourTuple { local, remote })?;
            let is_free = self.listeners.find(port).is_none()
                && self.find(self.demux.hash(tuple), tuple).is_none();
            is_free.then_some(tuple)
        })
    }
}

/// All ports but the well-known ones: the more there are, the harder to guess (RFC 6056 3.2).
const PORTS_FIRST: u16 = 1_024;
const PORTS_CNT: u16 = 64_512;

/// Ports that are tried for one active open.
const PORT_TRIES_MAX: u16 = 64;
