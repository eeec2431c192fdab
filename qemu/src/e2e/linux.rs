//! Linux's own TCP as the peer of our stack, without a guest.

use super::{Outcome, World};
use crate::bench;
use crate::linux;
use crate::text;
use anyhow::{Result, bail};

/// Byte-exact transfers in every role over bad wires.
pub(super) fn peer(_world: &mut World) -> Result<Outcome> {
    if rustix::process::geteuid().is_root() {
        if let Err(error) = linux::look() {
            let why = text::one_line(&format!("{error:#}"));
            return Ok(Outcome::Skipped(why));
        }
        linux::check::run()?;
        return Ok(Outcome::Passed);
    }
    let status = match linux::in_user_namespace(&["bench", "linux", "--check"]) {
        Ok(status) => status,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    match status.code() {
        Some(0) => Ok(Outcome::Passed),
        Some(code) if code == i32::from(bench::EXIT_NOT_HERE) => Ok(Outcome::Skipped(
            "no TAP device in a user namespace".to_owned(),
        )),
        _ => bail!("it failed in a user namespace ({status})"),
    }
}
