//! Loss by chance, told from congestion by how long the path takes (as in Fu, Liew: "TCP Veno: TCP
//! Enhancement for Transmission Over Wireless Access Networks", IEEE JSAC 21(2), 2003).
//!
//! ```text
//!   congestion: the queue was full                chance: none stood
//!   RTT ┤        ,/|   recent                     RTT ┤
//!       │      ,/  | ,/                               │   ×    ×      ×
//!       │ ── ─/─ ─ ─/─ ─ least                        │ ─ ── ─ ── ─ ── least = recent
//!       └────────────────► t                          └────────────────► t
//! ```
//!
//! A router drops packets when its queue is full, and what goes through a queue takes longer. The
//! least time of a round trip is compared with the least that was ever seen, so that jitter, and
//! acknowledgments that are held back, do not look like a queue.

/// How long packets are on the way, as far as it is known when something is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delays {
    /// The least round-trip time for as long as something has been in flight without a pause (five
    /// minutes at most), in microseconds; zero while too little was measured to judge by.
    pub least_us: u32,
    /// The least in this round trip and the last, in microseconds.
    pub recent_us: u32,
}

impl Delays {
    /// Too little has been measured.
    pub const UNKNOWN: Self = Self {
        least_us: 0,
        recent_us: 0,
    };

    /// Whether a loss with `in_flight` bytes under way was by chance: none but a short queue can
    /// have stood in front of what was lost.
    pub fn tell_chance(self, in_flight: u32, smss: u16) -> bool {
        let Self {
            least_us,
            recent_us,
        } = self;
        if least_us == 0 {
            return false;
        }
        let queue_us = recent_us.saturating_sub(least_us);
        // Veno's N, in bytes: of what is in flight, the part that waits.
        let waiting = u64::from(in_flight) * u64::from(queue_us);
        let most = u64::from(smss) * WAITING_MAX * u64::from(recent_us);
        // Of many flows, each has little in a queue that is full: together they make it long.
        waiting < most && queue_us < least_us / QUEUE_DIVISOR
    }
}

/// Segments that may wait without being taken for a full queue: Veno's beta.
const WAITING_MAX: u64 = 3;

/// The part of a round trip that a queue may be long: what HyStart++ leaves slow start for, too
/// (RFC 9406 4.3).
const QUEUE_DIVISOR: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is_chance(least_us: u32, recent_us: u32, segments: u32) -> bool {
        let delays = Delays {
            least_us,
            recent_us,
        };
        delays.tell_chance(segments * 1_000, 1_000)
    }

    #[test]
    fn without_a_queue_a_loss_is_chance() {
        for segments in [0, 1, 10, 1_000, 1_000_000] {
            assert!(is_chance(20_000, 20_000, segments));
        }
        // The clock of the path may have been reset: less than the least is no queue either.
        assert!(is_chance(20_000, 19_000, 10));
    }

    #[test]
    fn three_segments_that_wait_are_a_queue() {
        // 30 * 2 / 22 = 2.7, and 33 * 2 / 22 = 3.
        assert!(is_chance(20_000, 22_000, 30) && !is_chance(20_000, 22_000, 33));
    }

    #[test]
    fn an_eighth_of_the_round_trip_is_a_queue_whoever_fills_it() {
        assert!(is_chance(20_000, 22_499, 2) && !is_chance(20_000, 22_500, 2));
    }

    #[test]
    fn nothing_known_or_absurd_is_congestion() {
        assert!(!Delays::UNKNOWN.tell_chance(10_000, 1_000));
        assert!(!is_chance(1, 1, 10), "a clock that does not resolve it");
        assert!(!is_chance(1, u32::MAX, 4_000_000));
        assert!(!is_chance(u32::MAX / 2, u32::MAX, 1));
    }
}
