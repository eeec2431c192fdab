//! Records of processes that live, and of those that do not.

use std::fs;
use std::path::PathBuf;
use std::println;

use super::{Found, find_in, write_in};

fn folder(name: &str) -> PathBuf {
    let id = std::process::id();
    let folder = std::env::temp_dir().join(std::format!("simoom-record-{name}-{id}"));
    println!("{}", folder.display());
    folder
}

#[test]
fn a_record_of_ours_says_that_the_port_is_in_use() {
    let folder = folder("ours");
    assert_eq!(find_in(&folder, "tap:a").expect("readable"), Found::Nothing);
    let record = write_in(&folder, "tap:a", "up 0\n").expect("writable");
    let pid = std::process::id();
    assert_eq!(
        find_in(&folder, "tap:a").expect("readable"),
        Found::InUse { pid }
    );
    record.remove();
    assert_eq!(find_in(&folder, "tap:a").expect("readable"), Found::Nothing);
    fs::remove_dir(&folder).expect("nothing is left in it");
}

#[test]
fn what_a_dead_process_left_is_found() {
    let folder = folder("left");
    drop(write_in(&folder, "pipe:/tmp/a", "up 0\n").expect("writable"));
    let file = folder.join("pipe:!tmp!a");
    // Our number, and another beginning: the number has been given again.
    let pid = std::process::id();
    for owner in [
        std::format!("pid {pid} at 1"),
        "pid 0 at 1".into(),
        "?".into(),
    ] {
        fs::write(&file, std::format!("{owner}\nup 0\n")).expect("writable");
        let found = find_in(&folder, "pipe:/tmp/a").expect("readable");
        assert_eq!(found, Found::Left("up 0\n".into()), "{owner}");
    }
    fs::remove_dir_all(&folder).expect("ours");
}
