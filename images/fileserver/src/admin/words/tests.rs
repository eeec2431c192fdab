use super::*;
use std::string::ToString;

fn read(text: &'static str) -> Result<Words, BadOption<'static>> {
    let get = |key: &str| {
        let mut words = text.split(' ').filter_map(|word| word.split_once('='));
        words.find(|(name, _)| *name == key).map(|(_, value)| value)
    };
    Words::read(&get, 80)
}

#[test]
fn every_word() {
    assert_eq!(read(""), Ok(Words::DEFAULT));
    let addr = Addr::v4(Ipv4Addr::new(10, 0, 2, 15));
    for (text, addr, port) in [
        ("admin=10.0.2.15:9090", Some(addr), 9_090),
        ("admin=:9090", None, 9_090),
        ("admin=81", None, 81),
    ] {
        let words = read(text).unwrap();
        assert_eq!(words.listening, Some(Listening { addr, port }), "{text}");
        assert_eq!(words.conns_kept(), 8);
    }
    assert_eq!(read("admin=81 admin-conns=3").unwrap().conns_kept(), 3);
    assert_eq!(read("admin-conns=3").unwrap().conns_kept(), 0);
    assert_eq!(read("accesslog=console").unwrap().log, Some(Sink::Console));
    for (text, port) in [
        ("accesslog=syslog:10.0.2.15", 514),
        ("accesslog=syslog:10.0.2.15:5514", 5_514),
    ] {
        let sink = Sink::Syslog(Endpoint::new(addr, port));
        assert_eq!(read(text).unwrap().log, Some(sink));
    }
}

#[test]
fn values_that_cannot_be() {
    for (bad, expected) in [
        ("admin=", "ADDR:PORT"),
        ("admin=0", "ADDR:PORT"),
        ("admin=host:9090", "ADDR:PORT"),
        ("admin=0.0.0.0:9090", "ADDR:PORT"),
        ("admin=10.0.2.15", "ADDR:PORT"),
        ("admin=:80", "another port than that of the site"),
        ("admin=81 admin-conns=0", "a number, 1 to 16"),
        ("admin=81 admin-conns=17", "a number, 1 to 16"),
        ("accesslog=file", "console or syslog"),
        ("accesslog=syslog:", "console or syslog"),
        ("accesslog=syslog:10.0.0.1:0", "console or syslog"),
        ("accesslog=syslog:224.0.0.1", "console or syslog"),
    ] {
        let said = read(bad).unwrap_err().to_string();
        assert!(said.contains(expected), "{said}");
    }
}
