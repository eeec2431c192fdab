//! `_redirects` and `_headers`: what a site says of itself, in the syntax that static hosts share.
//!
//! ```text
//!   /old/:year/*   /new/:year/:splat   301     _redirects: from, to, status (301); # comment
//!   /*             /index.html         200     200: the file is sent, the address stays
//!
//!   /assets/*                                  _headers: a path,
//!     Cache-Control: max-age=31536000            and the fields of the answers below it
//! ```
//!
//! The meaning is that of Netlify, where the files come from: the first rule that fits counts;
//! files come before rules, unless the status has a `!` behind it; a slash at the end of a path
//! makes no difference; the query goes along when the target has none. `:name` is one component
//! of a path, `*` is all that follows. A line that means nothing here, or something that this
//! server does not do (proxying, conditions on query, country or language), is skipped, and
//! [`Site::rule_faults`](super::Site::rule_faults) tells of it.

mod headers;
mod redirects;
#[cfg(test)]
mod tests;

use core::fmt;

pub(super) use headers::{content_type, put_own};
pub(crate) use redirects::{Redirect, ToPiece};
pub(super) use redirects::{count, fill};

/// Names of the two files, in the folder of the site.
pub(crate) const REDIRECTS_NAME: &[u8] = b"_redirects";
pub(crate) const HEADERS_NAME: &[u8] = b"_headers";

/// Rules of all `_redirects` together at most: what a request that fits none costs.
pub const REDIRECTS_MAX: usize = 2_000;

/// Bytes of a `_headers` at most: it is read again for every file, at boot.
pub const HEADERS_LEN_MAX: usize = 64 * 1024;

/// Placeholders of a pattern at most.
const CAPTURES_MAX: usize = 8;

/// A line that is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleFault {
    /// The folder that the file is in; empty for the root.
    pub root: &'static [u8],
    /// `_redirects` or `_headers`.
    pub file: &'static str,
    /// From 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: &'static str,
}

impl fmt::Display for RuleFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.root.is_empty() { "" } else { "/" };
        write!(
            out,
            "{}{slash}{} line {}: {}: line left out",
            self.root.escape_ascii(),
            self.file,
            self.line,
            self.why
        )
    }
}

/// Looks at every line of both files.
pub(super) fn faults(
    root: &'static [u8],
    redirects: &'static [u8],
    headers: &'static [u8],
    tell: &mut impl FnMut(RuleFault),
) {
    let of = |file| {
        move |line, why| RuleFault {
            root,
            file,
            line,
            why,
        }
    };
    let (in_redirects, in_headers) = (of("_redirects"), of("_headers"));
    redirects::faults(redirects, &mut |line, why| tell(in_redirects(line, why)));
    headers::faults(headers, &mut |line, why| tell(in_headers(line, why)));
}

/// Lines with their numbers, without what surrounds them; empty ones and comments are left out.
fn lines(text: &'static [u8]) -> impl Iterator<Item = (usize, &'static [u8])> {
    // The mark that some editors put in front.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let lines = text.split(|byte| *byte == b'\n');
    let lines = (1..).zip(lines.map(<[u8]>::trim_ascii));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"))
}

/// A path with placeholders, without slashes at its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pattern(&'static [u8]);

impl Pattern {
    /// Checks and trims what a rule has.
    fn read(text: &'static [u8]) -> Result<Self, &'static str> {
        let path = text.strip_prefix(b"/").ok_or("a path starts with /")?;
        if text.iter().any(|byte| matches!(byte, b'%' | b'?' | b'#')) {
            return Err("a path is written as it is, without % ? #");
        }
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let star = path.iter().position(|byte| *byte == b'*');
        if star.is_some_and(|at| at + 1 < path.len()) {
            return Err("* stands at the end of a path");
        }
        let placeholders = components(path).filter(|component| component.starts_with(b":"));
        if placeholders.count() >= CAPTURES_MAX {
            return Err("more than 7 placeholders");
        }
        Ok(Self(path))
    }

    /// What the placeholders stand for in `path`, which is normal; `None` when it does not fit.
    pub(super) fn captures<'p>(&self, path: &'p [u8]) -> Option<Captures<'p>> {
        let mut captures = Captures::NONE;
        let mut rest = Some(path).filter(|path| !path.is_empty());
        for component in components(self.0) {
            if let Some(front) = component.strip_suffix(b"*") {
                let splat = rest.unwrap_or(&[]).strip_prefix(front)?;
                captures.add(b"splat", splat);
                return Some(captures);
            }
            let (first, after) = split_component(rest?);
            rest = after;
            match component.strip_prefix(b":") {
                Some(name) => captures.add(name, first),
                None if component == first => {}
                None => return None,
            }
        }
        rest.is_none().then_some(captures)
    }
}

fn components(path: &'static [u8]) -> impl Iterator<Item = &'static [u8]> {
    let all = path.split(|byte| *byte == b'/');
    all.filter(move |_| !path.is_empty())
}

fn split_component(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    match path.iter().position(|byte| *byte == b'/') {
        Some(at) => (path.get(..at).unwrap_or(&[]), path.get(at + 1..)),
        None => (path, None),
    }
}

/// What placeholders stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Captures<'p> {
    all: [(&'static [u8], &'p [u8]); CAPTURES_MAX],
    cnt: usize,
}

impl<'p> Captures<'p> {
    const NONE: Self = Self {
        all: [(&[], &[]); CAPTURES_MAX],
        cnt: 0,
    };

    fn add(&mut self, name: &'static [u8], value: &'p [u8]) {
        if let Some(place) = self.all.get_mut(self.cnt) {
            *place = (name, value);
            self.cnt += 1;
        }
    }

    fn get(&self, name: &[u8]) -> Option<&'p [u8]> {
        let mut taken = self.all.iter().take(self.cnt);
        taken
            .find(|(other, _)| *other == name)
            .map(|(_, value)| *value)
    }
}
