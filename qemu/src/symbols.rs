//! Backtraces with names: `  #3 0x20a41f` becomes function, file and line.

use crate::kernel;
use addr2line::Loader;
use std::cell::OnceCell;
use std::fmt::Write;
use std::path::PathBuf;

/// The symbols of one image, read when the first backtrace needs them.
pub(crate) struct Symbols {
    elf: PathBuf,
    loader: OnceCell<Option<Loader>>,
}

impl Symbols {
    /// Symbols of the image `elf`, as linked.
    pub(crate) fn new(elf: PathBuf) -> Self {
        Symbols {
            elf,
            loader: OnceCell::new(),
        }
    }

    /// `line` itself, and below it where each address in a backtrace line comes from.
    pub(crate) fn annotate(&self, line: &str) -> String {
        let mut out = line.to_owned();
        if let Some((number, addr)) = backtrace_line(line) {
            // All but the first are return addresses: the call is the instruction before.
            self.append_frames(
                &mut out,
                if number == 0 {
                    addr
                } else {
                    addr.wrapping_sub(1)
                },
            );
        }
        out
    }

    fn append_frames(&self, out: &mut String, addr: u64) {
        let loader = self.loader.get_or_init(|| Loader::new(&self.elf).ok());
        let Some(loader) = loader else { return };
        // Debug information of functions that the linker dropped claims addresses near zero.
        let text = loader.get_section_range(b".text");
        if !text.is_some_and(|text| (text.begin..text.end).contains(&addr)) {
            return;
        }
        let mut has_frame = false;
        if let Ok(mut frames) = loader.find_frames(addr) {
            while let Ok(Some(frame)) = frames.next() {
                let name = frame
                    .function
                    .as_ref()
                    .and_then(|name| name.demangle().ok());
                let place = frame
                    .location
                    .and_then(|place| Some((place.file?, place.line?)));
                if name.is_none() && place.is_none() {
                    continue;
                }
                has_frame = true;
                // Writing to a String does not fail.
                let _ = write!(out, "\n       {}", name.as_deref().unwrap_or("?"));
                if let Some((file, line)) = place {
                    let _ = write!(out, "\n         at {}:{line}", short(file));
                }
            }
        }
        if let Some(symbol) = loader.find_symbol(addr).filter(|_| !has_frame) {
            let name = addr2line::demangle_auto(symbol.into(), None);
            let _ = write!(out, "\n       {name}");
        }
    }
}

/// A path below the workspace, or in the standard library, without the way to it.
fn short(file: &str) -> &str {
    if let Some((_, library)) = file
        .split_once("/library/")
        .filter(|_| file.starts_with("/rustc/"))
    {
        return library;
    }
    let workspace = kernel::workspace().to_str().unwrap_or_default();
    file.strip_prefix(workspace)
        .map_or(file, |rest| rest.trim_start_matches('/'))
}

/// The frame's number and address in `  #N 0xADDR`.
fn backtrace_line(line: &str) -> Option<(u32, u64)> {
    let mut words = line.strip_prefix("  #")?.split_whitespace();
    let number = words.next()?.parse().ok()?;
    let addr = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    Some((number, addr))
}

#[cfg(test)]
mod tests;
