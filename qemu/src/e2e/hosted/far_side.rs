//! What leaves our side, and what arrives at the far one: every frame, byte for byte.
//!
//! ```text
//!   namespace of the server                                        ours
//!   simoom-httpd or guest ─ TAP ─► Linux forwards ─ veth (cuts, sums) ─► clients
//!                            │ near: super-segments whole          │ far: as on a wire
//! ```
//!
//! The veth has no offloads, so that Linux cuts and sums in front of it what we have left to a
//! device, by our own words in the virtio-net header. What arrives is held against what was sent
//! ([`check`]): every checksum, every boundary, every byte, and nothing but that. With a queue in
//! between that is too short, what is sent again is, too.

mod cable;
mod capture;
mod check;

use super::super::content::fetch_noise;
use super::super::offloads::Moved;
use super::super::sites::{self, Noise};
use super::super::{HOME_LIMIT, Outcome, Served, World, listening};
use super::{AT, CIDR, GATEWAY, SPEC, by_reference, in_namespace};
use crate::console::Line;
use crate::machine::Net;
use crate::site::Packed;
use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use cable::Cable;
use capture::Capture;
use check::{Seen, Stream, What};

/// Bytes of the file: not a whole number of anything.
const FILE_LEN: usize = 1_000_003;
/// Parts of it: odd lengths, odd beginnings, one byte, less than a segment, and nearly all.
const PARTS: [(usize, usize); 6] = [
    (1, 2),
    (3, 538),
    (701, 2_150),
    (70_001, 400_000),
    (999_999, FILE_LEN),
    (1_447, 999_998),
];
/// Segments, and whether they have timestamps besides: what the client's MSS option says is larger
/// by those then.
const SIZES: [(usize, bool); 4] = [(536, false), (1_220, false), (1_448, true), (8_960, false)];
/// Bytes that timestamps take.
const TIMESTAMPS_LEN: usize = 12;
/// The device's MTU, and that for the last of the sizes.
const MTU: usize = 1_500;
const JUMBO: usize = 9_000;
/// Times to try until the queue has dropped what is wanted.
const ROUNDS_MAX: usize = 30;
/// Bytes of a long download.
const DOWNLOAD_LEN: u64 = 100_000_000;
/// Bytes that are sent to the server, which says no.
const UPLOAD_LEN: usize = 60_000;

/// Both servers: every size of segment, and what is sent again.
pub(in super::super) fn captures(world: &mut World) -> Result<Outcome> {
    in_namespace(world, "far-side", |world| {
        let site = sites::made(FILE_LEN as u64)?;
        for mtu in [MTU, JUMBO] {
            let cable = Cable::lay(mtu)?;
            let served = httpd(world, &cable, &site, &[])?;
            sizes(&cable, mtu).context("simoom-httpd")?;
            served.finish()?;
        }
        // What follows is asked of machines.
        let process = world.process.take();
        let done = [MTU, JUMBO].into_iter().try_for_each(|mtu| {
            let cable = Cable::lay(mtu)?;
            let served = guest(world, &cable, &site, mtu)?;
            sizes(&cable, mtu).context("the image")?;
            served.finish().map(drop)
        });
        let done = done.and_then(|()| downloaded(world));
        world.process = process;
        done.map(|()| Outcome::Passed)
    })
}

/// 100 MB from a guest whose card does all there is: none of them is looked at.
fn downloaded(world: &mut World) -> Result<()> {
    let cable = Cable::lay(MTU)?;
    let mut served = guest(world, &cable, &sites::made(DOWNLOAD_LEN)?, MTU)?;
    cable.use_segments(MTU - 40, true)?;
    fetch_noise(&mut served, DOWNLOAD_LEN)?;
    let moved = by_reference(&mut served, DOWNLOAD_LEN)?;
    if moved.presummed > 0 || moved.super_segments == 0 {
        bail!("{moved:?}");
    }
    served.finish().map(drop)
}

/// `simoom-httpd` without each combination of what a TAP device could do for it.
pub(in super::super) fn matrix(world: &mut World) -> Result<Outcome> {
    in_namespace(world, "offload-hosted", |world| {
        let site = sites::made(FILE_LEN as u64)?;
        let cable = Cable::lay(MTU)?;
        for off in 0..1_u32 << OFFLOADS.len() {
            let each = OFFLOADS.iter().enumerate();
            let without: Vec<&str> = each
                .filter(|(bit, _)| off >> bit & 1 != 0)
                .map(|(_, word)| *word)
                .collect();
            combination(world, &cable, &site, &without)
                .with_context(|| format!("without {}", without.join(",")))?;
        }
        println!("       {} combinations, every frame", 1 << OFFLOADS.len());
        Ok(Outcome::Passed)
    })
}

/// What a TAP device knows.
const OFFLOADS: [&str; 5] = ["tx", "tso", "rx", "lro", "sg"];

fn combination(world: &World, cable: &Cable, site: &Packed, without: &[&str]) -> Result<()> {
    let has = |word: &str| !without.contains(&word);
    let words: Vec<String> = without.iter().map(|word| format!("-{word}")).collect();
    let words = match words.is_empty() {
        true => Vec::new(),
        false => vec![format!("offload={}", words.join(","))],
    };
    let mut served = httpd(world, cable, site, &words)?;
    let content = noise()?;
    cable.use_segments(MTU - 40, true)?;
    let what = What {
        mss: MTU - 40 - TIMESTAMPS_LEN,
        mtu: MTU,
        has_near_sums: !has("tx"),
        may_lack: false,
    };
    let asked = [&[(0, FILE_LEN)][..], &[PARTS[3]]];
    let seen = captured(cable, what, || {
        asked
            .into_iter()
            .map(|parts| ask(&content, parts))
            .collect()
    })?;
    // Super-segments come in only from a sender that leaves them to the device.
    cable.server.within(|| upload(&content))?;
    let is_last = |_: &Line, text: &str| Moved::parse(text).filter(Moved::is_all);
    let wanted = "count of all that moved";
    let (moved, _) = served.guest.wait_for(wanted, HOME_LIMIT, is_last)?;
    let expected = [
        ("copied", moved.copied > 0, !has("sg")),
        (
            "in super-segments",
            moved.super_segments > 0,
            has("tx") && has("tso") && has("sg"),
        ),
        ("summed", moved.summed + moved.presummed > 0, !has("tx")),
        ("received as one", moved.large > 0, has("rx") && has("lro")),
    ];
    for (how, is_so, should_be) in expected {
        if is_so != should_be {
            bail!("bodies were {how}: {is_so}");
        }
    }
    if moved.super_segments > 0 && seen.supers == 0 {
        bail!("{} super-segments, none seen", moved.super_segments);
    }
    served.finish().map(drop)
}

/// Starts `simoom-httpd` at the server's end of the cable.
fn httpd(world: &World, cable: &Cable, site: &Packed, words: &[String]) -> Result<Served> {
    let program = super::program(world)?;
    let mut command = program.command(site);
    command.args(words);
    command.args(["--net", SPEC, "--ip", CIDR, "--gateway", GATEWAY]);
    let start = || crate::guest::Guest::start_program(command, program.path.clone());
    listening(cable.server.within(start)?, AT, site.files_cnt)
}

/// Boots a guest there.
fn guest(world: &mut World, cable: &Cable, site: &Packed, mtu: usize) -> Result<Served> {
    world.built()?;
    let started = cable.server.within(|| {
        world.start(site, |launch| {
            launch.net = Net::Tap {
                name: super::DEVICE.to_owned(),
            };
            launch.append = format!("ip={}::{GATEWAY}:255.255.255.0::eth0:off", AT.ip());
            if mtu != MTU {
                launch.card_options = format!(",host_mtu={mtu}");
            }
        })
    });
    listening(started?.0, AT, site.files_cnt)
}

/// Every size of segment that the MTU has room for, and at the largest what is sent again.
fn sizes(cable: &Cable, mtu: usize) -> Result<()> {
    let content = noise()?;
    let is_ours = |(mss, _): &&(usize, bool)| (*mss > MTU) == (mtu != MTU);
    let mut segments = 0;
    for &(mss, has_timestamps) in SIZES.iter().filter(is_ours) {
        let option = if has_timestamps { TIMESTAMPS_LEN } else { 0 };
        cable.use_segments(mss + option, has_timestamps)?;
        let what = What {
            mss,
            mtu,
            has_near_sums: false,
            may_lack: false,
        };
        let seen = captured(cable, what, || {
            let whole = ask(&content, &[(0, FILE_LEN)])?;
            Ok(vec![whole, ask(&content, &PARTS)?])
        })
        .with_context(|| format!("segments of {mss}"))?;
        if seen.supers == 0 {
            bail!("no super-segment of segments of {mss}");
        }
        segments += seen.segments;
    }
    println!("       MTU {mtu}: {segments} segments right");
    if mtu == MTU {
        again(cable, &content)?;
    }
    Ok(())
}

/// A queue that is too short: what is lost goes again, whatever it was part of.
fn again(cable: &Cable, content: &[u8]) -> Result<()> {
    let what = What {
        mss: 1_448,
        mtu: MTU,
        has_near_sums: false,
        may_lack: true,
    };
    // Answers that are odd in length and beginning, of which many are in flight at once.
    let parts: Vec<(usize, usize)> = (0..100)
        .map(|n| (n * 9_001 + 1, n * 9_001 + 1 + 2_501 + 2 * (n * 97 % 2_000)))
        .collect();
    let mut seen = Seen::default();
    cable.narrow(true)?;
    for round in 1..=ROUNDS_MAX {
        let more = captured(cable, what, || {
            let whole = ask(content, &[(1, FILE_LEN)])?;
            Ok(vec![ask(content, &parts)?, whole])
        });
        seen = seen.and(more.context("through a short queue")?);
        if seen.again_across > 0 && seen.again_supers > 0 {
            println!(
                "       short queue: {} packets sent again, {} of them super-segments, {} across \
                 old bounds ({round} rounds)",
                seen.again, seen.again_supers, seen.again_across
            );
            return cable.narrow(false);
        }
    }
    bail!("nothing was sent again as it should have been: {seen:?}");
}

/// Does `work` while both ends are watched, and holds one against the other.
fn captured(cable: &Cable, what: What, work: impl FnOnce() -> Result<Vec<Stream>>) -> Result<Seen> {
    let near = Capture::start(Some(&cable.server), super::DEVICE)?;
    let far = Capture::start(None, cable::CLIENT_IF)?;
    let streams = work()?;
    let (near, far) = (near.end()?, far.end()?);
    check::check(&near, &far, &streams, what)
}

/// Asks for parts of the file, all at once on one connection, and compares.
fn ask(content: &[u8], parts: &[(usize, usize)]) -> Result<Stream> {
    let mut stream = TcpStream::connect(AT).context("cannot connect")?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let port = stream.local_addr()?.port();
    let mut requests = String::new();
    for (n, (from, to)) in parts.iter().enumerate() {
        let last = to - 1;
        let end = match n + 1 == parts.len() {
            true => "Connection: close\r\n",
            false => "",
        };
        requests.push_str(&format!(
            "GET /noise.bin HTTP/1.1\r\nHost: simoom\r\nRange: bytes={from}-{last}\r\n{end}\r\n"
        ));
    }
    stream.write_all(requests.as_bytes())?;
    let mut bytes = Vec::new();
    stream
        .read_to_end(&mut bytes)
        .with_context(|| format!("after {} bytes", bytes.len()))?;
    let mut rest = &bytes[..];
    for (from, to) in parts {
        let header_len = rest.windows(4).position(|end| end == b"\r\n\r\n");
        let (header, body) = rest.split_at(header_len.context("no answer")? + 4);
        let expected = &content[*from..*to];
        if !header.starts_with(b"HTTP/1.1 206 ") || !body.starts_with(expected) {
            bail!("bytes {from} to {to} are not as they should be");
        }
        rest = &body[expected.len()..];
    }
    match rest.is_empty() {
        true => Ok(Stream { port, bytes }),
        false => bail!("{} bytes too many", rest.len()),
    }
}

/// Sends what is refused.
fn upload(content: &[u8]) -> Result<()> {
    let mut stream = TcpStream::connect(AT).context("cannot connect")?;
    stream.set_read_timeout(Some(LIMIT))?;
    let header = format!(
        "POST /noise.bin HTTP/1.1\r\nHost: simoom\r\nContent-Length: {UPLOAD_LEN}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(&[header.as_bytes(), &content[..UPLOAD_LEN]].concat())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    match answer.starts_with(b"HTTP/1.1 405 ") {
        true => Ok(()),
        false => bail!("POST: {}", String::from_utf8_lossy(&answer)),
    }
}

/// The file.
fn noise() -> Result<Vec<u8>> {
    let mut content = Vec::new();
    Noise::new(FILE_LEN as u64).read_to_end(&mut content)?;
    Ok(content)
}

/// Longest pause of an answer.
const LIMIT: Duration = Duration::from_secs(60);
