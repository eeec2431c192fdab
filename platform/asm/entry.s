# From the loader's 32-bit state to the image's first Rust function.
#
#   PVH          ebx = hvm_start_info                     (Xen PVH, "x86/HVM direct boot ABI")
#   multiboot2   ebx = boot information, eax = 0x36d76289 (multiboot2 2.0, 3.3 "machine state")
#
# Both: paging off, interrupts off, flat segments. Nothing is read through ebx here: the
# record at simoom_boot carries it to code that can check it.

.section .note.Xen, "a", @note
.balign 4
.long 4, 4, 18                      # name length, value length, XEN_ELFNOTE_PHYS32_ENTRY
.asciz "Xen"
.long simoom_start

.section .multiboot2, "a"
.balign 8
simoom_multiboot2:
.long 0xe85250d6, 0, simoom_multiboot2_end - simoom_multiboot2
.long 0x100000000 - (0xe85250d6 + (simoom_multiboot2_end - simoom_multiboot2))
.short 3, 0                         # entry address
.long 12, simoom_start_multiboot2
.balign 8
.short 6, 0                         # modules on page boundaries
.long 8
.short 0, 0                         # end
.long 8
simoom_multiboot2_end:

.section .text.boot, "ax"
.code32
.globl simoom_start
simoom_start:
    mov esi, 1
    jmp simoom_start_any
simoom_start_multiboot2:
    mov esi, 2
    cmp eax, 0x36d76289
    je simoom_start_any
    xor esi, esi
simoom_start_any:
    cli
    cld
    mov [simoom_boot], esi
    mov [simoom_boot + 8], ebx
    rdtsc
    mov [simoom_boot + 16], eax
    mov [simoom_boot + 20], edx
    mov esp, offset simoom_stack_top

    # A 32-bit processor, or one that cannot deny execution, gets a line and no more.
    mov eax, 0x80000000
    cpuid
    cmp eax, 0x80000001
    jb simoom_unfit
    mov eax, 0x80000001
    cpuid
    and edx, 0x20100000             # long mode, no-execute
    cmp edx, 0x20100000
    jne simoom_unfit

    # Identity map of the first 4 GiB in 2 MiB pages, all rights: narrowed by paging.rs.
    mov eax, offset simoom_page_tables
    lea ecx, [eax + 0x1003]
    mov [eax], ecx                  # PML4[0] -> PDPT
    lea ecx, [eax + 0x2003]
    xor edx, edx
simoom_fill_pdpt:
    mov [eax + edx * 8 + 0x1000], ecx
    add ecx, 0x1000
    inc edx
    cmp edx, 4
    jb simoom_fill_pdpt
    mov ecx, 0x83                   # present, writable, large
    xor edx, edx
simoom_fill_pd:
    mov [eax + edx * 8 + 0x2000], ecx
    add ecx, 0x200000
    inc edx
    cmp edx, 2048
    jb simoom_fill_pd
    mov cr3, eax

    mov eax, 0x620                  # PAE, OSFXSR, OSXMMEXCPT
    mov cr4, eax
    mov ecx, 0xc0000080             # EFER: long mode, no-execute
    rdmsr
    or eax, 0x900
    wrmsr
    mov eax, 0x80010023             # PG, WP, NE, MP, PE
    mov cr0, eax
    lgdt [simoom_boot_gdt_pointer]
    push 8
    mov eax, offset simoom_start64
    push eax
    retf

simoom_unfit:
    mov esi, offset simoom_unfit_text
simoom_unfit_next:
    lodsb
    test al, al
    jz simoom_unfit_end
    mov dx, 0x3f8
    out dx, al
    jmp simoom_unfit_next
simoom_unfit_end:
    mov al, 0x13                    # ExitCode::BOOT_FAILED
    out 0xf4, al
simoom_unfit_halt:
    hlt
    jmp simoom_unfit_halt

.code64
simoom_start64:
    mov eax, 16
    mov ds, ax
    mov es, ax
    mov ss, ax
    xor eax, eax
    mov fs, ax
    mov gs, ax
    lea rsp, [rip + simoom_stack_top]
    xor ebp, ebp
    lea rdi, [rip + simoom_boot]
    call simoom_image_entry
    ud2

# Referenced by prebuilt core for unwinding, which an image does not do.
.globl rust_eh_personality
.globl _Unwind_Resume
rust_eh_personality:
_Unwind_Resume:
    ud2

.section .rodata.boot, "a"
simoom_unfit_text:
.asciz "simoom: the processor lacks long mode or no-execute\r\n"
.balign 8
simoom_boot_gdt:
.quad 0
.quad 0x00af9b000000ffff            # 0x08: code, 64-bit
.quad 0x00cf93000000ffff            # 0x10: data
simoom_boot_gdt_pointer:
.short 23
.long simoom_boot_gdt

# What Rust must know of the link and of the loader: `BootRecord` in x86_64/entry.rs.
.section .data.boot, "aw"
.balign 8
simoom_boot:
.quad 0                             # protocol: 1 PVH, 2 multiboot2
.quad 0                             # the loader's information
.quad 0                             # TSC at entry
.quad simoom_text_start
.quad simoom_rodata_start
.quad simoom_data_start
.quad simoom_image_end
.quad simoom_page_tables
.quad simoom_vectors
.quad simoom_interrupt_counts
.quad simoom_interrupt_stack_top
.quad simoom_exception_stack_top
.quad simoom_stack_top
.quad simoom_guard0
.quad simoom_guard1
.quad simoom_guard2

.section .bss.boot, "aw", @nobits
.balign 4096
simoom_page_tables:
.zero 6 * 4096                      # PML4, PDPT, four PDs

# Stacks grow down into a page that paging.rs unmaps.
.section .stacks, "aw", @nobits
.balign 4096
simoom_guard0:
.zero 4096
.zero 16384
simoom_interrupt_stack_top:
simoom_guard1:
.zero 4096
.zero 32768
simoom_exception_stack_top:
simoom_guard2:
.zero 4096
.zero 524288
simoom_stack_top:
