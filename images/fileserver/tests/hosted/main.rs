//! The Linux process where Linux's own stack cannot be the client: over a pipe to another process,
//! and on `/dev/netmap`, of which there is a fake here. The client is our own stack.
//!
//! The same cases for each: over 1,000 files by 100 connections at once, a file of 256 MiB, every
//! byte compared, and all frames home at the end. [`namespaces`] is about what the process leaves.

mod browser;
mod namespaces;
mod netmap;
mod pipe;
mod sites;
