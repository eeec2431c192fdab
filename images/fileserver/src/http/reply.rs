//! Answers, written. The order of fields is fixed: what every answer has, what it is, how it
//! stays valid, what becomes of the connection.

use crate::site::Representation;

use super::head::HeadWriter;
use super::status::Status;
use super::target::Target;
use super::{Answer, Server};

/// What the request says about the form of its answer.
pub(super) struct Reply {
    pub(super) close: bool,
    pub(super) is_http10: bool,
    pub(super) is_head: bool,
}

impl Reply {
    /// For a request that could not be read.
    pub(super) const CLOSING: Self = Self {
        close: true,
        is_http10: false,
        is_head: false,
    };
}

impl Server {
    /// 200 and the file.
    pub(super) fn file(&self, reply: &Reply, file: &Representation, out: &mut [u8]) -> Answer {
        let mut head = self.start(Status::Ok, out);
        head.put(b"Content-Type: ");
        head.put(file.media.as_bytes());
        head.put(b"\r\nContent-Length: ");
        head.decimal(file.body.len() as u64);
        head.put(b"\r\n");
        put_validators(&mut head, file);
        end(head, reply, Status::Ok, file.body)
    }

    /// 304: the fields of RFC 9110 15.4.5, no body.
    pub(super) fn not_modified(
        &self,
        reply: &Reply,
        file: &Representation,
        out: &mut [u8],
    ) -> Answer {
        let mut head = self.start(Status::NotModified, out);
        put_validators(&mut head, file);
        end(head, reply, Status::NotModified, &[])
    }

    /// 301 to the same path with a slash, the query kept. The path is absolute and normal, so it
    /// cannot lead to another host.
    pub(super) fn redirect(&self, reply: &Reply, target: &Target<'_>, out: &mut [u8]) -> Answer {
        let status = Status::MovedPermanently;
        let mut head = self.start(status, out);
        head.put(b"Location: /");
        put_escaped(&mut head, target.path);
        head.put(b"/");
        // Room for what follows: a query that is too long is not worth an error.
        let query = target
            .query
            .filter(|query| query.len() + TAIL_LEN <= head.room_len());
        if let Some(query) = query {
            head.put(b"?");
            head.put(query);
        }
        head.put(b"\r\n");
        put_page_fields(&mut head, status);
        let answer = end(head, reply, status, status.page());
        if answer.head_len == 0 {
            return self.page(reply, Status::UriTooLong, out);
        }
        answer
    }

    /// A status and its page.
    pub(super) fn page(&self, reply: &Reply, status: Status, out: &mut [u8]) -> Answer {
        let mut head = self.start(status, out);
        match status {
            Status::MethodNotAllowed => head.put(b"Allow: GET, HEAD\r\n"),
            Status::ServiceUnavailable => head.put(b"Retry-After: 1\r\n"),
            _ => {}
        }
        put_page_fields(&mut head, status);
        end(head, reply, status, status.page())
    }

    fn start<'o>(&self, status: Status, out: &'o mut [u8]) -> HeadWriter<'o> {
        let mut head = HeadWriter::new(out);
        head.put(status.line());
        if let Some(date) = &self.date {
            head.put(b"Date: ");
            head.put(date);
            head.put(b"\r\n");
        }
        head
    }
}

/// Content-Type, Content-Length and what [`end`] writes, rounded up.
const TAIL_LEN: usize = 160;

fn put_page_fields(head: &mut HeadWriter<'_>, status: Status) {
    head.put(b"Content-Type: text/html; charset=utf-8\r\nContent-Length: ");
    head.decimal(status.page().len() as u64);
    head.put(b"\r\n");
}

fn put_validators(head: &mut HeadWriter<'_>, file: &Representation) {
    head.put(b"Last-Modified: ");
    head.put(file.validators.as_bytes());
}

/// Ends the head, and says what follows it.
fn end(mut head: HeadWriter<'_>, reply: &Reply, status: Status, body: &'static [u8]) -> Answer {
    // RFC 9112 9.3: an old client has to be told that its connection stays.
    match (reply.close, reply.is_http10) {
        (true, _) => head.put(b"Connection: close\r\n\r\n"),
        (false, true) => head.put(b"Connection: keep-alive\r\n\r\n"),
        (false, false) => head.put(b"\r\n"),
    }
    let (head_len, status) = match head.finish() {
        Some(head_len) => (head_len, status),
        None => (0, Status::InternalServerError),
    };
    let body = if reply.is_head || head_len == 0 {
        &[]
    } else {
        body
    };
    Answer {
        consumed: 0,
        head_len,
        body,
        close: reply.close || head_len == 0,
        status,
    }
}

/// Percent-encodes all but what RFC 3986 allows in a path.
fn put_escaped(head: &mut HeadWriter<'_>, path: &[u8]) {
    for &byte in path {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte) {
            head.put(&[byte]);
        } else {
            let digit = |value: u8| b"0123456789ABCDEF".get(usize::from(value)).copied();
            let (high, low) = (digit(byte >> 4), digit(byte & 15));
            head.put(&[b'%', high.unwrap_or(b'0'), low.unwrap_or(b'0')]);
        }
    }
}
