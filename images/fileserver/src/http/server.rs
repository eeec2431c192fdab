//! A site, and how it is served: what all connections share.

use simoom::wire::checksum::Sum;

use super::exchange::Exchange;
use super::known::{CLOSE_END, HEAD_END};
use super::limits::Limits;
use crate::message::date::{DATE_LINE_LEN, DateLines, date_lines};
use crate::site::Site;

/// A site, and how it is served.
#[derive(Clone, Copy)]
pub struct Server {
    pub(super) site: Site,
    pub(super) limits: Limits,
    pub(super) date: Option<DateLines>,
    /// The sums of what ends the heads that were prepared: of a connection that stays, and of one
    /// that closes.
    head_end_sums: [Sum; 2],
}

impl Server {
    /// A server without a clock: answers have no Date, as RFC 9110 6.6.1 wants it then.
    #[must_use]
    pub fn new(site: Site, limits: Limits) -> Self {
        Self {
            site,
            limits,
            date: None,
            head_end_sums: head_end_sums(None),
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
        self.head_end_sums = head_end_sums(self.date.as_ref());
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

    /// The sum of these, and of what says that the connection `closes`, if it does.
    #[inline]
    pub(crate) fn head_end_sum(&self, closes: bool) -> Sum {
        let [stays, close] = self.head_end_sums;
        if closes { close } else { stays }
    }
}

pub(super) fn head_end_sums(date: Option<&DateLines>) -> [Sum; 2] {
    let line = date.and_then(|lines| lines.get(..DATE_LINE_LEN));
    let line = Sum::of(line.unwrap_or_default());
    [&HEAD_END[..], CLOSE_END].map(|end| line.followed_by(Sum::of(end)))
}
