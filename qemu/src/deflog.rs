//! The image's log: defmt frames off the second UART, decoded with the ELF's own strings.

use anyhow::{Context, Result};
use defmt_decoder::{DecodeError, Frame, Table};
use std::io::{ErrorKind, Read};
use std::path::Path;

/// The format strings of one image.
pub(crate) struct LogTable {
    table: Table,
}

impl LogTable {
    /// Reads the strings; none when the image does not log through defmt.
    ///
    /// # Errors
    /// The file is unreadable, or its strings are of a version that we do not know.
    pub(crate) fn open(elf: &Path) -> Result<Option<Self>> {
        let bytes = std::fs::read(elf).with_context(|| elf.display().to_string())?;
        Self::parse(&bytes).with_context(|| elf.display().to_string())
    }

    fn parse(elf: &[u8]) -> Result<Option<Self>> {
        Ok(Table::parse(elf)?.map(|table| LogTable { table }))
    }

    /// Decodes until `source` ends, a line a frame to `line`.
    ///
    /// What cannot be decoded is said once in a row and skipped: a guest that crashes may leave
    /// half a frame.
    pub(crate) fn decode(&self, mut source: impl Read, mut line: impl FnMut(String)) {
        let mut decoder = self.table.new_stream_decoder();
        let mut bytes = [0; 4096];
        let mut is_lost = false;
        loop {
            let len = match source.read(&mut bytes) {
                Ok(0) => return,
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            decoder.received(&bytes[..len]);
            loop {
                match decoder.decode() {
                    Ok(frame) => {
                        is_lost = false;
                        line(shown(&frame));
                    }
                    Err(DecodeError::UnexpectedEof) => break,
                    Err(DecodeError::Malformed) => {
                        if !is_lost {
                            line("(log bytes that are no defmt frame)".to_owned());
                        }
                        is_lost = true;
                        if !self.table.encoding().can_recover() {
                            return;
                        }
                    }
                }
            }
        }
    }
}

/// `TIME LEVEL MESSAGE`.
fn shown(frame: &Frame<'_>) -> String {
    let time = frame
        .display_timestamp()
        .map(|time| time.to_string())
        .unwrap_or_default();
    let level = frame.level().map_or("", |level| level.as_str());
    format!("{time:>12} {level:<5} {}", frame.display_message())
}
