//! Timestamps: round-trip times of any segment, and protection against wrapped sequence numbers
//! (RFC 7323 3 to 5).

use crate::config::RTO_MAX;
use crate::tcp::seqnum::SeqNum;
use crate::time::{Duration, Instant};
use crate::wire::tcp::Timestamps;

/// What a connection with timestamps keeps. Without, everything here does nothing.
#[derive(Clone, Copy, Debug)]
#[repr(C, packed(2))]
pub(crate) struct Ts {
    /// What our clock is ahead of the stack's: the same for each incarnation of a connection, so
    /// that a new one is never behind the old (RFC 7323 7.1, RFC 6191 2).
    offset: u32,
    /// TS.Recent.
    recent: u32,
    /// Last.ACK.sent.
    last_ack_sent: SeqNum,
    /// When TS.Recent was set, in units of 18 minutes, in the lower 15 bits; whether timestamps
    /// are used at all, in the upper one.
    recent_at: u16,
}

impl Ts {
    /// Timestamps are not used.
    pub(crate) const OFF: Self = Self {
        offset: 0,
        recent: 0,
        recent_at: 0,
        last_ack_sent: SeqNum(0),
    };

    /// Both sides use timestamps; `recent` is the TSval of their SYN, `rcv_nxt` lies behind it.
    pub(crate) fn on(offset: u32, recent: u32, rcv_nxt: SeqNum, now: Instant) -> Self {
        Self {
            offset,
            recent,
            recent_at: coarse(now) | ON,
            last_ack_sent: rcv_nxt,
        }
    }

    /// The answer to our offer has come with timestamps, too.
    pub(crate) fn agreed(&self, seg: Timestamps, rcv_nxt: SeqNum, now: Instant) -> Self {
        Self::on(self.offset, seg.val, rcv_nxt, now)
    }

    /// Whether timestamps are used.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.recent_at & ON != 0
    }

    /// Bytes of the option in each segment, padding included.
    pub(crate) fn option_len(&self) -> u16 {
        if self.is_on() { OPTION_LEN } else { 0 }
    }

    /// Last.ACK.sent, with timestamps and without.
    #[inline]
    pub(crate) fn last_ack_sent(&self) -> SeqNum {
        self.last_ack_sent
    }

    /// TS.Recent, where timestamps are used.
    pub(crate) fn recent(&self) -> Option<u32> {
        self.is_on().then_some(self.recent)
    }

    /// What goes into a segment's header now; `rcv_nxt` is what the segment acknowledges.
    #[inline]
    pub(crate) fn stamp(&mut self, rcv_nxt: SeqNum, now: Instant) -> Option<Timestamps> {
        self.last_ack_sent = rcv_nxt;
        self.is_on().then_some(Timestamps {
            val: val(self.offset, now),
            ecr: self.recent,
        })
    }

    /// Whether a segment's TSval is older than what was seen already (RFC 7323 5.3, R1), unless
    /// that is so old that their clock may have wrapped (RFC 7323 5.5).
    #[inline]
    pub(crate) fn is_old(&self, seg: Timestamps, now: Instant) -> bool {
        let is_before = (seg.val.wrapping_sub(self.recent) as i32) < 0;
        is_before && coarse(now).wrapping_sub(self.recent_at) & !ON < RECENT_MAX
    }

    /// Takes the TSval of an acceptable segment, if the segment begins where the last
    /// acknowledgment ended or before (RFC 7323 4.3).
    #[inline]
    pub(crate) fn update(&mut self, seg: Timestamps, seq: SeqNum, now: Instant) {
        if self.is_on() && !seq.after(self.last_ack_sent) && !self.is_old(seg, now) {
            self.recent = seg.val;
            self.recent_at = coarse(now) | ON;
        }
    }

    /// The round-trip time that an acknowledgment of new data echoes, to a millisecond (RFC 7323
    /// 4.1). An echo of something that was never sent says nothing.
    #[inline]
    pub(crate) fn rtt(&self, seg: Timestamps, now: Instant) -> Option<Duration> {
        let rtt = Duration::from_millis(val(self.offset, now).wrapping_sub(seg.ecr).into());
        (self.is_on() && rtt <= RTO_MAX).then_some(rtt)
    }

    /// When the segment was sent, at the latest, whose timestamp is echoed. An echo of something
    /// that was never sent says nothing.
    #[inline]
    pub(crate) fn echoed_by(&self, seg: Timestamps, now: Instant) -> Option<Instant> {
        let age = self.rtt(seg, now)?;
        let tick = (now.as_micros() / 1_000).checked_sub(age.as_millis())?;
        Some(Instant::from_micros(tick * 1_000 + 999))
    }
}

/// Our TSval: milliseconds, from a secret start.
#[inline]
pub(crate) fn val(offset: u32, now: Instant) -> u32 {
    // The clock wraps, as timestamps do.
    ((now.as_micros() / 1_000) as u32).wrapping_add(offset)
}

/// Time as coarse as 24 days need it, in 15 bits: it wraps after a year.
#[inline]
fn coarse(now: Instant) -> u16 {
    (now.as_micros() >> UNIT_BITS) as u16 & !ON
}

/// Timestamps are used: beside the 15 bits of a time.
const ON: u16 = 1 << 15;

/// Bytes of the option with its padding.
const OPTION_LEN: u16 = 12;

/// A unit is 2^30 microseconds, about 18 minutes.
const UNIT_BITS: u32 = 30;

/// How long TS.Recent is believed: 24 days (RFC 7323 5.5).
const RECENT_MAX: u16 = (Duration::from_secs(24 * 24 * 3_600).as_micros() >> UNIT_BITS) as u16;

const _: () = assert!(size_of::<Ts>() <= 14);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_micros(1_000 * millis)
    }

    fn seg(val: u32, ecr: u32) -> Timestamps {
        Timestamps { val, ecr }
    }

    const NXT: SeqNum = SeqNum(1_000);

    #[test]
    fn an_older_value_is_old_for_24_days() {
        let ts = Ts::on(0, 5, NXT, at(0));
        assert!(ts.is_old(seg(4, 0), at(1_000)));
        assert!(!ts.is_old(seg(5, 0), at(1_000)));
        assert!(
            ts.is_old(seg(0x9000_0000, 0), at(1_000)),
            "before, across the wrap"
        );
        let days = |days: u64| at(days * 24 * 3_600_000);
        assert!(ts.is_old(seg(4, 0), days(23)));
        assert!(!ts.is_old(seg(4, 0), days(25)));
    }

    #[test]
    fn only_what_begins_at_the_last_ack_or_before_counts() {
        let mut ts = Ts::on(0, 5, NXT, at(0));
        ts.update(seg(9, 0), NXT + 1, at(1));
        assert_eq!(ts.stamp(NXT, at(2)), Some(seg(2, 5)));
        ts.update(seg(9, 0), NXT, at(1));
        assert_eq!(ts.stamp(NXT, at(2)), Some(seg(2, 9)));
        ts.update(seg(8, 0), NXT, at(1));
        assert_eq!(ts.stamp(NXT, at(2)), Some(seg(2, 9)));
    }

    #[test]
    fn an_echo_measures_and_an_absurd_one_does_not() {
        let ts = Ts::on(u32::MAX - 10, 5, NXT, at(0));
        let sent = val(u32::MAX - 10, at(5));
        assert_eq!(
            ts.rtt(seg(0, sent), at(35)),
            Some(Duration::from_millis(30))
        );
        assert_eq!(ts.rtt(seg(0, sent.wrapping_add(100)), at(35)), None);
        assert_eq!(Ts::OFF.rtt(seg(0, 0), at(35)), None);
    }
}
