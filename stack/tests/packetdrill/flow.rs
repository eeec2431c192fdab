//! One conversation: how a script's relative numbers become those on the wire, and back.

use std::collections::HashMap;

use super::tcp::{Flags, Segment};

/// What is known of one pair of ports.
#[derive(Debug)]
pub(crate) struct Flow {
    /// Ours; `None` until an active open has shown it.
    pub(crate) local_port: Option<u16>,
    pub(crate) remote_port: u16,
    /// What is added to our sequence numbers of the script; known from our first SYN on.
    our_base: Option<u32>,
    /// The script's number of the newest SYN of theirs, and of the one that we have answered.
    their_syn: Option<u32>,
    their_answered: Option<u32>,
    /// Our first timestamp: the script's, and the wire's.
    first_timestamp: Option<(u32, u32)>,
    /// What each timestamp of ours in the script was on the wire.
    timestamps: HashMap<u32, u32>,
    /// Where in our sequence numbers of the script our stream begins.
    our_start: u32,
}

impl Flow {
    pub(crate) fn new(local_port: Option<u16>, remote_port: u16) -> Self {
        Self {
            local_port,
            remote_port,
            our_base: None,
            their_syn: None,
            their_answered: None,
            first_timestamp: None,
            timestamps: HashMap::new(),
            our_start: 1,
        }
    }

    /// Where in their sequence numbers of the script their stream begins.
    pub(crate) fn their_start(&self) -> u32 {
        let syn = self.their_answered.or(self.their_syn).unwrap_or(0);
        syn.wrapping_add(1)
    }

    /// Where in our sequence numbers of the script our stream begins.
    pub(crate) fn our_start(&self) -> u32 {
        self.our_start
    }

    /// One of our sequence numbers of the script, on the wire.
    pub(crate) fn our_seq(&self, seq: u32) -> u32 {
        seq.wrapping_add(self.our_base.unwrap_or(0))
    }

    /// A segment of theirs, from the script to the wire.
    pub(crate) fn map_inbound(&mut self, segment: &Segment) -> Result<Segment, String> {
        let mut wire = segment.clone();
        if segment.is(Flags::SYN) {
            self.their_syn = Some(segment.seq);
        }
        wire.seq = wire.seq.wrapping_add(THEIR_BASE);
        wire.shift_acks(self.our_base.unwrap_or(0));
        let has_ack = wire.is(Flags::ACK);
        if let Some((_, ecr)) = wire.timestamps() {
            let known = self.timestamps.get(ecr).copied();
            let first = self.first_timestamp;
            *ecr = match (known, first) {
                (Some(known), _) => known,
                // In between two that were sent.
                (None, Some((script, wire))) => ecr.wrapping_sub(script).wrapping_add(wire),
                (None, None) if !has_ack || *ecr == 0 => *ecr,
                (None, None) => return Err(format!("TS ecr {ecr} before any TS val of ours")),
            };
        }
        Ok(wire)
    }

    /// Learns what the first segments of ours teach, from what is expected in their place.
    pub(crate) fn learn(&mut self, wire: &Segment, expected: &Segment) {
        if wire.is(Flags::SYN) {
            let answers_new =
                self.their_answered.is_some() && self.their_answered != self.their_syn;
            if self.our_base.is_none() || (wire.is(Flags::ACK) && answers_new) {
                self.our_base = Some(wire.seq.wrapping_sub(expected.seq));
                self.our_start = expected.seq.wrapping_add(1);
                self.first_timestamp = None;
                self.timestamps.clear();
            }
            if wire.is(Flags::ACK) {
                self.their_answered = self.their_syn;
            }
        }
        let (mut wire, mut expected) = (wire.clone(), expected.clone());
        if let (Some((val, _)), Some((script, _))) = (wire.timestamps(), expected.timestamps()) {
            self.first_timestamp.get_or_insert((*script, *val));
            self.timestamps.insert(*script, *val);
        }
    }

    /// A segment of ours, from the wire to the script.
    pub(crate) fn map_outbound(&self, wire: &Segment) -> Segment {
        let mut segment = wire.clone();
        // The RST of a connection that there is not has a sequence number of 0 (3.10.7.1).
        let is_bare_reset = wire.is(Flags::RST) && wire.seq == 0;
        if !is_bare_reset {
            segment.seq = segment.seq.wrapping_sub(self.our_base.unwrap_or(0));
        }
        segment.shift_acks(0_u32.wrapping_sub(THEIR_BASE));
        if let (Some((val, _)), Some((script, wire))) = (segment.timestamps(), self.first_timestamp)
        {
            *val = val.wrapping_sub(wire).wrapping_add(script);
        }
        segment
    }
}

/// What is added to their sequence numbers of the script: most scripts cross zero on the wire.
const THEIR_BASE: u32 = u32::MAX - 1_000;
