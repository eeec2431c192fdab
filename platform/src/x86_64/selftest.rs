//! The platform's self-test: prints what the machine gives, and fails on purpose when asked.
//!
//! `selftest` on the command line asks for it. `selftest=VALUE` ends in the report of a failure:
//!
//! | value | what happens |
//! |---|---|
//! | `idle` | none: five seconds of sleep, and how often it was woken |
//! | `fault` | a write to code |
//! | `rodata`, `initrd` | a write to what is read only |
//! | `exec` | execution of data |
//! | `null` | a write to address 8 |
//! | `divide` | a division by zero |
//! | `stack` | recursion without end |
//! | `panic` | a panic |
//! | `oom` | more memory than there is |

use super::{ExitCode, Machine, console, irq, pci};

/// Runs the self-test if the command line asks for it; the exit code.
pub fn asked(machine: &mut Machine) -> Option<ExitCode> {
    machine.command_line.get("selftest")?;
    Some(run(machine))
}

/// Runs the self-test.
pub fn run(machine: &mut Machine) -> ExitCode {
    let main_us = machine.clock.now_us();
    print_facts(machine, main_us);
    let is_good = sleeps(machine) & copies(machine);
    #[cfg(feature = "defmt")]
    logs();
    fail_on_purpose(machine);
    console!("unexpected interrupts: {}", irq::unexpected());
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn print_facts(machine: &mut Machine, main_us: u64) {
    let facts = machine.facts;
    console!(
        "simoom: {} by {:?} under {}, entry to main {main_us} us",
        facts.kind,
        facts.protocol,
        facts.hypervisor()
    );
    console!(
        "memory: {} KiB usable, {} KiB free, largest piece {} KiB, image {} KiB",
        facts.memory_len >> 10,
        machine.memory.free_bytes() >> 10,
        machine.memory.largest_bytes() >> 10,
        facts.image_len >> 10
    );
    let line = machine.command_line;
    console!("command line: {:?}", line.text);
    console!("ip: {:?}", line.ip);
    console!(
        "clock: TSC {} kHz by {}",
        machine.clock.tsc_hz() / 1000,
        machine.clock.source()
    );
    console!(
        "entropy: {:?} {:02x?}",
        machine.entropy.source(),
        &machine.entropy.seed()[..8]
    );
    match machine.initrd {
        Some(initrd) => {
            let sum = initrd
                .iter()
                .fold(0u32, |sum, byte| sum.wrapping_add(u32::from(*byte)));
            console!("initrd: {} bytes, sum {sum}", initrd.len());
        }
        None => console!("initrd: none"),
    }
    match machine.pci {
        Some(pci::Config::Ports) => console!("pci: ports"),
        Some(pci::Config::Ecam(ecam)) => console!("pci: ecam at {:#x}", ecam.base()),
        None => console!(
            "pci: none, {} virtio-mmio slots",
            machine.mmio_slots.iter().count()
        ),
    }
    console!("irq: msi {:x?}, line 24: {}", irq::msi(), irq::has_line(24));
}

/// Ten sleeps of 2 ms: how late each ends.
fn sleeps(machine: &Machine) -> bool {
    let (mut late_us_max, mut early_cnt) = (0, 0);
    for _ in 0..10 {
        let until_us = machine.clock.now_us() + 2_000;
        while machine.clock.now_us() < until_us {
            machine.idle(Some(until_us));
            early_cnt += u32::from(machine.clock.now_us() < until_us);
        }
        late_us_max = late_us_max.max(machine.clock.now_us() - until_us);
    }
    console!("idle: 10 times 2 ms, at most {late_us_max} us late, {early_cnt} early");
    early_cnt < 10
}

/// The memory routines of the image, on every length and offset up to 80 bytes.
fn copies(machine: &mut Machine) -> bool {
    let Ok(bytes) = machine.memory.take_bytes(512, 64) else {
        return false;
    };
    let pattern = |byte_idx: usize| (byte_idx as u8).wrapping_mul(37) ^ 0x5a;
    let mut wrong_cnt = 0;
    for len in 0..80 {
        for (from, to) in [
            (100, 300),
            (100, 101),
            (101, 100),
            (100, 107),
            (110, 100),
            (100, 140),
        ] {
            bytes
                .iter_mut()
                .enumerate()
                .for_each(|(idx, byte)| *byte = pattern(idx));
            bytes.copy_within(from..from + len, to);
            wrong_cnt += u32::from(bytes.iter().enumerate().any(|(idx, byte)| {
                let is_copied = (to..to + len).contains(&idx);
                *byte != pattern(if is_copied { idx - to + from } else { idx })
            }));
        }
        let (low, high) = bytes.split_at_mut(256);
        low.fill(0);
        low[3..3 + len].fill(7);
        wrong_cnt +=
            u32::from(low.iter().map(|byte| u32::from(*byte)).sum::<u32>() != 7 * len as u32);
        high[..len].copy_from_slice(&low[3..3 + len]);
        wrong_cnt += u32::from(core::hint::black_box(&high[..len]) != &low[3..3 + len]);
        if len > 0 {
            high[len - 1] = 8;
            wrong_cnt += u32::from(core::hint::black_box(&high[..len]) <= &low[3..3 + len]);
        }
    }
    console!("copies: {wrong_cnt} wrong");
    wrong_cnt == 0
}

#[cfg(feature = "defmt")]
fn logs() {
    defmt::error!("an error, {=u32}", 1);
    defmt::warn!("a warning, {=str}", "text");
    defmt::info!("information, {=u64}", 3);
    defmt::debug!("debugging");
    defmt::trace!("tracing");
}

fn fail_on_purpose(machine: &mut Machine) {
    match machine.command_line.get("selftest") {
        Some("idle") => {
            let (until_us, mut wakeup_cnt) = (machine.clock.now_us() + 5_000_000, 0);
            while machine.clock.now_us() < until_us {
                machine.idle(Some(until_us));
                wakeup_cnt += 1;
            }
            console!("idle: 5 s, {wakeup_cnt} wake-ups");
        }
        Some("panic") => panic!("as asked"),
        Some("divide") => provoke::divide(),
        Some("stack") => console!("{}", deeper(1)),
        Some("oom") => {
            let memory = &mut machine.memory;
            let asked_len = memory.free_bytes() as usize + 1;
            console!(
                "{:?}",
                memory.take_bytes(asked_len, 1).map(|bytes| bytes.len())
            );
        }
        Some("") | None => {}
        Some(place) => provoke::write(place, machine.initrd),
    }
}

#[allow(unconditional_recursion)]
fn deeper(depth: u64) -> u64 {
    let room = core::hint::black_box([depth; 64]);
    deeper(depth + 1) + room[7]
}

/// Accesses that no safe program makes.
mod provoke {
    use core::hint::black_box;

    pub(crate) fn divide() {
        // SAFETY: raises an exception, which ends the image.
        unsafe {
            core::arch::asm!("xor ecx, ecx", "div ecx", out("ecx") _, out("eax") _, out("edx") _)
        };
    }

    pub(crate) fn write(place: &str, initrd: Option<&'static [u8]>) {
        static CONSTANT: [u64; 2] = [1, 2];
        let address = match place {
            "fault" => divide as *const () as usize,
            "rodata" => black_box(&CONSTANT).as_ptr() as usize,
            "initrd" => initrd.map_or(0, |initrd| initrd.as_ptr() as usize + 8192),
            "exec" => {
                let code = black_box([0xc3u8; 8]);
                let address = code.as_ptr();
                // SAFETY: raises an exception, which ends the image.
                let call: extern "C" fn() = unsafe { core::mem::transmute(address) };
                return call();
            }
            _ => 8,
        };
        // SAFETY: raises an exception, which ends the image.
        unsafe { (black_box(address) as *mut u32).write_volatile(1) };
    }
}
