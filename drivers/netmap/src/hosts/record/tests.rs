//! Records of processes that live, and of those that do not.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::println;
use std::string::String;
use std::vec::Vec;

use super::sweep::{self, FIRST};
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

/// A `/proc` as the kernel shows it: a process in one namespace, whose thread is in another, with a
/// descriptor of a third, and a mount of a fourth.
fn proc_of(folder: &Path, user: u64) -> PathBuf {
    let proc = folder.join("proc");
    let own = proc.join("self/ns");
    fs::create_dir_all(&own).expect("ours");
    for (kind, number) in FIRST {
        let number = if kind == "user" { user } else { number };
        symlink(std::format!("{kind}:[{number}]"), own.join(kind)).expect("ours");
    }
    for (task, namespace) in [("7", 101), ("8", 102)] {
        let ns = proc.join("7/task").join(task).join("ns");
        fs::create_dir_all(&ns).expect("ours");
        symlink(std::format!("net:[{namespace}]"), ns.join("net")).expect("ours");
    }
    fs::create_dir_all(proc.join("7/fd")).expect("ours");
    symlink("net:[103]", proc.join("7/fd/3")).expect("ours");
    symlink("socket:[105]", proc.join("7/fd/4")).expect("ours");
    fs::create_dir_all(proc.join("7/ns")).expect("ours");
    symlink("mnt:[1]", proc.join("7/ns/mnt")).expect("ours");
    let mounts = "22 1 0:4 / /proc rw - proc proc rw\n\
                  90 22 0:4 net:[104] /run/netns/a rw shared:1 - nsfs nsfs rw\n";
    fs::write(proc.join("7/mountinfo"), mounts).expect("ours");
    // A process that has gone: nothing of it can be read.
    fs::create_dir_all(proc.join("9")).expect("ours");
    proc
}

/// Names of what is left in a folder.
fn left_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("there").flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().into_string().expect("text"))
        .collect();
    names.sort();
    names
}

#[test]
fn records_of_the_dead_in_namespaces_that_are_gone_are_swept() {
    let folder = folder("sweep");
    let proc = proc_of(&folder, FIRST[1].1);
    let records = folder.join("records");
    let station = "02:00:00:00:00:01";
    for namespace in 101..107 {
        let name = std::format!("tap:web0@{namespace}@{station}");
        drop(write_in(&records, &name, "up 0\n").expect("writable"));
        if namespace != 106 {
            let dead = "pid 999999999 at 1\nup 0\n";
            fs::write(records.join(name), dead).expect("writable");
        }
    }
    // Those that speak of no namespace are not asked for.
    fs::write(records.join("xdp:eth0"), "pid 999999999 at 1\n").expect("writable");
    sweep::sweep(&records, &proc);
    let of = |namespace: u32| std::format!("tap:web0@{namespace}@{station}");
    // 105 is the number of a socket, and 106 is that of a process which lives.
    let kept = [101, 102, 103, 104, 106].map(of);
    let kept: Vec<_> = kept.into_iter().chain(["xdp:eth0".into()]).collect();
    assert_eq!(left_in(&records), kept);
    fs::remove_dir_all(&folder).expect("ours");
}

#[test]
fn who_cannot_see_everything_sweeps_nothing() {
    let folder = folder("blind");
    let proc = proc_of(&folder, 5);
    let records = folder.join("records");
    fs::create_dir_all(&records).expect("ours");
    let name = "tap:web0@105@02:00:00:00:00:01";
    fs::write(records.join(name), "pid 999999999 at 1\n").expect("writable");
    sweep::sweep(&records, &proc);
    assert_eq!(left_in(&records), [name]);
    sweep::sweep(&records, &folder.join("none"));
    assert_eq!(left_in(&records), [name]);
    fs::remove_dir_all(&folder).expect("ours");
}
