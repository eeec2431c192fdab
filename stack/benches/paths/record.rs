//! Instructions that were recorded, against which those of today are judged.

use std::path::PathBuf;
use std::process::ExitCode;

/// A file with a line for each row: its name, and its instructions.
pub(crate) struct Record {
    file: PathBuf,
    known: String,
    /// What to write, if that is wished.
    new: Option<String>,
    is_good: bool,
}

impl Record {
    /// The one of `bench` in the package at `root`; to be written anew if `do_record`.
    pub(crate) fn read(root: &str, bench: &str, do_record: bool) -> Self {
        let file: PathBuf = [root, "benches", "recorded", bench].iter().collect();
        let file = file.with_extension("txt");
        let head = format!(
            "# Instructions: `cargo bench -p {} --bench {bench} -- --record` writes this.\n",
            env!("CARGO_PKG_NAME")
        );
        Self {
            known: std::fs::read_to_string(&file).unwrap_or_default(),
            file,
            new: do_record.then_some(head),
            is_good: true,
        }
    }

    /// What is to be said of a row that takes so many instructions now.
    pub(crate) fn judge(&mut self, name: &str, now: f64) -> String {
        if let Some(new) = &mut self.new {
            *new += &format!("{name}: {now:.1}\n");
            return String::from("recorded");
        }
        let mut lines = self.known.lines();
        let known = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let Some(known) = known.and_then(|known| known.parse::<f64>().ok()) else {
            self.is_good = false;
            return String::from("not recorded");
        };
        let is_more = now > known * (1.0 + TOLERANCE);
        self.is_good &= !is_more;
        let verdict = match is_more {
            true => "TOO MUCH",
            false if now < known * (1.0 - TOLERANCE) => "less: record it",
            false => "as recorded",
        };
        format!("{verdict} ({known:.0})")
    }

    /// Writes what is to be recorded; fails if a row takes too much, or is not known.
    ///
    /// # Panics
    /// When it cannot be written.
    pub(crate) fn end(self) -> ExitCode {
        if let Some(new) = self.new {
            std::fs::write(self.file, new).expect("the record can be written");
        }
        match self.is_good {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    }
}

/// How much more than recorded is a regression.
const TOLERANCE: f64 = 0.03;
