use super::*;
use crate::testing::pool;
use std::vec::Vec;

/// 800 frames for received data, `free` of them free, `receivers` connections that hold some.
fn with<R>(free: u32, receivers: u32, look: impl FnOnce(Budget<'static>) -> R) -> R {
    std::thread_local! {
        static POOL: &'static FramePool<'static> = pool(800 + FRAMES_RESERVED as usize);
    }
    let pool = POOL.with(|pool| *pool);
    let held: Vec<_> = (free..800).map(|_| pool.alloc(0).unwrap()).collect();
    let looked = look(Budget {
        pool,
        frames_max: 800 + FRAMES_RESERVED,
        receivers,
        rmss: 1_460,
    });
    drop(held);
    looked
}

#[test]
fn a_window_promises_half_of_what_is_free_and_under_pressure_half_of_a_share() {
    for (free, receivers, expected) in [
        (800, 1_000, 400),
        (200, 1_000, 100),
        (199, 0, 99),
        (199, 3, 99),
        (199, 7, 50),
        (199, 99, 4),
        (199, 1_000, 1),
        (2, 5_000, 1),
        (1, 0, 0),
        (0, 7, 0),
    ] {
        assert_eq!(
            with(free, receivers, Budget::promise),
            expected,
            "{free} {receivers}"
        );
    }
}

#[test]
fn levels_are_a_quarter_and_an_eighth() {
    for (free, is_pressed, is_short) in [
        (200, false, false),
        (199, true, false),
        (100, true, false),
        (99, true, true),
        (0, true, true),
    ] {
        assert_eq!(with(free, 0, Budget::is_pressed), is_pressed, "{free}");
        assert_eq!(with(free, 0, Budget::is_short), is_short, "{free}");
    }
}

#[test]
fn a_share_is_at_least_a_frame() {
    assert_eq!(with(800, 0, Budget::share), 800);
    assert_eq!(with(10, 7, Budget::share), 100);
    assert_eq!(with(10, 5_000, Budget::share), 1);
}

#[test]
fn three_quarters_are_for_generated_bytes_and_a_quarter_of_those_for_newcomers() {
    for (free, generated, has_some, expected) in [
        (800, 449, true, true),
        (800, 450, true, false),
        (800, 450, false, true),
        (800, 599, false, true),
        (800, 600, false, false),
        (0, 0, true, true),
    ] {
        let may = with(free, 0, |budget| budget.may_generate(generated, has_some));
        assert_eq!(may, expected, "{free} {generated} {has_some}");
    }
    // However small the pool, one piece may go.
    with(0, 0, |budget| {
        let few = Budget {
            frames_max: 0,
            ..budget
        };
        assert!(few.may_generate(0, true) && !few.may_generate(1, false));
    });
}

#[test]
fn the_scale_fits_the_widest_window() {
    with(800, 0, |budget| {
        assert_eq!(budget.window_max(), 400 * 1_460);
        assert_eq!(budget.wscale().get(), 4);
        let many = Budget {
            frames_max: 8_192,
            ..budget
        };
        assert_eq!(many.window_max(), RCV_WND_SCALED_MAX);
        assert_eq!(many.wscale().get(), 7);
        let few = Budget {
            frames_max: 60,
            ..budget
        };
        assert_eq!(
            (few.window_max(), few.wscale()),
            (14 * 1_460, WndScale::ZERO)
        );
    });
}
