//! A client on our own stack: many connections at once, files by turns, every byte compared.

use std::net::Ipv4Addr;

use simoom::iface::Setup;
use simoom::tcp::cc::Cubic;
use simoom::tcp::{App, Closed, Conn, ConnId, Settings};
use simoom::{Cidr, Endpoint, Instant, Polled, Stack};
use simoom_netmap::Host;
use simoom_netmap::hosts::Started;
use simoom_platform::linux::Leaked;
use simoom_platform::net::Sizes;
use simoom_ring::Port;

use super::sites::File;

/// Connections at once.
pub(crate) const CONNS: usize = 100;
/// Frames beside the rings, and room for the connections.
pub(crate) const SIZES: Sizes = Sizes::with(8_192, 1_024);

/// Fetches files.
pub(crate) struct Fetcher {
    files: Vec<File>,
    next: usize,
    established: usize,
    fetched: usize,
    open: usize,
    pub(crate) faults: Vec<String>,
}

/// A connection's part of it.
#[derive(Default)]
pub(crate) struct Fetch {
    file: Option<usize>,
    head: Vec<u8>,
    at: usize,
}

impl Fetcher {
    /// Asks for the next file, or ends the connection.
    fn ask(&mut self, conn: &mut Conn<'_, '_, Cubic>, fetch: &mut Fetch) {
        *fetch = Fetch::default();
        let Some(File { path, .. }) = self.files.get(self.next) else {
            return conn.close();
        };
        let request = format!("GET /{path} HTTP/1.1\r\nHost: pipe\r\n\r\n");
        match conn.send(request.as_bytes()) {
            Ok(()) => fetch.file = Some(self.next),
            Err(error) => self.faults.push(format!("{path}: {error}")),
        }
        self.next += 1;
    }

    /// Compares what has come; how much was taken.
    fn compare(&mut self, fetch: &mut Fetch, bytes: &[u8]) -> usize {
        let Some(file) = fetch.file.and_then(|idx| self.files.get(idx)) else {
            self.faults.push("bytes that nobody asked for".to_owned());
            return bytes.len();
        };
        let mut taken = 0;
        while !fetch.head.ends_with(b"\r\n\r\n") {
            let Some(byte) = bytes.get(taken) else {
                return taken;
            };
            fetch.head.push(*byte);
            taken += 1;
            if fetch.head.ends_with(b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&fetch.head).to_lowercase();
                let length = format!("content-length: {}\r\n", file.bytes.len());
                if !head.starts_with("http/1.1 200 ") || !head.contains(&length) {
                    self.faults.push(format!("{}: {head}", file.path));
                }
            }
        }
        let rest = &file.bytes[fetch.at..];
        let len = rest.len().min(bytes.len() - taken);
        if rest[..len] != bytes[taken..taken + len] {
            self.faults.push(format!("{}: at {}", file.path, fetch.at));
        }
        fetch.at += len;
        taken + len
    }
}

impl App for Fetcher {
    type Conn = Fetch;
    type Congestion = Cubic;

    fn accepted(&mut self, _: &mut Conn<'_, '_, Cubic>) -> Fetch {
        unreachable!("nobody listens")
    }

    fn connected(&mut self, _: &mut Conn<'_, '_, Cubic>, _: &mut Fetch) {
        self.established += 1;
    }

    fn received(
        &mut self,
        conn: &mut Conn<'_, '_, Cubic>,
        fetch: &mut Fetch,
        bytes: &[u8],
    ) -> usize {
        let taken = self.compare(fetch, bytes);
        let file = fetch.file.and_then(|idx| self.files.get(idx));
        let is_whole = file.is_some_and(|file| fetch.at == file.bytes.len());
        if is_whole && fetch.head.ends_with(b"\r\n\r\n") {
            self.fetched += 1;
            self.ask(conn, fetch);
        }
        taken
    }

    fn closed(&mut self, _: ConnId, fetch: Fetch, why: Closed) {
        self.open -= 1;
        if let Some(File { path, .. }) = fetch.file.and_then(|idx| self.files.get(idx)) {
            self.faults.push(format!("{path}: {why} at {}", fetch.at));
        }
    }
}

/// A client's machine.
pub(crate) struct Browser<H: Host + 'static> {
    pub(crate) started: Started<H>,
    stack: Stack<'static, Fetcher>,
    pub(crate) fetcher: Fetcher,
    ids: Vec<ConnId>,
    has_asked: bool,
}

impl<H: Host + 'static> Browser<H> {
    /// A client that will fetch `files`.
    pub(crate) fn new(mut started: Started<H>, addr: Ipv4Addr, files: Vec<File>) -> Self {
        let Ok(storage) = SIZES.storage(&mut Leaked);
        let mut stack = Stack::new(Setup {
            pool: started.pool,
            caps: started.port.caps(),
            mac: started.port.mac(),
            storage,
            tcp: Settings::default(),
            seed: 42,
            now: Instant::ZERO,
        });
        stack.configure(Cidr::new(addr, 24).expect("24 bits"), None);
        stack.set_link(started.port.link(), Instant::ZERO);
        Self {
            started,
            stack,
            fetcher: Fetcher {
                files,
                next: 0,
                established: 0,
                fetched: 0,
                open: 0,
                faults: Vec::new(),
            },
            ids: Vec::new(),
            has_asked: false,
        }
    }

    /// Opens connections, no more than there are files.
    pub(crate) fn connect(&mut self, now: Instant, remote: Endpoint) {
        for _ in 0..CONNS.min(self.fetcher.files.len()) {
            let id = self.stack.connect(now, remote, Fetch::default());
            self.ids.push(id.expect("room"));
            self.fetcher.open += 1;
        }
    }

    /// Polls until there is nothing left to do now. Nobody asks before all are connected.
    pub(crate) fn step(&mut self, now: Instant) {
        let Self {
            started,
            stack,
            fetcher,
            ids,
            has_asked,
        } = self;
        stack.set_link(started.port.link(), now);
        while stack.poll(now, &mut started.queue, fetcher) == Polled::Busy {}
        if !*has_asked && !ids.is_empty() && fetcher.established == ids.len() {
            *has_asked = true;
            for id in ids {
                stack.with_conn(now, *id, |conn, fetch| {
                    fetcher.ask(conn, fetch.expect("connected"));
                });
            }
            while stack.poll(now, &mut started.queue, fetcher) == Polled::Busy {}
        }
    }

    /// When something is to be done if nothing comes in.
    pub(crate) fn poll_at(&self, now: Instant) -> Instant {
        self.stack.poll_at(now)
    }

    /// Whether all connections have ended.
    pub(crate) fn is_done(&self) -> bool {
        self.has_asked && self.fetcher.open == 0 && self.stack.levels().conns == 0
    }

    /// Every file is there, and every frame home.
    pub(crate) fn end(self) {
        let Self {
            started,
            stack,
            fetcher,
            ..
        } = self;
        assert_eq!(fetcher.faults, Vec::<String>::new());
        assert_eq!(fetcher.fetched, fetcher.files.len());
        drop(stack);
        drop(started.queue);
        assert!(started.pool.all_home(), "{:?}", started.pool);
        drop(started.port.close(started.pool).expect("its own pool"));
    }
}
