use simoom_ring::{GsoKind, GsoOffload};

use super::*;
use crate::checksum::{Verdict, fill_partial, verify};
use crate::segment::cut;
use crate::tests::build::Tcp;

/// What leaves a device that cuts 2,500 bytes by the thousand: sequence number and sum of each.
fn sent(cutting: Cutting) -> Vec<(u32, Verdict)> {
    let tcp = Tcp {
        is_v4: true,
        ident: 1,
        seq: 100,
        flags: 0x10,
        options: &[],
    };
    let payload: Vec<u8> = (0..2_500).map(|at| (at * 31 + 7) as u8).collect();
    let mut whole = tcp.frame(&payload);
    fill_partial(&mut whole).unwrap();
    let gso = GsoOffload {
        kind: GsoKind::TcpV4,
        gso_size: 1_000,
        hdr_len: tcp.hdr_len(),
    };
    let mut segments = cut(&whole, gso).unwrap();
    cutting.spoil(&mut segments);
    let look = |segment: &Vec<u8>| (be32(segment, 14 + 20 + 4).unwrap(), verify(segment));
    segments.iter().map(look).collect()
}

#[test]
fn each_way_is_wrong_in_its_own() {
    use Verdict::{Right, Wrong};
    for (cutting, expected) in [
        (
            Cutting::Right,
            &[(100, Right), (1_100, Right), (2_100, Right)][..],
        ),
        (Cutting::NoneSent, &[]),
        (Cutting::FirstSent, &[(100, Right)]),
        (Cutting::LastForgotten, &[(100, Right), (1_100, Right)]),
        (
            Cutting::FirstSummed,
            &[(100, Right), (1_100, Wrong), (2_100, Wrong)],
        ),
        (
            Cutting::LastMissummed,
            &[(100, Right), (1_100, Right), (2_100, Wrong)],
        ),
        (
            Cutting::SeqRepeated,
            &[(100, Right), (100, Right), (100, Right)],
        ),
    ] {
        assert_eq!(sent(cutting), expected, "{cutting:?}");
    }
}
