//! Sums over cores, and who says that all is home.

use std::string::ToString;
use std::vec::Vec;

use super::*;

#[test]
fn figures_are_summed_over_all_cores() {
    let board = Board::new(3);
    for core in 0..3 {
        let one = core as u64 + 1;
        let figures: [u64; FIGURES] = core::array::from_fn(|at| one * (at as u64 + 1));
        board.note(core, Figures::from_array(figures));
    }
    let sums: [u64; FIGURES] = core::array::from_fn(|at| 6 * (at as u64 + 1));
    assert_eq!(board.sum(), Figures::from_array(sums));
    assert_eq!(board.answered().to_string(), "1 + 2 + 3");
}

#[test]
fn each_cores_figures_have_their_names() {
    let board = Board::new(2);
    let one = Figures {
        conns: 3,
        lost: 9,
        ..Figures::default()
    };
    board.note(1, one);
    let all: Vec<_> = (0..).map_while(|idx| board.figure(1, idx)).collect();
    assert_eq!(all.len(), FIGURES);
    assert!(all.contains(&("conns", 3, false)) && all.contains(&("lost", 9, true)));
    assert!(board.figure(0, 0) == Some(("answered", 0, true)) && board.figure(2, 0).is_none());
    assert_eq!(board.cores_cnt(), 2);
}

#[test]
fn the_last_core_to_rest_says_so_for_all() {
    let board = Board::new(2);
    board.set_busy(0);
    board.set_busy(1);
    assert_eq!(board.rests(0, 10, 10), None);
    assert_eq!(board.rests(1, 20, 20), Some((30, 30)));
    board.set_busy(1);
    assert_eq!(board.rests(0, 10, 10), None);
}

#[test]
fn the_end_waits_for_all() {
    let board = Board::new(2);
    assert!(!board.note_drained() && !board.is_drained());
    assert!(board.note_drained() && board.is_drained());
    assert!(!board.is_over());
    board.set_over();
    assert!(board.is_over());
}
