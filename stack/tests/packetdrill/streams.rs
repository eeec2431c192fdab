//! Calls on a connection: reading, writing, closing, and asking what it is ready for.

use simoom::tcp::calls::CallError;
use simoom::tcp::{Closed, State};

use super::constants::{named, value};
use super::content;
use super::script::Expr;
use super::sockets::{Calling, OK, Replied, Reply, Role, errno, would_block};

impl Calling<'_, '_> {
    /// Whether a call waits, by its socket and its flags.
    fn waits(&mut self, flags: i64) -> Result<Reply, String> {
        let is_nonblocking = self.with_socket(|socket| socket.is_nonblocking)?;
        let dont_wait = named("MSG_DONTWAIT").unwrap_or(0);
        Ok(would_block(is_nonblocking || flags & dont_wait != 0))
    }

    pub(crate) fn read(&mut self, len_idx: usize, flags: i64) -> Replied {
        let most = usize::try_from(self.int(len_idx)?).map_err(|_| "a length out of range")?;
        let Some(id) = self.conn()? else {
            return Ok(Reply::Errno("ENOTCONN"));
        };
        if self.with_socket(|socket| socket.read_seq.is_none())?
            && let Some(tuple) = self.act(id, |conn| conn.tuple())
        {
            let (_, theirs) = (self.starts)(tuple);
            self.with_socket(|socket| socket.read_seq = Some(theirs))?;
        }
        let mut read = Vec::new();
        while read.len() < most || most == 0 {
            let now = self.machine.now();
            let taken = self
                .machine
                .stack
                .recv(now, &self.machine.app, id, |bytes| {
                    let len = bytes.len().min(most - read.len());
                    read.extend(&bytes[..len]);
                    len
                });
            match taken {
                Ok(0) => break,
                Ok(_) => {}
                Err(_) if !read.is_empty() => break,
                Err(nb::Error::WouldBlock) if self.with_socket(|s| s.is_read_shut)? => break,
                Err(nb::Error::WouldBlock) => return self.waits(flags),
                Err(nb::Error::Other(error)) => return self.ended(error, Reply::Value(0)),
            }
        }
        let seq = self.with_socket(|socket| {
            let seq = socket.read_seq.unwrap_or(1);
            socket.read_seq = Some(seq.wrapping_add(read.len() as u32));
            seq
        })?;
        if !content::is_at(seq, &read) {
            return Err(format!("the bytes read are not those that follow {seq}"));
        }
        Ok(Reply::Value(read.len() as i64))
    }

    /// A connection that is gone tells why once, and then what the end of a stream is.
    fn ended(&mut self, error: CallError, after: Reply) -> Replied {
        let was_told =
            self.with_socket(|socket| std::mem::replace(&mut socket.is_error_told, true));
        match error {
            CallError::Gone(Some(Closed::Finished)) => Ok(after),
            CallError::Gone(_) if was_told? => Ok(after),
            error => errno(error),
        }
    }

    pub(crate) fn writev(&mut self) -> Replied {
        self.args(3)?;
        let Expr::Array(pieces) = &self.call.args[1] else {
            return Err("writev wants [{..., len}, ...]".to_string());
        };
        let mut lens = Vec::new();
        for piece in pieces {
            let Expr::Struct(fields) = piece else {
                return Err(format!("not a piece to write: {piece}"));
            };
            let [_, (None, len)] = &fields[..] else {
                return Err(format!("not a piece to write: {piece}"));
            };
            lens.push(value(len)?);
        }
        if lens.len() as i64 != self.int(2)? {
            return Err("writev has another number of pieces".to_string());
        }
        // One piece each, all or as many as there is room for.
        let mut written = 0;
        for len in lens {
            match self.write(len, 0)? {
                Reply::Value(len) => written += len,
                _ if written > 0 => break,
                other => return Ok(other),
            }
        }
        Ok(Reply::Value(written))
    }

    pub(crate) fn write(&mut self, len: i64, flags: i64) -> Replied {
        let len = usize::try_from(len).map_err(|_| "a length out of range")?;
        let Some(id) = self.conn()? else {
            return Ok(Reply::Errno("EPIPE"));
        };
        if len == 0 {
            return OK;
        }
        let seq = self.with_socket(|socket| socket.write_seq)?;
        let body = content::body(seq, len).ok_or("the script writes too much")?;
        let (now, app) = (self.machine.now(), &self.machine.app);
        // `send` has its bytes copied, `write` has them referred to.
        let sent = if self.call.name == "send" && len <= COPIED_MAX {
            self.machine.stack.send(now, app, id, body)
        } else {
            self.machine.stack.send_body(now, app, id, body)
        };
        match sent {
            Ok(()) => {
                self.with_socket(|socket| socket.write_seq = seq.wrapping_add(len as u32))?;
                Ok(Reply::Value(len as i64))
            }
            Err(nb::Error::WouldBlock) => self.waits(flags),
            Err(nb::Error::Other(CallError::Send(_))) => Ok(Reply::Errno("EPIPE")),
            Err(nb::Error::Other(error)) => self.ended(error, Reply::Errno("EPIPE")),
        }
    }

    pub(crate) fn close(&mut self) -> Replied {
        self.args(1)?;
        let fd = self.int(0)?;
        let Some(socket) = self.sockets.table.remove(&fd) else {
            return Ok(Reply::Errno("EBADF"));
        };
        let now = self.machine.now();
        match socket.role {
            Role::Fresh => {}
            Role::Listening(id) => self.machine.stack.unlisten(id),
            Role::Connecting(id) | Role::Connected(id) => {
                let status = self.status(id);
                let has_unread = status.is_some_and(|status| status.unread_len > 0);
                let is_opening = status.is_some_and(|status| status.state == State::SynSent);
                // RFC 9293 3.6.1: what nobody will read is refused; 3.10.4: an open is given up.
                if socket.is_reset_on_close || has_unread || is_opening {
                    self.machine.stack.abort(now, id);
                } else {
                    self.machine.stack.close(now, id);
                    self.sockets.orphans.push(id);
                }
            }
        }
        OK
    }

    pub(crate) fn shutdown(&mut self) -> Replied {
        self.args(2)?;
        let how = self.int(1)?;
        let is_how = |name| Some(how) == named(name);
        if !is_how("SHUT_RD") && !is_how("SHUT_WR") && !is_how("SHUT_RDWR") {
            return Err(format!("not a way to shut down: {}", self.call.args[1]));
        }
        let Some(id) = self.conn()?.filter(|id| self.status(*id).is_some()) else {
            return Ok(Reply::Errno("ENOTCONN"));
        };
        if !is_how("SHUT_WR") {
            self.with_socket(|socket| socket.is_read_shut = true)?;
        }
        if !is_how("SHUT_RD") {
            let now = self.machine.now();
            self.machine.stack.close(now, id);
        }
        OK
    }

    pub(crate) fn ioctl(&mut self) -> Replied {
        self.args(3)?;
        let Some(id) = self.conn()? else {
            return Ok(Reply::Errno("EINVAL"));
        };
        let status = self.status(id);
        let command = self.int(1)?;
        let found = if Some(command) == named("SIOCINQ") {
            status.map_or(0, |status| status.unread_len as i64)
        } else if Some(command) == named("SIOCOUTQ") {
            status.map_or(0, |status| status.unacked_len as i64)
        } else {
            return Err(format!("unknown ioctl: {}", self.call.args[1]));
        };
        self.same_value(2, found)?;
        OK
    }

    /// The value that a call gives back through an argument, `[value]`, is the expected one.
    pub(crate) fn same_value(&self, idx: usize, found: i64) -> Result<(), String> {
        match &self.call.args[idx] {
            Expr::Any => Ok(()),
            Expr::Array(values) if values.len() == 1 && value(&values[0])? == found => Ok(()),
            other => Err(format!("{} gives [{found}], not {other}", self.call.name)),
        }
    }

    pub(crate) fn poll(&mut self) -> Replied {
        self.args(3)?;
        let Expr::Array(asked) = &self.call.args[0] else {
            return Err("poll wants [{fd=..., events=..., revents=...}]".to_string());
        };
        let mut ready_cnt = 0;
        let mut wrong = None;
        for entry in asked {
            let field = |name| {
                let found = entry.field(name).map(value).transpose()?;
                found.ok_or_else(|| format!("poll wants {name} in {entry}"))
            };
            let (fd, events, revents) = (field("fd")?, field("events")?, field("revents")?);
            let ready = self.ready(fd)? & (events | POLL_ALWAYS);
            ready_cnt += i64::from(ready != 0);
            if ready != revents {
                wrong = Some(format!("poll tells {ready:#x} of {fd}, not {revents:#x}"));
            }
        }
        if ready_cnt == 0 && self.int(2)? != 0 {
            return Ok(Reply::Blocks);
        }
        wrong.map_or(Ok(Reply::Value(ready_cnt)), Err)
    }

    /// What a socket is ready for.
    fn ready(&mut self, fd: i64) -> Result<i64, String> {
        let bit = |name| named(name).unwrap_or(0);
        let socket = self.sockets.table.get(&fd).cloned();
        let socket = socket.ok_or_else(|| format!("no socket {fd}"))?;
        let id = match socket.role {
            Role::Fresh => return Ok(bit("POLLOUT") | bit("POLLHUP")),
            Role::Listening(_) => return Err("poll cannot look into a listener".to_string()),
            Role::Connecting(id) | Role::Connected(id) => id,
        };
        let Some(status) = self.status(id) else {
            let is_error = self.machine.app.ended(id) != Some(Closed::Finished);
            let error = if is_error && !socket.is_error_told {
                bit("POLLERR")
            } else {
                0
            };
            let ended = bit("POLLIN") | bit("POLLOUT") | bit("POLLHUP") | bit("POLLRDHUP");
            return Ok(ended | error);
        };
        let has_room = self.act(id, |conn| conn.has_room()) == Some(true);
        let has_ended = matches!(
            status.state,
            State::CloseWait | State::Closing | State::LastAck | State::TimeWait
        );
        let mut ready = 0;
        if status.state.is_synchronized() && status.state.can_send() && has_room {
            ready |= bit("POLLOUT");
        }
        if status.unread_len > 0 || has_ended {
            ready |= bit("POLLIN");
        }
        if has_ended {
            ready |= bit("POLLRDHUP");
        }
        Ok(ready)
    }
}

/// Events that poll tells without being asked: `POLLERR` and `POLLHUP`.
const POLL_ALWAYS: i64 = 0x18;

/// Longest piece that `send` has copied.
const COPIED_MAX: usize = 1_024;
