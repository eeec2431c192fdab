use super::*;

/// RFC 8439 2.3.2.
#[test]
fn block_of_the_rfc() {
    let key = core::array::from_fn(|i| i as u8);
    let nonce = [0, 0, 0, 9, 0, 0, 0, 0x4a, 0, 0, 0, 0];
    let output = block(&key, 1, &nonce);
    assert_eq!(
        output[..8],
        [0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15]
    );
    assert_eq!(
        output[56..],
        [0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e]
    );
}

#[test]
fn output_does_not_repeat_and_fills_every_length() {
    for len in 0..200 {
        let mut generator = Generator::new([7; 32]);
        let (mut first, mut second) = ([0u8; 200], [0u8; 200]);
        generator.fill(&mut first[..len]);
        generator.fill(&mut second[..len]);
        assert!(first[len..].iter().all(|byte| *byte == 0));
        assert!(len < 16 || first[..len] != second[..len]);
        assert!(len < 64 || first[len - 16..len].iter().any(|byte| *byte != 0));
    }
}

#[test]
fn mixing_changes_what_follows_and_never_cancels() {
    let draw = |fresh: &[&[u8]]| {
        let mut generator = Generator::new([0; 32]);
        fresh.iter().for_each(|bytes| generator.mix(bytes));
        let mut output = [0; 16];
        generator.fill(&mut output);
        output
    };
    assert_ne!(draw(&[]), draw(&[&[0]]));
    assert_ne!(draw(&[&[1]]), draw(&[&[2]]));
    assert_ne!(draw(&[]), draw(&[&[1], &[1]]));
    assert_ne!(draw(&[&[1; 33]]), draw(&[&[1; 32]]));
}
