//! What the key paths through the stack cost in instructions, as callgrind counts them, and a check
//! against what was recorded.
//!
//! Each path is one connection and its client by script. Counted is `Stack::poll` alone. The
//! network card sums, except where a name says otherwise.
//!
//! ```text
//!   this program ── valgrind, toggling in `counted` ──► this program again, with a path's name
//! ```

pub(crate) mod callgrind;
mod client;
// Shared with the host program, which uses all of it.
#[allow(dead_code, unused_imports)]
#[path = "../../../qemu/src/bench/callgrind.rs"]
mod layers;
mod record;

use std::process::ExitCode;

use client::{Card, Client, Event, Wish};
use record::Record;

/// A path and how it is gone.
struct Path {
    name: &'static str,
    /// What one of it is.
    what: &'static str,
    client: fn() -> Client,
    /// Goes the path once; callgrind counts in `counted` alone.
    step: fn(&mut Client),
    /// How often it is gone, after as many times uncounted.
    times: u32,
    /// What the path is to come to one day, where that is known: with HTTP for answers, for the
    /// others the bar of [`ALONE`].
    bar: Option<u32>,
}

const PATHS: [Path; 15] = [
    Path {
        name: "poll",
        what: "nothing comes in",
        client: || Client::new(Wish::Nothing, Card::Sums),
        step: Client::be_silent,
        times: 1_000,
        bar: None,
    },
    Path {
        name: "rings",
        what: "a frame in and a frame out, past the stack",
        client: || Client::new(Wish::Nothing, Card::Sums),
        step: Client::pass,
        times: 1_000,
        bar: None,
    },
    Path {
        name: "ack-segment",
        what: "an acknowledgment in, the next segment out",
        client: || Client::new(Wish::Bulk, Card::Sums),
        step: Client::acknowledge_one,
        times: 2_000,
        bar: None,
    },
    Path {
        name: "data-in",
        what: "data in order in, taken by the application",
        client: || Client::new(Wish::Nothing, Card::Sums),
        step: Client::send_two,
        times: 1_000,
        bar: None,
    },
    Path {
        name: "answer-1k",
        what: "a request in, 1 KB out, its acknowledgment in",
        client: || Client::new(Wish::Answer(1_024), Card::Sums),
        step: Client::ask,
        times: 1_000,
        bar: None,
    },
    Path {
        name: "answer-1k-summed",
        what: "the same, summed by us",
        client: || Client::new(Wish::Answer(1_024), Card::Plain),
        step: Client::ask,
        times: 1_000,
        bar: Some(1_200),
    },
    Path {
        name: "answer-64k",
        what: "a request in, 64 KB out, an acknowledgment in for every second segment",
        client: || Client::new(Wish::Answer(65_536), Card::Sums),
        step: Client::ask,
        times: 200,
        bar: Some(14_000),
    },
    Path {
        name: "answer-1m",
        what: "the same with 1 MB",
        client: || Client::new(Wish::Answer(1 << 20), Card::Sums),
        step: Client::ask,
        times: 20,
        bar: Some(200_000),
    },
    Path {
        name: "answer-64k-cut",
        what: "64 KB, cut by the card, an acknowledgment in for each packet",
        client: || Client::new(Wish::Answer(65_536), Card::Cuts),
        step: Client::ask,
        times: 200,
        bar: Some(2_500),
    },
    Path {
        name: "answer-1m-cut",
        what: "the same with 1 MB",
        client: || Client::new(Wish::Answer(1 << 20), Card::Cuts),
        step: Client::ask,
        times: 20,
        bar: Some(25_000),
    },
    Path {
        name: "new-1k-summed",
        what: "1 KB on a connection of its own: opened, asked on, closed; summed by us",
        client: || Client::new(Wish::Answer(1_024), Card::Plain),
        step: Client::ask_anew,
        times: 200,
        bar: Some(4_000),
    },
    Path {
        name: "new-syn",
        what: "of that, a SYN in and our SYN-ACK out",
        client: || Client::new(Wish::Answer(1_024), Card::Plain).of(Event::Syn),
        step: Client::ask_anew,
        times: 200,
        bar: None,
    },
    Path {
        name: "new-request",
        what: "of that, its third step and the request in, 1 KB out",
        client: || Client::new(Wish::Answer(1_024), Card::Plain).of(Event::Request),
        step: Client::ask_anew,
        times: 200,
        bar: None,
    },
    Path {
        name: "new-fin",
        what: "of that, its FIN in and ours out",
        client: || Client::new(Wish::Answer(1_024), Card::Plain).of(Event::Fin),
        step: Client::ask_anew,
        times: 200,
        bar: None,
    },
    Path {
        name: "new-last-ack",
        what: "of that, the acknowledgment of our FIN in",
        client: || Client::new(Wish::Answer(1_024), Card::Plain).of(Event::LastAck),
        step: Client::ask_anew,
        times: 200,
        bar: None,
    },
];

/// Paths of which is told what the stack alone takes of each frame in (without the rings, and
/// without what a poll costs that brings nothing), and what of that TCP takes by itself. How many
/// frames each has, and the bar for one.
///
/// TCP by itself is the instructions that come from its own source files, whatever function the
/// compiler has put them in, with those of the library that they stand among. The comparison with
/// the last segment's headers is in there, and with it what it looks at of Ethernet and IP; the
/// frames of the pool, the packet for the ring and the application are not. For data in it has half
/// an acknowledgment out, since one goes out for each second frame.
const ALONE: [(&str, u32, u32); 2] = [("ack-segment", 1, 200), ("data-in", 2, 190)];

/// Goes a path, as the child under callgrind; false if there is none of that name.
pub(crate) fn go(name: &str) -> bool {
    let Some(path) = PATHS.iter().find(|path| path.name == name) else {
        return false;
    };
    let mut client = (path.client)();
    for _ in 0..path.times {
        (path.step)(&mut client);
    }
    client.is_counted = true;
    for _ in 0..path.times {
        (path.step)(&mut client);
    }
    client.check();
    true
}

/// Counts each path, prints it, and compares it with what was recorded; `None` without valgrind.
pub(crate) fn check(do_record: bool) -> Option<ExitCode> {
    let mut record = Record::read(env!("CARGO_MANIFEST_DIR"), "segment", do_record);
    let mut around = 0.0;
    for path in &PATHS {
        let all = count(path)?;
        let verdict = record.judge(path.name, all);
        println!(
            "{:<17} {all:>9.0} instructions; {verdict}  {}",
            path.name, path.what
        );
        if let Some(bar) = path.bar {
            println!("{:<17} {bar:>9} is the bar, with HTTP", "");
        }
        if matches!(path.name, "poll" | "rings") {
            around += all;
        }
        let alone = ALONE.iter().find(|(name, ..)| *name == path.name);
        if let Some(&(_, frames, bar)) = alone {
            let each = all / f64::from(frames) - around;
            println!("{:<17} {each:>9.0} a frame in the stack alone", "");
            let name = format!("{}-tcp", path.name);
            let tcp = in_tcp(path)? / f64::from(frames);
            let verdict = record.judge(&name, tcp);
            println!("{name:<17} {tcp:>9.0} instructions; {verdict}  a frame in TCP by itself");
            println!("{:<17} {bar:>9} is the bar", "");
        }
    }
    Some(record.end())
}

/// Instructions of a path, once, in TCP by itself.
fn in_tcp(path: &Path) -> Option<f64> {
    let profile = callgrind::profile("*counted*", &[path.name])?;
    let split = layers::read(&profile).expect("a profile");
    Some(split.of(layers::Layer::Tcp) as f64 / f64::from(path.times))
}

/// Instructions of a path, once.
fn count(path: &Path) -> Option<f64> {
    let all = callgrind::instructions("*counted*", &[path.name])?;
    Some(all / f64::from(path.times))
}
