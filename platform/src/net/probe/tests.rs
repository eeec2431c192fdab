//! Which frames are a conflict.

use super::*;
use std::vec::Vec;

const OURS: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const THEIRS: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const ADDR: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);

fn frame(op: Op, sha: MacAddr, spa: Ipv4Addr, tpa: Ipv4Addr) -> Vec<u8> {
    let tha = MacAddr([0; 6]);
    let arp = Repr {
        op,
        sha,
        spa,
        tha,
        tpa,
    };
    [&OURS.0[..], &sha.0, &ETHERTYPE, &arp.emit()].concat()
}

#[test]
fn an_answer_a_claim_and_another_probe_are_conflicts_and_nothing_else_is() {
    let probe = Probe {
        addr: ADDR,
        mac: OURS,
    };
    let none = Ipv4Addr::UNSPECIFIED;
    for (what, bytes, is_conflict) in [
        ("an answer", frame(Op::Reply, THEIRS, ADDR, none), true),
        ("a claim", frame(Op::Request, THEIRS, ADDR, ADDR), true),
        ("a probe", frame(Op::Request, THEIRS, none, ADDR), true),
        ("our own", frame(Op::Request, OURS, none, ADDR), false),
        ("a question", frame(Op::Request, THEIRS, OTHER, ADDR), false),
        ("others", frame(Op::Reply, THEIRS, OTHER, none), false),
        ("no ARP", [&[0; 12][..], &[8, 0], &[0; 40]].concat(), false),
        (
            "a stump",
            [&[0; 12][..], &ETHERTYPE, &[0, 1]].concat(),
            false,
        ),
        ("nothing", Vec::new(), false),
    ] {
        let found = probe.conflict(&bytes);
        assert_eq!(found.is_some(), is_conflict, "{what}");
        assert!(found.is_none_or(|found| found.mac == THEIRS && found.addr == ADDR));
    }
}
