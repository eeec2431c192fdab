//! A site, and how it is served: what all connections share.

use simoom::wire::checksum::Sum;

use super::exchange::Exchange;
use super::known::HEAD_END;
use super::limits::Limits;
use crate::message::date::{DateLines, date_lines};
use crate::site::Site;

/// A site, and how it is served.
#[derive(Clone, Copy)]
pub struct Server {
    pub(super) site: Site,
    pub(super) limits: Limits,
    pub(super) date: Option<DateLines>,
    /// The sum of what ends the heads that were prepared.
    head_end_sum: Sum,
}

impl Server {
    /// A server without a clock: answers have no Date, as RFC 9110 6.6.1 wants it then.
    #[must_use]
    pub fn new(site: Site, limits: Limits) -> Self {
        Self {
            site,
            limits,
            date: None,
            head_end_sum: Sum::of(HEAD_END),
        }
    }

    /// The site.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Sets Date, seconds since 1970. To be called when a second has passed.
    pub fn set_time(&mut self, seconds: Option<i64>) {
        self.date = seconds.map(date_lines);
        let end = self.date.as_ref().map_or(&HEAD_END[..], |lines| lines);
        self.head_end_sum = Sum::of(end);
    }

    /// Whether a connection has had all the requests that it may have.
    #[must_use]
    pub fn is_used_up(&self, exchange: &Exchange) -> bool {
        exchange.answered_cnt >= self.limits.requests_max
    }

    /// The line of Date, and the empty one behind it.
    #[inline]
    pub(crate) fn date_lines(&self) -> Option<&DateLines> {
        self.date.as_ref()
    }

    /// The sum of these.
    #[inline]
    pub(crate) fn head_end_sum(&self) -> Sum {
        self.head_end_sum
    }
}
