//! `offload=`: what the network card does for us, in the words of `ethtool -k`.
//!
//! ```text
//!   offload=-tso,-rx     everything but these
//!   offload=none         nothing
//!   offload=none,tx      nothing but this
//! ```

/// What the network card may do for us: everything, unless told otherwise.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Offloads(u8);

impl Offloads {
    /// `tx`: the card completes the checksums of what is sent.
    pub const TX: Self = Self(1);
    /// `rx`: the card verifies the checksums of what is received.
    pub const RX: Self = Self(2);
    /// `tso`: the card cuts what is sent into segments. Needs `tx` and `sg`.
    pub const TSO: Self = Self(4);
    /// `lro`: the card hands on received segments as one, or uncut. Needs `rx` and `mrg`.
    pub const LRO: Self = Self(8);
    /// `sg`: the card gathers a packet from several places; without, bodies are copied.
    pub const SG: Self = Self(16);
    /// `event`: the card says by which position it wants to be told, and tells us by which we do.
    pub const EVENT: Self = Self(32);

    /// `mrg`: a received packet may lie in several of our frames, as `lro` and large MTUs need it.
    pub const MRG: Self = Self(64);

    /// Everything.
    pub const ALL: Self = Self(127);
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// Whether all of `other` is in this.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Reads the value of `offload=`; the error says what was expected.
    ///
    /// # Errors
    /// None of these words.
    pub fn parse(value: &str) -> Result<Self, &'static str> {
        let mut offloads = Self::ALL;
        for word in value.split(',').filter(|word| !word.is_empty()) {
            let (bare, is_off) = match word.strip_prefix('-') {
                Some(bare) => (bare, true),
                None => (word, false),
            };
            offloads = match (bare, is_off) {
                ("all", false) | ("none", true) => Self::ALL,
                ("none", false) | ("all", true) => Self::NONE,
                _ => {
                    let of_word = |(name, _): &&(&str, Self)| *name == bare;
                    let (_, one) = NAMES.iter().find(of_word).ok_or(EXPECTED)?;
                    match is_off {
                        true => Self(offloads.0 & !one.0),
                        false => Self(offloads.0 | one.0),
                    }
                }
            };
        }
        Ok(offloads)
    }
}

impl core::fmt::Display for Offloads {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut separator = "";
        for (name, _) in NAMES.iter().filter(|(_, one)| self.has(*one)) {
            write!(f, "{separator}{name}")?;
            separator = ",";
        }
        if separator.is_empty() {
            f.write_str("none")?;
        }
        Ok(())
    }
}

impl core::fmt::Debug for Offloads {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Offloads({self})")
    }
}

const NAMES: [(&str, Offloads); 7] = [
    ("tx", Offloads::TX),
    ("rx", Offloads::RX),
    ("tso", Offloads::TSO),
    ("lro", Offloads::LRO),
    ("sg", Offloads::SG),
    ("event", Offloads::EVENT),
    ("mrg", Offloads::MRG),
];

const EXPECTED: &str = "none, or some of -tx,-rx,-tso,-lro,-sg,-event,-mrg";
