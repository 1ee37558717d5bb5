/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The boot loader of the hosts under Bochs: an option ROM that the BIOS calls while
 * it looks for boot devices, and that does not return. It reads what "run" wrote on
 * the disk (kernel, initramfs, boot parameters, page tables) to where that belongs
 * in memory, turns to 64-bit mode and jumps. No boot sector, no file system, and
 * nothing that the emulated machine would have to decompress.
 */
#include "layout.h"

#define ATA_DATA	0x1f0
#define ATA_COUNT	0x1f2
#define ATA_LBA		0x1f3
#define ATA_DRIVE	0x1f6
#define ATA_COMMAND	0x1f7
#define ATA_BUSY	0x80
#define ATA_DATA_READY	0x08
#define ATA_ERROR	0x01
#define READ_SECTORS_EXT 0x24

	.code16
	.globl	_start
_start:
	/* What makes it a ROM: the mark, the size in units of 512 bytes. */
	.byte	0x55, 0xaa, 1
	cli
	cld
	/* A20, without a reset. */
	inb	$0x92, %al
	andb	$0xfe, %al
	orb	$0x02, %al
	outb	%al, $0x92
	lgdtl	%cs:(gdtr - _start)
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	ljmpl	$0x08, $protected

	.code32
protected:
	movl	$0x18, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	$STACK, %esp

	/* The first sector is a table: address, first sector, number of sectors. */
	movl	$LOAD_TABLE, %edi
	xorl	%eax, %eax
	movl	$1, %ebx
	call	read
	movl	$LOAD_TABLE, %esi
next:
	movl	(%esi), %edi
	movl	4(%esi), %eax
	movl	8(%esi), %ebx
	testl	%ebx, %ebx
	jz	loaded
	call	read
	addl	$12, %esi
	jmp	next

/* Reads %ebx sectors from sector %eax on to %edi; at most 65536, which 0 stands for. */
read:
	movl	%eax, %ebp
	call	wait_idle
	movw	$ATA_DRIVE, %dx
	movb	$0xe0, %al
	outb	%al, %dx
	/* Each register takes the high byte first, then the low one. */
	movl	%ebp, %eax
	shrl	$24, %eax
	movb	%bh, %cl
	call	address
	movl	%ebp, %eax
	movb	%bl, %cl
	call	address
	movw	$ATA_COMMAND, %dx
	movb	$READ_SECTORS_EXT, %al
	outb	%al, %dx
sector:
	call	wait_idle
	testb	$ATA_ERROR, %al
	jnz	failed
	testb	$ATA_DATA_READY, %al
	jz	sector
	movw	$ATA_DATA, %dx
	movl	$128, %ecx
	rep insl
	decl	%ebx
	jnz	sector
	ret

/* Writes %cl as the count, %eax as the three bytes of the address. */
address:
	movw	$ATA_COUNT, %dx
	xchgb	%al, %cl
	outb	%al, %dx
	movb	%cl, %al
	incl	%edx
	outb	%al, %dx
	shrl	$8, %eax
	incl	%edx
	outb	%al, %dx
	shrl	$8, %eax
	incl	%edx
	outb	%al, %dx
	ret

wait_idle:
	movw	$ATA_COMMAND, %dx
0:	inb	%dx, %al
	testb	$ATA_BUSY, %al
	jnz	0b
	ret

failed:
	movl	$message, %esi
	movl	$end_of_message - message, %ecx
	movw	$0xe9, %dx
	rep outsb
0:	hlt
	jmp	0b

loaded:
	movl	$PAGE_TABLES, %eax
	movl	%eax, %cr3
	movl	$0x20, %eax		/* PAE */
	movl	%eax, %cr4
	movl	$0xc0000080, %ecx	/* EFER */
	rdmsr
	orl	$0x100, %eax		/* LME */
	wrmsr
	/* Not what the BIOS left: its caches are off. */
	movl	$0x80000011, %eax	/* PG, ET, PE */
	movl	%eax, %cr0
	ljmpl	$0x10, $long_mode

	.code64
long_mode:
	movl	$BOOT_PARAMS, %esi
	movl	KERNEL_ENTRY, %eax
	jmp	*%rax

	/* As the boot protocol wants it: 0x10 is code, 0x18 data. */
	.balign	8
gdt:
	.quad	0, 0x00cf9a000000ffff, 0x00af9a000000ffff, 0x00cf92000000ffff
gdtr:
	.word	gdtr - gdt - 1
	.long	gdt
message:
	.ascii	"\nlab: the disk cannot be read\n"
end_of_message:
	/* All bytes of a ROM add up to 0; "parts" sets the last one. */
	.org	511
	.byte	0
