// SPDX-License-Identifier: GPL-2.0
/* Rules that decide nothing, or say what would hold without them. */
#include <stdlib.h>

#include "check.h"
#include "msrguard.h"

static void mark(void *context, u32 first, u32 last, const struct mg_rule *rule,
		 const struct mg_rule *unused)
{
	bool *decides = context;

	(void)first;
	(void)last;
	(void)unused;
	/* Lines of the canonical text: 1 for the default, and so on. */
	decides[rule->line - 1] = true;
}

static char *where_is(const struct mg_check *check, const struct mg_rule *rule)
{
	struct mg_place place = mg_source_place(check->findings->source, rule->source_line);
	char span[MG_SPAN_LEN];

	if (rule->is_default)
		return mg_format("the default line (%s:%lu)", place.name, place.line);
	return mg_format("%s (%s:%lu)", mg_engine_span(rule->first, rule->last, span), place.name,
			 place.line);
}

static bool same(const struct mg_rule *a, const struct mg_rule *b)
{
	return mg_engine_same(a, b, MG_READ) && mg_engine_same(a, b, MG_WRITE) &&
	       a->audit == b->audit && a->quiet == b->quiet;
}

static void check_rule(const struct mg_check *check, const struct mg_rule *rule, bool decides)
{
	const struct mg_rule *around;
	char span[MG_SPAN_LEN], *where;

	if (!decides) {
		if (rule->is_default)
			mg_find(check->findings, MG_NOTE, "shadowed", rule->source_line,
				"the default line decides nothing: rules name every MSR");
		else
			mg_find(check->findings, MG_WARNING, "shadowed", rule->source_line,
				"the rule for %s decides nothing: narrower rules name all its MSRs",
				mg_engine_span(rule->first, rule->last, span));
	}
	if (!mg_rule_guards(rule, MG_READ) && !mg_rule_guards(rule, MG_WRITE) &&
	    (rule->audit || rule->quiet))
		mg_find(check->findings, MG_WARNING, "option-without-effect", rule->source_line,
			"%s on a rule that blocks nothing", rule->audit ? "audit" : "quiet");
	if (rule->is_default)
		return;
	around = mg_engine_around(check->policy, rule);
	if (!same(rule, around))
		return;
	where = where_is(check, around);
	mg_find(check->findings, MG_NOTE, "redundant", rule->source_line,
		"the rule for %s says what holds without it, by %s",
		mg_engine_span(rule->first, rule->last, span), where);
	free(where);
}

void mg_check_rules(const struct mg_check *check)
{
	u32 nr = mg_policy_nr_rules(check->policy) + 1, i;
	bool *decides = mg_alloc_check(calloc(nr, sizeof(*decides)));

	if (!mg_engine_walk(check->policy, NULL, mark, decides))
		mg_alloc_check(NULL);
	for (i = 0; i < nr; i++)
		check_rule(check, mg_policy_rule(check->policy, i), decides[i]);
	free(decides);
}
