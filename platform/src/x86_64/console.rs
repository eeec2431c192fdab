//! The console: text for a person, on the UART that `console=` names.
//!
//! Lines end in CR LF, as a terminal wants them. Without a console, text is dropped.

use super::uart::Uart;
use crate::command_line::ConsoleAt;
use core::fmt::{self, Write as _};
use embedded_hal_nb::serial::Write;

static CONSOLE: spin::Mutex<Option<Console>> = spin::Mutex::new(None);

/// The UART, and whether a line of [`offer`] has begun on it and not ended.
struct Console {
    uart: Uart,
    is_within_line: bool,
}

/// Times that a report of a failure tries to get the console before it gives up: its holder may
/// be the very code that failed.
const TRIES_MAX: u32 = 1000;

/// Starts the console where the command line wants it.
pub(crate) fn open(place: ConsoleAt) {
    *CONSOLE.lock() = match place {
        ConsoleAt::None => None,
        ConsoleAt::Serial { port_idx, baud } => {
            Uart::new(usize::from(port_idx), baud).map(|uart| Console {
                uart,
                is_within_line: false,
            })
        }
    };
}

/// Prints; the macro [`console!`](crate::console) is the way to call it.
pub fn print(text: fmt::Arguments<'_>) {
    for _ in 0..TRIES_MAX {
        if let Some(mut console) = CONSOLE.try_lock() {
            if let Some(console) = console.as_mut() {
                let uart = &mut console.uart;
                if core::mem::take(&mut console.is_within_line) {
                    uart.send(b"\r\n");
                }
                // A UART cannot fail: what it cannot take is dropped.
                let _ = Lines { uart }.write_fmt(text);
            }
            return;
        }
    }
}

/// Sends as much of `text` as the UART takes without waiting: how many bytes. Without a console, or
/// while somebody else has it, all is taken and dropped.
pub fn offer(text: &[u8]) -> usize {
    let mut console = CONSOLE.try_lock();
    let Some(console) = console.as_mut().and_then(|console| console.as_mut()) else {
        return text.len();
    };
    let mut sent_cnt = 0;
    for byte in text {
        // A line ends in CR LF; the CR goes with what comes before it.
        let is_end = *byte == b'\n' && console.is_within_line;
        if is_end && Write::write(&mut console.uart, b'\r').is_err() {
            break;
        }
        console.is_within_line &= !is_end;
        if Write::write(&mut console.uart, *byte).is_err() {
            break;
        }
        console.is_within_line |= *byte != b'\n';
        sent_cnt += 1;
    }
    sent_cnt
}

/// Reads a byte that came in on the console, if one did.
pub fn read() -> Option<u8> {
    let mut console = CONSOLE.try_lock()?;
    embedded_hal_nb::serial::Read::read(&mut console.as_mut()?.uart).ok()
}

/// Waits, a bounded time, until everything printed has left.
pub(crate) fn drain() {
    if let Some(mut console) = CONSOLE.try_lock() {
        let console = console.as_mut();
        console.into_iter().for_each(|console| console.uart.drain());
    }
}

/// Takes the console from whoever holds it.
///
/// # Safety
///
/// The holder never runs again.
pub(crate) unsafe fn seize() {
    if CONSOLE.is_locked() {
        // SAFETY: the holder never runs again, so it has no use of the lock.
        unsafe { CONSOLE.force_unlock() };
    }
}

struct Lines<'a> {
    uart: &'a mut Uart,
}

impl fmt::Write for Lines<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for line in text.split_inclusive('\n') {
            match line.strip_suffix('\n') {
                Some(line) => {
                    self.uart.send(line.as_bytes());
                    self.uart.send(b"\r\n");
                }
                None => self.uart.send(line.as_bytes()),
            }
        }
        Ok(())
    }
}

/// Prints a line on the console, in the syntax of `println!`.
#[macro_export]
macro_rules! console {
    () => {
        $crate::x86_64::console::print(::core::format_args!("\n"))
    };
    ($($arguments:tt)+) => {
        $crate::x86_64::console::print(
            ::core::format_args!("{}\n", ::core::format_args!($($arguments)+))
        )
    };
}
