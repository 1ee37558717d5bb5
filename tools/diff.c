// SPDX-License-Identifier: GPL-2.0
/* "msrguard diff": what one policy allows that another one does not, in words. */
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "engine/engine.h"
#include "json.h"
#include "msrguard.h"
#include "names/names.h"
#include "source.h"

enum kind {
	SECOND_ALLOWS,	/* the second allows what the first does not */
	FIRST_ALLOWS,
	BOTH_ALLOW,	/* each allows what the other does not */
	SAME_ALLOWED,	/* but what is blocked meets another end */
	REPORTED,	/* but other events come of it */
	NR_KINDS,
	NO_DIFFERENCE = NR_KINDS,
};

static const struct {
	const char *id;
	const char *title;
} kinds[NR_KINDS] = {
	[SECOND_ALLOWS] = { "second-allows", "B allows what A does not" },
	[FIRST_ALLOWS] = { "first-allows", "A allows what B does not" },
	[BOTH_ALLOW] = { "both-allow", "each allows what the other does not" },
	[SAME_ALLOWED] = { "same-allowed", "the same is allowed, the rest ends otherwise" },
	[REPORTED] = { "reported", "the same is let through, other events come of it" },
};

/* One direction of consecutive MSRs, with the rule that decides it in either policy. */
struct difference {
	u32 first;
	u32 last;
	enum mg_dir dir;
	enum kind kind;
	const struct mg_rule *rule[2];
	bool unnamed;	/* neither policy names them */
};

struct side {
	const char *name;
	struct mg_source *source;	/* NULL: the policy in force */
	struct mg_policy *policy;
};

struct diff {
	struct side side[2];
	struct difference *list;
	size_t nr;
	size_t open[MG_NR_DIRS];	/* the last one of this direction, plus 1 */
};

/*
 * How far a rule lets an access through, apart from its mask: a masked write lets the value be
 * written that is there already, which a denied one does not; one that is dropped does nothing.
 */
static int reach(const struct mg_rule *rule, enum mg_dir dir)
{
	if (rule->audit)
		return 2;
	switch (rule->perm[dir].action) {
	case MG_ALLOW:
		return 2;
	case MG_MASK:
		return dir == MG_WRITE ? 1 : rule->perm[dir].mask ? 1 : 0;
	default:
		return 0;
	}
}

static u64 open_bits(const struct mg_rule *rule, enum mg_dir dir)
{
	return rule->audit ? U64_MAX : rule->perm[dir].mask;
}

static enum kind compare(const struct mg_rule *a, const struct mg_rule *b, enum mg_dir dir)
{
	u64 bits_a = open_bits(a, dir), bits_b = open_bits(b, dir);
	bool more_a = bits_a & ~bits_b || reach(a, dir) > reach(b, dir);
	bool more_b = bits_b & ~bits_a || reach(b, dir) > reach(a, dir);
	bool guards = mg_rule_guards(a, dir) || mg_rule_guards(b, dir);

	if (more_a || more_b)
		return more_a && more_b ? BOTH_ALLOW : more_a ? FIRST_ALLOWS : SECOND_ALLOWS;
	if (!guards)
		return NO_DIFFERENCE;
	/* Both only audit, or both block: what, and how? */
	if (!mg_engine_same(a, b, dir) && !a->audit)
		return SAME_ALLOWED;
	if (!mg_engine_same(a, b, dir) || a->audit != b->audit || a->quiet != b->quiet)
		return REPORTED;
	return NO_DIFFERENCE;
}

static bool says_the_same(const struct mg_rule *a, const struct mg_rule *b, enum mg_dir dir)
{
	return mg_engine_same(a, b, dir) && a->audit == b->audit && a->quiet == b->quiet;
}

static void add(struct diff *diff, const struct difference *new)
{
	struct difference *last;

	/* What goes on as before is one difference, whichever rules say so. */
	if (diff->open[new->dir]) {
		last = &diff->list[diff->open[new->dir] - 1];
		if (last->last + 1 == new->first && last->unnamed == new->unnamed &&
		    says_the_same(last->rule[0], new->rule[0], new->dir) &&
		    says_the_same(last->rule[1], new->rule[1], new->dir)) {
			last->last = new->last;
			return;
		}
	}
	if (!(diff->nr & (diff->nr - 1)))
		diff->list = mg_alloc_check(realloc(diff->list, (diff->nr ? 2 * diff->nr : 1) *
						    sizeof(*diff->list)));
	diff->list[diff->nr++] = *new;
	diff->open[new->dir] = diff->nr;
}

static void take_span(void *context, u32 first, u32 last, const struct mg_rule *a,
		      const struct mg_rule *b)
{
	struct diff *diff = context;
	struct difference new;
	enum mg_dir dir;

	for (dir = MG_READ; dir < MG_NR_DIRS; dir++) {
		new = (struct difference){
			.first = first, .last = last, .dir = dir, .kind = compare(a, b, dir),
			.rule = { a, b }, .unnamed = a->is_default && b->is_default,
		};
		if (new.kind != NO_DIFFERENCE)
			add(diff, &new);
	}
}

/* "deny audit", as the rule has it for one direction. */
static char *words_of(const struct mg_rule *rule, enum mg_dir dir)
{
	char word[MG_WORD_LEN];

	return mg_format("%s%s%s", mg_engine_word(rule, dir, word), rule->audit ? " audit" : "",
			 rule->quiet ? " quiet" : "");
}

/* What @rule lets through that @other does not. */
static char *more_of(const struct mg_rule *rule, const struct mg_rule *other,
		     const struct difference *difference)
{
	enum mg_dir dir = difference->dir;
	u64 bits = open_bits(rule, dir) & ~open_bits(other, dir);
	bool read = dir == MG_READ;

	if (!bits && !read && difference->first == difference->last &&
	    mg_is_command(difference->first))
		return mg_format("writes of 0");
	if (!bits)
		return mg_format(read ? "reads, of what cannot be masked too" :
				 "writes of the value that is there");
	if (bits == U64_MAX)
		return mg_format(read ? "reads" : "writes");
	return mg_format("%s bits 0x%llx", read ? "seeing" : "changing", (unsigned long long)bits);
}

static char *describe(const struct difference *difference)
{
	const struct mg_rule *a = difference->rule[0], *b = difference->rule[1];
	char *one, *other, *text;

	switch (difference->kind) {
	case FIRST_ALLOWS:
		return more_of(a, b, difference);
	case SECOND_ALLOWS:
		return more_of(b, a, difference);
	case BOTH_ALLOW:
		one = more_of(a, b, difference);
		other = more_of(b, a, difference);
		text = mg_format("A %s, B %s", one, other);
		free(one);
		free(other);
		return text;
	default:
		return mg_format(difference->dir == MG_READ ? "reads" : "writes");
	}
}

static char *name_of(const struct difference *difference)
{
	const char *label = mg_msr_label(difference->first);
	char span[MG_SPAN_LEN];

	mg_engine_span(difference->first, difference->last, span);
	if (!label || difference->unnamed)
		return mg_format("%s", span);
	return mg_format("%s (%s%s)", span, label,
			 difference->first == difference->last ? "" : " and on");
}

static void print_difference(const struct difference *difference, const char *name)
{
	char *what = describe(difference);
	char *a = words_of(difference->rule[0], difference->dir);
	char *b = words_of(difference->rule[1], difference->dir);

	printf("  %s: %s (A: %s; B: %s)\n", name, what, a, b);
	free(what);
	free(a);
	free(b);
}

static void print_kind(const struct diff *diff, enum kind kind)
{
	bool told_unnamed[MG_NR_DIRS] = { false };
	const struct difference *difference;
	bool any = false;
	char *name;
	size_t i;

	for (i = 0; i < diff->nr; i++) {
		difference = &diff->list[i];
		if (difference->kind != kind)
			continue;
		/* Both are the default lines: of a direction there is one such difference. */
		if (difference->unnamed && told_unnamed[difference->dir])
			continue;
		told_unnamed[difference->dir] |= difference->unnamed;
		if (!any)
			printf("%s:\n", kinds[kind].title);
		any = true;
		name = difference->unnamed ? mg_format("every MSR that neither names") :
					     name_of(difference);
		print_difference(difference, name);
		free(name);
	}
}

static void print_text(const struct diff *diff)
{
	enum kind kind;

	if (!diff->nr)
		return;
	printf("A: %s\nB: %s\n", diff->side[0].name, diff->side[1].name);
	for (kind = 0; kind < NR_KINDS; kind++)
		print_kind(diff, kind);
}

static void add_side(struct json_object *object, const char *key, const struct difference *difference,
		     int side)
{
	const struct mg_rule *rule = difference->rule[side];
	struct json_object *sub = mg_json_sub(object, key);
	char *words = words_of(rule, difference->dir);
	char span[MG_SPAN_LEN];

	mg_json_string(sub, "rule", rule->is_default ? "default" :
		       mg_engine_span(rule->first, rule->last, span));
	mg_json_string(sub, "says", words);
	mg_json_hex(sub, "bits", open_bits(rule, difference->dir));
	free(words);
}

static void print_json(const struct diff *diff)
{
	struct json_object *object = mg_json_object(), *array, *entry;
	const struct difference *difference;
	char *what;
	size_t i;

	mg_json_bool(object, "same", !diff->nr);
	mg_json_string(object, "a", diff->side[0].name);
	mg_json_string(object, "b", diff->side[1].name);
	array = mg_json_array(object, "differences");
	for (i = 0; i < diff->nr; i++) {
		difference = &diff->list[i];
		entry = mg_json_append(array);
		what = describe(difference);
		mg_json_string(entry, "kind", kinds[difference->kind].id);
		mg_json_hex(entry, "first", difference->first);
		mg_json_hex(entry, "last", difference->last);
		mg_json_string(entry, "name", mg_msr_label(difference->first));
		mg_json_string(entry, "dir", difference->dir == MG_READ ? "read" : "write");
		mg_json_bool(entry, "by_default", difference->unnamed);
		mg_json_string(entry, "what", what);
		add_side(entry, "a", difference, 0);
		add_side(entry, "b", difference, 1);
		free(what);
	}
	mg_json_print(object, false);
}

static int parse(struct side *side, const char *text, size_t len)
{
	struct mg_policy_error err;
	char why[MG_WHY_LEN];

	side->policy = mg_policy_parse(text, len, &err);
	if (!IS_ERR(side->policy))
		return MG_EXIT_OK;
	side->policy = NULL;
	mg_engine_why(&err, why);
	if (side->source)
		mg_source_diagnose(side->source, why);
	else
		mg_diagnose(side->name, text, len, why);
	return MG_EXIT_WRONG;
}

static int read_active(struct side *side)
{
	struct mg_active active;
	const char *culprit;
	int err, ret;

	err = mg_active_read(&active, true, &culprit);
	if (err)
		return mg_sysfs_fail(culprit, err);
	ret = parse(side, active.text, active.len);
	free(active.text);
	return ret;
}

/* A file named "active" can be given as "./active". */
static int read_side(struct side *side, const char *name, const struct mg_cpu *cpu)
{
	struct mg_place place;
	const char *text;
	size_t len;

	side->name = strcmp(name, "-") ? name : "<stdin>";
	if (!strcmp(name, "active"))
		return read_active(side);
	side->source = mg_source_read(name, cpu, false);
	if (mg_source_error(side->source, &place))
		return mg_source_complain(side->source);
	text = mg_source_text(side->source, &len);
	return parse(side, text, len);
}

static void free_side(struct side *side)
{
	mg_policy_free(side->policy);
	if (side->source)
		mg_source_free(side->source);
}

static int diff_sides(struct diff *diff, bool json)
{
	if (!mg_engine_walk(diff->side[0].policy, diff->side[1].policy, take_span, diff))
		mg_alloc_check(NULL);
	if (json)
		print_json(diff);
	else
		print_text(diff);
	return diff->nr ? MG_EXIT_WRONG : MG_EXIT_OK;
}

static int run_diff(const struct mg_command *command, int argc, char **argv)
{
	struct option long_options[1 + MG_NR_CPU_OPTIONS] = {
		{ "json", no_argument, NULL, 'j' },
	};
	struct diff diff = { 0 };
	struct mg_cpu cpu;
	bool json = false;
	int option, ret;

	mg_cpu_add_options(long_options + 1);
	mg_cpu_init(&cpu);
	while ((option = getopt_long(argc, argv, "j", long_options, NULL)) != -1) {
		if (option == 'j')
			json = true;
		else if (!mg_cpu_option(option, optarg, &cpu))
			return mg_usage(command);
	}
	mg_cpu_complete(&cpu);
	if (argc - optind != 2) {
		mg_complain("diff takes two files, or \"active\" for the policy in force");
		return mg_usage(command);
	}
	if (!strcmp(argv[optind], "-") && !strcmp(argv[optind + 1], "-")) {
		mg_complain("only one of the two can be standard input");
		return mg_usage(command);
	}
	ret = read_side(&diff.side[0], argv[optind], &cpu);
	if (!ret)
		ret = read_side(&diff.side[1], argv[optind + 1], &cpu);
	/* As diff(1) has it: 1 is for a difference. */
	ret = ret ? (ret == MG_EXIT_WRONG ? MG_EXIT_USAGE : ret) : diff_sides(&diff, json);
	free_side(&diff.side[0]);
	free_side(&diff.side[1]);
	free(diff.list);
	return ret;
}

const struct mg_command mg_command_diff = {
	.name = "diff",
	.args = "[--json] A B",
	.summary = "Say what one policy allows that another one does not",
	.help =
"A and B are policy files, - for standard input, or \"active\" for the policy in force.\n"
"Compared is what is decided for each of all MSRs, reads and writes apart, not the\n"
"text. A rule with the option audit counts as what it is: all is let through.\n\n"
"Silent, with status 0, if nothing differs; 1 if something does; 2 if one of them is\n"
"no policy.\n\n"
"  -j, --json         print one JSON object\n"
MG_CPU_HELP,
	.run = run_diff,
};
