//! What a look inside sees.

use simoom::Instant;
use simoom_capture::Counts;
use simoom_ring::{Figures, FramePool};

use super::Admin;
use super::seen::Seen;
use crate::accesslog;
use crate::app::FileServer;

/// Everything that there is to be seen between two polls.
pub(super) struct View<'a> {
    pub(super) now: Instant,
    pub(super) stack: &'a dyn Seen,
    pub(super) pool: &'static FramePool<'static>,
    pub(super) rings: Figures,
    pub(super) files: &'a FileServer,
    pub(super) admin: &'a Admin,
    pub(super) log: accesslog::Counters,
    pub(super) log_waiting: usize,
    pub(super) capture: Counts,
}
