//! The system calls that far sides make, and what stands for them in tests.

/// How a call to send has ended. How much was sent is in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// As it should.
    Done,
    /// With something left to be sent by another call.
    Later,
    /// The interface is down.
    Down,
    /// The interface is no more, or the socket is not bound to it.
    Gone,
}

/// The kernel, called.
pub trait Calls {
    /// Has it send what is in the transmit ring.
    fn send(&self) -> Sent;

    /// Has it look at the fill ring.
    fn wake_fill(&self);

    /// Whether the socket has come to its end.
    fn is_gone(&self) -> bool;

    /// Ends it: from then on the kernel touches no buffer.
    fn end(&self);

    /// Time from some point on, in microseconds.
    fn now_us(&self) -> u64;
}
