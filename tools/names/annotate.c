// SPDX-License-Identifier: GPL-2.0
/* The names of MSRs as comments behind the rules of a policy. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "msrguard.h"
#include "names.h"
#include "tables.h"

#define TAB		8
/* Comments do not move further to the right for the sake of one long rule. */
#define COLUMN_MAX	72

/* As the kernel's parser has it; what that would refuse gets no comment. */
static bool parse_index(const char **at, const char *end, uint32_t *index)
{
	char digits[12];
	unsigned long long value;
	size_t len = 0;
	char *rest;

	while (*at + len < end && len < sizeof(digits) - 1 &&
	       isalnum((unsigned char)(*at)[len])) {
		digits[len] = (*at)[len];
		len++;
	}
	digits[len] = '\0';
	if (!isdigit((unsigned char)*digits))
		return false;
	errno = 0;
	value = strtoull(digits, &rest, tolower((unsigned char)digits[1]) == 'x' ? 16 : 10);
	if (errno || *rest || value > UINT32_MAX)
		return false;
	*index = value;
	*at += len;
	return true;
}

static bool parse_target(const char *line, const char *end, uint32_t *first, uint32_t *last)
{
	while (line < end && (*line == ' ' || *line == '\t'))
		line++;
	if (!parse_index(&line, end, first))
		return false;
	*last = *first;
	if (line < end && *line == '-') {
		line++;
		if (!parse_index(&line, end, last))
			return false;
	}
	return *last >= *first && line < end && (*line == ' ' || *line == '\t');
}

static size_t width_of(const char *line, const char *end)
{
	size_t width = 0;

	for (; line < end; line++)
		width = *line == '\t' ? (width / TAB + 1) * TAB : width + 1;
	return width;
}

static const struct mg_msr_block *exact_block(uint32_t first, uint32_t last)
{
	size_t i;

	for (i = 0; i < mg_msr_nr_blocks; i++)
		if (mg_msr_blocks[i].first == first && mg_msr_blocks[i].last == last)
			return &mg_msr_blocks[i];
	return NULL;
}

/* A rule without a comment. */
static bool is_bare_rule(const char *line, const char *end, uint32_t *first, uint32_t *last)
{
	return !memchr(line, '#', end - line) && parse_target(line, end, first, last);
}

static void print_comment(FILE *out, size_t width, size_t column, uint32_t first, uint32_t last)
{
	const struct mg_msr_block *block = exact_block(first, last);
	uint32_t low, high;

	if (!block && !mg_msr_range(first, last, &low, &high))
		return;
	if (width >= column)
		fputc(' ', out);
	for (; width < column; width = (width / TAB + 1) * TAB)
		fputc('\t', out);
	if (block)
		fprintf(out, "# %.*s", (int)strcspn(block->what, ".:;"), block->what);
	else if (low == high)
		fprintf(out, "# %s%s", first == last ? "" : "with ", mg_msr_label(low));
	else
		fprintf(out, "# %s .. %s", mg_msr_label(low), mg_msr_label(high));
}

void mg_msr_annotate(FILE *out, const char *text, size_t len)
{
	const char *line, *line_end, *end = text + len;
	size_t column = 0, width;
	uint32_t first, last;

	for (line = text; line < end; line = line_end + 1) {
		line_end = memchr(line, '\n', end - line) ?: end;
		if (!is_bare_rule(line, line_end, &first, &last))
			continue;
		width = width_of(line, line_end);
		if (width < COLUMN_MAX && width >= column)
			column = (width / TAB + 1) * TAB;
	}
	for (line = text; line < end; line = line_end + 1) {
		line_end = memchr(line, '\n', end - line) ?: end;
		fwrite(line, 1, line_end - line, out);
		if (is_bare_rule(line, line_end, &first, &last))
			print_comment(out, width_of(line, line_end), column, first, last);
		if (line_end < end)
			fputc('\n', out);
	}
}
