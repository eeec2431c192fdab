//! The look inside, over two stacks on a wire in virtual time: what each path answers, and that
//! nobody who looks can hold up the site or use up the memory.

#[allow(dead_code)]
#[path = "../network/world.rs"]
mod world;

use std::cell::RefCell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use simoom::tcp::Closed;
use simoom::{Addr, Duration, Endpoint};
use simoom_capture::{Slot, Store};
use simoom_fileserver::accesslog::{Log, Place, Sink};
use simoom_fileserver::admin::{Admin, Listening, PATIENCE, Shown, Words};
use simoom_fileserver::app::{FileServer, SCRATCH_LEN, Scratches};
use simoom_fileserver::front::Front;
use simoom_fileserver::http::{self, KNOWN_CNT, Known};
use simoom_platform::net::{CoreFigures, CoreRows, Looked};
use simoom_sim::PortConfig;
use world::{Habits, Sizes, World};

const SIZES: Sizes = Sizes {
    frames: 512,
    conns: 64,
    bodies: 512,
};
const PORT: u16 = 9_090;

fn words() -> Words {
    Words {
        listening: Some(Listening {
            addr: None,
            port: PORT,
        }),
        conns_max: 4,
        log: None,
    }
}

/// A site of a small file and a large one, with what `words` ask for.
fn world(words: &Words) -> World<Front> {
    let files = [
        ("index.html".to_owned(), b"<p>home</p>".to_vec()),
        ("big".to_owned(), vec![b'x'; 300_000]),
    ];
    let scratches = Scratches::new(vec![0; SCRATCH_LEN].leak());
    let mut files = FileServer::new(world::server(&files), scratches);
    if let Some(sink) = words.log {
        files.set_log(Log::new(sink, vec![Place::EMPTY; 8].leak()));
    }
    files.set_known(Known::new(vec![http::Place::EMPTY; KNOWN_CNT].leak()));
    let app = Front::new(files, Admin::new(words, "sim0"));
    let mut world = World::of(app, 1, PortConfig::plain, SIZES);
    if words.listening.is_some() {
        world.server.stack.listen(PORT, 16).unwrap();
    }
    let store = Store::new(vec![0; 64 << 10].leak(), vec![Slot::EMPTY; 256].leak());
    world.server.capture = RefCell::new(store);
    world
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\nUser-Agent: test\r\n\r\n")
}

/// Asks, and waits for the end of the answer: head and body, chunks joined.
fn ask(world: &mut World<Front>, port: u16, path: &str) -> (String, Vec<u8>) {
    // The site would wait for more.
    let habits = Habits {
        closes_early: port == 80,
        ..Habits::default()
    };
    let talk = world.open_to(port, get(path), habits);
    world.run(Duration::from_secs(60), |world| {
        world.talk(talk).finished_at.is_some()
    });
    whole(world.heard(talk))
}

fn whole(heard: &[u8]) -> (String, Vec<u8>) {
    let end = heard
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("a head")
        + 4;
    let head = String::from_utf8(heard[..end].to_vec()).unwrap();
    let mut rest = &heard[end..];
    if !head.contains("Transfer-Encoding: chunked") {
        return (head, rest.to_vec());
    }
    let mut body = Vec::new();
    loop {
        let line = rest
            .windows(2)
            .position(|two| two == b"\r\n")
            .expect("a chunk");
        let len = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        let chunk = &rest[line + 2..];
        assert_eq!(chunk[len..len + 2], *b"\r\n");
        body.extend(&chunk[..len]);
        rest = &chunk[len + 2..];
        if len == 0 {
            assert!(rest.is_empty(), "nothing behind the last chunk");
            return (head, body);
        }
    }
}

fn text(world: &mut World<Front>, path: &str) -> String {
    let (head, body) = ask(world, PORT, path);
    assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
    String::from_utf8(body).unwrap()
}

/// The value of a figure.
fn figure(metrics: &str, name: &str) -> f64 {
    let value = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value
        .unwrap_or_else(|| panic!("no {name}"))
        .parse()
        .unwrap()
}

/// Everybody goes, and nothing stays behind.
fn assert_home(mut world: World<Front>) {
    world.pass(Duration::from_secs(200));
    assert_eq!(world.server.app.admin.seats_taken(), 0);
    let (levels, pool) = (world.server.stack.levels(), world.server.pool);
    assert_eq!((levels.conns, levels.bodies), (0, 0));
    assert_eq!(pool.owned_cnt() - pool.free_cnt(), pool.lent_cnt());
}

#[test]
fn metrics_tell_what_has_happened() {
    let mut world = world(&words());
    for path in ["/none", "/", "/big"] {
        ask_and_leave(&mut world, path);
        world.pass(Duration::from_millis(2));
    }
    let metrics = text(&mut world, "/metrics");
    assert_eq!(
        figure(
            &metrics,
            "simoom_http_answers_total{code=\"200\",class=\"2xx\"}"
        ),
        2.0
    );
    assert_eq!(
        figure(
            &metrics,
            "simoom_http_answers_total{code=\"404\",class=\"4xx\"}"
        ),
        1.0
    );
    let body_bytes = figure(&metrics, "simoom_http_body_bytes_total");
    assert!((300_011.0..301_000.0).contains(&body_bytes), "{body_bytes}");
    assert_eq!(figure(&metrics, "simoom_http_latency_seconds_count"), 3.0);
    assert_eq!(
        figure(&metrics, "simoom_http_latency_seconds_bucket{le=\"+Inf\"}"),
        3.0
    );
    assert!(figure(&metrics, "simoom_http_latency_seconds_sum") > 0.0);
    assert_eq!(
        figure(&metrics, "simoom_connections{state=\"ESTABLISHED\"}"),
        1.0
    );
    assert_eq!(figure(&metrics, "simoom_frames{state=\"all\"}"), 512.0);
    assert!(figure(&metrics, "simoom_tcp_segments_in_total") > 100.0);
    for reason in simoom::DropReason::ALL {
        let name = format!("simoom_drops_total{{reason=\"{}\"}}", reason.name());
        assert!(figure(&metrics, &name) >= 0.0);
    }
    assert_well_formed(&metrics);
    assert_home(world);
}

/// Of answers that come close together one is timed, and stands for those before it.
#[test]
fn answers_in_a_crowd_are_timed_by_one() {
    let mut world = world(&words());
    let count = |world: &mut World<Front>| {
        let metrics = text(world, "/metrics");
        figure(&metrics, "simoom_http_latency_seconds_count")
    };
    let talks: Vec<_> = (0..10)
        .map(|_| world.open(get("/"), Habits::default()))
        .collect();
    world.run(Duration::from_secs(9), |world| {
        talks
            .iter()
            .all(|talk| world.heard(*talk).ends_with(b"</p>"))
    });
    world.pass(Duration::from_millis(50));
    let timed = count(&mut world);
    assert!((1.0..10.0).contains(&timed), "{timed}");
    ask_and_leave(&mut world, "/");
    assert_eq!(count(&mut world), 11.0);
}

/// Asks the site on a connection that the client closes.
fn ask_and_leave(world: &mut World<Front>, path: &str) {
    let habits = Habits {
        closes_early: true,
        ..Habits::default()
    };
    let talk = world.open_to(80, get(path), habits);
    world.run(Duration::from_secs(60), |world| {
        world.talk(talk).ended.is_some()
    });
}

/// Two cores, of which one has done more than the other. The second has the connections that the
/// first has had when it was last called.
#[derive(Default)]
struct Two {
    rows: Mutex<Vec<Option<Shown>>>,
    is_called: AtomicBool,
    /// How often a row was looked for that had not been asked for.
    asked: AtomicU64,
}

impl CoreFigures for Two {
    fn cores_cnt(&self) -> usize {
        2
    }

    fn figure(&self, core: usize, idx: usize) -> Option<(&'static str, u64, bool)> {
        let value = 10 * core as u64 + idx as u64;
        let (name, only_grows) = *[("answered", true), ("conns", false)].get(idx)?;
        Some((name, value, only_grows))
    }
}

impl CoreRows<Shown> for Two {
    fn core(&self) -> usize {
        0
    }

    fn cores_cnt(&self) -> usize {
        2
    }

    fn is_called(&self) -> bool {
        self.is_called.load(Ordering::Relaxed)
    }

    /// A sheet has the rows of seven places; every other is not there yet, or in other hands.
    fn look(&self, seat: usize, _turn: u64, core: usize, from: usize) -> Looked<Shown> {
        assert!(core == 1 && seat < 4);
        match self.asked.fetch_add(1, Ordering::Relaxed) % 5 {
            0 => return Looked::Busy,
            1 => {
                self.is_called.store(true, Ordering::Relaxed);
                return Looked::Asked;
            }
            _ => {}
        }
        let rows = self.rows.lock().expect("one thread");
        let end = rows.len().min((from / 7 + 1) * 7);
        let found = (from..end).find_map(|place| Some((place, rows[place]?)));
        match found {
            Some((place, row)) => Looked::Row(place, row),
            None if end == rows.len() => Looked::End(usize::MAX),
            None => Looked::End(end),
        }
    }

    fn answer(&self, places: usize, row: &mut dyn FnMut(usize) -> Option<Shown>) {
        self.is_called.store(false, Ordering::Relaxed);
        *self.rows.lock().expect("one thread") = (0..places).map(row).collect();
    }
}

#[test]
fn connections_of_all_cores_are_told_where_there_are_several() {
    let mut world = world(&words());
    let two: &'static Two = Box::leak(Box::default());
    world.server.app.admin.set_cores(two, two);
    for _ in 0..9 {
        let talk = world.open_to(80, get("/"), Habits::default());
        world.run(Duration::from_secs(9), |world| {
            !world.heard(talk).is_empty()
        });
    }
    let json = text(&mut world, "/connections");
    let number = |line: &str, name: &str| -> Option<usize> {
        let (_, rest) = line.split_once(&format!("\"{name}\":"))?;
        rest.split([',', '}']).next()?.parse().ok()
    };
    let rows = |json: &str| -> Vec<(usize, usize)> {
        let rows = json.lines().filter(|line| line.contains("\"place\""));
        rows.map(|line| {
            let both = (number(line, "place"), number(line, "core"));
            (both.0.expect("a number"), both.1.expect("a number"))
        })
        .collect()
    };
    let places = world.server.stack.conns_max();
    let (first, second): (Vec<_>, Vec<_>) = rows(&json).into_iter().partition(|row| row.1 == 0);
    assert_eq!(first.len(), 10, "nine clients, and who asks");
    assert!(first.iter().all(|(place, _)| *place < places));
    let moved: Vec<_> = first.iter().map(|(at, _)| (at + places, 1)).collect();
    assert_eq!(second, moved);
    let html = text(&mut world, "/connections.html");
    assert_eq!(html.matches("<tr").count(), 1 + 2 * 10);
    // By pages, over the border between both.
    let from = places - 1;
    let page = rows(&text(
        &mut world,
        &format!("/connections?from={from}&limit=3"),
    ));
    assert_eq!(page, second[..3]);
    assert_home(world);
}

#[test]
fn metrics_tell_of_all_cores_where_there_are_several() {
    let mut world = world(&words());
    let alone = text(&mut world, "/metrics");
    assert!(!alone.contains("simoom_core"), "{alone}");
    let two: &'static Two = Box::leak(Box::default());
    world.server.app.admin.set_cores(two, two);
    let metrics = text(&mut world, "/metrics");
    for (figure_of, value) in [
        ("_total{core=\"0\",figure=\"answered\"}", 0.0),
        ("_total{core=\"1\",figure=\"answered\"}", 10.0),
        ("{core=\"0\",figure=\"conns\"}", 1.0),
        ("{core=\"1\",figure=\"conns\"}", 11.0),
    ] {
        assert_eq!(figure(&metrics, &format!("simoom_core{figure_of}")), value);
    }
    assert_eq!(metrics.matches("core=\"").count(), 4);
    assert_well_formed(&metrics);
    assert_home(world);
}

/// Each family is told of once, before its values, which stand together (the text format 0.0.4).
fn assert_well_formed(metrics: &str) {
    let (mut family, mut seen) = (String::new(), Vec::new());
    for line in metrics.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split(' ').next().unwrap().to_owned();
            assert!(!seen.contains(&family), "{family} twice");
            seen.push(family.clone());
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, family);
            assert_eq!(kind == "counter", family.ends_with("_total"), "{family}");
        } else {
            assert!(line.starts_with(&family), "{line} in {family}");
        }
    }
    assert!(seen.len() > 50, "{}", seen.len());
}

#[test]
fn connections_are_told_one_by_one_in_any_step() {
    let mut world = world(&words());
    let idle = Habits::default();
    for _ in 0..9 {
        let talk = world.open_to(80, get("/"), idle);
        world.run(Duration::from_secs(9), |world| {
            !world.heard(talk).is_empty()
        });
    }
    let json = text(&mut world, "/connections");
    let rows: Vec<_> = json
        .lines()
        .filter(|line| line.contains("\"place\""))
        .collect();
    assert_eq!(rows.len(), 10, "nine clients, and who asks");
    assert!(json.starts_with("[\n{") && json.ends_with("}\n]\n"));
    assert_eq!(
        json.matches("\"server\":\"site\",\"requests\":1,").count(),
        9
    );
    assert_eq!(json.matches("\"server\":\"admin\"").count(), 1);
    let html = text(&mut world, "/connections.html");
    assert_eq!(
        html.matches("<tr").count(),
        11,
        "a head, nine clients, and who asks"
    );
    // By pages.
    let mut found = 0;
    for from in (0..64).step_by(5) {
        let page = text(&mut world, &format!("/connections?from={from}&limit=5"));
        let places = page.split("\"place\":").skip(1);
        let places = places.map(|rest| rest.split(',').next().unwrap().parse::<usize>().unwrap());
        found += places
            .filter(|place| (from..from + 5).contains(place))
            .count();
    }
    assert!((9 + 1..=9 + 13).contains(&found), "{found}");
    assert_home(world);
}

#[test]
fn what_is_answered_at_once() {
    let mut world = world(&words());
    assert_eq!(text(&mut world, "/healthz"), "ok\n");
    assert_eq!(text(&mut world, "/readyz"), "ready\n");
    let page = text(&mut world, "/");
    assert!(page.contains("</html>") && !page.contains("http://") && !page.contains("https://"));
    for (path, status) in [
        ("/nothing", "404"),
        ("/capture?filter=vlan", "400"),
        ("/capture?seconds=0", "400"),
        ("/connections?x=1", "400"),
    ] {
        let (head, body) = ask(&mut world, PORT, path);
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{path}: {head}"
        );
        assert!(!body.is_empty() && body.ends_with(b"\n"), "{path}");
    }
    assert_eq!(world.server.app.admin.counters().errors, 4);
    simoom_platform::net::Attend::ending(&mut world.server.app);
    assert!(
        ask(&mut world, PORT, "/readyz")
            .0
            .starts_with("HTTP/1.1 503 ")
    );
    // A client of version 1.0 knows no chunks: the end of the connection is the end (RFC 9112 6.1).
    let old = "GET /metrics HTTP/1.0\r\n\r\n".to_owned();
    let talk = world.open_to(PORT, old, Habits::default());
    world.run(Duration::from_secs(60), |world| {
        world.talk(talk).finished_at.is_some()
    });
    let heard = String::from_utf8(world.heard(talk).to_vec()).unwrap();
    assert!(!heard.contains("Transfer-Encoding") && heard.contains("\r\n\r\n# HELP "));
    // The site's port knows nothing of it.
    assert!(
        ask(&mut world, 80, "/metrics")
            .0
            .starts_with("HTTP/1.1 404 ")
    );
    assert_home(world);
}

/// Blocks of a pcapng file: type and body.
fn blocks(mut file: &[u8]) -> Vec<(u32, &[u8])> {
    let mut blocks = Vec::new();
    while let Some((kind, rest)) = file.split_first_chunk::<4>() {
        let len = u32::from_le_bytes(*rest.first_chunk().unwrap()) as usize;
        blocks.push((u32::from_le_bytes(*kind), &file[8..len - 4]));
        file = &file[len..];
    }
    blocks
}

#[test]
fn a_capture_has_what_passes_and_why_it_was_dropped_but_not_itself() {
    let mut world = world(&words());
    let path = "/capture?seconds=2&filter=tcp&snaplen=96";
    let capture = world.open_to(PORT, get(path), Habits::default());
    world.run(Duration::from_secs(1), |world| {
        !world.heard(capture).is_empty()
    });
    // A second one has to wait.
    assert!(
        ask(&mut world, PORT, "/capture")
            .0
            .starts_with("HTTP/1.1 503 ")
    );
    ask_and_leave(&mut world, "/big");
    let refused = world.open_to(81, get("/"), Habits::default());
    world.run(Duration::from_secs(60), |world| {
        world.talk(refused).ended.is_some() && world.talk(capture).finished_at.is_some()
    });
    let (head, file) = whole(world.heard(capture));
    assert!(head.contains("application/x-pcapng"));
    let blocks = blocks(&file);
    let kinds: Vec<_> = blocks.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(
        (kinds[0], kinds[1], kinds[kinds.len() - 1]),
        (0x0a0d_0d0a, 1, 5)
    );
    let packets = &blocks[2..blocks.len() - 1];
    assert!(packets.len() > 200, "{}", packets.len());
    let mut reasons = 0;
    for (kind, body) in packets {
        assert_eq!(*kind, 6);
        let len = u32::from_le_bytes(*body[12..].first_chunk().unwrap()) as usize;
        assert!(len <= 96);
        let ports = [34, 36].map(|at| u16::from_be_bytes([body[20 + at], body[20 + at + 1]]));
        assert!(!ports.contains(&PORT), "its own segments are left out");
        reasons += usize::from(
            body.windows(26)
                .any(|part| part == b"dropped: tcp_no_connection"),
        );
    }
    assert_eq!(reasons, 1);
    let counts = world.server.capture.borrow().counts();
    assert_eq!(counts.taken - counts.overflowed, packets.len() as u64);
    assert!(!world.server.capture.borrow().is_on());
    assert_home(world);
}

#[test]
fn who_goes_away_ends_his_capture() {
    let mut world = world(&words());
    let habits = Habits {
        aborts_at: 100,
        ..Habits::default()
    };
    let talk = world.open_to(PORT, get("/capture?seconds=3600"), habits);
    world.run(Duration::from_secs(9), |world| {
        world.talk(talk).ended.is_some()
    });
    world.pass(Duration::from_secs(1));
    assert!(!world.server.capture.borrow().is_on());
    assert_home(world);
}

/// Whoever does not read, or does not ask, costs his seat and no more, and not for long.
#[test]
fn a_slow_reader_costs_his_connection_alone() {
    let mut world = world(&words());
    let deaf = Habits {
        takes_max: 10,
        ..Habits::default()
    };
    // The two find each other first.
    assert_eq!(text(&mut world, "/healthz"), "ok\n");
    let slow = [
        "/connections",
        "/metrics",
        "/capture?seconds=3600&snaplen=1514",
    ];
    let slow = slow.map(|path| world.open_to(PORT, get(path), deaf));
    let silent = world.open_to(PORT, "", Habits::default());
    world.pass(Duration::from_millis(500));
    let more = world.open_to(PORT, get("/healthz"), Habits::default());
    world.run(Duration::from_secs(9), |world| {
        world.talk(more).ended.is_some()
    });
    assert_eq!(
        world.talk(more).ended,
        Some(Closed::Reset),
        "no seat is free"
    );
    assert_eq!(world.server.app.admin.counters().conns_refused, 1);
    // The site goes on, with enough frames.
    for _ in 0..20 {
        ask_and_leave(&mut world, "/big");
        assert!(
            world.server.pool.free_cnt() > 200,
            "{}",
            world.server.pool.free_cnt()
        );
    }
    world.pass(PATIENCE + Duration::from_secs(5));
    for talk in [slow[0], slow[1], slow[2], silent] {
        assert_eq!(world.talk(talk).ended, Some(Closed::Reset));
    }
    assert_eq!(world.server.app.admin.counters().slow, 4);
    // What was captured and not read was counted, and took no more than its place.
    assert!(world.server.capture.borrow().counts().overflowed > 1_000);
    assert_eq!(text(&mut world, "/healthz"), "ok\n");
    assert_home(world);
}

#[test]
fn another_address_than_the_one_named_is_refused() {
    let named = |last| Words {
        listening: Some(Listening {
            addr: Some(Addr::v4([10, 0, 0, last].into())),
            port: PORT,
        }),
        ..words()
    };
    let mut world = world(&named(1));
    assert_eq!(text(&mut world, "/healthz"), "ok\n");
    let mut world = self::world(&named(9));
    let talk = world.open_to(PORT, get("/healthz"), Habits::default());
    world.run(Duration::from_secs(9), |world| {
        world.talk(talk).ended.is_some()
    });
    assert_eq!(world.talk(talk).ended, Some(Closed::Reset));
    assert_eq!(world.server.app.admin.counters().addr_refused, 1);
}

#[test]
fn each_answer_is_a_line_on_the_console() {
    let mut world = world(&Words {
        listening: None,
        log: Some(Sink::Console),
        ..words()
    });
    ask_and_leave(&mut world, "/");
    ask_and_leave(&mut world, "/none");
    let printed = String::from_utf8(world.server.printed.clone()).unwrap();
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(
        lines[0],
        "10.0.0.2 - - [-] \"GET / HTTP/1.1\" 200 11 \"-\" \"test\""
    );
    assert!(
        lines[1].contains("\"GET /none HTTP/1.1\" 404 "),
        "{}",
        lines[1]
    );
    assert_eq!(lines.len(), 2);
    // A head in pieces is one request.
    let habits = Habits {
        piece_len: 7,
        closes_early: true,
        ..Habits::default()
    };
    let talk = world.open_to(80, get("/"), habits);
    world.run(Duration::from_secs(60), |world| {
        world.talk(talk).ended.is_some()
    });
    let printed = String::from_utf8(world.server.printed.clone()).unwrap();
    assert_eq!(printed.lines().nth(2), Some(lines[0]));
}

/// Requests that fall on one place of those that are known, at the same time: each line is made of
/// its own, whoever has the place by then.
#[test]
fn a_line_is_made_of_its_own_request_though_others_take_its_place() {
    let mut world = world(&Words {
        listening: None,
        log: Some(Sink::Console),
        ..words()
    });
    let request = |agent: &str| get("/").replace("test", agent);
    let at_once = ["an-a", "an-b", "an-a", "an-b", "an-c", "an-a"];
    // One of them is known by now.
    let rounds = [&at_once[..1], &at_once[..], &at_once[1..5]];
    for round in rounds {
        let habits = Habits {
            closes_early: true,
            ..Habits::default()
        };
        let talks = round.iter().map(|agent| request(agent));
        let talks: Vec<_> = talks.map(|text| world.open_to(80, text, habits)).collect();
        world.run(Duration::from_secs(60), |world| {
            talks.iter().all(|talk| world.talk(*talk).ended.is_some())
        });
    }
    let printed = String::from_utf8(world.server.printed.clone()).unwrap();
    let agents = printed.lines().map(|line| line.rsplit('"').nth(1).unwrap());
    assert_eq!(agents.collect::<Vec<_>>(), rounds.concat());
}

#[test]
fn each_answer_is_a_datagram_to_a_syslog_server() {
    let server = Endpoint::new(Addr::v4([10, 0, 0, 2].into()), 514);
    let mut world = world(&Words {
        listening: None,
        log: Some(Sink::Syslog(server)),
        ..words()
    });
    ask_and_leave(&mut world, "/");
    let hears = world
        .client
        .stack
        .counters()
        .dropped(simoom::DropReason::UdpPortClosed);
    assert_eq!(hears, 1, "nobody listens there, and it has come");
    let counters = world.server.app.files.log().counters();
    assert_eq!((counters.written, counters.unsent), (1, 0));
}
