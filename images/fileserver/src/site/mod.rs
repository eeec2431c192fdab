//! A site: an ordinary tar in memory, indexed in place.
//!
//! ```text
//!   archive  ┌──────┬───────────┬──────┬──────┬─────┐     read only, never copied
//!            │header│ body, pad │header│ body │ ... │
//!            └──▲───┴──▲────────┴──▲───┴──▲───┴─────┘
//!   entries  ┌──┼──────┼─┬─ ─ ─┬───┼──────┼─┬─ ─ ─┐        128 bytes each, a hash table
//!            │ path  body│     │  path  body│     │        with open addressing
//!            └───────────┴─ ─ ─┴────────────┴─ ─ ─┘
//! ```
//!
//! [`Site::open`] does it, in memory that the caller finds: [`Archive::census`] reads the headers
//! and says how many slots the table needs, [`Archive::index`] fills it, then the heads of answers
//! are written. A lookup is one hash and one compare.
//!
//! The archive is what any `tar` writes: ustar, pax (path, linkpath, size, mtime, also for the
//! whole archive), GNU's long names and base-256 numbers, and the older format of version 7.
//! The last entry of a name wins, as in extraction. Links within the archive are followed at
//! boot. Devices and other kinds are left out and counted. What would be served wrong is refused:
//! every malformed header, a name that leaves the site, a link that leads nowhere, a sparse file,
//! an archive without its end mark. The reader is ours because tar-no-std 0.5, the one `no_std`
//! crate that is kept up, has no pax paths, no GNU long names and no links, and copies names.

mod block;
mod coding;
mod digest;
mod draft;
mod error;
mod file;
mod head;
mod index;
mod links;
mod listing;
mod lookup;
mod media;
mod members;
mod open;
pub(crate) mod path;
mod pax;
mod roots;
mod rules;
mod table;
#[cfg(test)]
mod tests;
mod variants;

pub use coding::Coding;
pub use error::{Fault, SiteError};
pub use file::{File, Representation};
pub use index::{Archive, Census};
pub use lookup::{Found, Site};
pub use media::MediaType;
pub use open::{Memory, Options};
pub use path::PATH_MAX;
pub(crate) use rules::{Captures, Redirect, ToPiece};
pub use rules::{HEADERS_LEN_MAX, REDIRECTS_MAX, RuleFault};
pub use table::Entry;
