//! Text that is written into bounded room, whole items at a time.

use core::fmt;

/// What came of writing the next piece of an answer.
pub(super) enum Written {
    More,
    Last,
    /// Nothing yet, but a step towards it was made.
    Step,
    /// Nothing yet: another core was asked, and calls.
    Wait,
}

/// Room that text is written into. What does not fit is an error, and nothing is cut.
pub(super) struct Text<'a> {
    room: &'a mut [u8],
    len: usize,
}

impl<'a> Text<'a> {
    pub(super) fn new(room: &'a mut [u8]) -> Self {
        Self { room, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// What is left of the room.
    pub(super) fn rest(&mut self) -> &mut [u8] {
        self.room.get_mut(self.len..).unwrap_or_default()
    }

    /// So many bytes of the rest were written.
    pub(super) fn advance(&mut self, len: usize) {
        self.len = (self.len + len).min(self.room.len());
    }

    /// Writes an item as a whole, or nothing; whether it fit.
    pub(super) fn item(&mut self, write: impl FnOnce(&mut Self) -> fmt::Result) -> bool {
        let before = self.len;
        let fits = write(self).is_ok();
        if !fits {
            self.len = before;
        }
        fits
    }
}

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len.checked_add(text.len()).ok_or(fmt::Error)?;
        let place = self.room.get_mut(self.len..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}
