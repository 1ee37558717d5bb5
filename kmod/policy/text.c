// SPDX-License-Identifier: GPL-2.0
/*
 * A policy to its canonical text: the default line, then the rules in order, a tab or
 * more between columns. Two policies that say the same have the same text and hash.
 */
#include <crypto/sha2.h>
#include <linux/bitops.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "internal.h"

/* The widest: a range (21), two masks of 24 and 29, the options (11), tabs, newline. */
#define TEXT_LINE_MAX	128

/* Where columns start, in steps of a tab. What is too wide pushes the rest on. */
#define READ_COLUMN	24
#define WRITE_COLUMN	32
#define OPTION_COLUMN	40

struct line {
	char text[TEXT_LINE_MAX];
	unsigned int len;
	unsigned int column;
};

static void put(struct line *line, const char *text)
{
	size_t len = strlen(text);

	memcpy(line->text + line->len, text, len);
	line->len += len;
	line->column += len;
}

static void put_tabs(struct line *line, unsigned int column)
{
	do {
		line->text[line->len++] = '\t';
		line->column = (line->column | 7) + 1;
	} while (line->column < column);
}

/* snprintf() would take most of the time of loading a policy. */
static void put_hex(struct line *line, u64 number)
{
	char digits[sizeof("0xffffffffffffffff")];
	char *to = digits + sizeof(digits);

	*--to = '\0';
	do {
		*--to = "0123456789abcdef"[number & 0xf];
		number >>= 4;
	} while (number);
	*--to = 'x';
	*--to = '0';
	put(line, to);
}

static void put_permission(struct line *line, const struct mg_permission *perm,
			   enum mg_dir dir)
{
	switch (perm->action) {
	case MG_ALLOW:
		put(line, "allow");
		break;
	case MG_DENY:
		put(line, "deny");
		break;
	case MG_DROP:
		put(line, "drop");
		break;
	case MG_MASK:
		put(line, "mask=");
		/* "All but a few" is what a mask of many bits was written to say. */
		if (hweight64(perm->mask) > 32) {
			put(line, "~");
			put_hex(line, ~perm->mask);
		} else {
			put_hex(line, perm->mask);
		}
		if (dir == MG_WRITE)
			put(line, perm->keep ? ",keep" : ",deny");
		break;
	}
}

static void format_rule(struct line *line, const struct mg_rule *rule)
{
	line->len = 0;
	line->column = 0;
	if (rule->is_default) {
		put(line, "default");
	} else {
		put_hex(line, rule->first);
		if (!mg_rule_is_single(rule)) {
			put(line, "-");
			put_hex(line, rule->last);
		}
	}
	put_tabs(line, READ_COLUMN);
	put_permission(line, &rule->perm[MG_READ], MG_READ);
	put_tabs(line, WRITE_COLUMN);
	put_permission(line, &rule->perm[MG_WRITE], MG_WRITE);
	if (rule->audit || rule->quiet)
		put_tabs(line, OPTION_COLUMN);
	if (rule->audit)
		put(line, "audit");
	if (rule->audit && rule->quiet)
		put(line, " ");
	if (rule->quiet)
		put(line, "quiet");
	put(line, "\n");
}

/* Write the text to @to, or only measure it if that is NULL. Return: its length. */
static size_t format_policy(const struct mg_policy *policy, char *to)
{
	const struct mg_rule *rule = &policy->fallback;
	struct line line;
	size_t len = 0;
	u32 i = 0;

	for (;;) {
		format_rule(&line, rule);
		if (to)
			memcpy(to + len, line.text, line.len);
		len += line.len;
		if (i == policy->nr_rules)
			return len;
		rule = &policy->rules[i++];
		if (!(i % MG_RESCHED_ROUNDS))
			cond_resched();
	}
}

/**
 * mg_policy_write_text - give a policy its canonical text and hash
 * @policy: a policy that is complete but for these
 * @err:    filled in on failure, but not if memory is short
 *
 * Return: 0, -E2BIG if the text could not be loaded again, -ENOMEM.
 */
int mg_policy_write_text(struct mg_policy *policy, struct mg_policy_error *err)
{
	policy->text_len = format_policy(policy, NULL);
	if (policy->text_len > MG_POLICY_TEXT_MAX) {
		mg_policy_fail(err, 0, 0,
			       "the canonical text would have %zu bytes, %u are allowed",
			       policy->text_len, MG_POLICY_TEXT_MAX);
		return -E2BIG;
	}
	policy->text = mg_policy_alloc(policy->text_len + 1, 1);
	if (!policy->text)
		return -ENOMEM;
	format_policy(policy, policy->text);
	policy->text[policy->text_len] = '\0';
	sha256((const u8 *)policy->text, policy->text_len, policy->hash);
	return 0;
}

/* See policy.h */
const char *mg_policy_text(const struct mg_policy *policy, size_t *len)
{
	*len = policy->text_len;
	return policy->text;
}

/* See policy.h */
const u8 *mg_policy_hash(const struct mg_policy *policy)
{
	return policy->hash;
}
