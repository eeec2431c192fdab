//! `/metrics`: everything that is counted, in Prometheus' text format.
//!
//! ```text
//!   census: the table of connections in steps, by state ─► families, in the order of the table
//! ```
//!
//! The figures of one answer are not of one moment: between two of its pieces packets pass. Those
//! of one family that must fit together, a histogram's, are looked at once and kept.

mod family;
mod stack;
mod table;

use core::fmt::{self, Write};

use simoom::tcp::State;

use super::latency::Latency;
use super::text::{Text, Written};
use super::view::View;
use family::{Family, Kind, Label, Values};
use table::FAMILIES;

/// The media type.
pub(super) const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Places of the table of connections that are looked at in one step.
const STEP: usize = 256;

/// How far an answer is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cursor {
    /// The next place of the table of connections, and what was found up to there.
    place: usize,
    states: [u32; State::ALL.len()],
    /// The next family, and the next of its values.
    family: usize,
    value: usize,
    /// The histogram, as it was when its family began.
    latency: Latency,
}

impl Cursor {
    /// Writes as many figures as fit.
    pub(super) fn write(&mut self, out: &mut Text<'_>, view: &View<'_>) -> Written {
        if self.place < view.stack.conns_max() {
            self.census(view);
            return Written::Step;
        }
        while let Some(family) = FAMILIES.get(self.family) {
            let mut has_more = false;
            let fits = out.item(|out| {
                if self.value == 0 {
                    self.latency = view.admin.latency;
                    if !family.is_void(view) {
                        family.head(out)?;
                    }
                }
                has_more = family.value(out, view, self)?;
                Ok(())
            });
            if !fits {
                return Written::More;
            }
            if has_more {
                self.value += 1;
            } else {
                self.family += 1;
                self.value = 0;
            }
        }
        Written::Last
    }

    /// Counts the connections of a few more places.
    fn census(&mut self, view: &View<'_>) {
        for found in (self.place..self.place + STEP).filter_map(|place| view.stack.conn(place)) {
            let all = State::ALL
                .iter()
                .position(|state| *state == found.status.state);
            if let Some(cnt) = all.and_then(|idx| self.states.get_mut(idx)) {
                *cnt += 1;
            }
        }
        self.place += STEP;
    }

    fn in_state(&self, idx: usize, view: &View<'_>) -> Option<(State, u64)> {
        let state = *State::ALL.get(idx)?;
        let found = self.states.get(idx).copied().unwrap_or(0);
        // Half-open connections and those in TIME-WAIT are in tables of their own.
        let elsewhere = match state {
            State::SynReceived => view.stack.levels().syns,
            State::TimeWait => view.stack.levels().time_waits,
            _ => 0,
        };
        Some((state, u64::from(found) + elsewhere as u64))
    }
}

impl Family {
    /// Whether there is nothing to say: of several cores, where there is one.
    fn is_void(&self, view: &View<'_>) -> bool {
        matches!(self.values, Values::Cores) && view.admin.cores.is_none()
    }

    /// What stands in front of the values.
    fn head(&self, out: &mut Text<'_>) -> fmt::Result {
        let Self { name, help, .. } = self;
        let kind = match self.values {
            Values::Latency => "histogram",
            _ => self.kind.name(),
        };
        write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n")
    }

    /// The `at`-th figure of all cores, if it is of this family's kind; `None` behind the last.
    fn of_cores(&self, view: &View<'_>, at: usize) -> Option<Option<(usize, &'static str, u64)>> {
        let cores = view.admin.cores?;
        // The figures of all cores one by one: the first of each, the second of each, ...
        let (idx, core) = (at / cores.cores_cnt(), at % cores.cores_cnt());
        let (name, value, only_grows) = cores.figure(core, idx)?;
        let is_of_kind = only_grows == (self.kind == Kind::Counter);
        Some(is_of_kind.then_some((core, name, value)))
    }

    /// Writes the value that `cursor` is at; whether there may be another.
    fn value(
        &self,
        out: &mut Text<'_>,
        view: &View<'_>,
        cursor: &Cursor,
    ) -> Result<bool, fmt::Error> {
        let name = self.name;
        match self.values {
            Values::One(of) => writeln!(out, "{name} {}", of(view))?,
            Values::Ratio(of) => {
                let (part, all) = of(view);
                let millionths = u128::from(part) * 1_000_000 / u128::from(all.max(1));
                let (whole, rest) = (millionths / 1_000_000, millionths % 1_000_000);
                writeln!(out, "{name} {whole}.{rest:06}")?;
            }
            Values::Each(label, of) => match of(view, cursor.value) {
                Some((Label::Name(text), value)) => {
                    writeln!(out, "{name}{{{label}=\"{text}\"}} {value}")?;
                    return Ok(true);
                }
                Some((Label::Code(code), value)) => {
                    let class = code / 100;
                    let labels = format_args!("{label}=\"{code}\",class=\"{class}xx\"");
                    writeln!(out, "{name}{{{labels}}} {value}")?;
                    return Ok(true);
                }
                None => {}
            },
            Values::States => {
                if let Some((state, cnt)) = cursor.in_state(cursor.value, view) {
                    writeln!(out, "{name}{{state=\"{state}\"}} {cnt}")?;
                    return Ok(true);
                }
            }
            Values::Cores => {
                if let Some(figure) = self.of_cores(view, cursor.value) {
                    if let Some((core, figure, value)) = figure {
                        let labels = format_args!("core=\"{core}\",figure=\"{figure}\"");
                        writeln!(out, "{name}{{{labels}}} {value}")?;
                    }
                    return Ok(true);
                }
            }
            Values::Latency => {
                let latency = &cursor.latency;
                if let Some((us, cnt)) = latency.bounds().nth(cursor.value) {
                    let (whole, rest) = (us / 1_000_000, us % 1_000_000);
                    writeln!(out, "{name}_bucket{{le=\"{whole}.{rest:06}\"}} {cnt}")?;
                    return Ok(true);
                }
                let (cnt, sum_us) = (latency.cnt, latency.sum_us);
                let (whole, rest) = (sum_us / 1_000_000, sum_us % 1_000_000);
                writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {cnt}")?;
                writeln!(out, "{name}_sum {whole}.{rest:06}\n{name}_count {cnt}")?;
            }
        }
        Ok(false)
    }
}
