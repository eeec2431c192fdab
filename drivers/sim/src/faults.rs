//! What can go wrong between two ends, each as a chance per frame.

use crate::Chance;

/// How long a frame is on its way, in microseconds. Frames stay in order, whatever is drawn:
/// only [`Faults::reorder`] lets one overtake another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// The same for each frame.
    Fixed(u64),
    /// Anything from the first to the second.
    Uniform(u64, u64),
    /// At least `min`, and exponentially distributed above that: the long tail of a busy network.
    Exponential {
        /// The least, in microseconds.
        min_us: u64,
        /// The mean of what is added, in microseconds.
        mean_us: u64,
    },
}

/// Which bytes a corruption may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CorruptScope {
    /// All. Ethernet and ARP have no checksum of their own: the wire is then worse than one with
    /// a frame check sequence, and a station may well believe a false address.
    Anywhere,
    /// What an Internet checksum covers, and only so that it finds out. A stack that checks must
    /// then deliver bytes as they were sent. Other frames are left alone.
    Checksummed,
}

/// A bottleneck: so many bits a second, and a queue in front of it that drops at its tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bandwidth {
    /// Bits a second, the frame's own bytes only (no preamble, no frame check sequence).
    pub bits_per_s: u64,
    /// Bytes that may wait or be under way into the bottleneck.
    pub queue_len_max: usize,
}

/// The faults of one direction. They can be switched at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    pub(crate) loss: Chance,
    pub(crate) duplicate: Chance,
    pub(crate) reorder: Chance,
    pub(crate) reorder_us: u64,
    pub(crate) mark: Chance,
    pub(crate) corrupt: Chance,
    pub(crate) corrupt_bits_max: u32,
    pub(crate) corrupt_len: Chance,
    pub(crate) corrupt_scope: CorruptScope,
    pub(crate) delay: Delay,
    pub(crate) jump: Chance,
    pub(crate) jump_us: u64,
    pub(crate) bandwidth: Option<Bandwidth>,
    pub(crate) blackouts: Vec<(u64, u64)>,
}

impl Faults {
    /// A wire that does as it should, one microsecond long.
    pub const fn none() -> Self {
        Self {
            loss: Chance::NEVER,
            duplicate: Chance::NEVER,
            reorder: Chance::NEVER,
            reorder_us: 0,
            mark: Chance::NEVER,
            corrupt: Chance::NEVER,
            corrupt_bits_max: 1,
            corrupt_len: Chance::NEVER,
            corrupt_scope: CorruptScope::Anywhere,
            delay: Delay::Fixed(1),
            jump: Chance::NEVER,
            jump_us: 0,
            bandwidth: None,
            blackouts: Vec::new(),
        }
    }

    /// Frames that vanish.
    pub fn loss(self, loss: Chance) -> Self {
        Self { loss, ..self }
    }

    /// Frames that arrive twice, the second time by a delay of its own.
    pub fn duplicate(self, duplicate: Chance) -> Self {
        Self { duplicate, ..self }
    }

    /// Frames that are held back by 1 to `extra_us` microseconds while later ones pass.
    pub fn reorder(self, reorder: Chance, extra_us: u64) -> Self {
        Self {
            reorder,
            reorder_us: extra_us,
            ..self
        }
    }

    /// Frames that are marked "congestion experienced", of those whose IPv4 header takes part in
    /// that (RFC 3168 5). A mark is no fault: the frame arrives as well as any.
    pub fn mark(self, mark: Chance) -> Self {
        Self { mark, ..self }
    }

    /// Frames of which bits are flipped: 1, unless [`corrupt_bits_max`](Self::corrupt_bits_max).
    pub fn corrupt(self, corrupt: Chance) -> Self {
        Self { corrupt, ..self }
    }

    /// Flips 1 to `bits` bits of a corrupted frame.
    pub fn corrupt_bits_max(self, bits: u32) -> Self {
        Self {
            corrupt_bits_max: bits.max(1),
            ..self
        }
    }

    /// Frames of which one length field is overwritten (IPv4 header and total length, IPv6 payload
    /// length, TCP data offset, UDP length); half of the time the IPv4 header checksum is made
    /// right again, so that the lie is believed one layer further up.
    pub fn corrupt_len(self, corrupt_len: Chance) -> Self {
        Self {
            corrupt_len,
            ..self
        }
    }

    /// Which bytes the two corruptions may touch; anywhere, unless told.
    pub fn corrupt_scope(self, corrupt_scope: CorruptScope) -> Self {
        Self {
            corrupt_scope,
            ..self
        }
    }

    /// Time on the way.
    pub fn delay(self, delay: Delay) -> Self {
        Self { delay, ..self }
    }

    /// Changes of route: from that frame on all take 0 to `extra_us` microseconds more than the
    /// delay says, until the next jump.
    pub fn jump(self, jump: Chance, extra_us: u64) -> Self {
        Self {
            jump,
            jump_us: extra_us,
            ..self
        }
    }

    /// A bottleneck of `bits_per_s`, with a queue of `queue_len_max` bytes.
    ///
    /// # Panics
    /// When `bits_per_s` is 0: that is a blackout.
    pub fn bandwidth(self, bits_per_s: u64, queue_len_max: usize) -> Self {
        assert!(bits_per_s > 0, "a wire of no bandwidth is a blackout");
        Self {
            bandwidth: Some(Bandwidth {
                bits_per_s,
                queue_len_max,
            }),
            ..self
        }
    }

    /// Nothing that enters the wire in `[start_us, end_us)` arrives. May be given several times.
    pub fn blackout(mut self, start_us: u64, end_us: u64) -> Self {
        self.blackouts.push((start_us, end_us));
        self
    }

    pub(crate) fn is_blackout(&self, now_us: u64) -> bool {
        self.blackouts
            .iter()
            .any(|(start_us, end_us)| (*start_us..*end_us).contains(&now_us))
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::none()
    }
}
