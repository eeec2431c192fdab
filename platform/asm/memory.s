# memcpy, memmove, memset, memcmp, bcmp, strlen: what compiled Rust expects of a C library.
#
# Above 32 bytes `rep movsq` and `rep stosq` do the work: the fastest form under an emulator, and a
# good one on hardware. All loads of a short copy precede its stores, so overlap cannot hurt it.

.section .text.memory, "ax"
.globl memcpy
.globl memmove
.globl memset
.globl memcmp
.globl bcmp
.globl strlen

.balign 16
memmove:
    mov rax, rdi
    sub rax, rsi
    cmp rax, rdx
    jb .Lbackward                   # the destination starts inside the source
memcpy:
    mov rax, rdi
    cmp rdx, 32
    jbe .Lshort
    mov r8, [rsi + rdx - 8]
    lea r9, [rdi + rdx - 8]
    mov rcx, rdx
    shr rcx, 3
    rep movsq
    mov [r9], r8
    ret
.Lshort:
    cmp edx, 16
    jae .Lshort16
    cmp edx, 8
    jae .Lshort8
    cmp edx, 4
    jae .Lshort4
    test edx, edx
    jz .Lnone
    movzx ecx, byte ptr [rsi]
    movzx r8d, byte ptr [rsi + rdx - 1]
    mov r10d, edx
    shr r10d, 1
    movzx r9d, byte ptr [rsi + r10]
    mov [rdi], cl
    mov [rdi + r10], r9b
    mov [rdi + rdx - 1], r8b
.Lnone:
    ret
.Lshort4:
    mov ecx, [rsi]
    mov r8d, [rsi + rdx - 4]
    mov [rdi], ecx
    mov [rdi + rdx - 4], r8d
    ret
.Lshort8:
    mov rcx, [rsi]
    mov r8, [rsi + rdx - 8]
    mov [rdi], rcx
    mov [rdi + rdx - 8], r8
    ret
.Lshort16:
    movups xmm0, [rsi]
    movups xmm1, [rsi + rdx - 16]
    movups [rdi], xmm0
    movups [rdi + rdx - 16], xmm1
    ret
.Lbackward:
    mov rax, rdi
    cmp rdx, 32
    jbe .Lshort
    mov r8, [rsi]
    lea rsi, [rsi + rdx - 8]
    lea rdi, [rdi + rdx - 8]
    mov rcx, rdx
    shr rcx, 3
    std
    rep movsq
    cld
    mov [rax], r8
    ret

.balign 16
memset:
    mov r9, rdi
    movzx eax, sil
    mov r8, 0x0101010101010101
    imul rax, r8
    cmp rdx, 8
    jb .Lset_short
    mov [rdi + rdx - 8], rax
    mov rcx, rdx
    shr rcx, 3
    rep stosq
    mov rax, r9
    ret
.Lset_short:
    test edx, edx
    jz .Lset_none
    mov [rdi], al
    mov [rdi + rdx - 1], al
    cmp edx, 3
    jb .Lset_none
    mov [rdi + 1], al
    mov [rdi + rdx - 2], al
    cmp edx, 5
    jb .Lset_none
    mov [rdi + 2], al
    mov [rdi + rdx - 3], al
    mov [rdi + 3], al
.Lset_none:
    mov rax, r9
    ret

.balign 16
memcmp:
bcmp:
    cmp rdx, 8
    jb .Lcompare_tail
    mov rax, [rdi]
    mov rcx, [rsi]
    cmp rax, rcx
    jne .Lcompare_differ
    add rdi, 8
    add rsi, 8
    sub rdx, 8
    jmp memcmp
.Lcompare_differ:
    bswap rax
    bswap rcx
    cmp rax, rcx
    sbb eax, eax
    or eax, 1
    ret
.Lcompare_tail:
    test rdx, rdx
    jz .Lcompare_equal
    movzx eax, byte ptr [rdi]
    movzx ecx, byte ptr [rsi]
    sub eax, ecx
    jne .Lcompare_done
    inc rdi
    inc rsi
    dec rdx
    jmp .Lcompare_tail
.Lcompare_equal:
    xor eax, eax
.Lcompare_done:
    ret

.balign 16
strlen:
    xor eax, eax
.Lstrlen_next:
    cmp byte ptr [rdi + rax], 0
    je .Lstrlen_done
    inc rax
    jmp .Lstrlen_next
.Lstrlen_done:
    ret
