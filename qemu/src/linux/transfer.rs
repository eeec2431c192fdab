//! One transfer: a wire, its two hosts, the work, and what came of it.

use super::exchange::{Op, Work};
use super::netns::joined;
use super::ours::{Frames, OurHost};
pub(crate) use super::relay::Lag;
use super::relay::Relay;
use super::sockets::{LinuxServer, ask};
use super::tap::LinuxHost;
use super::wires::WireKind;
use super::{PORT, addr, mac};
use anyhow::{Context, Result, bail};
use simoom::Instant;
use simoom::tcp::cc::Algorithm;
use simoom_sim::{Delay, End, Event, Faults, Record, Wire};
use std::fs::{self, File};
use std::io::BufWriter;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Who is at which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Roles {
    /// Linux serves, Linux asks: the reference.
    LinuxServesLinux,
    /// Our stack serves, Linux asks.
    WeServeLinux,
    /// Linux serves, our stack asks.
    LinuxServesUs,
}

impl Roles {
    fn tag(self) -> &'static str {
        match self {
            Self::LinuxServesLinux => "linux",
            Self::WeServeLinux => "ours",
            Self::LinuxServesUs => "us-asking",
        }
    }
}

/// What to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    pub(crate) kind: &'static WireKind,
    pub(crate) roles: Roles,
    pub(crate) work: Work,
    pub(crate) seed: u64,
    /// Congestion control of ours.
    pub(crate) congestion: Algorithm,
    /// Longest time for the work.
    pub(crate) limit: Duration,
}

/// What came of it: all bytes were right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    /// From the first connect to the last byte.
    pub(crate) took: Duration,
    /// How late the relay was.
    pub(crate) lag: Lag,
}

/// Whose view of the wire is written where.
#[derive(Clone, Debug, Default)]
pub(crate) struct Captures {
    /// Every transfer leaves one here.
    pub(crate) folder: Option<PathBuf>,
}

impl Transfer {
    /// Does it on a wire and in namespaces of its own, which are gone afterwards.
    ///
    /// # Errors
    /// No namespace; a wrong or missing byte; a frame that should not be; too slow. Then a capture
    /// of the last 16 MiB lies in the temporary folder.
    pub(crate) fn run(&self, captures: &Captures) -> Result<Done> {
        let wire = Wire::new(self.seed);
        let is_wanted = captures.folder.is_some();
        if is_wanted {
            wire.record_len_max(CAPTURE_LEN_MAX);
        }
        let done = self.run_on(&wire);
        let folder = match (&captures.folder, &done) {
            (Some(folder), _) => folder.clone(),
            (None, Err(_)) => std::env::temp_dir(),
            (None, Ok(_)) => return done,
        };
        let file = self.capture(&wire, &folder)?;
        done.with_context(|| format!("{} (see {})", self.name(), file.display()))
    }

    /// As part of a file's name.
    fn name(&self) -> String {
        let Self {
            kind, roles, work, ..
        } = self;
        let (tag, seed) = (kind.tag, self.seed);
        let congestion = match roles {
            Roles::LinuxServesLinux => String::new(),
            Roles::WeServeLinux | Roles::LinuxServesUs => format!("-{}", self.congestion),
        };
        format!(
            "{tag}-{}{congestion}-{}-seed{seed}",
            roles.tag(),
            work.tag()
        )
    }

    fn run_on(&self, wire: &Wire) -> Result<Done> {
        let mut frames = Frames::new();
        let pool = frames.pool();
        let done = {
            let mut relay = Relay::new(wire.clone());
            let (server_end, client_end) = self.attach(&mut relay, wire, &pool)?;
            introduce(&mut relay, [server_end, client_end])?;
            wire.set_faults_all(&self.kind.faults());
            let done = match self.roles {
                Roles::LinuxServesUs => self.we_ask(&mut relay),
                Roles::LinuxServesLinux | Roles::WeServeLinux => self.linux_asks(&mut relay),
            }?;
            self.wind_up(&mut relay, [server_end, client_end])?;
            done
        };
        if !pool.all_home() {
            bail!(
                "frames are lost: {} of them",
                pool.owned_cnt() - pool.free_cnt()
            );
        }
        Ok(done)
    }

    /// Puts both hosts on the wire: the server's end, then the client's, so that a seed means the
    /// same chances for each direction whoever serves.
    fn attach<'p>(
        &self,
        relay: &mut Relay<'p>,
        wire: &Wire,
        pool: &'p simoom_ring::FramePool<'p>,
    ) -> Result<(End, End)> {
        let mut ends = [None; 2];
        for (n, end) in [SERVER, CLIENT].into_iter().zip(&mut ends) {
            let is_ours = match self.roles {
                Roles::LinuxServesLinux => false,
                Roles::WeServeLinux => n == SERVER,
                Roles::LinuxServesUs => n == CLIENT,
            };
            *end = Some(if is_ours {
                let ours = OurHost::with(wire, n, pool, (self.seed, self.congestion))?;
                relay.ours.insert(ours).end
            } else {
                let host = LinuxHost::new(wire, n)?;
                let end = host.end;
                relay.linux.push(host);
                end
            });
        }
        match ends {
            [Some(server), Some(client)] => Ok((server, client)),
            _ => bail!("a wire has two ends"),
        }
    }

    /// Linux does the work in a thread, against whoever serves.
    fn linux_asks(&self, relay: &mut Relay<'_>) -> Result<Done> {
        let _server = match self.roles {
            Roles::LinuxServesLinux => {
                let host = relay.linux.first().context("a server")?;
                Some(LinuxServer::start(&host.netns, SERVER)?)
            }
            _ => None,
        };
        let client = relay.linux.last().context("a client")?;
        let (work, remote) = (self.work, SocketAddr::from((addr(SERVER), PORT)));
        let client = client.netns.spawn(move || ask(remote, work));
        relay.run(self.limit, |_| Ok(client.is_finished()))?;
        Ok(Done {
            took: joined(client)?,
            lag: relay.lag,
        })
    }

    /// Our stack does the work against Linux.
    fn we_ask(&self, relay: &mut Relay<'_>) -> Result<Done> {
        let host = relay.linux.first().context("a server")?;
        let _server = LinuxServer::start(&host.netns, SERVER)?;
        let started = std::time::Instant::now();
        let now = Instant::from_micros(relay.wire.now_us());
        let ours = relay.ours.as_mut().context("a client")?;
        ours.ask(now, SERVER, self.work)?;
        let mut asked = None;
        relay.run(self.limit, |relay| {
            asked = relay.ours.as_mut().and_then(|ours| ours.peer.asked.take());
            Ok(asked.is_some())
        })?;
        match asked {
            Some(Ok(())) => Ok(Done {
                took: started.elapsed(),
                lag: relay.lag,
            }),
            Some(Err(why)) => bail!("our client: {why}"),
            None => bail!("our client said nothing"),
        }
    }

    /// Lets connections end on a wire without faults, and looks at what must not have happened.
    fn wind_up(&self, relay: &mut Relay<'_>, ends: [End; 2]) -> Result<()> {
        let calm = Faults::none().delay(Delay::Fixed(self.kind.delay_us));
        relay.wire.set_faults_all(&calm);
        relay
            .run(QUIET_LIMIT, |relay| {
                Ok(relay.ours.as_ref().is_none_or(OurHost::is_quiet))
            })
            .context("connections stay open after the work")?;
        for end in ends {
            let counters = relay.wire.counters(end);
            if counters.bad_csum_sent > 0 || counters.too_long > 0 {
                bail!("frames with bad checksums or too long ones: {counters:?}");
            }
            if counters.ring_full + counters.no_frame > 0 {
                bail!("our device dropped frames: {counters:?}");
            }
        }
        for host in &relay.linux {
            let dropped = host.dropped()?;
            if dropped > 0 {
                bail!("a TAP device dropped {dropped} frames: the relay is too slow");
            }
        }
        Ok(())
    }

    /// Writes what crossed the wire as the server saw it, and beside it what became of each frame.
    fn capture(&self, wire: &Wire, folder: &Path) -> Result<PathBuf> {
        fs::create_dir_all(folder)?;
        let file = folder.join(format!("{}.pcap", self.name()));
        let server = wire.records().iter().map(|record| record.from).min();
        let is_seen = |record: &Record| match record.event {
            Event::Sent => Some(record.from) == server,
            Event::Delivered | Event::Merged => Some(record.to) == server,
            _ => false,
        };
        let out = BufWriter::new(File::create(&file).context("a capture")?);
        wire.write_pcap_of(out, is_seen)?;
        fs::write(file.with_extension("log"), wire.log())?;
        Ok(file)
    }
}

/// Has the hosts learn each other's station address while nothing goes wrong: a lost ARP frame
/// costs a second, and says nothing about TCP.
pub(super) fn introduce(relay: &mut Relay<'_>, [server, client]: [End; 2]) -> Result<()> {
    relay.wire.inject(client, &arp_request(CLIENT, SERVER));
    relay.wire.inject(server, &arp_request(SERVER, CLIENT));
    let until_us = relay.now_us() + INTRODUCTION.as_micros() as u64;
    relay.run(QUIET_LIMIT, |relay| Ok(relay.now_us() > until_us))
}

/// "Who has `to`, tell `from`" (RFC 826).
fn arp_request(from: u8, to: u8) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend(mac(from).0);
    // Ethertype; Ethernet and IPv4, addresses of 6 and 4 bytes, request.
    frame.extend([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame.extend(mac(from).0);
    frame.extend(addr(from).octets());
    frame.extend([0; 6]);
    frame.extend(addr(to).octets());
    frame
}

impl Transfer {
    /// What a table says of it.
    pub(crate) fn title(work: Work) -> String {
        let len = crate::text::bytes(work.len.into());
        let op = match work.op {
            Op::Get => "",
            Op::Put => "upload of ",
        };
        match (work.times, work.is_kept) {
            (1, _) => format!("{op}{len}"),
            (times, false) => format!("{op}{times} x {len}"),
            (times, true) => format!("{op}{times} x {len}, kept"),
        }
    }
}

/// Hosts of the network.
pub(super) const SERVER: u8 = 1;
pub(super) const CLIENT: u8 = 2;
/// How long frames of the introduction may take; they take microseconds.
const INTRODUCTION: Duration = Duration::from_millis(30);
/// How long connections may take to end on a wire without faults: a backed-off timer.
const QUIET_LIMIT: Duration = Duration::from_secs(20);
/// Bytes of a wanted capture.
const CAPTURE_LEN_MAX: usize = 1 << 30;
