//! Addresses that a host can have.

use super::*;

#[test]
fn a_host_has_neither_the_first_nor_the_last_address() {
    let is_good = |addr: [u8; 4], prefix_len| host_cidr(addr.into(), prefix_len).is_some();
    assert!(is_good([10, 0, 2, 15], 24) && is_good([10, 0, 2, 0], 16));
    assert!(!is_good([10, 0, 2, 0], 24) && !is_good([10, 0, 2, 255], 24));
    assert!(is_good([10, 0, 2, 0], 31) && is_good([10, 0, 2, 255], 32));
    assert!(is_good([10, 0, 0, 1], 0) && !is_good([10, 0, 0, 1], 33));
}
