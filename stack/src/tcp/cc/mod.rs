//! Congestion control: four calls, so that one can be added without touching TCP.

mod reno;

pub use reno::Reno;

use crate::time::{Duration, Instant};

/// What was acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Acked {
    /// Bytes that SND.UNA has moved by.
    pub len: u32,
    /// Bytes still in flight.
    pub flight_size: u32,
    /// Smoothed round-trip time; zero while unknown.
    pub srtt: Duration,
    /// Now.
    pub now: Instant,
}

/// What a loss was seen by, or the end of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Three duplicate acknowledgments (RFC 5681 3.2): recovery begins.
    FastRetransmit,
    /// One more duplicate acknowledgment: a segment has left the network.
    Duplicate,
    /// An acknowledgment in recovery that does not end it (RFC 6582 3.2); the bytes that it covers.
    Partial(u32),
    /// Recovery has ended.
    Recovered,
}

/// The congestion window of one connection. All lengths are in bytes.
pub trait Congestion {
    /// A new connection that sends segments of up to `smss` bytes (RFC 6928 3).
    fn new(smss: u16) -> Self;

    /// New data was acknowledged outside of recovery.
    fn acked(&mut self, smss: u16, acked: &Acked);

    /// Something was lost, or a step of recovery from it; `flight_size` bytes are in flight.
    fn lost(&mut self, smss: u16, loss: Loss, flight_size: u32);

    /// The retransmission timer has fired (RFC 5681 3.1).
    fn timed_out(&mut self, smss: u16, flight_size: u32);

    /// The congestion window, cwnd.
    fn cwnd(&self) -> u32;

    /// The slow start threshold, ssthresh.
    fn ssthresh(&self) -> u32;
}

/// The initial window (RFC 6928): ten segments, but no more than 14,600 bytes unless two.
pub fn initial_window(smss: u16) -> u32 {
    let smss = u32::from(smss);
    (10 * smss).min((2 * smss).max(14_600))
}
