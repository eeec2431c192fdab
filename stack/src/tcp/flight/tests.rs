//! The list of ranges against a map of bytes, and what happens when memory runs out.

use std::vec;
use std::vec::Vec;

use super::ranges::Unsplit;
use super::*;
use crate::config::{SENT_NODES_FINE, SENT_NODES_MAX};
use crate::tcp::idx::NONE;

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
        self.ranges
            .push(&mut self.nodes, max + len, self.now_us, || 0);
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
        let mut pair = Pair::new(2 + random.below(6) as usize);
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

/// What is lost is sent again by the piece, and only that is no longer lost: with the two nodes
/// that each list may have, and with a list that is as long as it may be.
#[test]
fn a_full_pool_leaves_lost_what_was_not_sent_again() {
    for (len, sacks) in [(2, 0), (2, 3), (3, 3), (5, 2), (300, 200)] {
        let mut pair = Pair::new(len);
        pair.send(3_000);
        for n in 0..sacks {
            let from = 1_000 + 9 * n;
            pair.change((from, from + 5), sack);
        }
        pair.ranges.change_all(&mut pair.nodes, |range| {
            if !range.flags.has(Flags::SACKED) {
                range.flags = range.flags.with(Flags::LOST);
            }
        });
        let (una, _) = pair.ranges.ends();
        for n in 0..99 {
            pair.now_us += 10;
            let lost_len = pair.ranges.lost_len();
            let part = (una + 10 * n, una + 10 * (n + 1));
            pair.ranges.sent_again(&mut pair.nodes, part, pair.now_us);
            pair.ranges.check(&pair.nodes);
            // No less, unless something else was forgotten to make room.
            let forgotten = lost_len - 10 - pair.ranges.lost_len();
            assert!(forgotten == 0 || len > 2, "{len} {sacks} {n}: {forgotten}");
            let lost = pair
                .ranges
                .iter(&pair.nodes)
                .find(|one| one.flags.has(Flags::LOST));
            assert_eq!(lost.unwrap().start, part.1, "{len} {sacks} {n}");
        }
    }
}

#[test]
fn each_list_may_have_two_nodes() {
    let mut flights = flights(9, 5);
    let begin = |flights: &mut Flights<'_>| flights.begin(ISS, ISS + 10, Instant::ZERO);
    let mut all = [begin(&mut flights), begin(&mut flights)].map(Option::unwrap);
    assert_eq!(begin(&mut flights), None);
    for (n, left) in [(0, 2), (0, 3), (0, 3), (1, 4)] {
        let (flight, nodes) = flights.get_mut(all[n]).unwrap();
        let part = (ISS + 2 * left, ISS + 9);
        flight.ranges.sent_again(nodes, part, left);
        flight.ranges.check(nodes);
    }
    assert_eq!(flights.levels(), (2, 5));
    for idx in &mut all {
        flights.end(idx);
    }
    assert_eq!(flights.levels(), (0, 0));
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
        ranges.push(&mut nodes, ISS + 1_000 * (n + 1), 5 * (n / 10), || 1_000);
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
    for (entries, nodes) in [(2, 9), (9, 4)] {
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

fn block(from: u32, to: u32) -> SackBlock {
    SackBlock {
        left: ISS + from,
        right: ISS + to,
    }
}

/// RFC 2883 4: where a duplicate is told from news.
#[test]
fn duplicates_are_told_from_news() {
    let read = |blocks: &[SackBlock]| {
        let read = Blocks::read(blocks, ISS + 100, (ISS + 100, ISS + 1_000), ISS);
        let offset = |(left, right): (SeqNum, SeqNum)| (left - ISS, right - ISS);
        let sacked: Vec<_> = read.sacked.into_iter().flatten().map(offset).collect();
        (read.dsack.map(offset), sacked)
    };
    // Below the acknowledgment, alone and in front of others.
    assert_eq!(read(&[block(50, 100)]), (Some((50, 100)), vec![]));
    assert_eq!(
        read(&[block(50, 60), block(200, 300)]),
        (Some((50, 60)), vec![(200, 300)])
    );
    // Within the second block.
    assert_eq!(
        read(&[block(220, 240), block(200, 300), block(400, 500)]),
        (Some((220, 240)), vec![(200, 300), (400, 500)])
    );
    // No duplicates: in any order, and old ones cut to what is in flight.
    assert_eq!(
        read(&[block(800, 900), block(50, 150), block(400, 500)]),
        (None, vec![(100, 150), (400, 500), (800, 900)])
    );
    // What cannot be.
    for absurd in [(200, 200), (300, 200), (900, 1_001), (2_000, 3_000)] {
        let absurd = block(absurd.0, absurd.1);
        assert_eq!(read(&[block(800, 900), absurd]), (None, vec![(800, 900)]));
    }
    assert_eq!(read(&[block(60, 50)]), (None, vec![]));
    assert_eq!(read(&[block(u32::MAX - 5, 50)]), (None, vec![]), "too old");
}

/// Any blocks in any order against a map of bytes, and the sums with them.
#[test]
fn sack_blocks_mark_what_they_say() {
    let mut random = Random(3);
    for _ in 0..500 {
        let (mut flight, mut nodes) = (Flight::new(ISS), nodes(256));
        let len = 1 + random.below(400);
        let mut at = 0;
        while at < len {
            let end = len.min(at + 1 + random.below(60));
            let now = Instant::from_micros(random.below(5).into());
            flight.sent(&mut nodes, (ISS + at, ISS + end), now, Duration::ZERO);
            at = end;
        }
        let mut bytes = vec![false; len as usize];
        for _ in 0..6 {
            let mut blocks = Vec::new();
            for _ in 0..random.below(5) {
                let from = random.below(len);
                blocks.push(block(from, from + random.below(len + 3)));
            }
            let read = Blocks::read(&blocks, ISS, (ISS, ISS + len), ISS - 500);
            let mut news = 0;
            for (left, right) in read.sacked.into_iter().flatten() {
                for byte in &mut bytes[(left - ISS) as usize..(right - ISS) as usize] {
                    news += u32::from(!*byte);
                    *byte = true;
                }
            }
            let mut reordering = Reordering::NONE;
            let mut told = Told::new(Instant::from_micros(10), None, ISS, &mut reordering);
            flight.sacked(&mut nodes, &blocks, (ISS, ISS - 500), &mut told);
            assert_eq!((told.sacked_len, told.len), (news, news));
            assert_eq!(told.dsack, read.dsack);
            flight.ranges.check(&nodes);
            let sacked = bytes.iter().filter(|byte| **byte).count();
            assert_eq!(flight.ranges.sacked_len() as usize, sacked);
            assert_eq!(flight.pipe(), len - sacked as u32);
            for range in flight.ranges.iter(&nodes) {
                let part = (range.start - ISS) as usize..(range.end - ISS) as usize;
                let is_sacked = range.flags.has(Flags::SACKED);
                assert!(bytes[part].iter().all(|byte| *byte == is_sacked));
            }
        }
    }
}

/// What was sent before something that has arrived is lost after the reordering window, and not
/// before; across the wrap of the times, too.
#[test]
fn rack_waits_for_its_window_and_no_longer() {
    for start_us in [0, u64::from(u32::MAX) - 25_000, 1 << 40] {
        let at = |us: u64| Instant::from_micros(start_us + us);
        let (mut flight, mut nodes) = (Flight::new(ISS), nodes(16));
        for n in 0..3 {
            let part = (ISS + 10 * n, ISS + 10 * n + 10);
            flight.sent(&mut nodes, part, at(1_000 * u64::from(n)), Duration::ZERO);
        }
        let mut reordering = Reordering::NONE;
        let mut told = Told::new(at(21_000), None, ISS, &mut reordering);
        flight.sacked(&mut nodes, &[block(10, 20)], (ISS, ISS - 500), &mut told);
        // The first was sent 1 ms earlier; the third after what has arrived.
        let reo_wnd_us = flight.rack.reo_wnd_us(reordering, false, 20_000);
        assert_eq!(reo_wnd_us, 5_000);
        assert_eq!(
            flight.detect(&mut nodes, reo_wnd_us, at(21_000)),
            Found::default()
        );
        assert_eq!(flight.reorder_at, at(25_000));
        assert!(!flight.detect(&mut nodes, reo_wnd_us, at(24_999)).is_lost);
        assert!(flight.detect(&mut nodes, reo_wnd_us, at(25_000)).is_lost);
        assert_eq!(flight.ranges.lost_len(), 10);
        assert_eq!(flight.reorder_at, Instant::NEVER);
        // Sent again, it is lost again only when something sent later arrives.
        flight.sent(&mut nodes, (ISS, ISS + 10), at(26_000), Duration::ZERO);
        assert!(!flight.detect(&mut nodes, 0, at(90_000)).is_lost);
        flight.sent(&mut nodes, (ISS + 30, ISS + 40), at(26_000), Duration::ZERO);
        let mut told = Told::new(at(46_000), None, ISS, &mut reordering);
        flight.sacked(&mut nodes, &[block(30, 40)], (ISS, ISS - 500), &mut told);
        let found = flight.detect(&mut nodes, 0, at(46_000));
        assert!(found.is_lost && found.is_lost_again);
        flight.ranges.check(&nodes);
    }
}

/// Past so many ranges, what is sent within a moment is one; but not what is sent before and behind
/// something that is sent again: it arrives earlier, and proves nothing.
#[test]
fn what_went_before_a_retransmission_does_not_prove_its_loss() {
    let at = Instant::from_micros;
    let srtt = Duration::from_millis(20);
    let (mut flight, mut nodes) = (Flight::new(ISS), nodes(200));
    let mut send = |flight: &mut Flight, from: u32, at_us: u64| {
        let part = (ISS + from, ISS + from + 10);
        flight.sent(&mut nodes, part, at(at_us), srtt);
        usize::from(flight.ranges.nodes_cnt())
    };
    for n in 0..u32::from(SENT_NODES_FINE) {
        send(&mut flight, 10 * n, 1_000 * u64::from(n));
    }
    let (max, cnt) = (
        10 * u32::from(SENT_NODES_FINE),
        usize::from(SENT_NODES_FINE),
    );
    assert_eq!(send(&mut flight, max, 90_000), cnt + 1);
    assert_eq!(send(&mut flight, max + 10, 90_100), cnt + 1, "as one");
    send(&mut flight, 0, 90_150);
    assert_eq!(send(&mut flight, max + 20, 90_200), cnt + 2, "apart");
    let mut reordering = Reordering::NONE;
    for (right, is_lost) in [(max + 20, false), (max + 30, true)] {
        let mut told = Told::new(at(110_200), None, ISS, &mut reordering);
        let blocks = [block(10, right)];
        flight.sacked(&mut nodes, &blocks, (ISS, ISS - 500), &mut told);
        let found = flight.detect(&mut nodes, 0, at(110_200));
        assert_eq!(found.is_lost_again, is_lost);
    }
}

#[test]
fn the_reordering_window_widens_to_its_most_and_falls_back() {
    let mut rack = Rack::new(ISS);
    let mut reordering = Reordering::NONE;
    let mut told = Told::new(Instant::from_micros(4_000), None, ISS, &mut reordering);
    let range = Range {
        start: ISS,
        end: ISS + 10,
        sent_at_us: 0,
        flags: Flags::NONE,
    };
    rack.delivered(&range, &mut told);
    let wnd = |rack: &Rack, reordering| rack.reo_wnd_us(reordering, false, 1_000_000);
    assert_eq!(wnd(&rack, reordering), 1_000);
    // Duplicates count once a round trip.
    for n in 0..20 {
        let (ack, max) = (ISS + 10 * n, ISS + 10 * n + 10);
        rack.adapt(&mut reordering, ack, max, true);
        rack.adapt(&mut reordering, ack, max, true);
        assert_eq!(wnd(&rack, reordering), 1_000 * (n + 2).min(8));
    }
    for _ in 0..15 {
        reordering.recovered();
        assert_eq!(wnd(&rack, reordering), 8_000);
    }
    reordering.recovered();
    assert_eq!(wnd(&rack, reordering), 1_000);
    // No more than a smoothed round trip.
    assert_eq!(rack.reo_wnd_us(reordering, false, 500), 500);
    // In a hurry, nothing is waited for, unless something has come late before.
    assert_eq!(rack.reo_wnd_us(reordering, true, 500), 0);
    let mut told = Told::new(Instant::from_micros(4_000), None, ISS, &mut reordering);
    let late = Range {
        end: ISS + 5,
        ..range
    };
    rack.delivered(&late, &mut told);
    assert!(reordering.is_seen());
    assert_eq!(rack.reo_wnd_us(reordering, true, 1_000_000), 1_000);
}

/// RFC 6937 4: a recovery sends, once there is something to send, what it could have sent before.
#[test]
fn a_recovery_makes_up_for_what_was_not_there_to_send() {
    let mut prr = Prr::new(20_000);
    let mut acked = |sent_len: u32| {
        prr.acked(Progress {
            delivered: 1_000,
            pipe: 15_000,
            ssthresh: 10_000,
            smss: 1_000,
            is_safe: true,
        });
        let quota = prr.quota();
        prr.sent(sent_len);
        quota
    };
    assert_eq!(acked(1_000), 1_000, "the first segment at once");
    let quotas: Vec<u32> = (0..7).map(|_| acked(0)).collect();
    assert_eq!(quotas, [0, 500, 1_000, 1_500, 2_000, 2_500, 3_000]);
    assert_eq!(acked(3_000), 3_500);
    assert_eq!(acked(0), 1_000);
}
