use super::*;

#[test]
fn numbers_are_a_keyed_function_of_their_place() {
    for key in [[0, 0], [1, 0], [0, 1], [u64::MAX; 2]] {
        let mut random = match key {
            [seed, 0] => Random::new(seed),
            [low, high] => Random::of(u128::from(low) | u128::from(high) << 64),
        };
        for place in 1..1_000_u64 {
            let mut hasher = SipHasher24::new_with_keys(key[0], key[1]);
            core::hash::Hasher::write_u64(&mut hasher, place);
            assert_eq!(random.next_u64(), core::hash::Hasher::finish(&hasher));
        }
    }
}

#[test]
fn below_stays_below_and_reaches_every_value() {
    let mut random = Random::new(7);
    let mut seen = [0u32; 10];
    for _ in 0..10_000 {
        seen[random.below(10) as usize] += 1;
    }
    assert!(
        seen.iter().all(|count| (800..1200).contains(count)),
        "{seen:?}"
    );
    assert_eq!(random.below(0), 0);
    assert_eq!(random.below(1), 0);
}
