//! QEMU's command line, row by row.

use super::{
    Accel, Disk, Entropy, Launch, Listens, Machine, Medium, Net, NetChoice, Qemu, memory_mib,
    version,
};
use crate::text::MIB;
use std::path::{Path, PathBuf};

fn launch(machine: Machine, version: (u32, u32)) -> Launch {
    Launch {
        qemu: Qemu {
            program: PathBuf::from("qemu"),
            version_line: String::new(),
            version,
        },
        accel: Accel::Tcg,
        machine,
        machine_options: "",
        memory_mib: 64,
        kernel: PathBuf::from("/k"),
        initrd: Some(PathBuf::from("/a b")),
        disk: None,
        append: "ip=dhcp port=80".to_owned(),
        net: Net::User {
            port: 8080,
            admin: None,
        },
        card_options: String::new(),
        entropy: Entropy::Rdrand,
        netns: None,
    }
}

fn line(launch: &Launch) -> String {
    launch.shell_line()
}

#[test]
fn the_whole_line_on_q35() {
    assert_eq!(
        line(&launch(Machine::Q35, (7, 2))),
        "qemu -M q35 -accel tcg -cpu max -smp 2 -m 64M -nodefaults -display none -no-reboot \
         -chardev stdio,id=console,signal=off -serial chardev:console \
         -device isa-debug-exit,iobase=0xf4,iosize=4 \
         -netdev user,id=net,ipv6=off,hostfwd=tcp:127.0.0.1:8080-:80 \
         -device virtio-net-pci,netdev=net,romfile= -kernel /k -initrd '/a b' \
         -append 'ip=dhcp port=80'"
    );
}

#[test]
fn qemu_before_8_1_has_two_vcpus() {
    for (number, vcpus) in [
        ((7, 0), 2),
        ((7, 2), 2),
        ((8, 0), 2),
        ((8, 1), 1),
        ((10, 0), 1),
    ] {
        let line = line(&launch(Machine::Pc, number));
        assert!(
            line.contains(&format!("-smp {vcpus} ")),
            "{number:?}: {line}"
        );
    }
}

#[test]
fn microvm_has_mmio_devices_and_both_uarts() {
    let launch = Launch {
        machine_options: "acpi=off",
        ..launch(Machine::Microvm, (7, 2))
    };
    let args = launch.args(Some(Path::new("/log")));
    let has = |word: &str| args.iter().any(|arg| arg == word);
    assert!(has("microvm,isa-serial=on,acpi=off"));
    assert!(has("virtio-net-device,netdev=net"));
    assert!(has("file,id=log,path=/log"));
    assert!(has("isa-serial,chardev=log,index=1"));
}

#[test]
fn the_network_is_what_was_asked_for() {
    let with = |net| {
        line(&Launch {
            net,
            ..launch(Machine::Q35, (7, 2))
        })
    };
    let tap = with(Net::Tap {
        name: "tap0".to_owned(),
    });
    assert!(tap.contains("tap,id=net,ifname=tap0,script=no,downscript=no,vnet_hdr=on"));
    assert!(with(Net::Isolated).contains("-netdev hubport,id=net,hubid=0"));
    assert!(!with(Net::Absent).contains("virtio-net"));
}

#[test]
fn a_forwarded_port_leads_to_where_the_guest_listens() {
    let with = |append: &str, admin| {
        line(&Launch {
            append: append.to_owned(),
            net: Net::User { port: 1, admin },
            ..launch(Machine::Q35, (7, 2))
        })
    };
    let leads = |line: &str, to: &str| line.contains(&format!(",hostfwd=tcp:127.0.0.1:{to} "));
    assert!(leads(&with("", None), "1-:80"));
    assert!(leads(&with("ip=dhcp port=8081", None), "1-:8081"));
    assert!(leads(
        &with("ip=10.0.2.77::10.0.2.2", None),
        "1-10.0.2.77:80"
    ));
    // What cannot be is the guest's to refuse.
    assert!(leads(&with("ip=10.0.2.300 port=0", None), "1-:80"));
    let both = "1-:80,hostfwd=tcp:127.0.0.1:9-:9";
    for admin in ["admin=9", "admin=:9", "admin=10.0.2.15:9"] {
        assert_eq!(Listens::read(admin).admin, Some(9), "{admin}");
        assert!(leads(&with(admin, Some(9)), both), "{admin}");
        assert!(leads(&with(admin, None), "1-:80"), "{admin}");
    }
    assert_eq!(Listens::read("admin=x").admin, None);
}

#[test]
fn chance_has_a_source_or_none() {
    let with = |entropy| {
        line(&Launch {
            entropy,
            ..launch(Machine::Q35, (7, 2))
        })
    };
    assert!(with(Entropy::VirtioRng).contains("-cpu qemu64,-rdrand"));
    assert!(with(Entropy::VirtioRng).contains("-device virtio-rng-pci"));
    assert!(!with(Entropy::Absent).contains("rng"));
}

#[test]
fn a_net_argument_is_a_word_we_know() {
    assert_eq!("user".parse(), Ok(NetChoice::User));
    assert_eq!("tap=t-0".parse(), Ok(NetChoice::Tap("t-0".to_owned())));
    for bad in [
        "",
        "tap",
        "tap=",
        "tap=a,b",
        "tap=a b",
        "user=1",
        "tap=abcdefghijklmnop",
    ] {
        assert!(bad.parse::<NetChoice>().is_err(), "{bad}");
    }
}

#[test]
fn versions_are_read_as_qemu_writes_them() {
    assert_eq!(
        version("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg)"),
        Some((7, 2))
    );
    assert_eq!(version("QEMU emulator version 10.0.0"), Some((10, 0)));
    assert_eq!(version("QEMU emulator version 9.2-rc1"), Some((9, 2)));
    assert_eq!(version("something else"), None);
}

#[test]
fn memory_follows_the_site() {
    let of = |tar_len, asked| memory_mib(tar_len, Machine::Q35, asked);
    assert_eq!(of(1, None).ok(), Some(48));
    assert_eq!(of(100 * MIB, None).ok(), Some(132));
    assert_eq!(of(100 * MIB + 1, None).ok(), Some(133));
    assert_eq!(of(100 * MIB, Some(200)).ok(), Some(200));
    let short = of(100 * MIB, Some(131))
        .expect_err("too little")
        .to_string();
    assert_eq!(short, "--memory 131 is too little: this site needs 132 MiB");
    assert!(of(2017 * MIB, None).is_err());
    assert!(memory_mib(2017 * MIB, Machine::Pc, None).is_ok());
    assert!(of(u64::MAX, None).is_err());
}

#[test]
fn a_disk_stands_in_for_kernel_and_archive() {
    let mut launch = launch(Machine::Q35, (7, 2));
    let mut disk = Disk {
        path: PathBuf::from("/a,b.iso"),
        medium: Medium::Cdrom,
        firmware: None,
    };
    launch.disk = Some(disk.clone());
    let end = |line: &str| line.split_once(",romfile= ").unwrap().1.to_owned();
    assert_eq!(
        end(&line(&launch)),
        "-drive if=ide,index=2,media=cdrom,readonly=on,format=raw,file=/a,,b.iso"
    );
    disk.medium = Medium::Drive;
    disk.firmware = Some(PathBuf::from("/code"));
    launch.disk = Some(disk);
    assert_eq!(
        end(&line(&launch)),
        "-drive if=pflash,readonly=on,format=raw,file=/code \
         -drive if=ide,snapshot=on,format=raw,file=/a,,b.iso"
    );
}
