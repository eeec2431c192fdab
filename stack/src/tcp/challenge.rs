//! The throttle of challenge ACKs (RFC 5961 7): someone who guesses must not make us send at will,
//! nor learn from what we no longer send.

use crate::config::CHALLENGE_ACKS_PER_SEC;
use crate::random::Random;
use crate::time::Instant;

/// How many challenge ACKs may still go out in this second, for all connections together.
///
/// A fixed limit would tell an attacker on another connection whether his guess was answered
/// (CVE-2016-5696), so each second has another.
#[derive(Clone, Debug)]
pub(crate) struct ChallengeLimit {
    left: u32,
    second: u64,
    random: Random,
}

impl ChallengeLimit {
    pub(crate) fn new(random: Random) -> Self {
        Self {
            left: 0,
            second: u64::MAX,
            random,
        }
    }

    /// Whether one more may go out now; then it counts as gone.
    pub(crate) fn allows(&mut self, now: Instant) -> bool {
        let second = now.as_micros() / 1_000_000;
        if second != self.second {
            self.second = second;
            // Between half of the rate and one and a half times the rate: a u32 holds it.
            let spread = self.random.below(CHALLENGE_ACKS_PER_SEC.into()) as u32;
            self.left = CHALLENGE_ACKS_PER_SEC / 2 + spread;
        }
        let is_allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn each_second_has_a_limit_of_its_own() {
        let mut limit = ChallengeLimit::new(Random::new(1));
        let allowed: Vec<usize> = (0..20)
            .map(|second| {
                let now = Instant::from_micros(second * 1_000_000 + 7);
                (0..10_000).filter(|_| limit.allows(now)).count()
            })
            .collect();
        let rate = CHALLENGE_ACKS_PER_SEC as usize;
        let range = rate / 2..rate * 3 / 2;
        assert!(allowed.iter().all(|cnt| range.contains(cnt)), "{allowed:?}");
        assert!(allowed.iter().any(|cnt| *cnt != allowed[0]), "{allowed:?}");
    }
}
