use super::pending::Pending;
use super::*;
use crate::config::FAST_OPEN_RESET_AGE;
use crate::testing::{OUR_IP, PEER_IP, v4};
use crate::time::Duration;

fn fast_opens() -> FastOpens {
    FastOpens::new(SipHasher24::new_with_keys(1, 2))
}

fn at(secs: u64) -> Instant {
    Instant::from_micros(secs * 1_000_000)
}

#[test]
fn a_cookie_is_good_for_its_client_and_for_two_periods() {
    let period = FAST_OPEN_PERIOD.as_micros() / 1_000_000;
    let ours = fast_opens();
    let client = v4(PEER_IP);
    let cookie = ours.cookie(client, at(5));
    let mut other = cookie;
    other[7] ^= 1;
    for (from, cookie, secs, age) in [
        (client, cookie, 5, Some(Age::Current)),
        (client, cookie, period - 1, Some(Age::Current)),
        (client, cookie, period, Some(Age::Previous)),
        (client, cookie, 2 * period - 1, Some(Age::Previous)),
        (client, cookie, 2 * period, None),
        (client, other, 5, None),
        (v4(OUR_IP), cookie, 5, None),
    ] {
        assert_eq!(ours.age(from, cookie, at(secs)), age, "{from:?} {secs}");
    }
    let theirs = FastOpens::new(SipHasher24::new_with_keys(1, 3));
    assert_eq!(theirs.age(client, cookie, at(5)), None, "another key");
}

#[test]
fn those_that_were_reset_stay_pending_for_a_while() {
    let mut pending = Pending::NONE;
    for _ in 0..2 {
        assert!(pending.has_room(2, at(100)));
        pending.began();
    }
    assert!(!pending.has_room(2, at(100)));
    pending.ended(false, at(100));
    assert!(pending.has_room(2, at(100)));
    pending.ended(true, at(101));
    assert!(pending.has_room(2, at(101)));
    pending.began();
    let over = at(101) + FAST_OPEN_RESET_AGE;
    let nearly = Instant::from_micros(over.as_micros() - 1);
    assert!(!pending.has_room(2, nearly), "one pending, one reset");
    assert!(pending.has_room(2, over));
    pending.ended(false, over + Duration::from_secs(1));
    pending.ended(false, over);
    assert!(pending.has_room(1, over), "never below none");
}
