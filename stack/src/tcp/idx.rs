//! Places in tables that are linked by number.

/// No place: the end of a list, or nothing there.
pub(super) const NONE: u32 = u32::MAX;
