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
 * Each has a second entry, *_callback, for a function whose place for a direct call is taken:
 * there an ftrace callback changes the instruction pointer, so what arrives is the caller's call,
 * and the address behind the site has to be put on the stack first.
 *
 * Trampolines are aligned to 16 bytes because bit 0 of a direct call's address is a flag on
 * kernels with DYNAMIC_FTRACE_WITH_JMP.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>
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
 * Ask C, with a pointer to the call: the stack is a struct mg_call then. It says MG_CALL_ON, or
 * what the hooked function shall return without being run.
 */
.macro ASK_C function
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	movq	%rsp, %rdi
	call	\function
	popq	%rdi
	popq	%rsi
	popq	%rdx
	cmpl	$MG_ASM_CALL_ON, %eax
	jne	.Lanswer\@
	RET
.Lanswer\@:
	/* Drop the way into the hooked function: what is left is its caller's call. */
	addq	$8, %rsp
	UNWIND_HINT_FUNC
	RET
.endm

/*
 * Both entries of a trampoline. Nobody calls the first through a pointer, its address is only what
 * ftrace patches a call to. ftrace returns to the second one, and a BPF trampoline that shares
 * the function calls it through a pointer, hence the ENDBR. To the unwinder it then is the return
 * address of that trampoline's frame; it looks at what stands before one, hence the NOP.
 */
.macro TRAMPOLINE_START name hook
	.balign 16
SYM_FUNC_START_NOALIGN(\name\()_callback_frame)
	ANNOTATE_NOENDBR
	nop
SYM_INNER_LABEL(\name\()_callback, SYM_L_GLOBAL)
	ENDBR
	pushq	(mg_hook_body + \hook)(%rip)
	UNWIND_HINT_FUNC
	jmp	\name
SYM_FUNC_END(\name\()_callback_frame)
	.balign 16
SYM_FUNC_START_NOALIGN(\name)
	ANNOTATE_NOENDBR
.endm

/* kvm_emulate_rdmsr(vcpu), kvm_emulate_wrmsr(vcpu): an intercepted instruction, MSR in ECX */
.macro EXIT_TRAMPOLINE name hook bits outside function
	TRAMPOLINE_START \name \hook
	COUNT_CALL \hook
	movl	MG_VCPU_RCX(%rdi), %eax
	PASS_UNGUARDED \bits \outside
	ASK_C \function
SYM_FUNC_END(\name)
.endm

/*
 * emulator_{get,set}_msr_with_filter(ctxt, index, ...), and an intercepted instruction that holds
 * the MSR's index: kvm_emulate_{rd,wr}msr_imm(vcpu, index, register)
 */
.macro INDEX_TRAMPOLINE name hook bits outside function
	TRAMPOLINE_START \name \hook
	COUNT_CALL \hook
	movl	%esi, %eax
	PASS_UNGUARDED \bits \outside
	ASK_C \function
SYM_FUNC_END(\name)
.endm

/* The functions of a nested guest's MSR lists (vcpu, index, ...), used by kvm.ko itself too */
.macro NESTED_TRAMPOLINE name hook bits outside function
	TRAMPOLINE_START \name \hook
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
INDEX_TRAMPOLINE mg_tramp_emulator_read MG_ASM_HOOK_EMULATOR_READ READ_MAP mg_emulator_read
INDEX_TRAMPOLINE mg_tramp_emulator_write MG_ASM_HOOK_EMULATOR_WRITE WRITE_MAP mg_emulator_write
INDEX_TRAMPOLINE mg_tramp_exit_read_imm MG_ASM_HOOK_EXIT_READ_IMM READ_MAP mg_exit_read_imm
INDEX_TRAMPOLINE mg_tramp_exit_write_imm MG_ASM_HOOK_EXIT_WRITE_IMM WRITE_MAP mg_exit_write_imm
NESTED_TRAMPOLINE mg_tramp_nested_read MG_ASM_HOOK_NESTED_READ READ_MAP mg_nested_read
NESTED_TRAMPOLINE mg_tramp_nested_write MG_ASM_HOOK_NESTED_WRITE WRITE_MAP mg_nested_write

/* Answer EXIT_FASTPATH_NONE, which is 0. */
.macro ANSWER_NONE
	xorl	%eax, %eax
	addq	$8, %rsp
	UNWIND_HINT_FUNC
	RET
.endm

/*
 * handle_fastpath_wrmsr(vcpu), handle_fastpath_set_msr_irqoff() before 6.18: handles a few WRMSRs
 * with interrupts off, past every filter. A guarded one takes the long way.
 */
	TRAMPOLINE_START mg_tramp_fastpath MG_ASM_HOOK_FASTPATH
	COUNT_CALL MG_ASM_HOOK_FASTPATH
	movl	MG_VCPU_RCX(%rdi), %eax
	PASS_UNGUARDED WRITE_MAP
	ANSWER_NONE
SYM_FUNC_END(mg_tramp_fastpath)

/* handle_fastpath_wrmsr_imm(vcpu, index, register) */
	TRAMPOLINE_START mg_tramp_fastpath_imm MG_ASM_HOOK_FASTPATH_IMM
	COUNT_CALL MG_ASM_HOOK_FASTPATH_IMM
	movl	%esi, %eax
	PASS_UNGUARDED WRITE_MAP
	ANSWER_NONE
SYM_FUNC_END(mg_tramp_fastpath_imm)

/*
 * kvm_msr_allowed(vcpu, index, type): kvm.ko asks it while it emulates an access, which has been
 * decided at its entry by then; the vendor module asks it whether the hardware may let an access
 * through, and that is what we answer. Runs in any context, also with interrupts off.
 */
	TRAMPOLINE_START mg_tramp_bitmap MG_ASM_HOOK_BITMAP
	PASS_KVM_CALLER
	COUNT_CALL MG_ASM_HOOK_BITMAP
	ASK_C mg_bitmap_answer
SYM_FUNC_END(mg_tramp_bitmap)

/*
 * int mg_run_body(unsigned long body, arg0, arg1, arg2): runs a hooked function from behind its
 * site on. A call through a pointer would fault on kernels with IBT, there is no ENDBR; a return
 * does not.
 */
	.balign 16
SYM_FUNC_START_NOALIGN(mg_run_body)
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	pushq	%rax
	UNWIND_HINT_FUNC
	RET
SYM_FUNC_END(mg_run_body)
