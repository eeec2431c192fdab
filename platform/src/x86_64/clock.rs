//! Time: the TSC, calibrated at boot; and sleeping on the local APIC's timer.
//!
//! ```text
//!   tsc_early_khz=   ─┐
//!   CPUID 0x40000010 ─┤ told                        now_us = (TSC - TSC at entry) * scale
//!   CPUID 0x15       ─┘
//!   PIT channel 2      measured against, 2 ms
//!   local APIC timer   under a hypervisor without PIT: its rate is 1 GHz by convention
//! ```

use super::cpu;
use super::irq::{LOCAL_APIC, LVT_TIMER, MASKED, TIMER_VECTOR};
use super::port::Port;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

static ENTERED_TSC: AtomicU64 = AtomicU64::new(0);
/// Microseconds a tick, times 2^32; 0 until calibrated.
static SCALE: AtomicU64 = AtomicU64::new(0);
static LAST_US: AtomicU64 = AtomicU64::new(0);
static TSC_HZ: AtomicU64 = AtomicU64::new(0);
/// Counts of the local APIC's timer a second, after its divider.
static TIMER_HZ: AtomicU64 = AtomicU64::new(0);
static SOURCE: AtomicU64 = AtomicU64::new(0);

/// Why there is no clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClockError {
    /// Nothing tells the TSC's rate, and there is nothing to measure it against.
    NoReference,
    /// The rate found cannot be one of a TSC.
    BadRate {
        /// In ticks a second.
        tsc_hz: u64,
    },
    /// The local APIC's timer does not run.
    NoTimer,
}

impl fmt::Display for ClockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClockError::NoReference => {
                f.write_str("no clock to calibrate the TSC with: say tsc_early_khz=KHZ")
            }
            ClockError::BadRate { tsc_hz } => {
                write!(
                    f,
                    "the TSC seems to run at {tsc_hz} Hz: say tsc_early_khz=KHZ"
                )
            }
            ClockError::NoTimer => f.write_str("the local APIC's timer stands still"),
        }
    }
}

impl core::error::Error for ClockError {}

/// The machine's clock. It counts from the image's first instruction and never goes back.
#[derive(Clone, Copy, Debug)]
pub struct Clock(());

impl Clock {
    pub(crate) fn new() -> Self {
        Clock(())
    }

    /// Microseconds since the loader entered the image.
    pub fn now_us(&self) -> u64 {
        now_us()
    }

    /// Ticks of the TSC a second.
    pub fn tsc_hz(&self) -> u64 {
        TSC_HZ.load(Ordering::Relaxed)
    }

    /// How the rate was found.
    pub fn source(&self) -> &'static str {
        SOURCES[(SOURCE.load(Ordering::Relaxed) as usize).min(SOURCES.len() - 1)]
    }
}

/// Microseconds since the loader entered the image, for those who have no [`Clock`]: time stamps
/// of logs. 0 until the clock is calibrated.
pub fn now_us() -> u64 {
    let ticks = cpu::tsc().saturating_sub(ENTERED_TSC.load(Ordering::Relaxed));
    let now_us = ticks_to_us(ticks, SCALE.load(Ordering::Relaxed));
    // A virtual machine that moves to another host may see its TSC jump.
    LAST_US.fetch_max(now_us, Ordering::Relaxed).max(now_us)
}

pub(crate) fn is_calibrated() -> bool {
    SCALE.load(Ordering::Relaxed) != 0
}

fn ticks_to_us(ticks: u64, scale: u64) -> u64 {
    ((u128::from(ticks) * u128::from(scale)) >> 32) as u64
}

/// Sleeps until an interrupt, or until the clock passes `until_us`. May return early; never
/// sleeps over an interrupt that came before the call.
pub(crate) fn idle(until_us: Option<u64>) {
    if let Some(until_us) = until_us {
        let left_us = until_us.saturating_sub(now_us());
        if left_us == 0 {
            return;
        }
        let ticks = u128::from(left_us) * u128::from(TIMER_HZ.load(Ordering::Relaxed)) / 1_000_000;
        LOCAL_APIC.write(LVT_TIMER, u32::from(TIMER_VECTOR));
        LOCAL_APIC.write(INITIAL_COUNT, u32::try_from(ticks + 1).unwrap_or(u32::MAX));
    }
    cpu::sleep();
    if until_us.is_some() {
        LOCAL_APIC.write(INITIAL_COUNT, 0);
        LOCAL_APIC.write(LVT_TIMER, MASKED);
    }
}

/// Finds the rates of the TSC and of the local APIC's timer.
pub(crate) fn install(entered_tsc: u64, tsc_khz: Option<u32>) -> Result<(), ClockError> {
    ENTERED_TSC.store(entered_tsc, Ordering::Relaxed);
    LOCAL_APIC.write(DIVIDE, DIVIDE_BY_16);
    LOCAL_APIC.write(INITIAL_COUNT, u32::MAX);
    let rates = told(tsc_khz).or_else(measured).or_else(assumed);
    LOCAL_APIC.write(INITIAL_COUNT, 0);
    let Rates {
        tsc_hz,
        timer_hz,
        source,
    } = rates.ok_or(ClockError::NoReference)?;
    if !(TSC_HZ_MIN..=TSC_HZ_MAX).contains(&tsc_hz) {
        return Err(ClockError::BadRate { tsc_hz });
    }
    if timer_hz < TIMER_HZ_MIN {
        return Err(ClockError::NoTimer);
    }
    TSC_HZ.store(tsc_hz, Ordering::Relaxed);
    TIMER_HZ.store(timer_hz, Ordering::Relaxed);
    SOURCE.store(source, Ordering::Relaxed);
    SCALE.store((1_000_000 << 32) / tsc_hz, Ordering::Relaxed);
    Ok(())
}

struct Rates {
    tsc_hz: u64,
    timer_hz: u64,
    source: u64,
}

/// Rates that the command line, the hypervisor or the processor tells.
fn told(tsc_khz: Option<u32>) -> Option<Rates> {
    let with_timer = |tsc_hz, source| {
        Some(Rates {
            tsc_hz,
            timer_hz: timer_hz_by_tsc(tsc_hz),
            source,
        })
    };
    if let Some(khz) = tsc_khz {
        return with_timer(u64::from(khz) * 1000, 0);
    }
    // VMware's leaf, which KVM and others offer as well: TSC and bus rates in kHz.
    let hypervisor = cpu::cpuid(0x4000_0010);
    if is_hypervisor() && hypervisor.eax != 0 {
        return with_timer(u64::from(hypervisor.eax) * 1000, 1);
    }
    // Intel SDM 2A, CPUID 15H: TSC = crystal (ecx) * ebx / eax.
    let crystal = cpu::cpuid(0x15);
    if crystal.eax != 0 && crystal.ebx != 0 && crystal.ecx != 0 {
        let tsc_hz = u64::from(crystal.ecx) * u64::from(crystal.ebx) / u64::from(crystal.eax);
        return with_timer(tsc_hz, 2);
    }
    None
}

/// Rates by the PC's timer chip, over about 2 ms.
fn measured() -> Option<Rates> {
    let gate = CONTROL_B.read8();
    CONTROL_B.write8((gate & !SPEAKER) | GATE);
    let measured = (0..TRIES_MAX).find_map(|_| measure_once().transpose());
    CONTROL_B.write8(gate);
    measured?.ok()
}

/// One measurement; `Ok(None)` when the chip has counted past its end meanwhile. It does so after
/// 55 ms, and a busy host may have had the virtual processor wait for longer: the rates would be
/// some 28 times too high.
fn measure_once() -> Result<Option<Rates>, NoPit> {
    PIT_MODE.write8(0xb0); // channel 2, both bytes, count down once
    PIT_COUNT.write8(0xff);
    PIT_COUNT.write8(0xff);
    let first = sample();
    let mut last = first.clone();
    for _ in 0..SAMPLES_MAX {
        if first.count.wrapping_sub(last.count) >= WINDOW {
            break;
        }
        last = sample();
    }
    let ticks = u64::from(first.count.wrapping_sub(last.count));
    // A chip that is not there reads as a constant.
    if ticks < u64::from(WINDOW) {
        return Err(NoPit);
    }
    PIT_MODE.write8(0xe8); // read back: the status of channel 2
    if PIT_COUNT.read8() & OUT != 0 {
        return Ok(None);
    }
    let rate = |counts: u64| counts.saturating_mul(PIT_HZ) / ticks;
    Ok(Some(Rates {
        tsc_hz: rate(last.tsc.wrapping_sub(first.tsc)),
        timer_hz: rate(u64::from(first.timer.wrapping_sub(last.timer))),
        source: 3,
    }))
}

/// There is no timer chip that counts.
struct NoPit;

/// Without a reference: hypervisors run the local APIC's timer at 1 GHz.
fn assumed() -> Option<Rates> {
    if !is_hypervisor() {
        return None;
    }
    let (first_tsc, first) = (cpu::tsc(), LOCAL_APIC.read(CURRENT_COUNT));
    let mut ticks = 0;
    for _ in 0..LOOKS_MAX {
        ticks = first.wrapping_sub(LOCAL_APIC.read(CURRENT_COUNT));
        if u64::from(ticks) >= HYPERVISOR_TIMER_HZ / 500 {
            break;
        }
    }
    let elapsed_tsc = cpu::tsc().wrapping_sub(first_tsc);
    let tsc_hz = elapsed_tsc
        .saturating_mul(HYPERVISOR_TIMER_HZ)
        .checked_div(u64::from(ticks))?;
    Some(Rates {
        tsc_hz,
        timer_hz: HYPERVISOR_TIMER_HZ,
        source: 4,
    })
}

/// The timer's rate when the TSC's is known, over 1 ms.
fn timer_hz_by_tsc(tsc_hz: u64) -> u64 {
    let (first_tsc, first) = (cpu::tsc(), LOCAL_APIC.read(CURRENT_COUNT));
    let window = (tsc_hz / 1000).min(TSC_HZ_MAX / 1000);
    while cpu::tsc().wrapping_sub(first_tsc) < window {
        core::hint::spin_loop();
    }
    let (last_tsc, last) = (cpu::tsc(), LOCAL_APIC.read(CURRENT_COUNT));
    let counts = u64::from(first.wrapping_sub(last));
    (counts * tsc_hz)
        .checked_div(last_tsc.wrapping_sub(first_tsc))
        .unwrap_or(0)
}

/// The three counters at about one moment.
#[derive(Clone)]
struct Sample {
    tsc: u64,
    count: u16,
    timer: u32,
}

/// The best of four: the one whose reads lay closest together, so that a pause of the virtual
/// processor between two reads does not count as time.
fn sample() -> Sample {
    let mut best = (
        u64::MAX,
        Sample {
            tsc: 0,
            count: 0,
            timer: 0,
        },
    );
    for _ in 0..4 {
        let before = cpu::tsc();
        PIT_MODE.write8(0x80); // latch channel 2
        let timer = LOCAL_APIC.read(CURRENT_COUNT);
        let after = cpu::tsc();
        let count = u16::from_le_bytes([PIT_COUNT.read8(), PIT_COUNT.read8()]);
        let width = after.wrapping_sub(before);
        if width < best.0 {
            best = (
                width,
                Sample {
                    tsc: before + width / 2,
                    count,
                    timer,
                },
            );
        }
    }
    best.1
}

fn is_hypervisor() -> bool {
    cpu::cpuid(1).ecx & 1 << 31 != 0
}

const SOURCES: [&str; 5] = [
    "command line",
    "hypervisor",
    "processor",
    "PIT",
    "local APIC",
];

// SAFETY: the PC's timer chip and its gate reach no memory.
const PIT_COUNT: Port = unsafe { Port::new(0x42) };
// SAFETY: as above.
const PIT_MODE: Port = unsafe { Port::new(0x43) };
// SAFETY: as above.
const CONTROL_B: Port = unsafe { Port::new(0x61) };
const GATE: u8 = 1;
const SPEAKER: u8 = 2;
const PIT_HZ: u64 = 1_193_182;
/// The status bit that says that a count that runs once is over.
const OUT: u8 = 1 << 7;
/// Measurements until a host that takes the processor away each time is given up.
const TRIES_MAX: u32 = 50;
/// PIT ticks to measure over: 2 ms, in which one tick more or less is 0.04 %.
const WINDOW: u16 = 2_386;
/// Samples until a PIT that does not count is given up: some 10 ms.
const SAMPLES_MAX: u32 = 4_000;
const LOOKS_MAX: u32 = 1_000_000;
const HYPERVISOR_TIMER_HZ: u64 = 1_000_000_000 / 16;

const TSC_HZ_MIN: u64 = 100_000_000;
const TSC_HZ_MAX: u64 = 10_000_000_000;
const TIMER_HZ_MIN: u64 = 100_000;

// Registers of the local APIC's timer, Intel SDM 3, 11.5.4.
const INITIAL_COUNT: u32 = 0x380;
const CURRENT_COUNT: u32 = 0x390;
const DIVIDE: u32 = 0x3e0;
const DIVIDE_BY_16: u32 = 0b0011;
