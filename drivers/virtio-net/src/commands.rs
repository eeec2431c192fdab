//! The control queue (virtio 1.2 5.1.6.5): what is asked of the device beside packets.
//!
//! ```text
//!   ask ──► │ class, command │ data │ ack │ ──► one chain, one kick
//!             read by the device           written by it
//!   look ◄── done, refused; or nothing, for so many looks that it never will be
//! ```
//!
//! One command at a time, and nobody waits: whoever polls the queue pair looks now and then. A
//! device that answers nothing, or what the ring does not allow, is asked no more until the next
//! reset; what was asked for then stays as it was. All of that is counted.
//!
//! Two commands are of use to us: how many queue pairs are served, and that an announcement has
//! been made. Receive offloads (`CTRL_GUEST_OFFLOADS`) are chosen once, by features; filters are
//! for those who share a port.

use core::ptr::NonNull;

use virtio_drivers::transport::Transport;
use virtio_drivers::{Hal, PhysAddr};

use crate::Error;
use crate::config::COMMAND_LOOKS_MAX;
use crate::control::{Control, RingAddrs};
use crate::dma::DmaPages;
use crate::registers::Doorbell;
use crate::rx::ring_addrs;
use crate::split::{Piece, Shadow, SplitQueue};

/// Descriptors of the control queue: one command takes three.
pub(crate) const COMMANDS_SIZE: usize = 4;

/// What is asked of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// `VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET`: so many queue pairs are served.
    Pairs(u16),
    /// `VIRTIO_NET_CTRL_ANNOUNCE_ACK`: we have announced ourselves.
    Announced,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The device has done it.
    Done(Command),
    /// It says that it has not.
    Refused(Command),
    /// It says nothing, or nothing that makes sense: it is asked no more.
    None(Command),
}

/// The control queue.
pub(crate) struct Commands<'m, H: Hal> {
    queue: SplitQueue<'m>,
    pages: DmaPages<H>,
    /// The one command.
    buffer: DmaPages<H>,
    doorbell: Doorbell,
    under_way: Option<Command>,
    /// Looks at it so far.
    looks: u32,
    is_given_up: bool,
}

impl<'m, H: Hal> Commands<'m, H> {
    /// The control queue, which is number `queue`.
    pub(crate) fn new<T: Transport>(
        control: &mut Control<T>,
        queue: u16,
        shadow: &'m mut [Shadow; COMMANDS_SIZE],
    ) -> Result<Self, Error> {
        let size = control.queue_size(queue, COMMANDS_SIZE, COMMANDS_SIZE as u16)?;
        let doorbell = control.registers().doorbell(queue)?;
        let pages = DmaPages::alloc(SplitQueue::byte_len(size)).ok_or(Error::NoMemory)?;
        let buffer = DmaPages::alloc(BUFFER_LEN).ok_or(Error::NoMemory)?;
        // By flag or by index: no interrupt is ever asked for.
        let has_event_idx = control.has_event_idx();
        // SAFETY: the pages are page-aligned, long enough, nobody else's, and live beside the queue
        // in this struct.
        let queue = unsafe { SplitQueue::new(pages.base(), shadow, has_event_idx) };
        Ok(Self {
            queue: queue.ok_or(Error::NoMemory)?,
            pages,
            buffer,
            doorbell,
            under_way: None,
            looks: 0,
            is_given_up: false,
        })
    }

    /// Where the device finds the ring.
    pub(crate) fn addrs(&self) -> RingAddrs {
        ring_addrs(&self.queue, &self.pages)
    }

    /// Whether a command can be given.
    pub(crate) fn is_free(&self) -> bool {
        self.under_way.is_none() && !self.is_given_up
    }

    /// Whether the device has left a command without an answer.
    pub(crate) fn is_given_up(&self) -> bool {
        self.is_given_up
    }

    /// Whether an answer is waited for.
    pub(crate) fn is_waiting(&self) -> bool {
        self.under_way.is_some()
    }

    /// Asks the device, which is free to be asked.
    pub(crate) fn ask(&mut self, command: Command) {
        let (class, number, data) = match command {
            Command::Pairs(pairs) => (CLASS_MQ, PAIRS_SET, Some(pairs)),
            Command::Announced => (CLASS_ANNOUNCE, ANNOUNCE_ACK, None),
        };
        let [low, high] = data.unwrap_or(0).to_le_bytes();
        for (at, byte) in [class, number, low, high, ACK_NONE].into_iter().enumerate() {
            // SAFETY: within the buffer, of which the device has nothing now.
            unsafe { self.at(at).write_volatile(byte) };
        }
        let piece = |at: usize, len: u32, is_writable| Piece {
            addr: self.buffer.addr() + at as PhysAddr,
            len,
            is_writable,
            frame: None,
        };
        let (header, ack) = (piece(0, 2, false), piece(ACK_AT, 1, true));
        let added = match data {
            Some(_) => self.queue.add(&[header, piece(2, 2, false), ack]),
            None => self.queue.add(&[header, ack]),
        };
        (self.under_way, self.looks) = (Some(command), 0);
        if added.is_ok() && self.queue.publish() {
            self.doorbell.kick();
        }
    }

    /// Looks for the answer; once, and then never again.
    pub(crate) fn look(&mut self) -> Option<Answer> {
        let command = self.under_way?;
        match self.queue.learn() {
            Ok(0) => {
                self.looks += 1;
                if self.looks < COMMAND_LOOKS_MAX {
                    return None;
                }
                self.is_given_up = true;
            }
            Ok(_) => self.is_given_up = !matches!(self.queue.reap(|_| ()), Ok(Some(_))),
            Err(_) => self.is_given_up = true,
        }
        self.under_way = None;
        if self.is_given_up {
            return Some(Answer::None(command));
        }
        // SAFETY: within the buffer; volatile, because the device has written it.
        let ack = unsafe { self.at(ACK_AT).read_volatile() };
        Some(match ack {
            ACK_OK => Answer::Done(command),
            _ => Answer::Refused(command),
        })
    }

    /// Makes the ring as new. The device has stopped.
    pub(crate) fn reset(&mut self) {
        self.queue.reset(|_| ());
        self.under_way = None;
        self.is_given_up = false;
    }

    /// The device could not be stopped: what it may write to is never freed.
    pub(crate) fn abandon(&mut self) {
        self.pages.abandon();
        self.buffer.abandon();
    }

    /// `at` is below [`BUFFER_LEN`].
    fn at(&self, at: usize) -> NonNull<u8> {
        // SAFETY: the buffer's pages are longer.
        unsafe { self.buffer.base().add(at) }
    }
}

/// Class and command, two bytes of data, the acknowledgment (virtio 1.2 5.1.6.5).
const BUFFER_LEN: usize = 5;
const ACK_AT: usize = 4;

/// Neither of the two that there are.
const ACK_NONE: u8 = 0xff;
const ACK_OK: u8 = 0;

// virtio 1.2 5.1.6.5.4 and 5.1.6.5.5.
const CLASS_ANNOUNCE: u8 = 3;
const ANNOUNCE_ACK: u8 = 0;
const CLASS_MQ: u8 = 4;
const PAIRS_SET: u8 = 0;
