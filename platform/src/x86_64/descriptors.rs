//! Segments, the task state with its stacks, and the interrupt descriptor table.
//!
//! Every gate switches to a stack of its own (Intel SDM 3, 6.14.5): interrupts to one, exceptions
//! to another. So neither a full stack nor the red zone of the interrupted function matters.

use super::record::BootRecord;
use core::arch::asm;
use core::cell::UnsafeCell;

/// The processor reads these for as long as it runs.
#[repr(C, align(16))]
struct Tables {
    gates: [[u64; 2]; 256],
    segments: [u64; 5],
    task: [u32; TASK_WORDS],
}

struct Shared(UnsafeCell<Tables>);

// SAFETY: written once, by the only processor, before the processor reads it.
unsafe impl Sync for Shared {}

static TABLES: Shared = Shared(UnsafeCell::new(Tables {
    gates: [[0; 2]; 256],
    segments: [0; 5],
    task: [0; TASK_WORDS],
}));

/// Installs all three, with the stubs and stacks of the record.
pub(crate) fn install(record: &BootRecord) {
    let tables = TABLES.0.get();
    let base = tables as u64;
    let mut task = [0; TASK_WORDS];
    for (stack_idx, top) in [
        (INTERRUPT_STACK, record.interrupt_stack_top),
        (EXCEPTION_STACK, record.exception_stack_top),
    ] {
        let word = TASK_STACKS + 2 * (stack_idx - 1);
        task[word] = top as u32;
        task[word + 1] = (top >> 32) as u32;
    }
    // No map of permitted ports: it would start behind the limit.
    task[TASK_WORDS - 1] = (TASK_WORDS as u32 * 4) << 16;
    let task_at = base + core::mem::offset_of!(Tables, task) as u64;
    let installed = Tables {
        gates: core::array::from_fn(|vector| gate(record.vectors, vector)),
        // The second and third are those of entry.s: no segment register changes.
        segments: [
            0,
            0x00af_9b00_0000_ffff,
            0x00cf_9300_0000_ffff,
            (TASK_WORDS as u64 * 4 - 1)
                | (task_at & 0xff_ffff) << 16
                | 0x89 << 40
                | (task_at >> 24 & 0xff) << 56,
            task_at >> 32,
        ],
        task,
    };
    // SAFETY: nobody reads the tables yet.
    unsafe { tables.write(installed) };
    let segments_at = base + core::mem::offset_of!(Tables, segments) as u64;
    let segments = pointer(segments_at, 5 * 8);
    // SAFETY: the code and data segments are as before, the tables are static.
    unsafe { asm!("lgdt [{}]", in(reg) &segments, options(readonly, nostack)) };
    // SAFETY: the selector is that of the task state above.
    unsafe { asm!("ltr {:x}", in(reg) TASK_SELECTOR, options(nostack)) };
    load_gates(base, 256 * 16);
}

/// Ends in a reset: a breakpoint without a gate, whose fault has no gate either.
pub(crate) fn triple_fault() -> ! {
    load_gates(0, 1);
    // SAFETY: nothing runs any more.
    unsafe { asm!("int3", options(noreturn, nostack)) }
}

fn load_gates(address: u64, len: u16) {
    let gates = pointer(address, len);
    // SAFETY: a valid table, or one that resets the machine.
    unsafe { asm!("lidt [{}]", in(reg) &gates, options(readonly, nostack)) };
}

/// Intel SDM 3, 6.14.1: an interrupt gate at ring 0.
fn gate(vectors: u64, vector: usize) -> [u64; 2] {
    let stub = vectors + vector as u64 * STUB_LEN;
    let stack = if vector < 32 {
        EXCEPTION_STACK
    } else {
        INTERRUPT_STACK
    } as u64;
    let low = (stub & 0xffff)
        | CODE_SELECTOR << 16
        | stack << 32
        | 0x8e << 40
        | (stub >> 16 & 0xffff) << 48;
    [low, stub >> 32]
}

/// The operand of `lgdt` and `lidt`.
fn pointer(address: u64, len: u16) -> [u8; 10] {
    let mut pointer = [0; 10];
    pointer[..2].copy_from_slice(&(len - 1).to_le_bytes());
    pointer[2..].copy_from_slice(&address.to_le_bytes());
    pointer
}

const CODE_SELECTOR: u64 = 8;
const TASK_SELECTOR: u64 = 24;
const STUB_LEN: u64 = 16;
/// Numbers of stacks in the task state, from 1.
const INTERRUPT_STACK: usize = 1;
const EXCEPTION_STACK: usize = 2;
/// Intel SDM 3, 7.7: the task state's length, and where its numbered stacks start, in 32-bit words.
const TASK_WORDS: usize = 26;
const TASK_STACKS: usize = 9;
