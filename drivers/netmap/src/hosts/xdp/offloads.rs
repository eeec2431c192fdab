//! Offloads that a driver must not have on with XDP, by the names that ethtool(8) has for them.
//!
//! Large receive offload merges frames before the program sees them: several drivers refuse a
//! program then, others drop what it takes. Linux switches it off for SKB mode itself, and never on
//! again. So it is switched off here, and what was on is remembered.

use std::format;
use std::io;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::NEEDED;
use super::link::ethtool;
use crate::hosts::OpenError;
use crate::hosts::record::{self, Found};
use crate::hosts::undo::{self, Undo};

/// What is in the way.
const IN_THE_WAY: [&str; 2] = ["rx-lro", "rx-gro-hw"];

/// Takes back what a start that was killed has left, and switches off what is in the way. With
/// what switches it on again, and a line for a person.
///
/// # Errors
/// What the kernel says.
pub(super) fn clear_the_way(name: &str) -> Result<Option<(Undo, String)>, OpenError> {
    let cleared = clear(name, &IN_THE_WAY);
    cleared.map_err(|error| OpenError::of(format!("offloads of {name}"), NEEDED, error))
}

pub(super) fn clear(name: &str, in_the_way: &[&str]) -> io::Result<Option<(Undo, String)>> {
    clear_for("xdp", name, in_the_way)
}

/// As [`clear_the_way`], for a kind of host that has others in its way.
pub(in crate::hosts) fn clear_for(
    kind: &str,
    name: &str,
    in_the_way: &[&str],
) -> io::Result<Option<(Undo, String)>> {
    let key = format!("{kind}:{name}");
    if let Found::Left(lines) = record::find(&key)? {
        let left: Vec<String> = lines.lines().map(ToString::to_string).collect();
        switch(name, &left, true)?;
    }
    let on = which_are_on(name, in_the_way)?;
    if on.is_empty() {
        return Ok(None);
    }
    let lines: String = on.iter().map(|name| format!("{name}\n")).collect();
    let record = record::write(&key, &lines)?;
    let (interface, names) = (name.to_string(), on.clone());
    let undo = undo::later(move || {
        // The interface may be gone by now: then there is nothing to restore.
        let _ = switch(&interface, &names, true);
        record.remove();
    });
    switch(name, &on, false)?;
    let line = format!("{kind}: {name}: {} off until we end", on.join(", "));
    Ok(Some((undo, line)))
}

/// Those of `names` that are on and can be switched off.
pub(super) fn which_are_on(interface: &str, names: &[&str]) -> io::Result<Vec<String>> {
    let features = Features::of(interface)?;
    let is_on = |name: &&&str| features.as_ref().is_some_and(|all| all.is_on(name));
    Ok(names
        .iter()
        .filter(is_on)
        .map(ToString::to_string)
        .collect())
}

/// Switches them on or off.
fn switch(interface: &str, names: &[String], is_on: bool) -> io::Result<()> {
    match Features::of(interface)? {
        Some(features) if !names.is_empty() => features.set(interface, names, is_on),
        _ => Ok(()),
    }
}

/// The features that this kernel knows, and those that an interface has.
struct Features {
    names: Vec<String>,
    /// `ETHTOOL_GFEATURES`: for every 32 of them those that can be switched, those that are
    /// wanted, those that are on, those that never change.
    blocks: Vec<[u32; 4]>,
}

impl Features {
    /// `None` on a kernel that knows none.
    fn of(interface: &str) -> io::Result<Option<Self>> {
        // `struct ethtool_sset_info` with room for one set's size.
        let mut info = [ETHTOOL_GSSET_INFO, 0, 1 << ETH_SS_FEATURES, 0, 0];
        // SAFETY: the structure that the command fills: 16 bytes, and a number for the one set.
        unsafe { ethtool(interface, info.as_mut_ptr().cast()) }?;
        let cnt = usize::try_from(info[4]).unwrap_or(0).min(FEATURES_MAX);
        if info[2] == 0 || cnt == 0 {
            return Ok(None);
        }
        // `struct ethtool_gstrings`: command, set, how many, and 32 bytes for each.
        let mut strings = vec![0_u32; 3 + 8 * cnt];
        strings[..3].copy_from_slice(&[ETHTOOL_GSTRINGS, ETH_SS_FEATURES, cnt as u32]);
        // SAFETY: the structure that the command fills, with room for as many as it says.
        unsafe { ethtool(interface, strings.as_mut_ptr().cast()) }?;
        let names = strings[3..].chunks_exact(8).map(|words| {
            let bytes = words.iter().flat_map(|word| word.to_ne_bytes());
            let name: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
            String::from_utf8_lossy(&name).into_owned()
        });
        // `struct ethtool_gfeatures`: command, how many blocks, the blocks.
        let blocks_cnt = cnt.div_ceil(32);
        let mut blocks = vec![0_u32; 2 + 4 * blocks_cnt];
        blocks[..2].copy_from_slice(&[ETHTOOL_GFEATURES, blocks_cnt as u32]);
        // SAFETY: as before.
        unsafe { ethtool(interface, blocks.as_mut_ptr().cast()) }?;
        let (blocks, _) = blocks[2..].as_chunks::<4>();
        Ok(Some(Self {
            names: names.collect(),
            blocks: blocks.to_vec(),
        }))
    }

    /// Its block, and its bit there.
    fn place_of(&self, name: &str) -> Option<(usize, u32)> {
        let idx = self.names.iter().position(|known| known == name)?;
        Some((idx / 32, 1 << (idx % 32)))
    }

    /// Whether it is on, and can be switched off.
    fn is_on(&self, name: &str) -> bool {
        let place = self.place_of(name);
        place.is_some_and(|(block, bit)| {
            let [available, _, active, never_changed] = self.blocks[block];
            available & active & !never_changed & bit != 0
        })
    }

    fn set(&self, interface: &str, names: &[String], is_on: bool) -> io::Result<()> {
        // `struct ethtool_sfeatures`: command, how many blocks, and for each what is meant, and
        // how it is to be.
        let mut command = vec![0_u32; 2 + 2 * self.blocks.len()];
        command[..2].copy_from_slice(&[ETHTOOL_SFEATURES, self.blocks.len() as u32]);
        for (block, bit) in names.iter().filter_map(|name| self.place_of(name)) {
            command[2 + 2 * block] |= bit;
            command[3 + 2 * block] |= if is_on { bit } else { 0 };
        }
        // SAFETY: the structure that the command reads, with as many blocks as it says.
        unsafe { ethtool(interface, command.as_mut_ptr().cast()) }
    }
}

const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GFEATURES: u32 = 0x3a;
const ETHTOOL_SFEATURES: u32 = 0x3b;
const ETH_SS_FEATURES: u32 = 4;
/// Far more than kernels have.
const FEATURES_MAX: usize = 1024;

#[cfg(test)]
mod tests;
