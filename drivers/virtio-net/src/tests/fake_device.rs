//! A network device behind a transport, all in the test's memory.

use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use std::boxed::Box;
use std::cell::RefCell;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Error, PhysAddr, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::fake_ring::{Chain, FakeRing};
use crate::registers::{Interrupt, Registers};
use crate::{Features, Found};

/// What the device is, and what has become of it.
pub(crate) struct FakeDevice {
    pub(crate) offered: Features,
    pub(crate) accepted: Features,
    pub(crate) is_legacy: bool,
    pub(crate) size_max: [u32; 2],
    pub(crate) config: Vec<u8>,
    pub(crate) status: DeviceStatus,
    pub(crate) refuses_features: bool,
    pub(crate) ignores_reset: bool,
    pub(crate) starts: u32,
    /// Of all queues: pairs, then the control queue.
    pub(crate) rings: Vec<Option<FakeRing>>,
    /// The register block: the driver stores to it, and acknowledges interrupts in it.
    registers: &'static mut [u32; 64],
}

/// A packet as it left the driver.
pub(crate) struct Sent {
    pub(crate) header: Vec<u8>,
    pub(crate) frame: Vec<u8>,
    pub(crate) pieces: usize,
}

impl FakeDevice {
    /// A modern device that offers everything that there is, and more.
    pub(crate) fn modern() -> Self {
        let mut config = vec![2, 0, 0, 0, 0, 9, 1, 0, 1, 0];
        config.extend(1400u16.to_le_bytes());
        Self {
            offered: Features::from_bits(u64::MAX),
            accepted: Features::NONE,
            is_legacy: false,
            size_max: [16, 16],
            config,
            status: DeviceStatus::empty(),
            refuses_features: false,
            ignores_reset: false,
            starts: 0,
            rings: no_rings(),
            registers: registers(),
        }
    }

    /// Gives the register block to the next device. Nothing may refer to this one any more.
    pub(crate) fn recycle(self) {
        SPARE.with_borrow_mut(|spare| spare.push(self.registers));
    }

    /// A legacy device: 32 feature bits, no generation.
    pub(crate) fn legacy() -> Self {
        Self {
            offered: Features::from_bits(0xffff_ffff),
            is_legacy: true,
            ..Self::modern()
        }
    }

    pub(crate) fn without(mut self, features: Features) -> Self {
        self.offered = self.offered.difference(features);
        self
    }

    pub(crate) fn hdr_len(&self) -> usize {
        let has_num_buffers = !self.is_legacy || self.accepted.contains(Features::MRG_RXBUF);
        if has_num_buffers { 12 } else { 10 }
    }

    pub(crate) fn rx(&mut self) -> &mut FakeRing {
        self.rings[0].as_mut().expect("started")
    }

    pub(crate) fn tx(&mut self) -> &mut FakeRing {
        self.rings[1].as_mut().expect("started")
    }

    /// Number of the control queue (virtio 1.2 5.1.2).
    pub(crate) fn commands_idx(&self) -> usize {
        match self.accepted.contains(Features::MQ) {
            true => 2 * usize::from(u16::from_le_bytes([self.config[8], self.config[9]])),
            false => 2,
        }
    }

    /// Takes the next command, class first, and says what became of it; nothing, if there is none.
    pub(crate) fn command(&mut self, ack: u8) -> Option<Vec<u8>> {
        let idx = self.commands_idx();
        let ring = self.rings[idx].as_mut().expect("started");
        let chain = ring.pop()?;
        let command = chain.read();
        let last = Chain {
            pieces: vec![*chain.pieces.last().expect("pieces")],
            ..chain
        };
        last.write(&[ack]);
        ring.push(chain.head.into(), 1);
        Some(command)
    }

    /// Delivers a frame behind a header; false when the driver has left it no buffer.
    pub(crate) fn deliver(&mut self, flags: u8, csum: (u16, u16), frame: &[u8]) -> bool {
        let mut bytes = self.header(flags, csum);
        bytes.extend(frame);
        self.deliver_bytes(&bytes)
    }

    /// The header of a packet in one buffer.
    pub(crate) fn header(&self, flags: u8, csum: (u16, u16)) -> Vec<u8> {
        let mut bytes = vec![0; self.hdr_len()];
        bytes[0] = flags;
        bytes[6..8].copy_from_slice(&csum.0.to_le_bytes());
        bytes[8..10].copy_from_slice(&csum.1.to_le_bytes());
        if let Some(num_buffers) = bytes.get_mut(10) {
            *num_buffers = 1;
        }
        bytes
    }

    /// Delivers a packet, header first, in as many buffers as it takes with at most `piece_len`
    /// bytes in each; false, and nothing delivered, when there are too few.
    pub(crate) fn deliver_merged(&mut self, mut bytes: Vec<u8>, piece_len: usize) -> bool {
        assert!(self.accepted.contains(Features::MRG_RXBUF));
        let num_buffers = bytes.len().div_ceil(piece_len) as u16;
        bytes[10..12].copy_from_slice(&num_buffers.to_le_bytes());
        let ring = self.rx();
        let avail = ring.avail_idx().wrapping_sub(ring.last_avail_idx);
        if avail < num_buffers {
            return false;
        }
        let mut used_idx = ring.used_idx;
        for piece in bytes.chunks(piece_len) {
            let chain = ring.pop().expect("it was counted");
            chain.write(piece);
            ring.write_used(used_idx, chain.head.into(), piece.len() as u32);
            used_idx = used_idx.wrapping_add(1);
        }
        // All at once (virtio 1.2 5.1.6.4).
        ring.store_used_idx(used_idx);
        true
    }

    pub(crate) fn deliver_bytes(&mut self, bytes: &[u8]) -> bool {
        let Some(chain) = self.rx().pop() else {
            return false;
        };
        chain.write(bytes);
        self.rx().push(chain.head.into(), bytes.len() as u32);
        true
    }

    /// Sends one packet and returns its chain.
    pub(crate) fn transmit(&mut self) -> Option<Sent> {
        let chain = self.tx().pop()?;
        self.tx().push(chain.head.into(), 0);
        Some(self.sent(&chain))
    }

    pub(crate) fn sent(&self, chain: &Chain) -> Sent {
        let mut header = chain.read();
        let frame = header.split_off(self.hdr_len());
        Sent {
            header,
            frame,
            pieces: chain.pieces.len(),
        }
    }

    /// The queue that was kicked last, since the last time.
    pub(crate) fn take_kick(&mut self) -> Option<u32> {
        let register = &raw mut self.registers[0x50 / 4];
        // SAFETY: our own memory, which the driver writes by a raw pointer.
        let queue = unsafe { register.read_volatile() };
        // SAFETY: as above.
        unsafe { register.write_volatile(NO_KICK) };
        (queue != NO_KICK).then_some(queue)
    }

    pub(crate) fn raise_line(&mut self) {
        self.registers[0x60 / 4] = 1;
        self.registers[0x64 / 4] = 0;
    }

    pub(crate) fn is_acknowledged(&self) -> bool {
        self.registers[0x64 / 4] == 1
    }
}

std::thread_local! {
    /// Register blocks of devices that are gone; never freed, or they would count as leaked.
    static SPARE: RefCell<ManuallyDrop<Vec<&'static mut [u32; 64]>>> =
        const { RefCell::new(ManuallyDrop::new(Vec::new())) };
}

/// A register block that lives for ever: the driver has a raw pointer to it.
fn registers() -> &'static mut [u32; 64] {
    let spare = SPARE.with_borrow_mut(|spare| spare.pop());
    let block = spare.unwrap_or_else(|| Box::leak(Box::new([0; 64])));
    *block = [NO_KICK; 64];
    block
}

fn no_rings() -> Vec<Option<FakeRing>> {
    (0..QUEUES_MAX).map(|_| None).collect()
}

/// Those of eight pairs, and the control queue.
const QUEUES_MAX: usize = 17;

/// No queue has this number.
const NO_KICK: u32 = u32::MAX;

/// The transport of a device that the test looks at, too.
#[derive(Clone)]
pub(crate) struct FakeTransport(pub(crate) Rc<RefCell<FakeDevice>>);

impl FakeTransport {
    pub(crate) fn found(device: FakeDevice) -> (Found<Self>, Rc<RefCell<FakeDevice>>) {
        let base = NonNull::from(&mut *device.registers).cast();
        let device = Rc::new(RefCell::new(device));
        // SAFETY: 256 bytes that live for ever.
        let registers = unsafe { Registers::mmio(base) };
        let found = Found {
            transport: Self(device.clone()),
            registers,
            interrupt: Interrupt::Line(5),
        };
        (found, device)
    }
}

impl Transport for FakeTransport {
    fn device_type(&self) -> DeviceType {
        DeviceType::Network
    }

    fn read_device_features(&mut self) -> u64 {
        self.0.borrow().offered.bits()
    }

    fn write_driver_features(&mut self, features: u64) {
        self.0.borrow_mut().accepted = Features::from_bits(features);
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        let device = self.0.borrow();
        match usize::from(queue) == device.commands_idx() {
            true => 64,
            false => device.size_max[usize::from(queue % 2)],
        }
    }

    fn notify(&mut self, _: u16) {
        panic!("the driver has a doorbell of its own");
    }

    fn get_status(&self) -> DeviceStatus {
        self.0.borrow().status
    }

    fn set_status(&mut self, status: DeviceStatus) {
        let mut device = self.0.borrow_mut();
        if status.is_empty() {
            if device.ignores_reset {
                return;
            }
            device.rings = no_rings();
        }
        device.status = status;
        if device.refuses_features {
            device.status.remove(DeviceStatus::FEATURES_OK);
        }
        if status.contains(DeviceStatus::DRIVER_OK) {
            device.starts += 1;
        }
    }

    fn set_guest_page_size(&mut self, size: u32) {
        assert_eq!(size, 4096);
    }

    fn requires_legacy_layout(&self) -> bool {
        self.0.borrow().is_legacy
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        desc: PhysAddr,
        avail: PhysAddr,
        used: PhysAddr,
    ) {
        let mut device = self.0.borrow_mut();
        assert!(!device.status.contains(DeviceStatus::DRIVER_OK));
        let size = u16::try_from(size).unwrap();
        device.rings[usize::from(queue)] = Some(FakeRing::new(desc, avail, used, size));
    }

    fn queue_unset(&mut self, _: u16) {}

    fn queue_used(&mut self, queue: u16) -> bool {
        self.0.borrow().rings[usize::from(queue)].is_some()
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::empty()
    }

    fn read_config_generation(&self) -> u32 {
        assert!(!self.requires_legacy_layout(), "legacy has none");
        0
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        let device = self.0.borrow();
        let bytes = device.config.get(offset..offset + size_of::<T>());
        let bytes = bytes.ok_or(Error::ConfigSpaceTooSmall)?;
        Ok(T::read_from_bytes(bytes).unwrap())
    }

    fn write_config_space<T: IntoBytes + Immutable>(&mut self, _: usize, _: T) -> Result<()> {
        panic!("the driver writes no configuration");
    }
}
