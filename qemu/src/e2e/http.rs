//! The smallest honest HTTP client: what is on the wire is what the case wrote.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

/// How long an answer may pause.
const READ_LIMIT: Duration = Duration::from_secs(30);

/// A connection to the guest.
pub(super) struct Client {
    /// The connection; reads come through a small buffer.
    pub(super) stream: BufReader<TcpStream>,
}

/// Where a server is.
pub(super) struct At(SocketAddrV4);

impl From<u16> for At {
    fn from(port: u16) -> Self {
        At(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
    }
}

impl From<SocketAddrV4> for At {
    fn from(addr: SocketAddrV4) -> Self {
        At(addr)
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status code.
    pub(super) status: u16,
    /// The header fields as sent.
    fields: Vec<(String, String)>,
    /// The body.
    pub(super) body: Vec<u8>,
}

impl Client {
    /// Connects to a server: by its address, or by the port of 127.0.0.1 that leads to it.
    pub(super) fn connect(at: impl Into<At>) -> Result<Self> {
        let At(addr) = at.into();
        let stream = TcpStream::connect(addr).context("cannot connect")?;
        stream.set_read_timeout(Some(READ_LIMIT))?;
        stream.set_write_timeout(Some(READ_LIMIT))?;
        stream.set_nodelay(true)?;
        Ok(Client {
            stream: BufReader::new(stream),
        })
    }

    /// Sends bytes as they are.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream
            .get_mut()
            .write_all(bytes)
            .context("cannot send")
    }

    /// Asks for `path` and reads the whole answer.
    pub(super) fn get(&mut self, path: &str) -> Result<Answer> {
        self.send(&request("GET", path, ""))?;
        self.answer(true)
    }

    /// Reads the status line and the header fields.
    pub(super) fn header(&mut self) -> Result<Answer> {
        let line = self.line()?;
        let status = line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .with_context(|| format!("no status line: {line:?}"))?;
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(Answer {
                    status,
                    fields,
                    body: Vec::new(),
                });
            }
            let (name, value) = line.split_once(':').with_context(|| format!("{line:?}"))?;
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// Reads an answer; `has_body` is false for HEAD and 304.
    pub(super) fn answer(&mut self, has_body: bool) -> Result<Answer> {
        let mut answer = self.header()?;
        if has_body {
            let mut body = vec![0; answer.content_length()?];
            self.stream
                .read_exact(&mut body)
                .context("the body is cut")?;
            answer.body = body;
        }
        Ok(answer)
    }

    /// Reads until the other side has closed; what still came is an error.
    pub(super) fn expect_end(&mut self) -> Result<()> {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(0) => Ok(()),
            Ok(len) => bail!("{len} bytes after the answer"),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(()),
            Err(error) => Err(error).context("it does not close"),
        }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        (&mut self.stream)
            .take(8192)
            .read_line(&mut line)
            .context("no answer")?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => bail!("the header is cut at {line:?}"),
        }
    }
}

impl Answer {
    /// The value of a header field, by its lower-case name.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// The promised length of the body, bytes.
    pub(super) fn content_length(&self) -> Result<usize> {
        let text = self.field("content-length").context("no Content-Length")?;
        text.parse()
            .with_context(|| format!("Content-Length {text:?}"))
    }

    /// Fails unless the status is `status`.
    pub(super) fn expect(&self, status: u16) -> Result<()> {
        if self.status != status {
            bail!("status {} instead of {status}", self.status);
        }
        Ok(())
    }
}

/// A request; `fields` are further header lines, each with its end.
pub(super) fn request(method: &str, path: &str, fields: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: simoom\r\n{fields}\r\n").into_bytes()
}

/// A name as it stands in a URL: everything but the unreserved characters is encoded.
pub(super) fn encoded(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let mut out = String::new();
    for byte in name.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests;
