//! A host on the wire whose stack is smoltcp, with the same application as ours.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use simoom::Instant;
use simoom_sim::{End, Rng, Wire};
use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

use crate::talk::{Asking, Serving};
use crate::world::{Habits, Lives};

/// A raw end of the wire, as smoltcp wants a device.
struct Ether {
    wire: Wire,
    end: End,
    mtu: usize,
    arrived: VecDeque<Vec<u8>>,
}

struct Received(Vec<u8>);

struct Sender<'a>(&'a Ether);

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl phy::TxToken for Sender<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut bytes = vec![0; len];
        let result = write(&mut bytes);
        self.0.wire.inject(self.0.end, &bytes);
        result
    }
}

impl Device for Ether {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sender<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Received, Sender<'_>)> {
        let bytes = self.arrived.pop_front()?;
        Some((Received(bytes), Sender(self)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Sender<'_>> {
        Some(Sender(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        // The frame's length there, not the datagram's.
        capabilities.max_transmission_unit = self.mtu + 14;
        capabilities
    }
}

enum Role {
    Client(Asking),
    Server(Serving),
}

/// One socket and what it is about.
struct Talk {
    socket: SocketHandle,
    role: Role,
    /// What waits for room in the socket's buffer, and what it has not given enough of yet.
    outbox: VecDeque<u8>,
    inbox: Vec<u8>,
    stalled_until: Instant,
    /// Close when the outbox is empty.
    is_closing: bool,
    is_over: bool,
}

/// How the sockets are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sockets {
    pub(crate) mtu: usize,
    pub(crate) rx_len: usize,
    pub(crate) tx_len: usize,
    pub(crate) has_nagle: bool,
    pub(crate) has_timestamps: bool,
    pub(crate) ack_delay_ms: Option<u64>,
}

/// The host.
pub(crate) struct Foreign {
    ether: Ether,
    iface: Interface,
    sockets: SocketSet<'static>,
    talks: Vec<Talk>,
    config: Sockets,
    habits: Habits,
    rng: Rng,
    pub(crate) told: Rc<RefCell<Told>>,
}

/// What has become of the connections.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) answered: u64,
    /// Connections that ended before they had all they asked for.
    pub(crate) broken: u64,
}

thread_local! {
    static NOW_MS: Cell<u32> = const { Cell::new(0) };
}

impl Foreign {
    /// Host `n` of the network 10.0.0.0/24.
    pub(crate) fn new(wire: &Wire, n: u8, config: Sockets, habits: Habits, mut rng: Rng) -> Self {
        let mut ether = Ether {
            wire: wire.clone(),
            end: wire.tap(),
            mtu: config.mtu,
            arrived: VecDeque::new(),
        };
        let mac = EthernetAddress([2, 0, 0, 0, 0, n]);
        let mut made_of = Config::new(mac.into());
        made_of.random_seed = rng.next_u64();
        let mut iface = Interface::new(made_of, &mut ether, at(Instant::ZERO));
        iface.update_ip_addrs(|addrs| {
            let cidr = IpCidr::new(IpAddress::v4(10, 0, 0, n), 24);
            addrs.push(cidr).expect("room for one address");
        });
        Self {
            ether,
            iface,
            sockets: SocketSet::new(Vec::new()),
            talks: Vec::new(),
            config,
            habits,
            rng,
            told: Rc::default(),
        }
    }

    pub(crate) fn end(&self) -> End {
        self.ether.end
    }

    /// The states of all sockets.
    pub(crate) fn states(&self) -> Vec<State> {
        let state = |talk: &Talk| self.sockets.get::<Socket>(talk.socket).state();
        self.talks.iter().map(state).collect()
    }

    fn socket(&self) -> Socket<'static> {
        let buffer = |len| SocketBuffer::new(vec![0; len]);
        let config = &self.config;
        let mut socket = Socket::new(buffer(config.rx_len), buffer(config.tx_len));
        socket.set_nagle_enabled(config.has_nagle);
        let delay = config.ack_delay_ms;
        socket.set_ack_delay(delay.map(smoltcp::time::Duration::from_millis));
        // In CLOSING it does not send a lost FIN again: this alone ends it then.
        socket.set_timeout(Some(smoltcp::time::Duration::from_secs(300)));
        if config.has_timestamps {
            socket.set_tsval_generator(Some(|| NOW_MS.get()));
        }
        socket
    }

    fn add(&mut self, socket: Socket<'static>, role: Role) {
        self.talks.push(Talk {
            socket: self.sockets.add(socket),
            role,
            outbox: VecDeque::new(),
            inbox: Vec::new(),
            stalled_until: Instant::ZERO,
            is_closing: false,
            is_over: false,
        });
    }

    /// One socket that waits for one connection.
    pub(crate) fn listen(&mut self, port: u16) {
        let mut socket = self.socket();
        socket.listen(port).expect("a port");
        self.add(socket, Role::Server(Serving::default()));
    }

    /// Opens a connection to host `to`.
    pub(crate) fn connect(&mut self, to: u8, local_port: u16) {
        let mut socket = self.socket();
        let remote = (IpAddress::v4(10, 0, 0, to), 80);
        socket
            .connect(self.iface.context(), remote, local_port)
            .expect("a fresh socket");
        let requests = self.habits.draw(&mut self.rng);
        self.add(socket, Role::Client(Asking::new(requests)));
    }

    /// The application's turn; whether it has done anything.
    fn step(&mut self, now: Instant) -> bool {
        let mut has_moved = false;
        for talk in &mut self.talks {
            let socket = self.sockets.get_mut::<Socket>(talk.socket);
            let mut turn = Turn {
                talk,
                socket,
                habits: &self.habits,
                rng: &mut self.rng,
                told: &self.told,
                now,
            };
            has_moved |= turn.take();
        }
        has_moved
    }
}

/// One connection's turn.
struct Turn<'a> {
    talk: &'a mut Talk,
    socket: &'a mut Socket<'static>,
    habits: &'a Habits,
    rng: &'a mut Rng,
    told: &'a Rc<RefCell<Told>>,
    now: Instant,
}

impl Turn<'_> {
    fn take(&mut self) -> bool {
        if self.talk.is_over || self.socket.state() == State::Listen {
            return false;
        }
        let moved = self.ask() | self.receive() | self.send();
        self.finish();
        moved
    }

    fn ask(&mut self) -> bool {
        let (talk, habits) = (&mut *self.talk, self.habits);
        let Role::Client(asking) = &mut talk.role else {
            return false;
        };
        let before = asking.asked;
        while self.socket.may_send()
            && !talk.is_closing
            && let Some(request) = asking.next(habits.pipeline)
        {
            talk.outbox.extend(request.to_bytes());
            talk.outbox.extend(request.uploaded());
            asking.asked += 1;
        }
        let is_done = asking.is_answered() && !habits.is_server_first;
        talk.is_closing |= is_done || (habits.is_half_closing && asking.is_all_asked());
        asking.asked > before
    }

    fn receive(&mut self) -> bool {
        let talk = &mut *self.talk;
        // The end of its TIME-WAIT takes with it what has not been read by then.
        let may_stall = !matches!(self.socket.state(), State::TimeWait | State::Closed);
        if !self.socket.can_recv() || (may_stall && self.now < talk.stalled_until) {
            return false;
        }
        if may_stall && self.rng.below(1_000) < self.habits.stalls_permille {
            let stall_us = 1 + self.rng.below(self.habits.stall_us_max);
            talk.stalled_until = self.now + simoom::Duration::from_micros(stall_us);
            return false;
        }
        if self.rng.below(1_000) < self.habits.aborts_permille {
            self.socket.abort();
            return true;
        }
        let inbox = &mut talk.inbox;
        let taken = self.socket.recv(|bytes| {
            inbox.extend_from_slice(bytes);
            (bytes.len(), ())
        });
        assert!(taken.is_ok(), "{taken:?}");
        let mut told = self.told.borrow_mut();
        match &mut talk.role {
            Role::Client(asking) => {
                told.answered += asking.check(inbox);
                inbox.clear();
            }
            Role::Server(serving) => loop {
                let (len, completed) = serving.take(inbox);
                inbox.drain(..len);
                if let Some(request) = completed {
                    talk.outbox.extend(request.len.to_be_bytes());
                    talk.outbox.extend(request.downloaded());
                    talk.is_closing |= request.is_last;
                } else if len == 0 {
                    break;
                }
            },
        }
        true
    }

    fn send(&mut self) -> bool {
        let talk = &mut *self.talk;
        let mut has_moved = false;
        while self.socket.can_send() && !talk.outbox.is_empty() {
            let sent = self.socket.send_slice(talk.outbox.as_slices().0);
            talk.outbox.drain(..sent.expect("it can send"));
            has_moved = true;
        }
        has_moved
    }

    fn finish(&mut self) {
        let talk = &mut *self.talk;
        let has_all = !self.socket.may_recv() && self.socket.recv_queue() == 0;
        let is_remote_done = self.socket.state() == State::CloseWait && has_all;
        if (talk.is_closing || is_remote_done) && talk.outbox.is_empty() && self.socket.may_send() {
            self.socket.close();
        }
        if matches!(self.socket.state(), State::Closed | State::TimeWait) && !self.socket.can_recv()
        {
            talk.is_over = true;
            if matches!(&talk.role, Role::Client(asking) if !asking.is_answered()) {
                self.told.borrow_mut().broken += 1;
            }
        }
    }
}

impl Lives for Foreign {
    fn poll(&mut self, now: Instant) {
        // Its timestamps have a clock of milliseconds, and wrap.
        NOW_MS.set((now.as_micros() / 1_000) as u32);
        let arrived = self.ether.wire.captured(self.ether.end);
        self.ether
            .arrived
            .extend(arrived.into_iter().map(|frame| frame.bytes));
        loop {
            let polled = self.iface.poll(at(now), &mut self.ether, &mut self.sockets);
            let has_moved = self.step(now);
            if polled == PollResult::None && !has_moved {
                return;
            }
        }
    }

    fn poll_at(&mut self, now: Instant) -> Instant {
        let at = self.iface.poll_at(at(now), &self.sockets);
        let at = at.map_or(Instant::NEVER, |at| {
            Instant::from_micros(u64::try_from(at.total_micros()).expect("after the start"))
        });
        let stalls = self.talks.iter().filter(|talk| !talk.is_over);
        let stalls = stalls.map(|talk| talk.stalled_until).filter(|at| *at > now);
        stalls.fold(at.max(now), Instant::min)
    }

    fn is_quiet(&self) -> bool {
        self.talks.iter().all(|talk| {
            let state = self.sockets.get::<Socket>(talk.socket).state();
            talk.is_over || state == State::Listen
        })
    }
}

fn at(now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(i64::try_from(now.as_micros()).expect("this century"))
}
