//! SYN cookies (RFC 4987 3.6): when the SYN queue is full, the SYN-ACK carries what its entry would
//! have kept, and the acknowledgment brings it back.
//!
//! ```text
//!   ISS    │ 29 bits: keyed hash of four-tuple, IRS, time, MSS │ 3 bits: MSS, out of a table │
//!   TSval  │ 26 bits: our clock                    │ 1: ECN │ 1: SACK │ 4: window scale      │
//! ```
//!
//! Where the peer offers no timestamps, the connection has neither SACK nor a scaled window. A
//! cookie is good for one to two minutes, and only within that time of one having been sent: a
//! guess has a chance of 2 in 2^29, and none at all while there is no flood.

use core::hash::Hasher;

use siphasher::sip::SipHasher24;

use crate::addr::FourTuple;
use crate::tcp::ecn::Ecn;
use crate::tcp::seqnum::{SeqNum, WndScale};
use crate::time::{Duration, Instant};

/// The secret, and when it was used last.
pub(crate) struct Cookies {
    key: SipHasher24,
    last_at: Option<Instant>,
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
    pub(crate) fn iss(
        &mut self,
        tuple: &FourTuple,
        irs: SeqNum,
        smss: u16,
        now: Instant,
    ) -> SeqNum {
        self.last_at = Some(now);
        let mss_idx = MSS_TABLE
            .iter()
            .rposition(|mss| *mss <= smss)
            .map_or(0, |idx| idx as u32);
        self.seal(tuple, irs, mss_idx, period(now))
    }

    /// The MSS that the cookie in `iss` carries, if it is one of ours that is still good.
    pub(crate) fn check(
        &self,
        tuple: &FourTuple,
        irs: SeqNum,
        iss: SeqNum,
        now: Instant,
    ) -> Option<u16> {
        let is_recent = self.last_at.is_some_and(|at| now.since(at) <= GOOD);
        let mss_idx = iss.0 & MSS_MASK;
        let now = period(now);
        let is_ours = is_recent
            && [now, now.wrapping_sub(1)]
                .iter()
                .any(|period| self.seal(tuple, irs, mss_idx, *period) == iss);
        MSS_TABLE.get(mss_idx as usize).copied().filter(|_| is_ours)
    }

    fn seal(&self, tuple: &FourTuple, irs: SeqNum, mss_idx: u32, period: u64) -> SeqNum {
        let mut hasher = self.key;
        for end in [tuple.local, tuple.remote] {
            let (high, low) = end.addr.words();
            hasher.write_u64(high);
            hasher.write_u64(low);
            hasher.write_u16(end.port);
        }
        hasher.write_u32(irs.0);
        hasher.write_u64(period);
        hasher.write_u32(mss_idx);
        // The low bits of a hash are as good as any.
        SeqNum((hasher.finish() as u32) & !MSS_MASK | mss_idx)
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
    use crate::addr::Endpoint;
    use crate::testing::{OUR_IP, PEER_IP, v4};

    const IRS: SeqNum = SeqNum(77);

    fn tuple(port: u16) -> FourTuple {
        FourTuple {
            local: Endpoint::new(v4(OUR_IP), 80),
            remote: Endpoint::new(v4(PEER_IP), port),
        }
    }

    fn at(secs: u64) -> Instant {
        Instant::from_micros(secs * 1_000_000)
    }

    fn cookies() -> Cookies {
        Cookies::new(SipHasher24::new_with_keys(1, 2))
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
            let iss = cookies.iss(&tuple(1), IRS, offered, at(5));
            assert_eq!(cookies.check(&tuple(1), IRS, iss, at(5)), Some(expected));
        }
    }

    #[test]
    fn a_cookie_is_good_for_its_connection_and_its_time_only() {
        let mut cookies = cookies();
        let iss = cookies.iss(&tuple(1), IRS, 1_460, at(63));
        for (tuple, irs, iss, secs, is_good) in [
            (tuple(1), IRS, iss, 63, true),
            (tuple(1), IRS, iss, 127, true),
            (tuple(1), IRS, iss, 128, false),
            (tuple(2), IRS, iss, 63, false),
            (tuple(1), IRS + 1, iss, 63, false),
            (tuple(1), IRS, iss + 1, 63, false),
            (tuple(1), IRS, iss + 8, 63, false),
        ] {
            let checked = cookies.check(&tuple, irs, iss, at(secs));
            assert_eq!(
                checked.is_some(),
                is_good,
                "{tuple:?} {irs:?} {iss:?} {secs}"
            );
        }
    }

    #[test]
    fn no_guess_is_right_while_no_cookie_was_sent() {
        let mut used = cookies();
        let iss = used.iss(&tuple(1), IRS, 1_460, at(5));
        assert_eq!(cookies().check(&tuple(1), IRS, iss, at(5)), None);
        assert_eq!(used.check(&tuple(1), IRS, iss, at(5 + 129)), None);
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
