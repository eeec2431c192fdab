//! What TCP offers and does, as the embedder wants it.

use super::cc::Algorithm;
use super::ecn::EcnUse;
use crate::config::QUICK_ACKS;
use crate::random::Random;

/// Choices for all connections of a stack. The default is what a server on the open Internet wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Offer and take selective acknowledgments (RFC 2018).
    pub sack: bool,
    /// Offer and take timestamps (RFC 7323 3).
    pub timestamps: bool,
    /// Offer and take window scaling (RFC 7323 2): without, no window is wider than 64 KiB.
    pub window_scaling: bool,
    /// Segments that are acknowledged at once when data begins to come, and after a quiet time; 0
    /// always lets acknowledgments wait for a second segment (RFC 9293 3.8.6.3).
    pub quick_acks: u8,
    /// Answer SYNs that find no place in the SYN queue with cookies (RFC 4987 3.6); else they are
    /// dropped.
    pub syn_cookies: bool,
    /// Fast Open for all listeners from their start on (RFC 7413); one by one, see
    /// [`Stack::set_fast_open`](crate::Stack::set_fast_open). A client that
    /// has been here before may send its request with its SYN, and the application hears of the
    /// connection before its handshake is over.
    ///
    /// Off by default, because it is not for every application (RFC 7413 6.1): a SYN that is
    /// duplicated on the way, or sent again by a client that has heard nothing, can open a second
    /// connection with the same request. Turn it on only where every request that may come first
    /// on a connection can be answered twice without harm: a GET for a file can, an order cannot.
    pub fast_open: bool,
    /// Explicit congestion notification (RFC 3168).
    pub ecn: EcnUse,
    /// Congestion control, where the application leaves the choice: see
    /// [`Chosen`](super::cc::Chosen).
    pub congestion: Algorithm,
    /// Take short cuts for what nearly every segment is. Off to compare: what goes out is the same.
    pub short_cuts: bool,
    /// What stacks with one address have in common: a seed for the secrets by which one of them
    /// opens a connection anew that another has had, initial sequence numbers (RFC 6528 3) and the
    /// beginnings of timestamps (RFC 7323 7.1), and for Fast Open's cookies (RFC 7413 4.1.2), with
    /// which a client comes to any of them. It must not be guessed. `None` for a stack alone.
    ///
    /// SYN cookies are not among them: one is good with the stack that has given it, for only that
    /// one knows whether it has come back already.
    pub station_seed: Option<u128>,
}

impl Settings {
    /// The secrets that a stack has in common with the others of its station; where there are no
    /// others, its own.
    pub(crate) fn in_common(&self, own: [[u64; 2]; 2]) -> [[u64; 2]; 2] {
        self.station_seed.map_or(own, |seed| {
            let mut random = Random::of(seed);
            own.map(|_| [random.next_u64(), random.next_u64()])
        })
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sack: true,
            timestamps: true,
            window_scaling: true,
            quick_acks: QUICK_ACKS,
            syn_cookies: true,
            fast_open: false,
            ecn: EcnUse::Accept,
            congestion: Algorithm::default(),
            short_cuts: true,
            station_seed: None,
        }
    }
}
