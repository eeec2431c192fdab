//! The machine's network: its first virtio-net device, and a stack over it.
//!
//! ```text
//!   find_port   PCI (ECAM or ports), then virtio-mmio (command line or scan) ─► VirtioNet
//!   Sizes       what is left of the memory ─► frames, connections
//!   Net::start  both, and the interrupt ─► Net { stack, .. }, which `run` drives
//! ```
//!
//! Memory is divided once, after the image has taken what it serves: see [`Sizes`].

use core::fmt;
use core::net::Ipv4Addr;

use simoom::iface::{Setup, Stack};
use simoom::tcp::{
    App, BodyNode, ConnSlot, DemuxEntry, FlightEntry, GapEntry, SentNode, Settings, Storage,
    SynEntry, TimeWaitEntry, TimerNode,
};
use simoom::{Addr, Cidr, Instant};
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
    TooLittleMemory {
        /// Bytes in the largest free piece.
        free_len: u64,
        /// Bytes that it takes at least.
        least_len: u64,
    },
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
            NetError::TooLittleMemory {
                free_len,
                least_len,
            } => write!(
                f,
                "too little memory: {} KiB left beside the image and what it serves, {} KiB needed",
                free_len >> 10,
                least_len.div_ceil(1024)
            ),
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

impl From<OutOfMemory> for NetError {
    fn from(error: OutOfMemory) -> Self {
        NetError::Memory(error)
    }
}

/// How the memory is divided. Half of what is free may become frames, a quarter connections; the
/// rest stays free. Both have a least, below which the machine refuses to serve, and a most,
/// beyond which more would only take longer to boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Frames: those in the rings, received data that is kept, heads of answers.
    pub frames: usize,
    /// Connections; and as many in TIME-WAIT.
    pub conns: usize,
    /// Half-open connections.
    pub syns: usize,
    /// Pieces in all send queues: two are an answer.
    pub bodies: usize,
    /// Connections that have received something behind a gap.
    pub gaps: usize,
    /// Connections that have something in flight at once, with what each range of it takes; one
    /// more makes do with less.
    pub flights: usize,
}

impl Sizes {
    /// Sizes for `free_len` bytes in one piece, with `conn_len` bytes for each connection.
    pub const fn of(free_len: u64, conn_len: usize) -> Result<Sizes, NetError> {
        let frames = clamp(free_len / 2 / FRAME_LEN, FRAMES_MIN, FRAMES_MAX);
        let conns = clamp(free_len / 4 / conn_len as u64, CONNS_MIN, CONNS_MAX);
        let sizes = Sizes {
            frames,
            conns,
            syns: conns / 4,
            bodies: conns * BODIES_A_CONN,
            gaps: conns / 4,
            flights: conns / FLIGHT_CONNS,
        };
        let least_len = frames as u64 * FRAME_LEN + (conns * conn_len) as u64 + SPARE_LEN;
        if least_len > free_len {
            return Err(NetError::TooLittleMemory {
                free_len,
                least_len,
            });
        }
        Ok(sizes)
    }

    /// Bytes that one connection takes in all tables.
    const fn conn_len<A: App>() -> usize {
        let own = size_of::<ConnSlot<'static, A>>() + size_of::<TimeWaitEntry>();
        let share = BODIES_A_CONN * size_of::<BodyNode<'static>>()
            + size_of::<SynEntry>().div_ceil(4)
            + size_of::<GapEntry<'static>>().div_ceil(4)
            + flight_len().div_ceil(FLIGHT_CONNS)
            + 2 * size_of::<TimerNode>();
        // Twice two and a quarter places, rounded up to a power of two.
        own + share + 9 * size_of::<DemuxEntry>()
    }
}

const fn clamp(wanted: u64, least: usize, most: usize) -> usize {
    if wanted < least as u64 {
        least
    } else if wanted > most as u64 {
        most
    } else {
        wanted as usize
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
        let storage = take_storage(&mut machine.memory, sizes)?;
        let now = Instant::from_micros(machine.clock.now_us());
        let mut caps = port.caps();
        if !offloads.has(Offloads::SG) {
            caps.fragments_max = 1;
        }
        let mut seed = [0; 8];
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
            seed: u64::from_le_bytes(seed),
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
            caps,
            sizes,
        })
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

/// An address that a host can have on its network: not the network's own, nor its broadcast
/// address (RFC 1122 3.2.1.3), where the prefix leaves room for these (RFC 3021).
fn host_cidr(addr: Ipv4Addr, prefix_len: u8) -> Option<Cidr> {
    let cidr = Cidr::new(addr, prefix_len)?;
    let host_bits = u32::MAX.checked_shr(prefix_len.into()).unwrap_or(0);
    let host = addr.to_bits() & host_bits;
    (prefix_len > 30 || (host != 0 && host != host_bits)).then_some(cidr)
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

fn take_storage<A: App + 'static>(
    memory: &mut Memory,
    sizes: Sizes,
) -> Result<Storage<'static, A>, OutOfMemory> {
    let Sizes {
        conns,
        syns,
        bodies,
        gaps,
        flights,
        ..
    } = sizes;
    let demux = Storage::<A>::demux_len(conns, syns, conns);
    Ok(Storage {
        conns: memory.take_slice(conns, |_| ConnSlot::default())?.into(),
        syns: memory.take_slice(syns, |_| SynEntry::default())?.into(),
        time_waits: memory
            .take_slice(conns, |_| TimeWaitEntry::default())?
            .into(),
        bodies: memory.take_slice(bodies, |_| BodyNode::default())?.into(),
        gaps: memory.take_slice(gaps, |_| GapEntry::default())?.into(),
        flights: memory
            .take_slice(flights, |_| FlightEntry::default())?
            .into(),
        sent: memory
            .take_slice(flights * SENT_A_FLIGHT, |_| SentNode::default())?
            .into(),
        timers: memory
            .take_slice(conns + syns, |_| TimerNode::default())?
            .into(),
        demux: memory.take_slice(demux, |_| DemuxEntry::default())?.into(),
    })
}

/// Memory of one frame with its place in the pool's table, in bytes.
const FRAME_LEN: u64 = (FRAME_SIZE + size_of::<FrameMeta>()) as u64;

/// Both rings of 256 full, and as many beside them.
const FRAMES_MIN: usize = 768;
/// 16 MiB: both rings, an answer's head for each of the most connections, and nearly as much again.
const FRAMES_MAX: usize = 8_192;
const CONNS_MIN: usize = 1_024;
const CONNS_MAX: usize = 4_096;

/// Pieces of send queues for each connection: two answers, on the average over all of them.
const BODIES_A_CONN: usize = 4;

/// Of so many connections one has something in flight, on the average.
const FLIGHT_CONNS: usize = 4;

/// Ranges in flight for each connection that has any, on the average over all of them: a burst is
/// one, and a recovery of a wide window takes tens.
const SENT_A_FLIGHT: usize = 8;

/// Bytes that a connection with something in flight takes for that.
const fn flight_len() -> usize {
    size_of::<FlightEntry>() + SENT_A_FLIGHT * size_of::<SentNode>()
}

/// What page-sized pieces and roundings may cost, in bytes.
const SPARE_LEN: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    const CONN_LEN: usize = 1_000;

    #[test]
    fn more_memory_never_means_less_and_all_of_it_fits() {
        let mut last: Option<Sizes> = None;
        for kib in 0..200_000_u64 {
            let free_len = kib << 10;
            let Ok(sizes) = Sizes::of(free_len, CONN_LEN) else {
                assert!(last.is_none(), "{kib} KiB are too little, less was not");
                continue;
            };
            assert!(sizes.frames as u64 * FRAME_LEN + (sizes.conns * CONN_LEN) as u64 <= free_len);
            assert!(sizes.conns >= CONNS_MIN && sizes.frames >= FRAMES_MIN);
            if let Some(last) = last {
                assert!(sizes.frames >= last.frames && sizes.conns >= last.conns);
            }
            last = Some(sizes);
        }
        let most = last.expect("200 MB suffice");
        assert_eq!((most.frames, most.conns), (FRAMES_MAX, CONNS_MAX));
    }

    #[test]
    fn a_host_has_neither_the_first_nor_the_last_address() {
        let is_good = |addr: [u8; 4], prefix_len| host_cidr(addr.into(), prefix_len).is_some();
        assert!(is_good([10, 0, 2, 15], 24) && is_good([10, 0, 2, 0], 16));
        assert!(!is_good([10, 0, 2, 0], 24) && !is_good([10, 0, 2, 255], 24));
        assert!(is_good([10, 0, 2, 0], 31) && is_good([10, 0, 2, 255], 32));
        assert!(is_good([10, 0, 0, 1], 0) && !is_good([10, 0, 0, 1], 33));
    }

    #[test]
    fn too_little_says_how_much_it_takes() {
        let Err(NetError::TooLittleMemory { least_len, .. }) = Sizes::of(1 << 20, CONN_LEN) else {
            panic!("1 MiB is too little");
        };
        assert!(Sizes::of(2 * least_len, CONN_LEN).is_ok());
        assert!(Sizes::of(least_len - 1, CONN_LEN).is_err());
    }
}
