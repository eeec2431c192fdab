//! What crossed the wire: a bounded record, as a capture file and as text.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io;
use std::rc::Rc;

use crate::End;

/// What happened to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// An end put it on the wire.
    Sent,
    /// It arrived.
    Delivered,
    /// It arrived and became the tail of the packet before it.
    Merged,
    /// Vanished by chance.
    Lost,
    /// Vanished in a blackout.
    BlackedOut,
    /// Vanished because the link was down at either end.
    LinkDown,
    /// Dropped at the tail of the bottleneck's queue.
    QueueFull,
    /// Dropped by the receiving end: its ring was full.
    RingFull,
    /// Dropped by the receiving end: it had no frame for its ring.
    NoFrame,
    /// Dropped by the receiving end: longer than its MTU.
    TooLong,
    /// A second copy was made.
    Duplicated,
    /// It was held back.
    Reordered,
    /// It was marked "congestion experienced".
    Marked,
    /// Bits were flipped.
    Corrupted,
    /// A length field was overwritten.
    CorruptedLen,
}

/// One event of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When, in microseconds of virtual time.
    pub at_us: u64,
    /// Counts frames; the copies of one have the same number.
    pub number: u64,
    /// The end that sent it.
    pub from: End,
    /// The end that it is for.
    pub to: End,
    /// What happened.
    pub event: Event,
    /// The frame, from the Ethernet header on.
    pub bytes: Rc<Vec<u8>>,
}

/// The last events, as many as there is room for.
#[derive(Debug)]
pub(crate) struct Recorder {
    records: VecDeque<Record>,
    len: usize,
    len_max: usize,
}

impl Recorder {
    pub(crate) fn new(len_max: usize) -> Self {
        Self {
            records: VecDeque::new(),
            len: 0,
            len_max,
        }
    }

    pub(crate) fn set_len_max(&mut self, len_max: usize) {
        self.len_max = len_max;
        self.forget();
    }

    pub(crate) fn push(&mut self, record: Record) {
        self.len += cost(&record);
        self.records.push_back(record);
        self.forget();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.records.iter()
    }

    fn forget(&mut self) {
        while self.len > self.len_max {
            match self.records.pop_front() {
                Some(oldest) => self.len -= cost(&oldest),
                None => return,
            }
        }
    }
}

/// Bytes that a record counts for.
fn cost(record: &Record) -> usize {
    size_of::<Record>() + record.bytes.len()
}

/// Writes a classic capture file: native magic 0xa1b2c3d4 in little endian, version 2.4,
/// microseconds, `LINKTYPE_ETHERNET`.
///
/// # Errors
/// What the writer says.
pub fn write_pcap<'r>(
    records: impl Iterator<Item = &'r Record>,
    mut out: impl io::Write,
) -> io::Result<()> {
    out.write_all(&PCAP_MAGIC.to_le_bytes())?;
    out.write_all(&2u16.to_le_bytes())?;
    out.write_all(&4u16.to_le_bytes())?;
    // Time zone and accuracy, zero by convention.
    out.write_all(&[0; 8])?;
    out.write_all(&SNAP_LEN.to_le_bytes())?;
    out.write_all(&LINKTYPE_ETHERNET.to_le_bytes())?;
    for record in records {
        let captured = record.bytes.get(..SNAP_LEN as usize);
        let captured = captured.unwrap_or(&record.bytes);
        // The format has 32 bits for seconds: they wrap after 136 years of virtual time.
        let seconds = (record.at_us / 1_000_000) as u32;
        let micros = (record.at_us % 1_000_000) as u32;
        let original_len = u32::try_from(record.bytes.len()).unwrap_or(u32::MAX);
        for field in [seconds, micros, captured.len() as u32, original_len] {
            out.write_all(&field.to_le_bytes())?;
        }
        out.write_all(captured)?;
    }
    out.flush()
}

/// One line for each event: time in seconds, frame number, direction, length in bytes, event.
pub(crate) fn write_log<'r>(records: impl Iterator<Item = &'r Record>) -> String {
    let mut text = String::new();
    for record in records {
        let Record {
            at_us,
            number,
            from,
            to,
            event,
            bytes,
        } = record;
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{}.{:06} #{number} {from}>{to} {} {event:?}",
            at_us / 1_000_000,
            at_us % 1_000_000,
            bytes.len(),
        );
    }
    text
}

const PCAP_MAGIC: u32 = 0xa1b2_c3d4;
const SNAP_LEN: u32 = 262_144;
const LINKTYPE_ETHERNET: u32 = 1;
