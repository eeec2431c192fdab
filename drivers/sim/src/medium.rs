//! What the ends share: the frames under way, the time, the two sides of each device that is not
//! the driver's.
//!
//! Order is by time, then by order of entering: nothing else decides, so a seed means one run.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use simoom_ring::{CsumOffload, GsoKind, LinkState, RxChecksum, TxOffload};

use crate::checksum::{self, Verdict};
use crate::layout::{ETH_LEN, Layout, PROTO_TCP, PROTO_UDP};
use crate::merge::Run;
use crate::path::Path;
use crate::record::Recorder;
use crate::segment::{self, BadOffload};
use crate::wire_frame::WireFrame;
use crate::{Captured, Counters, End, Event, Faults, PortConfig, Record, RxCsum};

/// All that is not a driver's.
pub(crate) struct Medium {
    pub(crate) now_us: u64,
    pub(crate) ends: Vec<EndState>,
    pub(crate) recorder: Recorder,
    seed: u64,
    paths: BTreeMap<(End, End), Path>,
    /// By time of arrival, then order of entering.
    under_way: BTreeMap<(u64, u64), Arrival>,
    arrivals_cnt: u64,
    frames_cnt: u64,
}

/// A frame under way.
struct Arrival {
    from: End,
    to: End,
    frame: WireFrame,
}

/// One end, as the wire sees it: the device.
pub(crate) struct EndState {
    pub(crate) config: PortConfig,
    pub(crate) link: LinkState,
    pub(crate) faults: Faults,
    pub(crate) counters: Counters,
    pub(crate) rx: Rx,
    /// When each packet that was published is done with.
    completions: VecDeque<u64>,
    /// Packets done with, not yet taken home.
    pub(crate) tx_done: usize,
    pub(crate) is_armed: bool,
    pub(crate) is_interrupted: bool,
}

/// Where frames arrive.
pub(crate) enum Rx {
    /// Nobody has asked for the queue yet, or it is gone.
    Closed,
    /// A raw end.
    Tap(VecDeque<Captured>),
    /// A ring with frames in it.
    Ring(RxSlots),
}

/// The device's side of a receive ring.
pub(crate) struct RxSlots {
    /// Slots with an empty frame in them.
    pub(crate) posted: usize,
    /// Slots that the driver had no frame for.
    pub(crate) unfilled: usize,
    /// Bytes that fit into the first frame of a packet, and into each other.
    pub(crate) first_cap: usize,
    pub(crate) rest_cap: usize,
    pub(crate) arrived: VecDeque<Arrived>,
}

/// A packet that has arrived and has not been seen by the driver.
pub(crate) struct Arrived {
    pub(crate) bytes: Rc<Vec<u8>>,
    pub(crate) csum: RxChecksum,
    pub(crate) gso_size: u16,
    run: Option<Run>,
}

impl RxSlots {
    /// Frames that a packet takes.
    pub(crate) fn pieces(&self, len: usize) -> usize {
        1 + len.saturating_sub(self.first_cap).div_ceil(self.rest_cap)
    }
}

impl Medium {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            now_us: 0,
            ends: Vec::new(),
            recorder: Recorder::new(RECORD_LEN_MAX),
            seed,
            paths: BTreeMap::new(),
            under_way: BTreeMap::new(),
            arrivals_cnt: 0,
            frames_cnt: 0,
        }
    }

    pub(crate) fn attach(&mut self, config: PortConfig, rx: Rx) -> End {
        config.check();
        let end = End(self.ends.len());
        for other in (0..end.0).map(End) {
            for pair in [(end, other), (other, end)] {
                // Any odd multipliers do: the generator mixes its seed.
                let seed = self.seed
                    ^ (pair.0.0 as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    ^ (pair.1.0 as u64 + 1).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
                self.paths.insert(pair, Path::new(seed));
            }
        }
        self.ends.push(EndState {
            config,
            link: LinkState::Up,
            faults: Faults::none(),
            counters: Counters::default(),
            rx,
            completions: VecDeque::new(),
            tx_done: 0,
            is_armed: false,
            is_interrupted: false,
        });
        end
    }

    pub(crate) fn end(&self, end: End) -> &EndState {
        // Only `attach` makes an `End`; one of another wire is a mistake in the test.
        self.ends.get(end.0).expect("an end of this wire")
    }

    pub(crate) fn end_mut(&mut self, end: End) -> &mut EndState {
        self.ends.get_mut(end.0).expect("an end of this wire")
    }

    pub(crate) fn set_faults(&mut self, from: End, faults: Faults) {
        self.end_mut(from).faults = faults;
        for ((path_from, _), path) in &mut self.paths {
            if *path_from == from {
                path.reset_route();
            }
        }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.under_way.len()
    }

    /// When something happens next by itself.
    pub(crate) fn next_at(&self) -> Option<u64> {
        let arrival = self.under_way.keys().next().map(|(at_us, _)| *at_us);
        let completions = self.ends.iter().filter_map(|end| end.completions.front());
        completions.copied().chain(arrival).min()
    }

    pub(crate) fn advance_to(&mut self, now_us: u64) {
        while let Some(entry) = self.under_way.first_entry() {
            let at_us = entry.key().0;
            if at_us > now_us {
                break;
            }
            let arrival = entry.remove();
            self.now_us = self.now_us.max(at_us);
            self.deliver(arrival);
        }
        self.now_us = self.now_us.max(now_us);
        for end in &mut self.ends {
            while end.completions.front().is_some_and(|at| *at <= now_us) {
                end.completions.pop_front();
                end.tx_done += 1;
                end.interrupt();
            }
        }
    }

    /// A device has been given a packet; it is done with its frames a while later.
    ///
    /// # Errors
    /// `BadOffload` when the packet is not what the request says: then nothing is sent.
    pub(crate) fn transmit(
        &mut self,
        from: End,
        bytes: Vec<u8>,
        offload: TxOffload,
    ) -> Result<(), BadOffload> {
        self.put_on_wire(from, bytes, offload)?;
        let completion_us = self.end(from).config.completion_us;
        let done_us = self.now_us.saturating_add(completion_us);
        self.end_mut(from).completions.push_back(done_us);
        Ok(())
    }

    /// The frames of a closed queue have gone home.
    pub(crate) fn close(&mut self, end: End) {
        let end = self.end_mut(end);
        end.completions.clear();
        end.tx_done = 0;
        end.rx = Rx::Closed;
        end.is_armed = false;
    }

    /// Offloads as far as each other end needs them done, then the wire.
    pub(crate) fn put_on_wire(
        &mut self,
        from: End,
        bytes: Vec<u8>,
        offload: TxOffload,
    ) -> Result<(), BadOffload> {
        let csum = match offload.gso {
            Some(gso) => Some(segment::check(&bytes, gso)?),
            None => offload.csum,
        };
        if csum.is_some_and(|csum| !is_within(&bytes, csum)) {
            return Err(BadOffload::Csum);
        }
        let whole = Rc::new(bytes);
        for to in (0..self.ends.len()).map(End).filter(|to| *to != from) {
            let receives_whole = self.end(from).config.tso_uncut && self.end(to).config.rx_large;
            match offload.gso {
                Some(gso) if !receives_whole => {
                    self.end_mut(from).counters.cut += 1;
                    let mut segments = segment::cut(&whole, gso)?;
                    let config = &self.end(from).config;
                    if segments.len() > 1 && whole.len() > config.cutting_right_up_to {
                        config.cutting.spoil(&mut segments);
                    }
                    for segment in segments {
                        self.enter(from, to, Rc::new(segment), TxOffload::default());
                    }
                }
                gso => self.enter(from, to, Rc::clone(&whole), TxOffload { csum, gso }),
            }
        }
        Ok(())
    }

    /// One frame towards one end.
    fn enter(&mut self, from: End, to: End, bytes: Rc<Vec<u8>>, offload: TxOffload) {
        let mut frame = WireFrame {
            bytes,
            csum: offload.csum,
            gso: offload.gso,
            number: self.frames_cnt,
        };
        self.frames_cnt += 1;
        let takes_partial = self.end(to).config.rx_csum == RxCsum::Partial;
        if !takes_partial {
            frame.complete();
        }
        let now_us = self.now_us;
        let is_up = self.end(from).link == LinkState::Up;
        let end = self.end_mut(from);
        if end.config.is_padding && frame.bytes.len() < FRAME_LEN_MIN {
            Rc::make_mut(&mut frame.bytes).resize(FRAME_LEN_MIN, 0);
        }
        end.counters.sent += 1;
        end.counters.sent_bytes += frame.bytes.len() as u64;
        if frame.csum.is_none() && checksum::verify(&frame.bytes) == Verdict::Wrong {
            end.counters.bad_csum_sent += 1;
        }
        self.record(Event::Sent, from, to, &frame);
        if !is_up {
            self.end_mut(from).counters.link_down += 1;
            self.record(Event::LinkDown, from, to, &frame);
            return;
        }
        if self.under_way.len() >= UNDER_WAY_MAX {
            self.end_mut(from).counters.queue_full += 1;
            self.record(Event::QueueFull, from, to, &frame);
            return;
        }
        // `attach` has made a path for each pair.
        let Some(path) = self.paths.get_mut(&(from, to)) else {
            return;
        };
        let EndState {
            faults, counters, ..
        } = &mut self.ends[from.0];
        let passage = path.enter(now_us, frame.clone(), faults, counters);
        for event in passage.events {
            self.record(event, from, to, &frame);
        }
        for (at_us, frame) in passage.arrivals {
            self.arrivals_cnt += 1;
            let arrival = Arrival { from, to, frame };
            self.under_way.insert((at_us, self.arrivals_cnt), arrival);
        }
    }

    /// A frame has come to its end.
    fn deliver(&mut self, arrival: Arrival) {
        let Arrival { from, to, frame } = arrival;
        let number = frame.number;
        let bytes = Rc::clone(&frame.bytes);
        let now_us = self.now_us;
        let event = self.end_mut(to).accept(now_us, from, frame);
        if event == Event::LinkDown {
            self.end_mut(from).counters.link_down += 1;
        }
        self.recorder.push(Record {
            at_us: now_us,
            number,
            from,
            to,
            event,
            bytes,
        });
    }

    fn record(&mut self, event: Event, from: End, to: End, frame: &WireFrame) {
        self.recorder.push(Record {
            at_us: self.now_us,
            number: frame.number,
            from,
            to,
            event,
            bytes: Rc::clone(&frame.bytes),
        });
    }
}

impl EndState {
    /// Takes a frame from the wire into a slot, if there is one; what became of it.
    fn accept(&mut self, now_us: u64, from: End, frame: WireFrame) -> Event {
        if self.link == LinkState::Down {
            return Event::LinkDown;
        }
        if frame.datagram_len() > usize::from(self.config.mtu) {
            self.counters.too_long += 1;
            return Event::TooLong;
        }
        let len = frame.bytes.len();
        let csum = rx_checksum(&frame, self.config.rx_csum);
        let gso_size = frame.gso.map_or(0, |gso| gso.gso_size);
        let event = match &mut self.rx {
            Rx::Tap(captured) if captured.len() < CAPTURED_MAX => {
                captured.push_back(Captured {
                    at_us: now_us,
                    from,
                    bytes: Rc::unwrap_or_clone(frame.bytes),
                    csum,
                    gso_size,
                });
                Event::Delivered
            }
            Rx::Ring(slots) => slots.accept(frame, csum, gso_size, self.config.rx_merge),
            Rx::Tap(_) | Rx::Closed => Event::RingFull,
        };
        match event {
            Event::RingFull => self.counters.ring_full += 1,
            Event::NoFrame => self.counters.no_frame += 1,
            _ => {
                self.counters.merged += u64::from(event == Event::Merged);
                self.counters.delivered += 1;
                self.counters.delivered_bytes += len as u64;
                self.interrupt();
            }
        }
        event
    }

    fn interrupt(&mut self) {
        if self.is_armed {
            self.is_armed = false;
            self.is_interrupted = true;
            self.counters.interrupts += 1;
        }
    }

    /// Next packet for the driver to see.
    pub(crate) fn take_arrived(&mut self) -> Option<Arrived> {
        let Rx::Ring(slots) = &mut self.rx else {
            return None;
        };
        let mut arrived = slots.arrived.pop_front()?;
        if let Some(run) = arrived.run.take()
            && run.finish(&mut arrived.bytes)
        {
            arrived.gso_size = run.gso_size;
        }
        Some(arrived)
    }
}

impl RxSlots {
    fn accept(
        &mut self,
        frame: WireFrame,
        csum: RxChecksum,
        gso_size: u16,
        can_merge: bool,
    ) -> Event {
        if can_merge && self.merge(&frame) {
            return Event::Merged;
        }
        let pieces = self.pieces(frame.bytes.len());
        if pieces > self.posted {
            return if self.unfilled > 0 {
                Event::NoFrame
            } else {
                Event::RingFull
            };
        }
        self.posted -= pieces;
        let can_start = can_merge && frame.csum.is_none() && frame.gso.is_none();
        let run = if can_start {
            Run::of(&frame.bytes)
        } else {
            None
        };
        self.arrived.push_back(Arrived {
            bytes: frame.bytes,
            csum,
            gso_size,
            run,
        });
        Event::Delivered
    }

    /// Appends a segment to the packet before it; false when it has to be one of its own.
    fn merge(&mut self, frame: &WireFrame) -> bool {
        let (first_cap, rest_cap, posted) = (self.first_cap, self.rest_cap, self.posted);
        let Some(last) = self.arrived.back() else {
            return false;
        };
        let pieces = self.pieces(last.bytes.len());
        // What the frames that it has and the posted ones hold.
        let len_max = first_cap.saturating_add((pieces - 1 + posted).saturating_mul(rest_cap));
        let Some(last) = self.arrived.back_mut() else {
            return false;
        };
        let Some(run) = &mut last.run else {
            return false;
        };
        if frame.csum.is_some() || !run.append(&mut last.bytes, &frame.bytes, len_max) {
            return false;
        }
        let pieces_after = self.arrived.back().map_or(pieces, |last| {
            1 + last
                .bytes
                .len()
                .saturating_sub(first_cap)
                .div_ceil(rest_cap)
        });
        // Dropping padding may have made it shorter.
        self.posted = (self.posted + pieces).saturating_sub(pieces_after);
        true
    }
}

/// What the device says about the transport checksum.
fn rx_checksum(frame: &WireFrame, rx_csum: RxCsum) -> RxChecksum {
    if let Some(csum) = frame.csum {
        return RxChecksum::Partial {
            csum_start: csum.csum_start,
            csum_offset: csum.csum_offset,
        };
    }
    let is_known = Layout::of(&frame.bytes)
        .is_some_and(|layout| matches!(layout.proto, PROTO_TCP | PROTO_UDP));
    let is_verified =
        rx_csum != RxCsum::Unknown && is_known && checksum::verify(&frame.bytes) == Verdict::Right;
    if is_verified {
        RxChecksum::Verified
    } else {
        RxChecksum::Unknown
    }
}

/// Whether the frame has the checksum field of a request.
fn is_within(frame: &[u8], csum: CsumOffload) -> bool {
    usize::from(csum.csum_start) >= ETH_LEN
        && usize::from(csum.csum_start) + usize::from(csum.csum_offset) + 2 <= frame.len()
}

/// Whether a device offers to cut that kind.
pub(crate) fn offers(config: &PortConfig, kind: GsoKind) -> bool {
    match kind {
        GsoKind::TcpV4 => config.tso.tcp_v4,
        GsoKind::TcpV6 => config.tso.tcp_v6,
        GsoKind::Udp => config.tso.udp,
    }
}

/// The shortest Ethernet frame, without its frame check sequence.
const FRAME_LEN_MIN: usize = 60;
/// Frames under way on a wire; more are dropped as by a full queue.
const UNDER_WAY_MAX: usize = 1 << 16;
/// Frames that a tap keeps until it is read; more are dropped as by a full ring.
const CAPTURED_MAX: usize = 1 << 16;
/// Bytes of record that a wire keeps, unless told.
const RECORD_LEN_MAX: usize = 16 << 20;
