//! Congestion control: four calls, so that one can be added without touching TCP.
//!
//! A controller says how much may be in flight ([`Congestion::cwnd`]), learns what was acknowledged
//! ([`Congestion::acked`]) and what the network has signalled ([`Congestion::signalled`]). What is
//! lost, what to send again, and how sending is spread over a recovery is TCP's own: no controller
//! counts duplicate acknowledgments.
//!
//! [`Cubic`] is the default, [`Reno`] the baseline, [`Westwood`] for paths that lose packets by
//! chance. An application names one of them as [`App::Congestion`](crate::tcp::App::Congestion), or
//! its own, or [`Chosen`]: then the stack's settings say which.
//!
//! One of one's own, that grows by a segment a round trip and gives a quarter back:
//!
//! ```
//! use simoom::tcp::cc::{Acked, Algorithm, CWND_MAX, Congestion, Signal, initial_window};
//! use simoom::Instant;
//!
//! struct Gentle {
//!     cwnd: u32,
//! }
//!
//! impl Congestion for Gentle {
//!     fn new(smss: u16, _asked: Algorithm) -> Self {
//!         Self { cwnd: initial_window(smss) }
//!     }
//!
//!     fn acked(&mut self, smss: u16, acked: &Acked) {
//!         if acked.is_cwnd_limited {
//!             let grown = u32::from(smss).saturating_mul(acked.len) / self.cwnd;
//!             self.cwnd = (self.cwnd + grown).min(CWND_MAX);
//!         }
//!     }
//!
//!     fn signalled(&mut self, smss: u16, signal: Signal, flight_size: u32, _now: Instant) {
//!         let least = 2 * u32::from(smss);
//!         self.cwnd = match signal {
//!             Signal::Agreed => initial_window(smss),
//!             Signal::Idle => self.cwnd.min(initial_window(smss)),
//!             Signal::Timeout | Signal::SynTimeouts => smss.into(),
//!             Signal::Loss(_) | Signal::Ecn => (flight_size / 4 * 3).max(least),
//!             _ => self.cwnd,
//!         };
//!     }
//!
//!     fn cwnd(&self) -> u32 {
//!         self.cwnd
//!     }
//!
//!     fn ssthresh(&self) -> u32 {
//!         self.cwnd
//!     }
//! }
//!
//! let mut gentle = Gentle::new(1_000, Algorithm::default());
//! gentle.signalled(1_000, Signal::LOSS, 10_000, Instant::ZERO);
//! assert_eq!(gentle.cwnd(), 7_500);
//! ```

mod chosen;
mod cubic;
mod delays;
mod hystart;
mod reno;
mod westwood;

pub use chosen::{Algorithm, Chosen};
pub use cubic::Cubic;
pub use delays::Delays;
pub use reno::Reno;
pub use westwood::Westwood;

use crate::tcp::seqnum::SeqNum;
use crate::time::{Duration, Instant};

/// What was acknowledged, while nothing was being recovered.
#[derive(Clone, Copy, Debug)]
pub struct Acked {
    /// Bytes that SND.UNA has moved by.
    pub len: u32,
    /// Bytes still in flight.
    pub flight_size: u32,
    /// SND.UNA, after it has moved: rounds are told apart by it (RFC 9406 4.2).
    pub una: SeqNum,
    /// SND.NXT.
    pub nxt: SeqNum,
    /// The round-trip time that this acknowledgment has measured, if it has.
    pub rtt: Option<Duration>,
    /// Smoothed round-trip time; zero while unknown.
    pub srtt: Duration,
    /// The congestion window was what ended the sending of this; a window that is not used must
    /// not grow (RFC 7661, RFC 9438 5.8).
    pub is_cwnd_limited: bool,
    /// A round trip that is over with this acknowledgment, if one is, for who
    /// [wants](Congestion::wants_rounds) it.
    pub round: Option<Round>,
    /// Now.
    pub now: Instant,
}

/// What has been delivered in a round trip or somewhat more, recoveries included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// Bytes that have arrived, selectively acknowledged ones among them: none counts twice.
    pub len: u32,
    /// How long that took.
    pub time: Duration,
    /// The mean of the round-trip times that were measured in it; zero if none was.
    pub rtt: Duration,
    /// The congestion window was what ended the sending of all of it.
    pub is_cwnd_limited: bool,
}

/// What the network, or its silence, has signalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /// The handshake has agreed on the length of segments, before anything was sent: everything
    /// begins with that.
    Agreed,
    /// A loss, seen by acknowledgments (RFC 5681 3.2): once a recovery. Afterwards cwnd is where
    /// the recovery is to end. How long the path took lets tell congestion from chance.
    Loss(Delays),
    /// A congestion mark (RFC 3168 6.1.2): at most once a round trip.
    Ecn,
    /// The retransmission timer has fired (RFC 5681 3.1): once a series of timeouts.
    Timeout,
    /// The handshake needed more than one retransmission: the initial window is one segment (RFC
    /// 5681 3.1, as RFC 6928 2 relaxes it). Nothing is known of the path, so ssthresh stays.
    SynTimeouts,
    /// The last reduction was for nothing: what was taken for lost arrives (RFC 5682, RFC 2883).
    Spurious,
    /// Nothing was sent for longer than a retransmission timeout (RFC 5681 4.1).
    Idle,
    /// The same, and of the window that the connection last began with, something was lost: the
    /// restart window is the smaller one of RFC 3390 (RFC 6928 2).
    IdleAfterLoss,
}

impl Signal {
    /// A loss on a path of which nothing is known.
    pub const LOSS: Self = Self::Loss(Delays::UNKNOWN);
}

/// The congestion window of one connection. All lengths are in bytes.
pub trait Congestion {
    /// A new connection that sends segments of up to `smss` bytes (RFC 6928 3). `asked` is what the
    /// stack's settings ask for: only [`Chosen`] obeys it.
    fn new(smss: u16, asked: Algorithm) -> Self;

    /// New data was acknowledged outside of recovery.
    fn acked(&mut self, smss: u16, acked: &Acked);

    /// Takes an acknowledgment up to `una` that has measured `rtt`, when data up to `nxt` has been
    /// sent, of data that the congestion window held back or not, if that is all there is to know
    /// of it. False, with nothing changed, if [`acked`](Self::acked) is to be called.
    #[inline]
    fn noted(
        &mut self,
        _una: SeqNum,
        _nxt: SeqNum,
        _rtt: Option<Duration>,
        _is_cwnd_limited: bool,
    ) -> bool {
        false
    }

    /// The network has signalled; `flight_size` bytes are in flight.
    fn signalled(&mut self, smss: u16, signal: Signal, flight_size: u32, now: Instant);

    /// The congestion window, cwnd.
    fn cwnd(&self) -> u32;

    /// The slow start threshold, ssthresh.
    fn ssthresh(&self) -> u32;

    /// Whether [`Acked::round`] is looked at: what is delivered in a round trip is measured for
    /// who wants to know it.
    #[inline]
    fn wants_rounds(&self) -> bool {
        true
    }
}

/// The initial window (RFC 6928): ten segments, but no more than 14,600 bytes unless two.
pub fn initial_window(smss: u16) -> u32 {
    let smss = u32::from(smss);
    (10 * smss).min((2 * smss).max(14_600))
}

/// The restart window after a loss in the window before it (RFC 3390 1): two to four segments.
pub fn careful_window(smss: u16) -> u32 {
    let smss = u32::from(smss);
    (4 * smss).min((2 * smss).max(4_380))
}

/// The largest window that TCP can use (RFC 7323 2.3).
pub const CWND_MAX: u32 = 1 << 30;
