//! What an observer sees of a stack.

use std::vec::Vec;

use super::peer::{Peer, Sizes};
use crate::addr::Endpoint;
use crate::counters::DropReason;
use crate::tcp::State;
use crate::testing::{PEER_IP, v4};
use crate::udp::SendError;

/// The receive ring hears of each packet that is dropped, and of no other.
#[test]
fn the_ring_is_told_what_was_dropped() {
    let mut peer = Peer::established(65_535);
    peer.queue.rx.1.clear();
    peer.arrive("P. 1:101(100) ack 1 win 65535");
    peer.arrive(". 200000:200000(0) ack 1 win 65535");
    peer.arrive("P. 101:201(100) ack 1 win 65535");
    assert_eq!(peer.queue.rx.1, [DropReason::TcpOutOfWindow.name()]);
    // What is dropped between two polls is no fault of the packet that comes next.
    let held: Vec<_> = core::iter::from_fn(|| peer.pool.alloc(0)).collect();
    let to = Endpoint::new(v4(PEER_IP), 514);
    let mut out = peer.stack.udp_out(peer.now, &mut peer.queue.tx);
    assert_eq!(out.send(to, 514, b"late"), Err(SendError::NoSpace));
    assert_eq!(peer.dropped(DropReason::TxNoFrame), 1);
    drop(held);
    peer.arrive("P. 201:301(100) ack 1 win 65535");
    assert_eq!(peer.queue.rx.1.len(), 1);
}

/// A table that is looked at in steps of any size shows each connection once.
#[test]
fn a_survey_in_steps_finds_every_connection_once() {
    let sizes = Sizes {
        conns: 7,
        ..Sizes::SMALL
    };
    let mut peer = Peer::new(sizes);
    for port in 40_000..40_005 {
        peer.port = port;
        peer.open(65_535);
    }
    peer.port = 40_002;
    peer.arrive("R. 1:1(0) ack 1 win 0");
    let conns_max = peer.stack.conns_max();
    assert_eq!(conns_max, 7);
    for step in 1..=8 {
        let mut ports = Vec::new();
        for first in (0..conns_max).step_by(step) {
            for found in peer.stack.survey(first, step) {
                assert_eq!(found.status.state, State::Established);
                assert!(found.state.is_some());
                ports.push(found.tuple.remote.port);
            }
        }
        ports.sort_unstable();
        assert_eq!(ports, [40_000, 40_001, 40_003, 40_004], "{step}");
    }
    assert_eq!(peer.stack.survey(conns_max, 10).count(), 0);
    let first = peer.stack.survey(0, 1).next().map(|found| found.id);
    let id = first.expect("the first connection is still there");
    assert!(peer.stack.with_conn(peer.now, id, |_, _| ()).is_some());
}

/// A datagram that answers nothing goes out with the next poll.
#[test]
fn a_datagram_of_our_own() {
    let mut peer = Peer::new(Sizes::SMALL);
    let to = Endpoint::new(v4(PEER_IP), 514);
    let (now, ring) = (peer.now, &mut peer.queue.tx);
    let mut out = peer.stack.udp_out(now, ring);
    let too_long = [0; 2_000];
    assert_eq!(out.send(to, 514, &too_long), Err(SendError::TooLong));
    let nobody = Endpoint::new(v4(PEER_IP), 0);
    assert_eq!(out.send(nobody, 514, b"x"), Err(SendError::NoRoute));
    assert_eq!(out.send(to, 514, b"<134>1 -"), Ok(()));
    peer.poll();
    let sent = peer.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].bytes[42..], *b"<134>1 -");
}
