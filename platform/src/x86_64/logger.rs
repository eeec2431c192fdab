//! defmt's frames on the second UART, filtered by `log=` at run time.
//!
//! A frame starts with the 16-bit index of its format string. The linker script of defmt sorts the
//! indices by severity, so one comparison tells whether a frame is wanted. An unwanted one is
//! encoded and thrown away: what must cost nothing is left out at build time, by `DEFMT_LOG`.

use super::uart::Uart;
use crate::log::LogLevel;

#[cfg(feature = "defmt")]
pub use frames::{acquire, flush, release, write};

static PORT: spin::Mutex<Option<Port>> = spin::Mutex::new(None);

/// COM2, since COM1 is for text: a frame ends in a zero byte and text would corrupt it.
const PORT_IDX: usize = 1;
const BAUD: u32 = 115_200;

#[cfg_attr(not(feature = "defmt"), allow(dead_code))]
struct Port {
    uart: Uart,
    level: LogLevel,
    #[cfg(feature = "defmt")]
    frame: frames::Frame,
}

/// Opens the second UART unless the console or `log=off` has it; missing, it is done without.
pub(crate) fn open(level: LogLevel, is_port_taken: bool) {
    if cfg!(feature = "defmt") && level != LogLevel::Off && !is_port_taken {
        *PORT.lock() = Uart::new(PORT_IDX, BAUD).map(|uart| Port {
            uart,
            level,
            #[cfg(feature = "defmt")]
            frame: frames::Frame::new(),
        });
    }
}

#[cfg(feature = "defmt")]
mod frames {
    use super::{PORT, Port};
    use crate::log::LogLevel;

    /// The frame being encoded, and whether it goes anywhere.
    pub(super) struct Frame {
        encoder: defmt::Encoder,
        starts: [usize; 6],
        state: State,
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum State {
        Closed,
        Acquired,
        Wanted,
        Unwanted,
    }

    impl Frame {
        pub(super) fn new() -> Self {
            Self {
                encoder: defmt::Encoder::new(),
                starts: [0; 6],
                state: State::Closed,
            }
        }

        /// The level of the message at `string_idx`; messages without one (`println!`) are errors
        /// in weight: always sent.
        fn level(&self, string_idx: usize) -> LogLevel {
            let [trace, debug, info, warn, error, end] = self.starts;
            match string_idx {
                idx if idx < trace || idx >= end => LogLevel::Error,
                idx if idx < debug => LogLevel::Trace,
                idx if idx < info => LogLevel::Debug,
                idx if idx < warn => LogLevel::Info,
                idx if idx < error => LogLevel::Warn,
                _ => LogLevel::Error,
            }
        }
    }

    /// A frame begins. `starts` are the first string indices of trace to error, and their end.
    pub fn acquire(starts: [usize; 6]) {
        if let Some(Port { frame, .. }) = PORT.lock().as_mut() {
            // A panic in the middle of a frame logs again: the torn frame is closed by the next.
            frame.starts = starts;
            frame.state = State::Acquired;
        }
    }

    /// Bytes of the frame; the first two are the index of its format string.
    pub fn write(bytes: &[u8]) {
        let mut port = PORT.lock();
        let Some(Port { uart, level, frame }) = port.as_mut() else {
            return;
        };
        if frame.state == State::Acquired {
            let string_idx = match bytes {
                [low, high, ..] => usize::from(u16::from_le_bytes([*low, *high])),
                _ => 0,
            };
            if frame.level(string_idx) > *level {
                frame.state = State::Unwanted;
            } else {
                frame.state = State::Wanted;
                frame.encoder.start_frame(|encoded| uart.send(encoded));
            }
        }
        if frame.state == State::Wanted {
            frame.encoder.write(bytes, |encoded| uart.send(encoded));
        }
    }

    /// The frame is complete.
    pub fn release() {
        let mut port = PORT.lock();
        let Some(Port { uart, frame, .. }) = port.as_mut() else {
            return;
        };
        if frame.state == State::Wanted {
            frame.encoder.end_frame(|encoded| uart.send(encoded));
        }
        frame.state = State::Closed;
    }

    /// Waits, a bounded time, until the frames have left.
    pub fn flush() {
        if let Some(Port { uart, .. }) = PORT.lock().as_mut() {
            uart.drain();
        }
    }
}
