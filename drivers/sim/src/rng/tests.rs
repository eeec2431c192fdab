use super::*;

#[test]
fn the_published_test_vectors_come_out() {
    let mut seed = 1_234_567;
    assert_eq!(splitmix64(&mut seed), 6_457_827_717_110_365_317);
    assert_eq!(splitmix64(&mut seed), 3_203_168_211_198_807_973);
    let mut rng = Rng {
        state: [1, 2, 3, 4],
    };
    let expected = [
        11_520,
        0,
        1_509_978_240,
        1_215_971_899_390_074_240,
        1_216_172_134_540_287_360,
    ];
    for number in expected {
        assert_eq!(rng.next_u64(), number);
    }
}

#[test]
fn a_chance_hits_about_as_often_as_it_says() {
    let mut rng = Rng::new(7);
    for percent in [0, 1, 25, 50, 99, 100] {
        let hits = (0..100_000)
            .filter(|_| rng.hits(Chance::percent(percent)))
            .count();
        assert!(hits.abs_diff(percent as usize * 1000) < 1000, "{percent} %");
    }
    assert_eq!(Chance::percent(101), Chance::ALWAYS);
    assert_eq!(Chance::ppm(u32::MAX), Chance::ALWAYS);
}

#[test]
fn numbers_stay_within_their_bounds() {
    let mut rng = Rng::new(1);
    assert_eq!(rng.below(0), 0);
    assert_eq!(rng.between(5, 5), 5);
    assert_eq!(rng.between(5, 4), 5);
    let mut seen = [false; 7];
    for _ in 0..1000 {
        seen[rng.between(3, 9) as usize - 3] = true;
        rng.between(0, u64::MAX);
    }
    assert!(seen.iter().all(|seen| *seen), "each end of the range too");
}

#[test]
fn the_exponential_has_its_mean_and_its_tail() {
    let mut rng = Rng::new(3);
    let draws: Vec<u64> = (0..100_000).map(|_| rng.exponential(1000)).collect();
    let mean = draws.iter().sum::<u64>() / 100_000;
    assert!(mean.abs_diff(1000) < 80, "{mean}");
    // e^-5 of all lie beyond five means: 674.
    let far = draws.iter().filter(|draw| **draw > 5000).count();
    assert!(far.abs_diff(674) < 150, "{far}");
    assert!(draws.iter().all(|draw| *draw <= 45_000));
}
