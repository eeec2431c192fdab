//! Every offload on and off, in every combination: by the device, or by the image's command line.
//!
//! Each combination boots a guest on a TAP device, fetches a file and an odd part of it, sends what
//! is refused (large packets on the way in), and holds the guest's own count of what moved against
//! what had to come of it. Without `tx`, Linux checks each of our checksums.

use super::network::{Cable, TAP_GUEST};
use super::sites::{self, Noise};
use super::{HOME_LIMIT, Outcome, World, listening};
use crate::console::Line;
use crate::install;
use crate::text;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::process::{Command, Stdio};

/// What can be on or off: the word of the image's command line, and the properties of QEMU's card.
/// None of these is without gathering, so that the image is told in any case.
const OFFLOADS: [(&str, &str); 7] = [
    ("tx", ",csum=off"),
    ("tso", ",host_tso4=off,host_tso6=off"),
    ("rx", ",guest_csum=off"),
    ("lro", ",guest_tso4=off,guest_tso6=off"),
    ("mrg", ",mrg_rxbuf=off"),
    ("event", ",event_idx=off"),
    ("sg", ""),
];

/// Bytes of the file: not a whole number of anything.
const FILE_LEN: u64 = 1_000_003;
/// A part that begins and ends at odd bytes.
const PART: (usize, usize) = (70_001, 400_000);
/// Bytes that are sent to the guest, which reads them and says no.
const UPLOAD_LEN: usize = 60_000;
/// Seconds for one request.
const CURL_LIMIT_S: &str = "60";

/// All combinations, a boot each.
pub(super) fn matrix(world: &mut World) -> Result<Outcome> {
    let curl = install::CURL.need()?;
    let cable = match Cable::lay() {
        Ok(cable) => cable,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    let mut content = Vec::new();
    Noise::new(FILE_LEN).read_to_end(&mut content)?;
    let combinations = 1_u32 << OFFLOADS.len();
    for off in 0..combinations {
        let combination = Combination { off };
        one(world, &cable, &curl, &content, combination)
            .with_context(|| format!("without {combination}"))?;
    }
    println!("  {combinations} combinations, every byte");
    Ok(Outcome::Passed)
}

/// Which offloads are off, a bit for each.
#[derive(Clone, Copy)]
struct Combination {
    off: u32,
}

impl Combination {
    fn has(self, word: &str) -> bool {
        let bit = OFFLOADS.iter().position(|(name, _)| *name == word);
        bit.is_some_and(|bit| self.off >> bit & 1 == 0)
    }

    /// The offloads that are off, as words and as properties.
    fn without(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let each = OFFLOADS.into_iter().enumerate();
        each.filter(move |(bit, _)| self.off >> bit & 1 != 0)
            .map(|(_, words)| words)
    }

    /// Whether the device lacks them; else the image is told not to use them.
    fn is_of_device(self) -> bool {
        self.off.count_ones().is_multiple_of(2)
    }

    fn words(self) -> Vec<String> {
        let words = self.without();
        words.map(|(word, _)| format!("-{word}")).collect()
    }

    /// Properties of the card, and words for the image.
    fn split(self) -> (String, String) {
        if !self.is_of_device() {
            return (String::new(), self.words().join(","));
        }
        let properties = self.without().map(|(_, properties)| properties);
        let words = if self.has("sg") { "" } else { "-sg" };
        (properties.collect(), words.to_owned())
    }
}

impl std::fmt::Display for Combination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let by = if self.is_of_device() {
            "device"
        } else {
            "image"
        };
        write!(f, "{} ({by})", self.words().join(","))
    }
}

fn one(
    world: &mut World,
    cable: &Cable,
    curl: &Path,
    content: &[u8],
    combination: Combination,
) -> Result<()> {
    let site = sites::made(FILE_LEN)?;
    let (guest, port) = world.start(&site, |launch| {
        cable.connect(launch);
        let (properties, words) = combination.split();
        launch.card_options = properties;
        launch.append.push_str(&format!(" offload={words}"));
    })?;
    let at = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let mut served = listening(guest, at, site.files_cnt)?;
    let url = format!("http://{TAP_GUEST}/noise.bin");
    let whole = fetch(&mut cable.inside(curl), &[&url])?;
    if whole != content {
        bail!("the file is not the same: {} bytes came", whole.len());
    }
    let (from, to) = PART;
    let range = format!("{from}-{}", to - 1);
    let part = fetch(&mut cable.inside(curl), &["--range", &range, &url])?;
    if part != content[from..to] {
        bail!("a part of it is not the same: {} bytes came", part.len());
    }
    let upload = tempfile::NamedTempFile::new()?;
    fs::write(upload.path(), &content[..UPLOAD_LEN])?;
    let body = format!("@{}", upload.path().display());
    let code = ["--output", "/dev/null", "--write-out", "%{http_code}"];
    let post = [&["--data-binary", &body, &url], &code[..]].concat();
    let code = fetch(&mut cable.inside(curl), &post)?;
    if code != b"405" {
        bail!("POST: {}", String::from_utf8_lossy(&code));
    }
    // Said whenever nobody is connected any more, so the last one counts.
    let is_done = |_: &Line, text: &str| Moved::parse(text).filter(|moved| moved.is_all());
    let (moved, _) = served
        .guest
        .wait_for("count of all that moved", HOME_LIMIT, is_done)?;
    moved.check(combination)?;
    served.finish().map(drop)
}

/// What curl writes.
fn fetch(command: &mut Command, words: &[&str]) -> Result<Vec<u8>> {
    let out = command
        .args(["--silent", "--show-error", "--max-time", CURL_LIMIT_S])
        .args(words)
        .stdin(Stdio::null())
        .output()
        .context("cannot run curl")?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        let said = said.lines().last().unwrap_or_default();
        bail!("curl: {} ({})", text::one_line(said), out.status);
    }
    Ok(out.stdout)
}

/// Bytes of content that answers have.
const BODIES_LEN: u64 = FILE_LEN + (PART.1 - PART.0) as u64;

/// What a guest says that it has moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    pub(super) super_segments: u64,
    pub(super) referenced: u64,
    pub(super) copied: u64,
    pub(super) summed: u64,
    pub(super) presummed: u64,
    received: u64,
    pub(super) large: u64,
}

impl Moved {
    /// Reads `simoom: sent 9 packets (1 super-segments), 2.5 a doorbell; bodies: 7 bytes by
    /// reference, 0 copied, 0 summed, 0 presummed; received 5 packets (0 large)`.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let rest = line.strip_prefix("simoom: sent ")?;
        let words = rest.split(|c: char| !c.is_ascii_digit());
        let mut numbers = words.filter_map(|word| word.parse::<u64>().ok());
        let mut next = || numbers.next();
        let (_packets, super_segments) = (next()?, next()?);
        let (_a_doorbell, _tenths) = (next()?, next()?);
        Some(Self {
            super_segments,
            referenced: next()?,
            copied: next()?,
            summed: next()?,
            presummed: next()?,
            received: next()?,
            large: next()?,
        })
    }

    /// Whether all requests are over: the page that refuses the last is content, too.
    pub(super) fn is_all(&self) -> bool {
        self.referenced + self.copied > BODIES_LEN
    }

    fn check(&self, on: Combination) -> Result<()> {
        let (right, wrong) = match on.has("sg") {
            true => (self.referenced, self.copied),
            false => (self.copied, self.referenced),
        };
        if wrong > 0 || right < BODIES_LEN {
            bail!(
                "{} bytes by reference, {} copied",
                self.referenced,
                self.copied
            );
        }
        let has_cut = self.super_segments > 0;
        if has_cut != (on.has("tx") && on.has("tso") && on.has("sg")) {
            bail!("{} super-segments", self.super_segments);
        }
        let ours = self.summed + self.presummed;
        // What is copied is summed on the way.
        let is_summed = if on.has("sg") { self.presummed } else { ours } >= BODIES_LEN;
        if on.has("tx") && ours > 0 || !on.has("tx") && !is_summed {
            bail!("{} bytes summed, {} presummed", self.summed, self.presummed);
        }
        let has_merged = self.large > 0;
        if has_merged != (on.has("rx") && on.has("lro") && on.has("mrg")) {
            bail!("{} packets of {} were large", self.large, self.received);
        }
        Ok(())
    }
}
