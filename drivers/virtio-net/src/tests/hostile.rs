//! A device that breaks the rules, or stands still.

use std::vec::Vec;

use simoom_ring::{Armed, LinkState, Port, Queue, RxRing, TxRing};
use virtio_drivers::transport::DeviceStatus;

use super::fake_device::FakeDevice;
use super::{Bench, frame_of};
use crate::{Features, Violation};

/// Breaks a ring by `lie` with frames in both, then sees that the device was reset, that what it
/// had came home, and that frames move again.
fn recovers(violation: Violation, lie: impl FnOnce(&mut FakeDevice)) {
    let mut bench = Bench::new(FakeDevice::modern(), 64);
    let free_cnt = bench.pool.free_cnt();
    for _ in 0..5 {
        let packet = bench.packet(&[1; 60]);
        bench.send(packet).unwrap();
    }
    bench.sync_tx();
    lie(&mut bench.device());
    let (rx, tx) = bench.queue.rings();
    rx.sync();
    while rx.recv().is_some() {}
    tx.sync();

    assert_eq!(bench.queue.arm(), Armed::Ready, "a reset is work");
    let counters = bench.queue.counters();
    assert_eq!(counters.resets, 1);
    assert_eq!(counters.last_violation, Some(violation));
    assert_eq!(bench.device().starts, 2);
    assert_eq!(bench.pool.free_cnt(), free_cnt, "the ring has new frames");
    assert_eq!(bench.queue.rx_lent_cnt(), 16);
    assert!(!bench.queue.is_dead());

    assert!(bench.device().deliver(0, (0, 0), &frame_of(4, 60)));
    assert_eq!(bench.recv().unwrap().frame.bytes(), frame_of(4, 60));
    let packet = bench.packet(&[5; 60]);
    bench.send(packet).unwrap();
    bench.sync_tx();
    assert_eq!(bench.device().transmit().unwrap().frame, [5; 60]);
    bench.sync_tx();
    assert_eq!(bench.queue.counters().resets, 1);
    bench.end();
}

#[test]
fn bad_ids_reset_the_device() {
    recovers(Violation::IdRange, |device| device.rx().push(16, 60));
    recovers(Violation::IdRange, |device| device.tx().push(u32::MAX, 0));
    recovers(Violation::IdNotHead, |device| device.tx().push(7, 0));
    recovers(Violation::IdNotHead, |device| {
        let head = device.rx().pop().unwrap().head;
        device.rx().push(head.into(), 60);
        device.rx().push(head.into(), 60);
    });
}

#[test]
fn length_over_a_frame_resets_the_device() {
    for len in [2049, 65_536, u32::MAX] {
        recovers(Violation::LenOver, |device| {
            let head = device.rx().pop().unwrap().head;
            device.rx().push(head.into(), len);
        });
    }
}

#[test]
fn used_idx_out_of_order_resets_the_device() {
    for idx in [17, 32_768, 65_535] {
        recovers(Violation::UsedIdx, |device| device.rx().store_used_idx(idx));
    }
    recovers(Violation::UsedIdx, |device| device.tx().store_used_idx(6));
}

#[test]
fn used_idx_ahead_of_its_entries_gives_no_frame_twice() {
    // The entries are those of the round before, or zeros: the device has torn the order.
    recovers(Violation::IdNotHead, |device| {
        let idx = device.rx().used_idx.wrapping_add(3);
        device.rx().store_used_idx(idx);
    });
}

#[test]
fn packet_in_more_buffers_than_are_returned_resets_the_device() {
    for num_buffers in [2u16, 3, 17, u16::MAX] {
        recovers(Violation::NumBuffers, |device| {
            let mut bytes = device.header(0, (0, 0));
            bytes[10..].copy_from_slice(&num_buffers.to_le_bytes());
            bytes.extend([6; 100]);
            device.deliver_bytes(&bytes);
        });
    }
}

/// Returned in two steps, but all there by the time that we look for the rest.
#[test]
fn packet_whose_rest_comes_a_moment_later_is_taken() {
    let mut bench = Bench::new(FakeDevice::modern(), 64);
    let mut bytes = bench.device().header(0, (0, 0));
    bytes[10] = 2;
    bytes.extend([6; 100]);
    bench.device().deliver_bytes(&bytes);
    let (rx, _) = bench.queue.rings();
    assert_eq!(rx.sync(), 1);
    bench.device().deliver_bytes(&[7; 30]);
    let packet = bench.queue.rings().0.recv().unwrap();
    assert_eq!((packet.frame.len(), packet.rest.byte_len()), (100, 30));
    drop(packet);
    bench.end();
}

#[test]
fn device_that_asks_for_a_reset_gets_one() {
    let mut bench = Bench::new(FakeDevice::modern(), 64);
    bench.device().status |= DeviceStatus::DEVICE_NEEDS_RESET;
    assert_eq!(bench.queue.counters().resets, 0);
    assert_eq!(bench.port.link(), LinkState::Down);
    bench.queue.rings();
    assert_eq!(bench.queue.counters().resets, 1);
    assert_eq!(bench.queue.counters().last_violation, None);
    assert_eq!(bench.port.link(), LinkState::Up);
    assert!(bench.device().deliver(0, (0, 0), &frame_of(4, 60)));
    assert!(bench.recv().is_some());
    bench.end();
}

#[test]
fn device_that_does_not_stop_keeps_its_frames_for_ever() {
    let mut bench = Bench::new(FakeDevice::modern(), 64);
    bench.device().ignores_reset = true;
    bench.device().rx().push(99, 60);
    bench.recv();
    for _ in 0..3 {
        bench.queue.rings();
    }
    assert!(bench.queue.is_dead());
    assert_eq!(bench.queue.counters().resets, 1, "tried once");
    assert_eq!(bench.port.link(), LinkState::Down);
    let home = bench.pool.free_cnt();
    let packet = bench.packet(&[1; 60]);
    drop(bench.send(packet));
    drop(bench.queue);
    let lent = bench.pool.owned_cnt() - bench.pool.free_cnt();
    assert_eq!(bench.pool.owned_cnt() - home, 16);
    assert!(lent >= 16, "it may still write to them");
}

#[test]
fn device_that_changes_its_features_is_given_up() {
    let mut bench = Bench::new(FakeDevice::modern(), 64);
    bench.device().offered = Features::VERSION_1;
    bench.device().rx().push(99, 60);
    bench.recv();
    bench.queue.rings();
    assert!(bench.queue.is_dead());
    assert_eq!(bench.port.link(), LinkState::Down);
    assert!(bench.pool.all_home());
    bench.end();
}

#[test]
fn stalled_device_fills_the_ring_and_is_kicked_once_more() {
    let mut bench = Bench::new(FakeDevice::modern(), 64);
    for _ in 0..16 {
        let packet = bench.packet(&[1; 60]);
        bench.send(packet).unwrap();
    }
    bench.sync_tx();
    assert_eq!(bench.device().take_kick(), Some(1));
    // Its avail_event says that it will look by itself, which it does not.
    let mut kicks = 0;
    for _ in 0..120_000 {
        bench.sync_tx();
        kicks += u32::from(bench.device().take_kick() == Some(1));
    }
    assert_eq!(kicks, 1, "once in a quiet period");
    assert_eq!(bench.queue.counters().tx.rekicks, 1);
    let packet = bench.packet(&[2; 60]);
    assert!(bench.send(packet).is_err());
    assert!(bench.device().transmit().is_some());
    bench.sync_tx();
    // A new period: it stands still again, and we sleep meanwhile.
    for _ in 0..10 {
        assert_eq!(bench.queue.arm(), Armed::Sleep);
    }
    let rekicks = bench.queue.counters();
    assert_eq!((rekicks.tx.rekicks, rekicks.rx.rekicks), (2, 1));
    bench.end();
}

#[test]
fn polls_of_an_idle_port_kick_seldom() {
    let mut bench = Bench::new(FakeDevice::modern(), 64);
    bench.device().take_kick();
    let mut kicks = Vec::new();
    for _ in 0..120_000 {
        bench.recv();
        bench.sync_tx();
        kicks.extend(bench.device().take_kick());
    }
    assert_eq!(kicks, [0], "the receive ring, once; nothing is being sent");
    bench.end();
}
