//! How two processes meet: a socket at a path, over which they hand each other their memory.
//!
//! ```text
//!   first: bind, listen                          second: connect
//!   accept, map, check  ◄─────────────────────── hello: memory, event, control page
//!   hello: memory, event ──────────────────────► map, check
//! ```
//!
//! Nobody waits: an end works, with its link down, until the other's hello is there.

use std::fs;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::vec::Vec;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd, poll};
use rustix::fs::{SealFlags, fcntl_get_seals, fstat};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::HDR_LEN;
use super::control::{CONTROL_LEN, Control};
use super::peer::Peer;
use crate::hosts::memory::Mapping;
use crate::hosts::undo::{self, Undo};
use crate::hosts::{OpenError, Wake};

/// The place where ends meet, as one of them has it.
pub(super) struct Meeting {
    /// Of the first.
    listener: Option<UnixListener>,
    _undo: Option<Undo>,
    /// Who has not said hello yet; and the control page, if it is ours.
    greeted: Option<(UnixStream, Option<Control>)>,
    /// Our memory, to be handed over, and what wakes us.
    memory: OwnedFd,
    event: OwnedFd,
    /// What the loop polls: the event, and sockets.
    epoll: OwnedFd,
}

/// What a look at the socket has found.
pub(super) enum Met {
    /// Nothing new.
    Nobody,
    /// The other end.
    Peer(Peer),
    /// Someone who is none.
    Stranger,
}

impl Meeting {
    /// Connects to whoever listens at a path, or listens there. With what to poll, and a line for a
    /// person.
    pub(super) fn at(path: &Path, memory: OwnedFd) -> Result<(Self, Wake, String), OpenError> {
        let failed = |error: io::Error| OpenError::of(path.display().to_string(), NEEDED, error);
        for _ in 0..ATTEMPTS {
            match UnixStream::connect(path) {
                Ok(stream) => return Self::second(path, stream, memory),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                // Whoever listened there is no more.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    fs::remove_file(path).map_err(failed)?;
                }
                Err(error) => return Err(failed(error)),
            }
            match UnixListener::bind(path) {
                Ok(listener) => return Self::first(path, listener, memory),
                // Someone was quicker.
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Err(OpenError::InUse {
            name: path.display().to_string(),
            by: None,
        })
    }

    fn first(
        path: &Path,
        listener: UnixListener,
        memory: OwnedFd,
    ) -> Result<(Self, Wake, String), OpenError> {
        let failed = |error: io::Error| OpenError::of(path.display().to_string(), NEEDED, error);
        let removed: PathBuf = path.to_path_buf();
        let undo = undo::later(move || {
            // It may have been removed by someone else.
            let _ = fs::remove_file(removed);
        });
        listener.set_nonblocking(true).map_err(failed)?;
        let (event, epoll) = sleepers().map_err(failed)?;
        watch(&epoll, &listener).map_err(failed)?;
        let wake = Wake::new(epoll.try_clone().map_err(failed)?);
        let meeting = Self {
            listener: Some(listener),
            _undo: Some(undo),
            greeted: None,
            memory,
            event,
            epoll,
        };
        Ok((meeting, wake, "listening for the other end".to_string()))
    }

    fn second(
        path: &Path,
        stream: UnixStream,
        memory: OwnedFd,
    ) -> Result<(Self, Wake, String), OpenError> {
        let failed = |error: io::Error| OpenError::of(path.display().to_string(), NEEDED, error);
        let page = Mapping::shared(CONTROL_LEN)?;
        let (event, epoll) = sleepers().map_err(failed)?;
        let shown = page.fd().expect("a file is mapped");
        let in_use = || OpenError::InUse {
            name: path.display().to_string(),
            by: None,
        };
        send(&stream, 0, &[memory.as_fd(), event.as_fd(), shown]).map_err(|error| {
            match error.kind() {
                // The first end has hung up before we could say who we are.
                ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => in_use(),
                _ => failed(error),
            }
        })?;
        stream.set_nonblocking(true).map_err(failed)?;
        // Whoever has another end already hangs up; who is busy answers later.
        let mut fds = [PollFd::new(&stream, PollFlags::IN)];
        let _ = poll(&mut fds, Some(&PATIENCE));
        if fds[0].revents().contains(PollFlags::IN) && !has_bytes(&stream) {
            return Err(in_use());
        }
        watch(&epoll, &stream).map_err(failed)?;
        let wake = Wake::new(epoll.try_clone().map_err(failed)?);
        let control = Control::new(page.into_region(), 1);
        let meeting = Self {
            listener: None,
            _undo: None,
            greeted: Some((stream, Some(control))),
            memory,
            event,
            epoll,
        };
        Ok((meeting, wake, "connected to the other end".to_string()))
    }

    pub(super) fn is_first(&self) -> bool {
        self.listener.is_some()
    }

    /// Whether someone may come.
    pub(super) fn is_open(&self) -> bool {
        self.listener.is_some()
    }

    /// Whether someone is coming.
    pub(super) fn is_greeting(&self) -> bool {
        self.greeted.is_some()
    }

    /// Nobody can come any more.
    pub(super) fn close(&mut self) {
        (self.listener, self.greeted) = (None, None);
    }

    /// The event is no longer signalled.
    pub(super) fn drain(&self) {
        let _ = rustix::io::read(&self.event, &mut [0; 8]);
    }

    /// Looks who has come or answered. `start` is the slot that the other one reads first.
    pub(super) fn look(&mut self, has_peer: bool, start: u32) -> Met {
        if self.greeted.is_none() {
            let accepted = self.listener.as_ref().map(UnixListener::accept);
            let Some(Ok((stream, _))) = accepted else {
                return Met::Nobody;
            };
            // One at a time: whoever else comes sees the socket close.
            if has_peer || stream.set_nonblocking(true).is_err() {
                return Met::Stranger;
            }
            if watch(&self.epoll, &stream).is_err() {
                return Met::Stranger;
            }
            self.greeted = Some((stream, None));
        }
        let Some((stream, control)) = self.greeted.take() else {
            return Met::Nobody;
        };
        match receive(&stream) {
            Ok(Some(hello)) => {
                let peer = self.answered(stream, control, hello, start);
                peer.map_or(Met::Stranger, Met::Peer)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.greeted = Some((stream, control));
                Met::Nobody
            }
            Ok(None) | Err(_) => Met::Stranger,
        }
    }

    /// Makes an end of what it has said; the first says hello, too.
    fn answered(
        &self,
        stream: UnixStream,
        control: Option<Control>,
        hello: Hello,
        start: u32,
    ) -> Option<Peer> {
        let mut fds = hello.fds.into_iter();
        let (memory, event, page) = (fds.next()?, fds.next()?, fds.next());
        let control = match control {
            Some(ours) => ours,
            None => {
                let page = page.filter(|page| sealed_len(page) == Some(CONTROL_LEN))?;
                Control::new(Mapping::of(page, CONTROL_LEN).ok()?.into_region(), 0)
            }
        };
        let len = sealed_len(&memory)?;
        let memory = Mapping::to_read(memory, len).ok()?;
        if self.is_first() {
            send(&stream, start, &[self.memory.as_fd(), self.event.as_fd()]).ok()?;
        }
        Peer::new(stream, event, control, memory, hello.start)
    }
}

/// What is said in both directions.
struct Hello {
    start: u32,
    fds: Vec<OwnedFd>,
}

/// An event of our own, in what the loop polls.
fn sleepers() -> io::Result<(OwnedFd, OwnedFd)> {
    let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    watch(&epoll, &event)?;
    Ok((event, epoll))
}

fn watch(epoll: &OwnedFd, fd: impl AsFd) -> io::Result<()> {
    let data = epoll::EventData::new_u64(0);
    Ok(epoll::add(epoll, fd, data, epoll::EventFlags::IN)?)
}

/// Whether the other process is there: it says nothing after its hello, and its end is that of its
/// socket.
pub(super) fn is_alive(stream: &UnixStream) -> bool {
    matches!(peeked(stream), Err(Errno::AGAIN | Errno::INTR))
}

/// Whether there is something to be read.
fn has_bytes(stream: &UnixStream) -> bool {
    peeked(stream).is_ok_and(|cnt| cnt > 0)
}

fn peeked(stream: &UnixStream) -> Result<usize, Errno> {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    rustix::net::recv(stream, &mut [0; 1], flags).map(|(_, cnt)| cnt)
}

/// The size of a file that nobody can make smaller under us.
fn sealed_len(fd: &OwnedFd) -> Option<usize> {
    let seals = fcntl_get_seals(fd).ok()?;
    let len = usize::try_from(fstat(fd).ok()?.st_size).ok()?;
    let is_fit = seals.contains(SealFlags::SHRINK) && (1..=LEN_MAX).contains(&len);
    is_fit.then_some(len)
}

fn send(stream: &UnixStream, start: u32, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut bytes = HELLO.to_vec();
    bytes.extend_from_slice(&u32::from(HDR_LEN).to_ne_bytes());
    bytes.extend_from_slice(&start.to_ne_bytes());
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let is_pushed = control.push(SendAncillaryMessage::ScmRights(fds));
    assert!(is_pushed, "there is room for three");
    let flags = SendFlags::NOSIGNAL;
    let sent = sendmsg(stream, &[IoSlice::new(&bytes)], &mut control, flags)?;
    match sent == bytes.len() {
        true => Ok(()),
        false => Err(ErrorKind::WriteZero.into()),
    }
}

/// What the other says first; `None` when that is no hello of ours.
fn receive(stream: &UnixStream) -> io::Result<Option<Hello>> {
    let mut bytes = [0; HELLO.len() + 8];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let got = recvmsg(
        stream,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut control,
        flags,
    )?;
    let messages = control.drain();
    let fds = messages.flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => fds.collect::<Vec<_>>(),
        _ => Vec::new(),
    });
    let fds: Vec<_> = fds.collect();
    if got.bytes == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let expected = [HELLO, &u32::from(HDR_LEN).to_ne_bytes()].concat();
    let (first, start) = bytes.split_at(expected.len());
    let start = start.try_into().map(u32::from_ne_bytes);
    Ok(start
        .ok()
        .filter(|_| got.bytes == bytes.len() && first == expected)
        .map(|start| Hello { start, fds }))
}

const HELLO: &[u8] = b"simoom pipe 1\n";
const NEEDED: &str = "the right to write to its folder";
/// Two that come at once each see the other's socket at their second try at the latest.
const ATTEMPTS: usize = 4;
/// How long to wait for an answer that may come later.
const PATIENCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};
/// Bytes of the other's region at most: above all that a port can ask for.
const LEN_MAX: usize = 1 << 40;
