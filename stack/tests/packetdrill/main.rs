//! Scripts in packetdrill's syntax, run in virtual time.
//!
//! Every `stack/tests/pkt/SITUATION--EXPECTATION.pkt` is a test. One of them, with its trace:
//! `SIMOOM_PKT=name cargo test -p simoom --test packetdrill` (every script whose name contains
//! `name`).
//!
//! ```text
//! // Comments: //, /* */ and #.
//! --mtu=1500                       also: local_ip remote_ip bind_port connect_port
//!                                  tolerance_usecs (4000) define
//!                                  tcp_ts_tick_usecs (0: any TS val of ours; ours tick by 1000)
//!                                  of our own: remote_port frames conns syns time_waits gaps
//!                                  quick_acks (0)
//! `sysctl net.ipv4.tcp_sack=0`     settings, before the first event
//!
//! 0    socket(..., SOCK_STREAM, IPPROTO_TCP) = 3      at an absolute time
//! +0   bind(3, ..., ...) = 0                          so long after the event before
//! +0   listen(3, 1) = 0
//! +.1  < S 0:0(0) win 1000 <mss 1000,sackOK>          arrives
//! +0   > S. 0:0(0) ack 1 <mss 1460>                   must be sent then; `win` left out: any
//! +0   > S. 0:0(0) ack 1 <mss 1460,FO TFO_COOKIE,nop,nop>  the cookie is learned, then known
//! +0   < . 1:1(0) ack 1 win 1000
//! +0...0.2 accept(3, ..., ...) = 4                    blocks, returns 0.2 s later
//! +0   read(4, ..., 1000) = -1 EAGAIN (Resource temporarily unavailable)
//! *    > P. 1:11(10) ack 1 <...>                      at any time; any options
//! +.1~+.3 > . 11:11(0) ack 5                          within a range of times
//! +0   > P. 1:5841(5840) ack 1                        longer than the MTU: several in a row
//! +0   < [ce] . 1:1001(1000) ack 1 win 9              ect0 ect1 ce noecn ect01, tos N, ttl N
//! +0   < icmp unreachable frag_needed mtu 1400 [1:1461(1460)]
//! +0   < 40001 > 8080 S 0:0(0) win 1000               another pair of ports
//! +0   %{ assert tcpi_snd_cwnd == 10, tcpi_snd_cwnd }%
//! ```
//!
//! Sequence numbers are relative to the SYNs of the script, timestamps of ours to the first that
//! we sent, and every payload byte follows from its sequence number: what is sent and what is read
//! is compared with it. An unknown line, option, call or name is an error, and so is a segment
//! that no line expects. When a script has ended, everything is aborted, and all frames are home.
//!
//! - `lex.rs`, `parse.rs`, `parse_packet.rs`: text to [`script`]
//! - `machine.rs`: the stack (made in one place, `build`), its rings and its clock
//! - `sockets.rs`, `streams.rs`, `sockopt.rs`: socket calls; `asserts.rs`: `tcp_info`
//! - `flow.rs`, `tcp.rs`, `options.rs`, `wire.rs`: segments
//! - `run.rs`: one event after the other; `expect.rs`: what was sent

mod asserts;
mod config;
mod constants;
mod content;
mod expect;
mod flow;
mod honesty;
mod lex;
mod machine;
mod options;
mod parse;
mod parse_packet;
mod run;
mod script;
mod sockets;
mod sockopt;
mod streams;
mod tcp;
mod wire;

use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use lex::Error;
use run::Trace;

/// Runs a script; a panic of the stack's is an error like any other.
fn run_caught(text: &str, trace: &Trace) -> Result<(), Error> {
    let ran = catch_unwind(AssertUnwindSafe(|| run::run(text, trace)));
    ran.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(Error::new(
            0,
            format!("panic: {}", text.unwrap_or_default()),
        ))
    })
}

/// All scripts, by name.
fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pkt");
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder of scripts")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    found.sort();
    found
}

#[test]
fn every_script_runs() {
    let wanted = std::env::var("SIMOOM_PKT").ok();
    let (mut ran_cnt, mut failed) = (0, Vec::new());
    for path in scripts() {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if wanted
            .as_ref()
            .is_some_and(|wanted| !name.contains(wanted.as_str()))
        {
            continue;
        }
        ran_cnt += 1;
        let text = fs::read_to_string(&path).expect("a script is UTF-8");
        let trace = Trace::default();
        let ran = run_caught(&text, &trace);
        let trace = trace.borrow().join("\n    ");
        if wanted.is_some() {
            // Past the test harness, which keeps the output of what passes to itself.
            let _written = writeln!(std::io::stderr(), "{name}\n    {trace}");
        }
        if let Err(Error { line, text }) = ran {
            failed.push(format!("{name}:{line}: {text}\n  trace:\n    {trace}"));
        }
    }
    assert!(ran_cnt > 0, "there is no such script");
    let cnt = failed.len();
    assert!(
        failed.is_empty(),
        "{cnt} of {ran_cnt} fail\n\n{}",
        failed.join("\n\n")
    );
}

/// A name says what happens and what must follow.
#[test]
fn scripts_are_named_situation_and_expectation() {
    for path in scripts() {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let parts = name
            .strip_suffix(".pkt")
            .and_then(|name| name.split_once("--"));
        let is_part = |part: &str| !part.is_empty() && !part.contains("--");
        let is_named =
            parts.is_some_and(|(situation, expected)| is_part(situation) && is_part(expected));
        assert!(is_named, "{name} is not SITUATION--EXPECTATION.pkt");
    }
}
