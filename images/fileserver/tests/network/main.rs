//! The file server over a simulated network: whole connections, bytes compared, nothing lost.

mod world;

use simoom::Duration;
use simoom::tcp::Closed;
use simoom_fileserver::app::{Addresses, Bounds, Counters, LINGER, LINGER_LEN_MAX, PARTS_CNT};
use simoom_ring::MacAddr;
use simoom_sim::{Chance, Delay, Faults, PortConfig, Rng};
use world::{Habits, Sizes, World, answers};

const SIZES: Sizes = Sizes {
    frames: 512,
    conns: 256,
    bodies: 512,
};
const SCRATCHES: usize = 4;
const MINUTE: Duration = Duration::from_secs(60);

/// Files of lengths around those of segments and frames.
fn files() -> Vec<(String, Vec<u8>)> {
    let mut rng = Rng::new(3);
    let mut file = |name: String, len: usize| {
        let bytes = (0..len).map(|_| rng.below(256) as u8).collect();
        (name, bytes)
    };
    let mut files = vec![file("index.html".into(), 700)];
    for (n, len) in [
        0, 1, 100, 511, 512, 513, 1_299, 1_300, 1_459, 1_460, 1_461, 2_920, 5_000, 14_600, 65_535,
        100_000,
    ]
    .into_iter()
    .enumerate()
    {
        files.push(file(format!("dir{}/file{n}.bin", n % 3), len));
    }
    files
}

fn get(path: &str) -> String {
    format!("GET /{path} HTTP/1.1\r\nHost: h\r\n\r\n")
}

/// No gather, no offload: bodies are copied, the ladder's last rung.
fn plain(mac: MacAddr) -> PortConfig {
    PortConfig::plain(mac)
}

/// What virtio under QEMU is like: gathers, sums nothing.
fn gathering(mac: MacAddr) -> PortConfig {
    PortConfig {
        fragments_max: 4,
        headroom: 12,
        tx_slots: 64,
        rx_slots: 64,
        completion_us: 3,
        ..PortConfig::plain(mac)
    }
}

fn world(config: fn(MacAddr) -> PortConfig) -> World {
    World::new(1, config, &files(), SIZES, SCRATCHES)
}

/// Says `say` on one connection of a clean network; what comes back.
fn ask(say: impl Into<Vec<u8>>, habits: Habits) -> Vec<u8> {
    let mut world = world(gathering);
    let talk = world.open(say, habits);
    world.run_to_end(minutes(3));
    let heard = world.heard(talk).to_vec();
    world.assert_home(SCRATCHES);
    heard
}

#[test]
fn every_file_on_a_connection_of_its_own() {
    for config in [plain, gathering, PortConfig::offloads] {
        let mut world = world(config);
        let habits = Habits {
            closes_early: true,
            ..Habits::default()
        };
        let talks: Vec<_> = files()
            .iter()
            .map(|(name, _)| world.open(get(name), habits))
            .collect();
        world.run_to_end(minutes(3));
        for (talk, (name, bytes)) in talks.into_iter().zip(files()) {
            let heard = answers(world.heard(talk), |_| false);
            assert_eq!(heard.len(), 1, "{name}");
            assert!(heard[0].status == 200 && heard[0].body == bytes, "{name}");
            assert_eq!(world.talk(talk).ended, Some(Closed::Finished));
        }
        let counters = world.server.stack.counters();
        let all_len: usize = files().iter().map(|(_, bytes)| bytes.len()).sum();
        let (copied, referenced) = (
            counters.payload_bytes_copied as usize,
            counters.payload_bytes_referenced as usize,
        );
        match config(MacAddr::default()).fragments_max {
            1 => assert!(copied >= all_len && referenced == 0),
            _ => assert!(copied == 0 && referenced >= all_len),
        }
        world.assert_home(SCRATCHES);
    }
}

/// More requests at once than a send queue has places, cut anywhere.
#[test]
fn pipelined_requests_are_answered_in_order() {
    let say: String = (0..3)
        .flat_map(|_| files())
        .map(|(name, _)| get(&name))
        .collect();
    for piece_len in [1, 7, 50, 333, 1_460] {
        let heard = ask(
            say.as_str(),
            Habits {
                piece_len,
                closes_early: true,
                ..Habits::default()
            },
        );
        let heard = answers(&heard, |_| false);
        let expected: Vec<_> = (0..3).flat_map(|_| files()).collect();
        assert_eq!(heard.len(), expected.len());
        for (answer, (name, bytes)) in heard.iter().zip(expected) {
            assert!(answer.status == 200 && answer.body == bytes, "{name}");
        }
    }
}

#[test]
fn a_bad_network_changes_no_byte() {
    for seed in 0..36 {
        let config = [plain, gathering, PortConfig::offloads][seed as usize % 3];
        let mut world = World::new(seed, config, &files(), SIZES, SCRATCHES);
        let faults = Faults::none()
            .loss(Chance::percent(4))
            .duplicate(Chance::percent(3))
            .reorder(Chance::percent(5), 3_000)
            .delay(Delay::Uniform(100, 4_000));
        world.wire.set_faults_all(&faults);
        let mut rng = Rng::new(seed);
        let talks: Vec<_> = (0..6)
            .map(|_| {
                let wanted: Vec<_> = (0..4)
                    .map(|_| files()[rng.below(17) as usize].clone())
                    .collect();
                let say: String = wanted.iter().map(|(name, _)| get(name)).collect();
                let habits = Habits {
                    piece_len: 1 + rng.below(200) as usize,
                    closes_early: rng.below(2) == 0,
                    ..Habits::default()
                };
                (world.open(say, habits), wanted)
            })
            .collect();
        world.run_to_end(minutes(20));
        for (talk, wanted) in talks {
            let heard = answers(world.heard(talk), |_| false);
            assert_eq!(heard.len(), wanted.len(), "seed {seed}");
            for (answer, (name, bytes)) in heard.iter().zip(wanted) {
                assert!(answer.body == bytes, "seed {seed}, {name}");
            }
        }
        world.assert_home(SCRATCHES);
    }
}

#[test]
fn head_and_not_modified_have_no_body() {
    let etag = answers(&ask(get(""), early()), |_| false)[0]
        .head
        .lines()
        .find_map(|line| line.strip_prefix("ETag: ").map(str::to_string))
        .unwrap();
    let say = format!(
        "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n\
         GET / HTTP/1.1\r\nHost: h\r\nIf-None-Match: {etag}\r\n\r\n{}",
        get("dir1")
    );
    let heard = answers(&ask(say, early()), |n| n < 2);
    let statuses: Vec<_> = heard.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 304, 301]);
    assert!(heard[0].has("Content-Length: 700") && heard[2].has("Location: /dir1/"));
}

/// What is refused is counted by its reason.
#[test]
fn refusals_are_counted() {
    let long = "x".repeat(9_000);
    let mut world = world(gathering);
    for say in [
        "nonsense\r\n\r\n".to_string(),
        get(&long),
        format!("GET / HTTP/1.1\r\nHost: h\r\nX: {long}\r\n\r\n"),
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n".to_string(),
        "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n".to_string(),
        get("missing"),
    ] {
        world.open(say, early());
    }
    world.run_to_end(MINUTE);
    let expected = Counters {
        accepted: 6,
        answered: 6,
        errors: 5,
        malformed: 1,
        heads_too_large: 2,
        bodies_too_large: 1,
        bodies_malformed: 1,
        ..Counters::default()
    };
    assert_eq!(*counters(&world), expected);
}

/// The answer to a bad request arrives whole although the client goes on to send much that
/// nobody reads, and nothing of that is taken for a request.
#[test]
fn an_error_survives_what_the_client_still_sends() {
    let long = "x".repeat(9_000);
    for (say, status, is_last) in [
        ("nonsense\r\n\r\n".to_string(), 400, true),
        (get("missing"), 404, false),
        ("PUT / HTTP/1.1\r\nHost: h\r\n\r\n".to_string(), 405, false),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n".to_string(),
            413,
            true,
        ),
        (get(&long), 414, true),
        (
            format!("GET / HTTP/1.1\r\nHost: h\r\nX: {long}\r\n\r\n"),
            431,
            true,
        ),
        ("GET / HTTP/3.0\r\nHost: h\r\n\r\n".to_string(), 505, true),
    ] {
        let more: String = (0..5_000).map(|_| get("")).collect();
        let say = if is_last { say + &more } else { say };
        let heard = answers(&ask(say, early()), |_| false);
        assert_eq!(heard.len(), 1, "{status}");
        assert_eq!(heard[0].status, status);
        assert_eq!(heard[0].has("Connection: close"), is_last, "{status}");
        assert!(heard[0].body.starts_with(b"<!doctype html>"));
    }
}

/// A client that never stops sending after the last answer is cut off.
#[test]
fn lingering_is_bounded() {
    let mut world = world(gathering);
    let mut say = b"nonsense\r\n\r\n".to_vec();
    say.resize(LINGER_LEN_MAX as usize * 2, b'x');
    let habits = Habits {
        answers_close: false,
        ..Habits::default()
    };
    let flood = world.open(say, habits);
    let mute = world.open("nonsense\r\n\r\n", habits);
    world.run(MINUTE, |world| {
        world.server.stack.levels().conns == 0 && world.talk(flood).ended.is_some()
    });
    let at = world.now().as_micros();
    assert!(at <= LINGER.as_micros() + 2_000_000, "{at}");
    assert_eq!(world.talk(flood).ended, Some(Closed::Reset));
    assert_eq!(answers(world.heard(mute), |_| false)[0].status, 400);
}

/// Heads longer than a segment, than a frame, up to the limit, in pieces of any length.
#[test]
fn a_head_of_any_length_is_read() {
    for pad_len in [
        0, 100, 1_300, 1_400, 1_500, 1_900, 2_000, 2_100, 4_000, 8_000,
    ] {
        // Bytes one by one, 16 for each delayed acknowledgment, take their time: 408 for long ones.
        let least = if pad_len < 3_000 { 1 } else { 50 };
        for piece_len in [least, 250, 300, 1_000, 1_460] {
            let pad = "p".repeat(pad_len);
            let request = format!("GET /dir0/file3.bin HTTP/1.1\r\nHost: h\r\nX: {pad}\r\n\r\n");
            let say = get("") + &request + &request + &get("");
            let habits = Habits {
                piece_len,
                ..early()
            };
            let heard = answers(&ask(say, habits), |_| false);
            let lens: Vec<_> = heard.iter().map(|a| (a.status, a.body.len())).collect();
            let expected = [(200, 700), (200, 511), (200, 511), (200, 700)];
            assert_eq!(lens, expected, "{pad_len} in pieces of {piece_len}");
        }
    }
}

/// Scratch memory is bounded: who finds none is told so, the others are served.
#[test]
fn too_many_long_heads_at_once() {
    let mut world = world(gathering);
    let say = format!(
        "GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n",
        "x".repeat(7_000)
    );
    let habits = Habits {
        piece_len: 1_000,
        pause: Duration::from_millis(500),
        closes_early: true,
        ..Habits::default()
    };
    let talks: Vec<_> = (0..SCRATCHES * 2)
        .map(|_| world.open(say.as_str(), habits))
        .collect();
    world.run_to_end(minutes(3));
    let mut statuses: Vec<_> = talks
        .iter()
        .map(|talk| answers(world.heard(*talk), |_| false)[0].status)
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 503, 503, 503, 503]);
    assert_eq!(counters(&world).scratches_short, 4);
    world.assert_home(SCRATCHES);
}

/// Scratch memory goes back as soon as the head is whole, and when its connection goes.
#[test]
fn scratch_memory_is_given_back() {
    let mut world = world(gathering);
    let head = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}", "x".repeat(5_000));
    for n in 0..3 * SCRATCHES {
        let gone = Habits {
            aborts_early: n % 3 == 0,
            piece_len: 1_000,
            ..Habits::default()
        };
        let end = if gone.aborts_early { "" } else { "\r\n\r\n" };
        let talk = world.open(head.clone() + end, gone);
        world.pass(Duration::from_secs(3));
        assert_eq!(world.server.app.scratches_free(), SCRATCHES, "{n}");
        let heard = answers(world.heard(talk), |_| false);
        let statuses: Vec<_> = heard.iter().map(|answer| answer.status).collect();
        let expected: &[u16] = if gone.aborts_early { &[] } else { &[200] };
        assert_eq!(statuses, expected, "{n}");
    }
    world.run_to_end(minutes(3));
    world.assert_home(SCRATCHES);
}

fn get_ranges(path: &str, cnt: usize) -> String {
    let ranges: Vec<_> = (0..cnt)
        .map(|n| format!("{}-{}", n * 3_000, n * 3_000 + 1_500))
        .collect();
    let ranges = ranges.join(",");
    format!("GET /{path} HTTP/1.1\r\nHost: h\r\nRange: bytes={ranges}\r\n\r\n")
}

/// More parts than a send queue has places go out as places become free, and other answers follow
/// in order.
#[test]
fn an_answer_in_many_parts() {
    let file = &files()[16].1;
    for config in [plain, gathering] {
        for closes_early in [true, false] {
            let mut world = world(config);
            let last = "GET /index.html HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
            let many = get_ranges("dir0/file15.bin", 32);
            let say = get("") + &many + &many + &get("dir0/file3.bin") + last;
            let habits = Habits {
                closes_early,
                ..Habits::default()
            };
            let talk = world.open(say, habits);
            world.run_to_end(MINUTE);
            let heard = answers(world.heard(talk), |_| false);
            let statuses: Vec<_> = heard.iter().map(|answer| answer.status).collect();
            assert_eq!(statuses, [200, 206, 206, 200, 200]);
            for answer in &heard[1..3] {
                let found = (0..32).filter(|n| {
                    let part = &file[n * 3_000..=n * 3_000 + 1_500];
                    answer.body.windows(part.len()).any(|bytes| bytes == part)
                });
                assert_eq!(found.count(), 32);
            }
            world.assert_home(SCRATCHES);
        }
    }
}

/// Answers in parts are bounded: beyond them several ranges are the whole file.
#[test]
fn too_many_answers_in_parts_at_once() {
    let mut world = world(gathering);
    world
        .wire
        .set_faults_all(&Faults::none().bandwidth(300_000, 3_000_000));
    let talks: Vec<_> = (0..PARTS_CNT + 3)
        .map(|_| world.open(get_ranges("dir0/file15.bin", 32), early()))
        .collect();
    world.run_to_end(minutes(3));
    let statuses: Vec<_> = talks
        .iter()
        .map(|talk| answers(world.heard(*talk), |_| false)[0].status)
        .collect();
    // The first may be done before the last has asked.
    let cnt = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert!(cnt(206) >= PARTS_CNT && cnt(200) >= 1, "{statuses:?}");
    assert_eq!(cnt(200) + cnt(206), PARTS_CNT + 3);
    assert_eq!(counters(&world).parts_short as usize, cnt(200));
    world.assert_home(SCRATCHES);
}

fn counters(world: &World) -> &Counters {
    world.server.app.counters()
}

fn bounded(bounds: Bounds) -> World {
    let mut world = world(gathering);
    let addresses = Addresses::new(vec![0; 64].leak(), 5);
    world.server.app.set_bounds(bounds, addresses);
    world
}

/// Connections beyond the bound are reset, and there is room again when others have gone.
#[test]
fn connections_are_bounded_in_all_and_by_address() {
    for (conns_max, conns_per_addr_max) in [(3, u32::MAX), (u32::MAX, 3)] {
        let mut world = bounded(Bounds {
            conns_max,
            conns_per_addr_max,
            ..Bounds::DEFAULT
        });
        for round in 1..=2 {
            let talks: Vec<_> = (0..5).map(|_| world.open("", Habits::default())).collect();
            // All but the first SYN wait for the neighbor's address, and are sent again.
            world.pass(Duration::from_secs(3));
            let is_reset = |talk: &&usize| world.talk(**talk).ended == Some(Closed::Reset);
            assert_eq!(talks.iter().filter(is_reset).count(), 2);
            let refused = (
                counters(&world).conns_refused,
                counters(&world).conns_per_addr_refused,
            );
            let expected = if conns_max == 3 { (2, 0) } else { (0, 2) };
            assert_eq!(refused, (expected.0 * round, expected.1 * round));
            assert_eq!(counters(&world).accepted, 3 * round);
            assert_eq!(world.server.app.conn_cnts(), (3, 3));
            world.run_to_end(minutes(3));
            assert_eq!(world.server.app.conn_cnts(), (0, 0));
        }
        assert_eq!(counters(&world).first_bytes_slow, 6);
        world.assert_home(SCRATCHES);
    }
}

/// Who says nothing at all, and who says nothing more.
#[test]
fn the_first_byte_and_the_next_request_have_their_times() {
    let mut world = bounded(Bounds {
        first_byte: Duration::from_secs(5),
        idle: Duration::from_secs(20),
        ..Bounds::DEFAULT
    });
    let mute = world.open("", Habits::default());
    let idle = world.open(get(""), Habits::default());
    world.run_to_end(MINUTE);
    let at = |talk| world.talk(talk).finished_at.expect("closed").as_micros() / 100_000;
    assert!((50..65).contains(&at(mute)), "{}", at(mute));
    assert!((200..225).contains(&at(idle)), "{}", at(idle));
    let Counters {
        first_bytes_slow,
        idle_closed,
        ..
    } = *counters(&world);
    assert_eq!((first_bytes_slow, idle_closed), (1, 1));
}

/// A byte of a head now and then, or of a body, buys no time.
#[test]
fn drips_buy_no_time() {
    let head = get("").replace("\r\n\r\n", "\r\nX: ") + &"x".repeat(500);
    let body = "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n".to_string();
    for (say, status) in [(head, 408), (body + &"y".repeat(5_000), 200)] {
        let mut world = bounded(Bounds {
            idle: Duration::from_secs(20),
            ..Bounds::DEFAULT
        });
        let habits = Habits {
            piece_len: 60,
            pause: Duration::from_secs(1),
            ..Habits::default()
        };
        let talk = world.open(say, habits);
        world.run_to_end(MINUTE);
        let heard = answers(world.heard(talk), |_| false);
        assert_eq!((heard.len(), heard[0].status), (1, status));
        let at = world.talk(talk).finished_at.expect("closed").as_micros();
        assert!(at <= 25_000_000, "{status}: {at}");
        world.assert_home(SCRATCHES);
    }
}

/// The last request that a connection may have is answered, and those behind it are not.
#[test]
fn requests_on_a_connection_are_bounded() {
    let say = get("").repeat(10_003);
    let mut world = world(gathering);
    let talk = world.open(say, Habits::default());
    world.run_to_end(minutes(3));
    assert_eq!(counters(&world).answered, 10_000);
    assert_eq!(counters(&world).requests_used_up, 1);
    let heard = world.heard(talk);
    let cnt = |text: &[u8]| heard.windows(text.len()).filter(|w| *w == text).count();
    assert_eq!(cnt(b"HTTP/1.1 200 OK"), 10_000);
    assert_eq!(cnt(b"Connection: close"), 1);
}

/// Who takes an answer too slowly is cut off; who is slow, but not so slow, is not.
#[test]
fn a_slow_taker_is_reset() {
    for (rate_min, is_slow) in [(1_000, false), (100_000, true)] {
        let mut world = bounded(Bounds {
            idle: Duration::from_secs(10),
            rate_min,
            ..Bounds::DEFAULT
        });
        let slow = Faults::none().bandwidth(40_000, 300_000);
        world.wire.set_faults_all(&slow);
        let talk = world.open(get("dir0/file15.bin"), early());
        world.run_to_end(minutes(5));
        let ended = world.talk(talk).ended;
        assert_eq!(ended == Some(Closed::Reset), is_slow, "{ended:?}");
        assert_eq!(counters(&world).sends_slow, is_slow.into());
        world.assert_home(SCRATCHES);
    }
}

/// When connections are short those without a request go first, and soon.
#[test]
fn idle_connections_make_room() {
    let mut world = bounded(Bounds {
        conns_max: 16,
        ..Bounds::DEFAULT
    });
    let busy = world.open(
        get("dir0/file15.bin"),
        Habits {
            takes_max: 20_000,
            ..Habits::default()
        },
    );
    let idle: Vec<_> = (0..15)
        .map(|_| world.open(get(""), Habits::default()))
        .collect();
    world.pass(Duration::from_secs(3));
    assert_eq!(world.server.app.conn_cnts().0, 16);
    world.pass(Duration::from_secs(60 * 3 / 8));
    let gone = idle
        .iter()
        .filter(|talk| world.talk(**talk).ended == Some(Closed::Reset))
        .count();
    assert_eq!((gone, counters(&world).idle_evicted), (2, 2));
    assert!(world.talk(busy).ended.is_none());
    let fresh = world.open(get(""), early());
    world.run(MINUTE, |world| world.talk(fresh).ended.is_some());
    assert_eq!(answers(world.heard(fresh), |_| false)[0].status, 200);
    world.run_to_end(minutes(5));
}

/// Parts of heads take frames. When these are short, who dawdles over one goes, with what it sends
/// next or when it is looked at, and who does nothing; a request that comes whole is answered.
#[test]
fn frames_are_not_for_those_who_dawdle() {
    let sizes = Sizes {
        frames: 256,
        ..SIZES
    };
    let mut all_idle = 0;
    for pause_s in [2, 30] {
        let mut world = World::new(1, gathering, &files(), sizes, SCRATCHES);
        // They are looked at every 7.5 s. Frames are short for the second after the slow ones come,
        // so that some of them are looked at within it.
        let mut idle = Vec::new();
        for _ in 0..10 {
            idle.push(world.open(String::new(), Habits::default()));
            world.pass(Duration::from_millis(100));
        }
        world.pass(Duration::from_millis(6_400));
        let drip = Habits {
            piece_len: 2,
            pause: Duration::from_secs(pause_s),
            ..Habits::default()
        };
        let slow: Vec<_> = (0..180).map(|_| world.open(get("slow"), drip)).collect();
        for _ in 0..10 {
            let fresh = world.open(get(""), early());
            world.run(Duration::from_secs(2), |world| {
                world.talk(fresh).ended.is_some()
            });
            assert_eq!(answers(world.heard(fresh), |_| false)[0].status, 200);
            world.pass(Duration::from_secs(1));
        }
        let reset = |world: &World, talks: &[usize]| {
            let is_reset = |talk: &&usize| world.talk(**talk).ended == Some(Closed::Reset);
            talks.iter().filter(is_reset).count() as u64
        };
        let (idle, slow) = (reset(&world, &idle), reset(&world, &slow));
        all_idle += idle;
        assert!(slow > 10 && slow < 150, "{slow} of the slow");
        // An RST that finds the ring full is lost: who says more gets another.
        let unheard = counters(&world).ended_for_frames - idle - slow;
        assert!(unheard < 5, "{unheard}");
        world.run_to_end(minutes(5));
        world.assert_home(SCRATCHES);
    }
    assert!(all_idle > 0);
}

/// Date is there when the time is known, and is another one every second.
#[test]
fn the_date_goes_on() {
    let mut world = world(gathering);
    let heard = |world: &mut World| {
        let talk = world.open(get(""), early());
        world.run(MINUTE, |world| world.talk(talk).ended.is_some());
        answers(world.heard(talk), |_| false).remove(0)
    };
    assert!(!heard(&mut world).head.contains("Date: "));
    world.pass(Duration::from_secs(7));
    let at = world.now();
    world.server.app.set_clock(Some((784_111_770, at)));
    assert!(heard(&mut world).has("Date: Sun, 06 Nov 1994 08:49:30 GMT"));
    world.pass(Duration::from_secs(9));
    let date = heard(&mut world);
    let is_right = |seconds| date.has(&format!("Date: Sun, 06 Nov 1994 08:49:{seconds} GMT"));
    assert!((39..43).any(is_right), "{}", date.head);
    world.server.app.set_clock(None);
    assert!(!heard(&mut world).head.contains("Date: "));
}

/// A request body that is malformed ends the connection, and hides no request.
#[test]
fn a_malformed_body_is_the_end() {
    let head = "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, cnt) in [("3\r\nabc\r\n0\r\n\r\n", 2), ("3\r\nabcd\r\n0\r\n\r\n", 1)] {
        let say = head.to_string() + body + &get("");
        let heard = answers(&ask(say, Habits::default()), |_| false);
        assert_eq!(heard.len(), cnt, "{body:?}");
    }
}

/// Answers that follow each other do not wait for acknowledgments.
#[test]
fn a_short_answer_goes_at_once() {
    let mut world = world(gathering);
    let talk = world.open(get("") + &get("") + &get(""), Habits::default());
    world.pass(Duration::from_millis(20));
    assert_eq!(answers(world.heard(talk), |_| false).len(), 3);
}

/// The time without a request counts from the end of a long answer, not from its beginning.
#[test]
fn a_long_answer_is_not_idle_time() {
    let mut world = world(gathering);
    let slow = Faults::none().bandwidth(20_000, 300_000);
    world.wire.set_faults_all(&slow);
    let say = get("dir0/file15.bin") + &get("");
    let habits = Habits {
        piece_len: get("dir0/file15.bin").len(),
        pause: Duration::from_secs(90),
        ..Habits::default()
    };
    let talk = world.open(say, habits);
    world.run_to_end(minutes(6));
    let heard = answers(world.heard(talk), |_| false);
    assert_eq!(heard.len(), 2);
}

#[test]
fn an_idle_connection_is_closed() {
    for say in ["", &get("")] {
        let mut world = world(gathering);
        let talk = world.open(say, Habits::default());
        world.run_to_end(minutes(4));
        let at = world.talk(talk).finished_at.expect("closed").as_micros();
        let idle = Bounds::DEFAULT.idle.as_micros();
        assert!((idle..=idle + idle / 4).contains(&at), "{at}");
        world.assert_home(SCRATCHES);
    }
}

/// A head that trickles in, however steadily, gets 408 in time.
#[test]
fn a_slow_head_times_out() {
    let say = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}", "x".repeat(5_000));
    for piece_len in [10, 1_000] {
        let mut world = world(gathering);
        let habits = Habits {
            piece_len,
            pause: Duration::from_secs(4),
            ..Habits::default()
        };
        let talk = world.open(say.as_str(), habits);
        world.run_to_end(MINUTE);
        assert_eq!(answers(world.heard(talk), |_| false)[0].status, 408);
        let at = world.talk(talk).finished_at.expect("closed").as_micros();
        let head = Bounds::DEFAULT.head.as_micros();
        assert!(at >= head && at < head + 1_000_000, "{at}");
        assert_eq!(counters(&world).heads_slow, 1);
        world.assert_home(SCRATCHES);
    }
}

/// Who stops reading is waited for, but not for ever; and others are served meanwhile.
#[test]
fn a_client_that_stops_reading_is_given_up() {
    let mut world = world(gathering);
    let say: String = (0..20).map(|_| get("dir0/file15.bin")).collect();
    let stalled = world.open(
        say,
        Habits {
            takes_max: 50_000,
            ..Habits::default()
        },
    );
    world.pass(Duration::from_secs(30));
    let other = world.open(get(""), early());
    world.run(MINUTE, |world| world.talk(other).ended.is_some());
    assert_eq!(answers(world.heard(other), |_| false)[0].status, 200);
    assert!(world.talk(stalled).ended.is_none());
    world.run_to_end(minutes(5));
    assert_eq!(world.talk(stalled).ended, Some(Closed::Reset));
}

/// A client that closes its side is answered what it has asked, and no more.
#[test]
fn half_a_request_and_a_close() {
    let whole = get("") + &get("dir0/file12.bin");
    for cut in [0, 1, 20, get("").len(), get("").len() + 5, whole.len()] {
        let heard = answers(&ask(&whole.as_bytes()[..cut], early()), |_| false);
        let expected = usize::from(cut >= get("").len()) + usize::from(cut == whole.len());
        assert_eq!(heard.len(), expected, "cut at {cut}");
    }
}

/// Aborts at any point of a transfer leave nothing behind.
#[test]
fn aborts_in_mid_transfer() {
    let mut world = world(gathering);
    let mut rng = Rng::new(9);
    for round in 0..50 {
        for _ in 0..4 {
            let say: String = (0..5).map(|_| get("dir0/file15.bin")).collect();
            let habits = Habits {
                aborts_at: 1 + rng.below(300_000) as usize,
                ..Habits::default()
            };
            world.open(say, habits);
        }
        world.run(MINUTE, World::is_silent);
        assert_eq!(world.server.stack.levels().bodies, 0, "round {round}");
    }
    world.run_to_end(MINUTE);
    world.assert_home(SCRATCHES);
}

/// With hardly a frame or a place in the queues, everything is still answered, only later.
#[test]
fn scarce_memory_only_delays() {
    for (frames, bodies) in [(64 + 48, 512), (512, 3), (64 + 40, 2)] {
        let sizes = Sizes {
            frames,
            bodies,
            ..SIZES
        };
        let mut world = World::new(5, gathering, &files(), sizes, SCRATCHES);
        let say: String = files().iter().map(|(name, _)| get(name)).collect();
        let talks: Vec<_> = (0..12).map(|_| world.open(say.as_str(), early())).collect();
        world.run_to_end(minutes(20));
        for talk in talks {
            let heard = answers(world.heard(talk), |_| false);
            assert_eq!(heard.len(), 17, "{frames} frames, {bodies} bodies");
            assert!(
                heard
                    .iter()
                    .zip(files())
                    .all(|(a, (_, bytes))| a.body == bytes)
            );
        }
        world.assert_home(SCRATCHES);
    }
}

fn early() -> Habits {
    Habits {
        closes_early: true,
        ..Habits::default()
    }
}

const fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}
