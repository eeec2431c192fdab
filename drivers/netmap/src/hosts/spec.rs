//! The names of ports, as a person writes them.
//!
//! | spec | port |
//! |---|---|
//! | `tap:IFNAME` | a TAP device, created unless it is there; `tap:` lets the kernel name it |
//! | `xdp:IFNAME[@QUEUE]` | AF_XDP on a queue of an interface, 0 by default |
//! | `netmap:IFNAME`, and `^` or `*` behind it | `/dev/netmap`: NIC rings, host rings, both |
//! | `netmap:NAME{N`, `netmap:NAME}N`, or the names alone | `/dev/netmap`: an end of a pipe |
//! | `valeS:P` | `/dev/netmap`: a port of a switch |
//! | `pipe:PATH` | an end of a pipe through shared memory, met at a socket |

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::string::{String, ToString};

/// Which port is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spec {
    /// A TAP device.
    Tap {
        /// Its name; `None` for one of the kernel's choice.
        name: Option<String>,
    },
    /// AF_XDP.
    Xdp {
        /// The interface.
        name: String,
        /// The queue.
        queue: u16,
    },
    /// `/dev/netmap`.
    Netmap {
        /// The port as the kernel takes it: `eth0`, `vale0:a`, `a{1`.
        name: String,
        /// Which of its rings.
        rings: NetmapRings,
    },
    /// Shared memory between two processes.
    Pipe {
        /// The socket at which they meet.
        path: PathBuf,
    },
}

/// The rings of a netmap port that are bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetmapRings {
    /// Those of the NIC, the switch or the pipe.
    Nic,
    /// Those that lead to the machine's own stack (`^`).
    Host,
    /// Both (`*`).
    Both,
}

/// What is wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecError {
    /// There is no such kind of port.
    Kind {
        /// What was given.
        given: String,
    },
    /// No interface can have this name.
    Name {
        /// What was given.
        given: String,
    },
    /// The queue is not a number.
    Queue {
        /// What was given.
        given: String,
    },
    /// The path is empty, or longer than a socket's can be.
    Path {
        /// What was given.
        given: String,
    },
    /// A netmap pipe or switch port without a number or a name.
    Netmap {
        /// What was given.
        given: String,
    },
}

impl Spec {
    /// Reads a name.
    ///
    /// # Errors
    /// [`SpecError`]: what was given, and what would have been right.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let is_switch = text.starts_with("vale") && text.contains(':');
        let is_pipe = text.contains(['{', '}']) && !text.contains(':');
        if is_switch || is_pipe {
            return netmap(text);
        }
        let kind_and_rest = text.split_once(':');
        let (kind, rest) = kind_and_rest.ok_or_else(|| SpecError::Kind {
            given: text.to_string(),
        })?;
        match kind {
            "tap" if rest.is_empty() => Ok(Self::Tap { name: None }),
            "tap" => Ok(Self::Tap {
                name: Some(if_name(rest)?),
            }),
            "xdp" => {
                let (name, queue) = rest.split_once('@').unwrap_or((rest, "0"));
                let queue = queue.parse().map_err(|_| SpecError::Queue {
                    given: queue.to_string(),
                })?;
                let name = if_name(name)?;
                Ok(Self::Xdp { name, queue })
            }
            "netmap" => netmap(rest),
            "pipe" => pipe(rest),
            _ => Err(SpecError::Kind {
                given: text.to_string(),
            }),
        }
    }
}

fn netmap(text: &str) -> Result<Spec, SpecError> {
    let (name, rings) = match text.as_bytes().last() {
        Some(b'^') => (&text[..text.len() - 1], NetmapRings::Host),
        Some(b'*') => (&text[..text.len() - 1], NetmapRings::Both),
        _ => (text, NetmapRings::Nic),
    };
    let wrong = || SpecError::Netmap {
        given: text.to_string(),
    };
    let name = if let Some((switch, port)) = name.split_once(':') {
        let is_switch = switch.starts_with("vale") && !port.is_empty();
        let fits = is_switch && name.len() <= IF_NAME_LEN_MAX && rings == NetmapRings::Nic;
        fits.then(|| name.to_string()).ok_or_else(wrong)?
    } else if let Some((base, number)) = name.split_once(['{', '}']) {
        if_name(base)?;
        let is_number = number.parse::<u16>().is_ok() && rings == NetmapRings::Nic;
        is_number.then(|| name.to_string()).ok_or_else(wrong)?
    } else {
        if_name(name)?
    };
    Ok(Spec::Netmap { name, rings })
}

fn pipe(path: &str) -> Result<Spec, SpecError> {
    if path.is_empty() || path.len() > SOCKET_PATH_LEN_MAX || path.contains('\0') {
        return Err(SpecError::Path {
            given: path.to_string(),
        });
    }
    let path = PathBuf::from(OsStr::from_bytes(path.as_bytes()));
    Ok(Spec::Pipe { path })
}

/// A name that an interface can have, by Linux's rules.
fn if_name(name: &str) -> Result<String, SpecError> {
    let has_bad = |name: &str| {
        let is_bad = |byte: u8| byte == b'/' || byte == b':' || byte <= b' ' || byte > b'~';
        name.bytes().any(is_bad)
    };
    let is_dots = name == "." || name == "..";
    if name.is_empty() || name.len() > IF_NAME_LEN_MAX || is_dots || has_bad(name) {
        return Err(SpecError::Name {
            given: name.to_string(),
        });
    }
    Ok(name.to_string())
}

impl core::fmt::Display for Spec {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Tap { name } => write!(f, "tap:{}", name.as_deref().unwrap_or_default()),
            Self::Xdp { name, queue } => write!(f, "xdp:{name}@{queue}"),
            Self::Netmap { name, .. } if name.contains(':') => f.write_str(name),
            Self::Netmap { name, rings } => {
                let rings = match rings {
                    NetmapRings::Nic => "",
                    NetmapRings::Host => "^",
                    NetmapRings::Both => "*",
                };
                write!(f, "netmap:{name}{rings}")
            }
            Self::Pipe { path } => write!(f, "pipe:{}", path.display()),
        }
    }
}

impl core::str::FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        Self::parse(text)
    }
}

impl core::fmt::Display for SpecError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Kind { given } => write!(
                f,
                "no such port: {given}: expected tap:IFNAME, xdp:IFNAME[@QUEUE], netmap:IFNAME, \
                 valeS:P or pipe:PATH"
            ),
            Self::Name { given } => write!(
                f,
                "no name of an interface: {given:?}: expected 1 to {IF_NAME_LEN_MAX} characters"
            ),
            Self::Queue { given } => {
                write!(f, "no queue: {given:?}: expected a number after the @")
            }
            Self::Path { given } => write!(
                f,
                "no path of a socket: {given:?}: expected 1 to {SOCKET_PATH_LEN_MAX} bytes"
            ),
            Self::Netmap { given } => write!(
                f,
                "no netmap port: {given:?}: expected IFNAME with ^ or * behind it, NAME{{N, \
                 NAME}}N or valeS:P"
            ),
        }
    }
}

impl std::error::Error for SpecError {}

/// `IFNAMSIZ` without the NUL.
const IF_NAME_LEN_MAX: usize = 15;
/// `sun_path` without the NUL.
const SOCKET_PATH_LEN_MAX: usize = 107;

#[cfg(test)]
mod tests;
