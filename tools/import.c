// SPDX-License-Identifier: GPL-2.0
/*
 * "msrguard import": an allowlist of LLNL's msr-safe to the policy format. A line of such a list
 * is an MSR and the bits that may be written, both hexadecimal, and perhaps a comment:
 *
 *	0x00000199 0x000000010000ffff # "IA32_PERF_CTL"
 *
 * What msr-safe does not list cannot be accessed; what it lists can be read. A write succeeds, and
 * the bits outside the mask keep their value: which is our "keep".
 */
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"
#include "msrguard.h"

#define BLANKS	" \t"

struct taken {
	u32 index;
	unsigned long line;
};

struct import {
	const char *name;
	unsigned long line;
	void *entries;		/* tree of those taken over */
	char *text;
	size_t len;
	size_t room;
	unsigned long refused;
};

static void __attribute__((format(printf, 2, 3)))
refuse(struct import *import, const char *fmt, ...)
{
	char *reason;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&reason, fmt, args) < 0)
		mg_alloc_check(NULL);
	va_end(args);
	import->refused++;
	fflush(stdout);
	mg_put_visible(stderr, import->name, strlen(import->name));
	fprintf(stderr, ":%lu: ", import->line);
	mg_put_visible(stderr, reason, strlen(reason));
	fputc('\n', stderr);
	free(reason);
}

static void put(struct import *import, const char *text)
{
	size_t len = strlen(text);

	if (import->len + len >= import->room) {
		import->room = 2 * (import->len + len + 1);
		import->text = mg_alloc_check(realloc(import->text, import->room));
	}
	memcpy(import->text + import->len, text, len + 1);
	import->len += len;
}

/* "0x" and up to @digits digits that are not leading zeros. */
static bool take_hex(struct import *import, const char *word, const char *what, unsigned int digits,
		     uint64_t *value)
{
	const char *number = word + 2;

	if (word[0] != '0' || (word[1] != 'x' && word[1] != 'X')) {
		refuse(import, "%s \"%.40s\" does not start with 0x", what, word);
		return false;
	}
	if (!*number || number[strspn(number, "0123456789abcdefABCDEF")]) {
		refuse(import, "%s \"%.40s\" is no hexadecimal number", what, word);
		return false;
	}
	number += strspn(number, "0");
	if (strlen(number) > digits) {
		refuse(import, "%s %.40s does not fit in %u bits", what, word, 4 * digits);
		return false;
	}
	*value = strtoull(word + 2, NULL, 16);
	return true;
}

static int compare_entries(const void *a, const void *b)
{
	const struct taken *one = a, *other = b;

	return one->index < other->index ? -1 : one->index > other->index;
}

/* The first line of an MSR counts. */
static bool is_new(struct import *import, u32 index)
{
	struct taken *entry = mg_alloc_check(malloc(sizeof(*entry)));
	struct taken **found;

	*entry = (struct taken){ index, import->line };
	found = mg_alloc_check(tsearch(entry, &import->entries, compare_entries));
	if (*found == entry)
		return true;
	free(entry);
	refuse(import, "0x%x is on line %lu already, which is the one taken over", index,
	       (*found)->line);
	return false;
}

static char *write_word(uint64_t mask)
{
	if (!mask)
		return mg_format("deny");
	if (mask == UINT64_MAX)
		return mg_format("allow");
	return mg_format("mask=0x%llx,keep", (unsigned long long)mask);
}

/* A line of ours has an end: what is longer becomes several. */
static void put_comment(struct import *import, const char *comment)
{
	char *line;

	for (; strlen(comment) >= MG_LINE_MAX; comment += MG_LINE_MAX - 1) {
		line = mg_format("#%.*s\n", MG_LINE_MAX - 1, comment);
		put(import, line);
		free(line);
	}
	line = mg_format("#%s\n", comment);
	put(import, line);
	free(line);
}

static void put_rule(struct import *import, u32 index, uint64_t mask, const char *comment)
{
	char *word = write_word(mask);
	char *rule = mg_format("0x%x\t\tallow\t%s", index, word);
	bool fits = !comment || strlen(rule) + strlen("\t#") + strlen(comment) <= MG_LINE_MAX;

	if (!fits)
		put_comment(import, comment);
	put(import, rule);
	if (comment && fits) {
		put(import, "\t#");
		put(import, comment);
	}
	put(import, "\n");
	free(rule);
	free(word);
}

static void take_rule(struct import *import, char *line, const char *comment)
{
	char *words[3];
	size_t nr = mg_split(line, words, ARRAY_SIZE(words));
	uint64_t index, mask;

	if (nr < 2) {
		refuse(import, "the write mask is missing");
		return;
	}
	if (nr > 2) {
		refuse(import, "\"%.40s\" follows the write mask", words[2]);
		return;
	}
	if (!take_hex(import, words[0], "MSR", 8, &index) ||
	    !take_hex(import, words[1], "write mask", 16, &mask) || !is_new(import, index))
		return;
	put_rule(import, index, mask, comment);
}

/* @line is @len bytes and a NUL. */
static void take_line(struct import *import, char *line, size_t len)
{
	char *comment;

	import->line++;
	/* Files come from all kinds of systems. */
	if (len && line[len - 1] == '\r')
		line[--len] = '\0';
	if (strlen(line) != len) {
		refuse(import, "NUL byte");
		return;
	}
	if (strchr(line, '\r')) {
		refuse(import, "carriage return in a line");
		return;
	}
	comment = strchr(line, '#');
	if (comment)
		*comment++ = '\0';
	if (line[strspn(line, BLANKS)])
		take_rule(import, line, comment);
	else if (comment)
		put_comment(import, comment);
	else
		put(import, "\n");
}

static int read_list(const char *path, char **text, size_t *len)
{
	int fd = STDIN_FILENO, err;

	if (strcmp(path, "-"))
		fd = open(path, O_RDONLY | O_CLOEXEC);
	err = fd < 0 ? -errno : mg_fd_read(fd, MG_POLICY_MAX, text, len);
	if (fd > STDIN_FILENO)
		close(fd);
	if (err == -EFBIG)
		mg_complain("%s: larger than %u MiB", path, MG_POLICY_MAX >> 20);
	else if (err)
		mg_complain("%s: %s", path, strerror(-err));
	return err ? MG_EXIT_WRONG : MG_EXIT_OK;
}

/* Nothing is printed that the module would not take. */
static int check_result(const struct import *import)
{
	struct mg_policy_error err;
	struct mg_policy *policy = mg_policy_parse(import->text, import->len, &err);
	char why[MG_WHY_LEN];

	if (!IS_ERR(policy)) {
		mg_policy_free(policy);
		return MG_EXIT_OK;
	}
	mg_diagnose("<result>", import->text, import->len, mg_engine_why(&err, why));
	return MG_EXIT_WRONG;
}

static int import_list(const char *path)
{
	struct import import = { .name = strcmp(path, "-") ? path : "<stdin>" };
	char *text, *at, *end, *newline;
	size_t len;
	int ret;

	ret = read_list(path, &text, &len);
	if (ret)
		return ret;
	put(&import, "# Imported from an allowlist of msr-safe: what is listed may be read, and written as\n"
		     "# far as its mask goes; all else is denied. Guests need more than that to boot: see\n"
		     "# what \"msrguard check\" says.\n"
		     "default\t\tdeny\tdeny\n");
	for (at = text, end = text + len; at < end; at = newline + 1) {
		newline = memchr(at, '\n', end - at);
		if (!newline)
			newline = end;
		*newline = '\0';
		take_line(&import, at, newline - at);
	}
	ret = check_result(&import);
	if (!ret)
		fwrite(import.text, 1, import.len, stdout);
	if (import.refused) {
		mg_complain("%lu line%s could not be taken over", import.refused,
			    import.refused > 1 ? "s" : "");
		ret = MG_EXIT_WRONG;
	}
	free(import.text);
	tdestroy(import.entries, free);
	free(text);
	return ret;
}

static int run_import(const struct mg_command *command, int argc, char **argv)
{
	if (!mg_no_options(argc, argv))
		return mg_usage(command);
	if (argc - optind != 1) {
		mg_complain("import takes one file, or - for standard input");
		return mg_usage(command);
	}
	return import_list(argv[optind]);
}

const struct mg_command mg_command_import = {
	.name = "import",
	.args = "FILE|-",
	.summary = "Print an allowlist of LLNL's msr-safe as a policy",
	.help =
"Each line \"0xMSR 0xWRITEMASK # comment\" becomes a rule: reads are allowed, and writes\n"
"change the bits of the mask; the other bits keep their value, without a fault, as with\n"
"msr-safe. The default is to deny. Lines that cannot be taken over are named on standard\n"
"error, with the reason; the rest is printed all the same, and the exit status is 1.\n",
	.run = run_import,
};
