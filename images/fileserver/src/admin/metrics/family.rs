//! Figures of one name, and where their values come from.

use super::super::view::View;

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

/// Where the values of a family come from.
#[derive(Clone, Copy)]
pub(super) enum Values {
    /// One number.
    One(fn(&View<'_>) -> u64),
    /// One of two numbers over the other; 0 of none.
    Ratio(fn(&View<'_>) -> (u64, u64)),
    /// A number for each value of a label.
    Each(&'static str, fn(&View<'_>, usize) -> Option<(Label, u64)>),
    /// Connections by state, which take steps to be counted.
    States,
    /// How long clients wait.
    Latency,
    /// What each core has written down, of this kind; the family's own figures are of one core.
    Cores,
}

/// The value of a label.
pub(super) enum Label {
    Name(&'static str),
    Code(u16),
}

/// Figures of one name.
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    pub(super) values: Values,
}

pub(super) const fn family(
    kind: Kind,
    name: &'static str,
    help: &'static str,
    values: Values,
) -> Family {
    Family {
        name,
        help,
        kind,
        values,
    }
}

pub(super) const fn counter(
    name: &'static str,
    help: &'static str,
    of: fn(&View<'_>) -> u64,
) -> Family {
    family(Kind::Counter, name, help, Values::One(of))
}

pub(super) const fn gauge(
    name: &'static str,
    help: &'static str,
    of: fn(&View<'_>) -> u64,
) -> Family {
    family(Kind::Gauge, name, help, Values::One(of))
}

pub(super) const fn each(
    kind: Kind,
    name: &'static str,
    help: &'static str,
    label: &'static str,
    of: fn(&View<'_>, usize) -> Option<(Label, u64)>,
) -> Family {
    family(kind, name, help, Values::Each(label, of))
}

pub(super) const fn ratio(
    name: &'static str,
    help: &'static str,
    of: fn(&View<'_>) -> (u64, u64),
) -> Family {
    family(Kind::Gauge, name, help, Values::Ratio(of))
}
