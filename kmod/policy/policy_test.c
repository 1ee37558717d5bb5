// SPDX-License-Identifier: GPL-2.0
/*
 * The policy engine: canonical text, look-up, intercept map, verdicts, editing.
 * Bad input is in error_test.c, random policies in model_test.c, large ones in many_test.c,
 * failing memory in memory_test.c.
 */
#include <linux/bitmap.h>
#include <linux/module.h>
#include <linux/string.h>

#include "policy_test.h"

#define ALLOW_ALL	"default\t\t\tallow\tallow\n"
#define DENY_ALL	"default\t\t\tdeny\tdeny\n"

static const struct text_case {
	const char *name;
	const char *text;
	const char *canonical;
} text_cases[] = {
	{ "default alone", "default deny deny", DENY_ALL },
	{ "default last", "0x10 allow deny\ndefault deny deny\n",
	  DENY_ALL "0x10\t\t\tallow\tdeny\n" },
	{ "default with options", "default drop deny quiet audit # x\n",
	  "default\t\t\tdrop\tdeny\taudit quiet\n" },
	{ "blank lines and comments",
	  "\n# \xc3\xa9t\xc3\xa9 \x01\x7f\xff\n \t\n\tdefault\tallow  allow# x\n#", ALLOW_ALL },
	{ "decimal", "default allow allow\n16 deny deny\n0 deny deny\n4294967295 drop drop",
	  ALLOW_ALL "0x0\t\t\tdeny\tdeny\n0x10\t\t\tdeny\tdeny\n"
	  "0xffffffff\t\tdrop\tdrop\n" },
	{ "upper-case and padded hexadecimal",
	  "default allow allow\n0XC0000080-0x00000000C00000FF deny deny\n",
	  ALLOW_ALL "0xc0000080-0xc00000ff\tdeny\tdeny\n" },
	{ "range of one", "default allow allow\n0x10-16 deny deny\n",
	  ALLOW_ALL "0x10\t\t\tdeny\tdeny\n" },
	{ "every MSR", "default allow allow\n0-0xffffffff deny deny\n",
	  ALLOW_ALL "0x0-0xffffffff\t\tdeny\tdeny\n" },
	{ "order", "default allow allow\n5 deny deny\n4-5 deny deny\n4-6 deny deny\n"
	  "4 deny deny\n6 deny deny\n3-6 deny deny\n",
	  ALLOW_ALL "0x3-0x6\t\t\tdeny\tdeny\n0x4-0x6\t\t\tdeny\tdeny\n"
	  "0x4-0x5\t\t\tdeny\tdeny\n0x4\t\t\tdeny\tdeny\n0x5\t\t\tdeny\tdeny\n"
	  "0x6\t\t\tdeny\tdeny\n" },
	{ "masks", "default allow allow\n1 mask=5 mask=~0x1000,deny\n2 mask=~16 mask=0,keep\n",
	  ALLOW_ALL "0x1\t\t\tmask=0x5\tmask=~0x1000,deny\n"
	  "0x2\t\t\tmask=~0x10\tmask=0x0,keep\n" },
	{ "widest masks",
	  "default deny deny\n0xfffffff0-0xfffffff1 mask=0xaaaaaaaaaaaaaaaa\t"
	  "mask=12297829382473034410,keep quiet audit\n",
	  DENY_ALL "0xfffffff0-0xfffffff1\tmask=0xaaaaaaaaaaaaaaaa\t"
	  "mask=0xaaaaaaaaaaaaaaaa,keep\taudit quiet\n" },
	{ "mask of 32 and of 33 bits",
	  "default deny deny\n1 mask=~0xffffffff mask=0xffffffff,deny\n"
	  "2 mask=0x1ffffffff mask=~0x1ffffffff,deny\n",
	  DENY_ALL "0x1\t\t\tmask=0xffffffff00000000\tmask=0xffffffff,deny\n"
	  "0x2\t\t\tmask=~0xfffffffe00000000\tmask=0xfffffffe00000000,deny\n" },
	{ "masks of every bit",
	  "default deny deny\n1 mask=~0 mask=0xffffffffffffffff,deny\n2 deny mask=~0x0,keep\n",
	  DENY_ALL "0x1\t\t\tallow\tallow\n0x2\t\t\tdeny\tallow\n" },
	{ "options", "default deny deny\n1 allow deny quiet\n2 drop allow audit\n"
	  "3 allow drop quiet audit\n",
	  DENY_ALL "0x1\t\t\tallow\tdeny\tquiet\n0x2\t\t\tdrop\tallow\taudit\n"
	  "0x3\t\t\tallow\tdrop\taudit quiet\n" },
	{ "no newline after a comment", "default deny\tdeny #", DENY_ALL },
};

static void describe_text(const struct text_case *c, char *name)
{
	strscpy(name, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(text, text_cases, describe_text);

static void canonical_text(struct kunit *test)
{
	const struct text_case *c = test->param_value;
	struct mg_policy *policy = mg_test_policy(test, c->text);
	struct mg_policy *again = mg_test_policy(test, mg_test_text(policy));
	size_t len;

	KUNIT_EXPECT_STREQ(test, mg_policy_text(policy, &len), c->canonical);
	KUNIT_EXPECT_EQ(test, len, strlen(c->canonical));
	KUNIT_EXPECT_STREQ(test, mg_test_text(again), c->canonical);
	KUNIT_EXPECT_MEMEQ(test, mg_policy_hash(policy), mg_policy_hash(again), MG_HASH_LEN);
}

static void hash_is_sha256_of_the_text(struct kunit *test)
{
	static const char * const texts[] = {
		"default deny deny", "16 allow deny\ndefault allow allow\n",
	};
	/* sha256sum of the canonical texts */
	static const char * const hashes[] = {
		"a323a141f72e105d537e6aa1114dbde894b328fe3cf0db9a59d767837f07da34",
		"eef790aa85e337a941c926672e98b8448c84bad292c1f357b7536adb88229bae",
	};
	char hex[2 * MG_HASH_LEN + 1];
	int i;

	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		struct mg_policy *policy = mg_test_policy(test, texts[i]);

		snprintf(hex, sizeof(hex), "%*phN", MG_HASH_LEN, mg_policy_hash(policy));
		KUNIT_EXPECT_STREQ(test, hex, hashes[i]);
	}
}

static void lines_are_those_of_the_canonical_text(struct kunit *test)
{
	struct mg_policy *policy = mg_test_policy(test,
		"\n\n0x20 deny deny\n0x10-0x30 deny deny\n\ndefault allow allow\n");

	KUNIT_EXPECT_EQ(test, mg_policy_find(policy, 0)->line, 1);
	KUNIT_EXPECT_EQ(test, mg_policy_find(policy, 0x10)->line, 2);
	KUNIT_EXPECT_EQ(test, mg_policy_find(policy, 0x20)->line, 3);
}

static void rules_say_what_was_written(struct kunit *test)
{
	struct mg_policy *policy = mg_test_policy(test,
		"default drop allow audit\n"
		"0x10 mask=~0x7 mask=0x30,keep quiet\n"
		"0x11 deny mask=0x40,deny audit quiet\n");
	const struct mg_rule *rule = mg_policy_find(policy, 0);

	KUNIT_EXPECT_EQ(test, mg_policy_nr_rules(policy), 2);
	KUNIT_EXPECT_TRUE(test, rule->is_default);
	KUNIT_EXPECT_TRUE(test, rule->audit);
	KUNIT_EXPECT_FALSE(test, rule->quiet);
	KUNIT_EXPECT_EQ(test, rule->first, 0);
	KUNIT_EXPECT_EQ(test, rule->last, U32_MAX);
	KUNIT_EXPECT_EQ(test, rule->perm[MG_READ].action, MG_DROP);
	KUNIT_EXPECT_EQ(test, rule->perm[MG_READ].mask, 0);
	KUNIT_EXPECT_EQ(test, rule->perm[MG_WRITE].action, MG_ALLOW);
	KUNIT_EXPECT_EQ(test, rule->perm[MG_WRITE].mask, ~0ULL);

	rule = mg_policy_find(policy, 0x10);
	KUNIT_EXPECT_FALSE(test, rule->is_default);
	KUNIT_EXPECT_FALSE(test, rule->audit);
	KUNIT_EXPECT_TRUE(test, rule->quiet);
	KUNIT_EXPECT_EQ(test, rule->perm[MG_READ].action, MG_MASK);
	KUNIT_EXPECT_EQ(test, rule->perm[MG_READ].mask, ~7ULL);
	KUNIT_EXPECT_FALSE(test, rule->perm[MG_READ].keep);
	KUNIT_EXPECT_EQ(test, rule->perm[MG_WRITE].action, MG_MASK);
	KUNIT_EXPECT_EQ(test, rule->perm[MG_WRITE].mask, 0x30);
	KUNIT_EXPECT_TRUE(test, rule->perm[MG_WRITE].keep);

	rule = mg_policy_find(policy, 0x11);
	KUNIT_EXPECT_TRUE(test, rule->audit);
	KUNIT_EXPECT_TRUE(test, rule->quiet);
	KUNIT_EXPECT_EQ(test, rule->perm[MG_READ].action, MG_DENY);
	KUNIT_EXPECT_EQ(test, rule->perm[MG_WRITE].mask, 0x40);
	KUNIT_EXPECT_FALSE(test, rule->perm[MG_WRITE].keep);
}

/* The first index of the rule in force tells which it is; the default starts at 0. */
static void expect_rule(struct kunit *test, const struct mg_policy *policy, u32 index,
			u32 first, u32 last)
{
	const struct mg_rule *rule = mg_policy_find(policy, index);

	KUNIT_EXPECT_EQ_MSG(test, rule->first, first, "for 0x%x", index);
	KUNIT_EXPECT_EQ_MSG(test, rule->last, last, "for 0x%x", index);
}

static void narrowest_rule_wins(struct kunit *test)
{
	struct mg_policy *policy = mg_test_policy(test,
		"default deny deny\n"
		"0x100-0x1ff allow allow\n"
		"0x110-0x11f allow allow\n"
		"0x110-0x117 allow allow\n"	/* shares its first index */
		"0x11f allow allow\n"		/* and this one its last */
		"0x114-0x115 allow allow\n"
		"0x115 allow allow\n"
		"0x118-0x11e allow allow\n"	/* touches two of its kind */
		"0x1f0-0x1ff allow allow\n"
		"0x200-0x2ff allow allow\n");	/* touches the outer one */

	expect_rule(test, policy, 0x0ff, 0, U32_MAX);
	expect_rule(test, policy, 0x100, 0x100, 0x1ff);
	expect_rule(test, policy, 0x10f, 0x100, 0x1ff);
	expect_rule(test, policy, 0x110, 0x110, 0x117);
	expect_rule(test, policy, 0x113, 0x110, 0x117);
	expect_rule(test, policy, 0x114, 0x114, 0x115);
	expect_rule(test, policy, 0x115, 0x115, 0x115);
	expect_rule(test, policy, 0x116, 0x110, 0x117);
	expect_rule(test, policy, 0x117, 0x110, 0x117);
	expect_rule(test, policy, 0x118, 0x118, 0x11e);
	expect_rule(test, policy, 0x11e, 0x118, 0x11e);
	expect_rule(test, policy, 0x11f, 0x11f, 0x11f);
	expect_rule(test, policy, 0x120, 0x100, 0x1ff);
	expect_rule(test, policy, 0x1ef, 0x100, 0x1ff);
	expect_rule(test, policy, 0x1f0, 0x1f0, 0x1ff);
	expect_rule(test, policy, 0x1ff, 0x1f0, 0x1ff);
	expect_rule(test, policy, 0x200, 0x200, 0x2ff);
	expect_rule(test, policy, 0x300, 0, U32_MAX);
}

static void hits_are_counted_by_rule_and_direction(struct kunit *test)
{
	const struct mg_policy *policy = mg_test_policy(test,
		"default deny deny\n0x10-0x1f drop drop\n0x12 deny deny\n0x12345678 deny deny\n");
	/* The default, the range, the two single ones; reads and writes. */
	static const u64 want[4][MG_NR_DIRS] = { { 3, 0 }, { 1, 2 }, { 0, 4 }, { 5, 1 } };
	static const u32 of_rule[4] = { 0xffffffff, 0x10, 0x12, 0x12345678 };
	const struct mg_rule *rule;
	unsigned int nr, dir;
	u64 i;

	for (nr = 0; nr < 4; nr++)
		for (dir = 0; dir < MG_NR_DIRS; dir++)
			for (i = 0; i < want[nr][dir]; i++)
				mg_policy_count_hit(policy, mg_policy_find(policy, of_rule[nr]), dir);
	for (nr = 0; nr < 4; nr++) {
		rule = mg_policy_rule(policy, nr);
		KUNIT_ASSERT_NOT_NULL(test, rule);
		KUNIT_EXPECT_EQ(test, rule->is_default, !nr);
		KUNIT_EXPECT_PTR_EQ(test, rule, mg_policy_find(policy, of_rule[nr]));
		for (dir = 0; dir < MG_NR_DIRS; dir++)
			KUNIT_EXPECT_EQ_MSG(test, mg_policy_hits(policy, rule, dir), want[nr][dir],
					    "rule %u, direction %u", nr, dir);
	}
	KUNIT_EXPECT_NULL(test, mg_policy_rule(policy, 4));
	KUNIT_EXPECT_NULL(test, mg_policy_rule(policy, U32_MAX));
}

static void first_and_last_msr(struct kunit *test)
{
	struct mg_policy *policy = mg_test_policy(test,
		"default deny deny\n"
		"0 allow allow\n0-1 allow allow\n0-0xfffffffe allow allow\n"
		"0xfffffffe allow allow\n0xffffffff allow allow\n");

	expect_rule(test, policy, 0, 0, 0);
	expect_rule(test, policy, 1, 0, 1);
	expect_rule(test, policy, 2, 0, 0xfffffffe);
	expect_rule(test, policy, 0xfffffffd, 0, 0xfffffffe);
	expect_rule(test, policy, 0xfffffffe, 0xfffffffe, 0xfffffffe);
	expect_rule(test, policy, 0xffffffff, 0xffffffff, 0xffffffff);

	policy = mg_test_policy(test, "default deny deny\n0-0xffffffff allow allow\n"
				"0xfffffff0-0xffffffff allow allow\n");
	expect_rule(test, policy, 0xffffffff, 0xfffffff0, 0xffffffff);
	expect_rule(test, policy, 0xffffffef, 0, 0xffffffff);
	KUNIT_EXPECT_FALSE(test, mg_policy_find(policy, 0)->is_default);
}

static void map_bits_are_the_hardware_s(struct kunit *test)
{
	/* SDM and APM: 0x2000 bits each, low, high, AMD; then ours. */
	static const struct { u32 index; int bit; } bits[] = {
		{ 0x00000000, 0x0000 }, { 0x00001fff, 0x1fff }, { 0x00002000, -1 },
		{ 0xbfffffff, -1 }, { 0xc0000000, 0x2000 }, { 0xc0001fff, 0x3fff },
		{ 0xc0002000, -1 }, { 0xc000ffff, -1 }, { 0xc0010000, 0x4000 },
		{ 0xc0011fff, 0x5fff }, { 0xc0012000, -1 }, { 0xffffffff, -1 },
		{ 0x3fffffff, -1 }, { 0x40000000, 0x6000 }, { 0x40001fff, 0x7fff },
		{ 0x40002000, -1 }, { 0x4b563fff, -1 }, { 0x4b564000, 0x8000 },
		{ 0x4b564d00, 0x8d00 }, { 0x4b565fff, 0x9fff }, { 0x4b566000, -1 },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(bits); i++)
		KUNIT_EXPECT_EQ_MSG(test, mg_map_bit(bits[i].index), bits[i].bit, "0x%x",
				    bits[i].index);
}

/* By direction: how many bits are set, whether anything outside is guarded. */
static void expect_map(struct kunit *test, const char *text, int reads, int writes,
		       bool outside_reads, bool outside_writes)
{
	const struct mg_intercept_map *map = mg_policy_map(mg_test_policy(test, text));

	KUNIT_EXPECT_EQ_MSG(test, bitmap_weight(map->bits[MG_READ], MG_MAP_BITS), reads,
			    "%s", text);
	KUNIT_EXPECT_EQ_MSG(test, bitmap_weight(map->bits[MG_WRITE], MG_MAP_BITS), writes,
			    "%s", text);
	KUNIT_EXPECT_EQ_MSG(test, map->outside[MG_READ], outside_reads, "%s", text);
	KUNIT_EXPECT_EQ_MSG(test, map->outside[MG_WRITE], outside_writes, "%s", text);
}

static void intercept_map(struct kunit *test)
{
	const struct mg_intercept_map *map;

	expect_map(test, "default allow allow\n", 0, 0, false, false);
	expect_map(test, "default deny allow\n", MG_MAP_BITS, 0, true, false);
	expect_map(test, "default allow drop audit quiet\n", 0, MG_MAP_BITS, false, true);
	/* Each action but allow guards, options do not change that. */
	expect_map(test, "default allow allow\n1 deny allow\n2 drop allow\n3 mask=1 allow\n"
		   "4 mask=0 mask=~0,keep\n5 mask=~0 mask=0,keep\n6 allow deny audit quiet\n"
		   "7 allow\tallow audit quiet\n", 4, 2, false, false);
	/* Across the edge of a window, and into a gap. */
	expect_map(test, "default allow allow\n0x1fff-0x2000 deny allow\n", 1, 0, true, false);
	expect_map(test, "default allow allow\n0xbfffffff-0xc0000000 deny deny\n", 1, 1, true,
		   true);
	expect_map(test, "default allow allow\n0xc0001ffe-0xc0010001 allow deny\n", 0, 4, false,
		   true);
	expect_map(test, "default allow allow\n0xffffffff allow deny\n", 0, 0, false, true);
	/* All of the outside freed again, in two pieces with a window between them. */
	expect_map(test, "default deny deny\n0x2000-0xffffffff allow allow\n", 0x2000, 0x2000,
		   false, false);
	expect_map(test, "default deny deny\n0x2000-0xffffffff allow allow\n"
		   "0xffffffff deny allow\n", 0x2000, 0x2000, true, false);
	expect_map(test, "default deny deny\n0-0xfffffffe allow allow\n0xffffffff allow allow\n",
		   0, 0, false, false);
	/* Guarded by a range, each of its MSRs freed by a rule of its own. */
	expect_map(test, "default allow allow\n0x5000-0x5001 deny deny\n0x5000 allow allow\n"
		   "0x5001 allow deny\n", 0, 0, false, true);
	/* The innermost range counts. */
	expect_map(test, "default allow allow\n0-0xff deny deny\n0x10-0x1f allow allow\n"
		   "0x18-0x19 deny allow\n0x18 allow allow\n", 0xf0 + 1, 0xf0, false, false);

	map = mg_policy_map(mg_test_policy(test, "default allow allow\n0xc0010117 deny allow\n"
					   "0x40000070-0x40000071 allow deny\n"));
	KUNIT_EXPECT_TRUE(test, test_bit(0x4117, map->bits[MG_READ]));
	KUNIT_EXPECT_FALSE(test, test_bit(0x4117, map->bits[MG_WRITE]));
	KUNIT_EXPECT_TRUE(test, test_bit(0x6070, map->bits[MG_WRITE]));
	KUNIT_EXPECT_TRUE(test, test_bit(0x6071, map->bits[MG_WRITE]));
	KUNIT_EXPECT_FALSE(test, test_bit(0x6072, map->bits[MG_WRITE]));
}

#define OLD	0xff00ULL

/* One rule for 0x10, one access to it in enforcing mode. */
static const struct verdict_case {
	const char *rule;
	enum mg_dir dir;
	bool old_known;
	u64 value;
	enum mg_outcome outcome;
	u64 result;
} verdict_cases[] = {
	{ "allow deny", MG_READ, true, 0, MG_PASSED, 0 },
	{ "deny allow", MG_READ, true, 0, MG_DENIED, 0 },
	{ "drop allow", MG_READ, true, 0, MG_DROPPED, 0 },
	{ "deny allow", MG_READ, false, 0, MG_DENIED, 0 },
	{ "deny allow", MG_WRITE, false, 1, MG_PASSED, 0 },
	{ "allow deny", MG_WRITE, false, 1, MG_DENIED, 0 },
	{ "allow drop", MG_WRITE, false, 1, MG_DROPPED, 0 },
	/* masked reads: something hidden, nothing hidden, everything, not known */
	{ "mask=0xf000 allow", MG_READ, true, 0, MG_MASKED, 0xf000 },
	{ "mask=~0x00ff allow", MG_READ, true, 0, MG_PASSED, 0 },
	{ "mask=0xff00 allow", MG_READ, true, 0, MG_PASSED, 0 },
	{ "mask=0 allow", MG_READ, true, 0, MG_MASKED, 0 },
	{ "mask=0xff00 allow", MG_READ, false, 0, MG_DENIED, 0 },
	{ "mask=~0 deny", MG_READ, false, 0, MG_PASSED, 0 },
	/* masked writes that deny */
	{ "allow mask=0xff,deny", MG_WRITE, true, 0xff55, MG_PASSED, 0 },
	{ "allow mask=0xff,deny", MG_WRITE, true, OLD, MG_PASSED, 0 },
	{ "allow mask=0xff,deny", MG_WRITE, true, 0x1ff55, MG_DENIED, 0 },
	{ "allow mask=0xff,deny", MG_WRITE, true, 0xfe55, MG_DENIED, 0 },
	{ "allow mask=0xff,deny", MG_WRITE, true, 0, MG_DENIED, 0 },
	{ "allow mask=0,deny", MG_WRITE, true, OLD, MG_PASSED, 0 },
	{ "allow mask=0,deny", MG_WRITE, true, OLD | 1ULL << 63, MG_DENIED, 0 },
	{ "allow mask=~0xff00,deny", MG_WRITE, true, ~0ULL, MG_PASSED, 0 },
	{ "allow mask=~0xff00,deny", MG_WRITE, true, ~0x8000ULL, MG_DENIED, 0 },
	/* masked writes that keep */
	{ "allow mask=0xff,keep", MG_WRITE, true, 0xff55, MG_PASSED, 0 },
	{ "allow mask=0xff,keep", MG_WRITE, true, 0x1ff55, MG_MASKED, 0xff55 },
	{ "allow mask=0xff,keep", MG_WRITE, true, 0x55, MG_MASKED, 0xff55 },
	{ "allow mask=0,keep", MG_WRITE, true, 0, MG_MASKED, OLD },
	{ "allow mask=~0xff00,keep", MG_WRITE, true, ~0x8000ULL, MG_MASKED, ~0ULL },
	/* what cannot be judged is not let through */
	{ "allow mask=0xff,deny", MG_WRITE, false, 0x55, MG_DENIED, 0 },
	{ "allow mask=0xff,keep", MG_WRITE, false, 0x55, MG_DENIED, 0 },
	{ "allow mask=0xff,keep", MG_WRITE, false, 0x1ff55, MG_DENIED, 0 },
	{ "deny mask=~0,deny", MG_WRITE, false, 0x55, MG_PASSED, 0 },
};

static void describe_verdict(const struct verdict_case *c, char *name)
{
	snprintf(name, KUNIT_PARAM_DESC_SIZE, "%s: %s 0x%llx%s", c->rule,
		 c->dir == MG_READ ? "read" : "write", c->value,
		 c->old_known ? "" : ", old unknown");
}

KUNIT_ARRAY_PARAM(verdict, verdict_cases, describe_verdict);

static void expect_verdict(struct kunit *test, const struct mg_rule *rule,
			   enum mg_mode mode, const struct mg_access *access,
			   enum mg_outcome outcome, enum mg_outcome would_be, u64 value)
{
	struct mg_verdict verdict = mg_decide(rule, mode, access);

	KUNIT_EXPECT_EQ_MSG(test, verdict.outcome, outcome, "mode %d", mode);
	KUNIT_EXPECT_EQ_MSG(test, verdict.would_be, would_be, "mode %d", mode);
	KUNIT_EXPECT_EQ_MSG(test, verdict.value, value, "mode %d", mode);
}

static void verdicts(struct kunit *test)
{
	const struct verdict_case *c = test->param_value;
	const struct mg_access access = {
		.index = 0x10, .dir = c->dir, .value = c->value,
		/* What is not known must not be looked at. */
		.old_known = c->old_known, .old = c->old_known ? OLD : c->value,
	};
	enum mg_outcome audited = c->outcome == MG_PASSED ? MG_PASSED : MG_AUDITED;
	const struct mg_rule *rule;
	char text[80];

	snprintf(text, sizeof(text), "default allow allow\n0x10 %s\n", c->rule);
	rule = mg_policy_find(mg_test_policy(test, text), 0x10);
	expect_verdict(test, rule, MG_MODE_OFF, &access, MG_PASSED, MG_PASSED, 0);
	expect_verdict(test, rule, MG_MODE_AUDIT, &access, audited, c->outcome, 0);
	expect_verdict(test, rule, MG_MODE_ENFORCE, &access, c->outcome, c->outcome, c->result);

	snprintf(text, sizeof(text), "default allow allow\n0x10 %s audit quiet\n", c->rule);
	rule = mg_policy_find(mg_test_policy(test, text), 0x10);
	expect_verdict(test, rule, MG_MODE_OFF, &access, MG_PASSED, MG_PASSED, 0);
	expect_verdict(test, rule, MG_MODE_AUDIT, &access, audited, c->outcome, 0);
	expect_verdict(test, rule, MG_MODE_ENFORCE, &access, audited, c->outcome, 0);
}

static void default_decides_too(struct kunit *test)
{
	const struct mg_access access = { .index = 0x123456, .dir = MG_READ };
	struct mg_policy *policy = mg_test_policy(test, "default drop allow\n");
	const struct mg_rule *rule = mg_policy_find(policy, access.index);

	expect_verdict(test, rule, MG_MODE_ENFORCE, &access, MG_DROPPED, MG_DROPPED, 0);
	policy = mg_test_policy(test, "default deny allow audit\n");
	rule = mg_policy_find(policy, access.index);
	expect_verdict(test, rule, MG_MODE_ENFORCE, &access, MG_AUDITED, MG_DENIED, 0);
}

static void command_msrs_need_no_old_value(struct kunit *test)
{
	static const u32 commands[] = {
		0x49, 0x79, 0x10b, 0x80b, 0x83f, 0x40000070, 0x40000084, 0xc0010020,
	};
	struct mg_policy *policy = mg_test_policy(test,
		"default allow allow\n0-0xffffffff mask=0xf0 mask=0xf0,deny\n");
	const struct mg_rule *rule = mg_policy_find(policy, 0x49);
	struct mg_access access = { .dir = MG_WRITE };
	int i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		access = (struct mg_access){ .index = commands[i], .dir = MG_WRITE };
		KUNIT_EXPECT_FALSE_MSG(test, mg_needs_old(rule, &access), "0x%x",
				       access.index);
		/* Whatever is said of an old value that does not exist. */
		access.old = 0x1;
		for (access.old_known = false; ; access.old_known = true) {
			access.value = 0x10;
			expect_verdict(test, rule, MG_MODE_ENFORCE, &access, MG_PASSED,
				       MG_PASSED, 0);
			access.value = 0x11;
			expect_verdict(test, rule, MG_MODE_ENFORCE, &access, MG_DENIED,
				       MG_DENIED, 0);
			if (access.old_known)
				break;
		}
		access.dir = MG_READ;
		KUNIT_EXPECT_TRUE(test, mg_needs_old(rule, &access));
		/* Its neighbours are no commands. */
		access.dir = MG_WRITE;
		access.index = commands[i] + 1;
		KUNIT_EXPECT_TRUE(test, mg_needs_old(rule, &access));
		access.index = commands[i] - 1;
		KUNIT_EXPECT_TRUE(test, mg_needs_old(rule, &access));
	}
}

static void only_masks_need_the_old_value(struct kunit *test)
{
	static const char * const actions[] = { "allow", "deny", "drop", "mask=~0,deny" };
	struct mg_access access = { .index = 0x10, .dir = MG_WRITE };
	const struct mg_rule *rule;
	char text[80];
	int i;

	for (i = 0; i < ARRAY_SIZE(actions); i++) {
		snprintf(text, sizeof(text), "default deny deny\n0x10 mask=1 %s\n", actions[i]);
		rule = mg_policy_find(mg_test_policy(test, text), 0x10);
		access.dir = MG_WRITE;
		KUNIT_EXPECT_FALSE_MSG(test, mg_needs_old(rule, &access), "%s", actions[i]);
		KUNIT_EXPECT_EQ(test, mg_rule_guards(rule, MG_WRITE), i == 1 || i == 2);
		access.dir = MG_READ;
		KUNIT_EXPECT_TRUE(test, mg_needs_old(rule, &access));
		KUNIT_EXPECT_TRUE(test, mg_rule_guards(rule, MG_READ));
	}
}

/* What an encrypted guest's MSR needs: where some access may get through, it is not refused only. */
static void only_plain_denials_refuse_only(struct kunit *test)
{
	static const struct {
		const char *rule;
		bool refuses_only;
	} rules[] = {
		{ "deny", true }, { "drop", true }, { "allow", false },
		{ "mask=0xff,keep", false },
		{ "mask=0xff,deny", false }, { "deny audit", false }, { "drop audit", false },
		{ "deny quiet", true },
	};
	const struct mg_rule *rule;
	char text[80];
	int i;

	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		snprintf(text, sizeof(text), "default allow allow\n0x10 allow %s\n",
			 rules[i].rule);
		rule = mg_policy_find(mg_test_policy(test, text), 0x10);
		KUNIT_EXPECT_EQ_MSG(test, rules[i].refuses_only,
				    mg_rule_only_refuses(rule, MG_MODE_ENFORCE, MG_WRITE), "%s",
				    rules[i].rule);
		KUNIT_EXPECT_FALSE(test, mg_rule_only_refuses(rule, MG_MODE_ENFORCE, MG_READ));
		KUNIT_EXPECT_FALSE(test, mg_rule_only_refuses(rule, MG_MODE_AUDIT, MG_WRITE));
		KUNIT_EXPECT_FALSE(test, mg_rule_only_refuses(rule, MG_MODE_OFF, MG_WRITE));
	}
}

/* Add or remove a line and compare with the text expected. */
static void expect_edit(struct kunit *test, bool add, const char *base, const char *line,
			const char *expected)
{
	struct mg_policy *from = mg_test_policy(test, base);
	struct mg_policy *to = mg_test_policy(test, expected);
	struct mg_policy_error err;
	struct mg_policy *policy;

	policy = add ? mg_policy_add(from, line, strlen(line), &err) :
		       mg_policy_remove(from, line, strlen(line), &err);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(policy), "%s: %s", line, err.reason);
	KUNIT_EXPECT_STREQ(test, mg_test_text(policy), mg_test_text(to));
	KUNIT_EXPECT_MEMEQ(test, mg_policy_hash(policy), mg_policy_hash(to), MG_HASH_LEN);
	KUNIT_EXPECT_EQ(test, mg_policy_nr_rules(policy), mg_policy_nr_rules(to));
	KUNIT_EXPECT_MEMEQ(test, mg_policy_map(policy), mg_policy_map(to),
			   sizeof(struct mg_intercept_map));
	KUNIT_EXPECT_STREQ(test, err.reason, "");
	mg_policy_free(policy);
	/* The one it came from is as it was. */
	KUNIT_EXPECT_STREQ(test, mg_test_text(from),
			   mg_test_text(mg_test_policy(test, base)));
}

#define DENY	"default deny deny\n"
#define R10	"0x10 allow deny\n"
#define R100	"0x100-0x1ff allow allow\n"
#define R100_1	"0x100 drop drop\n"

static void add(struct kunit *test)
{
	static const char base[] = DENY R10 R100;

	expect_edit(test, true, "default deny deny", "1 allow deny",
		    "default deny deny\n1 allow deny\n");
	expect_edit(test, true, base, "  0x5 allow deny # first\n",
		    DENY "5 allow deny\n" R10 R100);
	expect_edit(test, true, base, "0x20 drop deny quiet",
		    DENY R10 "0x20 drop deny quiet\n" R100);
	expect_edit(test, true, base, "0xffffffff allow deny\n",
		    DENY R10 R100 "0xffffffff allow deny\n");
	/* around a rule, inside one, with the same first or last index */
	expect_edit(test, true, base, "0-0xfff drop drop\n",
		    DENY "0-0xfff drop drop\n" R10 R100);
	expect_edit(test, true, base, "0x100-0x101 drop drop\n",
		    DENY R10 R100 "0x100-0x101 drop drop\n");
	expect_edit(test, true, base, "0x1ff drop drop\n",
		    DENY R10 R100 "0x1ff drop drop\n");
	expect_edit(test, true, base, "default allow drop\n",
		    "default allow drop\n" R10 R100);
	expect_edit(test, true, "default deny deny", "default allow drop",
		    "default allow drop");
}

static void remove(struct kunit *test)
{
	static const char base[] = DENY R10 R100 R100_1;

	expect_edit(test, false, base, "0x10", DENY R100 R100_1);
	expect_edit(test, false, base, " 256-511\n", DENY R10 R100_1);
	expect_edit(test, false, base, "0x100\n", DENY R10 R100);
	/* Only the first word counts. */
	expect_edit(test, false, base, "0x100 allow what ever # nobody minds\n",
		    DENY R10 R100);
	expect_edit(test, false, "default drop drop\n7 allow allow", "7",
		    "default drop drop\n");
}

static void freeing_nothing(struct kunit *test)
{
	mg_policy_free(NULL);
}

static struct kunit_case policy_cases[] = {
	KUNIT_CASE_PARAM(canonical_text, text_gen_params),
	KUNIT_CASE(hash_is_sha256_of_the_text),
	KUNIT_CASE(lines_are_those_of_the_canonical_text),
	KUNIT_CASE(rules_say_what_was_written),
	KUNIT_CASE(narrowest_rule_wins),
	KUNIT_CASE(hits_are_counted_by_rule_and_direction),
	KUNIT_CASE(first_and_last_msr),
	KUNIT_CASE(map_bits_are_the_hardware_s),
	KUNIT_CASE(intercept_map),
	KUNIT_CASE_PARAM(verdicts, verdict_gen_params),
	KUNIT_CASE(default_decides_too),
	KUNIT_CASE(command_msrs_need_no_old_value),
	KUNIT_CASE(only_masks_need_the_old_value),
	KUNIT_CASE(only_plain_denials_refuse_only),
	KUNIT_CASE(add),
	KUNIT_CASE(remove),
	KUNIT_CASE(freeing_nothing),
	{}
};

static struct kunit_suite policy_suite = {
	.name = "msrguard-policy",
	.test_cases = policy_cases,
};

kunit_test_suites(&policy_suite);

MODULE_DESCRIPTION("KUnit tests of msrguard's policy engine");
MODULE_LICENSE("GPL");
