//! Two ends in one process, which is what two processes do but for the scheduler.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::string::ToString;
use std::vec::Vec;

use simoom_ring::{Armed, Fragment, LinkState, Port, Queue, RxRing, TxOffload, TxPacket, TxRing};

use super::{HDR_LEN, PipeHost, SLOTS};
use crate::hosts::memory::Mapping;
use crate::hosts::{Open, OpenError, Spec, Started, Takes, Wanted};

/// A path of one test's, removed with it.
struct At(PathBuf);

impl At {
    fn new(test: &str) -> Self {
        let name = std::format!("simoom-pipe-{}-{test}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn open(&self) -> Result<Started<PipeHost>, OpenError> {
        let wanted = Wanted {
            frames: 200,
            content_len: 100_000,
            takes: Takes::default(),
            queues: 1,
            has_passthrough: false,
            far_addr: None,
            without: Default::default(),
        };
        let spec = Spec::Pipe {
            path: self.0.clone(),
        };
        PipeHost::open(&spec, &wanted)?.start(&wanted)
    }
}

impl Drop for At {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What a loop does that sleeps and wakes: looks at the socket twice.
fn settle(end: &mut Started<PipeHost>) {
    for _ in 0..3 {
        let _ = end.queue.arm();
        end.queue.rings().0.sync();
        end.queue.rings().1.sync();
    }
}

fn frame(n: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| n.wrapping_add(at as u8)).collect()
}

fn send(end: &mut Started<PipeHost>, bytes: &[u8]) -> bool {
    let Some(mut head) = end.pool.alloc(HDR_LEN.into()) else {
        return false;
    };
    head.append(bytes).expect("room");
    let packet = TxPacket::new(head, TxOffload::default());
    end.queue.rings().1.send(packet).is_ok()
}

fn recv(end: &mut Started<PipeHost>) -> Option<Vec<u8>> {
    let packet = end.queue.rings().0.recv()?;
    let mut bytes = packet.frame.bytes().to_vec();
    packet.rest.for_each(|more| bytes.extend_from_slice(more));
    Some(bytes)
}

impl At {
    /// Both ends, which have met.
    fn pair(&self) -> [Started<PipeHost>; 2] {
        let mut ends = [self.open().expect("first"), self.open().expect("second")];
        assert_eq!(ends[0].port.link(), LinkState::Down);
        meet(&mut ends);
        ends
    }
}

fn meet(ends: &mut [Started<PipeHost>; 2]) {
    let [first, second] = ends;
    settle(first);
    settle(second);
    assert_eq!(first.port.link(), LinkState::Up);
    assert_eq!(second.port.link(), LinkState::Up);
}

/// The bytes of a packet come out as they went in.
fn check_both_ways(ends: &mut [Started<PipeHost>; 2], rounds: usize) {
    for n in 0..rounds {
        for (from, to) in [(0, 1), (1, 0)] {
            let bytes = frame(n as u8, 60 + n % 1_400);
            assert!(send(&mut ends[from], &bytes));
            ends[from].queue.rings().1.sync();
            assert_eq!(ends[to].queue.rings().0.sync(), 1);
            assert!(recv(&mut ends[to]) == Some(bytes));
        }
    }
}

#[test]
fn frames_go_both_ways() {
    let at = At::new("both");
    let mut ends = at.pair();
    assert_ne!(ends[0].port.mac(), ends[1].port.mac());
    // Each slot is used more than once.
    check_both_ways(&mut ends, 2 * SLOTS as usize + 100);
    for end in &ends {
        let counters = end.queue.counters();
        assert_eq!((counters.rx.resets, counters.tx.resets), (0, 0));
        assert_eq!(counters.rx.dropped_header, 0);
    }
}

#[test]
fn content_goes_by_reference_in_large_packets() {
    let at = At::new("content");
    let mut ends = at.pair();
    let content: &'static [u8] = frame(9, 70_000).leak();
    let [first, second] = &mut ends;
    let placed = first.port.place(content).expect("room");
    for n in 0..200 {
        let mut head = first.pool.alloc(HDR_LEN.into()).expect("a frame");
        head.append(&frame(1, 54)).expect("room");
        let mut packet = TxPacket::new(head, TxOffload::default());
        let body = &placed[n..n + 60_000];
        packet.append(Fragment::Content(body)).expect("the first");
        first.queue.rings().1.send(packet).expect("space");
        first.queue.rings().1.sync();
        assert_eq!(second.queue.rings().0.sync(), 1);
        let received = recv(second).expect("one");
        assert!(received == [&frame(1, 54), body].concat());
        first.queue.rings().1.sync();
    }
    assert_eq!(first.queue.counters().tx.bytes_moved, 0);
}

#[test]
fn a_full_ring_waits_for_the_other_end() {
    let at = At::new("full");
    let mut ends = at.pair();
    let mut sent = 0_usize;
    // Until no more fits, here and there.
    for _ in 0..4 * SLOTS {
        sent += usize::from(send(&mut ends[0], &frame(sent as u8, 60)));
        ends[0].queue.rings().1.sync();
    }
    assert!(sent < 2 * SLOTS as usize, "{sent} sent");
    for n in 0..sent {
        if n % 100 == 0 {
            ends[1].queue.rings().0.sync();
        }
        while recv(&mut ends[1]).is_none() {
            assert!(ends[1].queue.rings().0.sync() > 0, "{n} of {sent}");
        }
    }
}

#[test]
fn who_sleeps_is_woken() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let is_awake = |end: &Started<PipeHost>| {
        let fd = end.wake.fd();
        let mut fds = [PollFd::new(&fd, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).expect("allowed") > 0
    };
    let at = At::new("sleep");
    let mut ends = at.pair();
    check_both_ways(&mut ends, 3);
    settle(&mut ends[1]);
    let before = ends[0].syscalls.cnt();
    assert!(send(&mut ends[0], &frame(1, 60)));
    ends[0].queue.rings().1.sync();
    // It was awake as far as it has said: nobody signals.
    let signalled = ends[0].syscalls.cnt() - before;
    assert_eq!(ends[1].queue.rings().0.sync(), 1);
    drop(recv(&mut ends[1]));
    assert!(signalled <= 1);
    assert_eq!(ends[1].queue.arm(), Armed::Sleep);
    while is_awake(&ends[1]) {
        ends[1].queue.rings().0.sync();
        assert_eq!(ends[1].queue.arm(), Armed::Sleep);
    }
    assert!(send(&mut ends[0], &frame(2, 60)));
    ends[0].queue.rings().1.sync();
    assert!(is_awake(&ends[1]));
    // What came before it was going to sleep is seen then.
    ends[1].queue.rings().0.sync();
    drop(recv(&mut ends[1]));
    assert!(send(&mut ends[0], &frame(3, 60)));
    ends[0].queue.rings().1.sync();
    assert_eq!(ends[1].queue.arm(), Armed::Ready);
}

#[test]
fn an_end_that_goes_is_missed_and_another_can_come() {
    let at = At::new("again");
    let [mut first, second] = at.pair();
    assert!(send(&mut first, &frame(1, 60)));
    first.queue.rings().1.sync();
    drop(second);
    settle(&mut first);
    assert_eq!(first.port.link(), LinkState::Down);
    assert!(!first.queue.is_gone());
    // What is sent meanwhile is lost, and its frames come home.
    for n in 0..3_000_u32 {
        assert!(send(&mut first, &frame(n as u8, 60)));
        first.queue.rings().1.sync();
    }
    let mut ends = [first, at.open().expect("second")];
    meet(&mut ends);
    check_both_ways(&mut ends, 20);
    assert_eq!(ends[0].port.host().end.borrow().peers_cnt(), 2);
    // The second has nobody to wait for.
    let [first, mut second] = ends;
    drop(first);
    settle(&mut second);
    assert!(second.queue.is_gone());
}

#[test]
fn a_third_is_refused() {
    let at = At::new("third");
    let mut ends = at.pair();
    std::thread::scope(|scope| {
        let third = scope.spawn(|| match at.open() {
            Err(error) => {
                let in_use = std::format!("{}: it is in use", at.0.display());
                assert_eq!(error.to_string(), in_use);
            }
            // The first end was not let run before the third's patience was at its end.
            Ok(third) => wait_until_gone(third),
        });
        while !third.is_finished() {
            settle(&mut ends[0]);
        }
    });
    check_both_ways(&mut ends, 5);
}

/// An end that was not wanted hears of it when it looks.
fn wait_until_gone(mut end: Started<PipeHost>) {
    while !end.queue.is_gone() {
        settle(&mut end);
    }
}

#[test]
fn a_third_that_is_refused_late_is_gone_when_it_looks() {
    let at = At::new("late");
    let mut ends = at.pair();
    // Nobody looks at the socket meanwhile.
    let mut third = at.open().expect("nobody has refused it");
    settle(&mut third);
    assert!(!third.queue.is_gone() && third.port.link() == LinkState::Down);
    settle(&mut ends[0]);
    wait_until_gone(third);
    check_both_ways(&mut ends, 5);
}

#[test]
fn a_socket_that_was_left_behind_is_replaced() {
    let at = At::new("left");
    drop(UnixListener::bind(&at.0).expect("a socket"));
    assert!(at.0.exists());
    let mut ends = at.pair();
    check_both_ways(&mut ends, 5);
    drop(ends);
    assert!(!at.0.exists(), "the path is left as it was found");
}

#[test]
fn strangers_are_counted_and_forgotten() {
    let at = At::new("stranger");
    let mut first = at.open().expect("first");
    for hello in [
        &b""[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"simoom pipe 1\n\x0c\0\0\0\0\0\0\0",
    ] {
        let mut stream = std::os::unix::net::UnixStream::connect(&at.0).expect("listening");
        std::io::Write::write_all(&mut stream, hello).expect("room");
        if hello.is_empty() {
            drop(stream);
        }
        settle(&mut first);
    }
    assert_eq!(first.port.host().end.borrow().faults_cnt(), 3);
    let mut ends = [first, at.open().expect("second")];
    meet(&mut ends);
    check_both_ways(&mut ends, 5);
}

/// Where the transmit ring of an end's region lies: behind the interface.
const TX_RING_AT: usize = 1_024;

#[test]
fn an_end_that_lies_is_dropped() {
    // Of the transmit ring or its first slot: a head, a buffer, a length, an offset, a chain.
    for (at_byte, value) in [
        (20, 5_000),
        (256, 3_000_000),
        (256, 1),
        (260, 0xffff),
        (264, 0xffff),
        (260, 0x20_003c),
    ] {
        let at = At::new("liar");
        let [mut first, mut second] = at.pair();
        assert!(send(&mut second, &frame(1, 60)));
        second.queue.rings().1.sync();
        let region = second.port.interface().region();
        region
            .store_u32(TX_RING_AT + at_byte, value)
            .expect("inside");
        first.queue.rings().0.sync();
        assert_eq!(first.port.link(), LinkState::Down, "{at_byte}");
        assert_eq!(first.port.host().end.borrow().faults_cnt(), 1);
        // It goes on, for the next one.
        drop(second);
        settle(&mut first);
        let mut ends = [first, at.open().expect("second")];
        while recv(&mut ends[0]).is_some() {}
        meet(&mut ends);
        check_both_ways(&mut ends, 10);
    }
}

#[test]
fn what_the_other_end_maps_cannot_be_written() {
    let ours = Mapping::published(4_096).expect("memory");
    let file = ours
        .fd()
        .expect("a file")
        .try_clone_to_owned()
        .expect("a descriptor");
    let again = file.try_clone().expect("a descriptor");
    assert!(Mapping::of(file, 4_096).is_err());
    assert!(Mapping::to_read(again, 4_096).is_ok());
}
