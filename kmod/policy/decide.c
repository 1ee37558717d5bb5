// SPDX-License-Identifier: GPL-2.0
/*
 * A rule and an access to a verdict. No state, no memory, no lock: this runs on a
 * guest's exit.
 */
#include <linux/kernel.h>

#include "policy.h"

/*
 * MSRs that carry commands and cannot be read, so that no old value exists which a
 * masked write could be held against. Each bit of theirs does something only when it
 * is written as 1: an old value of 0 judges them rightly. A read of one faults.
 *
 * An MSR that is missing here is not let through by that, see mg_decide().
 */
bool mg_is_command(u32 index)
{
	switch (index) {
	/*
	 * IA32_PRED_CMD, "Prediction Command Bits (WO)": SDM Vol. 4, Table 2-2. AMD has
	 * the same MSR, see APM Vol. 2 on speculation control.
	 */
	case 0x00000049:
	/* IA32_BIOS_UPDT_TRIG, "BIOS Update Trigger (W)": SDM Vol. 4, Table 2-2. */
	case 0x00000079:
	/* IA32_FLUSH_CMD, "Flush Command (WO)": SDM Vol. 4, Table 2-2. */
	case 0x0000010b:
	/*
	 * x2APIC EOI and SELF IPI, "write-only": SDM Vol. 3A, table "Local APIC Register
	 * Address Map Supported by x2APIC".
	 */
	case 0x0000080b:
	case 0x0000083f:
	/* HV_X64_MSR_EOI and HV_X64_MSR_EOM, access "W": Hyper-V TLFS, synthetic MSRs. */
	case 0x40000070:
	case 0x40000084:
	/* Patch Loader, write-only: AMD's PPRs and BKDGs, MSRC001_0020. */
	case 0xc0010020:
		return true;
	default:
		return false;
	}
}

static enum mg_outcome judge_masked_read(const struct mg_permission *perm,
					 const struct mg_access *access, u64 *value)
{
	if (!access->old_known)
		return MG_DENIED;
	if (!(access->old & ~perm->mask))
		return MG_PASSED;
	*value = access->old & perm->mask;
	return MG_MASKED;
}

static enum mg_outcome judge_masked_write(const struct mg_permission *perm,
					  const struct mg_access *access, u64 *value)
{
	u64 old = access->old;

	if (mg_is_command(access->index))
		old = 0;
	else if (!access->old_known)
		return MG_DENIED;
	if (!((access->value ^ old) & ~perm->mask))
		return MG_PASSED;
	if (!perm->keep)
		return MG_DENIED;
	*value = (old & ~perm->mask) | (access->value & perm->mask);
	return MG_MASKED;
}

static enum mg_outcome judge(const struct mg_permission *perm,
			     const struct mg_access *access, u64 *value)
{
	switch (perm->action) {
	case MG_ALLOW:
		return MG_PASSED;
	case MG_DROP:
		return MG_DROPPED;
	case MG_MASK:
		return access->dir == MG_READ ? judge_masked_read(perm, access, value) :
						judge_masked_write(perm, access, value);
	default:
		return MG_DENIED;
	}
}

/* See policy.h */
bool mg_rule_only_refuses(const struct mg_rule *rule, enum mg_mode mode, enum mg_dir dir)
{
	const struct mg_permission *perm = &rule->perm[dir];

	return mode == MG_MODE_ENFORCE && !rule->audit &&
	       (perm->action == MG_DENY || perm->action == MG_DROP);
}

/* See policy.h */
struct mg_verdict mg_decide(const struct mg_rule *rule, enum mg_mode mode,
			    const struct mg_access *access)
{
	struct mg_verdict verdict = { .outcome = MG_PASSED, .would_be = MG_PASSED };

	if (mode == MG_MODE_OFF)
		return verdict;

	verdict.would_be = judge(&rule->perm[access->dir], access, &verdict.value);
	verdict.outcome = verdict.would_be;
	if (verdict.would_be != MG_PASSED && (mode == MG_MODE_AUDIT || rule->audit)) {
		verdict.outcome = MG_AUDITED;
		verdict.value = 0;
	}
	return verdict;
}
