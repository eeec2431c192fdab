//! The application: HTTP/1.1 over the files of a site in memory.
//!
//! ```text
//!   tar in memory ── site::Site::index ──► Site ◄─┐
//!                                                 │ find
//!   bytes of a frame ── http::Server::respond ────┴──► head (small, written) + body (by reference)
//! ```
//!
//! Two parts, both pure: no input or output, no clock, no allocator, no global.
//! - [`site`]: an ordinary tar becomes a table of paths, in memory that the caller gives, at boot.
//!   Files are never copied out of it.
//! - [`http`]: the bytes of a request become the head of an answer in a buffer that the caller
//!   gives, and a body that is a slice of the site. Memory a connection: an [`http::Exchange`].
//!
//! [`app::FileServer`] connects them to the stack: it is the stack's application, on any machine.
//! [`options`] is what a command line may say to it.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod accesslog;
pub mod admin;
pub mod app;
pub mod front;
pub mod http;
mod message;
pub mod options;
pub mod site;
pub mod warnings;
