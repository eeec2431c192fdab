use super::*;

#[test]
fn requests_come_back_from_bytes() {
    for op in [Op::Get, Op::Put] {
        let request = Request {
            op,
            offset: 65_536,
            len: 70_000,
        };
        assert_eq!(Request::from_bytes(request.to_bytes()).unwrap(), request);
        assert_eq!(request.body(), &content()[65_536..135_536]);
    }
}

#[test]
fn what_is_not_within_the_content_is_refused() {
    let whole = Request {
        op: Op::Get,
        offset: 0,
        len: CONTENT_LEN as u32,
    };
    assert!(Request::from_bytes(whole.to_bytes()).is_ok());
    let beyond = Request { offset: 1, ..whole };
    assert!(Request::from_bytes(beyond.to_bytes()).is_err());
    let wild = Request {
        offset: u32::MAX,
        ..whole
    };
    assert!(Request::from_bytes(wild.to_bytes()).is_err());
    assert!(Request::from_bytes([0; Request::LEN]).is_err());
}

#[test]
fn exchanges_walk_through_the_content() {
    let work = Work {
        op: Op::Get,
        len: 1 << 23,
        times: 3,
        is_kept: true,
    };
    let offsets = [0, 1, 2].map(|n| work.request(n).offset);
    assert_eq!(offsets, [0, 1 << 23, 0]);
    assert_eq!(work.total_len(), 3 << 23);
}
