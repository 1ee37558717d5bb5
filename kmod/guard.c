// SPDX-License-Identifier: GPL-2.0
/*
 * Publishing: from a new policy or mode to every vCPU's hardware bitmap.
 *
 * Two things are published. The policy with its generation and mode is one immutable object
 * behind an SRCU pointer, because a decision may sleep before it is carried out. The live
 * intercept map is a static object, so that the trampolines need no pointer and no lifetime rule
 * to test a bit of it. It is changed word by word, in an order that makes every moment safe: first
 * the bits that the new policy guards are added, then the pointer changes, then the bits that it
 * does not guard are taken away. A bit too many only makes an access ask for a decision, and the
 * decision is always that of one whole policy.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cache.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "guard.h"
#include "kvm/vm.h"

static const char initial_policy[] = "default allow allow\n";

static const char *const mode_names[] = {
	[MG_MODE_OFF] = "off",
	[MG_MODE_AUDIT] = "audit",
	[MG_MODE_ENFORCE] = "enforce",
};

/**
 * struct published - what is in force, immutable
 * @policy:     the policy; may be shared with the object before or after this one
 * @generation: counts the policies published
 * @mode:       the mode
 * @last_user:  no later object shares @policy; set when this one is replaced, for its freeing
 * @rcu:        frees it
 */
struct published {
	struct mg_policy *policy;
	u64 generation;
	enum mg_mode mode;
	bool last_user;
	struct rcu_head rcu;
};

struct mg_intercept_map mg_live ____cacheline_aligned;
DEFINE_SRCU(mg_srcu);

/* Held by whoever publishes; protects last_error too. */
static DEFINE_MUTEX(publish_lock);
static struct published __rcu *in_force;
static struct mg_policy_error last_error;

static struct published *in_force_locked(void)
{
	return rcu_dereference_protected(in_force, lockdep_is_held(&publish_lock));
}

/* Set the bits of @map in the live one, or those and no others. NULL is an empty map. */
static void change_live_map(const struct mg_intercept_map *map, bool add_only)
{
	unsigned int dir, i;

	for (dir = 0; dir < MG_NR_DIRS; dir++) {
		for (i = 0; i < MG_MAP_WORDS; i++) {
			unsigned long bits = map ? map->bits[dir][i] : 0;

			if (add_only)
				bits |= mg_live.bits[dir][i];
			if (bits != mg_live.bits[dir][i])
				WRITE_ONCE(mg_live.bits[dir][i], bits);
		}
		if (!add_only || (map && map->outside[dir]))
			WRITE_ONCE(mg_live.outside[dir], map && map->outside[dir]);
	}
}

static void free_published(struct rcu_head *rcu)
{
	struct published *old = container_of(rcu, struct published, rcu);

	if (old->last_user)
		mg_policy_free(old->policy);
	kfree(old);
}

/*
 * Put @new in force everywhere. What it replaces is freed later, and not waited for: a VMM can
 * make an access of its guest, and so a reader, sleep as long as it likes (userfaultfd).
 */
static void publish(struct published *new)
{
	struct published *old = in_force_locked();
	const struct mg_intercept_map *map =
		new->mode == MG_MODE_OFF ? NULL : mg_policy_map(new->policy);

	change_live_map(map, true);
	rcu_assign_pointer(in_force, new);
	change_live_map(map, false);
	mg_vm_recalc_all();

	old->last_user = old->policy != new->policy;
	call_srcu(&mg_srcu, &old->rcu, free_published);
}

static const char apic_warning[] =
	"guards x2APIC registers, which the hardware serves itself on this host; msrguard intercepts them, untested: to be sure, load kvm_intel with enable_apicv=0 or kvm_amd with avic=0";

/* Rules that this host may not keep, filled in by doubtful_rules() under publish_lock. */
static const struct mg_rule *doubtful[MG_X2APIC_LAST - MG_X2APIC_FIRST + 1];

/*
 * Fill @rules with the rules that guard x2APIC registers, each once. A range with others inside
 * speaks for several stretches of registers.
 */
static unsigned int find_apic_rules(const struct mg_policy *policy, const struct mg_rule **rules)
{
	const struct mg_rule *rule;
	unsigned int nr = 0, i;
	u32 index;

	for (index = MG_X2APIC_FIRST; index <= MG_X2APIC_LAST; index++) {
		rule = mg_policy_find(policy, index);
		if (!mg_rule_guards(rule, MG_READ) && !mg_rule_guards(rule, MG_WRITE))
			continue;
		for (i = 0; i < nr && rules[i] != rule; i++)
			;
		if (i == nr)
			rules[nr++] = rule;
	}
	return nr;
}

static unsigned int doubtful_rules(void)
{
	lockdep_assert_held(&publish_lock);
	return mg_kvm_virtualizes_apic() ?
		find_apic_rules(in_force_locked()->policy, doubtful) : 0;
}

static void warn_of_doubtful_rules(void)
{
	unsigned int nr = doubtful_rules();

	if (nr)
		pr_warn("line %u of the policy, and %u more, %s; see policy/warnings\n",
			doubtful[0]->source_line, nr - 1, apic_warning);
}

/* Takes over @policy, which may be an error. */
static int publish_policy(struct mg_policy *policy)
{
	struct published *new;

	if (IS_ERR(policy))
		return PTR_ERR(policy);
	new = kmalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new) {
		snprintf(last_error.reason, sizeof(last_error.reason), "out of memory");
		mg_policy_free(policy);
		return -ENOMEM;
	}
	*new = *in_force_locked();
	new->policy = policy;
	new->generation++;
	publish(new);
	warn_of_doubtful_rules();
	return 0;
}

static void clear_error(void)
{
	memset(&last_error, 0, sizeof(last_error));
}

int mg_guard_commit(const char *text, size_t len)
{
	int err;

	mutex_lock(&publish_lock);
	clear_error();
	err = publish_policy(mg_policy_parse(text, len, &last_error));
	mutex_unlock(&publish_lock);
	return err;
}

int mg_guard_add_rule(const char *line, size_t len)
{
	int err;

	mutex_lock(&publish_lock);
	clear_error();
	err = publish_policy(mg_policy_add(in_force_locked()->policy, line, len, &last_error));
	mutex_unlock(&publish_lock);
	return err;
}

int mg_guard_remove_rule(const char *range, size_t len)
{
	int err;

	mutex_lock(&publish_lock);
	clear_error();
	err = publish_policy(mg_policy_remove(in_force_locked()->policy, range, len, &last_error));
	mutex_unlock(&publish_lock);
	return err;
}

int mg_guard_set_mode(enum mg_mode mode)
{
	struct published *new;

	new = kmalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return -ENOMEM;
	mutex_lock(&publish_lock);
	*new = *in_force_locked();
	new->mode = mode;
	publish(new);
	mutex_unlock(&publish_lock);
	return 0;
}

void mg_guard_refuse(const char *reason)
{
	mutex_lock(&publish_lock);
	clear_error();
	strscpy(last_error.reason, reason, sizeof(last_error.reason));
	mutex_unlock(&publish_lock);
}

ssize_t mg_guard_error(char *buf)
{
	ssize_t len = 0;

	mutex_lock(&publish_lock);
	if (last_error.reason[0])
		len = sysfs_emit(buf, "%u:%u: %s\n", last_error.line, last_error.column,
				 last_error.reason);
	mutex_unlock(&publish_lock);
	return len;
}

ssize_t mg_guard_warnings(char *buf)
{
	unsigned int nr, i;
	ssize_t len = 0;

	mutex_lock(&publish_lock);
	nr = doubtful_rules();
	for (i = 0; i < nr; i++) {
		/* Room for this line and for the last one. */
		if (len > PAGE_SIZE - 2 * sizeof(apic_warning) - 64) {
			len += sysfs_emit_at(buf, len, "0: %u more rules like these\n", nr - i);
			break;
		}
		len += sysfs_emit_at(buf, len, "%u: %s\n", doubtful[i]->source_line,
				     apic_warning);
	}
	mutex_unlock(&publish_lock);
	return len;
}

ssize_t mg_guard_read_text(char *buf, loff_t offset, size_t count)
{
	const char *text;
	ssize_t ret;
	size_t len;

	mutex_lock(&publish_lock);
	text = mg_policy_text(in_force_locked()->policy, &len);
	ret = memory_read_from_buffer(buf, count, &offset, text, len);
	mutex_unlock(&publish_lock);
	return ret;
}

void mg_guard_status(struct mg_status *status)
{
	const struct published *now;
	int token = mg_enter();

	now = srcu_dereference(in_force, &mg_srcu);
	status->mode = now->mode;
	status->generation = now->generation;
	status->rules = mg_policy_nr_rules(now->policy);
	memcpy(status->hash, mg_policy_hash(now->policy), MG_HASH_LEN);
	mg_leave(token);
}

bool mg_guard_rule(u32 nr, struct mg_rule_row *row)
{
	const struct published *now;
	const struct mg_rule *rule;
	int token = mg_enter();

	now = srcu_dereference(in_force, &mg_srcu);
	rule = mg_policy_rule(now->policy, nr);
	row->generation = now->generation;
	if (rule) {
		row->rule = *rule;
		row->hits[MG_READ] = mg_policy_hits(now->policy, rule, MG_READ);
		row->hits[MG_WRITE] = mg_policy_hits(now->policy, rule, MG_WRITE);
	}
	mg_leave(token);
	return rule;
}

u64 mg_guard_hold(void)
{
	mutex_lock(&publish_lock);
	return in_force_locked()->generation;
}

void mg_guard_release(void)
{
	mutex_unlock(&publish_lock);
}

struct mg_ruling mg_guard_ruling(u32 index)
{
	const struct published *now = srcu_dereference(in_force, &mg_srcu);

	return (struct mg_ruling) {
		.rule = mg_policy_find(now->policy, index),
		.policy = now->policy,
		.generation = now->generation,
		.mode = now->mode,
	};
}

int mg_mode_parse(const char *name)
{
	return sysfs_match_string(mode_names, name);
}

const char *mg_mode_name(enum mg_mode mode)
{
	return mode_names[mode];
}

int mg_guard_init(enum mg_mode mode)
{
	struct mg_policy_error err;
	struct published *first;
	struct mg_policy *policy;

	first = kzalloc(sizeof(*first), GFP_KERNEL);
	if (!first)
		return -ENOMEM;
	policy = mg_policy_parse(initial_policy, strlen(initial_policy), &err);
	if (IS_ERR(policy)) {
		kfree(first);
		return PTR_ERR(policy);
	}
	first->policy = policy;
	first->generation = 1;
	first->mode = mode;
	RCU_INIT_POINTER(in_force, first);
	return 0;
}

void mg_guard_disarm(void)
{
	mutex_lock(&publish_lock);
	change_live_map(NULL, false);
	mutex_unlock(&publish_lock);
}

void mg_guard_exit(void)
{
	struct published *last = rcu_dereference_protected(in_force, true);

	srcu_barrier(&mg_srcu);
	mg_policy_free(last->policy);
	kfree(last);
}
