//! The end of a core, and of all.

use std::error::Error;
use std::process::ExitCode;

use simoom_netmap::hosts::Open;
use simoom_platform::linux::say;
use simoom_platform::net::{End, Served};

use super::shared::ServedOn;

/// How a core has ended, or all of them.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ended {
    home: u64,
    all: u64,
    copied: u64,
    is_gone: bool,
}

impl Ended {
    pub(crate) fn add(&mut self, other: Self) {
        self.home += other.home;
        self.all += other.all;
        self.copied += other.copied;
        self.is_gone |= other.is_gone;
    }

    /// Says it.
    pub(crate) fn tell(self) -> Result<ExitCode, Box<dyn Error>> {
        let Self {
            home,
            all,
            copied,
            is_gone,
        } = self;
        if is_gone {
            return Err("the port is gone: its interface, or the other end, was taken away".into());
        }
        say(format_args!(
            "ended: frames {home} of {all} home, {copied} payload bytes copied"
        ));
        Ok(match home == all {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }
}

/// Gives everything back, and looks whether all frames are there.
pub(crate) fn close<H: Open + 'static>(
    served: ServedOn<H>,
    end: End,
) -> Result<Ended, Box<dyn Error>> {
    let Served {
        stack,
        queue,
        port,
        pool,
        capture: _,
    } = served;
    let sent = queue.counters().tx;
    let copied = stack.counters().payload_bytes_copied + sent.bytes_moved + sent.content_copied;
    drop(stack);
    drop(queue);
    let (home, all) = (pool.free_cnt(), pool.owned_cnt());
    drop(port.close(pool)?);
    Ok(Ended {
        home: home.into(),
        all: all.into(),
        copied,
        is_gone: end == End::Gone,
    })
}
