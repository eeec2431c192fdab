//! The same requests to nginx and to the booted image, answer against answer.
//!
//! ```text
//!   requests.txt of the file server ─┐                 ┌─► nginx, set up to do the same ─┐
//!   corpus/more.txt ─────────────────┴─ one by one ────┤                                 ├─ equal?
//!   corpus/differences.txt ◄── each difference, why    └─► the image ────────────────────┘
//! ```
//!
//! A difference that the table does not have fails, and so does a row of it that is no longer
//! true: so the table is what differs, all of it. Both servers have the same files, with the same
//! times. nginx comes from the system's packages and listens on 127.0.0.1 only.

mod heard;
mod nginx;

use super::{Outcome, World};
use crate::site::{self, Entry, Source};
use anyhow::{Context, Result, bail};
use heard::{Heard, methods};
use nginx::Nginx;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::path::Path;
use std::time::{Duration, SystemTime};

const REQUESTS: &str = include_str!("../../../images/fileserver/tests/requests.txt");
const MORE: &str = include_str!("corpus/more.txt");
const DIFFERENCES: &str = include_str!("corpus/differences.txt");
const REDIRECTS: &str = include_str!("corpus/redirects.txt");
const HEADERS: &str = include_str!("corpus/headers.txt");

/// Requests at least: fewer means that a table was not read.
const REQUESTS_MIN: usize = 300;
/// How long an answer may pause.
const READ_LIMIT: Duration = Duration::from_secs(20);
/// Time of all files, seconds since 1970: the requests name it.
const MTIME_S: u64 = 0x2e;

/// One row of `differences.txt`.
struct Difference<'t> {
    reason: &'t str,
    ours: &'t str,
    nginx: &'t str,
}

/// Asks both, and holds what differs against the table.
pub(super) fn nginx(world: &mut World) -> Result<Outcome> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let root = folder.path().join("site");
    write_site(&root)?;
    let entries = site::files(&root)?.into_iter().map(|(name, path)| Entry {
        name,
        source: Source::Disk(path),
    });
    let packed = site::pack(entries.collect())?;
    let nginx = match Nginx::start(folder.path(), &root) {
        Ok(nginx) => nginx,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    let served = world.serve(&packed, |_| {})?;
    let (reasons, mut known) = differences()?;
    let rows = rows();
    if rows.len() < REQUESTS_MIN {
        bail!("only {} requests", rows.len());
    }
    let mut complaints = Vec::new();
    let mut explained_cnt = 0;
    for row in &rows {
        let answers = |port| ask(port, &unescape(row, &|words| tag(port, words))?);
        let ours = answers(served.at.port()).with_context(|| format!("we, asked {row}"))?;
        let theirs = answers(nginx.port).with_context(|| format!("nginx, asked {row}"))?;
        let is_same = ours == theirs;
        let [ours_short, theirs_short] = [&ours, &theirs].map(|heard| heard::short(heard));
        match known.remove(row.as_str()) {
            None if is_same => {}
            None => complaints.push(format!(
                "? {ours_short} {theirs_short} {row}\n    ours  {ours:?}\n    nginx {theirs:?}"
            )),
            Some(_) if is_same => complaints.push(format!("differs no more: {row}")),
            Some(listed) if (listed.ours, listed.nginx) != (&*ours_short, &*theirs_short) => {
                complaints.push(format!(
                    "{} {ours_short} {theirs_short} {row}\n    is listed as {} {}",
                    listed.reason, listed.ours, listed.nginx
                ));
            }
            Some(listed) if !reasons.contains(listed.reason) => {
                complaints.push(format!("no reason {}: {row}", listed.reason));
            }
            Some(_) => explained_cnt += 1,
        }
    }
    complaints.extend(known.keys().map(|row| format!("no such request: {row}")));
    for complaint in &complaints {
        println!("  {complaint}");
    }
    if !complaints.is_empty() {
        bail!("{} of {} requests", complaints.len(), rows.len());
    }
    println!(
        "  {} requests, {} answered alike, {explained_cnt} differ for a reason",
        rows.len(),
        rows.len() - explained_cnt
    );
    drop(nginx);
    served.finish()
}

/// The files, with one time, and what `more.txt` asks for.
fn write_site(root: &Path) -> Result<()> {
    let big: Vec<u8> = (0..100_000u32).map(|n| (n * 7 / 3) as u8).collect();
    let files: [(&str, &[u8]); 19] = [
        ("index.html", b"<h1>/"),
        ("a.txt", b"text"),
        ("dir/index.html", b"dir"),
        ("bare/file.bin", b"\0\x01"),
        ("s p/\u{e9}.txt", b"e"),
        (".well-known/x", b"x"),
        ("v.css", b"0123456789"),
        ("v.css.gz", b"gzipped"),
        ("big.bin", &big),
        ("empty.txt", b""),
        ("no-extension", b"?"),
        ("404.html", b"<h1>lost"),
        ("app/index.html", b"<h1>app"),
        ("app/main.js", b"js"),
        ("assets/x.json", b"{}"),
        ("deep/er/and/er/x.txt", b"deep"),
        ("odd/a+b&c=d;e,f@g!$'()*~.txt", b"odd"),
        ("_redirects", REDIRECTS.as_bytes()),
        ("_headers", HEADERS.as_bytes()),
    ];
    for (name, body) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().context("a folder")?)?;
        fs::write(&path, body)?;
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(MTIME_S);
        File::options()
            .write(true)
            .open(&path)?
            .set_modified(time)?;
    }
    Ok(())
}

/// The requests of both tables, each once, as they stand there.
fn rows() -> Vec<String> {
    let mut seen = BTreeSet::new();
    let lines = REQUESTS.lines().chain(MORE.lines());
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let (verdict, _) = line.split_once(' ')?;
            // The bytes start in a fixed column, or one space behind a longer list.
            let request = line.get((verdict.len() + 1).max(8)..)?;
            seen.insert(request).then(|| request.to_owned())
        })
        .collect()
}

/// Reasons, and the rows that they explain.
fn differences<'t>() -> Result<(BTreeSet<&'t str>, BTreeMap<&'t str, Difference<'t>>)> {
    let (mut reasons, mut known) = (BTreeSet::new(), BTreeMap::new());
    for line in DIFFERENCES.lines() {
        if let Some(text) = line.strip_prefix("# reason ") {
            let (name, why) = text.split_once(": ").context("a reason has a text")?;
            if why.len() < 20 {
                bail!("a reason that says nothing: {name}");
            }
            reasons.insert(name);
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let &[reason, ours, nginx, request] = words.as_slice() else {
            bail!("differences.txt: {line}");
        };
        let row = Difference {
            reason,
            ours,
            nginx,
        };
        if known.insert(request, row).is_some() {
            bail!("differences.txt has it twice: {request}");
        }
    }
    Ok((reasons, known))
}

/// Answers to what is said on one connection.
fn ask(port: u16, bytes: &[u8]) -> Result<Vec<Heard>> {
    heard::split(&talk(port, bytes)?, &methods(bytes))
}

/// A server's own entity tag of a file, or of what it has in the coding named behind that.
fn tag(port: u16, words: &str) -> Result<String> {
    let (path, coding) = words.split_once(' ').unwrap_or((words, "identity"));
    let request = format!("HEAD /{path} HTTP/1.1\r\nHost: h\r\nAccept-Encoding: {coding}\r\n\r\n");
    let head = String::from_utf8(talk(port, request.as_bytes())?)?;
    let tag = head.lines().find_map(|line| line.strip_prefix("ETag: "));
    Ok(tag
        .with_context(|| format!("{words} has no tag"))?
        .to_owned())
}

/// Says it on a connection of its own, closes that side, and reads to the end.
fn talk(port: u16, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("cannot connect")?;
    stream.set_read_timeout(Some(READ_LIMIT))?;
    stream.set_nodelay(true)?;
    // Who refuses early may close before everything was said.
    let is_said = stream.write_all(bytes).is_ok();
    if is_said {
        let _closed = stream.shutdown(Shutdown::Write);
    }
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => return Err(error).context("it neither answers nor closes"),
    }
    Ok(answer)
}

/// The escapes of the tables: `\r \n \t \0 \\ \xHH`, `{N*x}` for x repeated N times, and
/// `{tag NAME}` for what `tag` says of that.
fn unescape(text: &str, tag: &dyn Fn(&str) -> Result<String>) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let repeated = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        if let Some((inside, after)) = repeated
            && let Some(words) = inside.strip_prefix("tag ")
        {
            out.extend(tag(words)?.into_bytes());
            rest = after;
            continue;
        }
        if let Some((inside, after)) = repeated
            && let Some((cnt, what)) = inside.split_once('*')
        {
            out.extend(unescape(what, tag)?.repeat(cnt.parse().unwrap_or(1)));
            rest = after;
            continue;
        }
        let escaped = rest.strip_prefix('\\').and_then(|rest| rest.chars().next());
        let len = match escaped {
            Some('x') => {
                let digits = rest.get(2..4).unwrap_or("3f");
                out.push(u8::from_str_radix(digits, 16).unwrap_or(b'?'));
                4
            }
            Some(letter) => {
                out.push(match letter {
                    'r' => b'\r',
                    'n' => b'\n',
                    't' => b'\t',
                    '0' => 0,
                    _ => b'\\',
                });
                2
            }
            None => {
                out.extend(first.to_string().as_bytes());
                first.len_utf8()
            }
        };
        rest = rest.get(len..).unwrap_or("");
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        let tag = |words: &str| match words {
            "none" => bail!("none"),
            words => Ok(format!("\"{words}\"")),
        };
        let rows: [(&str, &[u8]); 3] = [
            (r"a\r\n\t\0\\\x41é", b"a\r\n\t\0\\A\xc3\xa9"),
            (r"{3*ab\n}{x", b"ab\nab\nab\n{x"),
            (r"W/{tag a b},", b"W/\"a b\","),
        ];
        for (text, bytes) in rows {
            assert_eq!(unescape(text, &tag).unwrap(), bytes);
        }
        assert!(unescape("{tag none}", &tag).is_err());
    }

    #[test]
    fn every_difference_has_a_reason_and_a_request() {
        let rows: BTreeSet<String> = rows().into_iter().collect();
        assert!(rows.len() >= REQUESTS_MIN, "{}", rows.len());
        let (reasons, known) = differences().unwrap();
        for (request, row) in &known {
            assert!(rows.contains(*request), "{request}");
            assert!(reasons.contains(row.reason), "{}", row.reason);
        }
        for reason in reasons {
            assert!(known.values().any(|row| row.reason == reason), "{reason}");
        }
    }
}
