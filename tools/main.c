// SPDX-License-Identifier: GPL-2.0
/*
 * msrguard: look at, and change, what the msrguard kernel module does.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "msrguard.h"

static const struct mg_command *const commands[] = {
	&mg_command_status,
	&mg_command_load,
	&mg_command_show,
	&mg_command_explain,
	&mg_command_add,
	&mg_command_del,
	&mg_command_mode,
	&mg_command_verify,
	&mg_command_watch,
	&mg_command_top,
	&mg_command_vms,
	&mg_command_rules,
	&mg_command_check,
	&mg_command_diff,
	&mg_command_import,
	&mg_command_learn,
};

int mg_usage(const struct mg_command *command)
{
	fprintf(stderr, "usage: msrguard %s%s%s\nmore: msrguard %s --help\n", command->name,
		*command->args ? " " : "", command->args, command->name);
	return MG_EXIT_USAGE;
}

bool mg_no_options(int argc, char **argv)
{
	static const struct option none[] = { { 0 } };

	return getopt_long(argc, argv, "+", none, NULL) == -1;
}

static void print_help(FILE *out)
{
	size_t i;

	fputs("usage: msrguard COMMAND [ARGUMENT...]\n\n"
	      "The host administrator's policy for guests' model-specific registers.\n\n", out);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\n"
	      "  msrguard COMMAND --help   how a command is used\n"
	      "  msrguard --version        version of this command\n\n"
	      "Exit status: 0 all well; 1 something is wrong, or was refused; 2 wrong usage;\n"
	      "3 the module is not loaded; 4 no permission. verify also has 5 and 6. See msrguard(8).\n", out);
}

static void print_command_help(const struct mg_command *command)
{
	printf("usage: msrguard %s%s%s\n\n%s.\n\n%s", command->name, *command->args ? " " : "",
	       command->args, command->summary, command->help);
}

static const struct mg_command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];

	mg_complain("unknown command \"%s\"; \"msrguard --help\" lists the commands", name);
	return NULL;
}

static bool is_help(const char *arg)
{
	return !strcmp(arg, "--help") || !strcmp(arg, "-h");
}

static bool asks_for_help(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (is_help(argv[i]))
			return true;
	return false;
}

static int run_command(int argc, char **argv)
{
	const struct mg_command *command = find_command(argv[0]);

	if (!command)
		return MG_EXIT_USAGE;
	if (asks_for_help(argc, argv)) {
		print_command_help(command);
		return MG_EXIT_OK;
	}
	/* For getopt's own messages. */
	argv[0] = mg_format("msrguard %s", command->name);
	return command->run(command, argc, argv);
}

static int run(int argc, char **argv)
{
	const struct mg_command *command;

	if (argc < 2) {
		print_help(stderr);
		return MG_EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("msrguard " MSRGUARD_VERSION);
		return MG_EXIT_OK;
	}
	if (is_help(argv[1]) || !strcmp(argv[1], "help")) {
		if (argc == 2) {
			print_help(stdout);
			return MG_EXIT_OK;
		}
		command = find_command(argv[2]);
		if (!command)
			return MG_EXIT_USAGE;
		print_command_help(command);
		return MG_EXIT_OK;
	}
	if (argv[1][0] == '-') {
		mg_complain("unknown option \"%s\"; \"msrguard --help\" lists the commands",
			    argv[1]);
		return MG_EXIT_USAGE;
	}
	return run_command(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	int ret, fd, err = 0;

	/* Or a file of the module's could become where the output goes. */
	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	close(fd);
	setlocale(LC_CTYPE, "");
	ret = run(argc, argv);
	/* A report that did not reach the disk must not look like one that did. */
	if (fflush(stdout))
		err = errno;
	else if (ferror(stdout))
		err = EIO;
	if (err) {
		mg_complain("cannot write the output: %s", strerror(err));
		if (ret == MG_EXIT_OK)
			ret = MG_EXIT_WRONG;
	}
	return ret;
}
