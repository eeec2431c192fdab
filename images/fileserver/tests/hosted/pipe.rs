//! `simoom-httpd` at one end of a pipe, in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration as Span;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use simoom::{Endpoint, Instant};
use simoom_netmap::hosts::pipe::PipeHost;
use simoom_netmap::hosts::{Open, Spec, Takes, Wanted};
use simoom_platform::linux::Clock;
use simoom_ring::{Armed, LinkState, Port, Queue};

use super::browser::{Browser, SIZES};
use super::sites::{self, File};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 3);
/// A hung test ends by then.
const LIMIT: Span = Span::from_secs(120);

/// The process; killed when it is dropped.
pub(crate) struct Httpd {
    pub(crate) child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    said: Vec<String>,
}

impl Drop for Httpd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Httpd {
    /// Starts it with more arguments and an environment, and waits until it listens.
    pub(crate) fn start(
        site: &std::path::Path,
        spec: &str,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_simoom-httpd"))
            .arg(site)
            .args(["--net", spec, "--ip", &format!("{SERVER}/24")])
            .args(args)
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it was built with this test");
        let stdout = child.stdout.take().expect("a pipe");
        let lines = BufReader::new(stdout).lines();
        let mut httpd = Self {
            child,
            lines,
            said: Vec::new(),
        };
        httpd.wait("listening on ");
        httpd
    }

    /// The next line with `part` in it.
    fn wait(&mut self, part: &str) -> String {
        for line in self.lines.by_ref().map_while(Result::ok) {
            self.said.push(line);
            if let Some(line) = self.said.last().filter(|line| line.contains(part)) {
                return line.clone();
            }
        }
        panic!("it ended without a line with {part:?}: {:?}", self.said)
    }

    /// Whether it has said something, as far as it was waited for.
    #[cfg(feature = "fault")]
    pub(crate) fn has_said(&self, part: &str) -> bool {
        self.said.iter().any(|line| line.contains(part))
    }

    /// SIGTERM: all frames are home, and nothing was copied.
    pub(crate) fn end(mut self) {
        let pid = i32::try_from(self.child.id()).expect("a number");
        kill_process(Pid::from_raw(pid).expect("a process"), Signal::TERM).expect("it runs");
        let last = self.wait("ended: ");
        let (home, rest) = last.split_once(" of ").expect("two numbers");
        let home = home.rsplit(' ').next().expect("a number");
        let all = rest.split(' ').next().expect("a number");
        assert!(home == all && rest.contains(" 0 payload bytes"), "{last}");
        assert!(self.child.wait().expect("it ends").success());
    }
}

fn fetched(name: &str, files: Vec<File>) {
    let folder = tempfile::tempdir().expect("a folder");
    let site = folder.path().join("site.tar");
    std::fs::write(&site, sites::packed(&files)).expect("room on the disk");
    let path = folder.path().join(name);
    let mut httpd = Httpd::start(&site, &format!("pipe:{}", path.display()), &[], &[]);

    let wanted = Wanted {
        frames: SIZES.frames as u32,
        content_len: 0,
        takes: Takes::default(),
        queues: 1,
        has_passthrough: false,
        far_addr: None,
        without: Default::default(),
    };
    let opened = PipeHost::open(&Spec::Pipe { path }, &wanted).expect("the other end");
    let mut browser = Browser::new(opened.start(&wanted).expect("in order"), CLIENT, files);
    let clock = Clock::start();
    while browser.started.port.link() == LinkState::Down {
        wait(&mut browser, &clock);
    }
    browser.connect(clock.now(), Endpoint::new(SERVER, 80));
    while !browser.is_done() {
        wait(&mut browser, &clock);
        assert_eq!(browser.fetcher.faults, Vec::<String>::new());
    }
    httpd.wait("all home: connections 0");
    httpd.end();
    browser.end();
}

/// Sleeps until there is something, and does it.
fn wait(browser: &mut Browser<PipeHost>, clock: &Clock) {
    let now = clock.now();
    assert!(now.since(Instant::ZERO).as_secs() < LIMIT.as_secs(), "slow");
    if browser.started.queue.arm() == Armed::Sleep {
        let limit = browser.poll_at(now).since(now).as_micros().min(100_000);
        let limit = Timespec {
            tv_sec: 0,
            tv_nsec: limit.cast_signed() * 1_000,
        };
        let fd = browser.started.wake.fd();
        // Interrupted is awake.
        let _ = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&limit));
    }
    browser.step(clock.now());
}

#[test]
fn a_thousand_files_by_a_hundred_connections_over_a_pipe() {
    fetched("many", sites::many());
}

#[test]
fn a_file_of_256_mib_over_a_pipe() {
    fetched("big", sites::big());
}
