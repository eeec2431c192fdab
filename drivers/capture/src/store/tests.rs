use super::*;
use crate::Watched;
use core::cell::RefCell;
use simoom_ring::{
    Armed, Figures, Fragment, FrameMemory, FrameMeta, FramePool, Queue, RxPacket, RxRing,
    TxOffload, TxPacket, TxRing,
};
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

fn store(bytes_len: usize, slots_cnt: usize) -> Store<'static> {
    let bytes = vec![0; bytes_len].leak();
    Store::new(bytes, vec![Slot::EMPTY; slots_cnt].leak())
}

fn wish(snap_len: u16) -> Wish {
    Wish {
        filter: Filter::default(),
        snap_len,
        without_tcp_port: 9_000,
    }
}

/// A segment's first bytes, with `mark` at the end.
fn segment(dst_port: u16, mark: u8) -> Vec<u8> {
    let mut frame = vec![2; 12];
    frame.extend([8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0]);
    frame.extend([10, 0, 0, 1, 10, 0, 0, 2, 0x9c, 0x40]);
    frame.extend(dst_port.to_be_bytes());
    frame.extend([mark; 22]);
    frame
}

/// Rings in memory: what is received next, the last first.
#[derive(Default)]
struct Rings {
    rx: Vec<RxPacket<'static>>,
}

/// How many packets fit.
struct Tx(usize);

impl RxRing<'static> for Rings {
    fn sync(&mut self) -> usize {
        self.rx.len()
    }

    fn recv(&mut self) -> Option<RxPacket<'static>> {
        self.rx.pop()
    }

    #[inline]
    fn dropped(&mut self, _why: &'static str) {}
}

impl TxRing<'static> for Tx {
    fn space(&self) -> usize {
        self.0
    }

    fn send(&mut self, packet: TxPacket<'static>) -> Result<(), TxPacket<'static>> {
        match self.0.checked_sub(1) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => Err(packet),
        }
    }

    fn sync(&mut self) {}
}

struct Pair(Rings, Tx);

impl Queue<'static> for Pair {
    type Rx = Rings;
    type Tx = Tx;

    fn rings(&mut self) -> (&mut Rings, &mut Tx) {
        (&mut self.0, &mut self.1)
    }

    fn arm(&mut self) -> Armed {
        Armed::Sleep
    }

    fn figures(&self) -> Figures {
        Figures::default()
    }
}

fn pool() -> &'static FramePool<'static> {
    let memory = vec![FrameMemory::ZERO; 8].leak();
    let metas: Vec<_> = (0..8).map(|_| FrameMeta::new()).collect();
    Box::leak(Box::new(FramePool::new(memory, metas.leak())))
}

#[test]
fn what_passes_is_copied_and_told_apart() {
    let pool = pool();
    let framed = |bytes: &[u8]| {
        let mut frame = pool.alloc(64).unwrap();
        frame.append(bytes).unwrap();
        frame
    };
    let store = RefCell::new(store(4_096, 16));
    let mut pair = Pair(Rings::default(), Tx(1));
    let received = |mark| RxPacket::plain(framed(&segment(80, mark)));
    // Off: nothing is kept.
    pair.0.rx.push(received(1));
    Watched::new(&mut pair, &store, 5).rx.recv().unwrap();
    assert_eq!(store.borrow().unread_cnt(), 0);

    assert!(store.borrow_mut().begin(wish(60)));
    let mut large = received(3);
    large.rest.push_back(framed(&[4; 100]), 0);
    pair.0.rx.extend([large, received(2)]);
    {
        let Watched { mut rx, mut tx } = Watched::new(&mut pair, &store, 6);
        drop(rx.recv());
        rx.dropped("tcp_checksum");
        drop(rx.recv());
        let mut answer = TxPacket::new(framed(&segment(80, 5)), TxOffload::default());
        answer.append(Fragment::Content(&[6; 1_000])).unwrap();
        assert!(tx.send(answer).is_ok());
        // Full: it was not sent, and comes back.
        let late = TxPacket::new(framed(&segment(80, 7)), TxOffload::default());
        assert!(tx.send(late).is_err());
        // The reason belongs to what came in last, not to what was sent.
        rx.dropped("tx_ring_full");
    }
    let mut store = store.borrow_mut();
    let mut next = || {
        let packet = store.oldest()?;
        let kept = (
            packet.bytes.to_vec(),
            packet.frame_len,
            packet.direction,
            packet.why,
        );
        assert_eq!(packet.at_us, 6);
        store.forget_oldest();
        Some(kept)
    };
    let whole = |mark: u8, more: u8| [&segment(80, mark)[..], &[more; 8]].concat();
    let (bytes, frame_len, way, why) = next().unwrap();
    assert_eq!((bytes, frame_len), (segment(80, 2), 60));
    assert_eq!((way, why), (Direction::Received, Some("tcp_checksum")));
    let (bytes, frame_len, way, why) = next().unwrap();
    assert_eq!((&bytes[..], frame_len), (&whole(3, 4)[..60], 160));
    assert_eq!((way, why), (Direction::Received, Some("tx_ring_full")));
    let (bytes, frame_len, way, why) = next().unwrap();
    assert_eq!((&bytes[..], frame_len), (&whole(5, 6)[..60], 1_060));
    assert_eq!((way, why), (Direction::Sent, None));
    assert_eq!(next(), None);
    let counts = store.counts();
    assert_eq!((counts.seen, counts.taken, counts.overflowed), (3, 3, 0));
    assert!(pool.all_home());
}

#[test]
fn what_finds_no_place_is_counted_and_what_is_left_out_is_not() {
    for (bytes_len, slots_cnt, places) in [(1_000, 100, 10), (10_000, 3, 3), (199, 9, 1)] {
        let mut store = store(bytes_len, slots_cnt);
        assert!(store.begin(wish(100)));
        let push = |store: &mut Store<'_>, port, mark| {
            store.push(Direction::Received, 60, &segment(port, mark), |_| {});
        };
        for round in 0..3 {
            for mark in 0..places + 2 {
                push(&mut store, 80, mark);
                push(&mut store, 9_000, 0xff);
            }
            assert_eq!(store.unread_cnt(), usize::from(places));
            for mark in 0..places {
                assert_eq!(store.oldest().unwrap().bytes.last(), Some(&mark));
                store.forget_oldest();
            }
            assert_eq!(store.oldest(), None);
            assert_eq!(store.counts().overflowed, 2 * (round + 1));
        }
        assert_eq!(store.counts().seen, 3 * (u64::from(places) + 2));
    }
}

#[test]
fn the_filter_and_the_end() {
    let mut store = store(1_000, 10);
    let filter = Filter::parse("port 81").unwrap();
    assert!(store.begin(Wish { filter, ..wish(64) }));
    store.push(Direction::Sent, 60, &segment(80, 1), |_| {});
    store.push(Direction::Sent, 60, &segment(81, 2), |_| {});
    store.end();
    store.push(Direction::Sent, 60, &segment(81, 3), |_| {});
    assert!(!store.is_on());
    assert_eq!((store.counts().seen, store.counts().taken), (2, 1));
    assert_eq!(store.oldest().unwrap().bytes, &segment(81, 2)[..]);
    // A new one begins with nothing.
    assert!(store.begin(wish(64)));
    assert_eq!((store.oldest(), store.counts()), (None, Counts::default()));
}

#[test]
fn without_memory_there_is_no_capture() {
    for (bytes_len, slots_cnt) in [(0, 0), (99, 5), (500, 0)] {
        let mut store = store(bytes_len, slots_cnt);
        assert!(!store.begin(wish(100)) && !store.is_on());
        store.push(Direction::Sent, 60, &segment(80, 1), |_| {});
        store.forget_oldest();
        assert_eq!(store.oldest(), None);
    }
}
