// SPDX-License-Identifier: GPL-2.0
/* MSRs that hold addresses, times and counts, see varying.h. */
#include <stddef.h>

#include "msrguard.h"
#include "varying.h"

#define WHOLE		UINT64_MAX
/* Physical addresses have 52 bits at most (SDM Vol. 3A, APM Vol. 2: "Paging"). */
#define PHYSICAL(shift)	((UINT64_MAX >> 12) & ~((1ull << (shift)) - 1))
/* KVM's counters have 48 bits. */
#define COUNTER		(UINT64_MAX >> 16)

static const char address[] = "an address";
static const char deadline[] = "a time";
static const char count[] = "a count";
static const char interrupt[] = "an interrupt and whom it is for";

/* By index. The paravirtual ones are KVM's (Documentation/virt/kvm/x86/msr.rst) and Hyper-V's (TLFS). */
static const struct mg_varying fields[] = {
	{ 0x11, 0x11, PHYSICAL(2), address },		/* kvmclock, as it was first */
	{ 0x12, 0x12, PHYSICAL(2), address },
	{ 0x3b, 0x3b, WHOLE, deadline },		/* TSC_ADJUST */
	{ 0xc1, 0xc8, COUNTER, count },			/* PMC0 to PMC7 */
	{ 0x175, 0x176, WHOLE, address },		/* SYSENTER_ESP, SYSENTER_EIP */
	{ 0x1cc, 0x1d3, WHOLE, address },		/* FRED_RSP0 to FRED_SSP3 */
	{ 0x1d4, 0x1d4, ~0xfffull, address },		/* FRED_CONFIG: the entry point */
	{ 0x309, 0x30b, COUNTER, count },		/* FIXED_CTR0 to FIXED_CTR2 */
	{ 0x4c1, 0x4c8, COUNTER, count },		/* the same PMCs in full width */
	{ 0x6a4, 0x6a8, WHOLE, address },		/* PL0_SSP to INTERRUPT_SSP_TABLE */
	{ 0x6e0, 0x6e0, WHOLE, deadline },		/* TSC_DEADLINE */
	/* x2APIC ICR: destination, shorthand, trigger, level, mode, vector. */
	{ 0x830, 0x830, 0xffffffff000ccfff, interrupt },
	{ 0x838, 0x838, UINT32_MAX, deadline },		/* x2APIC initial count */
	{ 0x83f, 0x83f, 0xff, interrupt },		/* x2APIC SELF_IPI */
	{ 0x40000001, 0x40000001, PHYSICAL(12), address },	/* HYPERCALL */
	{ 0x40000021, 0x40000021, PHYSICAL(12), address },	/* REFERENCE_TSC */
	{ 0x40000071, 0x40000071, 0xffffffff000ccfff, interrupt },	/* ICR */
	{ 0x40000073, 0x40000073, PHYSICAL(12), address },	/* VP_ASSIST_PAGE */
	{ 0x40000082, 0x40000083, PHYSICAL(12), address },	/* SIEFP, SIMP */
	{ 0x400000b1, 0x400000b1, WHOLE, deadline },	/* STIMER0_COUNT */
	{ 0x400000b3, 0x400000b3, WHOLE, deadline },
	{ 0x400000b5, 0x400000b5, WHOLE, deadline },
	{ 0x400000b7, 0x400000b7, WHOLE, deadline },	/* STIMER3_COUNT */
	{ 0x4b564d00, 0x4b564d00, PHYSICAL(2), address },	/* WALL_CLOCK_NEW */
	{ 0x4b564d01, 0x4b564d01, PHYSICAL(2), address },	/* SYSTEM_TIME_NEW */
	{ 0x4b564d02, 0x4b564d03, PHYSICAL(6), address },	/* ASYNC_PF_EN, STEAL_TIME */
	{ 0x4b564d04, 0x4b564d04, PHYSICAL(2), address },	/* PV_EOI_EN */
	{ 0xc0000082, 0xc0000083, WHOLE, address },	/* LSTAR, CSTAR */
	{ 0xc0000100, 0xc0000102, WHOLE, address },	/* FS_BASE, GS_BASE, KERNEL_GS_BASE */
	{ 0xc0010004, 0xc0010007, COUNTER, count },	/* K7_PERFCTR0 to K7_PERFCTR3 */
	/* F15H_PERF_CTR, every second one. */
	{ 0xc0010201, 0xc0010201, COUNTER, count },
	{ 0xc0010203, 0xc0010203, COUNTER, count },
	{ 0xc0010205, 0xc0010205, COUNTER, count },
	{ 0xc0010207, 0xc0010207, COUNTER, count },
	{ 0xc0010209, 0xc0010209, COUNTER, count },
	{ 0xc001020b, 0xc001020b, COUNTER, count },
};

const struct mg_varying *mg_varying_find(uint32_t index)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (index >= fields[i].first && index <= fields[i].last)
			return &fields[i];
	return NULL;
}
