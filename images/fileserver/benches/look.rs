//! What a look inside costs a request, in instructions: the whole server, from a segment on the
//! ring to the answer on it, with figures and log and without.
//!
//! `cargo bench -p simoom-fileserver --bench look` runs itself under callgrind, as `answer` does,
//! over a wire in virtual time. The bar is 3 % on the path of a request; what the simulated rings
//! take themselves is in all rows, so the difference in instructions tells more than its share. The
//! text of a line is made between two polls, when no packet waits: that is shown, and has no bar.

#[allow(dead_code)]
#[path = "../tests/network/world.rs"]
mod world;

use std::process::{Command, ExitCode};

use simoom::Duration;
use simoom_fileserver::accesslog::{Log, Place, Sink};
use simoom_fileserver::admin::{Admin, Listening, Words};
use simoom_fileserver::app::{FileServer, SCRATCH_LEN, Scratches};
use simoom_fileserver::front::Front;
use simoom_sim::PortConfig;
use world::{Habits, Sizes, World};

/// What is on, and how much more than nothing it may cost, in percent.
const ROWS: [(&str, Option<f64>); 4] = [
    ("nothing", None),
    ("figures", Some(3.0)),
    ("figures and log", Some(3.0)),
    ("and its text", None),
];

/// Requests that are counted, one after the other on one connection.
const TIMES: usize = 1_000;

const REQUEST: &str = "GET /file.html HTTP/1.1\r\nHost: www.example.org\r\n\
    User-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n";

fn go(name: &str) {
    let files = [("file.html".to_owned(), vec![b'x'; 1_024])];
    let scratches = Scratches::new(vec![0; SCRATCH_LEN].leak());
    let mut files = FileServer::new(world::server(&files), scratches);
    let mut words = Words::DEFAULT;
    if name != "nothing" {
        words.listening = Some(Listening {
            addr: None,
            port: 9_090,
        });
    }
    if !matches!(name, "nothing" | "figures") {
        let places = vec![Place::EMPTY; 2 * TIMES].leak();
        files.set_log(Log::new(Sink::Console, places));
    }
    let app = Front::new(files, Admin::new(&words, "sim0"));
    let sizes = Sizes {
        frames: 512,
        conns: 16,
        bodies: 64,
    };
    let mut world: World<Front> = World::of(app, 1, PortConfig::offloads, sizes);
    world.server.is_console_full = name != "and its text";
    let habits = Habits {
        piece_len: REQUEST.len(),
        pause: Duration::from_millis(1),
        ..Habits::default()
    };
    let talk = world.open(REQUEST.repeat(TIMES), habits);
    world.run(Duration::from_secs(60), |world| {
        world.server.app.files.counters().answered as usize == TIMES
            && world.heard(talk).len() > TIMES * 1_024
    });
    let log = world.server.app.files.log().counters();
    let logged = log.recorded as usize;
    assert_eq!(
        logged,
        if matches!(name, "nothing" | "figures") {
            0
        } else {
            TIMES
        }
    );
    assert_eq!(
        log.written as usize,
        if name == "and its text" { TIMES } else { 0 }
    );
}

/// Instructions of one request; `None` without valgrind.
fn count(name: &str) -> Option<f64> {
    let out = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args(["--collect-atstart=no", "--toggle-collect=*counted*"])
        .arg(std::env::current_exe().expect("a path"))
        .arg(name)
        .env(
            "GLIBC_TUNABLES",
            "glibc.cpu.x86_rep_movsb_threshold=0x10000000",
        )
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{text}");
    let line = text
        .lines()
        .find_map(|line| line.split_once("Collected :"))?;
    let all: f64 = line.1.trim().parse().ok()?;
    Some(all / TIMES as f64)
}

fn main() -> ExitCode {
    let arg = std::env::args().nth(1).unwrap_or_default();
    if let Some((name, _)) = ROWS.iter().find(|(name, _)| *name == arg) {
        go(name);
        return ExitCode::SUCCESS;
    }
    let (mut base, mut is_good) = (0.0, true);
    for (name, most) in ROWS {
        let Some(instructions) = count(name) else {
            println!("valgrind is not installed: instructions are not counted");
            return ExitCode::SUCCESS;
        };
        if base == 0.0 {
            base = instructions;
        }
        let more = 100.0 * (instructions - base) / base;
        let verdict = match most {
            None => "",
            Some(most) if more <= most => "ok",
            Some(_) => {
                is_good = false;
                "TOO MUCH"
            }
        };
        println!("{name:<17} {instructions:>6.0} instructions  {more:>+5.1} %  {verdict}");
    }
    match is_good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
