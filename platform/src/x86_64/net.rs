//! The machine's network: its first virtio-net device, and a stack over it.
//!
//! ```text
//!   find_port   PCI (ECAM or ports), then virtio-mmio (command line or scan) ─► VirtioNet
//!   Sizes       what is left of the memory ─► frames, connections
//!   Net::start  both, and the interrupt ─► Net { stack, .. }, which `run` drives
//! ```
//!
//! Memory is divided once, after the image has taken what it serves: see [`Sizes`].

use core::cell::RefCell;
use core::fmt;

use simoom::iface::{Setup, Stack};
use simoom::tcp::{App, Settings};
use simoom::{Addr, Instant, Sums};
use simoom_capture::Store;
use simoom_ring::{Caps, FRAME_SIZE, FrameMemory, FrameMeta, FramePool, LinkState, MacAddr, Port};
use simoom_virtio_net::{
    Error as DeviceError, Features, Interrupt, Memory as DeviceMemory, Options, VirtioNet,
    VirtioQueue, mmio as virtio_mmio, pci as virtio_pci,
};
use virtio_drivers::transport::SomeTransport;

use super::hal::MachineHal;
use super::{Machine, console, irq};
use crate::command_line::{Ip, Offloads, StaticIp};
use crate::memory::{Memory, OutOfMemory};
pub use crate::net::{Sizes, TooLittle};
use crate::net::{Tables, host_cidr};

/// The machine's network device.
pub type NetPort = VirtioNet<'static, MachineHal>;
/// Its queue pair.
pub type NetQueue = VirtioQueue<'static, 'static, MachineHal>;

type Found = simoom_virtio_net::Found<SomeTransport<'static>>;

/// Why the machine has no network.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetError {
    /// There is no network device, or it is broken.
    Device(DeviceError),
    /// The device does not start, or has no frames that hold a packet.
    NoQueue,
    /// What is left of the memory is too little to serve with.
    TooLittleMemory(TooLittle),
    /// No piece of memory is large enough.
    Memory(OutOfMemory),
    /// `ip=` gives an address that no host can have.
    BadAddress,
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NetError::Device(DeviceError::NoDevice) => {
                f.write_str("no network card: no virtio network device found")
            }
            NetError::Device(error) => write!(f, "network card: {error}"),
            NetError::NoQueue => f.write_str("network card: its queues do not start"),
            NetError::TooLittleMemory(error) => error.fmt(f),
            NetError::Memory(error) => error.fmt(f),
            NetError::BadAddress => f.write_str("ip=: not an address that a host can have"),
        }
    }
}

impl core::error::Error for NetError {}

impl From<DeviceError> for NetError {
    fn from(error: DeviceError) -> Self {
        NetError::Device(error)
    }
}

impl From<TooLittle> for NetError {
    fn from(error: TooLittle) -> Self {
        NetError::TooLittleMemory(error)
    }
}

impl From<OutOfMemory> for NetError {
    fn from(error: OutOfMemory) -> Self {
        NetError::Memory(error)
    }
}

/// A network that a stack serves on, all its memory taken.
pub struct Net<A: App + 'static> {
    /// The stack. To listen and bind on before [`run`](super::run::run).
    pub stack: Stack<'static, A>,
    pub(super) queue: NetQueue,
    pub(super) port: NetPort,
    pub(super) pool: &'static FramePool<'static>,
    pub(super) has_interrupt: bool,
    /// What is captured of what passes: of no memory, nothing.
    pub capture: RefCell<Store<'static>>,
    caps: Caps,
    sizes: Sizes,
}

impl<A: App + 'static> Net<A> {
    /// Finds the device, divides the memory, and begins to get the address that `ip=` says.
    ///
    /// # Errors
    /// [`NetError`]. The machine cannot serve then.
    pub fn start(machine: &mut Machine) -> Result<Self, NetError> {
        let found = find_port(machine)?;
        let has_interrupt = connect(found.interrupt());
        let device_memory = &mut machine.memory.take_slice(1, |_| DeviceMemory::new())?[0];
        let offloads = machine.command_line.offloads;
        let options = Options {
            disable: disabled(offloads),
            ..Options::default()
        };
        let mut port = NetPort::new(found, device_memory, options)?;

        let sizes = Sizes::of(machine.memory.largest_bytes(), Sizes::conn_len::<A>())?;
        let pool = take_pool(&mut machine.memory, sizes.frames)?;
        let queue = port.queue(0, pool).ok_or(NetError::NoQueue)?;
        let storage = sizes.storage(&mut machine.memory)?;
        let now = Instant::from_micros(machine.clock.now_us());
        let mut caps = port.caps();
        if !offloads.has(Offloads::SG) {
            caps.fragments_max = 1;
        }
        let mut seed = [0; 16];
        machine.entropy.fill(&mut seed);
        let mut stack = Stack::new(Setup {
            pool,
            caps,
            mac: port.mac(),
            storage,
            tcp: Settings {
                congestion: machine.command_line.congestion,
                ..Settings::default()
            },
            seed: u128::from_le_bytes(seed),
            now,
        });
        match machine.command_line.ip {
            Ip::Off => console!("simoom: warning: ip=off: there is no address to be reached at"),
            Ip::Dhcp { .. } => stack.start_dhcp(now),
            Ip::Static(StaticIp {
                client,
                prefix_len,
                gateway,
                ..
            }) => {
                let cidr = host_cidr(client, prefix_len).ok_or(NetError::BadAddress)?;
                stack.configure(cidr, gateway.map(Addr::v4));
            }
        }
        stack.set_link(port.link(), now);
        Ok(Self {
            stack,
            queue,
            port,
            pool,
            has_interrupt,
            capture: RefCell::default(),
            caps,
            sizes,
        })
    }

    /// Sums `content` up, which is going to be sent, in what memory is left. `None` when the card
    /// does checksums; and when there is too little memory, which is told.
    pub fn sums(&self, machine: &mut Machine, content: &'static [u8]) -> Option<&'static Sums> {
        if self.caps.checksums.tx {
            return None;
        }
        let memory = &mut machine.memory;
        let table = memory.take_slice(Sums::entries(content.len()), |_| 0_u16);
        let place = memory.take_slice(1, |_| None);
        match (table, place) {
            (Ok(table), Ok([place])) => {
                *place = Sums::of(content, table);
                place.as_ref()
            }
            _ => {
                console!(
                    "simoom: warning: no memory for checksums: each body is summed as it goes"
                );
                None
            }
        }
    }

    /// The station address.
    pub fn mac(&self) -> MacAddr {
        self.port.mac()
    }

    /// What was agreed with the device.
    pub fn features(&self) -> Features {
        self.port.features()
    }

    /// The state of the link, asked from the device.
    pub fn link(&mut self) -> LinkState {
        self.port.link()
    }

    /// How the memory was divided.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }
}

impl<A: App> fmt::Display for Net<A> {
    /// The device, the rung of the zero-copy ladder, and how the memory was divided.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "network card {}: {}; {} frames, {} connections",
            self.port.mac(),
            Ladder(&self.caps),
            self.sizes.frames,
            self.sizes.conns
        )
    }
}

/// The rung of the zero-copy ladder that a port allows.
struct Ladder<'a>(&'a Caps);

impl fmt::Display for Ladder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Caps {
            fragments_max,
            checksums,
            tso,
            rx_large,
            ..
        } = *self.0;
        let bodies = match fragments_max {
            1 => "copied",
            _ => "by reference",
        };
        let by = |is_device| if is_device { "the card" } else { "us" };
        let cut_by = by(tso.tcp_v4 && checksums.tx && fragments_max > 1);
        let received = if rx_large {
            "up to 64 KiB"
        } else {
            "one by one"
        };
        write!(
            f,
            "bodies {bodies}, checksums by {}, segments cut by {cut_by}; \
             received {received}, checked by {}",
            by(checksums.tx),
            by(checksums.rx)
        )
    }
}

/// The features that are not to be used.
fn disabled(offloads: Offloads) -> Features {
    let features = [
        (Offloads::TX, Features::CSUM),
        (Offloads::RX, Features::GUEST_CSUM),
        (
            Offloads::TSO,
            Features::HOST_TSO4 | Features::HOST_TSO6 | Features::HOST_USO,
        ),
        (Offloads::LRO, Features::GUEST_TSO4 | Features::GUEST_TSO6),
        (Offloads::MRG, Features::MRG_RXBUF),
        (Offloads::EVENT, Features::EVENT_IDX),
    ];
    let off = features.iter().filter(|(one, _)| !offloads.has(*one));
    off.fold(Features::NONE, |set, (_, features)| set | *features)
}

/// The machine's first network device.
fn find_port(machine: &Machine) -> Result<Found, NetError> {
    if let Some(access) = machine.pci {
        let msi = irq::msi().ok().map(|msi| virtio_pci::Msi {
            address: msi.address,
            data: msi.data,
        });
        match virtio_pci::find::<MachineHal, _>(access, 0, msi) {
            Err(DeviceError::NoDevice) => {}
            found => return Ok(found?),
        }
    }
    let slots = machine.mmio_slots.iter().map(|slot| virtio_mmio::Slot {
        base: slot.base,
        size: slot.size,
        gsi: slot.gsi,
    });
    Ok(virtio_mmio::find::<MachineHal>(slots, 0)?)
}

/// Connects the device's interrupt; false when it has to be polled by the clock instead.
fn connect(interrupt: Interrupt) -> bool {
    let Interrupt::Line(gsi) = interrupt else {
        return true;
    };
    match irq::route(gsi) {
        Ok(_) => true,
        Err(error) => {
            console!("simoom: warning: interrupt line {gsi}: {error}; polling by the clock");
            false
        }
    }
}

/// A pool of `frames` frames. Their memory stays untouched, so that a machine that does not need
/// them all costs its host nothing.
fn take_pool(
    memory: &mut Memory,
    frames: usize,
) -> Result<&'static FramePool<'static>, OutOfMemory> {
    let bytes = memory.take_bytes(frames * FRAME_SIZE, align_of::<FrameMemory>())?;
    // SAFETY: a FrameMemory is FRAME_SIZE bytes, of any value, and nothing else (repr(C)); the
    // alignment was asked for, and `align_to_mut` cuts off what does not fit.
    let (_, frame_memory, _) = unsafe { bytes.align_to_mut::<FrameMemory>() };
    let metas = memory.take_slice(frames, |_| FrameMeta::new())?;
    let mut pool = Some(FramePool::new(frame_memory, metas));
    let place = memory.take_slice(1, |_| pool.take())?;
    Ok(place[0].as_ref().expect("the pool was just put there"))
}

impl Tables for Memory {
    type Error = OutOfMemory;

    fn slice<T>(
        &mut self,
        len: usize,
        mut make: impl FnMut() -> T,
    ) -> Result<&'static mut [T], OutOfMemory> {
        self.take_slice(len, |_| make())
    }
}
