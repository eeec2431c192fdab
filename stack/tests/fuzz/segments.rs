//! Segments of the far sides: whole handshakes, right ones, and those that are right but for what
//! the program changes in them.

use simoom::wire::ipv4::proto;

use super::cursor::Cursor;
use super::ends::Way;
use super::far::{ACK, FIN, FLOWS_ACTIVE, FLOWS_PASSIVE, Flow, PSH, RST, SYN, byte_at};
use super::packets::datagram_of;
use super::world::World;

/// A whole handshake from the far side; for a flow that the stack opens, the far side's answer.
pub(super) fn open<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let n = bytes.below(FLOWS_PASSIVE + FLOWS_ACTIVE);
    let variant = bytes.u8();
    let options = syn_options(
        &mut world.far.borrow_mut().flows[n],
        variant,
        world.now.as_micros(),
    );
    let is_passive = n < FLOWS_PASSIVE;
    let (iss, seen_end) = {
        let flow = &world.far.borrow().flows[n];
        // A new connection of the same two endpoints begins further on.
        (
            flow.nxt.wrapping_add(u32::from(variant & 1) * 100_000),
            flow.seen_end,
        )
    };
    let mut syn = Shape::new(if is_passive { SYN } else { SYN | ACK }, iss, seen_end);
    syn.options = options;
    if variant & 0x80 != 0 {
        // ECN is asked for (RFC 3168 6.1.1).
        syn.ctl |= if is_passive { 0xc0 } else { 0x40 };
    }
    if is_passive && variant & 12 == 12 {
        syn.payload_len = 100;
    }
    arrive(world, n, &syn);
    world.poll();
    answer(world, n, ACK, 0);
}

/// The options of a SYN as its far side likes them; timestamps are sent from then on.
fn syn_options(flow: &mut Flow, variant: u8, now_us: u64) -> Vec<u8> {
    let mut options = Vec::new();
    if variant & 2 != 0 {
        let [high, low] = [1_460u16, 100, 536, 9_000][usize::from(variant >> 2) % 4].to_be_bytes();
        options.extend([2, 4, high, low]);
    }
    if variant & 16 != 0 {
        options.extend([4, 2, 1, 1]);
    }
    flow.has_timestamps = variant & 32 != 0;
    if flow.has_timestamps {
        options.extend(timestamps(flow, now_us, 0, 0));
    }
    if variant & 64 != 0 {
        options.extend([1, 3, 3, variant % 16]);
    }
    if variant & 8 != 0 {
        // Fast Open (RFC 7413): the cookie that was given, or a request for one.
        options.extend([34, 2 + flow.cookie.len() as u8]);
        options.extend(&flow.cookie);
    }
    options
}

/// NOP, NOP, timestamps: off from what is right by so much.
pub(super) fn timestamps(flow: &Flow, now_us: u64, val_off: u32, ecr_off: u32) -> [u8; 12] {
    let val = (now_us / 1_000) as u32;
    let [v0, v1, v2, v3] = val.wrapping_add(val_off).to_be_bytes();
    let [e0, e1, e2, e3] = flow.tsval.wrapping_add(ecr_off).to_be_bytes();
    [1, 1, 8, 10, v0, v1, v2, v3, e0, e1, e2, e3]
}

/// A segment as it is to arrive.
pub(super) struct Shape {
    pub(super) ctl: u8,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) wnd: u16,
    pub(super) urgent: u16,
    pub(super) options: Vec<u8>,
    pub(super) payload_len: usize,
    pub(super) tos: u8,
    pub(super) lie: u8,
    pub(super) csum: u8,
    pub(super) piece_len: usize,
}

impl Shape {
    pub(super) fn new(ctl: u8, seq: u32, ack: u32) -> Self {
        Self {
            ctl,
            seq,
            ack,
            wnd: u16::MAX,
            urgent: 0,
            options: Vec::new(),
            payload_len: 0,
            tos: 0,
            lie: 0,
            csum: 0,
            piece_len: usize::MAX,
        }
    }

    /// Whether the checksum is wrong, and the device does not say that it is right.
    fn has_bad_checksum(&self) -> bool {
        self.lie % 8 == 2 && !matches!(self.csum % 4, 1 | 2)
    }
}

/// The far side of a flow says what is right.
pub(super) fn answer<A: Way>(world: &mut World<A>, n: usize, ctl: u8, payload_len: usize) {
    let shape = {
        let flow = &world.far.borrow().flows[n];
        let mut shape = Shape::new(ctl, flow.nxt, flow.seen_end);
        shape.payload_len = payload_len;
        if flow.has_timestamps {
            shape
                .options
                .extend(timestamps(flow, world.now.as_micros(), 0, 0));
        }
        shape
    };
    arrive(world, n, &shape);
}

/// Far sides acknowledge all that they have seen, a few times, so that windows open.
pub(super) fn acknowledge<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let (n, rounds) = (
        bytes.below(FLOWS_PASSIVE + FLOWS_ACTIVE),
        bytes.below(8) + 1,
    );
    for _ in 0..rounds {
        answer(world, n, ACK, 0);
        world.poll();
    }
}

/// The far side of a flow ends it, or gives it data that fits.
pub(super) fn shut<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let n = bytes.below(FLOWS_PASSIVE + FLOWS_ACTIVE);
    let ctl = bytes.pick(&[FIN | ACK, ACK | PSH, ACK, RST, RST | ACK]);
    let is_data = ctl & (FIN | RST) == 0;
    let len = if is_data {
        usize::from(bytes.u16()) % 1_460
    } else {
        0
    };
    answer(world, n, ctl, len);
}

/// A segment of a flow: a kind, and what is changed in it.
pub(super) fn segment<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let n = bytes.below(FLOWS_PASSIVE + FLOWS_ACTIVE);
    let (kind, changes) = (bytes.u8(), bytes.u8());
    let has = |bit: u8| changes & bit != 0;
    let now_us = world.now.as_micros();
    let mut far = world.far.borrow_mut();
    let flow = &mut far.flows[n];
    let ctl = [
        ACK,
        SYN,
        SYN | ACK,
        ACK | PSH,
        FIN | ACK,
        RST,
        RST | ACK,
        FIN | PSH | ACK,
        ACK,
        ACK,
        ACK,
        0,
    ];
    let kind = usize::from(kind) % ctl.len();
    let mut shape = Shape::new(ctl[kind], flow.nxt, flow.seen_end);
    match kind {
        1 if has(1) => shape.seq = flow.iss,
        3 | 7 => shape.payload_len = bytes.pick(&[100, 1, 1_000, 1_460, 256]),
        8 => shape.ack = flow.acked,
        9 => shape.wnd = 0,
        11 => shape.ctl = bytes.u8(),
        _ => {}
    }
    if has(1) {
        shape.seq = bytes
            .pick(&[shape.seq, flow.una, flow.iss])
            .wrapping_add(bytes.near());
    }
    if has(2) {
        let places = places(flow);
        shape.ack = bytes.pick(&places).wrapping_add(bytes.near());
    }
    if has(4) {
        shape.wnd = bytes.u16();
    }
    if has(8) {
        shape.options = options(flow, now_us, bytes);
    } else if shape.ctl & SYN != 0 {
        shape.options = syn_options(flow, bytes.u8(), now_us);
    } else if flow.has_timestamps {
        shape.options.extend(timestamps(flow, now_us, 0, 0));
    }
    if has(16) {
        shape.payload_len = usize::from(bytes.u16()) % 2_100;
    }
    if has(32) {
        shape.tos = bytes.u8();
        shape.ctl ^= bytes.u8();
        shape.urgent = bytes.u16();
    }
    if has(64) {
        shape.lie = bytes.u8();
    }
    if has(128) {
        shape.csum = bytes.u8();
        shape.piece_len = usize::from(bytes.u8()) * 8;
    }
    drop(far);
    arrive(world, n, &shape);
}

/// Sequence numbers of the stack's that mean something.
pub(super) fn places(flow: &Flow) -> Vec<u32> {
    let mut places = vec![flow.seen_end, flow.acked, flow.irs];
    places.extend(flow.segments.iter().flat_map(|(seq, end)| [*seq, *end]));
    places
}

/// Options: those that there are with likely values, and others.
fn options(flow: &Flow, now_us: u64, bytes: &mut Cursor<'_>) -> Vec<u8> {
    let mut options = Vec::new();
    let places = places(flow);
    for _ in 0..bytes.below(6) {
        match bytes.u8() % 12 {
            0 => options.extend(timestamps(flow, now_us, bytes.near(), bytes.near())),
            1 => options.extend(timestamps(flow, now_us, 0, 0)),
            2..=4 => {
                let blocks = bytes.below(4) + 1;
                options.extend([1, 1, 5, 2 + 8 * blocks as u8]);
                for _ in 0..2 * blocks {
                    let edge = bytes.pick(&places).wrapping_add(bytes.near());
                    options.extend(edge.to_be_bytes());
                }
            }
            5 => {
                options.extend([2, 4]);
                options.extend(bytes.u16().to_be_bytes());
            }
            6 => options.extend([3, 3, bytes.u8()]),
            7 => options.extend([4, 2]),
            8 => options.push(1),
            9 => options.push(0),
            // Fast Open, user timeout, and whatever else.
            10 => {
                let (kind, len) = (bytes.pick(&[34, 28, 30, 19, 253]), bytes.below(18));
                options.extend([kind, 2 + len as u8]);
                options.extend(bytes.take(len));
            }
            _ => {
                let len = bytes.below(12);
                options.extend(bytes.take(len));
            }
        }
    }
    options
}

/// Builds a segment of a flow, and puts it on the ring.
pub(super) fn arrive<A: Way>(world: &mut World<A>, n: usize, shape: &Shape) {
    let mut options = shape.options.clone();
    options.truncate(40);
    options.resize(options.len().next_multiple_of(4), 0);
    let (remote_ip, frame) = {
        let mut far = world.far.borrow_mut();
        let flow = &mut far.flows[n];
        let mut bytes = Vec::with_capacity(1_600);
        bytes.extend(flow.remote_port.to_be_bytes());
        bytes.extend(flow.local_port.to_be_bytes());
        bytes.extend(shape.seq.to_be_bytes());
        bytes.extend(shape.ack.to_be_bytes());
        let offset = (20 + options.len() as u8) << 2;
        bytes.extend([
            if shape.lie % 8 == 1 {
                shape.lie
            } else {
                offset
            },
            shape.ctl,
        ]);
        bytes.extend(shape.wnd.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(shape.urgent.to_be_bytes());
        bytes.extend(options);
        let first = shape.seq.wrapping_add(u32::from(shape.ctl & SYN != 0));
        // Who takes a segment with a wrong checksum gets other bytes than were sent.
        let flip = if shape.has_bad_checksum() { 0xff } else { 0 };
        let payload = (0..shape.payload_len as u32).map(|n| byte_at(first.wrapping_add(n)) ^ flip);
        bytes.extend(payload);
        if shape.lie % 8 == 1 {
            // A header of another length: other bytes are payload.
            flow.is_dirty = true;
        } else if !shape.has_bad_checksum() {
            flow.tells(shape.seq, shape.ctl, shape.payload_len);
            if shape.ctl & ACK != 0 {
                flow.acked = shape.ack;
            }
        }
        (flow.remote_ip, bytes)
    };
    let (csum, bytes) = datagram_of(remote_ip, proto::TCP, frame, shape);
    world.arrives_as(&bytes, csum, shape.piece_len);
}
