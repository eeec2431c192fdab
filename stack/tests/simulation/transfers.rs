//! Our stack against itself.

use std::cell::RefCell;
use std::rc::Rc;

use simoom::tcp::cc::Algorithm;
use simoom::tcp::{Closed, EcnUse, Settings};
use simoom::{DropReason, Duration, Instant};
use simoom_ring::MacAddr;
use simoom_sim::{Chance, Delay, Faults, PortConfig, Rng, Wire};

use crate::congestion;
use crate::memory::Sizes;
use crate::network::{device, faults, habits};
use crate::seeds::{self, Report};
use crate::world::{Device, Ending, Habits, Host, Peer, Tally, run};

fn at_secs(secs: u64) -> Instant {
    Instant::from_micros(secs * 1_000_000)
}

/// Two hosts that behave alike.
pub(crate) struct World {
    pub(crate) wire: Wire,
    pub(crate) server: Host,
    pub(crate) client: Host,
    habits: Habits,
    pub(crate) tally: Rc<RefCell<Tally>>,
}

impl World {
    pub(crate) fn new(
        rng: &mut Rng,
        habits: Habits,
        mut device: impl FnMut(&mut Rng) -> Device,
    ) -> Self {
        let wire = Wire::new(rng.next_u64());
        let tally = Rc::new(RefCell::new(Tally::default()));
        let mut host = |n: u8| {
            let app = Peer {
                habits: habits.clone(),
                rng: Rng::new(rng.next_u64()),
                tally: tally.clone(),
            };
            let device = device(rng);
            Host::new(&wire, n, device, app, rng.next_u64())
        };
        let (server, client) = (host(1), host(2));
        Self {
            wire,
            server,
            client,
            habits,
            tally,
        }
    }

    pub(crate) fn set_faults(&self, rng: &mut Rng, loss_percent_max: u64) {
        for end in [self.server.port.end(), self.client.port.end()] {
            self.wire.set_faults(end, faults(rng, loss_percent_max));
        }
    }

    pub(crate) fn run(&mut self, until: Instant) -> bool {
        run(&self.wire, &mut self.server, &mut self.client, until)
    }

    /// With the faults for a while, then without: it must end.
    pub(crate) fn run_to_the_end(&mut self) {
        if !self.run(at_secs(30)) {
            self.wire.set_faults_all(&Faults::none());
            assert!(
                self.run(at_secs(10_000)),
                "it does not end: {:?} {:?} {:?}",
                self.tally,
                self.server.stack.levels(),
                self.client.stack.levels(),
            );
        }
    }

    /// What must be true when all has ended.
    pub(crate) fn check(self, conns: u64) {
        let tally = self.tally.borrow();
        let is_finished = |end: &Ending| end.why == Closed::Finished;
        let asked = u64::from(self.habits.requests) * conns;
        if tally.ends.iter().all(is_finished) && self.habits.is_patient() {
            assert_eq!(tally.answered, asked);
        }
        // What a TIME-WAIT that had to go, a SYN queue or a cookie has forgotten is reset: of the
        // first step of a handshake nothing may be heard for half a minute.
        let has_forgotten = tally.accepted < conns;
        let has_forgotten = has_forgotten
            || [&self.server, &self.client].iter().any(|host| {
                let counters = host.stack.counters();
                counters.tcp_time_wait_evicted + counters.tcp_cookies_sent > 0
            });
        let is_fair_reset =
            |end: &Ending| end.why == Closed::Reset && (end.is_answered || has_forgotten);
        let ends = tally.ends.iter();
        let broken: Vec<_> = ends
            .filter(|end| !is_finished(end) && !is_fair_reset(end))
            .collect();
        // Long outages may end a connection, an intact network may not.
        let gave_up = broken.iter().any(|end| end.why == Closed::TimedOut);
        assert!(
            broken.is_empty() || gave_up || tally.given_up > 0 || !self.habits.is_patient(),
            "{broken:?}"
        );
        for host in [self.server, self.client] {
            host.check_home(&self.wire);
        }
    }
}

fn one_transfer(seed: u64) {
    let mut rng = Rng::new(seed);
    let habits = habits(&mut rng);
    congestion::draw(&mut rng);
    let mut world = World::new(&mut rng, habits, device);
    let wire = world.wire.clone();
    let _report = Report::new(&wire, "transfers_survive_bad_networks", seed);
    world.server.stack.listen(80, 16).unwrap();
    world.set_faults(&mut rng, 20);
    let conns = 1 + rng.below(8);
    for _ in 0..conns {
        world.client.connect(Instant::ZERO, 1);
    }
    world.run_to_the_end();
    world.check(conns);
}

#[test]
fn transfers_survive_bad_networks() {
    seeds::each(300, 1, one_transfer);
}

/// Thousands of connections at once, through queues that are too short for all of them.
fn one_crowd(seed: u64) {
    // A frame for each request and each answer, and some to receive into.
    let frames = 2 * CROWD as usize + 1_000;
    let mut crowd = crowd(seed, frames, |_| {});
    let wire = crowd.world.wire.clone();
    let _report = Report::new(&wire, "crowds_survive_bad_networks", seed);
    crowd.run();
    crowd.world.check(crowd.conns);
}

/// The same with a pool for a few hundred of them, and applications that wait. Were it not for
/// the budget of generated bytes, both pools would fill with what the other side has no frame to
/// receive into, until both gave up.
fn one_crowd_short_of_frames(seed: u64) {
    let mut crowd = crowd(seed, FRAMES_SHORT, |habits| {
        (habits.aborts_permille, habits.leaves_permille) = (0, 0);
    });
    let wire = crowd.world.wire.clone();
    let _report = Report::new(&wire, "crowds_short_of_frames_get_on", seed);
    crowd.run();
    let tally = crowd.world.tally.borrow();
    let is_timed_out = |end: &&Ending| end.why == Closed::TimedOut;
    let timed_out = tally.ends.iter().filter(is_timed_out).count();
    // Of thousands, a few may starve at their turn.
    assert_eq!(tally.given_up, 0);
    let most = tally.ends.len() / 1_000;
    assert!(timed_out <= most, "{timed_out} of {}", tally.ends.len());
    drop(tally);
    crowd.world.check(crowd.conns);
}

/// A world of two with many connections.
struct Crowd {
    world: World,
    conns: u64,
}

fn crowd(seed: u64, frames: usize, adjust: impl FnOnce(&mut Habits)) -> Crowd {
    let mut rng = Rng::new(seed);
    let mut habits = Habits {
        requests: 1 + rng.below(2) as u32,
        len_max: [10, 3_000][rng.below(2) as usize],
        ..habits(&mut rng)
    };
    adjust(&mut habits);
    let device = |rng: &mut Rng| {
        let mut device = device(rng);
        device.config.rx_slots += 64;
        device.config.tx_slots += 64;
        device.frames = frames;
        device.sizes = Sizes {
            conns: CROWD as usize,
            syns: 512,
            time_waits: 1_000,
            bodies: 8 * CROWD as usize,
            flights: CROWD as usize / 4,
            sent: 2 * CROWD as usize,
        };
        device
    };
    congestion::draw(&mut rng);
    let mut world = World::new(&mut rng, habits, device);
    world.server.stack.listen(80, 512).unwrap();
    world.set_faults(&mut rng, 5);
    Crowd {
        world,
        conns: CROWD / 2 + rng.below(CROWD / 2),
    }
}

impl Crowd {
    fn run(&mut self) {
        for opened in 1..=self.conns {
            let now = Instant::from_micros(self.world.wire.now_us());
            self.world.client.connect(now, 1);
            if opened % 64 == 0 {
                self.world.run(now + Duration::from_millis(1));
            }
        }
        self.world.run_to_the_end();
    }
}

/// Connections, at most.
const CROWD: u64 = 3_000;

/// A third of what their requests alone would need, at most, beside the rings.
const FRAMES_SHORT: usize = 744;

#[test]
fn crowds_survive_bad_networks() {
    seeds::each(300, 100, one_crowd);
}

#[test]
fn crowds_short_of_frames_get_on() {
    seeds::each(300, 100, one_crowd_short_of_frames);
}

/// A fine network, many connections, no fault: nothing is sent twice, nothing is dropped.
#[test]
fn a_fine_network_needs_no_retransmission() {
    let habits = Habits {
        requests: 10,
        len_max: 50_000,
        pipeline: 2,
        ..Habits::PLAIN
    };
    let config = PortConfig {
        rx_slots: 128,
        ..PortConfig::offloads(MacAddr([0; 6]))
    };
    let device = |_: &mut Rng| Device {
        config,
        frames: 512,
        sizes: Sizes::SMALL,
        tcp: Settings::default(),
    };
    congestion::set(&[Algorithm::Cubic]);
    let mut world = World::new(&mut Rng::new(1), habits, device);
    let wire = world.wire.clone();
    world.server.stack.listen(80, 64).unwrap();
    let _report = Report::new(&wire, "a_fine_network_needs_no_retransmission", 0);
    // The first finds out the server's address; one packet waits for that, as RFC 1122 has it.
    world.client.connect(Instant::ZERO, 1);
    assert!(world.run(at_secs(1)));
    for _ in 0..4 {
        let now = Instant::from_micros(wire.now_us());
        world.client.connect(now, 1);
    }
    assert!(world.run(at_secs(10)));
    assert_eq!(world.tally.borrow().answered, 50);
    for host in [&world.server, &world.client] {
        let counters = host.stack.counters();
        assert_eq!(counters.tcp_retransmits, 0, "{counters:?}");
        let gratuitous = counters.dropped(DropReason::ArpNotForUs);
        assert_eq!(counters.dropped_total(), gratuitous, "{counters:?}");
        assert_eq!(counters.payload_bytes_copied, 0);
    }
    assert_eq!(
        world.client.stack.levels().time_waits,
        5,
        "the side that closes first waits"
    );
    world.check(5);
}

/// Routers that mark and do not drop: windows fall, and nothing is sent twice.
#[test]
fn a_marked_network_needs_no_retransmission() {
    let habits = Habits {
        requests: 20,
        len_max: 100_000,
        pipeline: 2,
        ..Habits::PLAIN
    };
    let config = PortConfig {
        rx_slots: 128,
        // Marked segments that arrive as one would count as one.
        rx_merge: false,
        ..PortConfig::offloads(MacAddr([0; 6]))
    };
    for (use_of_client, may_mark) in [(EcnUse::Ask, true), (EcnUse::Accept, false)] {
        let device = |_: &mut Rng| Device {
            config,
            frames: 512,
            sizes: Sizes::SMALL,
            tcp: Settings {
                ecn: use_of_client,
                ..Settings::default()
            },
        };
        congestion::set(&[Algorithm::Cubic]);
        let mut world = World::new(&mut Rng::new(1), habits.clone(), device);
        let wire = world.wire.clone();
        let _report = Report::new(&wire, "a_marked_network_needs_no_retransmission", 0);
        let faults = Faults::none().delay(Delay::Fixed(5_000));
        wire.set_faults_all(&faults.mark(Chance::percent(5)));
        world.server.stack.listen(80, 64).unwrap();
        world.client.connect(Instant::ZERO, 1);
        assert!(world.run(at_secs(100)));
        assert_eq!(world.tally.borrow().answered, 20);
        let marked = wire.counters(world.server.port.end()).marked;
        let (server, client) = (world.server.stack.counters(), world.client.stack.counters());
        assert_eq!(server.tcp_retransmits + client.tcp_retransmits, 0);
        assert_eq!(client.tcp_ecn_ce_in, marked);
        assert_eq!(marked > 0, may_mark);
        // Several marks of one window are one reduction.
        let reductions = server.tcp_ecn_reductions;
        assert!(reductions <= marked && (reductions > 0) == may_mark);
        world.check(1);
    }
}
