//! Ports over a kernel that is played by the test: the four rings, from their other side. And over
//! the kernel itself, on devices that the test makes ([`veth`]).

mod hostile;
pub(super) mod kernel;
mod moving;
mod sending;
mod veth;
