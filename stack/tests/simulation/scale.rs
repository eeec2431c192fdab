//! Many connections: a million at once, and a hundred thousand one after another.
//!
//! `SIMOOM_CONNS=1000000` makes it that many; else it is a part of that.

use std::cell::RefCell;
use std::rc::Rc;

use simoom::tcp::cc::Algorithm;
use simoom::tcp::{Closed, ConnSlot, DemuxEntry, Settings, Storage, TimerNode};
use simoom::{Duration, Instant};
use simoom_sim::{PortConfig, Rng, Wire};

use crate::congestion;
use crate::crowd::Crowd;
use crate::memory::Sizes;
use crate::said::ENDS;
use crate::served::{ANSWER, Answering, Served};
use crate::world::{Device, Habits, Host, Peer, Tally, run};

fn conns() -> usize {
    std::env::var("SIMOOM_CONNS").map_or(20_000, |text| text.parse().expect("a number"))
}

/// Every connection is established by a real handshake, asked, answered and ended.
#[test]
fn a_million_connections() {
    let conns = conns();
    let mut served = Served::new(conns);
    let parts = [
        size_of::<ConnSlot<'_, Answering>>(),
        size_of::<TimerNode>(),
        Storage::<Answering>::demux_len(MILLION, 0, 0) * size_of::<DemuxEntry>() / MILLION,
    ];
    let bytes: usize = parts.iter().sum();
    println!("{bytes} bytes a connection: {parts:?} for its slot, timer, places in the hash table");
    assert!(bytes <= BYTES_MAX, "{bytes} bytes a connection");

    let seen = served.all(Crowd::open, |_| true);
    assert_eq!(seen.syn_acks as usize, conns);
    assert_eq!(served.stack.levels().conns, conns);
    let seen = served.all(|crowd, n| crowd.ask(n, b"GET / HTTP/1.1"), |_| true);
    assert_eq!(seen.payload_len, (conns * ANSWER.len()) as u64);
    // Every third is reset, the others are closed by both sides.
    let is_reset = |n: usize| n.is_multiple_of(3);
    let resets = conns.div_ceil(3);
    let end = |crowd: &mut Crowd, n| {
        if is_reset(n) {
            crowd.reset(n);
        } else {
            crowd.close(n);
        }
    };
    let seen = served.all(end, |n| !is_reset(n));
    assert_eq!(seen.fins as usize, conns - resets);
    let Served {
        pool,
        stack,
        app,
        mut crowd,
        ..
    } = served;
    assert_eq!((app.finished, app.reset), (conns - resets, resets));
    let levels = stack.levels();
    assert_eq!((levels.conns, levels.syns, levels.bodies), (0, 0, 0));
    assert_eq!(stack.counters().tcp_retransmits, 0);
    assert_eq!(
        stack.counters().dropped_total(),
        0,
        "{:?}",
        stack.counters()
    );
    crowd.clear();
    drop((stack, crowd));
    assert!(pool.all_home(), "{pool:?}");
}

const MILLION: usize = 1_000_000;

/// What an idle connection may cost, beside frames that it has queued.
const BYTES_MAX: usize = 256;

/// So many connections after one another, each asked and answered once; many times as many as
/// there are ports, and within the time of one TIME-WAIT.
fn short_connections(is_server_first: bool) {
    congestion::set(&[Algorithm::Cubic]);
    let conns = conns() / 10;
    let wire = Wire::new(1);
    wire.record_len_max(0);
    let tally = Rc::new(RefCell::new(Tally::default()));
    let habits = Habits {
        requests: 1,
        len_max: 100,
        is_server_first,
        ..Habits::PLAIN
    };
    let sizes = Sizes {
        time_waits: 4_096,
        ..Sizes::SMALL
    };
    let host = |n: u8| {
        let app = Peer {
            habits: habits.clone(),
            rng: Rng::new(n.into()),
            tally: tally.clone(),
        };
        let device = Device {
            config: PortConfig::offloads(ENDS.to_mac),
            frames: 256,
            sizes,
            tcp: Settings::default(),
        };
        Host::new(&wire, n, device, app, n.into())
    };
    let (mut server, mut client) = (host(1), host(2));
    server.stack.listen(80, 16).unwrap();
    for _ in 0..conns {
        let now = Instant::from_micros(wire.now_us());
        client.connect(now, 1);
        assert!(run(
            &wire,
            &mut server,
            &mut client,
            now + Duration::from_secs(10)
        ));
        for host in [&server, &client] {
            assert!(host.stack.levels().time_waits <= sizes.time_waits);
        }
    }
    assert_eq!(tally.borrow().answered, conns as u64);
    let ends = &tally.borrow().ends;
    assert!(ends.iter().all(|end| end.why == Closed::Finished));
    assert_eq!(server.stack.counters().tcp_accepted, conns as u64);
    println!(
        "{conns} connections in {:?} of virtual time, {} in TIME-WAIT at the end",
        Instant::from_micros(wire.now_us()),
        server.stack.levels().time_waits + client.stack.levels().time_waits,
    );
    server.check_home(&wire);
    client.check_home(&wire);
}

#[test]
fn short_connections_that_the_client_closes() {
    short_connections(false);
}

#[test]
fn short_connections_that_the_server_closes() {
    short_connections(true);
}
