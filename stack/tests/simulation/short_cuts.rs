//! The short cuts of TCP against the long way: the same seeds, the same bytes on the wire at the
//! same times.

use std::sync::atomic::{AtomicU64, Ordering};

use simoom::Instant;
use simoom_sim::Rng;

use crate::congestion;
use crate::network::{device, habits};
use crate::seeds;
use crate::transfers::World;

/// Segments that have taken a short cut, of all seeds.
static TAKEN: AtomicU64 = AtomicU64::new(0);

#[test]
fn short_cuts_put_the_same_bytes_on_the_wire() {
    seeds::each(600, 10, one_pair);
    // One seed alone, to repeat it, may take few.
    if std::env::var_os("SIMOOM_SEED").is_none() {
        assert!(TAKEN.load(Ordering::Relaxed) > 1_000, "{TAKEN:?}");
    }
}

fn one_pair(seed: u64) {
    let [long, short] = [false, true].map(|short_cuts| capture(seed, short_cuts));
    if long == short {
        return;
    }
    let at = long.iter().zip(&short).take_while(|(a, b)| a == b).count();
    let paths = [("long", long), ("short", short)].map(|(way, capture)| {
        let path = std::env::temp_dir().join(format!("simoom-short_cuts-{seed}-{way}.pcap"));
        std::fs::write(&path, capture).expect("the disk takes it");
        path
    });
    panic!(
        "SIMOOM_SEED={seed} cargo test -p simoom --test simulation short_cuts repeats it; the \
         captures {paths:?} differ at {at}"
    );
}

/// Everything that crosses the wire when this seed is run.
fn capture(seed: u64, short_cuts: bool) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let habits = habits(&mut rng);
    congestion::draw(&mut rng);
    let mut world = World::new(&mut rng, habits, |rng| {
        let mut device = device(rng);
        device.tcp.short_cuts = short_cuts;
        device
    });
    world.wire.record_len_max(1 << 30);
    world.server.stack.listen(80, 16).unwrap();
    // From an intact wire to one that loses much.
    world.set_faults(&mut rng, [0, 1, 5, 20][seed as usize % 4]);
    let conns = 1 + rng.below(8);
    for _ in 0..conns {
        world.client.connect(Instant::ZERO, 1);
    }
    world.run_to_the_end();
    let taken = [&world.server, &world.client].map(|host| host.stack.counters().tcp_short_cuts);
    assert!(short_cuts || taken == [0, 0]);
    TAKEN.fetch_add(taken.iter().sum(), Ordering::Relaxed);
    let mut bytes = Vec::new();
    world.wire.write_pcap(&mut bytes).expect("memory takes it");
    world.check(conns);
    bytes
}
