//! Other stacks with our address, as far as the layers below know of them.

use simoom_ring::RxPacket;

use crate::addr::FourTuple;

/// A packet on its way to the others.
pub(crate) struct Stray<'p> {
    pub(crate) packet: RxPacket<'p>,
    pub(crate) has_trace: bool,
}

/// Whether there are others, and what is known of the packet that is looked at now.
#[derive(Default)]
pub(crate) struct Others<'p> {
    /// There are some.
    pub(crate) are: bool,
    /// But they have all been asked.
    pub(crate) were_asked: bool,
    /// It is theirs.
    pub(crate) stray: Option<Stray<'p>>,
    /// It has opened a connection.
    pub(crate) opened: Option<FourTuple>,
}

impl<'p> Others<'p> {
    /// Whether there is something to say of the packet that was looked at last.
    #[inline]
    pub(crate) fn has_news(&self) -> bool {
        self.stray.is_some() || self.opened.is_some()
    }

    /// Whether somebody could know better whose a packet is.
    #[inline]
    pub(crate) fn may_know(&self) -> bool {
        self.are && !self.were_asked
    }
}
