//! The wire, and its raw ends.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use simoom_ring::{LinkState, MacAddr, RxChecksum, TxOffload};

use crate::medium::{Medium, Rx};
use crate::record::{self, Record};
use crate::segment::BadOffload;
use crate::{Counters, Event, Faults, PortConfig, SimPort};

/// Names one end of a wire, in the order of attaching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct End(pub(crate) usize);

impl core::fmt::Display for End {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A frame that arrived at a tap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// When, in microseconds of virtual time.
    pub at_us: u64,
    /// The end that sent it.
    pub from: End,
    /// The frame, from the Ethernet header on.
    pub bytes: Vec<u8>,
    /// What a device with the tap's configuration would say.
    pub csum: RxChecksum,
    /// Not 0 for a super-segment that was not cut.
    pub gso_size: u16,
}

/// A wire between two ends, or a hub between more: what one end sends, all others receive.
///
/// A clone is the same wire. Time stands still but for [`advance_to`](Self::advance_to).
#[derive(Clone)]
pub struct Wire {
    medium: Rc<RefCell<Medium>>,
}

impl Wire {
    /// A wire with no ends at time 0. All chance comes from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            medium: Rc::new(RefCell::new(Medium::new(seed))),
        }
    }

    /// Attaches a device.
    ///
    /// # Panics
    /// When the configuration contradicts itself.
    pub fn port(&self, config: PortConfig) -> SimPort {
        let end = self.medium.borrow_mut().attach(config, Rx::Closed);
        SimPort::new(Rc::clone(&self.medium), end, config)
    }

    /// Attaches a raw end that takes frames of any length, cut and with complete checksums.
    pub fn tap(&self) -> End {
        let config = PortConfig::plain(MacAddr([0x02, 0, 0, 0, 0, 0xfe]));
        self.tap_like(PortConfig {
            mtu: u16::MAX,
            ..config
        })
    }

    /// Attaches a raw end that receives what a device of that configuration would, in one piece
    /// (rings and merging aside).
    ///
    /// # Panics
    /// When the configuration contradicts itself.
    pub fn tap_like(&self, config: PortConfig) -> End {
        let rx = Rx::Tap(Default::default());
        self.medium.borrow_mut().attach(config, rx)
    }

    /// Sends a frame from `end` as it is, now. It meets the faults of that end.
    pub fn inject(&self, end: End, bytes: &[u8]) {
        // Nothing is requested, so nothing can be wrong with the request.
        let _ = self.inject_offload(end, bytes, TxOffload::default());
    }

    /// Sends a frame from `end` with a request to its device, whatever that device offers.
    ///
    /// # Errors
    /// `BadOffload` when the frame is not what the request says.
    pub fn inject_offload(
        &self,
        end: End,
        bytes: &[u8],
        offload: TxOffload,
    ) -> Result<(), BadOffload> {
        let mut medium = self.medium.borrow_mut();
        medium.put_on_wire(end, bytes.to_vec(), offload)
    }

    /// Takes what has arrived at a tap. Nothing arrives at an end that has a port.
    pub fn captured(&self, end: End) -> Vec<Captured> {
        match &mut self.medium.borrow_mut().end_mut(end).rx {
            Rx::Tap(captured) => captured.drain(..).collect(),
            Rx::Closed | Rx::Ring(_) => Vec::new(),
        }
    }

    /// Virtual time, in microseconds.
    pub fn now_us(&self) -> u64 {
        self.medium.borrow().now_us
    }

    /// When a frame arrives or a device is done with one next, if nobody does anything.
    pub fn next_at(&self) -> Option<u64> {
        self.medium.borrow().next_at()
    }

    /// Lets time pass: all that is due happens, in order. Time does not go back.
    pub fn advance_to(&self, now_us: u64) {
        self.medium.borrow_mut().advance_to(now_us);
    }

    /// Frames under way.
    pub fn in_flight(&self) -> usize {
        self.medium.borrow().in_flight()
    }

    /// From now on, frames that `from` sends meet these faults. What is under way is not touched.
    pub fn set_faults(&self, from: End, faults: Faults) {
        self.medium.borrow_mut().set_faults(from, faults);
    }

    /// As [`set_faults`](Self::set_faults) for each end that there is now.
    pub fn set_faults_all(&self, faults: &Faults) {
        let mut medium = self.medium.borrow_mut();
        for end in (0..medium.ends.len()).map(End) {
            medium.set_faults(end, faults.clone());
        }
    }

    /// Plugs or unplugs an end. What arrives there while it is down is lost, as is what it sends.
    pub fn set_link(&self, end: End, link: LinkState) {
        self.medium.borrow_mut().end_mut(end).link = link;
    }

    /// Whether an armed interrupt has come since the end's last receive sync.
    pub fn is_interrupted(&self, end: End) -> bool {
        self.medium.borrow().end(end).is_interrupted
    }

    /// The counters of an end.
    pub fn counters(&self, end: End) -> Counters {
        self.medium.borrow().end(end).counters
    }

    /// Bounds the record to `len_max` bytes (16 MiB, unless told); 0 records nothing.
    pub fn record_len_max(&self, len_max: usize) {
        self.medium.borrow_mut().recorder.set_len_max(len_max);
    }

    /// The record: the last events, oldest first.
    pub fn records(&self) -> Vec<Record> {
        self.medium.borrow().recorder.iter().cloned().collect()
    }

    /// The record as text, one line an event, faults and drops included.
    pub fn log(&self) -> String {
        record::write_log(self.medium.borrow().recorder.iter())
    }

    /// Writes the recorded frames of both directions as they were sent, those that were lost
    /// later included: [`log`](Self::log) says which, by time and order.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write_pcap(&self, out: impl io::Write) -> io::Result<()> {
        self.write_pcap_of(out, |record| record.event == Event::Sent)
    }

    /// Writes the recorded frames that `choose` picks: one event of each, or a frame is written
    /// several times. `Delivered` and `Merged` at one end is what a capture there would show.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write_pcap_of(
        &self,
        out: impl io::Write,
        choose: impl Fn(&Record) -> bool,
    ) -> io::Result<()> {
        let medium = self.medium.borrow();
        let records = medium.recorder.iter().filter(|record| choose(record));
        record::write_pcap(records, out)
    }
}

impl core::fmt::Debug for Wire {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let medium = self.medium.borrow();
        write!(
            f,
            "Wire {{ now_us: {}, ends: {}, in_flight: {} }}",
            medium.now_us,
            medium.ends.len(),
            medium.in_flight()
        )
    }
}
