use super::*;
use crate::tests::build::{TIMESTAMPS, Tcp, udp, udp_without};

#[test]
fn the_example_of_rfc_1071_comes_out() {
    // RFC 1071 3: 00 01 f2 03 f4 f5 f6 f7 sums to ddf2.
    assert_eq!(
        fold(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])),
        0xddf2
    );
    assert_eq!(fold(sum(&[0x12])), 0x1200, "an odd byte is the high one");
    assert_eq!(fold(u64::MAX), 0xffff);
}

#[test]
fn completion_equals_the_textbook_for_all_lengths() {
    for is_v4 in [true, false] {
        for len in 0..300usize {
            let payload: Vec<u8> = (0..len).map(|at| (at * 7 + len) as u8).collect();
            let tcp = Tcp {
                is_v4,
                options: if len % 2 == 0 { &[] } else { TIMESTAMPS },
                ..Tcp::v4(77, 0x10)
            };
            let mut frame = tcp.frame(&payload);
            let csum = fill_partial(&mut frame).unwrap();
            assert_eq!(verify(&frame), Verdict::Wrong, "a partial one is not right");
            assert!(complete(&mut frame, csum));
            assert_eq!(frame, tcp.whole(&payload));
            assert_eq!(verify(&frame), Verdict::Right);

            let mut frame = udp_without(is_v4, 5, &payload);
            assert!(fill(&mut frame));
            assert_eq!(frame, udp(is_v4, 5, &payload));
            assert_eq!(verify(&frame), Verdict::Right);
        }
    }
}

#[test]
fn each_single_bit_is_noticed() {
    let frame = Tcp::v4(1, 0x18).whole(b"odd length!");
    for bit in 14 * 8..frame.len() * 8 {
        let mut flipped = frame.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(verify(&flipped), Verdict::Right, "bit {bit}");
    }
}

#[test]
fn padding_is_not_summed() {
    let tcp = Tcp::v4(1, 0x10);
    let mut padded = tcp.frame(b"x");
    padded.resize(60, 0xee);
    assert!(fill(&mut padded));
    assert_eq!(padded[..55], tcp.whole(b"x"));
    assert_eq!(verify(&padded), Verdict::Right);
}

#[test]
fn udp_of_no_checksum_has_none_over_ipv4_and_a_wrong_one_over_ipv6() {
    let mut frame = udp(true, 0, b"abc");
    frame[40..42].copy_from_slice(&[0, 0]);
    assert_eq!(verify(&frame), Verdict::Absent);
    assert_eq!(verify(&udp_without(false, 0, b"abc")), Verdict::Wrong);
}

#[test]
fn what_has_no_checksum_is_absent_and_nothing_panics() {
    assert_eq!(verify(&[]), Verdict::Absent);
    assert!(!fill(&mut [0; 60]));
    let frame = udp(true, 0, b"abc");
    for len in 0..frame.len() {
        let mut short = frame[..len].to_vec();
        assert_ne!(verify(&short), Verdict::Right);
        fill(&mut short);
    }
    let csum = CsumOffload {
        csum_start: u16::MAX,
        csum_offset: u16::MAX,
    };
    assert!(!complete(&mut frame.clone(), csum));
}
