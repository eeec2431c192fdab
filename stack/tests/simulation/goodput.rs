//! What loss recovery is worth: the same transfers over the same wire with SACK and RACK, and with
//! NewReno alone. Virtual time, so that the figures are the same on every machine.

use simoom::tcp::Settings;
use simoom::tcp::cc::Algorithm;
use simoom::{Counters, Instant};
use simoom_ring::MacAddr;
use simoom_sim::{Chance, Delay, Faults, PortConfig, Rng};

use crate::congestion;
use crate::memory::Sizes;
use crate::seeds::Report;
use crate::transfers::World;
use crate::world::{Device, Habits};

/// 100 Mbit/s, 20 ms there and back, a queue of as much as is on the way.
fn wire() -> Faults {
    Faults::none()
        .delay(Delay::Fixed(RTT_US / 2))
        .bandwidth(BITS_PER_S, BDP_LEN)
}

/// A server of 16 MiB or so on one connection: bytes a second, and what the server has counted.
fn transfer(faults: &Faults, sack: bool, seed: u64) -> (u64, Counters) {
    let config = PortConfig {
        rx_slots: 1_024,
        tx_slots: 256,
        ..PortConfig::offloads(MacAddr([0; 6]))
    };
    let device = |_: &mut Rng| Device {
        config,
        frames: 8_192,
        sizes: Sizes::SMALL,
        tcp: Settings {
            sack,
            ..Settings::default()
        },
    };
    let habits = Habits {
        requests: 32,
        len_max: 1 << 20,
        pipeline: 4,
        ..Habits::PLAIN
    };
    congestion::set(&[Algorithm::Cubic]);
    let mut world = World::new(&mut Rng::new(seed), habits, device);
    let wire = world.wire.clone();
    let _report = Report::new(&wire, "sack_and_rack_are_worth_their_bytes", seed);
    world.server.stack.listen(80, 4).unwrap();
    for end in [world.server.port.end(), world.client.port.end()] {
        wire.set_faults(end, faults.clone());
    }
    world.client.connect(Instant::ZERO, 1);
    assert!(world.run(Instant::from_micros(600_000_000)), "it ends");
    let (received, took_us) = (world.tally.borrow().received, wire.now_us());
    let counters = world.server.stack.counters().clone();
    world.check(1);
    (received * 1_000_000 / took_us, counters)
}

#[test]
fn sack_and_rack_are_worth_their_bytes() {
    let percent = |loss| wire().loss(Chance::percent(loss));
    let mixed = wire()
        .loss(Chance::percent(1))
        .duplicate(Chance::percent(1))
        .reorder(Chance::percent(2), RTT_US / 4)
        .jump(Chance::ppm(200), RTT_US);
    let late = wire().reorder(Chance::percent(5), RTT_US / 8);
    let wires = [
        ("no loss", percent(0)),
        ("0.1 % loss", wire().loss(Chance::ppm(1_000))),
        ("1 % loss", percent(1)),
        ("5 % loss", percent(5)),
        ("5 % reordered", late),
        ("mixed", mixed),
    ];
    for (name, faults) in wires {
        let mut sums = [0, 0];
        for seed in 0..SEEDS {
            for (sack, sum) in [false, true].into_iter().zip(&mut sums) {
                let (rate, counters) = transfer(&faults, sack, seed);
                *sum += rate / SEEDS;
                println!(
                    "{name}, {}: {} KB/s; {} sent again, {} timeouts, {} probes, {} recoveries, \
                     {} for nothing",
                    if sack { "SACK" } else { "NewReno" },
                    rate / 1_000,
                    counters.tcp_retransmits,
                    counters.tcp_timeouts,
                    counters.tcp_probes,
                    counters.tcp_recoveries,
                    counters.tcp_spurious,
                );
            }
        }
        let [newreno, sack] = sums;
        println!("{name}: NewReno {newreno}, SACK {sack} bytes/s");
        // A hundredth for what the options take of each segment.
        assert!(sack + sack / 100 >= newreno, "{name}: {newreno} and {sack}");
    }
}

const RTT_US: u64 = 20_000;
const BITS_PER_S: u64 = 100_000_000;
/// Bytes on the way at that rate in that time.
const BDP_LEN: usize = 250_000;
/// Runs of each kind: one run has good or bad luck.
const SEEDS: u64 = 3;
