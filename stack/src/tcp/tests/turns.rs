//! What a connection begins and ends with, by the short cut and by the long way: the same bytes on
//! the wire, the same calls of the application, the same left behind.

use std::string::String;
use std::vec::Vec;

use super::peer::{Peer, Sizes, stream};
use crate::tcp::Settings;

/// What happens to a server.
#[derive(Clone, Copy)]
enum Step {
    /// Segments come in one burst.
    Come(&'static [&'static str]),
    /// The application closes.
    Close,
    /// Time passes, in milliseconds.
    Pass(u64),
}

use Step::{Close, Come, Pass};

/// What an application does by itself.
#[derive(Clone, Copy)]
struct Habit {
    answer_len: usize,
    /// It closes when it has answered, or when the other end has.
    closes: bool,
    /// It says so much as soon as it may.
    greeting_len: usize,
    /// It takes so many bytes, and aborts.
    gives_up_at: Option<usize>,
}

const ANSWERS: Habit = Habit {
    answer_len: 1_500,
    closes: true,
    greeting_len: 0,
    gives_up_at: None,
};

/// It leaves closing to others.
const OPEN: Habit = Habit {
    answer_len: 900,
    closes: false,
    ..ANSWERS
};

/// All that was to be seen of it, step by step; and how many segments took the short cut.
fn story(habit: Habit, steps: &[Step], short_cuts: bool) -> (Vec<String>, u64) {
    let settings = Settings {
        short_cuts,
        timestamps: false,
        ..Settings::default()
    };
    let mut peer = Peer::with(Sizes::SMALL, settings);
    peer.app.closes = habit.closes;
    peer.app.answer = (habit.answer_len > 0).then(|| &stream()[..habit.answer_len]);
    peer.app.on_writable = (habit.greeting_len > 0).then(|| &stream()[..habit.greeting_len]);
    peer.app.gives_up = habit.gives_up_at.is_some();
    peer.app.takes_max = habit.gives_up_at.unwrap_or(usize::MAX);
    let mut story = Vec::new();
    for step in steps {
        match *step {
            Come(texts) => peer.arrive_together(texts.iter().copied()),
            Close => peer.act(|conn| conn.close()),
            Pass(millis) => peer.pass(millis),
        }
        if story.is_empty() {
            peer.take_iss();
        }
        let sent: Vec<_> = peer.sent().into_iter().map(|sent| sent.bytes).collect();
        let told = std::mem::take(&mut peer.app.lines);
        let (drops, levels) = (peer.counters().dropped_total(), peer.stack.levels());
        let left = peer
            .stack
            .with_conn(peer.now, peer.app.last.unwrap_or(NOBODY), |conn, _| {
                let tcb = &*conn.tcb;
                let snd = (
                    tcb.snd.una,
                    tcb.snd.nxt,
                    tcb.snd.max,
                    tcb.snd.wnd,
                    tcb.snd.wl1,
                );
                std::format!("{:?} {snd:?} {:?}", conn.state(), conn.status())
            });
        story.push(std::format!(
            "{sent:x?} {told:?} {drops} {levels:?} {left:?}"
        ));
    }
    (story, peer.counters().tcp_short_cuts)
}

const NOBODY: crate::tcp::ConnId = crate::tcp::ConnId {
    idx: u32::MAX,
    generation: 0,
};

/// Both ways; `most` segments take the short cut.
#[track_caller]
fn both(habit: Habit, steps: &[Step], most: u64) {
    let [(short, taken), (long, none)] = [true, false].map(|which| story(habit, steps, which));
    for (n, (short, long)) in short.iter().zip(&long).enumerate() {
        assert_eq!(short, long, "step {n}");
    }
    assert_eq!((taken, none), (most, 0));
}

const SYN: Step = Come(&["S 0:0(0) win 60000 <mss 1000,nop,nop,sackOK>"]);
const THIRD: &str = ". 1:1(0) ack 1 win 60000";
const REQUEST: &str = "P. 1:101(100) ack 1 win 60000";

#[test]
fn a_client_closes_when_it_has_its_answer() {
    // In one burst or not.
    let quiet = Habit {
        answer_len: 0,
        ..ANSWERS
    };
    both(
        quiet,
        &[
            SYN,
            Come(&[THIRD, REQUEST]),
            Come(&["F. 101:101(0) ack 1 win 60000"]),
            Come(&[". 102:102(0) ack 2 win 60000"]),
            Pass(90_000),
        ],
        4,
    );
    both(
        quiet,
        &[
            SYN,
            Come(&[THIRD, REQUEST, "F. 101:101(0) ack 1 win 60000"]),
            Come(&[". 102:102(0) ack 2 win 59000"]),
        ],
        4,
    );
    // It does not close: CLOSE-WAIT, and what is sent then.
    both(
        OPEN,
        &[
            SYN,
            Come(&[THIRD]),
            Come(&[REQUEST]),
            Come(&["F. 101:101(0) ack 901 win 50000"]),
            Pass(5_000),
            Close,
            Come(&[". 102:102(0) ack 902 win 60000"]),
        ],
        4,
    );
}

#[test]
fn a_server_closes_behind_its_answer() {
    let begin = [SYN, Come(&[THIRD, REQUEST])];
    // Its FIN is acknowledged first, or with the other end's.
    let first = [
        Come(&[". 101:101(0) ack 1502 win 60000"]),
        Pass(100),
        Come(&["F. 101:101(0) ack 1502 win 60000"]),
        Come(&["F. 101:101(0) ack 1502 win 60000"]),
        Pass(100_000),
    ];
    both(ANSWERS, &[&begin[..], &first[..]].concat(), 4);
    let with = [Come(&["F. 101:101(0) ack 1502 win 60000"]), Pass(70_000)];
    both(ANSWERS, &[&begin[..], &with[..]].concat(), 3);
    // FIN-WAIT-2 comes to its end alone; a reset in it.
    let alone = [Come(&[". 101:101(0) ack 1502 win 60000"]), Pass(100_000)];
    both(ANSWERS, &[&begin[..], &alone[..]].concat(), 3);
    let reset = [
        Come(&[". 101:101(0) ack 1502 win 60000"]),
        Come(&["R. 101:101(0) ack 1502 win 60000"]),
    ];
    both(ANSWERS, &[&begin[..], &reset[..]].concat(), 3);
    // A part of it is acknowledged, then nothing: it is sent again.
    let lost = [
        Come(&[". 101:101(0) ack 1001 win 60000"]),
        Pass(3_000),
        Come(&["F. 101:101(0) ack 1502 win 60000"]),
    ];
    both(ANSWERS, &[&begin[..], &lost[..]].concat(), 2);
}

#[test]
fn who_asks_to_be_told_is_told_when_the_handshake_is_over() {
    let greets = Habit {
        answer_len: 0,
        greeting_len: 300,
        ..OPEN
    };
    let steps = [
        SYN,
        Come(&[THIRD]),
        Come(&["P. 1:101(100) ack 301 win 60000"]),
    ];
    both(greets, &steps, 2);
    let (told, _) = story(greets, &steps, true);
    assert!(told[1].contains("writable"), "{told:?}");
}

#[test]
fn who_gives_up_is_shown_no_more() {
    let gives_up = Habit {
        answer_len: 0,
        gives_up_at: Some(40),
        ..OPEN
    };
    let steps = [SYN, Come(&[THIRD]), Come(&[REQUEST])];
    both(gives_up, &steps, 2);
    let (told, _) = story(gives_up, &steps, true);
    assert_eq!(told[2].matches("received").count(), 1, "{told:?}");
}

#[test]
fn whatever_is_the_matter_takes_the_long_way() {
    for third in [
        ". 1:1(0) ack 2 win 60000",
        ". 1:1(0) ack 0 win 60000",
        ". 2:2(0) ack 1 win 60000",
        ". 0:0(0) ack 1 win 60000",
        ". 1:1(0) ack 1 win 0",
        "P. 1:101(100) ack 1 win 60000",
        "F. 1:1(0) ack 1 win 60000",
        "F 1:1(0) win 60000",
        "R. 1:1(0) ack 1 win 60000",
        "S. 0:0(0) ack 1 win 60000",
    ] {
        both(ANSWERS, &[SYN, Come(leaked(third)), Pass(9_000)], 0);
    }
    for fin in [
        "F. 100:100(0) ack 901 win 60000",
        "F. 102:102(0) ack 901 win 60000",
        "F. 101:101(0) ack 501 win 60000",
        "F. 101:101(0) ack 1001 win 60000",
        "F. 101:101(0) ack 901 win 0",
        "FP. 101:201(100) ack 901 win 60000",
        "FU. 101:101(0) ack 901 win 60000",
        "F 101:101(0) win 60000",
    ] {
        let begin = [SYN, Come(&[THIRD, REQUEST])];
        let end = [Come(leaked(fin)), Close, Pass(9_000)];
        both(OPEN, &[&begin[..], &end[..]].concat(), 2);
    }
    for last in [
        ". 102:102(0) ack 901 win 60000",
        ". 102:102(0) ack 903 win 60000",
        ". 101:101(0) ack 902 win 60000",
        ". 103:103(0) ack 902 win 60000",
    ] {
        let begin = [SYN, Come(&[THIRD, REQUEST])];
        let end = [
            Come(&["F. 101:101(0) ack 901 win 60000"]),
            Close,
            Come(leaked(last)),
            Pass(9_000),
        ];
        both(OPEN, &[&begin[..], &end[..]].concat(), 3);
    }
}

fn leaked(text: &'static str) -> &'static [&'static str] {
    std::boxed::Box::leak(std::boxed::Box::new([text]))
}

/// A SYN by either way: of the usual kind, and of all others.
#[test]
fn a_syn_is_answered_with_the_same_bytes() {
    const USUAL: &str = "<mss 1000,sackOK,TS val 7 ecr 0,nop,wscale 9>";
    let others = [
        "<mss 1000,nop,nop,sackOK>",
        "<mss 1000,sackOK,TS val 7 ecr 0,nop,wscale 15>",
        "<mss 1000,nop,wscale 9,nop,nop,sackOK>",
        "<mss 1000,nop,wscale 9,sackOK,TS val 7 ecr 0>",
        "<nop,nop,TS val 7 ecr 0>",
        "<mss 12,sackOK,TS val 7 ecr 0,nop,wscale 0>",
        "<mss 1000,sackOK,TS val 7 ecr 0,nop,wscale 9,FO,nop,nop>",
    ];
    for (n, options) in [USUAL].iter().chain(&others).enumerate() {
        for (kind, is_usual) in [("S", true), ("SEW", false), ("SP", false), ("SF", false)] {
            let [short, long] = [true, false].map(|short_cuts| {
                let settings = Settings {
                    short_cuts,
                    ..Settings::default()
                };
                let mut peer = Peer::with(Sizes::SMALL, settings);
                // The third finds the listener's queue full, and gets a cookie; one comes again.
                let mut seen = Vec::new();
                for port in [40_000, 40_001, 40_002, 40_000] {
                    peer.port = port;
                    peer.arrive(&std::format!("{kind} 0:0(0) win 60000 {options}"));
                    let sent: Vec<_> = peer.sent().into_iter().map(|sent| sent.bytes).collect();
                    seen.push(std::format!("{sent:x?} {:?}", peer.stack.levels()));
                }
                peer.pass(10_000);
                let again: Vec<_> = peer.sent().into_iter().map(|sent| sent.bytes).collect();
                seen.push(std::format!("{again:x?} {:?}", peer.stack.levels()));
                (seen, peer.counters().tcp_short_cuts)
            });
            assert_eq!(short.0, long.0, "{kind} {options}");
            // Those in Linux's order, whatever their numbers are.
            let is_short = is_usual && matches!(n, 0 | 2 | 6);
            assert_eq!(
                (short.1, long.1),
                (if is_short { 2 } else { 0 }, 0),
                "{kind} {options}"
            );
        }
    }
}
