use simoom_ring::LinkState;

use super::build::{Tcp, settle};
use crate::checksum::{Verdict, verify};
use crate::{Chance, CorruptScope, Counters, Delay, End, Event, Faults, PortConfig, Wire};

/// Sends 1000 numbered segments, one each 10 us, from a tap to another, under these faults.
struct Run {
    wire: Wire,
    here: End,
    there: End,
    /// When each arrived, and its number; `None` when that cannot be read.
    arrived: Vec<(u64, Option<u32>)>,
    intact: usize,
}

const SENT: usize = 1000;

fn segment(number: u32) -> Vec<u8> {
    Tcp::v4(number, 0x10).whole(&[number as u8; 100])
}

fn run(faults: Faults) -> Run {
    let wire = Wire::new(5);
    let (here, there) = (wire.tap(), wire.tap());
    wire.set_faults(here, faults);
    for number in 0..SENT as u32 {
        wire.advance_to(u64::from(number) * 10);
        wire.inject(here, &segment(number));
    }
    settle(&wire);
    let captured = wire.captured(there);
    let intact = captured
        .iter()
        .filter(|c| verify(&c.bytes) == Verdict::Right)
        .count();
    let arrived = captured
        .iter()
        .map(|c| {
            let seq = u32::from_be_bytes(c.bytes[38..42].try_into().unwrap());
            (c.at_us, (c.bytes == segment(seq)).then_some(seq))
        })
        .collect();
    Run {
        wire,
        here,
        there,
        arrived,
        intact,
    }
}

impl Run {
    fn sent(&self) -> Counters {
        self.wire.counters(self.here)
    }

    fn events(&self, event: Event) -> u64 {
        let records = self.wire.records();
        records.iter().filter(|r| r.event == event).count() as u64
    }

    /// What left is accounted for, and the record says the same as the counters.
    fn check_balance(&self) {
        let (sent, got) = (self.sent(), self.wire.counters(self.there));
        assert_eq!(self.wire.in_flight(), 0);
        assert_eq!(sent.sent, SENT as u64);
        assert_eq!(
            sent.sent + sent.duplicated,
            sent.lost
                + sent.blacked_out
                + sent.link_down
                + sent.queue_full
                + got.delivered
                + got.ring_full
                + got.no_frame
                + got.too_long
        );
        assert_eq!(got.delivered, self.arrived.len() as u64);
        for (event, counted) in [
            (Event::Sent, sent.sent),
            (Event::Delivered, got.delivered),
            (Event::Lost, sent.lost),
            (Event::BlackedOut, sent.blacked_out),
            (Event::LinkDown, sent.link_down),
            (Event::QueueFull, sent.queue_full),
            (Event::Duplicated, sent.duplicated),
            (Event::Reordered, sent.reordered),
            (Event::Marked, sent.marked),
            (Event::Corrupted, sent.corrupted),
            (Event::CorruptedLen, sent.corrupted_len),
            (Event::TooLong, got.too_long),
        ] {
            assert_eq!(self.events(event), counted, "{event:?}");
        }
    }

    fn numbers(&self) -> Vec<u32> {
        let numbers = self.arrived.iter().map(|(_, number)| number.unwrap());
        numbers.collect()
    }
}

#[test]
fn no_faults_change_nothing() {
    let run = run(Faults::none());
    run.check_balance();
    let expected: Vec<_> = (0..SENT as u32)
        .map(|n| (u64::from(n) * 10 + 1, Some(n)))
        .collect();
    assert_eq!(run.arrived, expected);
    let counters = Counters {
        sent: SENT as u64,
        sent_bytes: 154 * SENT as u64,
        ..Counters::default()
    };
    assert_eq!(run.sent(), counters);
    assert_eq!(run.wire.counters(run.there).delivered_bytes, 154_000);
}

#[test]
fn loss_loses() {
    let run = run(Faults::none().loss(Chance::percent(10)));
    run.check_balance();
    let lost = run.sent().lost;
    assert!(lost.abs_diff(100) < 35, "{lost}");
    assert_eq!(run.arrived.len() as u64, SENT as u64 - lost);
    assert!(run.numbers().is_sorted());
}

#[test]
fn duplicates_arrive_twice() {
    let run = run(Faults::none().duplicate(Chance::percent(10)));
    run.check_balance();
    let duplicated = run.sent().duplicated;
    assert!(duplicated.abs_diff(100) < 35, "{duplicated}");
    let mut numbers = run.numbers();
    assert_eq!(numbers.len() as u64, SENT as u64 + duplicated);
    numbers.dedup();
    assert_eq!(numbers, (0..SENT as u32).collect::<Vec<_>>());
}

#[test]
fn reordered_frames_are_overtaken() {
    let run = run(Faults::none().reorder(Chance::percent(10), 100));
    run.check_balance();
    let reordered = run.sent().reordered;
    assert!(reordered.abs_diff(100) < 35, "{reordered}");
    let mut numbers = run.numbers();
    let overtaken = numbers.windows(2).filter(|w| w[0] > w[1]).count();
    assert!(
        overtaken > 50 && overtaken as u64 <= reordered,
        "{overtaken}"
    );
    numbers.sort();
    assert_eq!(numbers, (0..SENT as u32).collect::<Vec<_>>());
}

#[test]
fn marks_change_nothing_but_the_mark_of_those_that_take_part() {
    let wire = Wire::new(1);
    let (here, there) = (wire.tap(), wire.tap());
    wire.set_faults(here, Faults::none().mark(Chance::percent(10)));
    for number in 0..1_000 {
        let mut frame = segment(number);
        // All four codepoints, with the header's checksum made right.
        frame[15] = (number % 4) as u8;
        let layout = crate::layout::Layout::of(&frame).unwrap();
        crate::checksum::fill_ipv4_header(&mut frame, &layout);
        wire.inject(here, &frame);
    }
    settle(&wire);
    let captured = wire.captured(there);
    let mut marked = 0;
    for (number, captured) in captured.iter().enumerate() {
        assert_eq!(verify(&captured.bytes), Verdict::Right);
        let (before, tos) = ((number % 4) as u8, captured.bytes[15]);
        if tos != before {
            assert!(tos == 3 && matches!(before, 1 | 2), "{before} {tos}");
            marked += 1;
        }
    }
    assert_eq!(captured.len(), 1_000);
    assert_eq!(wire.counters(here).marked, marked);
    assert!(marked.abs_diff(50) < 25, "{marked}");
}

#[test]
fn corruption_changes_frames_and_checksums_see_it() {
    let scope = CorruptScope::Checksummed;
    for bits in [1, 16] {
        let faults = Faults::none()
            .corrupt(Chance::percent(10))
            .corrupt_bits_max(bits)
            .corrupt_scope(scope);
        let run = run(faults);
        run.check_balance();
        let corrupted = run.sent().corrupted;
        assert!(corrupted.abs_diff(100) < 35, "{corrupted}");
        assert_eq!(run.intact as u64, SENT as u64 - corrupted);
        let unread = run.arrived.iter().filter(|(_, n)| n.is_none()).count();
        assert_eq!(unread as u64, corrupted);
    }
    let run = run(Faults::none()
        .corrupt_len(Chance::percent(10))
        .corrupt_scope(scope));
    run.check_balance();
    let corrupted = run.sent().corrupted_len;
    assert!(corrupted.abs_diff(100) < 35, "{corrupted}");
    assert_eq!(run.intact as u64, SENT as u64 - corrupted);
    assert_eq!(run.sent().bad_csum_sent, 0, "it was right when it was sent");
}

#[test]
fn corruption_of_one_frame_leaves_its_copies_alone() {
    let wire = Wire::new(1);
    let ends = [wire.tap(), wire.tap(), wire.tap()];
    wire.set_faults(ends[0], Faults::none().corrupt(Chance::percent(50)));
    for number in 0..200 {
        wire.inject(ends[0], &segment(number));
    }
    settle(&wire);
    let (one, other) = (wire.captured(ends[1]), wire.captured(ends[2]));
    let pairs = one.iter().zip(&other);
    assert!(pairs.filter(|(a, b)| a.bytes != b.bytes).count() > 100);
    let records = wire.records();
    let mut sent = records.iter().filter(|r| r.event == Event::Sent);
    assert!(sent.clone().count() == 400);
    assert!(sent.all(|r| verify(&r.bytes) == Verdict::Right));
}

#[test]
fn delays_and_jumps_are_seen() {
    let run_delay = run(Faults::none().delay(Delay::Uniform(50, 500)));
    run_delay.check_balance();
    assert!(run_delay.numbers().is_sorted());
    assert!(run_delay.arrived.iter().zip(0..).all(|((at, _), n)| {
        let on_way = at - n * 10;
        (50..=500).contains(&on_way)
    }));
    let run_jump = run(Faults::none().jump(Chance::percent(2), 3000));
    run_jump.check_balance();
    let jumps = run_jump.sent().jumps;
    assert!((5..50).contains(&jumps), "{jumps}");
    assert!(run_jump.numbers().is_sorted());
    let late = run_jump.arrived.iter().zip(0..);
    assert!(late.filter(|((at, _), n)| at - n * 10 > 1000).count() > 200);
}

#[test]
fn a_bottleneck_limits_the_rate() {
    // 154 bytes each 10 us are 123.2 Mbit/s; half of that gets through.
    let run = run(Faults::none().bandwidth(61_600_000, 1540));
    run.check_balance();
    let dropped = run.sent().queue_full;
    assert!(dropped.abs_diff(495) < 10, "{dropped}");
    let arrived: Vec<u64> = run.arrived.iter().map(|(at, _)| *at).collect();
    assert!(arrived.windows(2).all(|w| w[1] - w[0] == 20));
}

#[test]
fn a_blackout_has_its_interval() {
    let run = run(Faults::none().blackout(1000, 2000).blackout(5000, 5001));
    run.check_balance();
    assert_eq!(run.sent().blacked_out, 101);
    let expected: Vec<u32> = (0..SENT as u32)
        .filter(|n| !(100..200).contains(n) && *n != 500)
        .collect();
    assert_eq!(run.numbers(), expected);
}

#[test]
fn a_link_that_is_down_carries_nothing_either_way() {
    let wire = Wire::new(1);
    let (here, there) = (wire.tap(), wire.tap());
    wire.inject(here, &segment(0));
    wire.set_link(there, LinkState::Down);
    settle(&wire);
    wire.inject(there, &segment(1));
    settle(&wire);
    assert_eq!(wire.counters(here).link_down, 1);
    assert_eq!(wire.counters(there).link_down, 1);
    wire.set_link(there, LinkState::Up);
    wire.inject(here, &segment(2));
    wire.inject(there, &segment(3));
    settle(&wire);
    assert_eq!(wire.captured(there).len(), 1);
    assert_eq!(wire.captured(here).len(), 1);
}

#[test]
fn faults_have_a_direction_and_can_be_switched() {
    let wire = Wire::new(1);
    let (here, there) = (wire.tap(), wire.tap());
    wire.set_faults(here, Faults::none().loss(Chance::ALWAYS));
    for _ in 0..10 {
        wire.inject(here, &segment(0));
        wire.inject(there, &segment(0));
    }
    settle(&wire);
    assert_eq!(wire.captured(there).len(), 0);
    assert_eq!(wire.captured(here).len(), 10);
    wire.set_faults_all(&Faults::none());
    wire.inject(here, &segment(0));
    settle(&wire);
    assert_eq!(wire.captured(there).len(), 1);
}

#[test]
fn what_is_too_long_for_the_far_end_is_dropped() {
    let wire = Wire::new(1);
    let here = wire.tap();
    let there = wire.tap_like(PortConfig {
        mtu: 139,
        ..PortConfig::plain(Default::default())
    });
    wire.inject(here, &segment(0));
    wire.inject(here, &segment(0)[..153]);
    settle(&wire);
    assert_eq!(wire.captured(there).len(), 1);
    assert_eq!(wire.counters(there).too_long, 1);
}
