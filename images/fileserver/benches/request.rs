//! What a request costs in all, in instructions: a frame in, the answer of the whole server out.
//!
//! ```text
//!   client by script ─► ring ─► Stack::poll ─► the file server ─► ring ─► what was sent is checked
//!                               └────────── counted ──────────┘
//! ```
//!
//! `cargo bench -p simoom-fileserver --bench request` runs itself under callgrind, which counts in
//! `counted` alone. Nothing is done for us: the stack sums what comes in and what goes out, with
//! the table of sums over the site that every server has. Each row must cost what was recorded for
//! it or less, give or take 3 %; `-- --record` records what they cost now. The bar
//! of the first row is 1,200: smoltcp takes 4,917 for the same without HTTP.

// Shared with the stack's own benches and with the tests, which use all of it.
#[path = "../../../stack/benches/paths/callgrind.rs"]
mod callgrind;
#[path = "../../../stack/benches/paths/record.rs"]
mod record;
#[allow(dead_code)]
#[path = "../../../stack/tests/simulation/said.rs"]
mod said;
#[allow(dead_code)]
#[path = "../tests/network/world.rs"]
mod world;

use std::collections::BTreeSet;
use std::hint::black_box;
use std::process::ExitCode;

use record::Record;
use said::{ENDS, Heard, Saying};
use simoom::iface::Setup;
use simoom::tcp::Settings;
use simoom::wire::tcp::Ctl;
use simoom::{Cidr, Duration, Instant, Polled, Stack, Sums};
use simoom_fileserver::admin::{Admin, Words};
use simoom_fileserver::app::{FileServer, SCRATCH_LEN, Scratches};
use simoom_fileserver::front::Front;
use simoom_fileserver::http::{KNOWN_CNT, Known, Place};
use simoom_ring::{Caps, FramePool, RxPacket, TxPacket};
use simoom_sim::MemoryRings;
use simoom_sim::checksum::{self, Verdict};
use world::Sizes;

/// A request.
struct Row {
    name: &'static str,
    what: &'static str,
    requests: &'static [&'static str],
    way: Way,
}

/// What is about it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The connection is kept, and the next request acknowledges the answer.
    Kept,
    /// A segment of its own acknowledges it.
    Acked,
    /// It has a connection of its own, which the server closes with the answer.
    New,
}

/// What curl sends.
macro_rules! curl {
    ($path:literal) => {
        curl!($path, "")
    };
    ($path:literal, $more:literal) => {
        concat!(
            "GET ",
            $path,
            " HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n",
            $more,
            "\r\n"
        )
    };
}

/// What browsers send, as far as it is the same for all.
macro_rules! browser {
    ($path:literal) => {
        concat!(
            "GET ",
            $path,
            " HTTP/1.1\r\nHost: www.example.org\r\nConnection: keep-alive\r\n",
            "sec-ch-ua: \"Chromium\";v=\"126\", \"Not.A/Brand\";v=\"24\"\r\n",
            "sec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\n",
            "Upgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) ",
            "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n",
            "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n",
            "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\n",
            "Sec-Fetch-Dest: document\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n",
            "Accept-Language: en-US,en;q=0.9\r\n\r\n"
        )
    };
}

const ROWS: [Row; 5] = [
    Row {
        name: "kept",
        what: "curl's request in, 1 KB out; the next request acknowledges it",
        requests: &[curl!("/a.html")],
        way: Way::Kept,
    },
    Row {
        name: "kept-acked",
        what: "the same, acknowledged by a segment of its own",
        requests: &[curl!("/a.html")],
        way: Way::Acked,
    },
    Row {
        name: "browser",
        what: "as the first, a browser's request",
        requests: &[browser!("/a.html")],
        way: Way::Kept,
    },
    Row {
        name: "browser-many",
        what: "the same, for many files in turn",
        requests: &[
            browser!("/a.html"),
            browser!("/b/one.html"),
            browser!("/b/two.js"),
            browser!("/c/three/icon.svg"),
            browser!("/c/three/more.css"),
            browser!("/d.woff2"),
            browser!("/e/f/g/photograph.webp"),
        ],
        way: Way::Kept,
    },
    Row {
        name: "new",
        what: "as the first, on a connection of its own, from SYN to TIME-WAIT",
        requests: &[curl!("/a.html", "Connection: close\r\n")],
        way: Way::New,
    },
];

/// Requests that are counted, after as many that are not.
const TIMES: usize = 1_000;

/// Bytes of each file.
const FILE_LEN: usize = 1_024;

/// The server as both mains make it, over a site with every file that the rows ask for.
fn server() -> Front {
    let paths = ROWS.iter().flat_map(|row| row.requests);
    let paths: BTreeSet<_> = paths
        .filter_map(|request| request.split(' ').nth(1))
        .collect();
    let file = |path: &&str| (path[1..].to_owned(), vec![b'x'; FILE_LEN]);
    let archive = world::archive(&paths.iter().map(file).collect::<Vec<_>>());
    let table = vec![0; Sums::entries(archive.len())].leak();
    let sums = Sums::of(archive, table).expect("the table is long enough");
    let scratches = Scratches::new(vec![0; SCRATCH_LEN].leak());
    let mut files = FileServer::new(world::server_of(archive), scratches);
    files.set_clock(Some((784_111_777, Instant::ZERO)));
    files.set_known(Known::new(vec![Place::EMPTY; KNOWN_CNT].leak()));
    files.set_sums(Some(Box::leak(Box::new(sums))));
    Front::new(files, Admin::new(&Words::DEFAULT, "memory"))
}

/// A client by script, and its server.
struct Client {
    stack: Stack<'static, Front>,
    app: Front,
    rings: MemoryRings<'static>,
    pool: &'static FramePool<'static>,
    now: Instant,
    knows: said::Client,
    heard_len: usize,
    /// Its port.
    port: u16,
    is_counted: bool,
}

impl Client {
    /// A connection that is established.
    fn new() -> Self {
        let pool = world::pool(SIZES.frames);
        let caps = Caps {
            fragments_max: 4,
            ..Caps::PLAIN
        };
        let now = Instant::from_micros(1_000_000);
        let mut stack = Stack::new(Setup {
            pool,
            caps,
            mac: ENDS.to_mac,
            storage: world::storage(SIZES),
            tcp: Settings::default(),
            seed: 1,
            now,
        });
        stack.configure(Cidr::new(ENDS.to, 24).expect("24 bits"), None);
        stack.listen(80, 16).expect("a listener");
        let mut client = Self {
            stack,
            app: server(),
            rings: MemoryRings::new(64),
            pool,
            now,
            knows: said::Client::default(),
            heard_len: 0,
            port: 40_000,
            is_counted: false,
        };
        client.arrive(&ENDS.who_has());
        client.turn();
        client.open();
        client.turn();
        client
    }

    /// A handshake, but for the turn of its last step.
    fn open(&mut self) {
        self.say(Ctl::SYN, &[]);
        self.turn();
        self.say(Ctl::ACK, &[]);
    }

    /// A request, and its answer.
    fn ask(&mut self, row: &Row, n: usize) {
        let before = self.heard_len;
        if row.way == Way::New {
            self.port += 1;
            self.open();
        }
        self.say(Ctl::PSH, row.requests[n % row.requests.len()].as_bytes());
        self.turn();
        let answer_len = self.heard_len - before;
        assert!(answer_len > FILE_LEN && answer_len < FILE_LEN + 400);
        match row.way {
            Way::Kept => {}
            Way::Acked => self.say_last(Ctl::ACK),
            Way::New => self.say_last(Ctl::FIN),
        }
    }

    fn say_last(&mut self, ctl: Ctl) {
        self.say(ctl, &[]);
        self.turn();
    }

    fn say(&mut self, ctl: Ctl, payload: &[u8]) {
        let saying = Saying {
            ctl,
            ack: (!ctl.has(Ctl::SYN)).then_some(self.knows.rcv_nxt),
            wnd: u16::MAX,
            now_ms: (self.now.as_micros() / 1_000) as u32,
            payload,
        };
        let mut frame = self.knows.say((&ENDS, self.port), saying);
        assert!(checksum::fill(&mut frame));
        self.arrive(&frame);
    }

    fn arrive(&mut self, frame: &[u8]) {
        let mut copy = self.pool.alloc(0).expect("a frame for the script");
        copy.append(frame).expect("it fits");
        self.rings.arrive(RxPacket::plain(copy));
    }

    /// A little later: the server works, and what it has sent is read.
    fn turn(&mut self) {
        self.now = self.now + Duration::from_micros(10);
        if self.is_counted {
            counted(self);
        } else {
            warming_up(self);
        }
        let mut sent = std::mem::take(self.rings.sent());
        sent.drain(..).for_each(|packet| self.read(&packet));
        *self.rings.sent() = sent;
    }

    fn read(&mut self, packet: &TxPacket<'static>) {
        let mut bytes = packet.head().bytes().to_vec();
        let fragments = packet.fragments().iter();
        fragments.for_each(|fragment| bytes.extend_from_slice(fragment.bytes()));
        let Some(heard) = Heard::read(&bytes, bytes.len()) else {
            return;
        };
        assert_eq!(checksum::verify(&bytes), Verdict::Right);
        self.knows.hear(&heard);
        self.heard_len += heard.segment.payload_len as usize;
    }
}

fn poll(client: &mut Client) {
    let Client {
        stack,
        app,
        rings,
        now,
        ..
    } = client;
    while stack.poll(*now, rings, app) == Polled::Busy {}
}

/// Callgrind counts here.
#[inline(never)]
fn counted(client: &mut Client) {
    poll(black_box(client));
}

#[inline(never)]
fn warming_up(client: &mut Client) {
    poll(client);
}

fn go(row: &Row) {
    let mut client = Client::new();
    (0..TIMES).for_each(|n| client.ask(row, n));
    client.is_counted = true;
    (0..TIMES).for_each(|n| client.ask(row, n));
    let counters = client.stack.counters();
    assert_eq!((counters.tcp_retransmits, counters.dropped_total()), (0, 0));
    // The table knows the site, but for its ragged ends.
    assert_eq!(counters.payload_bytes_summed, 0);
    assert_eq!(
        counters.payload_bytes_presummed,
        (2 * TIMES * FILE_LEN) as u64
    );
}

/// Instructions of one request; `None` without valgrind.
fn count(row: &Row) -> Option<f64> {
    Some(callgrind::instructions("*counted*", &[row.name])? / TIMES as f64)
}

fn main() -> ExitCode {
    let arg = std::env::args().nth(1).unwrap_or_default();
    if let Some(row) = ROWS.iter().find(|row| row.name == arg) {
        go(row);
        return ExitCode::SUCCESS;
    }
    let do_record = arg == "--record";
    let mut record = Record::read(env!("CARGO_MANIFEST_DIR"), "request", do_record);
    for row in &ROWS {
        let Some(all) = count(row) else {
            println!("valgrind is not installed: instructions are not counted");
            return ExitCode::SUCCESS;
        };
        let verdict = record.judge(row.name, all);
        let (name, what) = (row.name, row.what);
        println!("{name:<13} {all:>6.0} instructions; {verdict}  {what}");
    }
    record.end()
}

const SIZES: Sizes = Sizes {
    frames: 512,
    conns: 64,
    bodies: 256,
};
