//! The demo site: what is served when nobody names a site.
//!
//! Pages and drawings are files of this package; the picture and the list of primes are made here,
//! the same bytes each time, so that an ordinary run shows a big transfer too.

mod dunes;

use super::pack::{Entry, Source};

/// Primes are listed below this number: 1.2 MB of them.
const PRIMES_BELOW: usize = 1 << 21;

/// The pages, drawings and styles.
const FILES: [(&str, &str); 6] = [
    ("design.html", include_str!("../../demo/design.html")),
    ("icon.svg", include_str!("../../demo/icon.svg")),
    ("index.html", include_str!("../../demo/index.html")),
    ("packet.html", include_str!("../../demo/packet.html")),
    ("ring.svg", include_str!("../../demo/ring.svg")),
    ("style.css", include_str!("../../demo/style.css")),
];

/// Every file of the demo site, sorted by name.
pub(crate) fn entries() -> Vec<Entry> {
    let mut entries: Vec<Entry> = FILES
        .iter()
        .map(|(name, text)| entry(name, text.as_bytes().to_vec()))
        .chain([
            entry("dunes.png", dunes::png()),
            entry("primes.txt", primes(PRIMES_BELOW)),
        ])
        .collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

fn entry(name: &str, bytes: Vec<u8>) -> Entry {
    Entry {
        name: name.to_owned(),
        source: Source::Bytes(bytes),
    }
}

/// The primes below `limit`, one a line, by the sieve of Eratosthenes.
fn primes(limit: usize) -> Vec<u8> {
    let mut is_prime = vec![true; limit];
    let mut text = Vec::new();
    for number in 2..limit {
        if !is_prime[number] {
            continue;
        }
        text.extend(number.to_string().bytes());
        text.push(b'\n');
        for multiple in (number * number..limit).step_by(number) {
            is_prime[multiple] = false;
        }
    }
    text
}

#[cfg(test)]
mod tests;
