//! A look inside: figures, connections, captures, the page and the log, of the booted image and of
//! the Linux process, each read by whoever it is for: promtool, tshark, Chromium.

use super::network::{Cable, TAP_GUEST};
use super::running::Running;
use super::{HOME_LIMIT, Outcome, Served, World, hosted, listening, sites, within};
use crate::console::Line;
use crate::install::{self, Tool};
use crate::text;
use anyhow::{Context, Result, bail};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// Where it is, beside the site's port.
const PORT: u16 = 9090;
/// Words for the server: syslog goes to the other end of the cable.
const ADMIN: &str = "admin=:9090";
/// Where the syslog server is.
const SYSLOG_PORT: u16 = 5514;
/// How long a datagram may take.
const SYSLOG_LIMIT: Duration = Duration::from_secs(30);
/// wrk asks for as long as the others look: it is ended then.
const WRK: [&str; 3] = ["-t1", "-c8", "-d10m"];
/// A port that nobody listens on.
const CLOSED: u16 = 81;
/// What a browser may take of its own time.
const PAGE_MS: u32 = 6_000;

/// Both, one after the other.
pub(super) fn admin(world: &mut World) -> Result<Outcome> {
    let booted = booted(world).context("booted")?;
    if let Outcome::Skipped(_) = booted {
        return Ok(booted);
    }
    hosted::in_namespace(world, "admin", |world| {
        process(world).context("simoom-httpd")?;
        Ok(Outcome::Passed)
    })
}

/// The booted image, on a TAP device, with its log on the console.
fn booted(world: &mut World) -> Result<Outcome> {
    let cable = match Cable::lay() {
        Ok(cable) => cable,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    let site = sites::made(100_000)?;
    let (guest, port) = world.start(&site, |launch| {
        cable.connect(launch);
        launch
            .append
            .push_str(" admin=:9090 accesslog=console time=784111777");
    })?;
    let at = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let mut served = listening(guest, at, site.files_cnt)?;
    let inside = |program: &Path| cable.inside(program);
    curl(&inside(&install::CURL.need()?), TAP_GUEST, 80, "/folder/")?;
    let logged = |_: &Line, text: &str| {
        let begins = text.contains(" - - [06/Nov/1994:08:");
        let line = "\"GET /folder/ HTTP/1.1\" 200 14 \"-\" \"curl/";
        (begins && text.contains(line)).then_some(())
    };
    served
        .guest
        .wait_for("line of the log", HOME_LIMIT, logged)?;
    look(&inside, TAP_GUEST)?;
    served.finish()
}

/// The process, in its namespace, with its log at a syslog server.
fn process(world: &mut World) -> Result<()> {
    let gateway: Ipv4Addr = hosted::GATEWAY.parse()?;
    let words = format!("accesslog=syslog:{gateway}:{SYSLOG_PORT}");
    let site = sites::made(100_000)?;
    let mut served = hosted::serve_with(world, &site, &[ADMIN, &words])?;
    // The device, and Linux's address on it, came with the process.
    let syslog = UdpSocket::bind((gateway, SYSLOG_PORT)).context("no syslog server")?;
    syslog.set_read_timeout(Some(SYSLOG_LIMIT))?;
    let host = served.at.ip().to_string();
    let inside = |program: &Path| Command::new(program);
    curl(&inside(&install::CURL.need()?), &host, 80, "/folder/")?;
    let mut datagram = [0; 2_000];
    let len = syslog.recv(&mut datagram).context("nothing was logged")?;
    let said = String::from_utf8_lossy(&datagram[..len]).into_owned();
    let is_right = said.starts_with("<134>1 20")
        && said.contains(&format!("Z {host} simoom - access - {gateway} - - ["))
        && said.contains("\"GET /folder/ HTTP/1.1\" 200 14 \"-\" \"curl/");
    if !is_right {
        bail!("this was logged: {said}");
    }
    look(&inside, &host)?;
    ends(&mut served)
}

/// Ends it and waits until all is home.
fn ends(served: &mut Served) -> Result<()> {
    served.guest.drain();
    match served.guest.panic_line() {
        Some(line) => bail!("{line}"),
        None => Ok(()),
    }
}

/// Everything that there is to see of the server at `host`, by programs that `inside` runs there.
fn look(inside: &dyn Fn(&Path) -> Command, host: &str) -> Result<()> {
    let curl_path = install::CURL.need()?;
    let get = |port, path: &str| curl(&inside(&curl_path), host, port, path);
    for (path, answer) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let said = get(PORT, path)?;
        if said != answer.as_bytes() {
            bail!("{path}: {}", String::from_utf8_lossy(&said));
        }
    }
    let wrk = install::WRK.need()?;
    let load = Running(
        inside(&wrk)
            .args(WRK)
            .arg(format!("http://{host}/index.html"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot run wrk")?,
    );
    // It connects when it does.
    within(HOME_LIMIT, || {
        let json = get(PORT, "/connections");
        json.is_ok_and(|json| connections(&json).is_ok())
    });
    connections(&get(PORT, "/connections")?)?;
    captured(inside, host).context("capture")?;
    page(inside, host).context("page")?;
    drop(load);
    metrics(&get(PORT, "/metrics")?).context("metrics")
}

/// Asks for a path, and insists on an answer that is no error.
fn curl(command: &Command, host: &str, port: u16, path: &str) -> Result<Vec<u8>> {
    let mut again = Command::new(command.get_program());
    again.args(command.get_args());
    let url = format!("http://{host}:{port}{path}");
    let out = output(again.args(["-sS", "--fail", "--max-time", "60", &url]))?;
    Ok(out.stdout)
}

fn output(command: &mut Command) -> Result<Output> {
    let out = command.stdin(Stdio::null()).output()?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        bail!("{:?}: {}", command.get_program(), text::one_line(&said));
    }
    Ok(out)
}

/// promtool has nothing to say, and what has happened is told.
fn metrics(figures: &[u8]) -> Result<()> {
    let said = String::from_utf8(figures.to_vec())?;
    let figure = |name: &str| {
        let mut lines = said.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value
            .with_context(|| format!("no {name}"))?
            .parse::<f64>()
            .context("a number")
    };
    let answers = figure("simoom_http_answers_total{code=\"200\",class=\"2xx\"}")?;
    let timed = figure("simoom_http_latency_seconds_count")?;
    // What was on its way when wrk broke its connections was not timed, with what it stood for.
    if answers < 100.0 || timed < 0.9 * answers - 50.0 || timed > answers {
        bail!("{answers} answers, {timed} timed");
    }
    if figure("simoom_drops_total{reason=\"tcp_no_connection\"}")? < 1.0 {
        bail!("no packet to a closed port was dropped");
    }
    let promtool = match promtool() {
        Ok(promtool) => promtool,
        Err(error) => return skipped("promtool", &error),
    };
    let mut check = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    check.stdin.take().context("no input")?.write_all(figures)?;
    let out = check.wait_with_output()?;
    let said = [out.stdout, out.stderr].concat();
    if !out.status.success() || !said.is_empty() {
        bail!("promtool: {}", String::from_utf8_lossy(&said));
    }
    Ok(())
}

/// A program that is not here and is not to be had: the rest goes on, and it is said.
fn skipped(program: &str, error: &anyhow::Error) -> Result<()> {
    println!(
        "       no {program} here: {}",
        text::one_line(&format!("{error:#}"))
    );
    Ok(())
}

/// promtool alone: the package that has it would start a server.
fn promtool() -> Result<PathBuf> {
    if let Some(path) = install::find("promtool") {
        return Ok(path);
    }
    install::unpacked("prometheus", "usr/bin/promtool")
}

/// wrk's connections are there, with what is known of them.
fn connections(json: &[u8]) -> Result<()> {
    let all: serde_json::Value = serde_json::from_slice(json).context("/connections")?;
    let all = all.as_array().context("an array")?;
    let busy = all.iter().filter(|one| {
        one["server"] == "site" && one["state"] == "ESTABLISHED" && one["smss"] == 1_448
    });
    match busy.count() {
        8.. => Ok(()),
        few => bail!("{few} connections of the site, 8 at least"),
    }
}

/// tshark reads what passes, and why a packet was dropped. That is asked for by itself: of all that
/// passes under load a capture keeps what it has room for.
fn captured(inside: &dyn Fn(&Path) -> Command, host: &str) -> Result<()> {
    let Some([all, requests, sent, own]) = capture(inside, host, "tcp", |host_own| {
        [
            "frame".to_owned(),
            "http.request.uri == \"/index.html\"".to_owned(),
            "frame.packet_flags_direction == 2 and tcp.srcport == 80".to_owned(),
            host_own,
        ]
    })?
    else {
        return Ok(());
    };
    if requests == 0 || sent == 0 || own > 0 {
        bail!("{all} packets: {requests} requests, {sent} sent, {own} its own");
    }
    let filter = format!("port%20{CLOSED}");
    let dropped = "frame.comment == \"dropped: tcp_no_connection\"".to_owned();
    let other = format!("tcp.port != {CLOSED}");
    match capture(inside, host, &filter, |_| [dropped, other])? {
        Some([0, _]) => bail!("no packet to a closed port says why it was dropped"),
        Some([_, other]) if other > 0 => bail!("{other} packets are of other ports"),
        _ => Ok(()),
    }
}

/// Two seconds of what passes the server's `filter`, while a closed port is asked; how many packets
/// tshark finds by each of its own filters. The argument is the filter of the admin port itself.
/// `None` without tshark, which is said.
fn capture<const N: usize>(
    inside: &dyn Fn(&Path) -> Command,
    host: &str,
    filter: &str,
    wanted: impl FnOnce(String) -> [String; N],
) -> Result<Option<[usize; N]>> {
    let curl_path = install::CURL.need()?;
    let file = tempfile::Builder::new().suffix(".pcapng").tempfile()?;
    let url = format!("http://{host}:{PORT}/capture?seconds=2&filter={filter}");
    let mut capture = Running(
        inside(&curl_path)
            .args(["-sS", "--fail", "--max-time", "60", &url, "-o"])
            .arg(file.path())
            .stdin(Stdio::null())
            .spawn()?,
    );
    // Asked for again and again: the capture begins when it does.
    while capture.0.try_wait()?.is_none() {
        let closed = format!("http://{host}:{CLOSED}/");
        let mut ask = inside(&curl_path);
        let asked = ask
            .args(["-s", "--max-time", "1", &closed])
            .stdin(Stdio::null());
        if asked.status()?.success() {
            bail!("port {CLOSED} answers");
        }
    }
    if !capture.0.wait()?.success() {
        bail!("curl failed");
    }
    let tshark = match TSHARK.need() {
        Ok(tshark) => tshark,
        Err(error) => return skipped("tshark", &error).map(|()| None),
    };
    let count = |filter: &str| -> Result<usize> {
        let mut command = Command::new(&tshark);
        let command = command.arg("-r").arg(file.path()).args(["-Y", filter]);
        let out = output(command.args(["-T", "fields", "-e", "frame.number"]))?;
        Ok(String::from_utf8_lossy(&out.stdout).lines().count())
    };
    let mut counts = [0; N];
    for (place, filter) in counts.iter_mut().zip(wanted(format!("tcp.port == {PORT}"))) {
        *place = count(&filter)?;
    }
    Ok(Some(counts))
}

/// A browser shows rates that are not zero.
fn page(inside: &dyn Fn(&Path) -> Command, host: &str) -> Result<()> {
    let chromium = match CHROMIUM.need() {
        Ok(chromium) => chromium,
        Err(error) => return skipped("chromium", &error),
    };
    let profile = tempfile::tempdir()?;
    let mut command = inside(&chromium);
    command
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--dump-dom",
        ])
        .arg(format!("--virtual-time-budget={PAGE_MS}"))
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("http://{host}:{PORT}/"));
    let out = output(&mut command)?;
    let dom = String::from_utf8_lossy(&out.stdout);
    for plot in ["requests", "sent", "connections", "latency", "doorbell"] {
        let shown = dom
            .split_once(&format!("id=\"{plot}\">"))
            .and_then(|(_, rest)| {
                let (_, value) = rest.split_once("data-value=\"")?;
                value.split('"').next()?.parse::<f64>().ok()
            });
        match shown {
            Some(value) if value > 0.0 => {}
            shown => bail!("{plot}: {shown:?} is shown while requests are answered"),
        }
    }
    match dom.contains("<td>200</td>") {
        true => Ok(()),
        false => bail!("no status is shown"),
    }
}

/// Reads captures.
const TSHARK: Tool = Tool {
    program: "tshark",
    package: "tshark",
};
/// A browser.
const CHROMIUM: Tool = Tool {
    program: "chromium",
    package: "chromium",
};
