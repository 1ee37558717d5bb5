/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The msrguard command: what its files share.
 */
#ifndef MSRGUARD_TOOL_H
#define MSRGUARD_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define MG_HASH_DIGITS	64
/* What the policy in force promises and this host cannot keep, "LINE: text" a line. */
#define MG_WARNINGS_FILE	"policy/warnings"
/* What the module takes at most. */
#define MG_POLICY_MAX	(32u << 20)

/* Exit codes, documented in msrguard(8). */
enum mg_exit {
	MG_EXIT_OK,
	MG_EXIT_WRONG,		/* something is wrong, or was refused */
	MG_EXIT_USAGE,
	MG_EXIT_NOT_LOADED,
	MG_EXIT_NO_PERMISSION,
	MG_EXIT_DIFFERS,	/* verify: the hardware lets through what the policy guards */
	MG_EXIT_UNVERIFIED,	/* verify: the hardware could not be looked at */
};

/**
 * struct mg_command - one subcommand
 * @name:    what it is called by
 * @args:    its arguments, for the usage line
 * @summary: one line for "msrguard --help"
 * @help:    the rest of "msrguard CMD --help"
 * @run:     does it; argv[0] is "msrguard CMD"; returns an exit code
 */
struct mg_command {
	const char *name;
	const char *args;
	const char *summary;
	const char *help;
	int (*run)(const struct mg_command *command, int argc, char **argv);
};

/* util.c */

/**
 * mg_complain - print "msrguard: ..." to stderr, whole and on a line of its own
 * @fmt: the message, without a newline
 */
void mg_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** mg_alloc_check - end the command if an allocation failed */
void *mg_alloc_check(void *allocated);

/** mg_format - asprintf() that ends the command when memory is out */
char *mg_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** mg_parse_u64 - the whole of @text as a number; false if it is none or too large */
bool mg_parse_u64(const char *text, int base, uint64_t *value);

/** mg_split - split a line at blanks, in place; returns how many words, at most @max */
size_t mg_split(char *line, char **words, size_t max);

/* main.c */

/**
 * mg_usage - say how a command is used, after a complaint about how it was
 * @command: the command
 *
 * Return: MG_EXIT_USAGE, for the caller to return.
 */
int mg_usage(const struct mg_command *command);

/** mg_no_options - parse the options of a command that has none; false after a complaint */
bool mg_no_options(int argc, char **argv);

/* status.c, policy.c, explain.c, verify.c, watch.c */
extern const struct mg_command mg_command_status;
extern const struct mg_command mg_command_load;
extern const struct mg_command mg_command_show;
extern const struct mg_command mg_command_explain;
extern const struct mg_command mg_command_add;
extern const struct mg_command mg_command_del;
extern const struct mg_command mg_command_mode;
extern const struct mg_command mg_command_verify;
extern const struct mg_command mg_command_watch;
extern const struct mg_command mg_command_top;
extern const struct mg_command mg_command_vms;
extern const struct mg_command mg_command_rules;
/* check/check.c */
extern const struct mg_command mg_command_check;
/* diff.c, import.c, learn.c */
extern const struct mg_command mg_command_diff;
extern const struct mg_command mg_command_import;
extern const struct mg_command mg_command_learn;

/* sysfs.c: the module's files by their name below /sys/kernel/msrguard */

/** mg_sysfs_dir - the folder of the module's files, for messages */
const char *mg_sysfs_dir(void);

/** mg_sysfs_loaded - whether the module's folder is there */
bool mg_sysfs_loaded(void);

/** mg_sysfs_host_module - whether the kernel has that module, loaded or built in */
bool mg_sysfs_host_module(const char *module);

/** mg_sysfs_parameter_is_off - whether the module's parameter is there and off */
bool mg_sysfs_parameter_is_off(const char *parameter);

/** mg_sysfs_module_parameter_is_on - whether a parameter of another module is there and on */
bool mg_sysfs_module_parameter_is_on(const char *module, const char *parameter);

/**
 * mg_sysfs_open - open one of the module's files
 * @name:  below the module's folder
 * @flags: as for open(2); O_CLOEXEC is added
 *
 * Return: a file descriptor or a negative errno.
 */
int mg_sysfs_open(const char *name, int flags);

/**
 * mg_sysfs_read - the whole content of a file
 * @name: below the module's folder
 * @text: set to the content and a NUL, to be freed by the caller
 * @len:  set to its length; may be NULL
 *
 * Return: 0 or a negative errno.
 */
int mg_sysfs_read(const char *name, char **text, size_t *len);

/** mg_sysfs_read_line - the same for a file of one line, without its newline */
int mg_sysfs_read_line(const char *name, char **text);

/** mg_sysfs_read_u64 - the same for a decimal number; -EBADMSG if it is none */
int mg_sysfs_read_u64(const char *name, uint64_t *value);

/**
 * mg_sysfs_each_line - hand out the lines of a file, but those that start with #
 * @name:    below the module's folder
 * @take:    gets each line, to do with as it likes; a negative errno ends it
 * @context: for @take
 *
 * Return: 0 or a negative errno, @take's too.
 */
int mg_sysfs_each_line(const char *name, int (*take)(void *context, char *line), void *context);

/** mg_sysfs_write - write in one write(2); a short one is -EIO */
int mg_sysfs_write(const char *name, const char *data, size_t len);

/** mg_fd_read - all that is left to read, as mg_sysfs_read(); -EFBIG above @max bytes */
int mg_fd_read(int fd, size_t max, char **text, size_t *len);

/**
 * mg_sysfs_explain - why a file could not be used, and what to do
 * @name:   below the module's folder
 * @err:    negative errno
 * @what:   set to what is wrong
 * @action: set to what to do, or to NULL; both to be freed by the caller
 *
 * Return: the exit code that fits.
 */
int mg_sysfs_explain(const char *name, int err, char **what, char **action);

/** mg_sysfs_fail - the same, said to stderr */
int mg_sysfs_fail(const char *name, int err);

/* active.c: the policy in force */

/**
 * struct mg_active - the running policy, all of one generation
 * @generation: counts the policies published
 * @hash:       of the text, hexadecimal
 * @text:       canonical text
 * @len:        its length
 */
struct mg_active {
	uint64_t generation;
	char hash[MG_HASH_DIGITS + 1];
	char *text;
	size_t len;
};

/**
 * mg_active_read - read the running policy, again if it changed in between
 * @active:    filled in; the caller frees @active->text
 * @with_text: also read the text
 * @culprit:   set to the file an error is about
 *
 * Return: 0 or a negative errno; -EAGAIN if it changed each time.
 */
int mg_active_read(struct mg_active *active, bool with_text, const char **culprit);

/* diagnostic.c */

/**
 * mg_diagnose - print why the kernel refused a text, as compilers do
 * @name:   what to call the text
 * @text:   the text that was refused
 * @len:    its length
 * @reason: content of policy/error, "LINE:COLUMN: reason"
 */
void mg_diagnose(const char *name, const char *text, size_t len, const char *reason);

/**
 * mg_warn_of - print the warnings about a policy that the kernel took
 * @name:     what to call the policy's text
 * @warnings: content of policy/warnings, "LINE: text" a line
 */
void mg_warn_of(const char *name, const char *warnings);

/** mg_put_visible - print, with what a terminal would obey made visible */
void mg_put_visible(FILE *out, const char *text, size_t len);

#endif /* MSRGUARD_TOOL_H */
