//! What a request costs in all, in instructions: a frame in, the answer of the whole server out.
//!
//! ```text
//!   client by script ─► ring ─► Stack::poll ─► the file server ─► ring ─► what was sent is checked
//!                               └────────── counted ──────────┘
//! ```
//!
//! `cargo bench -p simoom-fileserver --bench request` runs itself under callgrind, which counts in
//! `counted` alone. Nothing is done for us: the stack sums what comes in and what goes out, with
//! the table of sums over the site that every server has. Each row must cost what
//! `recorded.txt` says or less, give or take 3 %; `-- --record` records what they cost now. The bar
//! of the first row is 1,200: smoltcp takes 4,917 for the same without HTTP.

// Shared with the stack's own benches and with the tests, which use all of it.
#[path = "../../../stack/benches/paths/callgrind.rs"]
mod callgrind;
#[allow(dead_code)]
#[path = "../../../stack/tests/simulation/said.rs"]
mod said;
#[allow(dead_code)]
#[path = "../tests/network/world.rs"]
mod world;

use std::collections::BTreeSet;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;

use said::Ends;
use simoom::iface::Setup;
use simoom::tcp::Settings;
use simoom::tcp::seqnum::{SeqNum, WireWnd};
use simoom::wire::checksum::Sum;
use simoom::wire::tcp::{Ctl, Options, Repr, Segment, Timestamps};
use simoom::{Cidr, Duration, Instant, Polled, Stack, Sums};
use simoom_fileserver::admin::{Admin, Words};
use simoom_fileserver::app::{FileServer, SCRATCH_LEN, Scratches};
use simoom_fileserver::front::Front;
use simoom_fileserver::http::{KNOWN_CNT, Known, Place};
use simoom_ring::{Caps, FramePool, MacAddr, RxPacket, TxPacket};
use simoom_sim::MemoryRings;
use world::Sizes;

/// A request on a kept connection.
struct Row {
    name: &'static str,
    what: &'static str,
    requests: &'static [&'static str],
    /// The answer is acknowledged by a segment of its own, not by the next request.
    has_ack: bool,
}

/// What curl sends.
macro_rules! curl {
    ($path:literal) => {
        concat!(
            "GET ",
            $path,
            " HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n"
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

const ROWS: [Row; 4] = [
    Row {
        name: "kept",
        what: "curl's request in, 1 KB out; the next request acknowledges it",
        requests: &[curl!("/a.html")],
        has_ack: false,
    },
    Row {
        name: "kept-acked",
        what: "the same, acknowledged by a segment of its own",
        requests: &[curl!("/a.html")],
        has_ack: true,
    },
    Row {
        name: "browser",
        what: "as the first, a browser's request",
        requests: &[browser!("/a.html")],
        has_ack: false,
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
        has_ack: false,
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
    snd_nxt: u32,
    rcv_nxt: u32,
    ts_recent: u32,
    heard_len: usize,
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
            snd_nxt: 0,
            rcv_nxt: 0,
            ts_recent: 0,
            heard_len: 0,
            is_counted: false,
        };
        client.arrive(&ENDS.who_has());
        client.turn();
        client.say(Ctl::SYN, &[]);
        client.turn();
        client.say(Ctl::ACK, &[]);
        client.turn();
        client
    }

    /// A request, and its answer.
    fn ask(&mut self, row: &Row, n: usize) {
        let before = self.heard_len;
        self.say(Ctl::PSH, row.requests[n % row.requests.len()].as_bytes());
        self.turn();
        let answer_len = self.heard_len - before;
        assert!(answer_len > FILE_LEN && answer_len < FILE_LEN + 400);
        if row.has_ack {
            self.say(Ctl::ACK, &[]);
            self.turn();
        }
    }

    fn say(&mut self, ctl: Ctl, payload: &[u8]) {
        let timestamps = Timestamps {
            val: (self.now.as_micros() / 1_000) as u32,
            ecr: self.ts_recent,
        };
        let repr = Repr {
            src_port: 40_000,
            dst_port: 80,
            seq: SeqNum(self.snd_nxt),
            ack: (!ctl.has(Ctl::SYN)).then_some(SeqNum(self.rcv_nxt)),
            ctl,
            wnd: WireWnd(u16::MAX),
            options: said::options(ctl, timestamps),
        };
        let mut frame = ENDS.segment(&repr, payload);
        let segment_len = (frame.len() - IP_END) as u16;
        let (from, to) = (ENDS.from.into(), ENDS.to.into());
        let mut sum = Sum::pseudo_header(from, to, simoom::ip::proto::TCP, segment_len);
        sum.add(&frame[IP_END..]);
        frame[IP_END + 16..][..2].copy_from_slice(&sum.finish().to_be_bytes());
        self.arrive(&frame);
        self.snd_nxt = self.snd_nxt.wrapping_add(said::seq_len(ctl, payload));
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
        if bytes[12..14] == [0x08, 0x06] {
            return;
        }
        let segment_len = (bytes.len() - IP_END) as u16;
        let (from, to) = (ENDS.to.into(), ENDS.from.into());
        let mut sum = Sum::pseudo_header(from, to, simoom::ip::proto::TCP, segment_len);
        sum.add(&bytes[IP_END..]);
        assert!(sum.is_valid(), "the sum is right");
        let segment = Segment::parse(&bytes[IP_END..], segment_len.into()).expect("a segment");
        let options = Options::parse(&bytes[IP_END + 20..IP_END + segment.header_len]);
        if segment.ctl.has(Ctl::SYN) {
            self.rcv_nxt = segment.seq.0;
        }
        assert_eq!(segment.seq.0, self.rcv_nxt, "what comes next");
        self.rcv_nxt = self.rcv_nxt.wrapping_add(segment.len());
        self.ts_recent = options.timestamps.expect("they were agreed on").val;
        self.heard_len += segment.payload_len as usize;
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
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/recorded.txt");
    let recorded = std::fs::read_to_string(&file).unwrap_or_default();
    let recorded = |name: &str| {
        let mut lines = recorded.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    };
    let (mut text, mut is_good) = (String::from(HEAD), true);
    for row in &ROWS {
        let Some(all) = count(row) else {
            println!("valgrind is not installed: instructions are not counted");
            return ExitCode::SUCCESS;
        };
        let known: Option<f64> = recorded(row.name);
        let verdict = match known {
            _ if do_record => "recorded",
            None => "not recorded",
            Some(known) if all > known * (1.0 + TOLERANCE) => "TOO MUCH",
            Some(known) if all < known * (1.0 - TOLERANCE) => "less: record it",
            Some(_) => "as recorded",
        };
        is_good &= do_record || !matches!(verdict, "TOO MUCH" | "not recorded");
        let known = known.map_or(String::from("-"), |known| format!("{known:.0}"));
        let (name, what) = (row.name, row.what);
        println!("{name:<13} {all:>6.0} instructions; {verdict} ({known})  {what}");
        text += &format!("{name} {all:.1}\n");
    }
    if do_record {
        std::fs::write(&file, text).expect("the record can be written");
    }
    match is_good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// How much more than recorded is a regression.
const TOLERANCE: f64 = 0.03;

const HEAD: &str = "\
# Instructions of a request, as benches/request.rs counts them; `-- --record` writes this.
";

const ENDS: Ends = Ends {
    from_mac: MacAddr([2, 0, 0, 0, 0, 2]),
    to_mac: MacAddr([2, 0, 0, 0, 0, 1]),
    from: Ipv4Addr::new(10, 0, 0, 2),
    to: Ipv4Addr::new(10, 0, 0, 1),
};

const SIZES: Sizes = Sizes {
    frames: 512,
    conns: 64,
    bodies: 256,
};

/// Where a segment begins in a frame.
const IP_END: usize = 34;
