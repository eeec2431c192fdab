//! Hosts that take Linux: from a name on a command line to a port that serves.
//!
//! ```text
//!   "tap:web0" ── Spec::parse ──► Spec ── H::open(&spec, &wanted) ──► Opened<H>
//!                                                                       │ start
//!      Wake: what to poll(2) when there is nothing to do ◄── Started ◄──┘ port, queue, pool
//! ```
//!
//! Everything is generic over the host: whoever serves matches on the [`Spec`] once, and no call on
//! a packet's way is a virtual one.
//!
//! # A new host
//!
//! 1. Two types for the far sides of its rings ([`FarSide`](crate::FarSide)), and one for the port
//!    ([`Host`]). A host that plays the kernel gets memory from [`memory::Mapping`], lays it out
//!    with [`Plan`](crate::Plan), and reads the rings with [`Kring`](crate::Kring); one that is
//!    netmap maps the kernel's.
//! 2. [`Open`] for the port: checks, acquires, and gives an [`Opened`]. What it has changed on the
//!    machine (an interface brought up, a program attached, an offload switched off) it registers
//!    with [`undo::later`] at once, and keeps the guard in the port, so that it is taken back
//!    whichever way the process ends: the guard is dropped, or the panic hook runs them all. What
//!    `kill -9` would leave is written to a [`record`], which the next start reads.
//! 3. An arm where `Spec`s are matched: `simoom-httpd`'s main.
//!
//! Its far sides share a [`Wake`] with the loop that sleeps. [`FarSide::arm`](crate::FarSide::arm)
//! of a transmit ring calls [`Wake::want_tx`]; a receive ring is always waited for. When the sleep
//! ended by `POLLERR`, the far sides find it in [`Wake::take_error`] and look what is the matter:
//! [`Gone`](crate::Gone), if it is over. Each system call on a packet's way is counted by
//! [`Syscalls::note`].

mod error;
pub mod filter;
pub mod memory;
pub mod netdev;
pub mod netmap;
pub mod pipe;
pub mod record;
mod spec;
mod start;
pub mod tap;
pub mod undo;
mod wake;
pub mod xdp;

use std::net::Ipv4Addr;
use std::string::String;
use std::vec::Vec;

pub use error::OpenError;
pub use spec::{NetmapRings, Spec, SpecError};
pub use start::Started;
pub use wake::{Syscalls, Wake};

use crate::{Host, Interface};

/// What whoever serves asks of a port. A host may give more of everything.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Frames beside those in the rings, for each queue pair: received data that is kept, heads of
    /// answers.
    pub frames: u32,
    /// Queue pairs, each for a core of its own.
    pub queues: u16,
    /// Bytes of content that will be placed.
    pub content_len: usize,
    /// Which of the interface's packets are ours; all others are the machine's, where the host can
    /// tell them apart.
    pub takes: Takes,
    /// Frames that are not ours go to the machine's own stack, and back (`netmap:`).
    pub has_passthrough: bool,
    /// The address and prefix length for the other end of a cable that a host makes (`tap:`).
    pub far_addr: Option<(Ipv4Addr, u8)>,
    /// What the other side is not to do, though it could (`tap:`).
    pub without: Without,
}

/// Offloads to go without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Without {
    /// Checksums of what is sent; and segments then, which need them.
    pub tx_csum: bool,
    /// Segments of what is sent.
    pub tso: bool,
    /// Checksums of what is received: all are complete then, and nothing is merged.
    pub rx_csum: bool,
    /// Packets larger than the MTU on the way in.
    pub rx_large: bool,
    /// Packets of several pieces: bodies are copied then, and there are no super-segments.
    pub gather: bool,
}

/// The packets that are ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Takes {
    /// Our address; `None` until DHCP has said it.
    pub addr: Option<Ipv4Addr>,
    /// The TCP ports that are listened on.
    pub tcp_ports: Vec<u16>,
}

/// A host that is opened by its name.
///
/// With several queue pairs each is a port of its own, with its rings and buffers, in one region:
/// what is opened is the first, [`more`](Self::more) hands out what the others are made of, each by
/// [`join`](Self::join) on the thread that will serve it. They share nothing but content and what
/// the kernel shares.
pub trait Open: Host + Sized {
    /// What a further queue pair is made of.
    type More: Send + 'static;

    /// Hands out the further queue pairs, in their order; once.
    fn more(&mut self) -> Vec<Self::More> {
        Vec::new()
    }

    /// Makes a port of one queue pair.
    ///
    /// # Errors
    /// Something that was there at [`open`](Self::open) is there no more.
    fn join(more: Self::More) -> Result<Opened<Self>, OpenError>;

    /// Opens the port that `spec` names.
    ///
    /// # Errors
    /// One line that says what is wrong; then nothing on the machine is changed.
    fn open(spec: &Spec, wanted: &Wanted) -> Result<Opened<Self>, OpenError>;

    /// Our address was learnt, changed, or lost. For hosts that pick packets by it.
    fn set_takes(&mut self, _takes: &Takes) {}

    /// A line of figures for `--stats`, of what this host alone counts; empty for none.
    fn figures(&self) -> String {
        String::new()
    }
}

/// A port as it was opened, before its rings are handed out.
pub struct Opened<H> {
    /// Its rings and buffers.
    pub(crate) interface: Interface,
    /// The host itself.
    pub host: H,
    /// What was bound and how, a line each, for a person.
    pub bound: Vec<String>,
    /// What to wait for.
    pub wake: Wake,
    /// The system calls that its far sides make.
    pub syscalls: Syscalls,
}

impl<H: Host> Opened<H> {
    /// A port that is bound.
    ///
    /// # Safety
    /// The buffers in the slots and in the list of extra buffers of `interface` are nobody else's:
    /// only this value, and the far side of the port, will ever use them.
    pub unsafe fn new(interface: Interface, host: H, wake: Wake, syscalls: Syscalls) -> Self {
        Self {
            interface,
            host,
            bound: Vec::new(),
            wake,
            syscalls,
        }
    }

    /// Adds a line for a person.
    #[must_use]
    pub fn saying(mut self, line: String) -> Self {
        self.bound.push(line);
        self
    }
}
