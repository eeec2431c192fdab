//! More memory never means less.

use super::*;

const CONN_LEN: usize = 1_000;

#[test]
fn more_memory_never_means_less_and_all_of_it_fits() {
    let mut last: Option<Sizes> = None;
    for kib in 0..200_000_u64 {
        let free_len = kib << 10;
        let Ok(sizes) = Sizes::of(free_len, CONN_LEN) else {
            assert!(last.is_none(), "{kib} KiB are too little, less was not");
            continue;
        };
        assert!(sizes.frames as u64 * FRAME_LEN + (sizes.conns * CONN_LEN) as u64 <= free_len);
        assert!(sizes.conns >= CONNS_MIN && sizes.frames >= FRAMES_MIN);
        if let Some(last) = last {
            assert!(sizes.frames >= last.frames && sizes.conns >= last.conns);
        }
        last = Some(sizes);
    }
    let most = last.expect("200 MB suffice");
    assert_eq!((most.frames, most.conns), (FRAMES_MAX, CONNS_MAX));
}

#[test]
fn too_little_says_how_much_it_takes() {
    let Err(TooLittle { least_len, .. }) = Sizes::of(1 << 20, CONN_LEN) else {
        panic!("1 MiB is too little");
    };
    assert!(Sizes::of(2 * least_len, CONN_LEN).is_ok());
    assert!(Sizes::of(least_len - 1, CONN_LEN).is_err());
}
