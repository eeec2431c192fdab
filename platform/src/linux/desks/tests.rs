//! Tables of numbers, and cores that ask each other for them.

use std::vec;

use super::*;

/// Desks of so many cores, and what they are rung by.
fn desks(cores_cnt: usize) -> (Vec<Mesh>, Vec<Desks<u64>>) {
    let meshes = Mesh::of(cores_cnt).expect("descriptors");
    let desks = Desks::of(&meshes, 2);
    (meshes, desks)
}

/// All rows of a core, from a place on, as the first core sees them on a seat. The core has the
/// square of each place that `has` holds for.
fn seen(
    desks: &[Desks<u64>],
    (seat, turn): (usize, u64),
    (core, from, places): (usize, usize, usize),
    has: impl Fn(usize) -> bool,
) -> Vec<(usize, u64)> {
    let (mut rows, mut place, mut calls_cnt) = (vec![], from, 0);
    while place < places {
        match desks[0].look(seat, turn, core, place) {
            Looked::Row(at, row) => {
                rows.push((at, row));
                place = at + 1;
            }
            Looked::End(next) => {
                assert!(next > place, "it goes on");
                place = next;
            }
            Looked::Asked => {
                assert!(desks[core].is_called());
                desks[core].answer(places, &mut |place| {
                    has(place).then_some(place as u64 * place as u64)
                });
                assert!(!desks[core].is_called() && desks[0].is_called());
                desks[0].answer(0, &mut |_| None);
                calls_cnt += 1;
            }
            Looked::Busy => unreachable!("nobody else has a sheet"),
        }
    }
    // Each sheet is full, or as many places were looked at as may be.
    let most = rows.len().div_ceil(ROWS_MAX) + places.saturating_sub(from).div_ceil(PLACES_MAX);
    assert!(
        calls_cnt <= most,
        "{calls_cnt} calls for {} rows",
        rows.len()
    );
    rows
}

#[test]
fn all_rows_of_another_core_are_seen() {
    let (_meshes, desks) = desks(3);
    for (places, every) in [
        (1, 1),
        (8, 1),
        (9, 1),
        (100, 1),
        (3_000, 1),
        (3_000, 700),
        (40, 41),
    ] {
        for (core, from) in [(1, 0), (2, 0), (1, 5)] {
            let turn = places as u64 * 10 + every as u64;
            let has = |place| place % every == every - 1;
            let rows = seen(&desks, (0, turn), (core, from, places), has);
            let expected = (from..places).filter(|place| has(*place));
            let expected: Vec<_> = expected.map(|at| (at, (at * at) as u64)).collect();
            assert_eq!(rows, expected, "{places} {every} {core} {from}");
        }
    }
}

#[test]
fn each_seat_and_each_turn_has_its_own_answer() {
    let (_meshes, desks) = desks(2);
    let answer = |value| desks[1].answer(4, &mut |_| Some(value));
    let row = |seat, turn| desks[0].look(seat, turn, 1, 0);
    assert_eq!(row(0, 1), Looked::Asked);
    assert_eq!(row(1, 2), Looked::Asked);
    answer(7);
    assert_eq!([row(0, 1), row(1, 2)], [Looked::Row(0, 7); 2]);
    // Once more is the same; another turn is not.
    assert_eq!(row(0, 1), Looked::Row(0, 7));
    assert_eq!(row(0, 3), Looked::Asked);
    answer(8);
    assert_eq!(
        (row(0, 3), row(1, 2)),
        (Looked::Row(0, 8), Looked::Row(0, 7))
    );
    // Who has gone before the answer is not in the way of who comes after him.
    assert_eq!(row(0, 4), Looked::Asked);
    assert_eq!(row(0, 5), Looked::Asked);
    answer(9);
    assert_eq!(row(0, 5), Looked::Row(0, 9));
}

#[test]
fn a_sheet_in_other_hands_is_asked_for_again() {
    let (_meshes, desks) = desks(2);
    let sheet = desks[0].all[0].sheets[0].lock().expect("no panic");
    assert_eq!(desks[0].look(0, 1, 1, 0), Looked::Busy);
    desks[1].answer(4, &mut |_| Some(1));
    assert!(desks[1].is_called(), "it comes back");
    drop(sheet);
    desks[1].answer(4, &mut |_| Some(1));
    assert!(!desks[1].is_called());
}

#[test]
fn whoever_asks_wakes_who_is_asked() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let (meshes, desks) = desks(2);
    let is_rung = |core: usize| {
        let fd = meshes[core].fd().expect("a bell");
        let mut fds = [PollFd::new(&fd, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).expect("allowed") > 0
    };
    meshes.iter().for_each(Mesh::lie_down);
    assert_eq!(desks[0].look(0, 1, 1, 0), Looked::Asked);
    assert!(is_rung(1) && meshes[1].has_news() && !is_rung(0));
    desks[1].answer(4, &mut |_| None);
    assert!(is_rung(0) && meshes[0].has_news() && !meshes[1].has_news());
    assert_eq!(desks[0].look(0, 1, 1, 0), Looked::End(usize::MAX));
}

#[test]
fn a_core_alone_has_no_desk() {
    assert!(desks(1).1.is_empty());
}
