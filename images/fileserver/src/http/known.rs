//! Requests that were answered before, known again by their bytes.
//!
//! ```text
//!   bytes ─ path ─► place ─ the same head, byte by byte? ─► the head and body that it had,
//!                              │ no                          with the Date of now
//!                              └─ read and answered; kept here if all was prepared
//! ```
//!
//! Clients say the same again and again. An answer from the heads that were written at boot depends
//! on nothing but the bytes of the request and a site that does not change: when the bytes are the
//! same, so is the answer, and comparing them is a fraction of reading them. What is compared is
//! all of a request, so nobody can have another's answer but by asking the same. A place is taken
//! by the last request that falls on it, unless lines of the access log wait that are to be made of
//! what it has: they refer to it, so that no head need be copied for the log.

use simoom::Sums;
use simoom::wire::checksum::Sum;

use super::exchange::Answer;
use crate::message::Status;
use crate::message::date::DateLines;

/// Bytes of a request that is kept, at most: that of a browser with cookies.
const HEAD_LEN_MAX: usize = 960;

/// Places that are enough for the files of a page or two, asked for by a few kinds of clients.
pub const KNOWN_CNT: usize = 64;

/// The memory of one request.
#[derive(Clone)]
pub struct Place {
    bytes: [u8; HEAD_LEN_MAX],
    len: u16,
    status: Status,
    prepared: Prepared,
    /// The sum of the head but for its end.
    lines_sum: Sum,
    /// That of the body, where there is a table of sums.
    body_sum: Option<Sum>,
    /// Lines of the log, counted from the first, up to the last that is made of it.
    lines_due: u64,
}

impl Place {
    /// Nothing is kept in it.
    pub const EMPTY: Self = Self {
        bytes: [0; HEAD_LEN_MAX],
        len: 0,
        status: Status::Ok,
        prepared: Prepared {
            lines: [&[]; 2],
            body: &[],
            closes: false,
        },
        lines_sum: Sum::new(),
        body_sum: None,
        lines_due: 0,
    };

    /// Bytes of the request.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.into()
    }

    /// What is answered.
    #[inline]
    pub(crate) fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// The answer, with a head of `head_len` bytes.
    #[inline]
    pub(crate) fn answer(&self, head_len: usize) -> Answer {
        self.prepared.answer(self.status, self.len(), head_len)
    }

    /// The sum of the answer, of whose head the end sums to `end`.
    #[inline]
    pub(crate) fn sum(&self, end: Sum) -> Option<Sum> {
        Some(self.lines_sum.followed_by(end).followed_by(self.body_sum?))
    }
}

/// What an answer is made of, but for its Date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prepared {
    /// Status line and fields, in two pieces.
    pub(super) lines: [&'static [u8]; 2],
    pub(crate) body: &'static [u8],
    /// It is the last of its connection, as the request wishes.
    pub(crate) closes: bool,
}

impl Prepared {
    /// Writes the head in front of `date`, or without one; how long it is, `None` when it does
    /// not fit.
    #[inline]
    pub(crate) fn write(&self, date: Option<&DateLines>, out: &mut [u8]) -> Option<usize> {
        let [first, second] = self.lines;
        let (room, rest) = out.split_at_mut_checked(first.len())?;
        room.copy_from_slice(first);
        let (room, rest) = rest.split_at_mut_checked(second.len())?;
        if !second.is_empty() {
            room.copy_from_slice(second);
        }
        let mut end_len = match date {
            Some(lines) => {
                *rest.first_chunk_mut()? = *lines;
                lines.len()
            }
            None => {
                *rest.first_chunk_mut()? = *HEAD_END;
                HEAD_END.len()
            }
        };
        if self.closes {
            end_len -= HEAD_END.len();
            *rest.get_mut(end_len..)?.first_chunk_mut()? = *CLOSE_END;
            end_len += CLOSE_END.len();
        }
        Some(first.len() + second.len() + end_len)
    }

    /// The answer to a request of `consumed` bytes, with a head of `head_len`.
    #[inline]
    pub(crate) fn answer(&self, status: Status, consumed: usize, head_len: usize) -> Answer {
        Answer {
            consumed,
            head_len,
            body: self.body,
            has_parts: false,
            lacks_parts: false,
            close: self.closes,
            status,
        }
    }
}

/// The requests that are known.
pub struct Known {
    places: &'static mut [Place],
    sums: Option<&'static Sums>,
    /// Lines of the log that have been made.
    lines_made: u64,
}

/// Where a request is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KnownIdx(u8);

impl Known {
    /// Nothing is known, and as many requests can be as there are places, but no more than
    /// [`KNOWN_CNT`].
    #[must_use]
    pub fn new(places: &'static mut [Place]) -> Self {
        Self {
            places,
            sums: None,
            lines_made: 0,
        }
    }

    /// Says where the sums of the site's bytes are.
    pub(crate) fn set_sums(&mut self, sums: Option<&'static Sums>) {
        self.sums = sums;
    }

    /// Where a request that begins with `bytes` would be kept; `None` for one that is not.
    #[inline]
    pub(super) fn place_of(&self, bytes: &[u8]) -> Option<KnownIdx> {
        // Behind the method: the beginning of the path and what follows it. The length tells paths
        // apart that begin alike.
        let (words, _) = bytes.get(4..20)?.as_chunks::<8>();
        let [first, second] = *words else { return None };
        let (first, second) = (u64::from_le_bytes(first), u64::from_le_bytes(second));
        let mixed = first ^ second.rotate_left(29) ^ (bytes.len() as u64).rotate_left(57);
        let place = mixed.wrapping_mul(SPREAD) >> (64 - KNOWN_CNT.ilog2());
        // Fewer than 64.
        Some(KnownIdx(place as u8))
    }

    /// Where the request at the start of `bytes` is kept with its answer, if it is known.
    #[inline]
    pub(super) fn find(&self, idx: KnownIdx, bytes: &[u8]) -> Option<&Place> {
        let place = self.place(idx)?;
        let len = place.len();
        let is_same = len > 0 && is_same(bytes.get(..len)?, place.bytes.get(..len)?);
        is_same.then_some(place)
    }

    #[inline]
    fn place(&self, idx: KnownIdx) -> Option<&Place> {
        self.places.get(usize::from(idx.0))
    }

    /// The head of a request that is kept.
    pub(crate) fn head(&self, idx: KnownIdx) -> Option<&[u8]> {
        let place = self.place(idx)?;
        place.bytes.get(..place.len.into())
    }

    /// The last of `lines_due` lines of the log is to be made of it: until then it is kept.
    #[inline]
    pub(crate) fn hold(&mut self, idx: KnownIdx, lines_due: u64) {
        if let Some(place) = self.places.get_mut(usize::from(idx.0)) {
            place.lines_due = lines_due;
        }
    }

    /// So many lines of the log have been made.
    pub(crate) fn release(&mut self, lines_made: u64) {
        self.lines_made = lines_made;
    }

    /// Keeps a request and its answer, if lines of the log do not wait for what is there.
    #[inline(never)]
    pub(super) fn keep(&mut self, idx: KnownIdx, head: &[u8], status: Status, prepared: Prepared) {
        let made = self.lines_made;
        if let Some(place) = self.places.get_mut(usize::from(idx.0))
            && place.lines_due <= made
            && let Some(room) = place.bytes.get_mut(..head.len())
        {
            room.copy_from_slice(head);
            // No more than there is room for.
            place.len = head.len() as u16;
            place.status = status;
            place.prepared = prepared;
            let [first, second] = prepared.lines.map(Sum::of);
            place.lines_sum = first.followed_by(second);
            place.body_sum = self.sums.and_then(|sums| sums.sum(prepared.body));
        }
    }
}

/// Whether two slices of one length are the same. All is compared, wherever they differ first: the
/// time that it takes would tell a client how far its fields are another's (a cookie's, say). In
/// chunks: where the image runs, a call of `memcmp` goes byte by byte.
#[inline]
fn is_same(ours: &[u8], theirs: &[u8]) -> bool {
    let differ = match (ours.last_chunk::<32>(), theirs.last_chunk::<32>()) {
        // The last chunk lies over the one before it.
        (Some(our), Some(their)) => {
            let (our_chunks, their_chunks) = (ours.as_chunks::<32>().0, theirs.as_chunks::<32>().0);
            let chunks = our_chunks.iter().zip(their_chunks);
            chunks.fold(our != their, |differ, (our, their)| differ | (our != their))
        }
        _ => {
            let bytes = ours.iter().zip(theirs);
            bytes.fold(false, |differ, (our, their)| differ | (our != their))
        }
    };
    !differ
}

/// The end of a head without a Date.
pub(super) const HEAD_END: &[u8; 2] = b"\r\n";

/// The same, of the last answer of a connection (RFC 9112 9.6).
pub(super) const CLOSE_END: &[u8; 21] = b"Connection: close\r\n\r\n";

/// Spreads all bits of a number over its upper ones.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

const _: () = assert!(KNOWN_CNT.is_power_of_two() && KNOWN_CNT <= 1 << u8::BITS);
const _: () = assert!(HEAD_LEN_MAX <= u16::MAX as usize);

#[cfg(test)]
mod tests;
