//! Range fields, well-formed and not, against a plain reading of RFC 9110 14.

use super::*;
use std::format;
use std::string::String;
use std::vec::Vec;

fn ranges(set: &str, body_len: u64) -> Option<Vec<(u64, u64)>> {
    let ranges = read_set(set.as_bytes(), body_len)?;
    let pairs = ranges.all().iter().map(|range| (range.first, range.last));
    Some(pairs.collect())
}

#[test]
fn one_range() {
    let row = |text: &str, body_len: u64, want: Option<Option<(u64, u64)>>| {
        let range = spec(text.as_bytes(), body_len);
        let range = range.map(|range| range.map(|range| (range.first, range.last)));
        assert_eq!(range, want, "{text} of {body_len}");
    };
    row("0-0", 10, Some(Some((0, 0))));
    row("0-", 10, Some(Some((0, 9))));
    row("9-", 10, Some(Some((9, 9))));
    row("10-", 10, Some(None));
    row("3-99", 10, Some(Some((3, 9))));
    row("-3", 10, Some(Some((7, 9))));
    row("-30", 10, Some(Some((0, 9))));
    row("-0", 10, Some(None));
    row("0-0", 0, Some(None));
    row("0-", 0, Some(None));
    row("-1", 0, None);
    row("-0", 0, Some(None));
    row("99999999999999999999999-", 10, Some(None));
    row("0-99999999999999999999999", 10, Some(Some((0, 9))));
    row(" 1-2 ", 10, Some(Some((1, 2))));
    for bad in [
        "", "-", "5", "2-1", "a-b", "1-2-3", "--1", "+1-2", "1 -2", "0x1-2", "1-b",
    ] {
        row(bad, 10, None);
    }
}

#[test]
fn overlapping_and_near_ranges_become_one() {
    let row = |set: &str, want: &[(u64, u64)]| {
        assert_eq!(ranges(set, 10_000).as_deref(), Some(want), "{set}");
    };
    row("0-9,1000-1009", &[(0, 9), (1000, 1009)]);
    row("1000-1009,0-9", &[(1000, 1009), (0, 9)]);
    row("0-9,5-20", &[(0, 20)]);
    row("0-9,10-20", &[(0, 20)]);
    row("0-9,50-60", &[(0, 60)]);
    row("0-9,500-600,5-505", &[(0, 600)]);
    row("5000-5009,0-9,4999-,5-6", &[(4999, 9999), (0, 9)]);
    row("0-,0-,0-,0-", &[(0, 9999)]);
    row("9000-,20000-,-5", &[(9000, 9999)]);
    row("20000-,30000-", &[]);
    row(",, 0-1 ,,", &[(0, 1)]);
    for bad in ["", ",", "0-1,x", "0-1,5-4", ",,"] {
        assert_eq!(ranges(bad, 10_000), None, "{bad}");
    }
}

#[test]
fn too_many_are_none() {
    let set = |cnt: usize| {
        let all: Vec<String> = (0..cnt).map(|n| format!("{0}-{0}", n * 1_000)).collect();
        all.join(",")
    };
    assert_eq!(
        ranges(&set(RANGES_MAX), 1_000_000).unwrap().len(),
        RANGES_MAX
    );
    assert_eq!(ranges(&set(RANGES_MAX + 1), 1_000_000), None);
    assert_eq!(ranges(&",".repeat(100), 10), None);
}

/// All sets of three ranges over a few positions: what comes out is disjoint, with gaps, and covers
/// what a set of bytes says, gaps that are too small aside.
#[test]
fn ranges_cover_what_was_asked_for() {
    let positions = [0u64, 1, 90, 200, 300];
    let mut pairs = Vec::new();
    for first in positions {
        pairs.extend(
            positions
                .into_iter()
                .filter(|last| *last >= first)
                .map(|last| (first, last)),
        );
    }
    for a in &pairs {
        for b in &pairs {
            for c in &pairs {
                let set = format!("{}-{},{}-{},{}-{}", a.0, a.1, b.0, b.1, c.0, c.1);
                let got = ranges(&set, 301).unwrap();
                let asked = |at: u64| [a, b, c].iter().any(|r| (r.0..=r.1).contains(&at));
                let given = |at: u64| got.iter().any(|r| (r.0..=r.1).contains(&at));
                assert!((0..301).all(|at| !asked(at) || given(at)), "{set}: {got:?}");
                for (n, x) in got.iter().enumerate() {
                    assert!(asked(x.0) && asked(x.1) && x.1 < 301, "{set}: {got:?}");
                    for y in &got[n + 1..] {
                        let is_apart = x.1 + GAP_MAX < y.0 || y.1 + GAP_MAX < x.0;
                        assert!(is_apart, "{set}: {got:?}");
                    }
                }
            }
        }
    }
}
