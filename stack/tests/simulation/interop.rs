//! Our stack against smoltcp, in both roles.

use std::cell::RefCell;
use std::rc::Rc;

use simoom::Instant;
use simoom::tcp::Closed;
use simoom_sim::{Faults, Rng, Wire};

use crate::congestion;
use crate::foreign::{Foreign, Sockets};
use crate::network::{device, faults, habits, pick};
use crate::seeds::{self, Report};
use crate::world::{Habits, Host, Peer, Tally, run};

/// Host 1 is the server.
struct World {
    wire: Wire,
    ours: Host,
    theirs: Foreign,
    habits: Habits,
    tally: Rc<RefCell<Tally>>,
}

impl World {
    fn new(rng: &mut Rng, ours: u8, theirs: u8) -> Self {
        let wire = Wire::new(rng.next_u64());
        let mut habits = habits(rng);
        // It recovers from loss by timeouts of a second and more: no long transfers.
        habits.len_max = pick(rng, &[10, 3_000, 10_000]);
        habits.leaves_permille = 0;
        let tally = Rc::new(RefCell::new(Tally::default()));
        congestion::draw(rng);
        let app = Peer {
            habits: habits.clone(),
            rng: Rng::new(rng.next_u64()),
            tally: tally.clone(),
        };
        let mut device = device(rng);
        // It has no congestion control either: each burst is a window, and a ring must hold it.
        device.config.mtu = device.config.mtu.max(296);
        device.config.rx_slots = 256;
        device.frames += 256;
        let sockets = Sockets {
            mtu: pick(rng, &[1_500, 1_500, 576]),
            rx_len: pick(rng, &[64, 500, 4_096, 65_535, 200_000]),
            tx_len: pick(rng, &[64, 500, 4_096, 65_535]),
            has_nagle: rng.below(2) == 0,
            has_timestamps: rng.below(2) == 0,
            ack_delay_ms: pick(rng, &[None, Some(10), Some(200)]),
        };
        let seed = rng.next_u64();
        Self {
            ours: Host::new(&wire, ours, device, app, seed),
            theirs: Foreign::new(&wire, theirs, sockets, habits.clone(), rng.split()),
            wire,
            habits,
            tally,
        }
    }

    fn run(mut self, rng: &mut Rng, conns: u64) {
        for end in [self.ours.port.end(), self.theirs.end()] {
            self.wire.set_faults(end, faults(rng, 10));
        }
        let is_over = |world: &mut Self, secs: u64| {
            let until = Instant::from_micros(secs * 1_000_000);
            run(&world.wire, &mut world.ours, &mut world.theirs, until)
        };
        if !is_over(&mut self, 30) {
            self.wire.set_faults_all(&Faults::none());
            assert!(
                is_over(&mut self, 10_000),
                "it does not end: {:?} {:?} {:?}",
                self.tally,
                self.ours.stack.levels(),
                self.theirs.states(),
            );
        }
        self.check(conns);
    }

    fn check(self, conns: u64) {
        let tally = self.tally.borrow();
        let told = self.theirs.told.borrow();
        let asked = u64::from(self.habits.requests) * conns;
        let is_whole = tally.answered + told.answered == asked;
        let gave_up = tally.ends.iter().any(|end| end.why == Closed::TimedOut);
        // A half-open connection of which nothing is heard for half a minute is forgotten.
        let has_forgotten = told.broken > 0 && tally.accepted < conns;
        let gave_up = gave_up || has_forgotten;
        // Its TIME-WAIT is short: who still waits for an ACK then is reset, and has everything.
        let is_fair = tally.ends.iter().all(|end| match end.why {
            Closed::Finished => true,
            Closed::Reset => is_whole,
            _ => false,
        });
        assert!(
            (is_whole && is_fair) || gave_up || tally.given_up > 0 || !self.habits.is_patient(),
            "{asked} asked, {told:?}, {tally:?}"
        );
        self.ours.check_home(&self.wire);
        assert_eq!(self.wire.counters(self.theirs.end()).bad_csum_sent, 0);
    }
}

fn as_client(seed: u64) {
    let mut rng = Rng::new(seed);
    let mut world = World::new(&mut rng, 1, 2);
    let wire = world.wire.clone();
    let _report = Report::new(&wire, "smoltcp_as_the_client", seed);
    world.ours.stack.listen(80, 16).unwrap();
    let conns = 1 + rng.below(8);
    for n in 0..conns as u16 {
        world.theirs.connect(1, 50_000 + n);
    }
    world.run(&mut rng, conns);
}

#[test]
fn smoltcp_as_the_client() {
    seeds::each(300, 2, as_client);
}

fn as_server(seed: u64) {
    let mut rng = Rng::new(seed);
    let mut world = World::new(&mut rng, 2, 1);
    let wire = world.wire.clone();
    let _report = Report::new(&wire, "smoltcp_as_the_server", seed);
    let conns = 1 + rng.below(8);
    // A socket is a listener for one connection, and a SYN that comes twice takes one, too.
    for _ in 0..4 * conns {
        world.theirs.listen(80);
    }
    for _ in 0..conns {
        world.ours.connect(Instant::ZERO, 1);
    }
    world.run(&mut rng, conns);
}

#[test]
fn smoltcp_as_the_server() {
    seeds::each(300, 2, as_server);
}
