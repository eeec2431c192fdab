use super::*;

#[test]
fn the_least_that_will_do_is_found() {
    for wanted in 3..=64 {
        let found = least(2, 64, |mib| Ok(mib >= wanted)).unwrap();
        assert_eq!(found, wanted);
    }
    assert!(least(2, 64, |_| Ok(false)).is_err());
}

/// What Linux is told so that it does its best under TCG is not told where there is none.
#[test]
fn only_the_rival_is_told_more_and_only_under_tcg() {
    for accel in [Accel::Tcg, Accel::Kvm] {
        for kind in OURS {
            assert_eq!((kind.cpu(accel), kind.card_options(accel)), (None, ""));
        }
    }
    assert_eq!(Kind::Linux.cpu(Accel::Kvm), None);
    assert_eq!(Kind::Linux.card_options(Accel::Kvm), "");
    assert_eq!(Kind::Linux.cpu(Accel::Tcg), Some("qemu64"));
}

#[test]
fn nginx_writes_small_files_itself() {
    let config = linux::nginx_config(&[64, 16 << 10, 64 << 10]);
    assert!(config.contains("location = /64.bin { sendfile off; }"));
    assert!(config.contains("location = /16384.bin { sendfile off; }"));
    assert!(!config.contains("/65536.bin"));
    assert!(config.contains("sendfile on;"));
}
