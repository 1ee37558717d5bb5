// SPDX-License-Identifier: GPL-2.0
/* What the running policy says of an MSR, from its canonical text. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "msrguard.h"

/* Target, two columns, two options; one more tells that there are too many. */
#define WORDS_MAX	6
#define LINE_MAX_LEN	512
#define MASK_BITS	64

static bool parse_index(const char *word, uint32_t *index)
{
	uint64_t value;

	if (!mg_parse_u64(word, 0, &value) || value > UINT32_MAX)
		return false;
	*index = value;
	return true;
}

static bool parse_target(char *word, struct mg_rule *rule)
{
	char *dash = strchr(word, '-');

	rule->is_default = !strcmp(word, "default");
	if (rule->is_default) {
		rule->first = 0;
		rule->last = UINT32_MAX;
		return true;
	}
	if (dash)
		*dash++ = '\0';
	return parse_index(word, &rule->first) && parse_index(dash ?: word, &rule->last) &&
	       rule->first <= rule->last;
}

static bool copy_word(char *to, size_t size, const char *word)
{
	size_t len = strlen(word);

	if (len >= size)
		return false;
	memcpy(to, word, len + 1);
	return true;
}

static bool parse_options(char **words, size_t count, struct mg_rule *rule)
{
	size_t i;

	rule->audit = false;
	rule->quiet = false;
	for (i = 0; i < count; i++) {
		if (!strcmp(words[i], "audit"))
			rule->audit = true;
		else if (!strcmp(words[i], "quiet"))
			rule->quiet = true;
		else
			return false;
	}
	return true;
}

static bool parse_line(char *line, struct mg_rule *rule)
{
	char *words[WORDS_MAX];
	size_t count, i, len, used = 0;

	count = mg_split(line, words, WORDS_MAX);
	if (count < 3 || count == WORDS_MAX)
		return false;
	for (i = 0; i < count; i++) {
		len = strlen(words[i]);
		if (used + len + 2 > sizeof(rule->text))
			return false;
		if (used)
			rule->text[used++] = ' ';
		memcpy(rule->text + used, words[i], len + 1);
		used += len;
	}
	return copy_word(rule->read, sizeof(rule->read), words[1]) &&
	       copy_word(rule->write, sizeof(rule->write), words[2]) &&
	       parse_options(words + 3, count - 3, rule) && parse_target(words[0], rule);
}

static bool is_narrower(const struct mg_rule *rule, const struct mg_rule *than)
{
	if (than->is_default)
		return !rule->is_default;
	return !rule->is_default && rule->last - rule->first < than->last - than->first;
}

int mg_rule_find(const char *text, size_t len, uint32_t index, struct mg_rule *rule)
{
	const char *end = text + len, *line_end;
	char line[LINE_MAX_LEN + 1];
	struct mg_rule candidate;
	bool found = false;

	for (; text < end; text = line_end + 1) {
		line_end = memchr(text, '\n', end - text) ?: end;
		if (line_end == text || *text == '#')
			continue;
		if (line_end - text > LINE_MAX_LEN)
			return -EBADMSG;
		memcpy(line, text, line_end - text);
		line[line_end - text] = '\0';
		/* A comment ends the rule; canonical text has none today. */
		line[strcspn(line, "#")] = '\0';
		if (!parse_line(line, &candidate))
			return -EBADMSG;
		if (index < candidate.first || index > candidate.last)
			continue;
		if (!found || is_narrower(&candidate, rule))
			*rule = candidate;
		found = true;
	}
	return found ? 0 : -EBADMSG;
}

static bool parse_mask(const char *column, uint64_t *mask, const char **others)
{
	char digits[24];
	bool inverse;
	size_t len;

	if (strncmp(column, "mask=", strlen("mask=")))
		return false;
	column += strlen("mask=");
	inverse = *column == '~';
	column += inverse;
	len = strcspn(column, ",");
	if (len >= sizeof(digits))
		return false;
	memcpy(digits, column, len);
	digits[len] = '\0';
	if (!mg_parse_u64(digits, 0, mask))
		return false;
	if (inverse)
		*mask = ~*mask;
	*others = column[len] ? column + len + 1 : "";
	return true;
}

/* "bit 3", "bits 0-11,63"; "no bit". */
static char *bits_of(uint64_t mask)
{
	char *text = mg_format("%s", mask & (mask - 1) ? "bits " : "bit "), *longer;
	const char *separator = "";
	unsigned int bit, first;

	if (!mask) {
		free(text);
		return mg_format("no bit");
	}
	for (bit = 0; bit < MASK_BITS; bit++) {
		if (!(mask >> bit & 1))
			continue;
		first = bit;
		while (bit + 1 < MASK_BITS && mask >> (bit + 1) & 1)
			bit++;
		if (first == bit)
			longer = mg_format("%s%s%u", text, separator, bit);
		else
			longer = mg_format("%s%s%u-%u", text, separator, first, bit);
		free(text);
		text = longer;
		separator = ",";
	}
	return text;
}

char *mg_rule_words(const char *column, bool write)
{
	const char *others;
	uint64_t mask;
	char *bits, *text;

	if (!strcmp(column, "allow"))
		return mg_format("allowed");
	if (!strcmp(column, "deny"))
		return mg_format("denied, the guest gets #GP");
	if (!strcmp(column, "drop"))
		return mg_format(write ? "dropped, nothing is written" : "dropped, the guest gets 0");
	if (!parse_mask(column, &mask, &others))
		return mg_format("%s", column);
	bits = bits_of(mask);
	if (!write && !*others)
		text = mg_format("the guest sees %s, the others as 0", bits);
	else if (write && !strcmp(others, "deny"))
		text = mg_format("%s may change, a change of another is denied", bits);
	else if (write && !strcmp(others, "keep"))
		text = mg_format("%s may change, the others are kept", bits);
	else
		text = mg_format("%s", column);
	free(bits);
	return text;
}
