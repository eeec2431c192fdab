//! Archives by the `tar` crate and by hand, whole and damaged.

use super::*;
use std::boxed::Box;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{fmt::Write as _, vec};

/// Memory that stays, as an initrd does.
fn leak(bytes: Vec<u8>) -> &'static [u8] {
    Box::leak(bytes.into_boxed_slice())
}

fn index(bytes: Vec<u8>) -> Result<Site, SiteError> {
    index_static(leak(bytes))
}

fn index_static(bytes: &'static [u8]) -> Result<Site, SiteError> {
    let archive = Archive::new(bytes);
    let census = archive.census()?;
    let memory = vec![Entry::VACANT; census.slot_cnt];
    let draft = archive.index(Box::leak(memory.into_boxed_slice()), 7)?;
    let text_len = draft.text_len();
    draft.finish(vec![0; text_len].leak())
}

fn fault(bytes: Vec<u8>) -> Fault {
    match index(bytes) {
        Ok(site) => panic!("indexed {} files", site.file_cnt()),
        Err(error) => error.fault,
    }
}

/// A header block with the right checksum.
fn header(name: &str, typeflag: u8, size: usize, link: &str) -> [u8; 512] {
    let mut block = [0u8; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..108].copy_from_slice(b"0000644\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"14540131102\0");
    block[156] = typeflag;
    block[157..157 + link.len()].copy_from_slice(link.as_bytes());
    block[257..265].copy_from_slice(b"ustar\x0000");
    seal(&mut block);
    block
}

fn seal(block: &mut [u8; 512]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// An archive of entries: name, type, body, link.
fn by_hand(entries: &[(&str, u8, &[u8], &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, typeflag, body, link) in entries {
        out.extend(header(name, *typeflag, body.len(), link));
        out.extend(*body);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.extend([0; 1024]);
    out
}

fn by_crate(gnu: bool, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, body) in files {
        let mut header = if gnu {
            tar::Header::new_gnu()
        } else {
            tar::Header::new_ustar()
        };
        header.set_size(body.len() as u64);
        header.set_mtime(1_700_000_000);
        header.set_mode(0o644);
        if gnu {
            builder.append_data(&mut header, name, *body).unwrap();
        } else {
            header.set_path(name).unwrap();
            header.set_cksum();
            builder.append(&header, *body).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

fn body_of(site: &Site, path: &str) -> Option<&'static [u8]> {
    match site.find(path.as_bytes())? {
        Found::File(file) => Some(file.body),
        Found::Folder(_) => None,
    }
}

#[test]
fn files_folders_and_index() {
    let site = index(by_crate(
        true,
        &[
            ("index.html", b"root"),
            ("a/index.html", b"a"),
            ("a/b/x.css", b"x"),
            ("empty", b""),
        ],
    ))
    .unwrap();
    assert_eq!(
        (site.file_cnt(), site.folder_cnt(), site.skipped_cnt()),
        (4, 3, 0)
    );
    let Some(Found::File(file)) = site.find(b"a/b/x.css") else {
        panic!()
    };
    assert_eq!(
        (file.body, file.mtime, file.media),
        (&b"x"[..], 1_700_000_000, MediaType::Css)
    );
    let folder = |path: &[u8]| match site.find(path) {
        Some(Found::Folder(index)) => index.map(|file| file.body),
        other => panic!("{other:?}"),
    };
    assert_eq!(folder(b""), Some(&b"root"[..]));
    assert_eq!(folder(b"a"), Some(&b"a"[..]));
    assert_eq!(folder(b"a/b"), None);
    assert_eq!(body_of(&site, "empty"), Some(&b""[..]));
    for path in [
        "b",
        "a/",
        "/a",
        "a/b/x.cs",
        "a/b/x.csss",
        "index.htm",
        "x.css",
        "a//b",
    ] {
        assert_eq!(site.find(path.as_bytes()), None, "{path}");
    }
}

#[test]
fn bodies_lie_in_the_archive() {
    let bytes = leak(by_crate(true, &[("a", b"hello"), ("b/c", b"world")]));
    let site = index_static(bytes).unwrap();
    let range = bytes.as_ptr_range();
    for file in site.files() {
        assert!(range.contains(&file.body.as_ptr()));
    }
    assert_eq!(site.archive().as_ptr(), bytes.as_ptr());
}

/// Every length of name there is, in ustar, GNU and pax clothes.
fn tag_of(site: &Site, path: &str) -> &'static str {
    let Some(Found::File(file)) = site.find(path.as_bytes()) else {
        panic!("no file {path}");
    };
    core::str::from_utf8(file.identity().tag()).unwrap()
}

/// RFC 9110 8.8.1: a validator is strong when it changes with every change of the content, which
/// here leaves name, time and size as they were.
#[test]
fn a_tag_changes_with_the_content() {
    let site = |body: &[u8]| index(by_crate(true, &[("x.js", body)])).unwrap();
    let [old, new, again] = [&b"let a = 1;"[..], b"let a = 2;", b"let a = 1;"].map(site);
    let mtime = |site: &Site| {
        site.files()
            .next()
            .map(|file| (file.mtime, file.body.len()))
    };
    assert_eq!(mtime(&old), mtime(&new));
    assert_ne!(tag_of(&old, "x.js"), tag_of(&new, "x.js"));
    // And with nothing else: a site that is packed again is not fetched again.
    assert_eq!(tag_of(&old, "x.js"), tag_of(&again, "x.js"));
}

#[test]
fn each_representation_has_a_tag_of_its_own() {
    let site = index(by_crate(
        true,
        &[
            ("x.js", b"let a = 1; let b = 2;"),
            ("x.js.br", b"same"),
            ("x.js.gz", b"same"),
        ],
    ));
    let site = site.unwrap();
    let Some(Found::File(file)) = site.find(b"x.js") else {
        panic!("no file");
    };
    let mut tags: Vec<&[u8]> = site
        .variants(file)
        .map(|(_, variant)| variant.tag())
        .collect();
    tags.extend(["x.js", "x.js.br"].map(|path| tag_of(&site, path).as_bytes()));
    assert_eq!(tags.len(), 4);
    for (at, tag) in tags.iter().enumerate() {
        assert!(tag.starts_with(b"\"") && tag.ends_with(b"\"") && tag.len() >= 18);
        assert!(!tags[..at].contains(tag), "{}", tag.escape_ascii());
    }
}

#[test]
fn links_have_the_tag_of_what_they_lead_to() {
    let site = index(by_hand(&[
        ("x", b'0', b"text", ""),
        ("hard", b'1', b"", "x"),
        ("soft", b'2', b"", "x"),
    ]));
    let site = site.unwrap();
    let tag = tag_of(&site, "x");
    assert_eq!(tag, "\"80a69b9688ccaf52\"");
    assert_eq!([tag_of(&site, "hard"), tag_of(&site, "soft")], [tag; 2]);
}

#[test]
fn names_of_every_length() {
    for len in 1..=PATH_MAX {
        let mut name: String = "abcdefghi/".chars().cycle().take(len - 1).collect();
        name.push('z');
        let site = index(by_crate(true, &[(&name, b"gnu")])).unwrap();
        assert_eq!(body_of(&site, &name), Some(&b"gnu"[..]), "{name}");
        if len <= 255 && tar::Header::new_ustar().set_path(&name).is_ok() {
            let site = index(by_crate(false, &[(&name, b"ustar")])).unwrap();
            assert_eq!(body_of(&site, &name), Some(&b"ustar"[..]), "{name}");
            // All folders on the way exist, also those that end within the prefix.
            for (slash, _) in name.match_indices('/') {
                let folder = &name.as_bytes()[..slash];
                assert_eq!(
                    site.find(folder),
                    Some(Found::Folder(None)),
                    "{name} {slash}"
                );
            }
        }
        let mut builder = tar::Builder::new(Vec::new());
        builder
            .append_pax_extensions([("path", name.as_bytes())])
            .unwrap();
        let mut out = builder.into_inner().unwrap();
        out.truncate(out.len() - 1024);
        out.extend(by_hand(&[("short", b'0', b"pax", "")]));
        let site = index(out).unwrap();
        assert_eq!(body_of(&site, &name), Some(&b"pax"[..]), "{name}");
        assert_eq!(body_of(&site, "short"), None);
    }
    let long = "x".repeat(PATH_MAX + 1);
    assert_eq!(fault(by_crate(true, &[(&long, b"")])), Fault::PathTooLong);
}

fn pax_record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + 1;
    while len != rest + len.to_string().len() {
        len = rest + len.to_string().len();
    }
    format!("{len} {key}={value}\n")
}

#[test]
fn pax_size_and_mtime_for_one_and_for_all() {
    let local = pax_record("size", "3") + &pax_record("mtime", "1234.9");
    let mut bytes = header("x", b'x', local.len(), "").to_vec();
    bytes.extend(local.as_bytes());
    bytes.resize(1024, 0);
    // The header's own size is wrong on purpose.
    bytes.extend(header("a.txt", b'0', 0, ""));
    bytes.extend(b"abc");
    bytes.resize(2048, 0);
    let global = pax_record("mtime", "99");
    bytes.extend(header("g", b'g', global.len(), ""));
    bytes.extend(global.as_bytes());
    bytes.resize(3072, 0);
    bytes.extend(by_hand(&[("b", b'0', b"bb", ""), ("c", b'0', b"ccc", "")]));
    let site = index(bytes).unwrap();
    let mtime = |path: &[u8]| match site.find(path) {
        Some(Found::File(file)) => (file.body.len(), file.mtime),
        other => panic!("{other:?}"),
    };
    assert_eq!(mtime(b"a.txt"), (3, 1234));
    assert_eq!(mtime(b"b"), (2, 99));
    assert_eq!(mtime(b"c"), (3, 99));
}

#[test]
fn dots_and_slashes_around_names() {
    let site = index(by_hand(&[
        ("./", b'5', b"", ""),
        ("./a/", b'5', b"", ""),
        ("./a/b", b'0', b"1", ""),
        ("././/c", b'0', b"2", ""),
        ("d//", 0, b"", ""),
        ("e", 0, b"3", ""),
        (".well-known/x", b'7', b"4", ""),
    ]))
    .unwrap();
    for (path, body) in [
        ("a/b", b"1"),
        ("c", b"2"),
        ("e", b"3"),
        (".well-known/x", b"4"),
    ] {
        assert_eq!(body_of(&site, path), Some(&body[..]), "{path}");
    }
    assert_eq!(site.find(b"d"), Some(Found::Folder(None)));
    assert_eq!((site.file_cnt(), site.folder_cnt()), (4, 4));
}

#[test]
fn refused_names() {
    let row = |name: &str, want: Fault| {
        assert_eq!(fault(by_hand(&[(name, b'0', b"", "")])), want, "{name}");
    };
    row("/etc/passwd", Fault::Absolute);
    row("../x", Fault::DotDot);
    row("a/../b", Fault::DotDot);
    row("a/..", Fault::DotDot);
    row(".//../x", Fault::DotDot);
    row("a//b", Fault::NotNormal);
    row("a/./b", Fault::NotNormal);
    row("", Fault::Nameless);
    let mut latin = header("a", b'0', 0, "");
    latin[0] = 0xe9;
    seal(&mut latin);
    let mut bytes = latin.to_vec();
    bytes.extend([0; 1024]);
    assert_eq!(fault(bytes), Fault::NotUtf8);
    let record = pax_record("path", "a\0b");
    let mut bytes = header("x", b'x', record.len(), "").to_vec();
    bytes.extend(record.as_bytes());
    bytes.resize(1024, 0);
    bytes.extend(by_hand(&[("a", b'0', b"", "")]));
    assert_eq!(fault(bytes), Fault::Nul);
}

#[test]
fn the_last_of_a_name_wins() {
    let site = index(by_hand(&[
        ("a", b'0', b"old", ""),
        ("./a", b'0', b"newer", ""),
    ]))
    .unwrap();
    assert_eq!(
        (body_of(&site, "a"), site.file_cnt()),
        (Some(&b"newer"[..]), 1)
    );
    let both = [("a", b'0', &b"x"[..], ""), ("a/b", b'0', b"x", "")];
    assert_eq!(fault(by_hand(&both)), Fault::Conflict);
    assert_eq!(fault(by_hand(&[both[1], both[0]])), Fault::Conflict);
    assert_eq!(
        fault(by_hand(&[both[0], ("a", b'5', b"", "")])),
        Fault::Conflict
    );
}

#[test]
fn links_inside() {
    let site = index(by_hand(&[
        ("v2/x/page.html", b'0', b"page", ""),
        ("v2/index.html", b'0', b"index", ""),
        ("hard.txt", b'1', b"", "./v2/x/page.html"),
        ("soft.txt", b'2', b"", "v2/x/page.html"),
        ("latest", b'2', b"", "v2"),
        ("v2/up", b'2', b"", "../latest/x/"),
        ("through.html", b'2', b"", "latest/up/page.html"),
        ("chain", b'2', b"", "soft.txt"),
        ("home", b'2', b"", "."),
    ]))
    .unwrap();
    for path in [
        "hard.txt",
        "soft.txt",
        "through.html",
        "chain",
        "latest/x/page.html",
        "latest/up/page.html",
        "v2/up/page.html",
        "home/home/latest/x/page.html",
    ] {
        assert_eq!(body_of(&site, path), Some(&b"page"[..]), "{path}");
    }
    let Some(Found::File(file)) = site.find(b"soft.txt") else {
        panic!()
    };
    assert_eq!(file.media, MediaType::Text);
    let Some(Found::Folder(Some(file))) = site.find(b"latest") else {
        panic!()
    };
    assert_eq!(file.body, b"index");
    for path in [
        "latest/none",
        "latest/x/page.html/y",
        "none/latest",
        "chain/x",
    ] {
        assert_eq!(site.find(path.as_bytes()), None, "{path}");
    }
    // More links than are followed, but no end of them.
    let deep = ["home"; 40].join("/");
    assert_eq!(site.find(deep.as_bytes()), None);
}

#[test]
fn refused_links() {
    let row = |links: &[(&str, u8, &str)], want: Fault| {
        let mut entries: Vec<(&str, u8, &[u8], &str)> = vec![("f", b'0', b"f", "")];
        entries.extend(
            links
                .iter()
                .map(|&(name, kind, link)| (name, kind, &b""[..], link)),
        );
        assert_eq!(fault(by_hand(&entries)), want, "{links:?}");
    };
    row(&[("a", b'2', "none")], Fault::LinkDangling);
    row(&[("a", b'2', "")], Fault::LinkDangling);
    row(&[("a", b'2', "f/x")], Fault::LinkDangling);
    row(&[("a", b'2', "/f")], Fault::LinkOutside);
    row(&[("a", b'2', "../f")], Fault::LinkOutside);
    row(&[("d/a", b'2', "../../f")], Fault::LinkOutside);
    row(&[("a", b'2', "a")], Fault::LinkDepth);
    row(&[("a", b'2', "b"), ("b", b'2', "a")], Fault::LinkDepth);
    row(&[("a", b'2', "b/x"), ("b", b'2', "a/x")], Fault::LinkDepth);
    row(&[("a", b'2', "f"), ("a/b", b'0', "")], Fault::Conflict);
    row(
        &[("a", b'1', "later"), ("later", b'0', "")],
        Fault::LinkDangling,
    );
    row(&[("a", b'1', "/f")], Fault::LinkOutside);
    row(&[("a", b'1', "../f")], Fault::LinkOutside);
    row(&[("d/b", b'0', ""), ("a", b'1', "d")], Fault::LinkDangling);
    // A name that grows with each turn.
    row(&[("a", b'2', "a/a/a/a/a/a/a/a")], Fault::LinkDepth);
}

#[test]
fn other_kinds_are_counted_and_sparse_is_refused() {
    let file = ("f", b'0', &b"f"[..], "");
    let site = index(by_hand(&[
        ("dev", b'3', b"", ""),
        ("fifo", b'6', b"", ""),
        ("label", b'V', b"", ""),
        ("new", b'Q', b"has a body", ""),
        file,
    ]))
    .unwrap();
    assert_eq!((site.file_cnt(), site.skipped_cnt()), (1, 4));
    assert_eq!(site.find(b"dev"), None);
    assert_eq!(fault(by_hand(&[file, ("s", b'S', b"", "")])), Fault::Sparse);
    assert_eq!(fault(by_hand(&[("dev", b'3', b"", "")])), Fault::Empty);
    assert_eq!(fault(by_hand(&[("d/", b'5', b"", "")])), Fault::Empty);
    assert_eq!(fault(vec![0; 10240]), Fault::Empty);
}

#[test]
fn what_is_no_tar() {
    assert_eq!(fault(Vec::new()), Fault::NoEnd);
    assert_eq!(fault(b"hello".to_vec()), Fault::Truncated);
    assert_eq!(fault(vec![b'x'; 4096]), Fault::NotTar);
    let mut gzip = vec![0u8; 4096];
    gzip[..4].copy_from_slice(b"\x1f\x8b\x08\0");
    assert_eq!(fault(gzip), Fault::Compressed);
}

#[test]
fn sizes_out_of_range() {
    let row = |size: &[u8; 12], want: Fault| {
        let mut block = header("a", b'0', 0, "");
        block[124..136].copy_from_slice(size);
        seal(&mut block);
        let mut bytes = block.to_vec();
        bytes.extend([0; 1024]);
        assert_eq!(fault(bytes), want, "{}", size.escape_ascii());
    };
    row(b"77777777777\0", Fault::Truncated);
    row(b"\x80\0\0\0\0\0\0\0\0\x01\0\0", Fault::Truncated);
    row(
        b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
        Fault::Truncated,
    );
    row(
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        Fault::Size,
    );
    row(b"\x80\0\0\x01\0\0\0\0\0\0\0\0", Fault::Number);
    row(b"0000000000x\0", Fault::Number);
    // Base 256 that fits.
    let mut block = header("a", b'0', 0, "");
    block[124..136].copy_from_slice(b"\x80\0\0\0\0\0\0\0\0\0\0\x02");
    seal(&mut block);
    let mut bytes = block.to_vec();
    bytes.extend(b"ok");
    bytes.resize(2048, 0);
    assert_eq!(body_of(&index(bytes).unwrap(), "a"), Some(&b"ok"[..]));
}

#[test]
fn an_error_says_where() {
    let mut bytes = by_hand(&[("good", b'0', b"x", ""), ("bad", b'0', b"y", "")]);
    bytes[1024 + 20] ^= 1;
    let error = index(bytes).err().unwrap();
    let mut text = String::new();
    write!(text, "{error}").unwrap();
    assert_eq!(text, "header checksum is wrong at byte 1024, entry \"bad\"");
}

/// Cut anywhere, an archive is refused or, past its first end block, whole.
#[test]
fn truncation_at_every_length() {
    let bytes = leak(by_crate(
        true,
        &[("a", b"hello"), (&"n/".repeat(80), b"long"), ("b", b"")],
    ));
    let whole = bytes.len() - 512;
    for len in 0..bytes.len() {
        assert_eq!(index_static(&bytes[..len]).is_ok(), len >= whole, "{len}");
    }
    let mut padded = bytes.to_vec();
    padded.extend([0; 5000]);
    assert!(index(padded).is_ok());
}

/// Every byte of headers and extended headers set to values that mean something: never a panic;
/// an error, unless the checksum is made right again.
#[test]
fn every_header_byte_damaged() {
    let record = pax_record("path", "long/name") + &pax_record("size", "1");
    let file = ("a", b'0', &b"hello"[..], "");
    let archives = [
        by_hand(&[("p", b'x', record.as_bytes(), ""), file]),
        by_hand(&[("././@LongLink", b'L', b"gnu/name\0", ""), file]),
        by_hand(&[file, ("h", b'1', b"", "a")]),
        by_hand(&[file, ("d/s", b'2', b"", "../a")]),
    ];
    for bytes in archives {
        index(bytes.clone()).unwrap();
        for at in 0..bytes.len() - 1024 {
            let block = at / 512 * 512;
            let is_header = bytes.get(block + 257..block + 262) == Some(b"ustar");
            if !is_header && at - block > 64 {
                continue;
            }
            for value in [0, b' ', b'/', b'.', b'7', b'L', 0x80, 0xff] {
                let mut damaged = bytes.clone();
                let was = std::mem::replace(&mut damaged[at], value);
                let in_checksum = is_header && (148..156).contains(&(at - block));
                if is_header && value != was && !in_checksum && at % 5 == 0 {
                    assert!(index(damaged.clone()).is_err(), "byte {at} = {value}");
                }
                if let Some((room, _)) = damaged[block..].split_first_chunk_mut::<512>()
                    && is_header
                    && !in_checksum
                {
                    seal(room);
                }
                let _ = index(damaged);
            }
        }
    }
}

/// Random damage in several places, checksums made right again.
#[test]
fn random_damage() {
    let record = pax_record("path", "long/name") + &pax_record("mtime", "1.5");
    let whole = by_hand(&[
        ("p", b'x', record.as_bytes(), ""),
        ("a", b'0', b"hello", ""),
        ("s", b'2', b"", "long"),
        ("t", b'2', b"", "s/name"),
    ]);
    let mut random = Random(1);
    for _ in 0..10_000 {
        let mut bytes = whole.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            let value = b"\0 /.012578xgLK\x80\xff"[random.below(16)];
            bytes[at] = value;
        }
        for block in bytes.as_chunks_mut::<512>().0 {
            if block.get(257..262) == Some(b"ustar") {
                seal(block);
            }
        }
        let _ = index(bytes);
    }
}

/// A small seeded generator: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

#[test]
fn too_little_memory_is_said() {
    let files: Vec<String> = (0..50).map(|number| format!("d{number}/f")).collect();
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|name| (name.as_str(), &b"x"[..]))
        .collect();
    let archive = Archive::new(leak(by_crate(true, &files)));
    let census = archive.census().unwrap();
    assert!(
        census.slot_cnt >= 101 && census.slot_cnt <= 156,
        "{}",
        census.slot_cnt
    );
    for slot_cnt in 0..=census.slot_cnt {
        let result = archive.index(vec![Entry::VACANT; slot_cnt].leak(), 3);
        match result {
            Ok(draft) => {
                let text_len = draft.text_len();
                assert!(slot_cnt >= 101 && text_len > 50 * 150);
                let error = draft.finish(vec![0; text_len - 1].leak()).err();
                assert_eq!(error.map(|error| error.fault), Some(Fault::NoSpace));
            }
            Err(error) => assert!(error.fault == Fault::NoSpace && slot_cnt < 101),
        }
    }
}

/// A site of the size of large documentation sites, found again name by name, and in bounded
/// memory. The time is printed, not judged: `--nocapture`.
#[test]
fn a_hundred_thousand_files() {
    let mut bytes = Vec::new();
    let name = |number: usize| format!("d{}/e{}/file-{number}.html", number % 50, number % 700);
    for number in 0..100_000 {
        bytes.extend(header(&name(number), b'0', 3, ""));
        bytes.extend(b"abc");
        bytes.resize(bytes.len() + 509, 0);
    }
    bytes.extend([0; 1024]);
    let archive = Archive::new(leak(bytes));
    let start = std::time::Instant::now();
    let census = archive.census().unwrap();
    let counted = start.elapsed();
    let memory = vec![Entry::VACANT; census.slot_cnt].leak();
    let start = std::time::Instant::now();
    let draft = archive.index(memory, 0x1234_5678).unwrap();
    let indexed = start.elapsed();
    let start = std::time::Instant::now();
    let text_len = draft.text_len();
    let site = draft.finish(vec![0; text_len].leak()).unwrap();
    let written = start.elapsed();
    std::println!(
        "counted in {counted:?}, indexed in {indexed:?}, {text_len} bytes of heads in {written:?}"
    );
    assert!(text_len < 100_000 * 256);
    assert_eq!(site.file_cnt(), 100_000);
    for number in 0..100_000 {
        assert!(body_of(&site, &name(number)).is_some());
    }
    assert_eq!(body_of(&site, &name(100_000)), None);
}
