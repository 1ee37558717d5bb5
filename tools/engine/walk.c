// SPDX-License-Identifier: GPL-2.0
/* What programs ask of a policy and the module never does, see engine.h. */
#include <stdlib.h>

#include <linux/kernel.h>
#include <linux/string.h>

#include "../../kmod/policy/internal.h"
#include "engine.h"

static int compare_edges(const void *a, const void *b)
{
	const u64 *one = a, *other = b;

	return *one < *other ? -1 : *one > *other;
}

/* Where the rule in force may change: a rule begins there, or one has just ended. */
static size_t add_edges(const struct mg_policy *policy, u64 *edges)
{
	size_t nr = 0;
	u32 i;

	for (i = 0; i < policy->nr_rules; i++) {
		edges[nr++] = policy->rules[i].first;
		edges[nr++] = (u64)policy->rules[i].last + 1;
	}
	return nr;
}

bool mg_engine_walk(const struct mg_policy *a, const struct mg_policy *b,
		    void (*take)(void *context, u32 first, u32 last,
				 const struct mg_rule *in_a, const struct mg_rule *in_b),
		    void *context)
{
	const u64 end = (u64)U32_MAX + 1;
	size_t nr = 0, i;
	u64 *edges;

	edges = malloc((2 + 2 * (a->nr_rules + (b ? (size_t)b->nr_rules : 0))) * sizeof(*edges));
	if (!edges)
		return false;
	edges[nr++] = 0;
	nr += add_edges(a, edges + nr);
	if (b)
		nr += add_edges(b, edges + nr);
	edges[nr++] = end;
	qsort(edges, nr, sizeof(*edges), compare_edges);
	for (i = 0; i + 1 < nr; i++) {
		if (edges[i] == edges[i + 1])
			continue;
		take(context, edges[i], edges[i + 1] - 1, mg_policy_find(a, edges[i]),
		     b ? mg_policy_find(b, edges[i]) : NULL);
	}
	free(edges);
	return true;
}

/* The innermost range that holds @index, or the default. */
static const struct mg_rule *range_at(const struct mg_policy *policy, u32 index)
{
	u32 low = 0, high = policy->nr_segments;

	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (policy->segments[middle].last < index)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == policy->nr_segments || policy->segments[low].first > index)
		return &policy->fallback;
	return &policy->rules[policy->segments[low].rule];
}

const struct mg_rule *mg_engine_around(const struct mg_policy *policy, const struct mg_rule *rule)
{
	u32 parent;

	/* A range knows its own; of a single MSR the link is another thing. */
	if (mg_rule_is_single(rule))
		return range_at(policy, rule->first);
	parent = policy->link[rule - policy->rules];
	return parent == MG_NONE ? &policy->fallback : &policy->rules[parent];
}

bool mg_engine_same(const struct mg_rule *a, const struct mg_rule *b, enum mg_dir dir)
{
	const struct mg_permission *one = &a->perm[dir], *other = &b->perm[dir];

	return one->action == other->action && one->mask == other->mask &&
	       one->keep == other->keep;
}

const char *mg_engine_word(const struct mg_rule *rule, enum mg_dir dir, char word[MG_WORD_LEN])
{
	static const char *const names[] = {
		[MG_ALLOW] = "allow", [MG_DENY] = "deny", [MG_DROP] = "drop",
	};
	const struct mg_permission *perm = &rule->perm[dir];
	bool inverted = __builtin_popcountll(perm->mask) > 32;

	if (perm->action != MG_MASK)
		scnprintf(word, MG_WORD_LEN, "%s", names[perm->action]);
	else
		scnprintf(word, MG_WORD_LEN, "mask=%s0x%llx%s", inverted ? "~" : "",
			  inverted ? ~perm->mask : perm->mask,
			  dir == MG_READ ? "" : perm->keep ? ",keep" : ",deny");
	return word;
}

const char *mg_engine_span(u32 first, u32 last, char span[MG_SPAN_LEN])
{
	const struct mg_rule rule = { .first = first, .last = last };

	_Static_assert(MG_SPAN_LEN >= MG_RANGE_LEN, "a range's name fits");
	mg_range_name(&rule, span);
	return span;
}

const char *mg_engine_why(const struct mg_policy_error *err, char why[MG_WHY_LEN])
{
	scnprintf(why, MG_WHY_LEN, "%u:%u: %s", err->line, err->column, err->reason);
	return why;
}

int mg_engine_check_line(const char *line, size_t len, struct mg_policy_error *err)
{
	struct mg_rule rule;
	size_t at = 0;

	while (at < len && (line[at] == ' ' || line[at] == '\t'))
		at++;
	/* The parser of one line wants a rule in it. */
	if (at == len || line[at] == '#')
		return 0;
	memset(err, 0, sizeof(*err));
	return mg_parse_one_rule(line, len, &rule, err);
}
