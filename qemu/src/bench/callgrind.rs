//! Instructions by layer, out of what callgrind writes.
//!
//! ```text
//!   fl=(7) stack/src/tcp/run.rs     a function begins, in this file
//!   fn=(9) simoom::tcp::run::send
//!   120 5                           line 120: 5 instructions
//!   fi=(8) core/src/slice/mod.rs    what was inlined from there
//!   +3 2
//!   calls=1 44                      a call, and what it cost within:
//!   * 900                           counted where it was spent
//! ```
//!
//! The compiler inlines across layers, so a function's name says little; each instruction's source
//! file says whose it is. What comes from a library (slices, options, integers) belongs to whoever
//! it was inlined into.

use anyhow::{Context, Result, bail};
use std::collections::HashMap;

/// Whose an instruction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Layer {
    /// The rings, and what a driver does.
    Ring,
    /// Ethernet, ARP, IP, and the loop around them.
    EthIp,
    /// TCP, with its headers, hash table and buffers.
    Tcp,
    /// Internet checksums.
    Sums,
    /// `memcpy` and its kin.
    Copies,
    /// The application.
    App,
}

impl Layer {
    pub(crate) const ALL: [Self; 6] = [
        Self::Ring,
        Self::EthIp,
        Self::Tcp,
        Self::Sums,
        Self::Copies,
        Self::App,
    ];

    /// Its name in the figures.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::EthIp => "eth+ip",
            Self::Tcp => "tcp",
            Self::Sums => "sums",
            Self::Copies => "copies",
            Self::App => "app",
        }
    }
}

/// Instructions of each layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Split(HashMap<Layer, u64>);

impl Split {
    /// Instructions of one layer.
    pub(crate) fn of(&self, layer: Layer) -> u64 {
        self.0.get(&layer).copied().unwrap_or_default()
    }

    /// Of all.
    pub(crate) fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

/// Reads a profile.
///
/// # Errors
/// It is none, or counts something else.
pub(crate) fn read(text: &str) -> Result<Split> {
    if !text.lines().any(|line| line == "events: Ir") {
        bail!("callgrind has not written what it should");
    }
    let mut reader = Reader::default();
    for line in text.lines() {
        reader
            .line(line)
            .with_context(|| format!("callgrind wrote {line:?}"))?;
    }
    Ok(reader.split)
}

#[derive(Default)]
struct Reader {
    files: HashMap<String, String>,
    functions: HashMap<String, String>,
    file: String,
    function: String,
    layer: Option<Layer>,
    /// Line of the source.
    at: u64,
    /// In a file with checksums and other things: the line from which on there are checksums.
    sums_from: Option<u64>,
    /// That, for every file that was looked at.
    sums: HashMap<String, Option<u64>>,
    /// The next line is the cost of a call.
    is_call: bool,
    split: Split,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<()> {
        if let Some((key, value)) = line.split_once('=') {
            match key {
                "fl" => {
                    self.file = name(&mut self.files, value);
                    self.layer = None;
                }
                "fn" => {
                    self.function = name(&mut self.functions, value);
                    self.layer = layer_of_function(&self.function);
                    self.enter();
                }
                "fi" | "fe" => {
                    self.file = name(&mut self.files, value);
                    self.enter();
                }
                "cfi" | "cfl" => drop(name(&mut self.files, value)),
                "cfn" => drop(name(&mut self.functions, value)),
                "calls" => self.is_call = true,
                _ => {}
            }
            return Ok(());
        }
        // A position, and a cost; everything else is a heading.
        if !line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) {
            return Ok(());
        }
        let mut words = line.split_whitespace();
        self.at = match words.next().unwrap_or_default() {
            "*" => self.at,
            word => match word.split_at(1) {
                ("+", by) => self.at.saturating_add(by.parse()?),
                ("-", by) => self.at.saturating_sub(by.parse()?),
                _ => word.parse()?,
            },
        };
        // A position without a cost costs nothing.
        let is_call = std::mem::take(&mut self.is_call);
        if let Some(cost) = words.next().filter(|_| !is_call) {
            if self.sums_from.is_some() {
                let is_sum = self.sums_from.is_some_and(|from| self.at >= from);
                self.layer = Some(if is_sum { Layer::Sums } else { Layer::EthIp });
            }
            let layer = self.layer.unwrap_or(Layer::App);
            *self.split.0.entry(layer).or_default() += cost.parse::<u64>()?;
        }
        Ok(())
    }

    /// From here on instructions are of this file.
    fn enter(&mut self) {
        let known = self.sums.entry(self.file.clone());
        self.sums_from = *known.or_insert_with_key(|file| sums_from(file));
        if is_copy(&self.function) {
            self.layer = Some(Layer::Copies);
        } else if let Some(layer) = layer_of_file(&self.file) {
            self.layer = Some(layer);
        }
    }
}

/// `(5) name` the first time, `(5)` after that.
fn name(known: &mut HashMap<String, String>, value: &str) -> String {
    match value.split_once(") ") {
        Some((id, name)) => {
            known.insert(format!("{id})"), name.to_owned());
            name.to_owned()
        }
        None => known.get(value).cloned().unwrap_or_default(),
    }
}

fn is_copy(function: &str) -> bool {
    ["memcpy", "memmove", "memset"]
        .iter()
        .any(|part| function.contains(part))
}

/// By the source file; `None` for a library's, which belong to whoever uses them.
fn layer_of_file(file: &str) -> Option<Layer> {
    let has = |parts: &[&str]| parts.iter().any(|part| file.contains(part));
    if has(&["/rival/ours/rings.rs", "/rival/smol/rings.rs"]) {
        Some(Layer::Ring)
    } else if has(&["/benches/rival/", "/benches/paths/"]) {
        Some(Layer::App)
    } else if has(&["/drivers/ring/src/", "/drivers/sim/src/"]) {
        Some(Layer::Ring)
    } else if file.contains("/stack/src/") {
        layer_of_ours(file)
    } else if file.contains("/smoltcp-") {
        layer_of_smoltcp(file)
    } else if file.contains("/siphasher-") {
        // Of the hash table of connections.
        Some(Layer::Tcp)
    } else {
        None
    }
}

fn layer_of_ours(file: &str) -> Option<Layer> {
    let has = |parts: &[&str]| parts.iter().any(|part| file.contains(part));
    if has(&["/wire/checksum.rs", "/src/content.rs"]) {
        Some(Layer::Sums)
    } else if has(&["/src/tcp/", "/wire/tcp"]) {
        Some(Layer::Tcp)
    } else if has(&["/time.rs", "/addr.rs", "/counters.rs", "/random.rs"]) {
        None
    } else {
        Some(Layer::EthIp)
    }
}

fn layer_of_smoltcp(file: &str) -> Option<Layer> {
    let has = |parts: &[&str]| parts.iter().any(|part| file.contains(part));
    if has(&["/socket/", "/storage/", "/wire/tcp.rs"]) {
        Some(Layer::Tcp)
    } else if has(&["/phy/"]) {
        Some(Layer::Ring)
    } else if has(&["/iface/", "/wire/"]) {
        Some(Layer::EthIp)
    } else {
        None
    }
}

/// smoltcp has its checksums behind its IP headers, in the same file: the line where they begin.
fn sums_from(file: &str) -> Option<u64> {
    if !(file.contains("/smoltcp-") && file.ends_with("/wire/ip.rs")) {
        return None;
    }
    let text = std::fs::read_to_string(file).ok()?;
    let line = text
        .lines()
        .position(|line| line.starts_with("pub mod checksum"))?;
    u64::try_from(line + 1).ok()
}

/// What is known of a function whose file says nothing.
fn layer_of_function(function: &str) -> Option<Layer> {
    if function.contains("tcp::") && !function.starts_with("smoltcp::iface") {
        Some(Layer::Tcp)
    } else if function.contains("iface") || function.contains("wire::") {
        Some(Layer::EthIp)
    } else {
        None
    }
}

// A bench of the stack's has this file, too, by its path.
#[cfg(test)]
#[path = "callgrind/tests.rs"]
mod tests;
