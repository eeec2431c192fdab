//! Ranges: RFC 9110 14. Which bytes of a file are asked for, and how they are sent.
//!
//! ```text
//!   one    head, Content-Range │ body[a..b]
//!   more   head │ part's head │ body[a..b] │ part's head │ body[c..d] │ ... │ end
//!                 └─ written ─┘ └ by ref. ─┘
//! ```
//!
//! Ranges that overlap, touch or nearly do become one, so that an answer is never much longer than
//! the file (14.2 allows it and warns of the opposite). Beyond [`RANGES_MAX`] the field is ignored,
//! as 14.2 allows as well, and the whole file is sent.

use crate::message::{HeadWriter, decimal_len, sixteen_digits};
use crate::site::Representation;

/// Ranges of a request at most.
pub const RANGES_MAX: usize = 32;

/// Ranges closer than this become one: the head of a part costs as much.
const GAP_MAX: u64 = 80;

/// Bytes `first` to `last` of a file, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Range {
    pub(super) first: u64,
    pub(super) last: u64,
}

impl Range {
    pub(super) fn len(&self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }

    pub(super) fn of(&self, body: &'static [u8]) -> &'static [u8] {
        let first = usize::try_from(self.first).unwrap_or(usize::MAX);
        let last = usize::try_from(self.last).unwrap_or(usize::MAX);
        body.get(first..=last).unwrap_or(&[])
    }

    /// Writes `bytes FIRST-LAST/LEN` with what is around it.
    pub(super) fn put(&self, head: &mut HeadWriter<'_>, body_len: u64) {
        head.put(b"Content-Range: bytes ");
        head.decimal(self.first);
        head.put(b"-");
        head.decimal(self.last);
        head.put(b"/");
        head.decimal(body_len);
        head.put(b"\r\n");
    }
}

/// What a Range field asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The field says nothing: 200.
    Whole,
    /// 206.
    One(Range),
    /// 206 in parts; they are in the [`Parts`], when there are any.
    Several,
    /// Nothing of what is there: 416.
    Nothing,
}

/// Disjoint ranges, in the order of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ranges {
    ranges: [Range; RANGES_MAX],
    cnt: u8,
}

impl Ranges {
    const NONE: Self = Self {
        ranges: [Range { first: 0, last: 0 }; RANGES_MAX],
        cnt: 0,
    };

    fn all(&self) -> &[Range] {
        self.ranges.get(..usize::from(self.cnt)).unwrap_or(&[])
    }

    /// Adds a range, in place of the first of those that it overlaps or nearly touches. The caller
    /// sees to it that there is room.
    fn add(&mut self, range: Range) {
        let mut union = range;
        let mut place = None;
        let mut kept_cnt = 0;
        // Twice at most for each: a union may reach what its pieces did not.
        while let Some(at) = self
            .all()
            .iter()
            .position(|other| nearly_touch(other, &union))
        {
            let Some(other) = self.ranges.get(at).copied() else {
                break;
            };
            union.first = union.first.min(other.first);
            union.last = union.last.max(other.last);
            place = Some(place.map_or(at, |place: usize| place.min(at)));
            self.ranges.copy_within(at + 1.., at);
            self.cnt = self.cnt.saturating_sub(1);
            kept_cnt += 1;
            if kept_cnt > RANGES_MAX {
                break;
            }
        }
        let place = place.unwrap_or(usize::from(self.cnt));
        if usize::from(self.cnt) < RANGES_MAX && place < RANGES_MAX {
            self.ranges.copy_within(place..RANGES_MAX - 1, place + 1);
            if let Some(room) = self.ranges.get_mut(place) {
                *room = union;
                self.cnt += 1;
            }
        }
    }
}

fn nearly_touch(a: &Range, b: &Range) -> bool {
    let end = |range: &Range| range.last.saturating_add(GAP_MAX);
    a.first <= end(b) && b.first <= end(a)
}

/// Reads a Range field for a file of `body_len` bytes. Several ranges go to `parts`.
pub(super) fn read(value: &[u8], file: &Representation, parts: Option<&mut Parts>) -> Wanted {
    let body_len = u64::try_from(file.body.len()).unwrap_or(u64::MAX);
    // Another unit is not understood; in ours everything must be right (14.1.1, 14.2).
    let set = match value.split_at_checked(6) {
        Some((unit, set)) if unit.eq_ignore_ascii_case(b"bytes=") => set,
        _ => return Wanted::Whole,
    };
    // The usual case has no table.
    if !set.contains(&b',') {
        return match spec(set, body_len) {
            Some(Some(range)) => Wanted::One(range),
            Some(None) => Wanted::Nothing,
            None => Wanted::Whole,
        };
    }
    let Some(ranges) = read_set(set, body_len) else {
        return Wanted::Whole;
    };
    match (ranges.all(), parts) {
        ([], _) => Wanted::Nothing,
        ([range], _) => Wanted::One(*range),
        (_, None) => Wanted::Several,
        (_, Some(parts)) => {
            parts.ranges = ranges;
            parts.next = 0;
            parts.file = Some(*file);
            Wanted::Several
        }
    }
}

#[inline(never)]
fn read_set(set: &[u8], body_len: u64) -> Option<Ranges> {
    let mut ranges = Ranges::NONE;
    let (mut spec_cnt, mut empty_cnt) = (0, 0);
    for element in set.split(|byte| *byte == b',') {
        let element = element.trim_ascii();
        // RFC 9110 5.6.1.2: empty elements of a list are skipped, a reasonable number of them.
        if element.is_empty() {
            empty_cnt += 1;
            if empty_cnt > RANGES_MAX {
                return None;
            }
            continue;
        }
        spec_cnt += 1;
        if spec_cnt > RANGES_MAX {
            return None;
        }
        if let Some(range) = spec(element, body_len)? {
            ranges.add(range);
        }
    }
    (spec_cnt > 0).then_some(ranges)
}

/// One range (14.1.1, 14.1.2): `None` when it is malformed, `Some(None)` when nothing of it is
/// there.
fn spec(text: &[u8], body_len: u64) -> Option<Option<Range>> {
    let text = text.trim_ascii();
    let dash = text.iter().position(|byte| *byte == b'-')?;
    let (first, last) = (text.get(..dash)?, text.get(dash + 1..)?);
    let end = body_len.checked_sub(1);
    if first.is_empty() {
        let suffix_len = number(last)?;
        if suffix_len > 0 && body_len == 0 {
            // Satisfied by nothing at all, which no Content-Range can say.
            return None;
        }
        return Some(end.filter(|_| suffix_len > 0).map(|last| Range {
            first: body_len.saturating_sub(suffix_len),
            last,
        }));
    }
    let first = number(first)?;
    let last = if last.is_empty() {
        u64::MAX
    } else {
        number(last)?
    };
    if last < first {
        return None;
    }
    let is_there = |end: &u64| first <= *end;
    Some(end.filter(is_there).map(|end| Range {
        first,
        last: last.min(end),
    }))
}

/// Digits, and nothing else. Too large a number is the largest: it lies behind every file.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, byte| match byte {
        b'0'..=b'9' => Some(
            value
                .saturating_mul(10)
                .saturating_add(u64::from(byte - b'0')),
        ),
        _ => None,
    })
}

/// The parts of an answer that has several, and how many of them have been sent.
#[derive(Debug, Clone, Copy)]
pub struct Parts {
    ranges: Ranges,
    next: u8,
    boundary: [u8; BOUNDARY_LEN],
    file: Option<Representation>,
}

/// Sixteen hexadecimal digits.
const BOUNDARY_LEN: usize = 16;

/// Bytes that are enough for what stands in front of a part.
pub const PIECE_LEN_MAX: usize = 384;

/// A piece of an answer in parts: bytes to write, then bytes of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Bytes written.
    pub head_len: usize,
    /// What follows them; empty behind the last part.
    pub body: &'static [u8],
}

impl Parts {
    /// Parts of nothing.
    pub const NONE: Self = Self {
        ranges: Ranges::NONE,
        next: 0,
        boundary: [0; BOUNDARY_LEN],
        file: None,
    };

    /// Sets what stands between the parts.
    pub(super) fn set_boundary(&mut self, number: u64) {
        self.boundary = sixteen_digits(number);
    }

    /// What stands between the parts.
    pub(super) fn boundary(&self) -> &[u8] {
        &self.boundary
    }

    fn body_len(&self) -> u64 {
        let body_len = self.file.map_or(0, |file| file.body.len());
        u64::try_from(body_len).unwrap_or(u64::MAX)
    }

    /// Bytes of all parts, with what is written around them.
    pub(crate) fn content_len(&self) -> u64 {
        let type_line = self.file.map_or(&[][..], |file| file.head.type_line());
        let fixed_len =
            (BETWEEN.len() + BOUNDARY_LEN + 2 + type_line.len() + 21 + 1 + 1 + 4) as u64;
        let body_len = self.body_len();
        let parts = self.ranges.all().iter().map(|range| {
            let numbers_len =
                decimal_len(range.first) + decimal_len(range.last) + decimal_len(body_len);
            fixed_len + numbers_len + range.len()
        });
        parts.sum::<u64>() + (BETWEEN.len() + BOUNDARY_LEN + END.len()) as u64
    }

    /// Writes what stands in front of the next part, and says what the part is; `None` when all
    /// was given, or when `out` is too short: [`PIECE_LEN_MAX`] bytes are enough.
    pub fn write(&self, out: &mut [u8]) -> Option<Piece> {
        let file = self.file?;
        let mut head = HeadWriter::new(out);
        head.put(BETWEEN);
        head.put(&self.boundary);
        let body = match self.ranges.all().get(usize::from(self.next)) {
            Some(range) => {
                head.put(b"\r\n");
                head.put(file.head.type_line());
                range.put(&mut head, self.body_len());
                head.put(b"\r\n");
                range.of(file.body)
            }
            None => {
                head.put(END);
                &[]
            }
        };
        let head_len = head.finish()?;
        Some(Piece { head_len, body })
    }

    /// Goes on to the next part: the last one was sent.
    pub fn advance(&mut self) {
        if usize::from(self.next) >= self.ranges.all().len() {
            self.file = None;
        }
        self.next = self.next.saturating_add(1);
    }

    /// Whether all was given.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.file.is_none()
    }
}

const BETWEEN: &[u8] = b"\r\n--";
const END: &[u8] = b"--\r\n";

#[cfg(test)]
mod tests;
