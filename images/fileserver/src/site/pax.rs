//! Extended headers: POSIX.1-2017 pax, "pax Extended Header".
//!
//! A body of records, each `LENGTH KEYWORD=VALUE\n`, where the length counts the whole record and
//! itself. What concerns a site is kept: `path`, `linkpath`, `size`, `mtime`.

use super::error::Fault;

/// What extended headers say in place of the header block.
#[derive(Clone, Copy, Default)]
pub(super) struct Pax {
    pub(super) path: Option<&'static [u8]>,
    pub(super) linkpath: Option<&'static [u8]>,
    pub(super) size: Option<i64>,
    pub(super) mtime: Option<i64>,
    pub(super) is_sparse: bool,
}

impl Pax {
    /// Takes the records of one extended header over what is known already.
    pub(super) fn read(&mut self, mut records: &'static [u8]) -> Result<(), Fault> {
        while !records.is_empty() {
            let (keyword, value, rest) = record(records).ok_or(Fault::Pax)?;
            records = rest;
            match keyword {
                b"path" => self.path = some_unless_empty(value),
                b"linkpath" => self.linkpath = some_unless_empty(value),
                b"size" if value.is_empty() => self.size = None,
                b"size" => self.size = Some(decimal(value).ok_or(Fault::Size)?),
                b"mtime" if value.is_empty() => self.mtime = None,
                b"mtime" => self.mtime = Some(seconds(value).ok_or(Fault::Number)?),
                _ if keyword.starts_with(b"GNU.sparse.") => self.is_sparse = true,
                _ => {}
            }
        }
        Ok(())
    }

    /// What holds for one entry: its own extended header first, then the archive's.
    pub(super) fn over(self, global: Self) -> Self {
        Self {
            path: self.path.or(global.path),
            linkpath: self.linkpath.or(global.linkpath),
            size: self.size.or(global.size),
            mtime: self.mtime.or(global.mtime),
            is_sparse: self.is_sparse || global.is_sparse,
        }
    }
}

/// An empty value takes a keyword back.
fn some_unless_empty(value: &'static [u8]) -> Option<&'static [u8]> {
    (!value.is_empty()).then_some(value)
}

type Record = (&'static [u8], &'static [u8], &'static [u8]);

/// Keyword and value of the first record, and what follows it.
fn record(records: &'static [u8]) -> Option<Record> {
    let space = records.iter().take(20).position(|&byte| byte == b' ')?;
    let record_len = usize::try_from(decimal(records.get(..space)?)?).ok()?;
    let (record, rest) = records.split_at_checked(record_len)?;
    let text = record.strip_suffix(b"\n")?.get(space.checked_add(1)?..)?;
    let equals = text.iter().position(|&byte| byte == b'=')?;
    Some((
        text.get(..equals)?,
        text.get(equals.checked_add(1)?..)?,
        rest,
    ))
}

/// Digits and nothing else.
fn decimal(text: &[u8]) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0i64, |value, &byte| match byte {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(i64::from(byte - b'0')),
        _ => None,
    })
}

/// A time, `-?DIGITS(.DIGITS)?`, rounded down to a second.
fn seconds(text: &[u8]) -> Option<i64> {
    let (is_negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut parts = text.splitn(2, |&byte| byte == b'.');
    let whole = decimal(parts.next()?)?;
    let fraction = parts.next().unwrap_or(&[]);
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    if !is_negative {
        return Some(whole);
    }
    let is_ragged = fraction.iter().any(|&byte| byte != b'0');
    whole.checked_neg()?.checked_sub(i64::from(is_ragged))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let mut pax = Pax::default();
        pax.read(b"12 path=a/b\n11 size=12\n23 mtime=1700000000.99\n8 foo==\n")
            .unwrap();
        assert_eq!(pax.path, Some(&b"a/b"[..]));
        assert_eq!((pax.size, pax.mtime), (Some(12), Some(1_700_000_000)));
        pax.read(b"9 path=\n9 size=\n").unwrap_err();
        pax.read(b"8 path=\n8 size=\n9 mtime=\n").unwrap();
        assert_eq!((pax.path, pax.size, pax.mtime), (None, None, None));
        pax.read(b"22 GNU.sparse.major=1\n").unwrap();
        assert!(pax.is_sparse);
    }

    #[test]
    fn malformed_records() {
        let rows: &[&[u8]] = &[
            b"x",
            b"12 path=a/b",
            b"99 path=a/b\n",
            b"0 path=a\n",
            b"1 \n",
            b"3 \n",
            b"5 abc\n",
            b" path=a\n",
            b"-12 path=a/b\n",
            b"99999999999999999999999 path=a\n",
            b"11 size=1x\n",
            b"12 size=-1x\n",
            b"31 size=99999999999999999999999\n",
            b"12 mtime=1,5\n",
            b"\0\0\0\0",
        ];
        for row in rows {
            assert!(Pax::default().read(row).is_err(), "{}", row.escape_ascii());
        }
    }

    #[test]
    fn times_are_rounded_down() {
        assert_eq!(seconds(b"0.5"), Some(0));
        assert_eq!(seconds(b"-0.5"), Some(-1));
        assert_eq!(seconds(b"-2.0"), Some(-2));
        assert_eq!(seconds(b"-"), None);
        assert_eq!(seconds(b"1.2.3"), None);
    }
}
