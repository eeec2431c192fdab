//! The probe: the smallest thing that needs what the image needs from a CPU.
//!
//! It is entered by PVH in 32-bit mode, turns on long mode, counts ten million down, uses SSE once
//! and leaves through the exit device. An accelerator that emulates ring 0 does not finish in time;
//! one that cannot do SSE there stops. The ELF is written here byte by byte, so no assembler is
//! needed.
//!
//! ```text
//!   0x100000  ELF header, program headers, note, code, GDT    (one segment, file = memory)
//!   0x200000  PML4, PDPT, PD                                  (one segment, memory only)
//! ```

use crate::machine::{Accel, EXIT_DEVICE, EXIT_SUCCESS, Qemu};
use anyhow::{Context, Result};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The code needs 0.01 s on a processor; this is for QEMU and its firmware.
const LIMIT: Duration = Duration::from_secs(3);

/// Where the file is loaded, whole.
const LOAD_ADDR: u32 = 0x10_0000;
/// Where the page tables go: three pages, zeroed by the loader.
const TABLES_ADDR: u32 = 0x20_0000;
/// Bytes of the three page tables.
const TABLES_LEN: u64 = 3 * 4096;

/// File offsets of the parts.
const NOTE_OFFSET: usize = 64 + 3 * 56;
const NOTE_LEN: usize = 12 + 4 + 4;
const GDT_OFFSET: usize = NOTE_OFFSET + NOTE_LEN + 4;
const GDT_LEN: usize = 16;
const GDTR_OFFSET: usize = GDT_OFFSET + GDT_LEN;
const CODE_OFFSET: usize = GDTR_OFFSET + 8;

/// Whether the probe runs to its end under `accel`, in time.
///
/// # Errors
/// QEMU cannot be started at all.
pub(crate) fn runs_under(qemu: &Qemu, accel: Accel) -> Result<bool> {
    let mut file = tempfile::tempfile().context("cannot make a temporary file")?;
    file.write_all(&elf()).context("cannot write the probe")?;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
    let mut child = Command::new(&qemu.program)
        .args([
            "-accel",
            accel.name(),
            "-cpu",
            accel.cpu(),
            "-smp",
            "2",
            "-m",
            "64",
        ])
        .args(["-M", "pc", "-nodefaults", "-display", "none", "-no-reboot"])
        .args(["-device", EXIT_DEVICE])
        .args(["-kernel", &format!("/proc/{}/fd/{fd}", std::process::id())])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot run QEMU")?;
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for QEMU")? {
            return Ok(status.code() == Some(EXIT_SUCCESS));
        }
        if Instant::now() >= deadline {
            child.kill().context("cannot end QEMU")?;
            child.wait().context("cannot wait for QEMU")?;
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The whole file.
fn elf() -> Vec<u8> {
    let code = code();
    let len = (CODE_OFFSET + code.len()) as u64;
    let mut elf = Vec::new();
    elf.extend(b"\x7fELF\x02\x01\x01");
    elf.resize(16, 0);
    elf.extend(2_u16.to_le_bytes()); // e_type: ET_EXEC
    elf.extend(62_u16.to_le_bytes()); // e_machine: EM_X86_64
    elf.extend(1_u32.to_le_bytes());
    elf.extend(u64::from(address(CODE_OFFSET)).to_le_bytes()); // e_entry
    elf.extend(64_u64.to_le_bytes()); // e_phoff
    elf.extend(0_u64.to_le_bytes()); // e_shoff
    elf.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 3, 64, 0, 0] {
        elf.extend(half.to_le_bytes()); // sizes and counts of headers
    }
    let note_addr = u64::from(address(NOTE_OFFSET));
    program_header(&mut elf, [1, 4096], 0, u64::from(LOAD_ADDR), (len, len));
    program_header(
        &mut elf,
        [1, 4096],
        0,
        u64::from(TABLES_ADDR),
        (0, TABLES_LEN),
    );
    // QEMU aligns the parts of a note as its segment is aligned.
    let note_len = NOTE_LEN as u64;
    program_header(
        &mut elf,
        [4, 4],
        NOTE_OFFSET as u64,
        note_addr,
        (note_len, note_len),
    );
    // The note: name length, description length, XEN_ELFNOTE_PHYS32_ENTRY, "Xen", where to enter.
    for word in [
        4_u32,
        4,
        18,
        u32::from_le_bytes(*b"Xen\0"),
        address(CODE_OFFSET),
    ] {
        elf.extend(word.to_le_bytes());
    }
    elf.resize(GDT_OFFSET, 0);
    elf.extend(0_u64.to_le_bytes());
    elf.extend(0x00af_9a00_0000_ffff_u64.to_le_bytes()); // selector 8: 64-bit code
    elf.extend((GDT_LEN as u16 - 1).to_le_bytes());
    elf.extend(address(GDT_OFFSET).to_le_bytes());
    elf.resize(CODE_OFFSET, 0);
    elf.extend(code);
    elf
}

/// Appends an `Elf64_Phdr` of type and alignment `kind`; `lens` are in the file and in memory.
fn program_header(elf: &mut Vec<u8>, kind: [u32; 2], offset: u64, addr: u64, lens: (u64, u64)) {
    elf.extend(kind[0].to_le_bytes());
    elf.extend(7_u32.to_le_bytes()); // read, write, execute
    for word in [offset, addr, addr, lens.0, lens.1, u64::from(kind[1])] {
        elf.extend(word.to_le_bytes());
    }
}

/// Where a file offset is in memory.
fn address(offset: usize) -> u32 {
    LOAD_ADDR + offset as u32
}

/// The instructions. 32-bit up to the far jump, 64-bit behind it.
fn code() -> Vec<u8> {
    let [pml4, pdpt, pd] = [TABLES_ADDR, TABLES_ADDR + 0x1000, TABLES_ADDR + 0x2000];
    let mut code = Vec::new();
    // mov dword [table], entry: one 2 MiB page maps the code onto itself.
    for (table, entry) in [(pml4, pdpt | 3), (pdpt, pd | 3), (pd, 0x83)] {
        code.extend([0xc7, 0x05]);
        code.extend(table.to_le_bytes());
        code.extend(entry.to_le_bytes());
    }
    code.extend([0xb8, 0x20, 0x06, 0, 0]); // mov eax, PAE | OSFXSR | OSXMMEXCPT
    code.extend([0x0f, 0x22, 0xe0]); // mov cr4, eax
    code.push(0xb8); // mov eax, pml4
    code.extend(pml4.to_le_bytes());
    code.extend([0x0f, 0x22, 0xd8]); // mov cr3, eax
    code.extend([0xb9, 0x80, 0, 0, 0xc0]); // mov ecx, IA32_EFER
    code.extend([0x0f, 0x32]); // rdmsr
    code.extend([0x0d, 0, 1, 0, 0]); // or eax, LME
    code.extend([0x0f, 0x30]); // wrmsr
    code.extend([0xb8, 0x13, 0, 0, 0x80]); // mov eax, PG | ET | MP | PE
    code.extend([0x0f, 0x22, 0xc0]); // mov cr0, eax
    code.extend([0x0f, 0x01, 0x15]); // lgdt [gdtr]
    code.extend(address(GDTR_OFFSET).to_le_bytes());
    let long_mode = address(CODE_OFFSET + code.len() + 7);
    code.push(0xea); // jmp 8:long_mode
    code.extend(long_mode.to_le_bytes());
    code.extend(8_u16.to_le_bytes());
    code.push(0xb9); // mov ecx, 10 000 000
    code.extend(10_000_000_u32.to_le_bytes());
    code.extend([0xff, 0xc9]); // dec ecx
    code.extend([0x75, 0xfc]); // jnz the line above
    code.extend([0x66, 0x48, 0x0f, 0x6e, 0xc7]); // movq xmm0, rdi
    code.extend([0x66, 0x48, 0x0f, 0x7e, 0xc0]); // movq rax, xmm0
    code.extend([0xb0, 0x10]); // mov al, 0x10: QEMU exits with (0x10 << 1) | 1
    code.extend([0xe6, 0xf4]); // out 0xf4, al
    code.extend([0xf4, 0xeb, 0xfd]); // hlt, for ever
    code
}

#[cfg(test)]
mod tests;
