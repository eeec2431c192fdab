//! What an observer wants to know of all connections, a few at a time; and a way out for datagrams
//! that answer nothing.

use simoom_ring::TxRing;

use crate::addr::FourTuple;
use crate::iface::Stack;
use crate::tcp::{App, ConnId, Status};
use crate::time::Instant;
use crate::udp::UdpOut;

/// A connection, as a survey finds it.
#[derive(Debug)]
pub struct Surveyed<'a, S> {
    /// Its name.
    pub id: ConnId,
    /// Both endpoints.
    pub tuple: FourTuple,
    /// What is known of it.
    pub status: Status,
    /// The application's state of it; `None` until it was accepted.
    pub state: Option<&'a S>,
}

impl<'p, A: App> Stack<'p, A> {
    /// The connections in `cnt` places of the table, from place `first` on: a table of any length
    /// is looked at in steps that hold nobody up. Between two steps connections come and go.
    pub fn survey(&self, first: usize, cnt: usize) -> impl Iterator<Item = Surveyed<'_, A::Conn>> {
        self.above.tcp.survey(self.net.budget(), first, cnt)
    }

    /// Places of the table of connections.
    pub fn conns_max(&self) -> usize {
        self.above.tcp.conns_max()
    }

    /// A way out for datagrams outside of a call of the application's. They are on the ring at
    /// once, and are published by the next [`poll`](Self::poll).
    pub fn udp_out<'a, T: TxRing<'p>>(
        &'a mut self,
        now: Instant,
        tx: &'a mut T,
    ) -> UdpOut<'a, 'p, T> {
        UdpOut::new(&mut self.net, tx, now)
    }
}
