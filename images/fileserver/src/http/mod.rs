//! HTTP/1.1 (RFC 9110, 9112) as a function from bytes to bytes.
//!
//! ```text
//!   bytes ─┬─ request::parse ── target ─┬─ Site::find ── reply ──► head, in the caller's memory
//!   (of a  └─ plain::read ──────────────┘                   └──► body, a slice of the site
//!   frame, in place)
//! ```
//!
//! [`Server::respond`] reads one request and writes one answer. Between calls a connection keeps
//! an [`Exchange`]: no header, no buffer. A head that straddles two frames is the one case with
//! memory, see [`Gather`].
//!
//! After an answer with `close` nothing that still arrives is read as a request, so whoever can
//! make this server misread a head gets a closed connection and no second answer.

mod accept;
mod answer;
mod chunked;
mod conditions;
mod exchange;
mod gather;
mod known;
mod lanes;
mod limits;
mod newer;
mod plain;
mod range;
mod reply;
mod request;
mod respond;
mod route;
mod server;
mod target;

pub use crate::message::Status;
pub use exchange::{Answer, Exchange, Step};
pub use gather::Gather;
pub(crate) use known::KnownIdx;
pub use known::{KNOWN_CNT, Known, Place};
pub(crate) use lanes::{LANES, Lanes, first};
pub use limits::{HEAD_LEN_MIN, Limits};
pub use range::{PIECE_LEN_MAX, Parts, Piece, RANGES_MAX};
pub use server::Server;
