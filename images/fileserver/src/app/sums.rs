//! The sums of the site's bytes, so that bodies need not be read to be sent.

use simoom::Sums;

use super::FileServer;

impl FileServer {
    /// Says where the sums of the site's bytes are, for a port that leaves checksums to the stack.
    pub fn set_sums(&mut self, sums: Option<&'static Sums>) {
        self.sums = sums;
    }
}
