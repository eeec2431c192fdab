//! The demo site is whole, and links only to itself.

use super::{entries, primes};
use crate::site::Source;

fn files() -> Vec<(String, Vec<u8>)> {
    let bytes = |source| match source {
        Source::Bytes(bytes) => bytes,
        Source::Disk(_) | Source::Stream(..) => Vec::new(),
    };
    entries()
        .into_iter()
        .map(|entry| (entry.name, bytes(entry.source)))
        .collect()
}

#[test]
fn primes_are_primes() {
    assert_eq!(primes(20), b"2\n3\n5\n7\n11\n13\n17\n19\n");
    assert!(primes(2).is_empty());
}

#[test]
fn one_file_has_more_than_a_megabyte() {
    assert!(files().iter().any(|(_, bytes)| bytes.len() > 1 << 20));
}

#[test]
fn the_picture_is_a_png_and_always_the_same() {
    let picture = |files: Vec<(String, Vec<u8>)>| {
        files
            .into_iter()
            .find(|(name, _)| name == "dunes.png")
            .expect("a picture")
            .1
    };
    let first = picture(files());
    assert!(first.starts_with(b"\x89PNG\r\n\x1a\n"));
    assert!(first == picture(files()));
}

#[test]
fn every_link_leads_to_a_file_of_the_site() {
    let files = files();
    for (name, bytes) in files.iter().filter(|(name, _)| name.ends_with(".html")) {
        let text = std::str::from_utf8(bytes).expect("pages are UTF-8");
        for part in text
            .split(" href=\"")
            .skip(1)
            .chain(text.split(" src=\"").skip(1))
        {
            let link = part.split('"').next().unwrap_or_default();
            let target = link.split('#').next().unwrap_or_default();
            let is_here = files.iter().any(|(file, _)| file == target);
            let is_anchor = target.is_empty() && text.contains(&format!("id=\"{}\"", &link[1..]));
            assert!(is_here || is_anchor || target == "/", "{name}: {link}");
        }
        assert!(!text.contains("://"), "{name}: nothing from outside");
    }
}
