//! Rules as sites have them, and lines that are none.

use super::*;
use crate::message::HeadWriter;
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

fn leak(text: &str) -> &'static [u8] {
    text.to_string().leak().as_bytes()
}

fn captures(pattern: &str, path: &str) -> Option<String> {
    let pattern = Pattern::read(leak(pattern)).unwrap();
    let found = pattern.captures(path.as_bytes())?;
    let all = found.all[..found.cnt].iter();
    let all = all.map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii()));
    Some(all.collect::<Vec<_>>().join(" "))
}

#[test]
fn patterns() {
    let row = |pattern: &str, path: &str, want: Option<&str>| {
        assert_eq!(captures(pattern, path).as_deref(), want, "{pattern} {path}");
    };
    row("/", "", Some(""));
    row("/", "a", None);
    row("/*", "", Some("splat="));
    row("/*", "a/b", Some("splat=a/b"));
    row("/a", "a", Some(""));
    row("/a/", "a", Some(""));
    row("/a", "a/b", None);
    row("/a", "ab", None);
    row("/a/*", "a", Some("splat="));
    row("/a/*", "a/b/c", Some("splat=b/c"));
    row("/a/*", "ab", None);
    row("/a*", "abc/d", Some("splat=bc/d"));
    row("/:x", "a", Some("x=a"));
    row("/:x", "", None);
    row("/:x", "a/b", None);
    row("/:x/b/:y", "a/b/c", Some("x=a y=c"));
    row("/:x/b/*", "a/b/c/d", Some("x=a splat=c/d"));
    row("/:x/b/*", "a/c", None);
    row("/é", "é", Some(""));
}

fn rules(text: &str) -> Vec<Redirect> {
    let text = leak(text);
    let mut memory = vec![Redirect::NONE; count(text)];
    assert_eq!(fill(b"", text, &mut memory), memory.len());
    memory
}

fn expand(rule: &Redirect, path: &str) -> Option<String> {
    let captures = rule.captures(b"", path.as_bytes())?;
    let mut out = String::new();
    rule.expand(&captures, |piece| {
        out += &match piece {
            redirects::ToPiece::Written(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            redirects::ToPiece::Captured(bytes) => format!("<{}>", String::from_utf8_lossy(bytes)),
        }
    });
    Some(out)
}

#[test]
fn redirects() {
    let rules = rules(
        "# a comment\n\n/home /\r\n  /blog/:year/*   /news/:year/:splat 302\n\
         /x/:x https://example.com:8080/:x/:y?a=:x 308! # forced\n/* /index.html 200\n",
    );
    let statuses: Vec<_> = rules.iter().map(|rule| rule.status.code()).collect();
    assert_eq!(statuses, [301, 302, 308, 200]);
    assert!(rules[2].is_forced && !rules[1].is_forced);
    assert_eq!(expand(&rules[0], "home").as_deref(), Some("/"));
    assert_eq!(
        expand(&rules[1], "blog/2020/a/b").as_deref(),
        Some("/news/<2020>/<a/b>")
    );
    let url = "https://example.com:8080/<q>/:y?a=<q>";
    assert_eq!(expand(&rules[2], "x/q").as_deref(), Some(url));
    assert!(rules[2].has_query() && !rules[1].has_query());
    assert_eq!(expand(&rules[1], "blog"), None);
    assert_eq!(rules[0].captures(b"other", b"home"), None);
}

fn told(redirects: &str, headers: &str) -> Vec<(usize, &'static str)> {
    let mut told = Vec::new();
    faults(b"h", leak(redirects), leak(headers), &mut |fault| {
        let shown = fault.to_string();
        assert!(
            shown.starts_with("h/_") && shown.ends_with(": line left out"),
            "{shown}"
        );
        told.push((fault.line, fault.why));
    });
    told
}

#[test]
fn rules_that_are_none() {
    for bad in [
        "/a",
        "a /b",
        "/a b",
        "/a //evil",
        "/a ftp://x/",
        "/a /b 299",
        "/a /b 301 Country=us",
        "/a id=:id /b 301",
        "/a /b 301 302",
        "/a https://x/ 200",
        "/a%20b /c",
        "/a*/b /c",
        "/a /a",
        "/a /a/ 302",
        "/a /b\x01",
        "https://x/a /b",
        "/:a/:b/:c/:d/:e/:f/:g/:h /x",
    ] {
        let text = format!("/good /one\n{bad}\n");
        let told = told(&text, "");
        assert_eq!(told.len(), 1, "{bad}");
        assert_eq!(told[0].0, 2, "{bad}");
        assert_eq!(rules(&text).len(), 1, "{bad}");
    }
    let many: String = (0..REDIRECTS_MAX + 1)
        .map(|n| format!("/a{n} /b\n"))
        .collect();
    assert_eq!(
        told(&many, ""),
        [(REDIRECTS_MAX + 1, "more than 2000 rules")]
    );
}

fn own(text: &str, path: &str) -> String {
    let mut out = [0; 1000];
    let mut head = HeadWriter::new(&mut out);
    put_own(leak(text), path.as_bytes(), &mut head);
    let len = head.finish().unwrap();
    String::from_utf8(out[..len].to_vec()).unwrap()
}

#[test]
fn fields_by_path() {
    let text = "\u{feff}# all\n/*\n  X-Frame-Options: DENY\n/a/*\n\tCache-Control:max-age=1 \n\
        # index\n/\n  Link: </x.css>; rel=preload\n/b.html\n\
        Content-Type: text/x; charset=y\n  Z:\n";
    assert_eq!(own(text, "x.html"), "X-Frame-Options: DENY\r\n");
    let both = "X-Frame-Options: DENY\r\nCache-Control: max-age=1\r\n";
    assert_eq!(own(text, "a/b"), both);
    // `/a/*` is for the folder as well.
    assert_eq!(own(text, "a/index.html"), both);
    let link = "X-Frame-Options: DENY\r\nLink: </x.css>; rel=preload\r\n";
    assert_eq!(own(text, "index.html"), link);
    assert_eq!(own(text, "b.html"), "X-Frame-Options: DENY\r\nZ: \r\n");
    assert_eq!(
        content_type(leak(text), b"b.html"),
        Some(&b"text/x; charset=y"[..])
    );
    assert_eq!(content_type(leak(text), b"a"), None);
    assert_eq!(told("", text), []);
}

#[test]
fn fields_that_are_none() {
    for bad in [
        "nonsense",
        "X Y: z",
        ": z",
        "Content-Length: 5",
        "transfer-encoding: chunked",
        "ETag: \"x\"",
        "X: a\x01b",
        "! X",
        "/a%20b",
        "https://example.com/*",
    ] {
        let text = format!("/*\nX: y\n{bad}\n");
        let told = told("", &text);
        assert_eq!(told.len(), 1, "{bad}");
        assert_eq!(told[0].0, 3);
        assert_eq!(own(&text, "a"), "X: y\r\n");
    }
    assert_eq!(told("", "X: y\n"), [(1, "a field without a path above it")]);
    // What follows a path that is none belongs to nothing.
    assert_eq!(own("/*\nX: y\n/a?b\nZ: 1\n", "a"), "X: y\r\n");
    let long = format!("/*\nX: y\n{}Z: 1\n", "# filler\n".repeat(8_000));
    assert_eq!(own(&long, "a"), "X: y\r\n");
    assert_eq!(told("", &long).len(), 1);
}
