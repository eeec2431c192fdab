//! Rows of segments as connections see them most: the next data, the next acknowledgments, in one
//! burst, and here and there one that is right but for one thing.

use super::cursor::Cursor;
use super::ends::Way;
use super::far::{ACK, FIN, FLOWS_PASSIVE, Flow, PSH, RST, SYN};
use super::segments::{Shape, answer, arrive, places, timestamps};
use super::world::World;

/// A burst of segments of one flow, which is opened first if it never was.
pub(super) fn row<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    // Most are of one: what is known of the last connection is worth something.
    let n = [0, 0, 0, 0, 0, 1, 2, 3][bytes.below(8)] % FLOWS_PASSIVE;
    if world.far.borrow().flows[n].has_begun() {
        let cnt = 1 + bytes.below(8);
        for _ in 0..cnt {
            let shape = shape(world, n, bytes);
            arrive(world, n, &shape);
        }
    } else {
        open(world, n, bytes);
    }
}

/// A handshake as Linux begins it, sometimes without one of its options.
fn open<A: Way>(world: &mut World<A>, n: usize, bytes: &mut Cursor<'_>) {
    let variant = bytes.u8();
    let mut syn = {
        let flow = &mut world.far.borrow_mut().flows[n];
        flow.has_timestamps = variant & 1 == 0;
        let mut syn = Shape::new(SYN, flow.iss, 0);
        let mss = [1_460_u16, 536, 100, 8_960][usize::from(variant >> 1) % 4];
        syn.options.extend([2, 4]);
        syn.options.extend(mss.to_be_bytes());
        let has_sack = variant & 8 == 0;
        match (has_sack, flow.has_timestamps) {
            (true, true) => {
                // What stands in front of timestamps elsewhere is SACK-permitted here.
                let [_, _, stamps @ ..] = timestamps(flow, world.now.as_micros(), 0, 0);
                syn.options.extend([4, 2]);
                syn.options.extend(stamps);
            }
            (true, false) => syn.options.extend([1, 1, 4, 2]),
            (false, true) => {
                let stamps = timestamps(flow, world.now.as_micros(), 0, 0);
                syn.options.extend(stamps);
            }
            (false, false) => {}
        }
        if variant & 16 == 0 {
            syn.options.extend([1, 3, 3, variant >> 5]);
        }
        syn
    };
    syn.wnd = 60_000;
    arrive(world, n, &syn);
    world.poll();
    answer(world, n, ACK, 0);
}

/// What comes next, but for one thing at times.
fn shape<A: Way>(world: &World<A>, n: usize, bytes: &mut Cursor<'_>) -> Shape {
    let (kind, change) = (bytes.u8(), bytes.u8());
    let now_us = world.now.as_micros();
    let flow = &world.far.borrow().flows[n];
    let mut shape = Shape::new(ACK, flow.nxt, ack(flow, kind >> 3, bytes));
    shape.payload_len = match kind % 8 {
        3 => 100,
        4 => 1,
        5 => 1_000,
        6 => 1_448,
        _ => 0,
    };
    if shape.payload_len > 0 {
        shape.ctl |= PSH;
    }
    shape.wnd = match kind >> 6 {
        2 => u16::from(bytes.u8()) << 8,
        3 => 60_000 + u16::from(kind),
        _ => 60_000,
    };
    // What the device says of the checksum.
    shape.csum = change >> 6;
    let mut stamps = (0, 0);
    let mut behind: &[u8] = &[];
    let sack;
    match change % 64 {
        32 | 33 => shape.seq = shape.seq.wrapping_add(bytes.near()),
        34 => shape.seq = bytes.pick(&[flow.nxt, flow.una, flow.iss]).wrapping_sub(1),
        35 => shape.ack = bytes.pick(&places(flow)).wrapping_add(bytes.near()),
        36 | 37 => stamps.0 = bytes.near(),
        38 => stamps.1 = bytes.near(),
        39 => (shape.ctl, shape.urgent) = (shape.ctl | URG, bytes.u16()),
        // Not without its bit.
        40 => shape.urgent = bytes.u16(),
        41 | 42 => shape.ctl |= FIN,
        43 => shape.ctl &= !ACK,
        44 => shape.ctl |= ECE,
        45 => shape.ctl |= CWR,
        46 => shape.tos = bytes.u8(),
        47 | 48 => {
            let places = places(flow);
            let mut block = || bytes.pick(&places).wrapping_add(bytes.near()).to_be_bytes();
            sack = [&[1, 1, 5, 10][..], &block(), &block()].concat();
            behind = &sack;
        }
        49 => behind = &[28, 4, 0x80, 1],
        50 => shape.wnd = 0,
        51 => shape.wnd = bytes.u16(),
        52 => shape.lie = 2,
        53 => shape.lie = bytes.u8(),
        54 => shape.ctl ^= PSH,
        55 => shape.ctl = bytes.pick(&[RST, RST | ACK, SYN, SYN | ACK, ACK | RST | FIN]),
        56 => shape.ctl = bytes.u8(),
        57 => shape.payload_len = usize::from(bytes.u16()) % 2_100,
        58 => shape.piece_len = usize::from(bytes.u8()) * 8,
        // Said again.
        59 => {
            shape.seq = flow.nxt.wrapping_sub(100);
            shape.payload_len = bytes.pick(&[100, 101, 99, 1_000]);
        }
        _ => {}
    }
    // Missing, or not where they nearly always are.
    let is_usual = !matches!(change % 64, 60..=62);
    if flow.has_timestamps && is_usual {
        shape
            .options
            .extend(timestamps(flow, now_us, stamps.0, stamps.1));
    } else if flow.has_timestamps != (change % 64 == 60) {
        let [_, _, option @ ..] = timestamps(flow, now_us, stamps.0, stamps.1);
        shape.options.extend(option);
        shape.options.extend([1, 1]);
    }
    shape.options.extend(behind);
    shape
}

/// What a segment acknowledges: all, one more segment, or nothing new.
fn ack(flow: &Flow, kind: u8, bytes: &mut Cursor<'_>) -> u32 {
    let new = |end: &u32| end.wrapping_sub(flow.acked).cast_signed() > 0;
    let ends = flow.segments.iter().map(|(_, end)| *end).filter(new);
    match kind % 8 {
        0 | 1 => flow.seen_end,
        2..=4 => ends
            .min_by_key(|end| end.wrapping_sub(flow.acked))
            .unwrap_or(flow.seen_end),
        5 | 6 => flow.acked,
        _ => flow.acked.wrapping_add(bytes.u16().into()),
    }
}

const URG: u8 = 0x20;
const ECE: u8 = 0x40;
const CWR: u8 = 0x80;
