//! A queue pair: its rings, and what it attends to beside packets.
//!
//! ```text
//!   rings, arm ─► a ring broken, or the device asks for a reset ─► stopped, for all pairs
//!              ─► stopped by another pair ─► frames home, rings as new ─► the last one starts it
//!              ─► commands: how many pairs are served, announced (the first pair's)
//! ```
//!
//! All that is behind one flag: when nothing is the matter, a poll costs a look at it.

use simoom_ring::{Armed, Figures, Queue, TxRing};
use virtio_drivers::Hal;
use virtio_drivers::transport::{SomeTransport, Transport};

use crate::commands::{Answer, Command, Commands};
use crate::control::Shared;
use crate::{Counters, Rx, Tx};

/// A queue pair: `receiveq` and `transmitq` of the same number.
///
/// A ring that the device has broken does nothing until the next [`rings`](Queue::rings) or
/// [`arm`](Queue::arm), which resets the device: all frames that it had go home, what was being
/// sent is lost, and both rings begin anew; and those of the other pairs, when each is polled next.
/// Dropping a pair stops the device for all.
pub struct VirtioQueue<'m, 'p, H: Hal, T: Transport = SomeTransport<'static>> {
    pub(crate) rx: Rx<'m, 'p, H>,
    pub(crate) tx: Tx<'m, 'p, H>,
    pub(crate) shared: &'m Shared<T>,
    pub(crate) counters: Counters,
    /// Which pair it is.
    pub(crate) idx: u16,
    /// The device's life that the rings are of.
    pub(crate) epoch: u32,
    /// Frames for the receive ring, while the device runs.
    pub(crate) frames_max: u16,
    /// The control queue, which the first pair looks after.
    pub(crate) commands: Option<Commands<'m, H>>,
    /// Pairs that the device was asked to serve, whatever it has answered; a device of one pair is
    /// not asked.
    pub(crate) asked_cnt: Option<u16>,
}

impl<'m, 'p, H: Hal, T: Transport> Queue<'p> for VirtioQueue<'m, 'p, H, T> {
    type Rx = Rx<'m, 'p, H>;
    type Tx = Tx<'m, 'p, H>;

    #[inline]
    fn rings(&mut self) -> (&mut Self::Rx, &mut Self::Tx) {
        self.attend_if_due();
        (&mut self.rx, &mut self.tx)
    }

    fn arm(&mut self) -> Armed {
        // An answer to a command raises no interrupt.
        let is_asking = |commands: &Commands<'_, H>| commands.is_waiting();
        if self.attend_if_due() || self.commands.as_ref().is_some_and(is_asking) {
            return Armed::Ready;
        }
        // Frames that are being sent may be what the receive ring or the stack is waiting for:
        // a device that has none to fill has nothing to wake us with.
        let pool = self.rx.pool;
        let is_short = self.rx.missing_cnt() > 0 || pool.free_cnt() < pool.owned_cnt() / 4;
        // The receive ring first: it acknowledges the line for both.
        let is_rx_ready = self.rx.arm();
        if self.tx.arm(is_short) || is_rx_ready {
            return Armed::Ready;
        }
        self.tx.before_sleep();
        self.rx.before_sleep();
        Armed::Sleep
    }

    fn figures(&self) -> Figures {
        let Counters { rx, tx, resets, .. } = self.counters();
        // Rings have at most 2^15 places.
        let cnt = |cnt: usize| u32::try_from(cnt).unwrap_or(u32::MAX);
        Figures {
            rx_packets: rx.frames,
            rx_dropped: rx.dropped_short + rx.dropped_header,
            rx_pool_empty: rx.pool_empty,
            rx_doorbells: rx.kicks + rx.rekicks,
            rx_frames: cnt(self.rx_lent_cnt()),
            tx_packets: tx.packets,
            tx_dropped: tx.dropped_request,
            tx_doorbells: tx.kicks + tx.rekicks,
            tx_outstanding: cnt(self.tx_outstanding_cnt()),
            tx_space: cnt(self.tx.space()),
            bytes_copied: 0,
            resets,
        }
    }
}

impl<H: Hal, T: Transport> VirtioQueue<'_, '_, H, T> {
    /// What has happened so far.
    pub fn counters(&self) -> Counters {
        Counters {
            rx: self.rx.counters,
            tx: self.tx.counters,
            ..self.counters
        }
    }

    /// Frames that lie in the receive ring now.
    pub fn rx_lent_cnt(&self) -> usize {
        usize::from(self.rx.queue.size() - self.rx.queue.free_cnt())
    }

    /// Packets that the device has not finished sending, as far as the last sync knows.
    pub fn tx_outstanding_cnt(&self) -> usize {
        usize::from(self.tx.queue.outstanding_cnt())
    }

    /// Whether the device was given up: it does not reset, or has changed its features.
    pub fn is_dead(&self) -> bool {
        self.shared.control.borrow().is_dead()
    }

    /// Whether the device serves the pair: nothing can be sent before.
    pub fn is_served(&self) -> bool {
        self.tx.is_served
    }

    #[inline]
    fn attend_if_due(&mut self) -> bool {
        if !self.is_broken() && !self.shared.has_news.get() {
            return false;
        }
        self.attend()
    }

    #[inline]
    fn is_broken(&self) -> bool {
        let violation = self.rx.queue.violation().or(self.tx.queue.violation());
        violation.is_some()
    }

    /// Does what there is to do beside packets; whether the rings have begun anew.
    #[cold]
    fn attend(&mut self) -> bool {
        let shared = self.shared;
        if shared.control.borrow().is_dead() {
            return false;
        }
        let is_mine = self.epoch == shared.epoch.get();
        if is_mine && (self.is_broken() || shared.needs_reset.get()) && !self.stop_all() {
            return false;
        }
        let is_anew = self.epoch != shared.epoch.get();
        if is_anew && !self.begin_anew() {
            return false;
        }
        let is_running = shared.behind_cnt.get() == 0;
        if is_running {
            self.command();
        }
        self.tx.is_served = is_running && self.idx < shared.served_cnt.get();
        let was_paused = self.rx.frames_max == 0;
        self.rx.frames_max = if is_running { self.frames_max } else { 0 };
        if is_running {
            shared.unseen.set(shared.unseen.get() & !(1 << self.idx));
            if was_paused {
                self.rx.refill();
            }
        }
        let has_news = shared.unseen.get() != 0 || shared.is_asking.get();
        shared.has_news.set(has_news || shared.needs_reset.get());
        is_anew
    }

    /// Stops the device, for all pairs; false when it is given up.
    fn stop_all(&mut self) -> bool {
        let shared = self.shared;
        let mut control = shared.control.borrow_mut();
        self.counters.resets += 1;
        let violation = self.rx.queue.violation().or(self.tx.queue.violation());
        self.counters.last_violation = violation.or(self.counters.last_violation);
        shared.needs_reset.set(false);
        if !control.stop() {
            // It may still write to its frames: they stay lent for ever.
            control.set_dead();
            return false;
        }
        shared.epoch.set(shared.epoch.get().wrapping_add(1));
        let taken = shared.taken.get();
        // Of 16 bits there are 16 at most.
        shared.behind_cnt.set(taken.count_ones() as u16);
        shared.unseen.set(taken);
        shared.served_cnt.set(1);
        true
    }

    /// Takes all frames home, of a device that has stopped; the last pair to do so starts it.
    /// False when it is given up.
    fn begin_anew(&mut self) -> bool {
        let shared = self.shared;
        self.rx.reset();
        self.tx.reset();
        if let Some(commands) = &mut self.commands {
            commands.reset();
            shared.is_asking.set(false);
        }
        self.asked_cnt = self.asked_cnt.map(|_| 0);
        self.rx.frames_max = 0;
        self.epoch = shared.epoch.get();
        let behind_cnt = shared.behind_cnt.get().saturating_sub(1);
        shared.behind_cnt.set(behind_cnt);
        if behind_cnt > 0 {
            return true;
        }
        let mut control = shared.control.borrow_mut();
        let restarted = control.restart(&shared.rings);
        if restarted.is_err() {
            control.set_dead();
        }
        restarted.is_ok()
    }

    /// Looks for the answer to a command, and gives the next one.
    fn command(&mut self) {
        let shared = self.shared;
        let Some(commands) = &mut self.commands else {
            return;
        };
        match commands.look() {
            Some(Answer::Done(command)) => {
                self.counters.commands_done += 1;
                match command {
                    Command::Pairs(pairs) => {
                        shared.served_cnt.set(pairs);
                        shared.unseen.set(shared.taken.get());
                    }
                    Command::Announced => shared.is_announced.set(false),
                }
            }
            Some(Answer::Refused(command) | Answer::None(command)) => {
                match commands.is_given_up() {
                    true => self.counters.commands_unanswered += 1,
                    false => self.counters.commands_refused += 1,
                }
                if command == Command::Announced {
                    shared.is_announced.set(false);
                }
            }
            None => {}
        }
        if commands.is_free() {
            let wanted_cnt = shared.wanted_cnt().max(1);
            if self.asked_cnt.is_some_and(|cnt| cnt != wanted_cnt) {
                self.asked_cnt = Some(wanted_cnt);
                commands.ask(Command::Pairs(wanted_cnt));
            } else if shared.is_announced.get() {
                commands.ask(Command::Announced);
            }
        }
        shared.is_asking.set(commands.is_waiting());
    }
}

impl<H: Hal, T: Transport> Drop for VirtioQueue<'_, '_, H, T> {
    fn drop(&mut self) {
        let mut control = self.shared.control.borrow_mut();
        control.set_dead();
        if control.stop() {
            self.rx.reset();
            self.tx.reset();
        } else {
            self.rx.pages.abandon();
            self.tx.pages.abandon();
            if let Some(commands) = &mut self.commands {
                commands.abandon();
            }
        }
    }
}
