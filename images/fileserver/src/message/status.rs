//! Status codes, and a page for each that a person can read.

macro_rules! statuses {
    ($($code:literal $name:ident $reason:literal $text:literal;)*) => {
        /// The status codes that this server sends: RFC 9110 15.
        #[non_exhaustive]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Status {
            $(#[doc = $reason] $name = $code,)*
        }

        impl Status {
            /// Every status, for counters.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The number.
            #[must_use]
            pub const fn code(self) -> u16 {
                self as u16
            }

            /// The status line, with its line end. Always version 1.1: RFC 9110 6.2.
            pub(crate) const fn line(self) -> &'static [u8] {
                match self {
                    $(Self::$name => concat!(
                        "HTTP/1.1 ", $code, " ", $reason, "\r\n"
                    ).as_bytes(),)*
                }
            }

            /// An HTML page that says what happened.
            #[must_use]
            pub const fn page(self) -> &'static [u8] {
                match self {
                    $(Self::$name => concat!(
                        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>",
                        $code, " ", $reason, "</title>\n<h1>", $code, " ", $reason, "</h1>\n<p>",
                        $text, "</p>\n"
                    ).as_bytes(),)*
                }
            }
        }
    };
}

statuses! {
    200 Ok "OK" "";
    204 NoContent "No Content" "";
    206 PartialContent "Partial Content" "";
    301 MovedPermanently "Moved Permanently" "The page is elsewhere.";
    302 Found "Found" "The page is elsewhere for now.";
    303 SeeOther "See Other" "The answer is elsewhere.";
    304 NotModified "Not Modified" "";
    307 TemporaryRedirect "Temporary Redirect" "The page is elsewhere for now.";
    308 PermanentRedirect "Permanent Redirect" "The page is elsewhere.";
    400 BadRequest "Bad Request" "The request is not valid HTTP.";
    403 Forbidden "Forbidden" "This folder has no page of its own.";
    404 NotFound "Not Found" "There is no such page on this site.";
    405 MethodNotAllowed "Method Not Allowed" "This server answers GET, HEAD and OPTIONS only.";
    406 NotAcceptable "Not Acceptable" "The page has no coding that the request wants.";
    408 RequestTimeout "Request Timeout" "The request took too long to arrive.";
    412 PreconditionFailed "Precondition Failed" "The page is not the one that the request means.";
    413 ContentTooLarge "Content Too Large" "The request body is too large.";
    414 UriTooLong "URI Too Long" "The address is too long.";
    416 RangeNotSatisfiable "Range Not Satisfiable" "The page has no such part.";
    417 ExpectationFailed "Expectation Failed" "The request expects too much.";
    421 MisdirectedRequest "Misdirected Request" "There is no site of this name here.";
    431 HeaderFieldsTooLarge "Request Header Fields Too Large" "The header is too large.";
    500 InternalServerError "Internal Server Error" "The answer could not be written.";
    501 NotImplemented "Not Implemented" "The request uses a coding unknown here.";
    503 ServiceUnavailable "Service Unavailable" "The server is busy, please try again.";
    505 VersionNotSupported "HTTP Version Not Supported" "This server speaks HTTP/1.0 and 1.1.";
}
