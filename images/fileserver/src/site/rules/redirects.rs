//! `_redirects`: lines of `from to [status]`.

use super::{Captures, Pattern, REDIRECTS_MAX, lines};
use crate::message::Status;

/// A rule of a `_redirects`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Redirect {
    /// The folder of the site that it belongs to.
    root: &'static [u8],
    from: Pattern,
    to: &'static [u8],
    /// 200 and 404 send a file, the others are redirects.
    pub(crate) status: Status,
    /// It comes before files.
    pub(crate) is_forced: bool,
}

/// A piece of a target.
pub(crate) enum ToPiece<'a> {
    /// As it stands in the rule.
    Written(&'static [u8]),
    /// What a placeholder stands for: decoded.
    Captured(&'a [u8]),
}

impl Redirect {
    pub(in crate::site) const NONE: Self = Self {
        root: &[],
        from: Pattern(&[]),
        to: &[],
        status: Status::NotFound,
        is_forced: false,
    };

    /// What the placeholders stand for, when the rule is for `path` of the site in `root`.
    #[inline]
    pub(crate) fn captures<'p>(&self, root: &[u8], path: &'p [u8]) -> Option<Captures<'p>> {
        if self.root != root {
            return None;
        }
        self.from.captures(path)
    }

    /// The target, piece by piece.
    pub(crate) fn expand<'p>(&self, captures: &Captures<'p>, mut put: impl FnMut(ToPiece<'p>)) {
        let mut rest = self.to;
        while let Some(colon) = rest.iter().position(|byte| *byte == b':') {
            let (front, after) = rest.split_at_checked(colon).unwrap_or((rest, &[]));
            put(ToPiece::Written(front));
            let name = after.get(1..).unwrap_or(&[]);
            let is_end = |byte: &u8| !byte.is_ascii_alphanumeric() && *byte != b'_';
            let len = name.iter().position(is_end).unwrap_or(name.len());
            let value = name.get(..len).and_then(|name| captures.get(name));
            match value {
                Some(value) => put(ToPiece::Captured(value)),
                None => put(ToPiece::Written(after.get(..=len).unwrap_or(after))),
            }
            rest = name.get(len..).unwrap_or(&[]);
        }
        put(ToPiece::Written(rest));
    }

    /// Whether the target says which query it wants.
    pub(crate) fn has_query(&self) -> bool {
        self.to.contains(&b'?')
    }

    /// Whether the target has a part that browsers keep for themselves: nothing goes behind it.
    pub(crate) fn has_fragment(&self) -> bool {
        self.to.contains(&b'#')
    }
}

/// Rules of a file.
fn rules(
    root: &'static [u8],
    text: &'static [u8],
) -> impl Iterator<Item = (usize, Result<Redirect, &'static str>)> {
    lines(text).map(move |(line, words)| (line, rule(root, words)))
}

/// Rules that count.
pub(in crate::site) fn count(text: &'static [u8]) -> usize {
    rules(&[], text).filter(|(_, rule)| rule.is_ok()).count()
}

/// Writes the rules of a file to the front of `memory`; how many.
pub(in crate::site) fn fill(
    root: &'static [u8],
    text: &'static [u8],
    memory: &mut [Redirect],
) -> usize {
    let good = rules(root, text).filter_map(|(_, rule)| rule.ok());
    let places = memory.iter_mut().zip(good);
    places.map(|(place, rule)| *place = rule).count()
}

pub(super) fn faults(text: &'static [u8], tell: &mut impl FnMut(usize, &'static str)) {
    let mut good_cnt = 0;
    for (line, rule) in rules(&[], text) {
        match rule {
            Ok(_) if good_cnt >= REDIRECTS_MAX => tell(line, "more than 2000 rules"),
            Ok(_) => good_cnt += 1,
            Err(why) => tell(line, why),
        }
    }
}

fn rule(root: &'static [u8], line: &'static [u8]) -> Result<Redirect, &'static str> {
    let mut words = line
        .split(|byte| byte.is_ascii_whitespace())
        .filter(|word| !word.is_empty());
    let (from, to) = (words.next(), words.next());
    let (Some(from), Some(to)) = (from, to) else {
        return Err("a rule is a path and a target");
    };
    let status = words.next().filter(|word| !word.starts_with(b"#"));
    if status.is_some() && words.next().is_some_and(|word| !word.starts_with(b"#")) {
        return Err("conditions are not known here");
    }
    let from = Pattern::read(from)?;
    let is_path = to.starts_with(b"/") && !to.starts_with(b"//");
    let is_url = to.starts_with(b"http://") || to.starts_with(b"https://");
    if !is_path && !is_url {
        return Err("a target starts with / or http:// or https://, and conditions are not known");
    }
    if to.iter().any(u8::is_ascii_control) {
        return Err("a target has no control characters");
    }
    let (digits, is_forced) = match status.and_then(|word| word.strip_suffix(b"!")) {
        Some(digits) => (Some(digits), true),
        None => (status, false),
    };
    let status = match digits {
        None | Some(b"301") => Status::MovedPermanently,
        Some(b"302") => Status::Found,
        Some(b"303") => Status::SeeOther,
        Some(b"307") => Status::TemporaryRedirect,
        Some(b"308") => Status::PermanentRedirect,
        Some(b"200") => Status::Ok,
        Some(b"404") => Status::NotFound,
        Some(_) => return Err("the status is one of 200 301 302 303 307 308 404"),
    };
    if matches!(status, Status::Ok | Status::NotFound) && !is_path {
        return Err("only files of the site can be sent, nothing from elsewhere");
    }
    let is_redirect = !matches!(status, Status::Ok | Status::NotFound);
    if is_redirect && Pattern::read(to) == Ok(from) {
        return Err("it leads to itself");
    }
    Ok(Redirect {
        root,
        from,
        to,
        status,
        is_forced,
    })
}
