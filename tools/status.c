// SPDX-License-Identifier: GPL-2.0
/* "msrguard status": gather everything the module shows. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "status.h"

#define BLANKS		" \t"
#define HOOK_WORDS	5

const char *const mg_stat_names[MG_NR_STATS] = {
	[MG_STAT_READS]		= "reads",
	[MG_STAT_WRITES]	= "writes",
	[MG_STAT_DENIED]	= "denied",
	[MG_STAT_DROPPED]	= "dropped",
	[MG_STAT_MASKED]	= "masked",
	[MG_STAT_AUDITED]	= "audited",
	[MG_STAT_QUIET]		= "quiet",
	[MG_STAT_SEQUENCE]	= "sequence",
	[MG_STAT_PENDING]	= "pending",
	[MG_STAT_OVERFLOWED]	= "overflowed",
	[MG_STAT_SENT]		= "events_sent",
	[MG_STAT_LOST]		= "events_lost",
	[MG_STAT_ACCESSES_LOST]	= "lost",
	[MG_STAT_UNATTRIBUTED]	= "unattributed",
};

/*
 * A file could not be read, or is not as expected. Without module or permission there
 * is no point in going on: then true. Anything else is noted beside what can be read.
 */
static bool cannot_read(struct mg_state *state, const char *name, int err)
{
	char *what, *action;
	int code;

	code = mg_sysfs_explain(name, err, &what, &action);
	if (code != MG_EXIT_WRONG)
		state->code = code;
	mg_problem_add(state, true, what, action);
	return code != MG_EXIT_WRONG;
}

static bool parse_hook(char *line, struct mg_hook *hook)
{
	char *words[HOOK_WORDS];

	if (mg_split(line, words, HOOK_WORDS) != HOOK_WORDS ||
	    !mg_parse_u64(words[4], 10, &hook->calls))
		return false;
	hook->name = mg_format("%s", words[0]);
	hook->function = mg_format("%s", words[1]);
	hook->mechanism = mg_format("%s", words[2]);
	hook->state = mg_format("%s", words[3]);
	return true;
}

static int add_hook(void *context, char *line)
{
	struct mg_state *state = context;
	struct mg_hook *hooks;

	hooks = mg_alloc_check(realloc(state->hooks, (state->nr_hooks + 1) * sizeof(*hooks)));
	state->hooks = hooks;
	if (!parse_hook(line, &hooks[state->nr_hooks]))
		return -EBADMSG;
	state->nr_hooks++;
	return 0;
}

static bool read_hooks(struct mg_state *state)
{
	int err = mg_sysfs_each_line("hooks", add_hook, state);

	return !err || !cannot_read(state, "hooks", err);
}

static bool read_vms(struct mg_state *state)
{
	int err = mg_vms_read(&state->vms, &state->nr_vms);

	return !err || !cannot_read(state, MG_VMS_FILE, err);
}

/* An older module has no such file. */
static bool read_warnings(struct mg_state *state)
{
	const char *at;
	size_t len;
	int err;

	err = mg_sysfs_read(MG_WARNINGS_FILE, &state->warnings, NULL);
	if (err == -ENOENT && mg_sysfs_loaded())
		return true;
	if (err)
		return !cannot_read(state, MG_WARNINGS_FILE, err);
	for (at = state->warnings; *at; at += len + (at[len] == '\n')) {
		len = strcspn(at, "\n");
		state->nr_warnings += len > 0;
	}
	return true;
}

static bool read_stats(struct mg_state *state)
{
	char name[64];
	size_t i;
	int err;

	for (i = 0; i < MG_NR_STATS; i++) {
		snprintf(name, sizeof(name), "stats/%s", mg_stat_names[i]);
		err = mg_sysfs_read_u64(name, &state->stats[i]);
		if (err && cannot_read(state, name, err))
			return false;
	}
	return true;
}

static bool read_line(struct mg_state *state, const char *name, char **text)
{
	int err = mg_sysfs_read_line(name, text);

	if (!err)
		return true;
	*text = mg_format("%s", "");
	return !cannot_read(state, name, err);
}

/* Return: the word behind it. */
static const char *copy_word(char *to, size_t size, const char *from)
{
	size_t len = strcspn(from, BLANKS "\n");

	snprintf(to, size, "%.*s", (int)len, from);
	return from + len + strspn(from + len, BLANKS);
}

static void parse_default(struct mg_state *state, const char *columns)
{
	char option[16];

	columns = copy_word(state->default_read, sizeof(state->default_read), columns);
	columns = copy_word(state->default_write, sizeof(state->default_write), columns);
	while (*columns && *columns != '\n' && *columns != '#') {
		columns = copy_word(option, sizeof(option), columns);
		if (!strcmp(option, "audit"))
			state->default_audit = true;
		else if (!strcmp(option, "quiet"))
			state->default_quiet = true;
	}
}

/* Count the rules and find the default line in the kernel's canonical text. */
static void parse_active(struct mg_state *state)
{
	const char *line, *end, *word;

	for (line = state->active.text; *line; line = *end ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		word = line + strspn(line, BLANKS);
		if (word == end || *word == '#')
			continue;
		if (strncmp(word, "default", 7) || !strchr(BLANKS, word[7]))
			state->rules++;
		else
			parse_default(state, word + 7 + strspn(word + 7, BLANKS));
	}
}

/* Fills in @state; false if there is no point in looking at more than its problems. */
static bool gather(struct mg_state *state)
{
	const char *culprit;
	int err;

	if (!read_line(state, "mode", &state->mode))
		return false;
	err = mg_active_read(&state->active, true, &culprit);
	if (err) {
		cannot_read(state, culprit, err);
		return false;
	}
	parse_active(state);
	return read_line(state, "policy/error", &state->last_error) &&
	       read_warnings(state) &&
	       read_hooks(state) &&
	       read_vms(state) &&
	       read_stats(state);
}

static void free_state(struct mg_state *state)
{
	size_t i;

	for (i = 0; i < state->nr_hooks; i++) {
		free(state->hooks[i].name);
		free(state->hooks[i].function);
		free(state->hooks[i].mechanism);
		free(state->hooks[i].state);
	}
	for (i = 0; i < state->nr_problems; i++) {
		free(state->problems[i].what);
		free(state->problems[i].action);
	}
	free(state->hooks);
	free(state->vms);
	free(state->problems);
	free(state->mode);
	free(state->active.text);
	free(state->last_error);
	free(state->warnings);
}

static int run_status(const struct mg_command *command, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ 0 }
	};
	struct mg_state state = { .default_read = "?", .default_write = "?" };
	bool json = false;
	int option;

	while ((option = getopt_long(argc, argv, "j", options, NULL)) != -1) {
		if (option != 'j')
			return mg_usage(command);
		json = true;
	}
	if (optind != argc) {
		mg_complain("status takes no argument");
		return mg_usage(command);
	}
	if (gather(&state))
		mg_problems_find(&state);
	if (json)
		mg_status_print_json(&state);
	else
		mg_status_print_text(&state);
	free_state(&state);
	return state.code;
}

const struct mg_command mg_command_status = {
	.name = "status",
	.args = "[--json]",
	.summary = "Show what is in force, what was counted, and what is wrong",
	.help =
"Shows the live state of the module: mode, policy, hooks, counters of the host and of\n"
"each VM, and for everything that is wrong what to do about it.\n\n"
"  -j, --json   one JSON object; 64-bit numbers are strings with hexadecimal numbers\n\n"
"Exit status: 0 if nothing is wrong, 1 if something is, 3 if the module is not loaded,\n"
"4 without permission.\n",
	.run = run_status,
};
