use super::*;
use std::vec;
use std::vec::Vec;

/// Blocks of a file, checked as a reader would: type, body without lengths.
fn blocks(mut bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let word = |at: &[u8]| u32::from_le_bytes(*at.first_chunk().unwrap());
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let len = word(&bytes[4..]) as usize;
        assert_eq!(len % 4, 0);
        assert_eq!(word(&bytes[len - 4..]) as usize, len, "both lengths");
        found.push((word(bytes), bytes[8..len - 4].to_vec()));
        bytes = &bytes[len..];
    }
    found
}

fn options(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let half = |at: &[u8]| u16::from_le_bytes(*at.first_chunk().unwrap());
    let mut found = Vec::new();
    loop {
        let (code, len) = (half(bytes), half(&bytes[2..]) as usize);
        found.push((code, bytes[4..4 + len].to_vec()));
        bytes = &bytes[4 + len.next_multiple_of(4)..];
        if code == 0 {
            assert!(bytes.is_empty(), "nothing behind the last option");
            return found;
        }
    }
}

fn row<'a>(bytes: &'a [u8], why: Option<&'static str>) -> Packet<'a> {
    Packet {
        at_us: 7,
        frame_len: 1_514,
        bytes,
        direction: Direction::Sent,
        why,
    }
}

#[test]
fn a_file_is_what_a_reader_expects() {
    let mut room = vec![0xaa; 4_096];
    let mut len = begin(&mut room, "virtio-net", "simoom0", "tcp and port 80", 128).unwrap();
    let captured = [1, 2, 3, 4, 5];
    let at_ns = 0x0123_4567_89ab_cdef;
    let dropped = row(&captured, Some("tcp_checksum"));
    len += packet(&mut room[len..], &dropped, at_ns).unwrap();
    let counts = Counts {
        seen: 9,
        taken: 5,
        overflowed: 2,
    };
    len += end(&mut room[len..], &counts, 1, 2).unwrap();
    let found = blocks(&room[..len]);
    let kinds: Vec<u32> = found.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [0x0a0d_0d0a, 1, 6, 5]);
    assert_eq!(
        found[0].1[..16],
        [
            0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255
        ]
    );
    assert_eq!(found[1].1[..8], [1, 0, 0, 0, 128, 0, 0, 0]);
    let of_interface = options(&found[1].1[8..]);
    assert_eq!(of_interface[0], (2, b"simoom0".to_vec()));
    assert_eq!(of_interface[1], (9, vec![9]));
    assert_eq!(of_interface[2], (11, b"\0tcp and port 80".to_vec()));
    let body = &found[2].1;
    assert_eq!(
        body[4..12],
        [0x67, 0x45, 0x23, 0x01, 0xef, 0xcd, 0xab, 0x89]
    );
    assert_eq!(
        body[12..28],
        [5, 0, 0, 0, 0xea, 5, 0, 0, 1, 2, 3, 4, 5, 0, 0, 0]
    );
    let of_packet = options(&body[28..]);
    assert_eq!(of_packet[0], (2, vec![2, 0, 0, 0]));
    assert_eq!(of_packet[1], (1, b"dropped: tcp_checksum".to_vec()));
    let told = options(&found[3].1[12..]);
    let number = |code| told.iter().find(|(found, _)| *found == code).unwrap().1[0];
    assert_eq!([4, 5, 6, 8].map(number), [9, 2, 5, 3]);
    assert_eq!(told[1], (2, vec![0, 0, 0, 0, 1, 0, 0, 0]));
}

#[test]
fn a_block_fits_whole_or_not_at_all() {
    let bytes = [7; 100];
    let why = Some("tx_no_frame");
    let mut room = vec![0; 400];
    let len = packet(&mut room, &row(&bytes, why), 1).unwrap();
    assert!(len <= bytes.len() + PACKET_OVERHEAD + "answer dropped: tx_no_frame".len());
    for short in 0..len {
        assert_eq!(packet(&mut room[..short], &row(&bytes, why), 1), None);
    }
    assert_eq!(packet(&mut room[..len], &row(&bytes, why), 1), Some(len));
    let none = Counts::default();
    let whole = end(&mut room, &none, 1, 1).unwrap();
    assert!((0..whole).all(|short| end(&mut room[..short], &none, 1, 1).is_none()));
    let whole = begin(&mut room, "a", "b", "", 1).unwrap();
    assert!((0..whole).all(|short| begin(&mut room[..short], "a", "b", "", 1).is_none()));
}
