//! The circle: how a segment that came by another queue than its connection's finds it.
//!
//! ```text
//!   core 0 ──► core 1 ──► core 2 ──┐     a bounded queue from each core to the next
//!     ▲────────────────────────────┘
//! ```
//!
//! A core whose stack does not know a segment's connection passes it on to the next, and so does
//! that one. The core that has the connection keeps it. When all were asked, it goes on to the
//! core that has found a trace ([`Siblings::stray`](simoom::iface::Siblings::stray)), or the last
//! one that was asked answers it as a stack alone would: nobody resets a connection of another's.
//!
//! A frame belongs to its core's pool, so it is copied into the queue and out of it: twice for each
//! core on its way. That is for flows that have strayed; nothing is asked where flows stay. What
//! finds no room is lost, as on a wire, and counted.

use std::vec::Vec;

use rtrb::{Consumer, Producer, RingBuffer};
use simoom_ring::{Frame, FramePool, FrameQueue, RxChecksum, RxPacket};

/// How far a packet has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trip {
    /// Cores that were asked.
    asked_cnt: usize,
    /// The first that had a trace.
    trace: Option<usize>,
}

/// What is known of a packet beside its bytes.
#[derive(Clone, Copy, Debug)]
struct Head {
    len: usize,
    csum: RxChecksum,
    gso_size: u16,
    trip: Trip,
}

/// Where packets go: the bytes first, then the head that says how many.
struct Out {
    heads: Producer<Head>,
    bytes: Producer<u8>,
}

impl Out {
    fn has_room(&self, head: &Head) -> bool {
        !self.heads.is_full() && self.bytes.slots() >= head.len
    }
}

/// Puts a piece behind the others of its packet, for all of which there is room.
fn put(bytes: &mut Producer<u8>, piece: &[u8]) {
    let put = bytes.push_entire_slice(piece);
    assert!(put.is_ok(), "there is room for all pieces");
}

/// Where they come from.
struct In {
    heads: Consumer<Head>,
    bytes: Consumer<u8>,
}

/// What came of a packet that was passed on.
#[derive(Debug)]
pub(super) enum Passed<'p> {
    /// It is on its way.
    On,
    /// There is no room for it.
    Full,
    /// All were asked, and it is this core's to answer.
    Back(RxPacket<'p>),
}

/// A core's place in the circle.
pub(super) struct Circle {
    idx: usize,
    cores_cnt: usize,
    from_previous: In,
    to_next: Out,
    /// Something was put into the queue of the next.
    pub(super) has_told: bool,
    /// Packets that were only passing, and found no room; and those that no frame was free for.
    pub(super) lost_cnt: u64,
}

impl Circle {
    /// Places for so many cores, in order.
    pub(super) fn of(cores_cnt: usize) -> impl Iterator<Item = Self> {
        let (mut outs, mut ins): (Vec<_>, Vec<_>) = (0..cores_cnt)
            .map(|_| {
                let (heads, from_heads) = RingBuffer::new(PACKETS_MAX);
                let (bytes, from_bytes) = RingBuffer::new(BYTES_MAX);
                let from = In {
                    heads: from_heads,
                    bytes: from_bytes,
                };
                (Out { heads, bytes }, from)
            })
            .unzip();
        // The queue that a core reads is the one that the core before it writes.
        ins.rotate_right(1);
        let pairs = outs.drain(..).zip(ins.drain(..)).enumerate();
        let places: Vec<_> = pairs
            .map(|(idx, (to_next, from_previous))| Self {
                idx,
                cores_cnt,
                from_previous,
                to_next,
                has_told: false,
                lost_cnt: 0,
            })
            .collect();
        places.into_iter()
    }

    /// Which core is the next.
    pub(super) fn next_idx(&self) -> usize {
        (self.idx + 1) % self.cores_cnt
    }

    /// Packets that wait for this core.
    pub(super) fn waiting_cnt(&self) -> usize {
        self.from_previous.heads.slots()
    }

    /// This core does not have the packet's connection. `trip` is what it came with, if it came
    /// from another core.
    pub(super) fn pass<'p>(
        &mut self,
        packet: RxPacket<'p>,
        trip: Option<Trip>,
        has_trace: bool,
    ) -> Passed<'p> {
        let (asked_cnt, trace) = trip.map_or((0, None), |trip| (trip.asked_cnt, trip.trace));
        let trip = Trip {
            asked_cnt: asked_cnt + 1,
            trace: trace.or(has_trace.then_some(self.idx)),
        };
        // To the next to be asked; then, if that is another, to the one with the trace, once.
        let is_ours = match trip.asked_cnt.cmp(&self.cores_cnt) {
            core::cmp::Ordering::Less => false,
            core::cmp::Ordering::Equal => trip.trace.is_none_or(|core| core == self.idx),
            core::cmp::Ordering::Greater => true,
        };
        if is_ours {
            return Passed::Back(packet);
        }
        let head = Head {
            len: packet.frame_len(),
            csum: packet.csum,
            gso_size: packet.gso_size,
            trip,
        };
        if !self.to_next.has_room(&head) {
            return Passed::Full;
        }
        let bytes = &mut self.to_next.bytes;
        put(bytes, packet.frame.bytes());
        packet.rest.for_each(|piece| put(bytes, piece));
        self.tell(head);
        Passed::On
    }

    /// Has the next core see a packet whose bytes are in the queue.
    fn tell(&mut self, head: Head) {
        let told = self.to_next.heads.push(head);
        assert!(told.is_ok(), "there is room for one head");
        self.has_told = true;
    }

    /// The next packet for this core. Those that are only passing go on.
    pub(super) fn next<'p>(&mut self, pool: &'p FramePool<'p>) -> Option<(RxPacket<'p>, Trip)> {
        // No more than were in the queue at once.
        for _ in 0..PACKETS_MAX {
            let head = self.from_previous.heads.pop().ok()?;
            let is_passing = head.trip.asked_cnt == self.cores_cnt
                && head.trip.trace.is_some_and(|core| core != self.idx);
            if is_passing {
                self.relay(head);
                continue;
            }
            match self.take(head, pool) {
                Some(packet) => return Some((packet, head.trip)),
                None => self.lost_cnt += 1,
            }
        }
        None
    }

    /// Takes a packet out of one queue and puts it into the other, or loses it.
    fn relay(&mut self, head: Head) {
        let has_room = self.to_next.has_room(&head);
        let chunk = self.from_previous.bytes.read_chunk(head.len);
        let chunk = chunk.expect("a head comes behind its bytes");
        if has_room {
            let (front, back) = chunk.as_slices();
            put(&mut self.to_next.bytes, front);
            put(&mut self.to_next.bytes, back);
        }
        chunk.commit_all();
        match has_room {
            true => self.tell(head),
            false => self.lost_cnt += 1,
        }
    }

    /// A packet's bytes, in frames of `pool`; `None`, and the bytes are gone, when it has too few.
    fn take<'p>(&mut self, head: Head, pool: &'p FramePool<'p>) -> Option<RxPacket<'p>> {
        let mut rest = FrameQueue::new(pool);
        let mut first = None;
        let mut left = head.len;
        while left > 0 {
            let Some(frame) = self.piece(left, pool) else {
                break;
            };
            left -= frame.len();
            match first {
                None => first = Some(frame),
                Some(_) => rest.push_back(frame, 0),
            }
        }
        if left > 0 {
            let chunk = self.from_previous.bytes.read_chunk(left);
            chunk.expect("a head comes behind its bytes").commit_all();
            return None;
        }
        Some(RxPacket {
            frame: first?,
            rest,
            csum: head.csum,
            gso_size: head.gso_size,
        })
    }

    /// A frame with as many of `left` bytes as it holds.
    fn piece<'p>(&mut self, left: usize, pool: &'p FramePool<'p>) -> Option<Frame<'p>> {
        let mut frame = pool.alloc(0)?;
        let len = left.min(frame.tailroom());
        let room = frame.extend(len).ok()?;
        let taken = self.from_previous.bytes.pop_entire_slice(room);
        assert!(taken.is_ok(), "a head comes behind its bytes");
        Some(frame)
    }
}

/// Packets in one queue: acknowledgments for several bursts.
pub(super) const PACKETS_MAX: usize = 1_024;
/// Bytes of them: four of the largest packets (64 KiB) that a port hands over at once.
pub(super) const BYTES_MAX: usize = 256 << 10;
