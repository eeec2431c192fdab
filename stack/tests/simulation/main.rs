//! Whole networks in virtual time: every seed is another wire, another pair of devices, another
//! habit of the applications. Safety: all bytes are right, no frame is lost. Liveness: once the
//! faults are off, everything ends.
//!
//! `SIMOOM_SEED=n` runs one seed, and leaves its capture in the temporary folder if it fails;
//! `SIMOOM_SEEDS=n` runs as many.

mod congestion;
mod crowd;
mod cuts;
mod fairness;
mod fast;
mod flood;
mod foreign;
mod goodput;
mod interop;
mod memory;
mod network;
mod said;
mod scale;
mod seeds;
mod segments;
mod served;
mod short_cuts;
mod talk;
mod transfers;
mod wires;
mod world;
