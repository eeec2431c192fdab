use super::*;
use core::net::Ipv4Addr;
use std::vec::Vec;

fn parse(text: &str) -> CommandLine<'_> {
    CommandLine::parse(text.as_bytes()).unwrap()
}

fn expected(text: &str) -> &'static str {
    CommandLine::parse(text.as_bytes()).unwrap_err().expected
}

#[test]
fn empty_line_means_the_defaults() {
    assert_eq!(parse(""), CommandLine::default());
    assert_eq!(parse(" \t\n ").ip, Ip::Dhcp { hostname: None });
    assert_eq!(parse("ip=").ip, Ip::Dhcp { hostname: None });
    assert_eq!(parse("x\0ip=off").ip, Ip::Dhcp { hostname: None });
}

#[test]
fn ip_words() {
    for word in [
        "dhcp",
        "on",
        "any",
        "both",
        "bootp",
        "rarp",
        ":::::eth0:dhcp",
        "::::n:eth0",
    ] {
        let text = std::format!("ip={word}");
        assert!(matches!(parse(&text).ip, Ip::Dhcp { .. }), "{word}");
    }
    for word in ["off", "none", "0.0.0.0::::::off"] {
        assert_eq!(parse(&std::format!("ip={word}")).ip, Ip::Off, "{word}");
    }
    assert_eq!(
        parse("ip=::::web::dhcp").ip,
        Ip::Dhcp {
            hostname: Some("web")
        }
    );
    assert_eq!(parse("ip=off ip=dhcp").ip, Ip::Dhcp { hostname: None });
}

#[test]
fn offload_words() {
    let offloads = |value: &str| parse(&std::format!("offload={value}")).offloads;
    assert_eq!(parse("").offloads, Offloads::ALL);
    for (value, left) in [
        ("", "tx,rx,tso,lro,sg,event,mrg"),
        ("all", "tx,rx,tso,lro,sg,event,mrg"),
        ("none", "none"),
        ("-all", "none"),
        ("-tso", "tx,rx,lro,sg,event,mrg"),
        ("-tso,-tx,-event", "rx,lro,sg,mrg"),
        ("none,tx,sg", "tx,sg"),
        ("-rx,rx", "tx,rx,tso,lro,sg,event,mrg"),
    ] {
        assert_eq!(std::format!("{}", offloads(value)), left, "{value}");
    }
    for wrong in ["tos", "-", "TX", "-tx;-rx", "off"] {
        let said = expected(&std::format!("offload={wrong}"));
        assert_eq!(said, "none, or some of -tx,-rx,-tso,-lro,-sg,-event,-mrg");
    }
}

#[test]
fn ip_fields() {
    let full =
        "ip=10.0.2.15:10.0.2.9:10.0.2.2:255.255.255.0:web:eth0:off:10.0.2.3:1.1.1.1:10.0.2.4";
    let at = |last| Ipv4Addr::new(10, 0, 2, last);
    assert_eq!(
        parse(full).ip,
        Ip::Static(StaticIp {
            client: at(15),
            server: Some(at(9)),
            gateway: Some(at(2)),
            prefix_len: 24,
            hostname: Some("web"),
            device: Some("eth0"),
            dns: [Some(at(3)), Some(Ipv4Addr::new(1, 1, 1, 1))],
            ntp: Some(at(4)),
        })
    );
    for (text, len) in [
        ("10.1.2.3", 8),
        ("172.16.0.1", 16),
        ("192.168.1.2", 24),
        ("10.1.2.3:::255.255.255.252", 30),
    ] {
        let text = std::format!("ip={text}");
        let Ip::Static(fields) = parse(&text).ip else {
            panic!("{text}")
        };
        assert_eq!((fields.prefix_len, fields.gateway), (len, None), "{text}");
    }
}

#[test]
fn ip_mistakes() {
    assert!(expected("ip=maybe").starts_with("dhcp"));
    assert!(expected("ip=10.0.2.300").contains("IPv4"));
    assert!(expected("ip=10.0.2.15::10.0.2").contains("IPv4"));
    assert!(expected("ip=10.0.2.15:::255.0.255.0").contains("netmask"));
    assert!(expected("ip=10.0.2.15::::::perhaps").starts_with("dhcp"));
    assert!(expected("ip=224.0.0.1").contains("client"));
    assert!(expected("ip=1.2.3.4::::::::::x").contains("ten"));
}

#[test]
fn console_places() {
    let at = |port_idx, baud| ConsoleAt::Serial { port_idx, baud };
    for (text, place) in [
        ("console=ttyS0", at(0, 115_200)),
        ("console=ttyS1,9600", at(1, 9600)),
        ("console=ttyS0,57600n8", at(0, 57_600)),
        ("console=ttyS0,57600 console=none", ConsoleAt::None),
    ] {
        assert_eq!(parse(text).console, place, "{text}");
    }
    for text in [
        "console=tty0",
        "console",
        "console=ttyS0,fast",
        "console=ttyS0,0",
    ] {
        assert!(expected(text).contains("ttyS0"), "{text}");
    }
}

#[test]
fn congestion_control() {
    for algorithm in Algorithm::ALL {
        let text = std::format!("cc={algorithm}");
        assert_eq!(parse(&text).congestion, algorithm);
        assert_eq!(parse(&text).unknown(&[]).count(), 0);
    }
    assert!(expected("cc=bbr").contains("westwood"));
}

#[test]
fn levels_and_ways_out() {
    for level in LogLevel::ALL {
        assert_eq!(parse(&std::format!("log={}", level.name())).log, level);
    }
    assert!(expected("log=loud").contains("trace"));
    for (text, then) in [
        ("panic=exit", OnPanic::Exit),
        ("panic=halt", OnPanic::Halt),
        ("panic=0", OnPanic::Halt),
        ("panic=reboot", OnPanic::Reboot { delay_s: 0 }),
        ("panic=-1", OnPanic::Reboot { delay_s: 0 }),
        ("panic=10", OnPanic::Reboot { delay_s: 10 }),
    ] {
        assert_eq!(parse(text).panic, then, "{text}");
    }
    assert!(expected("panic=never").contains("seconds"));
    assert!(parse("entropy=weak").is_entropy_weak);
    assert!(expected("entropy=strong").contains("weak"));
    assert_eq!(parse("tsc_early_khz=2600000").tsc_khz, Some(2_600_000));
    assert!(expected("tsc_early_khz=0").contains("kilohertz"));
}

#[test]
fn mmio_devices_of_microvm() {
    let line = parse("virtio_mmio.device=512@0xfeb00e00:12 x virtio_mmio.device=1K@0xfeb01000:5:3");
    let devices: Vec<_> = line.mmio_devices().collect();
    let device = |size, base, irq| MmioDevice { size, base, irq };
    assert_eq!(
        devices,
        [device(512, 0xfeb0_0e00, 12), device(1024, 0xfeb0_1000, 5)]
    );
    for value in [
        "",
        "512",
        "512@",
        "512@0xfeb00e00",
        "@1:2",
        "0@1:2",
        "1@x:2",
        "1@2:-3",
    ] {
        assert_eq!(
            expected(&std::format!("virtio_mmio.device={value}")),
            "SIZE@BASE:IRQ"
        );
    }
    assert_eq!(
        expected("virtio_mmio.device=2@0xffffffffffffffff:1"),
        "SIZE@BASE:IRQ"
    );
    assert_eq!(
        expected("virtio_mmio.device=99999999999G@0:1"),
        "SIZE@BASE:IRQ"
    );
}

#[test]
fn other_keys_are_the_images() {
    let line = parse("port=80 quiet \"name=a b\" title=\"c d\" port=8080");
    assert_eq!(line.get("port"), Some("8080"));
    assert_eq!(line.get("quiet"), Some(""));
    assert_eq!(line.get("name"), Some("a b"));
    assert_eq!(line.get("title"), Some("c d"));
    assert_eq!(line.get("absent"), None);
    let unknown: Vec<_> = line.unknown(&["port", "title"]).collect();
    assert_eq!(unknown, ["quiet", "name=a b"]);
}

#[test]
fn bytes_that_are_not_text() {
    let error = CommandLine::parse(b"ip=dhcp \xff").unwrap_err();
    assert_eq!(
        std::format!("{error}"),
        "command line: (bytes): expected UTF-8"
    );
    assert_eq!(
        std::format!("{}", CommandLine::parse(b"log=x").unwrap_err()),
        "command line: log=x: expected off, error, warn, info, debug or trace"
    );
}
