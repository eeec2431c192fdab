//! Reset, negotiation, what the port says of itself.

use simoom_ring::{BodyMemory, LinkState, MacAddr, Port};
use virtio_drivers::transport::DeviceStatus;

use super::fake_device::FakeDevice;
use super::{Bench, pool, port};
use crate::{Error, Features, Interrupt, Options};

const DEFAULT: Options = Options {
    disable: Features::NONE,
    rx_size_max: 256,
    tx_size_max: 256,
    queue_pairs_max: 8,
    mac: None,
};

fn error_of(device: FakeDevice, options: Options) -> Error {
    let (port, device) = port(device, options);
    let status = device.borrow().status;
    assert!(!status.contains(DeviceStatus::DRIVER_OK));
    port.err().expect("an error")
}

#[test]
fn modern_device_gets_what_is_supported_and_nothing_else() {
    let bench = Bench::new(FakeDevice::modern(), 64);
    let device = bench.device();
    let expected = Features::SUPPORTED;
    assert_eq!(device.accepted, expected);
    assert!(!device.accepted.contains(Features::RING_PACKED));
    assert!(device.status.contains(
        DeviceStatus::ACKNOWLEDGE
            | DeviceStatus::DRIVER
            | DeviceStatus::FEATURES_OK
            | DeviceStatus::DRIVER_OK
    ));
    drop(device);
    let caps = bench.port.caps();
    assert_eq!(caps.headroom, 12);
    assert_eq!(caps.mtu, 1400);
    assert_eq!(caps.fragments_max, 4);
    assert!(caps.checksums.tx && caps.checksums.rx);
    assert!(caps.tso.tcp_v4 && caps.tso.tcp_v6 && caps.tso.udp && caps.rx_large);
    assert_eq!(caps.tso.len_max, 65_535);
    assert_eq!(caps.body_memory, BodyMemory::Anywhere);
    assert_eq!(bench.port.mac(), MacAddr([2, 0, 0, 0, 0, 9]));
    assert_eq!(bench.port.features(), expected);
    assert_eq!(bench.port.interrupt(), Interrupt::Line(5));
    bench.end();
}

#[test]
fn legacy_device_gets_the_short_header() {
    for (mergeable, headroom) in [(Features::NONE, 12), (Features::MRG_RXBUF, 10)] {
        let bench = Bench::new(FakeDevice::legacy().without(mergeable), 64);
        assert_eq!(bench.port.caps().headroom, headroom);
        let modern = Features::VERSION_1.union(Features::HOST_USO);
        let expected = Features::SUPPORTED.difference(modern.union(mergeable));
        assert_eq!(bench.port.features(), expected.consistent());
        bench.end();
    }
}

#[test]
fn version_1_cannot_be_switched_off() {
    let disable = Features::from_bits(u64::MAX);
    let mac = Some(MacAddr([2; 6]));
    let options = Options {
        disable,
        mac,
        ..DEFAULT
    };
    let (port, _) = port(FakeDevice::modern(), options);
    assert_eq!(port.unwrap().features(), Features::VERSION_1);
}

#[test]
fn what_is_required_must_be_offered() {
    let device = FakeDevice::modern().without(Features::VERSION_1);
    let missing = Features::VERSION_1;
    assert_eq!(error_of(device, DEFAULT), Error::BadFeatures { missing });
    let device = FakeDevice::legacy().without(Features::ANY_LAYOUT);
    let missing = Features::ANY_LAYOUT;
    assert_eq!(error_of(device, DEFAULT), Error::BadFeatures { missing });
}

#[test]
fn device_that_refuses_its_features_is_an_error() {
    let mut device = FakeDevice::modern();
    device.refuses_features = true;
    assert_eq!(error_of(device, DEFAULT), Error::FeaturesRefused);
}

#[test]
fn device_that_does_not_reset_is_an_error() {
    let mut device = FakeDevice::modern();
    device.status = DeviceStatus::ACKNOWLEDGE;
    device.ignores_reset = true;
    assert_eq!(error_of(device, DEFAULT), Error::NotReset);
}

#[test]
fn queue_sizes_are_powers_of_two_within_all_limits() {
    // Offered, allowed, used; the transmit queue must hold one packet of four pieces.
    let rows = [
        (1u32, 256u16, Ok(1u16), Err(1)),
        (3, 256, Ok(2), Err(2)),
        (4, 256, Ok(4), Ok(4u16)),
        (0, 256, Err(0), Err(0)),
        (300, 256, Ok(256), Ok(256)),
        (1024, 1024, Ok(1024), Ok(1024)),
        (65_536, 65_535, Ok(1024), Ok(1024)),
        (u32::MAX, 100, Ok(64), Ok(64)),
        (256, 0, Err(0), Err(0)),
    ];
    for (offered, allowed, rx, tx) in rows {
        for (queue, expected) in [(0, rx), (1, tx)] {
            let mut device = FakeDevice::modern();
            device.size_max[queue] = offered;
            let mut options = DEFAULT;
            match queue {
                0 => options.rx_size_max = allowed,
                _ => options.tx_size_max = allowed,
            }
            let (port, device) = port(device, options);
            match (port, expected) {
                (Ok(mut port), Ok(size)) => {
                    let started = port.queue(0, pool(4));
                    assert!(started.is_some());
                    let mut device = device.borrow_mut();
                    let ring = device.rings[queue].as_mut().unwrap();
                    let avail_len = ring.used_event_at() - 4;
                    assert_eq!(avail_len, 2 * u64::from(size), "{offered} {allowed}");
                }
                (Err(error), Err(size)) => {
                    let queue = queue as u16;
                    assert_eq!(error, Error::QueueTooSmall { queue, size });
                }
                (port, _) => panic!("{offered} {allowed}: {:?}", port.err()),
            }
        }
    }
}

#[test]
fn station_address_comes_from_the_device_or_the_embedder_or_not_at_all() {
    let mine = Some(MacAddr([2, 1, 1, 1, 1, 1]));
    let options = Options {
        mac: mine,
        ..DEFAULT
    };
    let (first, _) = port(FakeDevice::modern(), options);
    assert_eq!(first.unwrap().mac(), MacAddr([2, 0, 0, 0, 0, 9]));
    let (second, _) = port(FakeDevice::modern().without(Features::MAC), options);
    assert_eq!(second.unwrap().mac(), MacAddr([2, 1, 1, 1, 1, 1]));
    let device = FakeDevice::modern().without(Features::MAC);
    assert_eq!(error_of(device, DEFAULT), Error::NoMac);
    for bad in [[0; 6], [0xff; 6], [1, 0, 0, 0, 0, 0]] {
        let mut device = FakeDevice::modern();
        device.config[..6].copy_from_slice(&bad);
        assert_eq!(error_of(device, DEFAULT), Error::NoMac);
    }
}

#[test]
fn mtu_larger_than_a_frame_is_agreed_to_if_a_packet_may_lie_in_several() {
    let (whole, merged) = (Features::MRG_RXBUF, Features::NONE);
    let rows = [
        (68u16, whole, Some(68)),
        (2022, whole, Some(2022)),
        (2023, whole, None),
        (65_535, whole, None),
        (9000, merged, Some(9000)),
        (65_535, merged, Some(65_535)),
    ];
    for (mtu, without, agreed) in rows {
        let mut device = FakeDevice::modern().without(without);
        device.config[10..].copy_from_slice(&mtu.to_le_bytes());
        let (port, device) = port(device, DEFAULT);
        assert_eq!(port.unwrap().caps().mtu, agreed.unwrap_or(1500));
        let accepted = device.borrow().accepted;
        assert_eq!(accepted.contains(Features::MTU), agreed.is_some());
    }
    let mut device = FakeDevice::modern();
    device.config[10..].copy_from_slice(&[67, 0]);
    assert_eq!(error_of(device, DEFAULT), Error::BadConfig);
}

#[test]
fn configuration_that_is_too_short_is_an_error() {
    let mut device = FakeDevice::modern();
    device.config.truncate(5);
    assert_eq!(error_of(device, DEFAULT), Error::BadConfig);
}

#[test]
fn link_is_what_the_device_says_and_up_if_it_does_not() {
    let mut bench = Bench::new(FakeDevice::modern(), 8);
    assert_eq!(bench.port.link(), LinkState::Up);
    bench.device().config[6] = 0;
    assert_eq!(bench.port.link(), LinkState::Down);
    bench.device().config[6] = 3;
    assert_eq!(bench.port.link(), LinkState::Up);
    let mut silent = Bench::new(FakeDevice::modern().without(Features::STATUS), 8);
    silent.device().config[6] = 0;
    assert_eq!(silent.port.link(), LinkState::Up);
}

#[test]
fn queue_is_handed_out_once_and_only_with_frames_that_fit() {
    let (port, _) = port(FakeDevice::modern().without(Features::MTU), DEFAULT);
    let mut port = port.unwrap();
    assert!(port.queue(1, pool(8)).is_none(), "there is one pair");
    assert!(port.queue(0, pool(0)).is_none(), "no frame");
    let pool = pool(8);
    let queue = port.queue(0, pool);
    assert!(queue.is_some());
    assert!(port.queue(0, pool).is_none(), "taken");
    drop(queue);
    assert!(port.queue(0, pool).is_none(), "gone");
    assert!(pool.all_home());
}
