// SPDX-License-Identifier: GPL-2.0
/* The commands that look at, and change, the policy and the mode. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "msrguard.h"
#include "names/names.h"

#define LOCK_TRIES	100	/* of 100 ms */
/* sysfs would cut a longer rule in two. */
#define RULE_MAX	4095
#define BLANKS		" \t"

static const char *const mode_names[] = { "off", "audit", "enforce" };

/*
 * One msrguard command at a time changes the policy, so that what is staged and
 * policy/error are this command's own. The lock ends with the process. The kernel holds
 * off those who do not take it.
 *
 * Return: a file descriptor for policy/load, or a negative exit code after a complaint.
 */
static int lock_policy(void)
{
	const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };
	int fd, i;

	/* sysfs ignores O_TRUNC; a plain file of a test does not. */
	fd = mg_sysfs_open("policy/load", O_WRONLY | O_TRUNC);
	if (fd < 0)
		return -mg_sysfs_fail("policy/load", fd);
	for (i = 0; i < LOCK_TRIES; i++) {
		if (!flock(fd, LOCK_EX | LOCK_NB))
			return fd;
		if (errno != EWOULDBLOCK && errno != EINTR) {
			mg_complain("cannot lock %s/policy/load: %s", mg_sysfs_dir(),
				    strerror(errno));
			goto err_close;
		}
		nanosleep(&pause, NULL);
	}
	mg_complain("another msrguard command is changing the policy, and does not end");
	fprintf(stderr, "  do: find it with \"fuser -v %s/policy/load\"\n", mg_sysfs_dir());

err_close:
	close(fd);
	return -MG_EXIT_WRONG;
}

static void unlock_policy(int fd)
{
	close(fd);
}

static int stage(int fd, const char *text, size_t len)
{
	ssize_t written;

	while (len) {
		written = write(fd, text, len);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		if (!written)
			return -EIO;
		text += written;
		len -= written;
	}
	return 0;
}

/*
 * The kernel did not take @text, called @name, through the file @file. What it says in
 * policy/error is of the last attempt, which was ours; nothing there means that the
 * text did not even come that far.
 */
static int refused(const char *file, const char *name, const char *text, size_t len, int err)
{
	char *reason;

	if (err == -EACCES || mg_sysfs_read_line("policy/error", &reason))
		return mg_sysfs_fail(file, err);
	if (!*reason) {
		free(reason);
		return mg_sysfs_fail(file, err);
	}
	mg_diagnose(name, text, len, reason);
	free(reason);
	return MG_EXIT_WRONG;
}

static int read_policy_file(const char *path, char **text, size_t *len)
{
	int fd = STDIN_FILENO, err;

	if (strcmp(path, "-"))
		fd = open(path, O_RDONLY | O_CLOEXEC);
	err = fd < 0 ? -errno : mg_fd_read(fd, MG_POLICY_MAX, text, len);
	if (fd > STDIN_FILENO)
		close(fd);
	if (err == -EFBIG)
		mg_complain("%s: larger than %u MiB, the most the module takes", path,
			    MG_POLICY_MAX >> 20);
	else if (err)
		mg_complain("%s: %s", path, strerror(-err));
	return err ? MG_EXIT_WRONG : MG_EXIT_OK;
}

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

/* Sets *@warnings to those about @text, to be freed by the caller. */
static int publish(const char *name, const char *text, size_t len, char **warnings)
{
	int lock, err, ret = MG_EXIT_OK;

	/* A write of nothing would stage nothing; let the kernel say what an empty text lacks. */
	if (!len) {
		text = "\n";
		len = 1;
	}
	lock = lock_policy();
	if (lock < 0)
		return -lock;
	err = stage(lock, text, len);
	if (err) {
		ret = refused("policy/load", name, text, len, err);
		/* Not to leave half a text behind; if it was not ours, this does nothing. */
		mg_sysfs_write("policy/commit", "0\n", 2);
	} else {
		err = mg_sysfs_write("policy/commit", "1\n", 2);
		if (err)
			ret = refused("policy/commit", name, text, len, err);
		else
			*warnings = read_warnings();
	}
	unlock_policy(lock);
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
	char *text, *warnings = NULL;
	const char *name;
	size_t len;
	int ret;

	if (!mg_no_options(argc, argv))
		return mg_usage(command);
	if (argc - optind != 1) {
		mg_complain("load takes one file, or - for standard input");
		return mg_usage(command);
	}
	name = strcmp(argv[optind], "-") ? argv[optind] : "<stdin>";
	ret = read_policy_file(argv[optind], &text, &len);
	if (ret)
		return ret;
	ret = publish(name, text, len, &warnings);
	if (!ret) {
		if (warnings)
			mg_warn_of(name, warnings);
		ret = report_generation("policy loaded");
	}
	free(warnings);
	free(text);
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
	return refused(file, name, line, strlen(line), err);
}

/* Each line is a change of its own; those before one that is refused stay. */
static int change_all(const char *file, const char *what, int count, char **lines)
{
	char *name;
	int i, lock, ret = MG_EXIT_OK;

	for (i = 0; i < count; i++)
		if (!one_line(what, lines[i]))
			return MG_EXIT_USAGE;
	lock = lock_policy();
	if (lock < 0)
		return -lock;
	for (i = 0; i < count && !ret; i++) {
		name = count == 1 ? mg_format("<%s>", what) : mg_format("<%s %d>", what, i + 1);
		ret = change(file, name, lines[i]);
		free(name);
	}
	unlock_policy(lock);
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
"line, the column and the reason are printed. Otherwise generation and hash of the\n"
"policy are read back and printed. What the policy promises and this host cannot keep\n"
"is told as a warning, with its line; the policy is in force all the same.\n\n"
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
