//! The bootable image: the site is the initrd, an ordinary tar; the rest is on the command line.
//!
//! | key | value | default |
//! |---|---|---|
//! | `port` | the TCP port to listen on | 80 |
//!
//! and the platform's keys (`ip=`, `console=`, ...).

#![no_std]
#![no_main]
#![deny(unsafe_code)]

use core::fmt;

use simoom::tcp::ListenError;
use simoom::{Addr, Endpoint};
use simoom_fileserver::app::{FileServer, SCRATCH_LEN, Scratches};
use simoom_fileserver::http::{Limits, Server};
use simoom_fileserver::site::{self, Site, SiteError};
use simoom_platform::memory::{Memory, OutOfMemory};
use simoom_platform::x86_64::net::{Net, NetError};
use simoom_platform::x86_64::{ExitCode, Machine, console, run};

simoom_platform::image!(main);

fn main(mut machine: Machine) -> ExitCode {
    for argument in machine.command_line.unknown(&["port"]) {
        console!("simoom: warning: unknown argument: {argument}");
    }
    match start(&mut machine) {
        Ok(started) => serve(&machine, started),
        Err(error) => {
            console!("simoom: error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// All that serving takes.
struct Started {
    net: Net<FileServer>,
    app: FileServer,
    port: u16,
}

fn start(machine: &mut Machine) -> Result<Started, BootError> {
    let port = port(machine)?;
    let site = site(machine)?;
    let scratch = machine
        .memory
        .take_bytes(SCRATCHES * SCRATCH_LEN, align_of::<u64>())
        .map_err(BootError::Memory)?;
    let app = FileServer::new(Server::new(site, Limits::DEFAULT), Scratches::new(scratch));
    let mut net = Net::start(machine).map_err(BootError::Net)?;
    net.stack.listen(port, BACKLOG).map_err(BootError::Listen)?;
    Ok(Started { net, app, port })
}

fn serve(machine: &Machine, started: Started) -> ExitCode {
    let Started { net, mut app, port } = started;
    // Everything is ready here; what may follow is the wait for an address.
    let ready = Millis(machine.clock.now_us());
    console!("simoom: {net}");
    console!("simoom: ready {ready} ms after entry");
    let file_cnt = app.server().site().file_cnt();
    let skipped_cnt = app.server().site().skipped_cnt();
    if skipped_cnt > 0 {
        console!("simoom: warning: {skipped_cnt} entries of the site are no files: left out");
    }
    let told = |addr: Addr| {
        let url = Url(Endpoint::new(addr, port));
        console!("simoom: listening on {url} ({file_cnt} files, {ready} ms after entry)");
    };
    run::run(machine, net, &mut app, told)
}

fn port(machine: &Machine) -> Result<u16, BootError> {
    match machine.command_line.get("port") {
        None => Ok(80),
        Some(text) => text.parse().map_err(|_| BootError::BadPort(text)),
    }
}

/// Indexes the initrd.
fn site(machine: &mut Machine) -> Result<Site, BootError> {
    let archive = machine.initrd.ok_or(BootError::NoSite)?;
    let mut seed = [0; 8];
    machine.entropy.fill(&mut seed);
    let mut memory = Tables(&mut machine.memory);
    Site::open(archive, u64::from_le_bytes(seed), &mut memory).map_err(BootError::Site)
}

/// The machine's memory, for the site's tables.
struct Tables<'m>(&'m mut Memory);

impl site::Memory for Tables<'_> {
    fn take<T: 'static>(&mut self, cnt: usize, init: fn() -> T) -> Option<&'static mut [T]> {
        self.0.take_slice(cnt, |_| init()).ok()
    }
}

/// Why the image cannot serve.
enum BootError {
    NoSite,
    Site(SiteError),
    Memory(OutOfMemory),
    Net(NetError),
    Listen(ListenError),
    BadPort(&'static str),
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSite => f.write_str("no site: the initrd must be a tar archive"),
            Self::Site(error) => write!(f, "site archive: {error}"),
            Self::Memory(error) => error.fmt(f),
            Self::Net(error) => error.fmt(f),
            Self::Listen(error) => error.fmt(f),
            Self::BadPort(text) => write!(f, "port={text}: expected 1 to 65535"),
        }
    }
}

/// Microseconds, shown as milliseconds with a tenth.
#[derive(Clone, Copy)]
struct Millis(u64);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 / 1000, self.0 / 100 % 10)
    }
}

/// Where the site is, as a browser wants it.
struct Url(Endpoint);

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.port {
            80 => write!(f, "http://{}/", self.0.addr),
            _ => write!(f, "http://{}/", self.0),
        }
    }
}

/// Heads of requests that straddle frames at once.
const SCRATCHES: usize = 32;

/// Half-open connections at most.
const BACKLOG: u16 = 1024;
