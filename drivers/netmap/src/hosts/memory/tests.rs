//! Mappings that hold a region, and those that are undone.

use std::fs;
use std::os::fd::AsRawFd;

use super::Mapping;
use crate::{Plan, RingKind};

const PLAN: Plan = Plan {
    ports: 1,
    rings: 1,
    tx_slots: 16,
    rx_slots: 8,
    extra_bufs: 2_000,
    content_bufs: 0,
    buf_size: 2_048,
    has_offsets: true,
};

#[test]
fn a_plan_fits_into_either_kind_of_mapping() {
    let len = PLAN.byte_len().expect("a small plan");
    for mapping in [Mapping::anonymous(len), Mapping::shared(len)] {
        let mapping = mapping.expect("a few megabytes");
        assert!(mapping.len() >= len);
        let interface = mapping.lay_out(&PLAN).expect("room for the plan");
        let ring = interface.ring(RingKind::Tx, 0).expect("as planned");
        assert_eq!(ring.num_slots(), 16);
    }
}

#[test]
fn a_shared_one_is_seen_by_who_maps_it_again_and_keeps_its_size() {
    let first = Mapping::shared(10_000).expect("a few pages");
    let fd = first.fd().expect("it is a file");
    let file = fs::File::from(fd.try_clone_to_owned().expect("a descriptor"));
    assert!(file.set_len(0).is_err() && file.set_len(1 << 20).is_err());
    let second = Mapping::of(file.into(), 10_000).expect("the same pages");
    let [first, second] = [first.into_region(), second.into_region()];
    first.store_u32(4_096, 77).expect("inside");
    assert_eq!(second.load_u32(4_096), Some(77));
}

#[test]
fn a_mapping_that_is_not_used_is_undone() {
    let mapping = Mapping::shared(77 << 12).expect("a few pages");
    let fd = mapping.fd().expect("it is a file").as_raw_fd();
    let name = fs::read_link(std::format!("/proc/self/fd/{fd}")).expect("open");
    let is_mapped = |base: usize| {
        let maps = fs::read_to_string("/proc/self/maps").expect("Linux");
        maps.contains(&std::format!("{base:x}-"))
    };
    let base = mapping.base.as_ptr().addr();
    assert!(name.to_string_lossy().contains("memfd:simoom") && is_mapped(base));
    drop(mapping);
    // Another mapping of this test program's threads may be there by now, but not with that length.
    let maps = fs::read_to_string("/proc/self/maps").expect("Linux");
    assert!(!maps.contains(&std::format!("{base:x}-{:x} ", base + (77 << 12))));
}

#[test]
fn too_much_is_said_in_a_line() {
    let error = Mapping::anonymous(1 << 46).expect_err("more than there is");
    assert!(std::format!("{error}").contains("MiB of memory for frames"));
}
