//! Devices that cut super-segments wrongly, all or those beyond a length: every transfer completes,
//! and soon there is nothing more to cut that does not arrive. A wire that only loses is not taken
//! for such a device.

use simoom::tcp::Settings;
use simoom::tcp::cc::Algorithm;
use simoom::{Counters, Instant};
use simoom_ring::MacAddr;
use simoom_sim::{Chance, CorruptScope, Cutting, Delay, Faults, PortConfig, Rng};

use crate::congestion;
use crate::memory::Sizes;
use crate::seeds::Report;
use crate::transfers::World;
use crate::world::{Device, Habits};

/// What one transfer is made over.
struct Way {
    cutting: Cutting,
    right_up_to: usize,
    faults: Faults,
    sack: bool,
    /// Connections, one after the other, with so many requests each, of so many bytes at most.
    conns: u32,
    requests: u32,
    len_max: u64,
}

impl Way {
    /// Over a wire that does nothing but take its time.
    fn clean(
        (cutting, right_up_to): (Cutting, usize),
        sack: bool,
        (conns, requests, len_max): (u32, u32, u64),
    ) -> Self {
        Self {
            cutting,
            right_up_to,
            faults: clean(),
            sack,
            conns,
            requests,
            len_max,
        }
    }
}

/// Downloads over a device; what the server counts, and how many seconds it took.
fn downloads(way: &Way, seed: u64) -> (Counters, f64) {
    let tcp = Settings {
        sack: way.sack,
        ..Settings::default()
    };
    let config = PortConfig {
        rx_slots: 256,
        tx_slots: 256,
        cutting: way.cutting,
        cutting_right_up_to: way.right_up_to,
        ..PortConfig::offloads(MacAddr([0; 6]))
    };
    let device = |_: &mut Rng| Device {
        config,
        frames: 2_048,
        sizes: Sizes::SMALL,
        tcp,
    };
    let habits = Habits {
        requests: way.requests,
        len_max: way.len_max,
        ..Habits::PLAIN
    };
    congestion::set(&[Algorithm::Cubic]);
    let mut world = World::new(&mut Rng::new(seed), habits, device);
    let wire = world.wire.clone();
    let _report = Report::new(&wire, "cuts", seed);
    world.server.stack.listen(80, 4).unwrap();
    for end in [world.server.port.end(), world.client.port.end()] {
        wire.set_faults(end, way.faults.clone());
    }
    for _ in 0..way.conns {
        let now = Instant::from_micros(wire.now_us());
        world.client.connect(now, 1);
        assert!(world.run(Instant::from_micros(wire.now_us() + 2_000_000_000)));
    }
    let asked = u64::from(way.conns * way.requests);
    assert_eq!(world.tally.borrow().answered, asked, "{:?}", way.cutting);
    let counters = world.server.stack.counters().clone();
    (counters, wire.now_us() as f64 / 1e6)
}

fn clean() -> Faults {
    Faults::none().delay(Delay::Fixed(2_000))
}

/// One long download; and many short ones, each on a connection of its own. A few flights are lost,
/// and after them nothing: what comes then goes as fast as without the device.
#[test]
fn a_device_that_cuts_wrongly_is_found_out() {
    for cutting in Cutting::WRONG {
        for (sack, conns, requests, len_max) in [
            (true, 1, 8, 500_000),
            (true, 30, 1, 40_000),
            (false, 1, 8, 500_000),
        ] {
            let way = Way::clean((cutting, 0), sack, (conns, requests, len_max));
            let (counters, secs) = downloads(&way, 1);
            let Counters {
                tcp_super_segments,
                tcp_timeouts,
                segmentation_fallbacks,
                ..
            } = counters;
            println!(
                "{cutting:?}, sack {sack}, {conns} connections: {secs:.2} s, {tcp_super_segments} \
                 super-segments, {tcp_timeouts} timeouts"
            );
            assert_eq!(segmentation_fallbacks, 1, "{cutting:?}");
            assert!(tcp_super_segments <= 60, "{tcp_super_segments}");
            // With SACK the others tell of a loss; without, what ends a flight is waited for.
            assert!(secs < 20.0, "{secs}");
        }
    }
}

/// A device that earns trust with short super-segments, and then gets longer ones. Those that it
/// can cut it goes on to get.
#[test]
fn a_device_that_cuts_long_ones_wrongly_gets_them_no_more() {
    for cutting in Cutting::WRONG {
        for (right_up_to, sack, conns, requests, len_max) in [
            (20_000, true, 1, 40, 1_000_000),
            (40_000, true, 1, 40, 1_000_000),
            (20_000, true, 60, 2, 200_000),
            (20_000, false, 1, 40, 1_000_000),
        ] {
            let way = Way::clean((cutting, right_up_to), sack, (conns, requests, len_max));
            let (counters, secs) = downloads(&way, 1);
            let Counters {
                tcp_super_segments,
                tcp_retransmits,
                segmentation_fallbacks,
                ..
            } = counters;
            println!(
                "{cutting:?} beyond {right_up_to}, sack {sack}, {conns} connections: {secs:.2} s, \
                 {tcp_super_segments} super-segments, {tcp_retransmits} segments again"
            );
            assert_eq!(segmentation_fallbacks, 1, "{cutting:?}");
            assert!(tcp_super_segments > 400, "{tcp_super_segments}");
            assert!(tcp_retransmits <= 300, "{tcp_retransmits}");
            assert!(secs < 10.0, "{secs}");
        }
    }
}

/// Wires that lose, from a little to far too much, and in every other way that there is: in none of
/// these runs may more than a few be taken for the device's fault.
#[test]
fn a_wire_that_loses_is_not_the_device() {
    let percent = Chance::percent;
    let wires = [
        ("1 %", clean().loss(percent(1))),
        ("3 %", clean().loss(percent(3))),
        ("10 %", clean().loss(percent(10))),
        (
            "mixed",
            clean()
                .loss(percent(1))
                .duplicate(percent(1))
                .reorder(percent(3), 4_000)
                .corrupt(percent(1))
                .corrupt_scope(CorruptScope::Checksummed),
        ),
        ("narrow", clean().bandwidth(20_000_000, 30_000)),
        ("narrow, short queue", clean().bandwidth(20_000_000, 12_000)),
        (
            "outages",
            clean()
                .blackout(50_000, 900_000)
                .blackout(1_000_000, 3_000_000),
        ),
    ];
    for (name, faults) in wires {
        let mut taken = 0;
        for seed in 0..RUNS {
            let way = Way {
                cutting: Cutting::Right,
                right_up_to: 0,
                faults: faults.clone(),
                // Without SACK, too much loss is not survived at all.
                sack: seed % 4 != 0 || name == "10 %",
                conns: 10,
                requests: 2,
                len_max: 200_000,
            };
            let (counters, _) = downloads(&way, seed);
            assert!(counters.tcp_super_segments > 0);
            taken += counters.segmentation_fallbacks;
        }
        println!("{name}: {taken} of {RUNS} devices given up");
        let most = if name == "10 %" { RUNS / 20 } else { RUNS / 50 };
        assert!(taken <= most, "{name}: {taken} of {RUNS}");
    }
}

/// Networks of each kind.
const RUNS: u64 = 60;
