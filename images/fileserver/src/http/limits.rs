//! What a request may be at most.

/// Header fields a request may have at most, whatever [`Limits`] say: memory on the stack.
pub(super) const HEADERS_MAX: usize = 64;

/// Bytes that are enough for the head of every answer but one with much that the site asks for,
/// and a redirect with a very long path, which with no more room than this becomes 414.
pub const HEAD_LEN_MIN: usize = 512;

/// What a request may be at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the request line, without its end; more is 414.
    pub line_len_max: u16,
    /// Bytes of request line and header fields; more is 431.
    pub head_len_max: u16,
    /// Header fields; more is 431. More than 64 counts as 64.
    pub header_cnt_max: u16,
    /// Bytes of a request body, which is thrown away; more is 413.
    pub body_len_max: u32,
    /// Requests on one connection; the last is answered with `Connection: close`.
    pub requests_max: u32,
}

impl Limits {
    /// nginx's figures where it has them (8 KiB of head), and enough for every browser.
    pub const DEFAULT: Self = Self {
        line_len_max: 8000,
        head_len_max: 8192,
        header_cnt_max: HEADERS_MAX as u16,
        body_len_max: 64 * 1024,
        requests_max: 10_000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
