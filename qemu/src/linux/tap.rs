//! A Linux host at an end of the wire: a namespace with one TAP device in it.

use super::netns::Netns;
use super::{ADDR_BITS, addr, mac};
use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags};
use simoom_sim::{End, Wire};
use std::fs;
use std::io;
use std::os::fd::AsFd;
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

/// A namespace, its device, and the end of the wire that this leads to.
pub(crate) struct LinuxHost {
    pub(crate) netns: Netns,
    pub(crate) end: End,
    device: SyncDevice,
    frame: Box<[u8]>,
}

impl LinuxHost {
    /// Attaches host `n` to the wire.
    ///
    /// # Errors
    /// No namespace, no TAP device, or no reno: then why.
    pub(crate) fn new(wire: &Wire, n: u8) -> Result<Self> {
        let netns = Netns::new()?;
        let device = netns.run(move || {
            for (name, value) in SETTINGS {
                set(name, value)?;
            }
            // Absent where the kernel has no IPv6; where it has, its frames are none of ours.
            for scope in ["all", "default"] {
                let _ = set(&format!("ipv6/conf/{scope}/disable_ipv6"), "1");
            }
            // Without a virtio header in front of its frames a TAP device has no offloads: what
            // comes out of it has complete checksums and fits the MTU. The wire counts, too.
            let device = DeviceBuilder::new()
                .name(DEVICE)
                .layer(Layer::L2)
                .offload(false)
                .mac_addr(mac(n).0)
                .mtu(1500)
                .ipv4(addr(n), ADDR_BITS, None)
                .build_sync()
                .context("a TAP device")?;
            // Of a user namespace's root the kernel does not take it by this call. Then 500 frames
            // have to do, and a relay that is late is found out by `dropped`.
            let _ = device.set_tx_queue_len(QUEUE_FRAMES);
            device.set_nonblocking(true)?;
            Ok(device)
        })?;
        Ok(Self {
            netns,
            end: wire.tap(),
            device,
            frame: vec![0; FRAME_LEN_MAX].into(),
        })
    }

    /// Puts what Linux sends on the wire: a burst of it.
    ///
    /// # Errors
    /// What the device says.
    pub(crate) fn send(&mut self, wire: &Wire) -> Result<()> {
        for _ in 0..BURST_MAX {
            match self.device.recv(&mut self.frame) {
                Ok(len) => wire.inject(self.end, self.frame.get(..len).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("reading a TAP device"),
            }
        }
        Ok(())
    }

    /// Gives Linux what has arrived at its end.
    ///
    /// # Errors
    /// What the device says.
    pub(crate) fn receive(&self, wire: &Wire) -> Result<()> {
        for captured in wire.captured(self.end) {
            match self.device.send(&captured.bytes) {
                Ok(_) => {}
                // Linux's own verdict on a frame that chance has damaged, as a NIC would have it.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                Err(error) => return Err(error).context("writing to a TAP device"),
            }
        }
        Ok(())
    }

    /// What to poll for frames of Linux's.
    pub(crate) fn poll_fd(&self) -> PollFd<'_> {
        PollFd::from_borrowed_fd(self.device.as_fd(), PollFlags::IN)
    }

    /// Frames that Linux dropped before we had them: none, or we were too slow.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub(crate) fn dropped(&self) -> Result<u64> {
        self.netns.run(|| {
            let table = fs::read_to_string("/proc/thread-self/net/dev")?;
            let row = table
                .lines()
                .find_map(|line| line.trim().strip_prefix(DEVICE)?.strip_prefix(':'));
            // Eight columns of receiving; then bytes, packets, errs, drop of sending.
            let drop = row.and_then(|row| row.split_whitespace().nth(8 + 3));
            let drop = drop.context("no such row in /proc/net/dev")?;
            Ok(drop.parse()?)
        })
    }
}

/// Sets one of the namespace's settings, and looks whether it holds.
///
/// # Errors
/// It does not.
pub(super) fn set(name: &str, value: &str) -> Result<()> {
    let file = format!("/proc/sys/net/{name}");
    fs::write(&file, value).with_context(|| format!("setting {file} to {value}"))?;
    let now = fs::read_to_string(&file)?;
    if now.trim() != value {
        bail!("{file} stays at {}", now.trim());
    }
    Ok(())
}

const DEVICE: &str = "wire0";
/// The rival is reno, which every kernel has. What one connection learnt (ssthresh, round-trip
/// time) must not be kept for the next: each has to find out by itself, as ours do.
const SETTINGS: [(&str, &str); 2] = [
    ("ipv4/tcp_congestion_control", "reno"),
    ("ipv4/tcp_no_metrics_save", "1"),
];
/// Frames that wait for us in the device: more than any window here, so that the only queue that
/// overflows is the wire's.
const QUEUE_FRAMES: u32 = 10_000;
/// Frames taken from a device before the other one has its turn.
const BURST_MAX: usize = 64;
/// An Ethernet frame, and then some: what is longer was not cut, and the wire says so.
const FRAME_LEN_MAX: usize = 1 << 16;
