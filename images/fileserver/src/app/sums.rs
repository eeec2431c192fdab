//! What is known beforehand: the sums of the site's bytes, so that bodies need not be read to be
//! sent, and requests that have come before, so that they need not be read to be answered.

use simoom::tcp::SendError;
use simoom::{Body, Sums};

use super::{Client, Connection, FileServer};
use crate::http::{Known, Step};

impl Client {
    /// Whether nothing is under way but what is queued.
    #[inline]
    fn is_at_rest(&self) -> bool {
        self.parts.is_none() && self.scratch.is_none() && self.gather.is_empty() && !self.is_closing
    }
}

impl FileServer {
    /// Says where the sums of the site's bytes are, for a port that leaves checksums to the stack.
    pub fn set_sums(&mut self, sums: Option<&'static Sums>) {
        self.sums = sums;
        self.known.set_sums(sums);
    }

    /// Keeps requests in `known`. Without, each is read.
    pub fn set_known(&mut self, known: Known) {
        self.known = known;
        self.known.set_sums(self.sums);
    }

    /// Answers a request that is known, where nothing else comes with it. How many bytes were
    /// taken; `None`, with nothing done, for any other.
    #[inline]
    pub(super) fn answer_known(
        &mut self,
        conn: &mut Connection<'_, '_>,
        client: &mut Client,
        bytes: &[u8],
    ) -> Option<usize> {
        let is_usual = client.is_at_rest() && conn.now() < self.date_until;
        if !is_usual {
            return None;
        }
        let (idx, known) = self.server.known(&self.known, &client.exchange, bytes)?;
        if known.len() != bytes.len() {
            return None;
        }
        let (date, mut head_len) = (self.server.date_lines(), 0);
        let write = |room: &mut [u8]| {
            head_len = known.prepared().write(date, room)?;
            Some(head_len)
        };
        let body = Body::summed(known.prepared().body, self.sums);
        let sum = known.sum(self.server.head_end_sum(known.prepared().closes));
        match conn.send_answer(write, body, sum) {
            Ok(()) => {}
            // No frame for a head now. The stack asks again.
            Err(SendError::NoFrame | SendError::Full) => return Some(0),
            Err(_) => return None,
        }
        let answer = known.answer(head_len);
        client.exchange.count_prepared(answer.close);
        self.count(client, &answer);
        if self.log.is_on() {
            self.write_down_known(conn, idx, &answer);
        }
        client.offered_len = 0;
        self.begin_sending(conn, client);
        if answer.close {
            self.close(conn, client);
        }
        Some(bytes.len())
    }

    pub(super) fn respond(&mut self, client: &mut Client, bytes: &[u8], head: &mut [u8]) -> Step {
        let exchange = &mut client.exchange;
        let parts = self.parts.vacant();
        match self.scratches.memory(client.scratch.as_ref()) {
            None => {
                let known = &mut self.known;
                self.server
                    .respond_known(known, exchange, bytes, head, parts)
            }
            Some(scratch) => {
                let gather = &mut client.gather;
                self.server
                    .respond_gathered(exchange, gather, scratch, bytes, head, parts)
            }
        }
    }
}
