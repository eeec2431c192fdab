use super::*;
use crate::Chance;

fn frame(len: usize) -> WireFrame {
    WireFrame {
        bytes: Rc::new(vec![0; len]),
        csum: None,
        gso: None,
        number: 0,
    }
}

/// Times of arrival of frames that enter at these times.
fn run(path: &mut Path, faults: &Faults, entries: &[(u64, usize)]) -> Vec<Vec<u64>> {
    let mut counters = Counters::default();
    entries
        .iter()
        .map(|(now_us, len)| {
            let passage = path.enter(*now_us, frame(*len), faults, &mut counters);
            passage.arrivals.iter().map(|(at_us, _)| *at_us).collect()
        })
        .collect()
}

#[test]
fn a_bottleneck_spaces_frames_and_drops_at_its_tail() {
    // 8 Mbit/s are a byte a microsecond.
    let faults = Faults::none()
        .delay(Delay::Fixed(5))
        .bandwidth(8_000_000, 250);
    let mut path = Path::new(0);
    let entries = [(0, 100), (0, 100), (0, 51), (0, 50), (99, 51), (100, 51)];
    let arrivals = run(&mut path, &faults, &entries);
    let expected: [&[u64]; 6] = [&[105], &[205], &[], &[255], &[], &[306]];
    assert_eq!(arrivals, expected);
    assert_eq!(path.backlog_len, 201);
    let later = run(&mut path, &faults, &[(1000, 1)]);
    assert_eq!(later, [[1006]]);
    assert_eq!(path.backlog_len, 1);
}

#[test]
fn delays_do_not_reorder() {
    let delays = [
        Delay::Uniform(10, 1000),
        Delay::Exponential {
            min_us: 10,
            mean_us: 300,
        },
    ];
    for delay in delays {
        let faults = Faults::none().delay(delay).jump(Chance::percent(10), 5000);
        let entries: Vec<(u64, usize)> = (0..1000).map(|at| (at * 10, 60)).collect();
        let arrivals = run(&mut Path::new(1), &faults, &entries).concat();
        assert_eq!(arrivals.len(), 1000);
        assert!(arrivals.is_sorted());
        assert!(
            arrivals
                .iter()
                .zip(&entries)
                .all(|(at, (now, _))| *at >= now + 10)
        );
        assert!(
            arrivals
                .iter()
                .zip(&entries)
                .any(|(at, (now, _))| *at > now + 1000)
        );
    }
}

#[test]
fn the_uniform_delay_has_its_range() {
    let faults = Faults::none().delay(Delay::Uniform(10, 13));
    let entries: Vec<(u64, usize)> = (0..1000).map(|at| (at * 100, 60)).collect();
    let arrivals = run(&mut Path::new(1), &faults, &entries).concat();
    let delays: Vec<u64> = arrivals
        .iter()
        .zip(&entries)
        .map(|(at, (now, _))| at - now)
        .collect();
    for delay in 10..=13 {
        let cnt = delays.iter().filter(|drawn| **drawn == delay).count();
        assert!(cnt.abs_diff(250) < 60, "{delay}: {cnt}");
    }
}

#[test]
fn times_at_the_end_of_time_saturate() {
    let faults = Faults::none()
        .delay(Delay::Fixed(u64::MAX))
        .jump(Chance::ALWAYS, u64::MAX)
        .duplicate(Chance::ALWAYS)
        .reorder(Chance::ALWAYS, u64::MAX)
        .bandwidth(1, usize::MAX);
    let arrivals = run(
        &mut Path::new(0),
        &faults,
        &[(u64::MAX, 1500), (u64::MAX, 1)],
    );
    assert_eq!(arrivals, [[u64::MAX; 2], [u64::MAX; 2]]);
}

#[test]
fn an_enabled_fault_moves_no_other_frame() {
    let entries: Vec<(u64, usize)> = (0..500).map(|at| (at * 10_000, 60)).collect();
    let quiet = Faults::none().delay(Delay::Uniform(1, 1000));
    let lossy = quiet.clone().duplicate(Chance::percent(20));
    let without = run(&mut Path::new(9), &quiet, &entries);
    let with = run(&mut Path::new(9), &lossy, &entries);
    let same = without
        .iter()
        .zip(&with)
        .filter(|(one, other)| one == other)
        .count();
    assert!((350..450).contains(&same), "{same}");
}
