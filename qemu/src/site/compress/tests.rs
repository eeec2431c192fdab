//! Variants that say what their files say, and nothing that is not worth it.

use super::*;
use crate::site::{Entry, Source, pack};
use std::collections::BTreeMap;

/// Name, modification time and bytes of every file.
type Files = BTreeMap<String, (u64, Vec<u8>)>;

fn site(files: &[(&str, &[u8])]) -> Packed {
    let entry = |(name, bytes): &(&str, &[u8])| Entry {
        name: (*name).to_owned(),
        source: Source::Bytes(bytes.to_vec()),
    };
    pack(files.iter().map(entry).collect()).expect("a disk")
}

fn unpacked(site: &Packed) -> Files {
    let mut files = Files::new();
    for entry in read(site).unwrap().entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let name = shown_name(&entry.path_bytes()).unwrap();
        let before = files.insert(name, (entry.header().mtime().unwrap(), bytes));
        assert!(before.is_none());
    }
    files
}

/// Bytes that nothing makes smaller.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x5eed_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn variants_say_what_their_files_say() {
    let text = "all work and no play ".repeat(500);
    let noise = noise(3_000);
    let long = format!("{}/{}.css", "d".repeat(120), "n".repeat(180));
    let site = site(&[
        ("a/page.html", text.as_bytes()),
        ("b.HTML", text.as_bytes()),
        ("noise.txt", &noise),
        ("picture.png", text.as_bytes()),
        ("tiny.js", b"1"),
        ("void.txt", b""),
        (&long, text.as_bytes()),
    ]);
    let (packed, made) = compress(&site).unwrap();
    let files = unpacked(&packed);
    assert_eq!(packed.files_cnt, files.len() as u64);
    assert_eq!((made.files_cnt, made.variants_cnt), (3, 9));
    assert_eq!(files.len(), 7 + 9);
    for (name, file) in unpacked(&site) {
        assert_eq!(files[&name], file, "{name}");
    }
    for name in ["a/page.html", "b.HTML", &long] {
        let (mtime, bytes) = &files[name];
        let variant = |suffix: &str| {
            let (variant_mtime, variant) = &files[&format!("{name}{suffix}")];
            assert_eq!(variant_mtime, mtime);
            assert!(variant.len() < bytes.len() / 10, "{name}{suffix}");
            &variant[..]
        };
        let mut out = Vec::new();
        let mut gzip = flate2::read::GzDecoder::new(variant(".gz"));
        gzip.read_to_end(&mut out).unwrap();
        assert_eq!(&out, bytes);
        out.clear();
        brotli::BrotliDecompress(&mut variant(".br"), &mut out).unwrap();
        assert_eq!(&out, bytes);
        let out = ::zstd::decode_all(variant(".zst")).unwrap();
        assert_eq!(&out, bytes);
    }
}

#[test]
fn what_is_there_stays_and_twice_is_the_same() {
    let text = "all work and no play ".repeat(500);
    let site = site(&[
        ("a.css", text.as_bytes()),
        ("a.css.br", b"by somebody else"),
        ("b.svg", text.as_bytes()),
    ]);
    let (first, made) = compress(&site).unwrap();
    assert_eq!(made.variants_cnt, 2 + 3);
    let files = unpacked(&first);
    assert_eq!(files["a.css.br"].1, b"by somebody else");
    let (second, _) = compress(&site).unwrap();
    let bytes = |packed: &Packed| std::fs::read(packed.path()).unwrap();
    assert_eq!(bytes(&first), bytes(&second));
    // All that could be made is there.
    let (again, made) = compress(&first).unwrap();
    assert_eq!(made, Made::default());
    assert_eq!(bytes(&again), bytes(&first));
}

#[test]
fn names_that_are_compressed() {
    for name in ["a.html", "x/y.JS", "a.b.svg", "f.wasm"] {
        assert!(is_compressible(name), "{name}");
    }
    for name in [
        "a.png",
        "a.gz",
        "html",
        "_headers",
        "a.html.br",
        "a.woff2",
        "a.zip",
    ] {
        assert!(!is_compressible(name), "{name}");
    }
}
