//! What the heads of messages are made of, wherever they are written: at boot for the files of a
//! [site](crate::site), or when a [request](crate::http) is answered.

pub(crate) mod date;
mod head;
mod status;

pub(crate) use head::{HeadWriter, decimal_len, sixteen_digits};
pub use status::Status;
