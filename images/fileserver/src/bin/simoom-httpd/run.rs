//! From arguments to the end of the process, on a port of one type.

use std::error::Error;
use std::iter;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use simoom::tcp::Settings;
use simoom::{Addr, Endpoint};
use simoom_fileserver::admin::SEATS_MAX;
use simoom_fileserver::front::Front;
use simoom_fileserver::options::{KEYS, Options, Time};
use simoom_fileserver::site::{self, Options as SiteOptions, Site};
use simoom_fileserver::warnings;
use simoom_netmap::hosts::{Open, Spec, Takes, Wanted, Without};
use simoom_platform::command_line::Offloads;
use simoom_platform::linux::{
    Addressing, Board, Clock, Cores, Desks, Mesh, Net, Rungs, Signals, content, key, say, seed,
};
use simoom_platform::net::serve;
use simoom_ring::Port;

use super::Args;
use super::ended::close;
use super::others::Others;
use super::shared::{SIZES, Shared};
use super::site as archive;

/// Serves until a signal.
///
/// # Errors
/// Whatever is wrong with the arguments, the site, or the port. Then nothing is changed.
pub(crate) fn run<H: Open + 'static>(
    args: &Args,
    spec: &Spec,
    clock: Clock,
) -> Result<ExitCode, Box<dyn Error>> {
    // Before anything is acquired: what cannot work, and the core on which memory is touched first.
    let addressing = Addressing::parse(&args.ip, args.gateway)?;
    let options = options(args)?;
    let cores = args.cores.as_deref().map(Cores::parse).transpose()?;
    let cores_cnt = cores.as_ref().map_or(1, Cores::cnt);
    if let Some(cores) = &cores {
        cores.pin(0)?;
    }
    let mut archive = archive::open(&args.site)?;
    let wanted = wanted(args, &options, spec, addressing, (archive.len, cores_cnt))?;
    let signals = Signals::catch()?;
    let mut started = H::open(spec, &wanted)?.start(&wanted)?;

    let bytes = content::load(&mut started.port, &mut *archive.reader, archive.len);
    let bytes = bytes.map_err(|error| format!("{}: {error}", args.site.display()))?;
    drop(archive);
    let mut meshes = Mesh::of(cores_cnt)?;
    let shared = Shared {
        site: site(args, &options, bytes)?,
        options,
        tcp: Settings {
            congestion: args.cc,
            station_seed: (cores_cnt > 1).then(key).transpose()?,
            ..Settings::default()
        },
        sums: content::sums(&started.port, bytes),
        args: args.clone(),
        clock,
        board: Arc::new(Board::new(cores_cnt)),
        desks: Desks::of(&meshes, SEATS_MAX),
        cores,
    };
    let mut app = shared.app(0)?;
    let file_cnt = shared.site.file_cnt();
    let mesh = meshes.remove(0);
    let (more, content) = (started.port.host().more(), started.port.content());
    let others = Others::start::<H>(more, content, meshes, &shared)?;

    let net = Net::<Front, H>::start(started, SIZES, addressing, shared.tcp, &clock)?;
    others.wait()?;
    for line in &net.bound {
        say(format_args!("{line}"));
    }
    say(format_args!("{}", Rungs(net.served.port.caps())));
    let (mut process, mut served) = shared.process(net, signals, mesh)?;
    let (port, ready) = (args.port, clock.now().as_micros());
    let told = move |addr: Addr| {
        let url = url(Endpoint::new(addr, port));
        let (ms, tenth) = (ready / 1_000, ready / 100 % 10);
        say(format_args!(
            "listening on {url} ({file_cnt} files, {ms}.{tenth} ms after entry)"
        ));
    };
    (process.takes, process.told) = (wanted.takes, Box::new(told));
    let end = serve(&mut process, &mut served, &mut app);
    process.leave(end);
    drop(process);
    // What is one for all cores is the first one's: it goes last.
    let mut ended = others.join()?;
    ended.add(close(served, end)?);
    ended.tell()
}

/// The site, indexed once for all cores.
fn site(args: &Args, options: &Options, bytes: &'static [u8]) -> Result<Site, Box<dyn Error>> {
    let now = match options.time {
        Time::Machine => unix_now(),
        Time::Told(unix) => Some(unix),
        Time::None => None,
    };
    let site_options = SiteOptions {
        now,
        ..options.site
    };
    let site = Site::open(bytes, site_options, seed()?, &mut Tables);
    let site = site.map_err(|error| format!("{}: {error}", args.site.display()))?;
    warnings::tell(&site, |line| say(format_args!("warning: {line}")));
    Ok(site)
}

/// Seconds since 1970, unless it is before.
fn unix_now() -> Option<i64> {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since_epoch.as_secs()).ok()
}

/// What is said to the server.
fn options(args: &Args) -> Result<Options, Box<dyn Error>> {
    let pairs: Vec<_> = args
        .options
        .iter()
        .map(|text| text.split_once('='))
        .collect();
    let is_known = |key: &str| key == "offload" || key != "port" && KEYS.contains(&key);
    for (text, pair) in args.options.iter().zip(&pairs) {
        if !pair.is_some_and(|(key, _)| is_known(key)) {
            let known = KEYS.iter().filter(|key| **key != "port");
            let known: Vec<_> = known.copied().chain(["offload"]).collect();
            return Err(format!("{text}: expected one of {}", known.join("= ") + "=").into());
        }
    }
    let port = args.port.to_string();
    let read = Options::read(|key| match key {
        "port" => Some(&port),
        key => {
            // The last one counts, as on the image's command line.
            let mut pairs = pairs.iter().flatten().rev();
            pairs
                .find(|(known, _)| *known == key)
                .map(|(_, value)| *value)
        }
    });
    Ok(read.map_err(|error| error.to_string())?)
}

/// What is asked of the port.
fn wanted(
    args: &Args,
    options: &Options,
    spec: &Spec,
    addressing: Addressing,
    (content_len, cores_cnt): (usize, usize),
) -> Result<Wanted, Box<dyn Error>> {
    let is_netmap = matches!(spec, Spec::Netmap { .. });
    if args.passthrough && !is_netmap {
        return Err("--passthrough: only netmap: ports need it and have it".into());
    }
    let far_addr = match addressing {
        Addressing::Static { cidr, gateway } => gateway.map(|addr| (addr, cidr.prefix_len())),
        Addressing::Dhcp => None,
    };
    let admin_port = options.look.listening.map(|at| at.port);
    Ok(Wanted {
        frames: SIZES.frames as u32,
        queues: u16::try_from(cores_cnt)?,
        content_len,
        takes: Takes {
            addr: addressing.addr(),
            tcp_ports: iter::once(args.port).chain(admin_port).collect(),
        },
        has_passthrough: args.passthrough,
        far_addr,
        without: without(args, spec)?,
    })
}

/// What the port is not to do for us, of `offload=`.
fn without(args: &Args, spec: &Spec) -> Result<Without, Box<dyn Error>> {
    let words = args.options.iter();
    let Some(value) = words.rev().find_map(|text| text.strip_prefix("offload=")) else {
        return Ok(Without::default());
    };
    let offloads = Offloads::parse(value).map_err(|expected| format!("offload=: {expected}"))?;
    if !matches!(spec, Spec::Tap { .. }) {
        return Err("offload=: only tap: ports have what can be done without".into());
    }
    let lacks = |one| !offloads.has(one);
    Ok(Without {
        tx_csum: lacks(Offloads::TX),
        tso: lacks(Offloads::TSO),
        rx_csum: lacks(Offloads::RX),
        rx_large: lacks(Offloads::LRO) || lacks(Offloads::MRG),
        gather: lacks(Offloads::SG),
    })
}

/// Memory for the site's tables.
struct Tables;

impl site::Memory for Tables {
    fn take<T: 'static>(&mut self, cnt: usize, init: fn() -> T) -> Option<&'static mut [T]> {
        let mut table = Vec::new();
        table.try_reserve_exact(cnt).ok()?;
        table.resize_with(cnt, init);
        Some(table.leak())
    }
}

/// Where the site is, as a browser wants it.
fn url(endpoint: Endpoint) -> String {
    match endpoint.port {
        80 => format!("http://{}/", endpoint.addr),
        _ => format!("http://{endpoint}/"),
    }
}
