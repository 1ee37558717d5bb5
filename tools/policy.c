// SPDX-License-Identifier: GPL-2.0
/* The commands that look at, and change, the policy and the mode. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu.h"
#include "msrguard.h"
#include "names/names.h"
#include "publish.h"
#include "source.h"

/* sysfs would cut a longer rule in two. */
#define RULE_MAX	4095
#define BLANKS		" \t"

static const char *const mode_names[] = { "off", "audit", "enforce" };

/*
 * NULL if there is no such file, as with an older module. That it cannot be read is told, but the
 * policy is in force by now: it makes no failure of that.
 */
static char *read_warnings(void)
{
	char *warnings = NULL;
	int err;

	err = mg_sysfs_read(MG_WARNINGS_FILE, &warnings, NULL);
	if (err && err != -ENOENT)
		mg_sysfs_fail(MG_WARNINGS_FILE, err);
	return err ? NULL : warnings;
}

static int publish(const struct mg_source *source)
{
	struct mg_text text = { .source = source, .name = mg_source_place(source, 0).name };
	struct mg_active active;
	char *warnings;
	int lock, ret;

	text.text = mg_source_text(source, &text.len);
	lock = mg_publish_lock();
	if (lock < 0)
		return -lock;
	ret = mg_publish(lock, &text, &active);
	if (!ret) {
		warnings = read_warnings();
		if (warnings)
			mg_source_warn(source, warnings);
		free(warnings);
		printf("policy loaded: generation %llu, hash %s\n",
		       (unsigned long long)active.generation, active.hash);
	}
	mg_publish_unlock(lock);
	return ret;
}

static int report_generation(const char *what)
{
	struct mg_active active;
	const char *culprit;
	int err;

	err = mg_active_read(&active, false, &culprit);
	if (err)
		return mg_sysfs_fail(culprit, err);
	printf("%s: generation %llu, hash %s\n", what, (unsigned long long)active.generation,
	       active.hash);
	return MG_EXIT_OK;
}

static int run_load(const struct mg_command *command, int argc, char **argv)
{
	struct mg_source *source;
	struct mg_place place;
	struct mg_cpu cpu;
	int ret;

	if (!mg_no_options(argc, argv))
		return mg_usage(command);
	if (argc - optind != 1) {
		mg_complain("load takes one file, or - for standard input");
		return mg_usage(command);
	}
	mg_cpu_host(&cpu);
	source = mg_source_read(argv[optind], &cpu, false);
	ret = mg_source_error(source, &place) ? mg_source_complain(source) : publish(source);
	mg_source_free(source);
	return ret;
}

static int run_show(const struct mg_command *command, int argc, char **argv)
{
	/* The hash is of the plain text, so a program gets that unless it asks for names. */
	static const struct option options[] = {
		{ "names", no_argument, NULL, 'n' },
		{ "plain", no_argument, NULL, 'p' },
		{ 0 }
	};
	bool names = isatty(STDOUT_FILENO);
	struct mg_active active;
	const char *culprit;
	int err, option;

	while ((option = getopt_long(argc, argv, "np", options, NULL)) != -1) {
		if (option == '?')
			return mg_usage(command);
		names = option == 'n';
	}
	if (optind != argc) {
		mg_complain("show takes no argument");
		return mg_usage(command);
	}
	err = mg_active_read(&active, true, &culprit);
	if (err)
		return mg_sysfs_fail(culprit, err);
	if (names)
		mg_msr_annotate(stdout, active.text, active.len);
	else
		fwrite(active.text, 1, active.len, stdout);
	free(active.text);
	return MG_EXIT_OK;
}

static char *join(int count, char **words)
{
	char *text = mg_format("%s", words[0]), *longer;
	int i;

	for (i = 1; i < count; i++) {
		longer = mg_format("%s %s", text, words[i]);
		free(text);
		text = longer;
	}
	return text;
}

static bool one_line(const char *what, const char *text)
{
	if (!*text || strchr(text, '\n') || strlen(text) > RULE_MAX) {
		mg_complain("a %s is one line of 1 to %d characters", what, RULE_MAX);
		return false;
	}
	return true;
}

/* One line to one of the files in rules/. */
static int change(const char *file, const char *name, const char *line)
{
	int err = mg_sysfs_write(file, line, strlen(line));

	if (!err)
		return MG_EXIT_OK;
	return mg_publish_refused(file, name, line, strlen(line), err);
}

/* Each line is a change of its own; those before one that is refused stay. */
static int change_all(const char *file, const char *what, int count, char **lines)
{
	char *name;
	int i, lock, ret = MG_EXIT_OK;

	for (i = 0; i < count; i++)
		if (!one_line(what, lines[i]))
			return MG_EXIT_USAGE;
	lock = mg_publish_lock();
	if (lock < 0)
		return -lock;
	for (i = 0; i < count && !ret; i++) {
		name = count == 1 ? mg_format("<%s>", what) : mg_format("<%s %d>", what, i + 1);
		ret = change(file, name, lines[i]);
		free(name);
	}
	mg_publish_unlock(lock);
	if (!ret)
		return report_generation("policy changed");
	if (i > 1)
		mg_complain("what came before it (%d of %d) is done", i - 1, count);
	return ret;
}

static bool is_whole_rule(const char *arg)
{
	return strpbrk(arg, BLANKS);
}

static int run_add(const struct mg_command *command, int argc, char **argv)
{
	char *line;
	int i, whole = 0, count, ret;

	if (!mg_no_options(argc, argv))
		return mg_usage(command);
	count = argc - optind;
	if (!count) {
		mg_complain("add takes a rule");
		return mg_usage(command);
	}
	for (i = optind; i < argc; i++)
		whole += is_whole_rule(argv[i]);
	if (whole == count)
		return change_all("rules/add", "rule", count, argv + optind);
	if (whole) {
		mg_complain("either the words of one rule, or each rule in quotes");
		return mg_usage(command);
	}
	line = join(count, argv + optind);
	ret = change_all("rules/add", "rule", 1, &line);
	free(line);
	return ret;
}

static int run_del(const struct mg_command *command, int argc, char **argv)
{
	int i;

	if (!mg_no_options(argc, argv))
		return mg_usage(command);
	if (optind == argc) {
		mg_complain("del takes the MSR or range of a rule, as \"msrguard show\" has it");
		return mg_usage(command);
	}
	for (i = optind; i < argc; i++)
		if (is_whole_rule(argv[i])) {
			mg_complain("del takes INDEX or INDEX-LAST alone, without blanks");
			return mg_usage(command);
		}
	return change_all("rules/remove", "range", argc - optind, argv + optind);
}

static int print_mode(const char *label)
{
	char *mode;
	int err;

	err = mg_sysfs_read_line("mode", &mode);
	if (err)
		return mg_sysfs_fail("mode", err);
	printf("%s%s\n", label, mode);
	free(mode);
	return MG_EXIT_OK;
}

static int run_mode(const struct mg_command *command, int argc, char **argv)
{
	const char *wanted;
	size_t i;
	int err;

	if (!mg_no_options(argc, argv))
		return mg_usage(command);
	if (optind == argc)
		return print_mode("");
	if (argc - optind > 1) {
		mg_complain("mode takes one word");
		return mg_usage(command);
	}
	wanted = argv[optind];
	for (i = 0; i < ARRAY_SIZE(mode_names); i++)
		if (!strcmp(wanted, mode_names[i]))
			break;
	if (i == ARRAY_SIZE(mode_names)) {
		mg_complain("no mode \"%s\": it is off, audit or enforce", wanted);
		return mg_usage(command);
	}
	err = mg_sysfs_write("mode", wanted, strlen(wanted));
	if (err)
		return mg_sysfs_fail("mode", err);
	return print_mode("mode: ");
}

const struct mg_command mg_command_load = {
	.name = "load",
	.args = "FILE|-",
	.summary = "Validate a policy and publish it, or say what is wrong with it",
	.help =
"All or nothing: if any line is refused, the running policy stays as it is, and the\n"
"line, the column and the reason are printed. Sections of the file that are for other\n"
"CPUs than this host's are left out, and files that it includes are put in; a file with\n"
"sections of which none is for this CPU is refused. Then the policy in force is read\n"
"back, and compared with the file; its generation and hash are printed. What the policy\n"
"promises and this host cannot keep is told as a warning, with its line; the policy is\n"
"in force all the same.\n\n"
"  -    read the policy from standard input\n",
	.run = run_load,
};

const struct mg_command mg_command_show = {
	.name = "show",
	.args = "[--names|--plain]",
	.summary = "Print the running policy",
	.help =
"What is printed is the kernel's own text of the policy in force, not a file, and is\n"
"accepted by \"msrguard load\". On a terminal the MSRs' names stand behind the rules.\n\n"
"  -n, --names   names as comments, wherever the output goes\n"
"  -p, --plain   the kernel's text as it is; the policy's hash is the SHA-256 of it\n",
	.run = run_show,
};

const struct mg_command mg_command_add = {
	.name = "add",
	.args = "RULE...",
	.summary = "Add a rule to the running policy, or replace its default line",
	.help =
"RULE is a line of the policy format, as separate words or in quotes; several rules\n"
"must each be in quotes. Each is checked and published by itself, in order, until one\n"
"is refused.\n\n"
"  msrguard add 0x10 allow deny\n"
"  msrguard add '0x1a0 allow mask=0x400000000,deny' '0x800-0x83f allow allow'\n"
"  msrguard add default deny deny\n",
	.run = run_add,
};

const struct mg_command mg_command_del = {
	.name = "del",
	.args = "INDEX[-LAST]...",
	.summary = "Remove rules from the running policy",
	.help =
"A rule is named by its MSR or its range, exactly as \"msrguard show\" has it.\n\n"
"  msrguard del 0x10\n"
"  msrguard del 0x800-0x83f\n",
	.run = run_del,
};

const struct mg_command mg_command_mode = {
	.name = "mode",
	.args = "[off|audit|enforce]",
	.summary = "Print the mode, or set it",
	.help =
"  off      nothing is intercepted, nothing is counted\n"
"  audit    accesses are judged and reported, none is blocked\n"
"  enforce  accesses are judged, reported and blocked\n\n"
"A new mode holds for running guests at once.\n",
	.run = run_mode,
};
