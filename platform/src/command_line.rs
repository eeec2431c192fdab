//! The command line, in Linux's syntax where Linux has one.
//!
//! | key | value | default |
//! |---|---|---|
//! | `ip` | as Linux's `nfsroot.rst` has it, see [`Ip`] | `dhcp` |
//! | `offload` | what the network card does for us, see [`Offloads`] | everything |
//! | `console` | `ttyS0`, `ttyS1` with `,BAUD`, or `none` | `ttyS0,115200` |
//! | `log` | `off error warn info debug trace` | `info` |
//! | `cc` | congestion control: `cubic`, `reno` or `westwood` | `cubic` |
//! | `panic` | `exit`, `reboot`, `halt`; seconds to a reboot, 0 halts, negative at once | `exit` |
//! | `entropy` | `weak`: start without a random source | refuse |
//! | `virtio_mmio.device` | `SIZE@BASE:IRQ`, any number of times | a scan |
//! | `tsc_early_khz` | the TSC's rate, where it cannot be measured | measured |
//!
//! Other keys belong to the image: [`CommandLine::get`], and [`CommandLine::unknown`] for what
//! nobody claims. When a key is given twice, the last one counts.

mod ip;
mod offload;
#[cfg(test)]
mod tests;

use crate::log::LogLevel;
use core::fmt;
pub use ip::{Ip, StaticIp};
pub use offload::Offloads;
use simoom::tcp::cc::Algorithm;

/// Where the console is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleAt {
    /// Nowhere: what is printed is lost.
    None,
    /// A UART of a PC.
    Serial {
        /// 0 for `ttyS0` (COM1), 1 for `ttyS1` (COM2).
        port_idx: u8,
        /// Bits a second.
        baud: u32,
    },
}

/// What follows a panic or a fatal exception, after its report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnPanic {
    /// Leave with an exit code where the machine can, else halt.
    Exit,
    /// Reboot after so many seconds.
    Reboot {
        /// Seconds to wait first, so that a person can read.
        delay_s: u32,
    },
    /// Stop for good.
    Halt,
}

/// A device that only the command line announces: Linux's `virtio_mmio.device=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MmioDevice {
    /// Length of its registers in bytes.
    pub size: u64,
    /// Address of its registers.
    pub base: u64,
    /// Its interrupt line, a global system interrupt.
    pub irq: u32,
}

/// An argument that cannot mean anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandLineError<'a> {
    /// The argument as it stood.
    pub argument: &'a str,
    /// What would have been right.
    pub expected: &'static str,
}

impl fmt::Display for CommandLineError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "command line: {}: expected {}",
            self.argument, self.expected
        )
    }
}

impl core::error::Error for CommandLineError<'_> {}

/// The command line, read once and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandLine<'a> {
    /// All of it.
    pub text: &'a str,
    /// Addresses.
    pub ip: Ip<'a>,
    /// What the network card may do for us.
    pub offloads: Offloads,
    /// Where the console is.
    pub console: ConsoleAt,
    /// How much is logged.
    pub log: LogLevel,
    /// How connections are kept from congesting the network.
    pub congestion: Algorithm,
    /// What follows a panic.
    pub panic: OnPanic,
    /// Whether to start without a random source.
    pub is_entropy_weak: bool,
    /// The TSC's rate in kHz, where it is told.
    pub tsc_khz: Option<u32>,
}

/// The keys that the platform knows.
const KEYS: [&str; 9] = [
    "cc",
    "ip",
    "offload",
    "console",
    "log",
    "panic",
    "entropy",
    "virtio_mmio.device",
    "tsc_early_khz",
];

impl Default for CommandLine<'_> {
    fn default() -> Self {
        Self {
            text: "",
            ip: Ip::Dhcp { hostname: None },
            offloads: Offloads::ALL,
            console: ConsoleAt::Serial {
                port_idx: 0,
                baud: BAUD_DEFAULT,
            },
            log: LogLevel::default(),
            congestion: Algorithm::default(),
            panic: OnPanic::Exit,
            is_entropy_weak: false,
            tsc_khz: None,
        }
    }
}

impl<'a> CommandLine<'a> {
    /// Reads the command line, up to its first NUL.
    ///
    /// # Errors
    ///
    /// The first argument whose key is known and whose value is not.
    pub fn parse(text: &'a [u8]) -> Result<Self, CommandLineError<'a>> {
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        let text = core::str::from_utf8(text).map_err(|_| CommandLineError {
            argument: "(bytes)",
            expected: "UTF-8",
        })?;
        let mut line = CommandLine {
            text,
            ..CommandLine::default()
        };
        for argument in arguments(text) {
            line.apply(&argument).map_err(|expected| CommandLineError {
                argument: argument.text,
                expected,
            })?;
        }
        Ok(line)
    }

    fn apply(&mut self, argument: &Argument<'a>) -> Result<(), &'static str> {
        let value = argument.value.unwrap_or_default();
        match argument.key {
            "ip" => self.ip = Ip::parse(value)?,
            "offload" => self.offloads = Offloads::parse(value)?,
            "console" => self.console = console(value).ok_or("ttyS0, ttyS1 (,BAUD) or none")?,
            "log" => {
                self.log =
                    LogLevel::from_name(value).ok_or("off, error, warn, info, debug or trace")?;
            }
            "cc" => {
                self.congestion = Algorithm::from_name(value).ok_or("cubic, reno or westwood")?;
            }
            "panic" => self.panic = on_panic(value).ok_or("exit, reboot, halt or seconds")?,
            "entropy" => match value {
                "weak" => self.is_entropy_weak = true,
                _ => return Err("weak, or no such argument"),
            },
            "tsc_early_khz" => {
                let khz = value.parse().ok().filter(|khz| *khz > 0);
                self.tsc_khz = Some(khz.ok_or("a number of kilohertz")?);
            }
            "virtio_mmio.device" => {
                mmio_device(value).ok_or("SIZE@BASE:IRQ")?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The value of an image's own `key`: `None` when absent, `Some("")` when bare.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        let argument = arguments(self.text)
            .filter(|argument| argument.key == key)
            .last()?;
        Some(argument.value.unwrap_or_default())
    }

    /// The devices of every `virtio_mmio.device=`, in order.
    pub fn mmio_devices(&self) -> impl Iterator<Item = MmioDevice> + use<'a> {
        arguments(self.text)
            .filter(|argument| argument.key == "virtio_mmio.device")
            .filter_map(|argument| mmio_device(argument.value?))
    }

    /// The arguments whose key neither the platform knows nor `image_keys` names.
    pub fn unknown<'k>(
        &self,
        image_keys: &'k [&str],
    ) -> impl Iterator<Item = &'a str> + use<'a, 'k> {
        arguments(self.text)
            .filter(|argument| !KEYS.contains(&argument.key))
            .filter(|argument| !image_keys.contains(&argument.key))
            .map(|argument| argument.text)
    }
}

struct Argument<'a> {
    text: &'a str,
    key: &'a str,
    value: Option<&'a str>,
}

/// Arguments, apart by white space outside of double quotes (Linux's `next_arg`). Quotes around a
/// value or around a whole argument are dropped.
fn arguments(text: &str) -> impl Iterator<Item = Argument<'_>> {
    let mut is_quoted = false;
    let words = text.split(move |letter: char| {
        is_quoted ^= letter == '"';
        letter.is_ascii_whitespace() && !is_quoted
    });
    words.filter(|word| !word.is_empty()).map(|word| {
        let text = unquote(word);
        match text.split_once('=') {
            Some((key, value)) => Argument {
                text,
                key,
                value: Some(unquote(value)),
            },
            None => Argument {
                text,
                key: text,
                value: None,
            },
        }
    })
}

fn unquote(word: &str) -> &str {
    let inner = word
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(word)
}

fn console(value: &str) -> Option<ConsoleAt> {
    let (name, mode) = value.split_once(',').unwrap_or((value, ""));
    let port_idx = match name {
        "none" if mode.is_empty() => return Some(ConsoleAt::None),
        "ttyS0" => 0,
        "ttyS1" => 1,
        _ => return None,
    };
    // Linux: BAUD, parity, bits, flow; only 8n1 is spoken here.
    let digits = mode.trim_end_matches("n8").trim_end_matches("8n1");
    let baud = if digits.is_empty() {
        BAUD_DEFAULT
    } else {
        digits.parse().ok()?
    };
    (BAUD_MIN..=BAUD_MAX)
        .contains(&baud)
        .then_some(ConsoleAt::Serial { port_idx, baud })
}

fn on_panic(value: &str) -> Option<OnPanic> {
    match value {
        "exit" => return Some(OnPanic::Exit),
        "reboot" => return Some(OnPanic::Reboot { delay_s: 0 }),
        "halt" => return Some(OnPanic::Halt),
        _ => {}
    }
    let delay_s: i32 = value.parse().ok()?;
    Some(match u32::try_from(delay_s) {
        Ok(0) => OnPanic::Halt,
        Ok(delay_s) => OnPanic::Reboot { delay_s },
        Err(_) => OnPanic::Reboot { delay_s: 0 },
    })
}

fn mmio_device(value: &str) -> Option<MmioDevice> {
    let (size, place) = value.split_once('@')?;
    // A fourth field is Linux's device number, of no use here.
    let mut fields = place.split(':');
    let device = MmioDevice {
        size: number(size)?,
        base: number(fields.next()?)?,
        irq: u32::try_from(number(fields.next()?)?).ok()?,
    };
    device.base.checked_add(device.size)?;
    (device.size > 0).then_some(device)
}

/// Linux's `memparse`: decimal or `0x`, then K, M or G.
fn number(text: &str) -> Option<u64> {
    let shift = match text.as_bytes().last()? {
        b'k' | b'K' => 10,
        b'm' | b'M' => 20,
        b'g' | b'G' => 30,
        _ => 0,
    };
    let digits = if shift == 0 {
        text
    } else {
        &text[..text.len() - 1]
    };
    let value = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    value.checked_mul(1 << shift)
}

const BAUD_DEFAULT: u32 = 115_200;
const BAUD_MIN: u32 = 50;
const BAUD_MAX: u32 = 115_200;
