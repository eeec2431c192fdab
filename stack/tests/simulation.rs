//! Whole transfers over a bad wire, in virtual time: every seed is another network, another pair of
//! devices, another habit of the applications. Safety: all bytes are right, no frame is lost.
//! Liveness: once the faults are off, everything ends.
//!
//! `SIMOOM_SEED=n` runs one seed and leaves its capture in the temporary folder; `SIMOOM_SEEDS=n`
//! runs as many.

mod world;

use std::cell::RefCell;
use std::rc::Rc;

use simoom::tcp::Closed;
use simoom::{DropReason, Instant};
use simoom_ring::{FramePool, MacAddr};
use simoom_sim::{Chance, CorruptScope, Delay, Faults, PortConfig, Rng, RxCsum, Wire};
use world::{Habits, Host, Peer, Sizes, Tally, leak_pool, run};

const NOBODY: MacAddr = MacAddr([0; 6]);

thread_local! {
    static POOLS: [&'static FramePool<'static>; 2] = [leak_pool(256), leak_pool(256)];
}

fn at_secs(secs: u64) -> Instant {
    Instant::from_micros(secs * 1_000_000)
}

/// A device out of the range that drivers have.
fn config(rng: &mut Rng) -> PortConfig {
    let mut config = if rng.below(2) == 0 {
        PortConfig::plain(NOBODY)
    } else {
        PortConfig::offloads(NOBODY)
    };
    config.mtu = [1_500, 1_500, 576, 296, 1_492][rng.below(5) as usize];
    config.fragments_max = 1 + rng.below(4) as usize;
    config.tx_slots = config.fragments_max + rng.below(30) as usize;
    config.rx_slots = 4 + rng.below(60) as usize;
    config.completion_us = rng.below(3) * rng.below(200);
    config.rx_csum = [RxCsum::Unknown, RxCsum::Verify, RxCsum::Partial][rng.below(3) as usize];
    config
}

/// A network out of the range from fine to hopeless.
fn faults(rng: &mut Rng) -> Faults {
    let percent = |rng: &mut Rng, most: u64| Chance::percent(rng.below(most + 1) as u32);
    let rtt_us = [20, 200, 5_000, 40_000][rng.below(4) as usize];
    let mut faults = Faults::none()
        .delay(Delay::Uniform(rtt_us / 2, rtt_us))
        .corrupt_scope(CorruptScope::Checksummed);
    if rng.below(4) != 0 {
        faults = faults
            .loss(percent(rng, 20))
            .duplicate(percent(rng, 5))
            .reorder(percent(rng, 10), 3 * rtt_us + 100)
            .corrupt(percent(rng, 5))
            .corrupt_len(percent(rng, 3));
    }
    if rng.below(4) == 0 {
        faults = faults.jump(Chance::ppm(2_000), 700_000);
    }
    if rng.below(4) == 0 {
        let start_us = rng.below(3_000_000);
        faults = faults.blackout(start_us, start_us + rng.below(4_000_000));
    }
    if rng.below(3) == 0 {
        faults = faults.bandwidth(1_000_000 + rng.below(100_000_000), 20_000);
    }
    faults
}

fn habits(rng: &mut Rng) -> Habits {
    Habits {
        requests: 1 + rng.below(20) as u32,
        len_max: [10, 3_000, 100_000][rng.below(3) as usize],
        pipeline: 1 + rng.below(6) as u32,
        stalls_permille: [0, 0, 50][rng.below(3) as usize],
        aborts_permille: [0, 0, 0, 5][rng.below(4) as usize],
    }
}

fn run_seed(seed: u64) {
    let mut rng = Rng::new(seed);
    let wire = Wire::new(rng.next_u64());
    world::set_reno(rng.below(4) == 0);
    let habits = habits(&mut rng);
    let tally = Rc::new(RefCell::new(Tally::default()));
    let host = |n: u8, rng: &mut Rng| {
        let app = Peer {
            habits: habits.clone(),
            rng: Rng::new(rng.next_u64()),
            tally: tally.clone(),
        };
        let pool = POOLS.with(|pools| pools[usize::from(n) - 1]);
        let config = config(rng);
        Host::new(&wire, n, pool, config, Sizes::SMALL, app, rng.next_u64())
    };
    let (mut server, mut client) = (host(1, &mut rng), host(2, &mut rng));
    server.stack.listen(80, 16).unwrap();
    let _report = Report { wire: &wire, seed };
    wire.set_faults(server.port.end(), faults(&mut rng));
    wire.set_faults(client.port.end(), faults(&mut rng));
    let conns = 1 + rng.below(8) as usize;
    for _ in 0..conns {
        client.connect(Instant::ZERO, 1);
    }
    let is_over = |hosts: &[&mut Host]| hosts.iter().all(|host| host.is_quiet());
    let mut hosts = [&mut server, &mut client];
    if !run(&wire, &mut hosts, at_secs(30), is_over) {
        wire.set_faults_all(&Faults::none());
        assert!(
            run(&wire, &mut hosts, at_secs(3_000), is_over),
            "it does not end: {tally:?}"
        );
    }
    let asked = u64::from(habits.requests) * conns as u64;
    let tally = tally.borrow();
    let broken = tally
        .ends
        .iter()
        .filter(|(_, why)| *why != Closed::Finished)
        .count();
    assert!(
        broken > 0 || tally.answered == asked,
        "{asked} asked: {tally:?}"
    );
    if habits.aborts_permille == 0 {
        // Long outages may end a connection, an intact network may not.
        let gave_up = tally.ends.iter().any(|(_, why)| *why == Closed::TimedOut);
        assert!(broken == 0 || gave_up, "{tally:?}");
    }
    let copied = server.stack.counters().payload_bytes_copied;
    assert!(
        copied == 0 || server.port.config().fragments_max == 1,
        "{copied} bytes copied"
    );
    for host in [server, client] {
        let levels = host.stack.levels();
        assert_eq!(
            (levels.conns, levels.syns, levels.bodies),
            (0, 0, 0),
            "{levels:?}"
        );
        assert_eq!(wire.counters(host.port.end()).bad_csum_sent, 0);
        let Host {
            stack, queue, pool, ..
        } = host;
        drop((stack, queue));
        assert!(pool.all_home(), "{pool:?}");
    }
}

/// Says how to repeat a seed that failed, and leaves its capture.
struct Report<'a> {
    wire: &'a Wire,
    seed: u64,
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let path = std::env::temp_dir().join(format!("simoom-seed-{}.pcap", self.seed));
        let file = std::fs::File::create(&path);
        let written = file.and_then(|file| self.wire.write_pcap(std::io::BufWriter::new(file)));
        eprintln!(
            "seed {} failed; SIMOOM_SEED={} cargo test -p simoom --test simulation repeats it; \
             capture {}: {written:?}",
            self.seed,
            self.seed,
            path.display()
        );
    }
}

#[test]
fn transfers_survive_bad_networks() {
    if let Ok(seed) = std::env::var("SIMOOM_SEED") {
        return run_seed(seed.parse().expect("SIMOOM_SEED is a number"));
    }
    let seeds = std::env::var("SIMOOM_SEEDS").map_or(300, |n| n.parse().expect("a number"));
    for seed in 0..seeds {
        run_seed(seed);
    }
}

/// A fine network, many connections, no fault: nothing is sent twice, nothing is dropped.
#[test]
fn a_fine_network_needs_no_retransmission() {
    world::set_reno(false);
    let wire = Wire::new(1);
    let tally = Rc::new(RefCell::new(Tally::default()));
    let habits = Habits {
        requests: 10,
        len_max: 50_000,
        pipeline: 2,
        stalls_permille: 0,
        aborts_permille: 0,
    };
    let config = PortConfig {
        rx_slots: 128,
        ..PortConfig::offloads(NOBODY)
    };
    let host = |n: u8| {
        let app = Peer {
            habits: habits.clone(),
            rng: Rng::new(n.into()),
            tally: tally.clone(),
        };
        Host::new(
            &wire,
            n,
            leak_pool(512),
            config,
            Sizes::SMALL,
            app,
            n.into(),
        )
    };
    let (mut server, mut client) = (host(1), host(2));
    server.stack.listen(80, 64).unwrap();
    let _report = Report {
        wire: &wire,
        seed: 0,
    };
    // The first finds out the server's address; one packet waits for that, as RFC 1122 has it.
    client.connect(Instant::ZERO, 1);
    let is_known = |hosts: &[&mut Host]| hosts[0].stack.levels().conns == 1;
    assert!(run(
        &wire,
        &mut [&mut server, &mut client],
        at_secs(1),
        is_known
    ));
    for _ in 0..4 {
        client.connect(Instant::from_micros(wire.now_us()), 1);
    }
    let is_over = |hosts: &[&mut Host]| hosts.iter().all(|host| host.is_quiet());
    assert!(run(
        &wire,
        &mut [&mut server, &mut client],
        at_secs(10),
        is_over
    ));
    assert_eq!(tally.borrow().answered, 50);
    for host in [&server, &client] {
        let counters = host.stack.counters();
        assert_eq!(counters.tcp_retransmits, 0, "{counters:?}");
        let gratuitous = counters.dropped(DropReason::ArpNotForUs);
        assert_eq!(counters.dropped_total(), gratuitous, "{counters:?}");
        assert_eq!(counters.payload_bytes_copied, 0);
    }
    assert_eq!(
        client.stack.levels().time_waits,
        5,
        "the side that closes first waits"
    );
}
