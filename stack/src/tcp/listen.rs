//! Listeners: the queue of half-open connections (`syn_queue`), the queue of connections that the
//! application has not taken (`accept_queue`), and the bound on both (`backlog`).
//!
//! A half-open connection is a compact entry with a timer, not a connection: a flood of SYNs costs
//! entries of one table, and no connection, frame or queue.

use managed::ManagedSlice;

use crate::config::{LISTENERS_MAX, RTO_INITIAL, RTO_MAX};
use crate::tcp::deadline::Deadline;
use crate::tcp::ecn::{self, Ecn};
use crate::tcp::fast_open::pending::Pending;
use crate::tcp::seqnum::{SeqNum, WndScale, WndSize};
use crate::tcp::ts::Ts;
use crate::tcp::tuple::Tuple;
use crate::time::{Duration, Instant};
use crate::wire::tcp::{Ctl, Options, Repr, Segment};

/// Why a port cannot be listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenError {
    /// Port 0 is none.
    BadPort,
    /// Something listens there already.
    InUse,
    /// There are [`LISTENERS_MAX`] already.
    Full,
}

impl core::fmt::Display for ListenError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::BadPort => "port 0 cannot be listened on",
            Self::InUse => "port in use",
            Self::Full => "too many listeners",
        })
    }
}

impl core::error::Error for ListenError {}

/// Names a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(pub(crate) u8);

/// A port that connections may come to, on any address of ours.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    pub(crate) port: u16,
    /// Most half-open connections, and most that wait to be accepted.
    pub(crate) backlog: u16,
    pub(crate) syn_cnt: u16,
    /// Connections in the accept queue: first, last, how many. The links are in the slots.
    pub(crate) accept_first: u32,
    pub(crate) accept_last: u32,
    pub(crate) accept_cnt: u16,
    /// Connections may be opened fast (RFC 7413).
    pub(crate) has_fast_open: bool,
    /// Connections that are being opened fast.
    pub(crate) fast_opens: Pending,
}

/// All listeners. Closing one leaves its place free, so that ids stay what they are.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    places: [Option<Listener>; LISTENERS_MAX],
}

impl Listeners {
    pub(crate) fn open(&mut self, port: u16, backlog: u16) -> Result<ListenerId, ListenError> {
        if port == 0 {
            return Err(ListenError::BadPort);
        }
        if self.find(port).is_some() {
            return Err(ListenError::InUse);
        }
        let free = self
            .places
            .iter()
            .position(Option::is_none)
            .ok_or(ListenError::Full)?;
        self.places[free] = Some(Listener {
            port,
            backlog: backlog.max(1),
            syn_cnt: 0,
            accept_first: NONE,
            accept_last: NONE,
            accept_cnt: 0,
            has_fast_open: false,
            fast_opens: Pending::NONE,
        });
        // At most LISTENERS_MAX.
        Ok(ListenerId(free as u8))
    }

    /// Stops listening; what was accepted or is half-open goes on.
    pub(crate) fn close(&mut self, id: ListenerId) {
        if let Some(place) = self.places.get_mut(usize::from(id.0)) {
            *place = None;
        }
    }

    #[inline]
    pub(crate) fn find(&self, port: u16) -> Option<u8> {
        let is_it = |place: &Option<Listener>| place.as_ref().is_some_and(|l| l.port == port);
        self.places.iter().position(is_it).map(|idx| idx as u8)
    }

    /// Lets connections to one listener be opened fast, or not.
    pub(crate) fn set_fast_open(&mut self, id: ListenerId, has_fast_open: bool) {
        if let Some(place) = self.get_mut(id.0) {
            place.has_fast_open = has_fast_open;
        }
    }

    pub(crate) fn has_fast_open(&self, idx: u8) -> bool {
        let place = self.places.get(usize::from(idx)).and_then(Option::as_ref);
        place.is_some_and(|place| place.has_fast_open)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, idx: u8) -> Option<&mut Listener> {
        self.places.get_mut(usize::from(idx))?.as_mut()
    }
}

/// The memory of one half-open connection.
#[derive(Clone, Debug)]
pub struct SynEntry {
    pub(crate) tuple: Tuple,
    pub(crate) iss: SeqNum,
    pub(crate) irs: SeqNum,
    pub(crate) smss: u16,
    pub(crate) rmss: u16,
    /// The widest window that a SYN-ACK has promised: a later one must not shrink it.
    pub(crate) wnd: WndSize,
    /// Their window scale, if they offered one: then ours is in the SYN-ACK.
    pub(crate) wscale: Option<WndScale>,
    pub(crate) our_wscale: Option<WndScale>,
    pub(crate) is_sack_permitted: bool,
    pub(crate) ecn: Ecn,
    pub(crate) ts: Ts,
    /// The first SYN-ACK brings a Fast Open cookie.
    pub(crate) gives_cookie: bool,
    pub(crate) retransmits: u8,
    pub(crate) listener: u8,
    /// When the last SYN-ACK went out: the first round-trip time, unless it was sent twice.
    pub(crate) sent_at: Instant,
    pub(crate) rexmt_at: Deadline,
    pub(super) next_free: u32,
}

impl Default for SynEntry {
    fn default() -> Self {
        Self {
            tuple: Tuple::NOBODY,
            iss: SeqNum(0),
            irs: SeqNum(0),
            smss: 0,
            rmss: 0,
            wnd: WndSize(0),
            wscale: None,
            our_wscale: None,
            is_sack_permitted: false,
            ecn: Ecn::OFF,
            ts: Ts::OFF,
            gives_cookie: false,
            retransmits: 0,
            listener: u8::MAX,
            sent_at: Instant::NEVER,
            rexmt_at: Deadline::NEVER,
            next_free: NONE,
        }
    }
}

impl SynEntry {
    /// Whether the place is nobody's.
    pub(crate) fn is_free(&self) -> bool {
        self.listener == u8::MAX
    }

    /// The SYN-ACK.
    pub(crate) fn syn_ack(&mut self, now: Instant) -> Repr {
        Repr {
            src_port: self.tuple.local_port(),
            dst_port: self.tuple.remote_port(),
            seq: self.iss,
            ack: Some(self.irs + 1),
            ctl: Ctl::SYN.with(self.ecn.ctl_of_syn(true)),
            wnd: self.wnd.to_wire(WndScale::ZERO),
            options: Options {
                mss: Some(self.rmss),
                // An answer to their offer only (RFC 7323 2.2).
                wscale: self.agreed_wscale(),
                sack_permitted: self.is_sack_permitted,
                timestamps: self.ts.stamp(self.irs + 1, now),
                ..Options::default()
            },
        }
    }

    /// Our window scale, where both sides scale.
    fn agreed_wscale(&self) -> Option<WndScale> {
        self.our_wscale.filter(|_| self.wscale.is_some())
    }

    /// The same SYN has come again.
    pub(crate) fn comes_again(&mut self, seg: &Segment, options: &Options, now: Instant) {
        if let Some(theirs) = options.timestamps {
            self.ts.update(theirs, seg.seq, now);
        }
        // RFC 3168 6.1.1: who has given up asking once is not answered with it.
        self.ecn = Ecn::agreed(self.ecn.is_on() && ecn::asks(seg));
        self.gives_cookie &= options.fast_open.is_some();
    }

    /// An acknowledgment of their SYN behind our SYN-ACK.
    pub(crate) fn ack(&mut self, now: Instant) -> Repr {
        Repr {
            seq: self.iss + 1,
            ctl: Ctl::default(),
            // Scaled, as all windows behind the SYN-ACK are.
            wnd: self
                .wnd
                .to_wire(self.agreed_wscale().unwrap_or(WndScale::ZERO)),
            options: Options {
                timestamps: self.ts.stamp(self.irs + 1, now),
                ..Options::default()
            },
            ..self.syn_ack(now)
        }
    }

    /// How long to wait for the answer to the SYN-ACK.
    pub(crate) fn rto(&self) -> Duration {
        let rto = RTO_INITIAL.saturating_mul(1 << self.retransmits.min(6));
        rto.min(RTO_MAX)
    }
}

/// The table of all half-open connections.
pub(crate) struct SynQueue<'p> {
    entries: ManagedSlice<'p, SynEntry>,
    free_first: u32,
    len: usize,
}

impl<'p> SynQueue<'p> {
    pub(crate) fn new(mut entries: ManagedSlice<'p, SynEntry>) -> Self {
        let len = entries.len().min(super::demux::INDEX_MAX) as u32;
        for (idx, entry) in (0..len).zip(entries.iter_mut()) {
            entry.next_free = if idx + 1 < len { idx + 1 } else { NONE };
        }
        Self {
            entries,
            free_first: if len == 0 { NONE } else { 0 },
            len: 0,
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// Whether one more has a place.
    #[inline]
    pub(crate) fn has_free(&self) -> bool {
        self.free_first != NONE
    }

    /// Half-open connections now.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn get(&self, idx: u32) -> Option<&SynEntry> {
        self.entries.get(idx as usize)
    }

    pub(crate) fn get_mut(&mut self, idx: u32) -> Option<&mut SynEntry> {
        self.entries.get_mut(idx as usize)
    }

    /// Adds an entry; `None` when the table is full.
    #[inline]
    pub(crate) fn insert(&mut self, entry: SynEntry) -> Option<u32> {
        let idx = self.free_first;
        let place = self.entries.get_mut(idx as usize)?;
        self.free_first = place.next_free;
        *place = entry;
        self.len += 1;
        Some(idx)
    }

    /// Frees the place of an entry.
    #[inline]
    pub(crate) fn remove(&mut self, idx: u32) {
        if let Some(place) = self.entries.get_mut(idx as usize) {
            place.listener = u8::MAX;
            place.next_free = self.free_first;
            self.free_first = idx;
            self.len -= 1;
        }
    }
}

const NONE: u32 = u32::MAX;
