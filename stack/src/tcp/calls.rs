//! The application's other way in: calls that return at once, `nb::Error::WouldBlock` where there
//! is nothing to do yet.
//!
//! [`Calls`] is a thin [`App`] that takes nothing and remembers how connections ended, so that
//! `listen`, `accept`, `connect`, `send`, `recv`, `close` and `abort` of
//! [`Stack<Calls>`](crate::Stack) act on the same connections as callbacks do.

use super::app::{App, Closed, Conn, ConnId};
use super::bodies::SendError;
use super::cc::Congestion;

/// An application whose connections wait for calls.
///
/// It remembers how the last [`ENDED_MAX`] connections ended: a call with the name of one that is
/// gone says so.
#[derive(Debug)]
pub struct Calls<C> {
    ended: heapless::Deque<(ConnId, Closed), ENDED_MAX>,
    congestion: core::marker::PhantomData<C>,
}

/// What a connection's calls remember.
#[derive(Debug, Default)]
pub struct CallState {
    pub(crate) is_connected: bool,
}

impl<C> Calls<C> {
    /// Nothing has ended yet.
    pub const fn new() -> Self {
        Self {
            ended: heapless::Deque::new(),
            congestion: core::marker::PhantomData,
        }
    }

    /// How a connection ended, while that is remembered.
    pub fn ended(&self, id: ConnId) -> Option<Closed> {
        self.ended
            .iter()
            .rev()
            .find(|(ended, _)| *ended == id)
            .map(|(_, why)| *why)
    }
}

impl<C> Default for Calls<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Congestion> App for Calls<C> {
    type Conn = CallState;
    type Congestion = C;
    const ACCEPTS_LATER: bool = true;

    fn accepted(&mut self, _conn: &mut Conn<'_, '_, C>) -> CallState {
        CallState { is_connected: true }
    }

    fn connected(&mut self, _conn: &mut Conn<'_, '_, C>, state: &mut CallState) {
        state.is_connected = true;
    }

    /// Takes nothing: `recv` does.
    fn received(
        &mut self,
        _conn: &mut Conn<'_, '_, C>,
        _state: &mut CallState,
        _bytes: &[u8],
    ) -> usize {
        0
    }

    /// The end of the stream is what `recv` returns; closing is the caller's.
    fn finished(&mut self, _conn: &mut Conn<'_, '_, C>, _state: &mut CallState) {}

    fn closed(&mut self, id: ConnId, _state: CallState, why: Closed) {
        if self.ended.is_full() {
            self.ended.pop_front();
        }
        let _has_room = self.ended.push_back((id, why));
    }
}

/// Why a call failed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// The connection is gone, for this reason if it is remembered.
    Gone(Option<Closed>),
    /// The bytes can never be sent.
    Send(SendError),
}

impl core::fmt::Display for CallError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Gone(Some(why)) => write!(f, "connection gone: {why}"),
            Self::Gone(None) => f.write_str("no such connection"),
            Self::Send(error) => core::fmt::Display::fmt(error, f),
        }
    }
}

impl core::error::Error for CallError {}

/// Endings that are remembered.
pub const ENDED_MAX: usize = 32;
