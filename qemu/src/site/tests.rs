//! Sites that are fine, and every kind that is not.

use super::{Packed, open};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("inside")).expect("writable");
        fs::write(path, bytes).expect("writable");
    }
    folder
}

fn bytes(packed: &mut Packed) -> Vec<u8> {
    let mut bytes = Vec::new();
    packed.tar.rewind().expect("a file");
    packed.tar.read_to_end(&mut bytes).expect("readable");
    bytes
}

fn unpacked(packed: &mut Packed) -> BTreeMap<String, Vec<u8>> {
    let tar = bytes(packed);
    let mut archive = tar::Archive::new(&tar[..]);
    let mut files = BTreeMap::new();
    for entry in archive.entries().expect("a tar") {
        let mut entry = entry.expect("an entry");
        let name = entry
            .path()
            .expect("a name")
            .to_str()
            .expect("UTF-8")
            .to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("bytes");
        files.insert(name, bytes);
    }
    files
}

fn refusal(path: &Path) -> String {
    match open(Some(path)) {
        Ok(_) => panic!("{} was taken", path.display()),
        Err(error) => format!("{error:#}"),
    }
}

#[test]
fn every_byte_of_a_folder_is_in_the_tar() {
    let long = format!("{}/{}.html", "d".repeat(120), "n".repeat(180));
    let files: [(&str, &[u8]); 5] = [
        ("index.html", b"<p>"),
        ("empty", b""),
        ("a/b/c.txt", &[7; 1025]),
        ("a/\u{fc}nicode name", b"x"),
        (&long, b"long"),
    ];
    let site = folder(&files);
    let mut packed = open(Some(site.path())).expect("a good site");
    assert_eq!(packed.files_cnt, 5);
    let tar_len = bytes(&mut packed).len() as u64;
    assert_eq!(packed.tar_len, tar_len);
    let expected: BTreeMap<String, Vec<u8>> = files
        .iter()
        .map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()))
        .collect();
    assert_eq!(unpacked(&mut packed), expected);
}

#[test]
fn the_same_folder_packs_to_the_same_bytes_in_order_and_owned_by_nobody() {
    let site = folder(&[("b", b"2"), ("a/z", b"1"), ("a.x", b"0")]);
    let [mut first, mut second] = [0, 1].map(|_| open(Some(site.path())).expect("a good site"));
    let tar = bytes(&mut first);
    assert_eq!(tar, bytes(&mut second));
    let mut archive = tar::Archive::new(&tar[..]);
    let mut names = Vec::new();
    for entry in archive.entries().expect("a tar") {
        let entry = entry.expect("an entry");
        assert_eq!(entry.header().uid().ok(), Some(0));
        assert_eq!(entry.header().mode().ok(), Some(0o644));
        assert!(entry.header().mtime().expect("a time") > 0);
        names.push(entry.path().expect("a name").display().to_string());
    }
    assert_eq!(names, ["a.x", "a/z", "b"]);
}

#[test]
fn links_inside_are_followed() {
    let site = folder(&[("a/x", b"1")]);
    symlink("a/x", site.path().join("file")).expect("a link");
    symlink("a", site.path().join("folder")).expect("a link");
    let mut packed = open(Some(site.path())).expect("a good site");
    let names: Vec<String> = unpacked(&mut packed).into_keys().collect();
    assert_eq!(names, ["a/x", "file", "folder/x"]);
}

#[test]
fn links_that_leave_dangle_or_loop_are_refused() {
    let outside = folder(&[("secret", b"1")]);
    for (target, reason) in [
        (outside.path().join("secret"), "a link out of the folder"),
        (outside.path().to_owned(), "a link out of the folder"),
        ("nowhere".into(), "leads nowhere"),
        (".".into(), "a link to a folder that holds it"),
    ] {
        let site = folder(&[("a", b"1")]);
        symlink(target, site.path().join("l")).expect("a link");
        let refusal = refusal(site.path());
        assert!(
            refusal.contains(reason) && refusal.contains("/l"),
            "{refusal}"
        );
    }
}

#[test]
fn what_is_no_site_is_refused_in_words() {
    use std::os::unix::ffi::OsStrExt;
    let empty = folder(&[]);
    assert!(refusal(&empty.path().join("x")).contains("no such file or folder"));
    assert!(refusal(empty.path()).contains("empty"));
    assert!(refusal(Path::new("/dev/null")).contains("neither a folder nor a tar"));

    let odd = folder(&[]);
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
    fs::write(odd.path().join(name), b"x").expect("writable");
    assert!(refusal(odd.path()).contains("not UTF-8"));

    let special = folder(&[("a", b"1")]);
    let socket = special.path().join("s");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    assert!(refusal(special.path()).contains("a socket cannot be served"));
}

#[test]
fn an_unreadable_file_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    if rustix::process::geteuid().is_root() {
        // Root reads everything there is: only what is gone by now fails in the same place.
        let error = super::pack(vec![super::Entry {
            name: "mem".to_owned(),
            source: super::Source::Disk("/nonexistent".into()),
        }]);
        assert!(error.is_err_and(|error| format!("{error:#}").contains("not readable")));
        return;
    }
    let site = folder(&[("a", b"1")]);
    let closed = fs::Permissions::from_mode(0o000);
    fs::set_permissions(site.path().join("a"), closed).expect("ours");
    assert!(refusal(site.path()).contains("not readable"));
}

#[test]
fn a_file_that_changes_while_packed_is_refused() {
    // A file of /proc has length 0 and more bytes than that: it grows as it is read.
    let grown = super::pack(vec![super::Entry {
        name: "version".to_owned(),
        source: super::Source::Disk("/proc/version".into()),
    }]);
    let text = format!("{:#}", grown.err().expect("refused"));
    assert_eq!(text, "/proc/version: changed while it was packed");
    // A file of /sys promises a page and gives less: it shrank.
    let shrunk = super::pack(vec![super::Entry {
        name: "online".to_owned(),
        source: super::Source::Disk("/sys/devices/system/cpu/online".into()),
    }]);
    let text = format!("{:#}", shrunk.err().expect("refused"));
    assert!(text.contains("changed while it was packed"), "{text}");
}

/// A tar file with `edit` done to it.
fn archive(edit: impl FnOnce(&mut Vec<u8>)) -> (TempDir, std::path::PathBuf) {
    let site = folder(&[("index.html", b"<p>"), ("a/b", &[7; 2000])]);
    let mut tar = bytes(&mut open(Some(site.path())).expect("a good site"));
    edit(&mut tar);
    let path = site.path().join("site.tar");
    fs::write(&path, tar).expect("writable");
    (site, path)
}

#[test]
fn a_good_tar_is_passed_on_as_it_is() {
    let (_site, path) = archive(|_| {});
    let mut packed = open(Some(&path)).expect("a good tar");
    assert_eq!(packed.files_cnt, 2);
    assert_eq!(bytes(&mut packed), fs::read(&path).expect("readable"));
}

#[test]
fn a_tar_cut_anywhere_is_refused() {
    let (_site, path) = archive(|_| {});
    let whole = fs::read(&path).expect("readable");
    // Its end is two empty records; the writer may pad with more, which may go.
    let used = whole
        .iter()
        .rposition(|byte| *byte != 0)
        .expect("not empty")
        + 1;
    for len in [
        0,
        1,
        100,
        511,
        512,
        513,
        1024,
        2048,
        used.next_multiple_of(512),
        whole.len() - 1,
    ] {
        let file = path.with_extension(len.to_string());
        fs::write(&file, &whole[..len]).expect("writable");
        assert!(!refusal(&file).is_empty(), "cut to {len}");
    }
}

#[test]
fn a_corrupt_tar_is_refused() {
    for at in [0, 130, 150, 156, 257] {
        let (_site, path) = archive(|tar| tar[at] ^= 0x15);
        let said = refusal(&path);
        assert!(
            said.contains("bad archive") || at == 257,
            "byte {at}: {said}"
        );
    }
}

#[test]
fn what_is_no_tar_is_called_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notes");
    let noise: Vec<u8> = (0..4096_u32).map(|n| (n * n / 8) as u8).collect();
    for bytes in [&b"not a tar"[..], &[b'x'; 2048], &noise] {
        fs::write(&path, bytes).expect("writable");
        let said = refusal(&path);
        assert!(
            said.ends_with("neither a folder nor a tar archive"),
            "{said}"
        );
    }
}

#[test]
fn a_compressed_archive_gets_a_hint() {
    for (magic, hint) in [(&b"\x1f\x8b\x08"[..], "gunzip"), (b"PK\x03\x04", "unzip")] {
        let (_site, path) = archive(|tar| tar[..magic.len()].copy_from_slice(magic));
        assert!(refusal(&path).contains(hint));
    }
}

#[test]
fn entries_that_cannot_be_served_are_refused() {
    let make = |edit: &dyn Fn(&mut tar::Builder<File>)| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("x.tar");
        let mut tar = tar::Builder::new(File::create(&path).expect("writable"));
        edit(&mut tar);
        tar.into_inner().expect("written").flush().expect("written");
        (folder, path)
    };
    let file = |tar: &mut tar::Builder<File>, name: &str| {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(1);
        header.set_cksum();
        tar.append(&header, &b"x"[..]).expect("written");
    };
    let (_keep, link) = make(&|tar| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, "l", "/etc/passwd")
            .expect("written");
    });
    assert!(refusal(&link).contains("a link"));
    let (_keep, up) = make(&|tar| file(tar, "../x"));
    assert!(refusal(&up).contains("leads out of the archive"));
    let (_keep, twice) = make(&|tar| {
        file(tar, "x");
        file(tar, "./x");
    });
    assert!(refusal(&twice).contains("there twice"));
    let (_keep, none) = make(&|_| {});
    assert!(refusal(&none).contains("there is no file to serve"));
}

#[test]
fn the_demo_site_packs() {
    let packed = open(None).expect("ours");
    assert!(packed.files_cnt >= 6);
    assert!(packed.tar_len > 1 << 20);
}
