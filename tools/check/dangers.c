// SPDX-License-Identifier: GPL-2.0
/* What no guest should be allowed, see dangers.h. */
#include <stdlib.h>

#include "check.h"
#include "dangers.h"
#include "msrguard.h"
#include "names/names.h"

#define ALL	UINT64_MAX
#define INTEL	MG_DANGER_OF_INTEL
#define AMD	MG_DANGER_OF_AMD

static const char nesting[] =
	"a guest with a hypervisor of its own has ways past rules, see limits.rst";
static const char energy[] =
	"energy meters tell what others compute (CVE-2020-8694, CVE-2020-12912, PLATYPUS)";
static const char power[] =
	"sets power limits of the host, SDM Vol. 3B, \"Platform Specific Power Management Support\"";
static const char clocks[] =
	"sets clocks and heat limits of the host, SDM Vol. 3B, \"Power and Thermal Management\"";
static const char turbo[] = "sets turbo ratios of the host, SDM Vol. 4";
static const char smm[] = "places or opens SMRAM, the memory of the firmware's SMM";
static const char trace[] =
	"traces what runs on the CPU to memory, SDM Vol. 3C, \"Intel Processor Trace\"";
static const char cache[] = "shares out caches and memory bandwidth of the host (RDT, SDM Vol. 3B)";
static const char identity[] = "identifies this very piece of hardware (PPIN)";
static const char chicken[] =
	"bits that switch units and mitigations of the CPU off, mostly without documentation (AMD PPRs)";
static const char memory_map[] =
	"says what is memory and what is I/O for the whole host, APM Vol. 2, \"IORRs\"";
static const char sev[] =
	"memory encryption and SNP of the host, APM Vol. 2, \"Secure Encrypted Virtualization\"";
static const char counters[] = "counts what the whole host does, beyond this guest";

/* By vendor, then by index. Where bits are given, the other ones are no danger known. */
const struct mg_danger mg_dangers[] = {
	{ 0x4e, 0x4f, true, ALL, INTEL, identity },
	{ 0x79, 0x7a, false, ALL, INTEL | AMD, "loads microcode, SDM Vol. 3A, \"Microcode Update Facilities\"" },
	{ 0x9b, 0x9b, false, ALL, INTEL, smm },
	{ 0x9e, 0x9e, true, ALL, INTEL, smm },
	{ 0xe2, 0xe4, false, ALL, INTEL, "sets C-states of the package, SDM Vol. 4" },
	{ 0x123, 0x123, false, ALL, INTEL, "switches mitigations off (SRBDS, GDS), SDM Vol. 4" },
	{ 0x13c, 0x13c, false, ALL, INTEL, "switches AES-NI off until reset, SDM Vol. 4" },
	{ 0x150, 0x150, true, ALL, INTEL, "voltage mailbox (CVE-2019-11157, Plundervolt)" },
	{ 0x17f, 0x17f, false, ALL, INTEL, "says which memory errors are reported, SDM Vol. 4" },
	{ 0x194, 0x195, false, ALL, INTEL, "over-clocking, SDM Vol. 4" },
	{ 0x199, 0x19c, false, ALL, INTEL, clocks },
	/* Thermal control, prefetching, SpeedStep, turbo. */
	{ 0x1a0, 0x1a0, false, 0x4000010208, INTEL, clocks },
	{ 0x1a2, 0x1a2, false, ALL, INTEL, clocks },
	{ 0x1a4, 0x1a4, false, ALL, INTEL, "switches prefetchers off for all that runs on the core, SDM Vol. 4" },
	{ 0x1a6, 0x1a7, false, ALL, INTEL, counters },
	{ 0x1aa, 0x1aa, false, ALL, INTEL, clocks },
	{ 0x1ac, 0x1af, false, ALL, INTEL, turbo },
	{ 0x1b0, 0x1b2, false, ALL, INTEL, clocks },
	/* Branch trace messages and stores, uncore interrupts. */
	{ 0x1d9, 0x1d9, false, 0x27c0, INTEL, "writes traces of branches to memory, SDM Vol. 3B, \"Branch Trace Store\"" },
	{ 0x1f2, 0x1f3, false, ALL, INTEL, smm },
	/* Linux sets and clears C1E promotion (1), of which KVM keeps a value of the vCPU's own. */
	{ 0x1fc, 0x1fc, false, ~(1ull << 1), INTEL, power },
	{ 0x391, 0x396, true, ALL, INTEL, counters },
	{ 0x560, 0x561, false, ALL, INTEL, trace },
	{ 0x570, 0x572, false, ALL, INTEL, trace },
	{ 0x580, 0x58f, false, ALL, INTEL, trace },
	{ 0x600, 0x600, false, ALL, INTEL, "where the CPU stores branch and event records, SDM Vol. 3B, \"DS Save Area\"" },
	{ 0x601, 0x603, false, ALL, INTEL, power },
	{ 0x606, 0x606, true, ALL, INTEL, energy },
	{ 0x610, 0x610, false, ALL, INTEL, power },
	{ 0x611, 0x611, true, ALL, INTEL, energy },
	{ 0x613, 0x613, true, ALL, INTEL, energy },
	{ 0x614, 0x618, false, ALL, INTEL, power },
	{ 0x619, 0x61b, true, ALL, INTEL, energy },
	{ 0x61c, 0x61c, false, ALL, INTEL, power },
	{ 0x620, 0x621, false, ALL, INTEL, clocks },
	{ 0x638, 0x638, false, ALL, INTEL, power },
	{ 0x639, 0x639, true, ALL, INTEL, energy },
	{ 0x63a, 0x640, false, ALL, INTEL, power },
	{ 0x641, 0x641, true, ALL, INTEL, energy },
	{ 0x642, 0x642, false, ALL, INTEL, power },
	{ 0x648, 0x64c, false, ALL, INTEL, power },
	{ 0x64d, 0x64d, true, ALL, INTEL, energy },
	{ 0x64f, 0x64f, false, ALL, INTEL, clocks },
	{ 0x65c, 0x65c, false, ALL, INTEL, power },
	{ 0x770, 0x777, false, ALL, INTEL, clocks },
	{ 0xc80, 0xc80, false, ALL, INTEL, "opens the CPU's debug interface, SDM Vol. 4" },
	{ 0xc81, 0xd8f, true, ALL, INTEL, cache },

	/* On either vendor's. */
	{ 0x1b, 0x1b, false, 0xffffffffff000, INTEL | AMD,
	  "moves the APIC's page, over other memory if need be (\"Memory Sinkhole\", Domas 2015)" },
	/* PB1 to PB3; PB0 is BusLockTrap today. */
	{ 0x1d9, 0x1d9, false, 0x38, AMD, "drives pins of the CPU, APM Vol. 2, \"Debug-Control MSR\"" },
	/* EFER.SVME. The VMX bits of Intel's FEATURE_CONTROL are set by firmware; see holes.c. */
	{ 0xc0000080, 0xc0000080, false, 0x1000, AMD, nesting },
	{ 0xc0000200, 0xc000028f, false, ALL, AMD, cache },
	{ 0xc0010010, 0xc0010010, false, 0x3800000, AMD, sev },
	/* SMM lock, MONITOR in user mode, McStatusWrEn, core performance boost, SMBASE lock. */
	{ 0xc0010015, 0xc0010015, false, 0x82040401, AMD,
	  "HWCR: opens machine-check status to forged errors, and locks SMM, AMD PPRs" },
	{ 0xc0010016, 0xc001001a, false, ALL, AMD, memory_map },
	/* Where CPUID shows a K7, Linux sets bits 20 to 31, which KVM swallows. */
	{ 0xc001001b, 0xc001001b, false, ~0xfff00000ull, AMD,
	  "clock control of old CPUs (Linux, init_amd_k7())" },
	{ 0xc001001d, 0xc001001d, false, ALL, AMD, memory_map },
	/* Old guests turn on configuration space above 256 bytes (46). */
	{ 0xc001001f, 0xc001001f, false, ~(1ull << 46), AMD, "configures the northbridge, AMD BKDGs" },
	{ 0xc0010020, 0xc0010020, false, ALL, AMD, "loads microcode (\"Patch Loader\", AMD PPRs)" },
	{ 0xc0010050, 0xc0010056, false, ALL, AMD, smm },
	{ 0xc0010058, 0xc0010058, false, ALL, AMD, memory_map },
	{ 0xc0010061, 0xc0010071, false, ALL, AMD, "sets P-states, and with them clock and voltage of the host (AMD PPRs)" },
	{ 0xc0010073, 0xc0010074, false, ALL, AMD, "C-states and the CPU's watchdog, AMD PPRs" },
	{ 0xc0010111, 0xc0010113, true, ALL, AMD, smm },
	{ 0xc0010114, 0xc0010114, false, ALL, AMD, nesting },
	{ 0xc0010115, 0xc0010115, false, ALL, AMD, "sets the CPU's IGNNE signal, APM Vol. 2 15.30.2" },
	{ 0xc0010116, 0xc0010116, false, ALL, AMD, smm },
	{ 0xc0010117, 0xc0010117, false, ALL, AMD, nesting },
	{ 0xc0010118, 0xc0010119, false, ALL, AMD, smm },
	{ 0xc001011e, 0xc001011e, false, ALL, AMD, sev },
	{ 0xc0010132, 0xc001013f, false, ALL, AMD, sev },
	{ 0xc0010230, 0xc001024f, true, ALL, AMD, counters },
	{ 0xc0010290, 0xc0010292, false, ALL, AMD, power },
	{ 0xc0010293, 0xc0010293, true, ALL, AMD, "tells clock and voltage of the host, AMD PPRs" },
	{ 0xc0010299, 0xc001029b, true, ALL, AMD, energy },
	{ 0xc00102b0, 0xc00102b4, false, ALL, AMD, clocks },
	{ 0xc00102f0, 0xc00102f1, true, ALL, AMD, identity },
	{ 0xc0010800, 0xc00108ff, true, ALL, AMD, counters },
	/*
	 * Of some, Linux and Windows set a bit at boot, which KVM swallows: against erratum 383,
	 * in TW_CFG, to make LFENCE serialise, in BU_CFG2 and all of EX_CFG.
	 */
	{ 0xc0011000, 0xc0011021, false, ALL, AMD, chicken },
	{ 0xc0011022, 0xc0011022, false, ~(1ull << 47), AMD, chicken },
	{ 0xc0011023, 0xc0011023, false, ~(1ull << 8), AMD, chicken },
	{ 0xc0011024, 0xc0011028, false, ALL, AMD, chicken },
	{ 0xc0011029, 0xc0011029, false, ~(1ull << 1), AMD, chicken },
	{ 0xc001102a, 0xc001102a, false, ~(1ull << 24), AMD, chicken },
	{ 0xc001102b, 0xc001102b, false, ALL, AMD, chicken },
	{ 0xc001102d, 0xc001102f, false, ALL, AMD, chicken },
	{ 0xc0011030, 0xc001103d, true, ALL, AMD, "samples instructions (IBS), and tells addresses of the host, APM Vol. 2" },
	{ 0xc001103e, 0xc00110a1, false, ALL, AMD, chicken },
	{ 0xc00110a2, 0xc00110a2, true, ALL, AMD, "where the PSP's registers are, AMD PPRs" },
	{ 0xc00110a3, 0xc00110ff, false, ALL, AMD, chicken },
};

const size_t mg_nr_dangers = ARRAY_SIZE(mg_dangers);

/* By index. */
static const struct mg_refusal refusals[] = {
	/* Firmware has no handler for faults; lock (0) and LMCE (20) are no danger. */
	{ 0x3a, INTEL, NULL, ~0x100001ull, "turns VMX, SENTER and SGX on, SDM Vol. 4 Table 2-2" },
	/*
	 * Guests write 0 over the revision before they read it, at each boot. A mask of the bits
	 * seen would be too narrow after the host's next update, and there is nothing to be written.
	 */
	{ 0x8b, INTEL | AMD, "drop quiet", 0, NULL },
	/* A guest that is shown PEBS. */
	{ 0x600, INTEL, "drop", 0, NULL },
	/* On family 15h, Linux sets McStatusWrEn and clears it again. */
	{ 0xc0010015, AMD, NULL, 0, NULL },
	/* KVM ignores what a guest's hypervisor writes. */
	{ 0xc0010115, AMD, "drop", 0, NULL },
};

const struct mg_refusal *mg_refusal_find(uint32_t index, unsigned int of)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(refusals); i++)
		if (refusals[i].index == index && refusals[i].of & of)
			return &refusals[i];
	return NULL;
}

const struct mg_danger *mg_danger_find(uint32_t index, uint64_t bits, unsigned int of)
{
	const struct mg_danger *danger;
	size_t i;

	for (i = 0; i < mg_nr_dangers; i++) {
		danger = &mg_dangers[i];
		if (index >= danger->first && index <= danger->last && danger->of & of &&
		    (bits ? danger->bits & bits : danger->read))
			return danger;
	}
	return NULL;
}

/* What the notes say: that a guest has no business with it. */
static const char *note_of(uint32_t index, bool write, unsigned int of)
{
	const enum mg_vendor vendor = of == INTEL ? MG_VENDOR_INTEL :
				      of == AMD ? MG_VENDOR_AMD : MG_VENDOR_ANY;
	const unsigned int flag = write ? MG_DANGER_WRITE : MG_DANGER_READ;
	const struct mg_msr_name *name = mg_msr_find(index, vendor);
	const struct mg_msr_block *block = mg_msr_block(index, vendor);

	if (name && name->what)
		return !(name->danger & flag) ? NULL : name->why ?: name->what;
	return block && block->danger & flag ? block->why ?: block->what : NULL;
}

struct mg_doubt mg_danger_doubt(uint32_t index, bool write, uint64_t bits, unsigned int of)
{
	const struct mg_danger *danger = write && !bits ? NULL :
					 mg_danger_find(index, write ? bits : 0, of);
	const struct mg_danger *any = mg_danger_find(index, ALL, of);
	const struct mg_refusal *refusal = write ? mg_refusal_find(index, of) : NULL;

	if (danger)
		return (struct mg_doubt){ danger->bits, danger->why };
	if (refusal && refusal->bits)
		return (struct mg_doubt){ refusal->bits, bits & refusal->bits ? refusal->why : NULL };
	if (write && any && any->bits != ALL)
		return (struct mg_doubt){ 0, NULL };
	return (struct mg_doubt){ ALL, note_of(index, write, of) };
}

static unsigned int vendors_of(const struct mg_check *check)
{
	return (mg_check_is_intel(check) ? INTEL : 0) | (mg_check_is_amd(check) ? AMD : 0);
}

/* What a guest can do of what is dangerous about an MSR. */
static bool allows(const struct mg_check *check, const struct mg_danger *danger, u32 index,
		   const char **how)
{
	const struct mg_rule *rule = mg_policy_find(check->policy, index);
	bool write = mg_check_open_bits(check, index) & danger->bits;
	bool read = danger->read && (rule->audit || (rule->perm[MG_READ].action != MG_DENY &&
						     rule->perm[MG_READ].mask));

	*how = read && write ? "read and write" : read ? "read" : "write";
	return read || write;
}

static void tell(const struct mg_check *check, const struct mg_danger *danger, u32 first, u32 last,
		 const char *how)
{
	const struct mg_rule *rule = mg_policy_find(check->policy, first);
	char *name = mg_check_name(first, last);

	mg_find(check->findings, danger->why == nesting ? MG_NOTE : MG_WARNING, "dangerous",
		rule->source_line, "lets guests %s %s: %s", how, name, danger->why);
	free(name);
}

/* Consecutive MSRs that one rule allows in the same way are one finding. */
static void check_danger(const struct mg_check *check, const struct mg_danger *danger,
			 u32 *by_default)
{
	const struct mg_rule *rule, *last_rule = NULL;
	const char *how, *last_how = NULL;
	u32 first = danger->first, index;

	for (index = danger->first; index <= danger->last; index++) {
		rule = mg_policy_find(check->policy, index);
		if (!allows(check, danger, index, &how)) {
			how = NULL;
		} else if (rule->is_default) {
			(*by_default)++;
			how = NULL;
		}
		if (rule != last_rule || how != last_how) {
			if (last_how)
				tell(check, danger, first, index - 1, last_how);
			first = index;
		}
		last_rule = rule;
		last_how = how;
	}
	if (last_how)
		tell(check, danger, first, danger->last, last_how);
}

void mg_check_dangers(const struct mg_check *check)
{
	const struct mg_rule *fallback = mg_policy_rule(check->policy, 0);
	unsigned int of = vendors_of(check);
	u32 by_default = 0;
	size_t i;

	for (i = 0; i < mg_nr_dangers; i++)
		if (mg_dangers[i].of & of)
			check_danger(check, &mg_dangers[i], &by_default);
	if (by_default)
		mg_find(check->findings, MG_NOTE, "dangerous-by-default", fallback->source_line,
			"the default line lets guests use %u MSRs that are known as dangerous",
			by_default);
}
