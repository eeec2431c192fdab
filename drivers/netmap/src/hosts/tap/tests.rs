//! What needs no device: settings as they are written down. The device is tested end to end.

use std::string::ToString;

use simoom_ring::MacAddr;

use super::device::{Before, record_name};
use super::{BUF_SIZE_MAX, buf_size};

#[test]
fn settings_that_are_written_down_are_read_again() {
    for is_up in [false, true] {
        let before = Before {
            is_up,
            hdr_len: 10,
            offloads: 7,
        };
        assert_eq!(Before::parse(&before.to_string()), Some(before));
    }
    for bad in ["", "up", "up 1\nheader\n", "up 1\nheader x\noffloads 1\n"] {
        assert_eq!(Before::parse(bad), None, "{bad}");
    }
}

/// What was written of a device that is gone is not said of another one of its name.
#[test]
fn another_device_of_the_same_name_has_another_record() {
    let of = |station| record_name("web0", MacAddr([2, 0, 0, 0, 0, station]));
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
}

#[test]
fn a_frame_of_any_mtu_fits_into_its_buffer() {
    for mtu in [68, 1_500, 2_022, 2_023, 9_000, BUF_SIZE_MAX - 26] {
        let size = buf_size(mtu);
        assert!(size >= mtu + 26 && size.is_multiple_of(64) && size <= BUF_SIZE_MAX);
    }
    assert_eq!((buf_size(1_500), buf_size(9_000)), (2_048, 9_088));
}
