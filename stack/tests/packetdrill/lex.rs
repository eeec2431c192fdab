//! Words of a script: text in, tokens out, each with its line.

use std::collections::HashMap;

/// What is wrong with a script, or what went wrong in it, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Error {
    pub(crate) line: u32,
    pub(crate) text: String,
}

impl Error {
    pub(crate) fn new(line: u32, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { line, text }
    }
}

/// A word of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `--name=value`; the value is empty without `=`.
    Option(String, String),
    Word(String),
    Int(i64),
    /// A number with a decimal point, in millionths.
    Millionths(i64),
    Text(String),
    /// A shell line between backticks.
    Shell(String),
    /// What stands between `%{` and `}%`.
    Code(String),
    Ellipsis,
    /// An IPv4 address, as it is written.
    Address(String),
    Symbol(char),
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Option(name, value) => write!(f, "--{name}={value}"),
            Self::Word(text) | Self::Address(text) => f.write_str(text),
            Self::Int(value) => write!(f, "{value}"),
            Self::Millionths(value) => write!(f, "{}", *value as f64 / 1e6),
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Shell(text) => write!(f, "`{text}`"),
            Self::Code(_) => f.write_str("%{"),
            Self::Ellipsis => f.write_str("..."),
            Self::Symbol(symbol) => write!(f, "{symbol}"),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) line: u32,
}

/// All words of a script; those that `--define` names stand for what it says.
pub(crate) fn lex(text: &str) -> Result<Vec<Token>, Error> {
    let mut lexer = Lexer {
        rest: text,
        line: 1,
        defines: HashMap::new(),
    };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next()? {
        // The digits of a cookie are no number.
        let is_cookie = matches!(&token.kind, Kind::Word(word) if word == "FO" || word == "FOEXP");
        tokens.push(token);
        if is_cookie {
            tokens.extend(lexer.digits()?);
        }
    }
    Ok(tokens)
}

struct Lexer<'t> {
    rest: &'t str,
    line: u32,
    defines: HashMap<String, Kind>,
}

impl<'t> Lexer<'t> {
    /// Takes `len` bytes.
    fn take(&mut self, len: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        self.line += taken.matches('\n').count() as u32;
        taken
    }

    fn take_while(&mut self, is_part: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !is_part(c));
        self.take(end.unwrap_or(self.rest.len()))
    }

    /// Takes what stands up to `end`, and `end` itself, which must be there.
    fn take_through(&mut self, end: &str, what: &str) -> Result<&'t str, Error> {
        let Some(at) = self.rest.find(end) else {
            return Err(Error::new(self.line, format!("{what} without an end")));
        };
        let taken = self.take(at);
        self.take(end.len());
        Ok(taken)
    }

    fn skip(&mut self) -> Result<(), Error> {
        loop {
            self.take_while(char::is_whitespace);
            if self.rest.starts_with("//") || self.rest.starts_with('#') {
                self.take_while(|c| c != '\n');
            } else if self.rest.starts_with("/*") {
                self.take_through("*/", "a comment")?;
            } else {
                return Ok(());
            }
        }
    }

    fn next(&mut self) -> Result<Option<Token>, Error> {
        self.skip()?;
        let line = self.line;
        let Some(first) = self.rest.chars().next() else {
            return Ok(None);
        };
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let second = self.rest.chars().nth(1);
        let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        let kind = match first {
            '-' if self.rest.starts_with("--") => self.option()?,
            '.' if self.rest.starts_with("...") => {
                self.take(3);
                Kind::Ellipsis
            }
            '0'..='9' => self.number()?,
            '.' | '-' if is_digit(second) => self.number()?,
            '"' => {
                self.take(1);
                Kind::Text(self.take_through("\"", "a string")?.to_string())
            }
            '`' => {
                self.take(1);
                Kind::Shell(self.take_through("`", "a shell line")?.trim().to_string())
            }
            '%' if second == Some('{') => {
                self.take(2);
                Kind::Code(self.take_through("}%", "a piece of code")?.to_string())
            }
            c if is_word(c) => {
                let word = self.take_while(is_word);
                let defined = self.defines.get(word).cloned();
                defined.unwrap_or_else(|| Kind::Word(word.to_string()))
            }
            _ => {
                self.take(first.len_utf8());
                Kind::Symbol(first)
            }
        };
        Ok(Some(Token { kind, line }))
    }

    /// Hexadecimal digits as one word, or a name in their place, if there are any.
    fn digits(&mut self) -> Result<Option<Token>, Error> {
        self.skip()?;
        let line = self.line;
        let digits = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        let defined = self.defines.get(digits).cloned();
        let kind = defined.unwrap_or_else(|| Kind::Word(digits.to_string()));
        Ok((!digits.is_empty()).then_some(Token { kind, line }))
    }

    fn option(&mut self) -> Result<Kind, Error> {
        self.take(2);
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        let value = if self.rest.starts_with('=') {
            self.take(1);
            self.take_while(|c| !c.is_whitespace())
        } else {
            ""
        };
        if name == "define" {
            let (word, value) = value
                .split_once('=')
                .ok_or_else(|| Error::new(self.line, "--define wants NAME=VALUE"))?;
            let mut inner = Lexer {
                rest: value,
                line: self.line,
                defines: HashMap::new(),
            };
            let token = inner.next()?;
            let token = token.filter(|_| inner.rest.is_empty());
            let kind = token.ok_or_else(|| Error::new(self.line, "--define wants one word"))?;
            self.defines.insert(word.to_string(), kind.kind);
        }
        Ok(Kind::Option(name.to_string(), value.to_string()))
    }

    fn number(&mut self) -> Result<Kind, Error> {
        let bad = |text: &str, line| Error::new(line, format!("not a number: {text}"));
        if self.rest.starts_with("0x") {
            let text = self.take_while(|c| c.is_ascii_alphanumeric());
            let value = i64::from_str_radix(&text[2..], 16).map_err(|_| bad(text, self.line))?;
            return Ok(Kind::Int(value));
        }
        // Digits and single points: `0...0.2` is a number, an ellipsis and a number.
        let bytes = self.rest.as_bytes();
        let mut len = usize::from(bytes[0] == b'-');
        let mut points = 0;
        while let Some(&byte) = bytes.get(len) {
            let next = bytes.get(len + 1);
            match byte {
                b'0'..=b'9' => {}
                b'.' if next.is_some_and(u8::is_ascii_digit) => points += 1,
                _ => break,
            }
            len += 1;
        }
        let text = self.take(len);
        match points {
            0 => text
                .parse()
                .map(Kind::Int)
                .map_err(|_| bad(text, self.line)),
            1 => millionths(text)
                .map(Kind::Millionths)
                .ok_or_else(|| bad(text, self.line)),
            3 => Ok(Kind::Address(text.to_string())),
            _ => Err(bad(text, self.line)),
        }
    }
}

/// `1.25` as 1,250,000.
fn millionths(text: &str) -> Option<i64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text),
    };
    let (whole, part) = text.split_once('.')?;
    let whole: i64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let digits = part.len();
    let part: i64 = part.get(..digits.min(6))?.parse().ok()?;
    let scale = 10_i64.checked_pow(6_u32.saturating_sub(digits as u32))?;
    whole
        .checked_mul(1_000_000)?
        .checked_add(part.checked_mul(scale)?)
        .map(|value| sign * value)
}
