//! Our stack's ends of the exchanges: one application for both roles.

use super::exchange::{Op, Request, Work};
use simoom::tcp::{App, Closed, Conn, ConnId};

/// How our connections are kept from congesting the wire.
pub(crate) type Control = simoom::tcp::cc::Chosen;

/// The state of a connection.
pub(crate) enum Side {
    /// We answer.
    Server(Server),
    /// We ask.
    Client(Client),
}

/// What an answering connection is at.
#[derive(Default)]
pub(crate) struct Server {
    /// The request, as far as it has come.
    request: [u8; Request::LEN],
    request_len: usize,
    /// Content that comes in, and how much of it was right.
    put: Option<(&'static [u8], usize)>,
}

/// What an asking connection is at.
pub(crate) struct Client {
    work: Work,
    /// Exchanges done.
    done: u32,
    /// Bytes of the current answer that have come.
    got: usize,
}

impl Client {
    pub(crate) fn new(work: Work) -> Self {
        Self {
            work,
            done: 0,
            got: 0,
        }
    }

    fn request(&self) -> Request {
        self.work.request(self.done)
    }
}

/// The application.
#[derive(Default)]
pub(crate) struct Peer {
    /// What came of our own asking.
    pub(crate) asked: Option<Result<(), String>>,
}

impl Peer {
    fn serve(&mut self, conn: &mut Conn<'_, '_, Control>, server: &mut Server, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if let Some((body, right)) = &mut server.put {
                let due = body.get(*right..).unwrap_or_default();
                let (due, got) = same_len(due, bytes);
                if due != got {
                    return conn.abort();
                }
                *right += got.len();
                bytes = bytes.get(got.len()..).unwrap_or_default();
                if *right == body.len() {
                    let receipt = Request::receipt(*right);
                    server.put = None;
                    if conn.send(&receipt).is_err() {
                        return conn.abort();
                    }
                }
                continue;
            }
            let room = server.request.get_mut(server.request_len..);
            let room = room.unwrap_or_default();
            let len = room.len().min(bytes.len());
            let (now, later) = bytes.split_at(len);
            room.split_at_mut(len).0.copy_from_slice(now);
            bytes = later;
            server.request_len += len;
            if server.request_len == Request::LEN {
                server.request_len = 0;
                let is_taken = match Request::from_bytes(server.request) {
                    Ok(request) if request.op == Op::Put => {
                        server.put = Some((request.body(), 0));
                        true
                    }
                    Ok(request) => conn.send_body(request.body()).is_ok(),
                    Err(_) => false,
                };
                if !is_taken {
                    return conn.abort();
                }
            }
        }
    }

    /// Asks for the next exchange, or is done.
    fn ask(&mut self, conn: &mut Conn<'_, '_, Control>, client: &Client) {
        if client.done == client.work.times {
            self.asked = Some(Ok(()));
            return conn.close();
        }
        let request = client.request();
        let mut sent = conn.send(&request.to_bytes());
        if request.op == Op::Put {
            sent = sent.and_then(|()| conn.send_body(request.body()));
        }
        if let Err(error) = sent {
            self.fail(conn, format!("sending a request: {error}"));
        }
    }

    fn check(&mut self, conn: &mut Conn<'_, '_, Control>, client: &mut Client, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let request = client.request();
            let receipt = Request::receipt(request.body().len());
            let answer = match request.op {
                Op::Get => request.body(),
                Op::Put => &receipt[..],
            };
            let due = answer.get(client.got..).unwrap_or_default();
            let (due, got) = same_len(due, bytes);
            if got.is_empty() || due != got || client.done == client.work.times {
                let place = format!("exchange {}, after {} bytes", client.done, client.got);
                return self.fail(conn, format!("a wrong byte: {place}"));
            }
            client.got += got.len();
            bytes = bytes.get(got.len()..).unwrap_or_default();
            if client.got == answer.len() {
                client.got = 0;
                client.done += 1;
                self.ask(conn, client);
            }
        }
    }

    fn fail(&mut self, conn: &mut Conn<'_, '_, Control>, why: String) {
        self.asked = Some(Err(why));
        conn.abort();
    }
}

/// As much of both as there is of the shorter one.
fn same_len<'a>(due: &'a [u8], got: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    let len = due.len().min(got.len());
    (due.split_at(len).0, got.split_at(len).0)
}

impl App for Peer {
    type Conn = Side;
    type Congestion = Control;

    fn accepted(&mut self, conn: &mut Conn<'_, '_, Control>) -> Side {
        conn.set_nodelay(true);
        Side::Server(Server::default())
    }

    fn connected(&mut self, conn: &mut Conn<'_, '_, Control>, side: &mut Side) {
        if let Side::Client(client) = side {
            conn.set_nodelay(true);
            self.ask(conn, client);
        }
    }

    fn received(
        &mut self,
        conn: &mut Conn<'_, '_, Control>,
        side: &mut Side,
        bytes: &[u8],
    ) -> usize {
        match side {
            Side::Server(server) => self.serve(conn, server, bytes),
            Side::Client(client) => self.check(conn, client, bytes),
        }
        bytes.len()
    }

    fn closed(&mut self, _id: ConnId, side: Side, why: Closed) {
        if matches!(side, Side::Client(_)) && self.asked.is_none() {
            self.asked = Some(Err(why.to_string()));
        }
    }
}
