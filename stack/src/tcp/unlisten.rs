//! How listening ends. What the application has accepted goes on; what it has not could never be
//! accepted any more, nor closed, and so ends with it.

use super::Tcp;
use super::app::App;
use super::flags::TcbFlags;
use super::listen::ListenerId;

impl<A: App> Tcp<'_, A> {
    /// No more connections on this port. Half-open ones are forgotten, so that their next segment
    /// is refused; those in the accept queue are aborted at the next poll.
    pub(crate) fn unlisten(&mut self, id: ListenerId) {
        while let Some(waiting) = self.pop_accept(id) {
            if let Some(tcb) = self.conns.tcb(waiting.idx) {
                tcb.flags.set(TcbFlags::ABORT_DUE);
            }
            self.conns.push_ready(waiting.idx);
        }
        self.listeners.close(id);
        // At most `INDEX_MAX`, which fits.
        for idx in 0..self.syns.capacity() as u32 {
            if self.syns.get(idx).is_some_and(|syn| syn.listener == id.0) {
                self.forget_syn(idx);
            }
        }
    }
}
