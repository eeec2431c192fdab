//! Keep-alives (RFC 9293 3.8.4) and the user timeout (RFC 5482): how long a silent far side is
//! believed to be there.

use crate::tcp::deadline::Deadline;
use crate::time::{Duration, Instant};

/// How an idle connection asks whether the far side is still there. Off unless it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Silence before the first probe; kept in whole seconds, at most 18 hours. RFC 9293 wants two
    /// hours unless somebody says otherwise (MUST-28).
    pub idle: Duration,
    /// Time between probes; kept in whole seconds.
    pub interval: Duration,
    /// Probes that may stay unanswered: a lost one proves nothing (MUST-29).
    pub probes: u8,
}

impl Default for KeepAlive {
    /// Two hours, then nine probes 75 seconds apart: what BSD and Linux do.
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(7_200),
            interval: Duration::from_secs(75),
            probes: 9,
        }
    }
}

/// The keep-alive of one connection.
#[derive(Clone, Copy, Debug)]
#[repr(C, packed(2))]
pub(crate) struct Keep {
    /// `Keep`.
    pub(crate) at: Deadline,
    idle_secs: u16,
    interval_secs: u16,
    /// 0: off.
    probes_max: u8,
    probes: u8,
}

/// What is to be done when the time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Probe,
    GiveUp,
}

impl Keep {
    pub(crate) const OFF: Self = Self {
        at: Deadline::NEVER,
        idle_secs: 0,
        interval_secs: 0,
        probes_max: 0,
        probes: 0,
    };

    /// Asks for keep-alives, or takes that back.
    pub(crate) fn set(&mut self, keep: Option<KeepAlive>, now: Instant) {
        *self = Self::OFF;
        if let Some(keep) = keep {
            self.idle_secs = whole_secs(keep.idle);
            self.interval_secs = whole_secs(keep.interval);
            self.probes_max = keep.probes.max(1);
            self.heard(now);
        }
    }

    /// The far side has spoken.
    #[inline]
    pub(crate) fn heard(&mut self, now: Instant) {
        if self.probes_max > 0 {
            self.at = Deadline::after(now, Duration::from_secs(self.idle_secs.into()));
            self.probes = 0;
        }
    }

    /// The time has come. While something is in flight, its retransmissions ask the same.
    pub(crate) fn fire(&mut self, is_idle: bool, now: Instant) -> Option<Verdict> {
        if !is_idle {
            self.heard(now);
            return None;
        }
        if self.probes >= self.probes_max {
            return Some(Verdict::GiveUp);
        }
        self.probes += 1;
        self.at = Deadline::after(now, Duration::from_secs(self.interval_secs.into()));
        Some(Verdict::Probe)
    }
}

fn whole_secs(time: Duration) -> u16 {
    let secs = time.as_millis().div_ceil(1_000);
    u16::try_from(secs).unwrap_or(u16::MAX).max(1)
}
