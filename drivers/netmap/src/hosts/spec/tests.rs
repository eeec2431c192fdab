//! Names that are right, and names that are not.

use std::format;
use std::string::ToString;

use super::{NetmapRings, Spec, SpecError};

fn netmap(name: &str, rings: NetmapRings) -> Spec {
    let name = name.to_string();
    Spec::Netmap { name, rings }
}

#[test]
fn every_kind_of_port_has_a_name_that_reads_as_it_is_shown() {
    let xdp = |queue| Spec::Xdp {
        name: "eth0".into(),
        queue,
    };
    for (text, spec, shown) in [
        ("tap:", Spec::Tap { name: None }, "tap:"),
        (
            "tap:web0",
            Spec::Tap {
                name: Some("web0".into()),
            },
            "tap:web0",
        ),
        ("xdp:eth0", xdp(0), "xdp:eth0@0"),
        ("xdp:eth0@3", xdp(3), "xdp:eth0@3"),
        (
            "netmap:eth0",
            netmap("eth0", NetmapRings::Nic),
            "netmap:eth0",
        ),
        (
            "netmap:eth0^",
            netmap("eth0", NetmapRings::Host),
            "netmap:eth0^",
        ),
        (
            "netmap:eth0*",
            netmap("eth0", NetmapRings::Both),
            "netmap:eth0*",
        ),
        (
            "netmap:xx{1",
            netmap("xx{1", NetmapRings::Nic),
            "netmap:xx{1",
        ),
        (
            "netmap:xx}1",
            netmap("xx}1", NetmapRings::Nic),
            "netmap:xx}1",
        ),
        ("xx{1", netmap("xx{1", NetmapRings::Nic), "netmap:xx{1"),
        ("xx}20", netmap("xx}20", NetmapRings::Nic), "netmap:xx}20"),
        ("vale0:a", netmap("vale0:a", NetmapRings::Nic), "vale0:a"),
        (
            "netmap:vale0:a",
            netmap("vale0:a", NetmapRings::Nic),
            "vale0:a",
        ),
        (
            "pipe:/tmp/a b",
            Spec::Pipe {
                path: "/tmp/a b".into(),
            },
            "pipe:/tmp/a b",
        ),
    ] {
        assert_eq!(Spec::parse(text), Ok(spec.clone()), "{text}");
        assert_eq!(spec.to_string(), shown);
        assert_eq!(Spec::parse(shown), Ok(spec));
    }
}

#[test]
fn what_is_wrong_is_said_in_a_line() {
    let long = "a".repeat(200);
    for (text, said) in [
        ("", "no such port"),
        ("eth0", "no such port: eth0: expected tap:"),
        ("dpdk:eth0", "no such port: dpdk:eth0"),
        ("tap:a name", "no name of an interface: \"a name\""),
        ("tap:..", "no name of an interface"),
        ("tap:sixteen-letters!", "expected 1 to 15 characters"),
        ("xdp:", "no name of an interface: \"\""),
        ("xdp:eth0@", "no queue: \"\""),
        ("xdp:eth0@x", "no queue: \"x\""),
        ("xdp:eth0@65536", "no queue: \"65536\""),
        ("netmap:", "no name of an interface"),
        ("netmap:xx{", "no netmap port: \"xx{\""),
        ("netmap:xx}70000", "no netmap port"),
        ("netmap:{1", "no name of an interface: \"\""),
        ("netmap:xx{1^", "no netmap port: \"xx{1^\""),
        ("vale0:", "no netmap port: \"vale0:\""),
        ("pipe:", "no path of a socket"),
    ] {
        let error = Spec::parse(text).expect_err(text).to_string();
        assert!(error.contains(said), "{text}: {error}");
        assert!(!error.contains('\n'));
    }
    let error = Spec::parse(&format!("pipe:/{long}")).expect_err("too long");
    assert!(matches!(error, SpecError::Path { .. }));
    for text in [
        "netmap:\u{e9}th0",
        "tap:\u{e9}",
        "netmap:a\u{e9}*",
        "\u{e9}",
    ] {
        assert!(Spec::parse(text).is_err());
    }
}
