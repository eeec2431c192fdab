//! What a machine owes the stack: time, chance, memory, interrupts, a console, and a way out.
//!
//! ```text
//!   loader ─ entry ─ boot information ─ memory ─ paging ─ interrupts ─ clock ─ entropy ─ main
//!                                                                                        │
//!                                                            Machine: each of them, once ┘
//! ```
//!
//! Top level: what no machine decides. [`command_line`] (with Linux's `ip=`), [`memory`] (the
//! carve-out of boot time), [`log`] (levels), [`chacha`] (the generator behind the entropy).
//! [`net`]: the loop that joins a port and a stack, on any machine. `x86_64`: bare metal, with the
//! macro [`image!`] that turns a crate into a bootable image. `linux` (feature `linux`): a process.
//!
//! # An image
//!
//! `build.rs`, so that the link arguments reach this one binary:
//!
//! ```ignore
//! fn main() {
//!     for arg in std::env::var("DEP_SIMOOM_PLATFORM_LINK_ARGS").unwrap().split(' ') {
//!         println!("cargo::rustc-link-arg-bin=simoom-echo={arg}");
//!     }
//!     let asm = std::env::var("DEP_SIMOOM_PLATFORM_ASM").unwrap();
//!     println!("cargo::rustc-env=SIMOOM_ASM={asm}");
//! }
//! ```
//!
//! `main.rs`, with `test = false` and `bench = false` for the binary in `Cargo.toml`:
//!
//! ```ignore
//! #![no_std]
//! #![no_main]
//! #![deny(unsafe_code)]
//!
//! use simoom_platform::x86_64::{ExitCode, Machine, console};
//!
//! simoom_platform::image!(main);
//!
//! fn main(machine: Machine) -> ExitCode {
//!     console!("{} bytes free", machine.memory.free_bytes());
//!     ExitCode::SUCCESS
//! }
//! ```
//!
//! # Limits
//!
//! One processor. Memory up to 64 GiB. Devices reach all memory: there is no IOMMU. PCI needs a
//! firmware that has placed the devices, so not QEMU's `microvm,pcie=on`; the entropy device is
//! looked for on PCI bus 0 only. `microvm` has one serial port: for logs there, QEMU needs
//! `-device isa-serial,index=1,chardev=..`. There are no frame pointers, so a backtrace is a good
//! guess, see `x86_64::exceptions`.
//!
//! # Logs
//!
//! With feature `defmt` (of the image, which passes it on) the image logs to its second UART.
//! What is compiled in is `DEFMT_LOG` at build time (`error` when unset); what is sent is `log=` on
//! the command line. Without the feature there is no logger and defmt must not be linked: host
//! builds of the workspace leave it off.

#![no_std]

#[cfg(any(test, all(feature = "linux", target_os = "linux")))]
extern crate std;

pub mod chacha;
pub mod command_line;
#[cfg(all(feature = "linux", target_os = "linux"))]
pub mod linux;
pub mod log;
pub mod memory;
pub mod net;

#[cfg(target_arch = "x86_64")]
pub mod x86_64;

#[cfg(feature = "defmt")]
#[doc(hidden)]
pub use defmt;
