/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A driver for a guest that is no Windows: linked to a PE image by mingw-w64's binutils, mapped
 * by lib/pe.c, called by what a test puts at GPA_CODE. R12 to R15 are the payload's.
 */
	.text
	.globl	DriverEntry
DriverEntry:
	xorl	%eax, %eax
	ret

/*
 * Writes its own header again and again: time stamp and checksum, first as RAX has them (low and
 * high half), then as RDX does. Meanwhile there is no "MZ". RCX is where the image stands, R15 the
 * vCPU's page, in which it counts, until it is told to stop. QEMU's TCG takes interrupts at jumps
 * only; so there is one behind each write.
 */
	.macro	write instruction:vararg
	\instruction
	jmp	.Lnext\@
.Lnext\@:
	.endm

	.globl	mg_rewrite
	.balign	16
mg_rewrite:
	movl	0x3c(%rcx), %r8d
	addq	%rcx, %r8
	movq	%rax, %r9
	shrq	$32, %r9
	movq	%rdx, %r10
	shrq	$32, %r10
1:	write	movw $0, (%rcx)
	write	movl %eax, 0x08(%r8)
	write	movl %r9d, 0x58(%r8)
	write	movw $0x5a4d, (%rcx)
	write	movw $0, (%rcx)
	write	movl %edx, 0x08(%r8)
	write	movl %r10d, 0x58(%r8)
	write	movw $0x5a4d, (%rcx)
	incq	0x68(%r15)		/* PG_OK */
	cmpq	$0, 0x30(%r15)		/* PG_STOP */
	je	1b
	ret

/* The same access in each of these pages. */
	.globl	mg_wrmsr
	.balign	4096
mg_wrmsr:
	.seh_proc mg_wrmsr
	.seh_endprologue
	.rept	16
	.balign	4096
	wrmsr
	ret
	.endr
	.seh_endproc

	.data
	.long	1

	.section .drectve
	.ascii	" -export:mg_wrmsr -export:mg_rewrite"
