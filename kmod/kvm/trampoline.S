/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where ftrace's direct calls from KVM's functions arrive.
 *
 * A trampoline is called by the __fentry__ site of the hooked function, so on entry
 *
 *	 0(%rsp)  is the address behind that site: returning there runs the function,
 *	 8(%rsp)  is the address the function's caller will go on at,
 *
 * the argument registers hold the function's arguments and must be kept, and rax, r10 and r11
 * are free. An access that needs no decision is recognised here by one bit and returns into the
 * function; everything else is C. There is no lock and no lifetime to guard on the short way:
 * mg_live is a static object (see guard.c).
 *
 * Trampolines are aligned to 16 bytes because bit 0 of a direct call's address is a flag on
 * kernels with DYNAMIC_FTRACE_WITH_JMP.
 */
#include <linux/linkage.h>
#include <asm/asm.h>
#include <asm/percpu.h>
#include <asm/unwind_hints.h>

#include "asm-offsets.h"

/* The two arguments of PASS_UNGUARDED, by direction. */
#define READ_MAP	MG_MAP_READ MG_MAP_OUTSIDE_READ
#define WRITE_MAP	MG_MAP_WRITE MG_MAP_OUTSIDE_WRITE

/*
 * Run the hooked function if the MSR in eax needs no decision, fall through if it does. \bits and
 * \outside are the direction's offsets in the map. Clobbers rax and r10. The order of the windows
 * is that of mg_map_bit().
 */
.macro PASS_UNGUARDED bits outside
	cmpl	$(MG_ASM_WINDOW_MSRS - 1), %eax
	ja	.Lhigh\@
.Ltest\@:
	btq	%rax, (mg_live + \bits)(%rip)
	jc	.Lguarded\@
	RET
.Lhigh\@:
	leal	-MG_ASM_WINDOW_HIGH(%rax), %r10d
	cmpl	$(MG_ASM_WINDOW_MSRS - 1), %r10d
	leal	(1 * MG_ASM_WINDOW_MSRS)(%r10), %r10d
	jbe	.Lwindow\@
	leal	-MG_ASM_WINDOW_AMD(%rax), %r10d
	cmpl	$(MG_ASM_WINDOW_MSRS - 1), %r10d
	leal	(2 * MG_ASM_WINDOW_MSRS)(%r10), %r10d
	jbe	.Lwindow\@
	leal	-MG_ASM_WINDOW_HYPERV(%rax), %r10d
	cmpl	$(MG_ASM_WINDOW_MSRS - 1), %r10d
	leal	(3 * MG_ASM_WINDOW_MSRS)(%r10), %r10d
	jbe	.Lwindow\@
	leal	-MG_ASM_WINDOW_KVM(%rax), %r10d
	cmpl	$(MG_ASM_WINDOW_MSRS - 1), %r10d
	leal	(4 * MG_ASM_WINDOW_MSRS)(%r10), %r10d
	jbe	.Lwindow\@
	cmpb	$0, (mg_live + \outside)(%rip)
	jne	.Lguarded\@
	RET
.Lwindow\@:
	movl	%r10d, %eax
	jmp	.Ltest\@
.Lguarded\@:
.endm

.macro COUNT_CALL hook
	incq	PER_CPU_VAR(mg_hook_calls + \hook)
.endm

/* Run the hooked function if it was called from kvm.ko itself. Clobbers rax. */
.macro PASS_KVM_CALLER
	movq	8(%rsp), %rax
	subq	mg_kvm_text_start(%rip), %rax
	cmpq	mg_kvm_text_size(%rip), %rax
	jae	.Lother_caller\@
	RET
.Lother_caller\@:
.endm

/*
 * Ask C, with the hooked function's (at most three) arguments and its caller's address as a
 * fourth. It says MG_CALL_ON, or what the hooked function shall return without being run.
 */
.macro ASK_C function
	movq	8(%rsp), %rcx
	pushq	%rdi
	pushq	%rsi
	pushq	%rdx
	call	\function
	popq	%rdx
	popq	%rsi
	popq	%rdi
	cmpl	$MG_ASM_CALL_ON, %eax
	jne	.Lanswer\@
	RET
.Lanswer\@:
	/* Drop the way into the hooked function: what is left is its caller's call. */
	addq	$8, %rsp
	UNWIND_HINT_FUNC
	RET
.endm

/* kvm_emulate_rdmsr(vcpu), kvm_emulate_wrmsr(vcpu): an intercepted instruction, MSR in ECX */
.macro EXIT_TRAMPOLINE name hook bits outside function
	.balign 16
SYM_FUNC_START_NOALIGN(\name)
	COUNT_CALL \hook
	movl	MG_VCPU_RCX(%rdi), %eax
	PASS_UNGUARDED \bits \outside
	ASK_C \function
SYM_FUNC_END(\name)
.endm

/* emulator_{get,set}_msr_with_filter(ctxt, index, ...) */
.macro EMULATOR_TRAMPOLINE name hook bits outside function
	.balign 16
SYM_FUNC_START_NOALIGN(\name)
	COUNT_CALL \hook
	movl	%esi, %eax
	PASS_UNGUARDED \bits \outside
	ASK_C \function
SYM_FUNC_END(\name)
.endm

/* The functions of a nested guest's MSR lists (vcpu, index, ...), used by kvm.ko itself too */
.macro NESTED_TRAMPOLINE name hook bits outside function
	.balign 16
SYM_FUNC_START_NOALIGN(\name)
	PASS_KVM_CALLER
	COUNT_CALL \hook
	movl	%esi, %eax
	PASS_UNGUARDED \bits \outside
	ASK_C \function
SYM_FUNC_END(\name)
.endm

	.text

EXIT_TRAMPOLINE mg_tramp_exit_read MG_ASM_HOOK_EXIT_READ READ_MAP mg_exit_read
EXIT_TRAMPOLINE mg_tramp_exit_write MG_ASM_HOOK_EXIT_WRITE WRITE_MAP mg_exit_write
EMULATOR_TRAMPOLINE mg_tramp_emulator_read MG_ASM_HOOK_EMULATOR_READ READ_MAP mg_emulator_read
EMULATOR_TRAMPOLINE mg_tramp_emulator_write MG_ASM_HOOK_EMULATOR_WRITE WRITE_MAP mg_emulator_write
NESTED_TRAMPOLINE mg_tramp_nested_read MG_ASM_HOOK_NESTED_READ READ_MAP mg_nested_read
NESTED_TRAMPOLINE mg_tramp_nested_write MG_ASM_HOOK_NESTED_WRITE WRITE_MAP mg_nested_write

/*
 * handle_fastpath_set_msr_irqoff(vcpu): handles a few WRMSRs with interrupts off, past every
 * filter. A guarded one takes the long way: the answer is EXIT_FASTPATH_NONE.
 */
	.balign 16
SYM_FUNC_START_NOALIGN(mg_tramp_fastpath)
	COUNT_CALL MG_ASM_HOOK_FASTPATH
	movl	MG_VCPU_RCX(%rdi), %eax
	PASS_UNGUARDED WRITE_MAP
	xorl	%eax, %eax
	addq	$8, %rsp
	UNWIND_HINT_FUNC
	RET
SYM_FUNC_END(mg_tramp_fastpath)

/*
 * kvm_msr_allowed(vcpu, index, type): kvm.ko asks it while it emulates an access, which has been
 * decided at its entry by then; the vendor module asks it whether the hardware may let an access
 * through, and that is what we answer. Runs in any context, also with interrupts off.
 */
	.balign 16
SYM_FUNC_START_NOALIGN(mg_tramp_bitmap)
	PASS_KVM_CALLER
	COUNT_CALL MG_ASM_HOOK_BITMAP
	movl	%esi, %eax
	testb	$MG_ASM_FILTER_READ, %dl
	jz	.Lbitmap_write
	PASS_UNGUARDED READ_MAP
	jmp	.Lbitmap_guarded
.Lbitmap_write:
	PASS_UNGUARDED WRITE_MAP
.Lbitmap_guarded:
	ASK_C mg_bitmap_answer
SYM_FUNC_END(mg_tramp_bitmap)
