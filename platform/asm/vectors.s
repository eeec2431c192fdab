# One stub a vector, 16 bytes apart: what the interrupt descriptor table points at.
#
# Exceptions (0 to 31) never return: they save every register for the report. Interrupts (32 to
# 255) count themselves and acknowledge the local APIC, nothing else: "poll me" is all they mean.
# They run no Rust and touch no vector register.

.section .text.vectors, "ax"
.balign 16
simoom_vectors:
.set simoom_vector, 0
.rept 256
    .balign 16
    .if simoom_vector < 32
        # Vectors 8, 10 to 14, 17, 21, 29 and 30 come with an error code.
        .if (0x60227d00 >> simoom_vector) & 1
        .else
            .byte 0x6a, 0           # push 0
        .endif
        .byte 0x6a, simoom_vector   # push the vector
        jmp simoom_exception_entry
    .else
        .byte 0x68                  # push the vector, 32 bits
        .long simoom_vector
        jmp simoom_interrupt_entry
    .endif
    .set simoom_vector, simoom_vector + 1
.endr

simoom_interrupt_entry:
    push rax
    push rcx
    mov eax, [rsp + 16]
    lea rcx, [rip + simoom_interrupt_counts]
    inc qword ptr [rcx + rax * 8]
    cmp eax, 0xff                   # a spurious interrupt is not acknowledged (Intel SDM 3, 11.9)
    je simoom_interrupt_exit
    mov eax, 0xfee000b0             # end of interrupt
    mov dword ptr [rax], 0
simoom_interrupt_exit:
    pop rcx
    pop rax
    add rsp, 8
    iretq

simoom_exception_entry:
    push rax
    push rbx
    push rcx
    push rdx
    push rsi
    push rdi
    push rbp
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    cld
    mov rdi, rsp
    and rsp, -16
    call simoom_exception
    ud2

.section .bss.interrupts, "aw", @nobits
.balign 64
simoom_interrupt_counts:
.zero 256 * 8
