// SPDX-License-Identifier: GPL-2.0
/*
 * Text to rules. The text is whatever somebody wrote to sysfs: nothing in it is
 * trusted, and the first thing wrong with it is named by line and column.
 */
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "internal.h"

/* How much of a word is shown in a message. */
#define QUOTE_MAX	24
/* Each byte of it may become an escape of two; then "..." and NUL. */
#define QUOTE_LEN	(2 * QUOTE_MAX + 4)

#define FIRST_ROOM	64

/**
 * struct scan - the line being read
 * @start: its first byte
 * @pos:   the next byte to look at
 * @end:   behind the last byte to look at
 * @line:  its number
 * @cut:   the line is longer than MG_LINE_MAX, @end is where it was cut
 * @err:   where to say what is wrong
 */
struct scan {
	const char *start;
	const char *pos;
	const char *end;
	u32 line;
	bool cut;
	struct mg_policy_error *err;
};

struct word {
	const char *at;
	const char *end;
};

struct rule_list {
	struct mg_rule *rules;
	u32 nr;
	u32 room;
};

/**
 * mg_policy_fail - say why a text is refused
 * @err:    filled in
 * @line:   1-based, 0 if the reason is not bound to a line
 * @column: 1-based, 0 if the reason is not bound to a column
 * @fmt:    the reason
 */
void mg_policy_fail(struct mg_policy_error *err, u32 line, u32 column,
		    const char *fmt, ...)
{
	va_list args;

	err->line = line;
	err->column = column;
	va_start(args, fmt);
	vscnprintf(err->reason, sizeof(err->reason), fmt, args);
	va_end(args);
}

#define fail(scan, at, fmt, ...)						\
	mg_policy_fail((scan)->err, (scan)->line, (at) - (scan)->start + 1,	\
		       fmt, ##__VA_ARGS__)

/* Words hold printable ASCII only, next_word() saw to that. */
static const char *quote(const struct word *word, char buf[QUOTE_LEN])
{
	const char *stop = min(word->at + QUOTE_MAX, word->end);
	char *to = buf;
	const char *p;

	for (p = word->at; p < stop; p++) {
		if (*p == '"' || *p == '\\')
			*to++ = '\\';
		*to++ = *p;
	}
	strscpy(to, stop < word->end ? "..." : "", 4);
	return buf;
}

static bool word_is(const struct word *word, const char *name)
{
	size_t len = strlen(name);

	return word->end - word->at == len && !memcmp(word->at, name, len);
}

static bool word_starts_with(const struct word *word, const char *name)
{
	size_t len = strlen(name);

	return word->end - word->at >= len && !memcmp(word->at, name, len);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Enter the line that starts at @text. Return: where the next one starts. */
static const char *enter_line(struct scan *scan, const char *text, const char *end)
{
	size_t left = end - text;
	const char *newline = memchr(text, '\n', min_t(size_t, left, MG_LINE_MAX + 1));

	scan->start = text;
	scan->pos = text;
	scan->line++;
	scan->cut = !newline && left > MG_LINE_MAX;
	if (newline) {
		scan->end = newline;
		return newline + 1;
	}
	scan->end = text + min_t(size_t, left, MG_LINE_MAX);
	return scan->end;
}

static int refuse_byte(struct scan *scan, const char *at)
{
	u8 byte = *at;

	if (!byte)
		fail(scan, at, "NUL byte");
	else if (byte == '\r')
		fail(scan, at, "carriage return: lines end with a newline alone");
	else if (byte >= 0x80)
		fail(scan, at, "non-ASCII byte 0x%02x outside a comment", byte);
	else
		fail(scan, at, "control character 0x%02x", byte);
	return -EINVAL;
}

static int end_of_line(struct scan *scan)
{
	if (!scan->cut)
		return 0;
	fail(scan, scan->end, "line longer than %u bytes", MG_LINE_MAX);
	return -E2BIG;
}

/*
 * Comments may hold anything but a NUL, which shows a binary file, and a carriage
 * return, which shows a file from elsewhere whose rules would be refused anyway.
 */
static int check_comment(struct scan *scan)
{
	const char *p;

	for (p = scan->pos; p < scan->end; p++)
		if (!*p || *p == '\r')
			return refuse_byte(scan, p);
	return end_of_line(scan);
}

/* Return: 1 and a word, 0 at the end of the line or at a comment, or an error. */
static int next_word(struct scan *scan, struct word *word)
{
	while (scan->pos < scan->end && is_blank(*scan->pos))
		scan->pos++;
	if (scan->pos == scan->end)
		return end_of_line(scan);
	if (*scan->pos == '#')
		return check_comment(scan);

	word->at = scan->pos;
	for (; scan->pos < scan->end; scan->pos++) {
		u8 byte = *scan->pos;

		if (is_blank(byte) || byte == '#')
			break;
		if (byte <= 0x20 || byte >= 0x7f)
			return refuse_byte(scan, scan->pos);
	}
	word->end = scan->pos;
	if (scan->pos == scan->end && scan->cut)
		return end_of_line(scan);
	return 1;
}

static unsigned int digit_value(char c)
{
	if (isdigit(c))
		return c - '0';
	return isxdigit(c) ? tolower(c) - 'a' + 10 : 16;
}

/* @what names the number in messages; it fits in @bits bits or is refused. */
static int parse_number(struct scan *scan, const char *at, const char *end,
			const char *what, unsigned int bits, u64 *number)
{
	const struct word word = { at, end };
	char shown[QUOTE_LEN];
	unsigned int base = 10;
	bool too_big = false;
	const char *p = at;
	u64 value = 0;

	if (at == end) {
		fail(scan, at, "the %s is missing", what);
		return -EINVAL;
	}
	if (*p == '0' && end - p > 1) {
		if (isdigit(p[1])) {
			fail(scan, at,
			     "%s \"%s\" looks octal: no leading zeros, or 0x and hexadecimal",
			     what, quote(&word, shown));
			return -EINVAL;
		}
		if (p[1] == 'x' || p[1] == 'X') {
			base = 16;
			p += 2;
		}
	}
	if (p == end)
		goto malformed;
	for (; p < end; p++) {
		unsigned int digit = digit_value(*p);

		if (digit >= base)
			goto malformed;
		too_big |= check_mul_overflow(value, (u64)base, &value);
		too_big |= check_add_overflow(value, (u64)digit, &value);
	}
	if (too_big || (bits < 64 && value >> bits)) {
		fail(scan, at, "%s %s does not fit in %u bits", what,
		     quote(&word, shown), bits);
		return -EINVAL;
	}
	*number = value;
	return 0;

malformed:
	fail(scan, at, "malformed number \"%s\": decimal, or 0x and hexadecimal, expected",
	     quote(&word, shown));
	return -EINVAL;
}

static int parse_range(struct scan *scan, const struct word *word,
		       struct mg_rule *rule)
{
	const char *dash = memchr(word->at, '-', word->end - word->at);
	char shown[QUOTE_LEN];
	u64 first, last;
	int ret;

	if (!isdigit(*word->at)) {
		fail(scan, word->at,
		     "unknown word \"%s\": an MSR index, a range or \"default\" expected",
		     quote(word, shown));
		return -EINVAL;
	}
	ret = parse_number(scan, word->at, dash ?: word->end, "index", 32, &first);
	if (ret)
		return ret;
	last = first;
	if (dash) {
		ret = parse_number(scan, dash + 1, word->end, "last index", 32, &last);
		if (ret)
			return ret;
	}
	if (last < first) {
		fail(scan, word->at,
		     "reversed range: the last index 0x%llx is below the first, 0x%llx",
		     last, first);
		return -EINVAL;
	}
	rule->first = first;
	rule->last = last;
	return 0;
}

static int parse_disposition(struct scan *scan, const struct word *word,
			     const char *comma, struct mg_permission *perm)
{
	struct word disposition;
	char shown[QUOTE_LEN];

	if (!comma || comma + 1 == word->end) {
		fail(scan, word->end,
		     "mask without a disposition for the other bits: mask=M,deny or mask=M,keep");
		return -EINVAL;
	}
	disposition = (struct word){ comma + 1, word->end };
	if (word_is(&disposition, "keep")) {
		perm->keep = true;
	} else if (!word_is(&disposition, "deny")) {
		fail(scan, disposition.at,
		     "unknown disposition \"%s\": deny or keep expected",
		     quote(&disposition, shown));
		return -EINVAL;
	}
	return 0;
}

/* @word starts with "mask=". */
static int parse_mask(struct scan *scan, const struct word *word, enum mg_dir dir,
		      struct mg_permission *perm)
{
	const char *comma = memchr(word->at, ',', word->end - word->at);
	const char *at = word->at + strlen("mask=");
	bool inverted = at < word->end && *at == '~';
	int ret;

	ret = parse_number(scan, at + inverted, comma ?: word->end, "mask", 64,
			   &perm->mask);
	if (ret)
		return ret;
	if (inverted)
		perm->mask = ~perm->mask;
	perm->action = MG_MASK;
	if (dir == MG_WRITE) {
		ret = parse_disposition(scan, word, comma, perm);
		if (ret)
			return ret;
	} else if (comma) {
		fail(scan, comma,
		     "disposition in the read column: hidden bits read as 0, write mask=M alone");
		return -EINVAL;
	}
	/* Every bit permitted is an unconditional allow, which costs no exit. */
	if (perm->mask == ~0ULL)
		*perm = (struct mg_permission){ .mask = ~0ULL, .action = MG_ALLOW };
	return 0;
}

/* Could @word stand in the read or in the write column? */
static bool is_action(const struct word *word)
{
	return word_is(word, "allow") || word_is(word, "deny") ||
	       word_is(word, "drop") || word_starts_with(word, "mask=");
}

static int parse_action(struct scan *scan, enum mg_dir dir, struct mg_rule *rule)
{
	static const char * const column_names[] = { "read", "write" };
	struct mg_permission *perm = &rule->perm[dir];
	char shown[QUOTE_LEN];
	struct word word;
	int ret;

	ret = next_word(scan, &word);
	if (ret < 0)
		return ret;
	if (!ret) {
		fail(scan, scan->pos, "the %s column is missing", column_names[dir]);
		return -EINVAL;
	}
	*perm = (struct mg_permission){};
	if (word_is(&word, "allow")) {
		perm->action = MG_ALLOW;
		perm->mask = ~0ULL;
	} else if (word_is(&word, "deny")) {
		perm->action = MG_DENY;
	} else if (word_is(&word, "drop")) {
		perm->action = MG_DROP;
	} else if (!word_starts_with(&word, "mask=")) {
		fail(scan, word.at,
		     "unknown word \"%s\" in the %s column: allow, deny, drop or %s expected",
		     quote(&word, shown), column_names[dir],
		     dir == MG_READ ? "mask=M" : "mask=M,deny or mask=M,keep");
		return -EINVAL;
	} else if (rule->is_default) {
		fail(scan, word.at,
		     "mask in the default line: it takes allow, deny or drop");
		return -EINVAL;
	} else {
		return parse_mask(scan, &word, dir, perm);
	}
	return 0;
}

static int parse_options(struct scan *scan, struct mg_rule *rule)
{
	char shown[QUOTE_LEN];
	struct word word;
	bool *option;
	int ret;

	while ((ret = next_word(scan, &word)) > 0) {
		if (word_is(&word, "audit")) {
			option = &rule->audit;
		} else if (word_is(&word, "quiet")) {
			option = &rule->quiet;
		} else {
			fail(scan, word.at, is_action(&word) || isdigit(*word.at) ?
			     "too many columns: \"%s\" follows the write column" :
			     "unknown option \"%s\": audit or quiet expected",
			     quote(&word, shown));
			return -EINVAL;
		}
		if (*option) {
			fail(scan, word.at, "option \"%s\" given twice",
			     quote(&word, shown));
			return -EINVAL;
		}
		*option = true;
	}
	return ret;
}

/* Return: 1 and a rule, 0 if the line holds none, or an error. */
static int parse_line(struct scan *scan, struct mg_rule *rule)
{
	struct word word;
	int ret;

	ret = next_word(scan, &word);
	if (ret <= 0)
		return ret;

	memset(rule, 0, sizeof(*rule));
	rule->line = scan->line;
	rule->source_line = scan->line;
	if (word_is(&word, "default")) {
		rule->is_default = true;
		rule->last = U32_MAX;
	} else {
		ret = parse_range(scan, &word, rule);
		if (ret)
			return ret;
	}
	ret = parse_action(scan, MG_READ, rule);
	if (ret)
		return ret;
	ret = parse_action(scan, MG_WRITE, rule);
	if (ret)
		return ret;
	return parse_options(scan, rule) ?: 1;
}

static int resize(struct rule_list *list, u32 room)
{
	struct mg_rule *rules = mg_policy_alloc(room, sizeof(*rules));

	if (!rules)
		return -ENOMEM;
	if (list->nr)
		memcpy(rules, list->rules, array_size(list->nr, sizeof(*rules)));
	mg_policy_release(list->rules);
	list->rules = rules;
	list->room = room;
	return 0;
}

static int append(struct rule_list *list, const struct mg_rule *rule,
		  const struct scan *scan)
{
	int ret;

	if (list->nr == MG_POLICY_MAX_RULES) {
		mg_policy_fail(scan->err, scan->line, 1, "more than %u rules",
			       MG_POLICY_MAX_RULES);
		return -E2BIG;
	}
	if (list->nr == list->room) {
		ret = resize(list, min_t(u32, list->room ? 2 * list->room : FIRST_ROOM,
					 MG_POLICY_MAX_RULES));
		if (ret)
			return ret;
	}
	list->rules[list->nr++] = *rule;
	return 0;
}

static int set_default(struct mg_rule *fallback, const struct mg_rule *rule,
		       const struct scan *scan)
{
	if (fallback->line) {
		mg_policy_fail(scan->err, scan->line,
			       mg_first_column(scan->start, scan->end - scan->start, 1),
			       "second default line, the first is on line %u",
			       fallback->line);
		return -EINVAL;
	}
	*fallback = *rule;
	return 0;
}

static int parse_text(const char *text, const char *end, struct rule_list *list,
		      struct mg_rule *fallback, struct mg_policy_error *err)
{
	struct scan scan = { .err = err };
	struct mg_rule rule;
	int ret;

	while (text < end) {
		cond_resched();
		text = enter_line(&scan, text, end);
		ret = parse_line(&scan, &rule);
		if (ret < 0)
			return ret;
		if (!ret)
			continue;
		ret = rule.is_default ? set_default(fallback, &rule, &scan) :
					append(list, &rule, &scan);
		if (ret)
			return ret;
	}
	if (!fallback->line) {
		mg_policy_fail(err, 0, 0,
			       "no default line: one such as \"default deny deny\" is needed");
		return -EINVAL;
	}
	/* A policy lives long: give back the room for growing. */
	return list->nr < list->room && list->nr ? resize(list, list->nr) : 0;
}

/* See policy.h */
struct mg_policy *mg_policy_parse(const char *text, size_t len,
				  struct mg_policy_error *err)
{
	struct mg_rule fallback = {};
	struct rule_list list = {};
	struct mg_policy *policy;
	int ret;

	memset(err, 0, sizeof(*err));
	if (len > MG_POLICY_TEXT_MAX) {
		mg_policy_fail(err, 0, 0, "the text has %zu bytes, %u are allowed", len,
			       MG_POLICY_TEXT_MAX);
		return ERR_PTR(-E2BIG);
	}
	ret = parse_text(text, text + len, &list, &fallback, err);
	if (ret) {
		mg_policy_release(list.rules);
		if (ret == -ENOMEM)
			mg_policy_fail(err, 0, 0, "out of memory");
		return ERR_PTR(ret);
	}
	policy = mg_policy_build(list.rules, list.nr, &fallback, "", err);
	if (IS_ERR(policy)) {
		if (err->line)
			err->column = mg_first_column(text, len, err->line);
		if (policy == ERR_PTR(-EEXIST))
			return ERR_PTR(-EINVAL);
	}
	return policy;
}

/**
 * mg_first_column - where the first word of a line stands
 * @text: a text that was parsed without an error
 * @len:  its length
 * @line: a line of it that holds a word, 1-based
 *
 * Conflicts between rules are found after parsing, when only lines are known.
 *
 * Return: the column, 1-based.
 */
u32 mg_first_column(const char *text, size_t len, u32 line)
{
	const char *end = text + len;
	const char *start;

	while (--line && text < end) {
		text = memchr(text, '\n', end - text);
		if (!text)
			return 1;
		text++;
	}
	for (start = text; text < end && is_blank(*text); text++)
		;
	return text - start + 1;
}

/* The only line of @line, which may end in a newline. */
static int enter_only_line(struct scan *scan, const char *line, size_t len)
{
	const char *next = enter_line(scan, line, line + len);

	if (!scan->cut && next != line + len) {
		fail(scan, scan->end, "more than one line");
		return -EINVAL;
	}
	return 0;
}

/**
 * mg_parse_one_rule - one rule from one line
 * @line: the line, may end in a newline
 * @len:  its length
 * @rule: the rule
 * @err:  filled in if the line is refused
 *
 * Return: 0 or an error.
 */
int mg_parse_one_rule(const char *line, size_t len, struct mg_rule *rule,
		      struct mg_policy_error *err)
{
	struct scan scan = { .err = err };
	int ret;

	ret = enter_only_line(&scan, line, len);
	if (ret)
		return ret;
	ret = parse_line(&scan, rule);
	if (ret)
		return min(ret, 0);
	fail(&scan, scan.start, "no rule in this line");
	return -EINVAL;
}

/**
 * mg_parse_one_range - the range a line starts with
 * @line: the line, may end in a newline
 * @len:  its length
 * @rule: only first and last are filled in
 * @err:  filled in if the line is refused
 *
 * Return: 0 or an error.
 */
int mg_parse_one_range(const char *line, size_t len, struct mg_rule *rule,
		       struct mg_policy_error *err)
{
	struct scan scan = { .err = err };
	struct word word;
	int ret;

	ret = enter_only_line(&scan, line, len);
	if (ret)
		return ret;
	ret = next_word(&scan, &word);
	if (ret < 0)
		return ret;
	if (!ret) {
		fail(&scan, scan.start, "no MSR index or range in this line");
		return -EINVAL;
	}
	if (word_is(&word, "default")) {
		fail(&scan, word.at, "the default line cannot be removed, only replaced");
		return -EINVAL;
	}
	ret = parse_range(&scan, &word, rule);
	/* The rest does not count, but a NUL in it is no text. */
	while (!ret && (ret = next_word(&scan, &word)) > 0)
		ret = 0;
	return ret;
}
