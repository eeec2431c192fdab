//! When the device's checksums come to nothing: they are ours from then on.
//!
//! A device that completes partial checksums wrongly, or a path behind it that cuts across before
//! they are complete, loses every segment of TCP, while ARP and ICMP, whose checksums are always
//! ours, work. The first connections show it: SYNs come, and come again, for their SYN-ACKs are not
//! taken. Once a connection has been accepted, the device is trusted for good.
//!
//! Whoever repeats SYNs before the first client comes can have us do the sums ourselves. That costs
//! time and nothing else, and is told.

use super::Net;
use crate::config::SYNS_AGAIN_MAX;

impl Net<'_> {
    /// A SYN has come again, though it was answered: it is answered again.
    #[cold]
    pub(crate) fn syn_came_again(&mut self) {
        self.counters.tcp_retransmits += 1;
        if !self.caps.checksums.tx || self.counters.tcp_accepted > 0 {
            return;
        }
        self.syns_again = self.syns_again.saturating_add(1);
        if self.syns_again >= SYNS_AGAIN_MAX {
            self.caps.checksums.tx = false;
            self.super_len = 0;
            self.counters.checksum_fallbacks += 1;
        }
    }
}
