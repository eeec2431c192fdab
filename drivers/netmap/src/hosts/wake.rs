//! How a loop that has nothing to do sleeps until its port has news, and what that costs.

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

/// What to poll(2) for a port's news. A clone is the same one: the far sides of the port have it,
/// and the loop that sleeps.
#[derive(Clone, Debug)]
pub struct Wake {
    shared: Rc<Shared>,
}

#[derive(Debug)]
struct Shared {
    fd: OwnedFd,
    is_tx_wanted: Cell<bool>,
    is_rx_full: Cell<bool>,
    has_error: Cell<bool>,
}

impl Wake {
    /// News come by `fd`: readable when the receive ring has some, writable for the transmit ring.
    pub fn new(fd: OwnedFd) -> Self {
        Self {
            shared: Rc::new(Shared {
                fd,
                is_tx_wanted: Cell::new(false),
                is_rx_full: Cell::new(false),
                has_error: Cell::new(false),
            }),
        }
    }

    /// What to poll.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.shared.fd.as_fd()
    }

    /// For a far side: the next sleep is to end when the transmit ring has news, too.
    pub fn want_tx(&self) {
        self.shared.is_tx_wanted.set(true);
    }

    /// For the loop: whether to poll for `POLLOUT`. Asked once a sleep, after the rings were armed.
    pub fn take_tx_wanted(&self) -> bool {
        self.shared.is_tx_wanted.take()
    }

    /// For a far side: the receive ring has no room, so that what waits to be received would end
    /// the sleep at once and change nothing.
    pub fn set_rx_full(&self, is_full: bool) {
        self.shared.is_rx_full.set(is_full);
    }

    /// For the loop: whether to leave out `POLLIN`, and look again by the clock.
    pub fn is_rx_full(&self) -> bool {
        self.shared.is_rx_full.get()
    }

    /// For the loop: the sleep ended by `POLLERR`, `POLLHUP` or `POLLNVAL`.
    pub fn set_error(&self) {
        self.shared.has_error.set(true);
    }

    /// For a far side: whether that has happened since it was asked last.
    pub fn take_error(&self) -> bool {
        self.shared.has_error.take()
    }
}

/// System calls on a packet's way, counted. A clone is the same counter.
#[derive(Clone, Debug, Default)]
pub struct Syscalls {
    cnt: Rc<Cell<u64>>,
}

impl Syscalls {
    /// One more.
    #[inline]
    pub fn note(&self) {
        self.cnt.set(self.cnt.get() + 1);
    }

    /// How many there were.
    pub fn cnt(&self) -> u64 {
        self.cnt.get()
    }
}
