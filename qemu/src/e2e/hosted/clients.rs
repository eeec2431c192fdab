//! Everybody's clients, against `simoom-httpd` on TAP: curl, wget, Chromium, redbot, ab, h2load
//! and wrk.

use super::{in_namespace, program};
use crate::e2e::{Outcome, Served, World, listening};
use crate::install::{self, Tool};
use crate::site::{self, Entry, Packed, Source};
use crate::text;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// What the page asks for, and the words in which it says that it has all of it.
const IMAGES_CNT: usize = 70;
const STYLES_CNT: usize = 15;
const SCRIPTS_CNT: usize = 15;
const GOT_ALL: &str = "got 70 images, 15 styles, 15 scripts";

/// Where the long load is asked for.
const LONG: &str = "SIMOOM_LONG";

const WGET: Tool = tool("wget", "wget");
const CHROMIUM: Tool = tool("chromium", "chromium");
const AB: Tool = tool("ab", "apache2-utils");
const H2LOAD: Tool = tool("h2load", "nghttp2-client");
const PYTHON: Tool = tool("python3", "python3-venv");

const fn tool(program: &'static str, package: &'static str) -> Tool {
    Tool { program, package }
}

/// Each of them for a moment. What is not here is fetched first: the namespace has no way out.
pub(in crate::e2e) fn clients(world: &mut World) -> Result<Outcome> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let mut missing = Vec::new();
    for (name, tool, _) in ASKS {
        let ready = tool.need().and_then(|python| match name {
            "redbot" => install_redbot(&python, &folder),
            _ => Ok(()),
        });
        if let Err(error) = ready {
            println!(
                "       no {name}: {}",
                text::one_line(&format!("{error:#}"))
            );
            missing.push(name);
        }
    }
    in_namespace(world, "hosted-clients", |world| {
        let mut served = start(world, &[])?;
        let url = format!("http://{}", served.at.ip());
        for (name, _, ask) in ASKS {
            if !missing.contains(&name) {
                ask(&url, &folder).context(name)?;
            }
        }
        served.wait_all_home()?;
        served.finish()
    })
}

/// A client, what has it, and what it is to do at a URL; the folder is for its files.
type Ask = (&'static str, Tool, fn(&str, &TempDir) -> Result<()>);

const ASKS: [Ask; 7] = [
    ("curl", install::CURL, curl),
    ("wget", WGET, wget),
    ("chromium", CHROMIUM, chromium),
    ("redbot", PYTHON, redbot),
    ("ab", AB, ab),
    ("h2load", H2LOAD, h2load),
    ("wrk", install::WRK, short_wrk),
];

/// Ten minutes of wrk by 200 connections, sizes mixed: when it is asked for.
pub(in crate::e2e) fn long(world: &mut World) -> Result<Outcome> {
    if std::env::var_os(LONG).is_none() {
        let how = format!("ten minutes: {LONG}=1 asks for it");
        return Ok(Outcome::Skipped(how));
    }
    in_namespace(world, "hosted-long", |world| {
        let mut served = start(world, &[])?;
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let url = format!("http://{}", served.at.ip());
        wrk(&url, &folder, "200", "5s")?;
        served.wait_all_home()?;
        let before = resident_kib(&served)?;
        let said = wrk(&url, &folder, "200", "600s")?;
        served.wait_all_home()?;
        let after = resident_kib(&served)?;
        println!("       {}", text::one_line(&said));
        println!("       {before} KiB resident before, {after} KiB after");
        // All memory is taken at the start; what was not touched yet may be now.
        if after > before + 4096 {
            bail!("it holds {after} KiB after, {before} before");
        }
        served.finish()
    })
}

/// The process with the page and its parts, and more words on its command line.
pub(super) fn start(world: &World, words: &[&str]) -> Result<Served> {
    let site = site()?;
    let guest = program(world)?.start_with(&site, words)?;
    listening(guest, super::AT, site.files_cnt)
}

/// The memory of the process that is there, KiB.
pub(super) fn resident_kib(served: &Served) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", served.guest.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB"));
    kib.context("no VmRSS")?.trim().parse().context("VmRSS")
}

/// A page with a hundred parts, and files of four sizes; variants of what is text.
fn site() -> Result<Packed> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut parts = String::new();
    for n in 0..IMAGES_CNT {
        let pad = "x".repeat(n * 300);
        let image = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"16\" height=\"16\">\
             <rect width=\"{n}\" height=\"9\"/><!--{pad}--></svg>"
        );
        files.push((format!("parts/i{n:02}.svg"), image.into()));
        parts += &format!("<img src=\"/parts/i{n:02}.svg\" alt=\"\">\n");
    }
    for n in 0..STYLES_CNT {
        let style = format!(":root {{ --s{n}: 1 }}\n");
        files.push((format!("parts/s{n:02}.css"), style.into()));
        parts += &format!("<link rel=\"stylesheet\" href=\"/parts/s{n:02}.css\">\n");
    }
    for n in 0..SCRIPTS_CNT {
        files.push((format!("parts/t{n:02}.js"), "scripts += 1;\n".into()));
        parts += &format!("<script src=\"/parts/t{n:02}.js\"></script>\n");
    }
    let page = format!("<!doctype html>\n<title>parts</title>\n{COUNT}<body>\n{parts}");
    files.push(("index.html".to_owned(), page.into()));
    for (name, len) in [
        ("64", 64),
        ("4k", 4 << 10),
        ("64k", 64 << 10),
        ("1m", 1 << 20),
    ] {
        files.push((format!("sizes/{name}"), vec![b'x'; len]));
    }
    files.sort();
    let entry = |(name, bytes)| Entry {
        name,
        source: Source::Bytes(bytes),
    };
    site::pack(files.into_iter().map(entry).collect())?.compressed_if(true)
}

/// Counts what has arrived and says it in the page. An image that has come is not always drawn yet.
const COUNT: &str = r#"<script>
let scripts = 0;
addEventListener("load", async () => {
  await Promise.allSettled([...document.images].map(image => image.decode()));
  const images = [...document.images].filter(image => image.naturalWidth > 0).length;
  const style = getComputedStyle(document.documentElement);
  let styles = 0;
  for (let n = 0; n < 15; n++) styles += style.getPropertyValue("--s" + n).trim() === "1";
  document.body.append(`got ${images} images, ${styles} styles, ${scripts} scripts`);
});
</script>
"#;

/// Many at once, compressed and not, and a part.
fn curl(url: &str, folder: &TempDir) -> Result<()> {
    let parts = format!("{url}/parts/i[00-{}].svg", IMAGES_CNT - 1);
    let into = folder.path().join("curl-#1");
    let out = |words: &[&str]| -> Result<String> {
        let mut command = Command::new(install::CURL.need()?);
        run(command
            .args(["-sS", "--fail", "--max-time", "60"])
            .args(words))
    };
    for more in ["--parallel", "--compressed"] {
        out(&[more, "-o", &into.to_string_lossy(), &parts])?;
        for n in 0..IMAGES_CNT {
            let path = folder.path().join(format!("curl-{n:02}"));
            let bytes = fs::read(&path)?;
            if !bytes.starts_with(b"<svg") || !bytes.ends_with(b"</svg>") {
                bail!("{more}: image {n} is not what it was");
            }
        }
    }
    let part = out(&["-r", "10-19", &format!("{url}/sizes/4k")])?;
    if part != "x".repeat(10) {
        bail!("ten bytes were {part:?}");
    }
    Ok(())
}

/// The page and all that it asks for.
fn wget(url: &str, folder: &TempDir) -> Result<()> {
    let into = folder.path().join("wget");
    let mut command = Command::new(WGET.need()?);
    command.args(["-q", "--tries=1", "--timeout=60", "-p", "-nH", "-P"]);
    run(command.arg(&into).arg(format!("{url}/")))?;
    let cnt = fs::read_dir(into.join("parts"))?.count();
    let all = IMAGES_CNT + STYLES_CNT + SCRIPTS_CNT;
    if cnt != all || !into.join("index.html").is_file() {
        bail!("it has {cnt} parts of {all}");
    }
    Ok(())
}

/// The page says what has come.
fn chromium(url: &str, folder: &TempDir) -> Result<()> {
    let mut command = Command::new(CHROMIUM.need()?);
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--dump-dom",
        // Virtual time: it stands still while anything is being fetched.
        "--virtual-time-budget=20000",
    ]);
    let data = folder.path().join("chromium");
    command.arg(format!("--user-data-dir={}", data.display()));
    let page = run(command.arg(format!("{url}/")))?;
    if !page.contains(GOT_ALL) {
        let got = page.lines().rfind(|line| line.contains("got "));
        bail!("{}", got.unwrap_or("the page has not loaded"));
    }
    Ok(())
}

/// A checker of HTTP, from the Python registry, in an environment of its own.
fn install_redbot(python: &Path, folder: &TempDir) -> Result<()> {
    let venv = folder.path().join("venv");
    let make = || run(Command::new(python).args(["-m", "venv"]).arg(&venv));
    if make().is_err() {
        // The program is there, and its module is not: Debian has it apart.
        install::install_package("python3-venv")?;
        make()?;
    }
    let pip = venv.join("bin/pip");
    run(Command::new(pip).args(["-q", "--retries=1", "install", "redbot"])).map(drop)
}

/// What it thinks of a page with variants, and of a file without.
fn redbot(url: &str, folder: &TempDir) -> Result<()> {
    for (path, more) in [
        (
            "/",
            &["Content negotiation for gzip compression is supported"][..],
        ),
        ("/sizes/4k", &[]),
    ] {
        let mut command = Command::new(folder.path().join("venv/bin/redbot"));
        let said = run(command.args(["-o", "text"]).arg(format!("{url}{path}")))?;
        let wanted = [
            "The Content-Length header is correct",
            "If-None-Match conditional requests are supported",
            "If-Modified-Since conditional requests are supported",
            "A ranged request returned the correct partial content",
        ];
        for note in wanted.iter().chain(more) {
            if !said.contains(note) {
                bail!("{path}: it does not say: {note}: {}", text::one_line(&said));
            }
        }
    }
    Ok(())
}

/// HTTP/1.0, a connection each and kept.
fn ab(url: &str, _: &TempDir) -> Result<()> {
    for keep in [&[][..], &["-k"]] {
        let mut command = Command::new(AB.need()?);
        command.args(["-q", "-n", "2000", "-c", "20"]).args(keep);
        let said = run(command.arg(format!("{url}/sizes/4k")))?;
        let number = |what: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(what))?;
            line.trim().parse::<u64>().ok()
        };
        let is_kept = number("Keep-Alive requests:") == Some(2000);
        if number("Complete requests:") != Some(2000)
            || number("Failed requests:") != Some(0)
            || said.contains("Non-2xx")
            || is_kept == keep.is_empty()
        {
            bail!("{}", text::one_line(&said));
        }
    }
    Ok(())
}

/// Four requests under way on each connection.
fn h2load(url: &str, _: &TempDir) -> Result<()> {
    let mut command = Command::new(H2LOAD.need()?);
    command.args(["--h1", "-n", "4000", "-c", "20", "-m", "4"]);
    let said = run(command.arg(format!("{url}/")))?;
    let wanted = "4000 done, 4000 succeeded, 0 failed, 0 errored, 0 timeout";
    if !said.contains(wanted) || !said.contains("4000 2xx") {
        bail!("{}", text::one_line(&said));
    }
    Ok(())
}

fn short_wrk(url: &str, folder: &TempDir) -> Result<()> {
    wrk(url, folder, "100", "2s").map(drop)
}

/// wrk, sizes mixed; what it says, which names no error.
pub(super) fn wrk(url: &str, folder: &TempDir, conns: &str, time: &str) -> Result<String> {
    let script = folder.path().join("mix.lua");
    fs::File::create(&script)?.write_all(MIX.as_bytes())?;
    run_wrk(url, &script, conns, time)
}

fn run_wrk(url: &str, script: &Path, conns: &str, time: &str) -> Result<String> {
    let mut command = Command::new(install::WRK.need()?);
    command.args([
        "-t1",
        "-c",
        conns,
        "-d",
        time,
        "--timeout",
        "20s",
        "--latency",
        "-s",
    ]);
    let said = run(command.arg(script).arg(format!("{url}/")))?;
    if said.contains("Socket errors") || said.contains("Non-2xx") {
        bail!("{}", text::one_line(&said));
    }
    Ok(said)
}

/// Small ones mostly, and of each request its own.
const MIX: &str = r#"
local paths = {
  "/sizes/64", "/sizes/4k", "/", "/sizes/64", "/parts/i09.svg", "/sizes/64k", "/sizes/4k",
  "/sizes/1m"
}
local at = 0
request = function()
  at = at % #paths + 1
  return wrk.format("GET", paths[at])
end
"#;

/// What a command says, when it says that all is well.
fn run(command: &mut Command) -> Result<String> {
    let out = command.stdin(Stdio::null()).output();
    let out = out.with_context(|| format!("cannot run {command:?}"))?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        bail!("{}: {}", out.status, text::one_line(&said));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}
