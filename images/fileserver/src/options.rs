//! What the command line says to the server, the same for every machine that it runs on.
//!
//! | key | value | default |
//! |---|---|---|
//! | `port` | the TCP port to listen on | 80 |
//! | `listing` | `on`: folders without an `index.html` are listed | `off` |
//! | `hosts` | `on`: each top-level folder is the site of the host of that name | `off` |
//! | `time` | seconds since 1970 at the start, or `none` | the machine's clock |
//!
//! With `hosts=on` the folder `default` is the site of all hosts that have none of their own; a
//! link from one name to another serves both. Without a time answers have no Date.

use core::fmt;

use crate::site;

/// The keys of the table above.
pub const KEYS: &[&str] = &["port", "listing", "hosts", "time"];

/// What they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The TCP port to listen on.
    pub port: u16,
    /// How the site is read.
    pub site: site::Options,
    /// Where the time comes from.
    pub time: Time,
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
        },
        time: Time::Machine,
    };

    /// Reads all keys; `get` knows the value of each that is there.
    ///
    /// # Errors
    /// The first value that cannot be.
    pub fn read<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<Self, BadOption<'a>> {
        let mut options = Self::DEFAULT;
        if let Some(port) = number(&get, "port", 1, "1 to 65535")? {
            options.port = port;
        }
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
        Ok(options)
    }
}

fn number<'a, T: core::str::FromStr + PartialOrd>(
    get: &impl Fn(&str) -> Option<&'a str>,
    key: &'static str,
    least: T,
    expected: &'static str,
) -> Result<Option<T>, BadOption<'a>> {
    let Some(value) = get(key) else {
        return Ok(None);
    };
    let parsed = value.parse().ok().filter(|number| *number >= least);
    let bad = BadOption {
        key,
        value,
        expected,
    };
    parsed.map(Some).ok_or(bad)
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
