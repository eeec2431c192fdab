//! HTTP, as a client that reads every byte of the answer sees it.

use super::http::{Answer, Client, request};
use super::sites::{self, INDEX};
use super::{Outcome, Served, World};
use anyhow::{Context, Result, bail};
use std::net::SocketAddrV4;
use std::process::Command;
use std::time::SystemTime;

/// Bytes of `noise.bin` in these cases.
const NOISE_LEN: u64 = 100_000;
/// Requests that come together.
const PIPELINED_CNT: usize = 50;
/// How far from what it should be a Date may be, seconds.
const DATE_SLACK_S: i64 = 30;
/// Longer than any request line or header that a server should take, bytes.
const TOO_LONG: usize = 70_000;

fn served(world: &mut World) -> Result<Served> {
    world.serve(&sites::made(NOISE_LEN)?, |_| {})
}

/// Many requests in one write; answers in order, and then the connection still works.
pub(super) fn pipelined(world: &mut World) -> Result<Outcome> {
    let mut served = served(world)?;
    let mut client = Client::connect(served.at)?;
    let paths = ["/index.html", "/noise.bin", "/nowhere", "/folder/"];
    let mut bytes = Vec::new();
    for idx in 0..PIPELINED_CNT {
        bytes.extend(request("GET", paths[idx % paths.len()], ""));
    }
    client.send(&bytes)?;
    for idx in 0..PIPELINED_CNT {
        let path = paths[idx % paths.len()];
        let answer = client
            .answer(true)
            .with_context(|| format!("answer {idx}, {path}"))?;
        let expected = match path {
            "/index.html" => (200, INDEX.len()),
            "/noise.bin" => (200, NOISE_LEN as usize),
            "/folder/" => (200, b"<p>folder</p>\n".len()),
            _ => (404, answer.body.len()),
        };
        if (answer.status, answer.body.len()) != expected {
            bail!(
                "answer {idx}, {path}: {} with {} bytes",
                answer.status,
                answer.body.len()
            );
        }
    }
    client.send(&request("GET", "/", "Connection: close\r\n"))?;
    let last = client.answer(true)?;
    last.expect(200)?;
    if last.body != INDEX {
        bail!("/ is not index.html");
    }
    client.expect_end()?;
    drop(client);
    served.wait_all_home()?;
    served.finish()
}

/// HEAD: the fields of GET, no body.
pub(super) fn head(world: &mut World) -> Result<Outcome> {
    let served = served(world)?;
    let mut client = Client::connect(served.at)?;
    for path in ["/", "/noise.bin", "/nowhere"] {
        client.send(&request("HEAD", path, ""))?;
        let head = client
            .answer(false)
            .with_context(|| format!("HEAD {path}"))?;
        let get = client
            .get(path)
            .with_context(|| format!("GET {path} after HEAD"))?;
        if head.status != get.status || head.content_length()? != get.body.len() {
            bail!(
                "{path}: HEAD says {} and {}",
                head.status,
                head.content_length()?
            );
        }
        for name in ["content-type", "etag"] {
            if head.field(name) != get.field(name) {
                bail!("{path}: {name} differs between HEAD and GET");
            }
        }
    }
    served.finish()
}

/// Date is right by the machine's clock, by the command line, and not there without a time.
pub(super) fn date(world: &mut World) -> Result<Outcome> {
    let now = || -> Result<i64> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        Ok(i64::try_from(since.as_secs())?)
    };
    let site = sites::made(NOISE_LEN)?;
    for (word, told_s) in [("", None), ("time=784111777", Some(784_111_777))] {
        let served = world.serve(&site, |launch| launch.append = word.to_owned())?;
        let answer = Client::connect(served.at)?.get("/")?;
        let date = answer.field("date").context("no Date")?;
        let date_s = unix(date)?;
        let wanted_s = told_s.map_or_else(now, Ok)?;
        // A clock that counts seconds, a boot, and a busy machine.
        if !(wanted_s - 5..=wanted_s + DATE_SLACK_S).contains(&date_s) {
            bail!("Date {date} with {word:?}, at {wanted_s}");
        }
        served.finish()?;
    }
    let served = world.serve(&site, |launch| launch.append = "time=none".to_owned())?;
    let answer = Client::connect(served.at)?.get("/")?;
    if let Some(date) = answer.field("date") {
        bail!("Date {date} without a clock");
    }
    served.finish()
}

/// An HTTP date as seconds since 1970, as `date` reads it.
fn unix(date: &str) -> Result<i64> {
    let out = Command::new("date")
        .args(["-u", "+%s", "-d", date])
        .output()
        .context("cannot run date")?;
    let text = String::from_utf8_lossy(&out.stdout);
    let seconds = text.trim().parse();
    seconds.with_context(|| format!("date does not read {date:?}"))
}

/// 304 for the right ETag, the whole file for another.
pub(super) fn not_modified(world: &mut World) -> Result<Outcome> {
    let served = served(world)?;
    let mut client = Client::connect(served.at)?;
    let first = client.get("/noise.bin")?;
    first.expect(200)?;
    let etag = first.field("etag").context("no ETag")?.to_owned();
    if !(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 2) {
        bail!("no strong ETag: {etag}");
    }
    for (tags, status) in [
        (etag.clone(), 304),
        ("*".to_owned(), 304),
        (format!("\"other\", {etag}"), 304),
        (format!("W/{etag}"), 304),
        ("\"other\"".to_owned(), 200),
    ] {
        let field = format!("If-None-Match: {tags}\r\n");
        client.send(&request("GET", "/noise.bin", &field))?;
        let answer = client
            .answer(status == 200)
            .with_context(|| field.clone())?;
        answer.expect(status).with_context(|| field.clone())?;
        if answer.field("etag") != Some(&etag) {
            bail!("{status} without its ETag");
        }
    }
    let other = client.get("/index.html")?;
    if other.field("etag") == Some(&etag) {
        bail!("two files with one ETag");
    }
    served.finish()
}

/// A folder without its slash leads to the one with it.
pub(super) fn redirect(world: &mut World) -> Result<Outcome> {
    let served = served(world)?;
    let mut client = Client::connect(served.at)?;
    let answer = client.get("/folder")?;
    if !matches!(answer.status, 301 | 308) {
        bail!("status {} instead of a redirect", answer.status);
    }
    let location = answer.field("location").context("no Location")?;
    if !location.ends_with("/folder/") {
        bail!("Location {location}");
    }
    client.get("/folder/")?.expect(200)?;
    served.finish()
}

/// Every error answer, on a connection of its own; the server goes on after each.
pub(super) fn errors(world: &mut World) -> Result<Outcome> {
    let mut served = served(world)?;
    let long = "x".repeat(TOO_LONG);
    let rows: Vec<(u16, &str, Vec<u8>)> = vec![
        (
            400,
            "no request at all",
            b"\x16\x03\x01\x02\x00\r\n\r\n".to_vec(),
        ),
        (400, "no version", b"GET /\r\nHost: x\r\n\r\n".to_vec()),
        (400, "no Host", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        (400, "a path that leaves", request("GET", "/%zz", "")),
        (404, "nothing there", request("GET", "/nowhere", "")),
        (
            400,
            "above the root",
            request("GET", "/../../etc/passwd", ""),
        ),
        (
            405,
            "a method",
            b"DELETE / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".to_vec(),
        ),
        (
            414,
            "a long target",
            request("GET", &format!("/{long}"), ""),
        ),
        (
            431,
            "long fields",
            request("GET", "/", &format!("X: {long}\r\n")),
        ),
        (
            505,
            "a version",
            b"GET / HTTP/2.0\r\nHost: x\r\n\r\n".to_vec(),
        ),
    ];
    for (status, what, bytes) in rows {
        let answer = one_answer(served.at, &bytes).with_context(|| what.to_owned())?;
        answer.expect(status).with_context(|| what.to_owned())?;
        let body = String::from_utf8(answer.body.clone()).context("a body that is no text")?;
        if !body.contains(&status.to_string()) || body.len() < 20 {
            bail!("{what}: nothing to read in the body: {body:?}");
        }
        if status == 405
            && answer
                .field("allow")
                .is_none_or(|allow| !allow.contains("GET"))
        {
            bail!("405 without Allow");
        }
    }
    Client::connect(served.at)?.get("/")?.expect(200)?;
    served.wait_all_home()?;
    served.finish()
}

fn one_answer(at: SocketAddrV4, bytes: &[u8]) -> Result<Answer> {
    let mut client = Client::connect(at)?;
    // A server may rightly answer and close before it has read a request that is too long.
    let sent = client.send(bytes);
    client.answer(true).or_else(|error| {
        sent?;
        Err(error)
    })
}
