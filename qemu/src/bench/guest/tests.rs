use super::*;

#[test]
fn the_least_that_will_do_is_found() {
    for wanted in 3..=64 {
        let found = least(2, 64, |mib| Ok(mib >= wanted)).unwrap();
        assert_eq!(found, wanted);
    }
    assert!(least(2, 64, |_| Ok(false)).is_err());
}
