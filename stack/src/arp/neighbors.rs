//! The neighbor table: which station has which address, and what waits to be told.
//!
//! A small cache of sets: an address may be in any of the entries of the one set that its hash
//! names, so a search looks at [`config::NEIGHBOR_WAYS`] entries, full or empty. A caller that
//! remembers the entry looks at one.
//!
//! ```text
//!   hash(addr) ─► set 0 │ e0 e1 e2 e3 │
//!                 set 1 │ e4 e5 e6 e7 │ ◄─ hint
//!                 ...
//! ```

use core::mem;

use simoom_ring::{MacAddr, TxPacket};

use super::claim::Claim;
use crate::addr::Addr;
use crate::config::{self, NEIGHBOR_WAYS, NEIGHBORS_MAX};
use crate::counters::{Counters, DropReason};
use crate::time::Instant;

/// Reachability of a neighbor, in RFC 4861's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No neighbor: the entry is free.
    Free,
    /// Its answer is old; it serves, and is asked again when it is used.
    Stale,
    /// It has been asked for and has not answered yet.
    Incomplete,
    /// It has answered lately.
    Reachable,
}

struct Entry<'p> {
    addr: Addr,
    mac: MacAddr,
    state: State,
    /// Requests that went out and were not answered.
    tries: u8,
    /// When the state was entered or last confirmed: the oldest has to go first.
    since: Instant,
    /// When something is to be done about it.
    due: Instant,
    /// The packet that goes out when the answer comes.
    waiting: Option<TxPacket<'p>>,
}

impl Entry<'_> {
    const FREE: Self = Self {
        addr: Addr::UNSPECIFIED,
        mac: MacAddr([0; 6]),
        state: State::Free,
        tries: 0,
        since: Instant::ZERO,
        due: Instant::NEVER,
        waiting: None,
    };

    fn reach(&mut self, mac: MacAddr, now: Instant) {
        self.mac = mac;
        self.state = State::Reachable;
        self.tries = 0;
        self.since = now;
        self.due = now + config::NEIGHBOR_REACHABLE;
    }

    /// One more request goes out.
    fn ask(&mut self, now: Instant) -> Ask {
        self.tries = self.tries.saturating_add(1);
        self.due = now + config::ARP_INTERVAL;
        Ask {
            addr: self.addr,
            mac: (self.state == State::Stale).then_some(self.mac),
        }
    }

    /// Makes the entry free; what was lost with it.
    fn free(&mut self) -> Lost {
        let old = mem::replace(self, Self::FREE);
        Lost {
            neighbor: old.state != State::Free,
            packet: old.waiting.is_some(),
        }
    }
}

/// A request to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    /// Who is asked for.
    pub(crate) addr: Addr,
    /// The station to ask; `None` for all.
    pub(crate) mac: Option<MacAddr>,
}

/// What an entry took with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub(crate) struct Lost {
    /// A neighbor that was known or asked for.
    neighbor: bool,
    /// A packet that waited for it.
    packet: bool,
}

impl Lost {
    /// A packet is lost, the neighbor is not.
    fn packet_only(self) -> Self {
        Self {
            neighbor: false,
            ..self
        }
    }

    pub(crate) fn count(self, counters: &mut Counters) {
        if self.neighbor {
            counters.neighbors_evicted += 1;
        }
        if self.packet {
            counters.drop(DropReason::TxUnresolved);
        }
    }
}

/// What the table knows of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// Its station address.
    Found(MacAddr),
    /// Its station address a while ago, which is to be used and asked again.
    Stale(MacAddr),
    /// Nothing yet.
    Unknown,
}

/// The neighbors of one link.
pub struct Neighbors<'p> {
    entries: [Entry<'p>; NEIGHBORS_MAX],
    /// No entry is due before this.
    due: Instant,
    /// Changes with everything that a search may find.
    epoch: u32,
    /// Our own address among them.
    pub(super) claim: Claim,
}

impl<'p> Neighbors<'p> {
    pub(crate) const fn new() -> Self {
        Self {
            entries: [const { Entry::FREE }; NEIGHBORS_MAX],
            due: Instant::NEVER,
            epoch: 0,
            claim: Claim::none(),
        }
    }

    /// As long as it is the same, what a search has found is what it would find now.
    #[inline]
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Looks for the station address of a neighbor, in the entry `hint` first, and leaves in `hint`
    /// where it was found.
    #[inline]
    pub(crate) fn lookup(&self, addr: Addr, hint: &mut u8) -> Lookup {
        if let Some(entry) = self.entries.get(usize::from(*hint))
            && entry.addr == addr
            && entry.state == State::Reachable
        {
            return Lookup::Found(entry.mac);
        }
        let Some((idx, entry)) = self.find(addr) else {
            return Lookup::Unknown;
        };
        // An index below NEIGHBORS_MAX fits.
        *hint = u8::try_from(idx).unwrap_or(0);
        match entry.state {
            State::Reachable => Lookup::Found(entry.mac),
            State::Stale => Lookup::Stale(entry.mac),
            State::Incomplete | State::Free => Lookup::Unknown,
        }
    }

    /// A station has answered, or spoken for itself. `None` when it is neither known nor asked
    /// for; else the packet that was waiting, if one was.
    pub(super) fn confirm(
        &mut self,
        addr: Addr,
        mac: MacAddr,
        now: Instant,
    ) -> Option<Option<TxPacket<'p>>> {
        let entry = self.find_mut(addr)?;
        entry.reach(mac, now);
        let (due, waiting) = (entry.due, entry.waiting.take());
        self.due = self.due.min(due);
        Some(waiting)
    }

    /// Remembers a neighbor that is not in the table.
    pub(super) fn learn(&mut self, addr: Addr, mac: MacAddr, now: Instant) -> Lost {
        let (entry, lost) = self.make(addr);
        entry.reach(mac, now);
        let due = entry.due;
        self.due = self.due.min(due);
        lost
    }

    /// Lets a packet wait for a neighbor; the request to send if it is the first to do so.
    pub(super) fn wait(
        &mut self,
        addr: Addr,
        packet: TxPacket<'p>,
        now: Instant,
    ) -> (Option<Ask>, Lost) {
        if let Some(entry) = self.find_mut(addr) {
            let packet = entry.waiting.replace(packet).is_some();
            return (
                None,
                Lost {
                    packet,
                    ..Lost::default()
                },
            );
        }
        let (ask, lost) = self.incomplete(addr, Some(packet), now);
        (Some(ask), lost)
    }

    /// Looks for a neighbor before there is a packet for it; `None` when it is in the table.
    pub(super) fn seek(&mut self, addr: Addr, now: Instant) -> Option<(Ask, Lost)> {
        let is_known = self.find(addr).is_some();
        (!is_known).then(|| self.incomplete(addr, None, now))
    }

    /// An entry for a neighbor that is asked for the first time.
    fn incomplete(
        &mut self,
        addr: Addr,
        waiting: Option<TxPacket<'p>>,
        now: Instant,
    ) -> (Ask, Lost) {
        let (entry, lost) = self.make(addr);
        entry.state = State::Incomplete;
        entry.since = now;
        entry.waiting = waiting;
        let ask = entry.ask(now);
        let due = entry.due;
        self.due = self.due.min(due);
        (ask, lost)
    }

    /// What is sent to a neighbor seems to get lost: it is asked again when it is used next, though
    /// no sooner than an interval after its last answer.
    pub(crate) fn doubt(&mut self, addr: Addr, now: Instant) {
        if let Some(entry) = self.find_mut(addr)
            && entry.state == State::Reachable
            && now.since(entry.since) >= config::ARP_INTERVAL
        {
            entry.state = State::Stale;
            entry.due = Instant::NEVER;
        }
    }

    /// The first request to a neighbor whose entry is stale; those that follow are timed.
    pub(super) fn probe(&mut self, addr: Addr, now: Instant) -> Option<Ask> {
        let entry = self.find_mut(addr)?;
        if entry.state != State::Stale || entry.tries > 0 {
            return None;
        }
        let ask = entry.ask(now);
        let due = entry.due;
        self.due = self.due.min(due);
        Some(ask)
    }

    /// Advances the next entry that is due: a request to send, or what was lost with a neighbor
    /// that does not answer. `None` when no more is due.
    pub(super) fn next_due(&mut self, now: Instant) -> Option<Result<Ask, Lost>> {
        if self.due > now {
            return None;
        }
        self.epoch = self.epoch.wrapping_add(1);
        for entry in &mut self.entries {
            if entry.due > now {
                continue;
            }
            match entry.state {
                State::Reachable => {
                    entry.state = State::Stale;
                    entry.due = Instant::NEVER;
                }
                State::Stale | State::Incomplete if entry.tries < config::ARP_REQUESTS_MAX => {
                    return Some(Ok(entry.ask(now)));
                }
                State::Stale | State::Incomplete => return Some(Err(entry.free().packet_only())),
                State::Free => entry.due = Instant::NEVER,
            }
        }
        self.due = self
            .entries
            .iter()
            .map(|entry| entry.due)
            .min()
            .unwrap_or(Instant::NEVER);
        None
    }

    /// When something is to be done next; it may turn out to be nothing.
    #[inline]
    pub(crate) fn poll_at(&self) -> Instant {
        self.due.min(self.claim.due())
    }

    /// There is a new address to announce, at once.
    pub(crate) fn announce(&mut self) {
        self.claim.begin();
    }

    /// Who speaks for our address, too, if that was not told yet.
    pub(crate) fn take_conflict(&mut self) -> Option<MacAddr> {
        self.claim.take_conflict()
    }

    /// Forgets all neighbors and announcements; how many packets were waiting.
    pub(crate) fn clear(&mut self) -> usize {
        let lost = self
            .entries
            .iter_mut()
            .map(Entry::free)
            .filter(|lost| lost.packet)
            .count();
        let epoch = self.epoch.wrapping_add(1);
        *self = Self {
            epoch,
            ..Self::new()
        };
        lost
    }

    /// The entry of an address that is in the table.
    #[inline]
    fn find(&self, addr: Addr) -> Option<(usize, &Entry<'p>)> {
        let first = set_of(addr);
        let mut set = self
            .entries
            .iter()
            .enumerate()
            .skip(first)
            .take(NEIGHBOR_WAYS);
        set.find(|(_, entry)| entry.state != State::Free && entry.addr == addr)
    }

    fn find_mut(&mut self, addr: Addr) -> Option<&mut Entry<'p>> {
        self.epoch = self.epoch.wrapping_add(1);
        let mut set = self
            .entries
            .iter_mut()
            .skip(set_of(addr))
            .take(NEIGHBOR_WAYS);
        set.find(|entry| entry.state != State::Free && entry.addr == addr)
    }

    /// An empty entry for an address that is not in the table. In a full set the one that was
    /// confirmed longest ago has to go; stale ones are older than all others.
    fn make(&mut self, addr: Addr) -> (&mut Entry<'p>, Lost) {
        self.epoch = self.epoch.wrapping_add(1);
        let set = self
            .entries
            .iter_mut()
            .skip(set_of(addr))
            .take(NEIGHBOR_WAYS);
        let entry = set
            .min_by_key(|entry| (entry.state != State::Free, entry.since))
            .expect("a set has NEIGHBOR_WAYS entries, and that is not zero");
        let lost = entry.free();
        entry.addr = addr;
        (entry, lost)
    }
}

/// The first entry of the set that an address belongs to.
#[inline]
pub(super) fn set_of(addr: Addr) -> usize {
    let (high, low) = addr.words();
    // Neighbors differ in their last bits, which the multiplication brings to the top.
    let hash = (high ^ low).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    // The upper half of 64 bits times a small number: an index below SETS.
    ((hash * SETS) >> 32) as usize * NEIGHBOR_WAYS
}

/// Sets in the table.
const SETS: u64 = (NEIGHBORS_MAX / NEIGHBOR_WAYS) as u64;

const _: () = assert!(NEIGHBORS_MAX <= 256);
const _: () = assert!(NEIGHBOR_WAYS > 0 && NEIGHBORS_MAX.is_multiple_of(NEIGHBOR_WAYS));
