//! Why a port cannot be opened, one clear line each.

use std::io;
use std::string::String;

use rustix::io::Errno;

use super::SpecError;
use crate::LayoutError;

/// Why a port cannot be opened. Nothing on the machine is changed then.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The name is none.
    Spec(SpecError),
    /// There is no such interface.
    NoInterface {
        /// Its name.
        name: String,
    },
    /// The interface is not of the kind that is needed.
    OtherKind {
        /// Its name.
        name: String,
        /// What it would have to be.
        needed: &'static str,
    },
    /// The kernel does not let this user.
    NotAllowed {
        /// Do what.
        what: String,
        /// What would help.
        needed: &'static str,
    },
    /// The kernel has no such thing.
    Missing {
        /// What is missing.
        what: &'static str,
        /// What else can be used.
        instead: &'static str,
    },
    /// Someone else uses it.
    InUse {
        /// The interface, device or path.
        name: String,
        /// Who, as far as that is known.
        by: Option<u32>,
    },
    /// Something else uses it that is no process.
    InUseBy {
        /// The interface, or a queue of it.
        name: String,
        /// What, as the kernel calls it.
        by: String,
    },
    /// A frame of the interface's MTU does not fit into a buffer.
    Mtu {
        /// The interface.
        name: String,
        /// Its MTU, bytes.
        mtu: u32,
        /// The largest that fits, bytes.
        most: u32,
    },
    /// It has not as many queue pairs as there are cores to serve them.
    Queues {
        /// The port.
        name: String,
        /// Queue pairs that it has.
        has: u32,
        /// How many were asked for.
        wanted: u16,
    },
    /// There is not enough memory.
    Memory {
        /// Bytes that were asked for.
        byte_len: usize,
        /// What the kernel says.
        error: Errno,
    },
    /// The region makes no sense.
    Layout(LayoutError),
    /// Anything else that the kernel says.
    System {
        /// What was to be done.
        what: String,
        /// What it says.
        error: io::Error,
    },
}

impl OpenError {
    /// The kernel has refused to do `what`: not allowed, in use, or anything else. `needed` helps
    /// whoever was not allowed.
    pub fn of(what: impl Into<String>, needed: &'static str, error: impl Into<io::Error>) -> Self {
        let (what, error) = (what.into(), error.into());
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::NotAllowed { what, needed },
            _ => Self::System { what, error },
        }
    }
}

impl core::fmt::Display for OpenError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Spec(error) => error.fmt(f),
            Self::NoInterface { name } => write!(f, "{name}: there is no such interface"),
            Self::OtherKind { name, needed } => write!(f, "{name}: it is not {needed}"),
            Self::NotAllowed { what, needed } => {
                write!(f, "{what}: this user may not: it takes {needed}")
            }
            Self::Missing { what, instead } => {
                write!(f, "this kernel has no {what}; use {instead} instead")
            }
            Self::InUse { name, by: None } => write!(f, "{name}: it is in use"),
            Self::InUse {
                name,
                by: Some(pid),
            } => write!(f, "{name}: it is in use by process {pid}"),
            Self::InUseBy { name, by } => write!(f, "{name}: it is in use by {by}"),
            Self::Mtu { name, mtu, most } => write!(
                f,
                "{name}: its MTU of {mtu} bytes is too large: {most} at most; \
                 set it with: ip link set {name} mtu {most}"
            ),
            Self::Queues { name, has, wanted } => {
                write!(f, "{name}: {wanted} cores, and it has queues for {has}")
            }
            Self::Memory { byte_len, error } => {
                write!(f, "{} MiB of memory for frames: {error}", byte_len >> 20)
            }
            Self::Layout(error) => error.fmt(f),
            Self::System { what, error } => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<SpecError> for OpenError {
    fn from(error: SpecError) -> Self {
        Self::Spec(error)
    }
}

impl From<LayoutError> for OpenError {
    fn from(error: LayoutError) -> Self {
        Self::Layout(error)
    }
}
