//! What a suite has measured, as a table and as JSON.

use anyhow::{Context, Result};
use serde_json::json;
use std::fs;
use std::path::Path;

/// One comparison.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) suite: &'static str,
    pub(crate) case: String,
    pub(crate) metric: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) ours: f64,
    pub(crate) rival: f64,
    pub(crate) rival_name: &'static str,
    /// Above 1 means that ours is better.
    pub(crate) ratio: f64,
    /// What the ratio is meant to be at least.
    pub(crate) bar: Option<f64>,
}

/// The heading of the rows.
pub(crate) fn print_heading(rival_name: &str, unit: &str) {
    println!(
        "{:<42} {:>10} {:>12} {:>7}  bar",
        unit, "ours", rival_name, "ratio"
    );
}

impl Row {
    pub(crate) fn print(&self) {
        let bar = match self.bar {
            Some(bar) if self.ratio >= bar => format!("{bar:.1}"),
            Some(bar) => format!("{bar:.1} MISSED"),
            None => "-".to_owned(),
        };
        println!(
            "{:<42} {:>10.2} {:>12.2} {:>7.2}  {bar}",
            self.case, self.ours, self.rival, self.ratio
        );
    }
}

/// Writes rows as an array of objects.
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
            "ours": row.ours,
            "rival": row.rival,
            "rival_name": row.rival_name,
            "ratio": row.ratio,
            "bar": row.bar,
        })
    });
    let mut text = serde_json::to_string_pretty(&objects.collect::<Vec<_>>())?;
    text.push('\n');
    fs::write(file, text).with_context(|| file.display().to_string())
}

/// The value in the middle; of an even number the lower one of the two. 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len().saturating_sub(1) / 2;
    sorted.get(middle).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
