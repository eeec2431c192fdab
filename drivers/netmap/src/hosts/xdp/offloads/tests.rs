//! What an interface has can be read by anyone; switching is tested where devices can be made.

use super::*;

#[test]
fn what_loopback_has_on_is_told_from_what_it_has_not() {
    let names = ["tx-generic-segmentation", "rx-lro", "no-such-feature"];
    let on = which_are_on("lo", &names).expect("ethtool's features");
    assert!(!on.contains(&"no-such-feature".to_string()));
    assert!(
        !on.contains(&"rx-lro".to_string()),
        "loopback merges nothing"
    );
    assert!(
        on.contains(&"tx-generic-segmentation".to_string()),
        "on by default: {on:?}"
    );
}

#[test]
fn what_is_not_there_is_an_error() {
    let error = which_are_on("no-such-if", &IN_THE_WAY).expect_err("no interface");
    assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
}
