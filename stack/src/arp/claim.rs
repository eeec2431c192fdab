//! Our own address on the link (RFC 5227): announced, probed for, defended.
//!
//! ```text
//!   configured ─► announce ─ 1 … 2 s ─► probe, probe, probe ─ 2 s ─► announce      then silence
//!   at any time: someone else speaks for it ─► told, announced again once in 10 s at most
//! ```
//!
//! The RFC has a host wait for seconds before its first packet, and a server is to answer within
//! milliseconds of its start. So the address is used while the probes go out; whoever has it, too,
//! shows by an answer. It is kept then, as RFC 5227 2.4 (c) lets a host that others find by its
//! address, and those who watch are told.

use simoom_ring::MacAddr;

use crate::config;
use crate::time::{Duration, Instant};

/// What goes out for the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Say {
    /// A request for it in its own name.
    Announcement,
    /// A request for it in nobody's name.
    Probe,
}

/// How far the claim has got.
#[derive(Debug)]
pub(super) struct Claim {
    /// What has gone out, of [`STEPS`].
    step: usize,
    due: Instant,
    defended_at: Option<Instant>,
    /// Who else speaks for it, until that is told.
    conflict: Option<MacAddr>,
}

impl Claim {
    pub(super) const fn none() -> Self {
        Self {
            step: STEPS.len(),
            due: Instant::NEVER,
            defended_at: None,
            conflict: None,
        }
    }

    /// There is a new address; its first announcement is due at once.
    pub(super) fn begin(&mut self) {
        *self = Self {
            step: 0,
            due: Instant::ZERO,
            ..Self::none()
        };
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// What is due now; it counts as said. The first of all is said to be that. `mac` is ours:
    /// stations that were switched on together are to probe apart.
    pub(super) fn next(&mut self, now: Instant, mac: MacAddr) -> Option<(Say, bool)> {
        if self.due > now {
            return None;
        }
        let say = STEPS.get(self.step).copied();
        let is_first = self.step == 0;
        self.step = self.step.saturating_add(1);
        self.due = match STEPS.get(self.step) {
            Some(Say::Probe) => now + probe_interval(mac, self.step),
            Some(Say::Announcement) => now + config::ARP_ANNOUNCE_INTERVAL,
            None => Instant::NEVER,
        };
        say.map(|say| (say, is_first))
    }

    /// Someone else speaks for our address. Whether to announce it (RFC 5227 2.4, at most once in
    /// `DEFEND_INTERVAL`); that is also how often it is told.
    pub(super) fn conflict(&mut self, now: Instant, theirs: MacAddr) -> bool {
        let last = self.defended_at;
        if last.is_some_and(|last| now < last + config::ARP_DEFEND_INTERVAL) {
            return false;
        }
        self.defended_at = Some(now);
        self.conflict = Some(theirs);
        true
    }

    /// Who speaks for our address, too: once a defence.
    pub(super) fn take_conflict(&mut self) -> Option<MacAddr> {
        self.conflict.take()
    }
}

/// From `PROBE_MIN` to `PROBE_MAX` (RFC 5227 1.1): by the station and the number of the probe.
fn probe_interval(mac: MacAddr, step: usize) -> Duration {
    let [.., a, b, c] = mac.0;
    let mixed = u64::from_be_bytes([0, 0, 0, 0, a, b, c, u8::try_from(step).unwrap_or(0)]);
    // Knuth's multiplicative hash: the upper bits are mixed best.
    let spread = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44;
    config::ARP_PROBE_MIN + Duration::from_micros(spread.min(config::ARP_PROBE_SPREAD_US))
}

/// In this order, `PROBE_NUM` and `ANNOUNCE_NUM` of them (RFC 5227 1.1).
const STEPS: [Say; 5] = [
    Say::Announcement,
    Say::Probe,
    Say::Probe,
    Say::Probe,
    Say::Announcement,
];
