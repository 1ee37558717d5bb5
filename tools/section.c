// SPDX-License-Identifier: GPL-2.0
/* The line that opens a section of a policy file, see section.h. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "msrguard.h"
#include "section.h"

/* How much of a word is shown in a message; it may be anything, and as long as a file. */
#define SHOWN	24

enum key { FAMILY, MODEL, STEPPING, NR_KEYS };

static const struct {
	const char *name;
	int max;
} keys[NR_KEYS] = {
	[FAMILY] = { "family", MG_FAMILY_MAX },
	[MODEL] = { "model", MG_MODEL_MAX },
	[STEPPING] = { "stepping", MG_STEPPING_MAX },
};

struct scan {
	const char *start;
	const char *pos;
	const char *end;
	size_t *column;
	char **reason;
};

struct word {
	const char *at;
	size_t len;
};

#define SHOW(word)							\
	(int)((word)->len < SHOWN ? (word)->len : SHOWN), (word)->at,	\
	(word)->len > SHOWN ? "..." : ""

/* Return: false, for the caller to return. */
static bool __attribute__((format(printf, 3, 4)))
fail(struct scan *scan, const char *where, const char *fmt, ...)
{
	va_list args;

	*scan->column = where - scan->start + 1;
	va_start(args, fmt);
	if (vasprintf(scan->reason, fmt, args) < 0)
		mg_alloc_check(NULL);
	va_end(args);
	return false;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void skip_blanks(struct scan *scan)
{
	while (scan->pos < scan->end && is_blank(*scan->pos))
		scan->pos++;
}

/* Up to a blank or the closing bracket. */
static struct word next_word(struct scan *scan)
{
	struct word word;

	skip_blanks(scan);
	word.at = scan->pos;
	while (scan->pos < scan->end && !is_blank(*scan->pos) && *scan->pos != ']' &&
	       *scan->pos != '#')
		scan->pos++;
	word.len = scan->pos - word.at;
	return word;
}

static bool word_is(const struct word *word, const char *text)
{
	return word->len == strlen(text) && !memcmp(word->at, text, word->len);
}

/* As the policy format has them: decimal without leading zeros, or 0x and hexadecimal. */
static bool take_number(struct scan *scan, const struct word *word, enum key key, int *number)
{
	char digits[SHOWN + 1];
	uint64_t value;
	bool hex;

	if (!word->len)
		return fail(scan, word->at, "a %s is missing", keys[key].name);
	if (word->len < sizeof(digits)) {
		memcpy(digits, word->at, word->len);
		digits[word->len] = '\0';
		hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
		if ((hex || digits[0] != '0' || word->len == 1) && !memchr(digits, '\0', word->len) &&
		    mg_parse_u64(hex ? digits + 2 : digits, hex ? 16 : 10, &value)) {
			if (value > (uint64_t)keys[key].max)
				return fail(scan, word->at, "%s %s is above 0x%x, the highest there is",
					    keys[key].name, digits, keys[key].max);
			*number = value;
			return true;
		}
	}
	return fail(scan, word->at,
		    "malformed %s \"%.*s%s\": decimal, or 0x and hexadecimal, expected",
		    keys[key].name, SHOW(word));
}

/* One "first" or "first-last" of a list. */
static bool take_range(struct scan *scan, const struct word *item, enum key key, int value,
		       bool *matches)
{
	const char *dash = memchr(item->at, '-', item->len);
	struct word word = { item->at, dash ? (size_t)(dash - item->at) : item->len };
	int first = 0, last = 0;

	if (!take_number(scan, &word, key, &first))
		return false;
	last = first;
	if (dash) {
		word = (struct word){ dash + 1, item->at + item->len - dash - 1 };
		if (!take_number(scan, &word, key, &last))
			return false;
	}
	if (last < first)
		return fail(scan, item->at, "reversed range: the last %s 0x%x is below the first, 0x%x",
			    keys[key].name, last, first);
	if (value >= first && value <= last)
		*matches = true;
	return true;
}

/* What stands behind the "=" of a key. */
static bool take_list(struct scan *scan, const struct word *list, enum key key, int value,
		      bool *matches)
{
	const char *end = list->at + list->len;
	struct word item = { .at = list->at };
	const char *comma;

	do {
		comma = memchr(item.at, ',', end - item.at);
		item.len = (comma ? comma : end) - item.at;
		if (!take_range(scan, &item, key, value, matches))
			return false;
		item.at += item.len + 1;
	} while (comma);
	return true;
}

static bool find_key(struct scan *scan, const struct word *word, enum key *key, struct word *list)
{
	const char *equal = memchr(word->at, '=', word->len);
	struct word name = { word->at, equal ? (size_t)(equal - word->at) : word->len };
	int i;

	for (i = 0; i < NR_KEYS; i++)
		if (word_is(&name, keys[i].name))
			break;
	if (i == NR_KEYS)
		return fail(scan, word->at,
			    "unknown word \"%.*s%s\" in a section: family=, model= or stepping= expected",
			    SHOW(word));
	if (!equal)
		return fail(scan, word->at, "%s without a value: %s=N or %s=N-N expected",
			    keys[i].name, keys[i].name, keys[i].name);
	*key = i;
	*list = (struct word){ equal + 1, word->at + word->len - equal - 1 };
	return true;
}

/* A number that nobody named cannot be judged, and guessing is worse than asking. */
static bool is_known(struct scan *scan, const struct word *word, enum key key, int value)
{
	if (value != MG_CPU_UNKNOWN)
		return true;
	return fail(scan, word->at, "the %s of the CPU is not known: give --%s too", keys[key].name,
		    keys[key].name);
}

/* The words behind the vendor. */
static bool take_keys(struct scan *scan, const struct mg_cpu *cpu, bool *matches)
{
	const int values[NR_KEYS] = {
		[FAMILY] = cpu->family, [MODEL] = cpu->model, [STEPPING] = cpu->stepping,
	};
	bool given[NR_KEYS] = { false };
	struct word word, list = { 0 };
	enum key key = FAMILY;
	bool one_matches;

	for (word = next_word(scan); word.len; word = next_word(scan)) {
		if (!find_key(scan, &word, &key, &list))
			return false;
		if (given[key])
			return fail(scan, word.at, "%s given twice", keys[key].name);
		/* The same model number means another CPU in each family. */
		if (key > FAMILY && !given[key - 1])
			return fail(scan, word.at, "%s without %s= before it means nothing",
				    keys[key].name, keys[key - 1].name);
		given[key] = true;
		one_matches = false;
		if (!take_list(scan, &list, key, values[key], &one_matches))
			return false;
		if (*matches && !is_known(scan, &word, key, values[key]))
			return false;
		*matches = *matches && one_matches;
	}
	return true;
}

static bool end_of_section(struct scan *scan)
{
	skip_blanks(scan);
	if (scan->pos == scan->end || *scan->pos != ']')
		return fail(scan, scan->pos, "a section's line ends in \"]\"");
	scan->pos++;
	skip_blanks(scan);
	if (scan->pos < scan->end && *scan->pos != '#')
		return fail(scan, scan->pos, "nothing but a comment may follow \"]\"");
	return true;
}

enum mg_section mg_section_parse(const char *line, size_t len, const struct mg_cpu *cpu,
				 size_t *column, char **reason)
{
	struct scan scan = { line, line + 1, line + len, column, reason };
	enum mg_section section = MG_SECTION_WRONG;
	struct word word = next_word(&scan);
	enum mg_cpu_vendor vendor;
	bool matches;

	if (word_is(&word, "all")) {
		section = MG_SECTION_ALL;
	} else if (word_is(&word, "other")) {
		section = MG_SECTION_OTHER;
	} else {
		vendor = mg_cpu_vendor_find(word.at, word.len);
		if (!vendor) {
			fail(&scan, word.at,
			     "unknown word \"%.*s%s\": intel, amd, hygon, zhaoxin, centaur, all or other expected",
			     SHOW(&word));
			return MG_SECTION_WRONG;
		}
		matches = vendor == cpu->vendor;
		if (!take_keys(&scan, cpu, &matches))
			return MG_SECTION_WRONG;
		section = matches ? MG_SECTION_MATCHES : MG_SECTION_DIFFERS;
	}
	return end_of_section(&scan) ? section : MG_SECTION_WRONG;
}
