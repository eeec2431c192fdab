//! Answers, written. The order of fields is fixed: what it is, how it stays valid, when it was
//! given, what becomes of the connection.

use super::exchange::Answer;
use super::known::CLOSE_END;
use super::range::{Parts, Range};
use super::server::Server;
use super::target::Target;
use crate::message::date::DATE_LINE_LEN;
use crate::message::{HeadWriter, Status};
use crate::site::{Captures, Redirect, Representation, ToPiece};

/// What the request says about the form of its answer.
pub(super) struct Reply {
    pub(super) close: bool,
    pub(super) is_http10: bool,
    pub(super) is_head: bool,
    /// The client waits for 100 before it sends its body.
    pub(super) is_waiting: bool,
}

impl Reply {
    /// For a request that could not be read.
    pub(super) const CLOSING: Self = Self {
        close: true,
        is_http10: false,
        is_head: false,
        is_waiting: false,
    };
}

impl Server {
    /// 200 and the file.
    #[inline]
    pub(super) fn file(&self, reply: &Reply, file: &Representation, out: &mut [u8]) -> Answer {
        let mut head = begin(reply, out);
        head.put(file.head.whole());
        self.end(head, reply, Status::Ok, file.body)
    }

    /// 206 and one range: RFC 9110 15.3.7.1.
    pub(super) fn partial(
        &self,
        reply: &Reply,
        file: &Representation,
        range: Range,
        out: &mut [u8],
    ) -> Answer {
        let mut head = begin(reply, out);
        head.put(Status::PartialContent.line());
        head.put(b"Content-Length: ");
        head.decimal(range.len());
        head.put(b"\r\n");
        range.put(&mut head, file.body.len() as u64);
        head.put(file.head.behind_length());
        self.end(head, reply, Status::PartialContent, range.of(file.body))
    }

    /// 206 and several ranges, which `parts` has: RFC 9110 15.3.7.2.
    pub(super) fn multipart(
        &self,
        reply: &Reply,
        file: &Representation,
        parts: &mut Parts,
        out: &mut [u8],
    ) -> Answer {
        parts.set_boundary(self.site.boundary(file.tag()));
        let mut head = begin(reply, out);
        head.put(Status::PartialContent.line());
        head.put(b"Content-Length: ");
        head.decimal(parts.content_len());
        head.put(b"\r\nContent-Type: multipart/byteranges; boundary=");
        head.put(parts.boundary());
        head.put(b"\r\n");
        head.put(file.head.behind_type());
        let answer = self.end(head, reply, Status::PartialContent, &[]);
        Answer {
            has_parts: answer.head_len > 0,
            ..answer
        }
    }

    /// 416: RFC 9110 15.5.17.
    pub(super) fn unsatisfiable(
        &self,
        reply: &Reply,
        file: &Representation,
        out: &mut [u8],
    ) -> Answer {
        let status = Status::RangeNotSatisfiable;
        let mut head = begin(reply, out);
        head.put(status.line());
        head.put(b"Content-Range: bytes */");
        head.decimal(file.body.len() as u64);
        head.put(b"\r\n");
        put_page_fields(&mut head, status);
        self.end(head, reply, status, status.page())
    }

    /// 304: the fields of RFC 9110 15.4.5, no body.
    pub(super) fn not_modified(
        &self,
        reply: &Reply,
        file: &Representation,
        out: &mut [u8],
    ) -> Answer {
        let mut head = begin(reply, out);
        head.put(Status::NotModified.line());
        head.put(file.head.since_validators());
        self.end(head, reply, Status::NotModified, &[])
    }

    /// 204: what may be done, with the fields that the site asks for, `own`.
    pub(super) fn options(&self, reply: &Reply, own: &[u8], out: &mut [u8]) -> Answer {
        let mut head = begin(reply, out);
        head.put(Status::NoContent.line());
        head.put(ALLOW);
        head.put(own);
        self.end(head, reply, Status::NoContent, &[])
    }

    /// 301 to the same path with a slash, the query kept. The path is absolute and normal, so it
    /// cannot lead to another host.
    pub(super) fn redirect(&self, reply: &Reply, target: &Target<'_>, out: &mut [u8]) -> Answer {
        let status = Status::MovedPermanently;
        let mut head = begin(reply, out);
        head.put(status.line());
        head.put(b"Location: /");
        head.put_escaped(target.path);
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
        let answer = self.end(head, reply, status, status.page());
        if answer.head_len == 0 {
            return self.page(reply, Status::UriTooLong, out);
        }
        answer
    }

    /// A redirect that the site asks for. What placeholders stand for is written as what stands in
    /// a path, so that it cannot lead to another host than the rule.
    pub(super) fn redirect_by(
        &self,
        reply: &Reply,
        rule: &Redirect,
        captures: &Captures<'_>,
        query: Option<&[u8]>,
        out: &mut [u8],
    ) -> Answer {
        let mut head = begin(reply, out);
        head.put(rule.status.line());
        head.put(b"Location: ");
        rule.expand(captures, |piece| match piece {
            ToPiece::Written(text) => put_ascii(&mut head, text),
            ToPiece::Captured(text) => head.put_escaped(text),
        });
        let takes_query = !rule.has_query() && !rule.has_fragment();
        let query = query.filter(|query| {
            takes_query && !query.is_empty() && query.len() + TAIL_LEN <= head.room_len()
        });
        if let Some(query) = query {
            head.put(b"?");
            head.put(query);
        }
        head.put(b"\r\n");
        put_page_fields(&mut head, rule.status);
        let answer = self.end(head, reply, rule.status, rule.status.page());
        if answer.head_len == 0 {
            return self.page(reply, Status::UriTooLong, out);
        }
        answer
    }

    /// 404 and a page of the site.
    pub(super) fn missing(
        &self,
        reply: &Reply,
        page: &Representation,
        has_variants: bool,
        out: &mut [u8],
    ) -> Answer {
        let mut head = begin(reply, out);
        head.put(Status::NotFound.line());
        head.put(page.head.before_validators());
        if has_variants {
            head.put(b"Vary: Accept-Encoding\r\n");
        }
        head.put(page.head.own());
        self.end(head, reply, Status::NotFound, page.body)
    }

    /// A status and its page.
    pub(super) fn page(&self, reply: &Reply, status: Status, out: &mut [u8]) -> Answer {
        let mut head = begin(reply, out);
        head.put(status.line());
        match status {
            Status::MethodNotAllowed => head.put(ALLOW),
            Status::ServiceUnavailable => head.put(b"Retry-After: 1\r\n"),
            // RFC 9110 12.5.3, and 15.5.7: what was looked at.
            Status::NotAcceptable => head.put(b"Vary: Accept-Encoding\r\n"),
            _ => {}
        }
        put_page_fields(&mut head, status);
        self.end(head, reply, status, status.page())
    }

    /// Ends the head, and says what follows it.
    #[inline]
    fn end(
        &self,
        mut head: HeadWriter<'_>,
        reply: &Reply,
        status: Status,
        body: &'static [u8],
    ) -> Answer {
        if let Some(line) = self
            .date
            .as_ref()
            .and_then(|lines| lines.get(..DATE_LINE_LEN))
        {
            head.put(line);
        }
        // RFC 9112 9.3: an old client has to be told that its connection stays.
        match (reply.close, reply.is_http10) {
            (true, _) => head.put(CLOSE_END),
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
            has_parts: false,
            lacks_parts: false,
            close: reply.close || head_len == 0,
            status,
        }
    }
}

/// The methods of every file: RFC 9110 10.2.1.
const ALLOW: &[u8] = b"Allow: GET, HEAD, OPTIONS\r\n";

/// Content-Type, Content-Length, Date and Connection, rounded up.
const TAIL_LEN: usize = 160;

#[inline]
fn begin<'o>(reply: &Reply, out: &'o mut [u8]) -> HeadWriter<'o> {
    let mut head = HeadWriter::new(out);
    // RFC 9110 10.1.1: the body may come, and the answer that does not depend on it follows.
    if reply.is_waiting {
        head.put(b"HTTP/1.1 100 Continue\r\n\r\n");
    }
    head
}

fn put_page_fields(head: &mut HeadWriter<'_>, status: Status) {
    head.put(b"Content-Type: text/html; charset=utf-8\r\nContent-Length: ");
    head.decimal(status.page().len() as u64);
    head.put(b"\r\n");
}

/// Percent-encodes what is not ASCII.
fn put_ascii(head: &mut HeadWriter<'_>, text: &[u8]) {
    for piece in text.split_inclusive(|byte| !byte.is_ascii()) {
        match piece.split_last() {
            Some((last, front)) if !last.is_ascii() => {
                head.put(front);
                head.put_escaped(&[*last]);
            }
            _ => head.put(piece),
        }
    }
}
