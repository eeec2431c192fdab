//! What a connection may cost, and how often somebody wanted more.

use simoom::Duration;

/// Bounds on connections. Those on requests are [`crate::http::Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections in all; more are reset at once.
    pub conns_max: u32,
    /// Connections from one address; more are reset at once. Addresses are counted in as many
    /// counters as there is memory for, so a few may share one.
    pub conns_per_addr_max: u32,
    /// Time to the first byte of the first request; then the connection is closed.
    pub first_byte: Duration,
    /// Time for the head of a request to arrive; then it is answered with 408.
    pub head: Duration,
    /// Time between an answer and the next request; then the connection is closed. When
    /// connections or frames are short, idle ones are reset when they are looked at.
    pub idle: Duration,
    /// Bytes a second that a client must take of an answer, over a time of [`idle`](Self::idle);
    /// then the connection is reset.
    pub rate_min: u32,
}

impl Bounds {
    /// nginx's times where it has them.
    pub const DEFAULT: Self = Self {
        conns_max: u32::MAX,
        conns_per_addr_max: u32::MAX,
        first_byte: Duration::from_secs(60),
        head: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        rate_min: 100,
    };

    /// How often a connection is looked at: times are kept to this.
    pub(super) fn look(&self) -> Duration {
        let shortest = self.first_byte.as_micros().min(self.idle.as_micros());
        Duration::from_micros((shortest / 8).clamp(LOOK_MIN_US, LOOK_MAX_US))
    }

    /// Whether so many connections are so many that idle ones have to go: seven of eight.
    pub(super) fn is_short(&self, conn_cnt: u32) -> bool {
        conn_cnt > self.conns_max - self.conns_max / 8
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self::DEFAULT
    }
}

const LOOK_MIN_US: u64 = 100_000;
const LOOK_MAX_US: u64 = 10_000_000;

/// What has happened on all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Connections accepted, those that were reset at once not counted.
    pub accepted: u64,
    /// Answers given.
    pub answered: u64,
    /// Of these, with 4xx or 5xx.
    pub errors: u64,
    /// Of these, because a request was malformed (400).
    pub malformed: u64,
    /// Of these, because a head was too long or had too many fields (414, 431).
    pub heads_too_large: u64,
    /// Of these, because a request body was too long (413).
    pub bodies_too_large: u64,
    /// Of these, because there was no memory for a head that straddles frames (503).
    pub scratches_short: u64,
    /// Of these, because a head took too long (408).
    pub heads_slow: u64,
    /// Connections reset because there were too many.
    pub conns_refused: u64,
    /// Connections reset because there were too many from their address.
    pub conns_per_addr_refused: u64,
    /// Connections closed with their last allowed request.
    pub requests_used_up: u64,
    /// Connections closed because a request body was malformed.
    pub bodies_malformed: u64,
    /// Connections closed because no request came at all.
    pub first_bytes_slow: u64,
    /// Connections closed because no further request came.
    pub idle_closed: u64,
    /// Idle connections reset because connections were short.
    pub idle_evicted: u64,
    /// Connections reset because frames were short: idle ones, and those with a part of a head.
    pub ended_for_frames: u64,
    /// Connections reset because the client took an answer too slowly.
    pub sends_slow: u64,
    /// Connections reset because the client went on, or did not close, after the last answer.
    pub lingers_cut: u64,
    /// Requests for several ranges answered with the whole file, because there was no memory.
    pub parts_short: u64,
}
