//! Lists of cores.

use super::*;

#[test]
fn lists_are_numbers_and_ranges() {
    for (text, list) in [
        ("0", &[0][..]),
        ("3,1", &[1, 3]),
        ("0-2", &[0, 1, 2]),
        ("1-1,0-1", &[0, 1]),
    ] {
        assert_eq!(Cores::parse(text).expect(text).list, list);
    }
    for text in [
        "",
        "a",
        "1,",
        "2-1",
        "0-",
        "99999999",
        "0-99999999999",
        "-1",
    ] {
        assert!(Cores::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_core_that_is_not_there_is_named() {
    let far = Cores::parse("0,1000").expect("a list");
    assert_eq!(far.cnt(), 2);
    assert_eq!(far.pin(1), Err(CoresError::NoCore { core: 1_000 }));
    assert_eq!(Cores::parse("0-64"), Err(CoresError::Many { cnt: 65 }));
}
