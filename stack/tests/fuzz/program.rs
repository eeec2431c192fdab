//! The input as a program: operations on a live stack, one after another.

use simoom::tcp::calls::Calls;
use simoom::tcp::cc::Reno;
use simoom::tcp::{EcnUse, Settings, State};
use simoom::wire::checksum::Sum;
use simoom::{Addr, Duration, Endpoint};
use simoom_ring::{Caps, Checksums, LinkState, RxChecksum, Segmentation};

use super::cursor::Cursor;
use super::ends::{Act, Habits, Script, Way, begins};
use super::far::{
    ACK, FAR_IPS, FIN, FLOWS_ACTIVE, FLOWS_PASSIVE, Flow, LISTEN_PORT, OUR_IP, OUR_MAC, PSH, RST,
    SYN, byte_at, far_mac,
};
use super::rings::TX_SLOTS;
use super::world::{Plan, World, arp};

/// Runs a program on a stack with either way in for the application.
pub(crate) fn frames(bytes: &[u8]) {
    let mut bytes = Cursor::new(bytes);
    let way = bytes.u8();
    let plan = plan(&mut bytes);
    match way % 2 {
        0 => run(World::<Script>::new(&plan), bytes),
        _ => run(World::<Calls<Reno>>::new(&plan), bytes),
    }
}

fn plan(bytes: &mut Cursor<'_>) -> Plan {
    let (port, tables) = (bytes.u8(), bytes.u8());
    let has = |bit: u8| port & bit != 0;
    let checksums = Checksums {
        tx: has(4),
        rx: has(8),
    };
    let has_tso = has(4) && has(16);
    let tso = Segmentation {
        tcp_v4: has_tso,
        len_max: if has_tso { 65_535 } else { 0 },
        ..Segmentation::default()
    };
    let caps = Caps {
        mtu: [1_500, 576, 296, 1_492][usize::from(tables) % 4],
        fragments_max: 1 + usize::from(port) % 4,
        headroom: if has(32) { 12 } else { 0 },
        checksums,
        tso,
        rx_large: has(64),
        ..Caps::PLAIN
    };
    // What is on by default is on when the bit is not set.
    let switches = bytes.u8();
    let tcp = Settings {
        sack: switches & 1 == 0,
        timestamps: switches & 2 == 0,
        window_scaling: switches & 0x40 == 0,
        quick_acks: if switches & 0x80 == 0 { 2 } else { 0 },
        syn_cookies: switches & 4 == 0,
        ecn: [EcnUse::Accept, EcnUse::Ask, EcnUse::Never][usize::from(switches >> 3) % 3],
    };
    Plan {
        caps,
        tcp,
        has_few_frames: tables & 4 != 0,
        backlog: [16, 1, 2, 3][usize::from(tables >> 3) % 4],
        conns: [8, 1, 2, 4][usize::from(tables >> 5) % 4],
    }
}

fn run<A: Way>(mut world: World<A>, mut bytes: Cursor<'_>) {
    for _ in 0..OPERATIONS_MAX {
        if bytes.is_empty() {
            break;
        }
        let op = bytes.u8();
        step(&mut world, op & 0x7f, &mut bytes);
        // Else the next operation meets the stack before it has looked at this one.
        if op & 0x80 == 0 {
            world.poll();
        }
    }
    world.end();
}

fn step<A: Way>(world: &mut World<A>, op: u8, bytes: &mut Cursor<'_>) {
    match op % 32 {
        0..=8 => segment(world, bytes),
        9..=12 => time(world, bytes),
        13..=16 => call(world, bytes),
        17 | 18 => open(world, bytes),
        19 => connect(world, bytes),
        20 => world.accept(),
        21 => {
            let takes = bytes.pick(&[u16::MAX, 0, 1, 100, 2_000]);
            let on = [(); 4].map(|()| Act::from(bytes));
            world.app.set_habits(Habits { takes, on });
        }
        22 => raw(world, bytes),
        23 => icmp(world, bytes),
        24 => neighbor(world, bytes),
        25 => datagram(world, bytes),
        26 => rings(world, bytes),
        27 => receive(world, bytes),
        28 => interface(world, bytes),
        29 | 30 => acknowledge(world, bytes),
        _ => shut(world, bytes),
    }
}

/// Time passes, to a timer or by a span.
fn time<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let to_timer = |world: &World<A>| {
        let next = world.stack.poll_at(world.now);
        next.since(world.now).min(Duration::from_secs(60))
    };
    let (unit, n) = (bytes.u8(), bytes.u8());
    let span = match unit % 16 {
        0 => to_timer(world),
        1 => Duration::from_micros(to_timer(world).as_micros().saturating_sub(1)),
        // The application was busy elsewhere: it is late for everything.
        2 => {
            world.now = world.now + to_timer(world) + Duration::from_millis(u64::from(n) * 20);
            Duration::ZERO
        }
        3 | 4 => Duration::from_micros(n.into()),
        5..=7 => Duration::from_millis(n.into()),
        8..=12 => Duration::from_millis(u64::from(n) * 20),
        13 | 14 => Duration::from_millis(u64::from(n) * 100),
        _ => Duration::from_secs(n.min(130).into()),
    };
    world.pass(span);
}

/// The application does something to a connection.
fn call<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let (which, act) = (bytes.u8(), Act::from(bytes));
    let Some(id) = nth_id(world, which) else {
        return;
    };
    let far = &world.far;
    let done = world.stack.with_conn(world.now, id, |conn, _| {
        act.run(conn, &mut far.borrow_mut())
    });
    if done.is_none() {
        assert!(A::ACCEPTS_LATER, "the application was told of its end");
        world.ids.borrow_mut().retain(|known| *known != id);
    }
}

/// The application reads.
fn receive<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let (which, most) = (bytes.u8(), bytes.u16());
    if let Some(id) = nth_id(world, which) {
        let take = |shown: &[u8]| shown.len().min(most.into());
        world.app.recv(&mut world.stack, world.now, id, take);
    }
}

fn nth_id<A: Way>(world: &World<A>, n: u8) -> Option<simoom::tcp::ConnId> {
    let ids = world.ids.borrow();
    ids.get(usize::from(n) % ids.len().max(1)).copied()
}

/// The stack opens a connection to a far side.
fn connect<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let n = FLOWS_PASSIVE + bytes.below(FLOWS_ACTIVE);
    let (ip, port) = {
        let flow = &world.far.borrow().flows[n];
        (flow.remote_ip, flow.remote_port)
    };
    let remote = Endpoint::new(Addr::v4(ip.into()), port);
    let Ok(id) = world.stack.connect(world.now, remote, A::opened()) else {
        return;
    };
    world.ids.borrow_mut().push(id);
    let far = &world.far;
    world.stack.with_conn(world.now, id, |conn, _| {
        assert_eq!(conn.state(), State::SynSent);
        let mut far = far.borrow_mut();
        far.flows[n].local_port = conn.tuple().local.port;
        begins(&mut far, conn);
    });
}

/// A whole handshake from the far side; for a flow that the stack opens, the far side's answer.
fn open<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
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
    options
}

/// NOP, NOP, timestamps: off from what is right by so much.
fn timestamps(flow: &Flow, now_us: u64, val_off: u32, ecr_off: u32) -> [u8; 12] {
    let val = (now_us / 1_000) as u32;
    let [v0, v1, v2, v3] = val.wrapping_add(val_off).to_be_bytes();
    let [e0, e1, e2, e3] = flow.tsval.wrapping_add(ecr_off).to_be_bytes();
    [1, 1, 8, 10, v0, v1, v2, v3, e0, e1, e2, e3]
}

/// A segment as it is to arrive.
struct Shape {
    ctl: u8,
    seq: u32,
    ack: u32,
    wnd: u16,
    urgent: u16,
    options: Vec<u8>,
    payload_len: usize,
    tos: u8,
    lie: u8,
    csum: u8,
    piece_len: usize,
}

impl Shape {
    fn new(ctl: u8, seq: u32, ack: u32) -> Self {
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
}

impl Shape {
    /// Whether the checksum is wrong, and the device does not say that it is right.
    fn has_bad_checksum(&self) -> bool {
        self.lie % 8 == 2 && !matches!(self.csum % 4, 1 | 2)
    }
}

/// The far side of a flow says what is right.
fn answer<A: Way>(world: &mut World<A>, n: usize, ctl: u8, payload_len: usize) {
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
fn acknowledge<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
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
fn shut<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
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
fn segment<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
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
fn places(flow: &Flow) -> Vec<u32> {
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
fn arrive<A: Way>(world: &mut World<A>, n: usize, shape: &Shape) {
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
    let (csum, bytes) = datagram_of(remote_ip, 6, frame, shape);
    world.arrives_as(&bytes, csum, shape.piece_len);
}

/// A frame of an IPv4 datagram from a far side, with its checksums unless they are to be wrong.
fn datagram_of(
    remote_ip: [u8; 4],
    proto: u8,
    mut body: Vec<u8>,
    shape: &Shape,
) -> (RxChecksum, Vec<u8>) {
    let field = match proto {
        6 => Some(16),
        17 => Some(6),
        _ => None,
    };
    let len = body.len() as u16;
    let (src, dst) = (Addr::v4(remote_ip.into()), Addr::v4(OUR_IP.into()));
    let mut csum = RxChecksum::Unknown;
    if let Some(field) = field.filter(|field| field + 2 <= body.len()) {
        let mut sum = Sum::pseudo_header(src, dst, proto, len);
        // The device says: verified, or still to be completed.
        let bytes = match shape.csum % 4 {
            1 => {
                csum = RxChecksum::Verified;
                0
            }
            2 => {
                csum = RxChecksum::Partial {
                    csum_start: 34,
                    csum_offset: field as u16,
                };
                sum.folded()
            }
            _ => {
                sum.add(&body);
                sum.finish() ^ u16::from(shape.lie % 8 == 2)
            }
        };
        body[field..field + 2].copy_from_slice(&bytes.to_be_bytes());
    }
    let mut bytes = OUR_MAC.to_vec();
    bytes.extend(far_mac(remote_ip));
    bytes.extend([0x08, 0x00]);
    let total_len = 20 + len;
    let said_len = total_len.wrapping_sub(u16::from(shape.lie % 8 == 3) * u16::from(shape.lie));
    let mut header = vec![0x45, shape.tos];
    header.extend(said_len.to_be_bytes());
    header.extend([
        0,
        1,
        if shape.lie % 8 == 4 { shape.lie } else { 0x40 },
        0,
        64,
        proto,
        0,
        0,
    ]);
    header.extend(remote_ip);
    header.extend(OUR_IP);
    let sum = Sum::of(&header).finish() ^ u16::from(shape.lie % 8 == 5);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes.extend(header);
    bytes.extend(body);
    // Ethernet's least frame is padded.
    if shape.lie % 8 != 6 && bytes.len() < 60 {
        bytes.resize(60, 0);
    }
    (csum, bytes)
}

/// A frame of any bytes, behind as many headers that are right as the program likes.
fn raw<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let (depth, len) = (bytes.u8(), bytes.u8());
    let rest = bytes.take(len.into()).to_vec();
    match depth % 4 {
        0 => {
            let mut far = world.far.borrow_mut();
            far.flows.iter_mut().for_each(|flow| flow.is_dirty = true);
            drop(far);
            world.arrives(&rest);
        }
        1 => {
            let mut frame = OUR_MAC.to_vec();
            frame.extend(far_mac(FAR_IPS[0]));
            frame.extend([0x08, if depth & 4 == 0 { 0 } else { 6 }]);
            frame.extend(&rest);
            let mut far = world.far.borrow_mut();
            far.flows.iter_mut().for_each(|flow| flow.is_dirty = true);
            drop(far);
            world.arrives(&frame);
        }
        _ => {
            // Whatever is not TCP: that has its own operations.
            let proto = [1, 17, 2, 89][usize::from(depth >> 2) % 4];
            let (csum, frame) = datagram_of(FAR_IPS[0], proto, rest, &Shape::new(0, 0, 0));
            world.arrives_as(&frame, csum, usize::MAX);
        }
    }
}

/// An ICMP message that quotes a segment of the stack's, or one like it.
fn icmp<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let n = bytes.below(FLOWS_PASSIVE + FLOWS_ACTIVE);
    let kinds = [
        (3, 4),
        (3, 1),
        (3, 3),
        (3, 2),
        (11, 0),
        (12, 0),
        (8, 0),
        (3, 13),
        (5, 0),
        (0, 0),
    ];
    let (kind, code) = bytes.pick(&kinds);
    let (mtu, off, router) = (bytes.u16(), bytes.near(), bytes.pick(&FAR_IPS));
    let mut message = vec![kind, code, 0, 0, 0, 0];
    message.extend(mtu.to_be_bytes());
    {
        let far = world.far.borrow();
        let flow = &far.flows[n];
        let mut quoted = vec![0x45, 0, 5, 0xdc, 0, 1, 0x40, 0, 60, 6, 0, 0];
        quoted.extend(OUR_IP);
        quoted.extend(flow.remote_ip);
        quoted.extend(flow.local_port.to_be_bytes());
        quoted.extend(flow.remote_port.to_be_bytes());
        let seq = bytes.pick(&places(flow)).wrapping_add(off);
        quoted.extend(seq.to_be_bytes());
        quoted.extend(flow.una.to_be_bytes());
        quoted.extend([0x50, ACK, 0xff, 0xff, 0, 0, 0, 0]);
        quoted.truncate(usize::from(bytes.u8()).max(8));
        message.extend(quoted);
    }
    let sum = Sum::of(&message).finish();
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let (csum, frame) = datagram_of(router, 1, message, &Shape::new(0, 0, 0));
    world.arrives_as(&frame, csum, usize::MAX);
}

/// ARP of all kinds, and far sides that do not answer it.
fn neighbor<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let (kind, ip) = (bytes.u8(), bytes.pick(&FAR_IPS));
    let mut mac = far_mac(ip);
    match kind % 8 {
        0 => world.arrives(&arp(1, (mac, ip), ([0; 6], OUR_IP))),
        1 => world.arrives(&arp(2, (mac, ip), (OUR_MAC, OUR_IP))),
        2 => {
            // It has moved.
            mac[3] = bytes.u8();
            world.arrives(&arp(2, (mac, ip), (OUR_MAC, OUR_IP)));
        }
        3 => world.arrives(&arp(bytes.u8(), (mac, OUR_IP), ([0; 6], OUR_IP))),
        4 => world.is_arp_answered = false,
        5 => world.is_arp_answered = true,
        _ => {
            // Many neighbors.
            let ip = [10, 0, 2, bytes.u8()];
            world.arrives(&arp(1, (far_mac(ip), ip), ([0; 6], OUR_IP)));
        }
    }
}

/// UDP: to a port of the application, to none, and a DHCP server's answers.
fn datagram<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let kind = bytes.u8();
    let (src, dst) = match kind % 4 {
        0 => (4_000, 7_000),
        1 => (4_000, bytes.u16()),
        _ => (67u16, 68),
    };
    let payload = match dst {
        68 => dhcp(world, bytes),
        _ => {
            let len = bytes.u8();
            bytes.take(len.into()).to_vec()
        }
    };
    let mut body = src.to_be_bytes().to_vec();
    body.extend(dst.to_be_bytes());
    body.extend((8 + payload.len() as u16).to_be_bytes());
    body.extend([0, 0]);
    body.extend(payload);
    let (csum, frame) = datagram_of(FAR_IPS[0], 17, body, &Shape::new(0, 0, 0));
    world.arrives_as(&frame, csum, usize::MAX);
}

fn dhcp<A: Way>(world: &World<A>, bytes: &mut Cursor<'_>) -> Vec<u8> {
    let mut message = vec![2, 1, 6, 0];
    let xid = world.far.borrow().dhcp_xid;
    message.extend(xid.to_be_bytes());
    message.extend([0; 8]);
    message.extend(if bytes.u8().is_multiple_of(8) {
        [10, 0, 2, bytes.u8()]
    } else {
        OUR_IP
    });
    message.extend([0; 8]);
    message.extend(OUR_MAC);
    message.extend([0; 10 + 64 + 128]);
    message.extend([0x63, 0x82, 0x53, 0x63]);
    message.extend([53, 1, bytes.pick(&[2, 5, 5, 6])]);
    message.extend([
        54, 4, 10, 0, 2, 2, 1, 4, 255, 255, 255, 0, 3, 4, 10, 0, 2, 2,
    ]);
    message.extend([51, 4, 0, 0]);
    message.extend(bytes.u16().to_be_bytes());
    let len = bytes.below(40);
    message.extend(bytes.take(len));
    message.push(255);
    message
}

/// The device: room on the transmit ring, frames that stay in flight, a pool that runs dry.
fn rings<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let (kind, n) = (bytes.u8(), bytes.u8());
    match kind % 8 {
        0 => world.rings.tx.slots = usize::from(n) % 8,
        1 => world.rings.tx.slots = TX_SLOTS,
        2 => world.rings.tx.is_held = true,
        3 => world.rings.tx.is_held = false,
        // Finished in any order.
        4 => drop(world.rings.tx.on_ring.pop_back()),
        5 => world.rings.tx.on_ring.clear(),
        6 => world.take_frames(n.into()),
        _ => world.hostages.truncate(usize::from(n)),
    }
}

/// The interface: its address, its link, ports, DHCP.
fn interface<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let now = world.now;
    match bytes.u8() % 10 {
        0 => world.stack.set_link(LinkState::Down, now),
        1 => world.stack.set_link(LinkState::Up, now),
        // A link must take its messages whole (RFC 1542 2.1).
        2 if world.caps.mtu >= 576 => world.stack.start_dhcp(now),
        3 => world.configure(),
        4 => {
            let opened = world.stack.listen(LISTEN_PORT, bytes.u8().into());
            world.listeners.extend(opened.ok());
        }
        5 => {
            if let Some(id) = world.listeners.pop() {
                world.stack.unlisten(id);
            }
        }
        6 => drop(world.stack.bind(7_000)),
        7 => drop(world.stack.unbind(7_000)),
        _ => while world.stack.dhcp_event().is_some() {},
    }
}

/// Operations of one program: the fuzzer gains nothing by longer ones.
const OPERATIONS_MAX: usize = 400;
