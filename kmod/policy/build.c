// SPDX-License-Identifier: GPL-2.0
/*
 * Rules to a policy: sort, refuse conflicts, and build what look-ups use.
 *
 * Ranges nest or are disjoint, so they form a forest. One sweep over the sorted
 * rules, with the ranges around the current place as a stack, finds every conflict
 * and cuts the forest into disjoint segments.
 */
#include <linux/bitmap.h>
#include <linux/hash.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/sched.h>
#include <linux/sort.h>
#include <linux/string.h>

#include "internal.h"

/* Where the windows of the intercept map start, in the order of mg_map_bit(). */
static const u32 windows[MG_NR_WINDOWS] = {
	MG_WINDOW_LOW, MG_WINDOW_HIGH, MG_WINDOW_AMD, MG_WINDOW_HYPERV, MG_WINDOW_KVM,
};

static void give_way(u32 round)
{
	if (!(round % MG_RESCHED_ROUNDS))
		cond_resched();
}

/**
 * mg_rule_compare - the order of rules in a policy
 * @a: a rule
 * @b: another
 *
 * Return: negative, 0 or positive; 0 for two rules for the same MSRs.
 */
int mg_rule_compare(const struct mg_rule *a, const struct mg_rule *b)
{
	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	if (a->last != b->last)
		return a->last > b->last ? -1 : 1;
	return 0;
}

static int compare_for_sort(const void *a, const void *b)
{
	const struct mg_rule *one = a, *other = b;

	cond_resched();	/* sort() itself never gives way */
	return mg_rule_compare(one, other) ?: (one->line < other->line ? -1 : 1);
}

static void sort_rules(struct mg_policy *policy)
{
	u32 i;

	for (i = 1; i < policy->nr_rules; i++) {
		give_way(i);
		if (mg_rule_compare(&policy->rules[i - 1], &policy->rules[i]) > 0)
			break;
	}
	/* Canonical text, and so most of what is loaded, is sorted already. */
	if (i < policy->nr_rules)
		sort(policy->rules, policy->nr_rules, sizeof(*policy->rules),
		     compare_for_sort, NULL);
}

/**
 * mg_range_name - a rule's MSRs as the policy format writes them
 * @rule: the rule
 * @name: where to write it
 */
void mg_range_name(const struct mg_rule *rule, char name[MG_RANGE_LEN])
{
	if (mg_rule_is_single(rule))
		scnprintf(name, MG_RANGE_LEN, "0x%x", rule->first);
	else
		scnprintf(name, MG_RANGE_LEN, "0x%x-0x%x", rule->first, rule->last);
}

/* The rule further down is at fault. @where says of which text the other's line is. */
static int refuse_conflict(const struct mg_rule *a, const struct mg_rule *b,
			   const char *where, struct mg_policy_error *err)
{
	const struct mg_rule *other = a->line < b->line ? a : b;
	const struct mg_rule *fault = other == a ? b : a;
	char other_name[MG_RANGE_LEN];
	char fault_name[MG_RANGE_LEN];

	mg_range_name(other, other_name);
	mg_range_name(fault, fault_name);
	if (!mg_rule_compare(a, b)) {
		mg_policy_fail(err, fault->line, 0,
			       "duplicate rule: %s is on line %u%s already",
			       fault_name, other->line, where);
		return -EEXIST;
	}
	mg_policy_fail(err, fault->line, 0,
		       "%s partly overlaps %s on line %u%s: ranges may nest, not cross",
		       fault_name, other_name, other->line, where);
	return -EINVAL;
}

static int refuse_duplicates(const struct mg_policy *policy, const char *where,
			     struct mg_policy_error *err)
{
	const struct mg_rule *rules = policy->rules;
	u32 i;

	for (i = 1; i < policy->nr_rules; i++) {
		give_way(i);
		if (!mg_rule_compare(&rules[i - 1], &rules[i]))
			return refuse_conflict(&rules[i - 1], &rules[i], where, err);
	}
	return 0;
}

/* Add the MSRs from *@next to @last to the segments, if there are any. */
static void emit(struct mg_policy *policy, u64 *next, u64 last, u32 rule)
{
	if (*next > last)
		return;
	if (policy->segments)
		policy->segments[policy->nr_segments] = (struct mg_segment){
			.first = *next,
			.last = last,
			.rule = rule,
		};
	policy->nr_segments++;
	*next = last + 1;
}

/* Count the segments, or write them if there is memory for them. */
static int sweep_ranges(struct mg_policy *policy, const char *where,
			struct mg_policy_error *err)
{
	const struct mg_rule *rules = policy->rules;
	u32 top = MG_NONE;
	u64 next = 0;	/* first MSR not in a segment; 2^32 behind the last one */
	u32 i;

	policy->nr_segments = 0;
	for (i = 0; i < policy->nr_rules; i++) {
		give_way(i);
		if (mg_rule_is_single(&rules[i]))
			continue;
		while (top != MG_NONE && rules[top].last < rules[i].first) {
			emit(policy, &next, rules[top].last, top);
			top = policy->link[top];
		}
		if (top != MG_NONE) {
			if (rules[i].last > rules[top].last)
				return refuse_conflict(&rules[top], &rules[i], where, err);
			if (rules[i].first)
				emit(policy, &next, rules[i].first - 1, top);
		}
		next = rules[i].first;
		policy->link[i] = top;
		top = i;
	}
	for (i = 0; top != MG_NONE; i++) {
		give_way(i);
		emit(policy, &next, rules[top].last, top);
		top = policy->link[top];
	}
	return 0;
}

static int build_segments(struct mg_policy *policy, const char *where,
			  struct mg_policy_error *err)
{
	int ret;

	if (!policy->nr_rules)
		return 0;
	policy->link = mg_policy_alloc(policy->nr_rules, sizeof(*policy->link));
	if (!policy->link)
		return -ENOMEM;
	ret = sweep_ranges(policy, where, err);
	if (ret || !policy->nr_segments)
		return ret;
	policy->segments = mg_policy_alloc(policy->nr_segments, sizeof(*policy->segments));
	if (!policy->segments)
		return -ENOMEM;
	return sweep_ranges(policy, where, err);
}

static int build_hash_table(struct mg_policy *policy)
{
	u32 nr_buckets;
	u32 i;

	for (i = 0; i < policy->nr_rules; i++) {
		give_way(i);
		policy->nr_singles += mg_rule_is_single(&policy->rules[i]);
	}
	if (!policy->nr_singles)
		return 0;

	/* hash_32() cannot make a hash of no bits. */
	policy->bucket_bits = max(order_base_2(policy->nr_singles), 1);
	nr_buckets = 1u << policy->bucket_bits;
	policy->buckets = mg_policy_alloc(nr_buckets, sizeof(*policy->buckets));
	if (!policy->buckets)
		return -ENOMEM;
	memset32(policy->buckets, MG_NONE, nr_buckets);
	for (i = 0; i < policy->nr_rules; i++) {
		u32 *bucket;

		give_way(i);
		if (!mg_rule_is_single(&policy->rules[i]))
			continue;
		bucket = &policy->buckets[hash_32(policy->rules[i].first,
						  policy->bucket_bits)];
		policy->link[i] = *bucket;
		*bucket = i;
	}
	return 0;
}

/* Note in the map that @first to @last are guarded or not. Return: how many have no bit. */
static u64 map_range(unsigned long *bits, u32 first, u32 last, bool guarded)
{
	u64 outside = (u64)last - first + 1;
	unsigned int i;

	for (i = 0; i < MG_NR_WINDOWS; i++) {
		u32 from = max(first, windows[i]);
		u32 to = min_t(u32, last, windows[i] + MG_WINDOW_MSRS - 1);

		if (from > to)
			continue;
		if (guarded)
			bitmap_set(bits, mg_map_bit(from), to - from + 1);
		else
			bitmap_clear(bits, mg_map_bit(from), to - from + 1);
		outside -= to - from + 1;
	}
	return outside;
}

static const struct mg_rule *find_range(const struct mg_policy *policy, u32 index)
{
	u32 low = 0, high = policy->nr_segments;

	while (low < high) {
		u32 middle = low + (high - low) / 2;
		const struct mg_segment *segment = &policy->segments[middle];

		if (index < segment->first)
			high = middle;
		else if (index > segment->last)
			low = middle + 1;
		else
			return &policy->rules[segment->rule];
	}
	return &policy->fallback;
}

static const struct mg_rule *find_single(const struct mg_policy *policy, u32 index)
{
	u32 i;

	if (!policy->nr_singles)
		return NULL;
	for (i = policy->buckets[hash_32(index, policy->bucket_bits)]; i != MG_NONE;
	     i = policy->link[i])
		if (policy->rules[i].first == index)
			return &policy->rules[i];
	return NULL;
}

/* See policy.h */
const struct mg_rule *mg_policy_find(const struct mg_policy *policy, u32 index)
{
	/* A single MSR is narrower than any range. */
	return find_single(policy, index) ?: find_range(policy, index);
}

/*
 * The default first, then what ranges change of it, then what single MSRs change of
 * that. How many guarded MSRs have no bit is counted on the way, so that an outside
 * that some rules guard and others free again comes out right.
 */
static void build_map(struct mg_policy *policy, enum mg_dir dir)
{
	unsigned long *bits = policy->map.bits[dir];
	bool by_default = mg_rule_guards(&policy->fallback, dir);
	u64 outside, guarded_outside;
	u32 i;

	outside = map_range(bits, 0, U32_MAX, by_default);
	guarded_outside = by_default ? outside : 0;
	for (i = 0; i < policy->nr_segments; i++) {
		const struct mg_segment *segment = &policy->segments[i];
		bool guarded = mg_rule_guards(&policy->rules[segment->rule], dir);

		give_way(i);
		outside = map_range(bits, segment->first, segment->last, guarded);
		guarded_outside += guarded ? outside : 0;
		guarded_outside -= by_default ? outside : 0;
	}
	for (i = 0; i < policy->nr_rules; i++) {
		const struct mg_rule *rule = &policy->rules[i];
		bool guarded = mg_rule_guards(rule, dir);

		give_way(i);
		if (!mg_rule_is_single(rule))
			continue;
		if (mg_map_bit(rule->first) >= 0) {
			__assign_bit(mg_map_bit(rule->first), bits, guarded);
			continue;
		}
		guarded_outside += guarded;
		guarded_outside -= mg_rule_guards(find_range(policy, rule->first), dir);
	}
	policy->map.outside[dir] = !!guarded_outside;
}

/* From now on lines are those of the canonical text: the default, then the rules. */
static void number_lines(struct mg_policy *policy)
{
	u32 i;

	policy->fallback.line = 1;
	for (i = 0; i < policy->nr_rules; i++) {
		give_way(i);
		policy->rules[i].line = i + 2;
	}
}

static int build_counters(struct mg_policy *policy)
{
	size_t nr = (policy->nr_rules + 1ul) * MG_NR_DIRS;
	size_t i;

	policy->hits = mg_policy_alloc(nr, sizeof(*policy->hits));
	if (!policy->hits)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		give_way(i);
		atomic64_set(&policy->hits[i], 0);
	}
	return 0;
}

/* Its counters' place: that of its line in the canonical text. */
static atomic64_t *hits_of(const struct mg_policy *policy, const struct mg_rule *rule,
			   enum mg_dir dir)
{
	return &policy->hits[(rule->line - 1ul) * MG_NR_DIRS + dir];
}

/* See policy.h */
void mg_policy_count_hit(const struct mg_policy *policy, const struct mg_rule *rule,
			 enum mg_dir dir)
{
	atomic64_inc(hits_of(policy, rule, dir));
}

/* See policy.h */
u64 mg_policy_hits(const struct mg_policy *policy, const struct mg_rule *rule, enum mg_dir dir)
{
	return atomic64_read(hits_of(policy, rule, dir));
}

/* See policy.h */
const struct mg_rule *mg_policy_rule(const struct mg_policy *policy, u32 nr)
{
	if (!nr)
		return &policy->fallback;
	return nr <= policy->nr_rules ? &policy->rules[nr - 1] : NULL;
}

/**
 * mg_policy_build - a policy from its rules
 * @rules:    the rules in any order, from mg_policy_alloc(); NULL if @nr is 0. They
 *            belong to the policy, and are freed if there is none.
 * @nr:       their number
 * @fallback: the default line
 * @where:    put behind the line of another rule in a message
 * @err:      filled in on failure, but for the column of a conflict
 *
 * Return: the policy or an ERR_PTR: -EEXIST for a duplicate, -EINVAL for ranges that
 * overlap in part, -E2BIG if the canonical text is too long, -ENOMEM.
 */
struct mg_policy *mg_policy_build(struct mg_rule *rules, u32 nr,
				  const struct mg_rule *fallback,
				  const char *where, struct mg_policy_error *err)
{
	struct mg_policy *policy = mg_policy_alloc(1, sizeof(*policy));
	int ret = -ENOMEM;

	if (!policy) {
		mg_policy_release(rules);
		goto failed;
	}
	memset(policy, 0, sizeof(*policy));
	policy->rules = rules;
	policy->nr_rules = nr;
	policy->fallback = *fallback;

	sort_rules(policy);
	ret = refuse_duplicates(policy, where, err);
	if (ret)
		goto failed;
	ret = build_segments(policy, where, err);
	if (ret)
		goto failed;
	ret = build_hash_table(policy);
	if (ret)
		goto failed;
	build_map(policy, MG_READ);
	build_map(policy, MG_WRITE);
	number_lines(policy);
	ret = mg_policy_write_text(policy, err);
	if (ret)
		goto failed;
	ret = build_counters(policy);
	if (ret)
		goto failed;
	return policy;

failed:
	mg_policy_free(policy);
	if (ret == -ENOMEM)
		mg_policy_fail(err, 0, 0, "out of memory");
	return ERR_PTR(ret);
}

/* See policy.h */
void mg_policy_free(struct mg_policy *policy)
{
	if (!policy)
		return;
	mg_policy_release(policy->rules);
	mg_policy_release(policy->buckets);
	mg_policy_release(policy->link);
	mg_policy_release(policy->segments);
	mg_policy_release(policy->text);
	mg_policy_release(policy->hits);
	mg_policy_release(policy);
}

/* See policy.h */
u32 mg_policy_nr_rules(const struct mg_policy *policy)
{
	return policy->nr_rules;
}

/* See policy.h */
const struct mg_intercept_map *mg_policy_map(const struct mg_policy *policy)
{
	return &policy->map;
}
