//! Fast Open (RFC 7413): a Linux client that brings its request in the SYN.
//!
//! The first connection asks for a cookie; those that follow bring it, and the answer comes after
//! one round trip instead of two.

use super::exchange::{Op, Work};
use super::netns::joined;
use super::ours::{Frames, OurHost};
use super::relay::Relay;
use super::sockets;
use super::tap::{LinuxHost, set};
use super::transfer::{CLIENT, SERVER, introduce};
use super::wires::WireKind;
use super::{PORT, addr};
use anyhow::{Context, Result, bail};
use nix::sys::socket::{setsockopt, sockopt::TcpFastOpenConnect};
use rustix::net::{AddressFamily, SocketType, connect, socket};
use simoom_sim::Wire;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Opens `times` connections one after the other over such a wire, each for one exchange; how many
/// of them were opened fast.
///
/// # Errors
/// No namespaces; a wrong or missing byte; on a wire that loses nothing, one that was not fast.
pub(crate) fn run(kind: &WireKind, times: u32) -> Result<u64> {
    let wire = Wire::new(1);
    let mut frames = Frames::new();
    let pool = frames.pool();
    let fast = {
        let mut relay = Relay::new(wire.clone());
        let mut ours = OurHost::new(&wire, SERVER, &pool, 1)?;
        ours.stack.set_fast_open(ours.listener, true);
        let client = LinuxHost::new(&wire, CLIENT)?;
        client.netns.run(|| {
            set("ipv4/tcp_fastopen", "1")?;
            // Else Linux gives up for an hour after a loss that it takes for a middlebox's.
            set("ipv4/tcp_fastopen_blackhole_timeout_sec", "0")
        })?;
        let (ends, netns) = ([ours.end, client.end], client.netns.clone());
        relay.ours = Some(ours);
        relay.linux.push(client);
        introduce(&mut relay, ends)?;
        wire.set_faults_all(&kind.faults());
        let work = Work {
            op: Op::Get,
            len: ANSWER_LEN,
            times,
            is_kept: false,
        };
        let client = netns.spawn(move || ask(SocketAddr::from((addr(SERVER), PORT)), work));
        relay.run(LIMIT, |_| Ok(client.is_finished()))?;
        joined(client)?;
        let quiet = |relay: &mut Relay<'_>| Ok(relay.ours.as_ref().is_none_or(OurHost::is_quiet));
        relay.run(LIMIT, quiet).context("connections stay open")?;
        let counters = relay.ours.as_ref().context("a server")?.stack.counters();
        let (given, fast) = (counters.tcp_fast_open_cookies, counters.tcp_fast_opens);
        let is_clean = kind.loss == simoom_sim::Chance::NEVER;
        if given == 0 || fast == 0 || is_clean && (given, fast) != (1, u64::from(times) - 1) {
            bail!("of {times} connections {fast} were opened fast, with {given} cookies given");
        }
        fast
    };
    if !pool.all_home() {
        bail!("frames are lost: {pool:?}");
    }
    Ok(fast)
}

/// One connection after the other, each with its request in the SYN if Linux has a cookie.
fn ask(remote: SocketAddr, work: Work) -> Result<()> {
    for n in 0..work.times {
        let fd = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        setsockopt(&fd, TcpFastOpenConnect, &true).context("TCP_FASTOPEN_CONNECT")?;
        connect(&fd, &remote)?;
        let mut stream = TcpStream::from(fd);
        sockets::prepare(&stream)?;
        let exchanged = sockets::exchange(&mut stream, work.request(n));
        exchanged.with_context(|| format!("connection {n}"))?;
    }
    Ok(())
}

/// More than an initial window.
const ANSWER_LEN: u32 = 30_000;
/// Longest time for all of it: then it is stuck, or a machine is.
const LIMIT: Duration = Duration::from_secs(120);
