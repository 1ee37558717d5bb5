// SPDX-License-Identifier: GPL-2.0
/* "msrguard rules": the rules in force and how often each decided. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <linux/msrguard.h>

#include "dumps.h"
#include "json.h"
#include "msrguard.h"
#include "names/names.h"

#define TEXT_LEN	64

enum order {
	BY_MSR,
	MOST_FIRST,
	LEAST_FIRST,
};

static uint64_t hits(const struct mg_nl_rule *rule)
{
	return rule->reads + rule->writes;
}

static int by_msr(const void *a, const void *b)
{
	const struct mg_nl_rule *rule = a, *other = b;

	if (rule->is_default != other->is_default)
		return rule->is_default ? -1 : 1;
	if (rule->first != other->first)
		return rule->first < other->first ? -1 : 1;
	/* Of ranges that nest, the wide one first. */
	return (rule->last < other->last) - (rule->last > other->last);
}

static int most_first(const void *a, const void *b)
{
	uint64_t one = hits(a), other = hits(b);

	if (one != other)
		return one < other ? 1 : -1;
	return by_msr(a, b);
}

/* What a rule plainly allows needs no decision and is not seen, so 0 means nothing there. */
static bool is_counted(const struct mg_nl_rule *rule)
{
	return rule->read_action != MSRGUARD_ACTION_ALLOW ||
	       rule->write_action != MSRGUARD_ACTION_ALLOW;
}

static int least_first(const void *a, const void *b)
{
	uint64_t one = hits(a), other = hits(b);

	if (is_counted(a) != is_counted(b))
		return is_counted(a) ? -1 : 1;
	if (one != other)
		return one < other ? -1 : 1;
	return by_msr(a, b);
}

static const char *range_text(const struct mg_nl_rule *rule, char *buf)
{
	if (rule->is_default)
		return "default";
	if (rule->first == rule->last)
		snprintf(buf, TEXT_LEN, "0x%" PRIx32, rule->first);
	else
		snprintf(buf, TEXT_LEN, "0x%" PRIx32 "-0x%" PRIx32, rule->first, rule->last);
	return buf;
}

/* A mask of which more is set than not is shown by what is not, as policies are written. */
static void mask_text(uint64_t mask, char *buf)
{
	if (__builtin_popcountll(mask) > 32)
		snprintf(buf, TEXT_LEN, "mask=~0x%" PRIx64, ~mask);
	else
		snprintf(buf, TEXT_LEN, "mask=0x%" PRIx64, mask);
}

static const char *action_text(uint8_t action, uint64_t mask, char *buf)
{
	static const char *const names[] = {
		[MSRGUARD_ACTION_ALLOW] = "allow",
		[MSRGUARD_ACTION_DENY] = "deny",
		[MSRGUARD_ACTION_DROP] = "drop",
	};

	if (action < ARRAY_SIZE(names))
		return names[action];
	if (action == MSRGUARD_ACTION_MASK)
		mask_text(mask, buf);
	else
		snprintf(buf, TEXT_LEN, "unknown-%u", action);
	return buf;
}

static const char *write_text(const struct mg_nl_rule *rule, char *buf)
{
	const char *text = action_text(rule->write_action, rule->write_mask, buf);

	if (rule->write_action == MSRGUARD_ACTION_MASK)
		strcat(buf, rule->keep ? ",keep" : ",deny");
	return text;
}

static const char *options_text(const struct mg_nl_rule *rule)
{
	if (rule->audit)
		return rule->quiet ? "audit quiet" : "audit";
	return rule->quiet ? "quiet" : "";
}

static const char *label(const struct mg_nl_rule *rule)
{
	return rule->is_default || rule->first != rule->last ? NULL : mg_msr_label(rule->first);
}

static void print_hits(uint8_t action, uint64_t count)
{
	if (action == MSRGUARD_ACTION_ALLOW && !count)
		printf("%12s ", "-");
	else
		printf("%12" PRIu64 " ", count);
}

static void print_text(const struct mg_nl_rule *rules, size_t nr, bool with_hits)
{
	char range[TEXT_LEN], read[TEXT_LEN], write[TEXT_LEN];
	const char *name;

	if (with_hits)
		printf("%12s %12s  ", "READS", "WRITES");
	printf("%-23s %-18s %-23s %-11s %s\n", "MSR", "READ", "WRITE", "OPTIONS", "NAME");
	for (; nr; nr--, rules++) {
		if (with_hits) {
			print_hits(rules->read_action, rules->reads);
			print_hits(rules->write_action, rules->writes);
			putchar(' ');
		}
		name = label(rules);
		printf("%-23s %-18s %-23s %-11s %s\n", range_text(rules, range),
		       action_text(rules->read_action, rules->read_mask, read),
		       write_text(rules, write), options_text(rules), name ? name : "");
	}
}

static void print_json(const struct mg_nl_rule *rules, size_t nr)
{
	struct json_object *root = mg_json_object(), *array, *item;
	char range[TEXT_LEN], read[TEXT_LEN], write[TEXT_LEN];

	mg_json_hex(root, "generation", rules->generation);
	array = mg_json_array(root, "rules");
	for (; nr; nr--, rules++) {
		item = mg_json_append(array);
		mg_json_string(item, "rule", range_text(rules, range));
		mg_json_string(item, "read",
			       action_text(rules->read_action, rules->read_mask, read));
		mg_json_string(item, "write", write_text(rules, write));
		mg_json_bool(item, "audit", rules->audit);
		mg_json_bool(item, "quiet", rules->quiet);
		mg_json_hex(item, "reads", rules->reads);
		mg_json_hex(item, "writes", rules->writes);
		mg_json_string(item, "name", label(rules));
	}
	mg_json_print(root, false);
}

static int list_rules(enum order order, bool with_hits, bool json)
{
	static int (*const orders[])(const void *a, const void *b) = {
		[BY_MSR] = by_msr,
		[MOST_FIRST] = most_first,
		[LEAST_FIRST] = least_first,
	};
	struct mg_nl_refusal refusal;
	struct mg_nl_rule *rules;
	struct mg_nl nl;
	size_t nr;
	int err, ret;

	ret = mg_nl_open(&nl, "rules");
	if (ret) {
		mg_nl_close(&nl);
		return ret;
	}
	err = mg_nl_rules(&nl, &rules, &nr, &refusal);
	mg_nl_close(&nl);
	if (err)
		return mg_nl_refused("the rules", err, &refusal);
	qsort(rules, nr, sizeof(*rules), orders[order]);
	if (json)
		print_json(rules, nr);
	else
		print_text(rules, nr, with_hits);
	free(rules);
	return MG_EXIT_OK;
}

static int run_rules(const struct mg_command *command, int argc, char **argv)
{
	static const struct option options[] = {
		{ "hits", no_argument, NULL, 'H' },
		{ "unused", no_argument, NULL, 'u' },
		{ "json", no_argument, NULL, 'j' },
		{ 0 }
	};
	enum order order = BY_MSR;
	bool json = false;
	int option;

	while ((option = getopt_long(argc, argv, "j", options, NULL)) != -1) {
		switch (option) {
		case 'H':
			order = MOST_FIRST;
			break;
		case 'u':
			order = LEAST_FIRST;
			break;
		case 'j':
			json = true;
			break;
		default:
			return mg_usage(command);
		}
	}
	if (optind != argc) {
		mg_complain("rules takes no argument");
		return mg_usage(command);
	}
	return list_rules(order, order != BY_MSR, json);
}

const struct mg_command mg_command_rules = {
	.name = "rules",
	.args = "[--hits | --unused] [--json]",
	.summary = "Show the rules in force, and how often each decided",
	.help =
"Lists the rules of the policy in force with the names of their MSRs, the default line\n"
"first. A rule's hits are the reads and writes that it decided since the policy was\n"
"published. What it plainly allows needs no decision and is not counted (\"-\").\n\n"
"      --hits     with hits, the most used first\n"
"      --unused   with hits, the least used first\n"
"  -j, --json     one JSON object, always with hits; 64-bit numbers are strings with\n"
"                 hexadecimal numbers\n",
	.run = run_rules,
};
