//! From a path to a file: the site of the host, rules that come first, the file, rules that come
//! last, the page for what is missing.
//!
//! ```text
//!   Host ─► folder ─► `from to 301!` ─► file or folder ─► `from to 301`, `/* /x 200` ─► 404.html
//! ```

use super::accept;
use super::answer::Out;
use super::exchange::Answer;
use super::reply::Reply;
use super::request::{Method, Request};
use super::server::Server;
use super::target::Target;
use crate::message::Status;
use crate::site::path::PathBuf;
use crate::site::{Captures, File, Found, Redirect, ToPiece};

/// A path as a rule or a client names it, and where it lies in the archive.
#[derive(Clone, Copy)]
struct Place<'p> {
    /// The folder of the site; empty for the whole archive.
    root: &'p [u8],
    /// With that folder in front.
    path: &'p [u8],
}

/// Files that tell the server something, and nobody else.
#[inline]
pub(super) fn is_hidden(path: &[u8]) -> bool {
    path.first() == Some(&b'_') && matches!(path, b"_redirects" | b"_headers")
}

impl Server {
    #[inline]
    pub(super) fn answer_path(
        &self,
        request: &Request<'_, '_>,
        target: &Target<'_>,
        reply: &Reply,
        out: Out<'_>,
    ) -> Answer {
        if self.site.has_hosts() {
            return self.answer_host(request, target, reply, out);
        }
        let place = Place {
            root: &[],
            path: target.path,
        };
        self.answer_place(request, target, place, reply, out)
    }

    #[inline(never)]
    fn answer_host(
        &self,
        request: &Request<'_, '_>,
        target: &Target<'_>,
        reply: &Reply,
        out: Out<'_>,
    ) -> Answer {
        // RFC 9112 3.2.2: the host of the target overrules the field.
        let host = target.authority.or(request.fields.host).unwrap_or(&[]);
        let mut room = [0; HOST_LEN_MAX];
        let Some(root) = self.site.root_of_host(host_name(host, &mut room)) else {
            return self.page(reply, Status::MisdirectedRequest, out.head);
        };
        let mut full = PathBuf::new();
        let is_written = full.append(root).and_then(|()| full.walk(target.path));
        if is_written.is_err() {
            return self.page(reply, Status::UriTooLong, out.head);
        }
        let path = full.as_bytes();
        self.answer_place(request, target, Place { root, path }, reply, out)
    }

    fn answer_place(
        &self,
        request: &Request<'_, '_>,
        target: &Target<'_>,
        place: Place<'_>,
        reply: &Reply,
        out: Out<'_>,
    ) -> Answer {
        if let Some((rule, captures)) = self.rule(target, place, true) {
            return self.follow(request, target, place, (rule, &captures), reply, out);
        }
        let found = match is_hidden(target.path) {
            true => None,
            false => self.site.find(place.path),
        };
        match found {
            Some(Found::File(file)) if !target.has_slash => {
                return self.answer_file(request, file, reply, out);
            }
            Some(Found::Folder(Some(index))) if target.has_slash => {
                return self.answer_file(request, index, reply, out);
            }
            Some(Found::Folder(Some(_))) => return self.redirect(reply, target, out.head),
            _ => {}
        }
        if let Some((rule, captures)) = self.rule(target, place, false) {
            return self.follow(request, target, place, (rule, &captures), reply, out);
        }
        match found {
            Some(Found::Folder(_)) if target.has_slash => {
                self.page(reply, Status::Forbidden, out.head)
            }
            Some(Found::Folder(_)) => self.redirect(reply, target, out.head),
            _ => self.answer_missing(request, place.root, reply, out),
        }
    }

    /// The first rule for a path.
    #[inline]
    fn rule<'t>(
        &self,
        target: &Target<'t>,
        place: Place<'_>,
        is_before_files: bool,
    ) -> Option<(&'static Redirect, Captures<'t>)> {
        let rules = self.site.redirects(is_before_files).iter();
        let mut rules = rules.filter(|rule| rule.is_forced || !is_before_files);
        rules.find_map(|rule| Some((rule, rule.captures(place.root, target.path)?)))
    }

    /// Does what a rule says.
    #[inline(never)]
    fn follow(
        &self,
        request: &Request<'_, '_>,
        target: &Target<'_>,
        place: Place<'_>,
        (rule, captures): (&Redirect, &Captures<'_>),
        reply: &Reply,
        out: Out<'_>,
    ) -> Answer {
        if !matches!(rule.status, Status::Ok | Status::NotFound) {
            return self.redirect_by(reply, rule, captures, target.query, out.head);
        }
        match (self.file_of_rule(place.root, rule, captures), rule.status) {
            (Some(file), Status::Ok) => self.answer_file(request, file, reply, out),
            (Some(file), _) => self.answer_missing_with(request, file, reply, out),
            (None, _) => self.answer_missing(request, place.root, reply, out),
        }
    }

    /// The file that a rule leads to.
    fn file_of_rule(&self, root: &[u8], rule: &Redirect, captures: &Captures<'_>) -> Option<&File> {
        let mut written = PathBuf::new();
        let mut is_too_long = false;
        let mut is_path = true;
        rule.expand(captures, |piece| {
            let text = match piece {
                // A file has neither query nor fragment.
                ToPiece::Written(text) if is_path => {
                    let end = text.iter().position(|byte| matches!(byte, b'?' | b'#'));
                    is_path = end.is_none();
                    text.get(..end.unwrap_or(text.len())).unwrap_or(&[])
                }
                ToPiece::Captured(text) if is_path => text,
                _ => return,
            };
            is_too_long |= written.append(text).is_err();
        });
        let mut normal = PathBuf::new();
        normal.walk(written.as_bytes()).ok()?;
        if is_too_long || is_hidden(normal.as_bytes()) {
            return None;
        }
        written.clear();
        written.append(root).ok()?;
        written.walk(normal.as_bytes()).ok()?;
        match self.site.find(written.as_bytes())? {
            Found::File(file) | Found::Folder(Some(file)) => Some(file),
            Found::Folder(None) => None,
        }
    }

    /// 404, with the site's own page when it has one.
    #[inline(never)]
    fn answer_missing(
        &self,
        request: &Request<'_, '_>,
        root: &[u8],
        reply: &Reply,
        out: Out<'_>,
    ) -> Answer {
        let mut path = PathBuf::new();
        let is_written = path.append(root).and_then(|()| path.walk(b"404.html"));
        match self.site.find(path.as_bytes()) {
            Some(Found::File(file)) if is_written.is_ok() => {
                self.answer_missing_with(request, file, reply, out)
            }
            _ => self.page(reply, Status::NotFound, out.head),
        }
    }

    fn answer_missing_with(
        &self,
        request: &Request<'_, '_>,
        file: &File,
        reply: &Reply,
        out: Out<'_>,
    ) -> Answer {
        if request.method == Method::Options {
            return self.page(reply, Status::NotFound, out.head);
        }
        // Conditions and ranges do not count for it: RFC 9110 13.2.1, 14.2.
        let page = accept::choose(request, &self.site, file).unwrap_or(file.identity());
        self.missing(reply, &page, file.has_variants(), out.head)
    }
}

/// Bytes of a host's name at most (RFC 1035 2.3.4).
const HOST_LEN_MAX: usize = 255;

/// The name in a Host field: without a port, without a dot at the end, in lower case. What cannot
/// be the name of a folder is no name.
fn host_name<'r>(field: &[u8], room: &'r mut [u8; HOST_LEN_MAX]) -> &'r [u8] {
    let is_port = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    let colon = field.iter().rposition(|byte| *byte == b':');
    let name = match colon.and_then(|at| Some((field.get(..at)?, field.get(at + 1..)?))) {
        Some((name, port)) if is_port(port) => name,
        _ => field,
    };
    let name = name.strip_suffix(b".").unwrap_or(name);
    if name.is_empty() || name.starts_with(b".") {
        return &[];
    }
    let Some(room) = room.get_mut(..name.len()) else {
        return &[];
    };
    room.copy_from_slice(name);
    room.make_ascii_lowercase();
    room
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    #[test]
    fn names_of_hosts() {
        let row = |field: &str, want: &str| {
            let mut room = [0; HOST_LEN_MAX];
            let name = host_name(field.as_bytes(), &mut room);
            assert_eq!(String::from_utf8_lossy(name), want, "{field}");
        };
        row("Example.ORG", "example.org");
        row("example.org:8080", "example.org");
        row("example.org.:", "example.org");
        row("[::1]:80", "[::1]");
        row("[::1]", "[::1]");
        row("", "");
        row("..", "");
        row(".x", "");
        row(":80", "");
        row(&"x".repeat(256), "");
    }
}
