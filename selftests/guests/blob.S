/* SPDX-License-Identifier: GPL-2.0 */
/* The payload's image, for the library. PAYLOAD_BIN is a string the Makefile defines. */
	.section .rodata
	.balign	8
	.globl	payload_start
payload_start:
	.incbin	PAYLOAD_BIN
	.globl	payload_end
payload_end:
	.section .note.GNU-stack, "", @progbits
