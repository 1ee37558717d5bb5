// SPDX-License-Identifier: GPL-2.0
/*
 * A policy with one rule more or less. The rest is copied and everything built anew:
 * that costs no more than loading, and there is one way only to build a policy.
 */
#include <linux/kernel.h>
#include <linux/overflow.h>
#include <linux/string.h>

#include "internal.h"

/* Where @rule is among the rules of @policy, or would have to be. */
static u32 place_of(const struct mg_policy *policy, const struct mg_rule *rule)
{
	u32 low = 0, high = policy->nr_rules;

	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (mg_rule_compare(&policy->rules[middle], rule) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * The rules of @base, at @place with @added more, or without the one that is there if
 * @added is NULL. Room for one more than needed keeps the size from being 0.
 */
static struct mg_rule *copy_rules(const struct mg_policy *base, u32 place,
				  const struct mg_rule *added)
{
	u32 skip = added ? 0 : 1;
	struct mg_rule *rules = mg_policy_alloc(base->nr_rules + 1, sizeof(*rules));
	struct mg_rule *to = rules;

	if (!rules)
		return NULL;
	if (place)
		memcpy(to, base->rules, array_size(place, sizeof(*to)));
	to += place;
	if (added)
		*to++ = *added;
	if (place + skip < base->nr_rules)
		memcpy(to, base->rules + place + skip,
		       array_size(base->nr_rules - place - skip, sizeof(*to)));
	return rules;
}

static struct mg_policy *out_of_memory(struct mg_policy_error *err)
{
	mg_policy_fail(err, 0, 0, "out of memory");
	return ERR_PTR(-ENOMEM);
}

static struct mg_policy *replace_default(const struct mg_policy *base,
					 const struct mg_rule *fallback,
					 struct mg_policy_error *err)
{
	struct mg_rule *rules = NULL;

	if (base->nr_rules) {
		rules = mg_policy_alloc(base->nr_rules, sizeof(*rules));
		if (!rules)
			return out_of_memory(err);
		memcpy(rules, base->rules, array_size(base->nr_rules, sizeof(*rules)));
	}
	return mg_policy_build(rules, base->nr_rules, fallback, "", err);
}

/* See policy.h */
struct mg_policy *mg_policy_add(const struct mg_policy *base, const char *line,
				size_t len, struct mg_policy_error *err)
{
	struct mg_policy *policy;
	struct mg_rule *rules;
	struct mg_rule rule;
	int ret;

	memset(err, 0, sizeof(*err));
	ret = mg_parse_one_rule(line, len, &rule, err);
	if (ret)
		return ERR_PTR(ret);
	rule.source_line = 0;
	if (rule.is_default)
		return replace_default(base, &rule, err);
	if (base->nr_rules == MG_POLICY_MAX_RULES) {
		mg_policy_fail(err, 1, 1, "more than %u rules", MG_POLICY_MAX_RULES);
		return ERR_PTR(-E2BIG);
	}
	/* Of two rules in conflict the one further down is at fault: this one. */
	rule.line = U32_MAX;
	rules = copy_rules(base, place_of(base, &rule), &rule);
	if (!rules)
		return out_of_memory(err);
	policy = mg_policy_build(rules, base->nr_rules + 1, &base->fallback,
				 " of the policy", err);
	if (IS_ERR(policy) && err->line) {
		err->line = 1;
		err->column = mg_first_column(line, len, 1);
	}
	return policy;
}

/* See policy.h */
struct mg_policy *mg_policy_remove(const struct mg_policy *base, const char *range,
				   size_t len, struct mg_policy_error *err)
{
	char name[MG_RANGE_LEN];
	struct mg_rule *rules;
	struct mg_rule rule;
	u32 place;
	int ret;

	memset(err, 0, sizeof(*err));
	ret = mg_parse_one_range(range, len, &rule, err);
	if (ret)
		return ERR_PTR(ret);
	place = place_of(base, &rule);
	if (place == base->nr_rules ||
	    mg_rule_compare(&base->rules[place], &rule)) {
		mg_range_name(&rule, name);
		mg_policy_fail(err, 1, mg_first_column(range, len, 1),
			       "no rule for exactly %s", name);
		return ERR_PTR(-ENOENT);
	}
	rules = copy_rules(base, place, NULL);
	if (!rules)
		return out_of_memory(err);
	return mg_policy_build(rules, base->nr_rules - 1, &base->fallback, "", err);
}
