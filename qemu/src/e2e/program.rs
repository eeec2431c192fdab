//! The host program itself, as a user runs it.

use super::http::{Client, request};
use super::{Outcome, World, free_port, sites, within};
use crate::install;
use crate::machine::{Disk, Medium};
use crate::site;
use crate::text;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Exit code after Ctrl-C.
const EXIT_INTERRUPTED: i32 = 130;

fn program() -> Result<Command> {
    // This very program, even where cargo has put a newer one in its place meanwhile.
    let mut program = Command::new("/proc/self/exe");
    program.stdin(Stdio::null());
    Ok(program)
}

/// Every bad input ends with one line and a code, before anything is built or booted.
pub(super) fn errors(_: &mut World) -> Result<Outcome> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let path = |name: &str| folder.path().join(name);
    for name in ["empty", "odd", "outside", "pipe"] {
        fs::create_dir(path(name))?;
    }
    let odd: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"\xff.html");
    fs::write(path("odd").join(odd), "x")?;
    symlink("/etc/hostname", path("outside").join("link"))?;
    let _socket = std::os::unix::net::UnixListener::bind(path("pipe").join("socket"))?;
    fs::write(path("text.tar"), "this is no archive")?;
    fs::File::create(path("site.tar.gz"))?.write_all(b"\x1f\x8b\x08\0\0\0\0\0")?;
    let whole = sites::made(5000)?;
    whole.write_to(&path("whole.tar"))?;
    let cut = fs::read(path("whole.tar"))?;
    fs::write(path("cut.tar"), &cut[..4096])?;
    let busy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let busy_port = busy.local_addr()?.port().to_string();
    let rows: [(&str, &[&str], &str); 12] = [
        ("missing", &[], "no such file or folder"),
        ("empty", &[], "empty"),
        ("odd", &[], "not UTF-8"),
        ("outside", &[], "a link out of the folder"),
        ("pipe", &[], "cannot be served"),
        ("text.tar", &[], "neither a folder nor a tar"),
        ("site.tar.gz", &[], "gunzip"),
        ("cut.tar", &[], "bad archive"),
        ("whole.tar", &["--port", &busy_port], "in use"),
        ("whole.tar", &["--memory", "8"], "too little"),
        (
            "whole.tar",
            &["--append", "ip=10.0.2.300"],
            "expected an IPv4",
        ),
        (
            "whole.tar",
            &["--net", "tap=simoom-none"],
            "no such TAP device",
        ),
    ];
    let port = free_port()?.to_string();
    for (name, args, reason) in rows {
        let mut program = program()?;
        program.arg("serve").arg(path(name)).args(args);
        if !args.contains(&"--port") {
            program.args(["--port", &port]);
        }
        let out = program.output()?;
        let said = String::from_utf8_lossy(&out.stderr);
        let is_one_line = said.lines().count() == 1 && said.starts_with("error: ");
        if out.status.success() || !is_one_line || !said.contains(reason) {
            bail!("{name} {args:?}: {} and {said:?}", out.status);
        }
    }
    no_qemu(&path("whole.tar"))?;
    Ok(Outcome::Passed)
}

/// Without QEMU in the path, and without apt-get: the error names what is missing.
fn no_qemu(site: &std::path::Path) -> Result<()> {
    let bare = tempfile::tempdir()?;
    let out = program()?
        .args(["serve", "--port", &free_port()?.to_string()])
        .arg(site)
        .env("PATH", bare.path())
        .output()?;
    let said = String::from_utf8_lossy(&out.stderr);
    let last = said.lines().last().unwrap_or_default();
    if out.status.success() || !last.starts_with("error: qemu-system-x86_64 is not installed") {
        bail!("without QEMU: {} and {last:?}", out.status);
    }
    Ok(())
}

/// `serve` of the demo site, asked, and ended with Ctrl-C.
pub(super) fn serve(world: &mut World) -> Result<Outcome> {
    world.built()?;
    refused(&free_port()?.to_string())?;
    let (port, admin) = (free_port()?, free_port()?);
    let url = format!("http://127.0.0.1:{port}/");
    // Its ports are found where it is told to have them.
    let words = format!("port=8081 admin=:{admin}");
    let mut child = program()?
        .args(["serve", "--port", &port.to_string(), "--print-command"])
        .args(["--append", &words])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let pid = Pid::from_child(&child);
    let stdout = child.stdout.take().context("no output")?;
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let mut said = Vec::new();
    let has_url = lines.by_ref().any(|line| {
        said.push(line);
        said.last().is_some_and(|line| line.trim() == url)
    });
    if !has_url {
        child.wait()?;
        bail!("it ended without an address: {}", said.join(" | "));
    }
    if !said
        .iter()
        .any(|line| line.contains("qemu-system-x86_64 -M q35"))
    {
        bail!("--print-command printed none");
    }
    let asked = ask_demo(port).and_then(|()| {
        let page = Client::connect(admin)?.get("/healthz")?;
        page.expect(200).context("the admin port")
    });
    kill_process(pid, Signal::INT)?;
    let status = child.wait()?;
    asked?;
    if status.code() != Some(EXIT_INTERRUPTED) {
        bail!("after Ctrl-C: {status}");
    }
    let is_free = || TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    if !within(Duration::from_secs(5), is_free) {
        bail!("QEMU outlived it");
    }
    Ok(Outcome::Passed)
}

/// A word that only the server knows to be wrong: its own sentence is the last one, at once.
fn refused(port: &str) -> Result<()> {
    let started = Instant::now();
    let out = program()?
        .args(["serve", "--port", port, "--append", "listing=yes"])
        .output()?;
    let said = String::from_utf8_lossy(&out.stderr);
    let last = said.lines().last().unwrap_or_default();
    if out.status.success() || last != "error: the image says: listing=yes: expected on or off" {
        bail!(
            "a word refused: {}, {last:?}, after {:?}",
            out.status,
            started.elapsed()
        );
    }
    Ok(())
}

fn ask_demo(port: u16) -> Result<()> {
    let mut client = Client::connect(port)?;
    let page = client.get("/")?;
    page.expect(200)?;
    if !String::from_utf8_lossy(&page.body).contains("<title>Simoom</title>") {
        bail!("/ is not the demo's first page");
    }
    for (path, kind) in [
        ("/style.css", "text/css"),
        ("/ring.svg", "image/svg+xml"),
        ("/dunes.png", "image/png"),
        ("/primes.txt", "text/plain"),
    ] {
        let answer = client.get(path)?;
        answer.expect(200).with_context(|| path.to_owned())?;
        if !answer
            .field("content-type")
            .is_some_and(|value| value.starts_with(kind))
        {
            bail!("{path}: Content-Type {:?}", answer.field("content-type"));
        }
    }
    Ok(())
}

/// `image` writes two files; they boot and serve.
pub(super) fn image(world: &mut World) -> Result<Outcome> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let out_folder = folder.path().join("made here");
    let source = folder.path().join("site");
    fs::create_dir(&source)?;
    fs::write(source.join("index.html"), sites::INDEX)?;
    let out = program()?
        .arg("image")
        .arg(&source)
        .arg("-o")
        .arg(&out_folder)
        .output()?;
    if !out.status.success() {
        bail!("image: {}", String::from_utf8_lossy(&out.stderr));
    }
    let said = String::from_utf8_lossy(&out.stdout);
    if !said.contains("-kernel") || !said.contains("-initrd") {
        bail!("it prints no line that runs them: {said}");
    }
    let packed = site::open(Some(&out_folder.join("site.tar")))?;
    let served = world.serve(&packed, |launch| {
        launch.kernel = out_folder.join("simoom");
        launch.initrd = Some(out_folder.join("site.tar"));
    })?;
    let page = Client::connect(served.at)?.get("/")?;
    if page.body != sites::INDEX {
        bail!("it serves other bytes");
    }
    served.finish()
}

/// One file with everything, by each way that a machine takes to it.
pub(super) fn disk(world: &mut World) -> Result<Outcome> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let source = folder.path().join("site");
    fs::create_dir(&source)?;
    fs::write(source.join("index.html"), sites::INDEX)?;
    fs::write(source.join("text.css"), "a { color: red }\n".repeat(100))?;
    let [path, again] = ["made here.iso", "again.iso"].map(|name| folder.path().join(name));
    // What a file had before does not matter.
    fs::write(&again, vec![0xa5; 32 << 20])?;
    for path in [&path, &again] {
        let out = program()?
            .args(["image", "--compress", "--append", "port=80 ip=dhcp"])
            .arg("--disk")
            .arg(path)
            .arg(&source)
            .output()?;
        if !out.status.success() {
            let said = String::from_utf8_lossy(&out.stderr);
            if said.contains("is not installed") {
                return Ok(Outcome::Skipped(text::one_line(&said)));
            }
            bail!("image --disk: {said}");
        }
    }
    if fs::read(&path)? != fs::read(&again)? {
        bail!("the same site makes two files that differ");
    }
    let packed = site::open(Some(&source))?.compressed_if(true)?;
    let firmware = uefi();
    if firmware.is_none() {
        println!("       no UEFI firmware here, and none to be installed");
    }
    let ways = [
        ("a CD, BIOS", Medium::Cdrom, Some(None)),
        ("a disk, BIOS", Medium::Drive, Some(None)),
        ("a disk, UEFI", Medium::Drive, firmware.clone().map(Some)),
        ("a CD, UEFI", Medium::Cdrom, firmware.map(Some)),
    ];
    for (what, medium, firmware) in ways {
        let Some(firmware) = firmware else { continue };
        let disk = Disk {
            path: path.clone(),
            medium,
            firmware,
        };
        let served = world
            .serve(&packed, |launch| {
                launch.disk = Some(disk);
                launch.memory_mib += Disk::LOADER_MIB;
            })
            .context(what)?;
        let mut client = Client::connect(served.at)?;
        if client.get("/")?.body != sites::INDEX {
            bail!("{what}: it serves other bytes");
        }
        let wanted = request("GET", "/text.css", "Accept-Encoding: br\r\n");
        client.send(&wanted)?;
        let answer = client.answer(true)?;
        answer.expect(200)?;
        if answer.body.len() > 100 {
            bail!("{what}: it serves no variant");
        }
        served.finish().context(what)?;
    }
    Ok(Outcome::Passed)
}

/// The code of a UEFI, of Debian's package.
fn uefi() -> Option<PathBuf> {
    let find = || {
        let mut files = UEFI.iter().map(PathBuf::from);
        files.find(|file| file.is_file())
    };
    find().or_else(|| {
        install::install_package("ovmf").ok()?;
        find()
    })
}

/// Where it lies.
const UEFI: [&str; 2] = [
    "/usr/share/OVMF/OVMF_CODE.fd",
    "/usr/share/OVMF/OVMF_CODE_4M.fd",
];
