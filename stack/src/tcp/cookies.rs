//! SYN cookies (RFC 4987 3.6): when the SYN queue is full, the SYN-ACK carries what its entry would
//! have kept, and the acknowledgment brings it back.
//!
//! ```text
//!   ISS    │ 5 bits: keyed hash of four-tuple, │ 24 bits: the same │ 3 bits: MSS, out of │
//!          │         time, MSS                 │          with IRS │         a table     │
//!   TSval  │ 26 bits: our clock          │ 1: ECN │ 1: SACK │ 4: window scale │
//! ```
//!
//! A cookie comes back in the segment that follows the SYN, whose sequence number tells IRS. When
//! later ones overtake it, only the first hash is right: such a segment says that we have sent the
//! cookie, but not where the stream begins. It is dropped in silence, as if lost: an RST, the
//! answer to any other stranger, would end a connection that the next segment may complete. One
//! stranger in 16 is taken for that, and gets its RST when the hash changes; one early segment in
//! 2^24 for the first, which is the more bits, and still better than the checksum.
//!
//! Where the peer offers no timestamps, the connection has neither SACK nor a scaled window. A
//! cookie is good for one to two minutes, and only within that time of one having been sent: a
//! guess has a chance of 2 in 2^29, and none at all while there is no flood.

use core::hash::Hasher;

use siphasher::sip::SipHasher24;

use crate::tcp::ecn::Ecn;
use crate::tcp::seqnum::{SeqNum, WndScale};
use crate::tcp::tuple::Tuple;
use crate::time::{Duration, Instant};

/// The secret, and when it was used last.
pub(crate) struct Cookies {
    key: SipHasher24,
    last_at: Option<Instant>,
}

/// What an acknowledgment of what might be a cookie is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// A cookie of ours that is still good, and the MSS that it carries.
    Good(u16),
    /// A cookie of ours for the two endpoints, by a segment that does not follow the SYN.
    Ahead,
    /// None, or too old.
    Bad,
}

/// The options that a timestamp carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Carried {
    pub(crate) wscale: Option<WndScale>,
    pub(crate) is_sack_permitted: bool,
    pub(crate) ecn: Ecn,
}

impl Cookies {
    pub(crate) fn new(key: SipHasher24) -> Self {
        Self { key, last_at: None }
    }

    /// The ISS that answers a SYN of sequence number `irs` from a peer that takes segments of
    /// `smss` bytes.
    pub(crate) fn iss(&mut self, tuple: Tuple, irs: SeqNum, smss: u16, now: Instant) -> SeqNum {
        self.last_at = Some(now);
        let mss_idx = MSS_TABLE
            .iter()
            .rposition(|mss| *mss <= smss)
            .map_or(0, |idx| idx as u32);
        self.seal(tuple, irs, mss_idx, period(now))
    }

    /// Whether any cookie could be good.
    pub(crate) fn are_good(&self, now: Instant) -> bool {
        self.last_at.is_some_and(|at| now.since(at) <= GOOD)
    }

    /// Whether `iss` is a cookie of ours that is still good, when `irs` comes before the segment
    /// that brings it.
    pub(crate) fn check(&self, tuple: Tuple, irs: SeqNum, iss: SeqNum, now: Instant) -> Checked {
        let mss_idx = iss.0 & MSS_MASK;
        let Some(mss) = MSS_TABLE.get(mss_idx as usize) else {
            return Checked::Bad;
        };
        if !self.are_good(now) {
            return Checked::Bad;
        }
        let now = period(now);
        let differ_in = [now, now.wrapping_sub(1)]
            .map(|period| self.seal(tuple, irs, mss_idx, period).0 ^ iss.0);
        if differ_in.contains(&0) {
            Checked::Good(*mss)
        } else if differ_in.iter().any(|bits| bits & !IRS_MASK == 0) {
            Checked::Ahead
        } else {
            Checked::Bad
        }
    }

    fn seal(&self, tuple: Tuple, irs: SeqNum, mss_idx: u32, period: u64) -> SeqNum {
        let mut hasher = self.key;
        hasher.write(&tuple.bytes());
        hasher.write_u64(period);
        hasher.write_u32(mss_idx);
        // The low bits of a hash are as good as any.
        let of_ends = hasher.finish() as u32;
        hasher.write_u32(irs.0);
        let with_irs = hasher.finish() as u32;
        SeqNum(of_ends & ENDS_MASK | with_irs & IRS_MASK | mss_idx)
    }
}

impl Carried {
    /// Puts the options into the low bits of a TSval, which is never ahead of the clock for it.
    pub(crate) fn into_ts(self, val: u32) -> u32 {
        let wscale = self.wscale.map_or(NO_WSCALE, |wscale| wscale.get().into());
        let sack = if self.is_sack_permitted { SACK_BIT } else { 0 };
        let ecn = if self.ecn.is_on() { ECN_BIT } else { 0 };
        let carried = wscale | sack | ecn;
        let coarse = val & !CARRIED_MASK;
        if carried > val & CARRIED_MASK {
            coarse.wrapping_sub(CARRIED_MASK + 1) | carried
        } else {
            coarse | carried
        }
    }

    /// Reads them from a TSecr.
    pub(crate) fn from_ts(ecr: u32) -> Self {
        let shift = ecr & NO_WSCALE;
        Self {
            // Four bits.
            wscale: (shift != NO_WSCALE).then_some(WndScale::from_wire(shift as u8)),
            is_sack_permitted: ecr & SACK_BIT != 0,
            ecn: Ecn::agreed(ecr & ECN_BIT != 0),
        }
    }
}

fn period(now: Instant) -> u64 {
    now.as_micros() / PERIOD.as_micros()
}

/// The segment sizes that a cookie can say: the largest that is not larger than the peer's. The
/// least; those of RFC 9293, of IPv6, of tunnels, of PPPoE and Ethernet; jumbo frames.
const MSS_TABLE: [u16; 8] = [
    crate::config::MSS_MIN,
    crate::config::MSS_DEFAULT,
    1_220,
    1_360,
    1_400,
    1_440,
    1_460,
    8_960,
];
const MSS_MASK: u32 = 7;
const IRS_MASK: u32 = ((1 << 27) - 1) & !MSS_MASK;
const ENDS_MASK: u32 = !(IRS_MASK | MSS_MASK);

/// How often the hash changes: a cookie is good for one to two of these.
const PERIOD: Duration = Duration::from_secs(64);
const GOOD: Duration = Duration::from_secs(128);

/// What the low bits of a TSval carry.
const CARRIED_MASK: u32 = 0x3f;
const ECN_BIT: u32 = 0x20;
const SACK_BIT: u32 = 0x10;
const NO_WSCALE: u32 = 0x0f;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{Endpoint, FourTuple};
    use crate::testing::{OUR_IP, PEER_IP, v4};

    const IRS: SeqNum = SeqNum(77);

    fn tuple(port: u16) -> Tuple {
        let tuple = FourTuple {
            local: Endpoint::new(v4(OUR_IP), 80),
            remote: Endpoint::new(v4(PEER_IP), port),
        };
        Tuple::new(&tuple).expect("IPv4")
    }

    fn at(secs: u64) -> Instant {
        Instant::from_micros(secs * 1_000_000)
    }

    fn cookies() -> Cookies {
        Cookies::new(SipHasher24::new_with_keys(1, 3))
    }

    #[test]
    fn a_cookie_brings_back_the_mss_that_fits() {
        for (offered, expected) in [
            (60, 64),
            (535, 64),
            (536, 536),
            (1_459, 1_440),
            (9_000, 8_960),
        ] {
            let mut cookies = cookies();
            let iss = cookies.iss(tuple(1), IRS, offered, at(5));
            let checked = cookies.check(tuple(1), IRS, iss, at(5));
            assert_eq!(checked, Checked::Good(expected));
        }
    }

    #[test]
    fn a_cookie_is_good_for_its_connection_and_its_time_only() {
        let mut cookies = cookies();
        let iss = cookies.iss(tuple(1), IRS, 1_460, at(63));
        let (good, ahead) = (Checked::Good(1_460), Checked::Ahead);
        for (tuple, irs, iss, secs, expected) in [
            (tuple(1), IRS, iss, 63, good),
            (tuple(1), IRS, iss, 127, good),
            (tuple(1), IRS, iss, 128, Checked::Bad),
            (tuple(2), IRS, iss, 63, Checked::Bad),
            (tuple(1), IRS + 1, iss, 63, ahead),
            (tuple(1), IRS + 1_460, iss, 127, ahead),
            (tuple(1), IRS + 1_460, iss, 128, Checked::Bad),
            (tuple(2), IRS + 1_460, iss, 63, Checked::Bad),
            (tuple(1), IRS, iss + 1, 63, Checked::Bad),
            (tuple(1), IRS, iss + (1 << 27), 63, Checked::Bad),
        ] {
            let checked = cookies.check(tuple, irs, iss, at(secs));
            assert_eq!(checked, expected, "{tuple:?} {irs:?} {iss:?} {secs}");
        }
    }

    /// What is neither a cookie nor early is refused at once, but for one of sixteen.
    #[test]
    fn few_strangers_are_taken_for_early() {
        let mut cookies = cookies();
        cookies.iss(tuple(1), IRS, 1_460, at(5));
        let guess = |n: u32| SeqNum(n.wrapping_mul(0x9e37_79b9));
        let checked = |n| cookies.check(tuple(2), IRS, guess(n), at(5));
        let early = (0..100_000).filter(|n| checked(*n) != Checked::Bad).count();
        // Two periods, 5 bits.
        assert!((5_800..6_700).contains(&early), "{early}");
    }

    #[test]
    fn no_guess_is_right_while_no_cookie_was_sent() {
        let mut used = cookies();
        let iss = used.iss(tuple(1), IRS, 1_460, at(5));
        assert_eq!(cookies().check(tuple(1), IRS, iss, at(5)), Checked::Bad);
        assert_eq!(used.check(tuple(1), IRS, iss, at(5 + 129)), Checked::Bad);
    }

    #[test]
    fn a_timestamp_carries_the_options_and_is_never_ahead() {
        for shift in 0..=15 {
            for bits in 0..4 {
                let wscale = (shift < 15).then_some(WndScale::from_wire(shift));
                let carried = Carried {
                    wscale,
                    is_sack_permitted: bits & 1 != 0,
                    ecn: Ecn::agreed(bits & 2 != 0),
                };
                for val in [0, 63, 64, 1_000, 1_023, u32::MAX] {
                    let ts = carried.into_ts(val);
                    assert!(val.wrapping_sub(ts) <= 64, "{val} {ts}");
                    let expected = Carried {
                        wscale: wscale.map(|wscale| WndScale::from_wire(wscale.get())),
                        ..carried
                    };
                    assert_eq!(Carried::from_ts(ts), expected);
                }
            }
        }
    }
}
