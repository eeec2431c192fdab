//! The image's console: what each line means to the host program.
//!
//! The image's own lines start with `simoom: `; what we wait for is a fixed wording, everything
//! else is for people. A line is a guest's word: it is matched, never trusted with more than that.

/// A line of the console that the host program knows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Line {
    /// `simoom: listening on http://IP:PORT/ (N files, X.Y ms after entry)`
    Listening {
        /// Where the guest itself says it is.
        url: String,
        /// How many files it serves.
        files_cnt: u64,
        /// From the guest's first instruction to here, ms.
        entry_ms: f64,
    },
    /// `simoom: error: TEXT`, or before there is an application `simoom: cannot start: TEXT`; the
    /// guest exits with a code.
    Error(String),
    /// `simoom: all home: connections 0, frames F of F`
    AllHome {
        /// Connections, which are none.
        connections_cnt: u64,
        /// Frames in the pool.
        frames_home: u64,
        /// Frames that there are.
        frames_cnt: u64,
    },
    /// `panicked at FILE:LINE:COLUMN:` (its message on the next line), `panic: TEXT` or
    /// `exception: TEXT`; registers and backtrace follow and the guest exits.
    Panic(String),
    /// Anything else.
    Other,
}

/// What `line` says.
pub(crate) fn parse(line: &str) -> Line {
    if ["panic: ", "panicked at ", "exception: "]
        .iter()
        .any(|start| line.starts_with(start))
    {
        return Line::Panic(line.to_owned());
    }
    let Some(text) = line.strip_prefix("simoom: ") else {
        return Line::Other;
    };
    let error = text
        .strip_prefix("error: ")
        .or_else(|| text.strip_prefix("cannot start: "));
    if let Some(text) = error {
        return Line::Error(text.to_owned());
    }
    listening(text)
        .or_else(|| all_home(text))
        .unwrap_or(Line::Other)
}

fn listening(text: &str) -> Option<Line> {
    let (url, rest) = text.strip_prefix("listening on ")?.split_once(" (")?;
    let (files, rest) = rest.split_once(" files, ")?;
    let entry_ms = rest.strip_suffix(" ms after entry)")?.parse().ok()?;
    Some(Line::Listening {
        url: url.to_owned(),
        files_cnt: files.parse().ok()?,
        entry_ms,
    })
}

fn all_home(text: &str) -> Option<Line> {
    let (connections, rest) = text
        .strip_prefix("all home: connections ")?
        .split_once(", ")?;
    let (home, all) = rest.strip_prefix("frames ")?.split_once(" of ")?;
    Some(Line::AllHome {
        connections_cnt: connections.parse().ok()?,
        frames_home: home.parse().ok()?,
        frames_cnt: all.parse().ok()?,
    })
}

#[cfg(test)]
mod tests;
