//! A flood of SYNs, as fast as a core makes them, while Linux clients connect to our stack.
//!
//! ```text
//!   namespace 1   raw socket: SYNs from 65,536 addresses ─ TAP ─┐
//!                                                               ├─ relay ─ SimPort ─ our Stack
//!   namespace 2   Linux client, one connection after the other ─ TAP ─┘
//! ```
//!
//! The flood comes by way of the gateway, so every SYN-ACK finds its way back to it, and to nobody
//! else: the addresses (RFC 2544's) exist in these namespaces only. What the relay cannot take is
//! dropped by the flood's own TAP device, as by a switch; the client has another.

use super::exchange::{self, Op, Work};
use super::netns::{Netns, joined};
use super::ours::{Frames, OurHost};
use super::relay::Relay;
use super::sockets;
use super::tap::LinuxHost;
use super::transfer::{CLIENT, SERVER, introduce};
use super::{PORT, addr};
use crate::text;
use anyhow::{Context, Result, bail};
use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket};
use simoom::tcp::seqnum::{SeqNum, WireWnd, WndScale};
use simoom::wire::checksum::Sum;
use simoom::wire::ipv4;
use simoom::wire::tcp::{CSUM_OFFSET, Ctl, Options, Repr, Timestamps};
use simoom_sim::{Rng, Wire};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flooded {
    /// SYNs a second that were made, and that our stack was given.
    pub(crate) made_per_s: u64,
    pub(crate) taken_per_s: u64,
    /// Clients that connected and were served, one after the other.
    pub(crate) clients: usize,
    /// The longest time that one of them took to connect.
    pub(crate) slowest: Duration,
    /// Bytes that this program has grown by while it went on.
    pub(crate) grown_len: u64,
}

/// Floods for about so long.
///
/// # Errors
/// No namespaces; a client that is refused, wrongly answered or slow; memory that moves.
pub(crate) fn run(span: Duration) -> Result<Flooded> {
    // What is made once is none of the flood's.
    exchange::content();
    let wire = Wire::new(1);
    wire.record_len_max(0);
    let mut frames = Frames::new();
    let pool = frames.pool();
    let flooded = {
        let mut relay = Relay::new(wire.clone());
        let mut ours = OurHost::new(&wire, SERVER, &pool, 1)?;
        let cidr = ours.stack.cidr().context("an address")?;
        ours.stack.configure(cidr, Some(addr(GATEWAY).into()));
        let (client, gateway) = (
            LinuxHost::new(&wire, CLIENT)?,
            LinuxHost::new(&wire, GATEWAY)?,
        );
        let (ends, flooded) = ([ours.end, client.end], gateway.netns.clone());
        relay.ours = Some(ours);
        relay.linux = vec![client, gateway];
        introduce(&mut relay, ends)?;
        let flood = Flood::start(&flooded)?;
        let flooded = clients_through(&mut relay, &flood, span);
        flood.stop()?;
        let flooded = flooded?;
        // What is half-open has no frames, and half a minute left.
        let conns = |ours: &OurHost<'_>| ours.stack.levels().conns;
        relay
            .run(LIMIT, |relay| Ok(relay.ours.as_ref().map_or(0, conns) == 0))
            .context("connections stay open")?;
        flooded
    };
    if !pool.all_home() {
        bail!("frames are lost: {pool:?}");
    }
    Ok(flooded)
}

/// The clients, once the SYN queue is full.
fn clients_through(relay: &mut Relay<'_>, flood: &Flood, span: Duration) -> Result<Flooded> {
    let syns = |relay: &Relay<'_>| {
        relay
            .ours
            .as_ref()
            .map_or(0, |ours| ours.stack.levels().syns)
    };
    let cookies = |relay: &Relay<'_>| {
        let ours = relay.ours.as_ref();
        ours.map_or(0, |ours| ours.stack.counters().tcp_cookies_sent)
    };
    relay
        .run(LIMIT, |relay| Ok(cookies(relay) > WARM_UP_COOKIES))
        .context("the flood does not fill the SYN queue")?;
    let full = syns(relay);
    let (rss_len, segments_in) = (rss_len()?, segments_in(relay));
    let (made, begun) = (flood.made.load(Ordering::Relaxed), Instant::now());

    let remote = SocketAddr::from((addr(SERVER), PORT));
    let client = relay.linux[0]
        .netns
        .spawn(move || connect_for(span, remote));
    let mut highest = 0;
    relay.run(span + LIMIT, |relay| {
        highest = highest.max(syns(relay));
        Ok(client.is_finished())
    })?;
    let (clients, slowest) = joined(client)?;

    let took = begun.elapsed().as_secs_f64();
    let rate = |cnt: u64| (cnt as f64 / took) as u64;
    let flooded = Flooded {
        made_per_s: rate(flood.made.load(Ordering::Relaxed) - made),
        taken_per_s: rate(self::segments_in(relay) - segments_in),
        clients,
        slowest,
        grown_len: self::rss_len()?.saturating_sub(rss_len),
    };
    if highest > full {
        bail!("the SYN queue has grown from {full} to {highest}");
    }
    // What the machine kept the relay from is no fault of the stack.
    let late = Duration::from_micros(relay.lag.worst_us);
    if slowest > CONNECT_MAX + late {
        bail!("a client took {slowest:?} to connect, of which the relay {late:?} at most");
    }
    if flooded.grown_len > GROWN_MAX {
        bail!("memory moves: by {} bytes", flooded.grown_len);
    }
    Ok(flooded)
}

fn segments_in(relay: &Relay<'_>) -> u64 {
    let ours = relay.ours.as_ref();
    ours.map_or(0, |ours| ours.stack.counters().tcp_segments_in)
}

/// Connects, asks, closes, for so long: how often, and the longest time to connect.
fn connect_for(span: Duration, remote: SocketAddr) -> Result<(usize, Duration)> {
    let work = Work {
        op: Op::Get,
        len: 1_000,
        times: 1,
        is_kept: false,
    };
    let (begun, mut clients, mut slowest) = (Instant::now(), 0, Duration::ZERO);
    while begun.elapsed() < span {
        let (mut stream, took) = sockets::connect_timed(remote)?;
        slowest = slowest.max(took);
        sockets::exchange(&mut stream, work.request(clients as u32))?;
        clients += 1;
    }
    Ok((clients, slowest))
}

/// Who floods.
struct Flood {
    made: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Result<()>>,
}

impl Flood {
    fn start(netns: &Netns) -> Result<Self> {
        let (made, is_over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (counted, told) = (Arc::clone(&made), Arc::clone(&is_over));
        let thread = netns.spawn(move || {
            let raw = socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::RAW))
                .context("a raw socket")?;
            let to = SocketAddrV4::new(addr(SERVER), 0);
            let mut rng = Rng::new(1);
            let syns: Vec<Vec<u8>> = (0..SOURCES).map(|n| syn(n, &mut rng)).collect();
            for syn in syns.iter().cycle() {
                // What finds the device's queue full is lost, and was made all the same.
                let _ = sendto(&raw, syn, SendFlags::empty(), &to);
                counted.fetch_add(1, Ordering::Relaxed);
                if told.load(Ordering::Relaxed) {
                    break;
                }
            }
            Ok(())
        });
        Ok(Self {
            made,
            is_over,
            thread,
        })
    }

    fn stop(self) -> Result<()> {
        self.is_over.store(true, Ordering::Relaxed);
        joined(self.thread)
    }
}

/// A SYN with its IP header: each source has one, half of them with all options.
fn syn(n: u32, rng: &mut Rng) -> Vec<u8> {
    let has_options = n.is_multiple_of(2);
    let timestamps = Timestamps {
        val: rng.next_u64() as u32,
        ecr: 0,
    };
    let repr = Repr {
        src_port: 1_024 + rng.below(60_000) as u16,
        dst_port: PORT,
        seq: SeqNum(rng.next_u64() as u32),
        ack: None,
        ctl: Ctl::SYN,
        wnd: WireWnd(64_240),
        options: Options {
            mss: Some(1_460),
            wscale: has_options.then_some(WndScale::from_wire(7)),
            sack_permitted: has_options,
            timestamps: has_options.then_some(timestamps),
            ..Options::default()
        },
    };
    let len = repr.header_len();
    let mut segment = vec![0; len];
    repr.emit(&mut segment);
    let (src, dst) = (Ipv4Addr::from(SOURCES_FIRST + n), addr(SERVER));
    let proto = simoom::ip::proto::TCP;
    let mut sum = Sum::pseudo_header(src.into(), dst.into(), proto, len as u16);
    sum.add(&segment);
    let at = usize::from(CSUM_OFFSET);
    segment[at..at + 2].copy_from_slice(&sum.finish().to_be_bytes());
    let header = ipv4::Repr {
        tos: 0,
        total_len: (ipv4::HEADER_LEN + len) as u16,
        ident: 1,
        ttl: 64,
        proto,
        src,
        dst,
    };
    [&header.emit()[..], &segment].concat()
}

/// Bytes of memory that this program has.
fn rss_len() -> Result<u64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let row = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = row.and_then(|row| row.split_whitespace().next());
    Ok(kib.context("no such row")?.parse::<u64>()? * 1_024)
}

impl std::fmt::Display for Flooded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            made_per_s,
            taken_per_s,
            clients,
            slowest,
            grown_len,
        } = self;
        write!(
            f,
            "{made_per_s} SYNs/s made, {taken_per_s}/s taken; {clients} clients, the slowest \
             connected in {:.1} ms; memory +{}",
            slowest.as_secs_f64() * 1e3,
            text::bytes(*grown_len)
        )
    }
}

/// The host that the flood comes through.
const GATEWAY: u8 = 3;
/// 198.18.0.0/15 is for benchmarks, and in no other network.
const SOURCES_FIRST: u32 = 0xc612_0000;
const SOURCES: u32 = 1 << 16;
/// SYNs that find the queue full before the clients begin: by then every buffer has its size.
const WARM_UP_COOKIES: u64 = 20_000;
/// The bar.
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// What the harness's own buffers may grow by: the stack allocates nothing.
const GROWN_MAX: u64 = 4 << 20;
/// How long anything may take that takes a moment.
const LIMIT: Duration = Duration::from_secs(20);
