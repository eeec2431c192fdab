//! How long a connection may do nothing, or little.
//!
//! ```text
//!   accepted ─ first byte? ─► head ─ whole? ─► answer ─ taken? ─► idle ─ next byte? ─► head ...
//!                  60 s              10 s            100 bytes/s          60 s
//! ```
//!
//! A connection is looked at every few seconds ([`Bounds::look`]), never for each request: a
//! request costs no timer. So a time may be longer by that much. When frames are short nobody is
//! waited for, see [`FileServer::ends_for_frames`].

use simoom::{Duration, Instant};

use super::{Client, Connection, FileServer};
use crate::http::Status;

/// How long a head may take when frames are short, and when one that came in parts is looked at.
const HEAD_PATIENCE: Duration = Duration::from_secs(1);

/// Milliseconds, modulo 2^32: no time that is kept comes near that.
pub(super) fn millis(at: Instant) -> u32 {
    // The upper bits are of no use.
    (at.as_micros() / 1_000) as u32
}

/// Bytes that the far side has acknowledged, modulo 2^32: only differences count.
fn acked(conn: &Connection<'_, '_>) -> u32 {
    conn.status().bytes_acked as u32
}

/// What is left of `time`; `None` when it is over.
fn left(since_ms: u32, now: Instant, time: Duration) -> Option<Duration> {
    let passed_ms = u64::from(millis(now).wrapping_sub(since_ms));
    let left_ms = time.as_millis().checked_sub(passed_ms);
    left_ms.filter(|left| *left > 0).map(Duration::from_millis)
}

impl FileServer {
    /// The connection begins something.
    pub(super) fn begin(&self, conn: &mut Connection<'_, '_>, client: &mut Client) {
        client.since_ms = millis(conn.now());
    }

    /// A part of a head has come.
    pub(super) fn begin_head(&self, conn: &mut Connection<'_, '_>, client: &mut Client) {
        self.begin(conn, client);
        conn.wake_at(conn.now() + self.bounds.head.min(HEAD_PATIENCE));
    }

    /// An answer was queued.
    pub(super) fn begin_sending(&self, conn: &mut Connection<'_, '_>, client: &mut Client) {
        if !client.is_sending {
            client.is_sending = true;
            self.begin(conn, client);
            client.mark = acked(conn);
        }
    }

    /// Looks at a connection.
    pub(super) fn look(&mut self, conn: &mut Connection<'_, '_>, client: &mut Client) {
        let now = conn.now();
        if conn.unacked_len() > 0 || client.parts.is_some() {
            return self.look_at_sending(conn, client);
        }
        if client.is_closing {
            // The last answer has arrived, and the far side does not close.
            self.counters.lingers_cut += 1;
            return conn.abort();
        }
        if self.ends_for_frames(conn, client) {
            return;
        }
        let is_first = client.exchange.answered_cnt() == 0;
        let time = if client.is_within_head() {
            self.bounds.head
        } else if client.is_sending {
            // It was taken some time since the last look: from now on, at the latest, the
            // connection is idle.
            client.is_sending = false;
            self.begin(conn, client);
            self.bounds.idle
        } else if self.bounds.is_short(self.conn_cnt) {
            self.counters.idle_evicted += 1;
            return conn.abort();
        } else if is_first {
            self.bounds.first_byte
        } else {
            self.bounds.idle
        };
        if let Some(left) = left(client.since_ms, now, time) {
            let soon = match client.is_within_head() {
                true => HEAD_PATIENCE,
                false => self.bounds.look(),
            };
            return conn.wake_at(now + left.min(soon));
        }
        if client.is_within_head() {
            self.counters.heads_slow += 1;
            self.refuse(conn, client, Status::RequestTimeout);
        } else {
            match is_first {
                true => self.counters.first_bytes_slow += 1,
                false => self.counters.idle_closed += 1,
            }
            self.close(conn, client);
        }
    }

    /// Ends a connection that waits for a request, or for more of one, when frames are short. A
    /// part of a head takes a frame: many who never send the rest would take all that there are,
    /// and the stack would tell everybody else to wait. Says whether it did.
    pub(super) fn ends_for_frames(
        &mut self,
        conn: &mut Connection<'_, '_>,
        client: &mut Client,
    ) -> bool {
        if !conn.is_pressed_for_frames() {
            return false;
        }
        // What honest clients send in two segments is whole with the next.
        if client.is_within_head() && left(client.since_ms, conn.now(), HEAD_PATIENCE).is_some() {
            return false;
        }
        self.counters.ended_for_frames += 1;
        // What is still offered of it is not looked at.
        client.is_closing = true;
        conn.abort();
        true
    }

    /// Something is queued that has not been acknowledged.
    fn look_at_sending(&mut self, conn: &mut Connection<'_, '_>, client: &mut Client) {
        let now = conn.now();
        if left(client.since_ms, now, self.bounds.idle).is_none() {
            let taken_len = u64::from(acked(conn).wrapping_sub(client.mark));
            let time_ms = u64::from(millis(now).wrapping_sub(client.since_ms));
            if taken_len * 1_000 < u64::from(self.bounds.rate_min) * time_ms || taken_len == 0 {
                self.counters.sends_slow += 1;
                return conn.abort();
            }
            client.mark = acked(conn);
            self.begin(conn, client);
        }
        conn.wake_at(now + self.bounds.look());
    }
}
