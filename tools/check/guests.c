// SPDX-License-Identifier: GPL-2.0
/* What stock guests cannot do without, and what KVM saves for them. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "check.h"
#include "msrguard.h"

#define ALL	UINT64_MAX
#define MSRS_MAX	4096

enum {
	READ = 1,
	WRITE = 2,
	DROP_OK = 4,	/* a write that is dropped does no harm */
	INTEL = 8,
	AMD = 16,
	BOTH = INTEL | AMD,
};

/*
 * Accesses that Linux guests, and firmware before them, make without expecting a fault. A fault
 * ends them, or leaves "unchecked MSR access" in their log and a function gone. Where only some
 * bits are written, these have to be free to change. What guests read only where they are shown
 * VMX, its capabilities, is left out: whoever denies nesting need not answer these.
 */
static const struct need {
	u32 first;
	u32 last;
	unsigned int how;
	u64 bits;
	const char *why;
} needs[] = {
	{ 0x10, 0x10, READ | BOTH, 0, "guests read the TSC at boot" },
	{ 0x11, 0x12, WRITE | BOTH, ALL, "kvmclock, by its old indices" },
	{ 0x1b, 0x1b, READ | WRITE | BOTH, 0xc00, "guests switch the APIC and x2APIC on" },
	{ 0x3b, 0x3b, READ | WRITE | BOTH, ALL, "guests keep the TSCs of their CPUs in step" },
	{ 0x48, 0x48, READ | WRITE | BOTH, 0x7, "mitigations of Spectre, at kernel entry" },
	{ 0x49, 0x49, WRITE | BOTH, 0x1, "mitigations of Spectre, at a switch of processes" },
	{ 0x8b, 0x8b, READ | BOTH, 0, "guests read the microcode's revision at boot" },
	{ 0x8b, 0x8b, WRITE | DROP_OK | INTEL, ALL, "guests write 0 before they read the microcode's revision" },
	{ 0xe1, 0xe1, WRITE | INTEL, ALL, "how long UMWAIT and TPAUSE wait, where these are shown" },
	{ 0xfe, 0xfe, READ | BOTH, 0, "memory types" },
	{ 0x10a, 0x10a, READ | BOTH, 0, "guests look up which flaws the CPU has" },
	{ 0x174, 0x176, WRITE | BOTH, ALL, "system calls" },
	{ 0x179, 0x179, READ | BOTH, 0, "machine checks" },
	{ 0x17a, 0x17a, READ | WRITE | BOTH, ALL, "machine checks" },
	{ 0x17b, 0x17b, WRITE | BOTH, ALL, "machine checks" },
	{ 0x1a0, 0x1a0, READ | INTEL, 0, "guests read MISC_ENABLE before they have a handler for faults" },
	{ 0x1c4, 0x1c4, WRITE | BOTH, ALL, "AMX" },
	{ 0x1d9, 0x1d9, READ | WRITE | INTEL, 0x4, "bus locks, where their detection is shown" },
	{ 0x1fc, 0x1fc, READ | WRITE | INTEL, 0x2, "C1E promotion, by intel_idle where MWAIT is shown" },
	{ 0x200, 0x20f, READ | WRITE | BOTH, ALL, "memory types" },
	{ 0x250, 0x250, READ | WRITE | BOTH, ALL, "memory types" },
	{ 0x258, 0x259, READ | WRITE | BOTH, ALL, "memory types" },
	{ 0x268, 0x26f, READ | WRITE | BOTH, ALL, "memory types" },
	{ 0x277, 0x277, READ | WRITE | BOTH, ALL, "memory types of pages" },
	{ 0x2ff, 0x2ff, READ | WRITE | BOTH, ALL, "memory types" },
	{ 0x345, 0x345, READ | INTEL, 0, "performance counters" },
	{ 0x400, 0x427, READ | WRITE | BOTH, ALL, "machine-check banks, ten with KVM" },
	{ 0x6a0, 0x6a0, WRITE | BOTH, ALL, "shadow stacks" },
	{ 0x6a2, 0x6a2, WRITE | BOTH, ALL, "indirect branch tracking" },
	{ 0x6e0, 0x6e0, WRITE | BOTH, ALL, "the guest's timer" },
	{ 0x802, 0x803, READ | BOTH, 0, "x2APIC" },
	{ 0x808, 0x808, WRITE | BOTH, ALL, "x2APIC" },
	{ 0x80b, 0x80b, WRITE | BOTH, ALL, "x2APIC, at each interrupt" },
	{ 0x80f, 0x80f, WRITE | BOTH, ALL, "x2APIC" },
	{ 0x810, 0x828, READ | BOTH, 0, "x2APIC" },
	{ 0x830, 0x830, WRITE | BOTH, ALL, "x2APIC, interrupts to other CPUs" },
	{ 0x832, 0x837, READ | WRITE | BOTH, ALL, "x2APIC" },
	{ 0x838, 0x838, WRITE | BOTH, ALL, "x2APIC, the timer" },
	{ 0x839, 0x839, READ | BOTH, 0, "x2APIC, the timer" },
	{ 0x83e, 0x83e, WRITE | BOTH, ALL, "x2APIC, the timer" },
	{ 0xda0, 0xda0, WRITE | BOTH, 0, "guests set XSS at boot, if only to what it is" },
	{ 0x4b564d00, 0x4b564d04, WRITE | BOTH, ALL, "KVM's clock, page faults, steal time and end of interrupt" },
	{ 0x4b564d06, 0x4b564d07, WRITE | BOTH, ALL, "KVM's asynchronous page faults" },
	/* SCE, LME, NXE */
	{ 0xc0000080, 0xc0000080, READ | WRITE | BOTH, 0x901, "64-bit mode" },
	{ 0xc0000081, 0xc0000082, WRITE | BOTH, ALL, "system calls" },
	{ 0xc0000083, 0xc0000083, WRITE | DROP_OK | INTEL, ALL, "system calls" },
	{ 0xc0000083, 0xc0000083, WRITE | AMD, ALL, "system calls" },
	{ 0xc0000084, 0xc0000084, WRITE | BOTH, ALL, "system calls" },
	{ 0xc0000100, 0xc0000102, READ | WRITE | BOTH, ALL, "thread-local and per-CPU data" },
	{ 0xc0000103, 0xc0000103, WRITE | BOTH, ALL, "the CPU's number for processes" },
	{ 0xc0010010, 0xc0010010, READ | AMD, 0, "memory types" },
	{ 0xc0010015, 0xc0010015, READ | AMD, 0, "guests read HWCR at boot" },
	{ 0xc001001f, 0xc001001f, READ | WRITE | AMD, 1ull << 46, "guests switch PCI's extended configuration on" },
	{ 0xc0011029, 0xc0011029, READ | AMD, 0, "guests look whether LFENCE serialises" },
};

static bool denies_read(const struct mg_rule *rule)
{
	return rule->perm[MG_READ].action == MG_DENY;
}

static bool denies_write(const struct mg_check *check, const struct need *need, u32 index)
{
	const struct mg_permission *perm = &mg_policy_find(check->policy, index)->perm[MG_WRITE];

	if (perm->action == MG_DENY)
		return true;
	if (perm->action == MG_DROP || perm->keep)
		return !(need->how & DROP_OK) && (need->bits & ~perm->mask);
	return need->bits == ALL ? perm->action != MG_ALLOW : need->bits & ~perm->mask;
}

/* What of the need is not met by the rule for @index, as a word; NULL if all is. */
static const char *unmet(const struct mg_check *check, const struct need *need, u32 index)
{
	const struct mg_rule *rule = mg_policy_find(check->policy, index);
	bool read, write;

	if (rule->audit)
		return NULL;
	read = need->how & READ && denies_read(rule);
	write = need->how & WRITE && denies_write(check, need, index);
	return read && write ? "read and write" : read ? "read" : write ? "write" : NULL;
}

static void tell(const struct mg_check *check, const struct need *need, u32 first, u32 last,
		 const char *what)
{
	const struct mg_rule *rule = mg_policy_find(check->policy, first);
	char *name = mg_check_name(first, last), bits[32] = "";

	if (need->how & WRITE && need->bits && need->bits != ALL && strstr(what, "write"))
		snprintf(bits, sizeof(bits), " (bits 0x%llx)", (unsigned long long)need->bits);
	mg_find(check->findings, MG_WARNING, "guests-need", rule->source_line,
		"keeps stock guests from a %s of %s%s: %s", what, name, bits, need->why);
	free(name);
}

/* Consecutive MSRs that the same rule keeps from guests in the same way are one finding. */
static void check_need(const struct mg_check *check, const struct need *need)
{
	const struct mg_rule *rule, *last_rule = NULL;
	const char *what, *last_what = NULL;
	u32 first = need->first, index;

	for (index = need->first; index <= need->last; index++) {
		rule = mg_policy_find(check->policy, index);
		what = unmet(check, need, index);
		if (index > need->first && (rule != last_rule || what != last_what)) {
			if (last_what)
				tell(check, need, first, index - 1, last_what);
			first = index;
		}
		last_rule = rule;
		last_what = what;
	}
	if (last_what)
		tell(check, need, first, need->last, last_what);
}

void mg_check_guests(const struct mg_check *check)
{
	unsigned int of = (mg_check_is_intel(check) ? INTEL : 0) | (mg_check_is_amd(check) ? AMD : 0);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(needs); i++)
		if (needs[i].how & of)
			check_need(check, &needs[i]);
}

static int compare_indices(const void *a, const void *b)
{
	const u32 *one = a, *other = b;

	return *one < *other ? -1 : *one > *other;
}

/* Return: the list, to be freed by the caller, or NULL after a complaint. */
static struct kvm_msr_list *read_kernel_list(void)
{
	const char *path = secure_getenv("MSRGUARD_KVM");
	struct kvm_msr_list *list;
	int fd, err;

	if (!path || !*path)
		path = "/dev/kvm";
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		mg_complain("--kernel-lists asks KVM, and %s cannot be opened: %s", path,
			    strerror(errno));
		return NULL;
	}
	list = mg_alloc_check(calloc(1, sizeof(*list) + MSRS_MAX * sizeof(list->indices[0])));
	list->nmsrs = MSRS_MAX;
	err = ioctl(fd, KVM_GET_MSR_INDEX_LIST, list) ? errno : 0;
	close(fd);
	if (!err && list->nmsrs <= MSRS_MAX)
		return list;
	mg_complain("KVM does not tell which MSRs it saves (KVM_GET_MSR_INDEX_LIST on %s): %s", path,
		    strerror(err));
	free(list);
	return NULL;
}

static void check_saved(const struct mg_check *check, u32 index)
{
	const struct mg_rule *rule = mg_policy_find(check->policy, index);
	bool read = mg_check_guards(check, index, MG_READ);
	bool write = mg_check_guards(check, index, MG_WRITE);
	char *name;

	if (!rule->is_default || (!read && !write))
		return;
	name = mg_check_name(index, index);
	mg_find(check->findings, MG_WARNING, "kernel-list", rule->source_line,
		"KVM saves and restores %s for guests, and only the default line speaks of it: %s",
		name, read && write ? "reads and writes are blocked" :
		read ? "reads are blocked" : "writes are blocked");
	free(name);
}

int mg_check_kernel_lists(const struct mg_check *check)
{
	struct kvm_msr_list *list = read_kernel_list();
	u32 i;

	if (!list)
		return MG_EXIT_WRONG;
	qsort(list->indices, list->nmsrs, sizeof(list->indices[0]), compare_indices);
	for (i = 0; i < list->nmsrs; i++)
		check_saved(check, list->indices[i]);
	free(list);
	return MG_EXIT_OK;
}
