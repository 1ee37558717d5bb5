/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is in force: the published policy, its generation, the mode.
 */
#ifndef MG_GUARD_H
#define MG_GUARD_H

#include <linux/srcu.h>
#include <linux/types.h>

#include "policy/policy.h"
#include "report/report.h"

/*
 * Which accesses need a decision now, all zero while the mode is off. The trampolines read it
 * without a lock; see guard.c for how it changes.
 */
extern struct mg_intercept_map mg_live;

/*
 * Held by whoever is in the C function of a hook, which may sleep. The policy, the VMs' records
 * and the module itself outlive it: each is freed only after all who are inside have left.
 */
extern struct srcu_struct mg_srcu;

static inline int mg_enter(void)
{
	return srcu_read_lock(&mg_srcu);
}

static inline void mg_leave(int token)
{
	srcu_read_unlock(&mg_srcu, token);
}

/* SDM Vol. 3A, 12.12 "Extended XAPIC (x2APIC)": the range of MSRs reserved for it */
#define MG_X2APIC_FIRST	0x800
#define MG_X2APIC_LAST	0x8ff

/**
 * struct mg_ruling - what is in force for one MSR
 * @rule:       the rule
 * @policy:     the policy it is from
 * @generation: of that policy
 * @mode:       the mode
 */
struct mg_ruling {
	const struct mg_rule *rule;
	const struct mg_policy *policy;
	u64 generation;
	enum mg_mode mode;
};

/**
 * mg_guard_ruling - what is in force for an MSR
 * @index: MSR index
 *
 * Context: any, between mg_enter() and mg_leave().
 * Return: the ruling; what it points to lives until mg_leave().
 */
struct mg_ruling mg_guard_ruling(u32 index);

/**
 * mg_guard_commit - validate a policy's text and publish it
 * @text: the text
 * @len:  its length in bytes
 *
 * On success the policy is in force when this returns, and no vCPU enters the guest with another's
 * hardware bitmap; an access that KVM was just emulating may still end by the old policy. On
 * failure nothing has changed, and mg_guard_error() has the reason.
 *
 * Context: may sleep.
 * Return: 0 or what mg_policy_parse() says.
 */
int mg_guard_commit(const char *text, size_t len);

/**
 * mg_guard_add_rule - publish the running policy with one rule more
 * @line: the rule
 * @len:  its length in bytes
 *
 * Context and return: as mg_guard_commit().
 */
int mg_guard_add_rule(const char *line, size_t len);

/**
 * mg_guard_remove_rule - publish the running policy without one rule
 * @range: the rule's MSRs, "index" or "index-last"
 * @len:   its length in bytes
 *
 * Context and return: as mg_guard_commit().
 */
int mg_guard_remove_rule(const char *range, size_t len);

/**
 * mg_guard_set_mode - change the mode; in force as said at mg_guard_commit()
 * @mode: the new mode
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM; nothing has changed then.
 */
int mg_guard_set_mode(enum mg_mode mode);

/** mg_guard_refuse - make a reason readable that is not the policy parser's */
void mg_guard_refuse(const char *reason);

/** mg_guard_error - reason of the last failure, empty after a success; PAGE_SIZE bytes */
ssize_t mg_guard_error(char *buf);

/**
 * mg_guard_warnings - what the running policy promises and this host may not keep
 * @buf: PAGE_SIZE bytes
 *
 * A line a rule: the rule's line in the text that was loaded (0 if it was added since), a colon
 * and what is wrong.
 *
 * Context: may sleep.
 * Return: bytes written.
 */
ssize_t mg_guard_warnings(char *buf);

/** mg_guard_read_text - a piece of the running policy's canonical text */
ssize_t mg_guard_read_text(char *buf, loff_t offset, size_t count);

/** mg_guard_status - mode, generation, hash and size of the running policy */
void mg_guard_status(struct mg_status *status);

/** mg_guard_rule - a rule of the running policy, see &struct mg_report_source */
bool mg_guard_rule(u32 nr, struct mg_rule_row *row);

/**
 * mg_guard_hold - keep policy and mode as they are until mg_guard_release()
 *
 * Context: may sleep; whoever wants to change them waits.
 * Return: the policy's generation.
 */
u64 mg_guard_hold(void);
/** mg_guard_release - let policy and mode be changed again */
void mg_guard_release(void);

/** mg_mode_parse - mode by name, a trailing newline is accepted; -EINVAL if unknown */
int mg_mode_parse(const char *name);
/** mg_mode_name - name of a mode */
const char *mg_mode_name(enum mg_mode mode);

/** mg_guard_init - an allow-all policy in the given mode; nothing is guarded by it */
int mg_guard_init(enum mg_mode mode);
/** mg_guard_disarm - nothing needs a decision from now on; before the hooks are detached */
void mg_guard_disarm(void);
/** mg_guard_exit - free the policy; after the hooks are detached */
void mg_guard_exit(void);

#endif /* MG_GUARD_H */
