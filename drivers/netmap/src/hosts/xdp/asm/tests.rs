//! Instructions against their bytes as the kernel's own disassembler has them.

use std::vec;
use std::vec::Vec;

use super::*;

/// The instructions as the numbers that they are in memory.
fn bytes(write: impl FnOnce(&mut Program)) -> Vec<[u8; 8]> {
    let mut program = Program::default();
    write(&mut program);
    let insns = program.finish().into_iter();
    let encode = |Insn {
                      opcode,
                      regs,
                      offset,
                      imm,
                  }: Insn| {
        let ([a, b], [c, d, e, f]) = (offset.to_le_bytes(), imm.to_le_bytes());
        [opcode, regs, a, b, c, d, e, f]
    };
    insns.map(encode).collect()
}

/// Its text, what we write for it, and its bytes.
type Case = (&'static str, Vec<[u8; 8]>, [u8; 8]);

#[test]
fn each_instruction_is_encoded_as_rfc_9669_says() {
    let cases: [Case; 12] = [
        (
            "r5 = *(u16 *)(r2 + 12)",
            bytes(|p| p.load(Size::H, Reg::R5, Reg::R2, 12)),
            [0x69, 0x25, 12, 0, 0, 0, 0, 0],
        ),
        (
            "r2 = *(u32 *)(r1 + 0)",
            bytes(|p| p.load(Size::W, Reg::R2, Reg::R1, 0)),
            [0x61, 0x12, 0, 0, 0, 0, 0, 0],
        ),
        (
            "r0 = *(u8 *)(r4 - 1)",
            bytes(|p| p.load(Size::B, Reg::R0, Reg::R4, -1)),
            [0x71, 0x40, 0xff, 0xff, 0, 0, 0, 0],
        ),
        (
            "r6 = r1",
            bytes(|p| p.mov(Reg::R6, Reg::R1)),
            [0xbf, 0x16, 0, 0, 0, 0, 0, 0],
        ),
        (
            "r0 = 2",
            bytes(|p| p.mov_imm(Reg::R0, 2)),
            [0xb7, 0, 0, 0, 2, 0, 0, 0],
        ),
        (
            "r4 += r5",
            bytes(|p| p.add(Reg::R4, Reg::R5)),
            [0x0f, 0x54, 0, 0, 0, 0, 0, 0],
        ),
        (
            "r4 += 14",
            bytes(|p| p.add_imm(Reg::R4, 14)),
            [0x07, 4, 0, 0, 14, 0, 0, 0],
        ),
        (
            "r5 &= 15",
            bytes(|p| p.and_imm(Reg::R5, 15)),
            [0x57, 5, 0, 0, 15, 0, 0, 0],
        ),
        (
            "r5 <<= 2",
            bytes(|p| p.shl_imm(Reg::R5, 2)),
            [0x67, 5, 0, 0, 2, 0, 0, 0],
        ),
        (
            "call 51",
            bytes(|p| p.call(51)),
            [0x85, 0, 0, 0, 51, 0, 0, 0],
        ),
        ("exit", bytes(Program::exit), [0x95, 0, 0, 0, 0, 0, 0, 0]),
        (
            "r1 = map 7",
            bytes(|p| p.map(Reg::R1, 7)),
            [0x18, 0x11, 0, 0, 7, 0, 0, 0],
        ),
    ];
    for (name, encoded, expected) in cases {
        assert_eq!(encoded[0], expected, "{name}");
    }
    assert_eq!(
        bytes(|p| p.map(Reg::R1, 7))[1],
        [0; 8],
        "the immediate's upper half"
    );
}

#[test]
fn jumps_count_from_the_instruction_behind_them() {
    let encoded = bytes(|p| {
        let (near, far) = (p.label(), p.label());
        p.jump_if(Reg::R5, Cond::Ne, 0x8000_0008, near);
        p.jump_if_regs(Reg::R4, Cond::Gt, Reg::R3, far);
        p.jump(far);
        p.place(near);
        p.exit();
        p.place(far);
        p.exit();
    });
    let expected = vec![
        [0x56, 5, 2, 0, 8, 0, 0, 0x80],
        [0x2d, 0x34, 2, 0, 0, 0, 0, 0],
        [0x05, 0, 1, 0, 0, 0, 0, 0],
        [0x95, 0, 0, 0, 0, 0, 0, 0],
        [0x95, 0, 0, 0, 0, 0, 0, 0],
    ];
    assert_eq!(encoded, expected);
    for (cond, code) in [
        (Cond::Eq, 0x16),
        (Cond::Gt, 0x26),
        (Cond::Any, 0x46),
        (Cond::Ne, 0x56),
        (Cond::Lt, 0xa6),
    ] {
        let encoded = bytes(|p| {
            let end = p.label();
            p.jump_if(Reg::R0, cond, 1, end);
            p.place(end);
            p.exit();
        });
        assert_eq!(encoded[0][0], code, "{cond:?}");
    }
}

#[test]
#[should_panic(expected = "jumps go forward")]
fn a_jump_back_is_a_mistake() {
    bytes(|p| {
        let start = p.label();
        p.place(start);
        p.exit();
        p.jump(start);
    });
}

#[test]
#[should_panic(expected = "each label that is used is placed")]
fn a_jump_to_nowhere_is_a_mistake() {
    bytes(|p| {
        let nowhere = p.label();
        p.jump(nowhere);
    });
}
