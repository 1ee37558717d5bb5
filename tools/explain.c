// SPDX-License-Identifier: GPL-2.0
/* "msrguard explain": what an MSR is, why it may be dangerous, and what the policy says of it. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "json.h"
#include "msrguard.h"
#include "names/names.h"

/* More than any name has MSRs. */
#define FOUND_MAX	16
#define SUGGESTIONS_MAX	8
#define LINE_WIDTH	80
#define INDENT		4

/**
 * struct state - what is known of the policy in force
 * @why_not: why nothing is, in words; NULL if it is
 * @mode:    as sysfs has it
 * @active:  the policy's text
 * @policy:  what the kernel's engine makes of it
 */
struct state {
	char *why_not;
	char *mode;
	struct mg_active active;
	struct mg_policy *policy;
};

/* Without the module, or without the right to look, the names are explained all the same. */
static int read_state(struct state *state)
{
	struct mg_policy_error why;
	const char *culprit;
	char *action;
	int err, code;

	err = mg_active_read(&state->active, true, &culprit);
	if (!err) {
		culprit = "policy/active";
		state->policy = mg_policy_parse(state->active.text, state->active.len, &why);
		if (IS_ERR(state->policy)) {
			state->policy = NULL;
			/* Not of a module that this command knows. */
			err = -EBADMSG;
		}
	}
	if (!err) {
		culprit = "mode";
		err = mg_sysfs_read_line(culprit, &state->mode);
	}
	if (!err)
		return MG_EXIT_OK;
	code = mg_sysfs_explain(culprit, err, &state->why_not, &action);
	free(action);
	if (code == MG_EXIT_NOT_LOADED || code == MG_EXIT_NO_PERMISSION)
		return MG_EXIT_OK;
	return mg_sysfs_fail(culprit, err);
}

static void free_state(struct state *state)
{
	free(state->why_not);
	free(state->mode);
	free(state->active.text);
	mg_policy_free(state->policy);
}

static bool contains(const char *text, const char *part)
{
	size_t len = strlen(part);

	for (; *text; text++)
		if (!strncasecmp(text, part, len))
			return true;
	return false;
}

static void suggest(const char *name)
{
	const struct mg_msr_name *row;
	size_t i, nr = 0;

	for (i = 0; (row = mg_msr_each(i)); i++) {
		if (!contains(row->name, name) || mg_msr_find(row->index, row->vendor) != row)
			continue;
		if (++nr > SUGGESTIONS_MAX)
			continue;
		fprintf(stderr, "%s%s", nr == 1 ? "  names with it: " : ", ", row->name);
	}
	if (nr > SUGGESTIONS_MAX)
		fprintf(stderr, " and %zu more", nr - SUGGESTIONS_MAX);
	if (nr)
		fputc('\n', stderr);
}

static bool parse_index(const char *text, uint32_t *index)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	uint64_t value;

	if (text[0] == '0' && text[1] && !hex) {
		mg_complain("index \"%s\" looks octal: no leading zeros, or 0x and hexadecimal",
			    text);
		return false;
	}
	if (!mg_parse_u64(hex ? text + 2 : text, hex ? 16 : 10, &value) || value > UINT32_MAX) {
		mg_complain("\"%s\" is no MSR index: decimal, or 0x and hexadecimal, of 32 bits",
			    text);
		return false;
	}
	*index = value;
	return true;
}

/* How many MSRs are meant by an argument; 0 after a complaint. */
static size_t resolve(const char *arg, uint32_t *indices)
{
	const struct mg_msr_name *found[FOUND_MAX];
	size_t i, nr;

	if (isdigit((unsigned char)*arg))
		return parse_index(arg, indices);
	nr = mg_msr_by_name(arg, MG_VENDOR_ANY, found, FOUND_MAX);
	if (!nr) {
		mg_complain("no MSR is called \"%s\"", arg);
		if (strlen(arg) > 1)
			suggest(arg);
		return 0;
	}
	if (nr > FOUND_MAX)
		nr = FOUND_MAX;
	for (i = 0; i < nr; i++)
		indices[i] = found[i]->index;
	return nr;
}

/* A text over several lines, each behind the same blanks. */
static void print_wrapped(const char *head, const char *text)
{
	size_t column = printf("%*s%s", INDENT, "", head), len;
	bool first = true;

	while (*text) {
		len = strcspn(text, " ");
		if (!first && column + 1 + len > LINE_WIDTH)
			column = printf("\n%*s", INDENT, "") - 1;
		else if (!first)
			column += printf(" ");
		column += printf("%.*s", (int)len, text);
		text += len;
		text += *text == ' ';
		first = false;
	}
	putchar('\n');
}

static const char *danger_head(unsigned int danger)
{
	switch (danger) {
	case MG_DANGER_READ | MG_DANGER_WRITE:
		return "Dangerous: ";
	case MG_DANGER_READ:
		return "Dangerous to read: ";
	case MG_DANGER_WRITE:
		return "Dangerous to write: ";
	default:
		return "Note: ";
	}
}

static const char *vendor_text(enum mg_vendor vendor, bool old)
{
	switch (vendor) {
	case MG_VENDOR_INTEL:
		return old ? " (Intel, old models)" : " (Intel)";
	case MG_VENDOR_AMD:
		return old ? " (AMD, old models)" : " (AMD)";
	case MG_VENDOR_OTHER:
		return " (other vendors)";
	case MG_VENDOR_ANY:
		break;
	}
	return "";
}

static void print_text(unsigned int danger, const char *what, const char *why)
{
	print_wrapped("", what);
	if (why)
		print_wrapped(danger_head(danger), why);
}

static void print_names(uint32_t index)
{
	const struct mg_msr_name *name, *next;
	const struct mg_msr_block *block;

	name = mg_msr_next(index, NULL);
	if (!name)
		puts("  no name is known for it");
	for (; name; name = next) {
		next = mg_msr_next(index, name);
		printf("  %s", name->name);
		for (; next && next->alias; next = mg_msr_next(index, next))
			printf(", %s", next->name);
		puts(vendor_text(name->vendor, name->old));
		if (name->what)
			print_text(name->danger, name->what, name->why);
	}
	block = mg_msr_block(index, MG_VENDOR_ANY);
	if (block && !mg_msr_find(index, MG_VENDOR_ANY)) {
		printf("  in the range 0x%x-0x%x%s\n", block->first, block->last,
		       vendor_text(block->vendor, false));
		print_text(block->danger, block->what, block->why);
	}
}

static void print_column(const char *head, const struct mg_rule *rule, enum mg_dir dir)
{
	char *words = mg_rule_words(rule, dir);

	printf("    %s %s\n", head, words);
	free(words);
}

static void print_rule(const struct state *state, const struct mg_rule *rule)
{
	char *text = mg_rule_text(rule);

	printf("  in the running policy, generation %llu\n",
	       (unsigned long long)state->active.generation);
	print_column("read: ", rule, MG_READ);
	print_column("write:", rule, MG_WRITE);
	printf("    %s  %s\n", rule->is_default ? "by the default line:" : "by the rule:",
	       text);
	free(text);
	if (rule->audit)
		puts("    audit: what it would block is reported and let through");
	if (rule->quiet)
		puts("    quiet: what it blocks is counted, without an event");
	if (strcmp(state->mode, "enforce")) {
		fputs("    but nothing is blocked: the mode is ", stdout);
		mg_put_visible(stdout, state->mode, strlen(state->mode));
		putchar('\n');
	}
}

static void add_danger(struct json_object *object, unsigned int danger, const char *what,
		       const char *why)
{
	mg_json_string(object, "what", what);
	mg_json_string(object, "why", why);
	mg_json_bool(object, "danger_read", danger & MG_DANGER_READ);
	mg_json_bool(object, "danger_write", danger & MG_DANGER_WRITE);
}

static void add_names(struct json_object *object, uint32_t index)
{
	struct json_object *array = mg_json_array(object, "names"), *item;
	const struct mg_msr_name *name = NULL;

	while ((name = mg_msr_next(index, name))) {
		item = mg_json_append(array);
		mg_json_string(item, "name", name->name);
		mg_json_string(item, "vendor", mg_vendor_name(name->vendor));
		mg_json_bool(item, "alias", name->alias);
		mg_json_bool(item, "old", name->old);
		add_danger(item, name->danger, name->what, name->why);
	}
}

static void add_block(struct json_object *object, uint32_t index)
{
	const struct mg_msr_block *block = mg_msr_block(index, MG_VENDOR_ANY);
	struct json_object *sub;

	if (!block) {
		mg_json_null(object, "range");
		return;
	}
	sub = mg_json_sub(object, "range");
	mg_json_hex(sub, "first", block->first);
	mg_json_hex(sub, "last", block->last);
	mg_json_string(sub, "vendor", mg_vendor_name(block->vendor));
	add_danger(sub, block->danger, block->what, block->why);
}

static void add_rule(struct json_object *object, const struct mg_rule *rule)
{
	struct json_object *sub = mg_json_sub(object, "rule");
	char *text = mg_rule_text(rule), word[MG_WORD_LEN];

	mg_json_string(sub, "text", text);
	mg_json_bool(sub, "default", rule->is_default);
	mg_json_hex(sub, "first", rule->first);
	mg_json_hex(sub, "last", rule->last);
	mg_json_string(sub, "read", mg_engine_word(rule, MG_READ, word));
	mg_json_string(sub, "write", mg_engine_word(rule, MG_WRITE, word));
	mg_json_bool(sub, "audit", rule->audit);
	mg_json_bool(sub, "quiet", rule->quiet);
	free(text);
}

static struct json_object *new_json(const struct state *state)
{
	struct json_object *root = mg_json_object();

	mg_json_string(root, "mode", state->why_not ? NULL : state->mode);
	if (state->why_not)
		mg_json_null(root, "generation");
	else
		mg_json_hex(root, "generation", state->active.generation);
	mg_json_string(root, "no_policy", state->why_not);
	return root;
}

/* One MSR, to @array or, if that is NULL, to the terminal. */
static void explain(const struct state *state, uint32_t index, struct json_object *array)
{
	const struct mg_rule *rule = state->policy ? mg_policy_find(state->policy, index) : NULL;
	struct json_object *object;

	if (array) {
		object = mg_json_append(array);
		mg_json_hex(object, "msr", index);
		add_names(object, index);
		add_block(object, index);
		if (rule)
			add_rule(object, rule);
		else
			mg_json_null(object, "rule");
		return;
	}
	printf("0x%x\n", index);
	print_names(index);
	if (rule)
		print_rule(state, rule);
	else
		printf("  no policy to ask: %s\n", state->why_not);
}

static int explain_all(const struct state *state, int count, char **args, bool json)
{
	struct json_object *root = json ? new_json(state) : NULL;
	struct json_object *array = json ? mg_json_array(root, "msrs") : NULL;
	uint32_t indices[FOUND_MAX];
	int i, ret = MG_EXIT_OK;
	bool first = true;
	size_t j, nr;

	for (i = 0; i < count; i++) {
		nr = resolve(args[i], indices);
		if (!nr)
			ret = MG_EXIT_WRONG;
		for (j = 0; j < nr; j++) {
			if (!first && !json)
				putchar('\n');
			first = false;
			explain(state, indices[j], array);
		}
	}
	if (json)
		mg_json_print(root, false);
	return ret;
}

static int run_explain(const struct mg_command *command, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ 0 }
	};
	struct state state = { 0 };
	bool json = false;
	int option, ret;

	while ((option = getopt_long(argc, argv, "j", options, NULL)) != -1) {
		if (option != 'j')
			return mg_usage(command);
		json = true;
	}
	if (optind == argc) {
		mg_complain("explain takes an MSR: its index or its name");
		return mg_usage(command);
	}
	ret = read_state(&state);
	if (!ret)
		ret = explain_all(&state, argc - optind, argv + optind, json);
	free_state(&state);
	return ret;
}

const struct mg_command mg_command_explain = {
	.name = "explain",
	.args = "[--json] MSR...",
	.summary = "Say what an MSR is, why it may be dangerous, and what the policy says",
	.help =
"MSR is an index, decimal or hexadecimal behind 0x, or a name, in upper or lower case,\n"
"as the kernel or the CPU's manual has it; MSR_ and IA32_ before it may be left out. If\n"
"several MSRs have that name, all are explained. \"Dangerous\" is what guests have no\n"
"business with. Without the module, there is no word on the policy.\n\n"
"  -j, --json   as JSON, see msrguard(8)\n\n"
"  msrguard explain 0x79\n"
"  msrguard explain efer MISC_ENABLE\n",
	.run = run_explain,
};
