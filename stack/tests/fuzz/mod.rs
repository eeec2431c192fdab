//! What the fuzz targets of `stack/fuzz` call, and what `tests/corpus.rs` replays under plain
//! `cargo test`: the same functions from bytes, with a decoder of their own.
//!
//! ```text
//!   bytes ─ cursor ─┬─ program.rs  operations on a live stack: time, calls, its device
//!                   │    segments.rs, rows.rs, packets.rs   what arrives
//!                   │    world.rs    the stack, its rings (rings.rs), its application (ends.rs)
//!                   │    far.rs      the far sides: what they have seen, and so may say
//!                   ├─ pairs.rs    a program with the short cuts of TCP and without, compared
//!                   └─ parsers.rs  the parsers by themselves
//! ```
//!
//! Every byte string is a valid input: what is missing reads as zero. A failure is a panic.

mod cursor;
mod ends;
mod far;
mod packets;
mod pairs;
mod parsers;
mod program;
mod rings;
mod rows;
mod segments;
mod world;

#[allow(unused_imports)] // Each fuzz target uses one of them.
pub(crate) use {pairs::pairs, parsers::options, program::frames};
