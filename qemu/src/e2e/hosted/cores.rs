//! Two cores, each with a queue of its own: both serve, and what one of them hears for all reaches
//! the other.

use super::super::http::Client;
use super::super::{Outcome, Served, World, content, load, sites, within};
use super::{cable, in_namespace, ip};
use crate::linux::netns::Netns;
use crate::text;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Two cores, with figures, and a look inside.
const WORDS: &[&str] = &["--cores", "0,1", "--stats", "admin=:9090"];
const ADMIN_PORT: u16 = 9090;
/// How long figures of the last second may take.
const LIMIT: Duration = Duration::from_secs(20);

/// On TAP, and on AF_XDP over a cable of two queues.
pub(in super::super) fn cores(world: &mut World) -> Result<Outcome> {
    if std::thread::available_parallelism()?.get() < 2 {
        return Ok(Outcome::Skipped("it takes two processor cores".to_owned()));
    }
    in_namespace(world, "hosted-cores", |world| {
        words(world)?;
        asked(world, "TAP, two queues").context("TAP")?;
        let server = Netns::new()?;
        cable::connect(&server, 2)?;
        if let Some(program) = &mut world.process {
            program.spec = "xdp:server0";
            program.netns = Some(server);
        }
        asked(world, "AF_XDP, two queues").context("AF_XDP")?;
        ip("link del client0")?;
        Ok(Outcome::Passed)
    })
}

fn words(world: &mut World) -> Result<()> {
    let program = world.process.as_mut().context("only in a namespace")?;
    program.words = WORDS;
    Ok(())
}

/// The cases that need more than one connection.
fn asked(world: &mut World, port: &str) -> Result<()> {
    for (name, case) in [
        ("site-1000", content::site_1000 as fn(&mut World) -> _),
        ("load-200", load::together),
        ("load-aborts", load::aborts),
    ] {
        let begun = Instant::now();
        case(world).context(name)?;
        println!("       {name} ({})", text::span(begun.elapsed()));
    }
    let mut served = world.serve(&sites::made(1000)?, |_| {})?;
    let rate = super::load(&served)?;
    world.figure(format!("simoom-httpd: requests a second, {port}"), rate, "");
    both_answer(&mut served)?;
    // wrk goes with answers on their way. Linux resets those connections by a socket of the
    // kernel's, whose queue over veth is any: they end where they are all the same.
    served.wait_all_home()?;
    neighbor_moves(&mut served)?;
    served.wait_all_home()?;
    served.finish().map(drop)
}

/// Each core has given answers.
fn both_answer(served: &mut Served) -> Result<()> {
    let said = wait_figures(served, |[one, two, _]| one > 0 && two > 0);
    said.context("answers of both cores")
}

/// Waits until the figures of both cores' answers, and of the frames that one has told the other,
/// are as they should be.
fn wait_figures(served: &mut Served, is_right: impl Fn([u64; 3]) -> bool) -> Result<()> {
    let mut said = None;
    let read = |line: &String| {
        let (_, rest) = line.split_once("stats: 2 cores: answers so far ")?;
        let (answers, rest) = rest.split_once("; ")?;
        let (one, two) = answers.split_once(" + ")?;
        let shared = rest.split(' ').next()?;
        let [one, two, shared] = [one, two, shared].map(|number| number.parse().ok());
        Some([one?, two?, shared?])
    };
    let is_said = within(LIMIT, || {
        served.guest.drain();
        said = served.guest.transcript.iter().rev().find_map(read);
        said.is_some_and(&is_right)
    });
    match is_said {
        true => Ok(()),
        false => bail!("answers, answers and shared frames: {said:?}"),
    }
}

/// The client's station address changes: Linux announces it, by whichever queue, and every core
/// knows at once. Of many connections either core has some.
fn neighbor_moves(served: &mut Served) -> Result<()> {
    let device = match super::has_device()? {
        true => super::DEVICE,
        false => "client0",
    };
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Client::connect(served.at)?;
        client.get("/")?.expect(200)?;
        clients.push(client);
    }
    all_are_shown(served).context("/connections")?;
    let notify = format!("/proc/sys/net/ipv4/conf/{device}/arp_notify");
    fs::write(&notify, "1").with_context(|| notify.clone())?;
    ip(&format!("link set dev {device} address 02:78:00:00:00:77"))?;
    for client in &mut clients {
        client.get("/")?.expect(200)?;
    }
    let said = wait_figures(served, |[_, _, shared]| shared > 0);
    said.context("an announcement that is told")
}

/// Whichever core is asked shows the connections of both, each once.
fn all_are_shown(served: &Served) -> Result<()> {
    for _ in 0..ASKED {
        let at = (*served.at.ip(), ADMIN_PORT);
        let mut stream = TcpStream::connect(at).context("the admin port")?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(b"GET /connections HTTP/1.0\r\n\r\n")?;
        let mut said = String::new();
        stream.read_to_string(&mut said)?;
        let rows = || {
            said.lines()
                .filter(|line| line.contains("\"server\":\"site\""))
        };
        let of = |core| rows().filter(|line| line.contains(core)).count();
        let (first, second) = (of("\"core\":0"), of("\"core\":1"));
        if first == 0 || second == 0 || first + second != CLIENTS || !said.ends_with("\n]\n") {
            bail!("{first} of core 0, {second} of core 1, not {CLIENTS}: {said}");
        }
    }
    Ok(())
}

/// How often: either core is reached, as a rule.
const ASKED: usize = 8;

/// So many that each core has some, but for one run in a million.
const CLIENTS: usize = 20;
