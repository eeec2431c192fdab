use super::*;
use crate::tests::build::{Tcp, udp};

fn frames() -> Vec<Vec<u8>> {
    let v6 = Tcp {
        is_v4: false,
        ..Tcp::v4(1, 0x10)
    };
    vec![
        Tcp::v4(1, 0x10).whole(b"hello, corruption"),
        v6.whole(b"hello, corruption"),
        udp(true, 1, b"datagram"),
        udp(false, 1, b"datagram"),
    ]
}

#[test]
fn one_bit_is_one_bit() {
    let mut dice = Rng::new(1);
    for frame in frames() {
        for _ in 0..200 {
            let mut bytes = frame.clone();
            assert!(corrupt_bits(
                &mut bytes,
                &mut dice,
                1,
                CorruptScope::Anywhere
            ));
            let flipped: u32 = bytes
                .iter()
                .zip(&frame)
                .map(|(one, other)| (one ^ other).count_ones())
                .sum();
            assert_eq!(flipped, 1);
        }
    }
    assert!(!corrupt_bits(&mut [], &mut dice, 1, CorruptScope::Anywhere));
}

#[test]
fn checksums_notice_all_that_the_scope_allows() {
    let mut dice = Rng::new(2);
    let mut changed = 0;
    for frame in frames() {
        for round in 0..2000 {
            let mut bytes = frame.clone();
            let scope = CorruptScope::Checksummed;
            let has_changed = if round % 2 == 0 {
                corrupt_bits(&mut bytes, &mut dice, 8, scope)
            } else {
                corrupt_len(&mut bytes, &mut dice, scope)
            };
            assert_eq!(has_changed, bytes != frame);
            if has_changed {
                changed += 1;
                assert!(Layout::of(&bytes).is_none() || verify(&bytes) == Verdict::Wrong);
                assert_eq!(bytes[..14], frame[..14], "Ethernet has no checksum");
            }
        }
    }
    assert!(changed > 7000, "{changed}");
}

#[test]
fn frames_without_a_checksum_are_left_alone_in_that_scope() {
    let mut dice = Rng::new(3);
    let mut arp = vec![0xff; 42];
    let scope = CorruptScope::Checksummed;
    assert!(!corrupt_bits(&mut arp, &mut dice, 1, scope));
    assert!(!corrupt_len(&mut arp, &mut dice, scope));
    assert_eq!(arp, vec![0xff; 42]);
}

#[test]
fn each_length_field_is_hit_and_is_believed_at_times() {
    let mut dice = Rng::new(4);
    let tcp = &frames()[0];
    let (mut ihl, mut total_len, mut offset, mut believed) = (0, 0, 0, 0);
    for _ in 0..400 {
        let mut bytes = tcp.clone();
        if !corrupt_len(&mut bytes, &mut dice, CorruptScope::Anywhere) {
            continue;
        }
        ihl += u32::from(bytes[14] != tcp[14]);
        total_len += u32::from(bytes[16..18] != tcp[16..18]);
        offset += u32::from(bytes[46] != tcp[46]);
        believed += u32::from(bytes[16..18] != tcp[16..18] && bytes[24..26] != tcp[24..26]);
    }
    assert!(ihl > 50 && total_len > 50 && offset > 100 && believed > 20);
    let udp = &frames()[3];
    let mut hits = [0; 2];
    for _ in 0..100 {
        let mut bytes = udp.clone();
        corrupt_len(&mut bytes, &mut dice, CorruptScope::Anywhere);
        hits[0] += u32::from(bytes[18..20] != udp[18..20]);
        hits[1] += u32::from(bytes[58..60] != udp[58..60]);
    }
    assert!(hits[0] > 20 && hits[1] > 20);
}

#[test]
fn any_bytes_are_survived() {
    let mut dice = Rng::new(5);
    for frame in frames() {
        for _ in 0..500 {
            let mut bytes = frame.clone();
            bytes.truncate(dice.below(frame.len() as u64 + 1) as usize);
            for _ in 0..4 {
                corrupt_len(&mut bytes, &mut dice, CorruptScope::Anywhere);
                corrupt_bits(&mut bytes, &mut dice, 3, CorruptScope::Anywhere);
                crate::checksum::fill(&mut bytes);
            }
        }
    }
}
