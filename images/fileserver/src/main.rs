//! The bootable image: the site is the initrd, an ordinary tar; the rest is on the command line.
//!
//! [`simoom_fileserver::options`] has the keys, and the platform its own (`ip=`, `console=`, ...).

#![no_std]
#![no_main]
#![deny(unsafe_code)]

use core::cell::RefCell;
use core::fmt;

use simoom::tcp::ListenError;
use simoom::{Addr, Endpoint, Instant};
use simoom_capture::{Slot, Store};
use simoom_fileserver::accesslog::{Log, PLACES, Place};
use simoom_fileserver::admin::{Admin, CAPTURE_BYTES, CAPTURE_SLOTS};
use simoom_fileserver::app::{Addresses, FileServer, SCRATCH_LEN, Scratches};
use simoom_fileserver::front::Front;
use simoom_fileserver::http::{self, KNOWN_CNT, Known, Server};
use simoom_fileserver::options::{self, BadOption, Options, Time};
use simoom_fileserver::site::{self, Site, SiteError};
use simoom_platform::memory::{Memory, OutOfMemory};
use simoom_platform::x86_64::net::{Net, NetError};
use simoom_platform::x86_64::{ExitCode, Machine, console, rtc, run};

simoom_platform::image!(main);

fn main(mut machine: Machine) -> ExitCode {
    for argument in machine.command_line.unknown(options::KEYS) {
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
    net: Net<Front>,
    app: Front,
    port: u16,
}

fn start(machine: &mut Machine) -> Result<Started, BootError> {
    let command_line = machine.command_line;
    let options = Options::read(|key| command_line.get(key)).map_err(BootError::Option)?;
    let port = options.port;
    let clock = match options.time {
        Time::Machine => rtc::read_unix().map(|unix| (unix, now(machine))),
        Time::Told(unix) => Some((unix, Instant::ZERO)),
        Time::None => None,
    };
    let site_options = site::Options {
        now: clock.map(|(unix, _)| unix),
        ..options.site
    };
    let site = site(machine, site_options)?;
    let scratch = machine
        .memory
        .take_bytes(SCRATCHES * SCRATCH_LEN, align_of::<u64>())
        .map_err(BootError::Memory)?;
    let counters = machine.memory.take_slice(ADDRESS_COUNTERS, |_| 0);
    let addresses = Addresses::new(counters.map_err(BootError::Memory)?, seed(machine));
    let known = machine
        .memory
        .take_slice(KNOWN_CNT, |_| http::Place::EMPTY)
        .map_err(BootError::Memory)?;
    let mut app = FileServer::new(Server::new(site, options.limits), Scratches::new(scratch));
    app.set_known(Known::new(known));
    app.set_clock(clock);
    if let Some(sink) = options.look.log {
        let places = machine.memory.take_slice(PLACES, |_| Place::EMPTY);
        app.set_log(Log::new(sink, places.map_err(BootError::Memory)?));
    }
    let admin = Admin::new(&options.look, "virtio-net");
    let capture = capture(machine, &admin).map_err(BootError::Memory)?;
    let mut net = Net::start(machine).map_err(BootError::Net)?;
    net.capture = RefCell::new(capture);
    app.set_bounds(options.bounds_for(net.sizes().conns), addresses);
    app.set_sums(machine.initrd.and_then(|site| net.sums(machine, site)));
    net.stack.listen(port, BACKLOG).map_err(BootError::Listen)?;
    if let Some(at) = options.look.listening {
        let listener = net.stack.listen(at.port, ADMIN_BACKLOG);
        listener.map_err(BootError::Listen)?;
    }
    let app = Front::new(app, admin);
    Ok(Started { net, app, port })
}

fn serve(machine: &Machine, started: Started) -> ExitCode {
    let Started { net, mut app, port } = started;
    // Everything is ready here; what may follow is the wait for an address.
    let ready = Millis(machine.clock.now_us());
    console!("simoom: {net}");
    console!("simoom: ready {ready} ms after entry");
    let site = app.files.server().site();
    let file_cnt = site.file_cnt();
    simoom_fileserver::warnings::tell(site, |line| console!("simoom: warning: {line}"));
    let told = |addr: Addr| {
        let url = Url(Endpoint::new(addr, port));
        console!("simoom: listening on {url} ({file_cnt} files, {ready} ms after entry)");
    };
    run::run(machine, net, &mut app, told)
}

fn now(machine: &Machine) -> Instant {
    Instant::from_micros(machine.clock.now_us())
}

/// Memory for captures, if there may be any.
fn capture(machine: &mut Machine, admin: &Admin) -> Result<Store<'static>, OutOfMemory> {
    if !admin.is_on() {
        return Ok(Store::default());
    }
    let bytes = machine
        .memory
        .take_bytes(CAPTURE_BYTES, align_of::<u64>())?;
    let slots = machine.memory.take_slice(CAPTURE_SLOTS, |_| Slot::EMPTY)?;
    Ok(Store::new(bytes, slots))
}

/// Indexes the initrd.
fn site(machine: &mut Machine, options: site::Options) -> Result<Site, BootError> {
    let archive = machine.initrd.ok_or(BootError::NoSite)?;
    let seed = seed(machine);
    let mut memory = Tables(&mut machine.memory);
    Site::open(archive, options, seed, &mut memory).map_err(BootError::Site)
}

fn seed(machine: &mut Machine) -> u64 {
    let mut seed = [0; 8];
    machine.entropy.fill(&mut seed);
    u64::from_le_bytes(seed)
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
    Option(BadOption<'static>),
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSite => f.write_str("no site: the initrd must be a tar archive"),
            Self::Site(error) => write!(f, "site archive: {error}"),
            Self::Memory(error) => error.fmt(f),
            Self::Net(error) => error.fmt(f),
            Self::Listen(error) => error.fmt(f),
            Self::Option(error) => error.fmt(f),
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

/// Counters of connections by address: 64 KiB.
const ADDRESS_COUNTERS: usize = 32_768;

/// Half-open connections at most; to the admin port.
const BACKLOG: u16 = 1024;
const ADMIN_BACKLOG: u16 = 16;
