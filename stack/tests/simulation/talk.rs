//! What both ends say to each other, whatever stack is below: a client asks for slices of known
//! content or sends them, a server answers, and both check every byte.
//!
//! ```text
//!   client ── offset, length, flags ──────────────────────► server
//!          ◄───────────── length, then so many bytes ──────          a download
//!   client ── offset, length, flags, then so many bytes ──► server
//!          ◄────────────────────── length ─────────────────          an upload
//! ```

use simoom_sim::Rng;

/// Everything that is ever served: bytes that tell their place.
pub(crate) fn content() -> &'static [u8] {
    static CONTENT: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    CONTENT.get_or_init(|| {
        let mut rng = Rng::new(7);
        (0..CONTENT_LEN / 8)
            .flat_map(|_| rng.next_u64().to_le_bytes())
            .collect()
    })
}

/// Bytes of [`content`].
pub(crate) const CONTENT_LEN: usize = 1 << 20;

/// A request: where in the content, how many bytes, and which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) offset: u32,
    pub(crate) len: u32,
    /// The bytes follow the request instead of the answer.
    pub(crate) is_upload: bool,
    /// The server closes behind its answer.
    pub(crate) is_last: bool,
}

impl Request {
    pub(crate) const LEN: usize = 8;

    pub(crate) fn random(rng: &mut Rng, len_max: u64) -> Self {
        let len = rng.below(len_max + 1) as u32;
        let offset = rng.below((CONTENT_LEN as u64 - u64::from(len)) + 1) as u32;
        Self {
            offset,
            len,
            is_upload: false,
            is_last: false,
        }
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::LEN] {
        let flags = u32::from(self.is_upload) << 31 | u32::from(self.is_last) << 30;
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&(self.offset | flags).to_be_bytes());
        bytes[4..].copy_from_slice(&self.len.to_be_bytes());
        bytes
    }

    /// The request that begins `bytes`, if all of it is there.
    ///
    /// # Panics
    /// When no client asks like this.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (offset, rest) = bytes.split_first_chunk::<4>()?;
        let (len, _) = rest.split_first_chunk::<4>()?;
        let (offset, len) = (u32::from_be_bytes(*offset), u32::from_be_bytes(*len));
        let request = Self {
            offset: offset & 0x3fff_ffff,
            len,
            is_upload: offset >> 31 != 0,
            is_last: offset >> 30 & 1 != 0,
        };
        assert!(
            u64::from(request.offset) + u64::from(len) <= CONTENT_LEN as u64,
            "nobody asks for {request:?}"
        );
        Some(request)
    }

    /// The bytes that it is about.
    pub(crate) fn body(self) -> &'static [u8] {
        &content()[self.offset as usize..][..self.len as usize]
    }

    /// The bytes behind the request itself.
    pub(crate) fn uploaded(self) -> &'static [u8] {
        if self.is_upload { self.body() } else { &[] }
    }

    /// The bytes behind the length that answers it.
    pub(crate) fn downloaded(self) -> &'static [u8] {
        if self.is_upload { &[] } else { self.body() }
    }
}

/// What a client has asked and what it has been answered.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) requests: Vec<Request>,
    pub(crate) asked: usize,
    pub(crate) answered: usize,
    /// Bytes of the current answer that have come, its length field included.
    got: usize,
}

impl Asking {
    pub(crate) fn new(requests: Vec<Request>) -> Self {
        Self {
            requests,
            asked: 0,
            answered: 0,
            got: 0,
        }
    }

    /// What to ask next, with at most `pipeline` requests under way.
    pub(crate) fn next(&self, pipeline: u32) -> Option<Request> {
        let has_turn = self.asked - self.answered < pipeline as usize;
        self.requests.get(self.asked).copied().filter(|_| has_turn)
    }

    pub(crate) fn is_all_asked(&self) -> bool {
        self.asked == self.requests.len()
    }

    pub(crate) fn is_answered(&self) -> bool {
        self.answered == self.requests.len()
    }

    /// Takes bytes of answers; how many answers they complete.
    ///
    /// # Panics
    /// When they are not the bytes that were asked for.
    pub(crate) fn check(&mut self, mut bytes: &[u8]) -> u64 {
        let before = self.answered;
        while !bytes.is_empty() {
            let Some(request) = self.requests.get(self.answered) else {
                panic!("{} bytes behind the last answer", bytes.len());
            };
            let (head, body) = (request.len.to_be_bytes(), request.downloaded());
            let expected = match self.got {
                got @ 0..4 => &head[got..],
                got => &body[got - 4..],
            };
            let len = expected.len().min(bytes.len());
            assert_eq!(bytes[..len], expected[..len], "{request:?} at {}", self.got);
            self.got += len;
            bytes = &bytes[len..];
            if self.got == 4 + body.len() {
                self.got = 0;
                self.answered += 1;
            }
        }
        (self.answered - before) as u64
    }
}

/// What a server has been asked.
#[derive(Debug, Default)]
pub(crate) struct Serving {
    /// An upload under way, and how many of its bytes have come.
    upload: Option<(Request, usize)>,
}

impl Serving {
    /// Takes bytes of requests: how many, and the request that they complete. `(0, None)` when
    /// more are needed.
    ///
    /// # Panics
    /// When they are not the bytes that the request says.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> (usize, Option<Request>) {
        if let Some((request, got)) = &mut self.upload {
            let expected = &request.uploaded()[*got..];
            let len = expected.len().min(bytes.len());
            assert_eq!(bytes[..len], expected[..len], "{request:?} at {got}");
            *got += len;
            let request = *request;
            let is_whole = len == expected.len();
            if is_whole {
                self.upload = None;
            }
            return (len, is_whole.then_some(request));
        }
        match Request::from_bytes(bytes) {
            None => (0, None),
            Some(request) if request.uploaded().is_empty() => (Request::LEN, Some(request)),
            Some(request) => {
                self.upload = Some((request, 0));
                (Request::LEN, None)
            }
        }
    }
}
