/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The policy engine: text in, immutable policy out, one verdict an access.
 *
 * Nothing here knows of KVM, a vCPU or a lock. A policy is built whole from
 * text, never changed afterwards and freed by its owner once no reader can hold
 * it; the owner decides how (RCU in the module, nothing at all in KUnit).
 */
#ifndef MG_POLICY_H
#define MG_POLICY_H

#include <linux/bits.h>
#include <linux/err.h>
#include <linux/types.h>

/* Two directions, because the hardware's bitmaps and the rules have two. */
enum mg_dir {
	MG_READ,
	MG_WRITE,
	MG_NR_DIRS,
};

/* What a rule says of one direction. */
enum mg_action {
	MG_ALLOW,
	MG_DENY,	/* #GP(0) */
	MG_DROP,	/* a write is swallowed, a read gives 0 */
	MG_MASK,	/* only some bits may be seen or changed */
};

enum mg_mode {
	MG_MODE_OFF,		/* nothing is intercepted, nothing is counted */
	MG_MODE_AUDIT,		/* decide and report, block nothing */
	MG_MODE_ENFORCE,
};

/* What happened to an access. The values are the uAPI's, see msrguard.yaml. */
enum mg_outcome {
	MG_PASSED,		/* nothing to say; never reported */
	MG_AUDITED,		/* would have been blocked, was let through */
	MG_DENIED,
	MG_DROPPED,
	MG_MASKED,
};

/**
 * struct mg_permission - what one rule says of one direction
 * @mask:   MG_MASK: the bits that may be seen (read) or changed (write).
 *          ~0 for MG_ALLOW, 0 for MG_DENY and MG_DROP.
 * @action: an &enum mg_action.
 * @keep:   MG_MASK of a write: bits outside @mask keep their old value. When
 *          false, a write that would change one of them is denied.
 */
struct mg_permission {
	u64 mask;
	u8 action;
	bool keep;
};

/**
 * struct mg_rule - one line of a policy
 * @first: first MSR index
 * @last:  last MSR index, equal to @first for a single MSR
 * @line:  its line in the policy's canonical text (1 is the first), for messages
 * @source_line: its line in the text it was loaded with, 0 if it was added since
 * @perm:  what it says, by direction
 * @is_default: the default line; @first and @last then span every index
 * @audit: report what would have been blocked, block nothing
 * @quiet: count, but send no event
 */
struct mg_rule {
	u32 first;
	u32 last;
	u32 line;
	u32 source_line;
	struct mg_permission perm[MG_NR_DIRS];
	bool is_default;
	bool audit;
	bool quiet;
};

/*
 * Windows of 8192 consecutive MSRs that have a bit each in the intercept map.
 * The first three are what the hardware's own bitmaps cover (SDM Vol. 3C, 25.6.9
 * "MSR-Bitmap Address"; APM Vol. 2, 15.11 "MSR Intercepts"); the last two hold the
 * paravirtual MSRs of Hyper-V and KVM, which the hardware always intercepts and
 * which guests use often enough to deserve an answer in one test.
 */
#define MG_WINDOW_SHIFT		13
#define MG_WINDOW_MSRS		BIT(MG_WINDOW_SHIFT)
#define MG_WINDOW_LOW		0x00000000u
#define MG_WINDOW_HIGH		0xc0000000u
#define MG_WINDOW_AMD		0xc0010000u
#define MG_WINDOW_HYPERV	0x40000000u
#define MG_WINDOW_KVM		0x4b564000u
#define MG_NR_HW_WINDOWS	3
#define MG_NR_WINDOWS		5
#define MG_MAP_BITS		(MG_NR_WINDOWS * MG_WINDOW_MSRS)
#define MG_MAP_WORDS		(MG_MAP_BITS / BITS_PER_LONG)

/**
 * struct mg_intercept_map - which accesses need a decision
 * @bits:    by direction, a bit an MSR of the five windows in the order LOW, HIGH,
 *           AMD, HYPERV, KVM; set means "must be intercepted and decided".
 * @outside: by direction, whether any MSR outside all windows needs a decision.
 *
 * A bit is clear only if the rule in force is an unconditional allow.
 */
struct mg_intercept_map {
	unsigned long bits[MG_NR_DIRS][MG_MAP_WORDS];
	u8 outside[MG_NR_DIRS];
};

/**
 * mg_map_bit - position of an MSR in &struct mg_intercept_map.bits
 * @index: MSR index
 *
 * Return: the bit's number, or -1 if no window holds @index.
 */
static inline int mg_map_bit(u32 index)
{
	u32 offset = index & (MG_WINDOW_MSRS - 1);

	switch (index & ~(u32)(MG_WINDOW_MSRS - 1)) {
	case MG_WINDOW_LOW:
		return offset;
	case MG_WINDOW_HIGH:
		return 1 * MG_WINDOW_MSRS + offset;
	case MG_WINDOW_AMD:
		return 2 * MG_WINDOW_MSRS + offset;
	case MG_WINDOW_HYPERV:
		return 3 * MG_WINDOW_MSRS + offset;
	case MG_WINDOW_KVM:
		return 4 * MG_WINDOW_MSRS + offset;
	default:
		return -1;
	}
}

/** mg_map_index - the MSR at a position below MG_NR_WINDOWS * MG_WINDOW_MSRS; of mg_map_bit() */
static inline u32 mg_map_index(unsigned int bit)
{
	static const u32 base[MG_NR_WINDOWS] = {
		MG_WINDOW_LOW, MG_WINDOW_HIGH, MG_WINDOW_AMD, MG_WINDOW_HYPERV, MG_WINDOW_KVM,
	};

	return base[bit >> MG_WINDOW_SHIFT] + (bit & (MG_WINDOW_MSRS - 1));
}

/* A line longer than this is not a rule somebody wrote. */
#define MG_LINE_MAX		512
/* Bounds what root can make the kernel allocate; 100,000 rules need a tenth. */
#define MG_POLICY_MAX_RULES	1000000
#define MG_POLICY_TEXT_MAX	(32u << 20)
#define MG_HASH_LEN		32	/* SHA-256 */

#define MG_REASON_LEN		192

/**
 * struct mg_policy_error - why a text was refused
 * @line:   1-based; 0 if the reason is not bound to a line
 * @column: 1-based, in bytes; 0 if not bound to a column
 * @reason: one sentence without a full stop; anything taken from the text is
 *          escaped and shortened
 */
struct mg_policy_error {
	u32 line;
	u32 column;
	char reason[MG_REASON_LEN];
};

struct mg_policy;

/**
 * mg_policy_parse - build a policy from its text
 * @text: the text, need not end in NUL; any content is safe
 * @len:  its length in bytes
 * @err:  filled in if the text is refused
 *
 * Context: may sleep.
 * Return: the policy, to be freed by mg_policy_free(), or ERR_PTR: -EINVAL if the
 * text is wrong, -E2BIG if it exceeds a limit, -ENOMEM. @err says why in each case.
 */
struct mg_policy *mg_policy_parse(const char *text, size_t len,
				  struct mg_policy_error *err);

/**
 * mg_policy_add - a copy of a policy with one rule (or default) more
 * @base: the policy to start from; not changed
 * @line: one rule in the policy format; a default line replaces the default
 * @len:  its length in bytes, a trailing newline is accepted
 * @err:  filled in if the line is refused; its line is always 1
 *
 * Context: may sleep.
 * Return: as mg_policy_parse(), and -EEXIST if a rule for the same MSRs exists.
 */
struct mg_policy *mg_policy_add(const struct mg_policy *base, const char *line,
				size_t len, struct mg_policy_error *err);

/**
 * mg_policy_remove - a copy of a policy without one rule
 * @base:  the policy to start from; not changed
 * @range: "index" or "index-last" of the rule, exactly as the rule has it; a whole
 *         rule line is accepted too, then only its first word counts
 * @len:   its length in bytes, a trailing newline is accepted
 * @err:   filled in on failure; its line is always 1
 *
 * Context: may sleep.
 * Return: as mg_policy_parse(), and -ENOENT if there is no such rule.
 */
struct mg_policy *mg_policy_remove(const struct mg_policy *base, const char *range,
				   size_t len, struct mg_policy_error *err);

/** mg_policy_free - free a policy nobody reads any more; NULL is fine */
void mg_policy_free(struct mg_policy *policy);

/** mg_policy_text - canonical text; parsing it gives an equal policy and text */
const char *mg_policy_text(const struct mg_policy *policy, size_t *len);

/** mg_policy_hash - SHA-256 of the canonical text, MG_HASH_LEN bytes */
const u8 *mg_policy_hash(const struct mg_policy *policy);

/** mg_policy_nr_rules - number of rules, the default line not counted */
u32 mg_policy_nr_rules(const struct mg_policy *policy);

/** mg_policy_map - which accesses need a decision under this policy */
const struct mg_intercept_map *mg_policy_map(const struct mg_policy *policy);

/**
 * mg_policy_find - the rule in force for an MSR
 * @policy: the policy
 * @index:  MSR index
 *
 * The narrowest rule that names @index, else the default. Constant time for rules of
 * a single MSR, logarithmic in the number of ranges otherwise.
 *
 * Context: any, also with interrupts off.
 * Return: the rule; it lives as long as @policy.
 */
const struct mg_rule *mg_policy_find(const struct mg_policy *policy, u32 index);

/**
 * mg_policy_rule - a rule by its number
 * @policy: the policy
 * @nr:     0 is the default line, the rest follow in the order of the canonical text
 *
 * Context: any.
 * Return: the rule, NULL behind the last.
 */
const struct mg_rule *mg_policy_rule(const struct mg_policy *policy, u32 nr);

/**
 * mg_policy_count_hit - count that a rule decided an access
 * @policy: the policy
 * @rule:   a rule of it
 * @dir:    the access's direction
 *
 * The one thing of a policy that changes after it was built.
 *
 * Context: any.
 */
void mg_policy_count_hit(const struct mg_policy *policy, const struct mg_rule *rule,
			 enum mg_dir dir);

/** mg_policy_hits - how many accesses a rule has decided, see mg_policy_count_hit() */
u64 mg_policy_hits(const struct mg_policy *policy, const struct mg_rule *rule, enum mg_dir dir);

/**
 * struct mg_access - what a guest tries to do
 * @index:     MSR index
 * @dir:       read or write
 * @old_known: @old holds the MSR's present value
 * @old:       the MSR's value before the access
 * @value:     MG_WRITE: the value the guest writes
 */
struct mg_access {
	u32 index;
	enum mg_dir dir;
	bool old_known;
	u64 old;
	u64 value;
};

/**
 * struct mg_verdict - what to do with an access
 * @outcome:  what happens; MG_PASSED and MG_AUDITED let the access through as it is
 * @would_be: for MG_AUDITED what enforcing would have done, else equal to @outcome
 * @value:    MG_MASKED: the value to write, or to give to the guest; else 0, which
 *            is also what an MG_DROPPED read gives
 */
struct mg_verdict {
	enum mg_outcome outcome;
	enum mg_outcome would_be;
	u64 value;
};

/** mg_is_command - whether an MSR carries commands only and cannot be read */
bool mg_is_command(u32 index);

/**
 * mg_needs_old - whether a verdict depends on the MSR's present value
 * @rule:   the rule in force
 * @access: the access; only @index, @dir and @value are looked at
 *
 * False for command MSRs that cannot be read (PRED_CMD, FLUSH_CMD, the microcode
 * triggers, EOI, SELF_IPI): a masked write of these is judged as if the old value were 0.
 */
static inline bool mg_needs_old(const struct mg_rule *rule, const struct mg_access *access)
{
	return rule->perm[access->dir].action == MG_MASK &&
	       (access->dir == MG_READ || !mg_is_command(access->index));
}

/**
 * mg_decide - the verdict on an access
 * @rule:   the rule in force, from mg_policy_find()
 * @mode:   the mode in force
 * @access: the access
 *
 * If mg_needs_old() and the old value is not known, a masked write and a masked read are
 * denied: what cannot be judged is not let through. (A write could clear a bit outside
 * the mask just as well as set it, and a bit that is not known cannot be kept.)
 *
 * Context: any.
 */
struct mg_verdict mg_decide(const struct mg_rule *rule, enum mg_mode mode,
			    const struct mg_access *access);

/**
 * mg_rule_only_refuses - whether no access of a direction can reach the MSR
 * @rule: the rule in force
 * @mode: the mode in force
 * @dir:  the direction
 *
 * False also where a mask or an audit lets some or all through.
 */
bool mg_rule_only_refuses(const struct mg_rule *rule, enum mg_mode mode, enum mg_dir dir);

/** mg_rule_guards - whether a rule is anything but an unconditional allow */
static inline bool mg_rule_guards(const struct mg_rule *rule, enum mg_dir dir)
{
	return rule->perm[dir].action != MG_ALLOW;
}

#endif /* MG_POLICY_H */
