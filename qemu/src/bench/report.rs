//! What a suite has measured, as a table and as JSON.

use anyhow::{Context, Result};
use serde_json::json;
use std::fs;
use std::path::Path;

/// Some measurements of one thing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    /// The value in the middle.
    pub(crate) median: f64,
    /// Half of what lies between the quartiles, as a part of the median; 0 of a single one.
    pub(crate) spread: f64,
}

impl Sample {
    /// Of at least one value.
    pub(crate) fn of(values: &[f64]) -> Self {
        let median = median(values);
        let [low, high] = [0.25, 0.75].map(|part| quantile(values, part));
        let spread = match median {
            0.0 => 0.0,
            _ => (high - low) / 2.0 / median.abs(),
        };
        Self { median, spread }
    }

    /// Of times, where other programs have a part in some: those over 1.5 times the quickest
    /// twentieth are left out.
    pub(crate) fn undisturbed(times: &[f64]) -> Self {
        let most = quantile(times, 0.05) * 1.5;
        let times: Vec<f64> = times.iter().copied().filter(|time| *time <= most).collect();
        Self::of(&times)
    }

    /// A value that is what it is each time.
    pub(crate) fn exact(value: f64) -> Self {
        Self::of(&[value])
    }

    /// As a column: the value, and its spread where it has one.
    fn column(&self) -> String {
        let value = number(self.median);
        match self.spread {
            0.0 => value,
            spread => format!("{value} ±{:.0}%", spread * 100.0),
        }
    }
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    Less,
    More,
}

/// One comparison, or a figure of ours that has no rival.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) suite: &'static str,
    pub(crate) case: String,
    pub(crate) metric: String,
    pub(crate) unit: &'static str,
    pub(crate) ours: Sample,
    pub(crate) rival: Option<Sample>,
    pub(crate) rival_name: Option<&'static str>,
    /// The rival is someone else, not ours in other circumstances.
    pub(crate) is_rival: bool,
    pub(crate) better: Better,
    /// What the ratio is meant to be at least.
    pub(crate) bar: Option<f64>,
    /// Where it is drawn.
    pub(crate) at: Vec<At>,
}

/// Where a row is drawn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct At {
    pub(crate) axis: Axis,
    pub(crate) x: f64,
    /// On which plot, where one would have too many lines: "tap"; or "".
    pub(crate) chart: &'static str,
    /// What the points are joined by: "kept".
    pub(crate) line: String,
}

/// What is along the bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Axis {
    /// Bytes of a file.
    Size,
    /// Connections.
    Conns,
}

/// The heading of the rows.
pub(crate) fn print_heading(rival_name: &str) {
    println!(
        "{:<30} {:<26} {:>14} {:>14} {:>7}  bar",
        "case", "metric", "ours", rival_name, "ratio"
    );
}

impl Row {
    /// How much better ours is: above 1 it is. `None` without a rival, or where one of them is 0.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let (ours, rival) = (self.ours.median, self.rival?.median);
        let ratio = match self.better {
            Better::Less => rival / ours,
            Better::More => ours / rival,
        };
        (ours > 0.0 && rival > 0.0 && ratio.is_finite()).then_some(ratio)
    }

    pub(crate) fn print(&self) {
        let ratio = self.ratio();
        let bar = match (self.bar, ratio) {
            (Some(bar), Some(ratio)) if ratio < bar => format!("{bar:.1} MISSED"),
            (Some(bar), _) => format!("{bar:.1}"),
            (None, _) => "-".to_owned(),
        };
        let rival = self.rival.map_or("-".to_owned(), |rival| rival.column());
        let ratio = ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        println!(
            "{:<30} {:<26} {:>14} {:>14} {:>7}  {bar}",
            self.case,
            format!("{}, {}", self.metric, self.unit),
            self.ours.column(),
            rival,
            ratio
        );
    }
}

/// What every object has, and nothing else.
pub(crate) const KEYS: [&str; 8] = [
    "case",
    "metric",
    "ours",
    "ratio",
    "rival",
    "rival_name",
    "suite",
    "unit",
];

/// Writes rows as an array of objects, whose keys are [`KEYS`].
///
/// # Errors
/// What the file system says.
pub(crate) fn write_json(rows: &[Row], file: &Path) -> Result<()> {
    let objects = rows.iter().map(|row| {
        json!({
            "suite": row.suite,
            "case": row.case,
            "metric": row.metric,
            "unit": row.unit,
            "ours": row.ours.median,
            "rival": row.rival.map(|rival| rival.median),
            "rival_name": row.rival_name,
            "ratio": row.ratio(),
        })
    });
    let mut text = serde_json::to_string_pretty(&objects.collect::<Vec<_>>())?;
    text.push('\n');
    fs::write(file, text).with_context(|| file.display().to_string())
}

/// The value in the middle; of an even number the lower one of the two. 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value below which so large a part of them lies. 0 of none.
fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    let idx = (last as f64 * part).floor() as usize;
    sorted.get(idx).copied().unwrap_or_default()
}

/// With as many digits as say something.
fn number(value: f64) -> String {
    match value.abs() {
        abs if abs >= 1e6 => format!("{:.2}M", value / 1e6),
        abs if abs >= 1_000.0 => crate::text::count(value.round() as u64),
        abs if abs >= 100.0 => format!("{value:.0}"),
        abs if abs >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests;
