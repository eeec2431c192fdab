//! The whole way: ring, wire, ring. The modules' own tests have the parts.

pub(crate) mod build;
mod faults;
mod rings;
mod trace;
