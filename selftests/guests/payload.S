/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest: takes a command from its page, does the one access, tells what happened.
 *
 * Runs at CPL 0 in 64-bit mode. Registers with a fixed use:
 *   R15  the vCPU's page
 *   R14  where to go on after a fault, 0 when none is expected
 *   R13  scratch of the exception handler
 * The handler touches no other register, so that what an access left in the others
 * can be told from what it found there.
 */
#include "abi.h"

#define FLAG_TF_BIT	8

	.section .head, "ax"
	.quad	HEAD_MAGIC
	.quad	entry
	.quad	l2_entry
	.quad	l2_vmcall
	.quad	vmx_return
	.quad	vectors
	.quad	once_wrmsr_insn, once_rdmsr_insn, once_wrmsr_fep_insn, once_rdmsr_fep_insn
	.quad	spin_wrmsr_insn, spin_rdmsr_insn, spin_wrmsr_fep_insn, spin_rdmsr_fep_insn
	.quad	bench_wrmsr_insn, bench_rdmsr_insn, bench_wrmsr_fep_insn, bench_rdmsr_fep_insn
	.quad	GPA_CODE

	.text
entry:
	xorl	%r14d, %r14d
main_loop:
	cmpl	$0, PG_LEVEL2(%r15)
	jne	run_l2
	call	do_command
done:
	movw	$PORT_DONE, %dx
	outb	%al, %dx
	jmp	main_loop

run_l2:
	movq	PG_NESTED(%r15), %rbx
	cmpl	$LEVEL2_VMX, PG_LEVEL2(%r15)
	je	run_l2_vmx

/* The VMCB is the host's work; RIP in it is l2_entry. R13-R15 are L2's too. */
	movq	%rbx, %rax
	vmrun	%rax
	stgi
	jmp	l2_done

/*
 * A VMCS can only be written by the CPU, so the host says what to write. RIP in it is l2_entry,
 * and vmx_return for L1. R12 says how far we got.
 */
run_l2_vmx:
	movq	$0, VW_FAILED(%rbx)
	movl	$VW_STEP_VMXON, %r12d
	cmpq	$0, VW_ENTERED(%rbx)
	jne	1f
	vmxon	VW_VMXON(%rbx)
	jbe	vmx_failed
	movq	$1, VW_ENTERED(%rbx)
1:	movl	$VW_STEP_VMCLEAR, %r12d
	vmclear	VW_VMCS(%rbx)
	jbe	vmx_failed
	movl	$VW_STEP_VMPTRLD, %r12d
	vmptrld	VW_VMCS(%rbx)
	jbe	vmx_failed
	movl	$VW_STEP_VMWRITE, %r12d
	leaq	VW_WRITES(%rbx), %rsi
	movq	VW_NR_WRITES(%rbx), %rdi
2:	movq	(%rsi), %rcx
	movq	8(%rsi), %rax
	vmwrite	%rax, %rcx
	jbe	vmx_failed
	addq	$16, %rsi
	decq	%rdi
	jnz	2b
	movl	$VW_STEP_VMLAUNCH, %r12d
	vmlaunch
vmx_failed:
	movq	%r12, VW_FAILED(%rbx)
	cmpl	$VW_STEP_VMLAUNCH, %r12d
	jb	l2_done
vmx_return:
	movq	PG_NESTED(%r15), %rbx
	leaq	VW_READS(%rbx), %rsi
	movq	VW_NR_READS(%rbx), %rdi
3:	movq	(%rsi), %rcx
	vmread	%rcx, 8(%rsi)
	addq	$16, %rsi
	decq	%rdi
	jnz	3b

/* L2 may have been stopped at an access, with its R14. */
l2_done:
	xorl	%r14d, %r14d
	jmp	done

l2_entry:
	call	do_command
	cmpl	$LEVEL2_VMX, PG_LEVEL2(%r15)
	je	l2_vmcall
	vmmcall
	ud2
l2_vmcall:
	vmcall
	ud2

/*
 * Nobody sends this guest interrupts, so IF changes nothing for it. But Bochs 3.0 also holds back
 * those of the host while a guest runs with IF clear, and a spin would never be left.
 */
do_command:
	sti
	movl	PG_COMMAND(%r15), %eax
	cmpl	$NR_COMMANDS, %eax
	jae	1f
	jmp	*commands(, %rax, 8)
1:	ud2

	.macro fep
	ud2
	.ascii	"kvm"
	.endm

	.macro load_registers
	movq	PG_MSR(%r15), %rcx
	movq	PG_RAX_IN(%r15), %rax
	movq	PG_RDX_IN(%r15), %rdx
	.endm

/*
 * One access. The instruction follows POPFQ directly, so that with TF set the single
 * step is the access. \prefix is "fep" or nothing; the label is on the instruction
 * itself, which is where KVM's emulator sees it and where its faults point to.
 */
	.macro once name, insn, prefix
once_\name:
	leaq	once_\name\()_resume, %r14
	load_registers
	pushq	PG_RFLAGS_IN(%r15)
	popfq
	\prefix
once_\name\()_insn:
	\insn
once_\name\()_resume:
	movq	%rax, PG_RAX_OUT(%r15)
	movq	%rdx, PG_RDX_OUT(%r15)
	movq	%rcx, PG_RCX_OUT(%r15)
	pushfq
	popq	PG_RFLAGS_OUT(%r15)
	movq	$0, %r14
	ret
	.endm

/* Whatever the test has put at GPA_CODE, once, with the registers of an access. */
once_code:
	leaq	once_code_resume, %r14
	movq	%rsp, %r12
	load_registers
	pushq	PG_RFLAGS_IN(%r15)
	popfq
	movl	$GPA_CODE, %ebx
	call	*%rbx
once_code_resume:
	movq	%r12, %rsp
	movq	%rax, PG_RAX_OUT(%r15)
	movq	%rdx, PG_RDX_OUT(%r15)
	movq	%rcx, PG_RCX_OUT(%r15)
	pushfq
	popq	PG_RFLAGS_OUT(%r15)
	movq	$0, %r14
	ret

/* The same access again and again, without leaving guest mode, until told to stop. */
	.macro spin name, insn, prefix
spin_\name:
	leaq	spin_\name\()_resume, %r14
	load_registers
1:	\prefix
spin_\name\()_insn:
	\insn
	movl	%eax, PG_LAST_EAX(%r15)
	movl	%edx, PG_LAST_EDX(%r15)
	incq	PG_OK(%r15)
spin_\name\()_resume:
	cmpq	$0, PG_STOP(%r15)
	je	1b
	movq	$0, %r14
	ret
	.endm

/* A counted loop with nothing else in it, between two readings of the TSC. */
	.macro bench name, insn, prefix
bench_\name:
	leaq	bench_\name\()_resume, %r14
	movq	PG_COUNT(%r15), %rbx
	call	read_tsc
	movq	%rax, %r12
	load_registers
1:	\prefix
bench_\name\()_insn:
	\insn
bench_\name\()_resume:
	decq	%rbx
	jnz	1b
	call	read_tsc
	subq	%r12, %rax
	movq	%rax, PG_CYCLES(%r15)
	movq	$0, %r14
	ret
	.endm

	once	wrmsr, wrmsr
	once	rdmsr, rdmsr
	once	wrmsr_fep, wrmsr, fep
	once	rdmsr_fep, rdmsr, fep
	spin	wrmsr, wrmsr
	spin	rdmsr, rdmsr
	spin	wrmsr_fep, wrmsr, fep
	spin	rdmsr_fep, rdmsr, fep
	bench	wrmsr, wrmsr
	bench	rdmsr, rdmsr
	bench	wrmsr_fep, wrmsr, fep
	bench	rdmsr_fep, rdmsr, fep

read_tsc:
	lfence
	rdtsc
	shlq	$32, %rdx
	orq	%rdx, %rax
	ret

/* Vectors for which the CPU pushes an error code: 8, 10-14, 17, 21, 29, 30. */
#define HAS_ERROR_CODE	0x60227d00

	.balign	VECTOR_STUB_SIZE
vectors:
	.set	n, 0
	.rept	NR_VECTORS
	.balign	VECTOR_STUB_SIZE
	.if	((HAS_ERROR_CODE >> n) & 1) == 0
	pushq	$0
	.endif
	pushq	$n
	jmp	exception
	.set	n, n + 1
	.endr

/* On the stack: vector, error code, RIP, CS, RFLAGS, RSP, SS. */
	.balign	16
exception:
	testq	%r14, %r14
	jz	panic
	cmpq	$1, (%rsp)
	je	single_step
	popq	PG_VECTOR(%r15)
	popq	PG_ERROR(%r15)
	incq	PG_FAULTS(%r15)
	movq	(%rsp), %r13
	movq	%r13, PG_FAULT_RIP(%r15)
	movq	16(%rsp), %r13
	movq	%r13, PG_FAULT_RFLAGS(%r15)
	btrq	$FLAG_TF_BIT, 16(%rsp)
	movq	%r14, (%rsp)
	iretq

single_step:
	addq	$16, %rsp
	incq	PG_STEPS(%r15)
	movq	(%rsp), %r13
	movq	%r13, PG_STEP_RIP(%r15)
	btrq	$FLAG_TF_BIT, 16(%rsp)
	iretq

panic:
	popq	PG_VECTOR(%r15)
	popq	PG_ERROR(%r15)
	movq	(%rsp), %r13
	movq	%r13, PG_FAULT_RIP(%r15)
	movq	%rsp, PG_PANIC_RSP(%r15)
	movw	$PORT_PANIC, %dx
	outb	%al, %dx
	jmp	panic

	.balign	8
commands:
	.quad	once_wrmsr, once_rdmsr, once_wrmsr_fep, once_rdmsr_fep
	.quad	spin_wrmsr, spin_rdmsr, spin_wrmsr_fep, spin_rdmsr_fep
	.quad	bench_wrmsr, bench_rdmsr, bench_wrmsr_fep, bench_rdmsr_fep
	.quad	once_code
