//! Precompressed variants: `name.br`, `name.zst` and `name.gz` beside `name`.

/// A content coding that a file may lie in the site in (RFC 9110 8.4.1; zstd: RFC 8878).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Brotli, `.br`.
    Brotli,
    /// Zstandard, `.zst`.
    Zstd,
    /// gzip, `.gz`.
    Gzip,
}

impl Coding {
    /// All of them. Of two that are equal in every way the first is taken.
    pub const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// The name in Content-Encoding and Accept-Encoding.
    #[must_use]
    pub const fn name(self) -> &'static [u8] {
        match self {
            Self::Brotli => b"br",
            Self::Zstd => b"zstd",
            Self::Gzip => b"gzip",
        }
    }

    /// The end of a variant's name.
    #[must_use]
    pub const fn suffix(self) -> &'static [u8] {
        match self {
            Self::Brotli => b".br",
            Self::Zstd => b".zst",
            Self::Gzip => b".gz",
        }
    }

    /// What follows the digest in a variant's tag: the same bytes under their own name are another
    /// representation.
    pub(super) const fn tag_suffix(self) -> &'static [u8] {
        match self {
            Self::Brotli => b"-br",
            Self::Zstd => b"-zst",
            Self::Gzip => b"-gz",
        }
    }

    /// Of a path, by its end, and the path without that end.
    pub(super) fn of_path(path: &[u8]) -> Option<(Self, &[u8])> {
        Self::ALL.into_iter().find_map(|coding| {
            let base = path.strip_suffix(coding.suffix())?;
            let is_name = base.last().is_some_and(|byte| *byte != b'/');
            is_name.then_some((coding, base))
        })
    }
}

/// Where a file's variants are: the place in the table, and the coding. The smallest comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Variants([u32; 3]);

impl Variants {
    pub(super) const NONE: Self = Self([VACANT; 3]);

    pub(super) fn is_empty(self) -> bool {
        self.0 == Self::NONE.0
    }

    /// Each with its place.
    pub(super) fn iter(self) -> impl Iterator<Item = (Coding, usize)> {
        let taken = self.0.into_iter().filter(|packed| *packed != VACANT);
        taken.filter_map(|packed| {
            let coding = Coding::ALL.get((packed >> IDX_BITS) as usize)?;
            Some((*coding, (packed & IDX_MAX) as usize))
        })
    }

    /// Adds one; `len_at` knows the length of what is at a place.
    pub(super) fn add(&mut self, coding: Coding, slot_idx: usize, len_at: impl Fn(usize) -> usize) {
        let Ok(slot_idx) = u32::try_from(slot_idx) else {
            return;
        };
        if slot_idx >= IDX_MAX {
            return;
        }
        let len = |packed: u32| match packed {
            VACANT => usize::MAX,
            packed => len_at((packed & IDX_MAX) as usize),
        };
        let packed = (coding as u32) << IDX_BITS | slot_idx;
        let key = |packed: u32| (len(packed), packed >> IDX_BITS);
        // The last place is free: there are as many places as codings.
        if let Some(last) = self.0.last_mut() {
            *last = packed;
        }
        self.0.sort_unstable_by_key(|packed| key(*packed));
    }
}

/// Bits of a place in the table; a table with more places has no variants beyond them.
const IDX_BITS: u32 = 30;
const IDX_MAX: u32 = (1 << IDX_BITS) - 1;
const VACANT: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn the_smallest_comes_first_whatever_the_order() {
        let lens = [30, 10, 20, 10];
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]] {
            let mut variants = Variants::NONE;
            for at in order {
                variants.add(Coding::ALL[at], at, |idx| lens[idx]);
            }
            let found: Vec<_> = variants.iter().map(|(coding, _)| coding).collect();
            assert_eq!(found, [Coding::Zstd, Coding::Gzip, Coding::Brotli]);
        }
        let mut variants = Variants::NONE;
        variants.add(Coding::Gzip, 1, |idx| lens[idx]);
        variants.add(Coding::Brotli, 3, |idx| lens[idx]);
        let found: Vec<_> = variants.iter().collect();
        assert_eq!(found, [(Coding::Brotli, 3), (Coding::Gzip, 1)]);
    }

    #[test]
    fn names() {
        assert_eq!(
            Coding::of_path(b"a/b.js.br"),
            Some((Coding::Brotli, &b"a/b.js"[..]))
        );
        assert_eq!(Coding::of_path(b"x.zst"), Some((Coding::Zstd, &b"x"[..])));
        for none in [&b".gz"[..], b"a/.br", b"gz", b"a.js", b""] {
            assert_eq!(Coding::of_path(none), None);
        }
    }
}
