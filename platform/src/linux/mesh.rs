//! What cores tell each other: the frames that belong to the address, and not to one of its flows.
//!
//! ```text
//!   queue 0 ─ Tee ─► stack 0          Each core has its own stack over its own queue; the address
//!               ╲ ╱                   is one. A flow comes by one queue (RSS, or Linux's choice of
//!                ╳  bounded queues    a TAP's) and stays there. What concerns them all may come
//!               ╱ ╲                   by any queue, and is told to the others.
//!   queue 1 ─ Tee ─► stack 1
//! ```
//!
//! | frame | who gets it |
//! |---|---|
//! | ARP request for us, ICMP echo request | whose queue it came by; any stack can answer |
//! | ARP reply to us, announcement | all: each has neighbors of its own to resolve |
//! | ARP from someone who has our address | the first core alone, which defends it |
//! | ICMP error | all: it is about one connection, of any core |
//! | DHCP's answer | the first core alone, whose client it is |
//! | everything else, all TCP among it | whose queue it came by |
//!
//! The first core alone asks for an address and says it to the others. Each queue has one producer
//! and one consumer, [`NOTES_MAX`] places, and no lock; what finds it full is counted and lost, as
//! on a wire. A segment of a flow that changes its queue (because queues or their steering were
//! changed under us) comes to a stack that does not know it, and is reset: flows must stay.

mod share;

use std::boxed::Box;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::vec::Vec;

use heapless::spsc::{Consumer, Producer, Queue as Spsc};
use rustix::event::{EventfdFlags, eventfd};
use simoom::{Addr, Cidr};
use simoom_ring::{FramePool, RxChecksum, RxPacket, RxRing};

use share::{Share, share_of};

/// An address, and the way out of its network; `None` when it was lost.
pub type Address = Option<(Cidr, Option<Addr>)>;

/// What is told. Notes lie in queues of fixed places, where nothing is gained by a small one.
#[allow(clippy::large_enum_variant)]
enum Note {
    Frame {
        len: usize,
        csum: RxChecksum,
        bytes: [u8; NOTE_LEN],
    },
    Address(Address),
}

/// A core's place among the others.
pub struct Mesh {
    idx: usize,
    others: Vec<Other>,
    /// Wakes us; none where there is nobody to do it.
    event: Option<Arc<OwnedFd>>,
    addr: Option<Ipv4Addr>,
    /// An address that we were told, and have not taken over.
    told: Option<Address>,
    /// Frames that were told to others.
    pub shared_cnt: u64,
    /// And those that found no room.
    pub lost_cnt: u64,
}

/// Another core.
struct Other {
    idx: usize,
    to: Producer<'static, Note>,
    from: Consumer<'static, Note>,
    event: Arc<OwnedFd>,
}

impl Mesh {
    /// One core, which has nobody to talk to.
    pub fn alone() -> Self {
        Self::new(0, None)
    }

    /// Places for so many cores. Their queues last until the process ends.
    ///
    /// # Errors
    /// The kernel has no descriptors left.
    pub fn of(cnt: usize) -> io::Result<Vec<Self>> {
        if cnt < 2 {
            return Ok(Vec::from([Self::alone()]));
        }
        let events = (0..cnt).map(|_| {
            let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
            Ok(Arc::new(eventfd(0, flags)?))
        });
        let events: Vec<_> = events.collect::<io::Result<_>>()?;
        let mut meshes: Vec<_> = (0..cnt)
            .map(|idx| Self::new(idx, Some(Arc::clone(&events[idx]))))
            .collect();
        for one in 0..cnt {
            for two in one + 1..cnt {
                let (there, here) = Box::leak(Box::new(Spsc::<Note, PLACES>::new())).split();
                let (back, over) = Box::leak(Box::new(Spsc::<Note, PLACES>::new())).split();
                meshes[one].join(two, there, over, &events);
                meshes[two].join(one, back, here, &events);
            }
        }
        Ok(meshes)
    }

    fn new(idx: usize, event: Option<Arc<OwnedFd>>) -> Self {
        Self {
            idx,
            others: Vec::new(),
            event,
            addr: None,
            told: None,
            shared_cnt: 0,
            lost_cnt: 0,
        }
    }

    fn join(
        &mut self,
        idx: usize,
        to: Producer<'static, Note>,
        from: Consumer<'static, Note>,
        events: &[Arc<OwnedFd>],
    ) {
        let event = Arc::clone(&events[idx]);
        self.others.push(Other {
            idx,
            to,
            from,
            event,
        });
    }

    /// Which core this is.
    pub fn idx(&self) -> usize {
        self.idx
    }

    /// Whether there are no others.
    #[inline]
    pub fn is_alone(&self) -> bool {
        self.others.is_empty()
    }

    /// Readable when another core has told us something.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.event.as_ref().map(|event| event.as_fd())
    }

    /// Makes it unreadable, before what was told is looked at.
    pub fn hear(&self) {
        if let Some(event) = &self.event {
            // Nothing to read is as good.
            let _ = rustix::io::read(event, &mut [0; 8]);
        }
    }

    /// Whether something was told that was not taken.
    pub fn has_news(&self) -> bool {
        self.told.is_some() || self.others.iter().any(|other| other.from.ready())
    }

    /// Ends the sleep of all others.
    pub fn wake_all(&self) {
        self.others.iter().for_each(Other::wake);
    }

    /// Tells all others which address we have.
    pub fn tell_address(&mut self, address: Address) {
        self.addr = addr_of(address);
        for other in &mut self.others {
            // A queue that is full of frames is drained by a core that lives.
            while other.to.enqueue(Note::Address(address)).is_err() {
                other.wake();
                std::thread::yield_now();
            }
            other.wake();
        }
    }

    /// The address that the first core has told.
    pub fn take_address(&mut self) -> Option<Address> {
        let address = self.told.take();
        if let Some(address) = address {
            self.addr = addr_of(address);
        }
        address
    }

    /// Tells others of a frame, if it is theirs, too. Whether it is not ours.
    #[cold]
    fn tell(&mut self, packet: &RxPacket<'_>) -> bool {
        let share = share_of(packet.frame.bytes(), self.addr);
        let is_moved = share == Share::First && self.idx != 0;
        for at in 0..self.others.len() {
            let is_meant = match share {
                Share::Ours => false,
                Share::All => true,
                Share::First => self.others[at].idx == 0,
            };
            if is_meant {
                let is_told = packet.rest.is_empty() && self.others[at].tell(packet);
                self.shared_cnt += u64::from(is_told);
                self.lost_cnt += u64::from(!is_told);
            }
        }
        is_moved
    }

    /// The next frame that another core has told us of. An address that comes before it is kept
    /// for [`take_address`](Self::take_address).
    fn next<'p>(&mut self, pool: &'p FramePool<'p>) -> Option<RxPacket<'p>> {
        for other in &mut self.others {
            match other.from.dequeue() {
                None => {}
                Some(Note::Address(address)) => self.told = Some(address),
                Some(Note::Frame { len, csum, bytes }) => {
                    let frame = pool.alloc(0).and_then(|mut frame| {
                        let bytes = bytes.get(..len)?;
                        frame.append(bytes).ok().map(|_| frame)
                    });
                    let Some(frame) = frame else {
                        self.lost_cnt += 1;
                        continue;
                    };
                    let mut packet = RxPacket::plain(frame);
                    packet.csum = csum;
                    return Some(packet);
                }
            }
        }
        None
    }

    /// Frames and addresses that were told and not taken.
    fn news_cnt(&self) -> usize {
        self.others.iter().map(|other| other.from.len()).sum()
    }
}

impl Other {
    /// Whether there was room for it.
    fn tell(&mut self, packet: &RxPacket<'_>) -> bool {
        let frame = packet.frame.bytes();
        let mut bytes = [0; NOTE_LEN];
        let Some(room) = bytes.get_mut(..frame.len()) else {
            return false;
        };
        room.copy_from_slice(frame);
        let note = Note::Frame {
            len: frame.len(),
            csum: packet.csum,
            bytes,
        };
        let is_told = self.to.enqueue(note).is_ok();
        self.wake();
        is_told
    }

    fn wake(&self) {
        // It fails if the counter is full: then it has long been signalled.
        let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
    }
}

/// A receive ring for the length of a poll, that tells and hears.
pub struct Tee<'a, 'p, R> {
    rx: &'a mut R,
    mesh: &'a mut Mesh,
    pool: &'p FramePool<'p>,
}

impl<'a, 'p, R: RxRing<'p>> Tee<'a, 'p, R> {
    /// Puts `mesh` between a ring and whoever polls it. `pool` is the ring's.
    #[inline]
    pub fn new(rx: &'a mut R, mesh: &'a mut Mesh, pool: &'p FramePool<'p>) -> Self {
        Self { rx, mesh, pool }
    }
}

impl<'p, R: RxRing<'p>> RxRing<'p> for Tee<'_, 'p, R> {
    #[inline]
    fn sync(&mut self) -> usize {
        let ready = self.rx.sync();
        match self.mesh.is_alone() {
            true => ready,
            false => ready + self.mesh.news_cnt(),
        }
    }

    #[inline]
    fn recv(&mut self) -> Option<RxPacket<'p>> {
        if self.mesh.is_alone() {
            return self.rx.recv();
        }
        // A frame that goes elsewhere makes way for the next: no more than are ready.
        while let Some(packet) = self.rx.recv() {
            if share::is_flow(packet.frame.bytes()) || !self.mesh.tell(&packet) {
                return Some(packet);
            }
        }
        self.mesh.next(self.pool)
    }

    // A capture lies below.
    #[inline]
    fn dropped(&mut self, why: &'static str) {
        self.rx.dropped(why);
    }
}

fn addr_of(address: Address) -> Option<Ipv4Addr> {
    match address?.0.addr().to_ip() {
        core::net::IpAddr::V4(addr) => Some(addr),
        core::net::IpAddr::V6(_) => None,
    }
}

/// Notes that wait at once, from one core to another: more control frames than come in a burst.
pub const NOTES_MAX: usize = 31;
/// One place of the queue stays empty.
const PLACES: usize = NOTES_MAX + 1;
/// Bytes of a frame that is told: any of Ethernet's usual size.
const NOTE_LEN: usize = 1_518;

#[cfg(test)]
mod tests;
