//! The wires: what goes wrong on them, the same for whoever sends.

use simoom_sim::{Chance, CorruptScope, Delay, Faults};

/// A kind of wire. Both directions have the same faults: data and acknowledgments are lost alike.
#[derive(Debug)]
pub(crate) struct WireKind {
    /// What a row of a table says.
    pub(crate) name: &'static str,
    /// The same as part of a file's name.
    pub(crate) tag: &'static str,
    /// One way, without queueing and jitter, in microseconds.
    pub(crate) delay_us: u64,
    /// Largest further delay. Frames stay in order.
    pub(crate) jitter_us: u64,
    pub(crate) loss: Chance,
    pub(crate) duplicate: Chance,
    pub(crate) reorder: Chance,
    pub(crate) corrupt: Chance,
    /// What goodput over Linux reno's is asked for.
    pub(crate) bar: Option<f64>,
}

impl WireKind {
    /// The faults of one direction.
    pub(crate) fn faults(&self) -> Faults {
        Faults::none()
            .bandwidth(BITS_PER_S, self.queue_len_max())
            .delay(Delay::Uniform(
                self.delay_us,
                self.delay_us + self.jitter_us,
            ))
            .loss(self.loss)
            .duplicate(self.duplicate)
            .reorder(self.reorder, REORDER_US)
            .corrupt(self.corrupt)
            // Bytes must come as they were sent: no damage that no checksum can see.
            .corrupt_scope(CorruptScope::Checksummed)
    }

    /// Bytes in front of the bottleneck: as many as are on the way there and back.
    fn queue_len_max(&self) -> usize {
        usize::try_from(BITS_PER_S / 8 * 2 * self.delay_us / 1_000_000).unwrap_or(usize::MAX)
    }
}

const CLEAN: WireKind = WireKind {
    name: "clean",
    tag: "clean",
    delay_us: 10_000,
    jitter_us: 0,
    loss: Chance::NEVER,
    duplicate: Chance::NEVER,
    reorder: Chance::NEVER,
    corrupt: Chance::NEVER,
    bar: Some(1.0),
};

/// Every wire: 100 Mbit/s, 10 ms each way unless it says otherwise.
pub(crate) static WIRES: [WireKind; 5] = [
    CLEAN,
    WireKind {
        name: "1 % loss",
        tag: "loss1",
        loss: Chance::percent(1),
        bar: Some(1.2),
        ..CLEAN
    },
    WireKind {
        name: "5 % loss",
        tag: "loss5",
        loss: Chance::percent(5),
        bar: None,
        ..CLEAN
    },
    WireKind {
        name: "mixed",
        tag: "mixed",
        jitter_us: 2_000,
        loss: Chance::percent(1),
        duplicate: Chance::percent(1),
        reorder: Chance::percent(3),
        corrupt: Chance::percent(1),
        bar: Some(1.5),
        ..CLEAN
    },
    WireKind {
        name: "40 ms, 0.1 % loss",
        tag: "rtt40",
        delay_us: 20_000,
        loss: Chance::ppm(1_000),
        bar: Some(1.5),
        ..CLEAN
    },
];

const BITS_PER_S: u64 = 100_000_000;
/// A frame that others overtake is this late at most: some tens of frames at full rate.
const REORDER_US: u64 = 4_000;
