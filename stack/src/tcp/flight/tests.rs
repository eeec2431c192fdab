//! The list of ranges against a map of bytes, and what happens when memory runs out.

use std::vec;
use std::vec::Vec;

use super::ranges::Unsplit;
use super::*;
use crate::config::SENT_NODES_MAX;
use crate::tcp::slots::NONE;

const ISS: SeqNum = SeqNum(u32::MAX - 300);

fn nodes(cnt: usize) -> Nodes<'static> {
    Nodes::new(vec![SentNode::default(); cnt].into())
}

/// A generator of numbers, the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as u32) % most
    }
}

/// Every byte in flight by itself: what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Byte {
    flags: Flags,
    sent_at_us: u32,
}

/// Both, to be compared.
struct Pair {
    ranges: Ranges,
    nodes: Nodes<'static>,
    bytes: Vec<Byte>,
    now_us: u32,
}

impl Pair {
    fn new(nodes_cnt: usize) -> Self {
        Self {
            ranges: Ranges::new(ISS),
            nodes: nodes(nodes_cnt),
            bytes: Vec::new(),
            now_us: 0,
        }
    }

    fn send(&mut self, len: u32) {
        let (_, max) = self.ranges.ends();
        self.ranges.push(&mut self.nodes, max + len, self.now_us, 0);
        let byte = Byte {
            flags: Flags::NONE,
            sent_at_us: self.now_us,
        };
        self.bytes.extend(vec![byte; len as usize]);
    }

    fn part(&self, random: &mut Random) -> (u32, u32) {
        let len = self.bytes.len() as u32;
        let from = random.below(len);
        (from, from + 1 + random.below(len - from))
    }

    fn change(&mut self, (from, to): (u32, u32), change: impl Fn(&mut Flags, &mut u32)) {
        let (una, _) = self.ranges.ends();
        let mut cursor = self.ranges.start();
        let part = (una + from, una + to);
        self.ranges.change(
            &mut self.nodes,
            &mut cursor,
            part,
            Unsplit::Leave,
            |range| {
                change(&mut range.flags, &mut range.sent_at_us);
            },
        );
        for byte in &mut self.bytes[from as usize..to as usize] {
            change(&mut byte.flags, &mut byte.sent_at_us);
        }
    }

    fn ack(&mut self, len: u32) {
        let (una, _) = self.ranges.ends();
        let mut seen = 0;
        let bytes = &self.bytes;
        self.ranges.acked(&mut self.nodes, una + len, |range| {
            for byte in &bytes[seen..][..range.len() as usize] {
                assert_eq!(known(byte.flags), known(range.flags));
            }
            seen += range.len() as usize;
        });
        assert_eq!(seen, len as usize);
        self.bytes.drain(..len as usize);
    }

    fn compare(&self) {
        self.ranges.check(&self.nodes);
        assert_eq!(self.nodes.used_cnt(), usize::from(self.ranges.nodes_cnt()));
        let mut at = 0;
        for range in self.ranges.iter(&self.nodes) {
            for byte in &self.bytes[at..][..range.len() as usize] {
                assert_eq!(known(byte.flags), known(range.flags), "byte {at}");
                if !byte.flags.has(Flags::SACKED.with(Flags::LOST)) {
                    assert_eq!(
                        (byte.flags, byte.sent_at_us),
                        (range.flags, range.sent_at_us)
                    );
                }
            }
            at += range.len() as usize;
        }
        assert_eq!(at, self.bytes.len());
    }
}

/// What must be exact: of a SACKED byte nothing else counts.
fn known(flags: Flags) -> Flags {
    if flags.has(Flags::SACKED) {
        Flags::SACKED
    } else {
        flags
    }
}

fn sack(flags: &mut Flags, _: &mut u32) {
    *flags = flags.without(Flags::LOST).with(Flags::SACKED);
}

#[test]
fn the_list_agrees_with_a_map_of_bytes() {
    let mut random = Random(1);
    for _ in 0..300 {
        let mut pair = Pair::new(usize::from(SENT_NODES_MAX));
        for _ in 0..100 {
            pair.now_us = pair.now_us.wrapping_add(random.below(3));
            let now_us = pair.now_us;
            if pair.bytes.is_empty() || random.below(3) == 0 {
                pair.send(1 + random.below(50));
                pair.compare();
                continue;
            }
            let part = pair.part(&mut random);
            match random.below(6) {
                0 | 1 => pair.change(part, sack),
                2 => pair.change(part, |flags, _| {
                    if !flags.has(Flags::SACKED) {
                        *flags = flags.with(Flags::LOST);
                    }
                }),
                3 => pair.change(part, |flags, sent_at_us| {
                    if !flags.has(Flags::SACKED) {
                        *flags = flags.without(Flags::LOST).with(Flags::AGAIN);
                        *sent_at_us = now_us;
                    }
                }),
                4 => pair.ack(part.0),
                _ => pair.ack(pair.bytes.len().min(30) as u32),
            }
            pair.compare();
        }
        let len = pair.bytes.len() as u32;
        pair.ack(len);
        assert_eq!(pair.nodes.used_cnt(), 0);
        assert_eq!(pair.nodes.merged_cnt, 0);
    }
}

/// With few nodes nothing is forgotten, nothing leaks, and nothing is SACKED that is not.
#[test]
fn a_pool_that_is_too_small_merges_and_counts() {
    let mut random = Random(2);
    let mut merged_cnt = 0;
    for _ in 0..300 {
        let mut pair = Pair::new(1 + random.below(6) as usize);
        for _ in 0..100 {
            pair.now_us += random.below(3);
            if pair.bytes.is_empty() || random.below(3) == 0 {
                pair.send(1 + random.below(50));
            } else {
                let part = pair.part(&mut random);
                match random.below(3) {
                    0 => pair.change(part, sack),
                    1 => {
                        let (una, _) = pair.ranges.ends();
                        let part = (una + part.0, una + part.1);
                        pair.ranges.sent_again(&mut pair.nodes, part, pair.now_us);
                    }
                    _ => {
                        let (una, _) = pair.ranges.ends();
                        pair.ranges.acked(&mut pair.nodes, una + part.0, |_| {});
                        pair.bytes.drain(..part.0 as usize);
                    }
                }
            }
            pair.ranges.check(&pair.nodes);
            assert_eq!(pair.ranges.len() as usize, pair.bytes.len());
            let mut at = 0;
            for range in pair.ranges.iter(&pair.nodes) {
                let is_sacked = range.flags.has(Flags::SACKED);
                let bytes = &pair.bytes[at..][..range.len() as usize];
                assert!(!is_sacked || bytes.iter().all(|byte| byte.flags.has(Flags::SACKED)));
                at += bytes.len();
            }
        }
        pair.ranges.clear(&mut pair.nodes);
        assert_eq!(pair.nodes.used_cnt(), 0);
        merged_cnt += pair.nodes.merged_cnt;
    }
    assert!(merged_cnt > 100, "{merged_cnt}");
}

#[test]
fn one_connection_takes_no_more_nodes_than_its_share() {
    let most = usize::from(SENT_NODES_MAX);
    let mut pair = Pair::new(2 * most);
    for n in 0..4 * most as u32 {
        pair.now_us = 10 * n;
        pair.send(10);
    }
    assert_eq!(pair.nodes.used_cnt(), most);
    for n in 0..most as u32 {
        pair.change((2 * n + 1, 2 * n + 2), sack);
    }
    pair.ranges.check(&pair.nodes);
    assert_eq!(pair.nodes.used_cnt(), most);
    assert!(pair.nodes.merged_cnt > 3 * most as u64);
}

#[test]
fn a_burst_is_one_node_and_a_fast_connection_has_few() {
    let mut nodes = nodes(1_000);
    let mut ranges = Ranges::new(ISS);
    for n in 0..10_000 {
        ranges.push(&mut nodes, ISS + 1_000 * (n + 1), 5 * (n / 10), 1_000);
    }
    ranges.check(&nodes);
    let cnt = u32::from(ranges.nodes_cnt());
    assert!((60..=100).contains(&cnt), "{cnt}");
}

fn flights(entries: usize, nodes: usize) -> Flights<'static> {
    let entries: Vec<FlightEntry> = (0..entries).map(|_| FlightEntry::default()).collect();
    Flights::new(entries.into(), vec![SentNode::default(); nodes].into())
}

#[test]
fn entries_go_out_and_come_home() {
    for (entries, nodes) in [(2, 9), (9, 2)] {
        let mut flights = flights(entries, nodes);
        let begin = |flights: &mut Flights<'_>| flights.begin(ISS, ISS + 10, Instant::ZERO);
        let mut first = begin(&mut flights).unwrap();
        let mut second = begin(&mut flights).unwrap();
        assert_eq!(flights.levels(), (2, 2));
        assert_eq!(begin(&mut flights), None);
        flights.end(&mut first);
        assert_eq!(first, NONE);
        flights.end(&mut first);
        assert_eq!(begin(&mut flights), Some(0));
        flights.end(&mut second);
        assert_eq!(flights.levels(), (1, 1));
    }
    assert_eq!(flights(0, 0).begin(ISS, ISS + 1, Instant::ZERO), None);
}

/// The acknowledgments of one window of 20 segments, the first lost, cwnd to be halved.
fn reduce(mut acks: impl Iterator<Item = Progress>) -> Vec<u32> {
    let mut prr = Prr::new(20);
    let mut sent = Vec::new();
    for progress in &mut acks {
        prr.acked(progress);
        sent.push(prr.quota());
        prr.sent(prr.quota());
    }
    sent
}

/// RFC 6937 4, the first example: every second acknowledgment lets a segment out, so that pipe is
/// ssthresh after a round trip.
#[test]
fn a_single_loss_halves_the_rate_evenly() {
    let mut pipe = 18;
    let mut prr = Prr::new(20);
    let mut sent = Vec::new();
    for _ in 0..20 {
        pipe -= 1;
        prr.acked(Progress {
            delivered: 1,
            pipe,
            ssthresh: 10,
            smss: 1,
            is_safe: true,
        });
        sent.push(prr.quota());
        pipe += prr.quota();
        prr.sent(prr.quota());
    }
    assert_eq!(sent[..8], [1, 0, 1, 0, 1, 0, 1, 0]);
    assert_eq!(pipe, 10);
}

/// RFC 6937 4, the second example: with more lost than is to be reduced, sending starts at once
/// and builds up to ssthresh.
#[test]
fn a_heavy_loss_builds_up_to_ssthresh() {
    let mut pipe = 4;
    let sent = reduce((0..6).map(|_| {
        let progress = Progress {
            delivered: 1,
            pipe,
            ssthresh: 10,
            smss: 1,
            is_safe: true,
        };
        pipe = (pipe + 1).min(10);
        progress
    }));
    assert_eq!(sent, [2, 2, 2, 2, 2, 1]);
}

#[test]
fn what_shows_more_loss_lets_no_more_out_than_came_in() {
    let sent = reduce((0..5).map(|n| Progress {
        delivered: n,
        pipe: 4,
        ssthresh: 10,
        smss: 1,
        is_safe: false,
    }));
    assert_eq!(sent, [1, 0, 2, 3, 4]);
}
