//! Which variant of a file a client wants: Accept-Encoding, RFC 9110 12.5.3.

use super::request::Request;
use crate::site::{Coding, File, Representation, Site};

/// Weights in two thousandths, so that there is room for one below every weight that a client can
/// name: that of the file as it is, when the client does not name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Wishes {
    codings: [Option<u16>; Coding::ALL.len()],
    identity: Option<u16>,
    /// What `*` says of all others.
    others: Option<u16>,
}

/// The variant with the greatest weight, the smallest of those that are equal; `None` when the
/// client wants none of them, not even the file as it is.
#[inline]
pub(super) fn choose(
    request: &Request<'_, '_>,
    site: &Site,
    file: &File,
) -> Option<Representation> {
    if !request.fields.has_more_accept_encoding {
        return choose_by(request.fields.accept_encoding, site, file);
    }
    let mut wishes = Wishes::default();
    values(request).for_each(|value| wishes.read(value));
    choose_by_weight(&wishes, site, file)
}

/// The same for a request that has the field once or not at all.
#[inline]
pub(super) fn choose_by(value: Option<&[u8]>, site: &Site, file: &File) -> Option<Representation> {
    // RFC 9110 12.5.3, first rule: without the field anything goes, and the plain file does.
    let Some(value) = value else {
        return Some(file.identity());
    };
    if let Some(wanted) = well_known(value) {
        let variant = match file.has_variants() {
            true => first_of(wanted, site, file),
            false => None,
        };
        return Some(variant.unwrap_or(file.identity()));
    }
    choose_by_value(value, site, file)
}

#[inline(never)]
fn choose_by_value(value: &[u8], site: &Site, file: &File) -> Option<Representation> {
    // Only a weight can say that the plain file is not wanted.
    if !file.has_variants() && !value.contains(&b';') {
        return Some(file.identity());
    }
    let mut wishes = Wishes::default();
    wishes.read(value);
    choose_by_weight(&wishes, site, file)
}

/// The codings of the values that nearly all clients send, which give all of them a weight of 1.
#[inline]
fn well_known(value: &[u8]) -> Option<&'static [Coding]> {
    match value {
        b"gzip, deflate, br, zstd" => Some(&Coding::ALL),
        b"gzip, deflate, br" => Some(&[Coding::Brotli, Coding::Gzip]),
        b"gzip, deflate" | b"gzip" => Some(&[Coding::Gzip]),
        b"br" => Some(&[Coding::Brotli]),
        b"identity" => Some(&[]),
        _ => None,
    }
}

/// The smallest variant in one of the codings.
fn first_of(wanted: &[Coding], site: &Site, file: &File) -> Option<Representation> {
    let mut variants = site.variants(file);
    variants
        .find(|(coding, _)| wanted.contains(coding))
        .map(|(_, variant)| variant)
}

#[inline(never)]
fn choose_by_weight(wishes: &Wishes, site: &Site, file: &File) -> Option<Representation> {
    let (mut best, mut best_weight) = (None, 0);
    for (coding, variant) in site.variants(file) {
        let weight = wishes.weight(coding);
        if weight > best_weight {
            (best, best_weight) = (Some(variant), weight);
        }
    }
    if wishes.identity_weight() > best_weight {
        return Some(file.identity());
    }
    best
}

/// All values of the field.
fn values<'r>(request: &'r Request<'_, '_>) -> impl Iterator<Item = &'r [u8]> {
    let headers = request.headers.iter();
    let is_ours = |name: &str| name.eq_ignore_ascii_case("accept-encoding");
    headers
        .filter(move |header| is_ours(header.name))
        .map(|header| header.value)
}

impl Wishes {
    /// Takes in a field value. What is malformed in a list says nothing.
    fn read(&mut self, value: &[u8]) {
        for element in value.split(|byte| *byte == b',') {
            let (name, weight) = match element.iter().position(|byte| *byte == b';') {
                Some(at) => (element.get(..at), weight(element.get(at + 1..))),
                None => (Some(element), Some(UNIT)),
            };
            let (name, Some(weight)) = (name.unwrap_or(&[]).trim_ascii(), weight) else {
                continue;
            };
            let is = |coding: &[u8]| name.eq_ignore_ascii_case(coding);
            if name == b"*" {
                self.others = Some(weight);
            } else if is(b"identity") {
                self.identity = Some(weight);
            } else {
                // RFC 9110 8.4.1.3: x-gzip is gzip.
                let is_coding =
                    |coding: &Coding| is(coding.name()) || *coding == Coding::Gzip && is(b"x-gzip");
                if let Some(at) = Coding::ALL.iter().position(is_coding)
                    && let Some(place) = self.codings.get_mut(at)
                {
                    *place = Some(weight);
                }
            }
        }
    }

    fn weight(&self, coding: Coding) -> u16 {
        let named = self.codings.get(coding as usize).copied().flatten();
        named.or(self.others).unwrap_or(0)
    }

    /// RFC 9110 12.5.3, third rule: the plain file is acceptable unless it is excluded, by name or
    /// by a `*` of weight zero.
    fn identity_weight(&self) -> u16 {
        match (self.identity, self.others) {
            (Some(weight), _) => weight,
            (None, Some(0)) => 0,
            _ => 1,
        }
    }
}

/// A weight of 1.
const UNIT: u16 = 2_000;

/// `q=` and a number from 0 to 1 with at most three decimals (RFC 9110 12.4.2), in two thousandths.
fn weight(parameter: Option<&[u8]>) -> Option<u16> {
    let &[b'q' | b'Q', b'=', whole, ref fraction @ ..] = parameter?.trim_ascii() else {
        return None;
    };
    let digits = match fraction {
        [] => &[][..],
        [b'.', digits @ ..] if digits.len() <= 3 => digits,
        _ => return None,
    };
    let mut thousandths = match whole {
        b'0' => 0,
        b'1' => 1_000,
        _ => return None,
    };
    for (digit, unit) in digits.iter().zip([100, 10, 1]) {
        thousandths += match digit {
            b'0'..=b'9' => u16::from(digit - b'0') * unit,
            _ => return None,
        };
    }
    (thousandths <= 1_000).then_some(2 * thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights() {
        let row = |text: &str, want: Option<u16>| {
            assert_eq!(weight(Some(text.as_bytes())), want, "{text}");
        };
        row("q=1", Some(2_000));
        row(" Q=0 ", Some(0));
        row("q=0.5", Some(1_000));
        row("q=0.001", Some(2));
        row("q=1.000", Some(2_000));
        row("q=1.", Some(2_000));
        for bad in [
            "", "q", "q=", "q=2", "q=1.001", "q=0.1234", "q=.5", "q=-1", "q=0.x", "x=1", "q = 1",
        ] {
            row(bad, None);
        }
    }

    #[test]
    fn well_known_values_mean_what_they_say() {
        for value in [
            "gzip, deflate, br, zstd",
            "gzip, deflate, br",
            "gzip, deflate",
            "gzip",
            "br",
            "identity",
        ] {
            let mut wishes = Wishes::default();
            wishes.read(value.as_bytes());
            let wanted = well_known(value.as_bytes()).unwrap();
            for coding in Coding::ALL {
                let weight = if wanted.contains(&coding) { UNIT } else { 0 };
                assert_eq!(wishes.weight(coding), weight, "{value}");
            }
            assert_ne!(wishes.identity_weight(), 0, "{value}");
        }
        assert_eq!(well_known(b"*"), None);
    }

    #[test]
    fn wishes() {
        let row = |text: &str, want: [u16; 4]| {
            let mut wishes = Wishes::default();
            text.split('|').for_each(|v| wishes.read(v.as_bytes()));
            let [br, zst, gz] = Coding::ALL.map(|coding| wishes.weight(coding));
            assert_eq!([br, zst, gz, wishes.identity_weight()], want, "{text}");
        };
        row("", [0, 0, 0, 1]);
        row("gzip, deflate, br, zstd", [2_000, 2_000, 2_000, 1]);
        row("GZIP;q=0.5|x-gzip", [0, 0, 2_000, 1]);
        row("gzip;q=0.5, *;q=0.1", [200, 200, 1_000, 1]);
        row("*", [2_000, 2_000, 2_000, 1]);
        row("*;q=0", [0, 0, 0, 0]);
        row("identity;q=0", [0, 0, 0, 0]);
        row("identity;q=0.5, *;q=0", [0, 0, 0, 1_000]);
        row("br;q=0, *", [0, 2_000, 2_000, 1]);
        row("gzip;q=zero, br", [2_000, 0, 0, 1]);
        row(" , gzip ;q=1,", [0, 0, 2_000, 1]);
        row("deflate, compress", [0, 0, 0, 1]);
    }
}
