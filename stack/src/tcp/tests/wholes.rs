//! Answers that go out as a whole, and those that nearly do: by the short cut the same packets as
//! by the long way, with the same counted.

use simoom_ring::{Caps, Checksums, Segmentation};
use std::string::String;

use super::peer::{Peer, Sizes, stream};
use super::super_segments::PLAIN;
use crate::tcp::Settings;

/// A port that gathers.
const GATHERS: Caps = Caps {
    fragments_max: 4,
    ..Caps::PLAIN
};

/// One that sums, too.
const SUMS: Caps = Caps {
    checksums: Checksums {
        tx: true,
        rx: false,
    },
    ..GATHERS
};

/// One that cuts super-segments of so many bytes.
const fn cuts(len_max: u32) -> Caps {
    Caps {
        tso: Segmentation {
            tcp_v4: true,
            len_max,
            ..Caps::PLAIN.tso
        },
        ..SUMS
    }
}

#[derive(Clone, Copy, Debug)]
struct Case {
    caps: Caps,
    head_len: usize,
    len: usize,
    is_nodelay: bool,
    /// Packets that the ring takes between two syncs.
    space: usize,
}

/// All that is to be seen of a request, its answer, and what follows when nothing is heard.
fn story(case: Case, short_cuts: bool) -> String {
    let sizes = Sizes {
        frames: 160,
        ..Sizes::SMALL
    };
    let settings = Settings {
        short_cuts,
        ..PLAIN
    };
    let mut peer = Peer::over(case.caps, sizes, settings);
    peer.open(60_000);
    peer.act(|conn| conn.set_nodelay(case.is_nodelay));
    peer.app.answer = Some(&stream()[..case.len]);
    peer.app.head_len = case.head_len;
    peer.queue.tx.set_space(case.space);
    peer.arrive("P. 1:101(100) ack 1 win 60000");
    let first = std::format!("{:x?}", peer.sent());
    peer.pass(3_000);
    let status = peer.act(|conn| std::format!("{:?}", conn.status()));
    let mut counters = peer.counters().clone();
    counters.tcp_short_cuts = 0;
    std::format!("{first} {:x?} {status} {counters:?}", peer.sent())
}

#[test]
fn an_answer_as_a_whole_is_the_same_packets() {
    for caps in [
        Caps::PLAIN,
        GATHERS,
        SUMS,
        cuts(65_535),
        cuts(3_100),
        cuts(1_060),
    ] {
        for head_len in [0, 200, 600] {
            for len in [0, 800, 801, 8_800] {
                for (is_nodelay, space) in [(false, 1_000), (true, 1_000), (true, 1)] {
                    let case = Case {
                        caps,
                        head_len,
                        len: head_len + len,
                        is_nodelay,
                        space,
                    };
                    assert_eq!(story(case, true), story(case, false), "{case:?}");
                }
            }
        }
    }
}
