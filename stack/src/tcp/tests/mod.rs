//! Whole connections by hand, in virtual time: segment in, exact segments out, then silence.

mod answers;
mod bursts;
mod closing;
mod congestion;
mod cookies;
mod drops;
mod ecn;
mod fast_open;
mod header;
mod keep;
mod opening;
mod path;
mod peer;
mod receiving;
mod recovery;
mod sack;
mod scaling;
mod sending;
mod sharing;
mod status;
mod strays;
mod super_segments;
mod survey;
mod timeouts;
mod timestamps;
mod windows;
