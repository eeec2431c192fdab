//! The real kernel: a pair of devices in a network namespace of the test's own, which is gone with
//! its thread. Only root may; without it each of these tests says that it did nothing.

use std::eprintln;
use std::format;
use std::process::Command;
use std::string::{String, ToString};
use std::thread;
use std::time::{Duration, Instant};
use std::vec;
use std::vec::Vec;

use std::os::fd::{FromRawFd, OwnedFd};

use simoom_ring::{Armed, Fragment, Port, Queue, RxRing, TxOffload, TxPacket, TxRing};

use super::super::offloads;
use super::super::*;
use crate::hosts::{Started, Takes};
use crate::tests::bytes_of;

const OURS: &str = "ours0";
const PEER: &str = "peer0";

/// Does `work` in a new namespace with a pair of devices; `options` are those of our end and the
/// peer's.
fn with_veth(options: [&'static str; 2], work: impl FnOnce() + Send + 'static) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED, NOT TESTED: only root may make network devices");
        return;
    }
    let in_namespace = move || {
        // SAFETY: of this thread alone, which ends with the test.
        let done = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(done, 0, "{}", io::Error::last_os_error());
        let [ours, peer] = options;
        ip(&format!(
            "link add {OURS} {ours} type veth peer name {PEER} {peer}"
        ));
        for device in [OURS, PEER] {
            ip(&format!("link set {device} up"));
        }
        work();
    };
    if let Err(panic) = thread::spawn(in_namespace).join() {
        std::panic::resume_unwind(panic);
    }
}

fn ip(args: &str) {
    let out = Command::new("ip").args(args.split_whitespace()).output();
    let out = out.expect("iproute2 is installed");
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "ip {args}: {said}");
}

fn spec() -> Spec {
    Spec::Xdp {
        name: OURS.to_string(),
        queue: 0,
    }
}

fn wanted() -> Wanted {
    Wanted {
        frames: 256,
        content_len: 64 << 10,
        takes: Takes {
            addr: Some([10, 66, 0, 1].into()),
            tcp_ports: vec![80],
        },
        queues: 1,
        has_passthrough: false,
        far_addr: None,
        without: Default::default(),
    }
}

fn open() -> Result<Opened<XdpHost>, String> {
    XdpHost::open(&spec(), &wanted()).map_err(|error| error.to_string())
}

/// A port. What another has left is gone at once, but for a test that starts a process just now:
/// that has all our descriptors until it is under way.
fn opened() -> Opened<XdpHost> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match open() {
            Ok(opened) => return opened,
            Err(error) if error.contains("in use") && Instant::now() < deadline => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// A socket that sees all frames of a device, and can send them.
struct Tap(OwnedFd);

impl Tap {
    fn new(device: &str) -> Self {
        let query = LinkQuery::new().expect("rtnetlink");
        let link = query.by_name(device).expect("an answer").expect("a device");
        let protocol = (libc::ETH_P_ALL as u16).to_be();
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: no addresses.
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind, protocol.into()) };
        assert!(fd >= 0, "{}", io::Error::last_os_error());
        // SAFETY: numbers only, for which zero is a value.
        let mut address: libc::sockaddr_ll = unsafe { core::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol;
        address.sll_ifindex = link.ifindex.cast_signed();
        let len = size_of::<libc::sockaddr_ll>() as u32;
        // SAFETY: an address of that length, which lives until the call returns.
        let bound = unsafe { libc::bind(fd, (&raw const address).cast(), len) };
        assert_eq!(bound, 0, "{}", io::Error::last_os_error());
        // SAFETY: opened above, and nobody else's.
        Self(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    fn send(&self, frame: &[u8]) {
        let flags = rustix::net::SendFlags::empty();
        assert_eq!(rustix::net::send(&self.0, frame, flags), Ok(frame.len()));
    }

    /// The next frame that `is_wanted`.
    fn recv(&self, is_wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut frame = vec![0; 4096];
            let flags = rustix::net::RecvFlags::DONTWAIT;
            match rustix::net::recv(&self.0, &mut frame[..], flags) {
                Ok((len, _)) if is_wanted(&frame[..len]) => {
                    frame.truncate(len);
                    return frame;
                }
                Ok(_) => {}
                Err(_) => thread::yield_now(),
            }
            assert!(Instant::now() < deadline, "no such frame");
        }
    }
}

/// What may be slow here is only the machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A TCP segment to our address.
fn segment(to: MacAddr, port: u16, filler: u8) -> Vec<u8> {
    let mut frame = [&to.0[..], &[2, 9, 9, 9, 9, 9], &[8, 0, 0x45, 0]].concat();
    frame.extend([
        0, 120, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 66, 0, 2, 10, 66, 0, 1,
    ]);
    frame.extend([0x90, 0]);
    frame.extend(port.to_be_bytes());
    frame.resize(134, filler);
    frame
}

/// The next frame that comes in by the port.
fn recv(started: &mut Started<XdpHost>) -> Vec<u8> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let rx = started.queue.rings().0;
        rx.sync();
        if let Some(packet) = rx.recv() {
            return bytes_of(&packet);
        }
        assert!(Instant::now() < deadline, "nothing came in");
        thread::yield_now();
    }
}

/// Frames both ways, whatever the mode, and what is not ours to Linux.
fn exchange(mode: &str) {
    let opened = opened();
    let said = opened.bound.join("\n");
    assert!(said.contains(mode) && said.contains("as a chain"), "{said}");
    let mut started = opened.start(&wanted()).expect("a port in order");
    let (peer, linux) = (Tap::new(PEER), Tap::new(OURS));
    let mac = started.port.mac();
    // Enough to come round the rings.
    let mut n = 0_u8;
    for _ in 0..5_000 {
        let ours = segment(mac, 80, n);
        peer.send(&ours);
        assert_eq!(recv(&mut started), ours);
        n = n.wrapping_add(1);
    }
    let other = segment(mac, 81, 7);
    peer.send(&other);
    assert_eq!(
        linux.recv(|frame| frame == other),
        other,
        "passed on to Linux"
    );
    let ours = segment(mac, 80, 9);
    peer.send(&ours);
    assert_eq!(
        recv(&mut started),
        ours,
        "and what was not ours did not come here"
    );

    let site: &'static [u8] = vec![5_u8; 32 << 10].leak();
    let content = started.port.place(site).expect("room for it");
    for n in 0..3_000_usize {
        let mut head = started.pool.alloc(0).expect("frames");
        let header = segment(mac, 80, n as u8);
        head.append(&header).expect("room");
        let mut packet = TxPacket::new(head, TxOffload::default());
        let body = &content[n..n + 1_000];
        packet.append(Fragment::Content(body)).expect("the first");
        let tx = started.queue.rings().1;
        tx.send(packet).expect("space");
        tx.sync();
        // Awake for as long as something waits to be sent.
        while started.queue.arm() == Armed::Ready {
            started.queue.rings().1.sync();
        }
        let expected = [&header, body].concat();
        peer.recv(|frame| frame == expected);
        started.queue.rings().1.sync();
    }
    assert_eq!(started.port.host().counters.violations(), 0);
    assert_eq!(started.queue.counters().tx.packets, 3_000);
    end(started);
}

/// Ends a port; nothing is left of it.
fn end(started: Started<XdpHost>) {
    let Started {
        port, queue, pool, ..
    } = started;
    drop(queue);
    assert!(pool.all_home());
    drop(port.close(pool).expect("its own pool"));
    within_patience("the program is detached", || {
        let query = LinkQuery::new().expect("rtnetlink");
        let link = query.by_name(OURS).expect("an answer");
        link.expect("it is there").program_id.is_none()
    });
}

/// Waits for what is so at once, but for what [`opened`] says.
fn within_patience(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::yield_now();
    }
}

#[test]
fn native_mode_carries_frames_both_ways() {
    with_veth(["", ""], || {
        exchange("native mode");
        // Nothing is left that would be in the way of another.
        exchange("native mode");
    });
}

#[test]
fn a_driver_that_refuses_native_mode_is_used_in_skb_mode() {
    // More queues there than here: veth takes no program then.
    with_veth(
        ["numtxqueues 1 numrxqueues 1", "numtxqueues 2 numrxqueues 2"],
        || exchange("SKB mode (native: "),
    );
}

#[test]
fn what_is_wrong_is_said_in_one_line_and_changes_nothing() {
    with_veth(["", ""], || {
        let refused = |expected: &str| {
            let error = open().err().expect("refused");
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        };
        ip(&format!("link set {OURS} mtu 9000"));
        refused("its MTU of 9000 bytes is too large: 3822 at most");
        ip(&format!("link set {OURS} mtu 3822"));
        drop(opened());
        ip(&format!("link set {OURS} mtu 1500"));
        ip(&format!("link set {OURS} down"));
        refused("it is not up");
        ip(&format!("link set {OURS} up"));

        ip(&format!("addr add 10.66.0.1/24 dev {OURS}"));
        refused("10.66.0.1: the machine has this address itself");
        ip(&format!("addr del 10.66.0.1/24 dev {OURS}"));

        let first = opened();
        refused("in use by XDP program");
        refused("(simoom)");
        drop(first);
        drop(opened());

        let other = Spec::Xdp {
            name: OURS.to_string(),
            queue: 7,
        };
        let error = XdpHost::open(&other, &wanted()).err().expect("refused");
        assert!(
            error.to_string().contains("queue 7 of ours0: there are 1"),
            "{error}"
        );
        let other = Spec::Xdp {
            name: "no-such-if".to_string(),
            queue: 0,
        };
        let error = XdpHost::open(&other, &wanted()).err().expect("refused");
        assert_eq!(error.to_string(), "no-such-if: there is no such interface");
    });
}

#[test]
fn an_address_that_changes_changes_what_is_ours_at_once() {
    with_veth(["", ""], || {
        let mut started = opened().start(&wanted()).expect("in order");
        let (peer, mac) = (Tap::new(PEER), started.port.mac());
        let linux = Tap::new(OURS);
        let mut takes = wanted().takes;
        takes.tcp_ports = vec![81];
        started.port.host().set_takes(&takes);
        let old = segment(mac, 80, 1);
        peer.send(&old);
        linux.recv(|frame| frame == old);
        let new = segment(mac, 81, 1);
        peer.send(&new);
        assert_eq!(recv(&mut started), new);
        end(started);
    });
}

#[test]
fn an_interface_that_is_taken_away_ends_the_port() {
    with_veth(["", ""], || {
        let mut started = opened().start(&wanted()).expect("in order");
        ip(&format!("link del {PEER}"));
        let mut head = started.pool.alloc(0).expect("frames");
        head.append(&[0; 60]).expect("room");
        let packet = TxPacket::new(head, TxOffload::default());
        drop(started.queue.rings().1.send(packet));
        started.queue.rings().1.sync();
        let _either = started.queue.arm();
        started.queue.rings().1.sync();
        assert!(started.queue.is_gone());
        assert_eq!(started.port.link(), LinkState::Down);
        drop(started.queue);
        assert!(started.pool.all_home());
    });
}

#[test]
fn offloads_are_switched_off_and_on_again() {
    with_veth(["", ""], || {
        // veth has none of those that are in the way: any other shows it as well.
        let names = ["tx-tcp-segmentation", "tx-generic-segmentation"];
        let are_on = || offloads::which_are_on(OURS, &names).expect("ethtool's features");
        let all: Vec<String> = are_on();
        assert_eq!(all, names, "veth's defaults");
        let (undo, line) = offloads::clear(OURS, &names).expect("allowed").expect("on");
        assert_eq!(are_on(), Vec::<String>::new(), "{line}");
        drop(undo);
        assert_eq!(are_on(), all);

        // A start that was killed leaves its record, and the next one reads it. That this process
        // is another, the record must say.
        let (undo, _) = offloads::clear(OURS, &names).expect("allowed").expect("on");
        core::mem::forget(undo);
        let path = format!("/run/simoom/xdp:{OURS}");
        let text = std::fs::read_to_string(&path).expect("a record");
        let (_, lines) = text.split_once('\n').expect("two parts");
        std::fs::write(&path, format!("pid 999999999 at 1\n{lines}")).expect("ours");
        let on = offloads::clear(OURS, &["rx-lro"]).expect("allowed");
        assert!(on.is_none());
        assert_eq!(are_on(), all, "as it was before the one that was killed");
        drop(std::fs::remove_file(path));
    });
}
