//! The applications above the stack: one of callbacks whose habits the program sets, and the
//! non-blocking calls. Both do the same few things to a connection ([`Act`]).

use std::cell::RefCell;
use std::rc::Rc;

use simoom::tcp::calls::Calls;
use simoom::tcp::cc::{Chosen, Congestion, Cubic};
use simoom::tcp::{App, Closed, Conn, ConnId, KeepAlive, ListenerId};
use simoom::udp::UdpOut;
use simoom::{Duration, Endpoint, Instant, Stack};
use simoom_ring::TxRing;

use super::cursor::Cursor;
use super::far::Far;
use super::pairs::told_of;

/// What the stack's type is for an application.
pub(crate) trait Way: App + Sized + 'static {
    fn new(far: Rc<RefCell<Far>>, ids: Rc<RefCell<Vec<ConnId>>>) -> Self;

    /// The state of a connection that we open.
    fn opened() -> Self::Conn;

    /// The next connection of the accept queue, where there is one.
    fn accept(stack: &mut Stack<'static, Self>, listener: ListenerId) -> Option<ConnId>;

    /// Shows what was received to `take`, by the way's own call.
    fn recv(
        &self,
        stack: &mut Stack<'static, Self>,
        now: Instant,
        id: ConnId,
        take: impl FnOnce(&[u8]) -> usize,
    );

    fn set_habits(&mut self, _habits: Habits) {}
}

/// Something that an application does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Act {
    kind: u8,
    amount: u16,
}

impl Act {
    pub(crate) fn from(bytes: &mut Cursor<'_>) -> Self {
        Self {
            kind: bytes.u8(),
            amount: bytes.u16(),
        }
    }

    pub(crate) fn run<C: Congestion>(self, conn: &mut Conn<'_, '_, C>, far: &mut Far) {
        let amount = usize::from(self.amount);
        match self.kind % 13 {
            0 => {}
            1 | 2 => send(conn, far, amount % (conn.generated_max() + 2)),
            3 | 4 => send_body(conn, far, amount % BODY_LEN_MAX),
            5 => conn.close(),
            6 if amount % 8 == 0 => conn.abort(),
            6 => conn.want_writable(),
            7 => conn.set_nodelay(amount % 2 == 0),
            8 => conn.wake_at(conn.now() + Duration::from_millis(self.amount.into())),
            9 => conn.set_keep_alive((amount > 0).then(|| KeepAlive {
                idle: Duration::from_secs(amount as u64 % 60),
                interval: Duration::from_secs(amount as u64 / 60 % 40),
                probes: (amount % 5) as u8,
            })),
            10 => {
                let timeout = Duration::from_millis(u64::from(self.amount) * 4);
                conn.set_user_timeout((amount > 0).then_some(timeout));
            }
            11 => conn.set_dscp(amount as u8),
            _ => {
                let status = conn.status();
                far.told(|| told_of(Some(status)));
                assert_eq!(status.unacked_len, conn.unacked_len());
                let _room = conn.has_room_for(self.amount);
            }
        }
    }
}

fn send<C: Congestion>(conn: &mut Conn<'_, '_, C>, far: &mut Far, len: usize) {
    let flow = far.flow_of(&conn.tuple());
    let bytes: Vec<u8> = (0..len).map(|n| (n * 7) as u8).collect();
    if flow
        .as_ref()
        .is_some_and(|flow| flow.queued.len() > QUEUED_MAX)
    {
        return;
    }
    if conn.send(&bytes).is_ok()
        && let Some(flow) = flow
    {
        flow.queued.extend(bytes);
    }
}

fn send_body<C: Congestion>(conn: &mut Conn<'_, '_, C>, far: &mut Far, len: usize) {
    let flow = far.flow_of(&conn.tuple());
    let body = &content()[len % 97..][..len];
    if flow
        .as_ref()
        .is_some_and(|flow| flow.queued.len() > QUEUED_MAX)
    {
        return;
    }
    if conn.send_body(body).is_ok()
        && let Some(flow) = flow
    {
        flow.queued.extend(body);
    }
}

/// Immutable content.
fn content() -> &'static [u8] {
    static CONTENT: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    CONTENT.get_or_init(|| (0..BODY_LEN_MAX + 97).map(|n| (n % 251) as u8).collect())
}

/// What the callbacks do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// Bytes that are taken at once; none is a reader that stalls.
    pub(crate) takes: u16,
    pub(crate) on: [Act; 4],
}

/// The application of callbacks.
pub(crate) struct Script {
    far: Rc<RefCell<Far>>,
    ids: Rc<RefCell<Vec<ConnId>>>,
    habits: Habits,
}

/// What it knows of a connection.
#[derive(Default)]
pub(crate) struct Told {
    taken: u32,
    is_connected: bool,
    is_finished: bool,
}

impl Script {
    fn does(&self, when: usize, conn: &mut Conn<'_, '_, Cubic>) {
        let id = conn.id();
        (self.far.borrow_mut()).told(|| {
            format!(
                "{} of {id:?}",
                ["accepted", "received", "writable", "finished"][when]
            )
        });
        assert!(
            self.ids.borrow().contains(&conn.id()),
            "a connection that is known"
        );
        self.habits.on[when].run(conn, &mut self.far.borrow_mut());
    }
}

impl App for Script {
    type Conn = Told;
    type Congestion = Cubic;

    fn accepted(&mut self, conn: &mut Conn<'_, '_, Cubic>) -> Told {
        begins(&mut self.far.borrow_mut(), conn);
        self.ids.borrow_mut().push(conn.id());
        self.does(0, conn);
        Told {
            is_connected: true,
            ..Told::default()
        }
    }

    fn connected(&mut self, conn: &mut Conn<'_, '_, Cubic>, told: &mut Told) {
        assert!(!told.is_connected, "it is told once");
        told.is_connected = true;
        self.does(0, conn);
    }

    fn received(&mut self, conn: &mut Conn<'_, '_, Cubic>, told: &mut Told, bytes: &[u8]) -> usize {
        assert!(told.is_connected && !told.is_finished && !bytes.is_empty());
        if let Some(flow) = self.far.borrow_mut().flow_of(&conn.tuple()) {
            flow.shows(told.taken, bytes);
        }
        let taken = bytes.len().min(self.habits.takes.into());
        (self.far.borrow_mut()).told(|| format!("shown {} bytes", bytes.len()));
        told.taken += taken as u32;
        self.does(1, conn);
        taken
    }

    fn writable(&mut self, conn: &mut Conn<'_, '_, Cubic>, _told: &mut Told) {
        self.does(2, conn);
    }

    fn finished(&mut self, conn: &mut Conn<'_, '_, Cubic>, told: &mut Told) {
        assert!(told.is_connected && !told.is_finished, "it is told once");
        told.is_finished = true;
        self.does(3, conn);
    }

    fn woken(&mut self, conn: &mut Conn<'_, '_, Cubic>, _told: &mut Told) {
        self.does(2, conn);
    }

    fn closed(&mut self, id: ConnId, _told: Told, why: Closed) {
        (self.far.borrow_mut()).told(|| format!("{id:?} closed: {why:?}"));
        let mut ids = self.ids.borrow_mut();
        let at = ids.iter().position(|known| *known == id);
        ids.swap_remove(at.expect("a connection closes once"));
    }

    fn datagram<'p, T: TxRing<'p>>(
        &mut self,
        out: &mut UdpOut<'_, 'p, T>,
        local: Endpoint,
        remote: Endpoint,
        bytes: &[u8],
    ) {
        let _sent = out.send(remote, local.port, bytes);
    }
}

impl Way for Script {
    fn new(far: Rc<RefCell<Far>>, ids: Rc<RefCell<Vec<ConnId>>>) -> Self {
        let habits = Habits {
            takes: u16::MAX,
            on: [Act::default(); 4],
        };
        Self { far, ids, habits }
    }

    fn opened() -> Told {
        Told::default()
    }

    fn accept(_: &mut Stack<'static, Self>, _: ListenerId) -> Option<ConnId> {
        None
    }

    /// The bytes that are left are offered again by themselves: taken here, they would be missing
    /// there.
    fn recv(
        &self,
        stack: &mut Stack<'static, Self>,
        now: Instant,
        id: ConnId,
        take: impl FnOnce(&[u8]) -> usize,
    ) {
        stack.with_conn(now, id, |conn, told| {
            let taken = conn.recv(take).unwrap_or(0);
            if let Some(told) = told {
                told.taken += taken as u32;
            }
        });
    }

    fn set_habits(&mut self, habits: Habits) {
        self.habits = habits;
    }
}

impl Way for Calls<Chosen> {
    fn new(_: Rc<RefCell<Far>>, _: Rc<RefCell<Vec<ConnId>>>) -> Self {
        Self::new()
    }

    fn opened() -> Self::Conn {
        Self::Conn::default()
    }

    fn accept(stack: &mut Stack<'static, Self>, listener: ListenerId) -> Option<ConnId> {
        stack.accept(listener).ok()
    }

    fn recv(
        &self,
        stack: &mut Stack<'static, Self>,
        now: Instant,
        id: ConnId,
        take: impl FnOnce(&[u8]) -> usize,
    ) {
        let _taken = stack.recv(now, self, id, take);
    }
}

/// A connection is there: its application has queued nothing yet.
pub(crate) fn begins<C: Congestion>(far: &mut Far, conn: &Conn<'_, '_, C>) {
    if let Some(flow) = far.flow_of(&conn.tuple()) {
        flow.begins();
    }
}

/// The longest body, and how much is queued on one connection at most in its life.
const BODY_LEN_MAX: usize = 24_000;
const QUEUED_MAX: usize = 200_000;
