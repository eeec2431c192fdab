//! Socket options.

use super::constants::{errno_name, named, value};
use super::script::Expr;
use super::sockets::{Calling, Replied, Reply, Role, errno};
use simoom::Duration;
use simoom::tcp::calls::CallError;

impl Calling<'_, '_> {
    pub(crate) fn setsockopt(&mut self) -> Replied {
        self.args(5)?;
        let name = self.option_name()?;
        match name.as_str() {
            "SO_REUSEADDR" | "SO_REUSEPORT" => {}
            "TCP_NODELAY" => {
                let is_nodelay = self.given()? != 0;
                let id = self.with_socket(|socket| {
                    socket.is_nodelay = is_nodelay;
                    socket.conn()
                })?;
                if let Some(id) = id {
                    self.act(id, |conn| conn.set_nodelay(is_nodelay));
                }
            }
            "SO_LINGER" => {
                let linger = &self.call.args[3];
                let field = |name| linger.field(name).map(value).transpose();
                let (Some(onoff), Some(secs)) = (field("onoff")?, field("linger")?) else {
                    return Err("SO_LINGER wants {onoff=.., linger=..}".to_string());
                };
                if onoff != 0 && secs != 0 {
                    return Err("lingering for a while is not there".to_string());
                }
                self.with_socket(|socket| socket.is_reset_on_close = onoff != 0)?;
            }
            "TCP_USER_TIMEOUT" => {
                let millis = u64::try_from(self.given()?).map_err(|_| "a time, in milliseconds")?;
                let timeout = (millis > 0).then(|| Duration::from_millis(millis));
                let id = self.with_socket(|socket| socket.conn())?;
                let id = id.ok_or("a timeout is for a connection here")?;
                self.act(id, |conn| conn.set_user_timeout(timeout));
            }
            "SO_KEEPALIVE" | "TCP_KEEPIDLE" | "TCP_KEEPINTVL" | "TCP_KEEPCNT" => {
                self.set_keep_alive(&name)?;
            }
            "TCP_FASTOPEN" => self.set_fast_open()?,
            other => return Err(format!("{other} cannot be set")),
        }
        Ok(Reply::Value(0))
    }

    fn set_keep_alive(&mut self, name: &str) -> Result<(), String> {
        let given = self.given()?;
        let secs = Duration::from_secs(u64::try_from(given).map_err(|_| "a time, in seconds")?);
        let (id, keep_alive) = self.with_socket(|socket| {
            match name {
                "TCP_KEEPIDLE" => socket.keep_alive.idle = secs,
                "TCP_KEEPINTVL" => socket.keep_alive.interval = secs,
                "TCP_KEEPCNT" => socket.keep_alive.probes = given as u8,
                _ => socket.is_kept_alive = given != 0,
            }
            let keep_alive = socket.is_kept_alive.then_some(socket.keep_alive);
            (socket.conn(), keep_alive)
        })?;
        let id = id.ok_or("keep-alives are for a connection here")?;
        self.act(id, |conn| conn.set_keep_alive(keep_alive));
        Ok(())
    }

    /// How many may be pending is bounded by the backlog here.
    fn set_fast_open(&mut self) -> Result<(), String> {
        let is_on = self.given()? > 0;
        match self.with_socket(|socket| socket.role)? {
            Role::Listening(id) => self.machine.stack.set_fast_open(id, is_on),
            // What listeners begin with.
            Role::Fresh if is_on == self.machine.has_fast_open => {}
            _ => return Err("net.ipv4.tcp_fastopen says otherwise".to_string()),
        }
        Ok(())
    }

    pub(crate) fn getsockopt(&mut self) -> Replied {
        self.args(5)?;
        let name = self.option_name()?;
        let found = match name.as_str() {
            "TCP_NODELAY" => i64::from(self.with_socket(|socket| socket.is_nodelay)?),
            "TCP_MAXSEG" => {
                let id = self.with_socket(|socket| socket.conn())?;
                let status = id.and_then(|id| self.status(id));
                status.map_or(536, |status| status.smss.into())
            }
            "SO_ERROR" => self.error()?,
            other => return Err(format!("{other} cannot be asked for")),
        };
        let given = &self.call.args[3];
        let is_same = match given {
            Expr::Any => true,
            Expr::Array(values) => values.len() == 1 && value(&values[0])? == found,
            _ => false,
        };
        if !is_same {
            let name = if name == "SO_ERROR" {
                errno_name(found)
            } else {
                ""
            };
            return Err(format!("getsockopt gives [{found}] {name}, not {given}"));
        }
        Ok(Reply::Value(0))
    }

    /// The error that a connection has ended with, told once.
    fn error(&mut self) -> Result<i64, String> {
        let (id, was_told) = self.with_socket(|socket| {
            let was_told = std::mem::replace(&mut socket.is_error_told, true);
            (socket.conn(), was_told)
        })?;
        let why = id.and_then(|id| self.machine.app.ended(id));
        match why {
            None => {
                self.with_socket(|socket| socket.is_error_told = was_told)?;
                Ok(0)
            }
            Some(simoom::tcp::Closed::Finished) => Ok(0),
            Some(_) if was_told => Ok(0),
            Some(why) => match errno(CallError::Gone(Some(why)))? {
                Reply::Errno(name) => Ok(named(name).unwrap_or(0)),
                other => Err(format!("{other:?} is no error")),
            },
        }
    }

    /// The name of the option, of those that this level has.
    fn option_name(&self) -> Result<String, String> {
        let (level, name) = (self.int(1)?, &self.call.args[2]);
        let Expr::Word(name) = name else {
            return Err(format!("not the name of an option: {name}"));
        };
        let level_name = if Some(level) == named("SOL_SOCKET") {
            "SO_"
        } else if Some(level) == named("SOL_TCP") {
            "TCP_"
        } else {
            return Err(format!("unknown level: {}", self.call.args[1]));
        };
        if !name.starts_with(level_name) || named(name).is_none() {
            return Err(format!("unknown socket option: {name}"));
        }
        Ok(name.clone())
    }

    /// The value that is set: `[value]`.
    fn given(&self) -> Result<i64, String> {
        match &self.call.args[3] {
            Expr::Array(values) if values.len() == 1 => value(&values[0]),
            other => Err(format!("not [value]: {other}")),
        }
    }
}
