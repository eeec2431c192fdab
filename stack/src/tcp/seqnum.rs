//! Sequence numbers and windows: three kinds of number that must not be mixed.

use core::fmt;
use core::num::NonZeroU8;
use core::ops::{Add, AddAssign, Sub};

/// A sequence number (RFC 9293 3.4): a position on a circle of 2^32, so it has no order, only
/// neighbors less than 2^31 away.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SeqNum(pub u32);

impl SeqNum {
    /// Whether `self` comes before `other`.
    #[inline]
    pub fn before(self, other: Self) -> bool {
        self - other < 0
    }

    /// Whether `self` comes after `other`.
    #[inline]
    pub fn after(self, other: Self) -> bool {
        self - other > 0
    }

    /// The later of the two.
    #[inline]
    pub fn max(self, other: Self) -> Self {
        if self.before(other) { other } else { self }
    }

    /// The earlier of the two.
    #[inline]
    pub fn min(self, other: Self) -> Self {
        if self.before(other) { self } else { other }
    }

    /// How far `self` is behind `earlier` in the stream; zero if it is before it.
    #[inline]
    pub fn bytes_since(self, earlier: Self) -> u32 {
        u32::try_from(self - earlier).unwrap_or(0)
    }
}

impl Add<u32> for SeqNum {
    type Output = Self;

    #[inline]
    fn add(self, len: u32) -> Self {
        Self(self.0.wrapping_add(len))
    }
}

impl AddAssign<u32> for SeqNum {
    #[inline]
    fn add_assign(&mut self, len: u32) {
        *self = *self + len;
    }
}

impl Sub<u32> for SeqNum {
    type Output = Self;

    #[inline]
    fn sub(self, len: u32) -> Self {
        Self(self.0.wrapping_sub(len))
    }
}

impl Sub for SeqNum {
    type Output = i32;

    /// The signed distance on the circle.
    #[inline]
    fn sub(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0) as i32
    }
}

impl fmt::Debug for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A window as the header has it, before scaling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireWnd(pub u16);

impl WireWnd {
    /// The window in bytes.
    #[inline]
    pub fn scaled(self, scale: WndScale) -> WndSize {
        WndSize(u32::from(self.0) << scale.get())
    }
}

/// A window in bytes, at most 2^30 (RFC 7323 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WndSize(pub u32);

impl WndSize {
    /// What goes into the header: rounded down, and cut to what the field can say.
    #[inline]
    pub fn to_wire(self, scale: WndScale) -> WireWnd {
        WireWnd(u16::try_from(self.0 >> scale.get()).unwrap_or(u16::MAX))
    }
}

/// A window scale, 0 to 14 (RFC 7323 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WndScale(
    /// The shift and one, so that none at all takes no room.
    NonZeroU8,
);

impl WndScale {
    /// No scaling.
    pub const ZERO: Self = Self(NonZeroU8::MIN);

    /// What the option says; more than 14 counts as 14 (RFC 7323 2.3).
    pub fn from_wire(shift: u8) -> Self {
        Self(NonZeroU8::MIN.saturating_add(shift.min(14)))
    }

    /// The least scale that lets a header say `wnd`.
    pub fn fitting(wnd: WndSize) -> Self {
        let bits = u32::BITS - wnd.0.leading_zeros();
        Self::from_wire(u8::try_from(bits.saturating_sub(16)).unwrap_or(14))
    }

    /// The shift.
    #[inline]
    pub fn get(self) -> u8 {
        self.0.get() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_relative_and_survives_the_wrap() {
        for base in [0, 1, u32::MAX, u32::MAX - 1, 1 << 31] {
            let first = SeqNum(base);
            assert!(first.before(first + 1) && (first + 1).after(first));
            assert!(!first.before(first) && !first.after(first));
            assert_eq!((first + 10).bytes_since(first), 10);
            assert_eq!(first.bytes_since(first + 10), 0);
            assert_eq!(first.max(first + 3), first + 3);
            assert_eq!(first.min(first + 3), first);
        }
    }

    #[test]
    fn a_scale_is_just_large_enough() {
        assert_eq!(WndScale::fitting(WndSize(65_535)), WndScale::ZERO);
        assert_eq!(WndScale::fitting(WndSize(65_536)).get(), 1);
        assert_eq!(WndScale::fitting(WndSize(1 << 30)).get(), 14);
        assert_eq!(WndScale::from_wire(200).get(), 14);
        let scale = WndScale::from_wire(7);
        assert_eq!(
            WndSize(1_000_000).to_wire(scale).scaled(scale),
            WndSize(999_936)
        );
        assert_eq!(WndSize(u32::MAX).to_wire(WndScale::ZERO), WireWnd(u16::MAX));
    }
}
