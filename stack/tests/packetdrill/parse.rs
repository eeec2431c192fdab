//! From words to a script: options, times, calls. Packets are read by `parse_packet.rs`.

use super::lex::{Error, Kind, Token, lex};
use super::parse_packet;
use super::script::{Action, Call, Event, Expr, Script, When};

/// Reads a script.
pub(crate) fn parse(text: &str) -> Result<Script, Error> {
    let mut cursor = Cursor {
        tokens: lex(text)?,
        at: 0,
    };
    let mut script = Script::default();
    while let Some(token) = cursor.peek().cloned() {
        match token.kind {
            Kind::Option(name, value) => {
                cursor.at += 1;
                script.options.push((token.line, name, value));
            }
            // A shell line without a time: before everything, or between two events.
            Kind::Shell(text) => {
                cursor.at += 1;
                script.events.push(Event {
                    line: token.line,
                    when: When::After(0),
                    action: Action::Shell(text),
                });
            }
            _ => script.events.push(event(&mut cursor)?),
        }
    }
    Ok(script)
}

/// A place in the words of a script.
pub(crate) struct Cursor {
    tokens: Vec<Token>,
    at: usize,
}

impl Cursor {
    pub(crate) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    pub(crate) fn kind(&self) -> Option<&Kind> {
        self.peek().map(|token| &token.kind)
    }

    pub(crate) fn kind_after(&self, n: usize) -> Option<&Kind> {
        self.tokens.get(self.at + n).map(|token| &token.kind)
    }

    /// The line of the next word, or the last one.
    pub(crate) fn line(&self) -> u32 {
        let token = self.peek().or(self.tokens.last());
        token.map_or(1, |token| token.line)
    }

    pub(crate) fn skip(&mut self) {
        self.at += 1;
    }

    pub(crate) fn wrong(&self, wanted: &str) -> Error {
        let found = self.kind().map_or("the end".to_string(), Kind::to_string);
        Error::new(self.line(), format!("expected {wanted}, found `{found}`"))
    }

    pub(crate) fn eat(&mut self, symbol: char) -> bool {
        let is_it = self.kind() == Some(&Kind::Symbol(symbol));
        self.at += usize::from(is_it);
        is_it
    }

    pub(crate) fn expect(&mut self, symbol: char) -> Result<(), Error> {
        if self.eat(symbol) {
            Ok(())
        } else {
            Err(self.wrong(&format!("`{symbol}`")))
        }
    }

    pub(crate) fn eat_word(&mut self, word: &str) -> bool {
        let is_it = matches!(self.kind(), Some(Kind::Word(found)) if found == word);
        self.at += usize::from(is_it);
        is_it
    }

    pub(crate) fn word(&mut self) -> Option<String> {
        let Some(Kind::Word(word)) = self.kind() else {
            return None;
        };
        let word = word.clone();
        self.at += 1;
        Some(word)
    }

    /// A number that fits.
    pub(crate) fn int<T: TryFrom<i64>>(&mut self) -> Result<T, Error> {
        let Some(Kind::Int(value)) = self.kind() else {
            return Err(self.wrong("a number"));
        };
        let value = *value;
        let Ok(fitting) = T::try_from(value) else {
            return Err(Error::new(self.line(), format!("{value} is out of range")));
        };
        self.at += 1;
        Ok(fitting)
    }

    /// A number of seconds, in microseconds.
    fn time(&mut self) -> Result<i64, Error> {
        let micros = match self.kind() {
            Some(Kind::Int(secs)) => secs.checked_mul(1_000_000),
            Some(Kind::Millionths(micros)) => Some(*micros),
            _ => None,
        };
        let is_time = micros.filter(|micros| *micros >= 0);
        let micros = is_time.ok_or_else(|| self.wrong("a time"))?;
        self.at += 1;
        Ok(micros)
    }
}

fn event(cursor: &mut Cursor) -> Result<Event, Error> {
    let line = cursor.line();
    let when = when(cursor)?;
    let action = action(cursor)?;
    let is_outbound = matches!(action, Action::Outbound(_));
    match when {
        When::Any | When::Between(..) | When::AfterBetween(..) if !is_outbound => {
            let text = "only an outbound packet can have any time or a range";
            Err(Error::new(line, text))
        }
        When::Between(from, to) | When::AfterBetween(from, to) if to < from => {
            Err(Error::new(line, "the range of times is backwards"))
        }
        _ => Ok(Event { line, when, action }),
    }
}

fn when(cursor: &mut Cursor) -> Result<When, Error> {
    if cursor.eat('*') {
        return Ok(When::Any);
    }
    let is_relative = cursor.eat('+');
    let from = cursor.time()?;
    if !cursor.eat('~') {
        return Ok(if is_relative {
            When::After(from)
        } else {
            When::At(from)
        });
    }
    if is_relative {
        cursor.expect('+')?;
        return Ok(When::AfterBetween(from, cursor.time()?));
    }
    Ok(When::Between(from, cursor.time()?))
}

fn action(cursor: &mut Cursor) -> Result<Action, Error> {
    match cursor.kind() {
        Some(Kind::Symbol('<')) => {
            cursor.skip();
            parse_packet::packet(cursor, false).map(Action::Inbound)
        }
        Some(Kind::Symbol('>')) => {
            cursor.skip();
            parse_packet::packet(cursor, true).map(Action::Outbound)
        }
        Some(Kind::Shell(text)) => {
            let text = text.clone();
            cursor.skip();
            Ok(Action::Shell(text))
        }
        Some(Kind::Code(text)) => {
            let text = text.clone();
            cursor.skip();
            Ok(Action::Code(text))
        }
        Some(Kind::Ellipsis) => {
            cursor.skip();
            let end = cursor.time()?;
            call(cursor, Some(end)).map(Action::Call)
        }
        Some(Kind::Word(_)) => call(cursor, None).map(Action::Call),
        _ => Err(cursor.wrong("a packet, a call, a shell line or code")),
    }
}

fn call(cursor: &mut Cursor, end: Option<i64>) -> Result<Call, Error> {
    let Some(name) = cursor.word() else {
        return Err(cursor.wrong("a call"));
    };
    cursor.expect('(')?;
    let args = exprs(cursor, ')')?;
    cursor.expect('=')?;
    let result = expr(cursor)?;
    let errno = match &result {
        Expr::Int(-1) => cursor.word(),
        _ => None,
    };
    // A note in parentheses: what an errno means, or flags.
    if cursor.eat('(') {
        let line = cursor.line();
        while !cursor.eat(')') {
            if cursor.peek().is_none() {
                return Err(Error::new(line, "a note without an end"));
            }
            cursor.skip();
        }
    }
    Ok(Call {
        end,
        name,
        args,
        result,
        errno,
    })
}

/// Expressions with commas between them, up to and with `end`.
fn exprs(cursor: &mut Cursor, end: char) -> Result<Vec<Expr>, Error> {
    let mut found = Vec::new();
    if cursor.eat(end) {
        return Ok(found);
    }
    loop {
        found.push(expr(cursor)?);
        if cursor.eat(end) {
            return Ok(found);
        }
        cursor.expect(',')?;
    }
}

fn expr(cursor: &mut Cursor) -> Result<Expr, Error> {
    let first = single(cursor)?;
    if cursor.kind() != Some(&Kind::Symbol('|')) {
        return Ok(first);
    }
    let mut parts = vec![first];
    while cursor.eat('|') {
        parts.push(single(cursor)?);
    }
    Ok(Expr::Or(parts))
}

fn single(cursor: &mut Cursor) -> Result<Expr, Error> {
    let Some(kind) = cursor.kind().cloned() else {
        return Err(cursor.wrong("an argument"));
    };
    let simple = match kind {
        Kind::Ellipsis => Expr::Any,
        Kind::Int(value) => Expr::Int(value),
        Kind::Text(text) => Expr::Text(text),
        Kind::Address(text) => Expr::Address(text),
        Kind::Word(word) => {
            cursor.skip();
            if !cursor.eat('(') {
                return Ok(Expr::Word(word));
            }
            return Ok(Expr::Apply(word, exprs(cursor, ')')?));
        }
        Kind::Symbol('[') => {
            cursor.skip();
            return exprs(cursor, ']').map(Expr::Array);
        }
        Kind::Symbol('{') => {
            cursor.skip();
            return fields(cursor).map(Expr::Struct);
        }
        _ => return Err(cursor.wrong("an argument")),
    };
    cursor.skip();
    Ok(simple)
}

/// What stands between braces: `name = value`, `name(count) = value`, or values alone.
fn fields(cursor: &mut Cursor) -> Result<Vec<(Option<String>, Expr)>, Error> {
    let mut found = Vec::new();
    if cursor.eat('}') {
        return Ok(found);
    }
    loop {
        let value = expr(cursor)?;
        if cursor.eat('=') {
            let (Expr::Word(name) | Expr::Apply(name, _)) = value else {
                return Err(cursor.wrong("the name of a field before `=`"));
            };
            found.push((Some(name), expr(cursor)?));
        } else {
            found.push((None, value));
        }
        if cursor.eat('}') {
            return Ok(found);
        }
        cursor.expect(',')?;
    }
}
