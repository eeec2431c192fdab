//! A small assembler for eBPF: as many instructions as the program of [`filter`](super::filter)
//! needs, typed, so that what cannot be encoded cannot be written.
//!
//! ```text
//!   bits  │ 8 opcode │ 4 dst │ 4 src │ 16 offset │ 32 immediate │   RFC 9669 section 3
//! ```
//!
//! Jumps go forward to a [`Label`], so a program ends whatever is in it, and the kernel's verifier
//! has little to do. [`Program::finish`] puts the distances in.

use std::vec::Vec;

/// A register (RFC 9669 section 2): R0 is the result, R1 to R5 are arguments and are lost in a
/// call, R6 to R9 are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reg {
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
}

/// How much is loaded, zero-extended; in memory's byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// 1 byte.
    B,
    /// 2 bytes.
    H,
    /// 4 bytes.
    W,
}

/// When a jump is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cond {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Greater, unsigned.
    Gt,
    /// Less, unsigned.
    Lt,
    /// Some of these bits are set.
    Any,
}

/// A place to jump to, further on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

/// An encoded instruction, as the kernel takes it.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Insn {
    opcode: u8,
    /// Destination in the low half, source in the high half (little-endian machines).
    regs: u8,
    offset: i16,
    imm: i32,
}

/// A program that is being written.
#[derive(Debug, Default)]
pub(super) struct Program {
    insns: Vec<Insn>,
    /// Where each label is, once that is known.
    places: Vec<Option<usize>>,
    /// Jumps whose distance is open, and where they lead.
    jumps: Vec<(usize, Label)>,
}

impl Program {
    /// A label that is not placed yet.
    pub(super) fn label(&mut self) -> Label {
        self.places.push(None);
        Label(self.places.len() - 1)
    }

    /// The next instruction is what `label` means.
    ///
    /// # Panics
    /// When it has been placed.
    pub(super) fn place(&mut self, label: Label) {
        let old = self.places[label.0].replace(self.insns.len());
        assert_eq!(old, None, "a label is placed once");
    }

    /// `dst = *(src + offset)`.
    pub(super) fn load(&mut self, size: Size, dst: Reg, src: Reg, offset: i16) {
        let size = match size {
            Size::W => 0x00,
            Size::H => 0x08,
            Size::B => 0x10,
        };
        self.push(BPF_LDX | BPF_MEM | size, dst, src, offset, 0);
    }

    /// `dst = src`.
    pub(super) fn mov(&mut self, dst: Reg, src: Reg) {
        self.push(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
    }

    /// `dst = imm`.
    pub(super) fn mov_imm(&mut self, dst: Reg, imm: i32) {
        self.push(BPF_ALU64 | BPF_MOV, dst, Reg::R0, 0, imm);
    }

    /// `dst += src`.
    pub(super) fn add(&mut self, dst: Reg, src: Reg) {
        self.push(BPF_ALU64 | BPF_ADD | BPF_X, dst, src, 0, 0);
    }

    /// `dst += imm`.
    pub(super) fn add_imm(&mut self, dst: Reg, imm: i32) {
        self.push(BPF_ALU64 | BPF_ADD, dst, Reg::R0, 0, imm);
    }

    /// `dst &= imm`.
    pub(super) fn and_imm(&mut self, dst: Reg, imm: i32) {
        self.push(BPF_ALU64 | BPF_AND, dst, Reg::R0, 0, imm);
    }

    /// `dst <<= imm`.
    pub(super) fn shl_imm(&mut self, dst: Reg, imm: i32) {
        self.push(BPF_ALU64 | BPF_LSH, dst, Reg::R0, 0, imm);
    }

    /// `dst = ` the map that file descriptor `fd` is.
    pub(super) fn map(&mut self, dst: Reg, fd: i32) {
        // A 64-bit immediate takes two instructions; source 1 says that it is a map (RFC 9669
        // section 5.4).
        let insn = Insn {
            regs: 1 << 4 | dst as u8,
            ..insn(BPF_LD | BPF_DW, dst, Reg::R0, 0, fd)
        };
        self.insns.push(insn);
        self.insns.push(insn_zero());
    }

    /// Calls a function of the kernel's, with R1 to R5; its result is in R0.
    pub(super) fn call(&mut self, function: i32) {
        self.push(BPF_JMP | BPF_CALL, Reg::R0, Reg::R0, 0, function);
    }

    /// Ends with R0.
    pub(super) fn exit(&mut self) {
        self.push(BPF_JMP | BPF_EXIT, Reg::R0, Reg::R0, 0, 0);
    }

    /// Goes to `to` when the lower halves of `dst` and `imm` are so.
    pub(super) fn jump_if(&mut self, dst: Reg, cond: Cond, imm: u32, to: Label) {
        self.jumps.push((self.insns.len(), to));
        let imm = imm.cast_signed();
        self.push(BPF_JMP32 | code_of(cond), dst, Reg::R0, 0, imm);
    }

    /// Goes to `to` when `dst` and `src`, all 64 bits, are so.
    pub(super) fn jump_if_regs(&mut self, dst: Reg, cond: Cond, src: Reg, to: Label) {
        self.jumps.push((self.insns.len(), to));
        self.push(BPF_JMP | BPF_X | code_of(cond), dst, src, 0, 0);
    }

    /// Goes to `to`.
    pub(super) fn jump(&mut self, to: Label) {
        self.jumps.push((self.insns.len(), to));
        self.push(BPF_JMP, Reg::R0, Reg::R0, 0, 0);
    }

    /// The instructions, with all distances in.
    ///
    /// # Panics
    /// When a label was not placed, or a jump goes back or too far.
    pub(super) fn finish(mut self) -> Vec<Insn> {
        for (from, to) in self.jumps {
            let place = self.places[to.0].expect("each label that is used is placed");
            // From the instruction behind the jump.
            let distance = place.checked_sub(from + 1).expect("jumps go forward");
            self.insns[from].offset = i16::try_from(distance).expect("a short program");
        }
        self.insns
    }

    fn push(&mut self, opcode: u8, dst: Reg, src: Reg, offset: i16, imm: i32) {
        self.insns.push(insn(opcode, dst, src, offset, imm));
    }
}

const fn insn(opcode: u8, dst: Reg, src: Reg, offset: i16, imm: i32) -> Insn {
    Insn {
        opcode,
        regs: (src as u8) << 4 | dst as u8,
        offset,
        imm,
    }
}

const fn insn_zero() -> Insn {
    insn(0, Reg::R0, Reg::R0, 0, 0)
}

const fn code_of(cond: Cond) -> u8 {
    match cond {
        Cond::Eq => 0x10,
        Cond::Gt => 0x20,
        Cond::Any => 0x40,
        Cond::Ne => 0x50,
        Cond::Lt => 0xa0,
    }
}

// Classes (RFC 9669 section 3.1).
const BPF_LD: u8 = 0x00;
const BPF_LDX: u8 = 0x01;
const BPF_JMP: u8 = 0x05;
const BPF_JMP32: u8 = 0x06;
const BPF_ALU64: u8 = 0x07;
// The second operand is a register (section 4).
const BPF_X: u8 = 0x08;
// Arithmetic (section 4.1).
const BPF_ADD: u8 = 0x00;
const BPF_AND: u8 = 0x50;
const BPF_LSH: u8 = 0x60;
const BPF_MOV: u8 = 0xb0;
// Jumps (section 4.3).
const BPF_CALL: u8 = 0x80;
const BPF_EXIT: u8 = 0x90;
// Loads (section 5).
const BPF_MEM: u8 = 0x60;
const BPF_DW: u8 = 0x18;

#[cfg(test)]
mod tests;
