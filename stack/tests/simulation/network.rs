//! Devices, networks and habits, drawn from a seed.

use simoom::config::FRAMES_RESERVED;
use simoom::tcp::{EcnUse, Settings};
use simoom_ring::MacAddr;
use simoom_sim::{Chance, CorruptScope, Delay, Faults, PortConfig, Rng, RxCsum};

use crate::memory::Sizes;
use crate::world::{Device, Habits};

/// One of several.
pub(crate) fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.below(from.len() as u64) as usize]
}

/// A device out of the range that drivers have, with a pool from ample to hardly enough.
pub(crate) fn device(rng: &mut Rng) -> Device {
    let nobody = MacAddr([0; 6]);
    let mut config = if rng.below(2) == 0 {
        PortConfig::plain(nobody)
    } else {
        PortConfig::offloads(nobody)
    };
    config.mtu = pick(rng, &[1_500, 1_500, 1_500, 576, 296, 1_492, MTU_MIN]);
    config.fragments_max = 1 + rng.below(4) as usize;
    config.tx_slots = config.fragments_max + rng.below(30) as usize;
    config.rx_slots = pick(rng, &[4, 8, 16, 32, 63]);
    config.completion_us = rng.below(3) * rng.below(200);
    config.rx_csum = pick(rng, &[RxCsum::Unknown, RxCsum::Verify, RxCsum::Partial]);
    // Beside what waits in the receive ring and what stays out of reach: windows may be tiny.
    let spare = pick(rng, &[200, 200, 32, 12]);
    let mut device = Device {
        config,
        frames: config.rx_slots + FRAMES_RESERVED as usize + spare,
        sizes: Sizes::SMALL,
        tcp: Settings::default(),
    };
    device.sizes.flights = pick(rng, &[64, 64, 64, 2, 0]);
    device.sizes.sent = pick(rng, &[512, 512, 8]);
    device.tcp.sack = rng.below(4) != 0;
    device.tcp.timestamps = rng.below(4) != 0;
    device.tcp.ecn = pick(rng, &[EcnUse::Ask, EcnUse::Accept, EcnUse::Never]);
    device
}

/// The MTU that leaves room for the least MSS.
pub(crate) const MTU_MIN: u16 = 104;

/// A network out of the range from fine to hopeless, with at most so much loss.
pub(crate) fn faults(rng: &mut Rng, loss_percent_max: u64) -> Faults {
    let percent = |rng: &mut Rng, most: u64| Chance::percent(rng.below(most + 1) as u32);
    let rtt_us = pick(rng, &[20, 200, 5_000, 40_000]);
    let mut faults = Faults::none()
        .delay(delay(rng, rtt_us))
        .corrupt_scope(CorruptScope::Checksummed);
    if rng.below(4) != 0 {
        faults = faults
            .loss(percent(rng, loss_percent_max))
            .duplicate(percent(rng, 5))
            .reorder(percent(rng, 10), 3 * rtt_us + 100)
            .corrupt(percent(rng, 5))
            .corrupt_len(percent(rng, 3));
    }
    if rng.below(4) == 0 {
        faults = faults.jump(Chance::ppm(2_000), 700_000);
    }
    for _ in 0..[0, 0, 0, 1, 3][rng.below(5) as usize] {
        let start_us = rng.below(3_000_000);
        faults = faults.blackout(start_us, start_us + rng.below(4_000_000));
    }
    if rng.below(3) == 0 {
        faults = faults.bandwidth(1_000_000 + rng.below(100_000_000), 20_000);
    }
    if rng.below(3) == 0 {
        faults = faults.mark(percent(rng, 50));
    }
    faults
}

fn delay(rng: &mut Rng, rtt_us: u64) -> Delay {
    match rng.below(3) {
        0 => Delay::Fixed(rtt_us),
        1 => Delay::Uniform(rtt_us / 2, rtt_us),
        _ => Delay::Exponential {
            min_us: rtt_us / 2,
            mean_us: rtt_us / 2,
        },
    }
}

/// What both applications do.
pub(crate) fn habits(rng: &mut Rng) -> Habits {
    Habits {
        requests: 1 + rng.below(20) as u32,
        len_max: pick(rng, &[10, 3_000, 100_000]),
        pipeline: 1 + rng.below(6) as u32,
        uploads_permille: pick(rng, &[0, 0, 500, 1_000]),
        stalls_permille: pick(rng, &[0, 0, 50]),
        stall_us_max: pick(rng, &[1_000, 300_000, 20_000_000]),
        aborts_permille: pick(rng, &[0, 0, 0, 5]),
        leaves_permille: pick(rng, &[0, 0, 0, 0, 5]),
        is_half_closing: rng.below(4) == 0,
        is_server_first: rng.below(3) == 0,
    }
}
