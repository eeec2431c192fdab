//! Chance: RDRAND, or else a virtio entropy device, behind a generator.
//!
//! With neither the image does not start: initial sequence numbers and hash keys that can be
//! guessed are worse than no server. `entropy=weak` starts it all the same, for tests.

mod virtio;

use super::{cpu, mmio, pci};
use crate::chacha::{Generator, KEY_LEN};
use core::fmt;

/// Where the machine's chance comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntropySource {
    /// The processor's instruction.
    Rdrand,
    /// A virtio entropy device (virtio 1.2, 5.4).
    Virtio,
    /// The TSC alone, which can be guessed.
    Weak,
}

/// There is no source of entropy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntropyError;

impl fmt::Display for EntropyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "no RDRAND and no virtio entropy device (QEMU: -cpu max or -device virtio-rng-pci); \
             entropy=weak starts without",
        )
    }
}

impl core::error::Error for EntropyError {}

/// The machine's source of random bytes.
pub struct Entropy {
    generator: Generator,
    source: EntropySource,
}

impl Entropy {
    pub(crate) fn gather(
        pci: Option<pci::Config>,
        slots: &mmio::Slots,
        is_weak_enough: bool,
    ) -> Result<Entropy, EntropyError> {
        let mut seed = [0; KEY_LEN];
        let source = if rdrand_fill(&mut seed) {
            EntropySource::Rdrand
        } else if virtio::fill(pci, slots, &mut seed) {
            EntropySource::Virtio
        } else if is_weak_enough {
            EntropySource::Weak
        } else {
            return Err(EntropyError);
        };
        let mut generator = Generator::new(seed);
        generator.mix(&cpu::tsc().to_le_bytes());
        Ok(Entropy { generator, source })
    }

    /// Where it comes from.
    pub fn source(&self) -> EntropySource {
        self.source
    }

    /// Fills `bytes` with random bytes. What RDRAND and the TSC give now is mixed in first, so
    /// that two machines resumed from one snapshot part ways.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        let mut fresh = [0; 16];
        if self.source == EntropySource::Rdrand {
            rdrand_fill(&mut fresh[..8]);
        }
        fresh[8..].copy_from_slice(&cpu::tsc().to_le_bytes());
        self.generator.mix(&fresh);
        self.generator.fill(bytes);
    }

    /// 32 random bytes, to key something with.
    pub fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.fill(&mut seed);
        seed
    }
}

/// Fills `bytes` by RDRAND; false when there is none or it does not work. Some processors' gave
/// the same number for ever after a resume.
fn rdrand_fill(bytes: &mut [u8]) -> bool {
    if cpu::cpuid(1).ecx & 1 << 30 == 0 {
        return false;
    }
    let mut previous = None;
    for chunk in bytes.chunks_mut(8) {
        let drawn = (0..RDRAND_TRIES).find_map(|_| {
            // SAFETY: CPUID announced it.
            unsafe { cpu::rdrand() }
        });
        let Some(drawn) = drawn.filter(|drawn| previous != Some(*drawn)) else {
            return false;
        };
        previous = Some(drawn);
        chunk.copy_from_slice(&drawn.to_le_bytes()[..chunk.len()]);
    }
    true
}

/// Intel SDM 1, 7.3.17.1: ten tries, or the generator is broken.
const RDRAND_TRIES: u32 = 10;
