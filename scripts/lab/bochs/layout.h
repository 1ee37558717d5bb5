/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where things are in the memory of a host under Bochs when its kernel starts. For
 * rom.S, and for "run", which reads it as text.
 */
#define STACK		0x7c00
#define LOAD_TABLE	0x8000
#define KERNEL_ENTRY	0x100000	/* holds the address to jump to */
#define BOOT_PARAMS	0x101000
#define COMMAND_LINE	0x102000
#define PAGE_TABLES	0x103000
