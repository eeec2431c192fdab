//! Linux's ends of the exchanges: plain blocking sockets in a namespace.

use super::exchange::{Op, Request, Work};
use super::netns::Netns;
use super::{PORT, STALL_MAX, addr};
use anyhow::{Context, Result, bail};
use rustix::net::{Shutdown, shutdown};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A server in a namespace. It ends when dropped.
pub(crate) struct LinuxServer {
    listener: Arc<TcpListener>,
    current: Arc<Mutex<Option<TcpStream>>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl LinuxServer {
    /// Listens in the namespace.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn start(netns: &Netns, n: u8) -> Result<Self> {
        let listener = netns.run(move || {
            TcpListener::bind((addr(n), PORT)).with_context(|| format!("listening at {}", addr(n)))
        })?;
        let listener = Arc::new(listener);
        let current: Arc<Mutex<Option<TcpStream>>> = Arc::default();
        let thread = {
            let (listener, current) = (Arc::clone(&listener), Arc::clone(&current));
            thread::spawn(move || {
                while let Ok((stream, _)) = listener.accept() {
                    *lock(&current) = stream.try_clone().ok();
                    // The client sees what is missing, and says so.
                    let _ = serve(stream);
                    *lock(&current) = None;
                }
            })
        };
        Ok(Self {
            listener,
            current,
            thread: Some(thread),
        })
    }
}

impl Drop for LinuxServer {
    fn drop(&mut self) {
        // Wakes `accept` first, then whatever waits on the connection.
        let _ = shutdown(&*self.listener, Shutdown::Both);
        if let Some(stream) = lock(&self.current).take() {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(current: &Mutex<Option<TcpStream>>) -> std::sync::MutexGuard<'_, Option<TcpStream>> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers all requests of a connection.
fn serve(mut stream: TcpStream) -> Result<()> {
    prepare(&stream)?;
    let mut bytes = [0; Request::LEN];
    while stream.read_exact(&mut bytes).is_ok() {
        let request = Request::from_bytes(bytes)?;
        match request.op {
            Op::Get => stream.write_all(request.body())?,
            Op::Put => {
                let right = read_and_compare(&mut stream, request.body())?;
                stream.write_all(&Request::receipt(right))?;
            }
        }
    }
    Ok(())
}

/// Does the work from a thread in the namespace against `remote`; how long it took, from the first
/// connect to the last byte.
///
/// # Errors
/// No connection, a wrong or missing byte.
pub(crate) fn ask(remote: SocketAddr, work: Work) -> Result<Duration> {
    let started = Instant::now();
    let mut kept = None;
    for n in 0..work.times {
        let mut stream = match kept.take() {
            Some(stream) => stream,
            None => connect(remote).with_context(|| format!("connection {n}"))?,
        };
        let request = work.request(n);
        exchange(&mut stream, request).with_context(|| format!("exchange {n}"))?;
        kept = work.is_kept.then_some(stream);
    }
    Ok(started.elapsed())
}

/// Connects; and how long that took.
///
/// # Errors
/// What the kernel says.
pub(super) fn connect_timed(remote: SocketAddr) -> Result<(TcpStream, Duration)> {
    let started = Instant::now();
    let stream = connect(remote)?;
    Ok((stream, started.elapsed()))
}

fn connect(remote: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&remote, STALL_MAX)?;
    prepare(&stream)?;
    Ok(stream)
}

/// Sends at once, and does not wait for ever.
///
/// # Errors
/// What the kernel says.
pub(super) fn prepare(stream: &TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(STALL_MAX))?;
    stream.set_write_timeout(Some(STALL_MAX))?;
    Ok(())
}

/// Asks for one exchange, and compares.
///
/// # Errors
/// A wrong or missing byte.
pub(super) fn exchange(stream: &mut TcpStream, request: Request) -> Result<()> {
    stream.write_all(&request.to_bytes())?;
    match request.op {
        Op::Get => {
            let len = request.body().len();
            let right = read_and_compare(stream, request.body())?;
            if right != len {
                bail!("byte {right} of {len} is wrong or missing");
            }
        }
        Op::Put => {
            stream.write_all(request.body())?;
            let mut receipt = [0; Request::LEN];
            stream.read_exact(&mut receipt).context("the receipt")?;
            if receipt != Request::receipt(request.body().len()) {
                bail!("the far side had other bytes: {receipt:02x?}");
            }
        }
    }
    Ok(())
}

/// Reads as many bytes as there are in `expected`; how many were right before the first that was
/// not, or before the end.
fn read_and_compare(stream: &mut TcpStream, expected: &[u8]) -> Result<usize> {
    let mut bytes = vec![0; READ_LEN_MAX];
    let mut right = 0;
    while let Some(left) = expected.get(right..).filter(|left| !left.is_empty()) {
        let room = bytes.get_mut(..left.len().min(READ_LEN_MAX));
        let len = stream
            .read(room.unwrap_or_default())
            .with_context(|| format!("after {right} bytes"))?;
        let (got, due) = (bytes.get(..len), left.get(..len));
        if len == 0 || got != due {
            return Ok(right);
        }
        right += len;
    }
    Ok(right)
}

const READ_LEN_MAX: usize = 1 << 16;
