//! One end: its own rings, and the other end if there is one.

use std::vec;

use super::meeting::{Meeting, Met, is_alive};
use super::peer::Peer;
use crate::hosts::{OpenError, Syscalls};
use crate::{Gone, Interface, Kring, LayoutError, RingKind};

/// One end of a pipe.
pub(super) struct End {
    interface: Interface,
    tx: Kring<'static>,
    rx: Kring<'static>,
    meeting: Meeting,
    peer: Option<Peer>,
    /// Slots of ours that the other end has read, as far as we have heard.
    heard_cnt: u32,
    /// The loop may have slept since: something may have happened at the socket.
    has_slept: bool,
    syscalls: Syscalls,
    peers_cnt: u64,
    faults_cnt: u64,
}

impl End {
    pub(super) fn new(
        interface: Interface,
        meeting: Meeting,
        syscalls: Syscalls,
    ) -> Result<Self, OpenError> {
        let kring = |kind| {
            let slots = interface.ring(kind, 0)?.num_slots() as usize;
            let kring = Kring::new(&interface, kind, 0, vec![0; slots].leak());
            kring.ok_or(LayoutError::NoRing)
        };
        Ok(Self {
            interface,
            tx: kring(RingKind::Tx)?,
            rx: kring(RingKind::Rx)?,
            peer: None,
            peers_cnt: 0,
            meeting,
            heard_cnt: 0,
            has_slept: false,
            syscalls,
            faults_cnt: 0,
        })
    }

    pub(super) fn has_peer(&self) -> bool {
        self.peer.is_some()
    }

    /// Ends that have been at the other side.
    pub(super) fn peers_cnt(&self) -> u64 {
        self.peers_cnt
    }

    /// Rules that they have broken.
    pub(super) fn faults_cnt(&self) -> u64 {
        self.faults_cnt
    }

    pub(super) fn sync_rx(&mut self) -> Result<(), Gone> {
        if core::mem::take(&mut self.has_slept) {
            self.look();
        }
        // Our own core gives them: it breaks no rule, and if it did nothing would be believed.
        let _ = self.rx.begin();
        if let Some(peer) = &mut self.peer {
            match peer.receive(&mut self.rx, &self.interface) {
                Ok(0) => {}
                Ok(_) => {
                    peer.tell();
                    self.wake_peer();
                }
                Err(_) => self.lose_peer(true),
            }
        }
        self.rx.end();
        self.is_there()
    }

    pub(super) fn sync_tx(&mut self) -> Result<(), Gone> {
        let _ = self.tx.begin();
        let new_cnt = self.tx.ready();
        self.tx.take(new_cnt);
        self.hear();
        if self.peer.is_none() && !self.meeting.is_greeting() {
            // As on a cable that nobody has plugged in.
            self.tx.finish(self.tx.in_flight());
        }
        self.tx.end();
        if new_cnt > 0 {
            self.wake_peer();
        }
        self.is_there()
    }

    /// Takes slots back that the other end has read.
    fn hear(&mut self) {
        let Some(peer) = &self.peer else { return };
        let read_cnt = peer.control.read_by_peer();
        let new_cnt = read_cnt.wrapping_sub(self.heard_cnt);
        if new_cnt > self.tx.in_flight() {
            return self.lose_peer(true);
        }
        self.heard_cnt = read_cnt;
        self.tx.finish(new_cnt);
    }

    pub(super) fn arm_rx(&mut self) -> bool {
        self.has_slept = true;
        let Some(peer) = &self.peer else { return false };
        peer.control.set_sleeping(true);
        peer.has_news()
    }

    /// After the receive ring's: the other end wakes us for either reason.
    pub(super) fn arm_tx(&mut self) -> bool {
        let heard_cnt = self.heard_cnt;
        let peer = self.peer.as_ref();
        peer.is_some_and(|peer| peer.control.read_by_peer() != heard_cnt)
    }

    pub(super) fn reset_rx(&mut self) {
        self.rx.rewrite();
    }

    pub(super) fn reset_tx(&mut self) {
        self.tx.rewrite();
    }

    pub(super) fn stop(&mut self) {
        self.lose_peer(false);
        self.meeting.close();
    }

    /// Who came second has nobody to wait for.
    fn is_there(&self) -> Result<(), Gone> {
        match self.peer.is_some() || self.meeting.is_open() || self.meeting.is_greeting() {
            true => Ok(()),
            false => Err(Gone),
        }
    }

    fn wake_peer(&mut self) {
        if let Some(peer) = &self.peer
            && peer.control.wants_waking()
        {
            self.syscalls.note();
            // It fails if the counter is full: then the event has long been signalled.
            let _ = rustix::io::write(&peer.event, &1_u64.to_ne_bytes());
        }
    }

    /// What has happened while we slept.
    #[cold]
    fn look(&mut self) {
        self.syscalls.note();
        self.meeting.drain();
        if let Some(peer) = &self.peer {
            peer.control.set_sleeping(false);
            if !is_alive(&peer.stream) {
                self.lose_peer(false);
            }
        }
        // Where the other one begins to read: what is in flight by then was for nobody.
        let start = self.tx.position(0) as u32;
        match self.meeting.look(self.peer.is_some(), start) {
            Met::Nobody => {}
            Met::Peer(peer) => {
                if self.meeting.is_open() {
                    self.tx.finish(self.tx.in_flight());
                }
                self.heard_cnt = 0;
                self.peers_cnt += 1;
                self.peer = Some(peer);
            }
            Met::Stranger => self.faults_cnt += 1,
        }
    }

    #[cold]
    fn lose_peer(&mut self, is_fault: bool) {
        if self.peer.take().is_some() {
            self.faults_cnt += u64::from(is_fault);
            self.tx.finish(self.tx.in_flight());
        }
    }
}
