//! What TCP offers and does, as the embedder wants it.

use super::ecn::EcnUse;

/// Choices for all connections of a stack. The default is what a server on the open Internet wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Offer and take selective acknowledgments (RFC 2018).
    pub sack: bool,
    /// Offer and take timestamps (RFC 7323 3).
    pub timestamps: bool,
    /// Answer SYNs that find no place in the SYN queue with cookies (RFC 4987 3.6); else they are
    /// dropped.
    pub syn_cookies: bool,
    /// Explicit congestion notification (RFC 3168).
    pub ecn: EcnUse,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sack: true,
            timestamps: true,
            syn_cookies: true,
            ecn: EcnUse::Accept,
        }
    }
}
