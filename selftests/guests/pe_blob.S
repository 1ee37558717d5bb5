/* SPDX-License-Identifier: GPL-2.0 */
/* The PE images, for the library. */
	.macro image name, file
	.globl	\name\()_start, \name\()_end
	.balign	8
\name\()_start:
	.incbin	"\file"
\name\()_end:
	.endm

	.section .rodata
	image	mg_driver, "mg-driver.sys"
	image	mg_export, "mg-export.sys"
	image	mg_large, "mg-large.sys"
	.section .note.GNU-stack, "", @progbits
