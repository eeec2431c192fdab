use super::*;

const MSS: usize = 10;
const FIRST: u32 = 1_000;
const WHAT: What = What {
    mss: MSS,
    mtu: 1_500,
    has_near_sums: true,
    may_lack: false,
};

/// A frame from the server, with its checksums, of the stream's bytes `from..to`.
fn frame(ident: u16, flags: u8, from: usize, to: usize) -> Vec<u8> {
    let payload: Vec<u8> = bytes()[from..to].to_vec();
    let mut ip = vec![0x45, 0];
    ip.extend((40 + payload.len() as u16).to_be_bytes());
    ip.extend(ident.to_be_bytes());
    ip.extend([0x40, 0, 64, 6, 0, 0, 10, 78, 0, 2, 10, 79, 0, 2]);
    let header_sum = !sum(0, &ip);
    ip[10..12].copy_from_slice(&header_sum.to_be_bytes());
    let mut tcp = vec![0, 80, 0x40, 0];
    let seq = match flags & SYN {
        0 => FIRST + 1 + from as u32,
        _ => FIRST,
    };
    tcp.extend(seq.to_be_bytes());
    tcp.extend([0, 0, 0, 0, 0x50, flags, 1, 0, 0, 0, 0, 0]);
    tcp.extend(payload);
    let pseudo = u32::from(sum(6 + tcp.len() as u32, &ip[12..20]));
    let segment_sum = !sum(pseudo, &tcp);
    tcp[16..18].copy_from_slice(&segment_sum.to_be_bytes());
    [&[0; 12][..], &[8, 0], &ip, &tcp].concat()
}

fn bytes() -> Vec<u8> {
    (0..60_u32).map(|n| (n * 7 + 1) as u8).collect()
}

fn stream(len: usize) -> [Stream; 1] {
    [Stream {
        port: 0x4000,
        bytes: bytes()[..len].to_vec(),
    }]
}

const ACK: u8 = 0x10;

/// A super-segment of 25 bytes, and a short one.
fn near() -> Vec<Vec<u8>> {
    vec![
        frame(1, SYN | ACK, 0, 0),
        frame(2, ACK | PSH, 0, 25),
        frame(3, ACK | PSH | FIN, 25, 31),
    ]
}

fn far() -> Vec<Vec<u8>> {
    vec![
        frame(1, SYN | ACK, 0, 0),
        frame(2, ACK, 0, 10),
        frame(3, ACK, 10, 20),
        frame(4, ACK | PSH, 20, 25),
        frame(3, ACK | PSH | FIN, 25, 31),
    ]
}

#[test]
fn what_was_cut_rightly_is_right() {
    let seen = check(&near(), &far(), &stream(31), WHAT).unwrap();
    assert_eq!((seen.segments, seen.supers, seen.again), (5, 1, 0));
}

#[test]
fn whatever_is_wrong_is_found() {
    let mut wrong: Vec<(&str, Vec<Vec<u8>>)> = Vec::new();
    for n in 0..far().len() {
        let mut lacking = far();
        lacking.remove(n);
        wrong.push(("lacking", lacking));
        for at in 14..far()[n].len() {
            let mut flipped = far();
            flipped[n][at] ^= 0x20;
            wrong.push(("flipped", flipped));
        }
    }
    let replaced = |n: usize, by: Vec<u8>| {
        let mut far = far();
        far[n] = by;
        far
    };
    wrong.push(("boundary", replaced(1, frame(2, ACK, 0, 9))));
    wrong.push((
        "PSH in the middle",
        replaced(2, frame(3, ACK | PSH, 10, 20)),
    ));
    wrong.push(("no PSH", replaced(3, frame(4, ACK, 20, 25))));
    wrong.push(("sequence", replaced(2, frame(3, ACK, 11, 21))));
    wrong.push(("identification", replaced(2, frame(2, ACK, 10, 20))));
    for (how, far) in wrong {
        assert!(check(&near(), &far, &stream(31), WHAT).is_err(), "{how}");
    }
    // More than was seen.
    assert!(check(&near(), &far(), &stream(32), WHAT).is_err());
}

#[test]
fn what_is_sent_again_is_counted_by_how_it_lies() {
    let what = What {
        may_lack: true,
        ..WHAT
    };
    let mut near = near();
    // From the middle of a segment on, as one; and as it was.
    near.push(frame(7, ACK, 5, 25));
    near.push(frame(9, ACK, 0, 10));
    let mut far = far();
    far.remove(2);
    far.push(frame(7, ACK, 5, 15));
    far.push(frame(8, ACK, 15, 25));
    let seen = check(&near, &far, &stream(31), what).unwrap();
    let again = (seen.again, seen.again_supers, seen.again_across);
    // Of the second, the first's bounds lie within.
    assert_eq!(again, (2, 1, 2));
    far.swap(4, 5);
    assert!(
        check(&near, &far, &stream(31), what).is_err(),
        "out of turn"
    );
}
