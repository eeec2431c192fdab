//! What is left in the region when a port is closed: what a kernel frees by.

use std::vec::Vec;

use super::{Bench, Spec, frame_of};
use crate::{Buffers, Interface, LayoutError, Region, RingKind};

/// Every buffer that the slots and the list of a port name.
fn named(region: Region, if_at: usize) -> Vec<u32> {
    let interface = Interface::new(region, if_at).expect("as before");
    let mut named = Vec::new();
    for kind in [RingKind::Tx, RingKind::Rx] {
        let ring = interface.ring(kind, 0).expect("as before");
        named.extend((0..ring.num_slots() as usize).map(|idx| ring.slot(idx).buf_idx));
    }
    // The head of the list lies at 32 of the interface.
    let mut next = region.load_u32(if_at + 32).expect("inside");
    while next != 0 {
        named.push(next);
        let buf_at = interface.bufs_at() + next as usize * usize::from(interface.buf_size());
        next = region.load_u32(buf_at).expect("inside");
        assert!(named.len() < 10_000, "a list that ends");
    }
    named
}

#[test]
fn each_buffer_is_named_once_when_the_ports_are_closed() {
    for buffers in [Buffers::Stay, Buffers::Shuffle, Buffers::Move] {
        let mut spec = Spec::new(8, 4, buffers);
        spec.plan.extra_bufs = 20;
        spec.content_len = 5 * 128;
        let mut bench = Bench::new(spec);
        // Packets of each kind of progress: received, filled, published, only written.
        for end in [0, 1] {
            for n in 0..7 {
                let packet = bench.packet(end, &frame_of(n, 60)).expect("frames");
                bench.send(end, packet).expect("space");
                if n < 6 {
                    bench.sync_tx(end);
                }
            }
        }
        bench.sync_rx(0);
        drop(bench.recv(0));
        for end in &mut bench.ends {
            end.queue = None;
            assert!(end.pool.all_home());
        }
        for end in bench.ends {
            end.port.close(end.pool).expect("its own pool");
        }
        let mut named: Vec<u32> = [0, 1]
            .iter()
            .flat_map(|port| named(bench.region, spec.plan.if_at(*port)))
            .collect();
        named.sort_unstable();
        let all: Vec<u32> = (2..2 + 2 * (8 + 4 + 20)).collect();
        assert_eq!(named, all);
    }
}

#[test]
fn a_pool_of_another_region_is_refused() {
    let spec = Spec::new(4, 4, Buffers::Stay);
    let (first, mut second) = (Bench::new(spec), Bench::new(spec));
    second.ends[0].queue = None;
    let [end, _] = second.ends;
    let other = first.ends[0].pool;
    let closed = end.port.close(other).map(|_| ());
    assert_eq!(closed, Err(LayoutError::OtherPool));
    first.end();
}
