//! What cores tell each other: the frames that belong to the address, and not to one of its flows.
//!
//! ```text
//!   queue 0 ─ Tee ─► stack 0          Each core has its own stack over its own queue; the address
//!               ╲ ╱                   is one. A flow comes by one queue (RSS, or Linux's choice of
//!                ╳  bounded queues    a TAP's) and mostly stays there. What concerns them all may
//!               ╱ ╲                   come by any queue, and is told to the others.
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
//! | everything else, all TCP among it | whose queue it came by, at first |
//!
//! The first core alone asks for an address and says it to the others. Each queue has one producer
//! and one consumer, [`NOTES_MAX`] places, and no lock; what finds it full is counted and lost, as
//! on a wire. A segment that came by another queue than its flow's is a matter for the stacks, and
//! goes round until it is found whose it is ([`circle`]). Whose endpoints have come to another core
//! for a new connection is told by that core, so that no other keeps the old one.

mod bell;
mod circle;
mod share;

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::vec::Vec;

use rtrb::{Consumer, Producer, RingBuffer};
use simoom::iface::{Asked, Siblings};
use simoom::{Addr, Cidr, FourTuple};
use simoom_ring::{FramePool, RxChecksum, RxPacket, RxRing};

pub(super) use bell::Bell;
use circle::{Circle, Passed, Trip};
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
    /// For what has strayed; none where there is nobody to ask.
    circle: Option<Circle>,
    /// Wakes us; none where there is nobody to do it.
    bell: Option<Arc<Bell>>,
    addr: Option<Ipv4Addr>,
    /// An address that we were told, and have not taken over.
    told: Option<Address>,
    /// Frames that were told to others.
    pub shared_cnt: u64,
    /// And those that found no room.
    lost_cnt: u64,
}

/// Another core.
struct Other {
    idx: usize,
    to: Producer<Note>,
    from: Consumer<Note>,
    /// Endpoints of connections that were opened here, and there.
    opened_to: Producer<FourTuple>,
    opened_from: Consumer<FourTuple>,
    bell: Arc<Bell>,
    /// Something was told since it was last woken.
    is_told: bool,
}

impl Mesh {
    /// One core, which has nobody to talk to.
    pub fn alone() -> Self {
        Self::new(0, None)
    }

    /// Places for so many cores.
    ///
    /// # Errors
    /// The kernel has no descriptors left.
    pub fn of(cnt: usize) -> io::Result<Vec<Self>> {
        if cnt < 2 {
            return Ok(Vec::from([Self::alone()]));
        }
        let bells = (0..cnt).map(|_| Ok(Arc::new(Bell::new()?)));
        let bells: Vec<_> = bells.collect::<io::Result<_>>()?;
        let circles = Circle::of(cnt).map(Some);
        let mut meshes: Vec<_> = circles
            .enumerate()
            .map(|(idx, circle)| Self {
                circle,
                ..Self::new(idx, Some(Arc::clone(&bells[idx])))
            })
            .collect();
        for one in 0..cnt {
            for two in one + 1..cnt {
                let (there, here) = (RingBuffer::new(NOTES_MAX), RingBuffer::new(NOTES_MAX));
                let (new, old) = (RingBuffer::new(OPENED_MAX), RingBuffer::new(OPENED_MAX));
                meshes[one].join(two, (there.0, here.1), (new.0, old.1), &bells);
                meshes[two].join(one, (here.0, there.1), (old.0, new.1), &bells);
            }
        }
        Ok(meshes)
    }

    fn new(idx: usize, bell: Option<Arc<Bell>>) -> Self {
        Self {
            idx,
            others: Vec::new(),
            circle: None,
            bell,
            addr: None,
            told: None,
            shared_cnt: 0,
            lost_cnt: 0,
        }
    }

    fn join(
        &mut self,
        idx: usize,
        (to, from): (Producer<Note>, Consumer<Note>),
        (opened_to, opened_from): (Producer<FourTuple>, Consumer<FourTuple>),
        bells: &[Arc<Bell>],
    ) {
        self.others.push(Other {
            idx,
            to,
            from,
            opened_to,
            opened_from,
            bell: Arc::clone(&bells[idx]),
            is_told: false,
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

    /// What others call us by.
    pub(super) fn bell(&self) -> Option<Arc<Bell>> {
        self.bell.clone()
    }

    /// Readable when another core has told us something since we have lain down.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.bell.as_ref().map(|bell| bell.fd())
    }

    /// This core is about to sleep. What it looks for after this wakes it if it comes later.
    pub fn lie_down(&self) {
        if let Some(bell) = &self.bell {
            bell.lie_down();
        }
    }

    /// It does not sleep any more. `is_rung`: [`fd`](Self::fd) is readable.
    pub fn get_up(&self, is_rung: bool) {
        if let Some(bell) = &self.bell {
            bell.get_up(is_rung);
        }
    }

    /// Whether something was told that was not taken, or asked.
    pub fn has_news(&self) -> bool {
        let is_called = self.bell.as_ref().is_some_and(|bell| bell.is_called());
        self.told.is_some() || is_called || self.news_cnt() > 0
    }

    /// Wakes those that something was told in the last poll.
    #[inline]
    pub fn wake_told(&mut self) {
        let Some(circle) = &mut self.circle else {
            return;
        };
        let has_told = core::mem::take(&mut circle.has_told);
        let next_idx = circle.next_idx();
        for other in &mut self.others {
            if core::mem::take(&mut other.is_told) || has_told && other.idx == next_idx {
                other.bell.ring();
            }
        }
    }

    /// Ends the sleep of all others.
    pub fn wake_all(&self) {
        self.others.iter().for_each(|other| other.bell.ring());
    }

    /// Tells all others which address we have.
    pub fn tell_address(&mut self, address: Address) {
        self.addr = addr_of(address);
        for other in &mut self.others {
            // A queue that is full of frames is drained by a core that lives.
            while other.to.push(Note::Address(address)).is_err() {
                other.bell.ring();
                std::thread::yield_now();
            }
            other.bell.ring();
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

    /// The next frame that another core has told us of, or passed on to us. An address that comes
    /// before it is kept for [`take_address`](Self::take_address).
    fn next<'p>(&mut self, pool: &'p FramePool<'p>) -> Option<(RxPacket<'p>, Origin)> {
        for other in &mut self.others {
            match other.from.pop() {
                Err(_) => {}
                Ok(Note::Address(address)) => self.told = Some(address),
                Ok(Note::Frame { len, csum, bytes }) => {
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
                    return Some((packet, Origin::Told));
                }
            }
        }
        let (packet, trip) = self.circle.as_mut()?.next(pool)?;
        Some((packet, Origin::Passed(trip)))
    }

    /// Frames and addresses that were told and not taken.
    fn news_cnt(&self) -> usize {
        let told: usize = self.others.iter().map(|other| other.from.slots()).sum();
        told + self.circle.as_ref().map_or(0, Circle::waiting_cnt)
    }

    /// Frames of other cores that found no room on the way, or no frame here.
    pub fn lost_cnt(&self) -> u64 {
        self.lost_cnt + self.circle.as_ref().map_or(0, |circle| circle.lost_cnt)
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
        let is_told = self.to.push(note).is_ok();
        self.is_told = true;
        is_told
    }
}

/// Where a packet has come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// This core's own queue.
    Queue,
    /// Another core, which has it, too.
    Told,
    /// Another core, whose stack did not know its connection.
    Passed(Trip),
}

/// A receive ring for the length of a poll, that tells and hears.
pub struct Tee<'a, 'p, R> {
    rx: &'a mut R,
    mesh: &'a mut Mesh,
    pool: &'p FramePool<'p>,
    /// Where the last packet came from.
    from: Origin,
    /// Packets of other cores that are ready.
    news_cnt: usize,
    /// They are next.
    is_their_turn: bool,
}

impl<'a, 'p, R: RxRing<'p>> Tee<'a, 'p, R> {
    /// Puts `mesh` between a ring and whoever polls it. `pool` is the ring's.
    #[inline]
    pub fn new(rx: &'a mut R, mesh: &'a mut Mesh, pool: &'p FramePool<'p>) -> Self {
        Self {
            rx,
            mesh,
            pool,
            from: Origin::Queue,
            news_cnt: 0,
            is_their_turn: false,
        }
    }

    /// The next packet of other cores.
    #[cold]
    fn news(&mut self) -> Option<RxPacket<'p>> {
        let Some((packet, from)) = self.mesh.next(self.pool) else {
            self.news_cnt = 0;
            return None;
        };
        self.from = from;
        self.news_cnt = self.news_cnt.saturating_sub(1);
        Some(packet)
    }
}

impl<'p, R: RxRing<'p>> RxRing<'p> for Tee<'_, 'p, R> {
    #[inline]
    fn sync(&mut self) -> usize {
        let ready = self.rx.sync();
        if !self.mesh.is_alone() {
            self.news_cnt = self.mesh.news_cnt();
        }
        ready + self.news_cnt
    }

    #[inline]
    fn recv(&mut self) -> Option<RxPacket<'p>> {
        if self.mesh.is_alone() {
            return self.rx.recv();
        }
        // In turns, so that neither the queue nor the other cores wait for the other's burst.
        if core::mem::take(&mut self.is_their_turn)
            && let Some(packet) = self.news()
        {
            return Some(packet);
        }
        // A frame that goes elsewhere makes way for the next: no more than are ready.
        while let Some(packet) = self.rx.recv() {
            if share::is_flow(packet.frame.bytes()) || !self.mesh.tell(&packet) {
                self.from = Origin::Queue;
                self.is_their_turn = self.news_cnt > 0;
                return Some(packet);
            }
        }
        self.news()
    }

    /// A capture lies below, and has seen what came from the queue.
    #[inline]
    fn dropped(&mut self, why: &'static str) {
        if self.from == Origin::Queue {
            self.rx.dropped(why);
        }
    }
}

impl<'p, R: RxRing<'p>> Siblings<'p> for Tee<'_, 'p, R> {
    #[inline]
    fn has_any(&self) -> bool {
        !self.mesh.is_alone()
    }

    #[cold]
    fn stray(&mut self, packet: RxPacket<'p>, has_trace: bool) -> Asked<'p> {
        let trip = match self.from {
            Origin::Passed(trip) => Some(trip),
            Origin::Queue | Origin::Told => None,
        };
        let Some(circle) = &mut self.mesh.circle else {
            return Asked::Nowhere(packet);
        };
        match circle.pass(packet, trip, has_trace) {
            Passed::On => Asked::Elsewhere,
            Passed::Full => Asked::NoRoom,
            Passed::Back(packet) => Asked::Nowhere(packet),
        }
    }

    #[inline]
    fn opened(&mut self, tuple: FourTuple) {
        for other in &mut self.mesh.others {
            if other.opened_to.push(tuple).is_err() {
                self.mesh.lost_cnt += 1;
            }
            // No hurry, but for who sleeps for long.
            other.is_told |= other.opened_to.slots() < OPENED_MAX / 2;
        }
    }

    #[inline]
    fn opened_elsewhere(&mut self) -> Option<FourTuple> {
        let others = &mut self.mesh.others;
        others
            .iter_mut()
            .find_map(|other| other.opened_from.pop().ok())
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
/// Endpoints of new connections that wait at once, from one core to another. Those that find no
/// room are counted: an old connection of the same endpoints, if there is one, stays until its
/// timers end it.
const OPENED_MAX: usize = 1_024;
/// Bytes of a frame that is told: any of Ethernet's usual size.
const NOTE_LEN: usize = 1_518;

#[cfg(test)]
mod tests;
