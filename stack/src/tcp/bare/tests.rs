use super::*;
use crate::tcp::seqnum::{SeqNum, WireWnd, WndScale};
use crate::testing::{OUR_IP, PEER_IP, Sent, TestRing, net, pool};
use crate::wire::tcp::{Ctl, FastOpen, Options, Timestamps};
use std::vec::Vec;

fn reprs() -> Vec<Repr> {
    let timestamps = Some(Timestamps { val: 7, ecr: !0 });
    let of_syn = Options {
        mss: Some(1_460),
        wscale: Some(WndScale::from_wire(7)),
        sack_permitted: true,
        timestamps,
        ..Options::default()
    };
    let with_cookie = Options {
        fast_open: Some(FastOpen::Cookie([1, 2, 3, 4, 5, 6, 7, 8])),
        ..of_syn
    };
    let without_scale = Options {
        wscale: None,
        ..of_syn
    };
    let only_timestamps = Options {
        timestamps,
        ..Options::default()
    };
    let repr = |ctl, ack, options| Repr {
        src_port: 80,
        dst_port: 40_000,
        seq: SeqNum(0x8000_0001),
        ack,
        ctl,
        wnd: WireWnd(0xabcd),
        options,
    };
    let ack = Some(SeqNum(5));
    std::vec![
        repr(Ctl::SYN, ack, of_syn),
        repr(Ctl::SYN.with(Ctl::ECE), ack, with_cookie),
        repr(Ctl::SYN, ack, without_scale),
        repr(Ctl::FIN, ack, only_timestamps),
        repr(Ctl::RST, None, Options::default()),
    ]
}

/// What was sent with `send`, by a port that sums or not.
fn sent(does_sum: bool, repr: &Repr, do_know: bool) -> (Sent, u64, u64) {
    let mut net = net(pool(4));
    net.caps.checksums.tx = does_sum;
    net.ident = 0xfffe;
    let tuple = Tuple::of_wire(OUR_IP, PEER_IP, [0x9c, 0x40, 0, 80]);
    let envelope = Envelope {
        tuple,
        tos: 0x28,
        hint: &mut 9,
    };
    let mut tx = TestRing::new(4);
    let now = Instant::from_micros(1_000_000);
    if do_know {
        send(&mut net, &mut tx, now, envelope, repr);
    } else {
        send_by_ip(&mut net, &mut tx, now, envelope, repr);
    }
    assert_eq!(net.ident, 0xffff);
    let sent = tx.next().expect("a segment was sent");
    assert!(tx.is_silent());
    (sent, net.counters.tcp_segments_out, net.counters.tx_bytes)
}

#[test]
fn a_segment_is_the_same_by_either_way() {
    for repr in reprs() {
        for does_sum in [true, false] {
            let [short, long] = [true, false].map(|do_know| sent(does_sum, &repr, do_know));
            assert_eq!(short, long, "{repr:?}");
        }
    }
}

#[test]
fn what_has_no_frame_or_place_is_counted() {
    let pool = pool(1);
    let mut net = net(pool);
    let sent_before = net.counters.tx_packets;
    let tuple = Tuple::of_wire(OUR_IP, PEER_IP, [0x9c, 0x40, 0, 80]);
    let now = Instant::from_micros(1_000_000);
    for repr in reprs() {
        let taken = pool.alloc(0).expect("the only frame");
        let mut tx = TestRing::new(1);
        send(
            &mut net,
            &mut tx,
            now,
            Envelope::plain(tuple, &mut 0),
            &repr,
        );
        drop(taken);
        tx.set_space(0);
        send(
            &mut net,
            &mut tx,
            now,
            Envelope::plain(tuple, &mut 0),
            &repr,
        );
        assert!(tx.is_silent());
    }
    let all = reprs().len() as u64;
    assert_eq!(net.counters.dropped(DropReason::TxNoFrame), all);
    assert_eq!(net.counters.dropped(DropReason::TxRingFull), all);
    assert_eq!(net.counters.tx_packets, sent_before);
    crate::testing::assert_all_home(pool);
}
