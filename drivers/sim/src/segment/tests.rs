use super::*;
use crate::checksum::{Verdict, fill_partial, verify};
use crate::tests::build::{TIMESTAMPS, Tcp, udp, udp_without};

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + 7) as u8).collect()
}

/// FIN, PSH, ACK and CWR.
const FLAGS: u8 = 0x99;

fn request(tcp: &Tcp, gso_size: u16) -> GsoOffload {
    GsoOffload {
        kind: if tcp.is_v4 {
            GsoKind::TcpV4
        } else {
            GsoKind::TcpV6
        },
        gso_size,
        hdr_len: tcp.hdr_len(),
    }
}

#[test]
fn segments_equal_those_made_by_hand_for_all_ragged_ends() {
    for is_v4 in [true, false] {
        for options in [&[], TIMESTAMPS] {
            for (len, gso_size) in [(1, 1), (7, 3), (9, 3), (1000, 333), (1001, 500), (64, 100)] {
                let whole = Tcp {
                    is_v4,
                    ident: 0xfffe,
                    seq: 0xffff_ff80,
                    flags: FLAGS,
                    options,
                };
                let payload = payload(len);
                let mut frame = whole.frame(&payload);
                fill_partial(&mut frame).unwrap();
                let segments = cut(&frame, request(&whole, gso_size)).unwrap();
                let pieces: Vec<&[u8]> = payload.chunks(gso_size.into()).collect();
                assert_eq!(segments.len(), pieces.len());
                for (idx, (segment, piece)) in segments.iter().zip(&pieces).enumerate() {
                    let mut flags = 0x10;
                    if idx == 0 {
                        flags |= 0x80;
                    }
                    if idx + 1 == pieces.len() {
                        flags |= 0x09;
                    }
                    let by_hand = Tcp {
                        ident: 0xfffeu16.wrapping_add(idx as u16),
                        seq: 0xffff_ff80u32.wrapping_add(idx as u32 * u32::from(gso_size)),
                        flags,
                        ..whole
                    };
                    assert_eq!(*segment, by_hand.whole(piece), "{len}/{gso_size} #{idx}");
                }
            }
        }
    }
}

#[test]
fn the_largest_super_segment_is_cut() {
    let tcp = Tcp::v4(1, 0x18);
    let payload = payload(65_535 - 40);
    let mut frame = tcp.frame(&payload);
    fill_partial(&mut frame).unwrap();
    let segments = cut(&frame, request(&tcp, 1460)).unwrap();
    assert_eq!(segments.len(), 45);
    let joined: Vec<u8> = segments.iter().flat_map(|s| s[54..].to_vec()).collect();
    assert_eq!(joined, payload);
    assert!(segments.iter().all(|s| verify(s) == Verdict::Right));
}

#[test]
fn udp_is_cut_into_datagrams() {
    for is_v4 in [true, false] {
        let payload = payload(25);
        let mut frame = udp_without(is_v4, 9, &payload);
        fill_partial(&mut frame).unwrap();
        let gso = GsoOffload {
            kind: GsoKind::Udp,
            gso_size: 11,
            hdr_len: if is_v4 { 42 } else { 62 },
        };
        let by_hand = vec![
            udp(is_v4, 9, &payload[..11]),
            udp(is_v4, 10, &payload[11..22]),
            udp(is_v4, 11, &payload[22..]),
        ];
        assert_eq!(cut(&frame, gso).unwrap(), by_hand);
    }
}

#[test]
fn a_wrong_pseudo_header_sum_makes_wrong_segments() {
    let tcp = Tcp::v4(1, 0x10);
    let mut frame = tcp.frame(&payload(100));
    fill_partial(&mut frame).unwrap();
    frame[51] ^= 1;
    let segments = cut(&frame, request(&tcp, 60)).unwrap();
    assert!(segments.iter().all(|s| verify(s) == Verdict::Wrong));
}

#[test]
fn requests_that_do_not_fit_are_refused() {
    let tcp = Tcp::v4(1, 0x10);
    let frame = tcp.whole(&payload(100));
    let good = request(&tcp, 60);
    assert!(cut(&frame, good).is_ok());
    let with = |change: fn(&mut GsoOffload)| {
        let mut gso = good;
        change(&mut gso);
        cut(&frame, gso).unwrap_err()
    };
    assert_eq!(with(|gso| gso.gso_size = 0), BadOffload::GsoSize);
    assert_eq!(with(|gso| gso.hdr_len = 53), BadOffload::HdrLen);
    assert_eq!(with(|gso| gso.kind = GsoKind::TcpV6), BadOffload::Headers);
    assert_eq!(with(|gso| gso.kind = GsoKind::Udp), BadOffload::Headers);
    for len in 0..frame.len() {
        assert!(cut(&frame[..len], good).is_err(), "{len}");
    }
    let mut longer = frame.clone();
    longer.push(0);
    assert_eq!(cut(&longer, good), Err(BadOffload::Headers));
    assert_eq!(BadOffload::GsoSize.to_string(), "gso_size is 0");
}
