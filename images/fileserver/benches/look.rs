//! What a look inside costs a request, in instructions: the whole server, from a segment on the
//! ring to the answer on it, and from the acknowledgment of that to silence, with figures and log
//! and without.
//!
//! ```text
//!   request on the ring ─► stack ─► HTTP ─► 1 KB on the ring ─┐
//!            nothing left ◄─ attend ◄─ stack ◄─ ACK on the ring ◄┘     counted, all of it
//! ```
//!
//! `cargo bench -p simoom-fileserver --bench look` runs itself under callgrind, as `answer` does.
//! The rings are the smallest that there can be and the network card sums: what the look inside
//! costs is a share of what a request cannot do without. The bar is 3 %, and more fails. The text
//! of a line is made between two polls, when no packet waits or many lines do: that is shown, and
//! has no bar.

#[path = "../../../stack/benches/paths/callgrind.rs"]
mod callgrind;
#[allow(dead_code)]
#[path = "../../../stack/tests/simulation/said.rs"]
mod said;
#[allow(dead_code)]
#[path = "../tests/network/world.rs"]
mod world;

use std::cell::RefCell;
use std::hint::black_box;
use std::process::ExitCode;

use simoom::iface::Setup;
use simoom::tcp::Settings;
use simoom::wire::tcp::Ctl;
use simoom::{Cidr, Duration, Instant, Polled, Stack};
use simoom_capture::{Store, Watched};
use simoom_fileserver::accesslog::{Log, Place, Sink};
use simoom_fileserver::admin::{Admin, Listening, Words};
use simoom_fileserver::app::{FileServer, SCRATCH_LEN, Scratches};
use simoom_fileserver::front::Front;
use simoom_fileserver::http::{self, KNOWN_CNT, Known, Limits, Server};
use simoom_fileserver::site::{Memory, Options as SiteOptions, Site};
use simoom_platform::net::{Attend, Round};
use simoom_ring::{Caps, Checksums, FramePool};
use simoom_sim::MemoryRings;

use said::{ENDS, Heard, Saying};
use world::{Sizes, pool, storage};

/// What is on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    Nothing,
    Figures,
    Log,
    Text,
}

/// What is on, and how much more than nothing it may cost, in percent.
const ROWS: [(&str, On, Option<f64>); 4] = [
    ("nothing", On::Nothing, None),
    ("figures", On::Figures, Some(3.0)),
    ("figures and log", On::Log, Some(3.0)),
    ("and its text", On::Text, None),
];

/// Who asks: a tool and a browser, whose heads are of different lengths.
const CLIENTS: [(&str, &str); 2] = [
    (
        "curl",
        "GET /file.html HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: curl/8.5.0\r\n\
         Accept: */*\r\n\r\n",
    ),
    (
        "browser",
        "GET /file.html HTTP/1.1\r\nHost: www.example.org\r\nConnection: keep-alive\r\n\
         sec-ch-ua: \"Chromium\";v=\"126\", \"Not.A/Brand\";v=\"24\"\r\n\
         sec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\n\
         Upgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) \
         AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n\
         Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
         Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n\r\n",
    ),
];

/// Requests that are counted, one after the other on one connection; as many come before.
const TIMES: usize = 1_000;

/// The server, and a client by script.
struct Counted {
    stack: Stack<'static, Front>,
    app: Front,
    rings: MemoryRings<'static>,
    pool: &'static FramePool<'static>,
    capture: RefCell<Store<'static>>,
    /// Nothing that is printed is taken.
    is_console_full: bool,
    printed_len: usize,
    is_counted: bool,
    now: Instant,
    knows: said::Client,
    heard: usize,
}

impl Counted {
    /// A connection that is established.
    fn new(on: On) -> Self {
        let sizes = Sizes {
            frames: 512,
            conns: 16,
            bodies: 64,
        };
        let pool = pool(sizes.frames);
        let now = Instant::from_micros(1_000_000);
        let mut stack = Stack::new(Setup {
            pool,
            caps: Caps {
                fragments_max: 4,
                checksums: Checksums { tx: true, rx: true },
                ..Caps::PLAIN
            },
            mac: ENDS.to_mac,
            storage: storage(sizes),
            tcp: Settings::default(),
            seed: 1,
            now,
        });
        stack.configure(Cidr::new(ENDS.to, 24).expect("24 bits"), None);
        stack.listen(80, 16).expect("a listener");
        let mut world = Self {
            stack,
            app: front(on),
            rings: MemoryRings::new(256),
            pool,
            capture: RefCell::default(),
            is_console_full: on != On::Text,
            printed_len: 0,
            is_counted: false,
            now,
            knows: said::Client::default(),
            heard: 0,
        };
        said::arrive(&mut world.rings, pool, &ENDS.who_has());
        world.turn();
        world.arrive(Ctl::SYN, None, &[]);
        world.turn();
        world.arrive(Ctl::default(), Some(world.knows.rcv_nxt), &[]);
        world.turn();
        world
    }

    /// A request, its answer, and the acknowledgment of that.
    fn ask(&mut self, request: &str) {
        self.arrive(Ctl::PSH, Some(self.knows.rcv_nxt), request.as_bytes());
        self.turn();
        self.arrive(Ctl::default(), Some(self.knows.rcv_nxt), &[]);
        self.turn();
    }

    fn arrive(&mut self, ctl: Ctl, ack: Option<u32>, payload: &[u8]) {
        let saying = Saying {
            ctl,
            ack,
            wnd: u16::MAX,
            now_ms: (self.now.as_micros() / 1_000) as u32,
            payload,
        };
        let frame = self.knows.say((&ENDS, 40_000), saying);
        said::arrive(&mut self.rings, self.pool, &frame);
    }

    /// A little later: the server works, and what it has sent is read.
    fn turn(&mut self) {
        self.now = self.now + Duration::from_micros(10);
        match self.is_counted {
            true => counted(black_box(self)),
            false => self.poll(),
        }
        for packet in self.rings.sent().drain(..) {
            let Some(heard) = Heard::read(packet.head().bytes(), packet.frame_len()) else {
                continue;
            };
            self.knows.hear(&heard);
            self.heard += heard.segment.payload_len as usize;
        }
    }

    /// As a machine's loop does.
    #[inline(always)]
    fn poll(&mut self) {
        loop {
            let mut watched = Watched::new(&mut self.rings, &self.capture, self.now.as_micros());
            let Watched { rx, tx, .. } = &mut watched;
            let polled = self.stack.poll_rings(self.now, rx, tx, &mut self.app);
            let has_more = self.app.attend(Round {
                now: self.now,
                is_idle: polled == Polled::Idle,
                stack: &mut self.stack,
                queue: &mut self.rings,
                pool: self.pool,
                capture: &self.capture,
                print: &mut |text| {
                    if self.is_console_full {
                        return 0;
                    }
                    self.printed_len += text.len();
                    text.len()
                },
            });
            if polled == Polled::Idle && !has_more {
                return;
            }
        }
    }
}

/// What callgrind counts.
#[inline(never)]
fn counted(world: &mut Counted) {
    world.poll();
}

/// Memory of the site's tables.
struct Leak;

impl Memory for Leak {
    fn take<T: 'static>(&mut self, cnt: usize, init: fn() -> T) -> Option<&'static mut [T]> {
        Some((0..cnt).map(|_| init()).collect::<Vec<_>>().leak())
    }
}

/// A server of one file, with what is on.
fn front(on: On) -> Front {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(BODY_LEN as u64);
    header.set_mtime(0x2e);
    builder
        .append_data(&mut header, "file.html", &[b'x'; BODY_LEN][..])
        .expect("an archive");
    let archive = builder.into_inner().expect("an archive").leak();
    let site = Site::open(archive, SiteOptions::default(), 1, &mut Leak).expect("a site");
    let limits = Limits {
        requests_max: u32::MAX,
        ..Limits::DEFAULT
    };
    let scratches = Scratches::new(vec![0; SCRATCH_LEN].leak());
    let mut files = FileServer::new(Server::new(site, limits), scratches);
    files.set_known(Known::new(vec![http::Place::EMPTY; KNOWN_CNT].leak()));
    files.set_clock(Some((784_111_777, Instant::ZERO)));
    let mut words = Words::DEFAULT;
    if on != On::Nothing {
        words.listening = Some(Listening {
            addr: None,
            port: 9_090,
        });
    }
    if matches!(on, On::Log | On::Text) {
        let places = vec![Place::EMPTY; 4 * TIMES].leak();
        files.set_log(Log::new(Sink::Console, places));
    }
    Front::new(files, Admin::new(&words, "sim0"))
}

fn go(on: On, request: &str) {
    let mut world = Counted::new(on);
    for _ in 0..TIMES {
        world.ask(request);
    }
    world.is_counted = true;
    for _ in 0..TIMES {
        world.ask(request);
    }
    assert_eq!(world.app.files.counters().answered as usize, 2 * TIMES);
    assert!(world.heard > 2 * TIMES * BODY_LEN);
    let counters = world.stack.counters();
    assert_eq!((counters.tcp_retransmits, counters.dropped_total()), (0, 0));
    let log = world.app.files.log().counters();
    let is_logged = matches!(on, On::Log | On::Text);
    assert_eq!(log.recorded as usize, if is_logged { 2 * TIMES } else { 0 });
    assert_eq!(
        log.written as usize,
        if on == On::Text { 2 * TIMES } else { 0 }
    );
}

/// Instructions of one request; `None` without valgrind.
fn count(client: &str, name: &str) -> Option<f64> {
    Some(callgrind::instructions("*counted*", &[client, name])? / TIMES as f64)
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (client, name) = (args.next(), args.next());
    let client = CLIENTS
        .iter()
        .find(|(known, _)| client.as_deref() == Some(*known));
    let row = ROWS
        .iter()
        .find(|(known, ..)| name.as_deref() == Some(*known));
    if let (Some((_, request)), Some((_, on, _))) = (client, row) {
        go(*on, request);
        return ExitCode::SUCCESS;
    }
    let mut is_good = true;
    for (client, _) in CLIENTS {
        let mut base = 0.0;
        for (name, on, most) in ROWS {
            let Some(instructions) = count(client, name) else {
                println!("valgrind is not installed: instructions are not counted");
                return ExitCode::SUCCESS;
            };
            if on == On::Nothing {
                base = instructions;
            }
            let more = 100.0 * (instructions - base) / base;
            let verdict = match most {
                None => "",
                Some(most) if more <= most => "ok",
                Some(_) => "TOO MUCH",
            };
            is_good &= verdict != "TOO MUCH";
            println!(
                "{client:<8} {name:<16} {instructions:>6.0} instructions  {more:>+5.1} %  {verdict}"
            );
        }
    }
    match is_good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

const BODY_LEN: usize = 1_024;
