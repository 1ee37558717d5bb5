// SPDX-License-Identifier: GPL-2.0
/*
 * The names of MSRs: that the tables are sound, and that look-ups find what they should.
 * Prints TAP.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "msrguard.h"
#include "names/names.h"
#include "names/tables.h"

#define FOUND_MAX	8

static unsigned int tests, failed;

static void check(bool good, const char *name)
{
	tests++;
	failed += !good;
	printf("%sok %u - %s\n", good ? "" : "not ", tests, name);
}

static bool is_name(const struct mg_msr_name *name, const char *expected)
{
	if (!name && !expected)
		return true;
	if (name && expected && !strcmp(name->name, expected))
		return true;
	printf("# got:      %s\n# expected: %s\n", name ? name->name : "nothing",
	       expected ? expected : "nothing");
	return false;
}

static void test_tables(void)
{
	const struct mg_msr_name *row, *before = NULL;
	bool sorted = true, sound = true, reasons = true, plain = true;
	size_t i;

	for (i = 0; (row = mg_msr_each(i)); i++) {
		if (before && i != mg_msr_nr_notes && row->index < before->index)
			sorted = false;
		if (!row->name || !*row->name || row->vendor > MG_VENDOR_OTHER)
			sound = false;
		if (row->danger && (!row->why || !*row->why))
			reasons = false;
		if (!!row->what != (i < mg_msr_nr_notes))
			plain = false;
		before = row;
	}
	check(i == mg_msr_nr_notes + mg_msr_nr_kernel_names, "all rows are gone through");
	check(sorted, "both tables are ascending");
	check(sound, "all rows have a name and a vendor");
	check(reasons, "what is dangerous has a reason");
	check(plain, "notes, and only notes, say what an MSR is");
	/* Of single MSRs, far more than policies speak of. */
	check(mg_msr_nr_notes > 600 && mg_msr_nr_kernel_names > 600, "the tables are not empty");
}

/* Whether the kernel's headers have names for it today, of which @name is none. */
static bool is_not_the_kernels(const struct mg_msr_name *name)
{
	const struct mg_msr_name *row;
	bool differs = false;
	size_t i;

	for (i = 0; i < mg_msr_nr_kernel_names; i++) {
		row = &mg_msr_kernel_names[i];
		if (row->index != name->index || row->old || row->vendor == MG_VENDOR_OTHER)
			continue;
		/* Of families the headers often have the beginning alone. */
		if (!strncmp(name->name, row->name, strlen(row->name)))
			return false;
		differs = true;
	}
	return differs;
}

static void test_preferred(void)
{
	const struct mg_msr_name *note, *row;
	unsigned int without = 0, other = 0;
	size_t i;

	for (i = 0; i < mg_msr_nr_kernel_names; i++) {
		row = &mg_msr_kernel_names[i];
		note = mg_msr_find(row->index, row->vendor);
		if (!row->old && (!note || !note->what)) {
			printf("# %s 0x%x has no note\n", row->name, row->index);
			without++;
		}
	}
	check(!without, "each name of the kernel's headers for CPUs of today has a note");
	for (i = 0; i < mg_msr_nr_notes; i++) {
		note = &mg_msr_notes[i];
		if (note == mg_msr_find(note->index, note->vendor) && is_not_the_kernels(note)) {
			printf("# %s 0x%x: the kernel calls it otherwise\n", note->name,
			       note->index);
			other++;
		}
	}
	check(!other, "the preferred name is the kernel's where it has one");
}

static void test_known(void)
{
	static const struct {
		uint32_t index;
		enum mg_vendor vendor;
		const char *name;
	} known[] = {
		{ 0x79, MG_VENDOR_ANY, "MSR_IA32_UCODE_WRITE" },
		{ 0x79, MG_VENDOR_INTEL, "MSR_IA32_UCODE_WRITE" },
		{ 0x79, MG_VENDOR_AMD, NULL },
		{ 0x8b, MG_VENDOR_AMD, "MSR_IA32_UCODE_REV" },
		{ 0xc0010020, MG_VENDOR_ANY, "MSR_AMD64_PATCH_LOADER" },
		{ 0xc0010020, MG_VENDOR_INTEL, NULL },
		{ 0x10, MG_VENDOR_AMD, "MSR_IA32_TSC" },
		{ 0x150, MG_VENDOR_ANY, "MSR_OC_MAILBOX" },
		{ 0x1a0, MG_VENDOR_ANY, "MSR_IA32_MISC_ENABLE" },
		{ 0xc0000082, MG_VENDOR_ANY, "MSR_LSTAR" },
		{ 0xc0000082, MG_VENDOR_AMD, "MSR_LSTAR" },
		{ 0x4b564d01, MG_VENDOR_ANY, "MSR_KVM_SYSTEM_TIME_NEW" },
		{ 0x40000000, MG_VENDOR_ANY, "HV_X64_MSR_GUEST_OS_ID" },
		/* Members of families, the first, the last, and what is behind it. */
		{ 0x400, MG_VENDOR_ANY, "MSR_IA32_MC0_CTL" },
		{ 0x40d, MG_VENDOR_ANY, "MSR_IA32_MC3_STATUS" },
		{ 0x47f, MG_VENDOR_ANY, "MSR_IA32_MC31_MISC" },
		{ 0x480, MG_VENDOR_ANY, "MSR_IA32_VMX_BASIC" },
		{ 0x207, MG_VENDOR_ANY, "MSR_MTRRphysMask3" },
		{ 0x27f, MG_VENDOR_ANY, NULL },
		{ 0x280, MG_VENDOR_ANY, "MSR_IA32_MC0_CTL2" },
		{ 0x827, MG_VENDOR_ANY, "MSR_IA32_X2APIC_IRR7" },
		{ 0x850, MG_VENDOR_INTEL, NULL },
		{ 0x850, MG_VENDOR_AMD, "MSR_AMD64_X2APIC_EILVT0" },
		{ 0xc0010205, MG_VENDOR_AMD, "MSR_F15H_PERF_CTR2" },
		{ 0xc0002031, MG_VENDOR_AMD, "MSR_AMD64_SMCA_MC3_STATUS" },
		{ 0x4000009f, MG_VENDOR_ANY, "HV_X64_MSR_SINT15" },
		/* An MSR of its own goes before the member of a family that other models have. */
		{ 0x690, MG_VENDOR_INTEL, "MSR_CORE_PERF_LIMIT_REASONS" },
		{ 0x691, MG_VENDOR_INTEL, "MSR_LBR_NHM_FROM_17" },
		/* Names of old come after those of today. */
		{ 0x309, MG_VENDOR_ANY, "MSR_CORE_PERF_FIXED_CTR0" },
		{ 0x186, MG_VENDOR_ANY, "MSR_IA32_PERFEVTSEL0" },
		{ 0x10a, MG_VENDOR_ANY, "MSR_IA32_ARCH_CAPABILITIES" },
		/* And are better than none, but not on another vendor's CPU. */
		{ 0x360, MG_VENDOR_ANY, "MSR_P4_BPU_CCCR0" },
		{ 0x360, MG_VENDOR_AMD, NULL },
		{ 0x107, MG_VENDOR_ANY, "MSR_IDT_FCR1" },
		{ 0x107, MG_VENDOR_INTEL, NULL },
		/* Bits, masks and counts in the headers are no MSRs. */
		{ 0xffc, MG_VENDOR_ANY, NULL },
		{ 0x1d, MG_VENDOR_ANY, NULL },
		{ 0x4, MG_VENDOR_ANY, NULL },
		{ 0xffffffff, MG_VENDOR_ANY, NULL },
	};
	char text[96];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		snprintf(text, sizeof(text), "0x%x, vendor %s: %s", known[i].index,
			 mg_vendor_name(known[i].vendor), known[i].name ?: "no name");
		check(is_name(mg_msr_find(known[i].index, known[i].vendor), known[i].name), text);
	}
	check(!strcmp(mg_msr_label(0xc0000080), "MSR_EFER"), "label");
	check(!mg_msr_label(0xdeadbeef), "no label");
}

/* What no guest has any business with must be told so. */
static void test_dangers(void)
{
	static const struct {
		uint32_t index;
		enum mg_vendor vendor;
		unsigned int danger;
	} dangers[] = {
		{ 0x79, MG_VENDOR_INTEL, MG_DANGER_WRITE },
		{ 0xc0010020, MG_VENDOR_AMD, MG_DANGER_WRITE },
		{ 0x606, MG_VENDOR_INTEL, MG_DANGER_READ },
		{ 0x611, MG_VENDOR_INTEL, MG_DANGER_READ },
		{ 0x619, MG_VENDOR_INTEL, MG_DANGER_READ },
		{ 0x639, MG_VENDOR_INTEL, MG_DANGER_READ },
		{ 0x641, MG_VENDOR_INTEL, MG_DANGER_READ },
		{ 0x64d, MG_VENDOR_INTEL, MG_DANGER_READ },
		{ 0xc001029a, MG_VENDOR_AMD, MG_DANGER_READ },
		{ 0xc001029b, MG_VENDOR_AMD, MG_DANGER_READ },
		{ 0x610, MG_VENDOR_INTEL, MG_DANGER_WRITE },
		{ 0x150, MG_VENDOR_INTEL, MG_DANGER_READ | MG_DANGER_WRITE },
		{ 0x1a4, MG_VENDOR_INTEL, MG_DANGER_WRITE },
		{ 0x199, MG_VENDOR_INTEL, MG_DANGER_WRITE },
		{ 0x774, MG_VENDOR_INTEL, MG_DANGER_WRITE },
		{ 0x1ad, MG_VENDOR_INTEL, MG_DANGER_WRITE },
		{ 0x570, MG_VENDOR_INTEL, MG_DANGER_READ | MG_DANGER_WRITE },
		{ 0x1f2, MG_VENDOR_INTEL, MG_DANGER_WRITE },
		{ 0x9e, MG_VENDOR_INTEL, MG_DANGER_WRITE },
		{ 0x3a, MG_VENDOR_INTEL, MG_DANGER_WRITE },
		{ 0x123, MG_VENDOR_INTEL, MG_DANGER_WRITE },
		{ 0xc0010015, MG_VENDOR_AMD, MG_DANGER_WRITE },
		{ 0xc0010010, MG_VENDOR_AMD, MG_DANGER_WRITE },
		{ 0xc0010016, MG_VENDOR_AMD, MG_DANGER_WRITE },
		{ 0xc001001a, MG_VENDOR_AMD, MG_DANGER_WRITE },
		{ 0xc001001f, MG_VENDOR_AMD, MG_DANGER_WRITE },
		{ 0xc0010064, MG_VENDOR_AMD, MG_DANGER_WRITE },
		{ 0xc0010111, MG_VENDOR_AMD, MG_DANGER_WRITE },
		{ 0xc0010113, MG_VENDOR_AMD, MG_DANGER_WRITE },
		{ 0xc0010114, MG_VENDOR_AMD, MG_DANGER_WRITE },
		{ 0xc0010117, MG_VENDOR_AMD, MG_DANGER_WRITE },
		{ 0xc0011029, MG_VENDOR_AMD, MG_DANGER_WRITE },
		{ 0xc0011033, MG_VENDOR_AMD, MG_DANGER_READ | MG_DANGER_WRITE },
		{ 0xc00110a2, MG_VENDOR_AMD, MG_DANGER_WRITE },
		/* And what each guest does must not. */
		{ 0xc0000080, MG_VENDOR_ANY, 0 },
		{ 0xc0000082, MG_VENDOR_ANY, 0 },
		{ 0x174, MG_VENDOR_ANY, 0 },
		{ 0x6e0, MG_VENDOR_ANY, 0 },
		{ 0x830, MG_VENDOR_ANY, 0 },
		{ 0x4b564d01, MG_VENDOR_ANY, 0 },
	};
	const struct mg_msr_name *name;
	bool good = true;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(dangers); i++) {
		name = mg_msr_find(dangers[i].index, dangers[i].vendor);
		if (!name || (name->danger & dangers[i].danger) != dangers[i].danger ||
		    (!dangers[i].danger && name->danger)) {
			printf("# 0x%x: %s\n", dangers[i].index, name ? name->name : "no name");
			good = false;
		}
	}
	check(good, "dangerous MSRs are told so, and daily ones are not");
}

static void test_all_names(void)
{
	const struct mg_msr_name *name = NULL;
	const char *before = "";
	unsigned int nr = 0, doubles = 0;

	while ((name = mg_msr_next(0x8b, name))) {
		doubles += !strcmp(before, name->name);
		before = name->name;
		nr++;
	}
	check(nr == 3 && !doubles, "0x8b has three names, each once");
	check(!mg_msr_next(0xdeadbeef, NULL), "no name at all");
	name = mg_msr_next(0x309, NULL);
	check(is_name(name, "MSR_CORE_PERF_FIXED_CTR0"), "the preferred name comes first");
	while (name && strcmp(name->name, "MSR_P4_FLAME_PERFCTR1"))
		name = mg_msr_next(0x309, name);
	check(name && name->old && !name->what, "names of the kernel's headers come too");
	name = mg_msr_next(0x690, mg_msr_next(0x690, NULL));
	check(name && !strcmp(name->name, "MSR_LBR_NHM_FROM_16") && !name->alias,
	      "another meaning is not an alias");
}

static bool finds(const char *name, enum mg_vendor vendor, size_t nr, uint32_t index)
{
	const struct mg_msr_name *found[FOUND_MAX];
	size_t got = mg_msr_by_name(name, vendor, found, FOUND_MAX);

	if (got == nr && (!nr || found[0]->index == index))
		return true;
	printf("# %s: %zu found, the first is 0x%x\n", name, got, got ? found[0]->index : 0);
	return false;
}

static void test_by_name(void)
{
	const struct mg_msr_name *row, *found[FOUND_MAX];
	bool all = true;
	size_t i, j, nr;

	check(finds("MSR_IA32_UCODE_WRITE", MG_VENDOR_ANY, 1, 0x79), "whole name");
	check(finds("msr_ia32_ucode_write", MG_VENDOR_ANY, 1, 0x79), "in lower case");
	check(finds("IA32_UCODE_WRITE", MG_VENDOR_ANY, 1, 0x79), "without MSR_");
	check(finds("ucode_write", MG_VENDOR_ANY, 1, 0x79), "without MSR_IA32_");
	check(finds("IA32_BIOS_UPDT_TRIG", MG_VENDOR_ANY, 1, 0x79), "as the SDM has it");
	check(finds("MSR_IA32_BIOS_UPDT_TRIG", MG_VENDOR_ANY, 1, 0x79), "as the SDM has it, MSR_");
	check(finds("EFER", MG_VENDOR_ANY, 1, 0xc0000080), "EFER");
	check(finds("SYSCFG", MG_VENDOR_ANY, 1, 0xc0010010), "as the APM has it");
	check(finds("GUEST_OS_ID", MG_VENDOR_ANY, 1, 0x40000000), "without HV_X64_MSR_");
	check(finds("MC3_STATUS", MG_VENDOR_ANY, 1, 0x40d), "member of a family");
	check(finds("MC33_STATUS", MG_VENDOR_ANY, 0, 0), "not a member");
	check(finds("MC#_STATUS", MG_VENDOR_ANY, 0, 0), "a family is no name");
	check(finds("IDT_FCR1", MG_VENDOR_ANY, 1, 0x107), "name without a note");
	check(finds("BIOS_UPDT_TRIG", MG_VENDOR_AMD, 0, 0), "not on the other vendor's CPUs");
	check(finds("", MG_VENDOR_ANY, 0, 0), "nothing");
	check(finds("MSR_", MG_VENDOR_ANY, 0, 0), "nothing but a prefix");
	check(finds("MSR_IA32_", MG_VENDOR_ANY, 0, 0), "nothing but prefixes");
	check(finds("UCODE", MG_VENDOR_ANY, 0, 0), "part of a name");

	nr = mg_msr_by_name("PMC0", MG_VENDOR_ANY, found, FOUND_MAX);
	check(nr == 2 && found[0]->index == 0xc1 && found[1]->index == 0x4c1,
	      "a name of two MSRs gives both, ascending");
	check(mg_msr_by_name("PMC0", MG_VENDOR_ANY, found, 1) == 2 && found[0]->index == 0xc1,
	      "with room for one, the first is kept and both are counted");
	check(mg_msr_by_name("PMC0", MG_VENDOR_ANY, NULL, 0) == 2, "only how many");

	for (i = 0; (row = mg_msr_each(i)); i++) {
		nr = mg_msr_by_name(row->name, MG_VENDOR_ANY, found, FOUND_MAX);
		for (j = 0; j < nr && j < FOUND_MAX && found[j]->index != row->index; j++)
			;
		if (j == nr || j == FOUND_MAX) {
			printf("# %s is not found\n", row->name);
			all = false;
		}
	}
	check(all, "each name finds its MSR");
}

static void test_blocks(void)
{
	const struct mg_msr_block *block = mg_msr_block(0x850, MG_VENDOR_ANY);

	check(block && block->first == 0x800 && block->last == 0x8ff, "x2APIC's block");
	block = mg_msr_block(0xc0011099, MG_VENDOR_AMD);
	check(block && block->first == 0xc0011000, "the narrowest block");
	block = mg_msr_block(0xc0010099, MG_VENDOR_INTEL);
	check(!block, "no block of the other vendor");
	check(!mg_msr_block(0xdeadbeef, MG_VENDOR_ANY), "no block");
}

static void test_ranges(void)
{
	uint32_t low, high;

	check(mg_msr_range(0x800, 0x81f, &low, &high) && low == 0x802 && high == 0x81f,
	      "names in a range");
	check(mg_msr_range(0x830, 0x830, &low, &high) && low == 0x830 && high == 0x830,
	      "of one MSR");
	check(mg_msr_range(0x831, 0x832, &low, &high) && low == 0x832 && high == 0x832,
	      "with one name");
	check(!mg_msr_range(0x8f0, 0x8ff, &low, &high), "without a name");
	check(mg_msr_range(0, UINT32_MAX, &low, &high) && !low && high == 0xc001f000,
	      "of all MSRs");
	check(!mg_msr_range(UINT32_MAX, UINT32_MAX, &low, &high), "at the very end");
}

static bool annotates(const char *text, const char *expected)
{
	char *got = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&got, &len);
	bool good;

	if (!out)
		return false;
	mg_msr_annotate(out, text, strlen(text));
	fclose(out);
	good = !strcmp(got, expected);
	if (!good)
		printf("# got:\n%s# expected:\n%s", got, expected);
	free(got);
	return good;
}

static void test_annotate(void)
{
	check(annotates("default\t\t\tallow\tdeny\n0x79\t\t\tdeny\tdeny\n",
			"default\t\t\tallow\tdeny\n0x79\t\t\tdeny\tdeny\t# MSR_IA32_UCODE_WRITE\n"),
	      "a rule gets its name, the default line none");
	check(annotates("0x79\t\t\tdeny\tdeny\n0x1a0\t\t\tallow\tmask=0x400000000,deny\n",
			"0x79\t\t\tdeny\tdeny\t\t\t# MSR_IA32_UCODE_WRITE\n"
			"0x1a0\t\t\tallow\tmask=0x400000000,deny\t# MSR_IA32_MISC_ENABLE\n"),
	      "names stand below each other");
	check(annotates("0x79 deny deny # mine\n# 0x10 deny deny\n\n",
			"0x79 deny deny # mine\n# 0x10 deny deny\n\n"),
	      "what has a comment keeps it");
	check(annotates("0x800-0x8ff deny deny\n0x820-0x827 deny deny\n0x831-0x832 deny deny\n",
			"0x800-0x8ff deny deny\t# The local APIC's registers in x2APIC mode\n"
			"0x820-0x827 deny deny\t# MSR_IA32_X2APIC_IRR0 .. MSR_IA32_X2APIC_IRR7\n"
			"0x831-0x832 deny deny\t# with MSR_IA32_X2APIC_LVT_TIMER\n"),
	      "ranges");
	check(annotates("0xdeadbeef deny deny\n", "0xdeadbeef deny deny\n"), "no name, no comment");
	check(annotates("  121 deny deny", "  121 deny deny\t# MSR_IA32_UCODE_WRITE"),
	      "decimal, blanks before it, no newline at the end");
	check(annotates("0x deny deny\n0x79-\n0x79-0x1 a b\n0x79,\n-\n0x100000010 a b\n0x79",
			"0x deny deny\n0x79-\n0x79-0x1 a b\n0x79,\n-\n0x100000010 a b\n0x79"),
	      "what is no rule is left alone");
	check(annotates("", ""), "nothing");
}

int main(void)
{
	test_tables();
	test_preferred();
	test_known();
	test_dangers();
	test_all_names();
	test_by_name();
	test_blocks();
	test_ranges();
	test_annotate();
	printf("1..%u\n", tests);
	return failed ? 1 : 0;
}
