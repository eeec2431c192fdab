//! The command `bench`, from end to end: its structure, never its speed.

use super::{Outcome, World};
use crate::bench::child::Running;
use crate::bench::report::KEYS;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Cases of the short run at least, and plots of them.
const CASES_MIN: usize = 5;
const PLOTS_MIN: usize = 2;

/// `bench stack --quick`, with all that it writes.
pub(super) fn stack(_: &mut World) -> Result<Outcome> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let (json, plots) = (folder.path().join("rows.json"), folder.path().join("plots"));
    // This very program, even where cargo has put a newer one in its place meanwhile.
    let mut program = Command::new("/proc/self/exe");
    program.args(["bench", "stack", "--quick", "--json"]);
    program.arg(&json).arg("--plot").arg(&plots);
    program.stdin(Stdio::null());
    Running::output(program).context("bench stack --quick")?;
    let text = fs::read_to_string(&json).context("no JSON")?;
    let cases = rows(&text)?;
    if cases < CASES_MIN {
        bail!("{cases} cases only");
    }
    let drawn = drawings(&plots)?;
    if drawn < PLOTS_MIN {
        bail!("{drawn} plots only");
    }
    println!("       {cases} cases, {drawn} plots");
    Ok(Outcome::Passed)
}

/// Looks at every object; how many cases have a time.
fn rows(text: &str) -> Result<usize> {
    let rows: Value = serde_json::from_str(text).context("no JSON")?;
    let rows = rows.as_array().context("no array")?;
    for row in rows {
        let keys = row.as_object().context("no object")?.keys();
        if !keys.eq(KEYS) {
            bail!("other keys: {row}");
        }
        let is_number = |key: &str| row[key].as_f64().is_some_and(f64::is_finite);
        // A layer may cost nothing: then nothing is so many times better.
        let has_ratio = row["ours"] != 0.0 && row["rival"] != 0.0;
        if !is_number("ours") || !is_number("rival") || (has_ratio && !is_number("ratio")) {
            bail!("a figure is no number: {row}");
        }
        if row["suite"] != "stack" || !["ns", "Ir"].contains(&row["unit"].as_str().unwrap_or("")) {
            bail!("not of this suite: {row}");
        }
    }
    Ok(rows.iter().filter(|row| row["unit"] == "ns").count())
}

/// Reads every plot; how many there are.
fn drawings(folder: &Path) -> Result<usize> {
    let mut cnt = 0;
    for entry in fs::read_dir(folder).context("no plots")? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        let document = roxmltree::Document::parse(&text)
            .with_context(|| format!("{} is no XML", path.display()))?;
        let names = document.descendants().map(|node| node.tag_name().name());
        if document.root_element().tag_name().name() != "svg" || !names.into_iter().any(is_line) {
            bail!("{} shows nothing", path.display());
        }
        cnt += 1;
    }
    Ok(cnt)
}

fn is_line(name: &str) -> bool {
    name == "polyline"
}

#[cfg(test)]
mod tests;
