// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes the policy engine (kmod/policy/), under the command's shim of kernel headers.
 *
 * The input is the text of a policy. Its lines are also given one by one to what adds and removes
 * rules, and a generator of numbers, seeded by the text, makes accesses for it.
 *
 * Besides what the sanitizers find, it is a fault if a refusal has no reason or a place outside the
 * text; if canonical text does not parse to the same policy; if a rule in force is not the
 * narrowest, or the map differs from it; if a verdict lets bits through that its mask holds back;
 * if adding and removing a rule does not lead back; if spans leave out an MSR.
 */
#include <linux/kernel.h>
#include <linux/bitops.h>
#include <linux/err.h>
#include <linux/string.h>
#include <stdlib.h>

#include "../kmod/policy/internal.h"
#include "../tools/engine/engine.h"

#define CHECK(condition) do { if (!(condition)) abort(); } while (0)

/* More rules than that are built and written, and not looked at one by one. */
#define RULES_MAX	64
#define LINES_MAX	16
#define RANDOM_INDICES	16

static u64 state;

static u64 next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Values in which masks make a difference: few bits apart, or far. */
static u64 random_value(u64 near)
{
	switch (next_random() % 4) {
	case 0:
		return near;
	case 1:
		return near ^ 1ull << next_random() % 64;
	case 2:
		return next_random() & next_random();
	default:
		return next_random();
	}
}

static void check_error(const struct mg_policy_error *err, const char *text, size_t len)
{
	size_t lines = 1, i;
	const char *p;

	CHECK(*err->reason && strnlen(err->reason, sizeof(err->reason)) < sizeof(err->reason));
	for (p = err->reason; *p; p++)
		CHECK(*p >= 0x20 && *p < 0x7f);
	for (i = 0; i < len; i++)
		lines += text[i] == '\n';
	CHECK(err->line <= lines);
	CHECK(err->line || !err->column);
	CHECK(err->column <= MG_LINE_MAX + 1);
}

static void check_same(const struct mg_policy *a, const struct mg_policy *b)
{
	size_t len_a, len_b;
	const char *text_a = mg_policy_text(a, &len_a), *text_b = mg_policy_text(b, &len_b);

	CHECK(len_a == len_b && !memcmp(text_a, text_b, len_a));
	CHECK(!memcmp(mg_policy_hash(a), mg_policy_hash(b), MG_HASH_LEN));
	CHECK(mg_policy_nr_rules(a) == mg_policy_nr_rules(b));
}

static void check_round_trip(const struct mg_policy *policy)
{
	struct mg_policy_error err;
	struct mg_policy *again;
	const char *text;
	size_t len;

	text = mg_policy_text(policy, &len);
	again = mg_policy_parse(text, len, &err);
	CHECK(!IS_ERR(again));
	check_same(policy, again);
	CHECK(!memcmp(mg_policy_map(policy), mg_policy_map(again), sizeof(struct mg_intercept_map)));
	mg_policy_free(again);
}

/* The narrowest that names the MSR, found by looking at each. */
static const struct mg_rule *find_slowly(const struct mg_policy *policy, u32 index)
{
	const struct mg_rule *found = mg_policy_rule(policy, 0), *rule;
	u32 i;

	for (i = 1; (rule = mg_policy_rule(policy, i)); i++)
		if (index >= rule->first && index <= rule->last &&
		    (found->is_default || rule->last - rule->first < found->last - found->first))
			found = rule;
	return found;
}

static void check_map(const struct mg_policy *policy, const struct mg_rule *rule, u32 index)
{
	const struct mg_intercept_map *map = mg_policy_map(policy);
	int bit = mg_map_bit(index);
	enum mg_dir dir;

	for (dir = MG_READ; dir < MG_NR_DIRS; dir++) {
		if (bit >= 0)
			CHECK(test_bit(bit, map->bits[dir]) == mg_rule_guards(rule, dir));
		else if (mg_rule_guards(rule, dir))
			CHECK(map->outside[dir]);
	}
	if (bit >= 0)
		CHECK(mg_map_index(bit) == index);
}

static void check_masked_write(const struct mg_permission *perm, const struct mg_access *access,
			       const struct mg_verdict *verdict)
{
	bool command = mg_is_command(access->index);
	u64 old = command ? 0 : access->old;
	u64 held_back = (access->value ^ old) & ~perm->mask;

	if (!command && !access->old_known) {
		CHECK(verdict->would_be == MG_DENIED);
	} else if (!held_back) {
		CHECK(verdict->would_be == MG_PASSED);
	} else if (!perm->keep) {
		CHECK(verdict->would_be == MG_DENIED);
	} else {
		CHECK(verdict->would_be == MG_MASKED);
		if (verdict->outcome != MG_MASKED)
			return;
		CHECK(!((verdict->value ^ old) & ~perm->mask));
		CHECK(!((verdict->value ^ access->value) & perm->mask));
	}
}

static void check_masked_read(const struct mg_permission *perm, const struct mg_access *access,
			      const struct mg_verdict *verdict)
{
	if (!access->old_known)
		CHECK(verdict->would_be == MG_DENIED);
	else if (!(access->old & ~perm->mask))
		CHECK(verdict->would_be == MG_PASSED);
	else
		CHECK(verdict->would_be == MG_MASKED);
	if (verdict->outcome == MG_MASKED)
		CHECK(verdict->value == (access->old & perm->mask));
}

static void check_verdict(const struct mg_rule *rule, enum mg_mode mode,
			  const struct mg_access *access)
{
	const struct mg_permission *perm = &rule->perm[access->dir];
	struct mg_verdict verdict = mg_decide(rule, mode, access);

	if (mode == MG_MODE_OFF) {
		CHECK(verdict.outcome == MG_PASSED && verdict.would_be == MG_PASSED);
		return;
	}
	if (verdict.would_be != MG_PASSED && (mode == MG_MODE_AUDIT || rule->audit))
		CHECK(verdict.outcome == MG_AUDITED && !verdict.value);
	else
		CHECK(verdict.outcome == verdict.would_be);
	if (verdict.outcome != MG_MASKED)
		CHECK(!verdict.value);
	switch (perm->action) {
	case MG_ALLOW:
		CHECK(verdict.would_be == MG_PASSED && perm->mask == U64_MAX);
		break;
	case MG_DENY:
		CHECK(verdict.would_be == MG_DENIED && !perm->mask);
		break;
	case MG_DROP:
		CHECK(verdict.would_be == MG_DROPPED && !perm->mask);
		break;
	case MG_MASK:
		CHECK(perm->mask != U64_MAX);
		if (access->dir == MG_READ)
			check_masked_read(perm, access, &verdict);
		else
			check_masked_write(perm, access, &verdict);
		break;
	default:
		abort();
	}
}

/* What does not depend on the present value gives the same verdict for any. */
static void check_needs_old(const struct mg_rule *rule, const struct mg_access *access)
{
	struct mg_access other = *access;
	struct mg_verdict one, another;

	if (mg_needs_old(rule, access))
		return;
	other.old = next_random();
	other.old_known = !access->old_known;
	one = mg_decide(rule, MG_MODE_ENFORCE, access);
	another = mg_decide(rule, MG_MODE_ENFORCE, &other);
	CHECK(one.outcome == another.outcome && one.value == another.value);
}

static void check_index(const struct mg_policy *policy, u32 index)
{
	const struct mg_rule *rule = mg_policy_find(policy, index);
	struct mg_access access = { .index = index };
	enum mg_mode mode;

	CHECK(rule == find_slowly(policy, index));
	check_map(policy, rule, index);
	for (access.dir = MG_READ; access.dir < MG_NR_DIRS; access.dir++)
		for (mode = MG_MODE_OFF; mode <= MG_MODE_ENFORCE; mode++) {
			access.old_known = next_random() % 4;
			access.old = random_value(rule->perm[access.dir].mask);
			access.value = random_value(access.old);
			check_verdict(rule, mode, &access);
			check_needs_old(rule, &access);
		}
}

/* At a rule's edges and beside them a mistake by one shows. */
static void check_indices(const struct mg_policy *policy)
{
	const struct mg_rule *rule;
	unsigned int i;

	for (i = 1; (rule = mg_policy_rule(policy, i)); i++) {
		check_index(policy, rule->first);
		check_index(policy, rule->first - 1);
		check_index(policy, rule->last);
		check_index(policy, rule->last + 1);
	}
	for (i = 0; i < RANDOM_INDICES; i++)
		check_index(policy, next_random() >> next_random() % 32);
}

struct walk {
	const struct mg_policy *policy;
	u64 next;
};

static void take_span(void *context, u32 first, u32 last, const struct mg_rule *rule,
		      const struct mg_rule *other)
{
	struct walk *walk = context;

	CHECK(first == walk->next && last >= first);
	CHECK(mg_policy_find(walk->policy, first) == rule);
	CHECK(mg_policy_find(walk->policy, last) == rule);
	CHECK(rule == other);
	walk->next = (u64)last + 1;
}

static void check_walk(const struct mg_policy *policy)
{
	struct walk walk = { .policy = policy };

	CHECK(mg_engine_walk(policy, policy, take_span, &walk));
	CHECK(walk.next == (u64)U32_MAX + 1);
}

/* The command's words for a rule are those of the canonical text. */
static void check_words(const struct mg_policy *policy)
{
	char line[128], expected[128], range[MG_SPAN_LEN];
	char read[MG_WORD_LEN], write[MG_WORD_LEN];
	const struct mg_rule *rule;
	const char *text, *end;
	size_t len, at;
	u32 i;

	text = mg_policy_text(policy, &len);
	for (i = 0; (rule = mg_policy_rule(policy, i)); i++) {
		end = strchr(text, '\n');
		CHECK(end && (size_t)(end - text) < sizeof(line));
		for (len = 0; text < end; text++)
			if (*text != '\t' || line[len - 1] != '\t')
				line[len++] = *text;
		line[len] = '\0';
		text = end + 1;
		at = scnprintf(expected, sizeof(expected), "%s\t%s\t%s", i ?
			       mg_engine_span(rule->first, rule->last, range) : "default",
			       mg_engine_word(rule, MG_READ, read),
			       mg_engine_word(rule, MG_WRITE, write));
		if (rule->audit || rule->quiet)
			scnprintf(expected + at, sizeof(expected) - at, "\t%s%s%s",
				  rule->audit ? "audit" : "", rule->audit && rule->quiet ? " " : "",
				  rule->quiet ? "quiet" : "");
		CHECK(!strcmp(line, expected));
		if (i)
			CHECK(mg_engine_around(policy, rule) != rule);
	}
	CHECK(!*text);
}

/* Add the line, and take it away again. */
static void check_line(const struct mg_policy *policy, const char *line, size_t len)
{
	struct mg_policy *more, *back;
	struct mg_policy_error err;
	struct mg_rule rule;

	more = mg_policy_remove(policy, line, len, &err);
	if (IS_ERR(more)) {
		check_error(&err, line, len);
	} else {
		CHECK(mg_policy_nr_rules(more) == mg_policy_nr_rules(policy) - 1);
		check_round_trip(more);
		mg_policy_free(more);
	}
	more = mg_policy_add(policy, line, len, &err);
	if (IS_ERR(more)) {
		check_error(&err, line, len);
		return;
	}
	check_round_trip(more);
	CHECK(!mg_parse_one_rule(line, len, &rule, &err));
	if (!rule.is_default) {
		CHECK(mg_policy_nr_rules(more) == mg_policy_nr_rules(policy) + 1);
		back = mg_policy_remove(more, line, len, &err);
		CHECK(!IS_ERR(back));
		check_same(back, policy);
		mg_policy_free(back);
	}
	mg_policy_free(more);
}

static void check_lines(const struct mg_policy *policy, const char *text, size_t len)
{
	const char *end = text + len, *newline;
	unsigned int i;

	for (i = 0; i < LINES_MAX && text < end; i++) {
		newline = memchr(text, '\n', end - text);
		newline = newline ? newline + 1 : end;
		check_line(policy, text, newline - text);
		text = newline;
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const char everything[] = "default allow allow\n";
	const char *text = (const char *)data;
	struct mg_policy_error err;
	struct mg_policy *policy;
	size_t i;

	state = 0x9e3779b97f4a7c15;
	for (i = 0; i < size; i++)
		state = (state ^ data[i]) * 0x100000001b3 ?: 1;
	policy = mg_policy_parse(text, size, &err);
	if (IS_ERR(policy)) {
		check_error(&err, text, size);
		/* The same lines where nothing stands in their way. */
		policy = mg_policy_parse(everything, strlen(everything), &err);
		CHECK(!IS_ERR(policy));
	}
	check_round_trip(policy);
	check_walk(policy);
	check_words(policy);
	if (mg_policy_nr_rules(policy) <= RULES_MAX)
		check_indices(policy);
	check_lines(policy, text, size);
	mg_policy_free(policy);
	return 0;
}
