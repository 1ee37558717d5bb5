// SPDX-License-Identifier: GPL-2.0
/*
 * Ways by which a guest gets at what an MSR holds without naming it, where another MSR opens or
 * closes them. Documentation/limits.rst has all such ways.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "msrguard.h"

#define EFER		0xc0000080u
#define EFER_SVME	(1ull << 12)
#define FEATURE_CONTROL	0x3au
#define FEATURE_VMX	0x6ull
#define DEBUGCTL	0x1d9u
/*
 * LBR, BTF, bus locks, FREEZE_LBRS_ON_PMI, FREEZE_WHILE_SMM, RTM: what KVM knows. It refuses the
 * others; in a nested guest's VMCS since 6.16, and in later updates of 6.12.
 */
#define DEBUGCTL_KVM	0xc807ull
#define XSS		0xda0u
#define XSS_CET_U	(1ull << 11)
#define XSS_CET_S	(1ull << 12)
#define X2APIC_FIRST	0x800u
#define X2APIC_LAST	0x8ffu

struct span {
	u32 first;
	u32 last;
};

/*
 * APM Vol. 3, VMLOAD and VMSAVE: what they load and save beside segments. VMRUN loads EFER, of
 * which a rule may deny other bits than SVME.
 */
static const struct span vmcb_state[] = {
	{ 0x174, 0x176 }, { EFER, EFER }, { 0xc0000081, 0xc0000084 }, { 0xc0000100, 0xc0000102 },
};

/*
 * SDM Vol. 3C, 25.4 and 25.5, "Guest-State Area" and "Host-State Area": MSRs that have fields of
 * their own, with which a VM-entry or VM-exit loads them. DEBUGCTL has one too, see check_vmx().
 */
static const struct span vmcs_state[] = {
	{ 0x174, 0x176 }, { 0x277, 0x277 }, { 0x38f, 0x38f }, { 0x6a2, 0x6a2 },
	{ 0x6a8, 0x6a8 }, { 0xd90, 0xd90 }, { EFER, EFER }, { 0xc0000100, 0xc0000101 },
};

/* SDM Vol. 1, 13.1 "XSAVE-Supported Features and State-Component Bitmaps". */
static const struct span cet_u_state[] = { { 0x6a0, 0x6a0 }, { 0x6a7, 0x6a7 } };
static const struct span cet_s_state[] = { { 0x6a4, 0x6a6 } };

static char *guarded_in(const struct mg_check *check, const struct span *spans, size_t nr)
{
	char *list = NULL;
	u32 index;
	size_t i;

	for (i = 0; i < nr; i++)
		for (index = spans[i].first; index <= spans[i].last; index++)
			if (mg_check_guards(check, index, MG_READ) ||
			    mg_check_guards(check, index, MG_WRITE))
				list = mg_check_add(list, mg_check_name(index, index));
	return list;
}

#define GUARDED_IN(check, spans) guarded_in(check, spans, ARRAY_SIZE(spans))

static u32 line_of(const struct mg_check *check, u32 index)
{
	return mg_policy_find(check->policy, index)->source_line;
}

static void check_svm(const struct mg_check *check)
{
	char *list;

	if (!mg_check_is_amd(check) || !(mg_check_open_bits(check, EFER) & EFER_SVME))
		return;
	list = GUARDED_IN(check, vmcb_state);
	if (list)
		mg_find(check->findings, MG_WARNING, "hole-vmload", line_of(check, EFER),
			"a guest may set EFER.SVME, and VMLOAD, VMSAVE and VMRUN reach past the rules for %s; deny it (0xc0000080 allow mask=~0x1000,deny) or load kvm_amd with nested=0",
			list);
	free(list);
}

static void check_vmx(const struct mg_check *check)
{
	bool open = mg_check_open_bits(check, FEATURE_CONTROL) & FEATURE_VMX;
	bool read = mg_check_guards(check, DEBUGCTL, MG_READ);
	/* A rule may guard DEBUGCTL against no more than what KVM refuses itself. */
	bool as_kvm = !read && !(DEBUGCTL_KVM & ~mg_check_open_bits(check, DEBUGCTL));
	enum mg_severity severity;
	char *list;

	if (!mg_check_is_intel(check))
		return;
	list = GUARDED_IN(check, vmcs_state);
	severity = list || !as_kvm ? MG_WARNING : MG_NOTE;
	if (read || mg_check_guards(check, DEBUGCTL, MG_WRITE))
		list = mg_check_add(list, mg_check_name(DEBUGCTL, DEBUGCTL));
	if (list && open)
		mg_find(check->findings, severity, "hole-vmcs", line_of(check, FEATURE_CONTROL),
			"a guest may turn on VMX in IA32_FEATURE_CONTROL, and fields of a nested guest's VMCS reach past the rules for %s; deny it (0x3a allow mask=~0x6,deny) or load kvm_intel with nested=0",
			list);
	else if (list)
		mg_find(check->findings, MG_NOTE, "hole-vmcs", line_of(check, FEATURE_CONTROL),
			"a VMM that sets IA32_FEATURE_CONTROL itself still gives its guest VMX, and so a way past the rules for %s; only nested=0 of kvm_intel is sure",
			list);
	free(list);
}

static void check_cet(const struct mg_check *check)
{
	u64 open = mg_check_open_bits(check, XSS);
	char *list = NULL;

	if (open & XSS_CET_U)
		list = mg_check_add(list, GUARDED_IN(check, cet_u_state));
	if (open & XSS_CET_S)
		list = mg_check_add(list, GUARDED_IN(check, cet_s_state));
	if (list)
		mg_find(check->findings, MG_WARNING, "hole-xrstors", line_of(check, XSS),
			"a guest may set the CET bits of IA32_XSS, and XRSTORS and XSAVES reach past the rules for %s; deny them (0xda0 allow mask=~0x1800,deny)",
			list);
	free(list);
}

/* As the vendor's module of this host says; of another host nobody knows. */
static bool host_virtualizes_apic(const struct mg_check *check)
{
	return check->cpu->is_host && (mg_sysfs_module_parameter_is_on("kvm_intel", "enable_apicv") ||
				       mg_sysfs_module_parameter_is_on("kvm_amd", "avic"));
}

/* The rules that guard x2APIC registers, each once; as the module's own warning names them. */
static void check_x2apic(const struct mg_check *check)
{
	enum mg_severity severity = host_virtualizes_apic(check) ? MG_WARNING : MG_NOTE;
	const struct mg_rule *told[X2APIC_LAST - X2APIC_FIRST + 1];
	const struct mg_rule *rule;
	size_t nr = 0, i;
	u32 index;

	for (index = X2APIC_FIRST; index <= X2APIC_LAST; index++) {
		rule = mg_policy_find(check->policy, index);
		for (i = 0; i < nr && told[i] != rule; i++)
			;
		if (i < nr || (!mg_check_guards(check, index, MG_READ) &&
			       !mg_check_guards(check, index, MG_WRITE)))
			continue;
		told[nr++] = rule;
		mg_find(check->findings, severity, "hole-apicv", rule->source_line,
			"guards x2APIC registers from 0x%x on, which APICv and AVIC serve without KVM%s; msrguard intercepts them, untested: to be sure, load kvm_intel with enable_apicv=0 or kvm_amd with avic=0",
			index, severity == MG_WARNING ? " on this host" : "");
	}
}

/* Nothing closes these: whoever guards such an MSR should know what that is worth. */
static void check_instructions(const struct mg_check *check)
{
	static const struct {
		struct span span;
		bool read;
		bool write;
		const char *by;
	} ways[] = {
		{ { 0x10, 0x10 }, true, false, "RDTSC" },
		{ { 0x808, 0x808 }, true, true, "MOV CR8" },
		{ { 0xc0000100, 0xc0000101 }, true, true, "RDFSBASE, WRFSBASE and their like" },
		{ { 0xc0000102, 0xc0000102 }, true, true, "SWAPGS" },
		{ { 0xc0000103, 0xc0000103 }, true, false, "RDTSCP and RDPID" },
	};
	u32 index;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ways); i++)
		for (index = ways[i].span.first; index <= ways[i].span.last; index++) {
			if (!(ways[i].read && mg_check_guards(check, index, MG_READ)) &&
			    !(ways[i].write && mg_check_guards(check, index, MG_WRITE)))
				continue;
			mg_find(check->findings, MG_NOTE, "hole-instruction", line_of(check, index),
				"0x%x is guarded, and %s reach%s it without naming an MSR", index,
				ways[i].by, strstr(ways[i].by, "and") ? "" : "es");
		}
}

void mg_check_holes(const struct mg_check *check)
{
	check_svm(check);
	check_vmx(check);
	check_cet(check);
	check_x2apic(check);
	check_instructions(check);
}
