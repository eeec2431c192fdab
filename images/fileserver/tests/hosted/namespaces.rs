//! What takes a TAP device: in a user namespace, where nobody is root and the kernel may forbid it;
//! and a panic in the midst of serving, which the interface must not suffer from.
//!
//! Each test runs this program again in namespaces of its own, which end with it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
#[cfg(feature = "fault")]
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

use simoom_netmap::hosts::netdev::NetDev;

use super::pipe::Httpd;
use super::sites;

const SERVER: &str = "10.99.0.2";
const GATEWAY: [&str; 2] = ["--gateway", "10.99.0.1"];
/// What `unshare` takes: a user and a network namespace.
const UNSHARE: [&str; 4] = ["--user", "--map-root-user", "--net", "--"];

/// Runs the ignored test `name` in namespaces; false, and said, where the kernel forbids them.
fn inside(name: &str) -> bool {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(UNSHARE);
        command
    };
    let probe = unshare().args(["test", "-c", "/dev/net/tun"]).status();
    if !probe.is_ok_and(|status| status.success()) {
        eprintln!("NOT TESTED: this kernel has no user namespaces for us, or no TAP devices");
        return false;
    }
    let program = std::env::current_exe().expect("a name");
    let status = unshare()
        .arg(program)
        .args(["--exact", name, "--ignored", "--nocapture"])
        .status()
        .expect("unshare was there a moment ago");
    assert!(status.success(), "{name}: {status}");
    true
}

/// The first page, by Linux's own TCP.
fn fetch() -> String {
    let at: SocketAddr = format!("{SERVER}:80").parse().expect("an address");
    let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(30)).expect("it listens");
    let request = b"GET /dir1/file1.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).expect("room");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

fn site() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("site.tar");
    let files: Vec<_> = sites::many().into_iter().take(8).collect();
    std::fs::write(&path, sites::packed(&files)).expect("room on the disk");
    (folder, path)
}

#[test]
fn nobody_needs_to_be_root_for_a_tap_device() {
    inside("namespaces::in_a_user_namespace");
}

#[test]
#[ignore = "the inside of the test above"]
fn in_a_user_namespace() {
    let (_folder, site) = site();
    let httpd = Httpd::start(&site, "tap:unpriv0", &GATEWAY, &[]);
    assert!(fetch().starts_with("HTTP/1.1 200 "));
    httpd.end();
    assert!(NetDev::find("unpriv0").is_err(), "it is gone with us");
}

#[cfg(feature = "fault")]
#[test]
fn a_panic_leaves_the_interface_as_it_was_found() {
    inside("namespaces::a_panic_inside");
}

/// A device that is there for longer than we, and is down.
#[cfg(feature = "fault")]
#[test]
#[ignore = "the inside of the test above"]
fn a_panic_inside() {
    let add = "tuntap add dev panics0 mode tap".split(' ');
    if !Command::new("ip")
        .args(add)
        .status()
        .is_ok_and(|ip| ip.success())
    {
        eprintln!("NOT TESTED: there is no ip(8)");
        return;
    }
    let (_folder, site) = site();
    let fault = [("SIMOOM_FAULT", "panic"), ("RUST_BACKTRACE", "0")];
    for _ in 0..2 {
        let mut httpd = Httpd::start(&site, "tap:panics0", &[], &fault);
        // What a run that was killed would have left is not there for the second.
        assert!(!httpd.has_said("taken over from"));
        let status = httpd.child.wait().expect("it ends by itself");
        assert_eq!(status.signal(), Some(6), "a panic aborts: {status}");
        let dev = NetDev::find("panics0").expect("the device stays");
        assert!(!dev.is_up().expect("flags"), "it was down");
    }
}
