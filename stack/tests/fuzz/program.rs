//! The input as a program: operations on a live stack, one after another.

use simoom::tcp::calls::Calls;
use simoom::tcp::cc::{Algorithm, Chosen};
use simoom::tcp::{EcnUse, Settings, State};
use simoom::{Addr, Duration, Endpoint};
use simoom_ring::{Caps, Checksums, LinkState, Segmentation};

use super::cursor::Cursor;
use super::ends::{Act, Habits, Script, Way, begins};
use super::far::{FLOWS_ACTIVE, FLOWS_PASSIVE, LISTEN_PORT};
use super::packets::{datagram, icmp, neighbor, raw};
use super::rings::TX_SLOTS;
use super::segments::{acknowledge, open, segment, shut};
use super::world::{Plan, World};

/// Runs a program on a stack with either way in for the application.
pub(crate) fn frames(bytes: &[u8]) {
    let mut bytes = Cursor::new(bytes);
    let way = bytes.u8();
    let plan = plan(&mut bytes, way);
    match way % 2 {
        0 => run(World::<Script>::new(&plan), bytes),
        _ => run(World::<Calls<Chosen>>::new(&plan), bytes),
    }
}

pub(super) fn plan(bytes: &mut Cursor<'_>, way: u8) -> Plan {
    let algorithms = [Algorithm::Reno, Algorithm::Westwood, Algorithm::Cubic];
    let (port, tables) = (bytes.u8(), bytes.u8());
    let has = |bit: u8| port & bit != 0;
    let checksums = Checksums {
        tx: has(4),
        rx: has(8),
    };
    let has_tso = has(4) && has(16);
    let tso = Segmentation {
        tcp_v4: has_tso,
        len_max: if has_tso { 65_535 } else { 0 },
        ..Segmentation::default()
    };
    let caps = Caps {
        mtu: [1_500, 576, 296, 1_492][usize::from(tables) % 4],
        fragments_max: 1 + usize::from(port) % 4,
        headroom: if has(32) { 12 } else { 0 },
        checksums,
        tso,
        rx_large: has(64),
        ..Caps::PLAIN
    };
    // What is on by default is on when the bit is not set.
    let switches = bytes.u8();
    let tcp = Settings {
        sack: switches & 1 == 0,
        timestamps: switches & 2 == 0,
        window_scaling: switches & 0x40 == 0,
        quick_acks: if switches & 0x80 == 0 { 2 } else { 0 },
        syn_cookies: switches & 4 == 0,
        fast_open: switches & 0x20 != 0,
        short_cuts: true,
        ecn: [EcnUse::Accept, EcnUse::Ask, EcnUse::Never][usize::from(switches >> 3) % 3],
        congestion: algorithms[usize::from(way >> 1) % 3],
        station_seed: None,
    };
    Plan {
        caps,
        tcp,
        has_few_frames: tables & 4 != 0,
        backlog: [16, 1, 2, 3][usize::from(tables >> 3) % 4],
        conns: [8, 1, 2, 4][usize::from(tables >> 5) % 4],
        sent: if tables & 0x80 == 0 { 24 } else { 3 },
    }
}

fn run<A: Way>(mut world: World<A>, mut bytes: Cursor<'_>) {
    for _ in 0..OPERATIONS_MAX {
        if bytes.is_empty() {
            break;
        }
        let op = bytes.u8();
        step(&mut world, op & 0x7f, &mut bytes);
        // Else the next operation meets the stack before it has looked at this one.
        if op & 0x80 == 0 {
            world.poll();
        }
    }
    world.end();
}

pub(super) fn step<A: Way>(world: &mut World<A>, op: u8, bytes: &mut Cursor<'_>) {
    match op % 32 {
        0..=8 => segment(world, bytes),
        9..=12 => time(world, bytes),
        13..=16 => call(world, bytes),
        17 | 18 => open(world, bytes),
        19 => connect(world, bytes),
        20 => world.accept(),
        21 => {
            let takes = bytes.pick(&[u16::MAX, 0, 1, 100, 2_000]);
            let on = [(); 4].map(|()| Act::from(bytes));
            world.app.set_habits(Habits { takes, on });
        }
        22 => raw(world, bytes),
        23 => icmp(world, bytes),
        24 => neighbor(world, bytes),
        25 => datagram(world, bytes),
        26 => rings(world, bytes),
        27 => receive(world, bytes),
        28 => interface(world, bytes),
        29 | 30 => acknowledge(world, bytes),
        _ => shut(world, bytes),
    }
}

/// Time passes, to a timer or by a span.
fn time<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let to_timer = |world: &World<A>| {
        let next = world.stack.poll_at(world.now);
        next.since(world.now).min(Duration::from_secs(60))
    };
    let (unit, n) = (bytes.u8(), bytes.u8());
    let span = match unit % 16 {
        0 => to_timer(world),
        1 => Duration::from_micros(to_timer(world).as_micros().saturating_sub(1)),
        // The application was busy elsewhere: it is late for everything.
        2 => {
            world.now = world.now + to_timer(world) + Duration::from_millis(u64::from(n) * 20);
            Duration::ZERO
        }
        3 | 4 => Duration::from_micros(n.into()),
        5..=7 => Duration::from_millis(n.into()),
        8..=12 => Duration::from_millis(u64::from(n) * 20),
        13 | 14 => Duration::from_millis(u64::from(n) * 100),
        _ => Duration::from_secs(n.min(130).into()),
    };
    world.pass(span);
}

/// The application does something to a connection.
fn call<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let (which, act) = (bytes.u8(), Act::from(bytes));
    let Some(id) = nth_id(world, which) else {
        return;
    };
    let far = &world.far;
    let done = world.stack.with_conn(world.now, id, |conn, _| {
        act.run(conn, &mut far.borrow_mut())
    });
    if done.is_none() {
        assert!(A::ACCEPTS_LATER, "the application was told of its end");
        world.ids.borrow_mut().retain(|known| *known != id);
    }
}

/// The application reads.
fn receive<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let (which, most) = (bytes.u8(), bytes.u16());
    if let Some(id) = nth_id(world, which) {
        let take = |shown: &[u8]| shown.len().min(most.into());
        world.app.recv(&mut world.stack, world.now, id, take);
    }
}

fn nth_id<A: Way>(world: &World<A>, n: u8) -> Option<simoom::tcp::ConnId> {
    let ids = world.ids.borrow();
    ids.get(usize::from(n) % ids.len().max(1)).copied()
}

/// The stack opens a connection to a far side.
fn connect<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let n = FLOWS_PASSIVE + bytes.below(FLOWS_ACTIVE);
    let (ip, port) = {
        let flow = &world.far.borrow().flows[n];
        (flow.remote_ip, flow.remote_port)
    };
    let remote = Endpoint::new(Addr::v4(ip.into()), port);
    let Ok(id) = world.stack.connect(world.now, remote, A::opened()) else {
        return;
    };
    world.ids.borrow_mut().push(id);
    let far = &world.far;
    world.stack.with_conn(world.now, id, |conn, _| {
        assert_eq!(conn.state(), State::SynSent);
        let mut far = far.borrow_mut();
        far.flows[n].local_port = conn.tuple().local.port;
        begins(&mut far, conn);
    });
}

/// The device: room on the transmit ring, frames that stay in flight, a pool that runs dry.
fn rings<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let (kind, n) = (bytes.u8(), bytes.u8());
    match kind % 8 {
        0 => world.rings.tx.slots = usize::from(n) % 8,
        1 => world.rings.tx.slots = TX_SLOTS,
        2 => world.rings.tx.is_held = true,
        3 => world.rings.tx.is_held = false,
        // Finished in any order.
        4 => drop(world.rings.tx.on_ring.pop_back()),
        5 => world.rings.tx.on_ring.clear(),
        6 => world.take_frames(n.into()),
        _ => world.hostages.truncate(usize::from(n)),
    }
}

/// The interface: its address, its link, ports, DHCP.
fn interface<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let now = world.now;
    match bytes.u8() % 10 {
        0 => world.stack.set_link(LinkState::Down, now),
        1 => world.stack.set_link(LinkState::Up, now),
        // A link must take its messages whole (RFC 1542 2.1).
        2 if world.caps.mtu >= 576 => world.stack.start_dhcp(now),
        3 => world.configure(),
        4 => {
            let opened = world.stack.listen(LISTEN_PORT, bytes.u8().into());
            world.listeners.extend(opened.ok());
        }
        5 => {
            if let Some(id) = world.listeners.pop() {
                world.stack.unlisten(id);
            }
        }
        6 => drop(world.stack.bind(7_000)),
        7 => drop(world.stack.unbind(7_000)),
        _ => while world.stack.dhcp_event().is_some() {},
    }
}

/// Operations of one program: the fuzzer gains nothing by longer ones.
const OPERATIONS_MAX: usize = 400;
