//! What is known beforehand: the sums of the site's bytes, so that bodies need not be read to be
//! sent, and requests that have come before, so that they need not be read to be answered.

use simoom::Sums;

use super::FileServer;
use crate::http::Known;

impl FileServer {
    /// Says where the sums of the site's bytes are, for a port that leaves checksums to the stack.
    pub fn set_sums(&mut self, sums: Option<&'static Sums>) {
        self.sums = sums;
    }

    /// Keeps requests in `known`. Without, each is read.
    pub fn set_known(&mut self, known: Known) {
        self.known = known;
    }
}
