//! What the command line says to the server, the same for every machine that it runs on.
//!
//! | key | value | default |
//! |---|---|---|
//! | `port` | the TCP port to listen on | 80 |
//! | `listing` | `on`: folders without an `index.html` are listed | `off` |
//! | `hosts` | `on`: each top-level folder is the site of the host of that name | `off` |
//! | `time` | seconds since 1970 at the start, or `none` | the machine's clock |
//! | `admin` | `ADDR:PORT`, `:PORT` or `PORT`: a look inside, at ADDR alone or at any | off |
//! | `accesslog` | `console`, or `syslog:ADDR[:PORT]`: a line for each answer | off |
//!
//! and the limits. Times are in seconds; what happens beyond a limit is counted
//! ([`Counters`](crate::app::Counters)).
//!
//! | key | what | default | beyond it |
//! |---|---|---|---|
//! | `line` | bytes of the request line | 8000 | 414, close |
//! | `head` | bytes of request line and fields | 8192 | 431, close |
//! | `headers` | header fields, 64 at most | 64 | 431, close |
//! | `body` | bytes of a request body, thrown away | 65536 | 413, close |
//! | `requests` | requests on a connection | 10000 | `Connection: close` |
//! | `conns` | connections in all | as many as fit | reset |
//! | `conns-per-address` | connections from one address | 3/4 of all | reset |
//! | `first-byte` | time to the first byte of the first request | 60 | close |
//! | `head-time` | time for the head of a request | 10 | 408, close |
//! | `idle` | time between an answer and the next request | 60 | close |
//! | `admin-conns` | connections to the admin port, 16 at most, kept free for it | 8 | reset |
//! | `send-rate` | bytes a second that a client takes, over `idle` | 100 | reset |
//!
//! When seven of eight connections are in use, those without a request are reset.
//!
//! With `hosts=on` the folder `default` is the site of all hosts that have none of their own; a
//! link from one name to another serves both. Without a time answers have no Date.

use core::fmt;

use simoom::Duration;

use crate::admin::Words;
use crate::app::Bounds;
use crate::http::Limits;
use crate::site;

/// The keys of the table above.
pub const KEYS: &[&str] = &[
    "port",
    "listing",
    "hosts",
    "time",
    "line",
    "head",
    "headers",
    "body",
    "requests",
    "conns",
    "conns-per-address",
    "first-byte",
    "head-time",
    "idle",
    "send-rate",
    "admin",
    "admin-conns",
    "accesslog",
];

/// What they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The TCP port to listen on.
    pub port: u16,
    /// How the site is read.
    pub site: site::Options,
    /// Where the time comes from.
    pub time: Time,
    /// Limits of a request.
    pub limits: Limits,
    /// Bounds of a connection.
    pub bounds: Bounds,
    /// The look inside.
    pub look: Words,
}

/// Where the time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// The machine's clock, when it has one.
    Machine,
    /// The command line: seconds since 1970 at the start.
    Told(i64),
    /// Nowhere.
    None,
}

/// A value that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadOption<'a> {
    /// The key.
    pub key: &'static str,
    /// What stood there.
    pub value: &'a str,
    /// What could.
    pub expected: &'static str,
}

impl fmt::Display for BadOption<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            value,
            expected,
        } = self;
        write!(f, "{key}={value}: expected {expected}")
    }
}

impl core::error::Error for BadOption<'_> {}

impl Options {
    /// What is so without a word on the command line.
    pub const DEFAULT: Self = Self {
        port: 80,
        site: site::Options {
            listing: false,
            hosts: false,
            now: None,
        },
        time: Time::Machine,
        limits: Limits::DEFAULT,
        bounds: Bounds::DEFAULT,
        look: Words::DEFAULT,
    };

    /// Reads all keys; `get` knows the value of each that is there.
    ///
    /// # Errors
    /// The first value that cannot be.
    pub fn read<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<Self, BadOption<'a>> {
        let mut options = Self::DEFAULT;
        set(&get, "port", 1..=u16::MAX, "1 to 65535", &mut options.port)?;
        options.site.listing = switch(&get, "listing")?;
        options.site.hosts = switch(&get, "hosts")?;
        options.time = match get("time") {
            None => Time::Machine,
            Some("none") => Time::None,
            Some(value) => Time::Told(value.parse().map_err(|_| BadOption {
                key: "time",
                value,
                expected: "seconds since 1970, or none",
            })?),
        };
        options.limits.read(&get)?;
        options.bounds.read(&get)?;
        options.look = Words::read(&get, options.port)?;
        Ok(options)
    }

    /// The bounds for a machine that has memory for `conns_max` connections.
    #[must_use]
    pub fn bounds_for(&self, conns_max: usize) -> Bounds {
        let conns_max = conns_max.saturating_sub(self.look.conns_kept());
        let conns_max = u32::try_from(conns_max).unwrap_or(u32::MAX);
        let conns_max = self.bounds.conns_max.min(conns_max);
        let share = conns_max - conns_max / 4;
        let conns_per_addr_max = match self.bounds.conns_per_addr_max {
            u32::MAX => share.max(1),
            told => told,
        };
        Bounds {
            conns_max,
            conns_per_addr_max,
            ..self.bounds
        }
    }
}

impl Limits {
    fn read<'a>(&mut self, get: &impl Fn(&str) -> Option<&'a str>) -> Result<(), BadOption<'a>> {
        let lens = "a number of bytes, 64 to 8192";
        set(get, "line", 64..=8192, lens, &mut self.line_len_max)?;
        set(get, "head", 64..=8192, lens, &mut self.head_len_max)?;
        let cnts = "a number of fields, 1 to 64";
        set(get, "headers", 1..=64, cnts, &mut self.header_cnt_max)?;
        let bytes = "a number of bytes";
        set(get, "body", 0..=u32::MAX, bytes, &mut self.body_len_max)?;
        let cnt = "a number from 1 on";
        set(get, "requests", 1..=u32::MAX, cnt, &mut self.requests_max)
    }
}

impl Bounds {
    fn read<'a>(&mut self, get: &impl Fn(&str) -> Option<&'a str>) -> Result<(), BadOption<'a>> {
        let cnt = "a number from 1 on";
        set(get, "conns", 1..=u32::MAX, cnt, &mut self.conns_max)?;
        let per_addr = &mut self.conns_per_addr_max;
        set(get, "conns-per-address", 1..=u32::MAX, cnt, per_addr)?;
        for (key, time) in [
            ("first-byte", &mut self.first_byte),
            ("head-time", &mut self.head),
            ("idle", &mut self.idle),
        ] {
            let mut seconds = time.as_secs();
            set(get, key, 1..=86_400, "seconds, 1 to 86400", &mut seconds)?;
            *time = Duration::from_secs(seconds);
        }
        let rate = "bytes a second";
        set(get, "send-rate", 0..=u32::MAX, rate, &mut self.rate_min)
    }
}

/// Sets `place` to the value of `key`, when it is there.
fn set<'a, T: core::str::FromStr + PartialOrd>(
    get: &impl Fn(&str) -> Option<&'a str>,
    key: &'static str,
    range: core::ops::RangeInclusive<T>,
    expected: &'static str,
    place: &mut T,
) -> Result<(), BadOption<'a>> {
    let Some(value) = get(key) else {
        return Ok(());
    };
    let parsed = value.parse().ok().filter(|number| range.contains(number));
    *place = parsed.ok_or(BadOption {
        key,
        value,
        expected,
    })?;
    Ok(())
}

fn switch<'a>(
    get: &impl Fn(&str) -> Option<&'a str>,
    key: &'static str,
) -> Result<bool, BadOption<'a>> {
    match get(key) {
        None | Some("off") => Ok(false),
        Some("on") => Ok(true),
        Some(value) => Err(BadOption {
            key,
            value,
            expected: "on or off",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn read(text: &'static str) -> Result<Options, BadOption<'static>> {
        Options::read(|key| {
            let mut words = text.split(' ').filter_map(|word| word.split_once('='));
            words.find(|(name, _)| *name == key).map(|(_, value)| value)
        })
    }

    #[test]
    fn every_key() {
        assert_eq!(read(""), Ok(Options::DEFAULT));
        let options = read("port=8080 listing=on hosts=on time=5").unwrap();
        assert_eq!((options.port, options.time), (8080, Time::Told(5)));
        assert!(options.site.listing && options.site.hosts);
        assert_eq!(read("time=none").unwrap().time, Time::None);
        assert!(!read("listing=off").unwrap().site.listing);
        let options = read(
            "line=100 head=200 headers=3 body=4 requests=5 conns=80 conns-per-address=7 \
             first-byte=8 head-time=9 idle=10 send-rate=0",
        )
        .unwrap();
        let limits = Limits {
            line_len_max: 100,
            head_len_max: 200,
            header_cnt_max: 3,
            body_len_max: 4,
            requests_max: 5,
        };
        let bounds = Bounds {
            conns_max: 80,
            conns_per_addr_max: 7,
            first_byte: Duration::from_secs(8),
            head: Duration::from_secs(9),
            idle: Duration::from_secs(10),
            rate_min: 0,
        };
        assert_eq!((options.limits, options.bounds), (limits, bounds));
        assert_eq!(options.bounds_for(60).conns_max, 60);
        assert_eq!(options.bounds_for(60).conns_per_addr_max, 7);
        let bounds = Options::DEFAULT.bounds_for(1_000);
        assert_eq!((bounds.conns_max, bounds.conns_per_addr_max), (1_000, 750));
    }

    #[test]
    fn values_that_cannot_be() {
        for bad in [
            "port=0",
            "port=65536",
            "port=x",
            "port=",
            "listing=1",
            "hosts=yes",
            "time=x",
        ] {
            let error = read(bad).unwrap_err();
            assert!(error.to_string().starts_with(bad), "{error}");
        }
    }
}
