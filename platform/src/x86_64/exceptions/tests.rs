use super::*;

const TEXT: Range<u64> = 0x20_0000..0x30_0000;

fn is_behind(call: &[u8]) -> bool {
    let mut before = [0x90; CALL_LEN_MAX];
    before[CALL_LEN_MAX - call.len()..].copy_from_slice(call);
    is_behind_call(&before, 0x28_0000, TEXT)
}

#[test]
fn calls_are_recognised_by_their_encoding() {
    assert!(is_behind(&[0xe8, 0x10, 0, 0, 0]), "call +16");
    assert!(
        is_behind(&[0xe8, 0, 0, 0xf8, 0xff]),
        "call to the first byte of text"
    );
    assert!(is_behind(&[0xff, 0xd0]), "call rax");
    assert!(is_behind(&[0x41, 0xff, 0xd7]), "call r15");
    assert!(is_behind(&[0xff, 0x11]), "call [rcx]");
    assert!(is_behind(&[0xff, 0x14, 0xc8]), "call [rax+rcx*8]");
    assert!(is_behind(&[0xff, 0x50, 0x18]), "call [rax+24]");
    assert!(is_behind(&[0xff, 0x54, 0x24, 0x08]), "call [rsp+8]");
    assert!(is_behind(&[0xff, 0x15, 1, 2, 3, 4]), "call [rip+..]");
    assert!(is_behind(&[0xff, 0x90, 1, 2, 3, 4]), "call [rax+..]");
    assert!(is_behind(&[0xff, 0x94, 0x24, 1, 2, 3, 4]), "call [rsp+..]");
}

#[test]
fn what_is_no_call_is_no_return_address() {
    assert!(!is_behind(&[]), "nop");
    assert!(!is_behind(&[0xe8, 0, 0, 0, 0x7f]), "call out of the text");
    assert!(
        !is_behind(&[0xe8, 0, 0, 8, 0]),
        "call to the end of the text"
    );
    assert!(!is_behind(&[0xff, 0xe0]), "jmp rax");
    assert!(!is_behind(&[0xff, 0xd0, 0x90]), "call rax; nop");
    assert!(!is_behind(&[0xff, 0x50, 0x18, 0x90]), "call [rax+24]; nop");
    assert!(
        !is_behind(&[0xff, 0x15, 1, 2, 3]),
        "the middle of an instruction"
    );
}
