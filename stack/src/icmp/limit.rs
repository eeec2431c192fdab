//! How many errors we send (RFC 1812 4.3.2.8, RFC 4443 2.4 f).

use crate::config;
use crate::time::Instant;

/// A bucket of tokens: each error that we send takes one, time puts them back.
#[derive(Clone, Debug)]
pub(crate) struct ErrorLimit {
    tokens: u8,
    /// When the newest token was put in.
    filled_at: Instant,
}

impl ErrorLimit {
    /// A full bucket.
    pub(crate) const fn new() -> Self {
        Self {
            tokens: config::ICMP_ERRORS_BURST,
            filled_at: Instant::ZERO,
        }
    }

    /// Whether one more error may go out now; then it counts as gone.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        let interval = config::ICMP_ERROR_INTERVAL.as_micros();
        let earned = now.since(self.filled_at).as_micros() / interval;
        let room = config::ICMP_ERRORS_BURST - self.tokens;
        match u8::try_from(earned) {
            Ok(earned) if earned <= room => {
                self.tokens += earned;
                self.filled_at =
                    self.filled_at + config::ICMP_ERROR_INTERVAL.saturating_mul(earned.into());
            }
            _ => {
                self.tokens = config::ICMP_ERRORS_BURST;
                self.filled_at = now;
            }
        }
        match self.tokens.checked_sub(1) {
            Some(tokens) => {
                self.tokens = tokens;
                true
            }
            None => false,
        }
    }
}
