//! The 16550 UART of a PC, polled, behind the traits of embedded-hal-nb.
//!
//! A port that does not exist reads as all ones: it is found out by a scratch register that does
//! not keep what is written to it. A port that never becomes ready is waited for once, for a
//! bounded time; after that its bytes are dropped until it is ready again.

use super::port::Port;
use core::convert::Infallible;
use embedded_hal_nb::serial::{ErrorType, Read, Write};

/// Ports of COM1 (`ttyS0`) and COM2 (`ttyS1`).
pub const BASES: [u16; 2] = [0x3f8, 0x2f8];

/// Looks at a port that is not ready before it counts as stalled: over 0.1 s on hardware, where
/// one look takes about a microsecond and a byte at 115,200 baud 87.
const LOOKS_MAX: u32 = 200_000;

/// Bytes that fit when the transmitter says that it is empty.
const FIFO_LEN: u8 = 16;

/// A UART that exists.
pub struct Uart {
    data: Port,
    interrupt_enable: Port,
    fifo_control: Port,
    line_control: Port,
    modem_control: Port,
    line_status: Port,
    scratch: Port,
    room: u8,
    is_stalled: bool,
    dropped_cnt: u64,
}

impl Uart {
    /// Sets up the UART `port_idx` (0 is COM1, 1 is COM2): 8 bits, no parity, one stop bit,
    /// `baud` bits a second, FIFO on, interrupts off. Nothing when there is none.
    pub fn new(port_idx: usize, baud: u32) -> Option<Uart> {
        let base = *BASES.get(port_idx)?;
        // SAFETY: the PC's serial ports reach no memory, whether or not a UART answers.
        let port = |offset| unsafe { Port::new(base + offset) };
        let uart = Uart {
            data: port(0),
            interrupt_enable: port(1),
            fifo_control: port(2),
            line_control: port(3),
            modem_control: port(4),
            line_status: port(5),
            scratch: port(7),
            room: 0,
            is_stalled: false,
            dropped_cnt: 0,
        };
        uart.scratch.write8(0x5a);
        if uart.scratch.read8() != 0x5a {
            return None;
        }
        let divisor = (CLOCK_HZ / 16)
            .checked_div(baud)
            .unwrap_or(1)
            .clamp(1, 0xffff);
        let [low, high, ..] = divisor.to_le_bytes();
        uart.interrupt_enable.write8(0);
        uart.line_control.write8(DIVISOR_LATCH);
        uart.data.write8(low);
        uart.interrupt_enable.write8(high);
        uart.line_control.write8(EIGHT_BITS);
        uart.fifo_control.write8(FIFO_ENABLE_AND_CLEAR);
        uart.modem_control.write8(READY_TO_SEND);
        Some(uart)
    }

    /// Sends all of `bytes`, waiting a bounded time for each.
    pub fn send(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.send_byte(*byte));
    }

    /// Bytes dropped because the port was not ready for too long.
    pub fn dropped_cnt(&self) -> u64 {
        self.dropped_cnt
    }

    /// Waits, a bounded time, until everything sent has left.
    pub fn drain(&mut self) {
        let looks = if self.is_stalled { 1 } else { LOOKS_MAX };
        for _ in 0..looks {
            if self.flush().is_ok() {
                return;
            }
        }
        self.is_stalled = true;
    }

    fn send_byte(&mut self, byte: u8) {
        let looks = if self.is_stalled { 1 } else { LOOKS_MAX };
        for _ in 0..looks {
            if self.write(byte).is_ok() {
                self.is_stalled = false;
                return;
            }
        }
        self.is_stalled = true;
        self.dropped_cnt += 1;
    }
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl Write<u8> for Uart {
    fn write(&mut self, word: u8) -> nb::Result<(), Infallible> {
        if self.room == 0 {
            if self.line_status.read8() & TRANSMITTER_HOLDING_EMPTY == 0 {
                return Err(nb::Error::WouldBlock);
            }
            self.room = FIFO_LEN;
        }
        self.room -= 1;
        self.data.write8(word);
        Ok(())
    }

    fn flush(&mut self) -> nb::Result<(), Infallible> {
        match self.line_status.read8() & TRANSMITTER_EMPTY {
            0 => Err(nb::Error::WouldBlock),
            _ => Ok(()),
        }
    }
}

impl Read<u8> for Uart {
    fn read(&mut self) -> nb::Result<u8, Infallible> {
        match self.line_status.read8() & DATA_READY {
            0 => Err(nb::Error::WouldBlock),
            _ => Ok(self.data.read8()),
        }
    }
}

const CLOCK_HZ: u32 = 1_843_200;
const DIVISOR_LATCH: u8 = 0x80;
const EIGHT_BITS: u8 = 0x03;
const FIFO_ENABLE_AND_CLEAR: u8 = 0x07;
const READY_TO_SEND: u8 = 0x03;
const DATA_READY: u8 = 0x01;
const TRANSMITTER_HOLDING_EMPTY: u8 = 0x20;
const TRANSMITTER_EMPTY: u8 = 0x40;
