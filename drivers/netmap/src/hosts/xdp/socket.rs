//! An AF_XDP socket: its UMEM, its four rings, and the calls on a packet's way.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::time::Instant;
use std::vec::Vec;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous};
use rustix::net::xdp::{
    SocketAddrXdp, SocketAddrXdpFlags, XDP_PGOFF_RX_RING, XDP_PGOFF_TX_RING,
    XDP_UMEM_PGOFF_COMPLETION_RING, XDP_UMEM_PGOFF_FILL_RING, XdpOptionsFlags, XdpRingOffset,
    XdpStatistics, XdpUmemReg, XdpUmemRegFlags,
};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
    sockopt,
};

use super::calls::{Calls, Sent};
use super::rings::{Consumer, Desc, Entry, Producer, RingParts};
use crate::hosts::{Syscalls, Wake};

/// A socket whose rings are mapped, and that is not bound yet.
pub(super) struct Unbound {
    fd: OwnedFd,
    mappings: Vec<RingMapping>,
    pub(super) fill: Producer<u64>,
    pub(super) completion: Consumer<u64>,
    pub(super) rx: Consumer<Desc>,
    pub(super) tx: Producer<Desc>,
}

/// What the socket is bound as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    /// The device reads and writes our buffers itself.
    pub(super) is_zero_copy: bool,
    /// Packets may consist of several descriptors.
    pub(super) has_chains: bool,
}

/// The memory that the kernel is to use, and how much of its rings.
#[derive(Clone, Copy, Debug)]
pub(super) struct UmemMemory {
    pub(super) base: NonNull<u8>,
    pub(super) byte_len: usize,
    pub(super) buf_size: u32,
    pub(super) rx_slots: u32,
    pub(super) tx_slots: u32,
}

impl Unbound {
    /// Opens a socket over `umem`.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn new(umem: UmemMemory) -> Result<Self, Errno> {
        let (family, kind) = (AddressFamily::XDP, SocketType::RAW);
        let fd = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
        let registration = XdpUmemReg {
            addr: umem.base.as_ptr().expose_provenance() as u64,
            len: umem.byte_len as u64,
            chunk_size: umem.buf_size,
            headroom: 0,
            flags: XdpUmemRegFlags::empty(),
            tx_metadata_len: 0,
        };
        sockopt::set_xdp_umem_reg(&fd, registration)?;
        sockopt::set_xdp_umem_fill_ring_size(&fd, umem.rx_slots)?;
        sockopt::set_xdp_umem_completion_ring_size(&fd, umem.tx_slots)?;
        sockopt::set_xdp_rx_ring_size(&fd, umem.rx_slots)?;
        sockopt::set_xdp_tx_ring_size(&fd, umem.tx_slots)?;
        // Both are a matter of speed: what is refused stays as it is. Copies of frames that are
        // being sent count as the socket's memory; a call sends 32 descriptors unless told (6.17).
        let _ = set_option(&fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, SEND_MEMORY_LEN);
        let _ = set_option(&fd, libc::SOL_XDP, XDP_MAX_TX_SKB_BUDGET, umem.tx_slots);
        let at = sockopt::xdp_mmap_offsets(&fd)?;
        let mut mappings = Vec::new();
        let (rx_slots, tx_slots) = (umem.rx_slots, umem.tx_slots);
        let mut ring = |file_offset, at, slots, words| {
            let (parts, mapping) = map(&fd, file_offset, at, slots, words)?;
            mappings.push(mapping);
            Ok::<_, Errno>(parts)
        };
        let fill = ring(XDP_UMEM_PGOFF_FILL_RING, at.fr, rx_slots, u64::WORDS)?;
        let completion = ring(XDP_UMEM_PGOFF_COMPLETION_RING, at.cr, tx_slots, u64::WORDS)?;
        let rx = ring(XDP_PGOFF_RX_RING, at.rx, rx_slots, Desc::WORDS)?;
        let tx = ring(XDP_PGOFF_TX_RING, at.tx, tx_slots, Desc::WORDS)?;
        Ok(Self {
            fd,
            mappings,
            // SAFETY: parts as `map` makes them, of a ring that was just made.
            fill: unsafe { Producer::new(fill) },
            // SAFETY: as before.
            completion: unsafe { Consumer::new(completion) },
            // SAFETY: as before.
            rx: unsafe { Consumer::new(rx) },
            // SAFETY: as before.
            tx: unsafe { Producer::new(tx) },
        })
    }

    /// Binds it to a queue, as the best of what interface and kernel can do.
    ///
    /// # Errors
    /// What the kernel says to the least that can be asked.
    pub(super) fn bind(&self, ifindex: u32, queue: u32, may_zero_copy: bool) -> io::Result<Bound> {
        use SocketAddrXdpFlags as Flags;
        // From the best on. Without zero copy the kernel copies each frame once.
        let ways = [
            (Flags::XDP_ZEROCOPY | Flags::XDP_USE_SG, true),
            (Flags::XDP_ZEROCOPY, true),
            (Flags::XDP_COPY | Flags::XDP_USE_SG, false),
            (Flags::XDP_COPY, false),
        ];
        let mut last = Errno::OPNOTSUPP;
        for (flags, is_zero_copy) in ways {
            if is_zero_copy && !may_zero_copy {
                continue;
            }
            let flags = flags | Flags::XDP_USE_NEED_WAKEUP;
            match bind(&self.fd, &SocketAddrXdp::new(flags, ifindex, queue)) {
                Ok(()) => {
                    let options = sockopt::xdp_options(&self.fd)?;
                    return Ok(Bound {
                        is_zero_copy: options.contains(XdpOptionsFlags::XDP_OPTIONS_ZEROCOPY),
                        has_chains: flags.contains(Flags::XDP_USE_SG),
                    });
                }
                // Someone else has the queue, or we may not: no other way helps.
                Err(error @ (Errno::BUSY | Errno::PERM | Errno::NODEV)) => {
                    return Err(error.into());
                }
                Err(error) => last = error,
            }
        }
        Err(last.into())
    }
}

/// Memory that a ring of the kernel's is mapped to. As long as it is, the socket lives.
#[derive(Debug)]
struct RingMapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: an address and a length of memory that is mapped until the program ends.
unsafe impl Send for RingMapping {}

impl RingMapping {
    /// Puts plain memory in the ring's place: the kernel's end of it is given up.
    fn detach(&self) {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::FIXED;
        // SAFETY: our own mapping, which becomes another of the same size: all addresses in it
        // stay valid, and what is there is read as numbers, which are checked.
        let _ = unsafe { mmap_anonymous(self.base.as_ptr().cast(), self.len, prot, flags) };
    }
}

/// Maps a ring. Its memory stays valid until the program ends.
fn map(
    fd: &OwnedFd,
    file_offset: u64,
    at: XdpRingOffset,
    size: u32,
    words: usize,
) -> Result<(RingParts, RingMapping), Errno> {
    let entries_len = size as usize * words * 8;
    let offset = |offset: u64| usize::try_from(offset).map_err(|_| Errno::INVAL);
    let entries_at = offset(at.desc)?;
    let len = entries_at.checked_add(entries_len).ok_or(Errno::INVAL)?;
    let prot = ProtFlags::READ | ProtFlags::WRITE;
    let flags = MapFlags::SHARED | MapFlags::POPULATE;
    // SAFETY: a new mapping, where the kernel finds room: nothing else is there.
    let base = unsafe { mmap(ptr::null_mut(), len, prot, flags, fd, file_offset) }?;
    let base = NonNull::new(base.cast::<u8>()).ok_or(Errno::NOMEM)?;
    let part = |at: usize, part_len: usize, align: usize| {
        let end = at.checked_add(part_len).filter(|end| *end <= len);
        end.filter(|_| at.is_multiple_of(align))
            .ok_or(Errno::INVAL)?;
        // SAFETY: within the mapping, as just checked.
        Ok::<_, Errno>(unsafe { base.add(at) })
    };
    let parts = RingParts {
        producer: part(offset(at.producer)?, 4, 4)?,
        consumer: part(offset(at.consumer)?, 4, 4)?,
        flags: match at.flags {
            Some(at) => Some(part(offset(at)?, 4, 4)?),
            None => None,
        },
        entries: part(entries_at, entries_len, 8)?,
        size,
    };
    Ok((parts, RingMapping { base, len }))
}

fn set_option(fd: &OwnedFd, level: i32, name: i32, value: u32) -> io::Result<()> {
    let (address, len) = ((&raw const value).cast(), size_of::<u32>() as u32);
    // SAFETY: the value is four bytes, as these options are.
    match unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, address, len) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A socket that is bound.
#[derive(Debug)]
pub struct Socket {
    /// The socket itself is what to wait for.
    wake: Wake,
    syscalls: Syscalls,
    mappings: Vec<RingMapping>,
    started: Instant,
    is_gone: Cell<bool>,
}

impl Socket {
    pub(super) fn wake(&self) -> Wake {
        self.wake.clone()
    }

    pub(super) fn syscalls(&self) -> Syscalls {
        self.syscalls.clone()
    }

    /// What the kernel has counted; `None` when the socket has been ended.
    pub(super) fn statistics(&self) -> Option<XdpStatistics> {
        sockopt::xdp_statistics(self.wake.fd()).ok()
    }
}

impl Unbound {
    /// Gives the socket up, before anyone has its rings.
    pub(super) fn give_up(self) {
        self.mappings.iter().for_each(RingMapping::detach);
    }

    /// The rings, and the socket for their far sides.
    pub(super) fn into_parts(self) -> (Socket, Rings) {
        let Self {
            fd,
            mappings,
            fill,
            completion,
            rx,
            tx,
        } = self;
        let rings = Rings {
            fill,
            completion,
            rx,
            tx,
        };
        let socket = Socket {
            wake: Wake::new(fd),
            syscalls: Syscalls::default(),
            mappings,
            started: Instant::now(),
            is_gone: Cell::new(false),
        };
        (socket, rings)
    }

    pub(super) fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The rings of a socket.
pub(super) struct Rings {
    pub(super) fill: Producer<u64>,
    pub(super) completion: Consumer<u64>,
    pub(super) rx: Consumer<Desc>,
    pub(super) tx: Producer<Desc>,
}

impl Calls for Socket {
    #[inline]
    fn send(&self) -> Sent {
        self.syscalls.note();
        match send(self.wake.fd(), &[], SendFlags::DONTWAIT) {
            Ok(_) => Sent::Done,
            Err(Errno::NETDOWN) => Sent::Down,
            Err(Errno::NXIO | Errno::NODEV | Errno::NOTSOCK | Errno::BADF) => {
                self.is_gone.set(true);
                Sent::Gone
            }
            // The device is busy, memory is short, the completion ring is full: all pass.
            Err(_) => Sent::Later,
        }
    }

    fn wake_fill(&self) {
        self.syscalls.note();
        // What it says is said of sending, too, or by a poll.
        let _ = recv(self.wake.fd(), &mut [0_u8; 0][..], RecvFlags::DONTWAIT);
    }

    #[inline]
    fn is_gone(&self) -> bool {
        // The one error that an AF_XDP socket has: its interface is no more.
        if self.wake.take_error() {
            self.is_gone.set(true);
        }
        self.is_gone.get()
    }

    /// Puts something else in the place of the socket and its rings, which ends it: whoever waits
    /// has the same number, and waits for ever.
    fn end(&self) {
        self.is_gone.set(true);
        if let Ok(nothing) = eventfd(0, EventfdFlags::CLOEXEC) {
            let number = self.wake.fd().as_raw_fd();
            // SAFETY: both are open; the one that is replaced stays open under its number, as
            // something that nobody reads and that is closed by the same owner.
            unsafe { libc::dup3(nothing.as_raw_fd(), number, libc::O_CLOEXEC) };
        }
        self.mappings.iter().for_each(RingMapping::detach);
    }

    #[inline]
    fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Bytes of memory for frames that are being sent: a full ring of pages.
const SEND_MEMORY_LEN: u32 = 64 << 20;
const XDP_MAX_TX_SKB_BUDGET: i32 = 9;
