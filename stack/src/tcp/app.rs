//! The application's way in, as a trait: monomorphised, called in the middle of a packet's way.

use simoom_ring::{Fragment, TxRing};

use crate::addr::{Endpoint, FourTuple};
use crate::content::Body;
use crate::icmp::Cause;
use crate::net::Net;
use crate::tcp::bodies::{Bodies, SendError};
use crate::tcp::cc::Congestion;
use crate::tcp::deadline::Deadline;
use crate::tcp::flags::{SndFlags, TcbFlags};
use crate::tcp::flight::Flights;
use crate::tcp::keep::KeepAlive;
use crate::tcp::state::{Event, State};
use crate::tcp::status::Status;
use crate::tcp::tcb::Tcb;
use crate::time::{Duration, Instant};
use crate::udp::UdpOut;
use crate::wire::checksum::Sum;

/// An application over the stack.
///
/// Each call comes with a [`Conn`]; what is queued on it is sent as soon as the call returns.
pub trait App {
    /// The application's own state of a connection, stored beside it.
    type Conn;

    /// How connections are kept from congesting the network.
    type Congestion: Congestion;

    /// Connections stay in the listener's accept queue until they are taken by
    /// [`Stack::accept`](crate::Stack::accept): the non-blocking way. Else they are given to
    /// [`accepted`](Self::accepted) at once.
    const ACCEPTS_LATER: bool = false;

    /// A connection to a listener is established; or, opened fast (RFC 7413), is in SYN-RECEIVED
    /// and may be used as if it were.
    fn accepted(&mut self, conn: &mut Conn<'_, '_, Self::Congestion>) -> Self::Conn;

    /// A connection that we opened is established.
    fn connected(&mut self, _conn: &mut Conn<'_, '_, Self::Congestion>, _state: &mut Self::Conn) {}

    /// Bytes came in: at least one, next in the stream, in the frame that they arrived in. Returns
    /// how many were taken. The rest is offered again, with what came in meanwhile, when more
    /// arrives, when there is room to send again, or after [`woken`](Self::woken); until then it
    /// shrinks the window.
    fn received(
        &mut self,
        conn: &mut Conn<'_, '_, Self::Congestion>,
        state: &mut Self::Conn,
        bytes: &[u8],
    ) -> usize;

    /// There is room in a send queue that was full.
    fn writable(&mut self, _conn: &mut Conn<'_, '_, Self::Congestion>, _state: &mut Self::Conn) {}

    /// The far side has closed, and all of its bytes have been taken.
    fn finished(&mut self, conn: &mut Conn<'_, '_, Self::Congestion>, _state: &mut Self::Conn) {
        conn.close();
    }

    /// The time set by [`Conn::wake_at`] has come.
    fn woken(&mut self, _conn: &mut Conn<'_, '_, Self::Congestion>, _state: &mut Self::Conn) {}

    /// The network says that it could not deliver a segment (ERROR_REPORT, RFC 9293 3.9.1.8).
    /// Anyone may have said so, and it may pass by itself: the connection goes on, and nothing need
    /// be done.
    fn soft_error(
        &mut self,
        _conn: &mut Conn<'_, '_, Self::Congestion>,
        _state: &mut Self::Conn,
        _cause: Cause,
    ) {
    }

    /// The connection is gone, and its name with it. The last call for a connection.
    fn closed(&mut self, _id: ConnId, _state: Self::Conn, _why: Closed) {}

    /// A UDP datagram came to a port that is bound ([`Stack::bind`](crate::Stack::bind)).
    fn datagram<'p, T: TxRing<'p>>(
        &mut self,
        _out: &mut UdpOut<'_, 'p, T>,
        _local: Endpoint,
        _remote: Endpoint,
        _bytes: &[u8],
    ) {
    }

    /// The network says that it could not deliver a UDP datagram from a port that is bound (RFC
    /// 1122 4.1.3.3). Anyone may have said so.
    fn undelivered(&mut self, _local: Endpoint, _remote: Endpoint, _cause: Cause) {}
}

/// Names a connection for as long as it lives, and nothing after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnId {
    pub(crate) idx: u32,
    pub(crate) generation: u32,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Closed {
    /// Both sides have closed, and everything was acknowledged.
    Finished,
    /// The far side sent RST.
    Reset,
    /// The far side answered an open with RST.
    Refused,
    /// Nothing was acknowledged for too long.
    TimedOut,
    /// The application asked for it.
    Aborted,
}

impl core::fmt::Display for Closed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Finished => "finished",
            Self::Reset => "reset by the far side",
            Self::Refused => "refused",
            Self::TimedOut => "timed out",
            Self::Aborted => "aborted",
        })
    }
}

/// A connection, as the application sees it during a call.
pub struct Conn<'a, 'p, C> {
    pub(crate) tcb: &'a mut Tcb<'p, C>,
    pub(crate) bodies: &'a mut Bodies<'p>,
    pub(crate) flights: &'a Flights<'p>,
    pub(crate) net: &'a Net<'p>,
    pub(crate) id: ConnId,
    pub(crate) now: Instant,
}

impl<'p, C: Congestion> Conn<'_, 'p, C> {
    /// Its name.
    pub fn id(&self) -> ConnId {
        self.id
    }

    /// Both endpoints.
    pub fn tuple(&self) -> FourTuple {
        self.tcb.tuple.full()
    }

    /// The state of RFC 9293.
    pub fn state(&self) -> State {
        self.tcb.state()
    }

    /// Now, as the stack was told.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Queues immutable content, by reference, however long: a slice, or a [`Body`] that knows
    /// where its sums are.
    ///
    /// # Errors
    /// [`SendError::Full`]: then [`App::writable`] follows. [`SendError::Closed`] after `close`.
    pub fn send_body(&mut self, body: impl Into<Body>) -> Result<(), SendError> {
        self.may_send()?;
        let queued = self.bodies.push_body(&mut self.tcb.snd.queue, body.into());
        self.remember_refusal(queued)
    }

    /// Queues a few generated bytes, copied into a frame: at most
    /// [`generated_max`](Self::generated_max) of them.
    ///
    /// # Errors
    /// As [`send_body`](Self::send_body), and [`SendError::NoFrame`] or [`SendError::TooLong`].
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.send_with(|room| {
            let taken = room.get_mut(..bytes.len())?;
            taken.copy_from_slice(bytes);
            Some(bytes.len())
        })
    }

    /// Queues generated bytes that are written in place: `write` gets the room of a frame, and
    /// returns how many bytes it wrote, or `None` if they did not fit.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_with(
        &mut self,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<(), SendError> {
        self.may_send()?;
        if !self.has_room() {
            return self.remember_refusal(Err(SendError::Full));
        }
        let piece = self.generate(write)?;
        let queued = self.bodies.push(&mut self.tcb.snd.queue, piece);
        self.remember_refusal(queued)
    }

    /// Queues generated bytes that are written in place, as [`send_with`](Self::send_with) does,
    /// and content behind them: both or none. `sum` is the sum of both, one behind the other, if
    /// the application knows it: then they need not be read to be sent.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_answer(
        &mut self,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
        body: impl Into<Body>,
        sum: Option<Sum>,
    ) -> Result<(), SendError> {
        self.may_send()?;
        let head = self.generate(write)?;
        let queued = self
            .bodies
            .push_answer(&mut self.tcb.snd.queue, head, body.into(), sum);
        self.remember_refusal(queued)
    }

    /// Has generated bytes written into a frame.
    #[inline]
    fn generate(
        &mut self,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<Fragment<'p>, SendError> {
        let may = self
            .bodies
            .may_generate(&self.tcb.snd.queue, self.net.budget());
        let frame = match may {
            true => self.net.pool.alloc(self.net.headroom()),
            false => None,
        };
        let Some(mut frame) = frame else {
            self.bodies.refuse();
            self.tcb.flags.set(TcbFlags::WANTS_TO_SEND);
            return Err(SendError::NoFrame);
        };
        let room = frame
            .extend(frame.tailroom())
            .map_err(|_| SendError::TooLong)?;
        let len = write(room).ok_or(SendError::TooLong)?;
        frame.trim(len);
        Ok(Fragment::Frame(frame.share()))
    }

    /// Most bytes that one [`send`](Self::send) takes.
    pub fn generated_max(&self) -> usize {
        let frame_size = self.net.pool.frame_size();
        frame_size.saturating_sub(self.net.headroom())
    }

    /// Whether another `send` or `send_body` will be taken. Asking is not being refused.
    pub fn has_room(&self) -> bool {
        self.has_room_for(1)
    }

    /// Whether so many `send` or `send_body` in a row will be taken, as far as queues go: for an
    /// answer that must go as a whole or not at all. Asking is not being refused.
    pub fn has_room_for(&self, pieces: u16) -> bool {
        self.bodies.has_room(&self.tcb.snd.queue, pieces)
    }

    /// Shows the oldest received bytes to `take`, which says how many it took; `None` when there
    /// are none and more may come, `Some(0)` when there will be no more. For an application that
    /// did not take them in [`App::received`].
    pub fn recv(&mut self, take: impl FnOnce(&[u8]) -> usize) -> Option<usize> {
        let rcv = &mut self.tcb.rcv;
        let Some(mut frame) = rcv.pop_unread(self.net.pool) else {
            let state = self.tcb.state();
            let is_open = state.can_receive() || !state.is_synchronized();
            return (!is_open).then_some(0);
        };
        let taken = take(frame.bytes()).min(frame.len());
        frame.pull(taken);
        if !frame.is_empty() {
            rcv.put_back(frame);
        }
        if rcv.window_opened(self.net.budget()) && self.tcb.state().can_receive() {
            self.tcb.flags.set(TcbFlags::ACK_DUE);
        }
        Some(taken)
    }

    /// Asks for [`App::writable`] when something that was queued has been acknowledged.
    pub fn want_writable(&mut self) {
        self.tcb.flags.set(TcbFlags::WANTS_TO_SEND);
    }

    /// Bytes queued and not acknowledged.
    pub fn unacked_len(&self) -> u64 {
        self.tcb.snd.queue.len()
    }

    /// No more will be sent: FIN follows what is queued (CLOSE). Receiving goes on. In SYN-SENT,
    /// with nothing queued, the attempt ends as if aborted.
    pub fn close(&mut self) {
        // RFC 9293 3.10.4: in SYN-SENT, with nothing to send, nothing is left of the attempt.
        if self.tcb.state() == State::SynSent && self.tcb.snd.queue.is_empty() {
            self.tcb.flags.set(TcbFlags::ABORT_DUE);
            return;
        }
        if self.tcb.state().can_send() && !self.tcb.snd.has_fin() {
            self.tcb.snd.flags.set(SndFlags::HAS_FIN);
            // Before the SYN is acknowledged the close waits for that (RFC 9293 3.10.4), unless
            // what is sent does not wait, either (RFC 7413).
            if self.tcb.state().is_synchronized() || self.tcb.opening.is_unacked() {
                self.tcb.transition(Event::Close);
            }
        }
    }

    /// Ends the connection at once with RST (ABORT).
    pub fn abort(&mut self) {
        self.tcb.flags.set(TcbFlags::ABORT_DUE);
    }

    /// Sends short segments at once, or (the default) lets them wait while something is in flight
    /// (Nagle, RFC 896).
    pub fn set_nodelay(&mut self, is_nodelay: bool) {
        self.tcb.snd.flags.put(SndFlags::NODELAY, is_nodelay);
    }

    /// Has the connection ask whether the far side is still there after a long silence, or (`None`,
    /// the default) not (RFC 9293 3.8.4).
    pub fn set_keep_alive(&mut self, keep_alive: Option<KeepAlive>) {
        self.tcb.keep.set(keep_alive, self.now);
    }

    /// How long what was sent may stay unacknowledged before the connection ends as timed out (RFC
    /// 5482), to a millisecond; `None`, the default, is for as many retransmissions as RFC 9293
    /// 3.8.3 asks for. The far side is not told.
    pub fn set_user_timeout(&mut self, timeout: Option<Duration>) {
        let millis = timeout.map_or(0, |timeout| timeout.as_millis().max(1));
        self.tcb.user_timeout_ms = u32::try_from(millis).unwrap_or(u32::MAX);
    }

    /// Sets the Diffserv codepoint (RFC 2474) of what is sent from now on: six bits (RFC
    /// 9293 3.9.1.9). To change it on a busy connection may reorder segments.
    pub fn set_dscp(&mut self, dscp: u8) {
        self.tcb.tos = dscp << 2;
    }

    /// Calls [`App::woken`] at this time, once, or in 24 days if that is earlier; `Instant::NEVER`
    /// takes it back.
    pub fn wake_at(&mut self, at: Instant) {
        self.tcb.app_at = Deadline::at_most(at, self.now);
    }

    /// Whether frames for what arrives become few, all connections together: less than a quarter
    /// is left, and windows are narrow or closed. Then it is time to end connections that are not
    /// worth their frames.
    pub fn is_pressed_for_frames(&self) -> bool {
        self.net.budget().is_pressed()
    }

    /// What is known of the connection.
    pub fn status(&self) -> Status {
        Status::of(self.tcb, self.flights, self.net.budget())
    }

    fn may_send(&self) -> Result<(), SendError> {
        let may = self.tcb.state().can_send() && !self.tcb.snd.has_fin();
        if may { Ok(()) } else { Err(SendError::Closed) }
    }

    fn remember_refusal(&mut self, queued: Result<(), SendError>) -> Result<(), SendError> {
        if queued.is_err() {
            self.tcb.flags.set(TcbFlags::WANTS_TO_SEND);
        }
        queued
    }
}
