//! Socket calls over the non-blocking calls of the stack: what a C library would be here.

use std::collections::BTreeMap;

use simoom::tcp::calls::CallError;
use simoom::tcp::{Closed, Conn, ConnId, ConnectError, KeepAlive, ListenError, ListenerId, Status};
use simoom::{Endpoint, FourTuple};

use super::config::Config;
use super::constants::{named, value};
use super::machine::{App, Machine};
use super::script::{Call, Expr};

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Value(i64),
    Errno(&'static str),
    /// It would have to wait.
    Blocks,
}

/// A call's reply, or what is wrong with the script.
pub(crate) type Replied = Result<Reply, String>;

pub(crate) const OK: Replied = Ok(Reply::Value(0));

/// What a socket is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Fresh,
    Listening(ListenerId),
    /// Opened by us, and not established when last looked at.
    Connecting(ConnId),
    Connected(ConnId),
}

/// One descriptor.
#[derive(Clone, Debug)]
pub(crate) struct Socket {
    pub(crate) role: Role,
    pub(crate) is_nonblocking: bool,
    pub(crate) port: Option<u16>,
    /// Settings that connections of a listener inherit.
    pub(crate) is_nodelay: bool,
    /// How it asks when nothing comes, and whether it does.
    pub(crate) keep_alive: KeepAlive,
    pub(crate) is_kept_alive: bool,
    /// `SO_LINGER` with a time of zero.
    pub(crate) is_reset_on_close: bool,
    /// The script's sequence numbers of the next byte to write and to read.
    pub(crate) write_seq: u32,
    pub(crate) read_seq: Option<u32>,
    /// The error that ended the connection has been told.
    pub(crate) is_error_told: bool,
    /// Nothing more will be read: what has not come is the end.
    pub(crate) is_read_shut: bool,
}

impl Socket {
    fn new(role: Role) -> Self {
        Self {
            role,
            is_nonblocking: false,
            port: None,
            is_nodelay: false,
            keep_alive: KeepAlive::default(),
            is_kept_alive: false,
            is_reset_on_close: false,
            write_seq: 1,
            read_seq: None,
            is_error_told: false,
            is_read_shut: false,
        }
    }

    pub(crate) fn conn(&self) -> Option<ConnId> {
        match self.role {
            Role::Connecting(id) | Role::Connected(id) => Some(id),
            Role::Fresh | Role::Listening(_) => None,
        }
    }
}

/// Where the streams of a connection begin, in the script's sequence numbers: ours, and theirs.
pub(crate) type Starts<'f> = &'f dyn Fn(FourTuple) -> (u32, u32);

/// All descriptors of a script.
#[derive(Default)]
pub(crate) struct Sockets {
    pub(crate) table: BTreeMap<i64, Socket>,
    /// Closed descriptors' connections that are not over.
    pub(crate) orphans: Vec<ConnId>,
    /// The connection that assertions are about: the newest.
    pub(crate) newest: Option<ConnId>,
}

/// A call with what it works on.
pub(crate) struct Calling<'a, 'p> {
    pub(crate) sockets: &'a mut Sockets,
    pub(crate) machine: &'a mut Machine<'p>,
    pub(crate) config: &'a Config,
    pub(crate) starts: Starts<'a>,
    pub(crate) call: &'a Call,
}

impl Sockets {
    /// What an application does that has closed a descriptor: bytes that come now are refused
    /// (RFC 9293 3.6.1, RFC 1122 4.2.2.13).
    pub(crate) fn refuse(&mut self, machine: &mut Machine<'_>) {
        let now = machine.now();
        self.orphans.retain(|id| {
            let unread = machine.stack.with_conn(now, *id, |conn, _| {
                let has_unread = conn.status().unread_len > 0;
                if has_unread {
                    conn.abort();
                }
                has_unread
            });
            unread == Some(false)
        });
    }

    /// Everything ends.
    pub(crate) fn abort_all(&mut self, machine: &mut Machine<'_>) {
        let now = machine.now();
        for socket in self.table.values() {
            if let Role::Listening(id) = socket.role {
                while let Ok(conn) = machine.stack.accept(id) {
                    machine.stack.abort(now, conn);
                }
                machine.stack.unlisten(id);
            }
        }
        let conns = self.table.values().filter_map(Socket::conn);
        for id in conns.chain(self.orphans.iter().copied()) {
            machine.stack.abort(now, id);
        }
        machine.poll();
    }
}

impl<'p> Calling<'_, 'p> {
    pub(crate) fn run(&mut self) -> Replied {
        match self.call.name.as_str() {
            "socket" => self.socket(),
            "bind" => self.bind(),
            "listen" => self.listen(),
            "connect" => self.connect(),
            "accept" | "accept4" => self.accept(),
            "read" => self.args(3).and_then(|()| self.read(2, 0)),
            "recv" => self.args(4).and_then(|()| self.read(2, self.flags(3)?)),
            "recvfrom" => self.args(6).and_then(|()| self.read(2, self.flags(3)?)),
            "write" => self.args(3).and_then(|()| self.write(self.int(2)?, 0)),
            "send" => {
                self.args(4)?;
                self.write(self.int(2)?, self.flags(3)?)
            }
            "sendto" => {
                self.args(6)?;
                self.write(self.int(2)?, self.flags(3)?)
            }
            "writev" => self.writev(),
            "close" => self.close(),
            "shutdown" => self.shutdown(),
            "fcntl" => self.fcntl(),
            "ioctl" => self.ioctl(),
            "poll" => self.poll(),
            "setsockopt" => self.setsockopt(),
            "getsockopt" => self.getsockopt(),
            other => Err(format!("unknown call: {other}")),
        }
    }

    pub(crate) fn args(&self, cnt: usize) -> Result<(), String> {
        if self.call.args.len() == cnt {
            return Ok(());
        }
        Err(format!("{} wants {cnt} arguments", self.call.name))
    }

    pub(crate) fn int(&self, idx: usize) -> Result<i64, String> {
        value(&self.call.args[idx])
    }

    /// Flags of a call, of those that mean something here.
    pub(crate) fn flags(&self, idx: usize) -> Result<i64, String> {
        let flags = self.int(idx)?;
        let known = [named("MSG_DONTWAIT"), named("MSG_NOSIGNAL")];
        let known = known.into_iter().flatten().fold(0, |bits, bit| bits | bit);
        if flags & !known != 0 {
            return Err(format!("flags that are not there: {}", self.call.args[idx]));
        }
        Ok(flags)
    }

    pub(crate) fn with_socket<R>(
        &mut self,
        act: impl FnOnce(&mut Socket) -> R,
    ) -> Result<R, String> {
        let fd = self.int(0)?;
        let socket = self.sockets.table.get_mut(&fd);
        socket.map(act).ok_or_else(|| format!("no socket {fd}"))
    }

    /// The connection of the socket; `None` when it has none.
    pub(crate) fn conn(&mut self) -> Result<Option<ConnId>, String> {
        self.with_socket(|socket| socket.conn())
    }

    pub(crate) fn act<R>(
        &mut self,
        id: ConnId,
        act: impl FnOnce(&mut Conn<'_, 'p, <App as simoom::tcp::App>::Congestion>) -> R,
    ) -> Option<R> {
        let now = self.machine.now();
        self.machine.stack.with_conn(now, id, |conn, _| act(conn))
    }

    pub(crate) fn status(&mut self, id: ConnId) -> Option<Status> {
        self.act(id, |conn| conn.status())
    }

    /// A new descriptor, named as the script names it.
    fn open(&mut self, socket: Socket) -> Replied {
        let fd = value(&self.call.result)?;
        if fd < 0 || self.sockets.table.contains_key(&fd) {
            return Err(format!("{fd} is not the name of a new descriptor"));
        }
        self.sockets.table.insert(fd, socket);
        Ok(Reply::Value(fd))
    }

    fn socket(&mut self) -> Replied {
        self.args(3)?;
        let kind = self.int(1)?;
        let flags = named("SOCK_NONBLOCK").unwrap_or(0) | named("SOCK_CLOEXEC").unwrap_or(0);
        if Some(kind & !flags) != named("SOCK_STREAM") || ![0, 6].contains(&self.int(2)?) {
            return Err("only TCP sockets are there".to_string());
        }
        let mut socket = Socket::new(Role::Fresh);
        socket.is_nonblocking = Some(kind & flags & 0o4000) == named("SOCK_NONBLOCK");
        self.open(socket)
    }

    /// The port of a `sockaddr`; the one of the script's options for `...`.
    fn port(&self, idx: usize, default: u16) -> Result<u16, String> {
        match &self.call.args[idx] {
            Expr::Any => Ok(default),
            given @ Expr::Struct(_) => {
                let port = given.field("sin_port").map(value).transpose()?;
                let port = port.and_then(|port| u16::try_from(port).ok());
                port.ok_or_else(|| format!("no port in {given}"))
            }
            other => Err(format!("not an address: {other}")),
        }
    }

    fn bind(&mut self) -> Replied {
        self.args(3)?;
        let port = self.port(1, self.config.bind_port)?;
        self.with_socket(|socket| {
            if socket.role == Role::Fresh && socket.port.is_none() {
                socket.port = Some(port);
                Reply::Value(0)
            } else {
                Reply::Errno("EINVAL")
            }
        })
    }

    fn listen(&mut self) -> Replied {
        self.args(2)?;
        let backlog = u16::try_from(self.int(1)?).map_err(|_| "a backlog out of range")?;
        let socket = self.with_socket(|socket| socket.clone())?;
        let (Role::Fresh, Some(port)) = (socket.role, socket.port) else {
            return Err("listen needs a socket that is bound".to_string());
        };
        match self.machine.stack.listen(port, backlog) {
            Ok(id) => {
                self.with_socket(|socket| socket.role = Role::Listening(id))?;
                OK
            }
            Err(ListenError::InUse) => Ok(Reply::Errno("EADDRINUSE")),
            Err(error) => Err(format!("listen: {error}")),
        }
    }

    fn connect(&mut self) -> Replied {
        self.args(3)?;
        let port = self.port(1, self.config.connect_port)?;
        let socket = self.with_socket(|socket| socket.clone())?;
        match socket.role {
            Role::Listening(_) => return Ok(Reply::Errno("EISCONN")),
            Role::Connecting(id) => return self.connecting(id, "EALREADY"),
            Role::Connected(_) => return Ok(Reply::Errno("EISCONN")),
            Role::Fresh => {}
        }
        let now = self.machine.now();
        let remote = Endpoint::new(self.config.remote, port);
        let id = match self.machine.stack.connect(now, remote, Default::default()) {
            Ok(id) => id,
            Err(ConnectError::NoPort) => return Ok(Reply::Errno("EADDRNOTAVAIL")),
            Err(error) => return Err(format!("connect: {error}")),
        };
        self.inherit(&socket, id);
        self.with_socket(|socket| socket.role = Role::Connecting(id))?;
        self.sockets.newest = Some(id);
        Ok(if socket.is_nonblocking {
            Reply::Errno("EINPROGRESS")
        } else {
            Reply::Blocks
        })
    }

    /// What comes of a connection that is being opened.
    fn connecting(&mut self, id: ConnId, pending: &'static str) -> Replied {
        let now = self.machine.now();
        match self.machine.stack.connected(now, &self.machine.app, id) {
            Ok(()) => {
                self.with_socket(|socket| socket.role = Role::Connected(id))?;
                OK
            }
            Err(nb::Error::WouldBlock) if self.with_socket(|s| s.is_nonblocking)? => {
                Ok(Reply::Errno(pending))
            }
            Err(nb::Error::WouldBlock) => Ok(Reply::Blocks),
            Err(nb::Error::Other(error)) => {
                self.with_socket(|socket| socket.is_error_told = true)?;
                errno(error)
            }
        }
    }

    fn accept(&mut self) -> Replied {
        let has_flags = self.call.name == "accept4";
        self.args(if has_flags { 4 } else { 3 })?;
        let listener = self.with_socket(|socket| socket.clone())?;
        let Role::Listening(id) = listener.role else {
            return Ok(Reply::Errno("EINVAL"));
        };
        let Ok(conn) = self.machine.stack.accept(id) else {
            let is_nonblocking = listener.is_nonblocking;
            return Ok(would_block(is_nonblocking));
        };
        let mut socket = Socket::new(Role::Connected(conn));
        socket.is_nonblocking = has_flags && self.int(3)? & 0o4000 != 0;
        socket.is_nodelay = listener.is_nodelay;
        socket.is_reset_on_close = listener.is_reset_on_close;
        if let Some(tuple) = self.act(conn, |conn| conn.tuple()) {
            let (ours, theirs) = (self.starts)(tuple);
            (socket.write_seq, socket.read_seq) = (ours, Some(theirs));
        }
        self.inherit(&listener, conn);
        self.sockets.newest = Some(conn);
        self.open(socket)
    }

    /// What was set on a socket before it had a connection.
    fn inherit(&mut self, socket: &Socket, id: ConnId) {
        if socket.is_nodelay {
            self.act(id, |conn| conn.set_nodelay(true));
        }
    }

    fn fcntl(&mut self) -> Replied {
        let command = self.call.args.get(1).map(value).transpose()?;
        if command == named("F_GETFL") {
            let is_nonblocking = self.with_socket(|socket| socket.is_nonblocking)?;
            return Ok(Reply::Value(if is_nonblocking { 0o4002 } else { 2 }));
        }
        self.args(3)?;
        if command != named("F_SETFL") {
            return Err("fcntl knows F_GETFL and F_SETFL".to_string());
        }
        let flags = self.int(2)?;
        self.with_socket(|socket| socket.is_nonblocking = flags & 0o4000 != 0)?;
        OK
    }

    /// A blocking call looks again.
    pub(crate) fn run_again(&mut self) -> Replied {
        if self.call.name == "connect"
            && let Role::Connecting(id) = self.with_socket(|socket| socket.role)?
        {
            return self.connecting(id, "EALREADY");
        }
        self.run()
    }
}

pub(crate) fn would_block(is_nonblocking: bool) -> Reply {
    if is_nonblocking {
        Reply::Errno("EAGAIN")
    } else {
        Reply::Blocks
    }
}

/// The error number of a connection that is gone.
pub(crate) fn errno(error: CallError) -> Replied {
    Ok(Reply::Errno(match error {
        CallError::Gone(Some(Closed::Refused)) => "ECONNREFUSED",
        CallError::Gone(Some(Closed::Reset)) => "ECONNRESET",
        CallError::Gone(Some(Closed::TimedOut)) => "ETIMEDOUT",
        CallError::Gone(Some(Closed::Aborted)) => "ECONNABORTED",
        CallError::Gone(Some(Closed::Finished)) => "EPIPE",
        other => return Err(format!("an error without a number: {other}")),
    }))
}
