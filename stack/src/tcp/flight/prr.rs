//! Proportional rate reduction (RFC 6937): how sending is spread over a recovery, so that cwnd
//! comes down to ssthresh by the end of it, whatever the acknowledgments look like.
//!
//! ```text
//!   pipe > ssthresh    one byte out for each cwnd_before / ssthresh bytes delivered
//!   pipe <= ssthresh   as many out as are delivered, and one segment more while nothing else is
//!                      lost (slow start), until pipe is ssthresh
//! ```

/// One recovery.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prr {
    /// prr_delivered: bytes that have arrived since the recovery began.
    delivered: u64,
    /// prr_out: bytes sent since.
    out: u64,
    /// RecoverFS: bytes in flight when it began.
    recover_fs: u32,
    /// sndcnt: bytes that may be sent now.
    quota: u32,
}

/// What one acknowledgment says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// DeliveredData, in bytes.
    pub(crate) delivered: u32,
    /// Bytes in flight by our best estimate (RFC 6675 4).
    pub(crate) pipe: u32,
    pub(crate) ssthresh: u32,
    pub(crate) smss: u32,
    /// It moves SND.UNA and shows no further loss: then a little more may go out than came in.
    pub(crate) is_safe: bool,
}

impl Prr {
    /// A recovery begins with so much in flight.
    pub(crate) fn new(recover_fs: u32) -> Self {
        Self {
            recover_fs: recover_fs.max(1),
            ..Self::default()
        }
    }

    /// An acknowledgment has come during the recovery (RFC 6937 3).
    pub(crate) fn acked(&mut self, progress: Progress) {
        let Progress {
            delivered,
            pipe,
            ssthresh,
            smss,
            is_safe,
        } = progress;
        self.delivered = self.delivered.saturating_add(delivered.into());
        let quota = if pipe > ssthresh {
            let share = self.delivered.saturating_mul(ssthresh.into());
            share
                .div_ceil(self.recover_fs.into())
                .saturating_sub(self.out)
        } else {
            let conservative = self.delivered.saturating_sub(self.out);
            let limit = if is_safe {
                conservative.max(delivered.into()) + u64::from(smss)
            } else {
                conservative
            };
            limit.min((ssthresh - pipe).into())
        };
        // What was lost goes out again at once, whatever the proportion says.
        let least = if self.out == 0 { smss } else { 0 };
        self.quota = u32::try_from(quota).unwrap_or(u32::MAX).max(least);
    }

    /// Bytes went out.
    pub(crate) fn sent(&mut self, len: u32) {
        self.out = self.out.saturating_add(len.into());
        self.quota = self.quota.saturating_sub(len);
    }

    /// Bytes that may be sent now.
    #[inline]
    pub(crate) fn quota(&self) -> u32 {
        self.quota
    }
}
