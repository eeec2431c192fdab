//! A connection that was opened fast, until its SYN-ACK is acknowledged.

/// Where the fast open of a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opening(u8);

impl Opening {
    /// The SYN-ACK is acknowledged, or the connection was not opened fast.
    pub(crate) const DONE: Self = Self(0);

    const UNACKED: u8 = 1;
    /// The SYN-ACK is to go out now.
    const DUE: u8 = 1 << 1;
    pub(super) const SENT: u8 = 1 << 2;
    const SENT_AGAIN: u8 = 1 << 3;
    /// The SYN has not been through SEGMENT ARRIVES.
    const NEW: u8 = 1 << 4;
    /// The SYN-ACK brings a fresh cookie.
    pub(super) const GIVES_COOKIE: u8 = 1 << 5;

    pub(super) fn begun(gives_cookie: bool) -> Self {
        let cookie = if gives_cookie { Self::GIVES_COOKIE } else { 0 };
        Self(Self::UNACKED | Self::NEW | cookie)
    }

    pub(super) fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    /// Whether the SYN-ACK of a fast open is not acknowledged yet.
    #[inline]
    pub(crate) fn is_unacked(self) -> bool {
        self.has(Self::UNACKED)
    }

    /// Whether the SYN-ACK is to go out now.
    #[inline]
    pub(crate) fn is_due(self) -> bool {
        self.has(Self::DUE)
    }

    /// The SYN-ACK is to go out.
    pub(crate) fn set_due(&mut self) {
        self.0 |= Self::DUE;
    }

    /// True once: for the SYN that the connection was made for.
    pub(crate) fn take_new(&mut self) -> bool {
        let is_new = self.has(Self::NEW);
        self.0 &= !Self::NEW;
        is_new
    }

    /// Whether it is known which SYN-ACK is acknowledged (Karn's algorithm).
    pub(crate) fn was_sent_once(self) -> bool {
        self.has(Self::SENT) && !self.has(Self::SENT_AGAIN)
    }

    pub(super) fn sent(&mut self) {
        let again = if self.has(Self::SENT) {
            Self::SENT_AGAIN
        } else {
            0
        };
        self.0 = (self.0 & !Self::DUE) | Self::SENT | again;
    }
}
