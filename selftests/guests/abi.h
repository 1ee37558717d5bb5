/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the payload in the guest and the library in the host agree on.
 *
 * Each vCPU has a page of its own (PG_* below, struct guest_page in lib/vm.h); the
 * payload keeps its address in R15 and never loads it from anywhere, so no access to
 * an MSR (GS base, say) can break the payload itself.
 */
#ifndef MG_GUEST_ABI_H
#define MG_GUEST_ABI_H

/* Guest-physical, equal to guest-linear, addresses. N is the vCPU's number. */
#define GPA_GDT			0x1000
#define GPA_IDT			0x2000
#define GPA_TSS			0x3000
#define GPA_PML4		0x4000
#define GPA_PDPT		0x5000
#define GPA_PD			0x6000
#define GPA_PAGE(n)		(0x10000 + (n) * 0x1000)
#define GPA_STACK_TOP(n)	(0x21000 + (n) * 0x1000)
#define GPA_L2_STACK_TOP(n)	(0x29000 + (n) * 0x1000)
#define GPA_NESTED(n)		(0x30000 + (n) * 0x8000)	/* what L1 keeps for its guest: */
#define GPA_VMCB(n)		(GPA_NESTED(n) + 0x0000)	/* AMD */
#define GPA_HSAVE(n)		(GPA_NESTED(n) + 0x1000)
#define GPA_MSRPM(n)		(GPA_NESTED(n) + 0x2000)	/* 2 pages on AMD, 1 on Intel */
#define GPA_VMXON(n)		(GPA_NESTED(n) + 0x0000)	/* Intel */
#define GPA_VMCS(n)		(GPA_NESTED(n) + 0x1000)
#define GPA_VMX_WORK(n)		(GPA_NESTED(n) + 0x4000)	/* VW_* below */
#define GPA_VMX_LISTS(n)	(GPA_NESTED(n) + 0x5000)
#define GPA_VMX_VAPIC(n)	(GPA_NESTED(n) + 0x6000)
#define GPA_SCRATCH		0x60000		/* free for tests */
#define GPA_CODE		0x61000		/* what OP_CODE calls; it ends in RET */
#define GPA_TABLES		0x70000		/* more page tables, see lib/paging.c */
#define NR_GPA_TABLES		64
#define GPA_PAYLOAD		0x100000
#define GPA_IMAGE		0x140000	/* a PE image's pages, see lib/pe.c */
#define GUEST_MEM_SIZE		0x200000

#define SEL_CODE		0x08
#define SEL_DATA		0x10
#define SEL_TSS			0x18

#define NR_VECTORS		32
#define VECTOR_STUB_SIZE	16

/* Ports the payload writes to. */
#define PORT_DONE		0x510	/* the command is done, the page holds its result */
#define PORT_PANIC		0x511	/* an exception nobody expected */

/* A command is an instruction, plus a form. */
#define OP_WRMSR		0
#define OP_RDMSR		1
#define OP_WRMSR_FEP		2	/* behind KVM's forced-emulation prefix */
#define OP_RDMSR_FEP		3
#define NR_OPS			4
#define FORM_ONCE		0
#define FORM_SPIN		4
#define FORM_BENCH		8
#define OP_CODE			12	/* once: what a test has put at GPA_CODE */
#define NR_COMMANDS		13

/* The page, byte offsets. Written by the host: */
#define PG_COMMAND		0x00	/* u32, an OP plus a FORM */
#define PG_LEVEL2		0x04	/* u32, run it in a guest of the guest: LEVEL2_* or 0 */
#define PG_MSR			0x08	/* u64, what RCX shall hold */
#define PG_RAX_IN		0x10	/* u64 */
#define PG_RDX_IN		0x18	/* u64 */
#define PG_RFLAGS_IN		0x20	/* u64 */
#define PG_COUNT		0x28	/* u64, rounds of a bench, at least 1 */
#define PG_STOP			0x30	/* u64, ends a spin */
#define PG_NESTED		0x38	/* u64, address of the VMCB, or of the VW_* below */
/* Written by the guest: */
#define PG_VECTOR		0x40	/* u64, of the last exception */
#define PG_ERROR		0x48	/* u64 */
#define PG_FAULT_RIP		0x50	/* u64 */
#define PG_FAULT_RFLAGS		0x58	/* u64 */
#define PG_FAULTS		0x60	/* u64, exceptions other than #DB */
#define PG_OK			0x68	/* u64, accesses of a spin that did not fault */
#define PG_LAST_EAX		0x70	/* u32, what a spin read last */
#define PG_LAST_EDX		0x74	/* u32 */
#define PG_RAX_OUT		0x78	/* u64 */
#define PG_RDX_OUT		0x80	/* u64 */
#define PG_RCX_OUT		0x88	/* u64 */
#define PG_RFLAGS_OUT		0x90	/* u64 */
#define PG_STEPS		0x98	/* u64, #DB taken */
#define PG_STEP_RIP		0xa0	/* u64 */
#define PG_CYCLES		0xa8	/* u64, TSC ticks of a bench */
#define PG_PANIC_RSP		0xb0	/* u64 */

#define LEVEL2_SVM		1
#define LEVEL2_VMX		2

/*
 * What L1 shall do to run its guest under VMX, byte offsets. The host has written it all but for
 * VW_ENTERED and VW_FAILED, and the values of the reads.
 */
#define VW_VMXON		0x00	/* u64, addresses of the two regions */
#define VW_VMCS			0x08
#define VW_ENTERED		0x10	/* u64, VMXON has been executed */
#define VW_FAILED		0x18	/* u64, the VW_STEP_* that set CF or ZF; 0 is none */
#define VW_NR_WRITES		0x20	/* u64 */
#define VW_NR_READS		0x28	/* u64 */
#define VW_WRITES		0x40	/* pairs of u64: field, value. Before VMLAUNCH */
#define VW_READS		0xc00	/* the same, after it */
#define VW_MAX_WRITES		((VW_READS - VW_WRITES) / 16)
#define VW_MAX_READS		((0x1000 - VW_READS) / 16)
#define VW_STEP_VMXON		1
#define VW_STEP_VMCLEAR		2
#define VW_STEP_VMPTRLD		3
#define VW_STEP_VMWRITE		4
#define VW_STEP_VMLAUNCH	5

/* The head of the payload's image, u64 each. */
#define HEAD_MAGIC		0x74737567676d0002
#define HEAD_AT_MAGIC		0
#define HEAD_AT_ENTRY		1
#define HEAD_AT_L2_ENTRY	2
#define HEAD_AT_L2_VMCALL	3	/* the VMCALL that ends it on Intel */
#define HEAD_AT_L1_RETURN	4	/* where L1 goes on after a VM-exit */
#define HEAD_AT_VECTORS		5
#define HEAD_AT_INSN		6	/* NR_COMMANDS addresses of access instructions */
#define HEAD_WORDS		(HEAD_AT_INSN + NR_COMMANDS)

#endif /* MG_GUEST_ABI_H */
