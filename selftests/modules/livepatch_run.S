/* SPDX-License-Identifier: GPL-2.0 */
#include <linux/linkage.h>
#include <asm/unwind_hints.h>

/*
 * unsigned long livepatch_run(unsigned long body, arg0, arg1, arg2): runs a function from a point
 * behind its entry on. By a return, because there is no ENDBR.
 */
	.text
	.balign 16
SYM_FUNC_START_NOALIGN(livepatch_run)
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	pushq	%rax
	UNWIND_HINT_FUNC
	RET
SYM_FUNC_END(livepatch_run)
