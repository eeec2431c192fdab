//! One program on two stacks, one with the short cuts of TCP and one without: whatever arrives,
//! the same bytes go out at the same times, the application is told the same, and the same is left
//! behind.
//!
//! ```text
//!   program ─┬─ short cuts on  ─► seen: segments out, calls, drops, levels, statistics ─┐
//!            └─ short cuts off ─► seen ─────────────────────────────────────────────────┴─ equal?
//! ```
//!
//! Most steps are rows of segments ([`row`]) that come next on a connection, all but right: what
//! the long way asks of each segment must not be forgotten by a short cut.
//!
//! To run more of it than `cargo test` does, or one program that failed:
//!
//! ```text
//!   SIMOOM_FUZZ_SEEDS=20000 cargo test -p simoom --test corpus short_cuts -- --nocapture
//!   SIMOOM_FUZZ_SEED=n      cargo test -p simoom --test corpus short_cuts
//!   cd stack && cargo +nightly fuzz run pairs
//! ```

use simoom::DropReason;

use super::cursor::Cursor;
use super::ends::{Act, Habits, Script, Way};
use super::far::Seen;
use super::program::{plan, step};
use super::rows::row;
use super::world::World;
use simoom::tcp::calls::Calls;
use simoom::tcp::cc::Chosen;
use simoom::tcp::{State, Status};

/// Runs a program with short cuts and without, and compares what was to be seen; how many segments
/// have taken a short cut.
///
/// # Panics
/// When that is not the same.
pub(crate) fn pairs(bytes: &[u8]) -> u64 {
    let [(long, none), (short, taken)] = [false, true].map(|short_cuts| both(bytes, short_cuts));
    assert_eq!(none, 0, "short cuts that are off");
    let at = long.iter().zip(&short).take_while(|(a, b)| a == b).count();
    if long != short {
        let before = at.saturating_sub(CONTEXT);
        for seen in &long[before..at] {
            eprintln!("both   {seen:x?}");
        }
        for (name, way) in [("long ", &long), ("short", &short)] {
            for seen in way.iter().skip(at).take(CONTEXT) {
                eprintln!("{name}  {seen:x?}");
            }
        }
        panic!(
            "the ways part at {at} of {} and {}",
            long.len(),
            short.len()
        );
    }
    taken
}

fn both(bytes: &[u8], short_cuts: bool) -> (Vec<Seen>, u64) {
    let mut bytes = Cursor::new(bytes);
    let way = bytes.u8();
    let mut plan = plan(&mut bytes, way);
    plan.tcp.short_cuts = short_cuts;
    match way % 4 {
        3 => run(World::<Calls<Chosen>>::new(&plan), bytes),
        _ => run(World::<Script>::new(&plan), bytes),
    }
}

fn run<A: Way>(mut world: World<A>, mut bytes: Cursor<'_>) -> (Vec<Seen>, u64) {
    let far = world.far.clone();
    far.borrow_mut().seen = Some(Vec::new());
    // It reads all, as a rule, and answers.
    let takes = bytes.pick(&[u16::MAX, u16::MAX, u16::MAX, u16::MAX, 2_000, 100]);
    let on = [(); 4].map(|()| Act::from(&mut bytes));
    world.app.set_habits(Habits { takes, on });
    for n in 0..OPERATIONS_MAX {
        if bytes.is_empty() {
            break;
        }
        let op = bytes.u8();
        let step_of_all = (op & 0x7f).checked_sub(ROWS);
        match step_of_all {
            Some(op) => step(&mut world, op, &mut bytes),
            None => row(&mut world, &mut bytes),
        }
        // Else the next operation meets the stack before it has looked at this one.
        if op & 0x80 == 0 {
            world.poll();
            look(&mut world, n);
        }
    }
    let taken = world.stack.counters().tcp_short_cuts;
    tell(&mut world);
    world.end();
    let seen = far.borrow_mut().seen.take();
    (seen.unwrap_or_default(), taken)
}

/// Writes down what is left behind by a step.
fn look<A: Way>(world: &mut World<A>, n: usize) {
    let counters = world.stack.counters();
    let reasons = DropReason::ALL.iter().copied();
    let dropped: Vec<_> = reasons
        .map(|reason| (reason, counters.dropped(reason)))
        .filter(|(_, cnt)| *cnt > 0)
        .collect();
    let levels = world.stack.levels();
    let (ins, outs) = (counters.tcp_segments_in, counters.tcp_segments_out);
    let line = format!("behind step {n}: {ins} in, {outs} out, {dropped:?} {levels:?}");
    world.far.borrow_mut().write(Seen::Told(line));
}

/// Writes down what connections tell of themselves at the end. Asking is acting on them from
/// outside: it would end what short cuts know, if it were done more often.
fn tell<A: Way>(world: &mut World<A>) {
    for id in world.ids.borrow().clone() {
        let status = world
            .stack
            .with_conn(world.now, id, |conn, _| conn.status());
        world.far.borrow_mut().told(|| told_of(status));
    }
}

/// What must be the same of a status: nothing is learned of a path to which nothing will be sent.
pub(super) fn told_of(mut status: Option<Status>) -> String {
    let is_sent = |status: &Status| matches!(status.state, State::FinWait2 | State::TimeWait);
    if let Some(status) = &mut status {
        // Whether what has just come is counted while it is still to be shown concerns nobody.
        status.unread_len = 0;
    }
    match status {
        Some(status) if is_sent(&status) => format!(
            "{:?} {:?} {:?}",
            status.state, status.rcv_wnd, status.bytes_received
        ),
        status => format!("{status:?}"),
    }
}

/// Of 128 kinds of steps: how many are rows.
const ROWS: u8 = 80;
/// Operations of one program.
const OPERATIONS_MAX: usize = 300;
/// What is shown before and behind the place where the ways part.
const CONTEXT: usize = 6;
