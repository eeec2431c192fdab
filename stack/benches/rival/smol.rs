//! smoltcp as the server, used as its documentation advises who wants speed: what has come in
//! first, then the application, then what goes out.

mod rings;

use std::cell::Cell;

use smoltcp::iface::{
    Config, Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet,
};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

use crate::cases::{CONTENT, Case, HEAD, Made, REQUEST, Wish};
use crate::clients::{Side, WND};
use crate::said::{ENDS, PORT};
use rings::{RX_SLOTS, Rings};

/// What the application knows of a socket.
#[derive(Clone, Copy, Default)]
struct Talk {
    /// Bytes of a request that have come.
    asked_len: usize,
    /// Bytes of the answer that was begun, and of those how many were given to the socket.
    answer_len: usize,
    given_len: usize,
}

/// The server.
pub(crate) struct Smol {
    iface: Interface,
    rings: Rings,
    sockets: SocketSet<'static>,
    handles: Vec<SocketHandle>,
    talks: Vec<Talk>,
    /// Sockets that something arrived for.
    touched: Vec<usize>,
    wish: Wish,
}

thread_local! {
    static NOW_MS: Cell<u32> = const { Cell::new(0) };
}

impl Made for Smol {
    /// With as many sockets as the case has connections at a time.
    fn new(case: &Case) -> Self {
        let mut rings = Rings::new();
        let mac = HardwareAddress::Ethernet(EthernetAddress(ENDS.to_mac.0));
        let now = Instant::from_micros(1_000_000);
        let mut iface = Interface::new(Config::new(mac), &mut rings, now);
        iface.update_ip_addrs(|addrs| {
            let cidr = IpCidr::new(IpAddress::Ipv4(ENDS.to), 24);
            addrs.push(cidr).expect("room for one address");
        });
        let route = iface.routes_mut().add_default_ipv4_route(ENDS.from);
        route.expect("room for one route");
        let mut sockets = SocketSet::new(Vec::new());
        let mut handles = Vec::new();
        for _ in 0..case.conns() {
            // Many connections have the small buffers that they need.
            let tx_len = if case.conns() > 1 { 4_096 } else { WND };
            let rx_len = if case.conns() > 1 { 1_024 } else { 1 << 16 };
            let buffer = |len| SocketBuffer::new(vec![0; len]);
            let mut socket = Socket::new(buffer(rx_len), buffer(tx_len));
            socket.set_nagle_enabled(false);
            socket.set_tsval_generator(Some(|| NOW_MS.get()));
            socket.listen(PORT).expect("a port");
            handles.push(sockets.add(socket));
        }
        Self {
            iface,
            rings,
            sockets,
            talks: vec![Talk::default(); handles.len()],
            handles,
            touched: Vec::with_capacity(RX_SLOTS),
            wish: case.wish,
        }
    }
}

impl Smol {
    /// The application, with the sockets that it is told to look at.
    fn serve(&mut self) {
        for n in self.touched.drain(..) {
            let socket = self.sockets.get_mut::<Socket>(self.handles[n]);
            let talk = &mut self.talks[n];
            while socket.can_recv() {
                let taken = socket.recv(|bytes| (bytes.len(), bytes.len()));
                talk.asked_len += taken.expect("it can receive");
            }
            match self.wish {
                Wish::Nothing => talk.asked_len = 0,
                Wish::Bulk if talk.asked_len > 0 => give_bulk(socket),
                Wish::Bulk => {}
                Wish::Answer(len) => give_answer(socket, talk, len),
            }
            match socket.state() {
                State::CloseWait => socket.close(),
                State::Closed => {
                    // As it was made.
                    socket.set_tsval_generator(Some(|| NOW_MS.get()));
                    *talk = Talk::default();
                    socket.listen(PORT).expect("a port");
                }
                _ => {}
            }
        }
    }
}

fn give_bulk(socket: &mut Socket<'_>) {
    while socket.can_send() {
        socket.send_slice(CONTENT).expect("it can send");
    }
}

fn give_answer(socket: &mut Socket<'_>, talk: &mut Talk, len: usize) {
    if talk.given_len == talk.answer_len && talk.asked_len >= REQUEST.len() {
        talk.asked_len -= REQUEST.len();
        (talk.answer_len, talk.given_len) = (HEAD.len() + len, 0);
    }
    while talk.given_len < talk.answer_len && socket.can_send() {
        let part = match HEAD.get(talk.given_len..) {
            Some(head) if !head.is_empty() => head,
            _ => &CONTENT[talk.given_len - HEAD.len()..talk.answer_len - HEAD.len()],
        };
        talk.given_len += socket.send_slice(part).expect("it can send");
    }
}

impl Side for Smol {
    fn arrive(&mut self, n: usize, bytes: &[u8]) {
        self.rings.arrive(bytes);
        let n = n % self.handles.len();
        if self.touched.last() != Some(&n) {
            self.touched.push(n);
        }
    }

    fn turn(&mut self, now_us: u64) {
        // Its timestamps have a clock of milliseconds, and wrap.
        NOW_MS.set((now_us / 1_000) as u32);
        let now = Instant::from_micros(i64::try_from(now_us).expect("this century"));
        self.iface.poll_maintenance(now);
        let (iface, rings, sockets) = (&mut self.iface, &mut self.rings, &mut self.sockets);
        let none = PollIngressSingleResult::None;
        while iface.poll_ingress_single(now, rings, sockets) != none {}
        self.serve();
        let (iface, rings, sockets) = (&mut self.iface, &mut self.rings, &mut self.sockets);
        while iface.poll_egress(now, rings, sockets) != PollResult::None {}
    }

    fn drain(&mut self, read: impl FnMut(&[&[u8]])) {
        self.rings.drain(read);
    }

    fn check(&self) {
        let is_gone = |handle: &SocketHandle| {
            let state = self.sockets.get::<Socket>(*handle).state();
            state == State::Closed
        };
        assert!(!self.handles.iter().any(is_gone), "a socket is closed");
    }
}
