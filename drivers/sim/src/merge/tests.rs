use super::*;
use crate::segment::cut;
use crate::tests::build::{TIMESTAMPS, Tcp, udp};
use simoom_ring::{GsoKind, GsoOffload};

const ACK: u8 = 0x10;
const PSH_ACK: u8 = 0x18;

/// Merges as a ring does; the packets.
fn merge(frames: &[Vec<u8>]) -> Vec<(Vec<u8>, u16)> {
    let mut packets: Vec<(Rc<Vec<u8>>, Option<Run>)> = Vec::new();
    for frame in frames {
        if let Some((whole, Some(run))) = packets.last_mut()
            && run.append(whole, frame, usize::MAX)
        {
            continue;
        }
        packets.push((Rc::new(frame.clone()), Run::of(frame)));
    }
    packets
        .into_iter()
        .map(|(mut whole, run)| {
            let gso_size = match run {
                Some(run) if run.finish(&mut whole) => run.gso_size,
                _ => 0,
            };
            (Rc::unwrap_or_clone(whole), gso_size)
        })
        .collect()
}

#[test]
fn merging_undoes_cutting() {
    for is_v4 in [true, false] {
        for options in [&[], TIMESTAMPS] {
            let whole = Tcp {
                is_v4,
                ident: 3,
                seq: 0xffff_fff0,
                flags: PSH_ACK,
                options,
            };
            let payload: Vec<u8> = (0..=255).cycle().take(1001).collect();
            let frame = whole.whole(&payload);
            let mut partial = frame.clone();
            crate::checksum::fill_partial(&mut partial).unwrap();
            let kind = if is_v4 {
                GsoKind::TcpV4
            } else {
                GsoKind::TcpV6
            };
            let gso = GsoOffload {
                kind,
                gso_size: 101,
                hdr_len: whole.hdr_len(),
            };
            let segments = cut(&partial, gso).unwrap();
            assert_eq!(merge(&segments), vec![(frame, 101)]);
        }
    }
}

#[test]
fn padding_of_the_first_is_cut_off() {
    let mut first = Tcp::v4(1, ACK).whole(b"ab");
    first.resize(60, 0);
    let mut second = Tcp::v4(3, ACK).whole(b"cd");
    second.resize(60, 0);
    let by_hand = Tcp::v4(1, ACK).whole(b"abcd");
    assert_eq!(merge(&[first, second]), vec![(by_hand, 2)]);
}

#[test]
fn what_cannot_be_told_apart_again_is_not_merged() {
    let first = Tcp::v4(1, ACK).whole(b"abcd");
    let plain = Tcp::v4(5, ACK);
    let mut other_port = plain.frame(b"efgh");
    other_port[35] ^= 1;
    crate::checksum::fill(&mut other_port);
    let mut other_window = plain.frame(b"efgh");
    other_window[48] ^= 1;
    crate::checksum::fill(&mut other_window);
    let mut bad_csum = plain.whole(b"efgh");
    bad_csum[57] ^= 1;
    let v6 = Tcp {
        is_v4: false,
        ..plain
    };
    let stamped = Tcp {
        options: TIMESTAMPS,
        ..plain
    };
    let rows = [
        ("a gap", Tcp::v4(6, ACK).whole(b"efgh")),
        ("a repetition", first.clone()),
        ("a longer one", plain.whole(b"efghi")),
        ("no payload", plain.whole(b"")),
        ("FIN", Tcp::v4(5, 0x11).whole(b"efgh")),
        ("SYN", Tcp::v4(5, 0x12).whole(b"efgh")),
        ("CWR", Tcp::v4(5, 0x90).whole(b"efgh")),
        ("another connection", other_port),
        ("another window", other_window),
        ("a wrong checksum", bad_csum),
        ("another family", v6.whole(b"efgh")),
        ("other options", stamped.whole(b"efgh")),
        ("another protocol", udp(true, 0, b"efgh")),
    ];
    for (situation, second) in rows {
        let frames = [first.clone(), second.clone()];
        let packets = vec![(first.clone(), 0), (second, 0)];
        assert_eq!(merge(&frames), packets, "{situation}");
    }
}

#[test]
fn a_short_one_and_psh_end_the_run() {
    let frames = [
        Tcp::v4(1, ACK).whole(b"abcd"),
        Tcp::v4(5, ACK).whole(b"ef"),
        Tcp::v4(7, ACK).whole(b"gh"),
        Tcp::v4(9, PSH_ACK).whole(b"ij"),
        Tcp::v4(11, ACK).whole(b"kl"),
    ];
    let packets = vec![
        (Tcp::v4(1, ACK).whole(b"abcdef"), 4),
        (Tcp::v4(7, PSH_ACK).whole(b"ghij"), 2),
        (Tcp::v4(11, ACK).whole(b"kl"), 0),
    ];
    assert_eq!(merge(&frames), packets);
}

#[test]
fn a_run_stays_within_its_limit() {
    let mut whole = Rc::new(Tcp::v4(1, ACK).whole(b"abcd"));
    let mut run = Run::of(&whole).unwrap();
    let second = Tcp::v4(5, ACK).whole(b"efgh");
    assert!(!run.append(&mut whole, &second, 61));
    assert!(run.append(&mut whole, &second, 62));
    let mut seq = 9u32;
    let mut appended = 0;
    let third = |seq| Tcp::v4(seq, ACK).whole(b"ijkl");
    while run.append(&mut whole, &third(seq), usize::MAX) {
        seq = seq.wrapping_add(4);
        appended += 1;
        assert!(appended < 20_000);
        if appended > 20 && appended < 100 {
            // Only the end of the range is of interest: jump near it.
            let bytes = Rc::make_mut(&mut whole);
            bytes.resize(14 + 65_535 - 9, 0);
            appended = 100;
        }
    }
    assert_eq!(whole.len(), 14 + 65_535 - 1);
}
