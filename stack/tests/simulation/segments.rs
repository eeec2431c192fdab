//! Every segment on the wire, judged by arithmetic of this file's own: lengths, checksums, where
//! super-segments were cut, and that a byte of the stream is the same in each of its copies.

use std::collections::HashMap;

use simoom::Instant;
use simoom::tcp::Settings;
use simoom::tcp::cc::Algorithm;
use simoom_ring::MacAddr;
use simoom_sim::{Chance, Delay, Event, Faults, PortConfig, Rng, RxCsum};

use crate::congestion;
use crate::memory::Sizes;
use crate::seeds::Report;
use crate::transfers::World;
use crate::world::{Device, Habits};

/// What a device does for the stack.
#[derive(Clone, Copy, Debug)]
struct Rung {
    gathers: bool,
    sums: bool,
    cuts: bool,
}

const RUNGS: [Rung; 4] = [
    Rung {
        gathers: true,
        sums: true,
        cuts: true,
    },
    Rung {
        gathers: true,
        sums: true,
        cuts: false,
    },
    Rung {
        gathers: true,
        sums: false,
        cuts: false,
    },
    Rung {
        gathers: false,
        sums: false,
        cuts: false,
    },
];

/// Of segments of 536, 1,220, 1,460 (1,448 with timestamps) and 8,960 bytes.
const MTUS: [u16; 4] = [576, 1_260, 1_500, 9_000];

fn device(mtu: u16, rung: Rung, timestamps: bool) -> Device {
    let mut config = PortConfig {
        mtu,
        rx_slots: 128,
        rx_csum: RxCsum::Unknown,
        rx_merge: false,
        tx_csum: rung.sums,
        ..PortConfig::offloads(MacAddr([0; 6]))
    };
    if !rung.cuts {
        config.tso = PortConfig::plain(MacAddr([0; 6])).tso;
    }
    if !rung.gathers {
        config.fragments_max = 1;
    }
    Device {
        config,
        frames: 1_500,
        sizes: Sizes::SMALL,
        tcp: Settings {
            timestamps,
            ..Settings::default()
        },
    }
}

#[test]
fn every_segment_on_the_wire_is_right() {
    let habits = Habits {
        requests: 10,
        len_max: 120_001,
        pipeline: 3,
        // SACK blocks in segments with data: these end at odd places.
        uploads_permille: 300,
        ..Habits::PLAIN
    };
    let (mut seed, mut again, mut odd) = (0, 0, 0);
    for mtu in MTUS {
        for rung in RUNGS {
            for (loss, timestamps) in [(0, true), (3, false)] {
                seed += 1;
                congestion::set(&[Algorithm::Cubic]);
                let mut rng = Rng::new(seed);
                let device = |_: &mut Rng| device(mtu, rung, timestamps);
                let mut world = World::new(&mut rng, habits.clone(), device);
                let wire = world.wire.clone();
                let _report = Report::new(&wire, "every_segment_on_the_wire_is_right", seed);
                wire.record_len_max(1 << 30);
                let faults = Faults::none().delay(Delay::Fixed(2_000));
                wire.set_faults_all(&faults.loss(Chance::percent(loss)));
                world.server.stack.listen(80, 16).unwrap();
                world.client.connect(Instant::ZERO, 1);
                let end = Instant::from_micros(1_000_000_000);
                assert!(world.run(end), "{mtu} {rung:?} {loss} % does not end");
                let mut judge = Judge::default();
                for record in wire.records() {
                    if record.event == Event::Sent {
                        judge.frame(&record.bytes, mtu);
                    }
                }
                let counters = world.server.stack.counters();
                // Without gathering a segment is no longer than a frame.
                let can_fill = rung.gathers || mtu <= 1_500;
                assert!(judge.full > 20 || !can_fill, "{judge:?}");
                odd += judge.odd;
                assert_eq!(counters.tcp_super_segments > 0, rung.cuts);
                again += judge.again;
                assert_eq!(counters.payload_bytes_copied > 0, !rung.gathers);
                assert_eq!(counters.payload_bytes_summed > 0, !rung.sums);
                world.check(1);
            }
        }
    }
    assert!(again > 100_000, "{again} bytes were sent again");
    assert!(odd > 50, "{odd} segments of odd length");
}

/// What was seen, of both directions.
#[derive(Default)]
struct Judge {
    /// Each byte of the streams, by port and sequence number.
    bytes: HashMap<(u16, u32), u8>,
    /// Segments as long as they may be.
    full: usize,
    /// Segments with data that begin or end at an odd byte.
    odd: usize,
    /// Bytes that came more than once.
    again: usize,
}

impl core::fmt::Debug for Judge {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            full, odd, again, ..
        } = self;
        write!(f, "{full} full, {odd} odd, {again} bytes again")
    }
}

impl Judge {
    fn frame(&mut self, frame: &[u8], mtu: u16) {
        if frame[12..14] != [0x08, 0x00] || frame[23] != 6 {
            return;
        }
        let datagram = &frame[14..];
        assert_eq!(usize::from(word(datagram, 2)), datagram.len());
        assert!(datagram.len() <= usize::from(mtu), "longer than the MTU");
        assert_eq!(sum(&datagram[..20], 0), 0xffff, "of the IP header");
        let segment = &datagram[20..];
        // RFC 9293 3.1: addresses, protocol, length.
        let pseudo = sum(&datagram[12..20], 6 + segment.len() as u32);
        assert_eq!(sum(segment, pseudo), 0xffff, "of the segment");

        let header_len = usize::from(segment[12] >> 4) * 4;
        let payload = &segment[header_len..];
        let seq = u32::from(word(segment, 4)) << 16 | u32::from(word(segment, 6));
        if payload.is_empty() || segment[13] & 2 != 0 {
            return;
        }
        let port = word(segment, 0);
        self.full += usize::from(datagram.len() == usize::from(mtu));
        self.odd += usize::from(payload.len() % 2 == 1);
        for (offset, byte) in (0..).zip(payload) {
            let place = (port, seq.wrapping_add(offset));
            if let Some(before) = self.bytes.insert(place, *byte) {
                assert_eq!(before, *byte, "a byte has changed");
                self.again += 1;
            }
        }
    }
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// RFC 1071, a word at a time.
fn sum(bytes: &[u8], begin: u32) -> u32 {
    let mut sum = begin;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (sum & 0xffff) + (sum >> 16)
}
