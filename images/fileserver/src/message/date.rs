//! HTTP dates: RFC 9110 5.6.7. Written as IMF-fixdate, read in all three forms.

use super::head::HeadWriter;

/// Bytes of an IMF-fixdate.
pub(crate) const DATE_LEN: usize = 29;

/// The line of Date.
pub(crate) const DATE_LINE_LEN: usize = 6 + DATE_LEN + 2;

/// The line of Date, and the empty one that mostly follows it.
pub(crate) type DateLines = [u8; DATE_LINE_LEN + 2];

const DAY: i64 = 86_400;
/// Days in 400 years of the Gregorian calendar, and in the shorter spans that it is made of.
const DAYS_400: i64 = 146_097;
const DAYS_100: i64 = 36_524;
const DAYS_4: i64 = 1_461;
/// From 1 March of the year 0 to 1 January 1970. Years that start in March end with the leap day.
const MARCH_0: i64 = 719_468;

const WEEKDAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// The line of Date at a time, seconds since 1970.
pub(crate) fn date_lines(seconds: i64) -> DateLines {
    let mut lines = [0; DATE_LINE_LEN + 2];
    let mut out = HeadWriter::new(&mut lines);
    out.put(b"Date: ");
    out.put(&imf_fixdate(seconds));
    out.put(b"\r\n\r\n");
    lines
}

/// Writes seconds since 1970, 0 to the end of the year 9999, as `Sun, 06 Nov 1994 08:49:37 GMT`.
/// Times out of that range are brought to its nearer end.
pub(crate) fn imf_fixdate(seconds: i64) -> [u8; DATE_LEN] {
    let seconds = seconds.clamp(0, 253_402_300_799);
    let (days, second) = (seconds / DAY, seconds % DAY);
    let (year, month, day) = civil(days);
    let mut out = *b"Thu, 00 Jan 0000 00:00:00 GMT";
    let mut set = |at: usize, text: &[u8]| {
        if let Some(room) = out.get_mut(at..at + text.len()) {
            room.copy_from_slice(text);
        }
    };
    set(
        0,
        WEEKDAYS
            .get((days % 7) as usize)
            .map_or(&[], |name| &name[..]),
    );
    set(5, &two_digits(day));
    set(
        8,
        MONTHS
            .get((month - 1) as usize)
            .map_or(&[], |name| &name[..]),
    );
    set(12, &two_digits(year / 100));
    set(14, &two_digits(year % 100));
    set(17, &two_digits(second / 3600));
    set(20, &two_digits(second / 60 % 60));
    set(23, &two_digits(second % 60));
    out
}

/// Reads a date; `None` when it is in none of the three forms.
pub(crate) fn parse(text: &[u8]) -> Option<i64> {
    let (first, rest) = text.split_at_checked(text.iter().position(|byte| *byte == b' ')?)?;
    match (first.strip_suffix(b","), rest) {
        // IMF-fixdate: Sun, 06 Nov 1994 08:49:37 GMT
        (
            Some([_, _, _]),
            &[
                b' ',
                d1,
                d2,
                b' ',
                m1,
                m2,
                m3,
                b' ',
                y1,
                y2,
                y3,
                y4,
                b' ',
                ref clock @ ..,
            ],
        ) => {
            let year = number(&[y1, y2, y3, y4])?;
            let clock = clock.strip_suffix(b" GMT")?;
            seconds(year, month(&[m1, m2, m3])?, number(&[d1, d2])?, clock)
        }
        // RFC 850: Sunday, 06-Nov-94 08:49:37 GMT
        (
            Some(_),
            &[
                b' ',
                d1,
                d2,
                b'-',
                m1,
                m2,
                m3,
                b'-',
                y1,
                y2,
                b' ',
                ref clock @ ..,
            ],
        ) => {
            let short = number(&[y1, y2])?;
            // RFC 9110 5.6.7: what would be more than 50 years ahead is past. From 2019 on 2069 is
            // no more than that; Unix time starts in 1970.
            let year = if short < 70 {
                2000 + short
            } else {
                1900 + short
            };
            let clock = clock.strip_suffix(b" GMT")?;
            seconds(year, month(&[m1, m2, m3])?, number(&[d1, d2])?, clock)
        }
        // asctime: Sun Nov  6 08:49:37 1994
        (None, &[b' ', m1, m2, m3, b' ', d1, d2, b' ', ref rest @ ..]) if first.len() == 3 => {
            let (clock, year) = rest.split_at_checked(8)?;
            let year = number(year.strip_prefix(b" ").filter(|year| year.len() == 4)?)?;
            let d1 = if d1 == b' ' { b'0' } else { d1 };
            seconds(year, month(&[m1, m2, m3])?, number(&[d1, d2])?, clock)
        }
        _ => None,
    }
}

/// A calendar date and `08:49:37` as seconds since 1970.
fn seconds(year: i64, month: i64, day: i64, clock: &[u8]) -> Option<i64> {
    let &[h1, h2, b':', m1, m2, b':', s1, s2] = clock else {
        return None;
    };
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[m1, m2])?, number(&[s1, s2])?);
    // A leap second is the first second of the next minute.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days(year, month, day);
    if day < 1 || civil(days) != (year, month, day) {
        return None;
    }
    Some(days * DAY + hour * 3600 + minute * 60 + second)
}

/// Days since 1970 to year, month (1 to 12) and day (1 to 31).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + MARCH_0;
    let (era, day) = (days.div_euclid(DAYS_400), days.rem_euclid(DAYS_400));
    // The last century of an era and the last year of four are one day longer: the divisions
    // would give a fifth century and a fifth year for that day.
    let century = (day / DAYS_100).min(3);
    let day = day - century * DAYS_100;
    let (four, day) = (day / DAYS_4, day % DAYS_4);
    let one = (day / 365).min(3);
    let day = day - one * 365;
    let year = era * 400 + century * 100 + four * 4 + one;
    // Months from March on have 31 30 31 30 31 days and again: 153 in five.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    if month < 10 {
        (year, month + 3, day)
    } else {
        (year + 1, month - 9, day)
    }
}

/// Year, month and day to days since 1970.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let before_month = (153 * month + 2) / 5;
    era * DAYS_400 + of_era * 365 + of_era / 4 - of_era / 100 + before_month + day - 1 - MARCH_0
}

fn two_digits(value: i64) -> [u8; 2] {
    // Below 100, as all callers have it.
    let value = value as u8;
    [b'0' + value / 10 % 10, b'0' + value % 10]
}

/// A few digits and nothing else.
fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, byte| {
        byte.is_ascii_digit()
            .then(|| value * 10 + i64::from(byte - b'0'))
    })
}

fn month(name: &[u8; 3]) -> Option<i64> {
    let at = MONTHS.iter().position(|month| *month == name)?;
    i64::try_from(at + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seconds: i64, text: &str) {
        assert_eq!(core::str::from_utf8(&imf_fixdate(seconds)), Ok(text));
        assert_eq!(parse(text.as_bytes()), Some(seconds), "{text}");
    }

    #[test]
    fn known_dates() {
        row(0, "Thu, 01 Jan 1970 00:00:00 GMT");
        row(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT");
        row(951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT");
        row(1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT");
        row(4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT");
        row(253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(imf_fixdate(-5), imf_fixdate(0));
        assert_eq!(imf_fixdate(i64::MAX), imf_fixdate(253_402_300_799));
    }

    #[test]
    fn every_day_of_the_calendar_comes_back() {
        let mut last = (1969, 12, 31);
        for day in 0..253_402_300_800 / DAY {
            let (y, m, d) = civil(day);
            let follows = (y, m, d) == (last.0, last.1, last.2 + 1)
                || (y, m, d) == (last.0, last.1 + 1, 1)
                || (y, m, d) == (last.0 + 1, 1, 1) && last.1 == 12;
            assert!(follows && d <= 31 && m <= 12, "{last:?} then {y}-{m}-{d}");
            assert_eq!(days(y, m, d), day);
            last = (y, m, d);
        }
        assert_eq!(last, (9999, 12, 31));
    }

    #[test]
    fn the_two_old_forms() {
        assert_eq!(parse(b"Sunday, 06-Nov-94 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(parse(b"Sun Nov  6 08:49:37 1994"), Some(784_111_777));
        assert_eq!(parse(b"Wed Nov 16 08:49:37 1994"), Some(784_975_777));
    }

    #[test]
    fn what_is_no_date() {
        let good = b"Sun, 06 Nov 1994 08:49:37 GMT";
        for at in 4..good.len() {
            let mut bad = *good;
            bad[at] = b'?';
            assert_eq!(parse(&bad), None, "{}", bad.escape_ascii());
            assert_eq!(parse(&good[..at]), None);
        }
        let rows: &[&[u8]] = &[
            b"",
            b" ",
            b"Sun,",
            b"Sun, 31 Feb 1994 08:49:37 GMT",
            b"Sun, 00 Feb 1994 08:49:37 GMT",
            b"Sun, 06 Nov 1994 24:49:37 GMT",
            b"Sun, 06 Nov 1994 08:60:37 GMT",
            b"Sun, 06 Nov 1994 08:49:61 GMT",
            b"Sun, 06 nov 1994 08:49:37 GMT",
            b"Sun Nov  6 08:49:37 19945",
            b"784111777",
        ];
        for row in rows {
            assert_eq!(parse(row), None, "{}", row.escape_ascii());
        }
    }
}
