//! Answers go on: between two polls, a few pieces at a time.

use core::fmt::Write;

use simoom::tcp::cc::Chosen;
use simoom::tcp::{App, SendError};
use simoom_platform::net::Round;
use simoom_ring::Queue;

use super::capture::{self, About, Next};
use super::seen::{Seen, Whose};
use super::text::{Text, Written};
use super::view::View;
use super::{Admin, Job, SEATS_MAX, SeatIdx};
use crate::app::FileServer;

/// Bytes of one piece at most, with what makes a chunk of it: what a frame has room for.
const PIECE_LEN: usize = 1_500;

/// `xxxx` and CR LF in front of a chunk, CR LF behind it, and the last chunk (RFC 9112 7.1).
const CHUNK_HEAD: usize = 6;
const CHUNK_END: &[u8] = b"\r\n";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Pieces of one answer between two polls.
const PIECES: usize = 4;

/// What came of a piece.
enum Made {
    /// It is queued.
    Sent,
    /// There was nothing to send, but may be at once: a step was made.
    Step,
    /// Nothing: the application is called when there is room, or a packet.
    Nothing,
}

impl Admin {
    /// Makes the next pieces of all answers that have room for them. True when there is something
    /// to send, or more to make at once.
    #[cold]
    pub(crate) fn go_on<A, Q>(
        &mut self,
        files: &mut FileServer,
        round: &mut Round<'_, A, Q>,
    ) -> bool
    where
        A: App<Conn: Whose, Congestion = Chosen> + 'static,
        Q: Queue<'static>,
    {
        self.has_work = false;
        self.called(round.stack);
        match self.capturing {
            // Whoever read it has gone, or has all of it.
            None => round.capture.borrow_mut().end(),
            Some(idx) if capture::is_due(round.capture) => {
                if let Some(seat) = self.seat(idx) {
                    // Where there is no room, the stack says when there is.
                    seat.has_work |= !seat.is_full;
                }
            }
            Some(_) => {}
        }
        let mut has_sent = false;
        // Fewer than a byte counts.
        for idx in (0..SEATS_MAX as u8).map(SeatIdx) {
            let Some(seat) = self.seat(idx).filter(|seat| seat.has_work) else {
                continue;
            };
            seat.has_work = false;
            let mut made = Made::Nothing;
            for _ in 0..PIECES {
                made = self.piece(files, round, idx);
                has_sent |= matches!(made, Made::Sent);
                if !matches!(made, Made::Sent) {
                    break;
                }
            }
            if !matches!(made, Made::Nothing) {
                // It has stopped for no reason but that packets and others want their turn.
                self.writable(idx);
            }
        }
        has_sent || self.has_work
    }

    /// Other cores have asked, and get what they want to see; or have answered.
    fn called(&mut self, stack: &dyn Seen) {
        let Some(desk) = self.desk.filter(|desk| desk.is_called()) else {
            return;
        };
        desk.answer(stack.conns_max(), &mut |place| stack.conn(place));
        for seat in &mut self.seats {
            seat.has_work |= matches!(seat.job, Job::Connections(_));
        }
    }

    fn piece<A, Q>(
        &mut self,
        files: &mut FileServer,
        round: &mut Round<'_, A, Q>,
        idx: SeatIdx,
    ) -> Made
    where
        A: App<Conn: Whose, Congestion = Chosen> + 'static,
        Q: Queue<'static>,
    {
        let Some(seat) = self.seat(idx) else {
            return Made::Nothing;
        };
        match seat.job {
            Job::Waiting | Job::Ended => Made::Nothing,
            Job::Capture(_) => self.piece_of_capture(files, round, idx),
            Job::Metrics(_) | Job::Connections(_) => self.piece_of_text(files, round, idx),
        }
    }

    /// A piece of what is read from the stack: it is written first, and then queued. If that fails
    /// it is written anew next time.
    fn piece_of_text<A, Q>(
        &mut self,
        files: &mut FileServer,
        round: &mut Round<'_, A, Q>,
        idx: SeatIdx,
    ) -> Made
    where
        A: App<Conn: Whose, Congestion = Chosen> + 'static,
        Q: Queue<'static>,
    {
        let Some(seat) = self.seat(idx) else {
            return Made::Nothing;
        };
        let (Some(id), mut job, is_chunked) = (seat.id, seat.job, seat.is_chunked) else {
            return Made::Nothing;
        };
        let log = files.log().counters();
        let log_waiting = files.log().waiting_cnt();
        let view = View {
            now: round.now,
            stack: &*round.stack,
            pool: round.pool,
            rings: round.queue.figures(),
            files,
            admin: self,
            log,
            log_waiting,
            capture: round.capture.borrow().counts(),
        };
        let mut piece = [0; PIECE_LEN];
        let (len, written) = chunk(&mut piece, is_chunked, |text| match &mut job {
            Job::Metrics(cursor) => cursor.write(text, &view),
            Job::Connections(cursor) => cursor.write(text, &view),
            _ => Written::Last,
        });
        let is_last = matches!(written, Written::Last);
        assert!(
            len > 0 || !matches!(written, Written::More),
            "every item fits into an empty piece"
        );
        if len > 0 || is_last {
            let piece = piece.get(..len).unwrap_or_default();
            let sent = round.stack.with_conn(round.now, id, |conn, _| {
                let sent = match piece {
                    [] => Ok(()),
                    piece => conn.send(piece),
                };
                if is_last && sent.is_ok() {
                    conn.close();
                }
                sent
            });
            match sent {
                Some(Ok(())) => {}
                Some(Err(SendError::Full | SendError::NoFrame)) => return Made::Nothing,
                _ => job = Job::Ended,
            }
        }
        if let Some(seat) = self.seat(idx) {
            seat.job = if is_last { Job::Ended } else { job };
        }
        match written {
            Written::Step => Made::Step,
            Written::Wait => Made::Nothing,
            Written::More | Written::Last => Made::Sent,
        }
    }

    /// A piece of what is captured: written into the frame that it goes out in, so that no packet
    /// is taken out of the store that cannot be queued.
    fn piece_of_capture<A, Q>(
        &mut self,
        files: &mut FileServer,
        round: &mut Round<'_, A, Q>,
        idx: SeatIdx,
    ) -> Made
    where
        A: App<Conn: Whose, Congestion = Chosen> + 'static,
        Q: Queue<'static>,
    {
        let about = About {
            now: round.now,
            interface: self.interface,
            without_port: self.listening.map_or(0, |at| at.port),
            wall_us: files.wall_us(),
        };
        let Some(seat) = self.seat(idx) else {
            return Made::Nothing;
        };
        let (Some(id), Job::Capture(mut cursor), is_chunked) = (seat.id, seat.job, seat.is_chunked)
        else {
            return Made::Nothing;
        };
        let store = round.capture;
        let mut next = Next::Later;
        let sent = round.stack.with_conn(round.now, id, |conn, _| {
            let sent = conn.send_with(|room| {
                let room_len = room.len().min(PIECE_LEN + PIECE_MORE);
                let (len, _) = chunk(room.get_mut(..room_len)?, is_chunked, |text| {
                    next = cursor.write(text, store, about);
                    match next {
                        Next::End => Written::Last,
                        _ => Written::More,
                    }
                });
                (len > 0).then_some(len)
            });
            if next == Next::End {
                conn.close();
            }
            sent
        });
        let is_over = sent.is_none() || next == Next::End;
        if let Some(seat) = self.seat(idx) {
            seat.is_full = matches!(sent, Some(Err(SendError::Full | SendError::NoFrame)));
            seat.job = if is_over {
                Job::Ended
            } else {
                Job::Capture(cursor)
            };
        }
        if is_over {
            self.capturing = None;
            store.borrow_mut().end();
        }
        match (sent, next) {
            (Some(Ok(())), Next::Piece) => Made::Sent,
            _ => Made::Nothing,
        }
    }
}

/// A packet that was captured whole takes a little more than a piece of text.
const PIECE_MORE: usize = 200;

/// Lets `write` fill `room`, as a chunk if it is to be one. How many bytes that is, and what was
/// written.
fn chunk(
    room: &mut [u8],
    is_chunked: bool,
    write: impl FnOnce(&mut Text<'_>) -> Written,
) -> (usize, Written) {
    if !is_chunked {
        let mut text = Text::new(room);
        let written = write(&mut text);
        return (text.len(), written);
    }
    let around = CHUNK_HEAD + CHUNK_END.len() + LAST_CHUNK.len();
    let end = room.len().saturating_sub(around) + CHUNK_HEAD;
    let mut text = Text::new(room.get_mut(CHUNK_HEAD..end).unwrap_or_default());
    let written = write(&mut text);
    let len = text.len();
    let mut at = 0;
    if len > 0 {
        let mut head = Text::new(room);
        // A piece is shorter than 64 KiB, and a room shorter than this has no text.
        let _ = write!(head, "{len:04x}\r\n");
        at = CHUNK_HEAD + len;
        at += put(room, at, CHUNK_END);
    }
    if matches!(written, Written::Last) {
        at += put(room, at, LAST_CHUNK);
    }
    (at, written)
}

/// Puts bytes where there is room for them; how many.
fn put(room: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    let place = room.get_mut(at..at.saturating_add(bytes.len()));
    place.map_or(0, |place| {
        place.copy_from_slice(bytes);
        bytes.len()
    })
}
