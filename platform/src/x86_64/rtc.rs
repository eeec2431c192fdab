//! The date and the time of day: the PC's real-time clock (MC146818), read once at boot.
//!
//! It counts seconds, minutes, ... in registers behind an index port, in binary or decimal digits,
//! and is right on every virtual machine and on most PCs, where it is set to UTC as servers have
//! it. A machine without one answers with ones, which is no date.

use super::port::Port;

/// SAFETY: selects a register of the real-time clock, which has no access to memory. Bit 7 masks
/// NMI and is left clear.
const INDEX: Port = unsafe { Port::new(0x70) };
/// SAFETY: reads the register that was selected.
const DATA: Port = unsafe { Port::new(0x71) };

/// Registers of a time, and what says how to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Registers {
    second: u8,
    minute: u8,
    hour: u8,
    day: u8,
    month: u8,
    year: u8,
    century: u8,
    status_b: u8,
}

/// Seconds since 1970, UTC, or `None` without a clock that tells a date.
#[must_use]
pub fn read_unix() -> Option<i64> {
    let mut last = None;
    // Twice the same: no register changed in between.
    for _ in 0..READS_MAX {
        wait_for_update()?;
        let registers = Registers::read();
        if last == Some(registers) {
            return registers.unix();
        }
        last = Some(registers);
    }
    None
}

/// Waits while the clock changes its registers: 2 ms at most, by the data sheet.
fn wait_for_update() -> Option<()> {
    (0..POLLS_MAX)
        .any(|_| register(0x0a) & UPDATE_IN_PROGRESS == 0)
        .then_some(())
}

fn register(index: u8) -> u8 {
    INDEX.write8(index);
    DATA.read8()
}

impl Registers {
    fn read() -> Self {
        Self {
            second: register(0x00),
            minute: register(0x02),
            hour: register(0x04),
            day: register(0x07),
            month: register(0x08),
            year: register(0x09),
            century: register(0x32),
            status_b: register(0x0b),
        }
    }

    fn unix(&self) -> Option<i64> {
        let is_binary = self.status_b & BINARY != 0;
        let number = |register: u8| {
            if is_binary {
                return Some(i64::from(register));
            }
            let (high, low) = (register >> 4, register & 15);
            (high < 10 && low < 10).then(|| i64::from(high) * 10 + i64::from(low))
        };
        let (second, minute) = (number(self.second)?, number(self.minute)?);
        let (day, month, year) = (number(self.day)?, number(self.month)?, number(self.year)?);
        let hour = if self.status_b & HOURS_24 != 0 {
            number(self.hour)?
        } else {
            // Twelve hours, 12 is the first of them; bit 7 is the afternoon.
            let afternoon = i64::from(self.hour >> 7) * 12;
            number(self.hour & 0x7f).filter(|hour| (1..=12).contains(hour))? % 12 + afternoon
        };
        // Not every machine keeps the century there.
        let century = number(self.century).filter(|century| (20..=21).contains(century));
        let year = century.unwrap_or(20) * 100 + year;
        let is_time = second < 60 && minute < 60 && hour < 24;
        let is_date = (1..=12).contains(&month) && (1..=31).contains(&day) && year < 2200;
        (is_time && is_date)
            .then(|| days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
    }
}

/// Days from 1 January 1970, for years from 2000 to 2199.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March end with the leap day; 2100 has none.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - DAYS_TO_1970
}

/// From 1 March of the year 0.
const DAYS_TO_1970: i64 = 719_468;

const UPDATE_IN_PROGRESS: u8 = 0x80;
const HOURS_24: u8 = 0x02;
const BINARY: u8 = 0x04;

/// Times that the registers are read at most, and that the clock is asked whether it is ready: far
/// more than 2 ms take.
const READS_MAX: usize = 5;
const POLLS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 2033 20:49:37 GMT.
    const BCD: Registers = Registers {
        second: 0x37,
        minute: 0x49,
        hour: 0x20,
        day: 0x06,
        month: 0x11,
        year: 0x33,
        century: 0x20,
        status_b: HOURS_24,
    };
    const UNIX: i64 = 2_014_922_977;

    #[test]
    fn digits_binary_and_twelve_hours() {
        assert_eq!(BCD.unix(), Some(UNIX));
        let binary = Registers {
            second: 37,
            minute: 49,
            hour: 20,
            day: 6,
            month: 11,
            year: 33,
            century: 20,
            status_b: HOURS_24 | BINARY,
        };
        assert_eq!(binary.unix(), Some(UNIX));
        let twelve = |hour| {
            let registers = Registers {
                hour,
                status_b: 0,
                ..BCD
            };
            registers.unix().map(|unix| (unix - UNIX) / 3_600)
        };
        assert_eq!(twelve(0x88), Some(0));
        assert_eq!(twelve(0x08), Some(-12));
        assert_eq!(twelve(0x12), Some(-20));
        assert_eq!(twelve(0x92), Some(-8));
        assert_eq!(twelve(0x00), None);
        assert_eq!(twelve(0x13), None);
        let no_century = Registers {
            century: 0xff,
            ..BCD
        };
        assert_eq!(no_century.unix(), Some(UNIX));
    }

    #[test]
    fn what_is_no_date() {
        let ones = Registers {
            second: 0xff,
            minute: 0xff,
            hour: 0xff,
            day: 0xff,
            month: 0xff,
            year: 0xff,
            century: 0xff,
            status_b: 0xff,
        };
        assert_eq!(ones.unix(), None);
        assert_eq!(
            Registers {
                second: 0x60,
                ..BCD
            }
            .unix(),
            None
        );
        assert_eq!(
            Registers {
                minute: 0x1a,
                ..BCD
            }
            .unix(),
            None
        );
        assert_eq!(Registers { hour: 0x24, ..BCD }.unix(), None);
        assert_eq!(Registers { day: 0, ..BCD }.unix(), None);
        assert_eq!(Registers { month: 0x13, ..BCD }.unix(), None);
    }

    #[test]
    fn days_of_the_calendar() {
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2000, 3, 1), 11_017);
        assert_eq!(days(2026, 11, 23), 20_780);
        assert_eq!(days(2100, 3, 1) - days(2100, 2, 28), 1);
        assert_eq!(days(2096, 3, 1) - days(2096, 2, 28), 2);
    }
}
