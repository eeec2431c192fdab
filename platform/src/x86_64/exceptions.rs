//! Fatal exceptions and panics: a report that a person, or the host program, can read.
//!
//! ```text
//!   exception: page fault (vector 14), error 0x3, address 0x201000
//!     rip 0x..  rsp 0x..  ..
//!   backtrace:
//!     #0 0x2034f1
//!     #1 0x2010aa ?
//!     #2 0x20110c ? 31 times
//! ```
//!
//! `addr2line -fie IMAGE ADDRESS` names each line: the image keeps its line tables in the file,
//! which are not loaded. There are no frame pointers to follow, so lines marked `?` are what on
//! the stack looks like a return address: text, right behind a call instruction. A few may be left
//! over from calls that have returned. They point behind the call: look up the address minus one.

#[cfg(test)]
mod tests;

use super::exit::{self, ExitCode};
use super::record::BootRecord;
use super::{console as serial, cpu};
use crate::console;
use core::ops::Range;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What `simoom_exception_entry` in `asm/vectors.s` pushed, and the processor before it.
#[repr(C)]
struct Frame {
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    rbp: u64,
    rdi: u64,
    rsi: u64,
    rdx: u64,
    rcx: u64,
    rbx: u64,
    rax: u64,
    vector: u64,
    error: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

static TEXT_START: AtomicU64 = AtomicU64::new(0);
static TEXT_END: AtomicU64 = AtomicU64::new(0);
/// Guard page and top of each stack, interrupt, exception, main.
static STACKS: [[AtomicU64; 2]; 3] = [const { [const { AtomicU64::new(0) }; 2] }; 3];
static IS_FAILING: AtomicBool = AtomicBool::new(false);

/// Remembers where text and stacks are.
pub(crate) fn install(record: &BootRecord) {
    TEXT_START.store(record.text_start, Ordering::Relaxed);
    TEXT_END.store(record.rodata_start, Ordering::Relaxed);
    let tops = [
        record.interrupt_stack_top,
        record.exception_stack_top,
        record.stack_top,
    ];
    for (stack, (guard, top)) in STACKS.iter().zip(record.guards.iter().zip(tops)) {
        stack[0].store(*guard, Ordering::Relaxed);
        stack[1].store(top, Ordering::Relaxed);
    }
}

/// The panic routine of an image.
pub fn panicked(info: &PanicInfo<'_>) -> ! {
    begin();
    console!("{info}");
    backtrace(cpu::stack_pointer());
    exit::fail(ExitCode::PANIC)
}

/// Called by the exception stubs.
#[unsafe(no_mangle)]
extern "C" fn simoom_exception(frame: &Frame) -> ! {
    begin();
    let Frame {
        r15,
        r14,
        r13,
        r12,
        r11,
        r10,
        r9,
        r8,
        rbp,
        rdi,
        rsi,
        ..
    } = frame;
    let Frame {
        rdx,
        rcx,
        rbx,
        rax,
        vector,
        error,
        rip,
        cs,
        rflags,
        rsp,
        ss,
        ..
    } = frame;
    let cr2 = cpu::cr2();
    let name = NAMES.get(*vector as usize).unwrap_or(&"reserved");
    console!("exception: {name} (vector {vector}), error {error:#x}, address {cr2:#x}");
    if let Some(stack_idx) = STACKS.iter().position(|stack| {
        let guard = stack[0].load(Ordering::Relaxed);
        *vector == PAGE_FAULT && (guard..guard + GUARD_LEN).contains(&cr2)
    }) {
        console!("  the {} stack is full", STACK_NAMES[stack_idx]);
    }
    console!("  rip {rip:#018x}  cs {cs:#06x}  rflags {rflags:#010x}");
    console!("  rsp {rsp:#018x}  ss {ss:#06x}");
    console!("  rax {rax:#018x}  rbx {rbx:#018x}  rcx {rcx:#018x}  rdx {rdx:#018x}");
    console!("  rsi {rsi:#018x}  rdi {rdi:#018x}  rbp {rbp:#018x}  r8  {r8:#018x}");
    console!("  r9  {r9:#018x}  r10 {r10:#018x}  r11 {r11:#018x}  r12 {r12:#018x}");
    console!("  r13 {r13:#018x}  r14 {r14:#018x}  r15 {r15:#018x}");
    console!("backtrace:");
    console!("  #0 {rip:#x}");
    scan(*rsp, 1);
    exit::fail(ExitCode::PANIC)
}

/// Makes the console ours. A failure while one is reported ends the machine at once.
fn begin() {
    if IS_FAILING.swap(true, Ordering::Relaxed) {
        exit::fail(ExitCode::PANIC);
    }
    // SAFETY: whoever holds the console was interrupted for good: no report returns.
    unsafe { serial::seize() };
}

fn backtrace(stack_pointer: u64) {
    console!("backtrace:");
    scan(stack_pointer, 0);
}

/// Prints what looks like return addresses between `stack_pointer` and the top of its stack.
fn scan(stack_pointer: u64, first_number: usize) {
    let stacks = STACKS.iter().map(|stack| {
        (
            stack[0].load(Ordering::Relaxed),
            stack[1].load(Ordering::Relaxed),
        )
    });
    // A stack pointer in the guard page is one of a full stack: what is above the page counts.
    let Some((guard, top)) = stacks
        .into_iter()
        .find(|(guard, top)| (*guard..*top).contains(&stack_pointer))
    else {
        return;
    };
    let bottom = stack_pointer.max(guard + GUARD_LEN).next_multiple_of(8);
    let words = (bottom..top).step_by(8).map(|address| {
        // SAFETY: a word of a mapped stack.
        unsafe { (address as *const u64).read_volatile() }
    });
    let mut returns = words.filter(|word| is_return_address(*word)).peekable();
    for number in first_number..first_number + LINES_MAX {
        let Some(address) = returns.next() else {
            return;
        };
        // A recursion, or a slot that one call after another has used.
        let mut times = 1;
        while returns.next_if_eq(&address).is_some() {
            times += 1;
        }
        match times {
            1 => console!("  #{number} {address:#x} ?"),
            _ => console!("  #{number} {address:#x} ? {times} times"),
        }
    }
}

/// Whether `address` is in text, right behind a call.
fn is_return_address(address: u64) -> bool {
    let text = TEXT_START.load(Ordering::Relaxed)..TEXT_END.load(Ordering::Relaxed);
    if address < text.start + CALL_LEN_MAX as u64 || address > text.end {
        return false;
    }
    let before = (address - CALL_LEN_MAX as u64) as *const [u8; CALL_LEN_MAX];
    // SAFETY: bytes of the text, which is mapped and never written.
    is_behind_call(unsafe { &*before }, address, text)
}

/// Whether the bytes `before` an address end in a call instruction (Intel SDM 2A, CALL).
fn is_behind_call(before: &[u8; CALL_LEN_MAX], address: u64, text: Range<u64>) -> bool {
    let [.., opcode, d0, d1, d2, d3] = *before;
    // E8 with a distance, whose target must be text as well.
    if opcode == 0xe8 {
        let distance = i32::from_le_bytes([d0, d1, d2, d3]);
        return text.contains(&address.wrapping_add_signed(i64::from(distance)));
    }
    // FF /2 with its operand: how long that is, the mod and r/m fields tell.
    (2..=CALL_LEN_MAX).any(|len| {
        let [0xff, operand, ..] = before[CALL_LEN_MAX - len..] else {
            return false;
        };
        let operand_len = match (operand >> 6, operand & 7) {
            (3, _) => 0,
            (0, 5) => 4,
            (0, 4) => 1,
            (0, _) => 0,
            (1, 4) => 2,
            (1, _) => 1,
            (_, 4) => 5,
            (_, _) => 4,
        };
        operand >> 3 & 7 == 2 && len == 2 + operand_len
    })
}

const PAGE_FAULT: u64 = 14;
const GUARD_LEN: u64 = 4096;
const LINES_MAX: usize = 24;
/// Without prefixes, which come before and do not matter.
const CALL_LEN_MAX: usize = 7;
const STACK_NAMES: [&str; 3] = ["interrupt", "exception", "main"];

/// Intel SDM 3, table 6-1.
const NAMES: [&str; 22] = [
    "divide error",
    "debug",
    "non-maskable interrupt",
    "breakpoint",
    "overflow",
    "bound range exceeded",
    "invalid opcode",
    "device not available",
    "double fault",
    "coprocessor segment overrun",
    "invalid task state",
    "segment not present",
    "stack segment fault",
    "general protection",
    "page fault",
    "reserved",
    "floating-point error",
    "alignment check",
    "machine check",
    "SIMD floating-point error",
    "virtualization",
    "control protection",
];
