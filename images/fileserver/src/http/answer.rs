//! From a request to its answer: what is asked for, in which form, on which conditions.

use super::accept;
use super::chunked::Chunks;
use super::conditions::{self, Verdict};
use super::exchange::{Answer, Exchange, State};
use super::range::{self, Parts, Wanted};
use super::reply::Reply;
use super::request::{Body, Method, Request};
use super::server::Server;
use super::target::{RawTarget, Room};
use crate::message::Status;
use crate::site::File;

/// Where an answer is written: its head, and its parts when it has several.
pub(super) struct Out<'o> {
    pub(super) head: &'o mut [u8],
    pub(super) parts: Option<&'o mut Parts>,
}

impl Server {
    pub(super) fn answer(
        &self,
        exchange: &mut Exchange,
        request: &Request<'_, '_>,
        out: Out<'_>,
    ) -> Answer {
        exchange.answered_cnt = exchange.answered_cnt.saturating_add(1);
        let next = self.state_behind(request.body);
        let is_answered = matches!(request.method, Method::Get | Method::Head | Method::Options);
        let has_body = next != Some(State::HEAD);
        let is_last = exchange.answered_cnt >= self.limits.requests_max
            || !request.keeps_alive
            // Behind it the bytes may be body or not: nothing after them can be trusted.
            || request.method == Method::Connect
            // RFC 9110 10.1.1: an error in place of 100, and the body may come or not.
            || (request.fields.expects_continue && has_body && !is_answered);
        let reply = Reply {
            close: is_last || next.is_none(),
            is_http10: request.is_http10,
            is_head: request.method == Method::Head,
            is_waiting: request.fields.expects_continue && has_body && is_answered && !is_last,
        };
        let answer = match next {
            None => self.page(
                &Reply {
                    is_waiting: false,
                    ..reply
                },
                Status::ContentTooLarge,
                out.head,
            ),
            Some(_) if !is_answered => self.page(&reply, Status::MethodNotAllowed, out.head),
            Some(_) => self.answer_target(request, reply, out),
        };
        exchange.state = match (answer.close, next) {
            (false, Some(next)) => next,
            _ => State::Closed,
        };
        Answer {
            consumed: request.head_len,
            ..answer
        }
    }

    /// What is expected behind a head; `None` when the body is larger than allowed.
    #[inline]
    fn state_behind(&self, body: Body) -> Option<State> {
        match body {
            Body::Length(0) => Some(State::HEAD),
            Body::Length(len) => {
                let left = u32::try_from(len).ok();
                let left = left.filter(|left| *left <= self.limits.body_len_max)?;
                Some(State::Body { left })
            }
            Body::Chunked => Some(State::Chunked(Chunks::new(self.limits.body_len_max))),
        }
    }

    fn answer_target(&self, request: &Request<'_, '_>, mut reply: Reply, out: Out<'_>) -> Answer {
        // RFC 9110 9.3.7: the server as a whole.
        if request.method == Method::Options && request.target == b"*" {
            return self.options(&reply, &[], out.head);
        }
        let (status, head) = match RawTarget::parse(request.target) {
            Ok(raw) => match raw.as_normal() {
                Some(target) => return self.answer_path(request, &target, &reply, out),
                None => match self.answer_odd_target(request, &raw, &reply, out) {
                    Ok(answer) => return answer,
                    Err(refusal) => refusal,
                },
            },
            Err(status) => (status, out.head),
        };
        reply.close = true;
        reply.is_waiting = false;
        self.page(&reply, status, head)
    }

    /// The same for a target with escapes or dot segments: apart, for the memory that it takes.
    #[inline(never)]
    fn answer_odd_target<'o>(
        &self,
        request: &Request<'_, '_>,
        raw: &RawTarget<'_>,
        reply: &Reply,
        out: Out<'o>,
    ) -> Result<Answer, (Status, &'o mut [u8])> {
        let mut room = Room::new();
        match raw.normalize(&mut room) {
            Ok(target) => Ok(self.answer_path(request, &target, reply, out)),
            Err(status) => Err((status, out.head)),
        }
    }

    /// A file: RFC 9110 13.2.1, the conditions count for what would be 200.
    pub(super) fn answer_file(
        &self,
        request: &Request<'_, '_>,
        file: &File,
        reply: &Reply,
        out: Out<'_>,
    ) -> Answer {
        if request.method == Method::Options {
            return self.options(reply, file.identity().head.own(), out.head);
        }
        let Some(chosen) = accept::choose(request, &self.site, file) else {
            return self.page(reply, Status::NotAcceptable, out.head);
        };
        match conditions::evaluate(request, &chosen) {
            Verdict::Proceed => {}
            Verdict::NotModified => return self.not_modified(reply, &chosen, out.head),
            Verdict::Failed => return self.page(reply, Status::PreconditionFailed, out.head),
        }
        // RFC 9110 14.2: ranges are for GET.
        let Some(value) = request.fields.range.filter(|_| !reply.is_head) else {
            return self.file(reply, &chosen, out.head);
        };
        if !conditions::range_counts(request, &chosen) {
            return self.file(reply, &chosen, out.head);
        }
        let Out { head, mut parts } = out;
        match (range::read(value, &chosen, parts.as_deref_mut()), parts) {
            (Wanted::One(range), _) => self.partial(reply, &chosen, range, head),
            (Wanted::Nothing, _) => self.unsatisfiable(reply, &chosen, head),
            (Wanted::Several, Some(parts)) => self.multipart(reply, &chosen, parts, head),
            // RFC 9110 14.2: a server may ignore the field.
            (Wanted::Several, None) => Answer {
                lacks_parts: true,
                ..self.file(reply, &chosen, head)
            },
            (Wanted::Whole, _) => self.file(reply, &chosen, head),
        }
    }
}
