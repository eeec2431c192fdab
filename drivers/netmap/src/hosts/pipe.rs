//! A pipe between two processes, who meet at a socket.
//!
//! ```text
//!   this process                              the other one
//!   ┌ region: rings, buffers, content ┐       maps it to read, and copies out of the transmit
//!   │ tx ring ──────────────────────────────► ring into a receive ring of its own
//!   │ rx ring ◄────────────────────────────── and the other way round
//!   └─────────────────────────────────┘
//!           control page, written by both: how far each has read, and whether it sleeps
//! ```
//!
//! Neither trusts the other. A process writes to its own memory alone, which the other cannot map
//! to write, nor shrink (seals); what it reads of the other's is checked, and copied by whoever
//! receives, as a device's DMA would. So a slot, an index or a count that lies costs the connection
//! and nothing else. Content goes by reference up to there, checksums are left to the port (there
//! is no wire on which they could go wrong), and so is segmentation.
//!
//! Who comes first listens at the path, and goes on listening when the other one has gone; who
//! comes second ends with the first. While there is nobody at the other end the link is down, and
//! what is sent is lost. Each sleeps on an event of its own, which the other signals if the control
//! page says that it sleeps; the end of the other process is the end of its socket.

mod control;
mod end;
mod meeting;
mod peer;

use std::cell::RefCell;
use std::format;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;
use std::string::{String, ToString};

use simoom_ring::{Checksums, LinkState, MacAddr, Segmentation};

use super::memory::Mapping;
use super::{Open, OpenError, Opened, Spec, SpecError, Syscalls, Wanted};
use crate::{Buffers, FarSide, Gone, Host, Interface, Plan, Traits};
use end::End;
use meeting::Meeting;

/// An end of a pipe between processes.
pub struct PipeHost {
    end: Rc<RefCell<End>>,
    mac: MacAddr,
    is_out: bool,
}

impl Open for PipeHost {
    /// A pipe has one ring pair.
    type More = core::convert::Infallible;

    fn join(more: Self::More) -> Result<Opened<Self>, OpenError> {
        match more {}
    }

    fn open(spec: &Spec, wanted: &Wanted) -> Result<Opened<Self>, OpenError> {
        let Spec::Pipe { path } = spec else {
            let given = spec.to_string();
            return Err(SpecError::Kind { given }.into());
        };
        if wanted.queues > 1 {
            return Err(OpenError::Queues {
                name: spec.to_string(),
                has: 1,
                wanted: wanted.queues,
            });
        }
        let (file, interface) = lay_out(wanted)?;
        let (meeting, wake, said) = Meeting::at(path, file)?;
        let syscalls = Syscalls::default();
        let mac = mac_of(path, meeting.is_first());
        let end = End::new(interface, meeting, syscalls.clone())?;
        let host = Self {
            end: Rc::new(RefCell::new(end)),
            mac,
            is_out: false,
        };
        // SAFETY: the region was laid out just now, for this port alone; the other process can
        // only read it.
        let opened = unsafe { Opened::new(interface, host, wake, syscalls) };
        Ok(opened.saying(format!("{spec}: {said}")))
    }

    fn figures(&self) -> String {
        let end = self.end.borrow();
        format!("peers {} faults {}", end.peers_cnt(), end.faults_cnt())
    }
}

/// The memory of one end: its file, and its port.
fn lay_out(wanted: &Wanted) -> Result<(OwnedFd, Interface), OpenError> {
    let content_bufs = wanted.content_len.div_ceil(BUF_SIZE.into());
    let content_bufs = u32::try_from(content_bufs).unwrap_or(u32::MAX);
    let plan = Plan {
        ports: 1,
        rings: 1,
        tx_slots: SLOTS,
        rx_slots: SLOTS,
        extra_bufs: wanted.frames,
        content_bufs,
        buf_size: BUF_SIZE,
        has_offsets: true,
    };
    let byte_len = plan.byte_len().ok_or(OpenError::Memory {
        byte_len: wanted.content_len,
        error: rustix::io::Errno::NOMEM,
    })?;
    let ours = Mapping::published(byte_len)?;
    let file = ours.fd().expect("a file is mapped").try_clone_to_owned();
    let file = file.map_err(|error| OpenError::of("a descriptor", "more of them", error))?;
    Ok((file, ours.lay_out(&plan)?))
}

impl Host for PipeHost {
    type Rx = PipeRx;
    type Tx = PipeTx;

    fn traits(&self) -> Traits {
        TRAITS
    }

    fn mac(&self) -> MacAddr {
        self.mac
    }

    fn link(&mut self) -> LinkState {
        match self.end.borrow().has_peer() {
            true => LinkState::Up,
            false => LinkState::Down,
        }
    }

    fn far_sides(&mut self, idx: u16) -> Option<(PipeRx, PipeTx)> {
        let is_first = idx == 0 && !core::mem::replace(&mut self.is_out, true);
        is_first.then(|| {
            let (rx, tx) = (Rc::clone(&self.end), Rc::clone(&self.end));
            (PipeRx(rx), PipeTx(tx))
        })
    }
}

/// The far side of the receive ring.
pub struct PipeRx(Rc<RefCell<End>>);

/// The far side of the transmit ring.
pub struct PipeTx(Rc<RefCell<End>>);

impl FarSide for PipeRx {
    #[inline]
    fn sync(&mut self) -> Result<(), Gone> {
        self.0.borrow_mut().sync_rx()
    }

    fn arm(&mut self) -> bool {
        self.0.borrow_mut().arm_rx()
    }

    fn reset(&mut self) -> Result<(), Gone> {
        self.0.borrow_mut().reset_rx();
        Ok(())
    }

    fn stop(&mut self) {
        self.0.borrow_mut().stop();
    }
}

impl FarSide for PipeTx {
    #[inline]
    fn sync(&mut self) -> Result<(), Gone> {
        self.0.borrow_mut().sync_tx()
    }

    fn arm(&mut self) -> bool {
        self.0.borrow_mut().arm_tx()
    }

    fn reset(&mut self) -> Result<(), Gone> {
        self.0.borrow_mut().reset_tx();
        Ok(())
    }

    fn stop(&mut self) {
        self.0.borrow_mut().stop();
    }
}

/// An address that is the same at each start, and another at the other end.
fn mac_of(path: &Path, is_first: bool) -> MacAddr {
    // FNV-1a, 64 bits.
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let [a, b, c, d, ..] = hash.to_be_bytes();
    MacAddr([2, a, b, c, d, u8::from(is_first)])
}

/// Super-segments fit several times.
const SLOTS: u32 = 1_024;
const BUF_SIZE: u16 = 2_048;
/// Virtio's header with a number of buffers (virtio 1.2 5.1.6), which is 0 here.
const HDR_LEN: u16 = 12;

const TRAITS: Traits = Traits {
    mtu: 1_500,
    hdr_len: HDR_LEN,
    checksums: Checksums { tx: true, rx: true },
    tso: Segmentation {
        tcp_v4: true,
        tcp_v6: true,
        udp: false,
        len_max: 65_535,
    },
    rx_large: true,
    chain_max: u16::MAX,
    buffers: Buffers::Stay,
};

#[cfg(test)]
mod tests;
