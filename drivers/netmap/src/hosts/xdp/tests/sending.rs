//! When the kernel is called to send, and when not.

use core::sync::atomic::Ordering;

use simoom_ring::{Armed, Queue, RxRing, TxOffload, TxPacket, TxRing};

use super::super::calls::Sent;
use super::super::send::{HELD_MAX, HELD_US, QUIET_US};
use super::kernel::Bench;
use crate::tests::frame_of;

fn send(bench: &mut Bench) {
    let mut head = bench.pool.alloc(0).expect("frames");
    head.append(&frame_of(0, 60)).expect("room");
    let packet = TxPacket::new(head, TxOffload::default());
    bench.queue().rings().1.send(packet).expect("space");
}

/// A turn of the loop, so much later; how often the kernel was called by then.
fn turn(bench: &mut Bench, later_us: u64) -> u32 {
    bench.kernel.borrow_mut().now_us += later_us;
    bench.queue().rings().0.sync();
    while bench.queue().rings().0.recv().is_some() {}
    bench.queue().rings().1.sync();
    bench.kernel.borrow().calls_cnt
}

/// Several clients: frames come in by bursts, each is answered by a packet, until calls wait.
fn busy(slots: u32) -> Bench {
    let mut bench = Bench::new(slots, 1);
    turn(&mut bench, 0);
    for _ in 0..8 {
        for n in 0..4 {
            assert!(bench.kernel.borrow_mut().receive(&[&frame_of(n, 60)]));
        }
        send(&mut bench);
        turn(&mut bench, 0);
        turn(&mut bench, HELD_US);
        bench.kernel.borrow_mut().complete(1);
    }
    assert_eq!(bench.kernel.borrow().sent.len(), 8);
    bench.kernel.borrow_mut().calls_cnt = 0;
    bench
}

#[test]
fn a_packet_waits_while_more_come_in_and_no_longer() {
    let mut bench = busy(64);
    send(&mut bench);
    assert_eq!(turn(&mut bench, 0), 0);
    assert_eq!(turn(&mut bench, QUIET_US - 1), 0, "more may come");
    assert_eq!(turn(&mut bench, 1), 1, "none has");
    assert_eq!(turn(&mut bench, 1_000), 1, "nothing to be called for");

    // Something comes in every few microseconds: then the first does not wait for ever.
    let mut bench = busy(64);
    send(&mut bench);
    let mut waited_us = 0;
    while turn(&mut bench, QUIET_US / 2) == 0 {
        assert!(bench.kernel.borrow_mut().receive(&[&frame_of(1, 60)]));
        waited_us += QUIET_US / 2;
        assert!(waited_us <= HELD_US + QUIET_US);
    }
    assert!(waited_us > HELD_US / 2, "{waited_us} us");
    bench.end();
}

#[test]
fn a_burst_does_not_wait() {
    let mut bench = busy(256);
    for _ in 0..HELD_MAX - 1 {
        send(&mut bench);
        assert_eq!(turn(&mut bench, 0), 0);
    }
    send(&mut bench);
    assert_eq!(turn(&mut bench, 0), 1);
    bench.end();
}

#[test]
fn the_loop_stays_awake_for_what_waits_and_sleeps_then() {
    let mut bench = busy(64);
    send(&mut bench);
    assert_eq!(turn(&mut bench, 0), 0);
    assert_eq!(bench.queue().arm(), Armed::Ready);
    bench.kernel.borrow_mut().now_us += QUIET_US;
    assert_eq!(
        bench.queue().arm(),
        Armed::Ready,
        "a client may be about to ask"
    );
    assert_eq!(bench.kernel.borrow().calls_cnt, 1);
    bench.kernel.borrow_mut().now_us += QUIET_US;
    assert_eq!(bench.queue().arm(), Armed::Sleep);
    assert_eq!(bench.kernel.borrow().calls_cnt, 1);
    bench.end();
}

#[test]
fn one_client_alone_is_answered_at_once() {
    let mut bench = busy(64);
    let mut waited_cnt = 0;
    for round in 0..40 {
        assert!(bench.kernel.borrow_mut().receive(&[&frame_of(1, 60)]));
        let before = turn(&mut bench, 40);
        send(&mut bench);
        if turn(&mut bench, 0) == before {
            waited_cnt += 1;
            assert!(round < 30, "it is alone by now");
            assert_eq!(turn(&mut bench, QUIET_US), before + 1);
        } else {
            assert_eq!(bench.queue().arm(), Armed::Sleep);
        }
        bench.kernel.borrow_mut().complete(1);
    }
    assert!(waited_cnt > 0, "there were more a moment ago");
    bench.end();
}

#[test]
fn a_call_that_sends_a_part_is_made_again_and_one_that_sends_nothing_is_not() {
    let mut bench = Bench::new(64, 1);
    turn(&mut bench, 0);
    bench.kernel.borrow_mut().budget = 4;
    bench.kernel.borrow_mut().answer = Sent::Later;
    (0..10).for_each(|_| send(&mut bench));
    assert_eq!(turn(&mut bench, 0), 3);
    assert_eq!(bench.queue().arm(), Armed::Sleep);

    send(&mut bench);
    bench.kernel.borrow_mut().budget = 0;
    assert_eq!(turn(&mut bench, 0), 4);
    assert_eq!(bench.queue().arm(), Armed::Ready, "it cannot sleep on that");
    assert_eq!(bench.kernel.borrow().calls_cnt, 5, "tried once more");
    assert_eq!(bench.counters.kicks_refused.get(), 2);

    // Down is no state to wait in awake.
    bench.kernel.borrow_mut().answer = Sent::Down;
    assert_eq!(bench.queue().arm(), Armed::Sleep);
    bench.end();
}

#[test]
fn a_kernel_that_is_awake_is_not_called() {
    let mut bench = Bench::new(64, 1);
    bench.kernel.borrow().tx.flags().store(0, Ordering::Relaxed);
    turn(&mut bench, 0);
    send(&mut bench);
    turn(&mut bench, 1_000);
    assert_eq!(bench.queue().arm(), Armed::Sleep);
    assert_eq!(bench.kernel.borrow().calls_cnt, 0);
    // The fill ring asks for a call of its own.
    assert_eq!(bench.kernel.borrow().fill_calls_cnt, 0);
    bench
        .kernel
        .borrow()
        .fill
        .flags()
        .store(1, Ordering::Relaxed);
    assert!(bench.kernel.borrow_mut().receive(&[&frame_of(1, 60)]));
    turn(&mut bench, 0);
    turn(&mut bench, 0);
    assert_eq!(bench.kernel.borrow().fill_calls_cnt, 1);
    bench.end();
}

#[test]
fn an_interface_that_is_gone_ends_both_rings() {
    let mut bench = Bench::new(64, 1);
    turn(&mut bench, 0);
    send(&mut bench);
    turn(&mut bench, 0);
    bench.kernel.borrow_mut().answer = Sent::Gone;
    bench.queue().rings().1.sync();
    assert!(bench.queue().is_gone());
    bench.end();
}
