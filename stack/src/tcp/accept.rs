//! The accept queue: established connections that the application has not taken.

use super::Tcp;
use super::app::{App, ConnId};
use super::flags::TcbFlags;
use super::idx::NONE;
use super::listen::ListenerId;

impl<'p, A: App> Tcp<'p, A> {
    /// Puts an established connection into its listener's accept queue.
    pub(super) fn push_accept(&mut self, idx: u32) {
        let Some(tcb) = self.conns.tcb(idx) else {
            return;
        };
        let port = tcb.tuple.local_port();
        let listener = self.listeners.get_mut(tcb.listener);
        let Some(place) = listener.filter(|place| place.port == port) else {
            // It was closed meanwhile: nobody could ever accept the connection.
            tcb.flags.set(TcbFlags::ABORT_DUE);
            return;
        };
        let last = place.accept_last;
        place.accept_last = idx;
        place.accept_cnt += 1;
        if last == NONE {
            place.accept_first = idx;
        } else {
            self.conns.set_next(last, idx);
        }
        self.conns.set_next(idx, NONE);
    }

    /// Takes the connection that has waited longest out of a listener's accept queue.
    pub(super) fn pop_accept(&mut self, listener: ListenerId) -> Option<ConnId> {
        let first = self.listeners.get_mut(listener.0)?.accept_first;
        if first == NONE {
            return None;
        }
        self.unlink_accept(listener.0, first);
        Some(self.conns.id(first))
    }

    /// Takes a connection out of a listener's accept queue, with the application's state for it.
    pub(crate) fn accept(&mut self, listener: ListenerId, state: A::Conn) -> Option<ConnId> {
        let id = self.pop_accept(listener)?;
        self.conns.set_app_state(id.idx, state);
        Some(id)
    }

    /// A connection that ends before it was accepted leaves the queue.
    pub(super) fn leave_accept_queue(&mut self, idx: u32) {
        if !A::ACCEPTS_LATER || self.conns.app_state(idx).is_some() {
            return;
        }
        let Some(tcb) = self.conns.tcb(idx) else {
            return;
        };
        let listener = tcb.listener;
        self.unlink_accept(listener, idx);
    }

    /// Unlinks a connection from an accept queue if it is in it: a walk along the backlog.
    fn unlink_accept(&mut self, listener: u8, idx: u32) {
        let Some(place) = self.listeners.get_mut(listener) else {
            return;
        };
        let (mut previous, mut at) = (NONE, place.accept_first);
        while at != NONE && at != idx {
            previous = at;
            at = self.conns.next(at);
        }
        if at == NONE {
            return;
        }
        let next = self.conns.next(at);
        if previous == NONE {
            place.accept_first = next;
        } else {
            self.conns.set_next(previous, next);
        }
        if next == NONE {
            place.accept_last = previous;
        }
        place.accept_cnt = place.accept_cnt.saturating_sub(1);
    }
}
