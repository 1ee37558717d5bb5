// SPDX-License-Identifier: GPL-2.0
/* What every file of the command may need. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "msrguard.h"

void mg_complain(const char *fmt, ...)
{
	va_list args;

	/* What was said before on stdout comes first on a terminal too. */
	fflush(stdout);
	fputs("msrguard: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

void *mg_alloc_check(void *allocated)
{
	if (!allocated) {
		mg_complain("out of memory");
		exit(MG_EXIT_WRONG);
	}
	return allocated;
}

char *mg_format(const char *fmt, ...)
{
	char *text;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vasprintf(&text, fmt, args);
	va_end(args);
	return mg_alloc_check(len < 0 ? NULL : text);
}

bool mg_parse_u64(const char *text, int base, uint64_t *value)
{
	unsigned long long number;
	char *end;

	/* strtoull() would take blanks and a sign. */
	if (!isxdigit((unsigned char)*text))
		return false;
	errno = 0;
	number = strtoull(text, &end, base);
	if (errno || *end)
		return false;
	*value = number;
	return true;
}

size_t mg_split(char *line, char **words, size_t max)
{
	static const char blanks[] = " \t";
	char *rest = NULL, *word;
	size_t count = 0;

	for (word = strtok_r(line, blanks, &rest); word && count < max;
	     word = strtok_r(NULL, blanks, &rest))
		words[count++] = word;
	return count;
}
