//! `%{ assert tcpi_snd_cwnd == 10, tcpi_snd_cwnd }%`: the little of Python that scripts use, on
//! what the stack says of a connection.

use simoom::tcp::{State, Status};

use super::constants::named;

/// Checks every line of a piece of code. `status` is `None` for a connection that is gone.
pub(crate) fn check(code: &str, status: Option<&Status>) -> Result<(), String> {
    for line in code.split(['\n', ';']) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let Some(text) = line
            .strip_prefix("assert")
            .filter(|rest| rest.starts_with([' ', '(']))
        else {
            return Err(format!("only assertions are understood: {line}"));
        };
        let mut reader = Reader {
            rest: text,
            status,
            seen: Vec::new(),
        };
        let value = reader.any_of()?;
        reader.rest = reader.rest.trim_start();
        // What follows a comma is what Python would say.
        if !reader.rest.is_empty() && !reader.rest.starts_with(',') {
            return Err(format!(
                "cannot be understood from here on: {}",
                reader.rest
            ));
        }
        if value == 0 {
            let seen = reader.seen.join(", ");
            return Err(format!("assertion failed: {line} ({seen})"));
        }
    }
    Ok(())
}

/// What the stack says of a connection, under Linux's name for it.
fn info(name: &str, status: Option<&Status>) -> Result<i64, String> {
    let Some(status) = status else {
        if name == "tcpi_state" {
            return Ok(named("TCP_CLOSE").unwrap_or(0));
        }
        return Err(format!("{name} of a connection that is gone"));
    };
    let segments = |bytes: u32| i64::from(bytes.div_ceil(u32::from(status.smss).max(1)));
    Ok(match name {
        "tcpi_state" => state(status.state),
        "tcpi_retransmits" => status.retransmits.into(),
        "tcpi_rto" => status.rto.as_micros() as i64,
        "tcpi_rtt" => status.srtt.as_micros() as i64,
        "tcpi_rttvar" => status.rttvar.as_micros() as i64,
        "tcpi_snd_mss" => status.smss.into(),
        "tcpi_unacked" => segments(status.flight_size),
        // Linux counts whole segments, and knows no larger threshold than this.
        "tcpi_snd_cwnd" => i64::from(status.cwnd / u32::from(status.smss).max(1)),
        "tcpi_snd_ssthresh" if status.ssthresh > i32::MAX as u32 => i32::MAX.into(),
        "tcpi_snd_ssthresh" => i64::from(status.ssthresh / u32::from(status.smss).max(1)),
        "tcpi_snd_wnd" => status.snd_wnd.into(),
        "tcpi_rcv_wnd" => status.rcv_wnd.into(),
        "tcpi_lost" => segments(status.lost_len),
        "tcpi_sacked" => segments(status.sacked_len),
        "tcpi_total_retrans" => status.retransmits_total.into(),
        "tcpi_bytes_acked" => status.bytes_acked as i64,
        "tcpi_bytes_received" => status.bytes_received as i64,
        "tcpi_snd_wscale" => status.snd_wscale.into(),
        "tcpi_rcv_wscale" => status.rcv_wscale.into(),
        "tcpi_options" => options(status),
        "tcpi_notsent_bytes" => status.unacked_len as i64 - i64::from(status.flight_size),
        _ => return Err(format!("unknown name: {name}")),
    })
}

/// Linux's bits for what both sides have agreed on.
fn options(status: &Status) -> i64 {
    let bits = [
        ("TCPI_OPT_TIMESTAMPS", status.has_timestamps),
        ("TCPI_OPT_SACK", status.has_sack),
        ("TCPI_OPT_WSCALE", status.snd_wscale + status.rcv_wscale > 0),
        ("TCPI_OPT_ECN", status.has_ecn),
    ];
    let agreed = bits.iter().filter(|(_, is_on)| *is_on);
    agreed.filter_map(|(name, _)| named(name)).sum()
}

/// Linux's number of a state.
fn state(state: State) -> i64 {
    let name = match state {
        State::Established => "TCP_ESTABLISHED",
        State::SynSent => "TCP_SYN_SENT",
        State::SynReceived => "TCP_SYN_RECV",
        State::FinWait1 => "TCP_FIN_WAIT1",
        State::FinWait2 => "TCP_FIN_WAIT2",
        State::TimeWait => "TCP_TIME_WAIT",
        State::Closed => "TCP_CLOSE",
        State::CloseWait => "TCP_CLOSE_WAIT",
        State::LastAck => "TCP_LAST_ACK",
        State::Listen => "TCP_LISTEN",
        State::Closing => "TCP_CLOSING",
    };
    named(name).unwrap_or(0)
}

/// An expression, read and evaluated at once: one function for each strength of binding.
struct Reader<'t> {
    rest: &'t str,
    status: Option<&'t Status>,
    /// Names with their values, for the complaint.
    seen: Vec<String>,
}

impl Reader<'_> {
    fn eat(&mut self, text: &str) -> bool {
        let rest = self.rest.trim_start();
        let Some(after) = rest.strip_prefix(text) else {
            return false;
        };
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if text.ends_with(is_part) && after.starts_with(is_part) {
            return false;
        }
        self.rest = after;
        true
    }

    fn any_of(&mut self) -> Result<i64, String> {
        let mut value = self.all_of()?;
        while self.eat("or") {
            let other = self.all_of()?;
            value = if value != 0 { value } else { other };
        }
        Ok(value)
    }

    fn all_of(&mut self) -> Result<i64, String> {
        let mut value = self.negation()?;
        while self.eat("and") {
            let other = self.negation()?;
            value = if value == 0 { value } else { other };
        }
        Ok(value)
    }

    fn negation(&mut self) -> Result<i64, String> {
        if self.eat("not") {
            return Ok(i64::from(self.negation()? == 0));
        }
        self.comparison()
    }

    /// A chain, as in `1 <= a < b`.
    fn comparison(&mut self) -> Result<i64, String> {
        let mut left = self.sum(0)?;
        let mut holds = None;
        loop {
            let found = ["==", "!=", "<=", ">=", "<", ">"].into_iter().find(|text| {
                // Not the beginning of a shift.
                let rest = self.rest.trim_start();
                !rest.starts_with("<<") && !rest.starts_with(">>") && self.eat(text)
            });
            let Some(found) = found else {
                return Ok(holds.map_or(left, i64::from));
            };
            let right = self.sum(0)?;
            let this = match found {
                "==" => left == right,
                "!=" => left != right,
                "<=" => left <= right,
                ">=" => left >= right,
                "<" => left < right,
                _ => left > right,
            };
            holds = Some(holds.unwrap_or(true) && this);
            left = right;
        }
    }

    /// Everything between comparisons and single values, by strength.
    fn sum(&mut self, strength: usize) -> Result<i64, String> {
        const OPERATORS: [&[&str]; 5] = [
            &["|"],
            &["&"],
            &["<<", ">>"],
            &["+", "-"],
            &["*", "//", "/", "%"],
        ];
        let Some(operators) = OPERATORS.get(strength) else {
            return self.single();
        };
        let mut value = self.sum(strength + 1)?;
        while let Some(operator) = operators.iter().find(|text| self.eat(text)) {
            let other = self.sum(strength + 1)?;
            let result = match *operator {
                "|" => Some(value | other),
                "&" => Some(value & other),
                "<<" => u32::try_from(other)
                    .ok()
                    .and_then(|by| value.checked_shl(by)),
                ">>" => u32::try_from(other)
                    .ok()
                    .and_then(|by| value.checked_shr(by)),
                "+" => value.checked_add(other),
                "-" => value.checked_sub(other),
                "*" => value.checked_mul(other),
                "%" => value.checked_rem_euclid(other),
                _ => value.checked_div_euclid(other),
            };
            value = result.ok_or_else(|| format!("{value} {operator} {other} has no value"))?;
        }
        Ok(value)
    }

    fn single(&mut self) -> Result<i64, String> {
        if self.eat("(") {
            let value = self.any_of()?;
            if !self.eat(")") {
                return Err(format!("no closing parenthesis before {}", self.rest));
            }
            return Ok(value);
        }
        if self.eat("-") {
            return self.single().map(|value| -value);
        }
        let rest = self.rest.trim_start();
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        self.rest = after;
        if let Some(digits) = word.strip_prefix("0x") {
            return i64::from_str_radix(digits, 16).map_err(|_| format!("what is {word}?"));
        }
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            return word.parse().map_err(|_| format!("what is {word}?"));
        }
        if word.starts_with("tcpi_") {
            let value = info(word, self.status)?;
            self.seen.push(format!("{word} = {value}"));
            return Ok(value);
        }
        named(word).ok_or_else(|| format!("unknown name: {word}{}", after.trim_end()))
    }
}
