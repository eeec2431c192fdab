//! How fast frames go through a pipe when one core drives both ends: what the rings alone cost.
//!
//! `cargo bench -p simoom-netmap`; prints frames a second and names what it ran. With `--
//! instructions` it counts those instead, by valgrind.

use std::cell::RefCell;
use std::process::Command;
use std::ptr::NonNull;
use std::time::Instant;

use simoom_netmap::pipe::{PipeHost, Wire};
use simoom_netmap::{
    Buffers, Interface, Memory, NetmapPort, NetmapQueue, Plan, Region, RxShadow, Traits, TxShadow,
};
use simoom_ring::{
    FrameMeta, FramePool, MacAddr, Port, Queue as _, RxRing, TxOffload, TxPacket, TxRing,
};

type Queue = NetmapQueue<'static, 'static, PipeHost<'static>>;
type End = (Queue, &'static FramePool<'static>);

const SLOTS: u32 = 1024;
const BURST: usize = 256;
const FRAMES: usize = 20_000_000;
/// Frames while instructions are counted.
const COUNTED: usize = 256_000;

#[derive(Clone)]
#[repr(C, align(4096))]
struct Page([u8; 4096]);

fn ends(buffers: Buffers) -> [End; 2] {
    let plan = Plan {
        ports: 2,
        rings: 1,
        tx_slots: SLOTS,
        rx_slots: SLOTS,
        extra_bufs: SLOTS,
        content_bufs: 0,
        buf_size: 2048,
        has_offsets: true,
    };
    let len = plan.byte_len().expect("a plan that can be");
    let pages = vec![Page([0; 4096]); len.div_ceil(4096)].leak();
    let len = pages.len() * 4096;
    // SAFETY: leaked memory that nothing else refers to.
    let region = unsafe { Region::new(NonNull::from(pages).cast(), len) }.expect("aligned");
    plan.lay_out(region).expect("room");
    let interfaces = [0, 1].map(|port| Interface::new(region, plan.if_at(port)).expect("laid out"));
    let bufs = vec![0; Wire::bufs_len(&interfaces, 0)].leak();
    let wire = Wire::new(interfaces, 0, buffers, bufs).expect("two ports");
    let wires: &'static [_] = vec![RefCell::new(wire)].leak();
    [0, 1].map(|end| {
        let interface = interfaces[end];
        let metas = vec![(); interface.bufs_cnt() as usize];
        let metas: Vec<FrameMeta> = metas.iter().map(|()| FrameMeta::new()).collect();
        // SAFETY: each end's pool adopts what is in its own slots and list.
        let pool = Box::leak(Box::new(unsafe { interface.pool(metas.leak()) }));
        let content = interface.adopt_extra(pool, u32::MAX, 0).expect("a list");
        let host = PipeHost::new(wires, end, Traits::PLAIN, MacAddr([2, 0, 0, 0, 0, 1]));
        let memory = Memory {
            rx: vec![RxShadow::default(); SLOTS as usize].leak(),
            tx: vec![TxShadow::default(); SLOTS as usize].leak(),
        };
        let mut port = NetmapPort::new(interface, host, memory, content).expect("a port");
        (port.queue(0, pool).expect("a queue"), &*pool)
    })
}

fn run(buffers: Buffers, frame_len: usize, frames: usize) {
    let [(mut from, pool), (mut to, _)] = ends(buffers);
    let started_at = Instant::now();
    let (sent, received) = carry(&mut from, pool, &mut to, (frame_len, frames));
    let elapsed_ns = started_at.elapsed().as_nanos();
    let frame_ns = elapsed_ns as f64 / received as f64;
    println!(
        "pipe, {buffers:?}, {frame_len} B: {:.1} M frames/s, {frame_ns:.1} ns each ({sent} sent)",
        1_000.0 / frame_ns
    );
}

/// Carries so many frames of a length; how many were sent, and how many received.
#[inline(never)]
fn carry(
    from: &mut Queue,
    pool: &'static FramePool<'static>,
    to: &mut Queue,
    (frame_len, frames): (usize, usize),
) -> (usize, usize) {
    let (mut sent, mut received) = (0, 0);
    while received < frames {
        for _ in 0..BURST {
            let Some(mut frame) = pool.alloc(0) else {
                break;
            };
            frame.extend(frame_len).expect("a frame's room");
            let packet = TxPacket::new(frame, TxOffload::default());
            if from.rings().1.send(packet).is_err() {
                break;
            }
            sent += 1;
        }
        from.rings().1.sync();
        to.rings().0.sync();
        while let Some(packet) = to.rings().0.recv() {
            assert_eq!(packet.frame.len(), frame_len);
            received += 1;
        }
    }
    (sent, received)
}

fn main() {
    let asked = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    match asked.as_deref() {
        Some("instructions") => match instructions() {
            Some(cnt) => println!("pipe, Move, 60 B: {cnt:.1} instructions a frame"),
            None => println!("valgrind does not count: is it installed?"),
        },
        // The program itself, under callgrind.
        Some("counted") => run(Buffers::Move, 60, COUNTED),
        _ => {
            for buffers in [Buffers::Move, Buffers::Stay] {
                for frame_len in [60, 1_514] {
                    run(buffers, frame_len, FRAMES);
                }
            }
        }
    }
}

/// Instructions that a frame takes from one end to the other, by callgrind.
fn instructions() -> Option<f64> {
    let out = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg("--toggle-collect=*carry*")
        .arg(std::env::current_exe().ok()?)
        .arg("counted")
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let (_, all) = said.split_once("Collected : ")?;
    let all: f64 = all.split_whitespace().next()?.parse().ok()?;
    Some(all / COUNTED as f64)
}
