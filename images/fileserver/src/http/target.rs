//! The request target: RFC 9112 3.2 for its forms, RFC 3986 for what is in it.
//!
//! The path is percent-decoded once and made normal; most paths are normal already and are used
//! where they lie in the request. What is not normal UTF-8 within the root is refused, so no
//! target names anything outside the site.

use crate::message::Status;
use crate::site::path::PathBuf;

/// A path that [`Site::find`](crate::site::Site::find) takes, and what stood around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target<'t> {
    /// Decoded, normal, without slashes at its ends; empty for the root.
    pub(super) path: &'t [u8],
    /// Whether a slash stood at the end: a folder is meant.
    pub(super) has_slash: bool,
    /// What followed `?`, as it stood.
    pub(super) query: Option<&'t [u8]>,
    /// The host of an absolute form, which overrules the Host field (RFC 9112 3.2.2).
    pub(super) authority: Option<&'t [u8]>,
}

/// Memory for a path that is not normal as it stands.
pub(super) struct Room {
    decoded: PathBuf,
    normal: PathBuf,
}

impl Room {
    pub(super) const fn new() -> Self {
        Self {
            decoded: PathBuf::new(),
            normal: PathBuf::new(),
        }
    }
}

/// A target split at its query, the path not decoded yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawTarget<'t> {
    /// Starts with a slash.
    path: &'t [u8],
    query: Option<&'t [u8]>,
    authority: Option<&'t [u8]>,
    /// No escape, no empty component, none that starts with a dot.
    is_normal: bool,
}

impl<'t> RawTarget<'t> {
    /// Origin form or absolute form; the other two are for CONNECT and OPTIONS.
    pub(super) fn parse(target: &'t [u8]) -> Result<Self, Status> {
        let (authority, path) = if target.starts_with(b"/") {
            (None, target)
        } else {
            let (authority, path) = split_authority(target)?;
            (Some(authority), path)
        };
        // One pass for all that is looked for; most bytes are nothing of it.
        let (mut path_len, mut is_normal) = (path.len(), true);
        for (at, &byte) in path.iter().enumerate() {
            if ODD_BYTES.get(usize::from(byte)) != Some(&true) {
                continue;
            }
            match byte {
                b'?' => {
                    path_len = at;
                    break;
                }
                b'#' => return Err(Status::BadRequest),
                b'%' => is_normal = false,
                // A slash, and what may not follow it.
                _ => is_normal &= !matches!(path.get(at + 1), Some(b'/' | b'.')),
            }
        }
        let (path, after) = path.split_at_checked(path_len).ok_or(Status::BadRequest)?;
        let query = after.strip_prefix(b"?");
        if query.is_some_and(|query| query.contains(&b'#')) {
            return Err(Status::BadRequest);
        }
        // An authority may be followed by nothing or by a query: RFC 9112 3.2.2.
        let path = if path.is_empty() { b"/" } else { path };
        Ok(Self {
            path,
            query,
            authority,
            is_normal,
        })
    }

    /// The path, when it is normal as it stands.
    pub(super) fn as_normal(self) -> Option<Target<'t>> {
        if !self.is_normal {
            return None;
        }
        let path = self.path.strip_prefix(b"/")?;
        let (path, has_slash) = match path.strip_suffix(b"/") {
            Some(shorter) => (shorter, true),
            None => (path, path.is_empty()),
        };
        Some(Target {
            path,
            has_slash,
            query: self.query,
            authority: self.authority,
        })
    }

    /// The path, decoded and made normal in memory of the caller.
    #[inline(never)]
    pub(super) fn normalize<'r>(self, room: &'r mut Room) -> Result<Target<'r>, Status>
    where
        't: 'r,
    {
        room.decoded.clear();
        percent_decode(self.path, &mut room.decoded)?;
        let decoded = room.decoded.as_bytes();
        // Overlong forms and surrogates are not UTF-8 either.
        if decoded.contains(&0) || core::str::from_utf8(decoded).is_err() {
            return Err(Status::BadRequest);
        }
        room.normal.clear();
        room.normal.walk(decoded).map_err(|_| Status::BadRequest)?;
        let last = decoded.rsplit(|byte| *byte == b'/').next().unwrap_or(&[]);
        let has_slash = matches!(last, b"" | b"." | b"..");
        Ok(Target {
            path: room.normal.as_bytes(),
            has_slash,
            query: self.query,
            authority: self.authority,
        })
    }
}

/// What makes a path end, or be another one than it says.
const ODD_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut rest: &[u8] = b"?#%/";
    while let Some((byte, after)) = rest.split_first() {
        table[*byte as usize] = true;
        rest = after;
    }
    table
};

/// The authority of an absolute form, and what follows it. No connection of ours is secured, so
/// `https` is refused as any other scheme (RFC 9110 7.4).
fn split_authority(target: &[u8]) -> Result<(&[u8], &[u8]), Status> {
    let scheme = b"http://";
    let rest = match target.split_at_checked(scheme.len()) {
        Some((front, rest)) if front.eq_ignore_ascii_case(scheme) => rest,
        _ => return Err(Status::BadRequest),
    };
    let is_end = |byte: &u8| matches!(byte, b'/' | b'?' | b'#');
    let end = rest.iter().position(is_end).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).ok_or(Status::BadRequest)?;
    if authority.is_empty() || !is_host(authority) {
        return Err(Status::BadRequest);
    }
    Ok((authority, path))
}

/// Whether all bytes may stand in a Host field: RFC 3986 3.2.2 with a port, no user.
pub(super) fn is_host(value: &[u8]) -> bool {
    let may_stand = |byte: &u8| HOST_BYTES.get(usize::from(*byte)) == Some(&true);
    value.iter().all(may_stand)
}

/// unreserved, sub-delims but the comma (a list of hosts is none), and `:[]%`.
const HOST_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut rest: &[u8] = b"-._~!$&'()*+;=:[]%\
        0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    while let Some((byte, after)) = rest.split_first() {
        table[*byte as usize] = true;
        rest = after;
    }
    table
};

fn percent_decode(path: &[u8], out: &mut PathBuf) -> Result<(), Status> {
    let mut rest = path;
    // Longer than any path of a site can be.
    let too_long = |_| Status::UriTooLong;
    while let Some(mark) = rest.iter().position(|byte| *byte == b'%') {
        let (plain, coded) = rest.split_at_checked(mark).ok_or(Status::BadRequest)?;
        out.append(plain).map_err(too_long)?;
        let &[_, high, low, ref after @ ..] = coded else {
            return Err(Status::BadRequest);
        };
        let byte = (nibble(high)? << 4) | nibble(low)?;
        out.append(&[byte]).map_err(too_long)?;
        rest = after;
    }
    out.append(rest).map_err(too_long)
}

fn nibble(digit: u8) -> Result<u8, Status> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(Status::BadRequest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString};

    fn normal(target: &str) -> Result<(String, bool), u16> {
        let raw = RawTarget::parse(target.as_bytes()).map_err(Status::code)?;
        let mut room = Room::new();
        let slow = raw.normalize(&mut room).map_err(Status::code)?;
        if let Some(fast) = raw.as_normal() {
            assert_eq!(fast, slow, "{target}");
        }
        Ok((
            core::str::from_utf8(slow.path).unwrap().to_string(),
            slow.has_slash,
        ))
    }

    #[test]
    fn paths() {
        let row = |target: &str, path: &str, has_slash: bool| {
            assert_eq!(
                normal(target),
                Ok((path.to_string(), has_slash)),
                "{target}"
            );
        };
        row("/", "", true);
        row("/a", "a", false);
        row("/a/b.html?x=/../y", "a/b.html", false);
        row("/a/", "a", true);
        row("//a///b//", "a/b", true);
        row("/a/./b/../c", "a/c", false);
        row("/a/b/..", "a", true);
        row("/a/.", "a", true);
        row("/a/%2e%2E/b", "b", false);
        row("/a%2fb", "a/b", false);
        row("/%61%2520", "a%20", false);
        row("/caf%C3%A9", "café", false);
        row("/café", "café", false);
        row("/.well-known/x", ".well-known/x", false);
        row("/a?", "a", false);
        row("/?%", "", true);
        row("http://host", "", true);
        row("HTTP://host:80/a/b", "a/b", false);
        row("http://host?q", "", true);
        row("http://[::1]:8080/a", "a", false);
        row("/a\\..\\b", "a\\..\\b", false);
    }

    #[test]
    fn refused_targets() {
        let rows = [
            "",
            "a",
            "*",
            "host:80",
            "ftp://h/a",
            "https://h/a",
            "http://",
            "http:///a",
            "http://u@h/a",
            "/a#b",
            "http://h#",
            "/%",
            "/%4",
            "/%zz",
            "/%00",
            "/a%00.html",
            "/%c0%af",
            "/%c0%ae%c0%ae/x",
            "/%ed%a0%80",
            "/%ff",
            "/..",
            "/../a",
            "/a/../../b",
            "/%2e%2e/a",
            "/..%2fa",
            "/a/%2e%2e%2f%2e%2e%2fetc/passwd",
            "/./..",
            "//..",
        ];
        for row in rows {
            assert_eq!(normal(row), Err(400), "{row}");
        }
        let long = "/%61".repeat(1025);
        assert_eq!(normal(&long), Err(414));
    }

    #[test]
    fn no_target_walks_out() {
        // All targets of six pieces from an alphabet of the dangerous ones.
        let pieces = ["/", ".", "..", "%2e", "%2f", "a", "%5c"];
        let mut target = String::new();
        for number in 0..pieces.len().pow(6) {
            target.clear();
            target.push('/');
            let mut digits = number;
            for _ in 0..6 {
                target.push_str(pieces[digits % pieces.len()]);
                digits /= pieces.len();
            }
            if let Ok((path, _)) = normal(&target) {
                let is_normal = |component: &str| !matches!(component, "" | "." | "..");
                assert!(
                    path.is_empty() || path.split('/').all(is_normal),
                    "{target}: {path}"
                );
            }
        }
    }
}
