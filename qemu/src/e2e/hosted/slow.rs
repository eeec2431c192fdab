//! 10,000 clients that are slow in one of four ways, and one that is not.

use super::clients::{resident_kib, start, wrk};
use super::in_namespace;
use crate::e2e::{Outcome, Served, World, within};
use crate::install;
use crate::text;
use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// Slow connections of each way.
const EACH_CNT: usize = 2_500;
/// Connections of the client that is not slow, and for how long it asks.
const CONNS: &str = "20";
const TIME: &str = "4s";
/// Those that drip take turns: one of so many at a time, with this between.
const TURNS: usize = 100;
const TURN: Duration = Duration::from_millis(10);
/// Slow connections that must be there still when the quick client is done: those that have closed
/// their side are not.
const OPEN_MIN: usize = 7_000;
/// How long the server is told to wait for anybody. Short, so that the end comes soon, and longer
/// than the quick client asks.
const WORDS: [&str; 4] = ["first-byte=16", "head-time=16", "idle=16", "send-rate=1000"];
/// How long all may take to be ended: the longest of these times, the look after it, and slack.
const END_LIMIT: Duration = Duration::from_secs(60);
/// What the process may take for all of them beside what it took for one client, KiB: its tables
/// are there from the start, and are touched now.
const MEMORY_MAX_KIB: u64 = 48 << 10;

/// A way to be slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// A head, byte by byte.
    Drips,
    /// Asks for much and reads nothing.
    NeverReads,
    /// Half of a head, then the end of its side.
    HalfCloses,
    /// Nothing at all.
    Idles,
}

const WAYS: [Way; 4] = [Way::Drips, Way::NeverReads, Way::HalfCloses, Way::Idles];

/// What a dripping client says, over and over.
const DRIP: &[u8] = b"GET / HTTP/1.1\r\nHost: slow\r\nX: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// The quick one is answered without an error all the while, memory is bounded, and the server ends
/// every slow connection by itself.
pub(in crate::e2e) fn slow(world: &mut World) -> Result<Outcome> {
    if let Err(error) = install::WRK.need() {
        return Ok(Outcome::Skipped(format!("{error:#}")));
    }
    if let Err(reason) = raise_limit(WAYS.len() * EACH_CNT + 500) {
        return Ok(Outcome::Skipped(reason));
    }
    in_namespace(world, "hosted-slow", |world| {
        let mut served = start(world, &WORDS)?;
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let url = format!("http://{}", served.at.ip());
        let alone = wrk(&url, &folder, CONNS, TIME).context("alone")?;
        let before_kib = resident_kib(&served)?;
        let mut slow = open(&served)?;
        let beside = std::thread::scope(|scope| {
            let asks = scope.spawn(|| wrk(&url, &folder, CONNS, TIME));
            let mut at = TURNS;
            while !asks.is_finished() {
                drip(&mut slow, at);
                at += 1;
                std::thread::sleep(TURN);
            }
            asks.join().expect("it does not panic")
        });
        let beside = beside.context("beside the slow ones")?;
        let after_kib = resident_kib(&served)?;
        if after_kib > before_kib + MEMORY_MAX_KIB {
            bail!("it took {before_kib} KiB before, {after_kib} KiB with the slow ones");
        }
        let mut left: Vec<&mut (Way, TcpStream)> = slow.iter_mut().collect();
        keep_open(&mut left);
        let open_cnt = left.len();
        if open_cnt < OPEN_MIN {
            bail!("only {open_cnt} slow connections were there all the while");
        }
        all_end(left)?;
        drop(slow);
        let p99 = |said: &str| {
            let line = said
                .lines()
                .find_map(|line| line.trim().strip_prefix("99%"));
            line.unwrap_or("?").trim().to_owned()
        };
        let figure = format!("{} -> {}", p99(&alone), p99(&beside));
        println!(
            "       p99 {figure}; {before_kib} KiB -> {after_kib} KiB with {} slow ones",
            text::count(open_cnt as u64)
        );
        world.figure("p99 beside 10,000 slow connections", figure, "twice");
        served.wait_all_home()?;
        served.finish()
    })
}

/// As many sockets as all that, in this process.
fn raise_limit(wanted: usize) -> Result<(), String> {
    let wanted = wanted as u64;
    let now = getrlimit(Resource::Nofile);
    if now.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let limit = Rlimit {
        current: Some(wanted),
        maximum: now.maximum.map(|maximum| maximum.max(wanted)),
    };
    setrlimit(Resource::Nofile, limit).map_err(|error| format!("{wanted} descriptors: {error}"))
}

/// Opens all of them, and begins what each does.
fn open(served: &Served) -> Result<Vec<(Way, TcpStream)>> {
    let mut slow = Vec::with_capacity(WAYS.len() * EACH_CNT);
    for n in 0..EACH_CNT {
        for way in WAYS {
            let at = SocketAddr::from(served.at);
            let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(20))
                .with_context(|| format!("{way:?} {n}"))?;
            match way {
                Way::Drips => stream.write_all(&DRIP[..1])?,
                Way::NeverReads => {
                    rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 4096)?;
                    stream.write_all(b"GET /sizes/1m HTTP/1.1\r\nHost: slow\r\n\r\n")?;
                }
                Way::HalfCloses => {
                    stream.write_all(b"GET / HTTP/1.1\r\nHo")?;
                    stream.shutdown(Shutdown::Write)?;
                }
                Way::Idles => {}
            }
            stream.set_nonblocking(true)?;
            slow.push((way, stream));
        }
    }
    Ok(slow)
}

/// The next byte of each that drips and whose turn it is. The server may have ended it.
fn drip(slow: &mut [(Way, TcpStream)], at: usize) {
    let byte = [DRIP[at / TURNS % DRIP.len()]];
    let dripping = slow.iter_mut().filter(|(way, _)| *way == Way::Drips);
    for (_, stream) in dripping.skip(at % TURNS).step_by(TURNS) {
        let _ended = stream.write(&byte);
    }
}

/// Waits until the server has ended each.
fn all_end(mut left: Vec<&mut (Way, TcpStream)>) -> Result<()> {
    let is_done = within(END_LIMIT, || {
        keep_open(&mut left);
        left.is_empty()
    });
    if !is_done {
        let of = |wanted: Way| left.iter().filter(|(way, _)| *way == wanted).count();
        let ways: Vec<String> = WAYS
            .iter()
            .map(|way| format!("{} {way:?}", of(*way)))
            .collect();
        bail!("the server has not ended {}", ways.join(", "));
    }
    Ok(())
}

/// Drops those that the server has ended: who reads sees the end or a reset. Who never reads keeps
/// its buffer full, and only an error says that it is over.
fn keep_open(left: &mut Vec<&mut (Way, TcpStream)>) {
    let mut room = [0; 4096];
    left.retain_mut(|(way, stream)| {
        loop {
            if *way == Way::NeverReads {
                return matches!(stream.take_error(), Ok(None));
            }
            match stream.read(&mut room) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    });
}
