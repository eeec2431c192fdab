//! What passes a device, by a packet socket.

use crate::linux::netns::{Netns, joined};
use anyhow::{Context, Result, bail};
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket,
    sockopt,
};
use nix::sys::time::TimeVal;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A capture under way.
pub(super) struct Capture {
    thread: JoinHandle<Result<Vec<Vec<u8>>>>,
    is_over: Arc<AtomicBool>,
}

impl Capture {
    /// Begins with a device of a namespace, or of our own.
    pub(super) fn start(netns: Option<&Netns>, device: &'static str) -> Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let (ready, begun) = channel();
        let over = Arc::clone(&is_over);
        let work = move || {
            let opened = open(device);
            let opened = match opened {
                Ok(opened) => opened,
                Err(error) => {
                    drop(ready);
                    return Err(error);
                }
            };
            // Who waits has gone only if all has.
            let _ = ready.send(());
            take(&opened, &over)
        };
        let thread = match netns {
            Some(netns) => netns.spawn(work),
            None => thread::spawn(work),
        };
        if begun.recv().is_err() {
            joined(thread)?;
            bail!("a capture did not begin");
        }
        Ok(Self { thread, is_over })
    }

    /// Ends it: all frames, in their order.
    pub(super) fn end(self) -> Result<Vec<Vec<u8>>> {
        self.is_over.store(true, Ordering::Relaxed);
        joined(self.thread)
    }
}

struct Opened {
    socket: OwnedFd,
    interface: usize,
}

fn open(device: &str) -> Result<Opened> {
    let socket = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::EthAll,
    )
    .context("a packet socket")?;
    // As much as there is: what is lost here is found out by what is missing.
    if setsockopt(&socket, sockopt::RcvBufForce, &QUEUE_LEN).is_err() {
        setsockopt(&socket, sockopt::RcvBuf, &QUEUE_LEN)?;
    }
    let pause = TimeVal::new(0, 20_000);
    setsockopt(&socket, sockopt::ReceiveTimeout, &pause)?;
    let interface = if_nametoindex(device).context("no such device")? as usize;
    Ok(Opened { socket, interface })
}

/// Takes frames until it is over, and a while longer.
fn take(opened: &Opened, is_over: &AtomicBool) -> Result<Vec<Vec<u8>>> {
    let mut frames = Vec::new();
    let mut room = vec![0; FRAME_LEN_MAX];
    let mut over_since = None;
    loop {
        match recvfrom::<LinkAddr>(opened.socket.as_raw_fd(), &mut room) {
            Ok((len, Some(from))) if from.ifindex() == opened.interface => {
                frames.push(room.get(..len).unwrap_or_default().to_vec());
            }
            Ok(_) => {}
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => {
                if is_over.load(Ordering::Relaxed) {
                    let since = *over_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= AFTER {
                        return Ok(frames);
                    }
                }
            }
            Err(error) => return Err(error).context("capturing"),
        }
    }
}

/// Bytes that wait for us.
const QUEUE_LEN: usize = 128 << 20;
/// A super-segment, and then some.
const FRAME_LEN_MAX: usize = 70_000;
/// How long nothing must come.
const AFTER: Duration = Duration::from_millis(40);
