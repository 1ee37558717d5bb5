// SPDX-License-Identifier: GPL-2.0
/*
 * Random policies against a model too simple to be wrong.
 *
 * The model is the list of rules as they were made, not as they were parsed: a look-up
 * is a scan for the narrowest, a conflict is found by comparing all pairs, and a
 * verdict is made bit by bit.
 */
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "policy_test.h"

/* Change it to see other policies; a failure names the round, which depends on it. */
#define SEED		20261122
#define ROUNDS		4000
#define MAX_RULES	40
#define MAX_PROBES	(3 * (2 * MAX_RULES + 2 * MG_NR_WINDOWS + 2) + 16)

struct model_rule {
	u32 first;
	u32 last;
	struct mg_permission perm[MG_NR_DIRS];
	bool audit;
	bool quiet;
};

struct model {
	struct kunit *test;
	struct rnd_state random;
	unsigned int round;
	struct model_rule rules[MAX_RULES + 1];	/* the last is the default */
	unsigned int nr;
	u32 probes[MAX_PROBES];
	unsigned int nr_probes;
	char text[SZ_8K];
	size_t len;
};

#define DEFAULT_RULE	MAX_RULES

#define EXPECT(model, condition, fmt, ...)					\
	KUNIT_EXPECT_TRUE_MSG((model)->test, condition, "round %u: " fmt "\n%s",	\
			      (model)->round, ##__VA_ARGS__, (model)->text)

/* Less than @limit. */
static u32 below(struct model *model, u32 limit)
{
	return prandom_u32_state(&model->random) % limit;
}

static u64 random_u64(struct model *model)
{
	u64 high = prandom_u32_state(&model->random);

	return high << 32 | prandom_u32_state(&model->random);
}

/* Few bits, all but few, or any. */
static u64 random_mask(struct model *model)
{
	u64 few = BIT_ULL(below(model, 64)) | BIT_ULL(below(model, 64));

	switch (below(model, 5)) {
	case 0:
		return few;
	case 1:
		return ~few;
	case 2:
		return 0;
	case 3:
		return ~0ULL >> below(model, 64);
	default:
		return random_u64(model);
	}
}

static struct mg_permission random_permission(struct model *model, enum mg_dir dir,
					      bool masks)
{
	struct mg_permission perm = {};

	perm.action = below(model, masks ? MG_MASK + 1 : MG_MASK);
	if (perm.action == MG_ALLOW)
		perm.mask = ~0ULL;
	if (perm.action == MG_MASK) {
		perm.mask = random_mask(model);
		perm.keep = dir == MG_WRITE && below(model, 2);
	}
	return perm;
}

static void random_rule(struct model *model, struct model_rule *rule)
{
	/* Around each edge of each window, both ends, and nowhere in particular. */
	static const u32 places[] = {
		0, 0x1fe0, 0x40000000, 0x40001fe0, 0x4b563fe0, 0x4b565fe0, 0xbfffffe0,
		0xc0001fe0, 0xc000ffe0, 0xc0011fe0, 0xffffff80, 0x12345678,
	};
	static const u32 widths[] = { 1, 4, 16, 64, 0x3000, 0x40000000, 0xffffffff };
	u32 width = 0;

	rule->first = places[below(model, ARRAY_SIZE(places))] + below(model, 64);
	if (below(model, 3))
		width = below(model, widths[below(model, ARRAY_SIZE(widths))]);
	rule->last = min_t(u64, (u64)rule->first + width, U32_MAX);
	/* Now and then one that leaves the default nothing. */
	if (!below(model, 16)) {
		rule->first = 0;
		rule->last = U32_MAX;
	}
	rule->perm[MG_READ] = random_permission(model, MG_READ, true);
	rule->perm[MG_WRITE] = random_permission(model, MG_WRITE, true);
	rule->audit = !below(model, 4);
	rule->quiet = !below(model, 4);
}

static bool is_duplicate(const struct model_rule *a, const struct model_rule *b)
{
	return a->first == b->first && a->last == b->last;
}

static bool is_inside(const struct model_rule *inner, const struct model_rule *outer)
{
	return inner->first >= outer->first && inner->last <= outer->last;
}

static bool are_in_conflict(const struct model_rule *a, const struct model_rule *b)
{
	if (a->last < b->first || b->last < a->first)
		return false;
	return is_duplicate(a, b) || !(is_inside(a, b) || is_inside(b, a));
}

/* Rules without a conflict, or rules as they come. */
static void random_rules(struct model *model, bool only_valid)
{
	unsigned int tries = below(model, 2 * MAX_RULES);
	struct model_rule *rule;
	unsigned int i;

	model->nr = 0;
	while (tries-- && model->nr < MAX_RULES) {
		rule = &model->rules[model->nr];
		random_rule(model, rule);
		for (i = 0; i < model->nr; i++)
			if (are_in_conflict(rule, &model->rules[i]))
				break;
		if (i == model->nr || !only_valid)
			model->nr++;
	}
	rule = &model->rules[DEFAULT_RULE];
	*rule = (struct model_rule){ .last = U32_MAX };
	rule->perm[MG_READ] = random_permission(model, MG_READ, false);
	rule->perm[MG_WRITE] = random_permission(model, MG_WRITE, false);
}

static bool has_conflict(const struct model *model)
{
	unsigned int i, j;

	for (i = 0; i < model->nr; i++)
		for (j = 0; j < i; j++)
			if (are_in_conflict(&model->rules[i], &model->rules[j]))
				return true;
	return false;
}

__printf(2, 3)
static void print(struct model *model, const char *fmt, ...)
{
	size_t room = sizeof(model->text) - model->len;
	va_list args;

	va_start(args, fmt);
	model->len += vscnprintf(model->text + model->len, room, fmt, args);
	va_end(args);
}

/* Any way of writing the same number. */
static void print_number(struct model *model, u64 number)
{
	switch (below(model, 4)) {
	case 0:
		return print(model, "0x%llx", number);
	case 1:
		return print(model, "%llu", number);
	case 2:
		return print(model, "0X%llX", number);
	default:
		return print(model, "0x000%llx", number);
	}
}

static void print_blank(struct model *model)
{
	static const char * const blanks[] = { " ", "\t", "  ", " \t " };

	print(model, "%s", blanks[below(model, ARRAY_SIZE(blanks))]);
}

static void print_permission(struct model *model, const struct mg_permission *perm,
			     enum mg_dir dir)
{
	static const char * const names[] = { "allow", "deny", "drop" };

	print_blank(model);
	if (perm->action != MG_MASK) {
		print(model, "%s", names[perm->action]);
		return;
	}
	print(model, "mask=");
	if (below(model, 2)) {
		print(model, "~");
		print_number(model, ~perm->mask);
	} else {
		print_number(model, perm->mask);
	}
	if (dir == MG_WRITE)
		print(model, perm->keep ? ",keep" : ",deny");
}

static void print_rule(struct model *model, unsigned int i)
{
	const struct model_rule *rule = &model->rules[i];

	if (!below(model, 8))
		print_blank(model);
	if (i == DEFAULT_RULE) {
		print(model, "default");
	} else {
		print_number(model, rule->first);
		if (rule->last != rule->first || !below(model, 4)) {
			print(model, "-");
			print_number(model, rule->last);
		}
	}
	print_permission(model, &rule->perm[MG_READ], MG_READ);
	print_permission(model, &rule->perm[MG_WRITE], MG_WRITE);
	if (rule->audit)
		print(model, " audit");
	if (rule->quiet)
		print(model, " quiet");
	print(model, below(model, 8) ? "\n" : "# a comment\n");
	if (!below(model, 8))
		print(model, "\n");
}

/* From any of them on and around, the default anywhere between. */
static void print_text(struct model *model)
{
	unsigned int from = model->nr ? below(model, model->nr) : 0;
	unsigned int before = below(model, model->nr + 1);
	unsigned int i;

	model->len = 0;
	print(model, "%s", "");
	for (i = 0; i <= model->nr; i++) {
		if (i == before)
			print_rule(model, DEFAULT_RULE);
		if (i < model->nr)
			print_rule(model, (from + i) % model->nr);
	}
}

static const struct model_rule *model_find(const struct model *model, u32 index)
{
	const struct model_rule *best = &model->rules[DEFAULT_RULE];
	const struct model_rule *rule;

	for (rule = model->rules; rule < model->rules + model->nr; rule++)
		if (rule->first <= index && index <= rule->last &&
		    rule->last - rule->first <= best->last - best->first)
			best = rule;
	return best;
}

/* A mask of every bit is an allow. */
static bool model_guards(const struct model_rule *rule, enum mg_dir dir)
{
	return rule->perm[dir].action != MG_ALLOW && rule->perm[dir].mask != ~0ULL;
}

static void probe_around(struct model *model, u32 index)
{
	/* May go around: these are indices like others. */
	model->probes[model->nr_probes++] = index - 1;
	model->probes[model->nr_probes++] = index;
	model->probes[model->nr_probes++] = index + 1;
}

/* Where the answer may change is at the edges of rules and windows. */
static void choose_probes(struct model *model)
{
	static const u32 windows[] = { 0, 0xc0000000, 0xc0010000, 0x40000000, 0x4b564000 };
	unsigned int i;

	BUILD_BUG_ON(ARRAY_SIZE(windows) != MG_NR_WINDOWS);
	model->nr_probes = 0;
	for (i = 0; i < model->nr; i++) {
		probe_around(model, model->rules[i].first);
		probe_around(model, model->rules[i].last);
	}
	for (i = 0; i < ARRAY_SIZE(windows); i++) {
		probe_around(model, windows[i]);
		probe_around(model, windows[i] + 0x1fff);
	}
	for (i = 0; i < 16; i++)
		model->probes[model->nr_probes++] = prandom_u32_state(&model->random);
}

static bool same_permission(const struct mg_permission *perm,
			    const struct mg_permission *wanted)
{
	if (wanted->action == MG_MASK && wanted->mask == ~0ULL)
		return perm->action == MG_ALLOW && perm->mask == ~0ULL && !perm->keep;
	return perm->action == wanted->action && perm->mask == wanted->mask &&
	       perm->keep == wanted->keep;
}

static void compare_find(struct model *model, const struct mg_policy *policy, u32 index)
{
	const struct model_rule *wanted = model_find(model, index);
	const struct mg_rule *rule = mg_policy_find(policy, index);

	EXPECT(model, rule->first == wanted->first && rule->last == wanted->last &&
	       rule->is_default == (wanted == &model->rules[DEFAULT_RULE]),
	       "0x%x: 0x%x-0x%x found, 0x%x-0x%x wanted", index, rule->first, rule->last,
	       wanted->first, wanted->last);
	EXPECT(model, rule->audit == wanted->audit && rule->quiet == wanted->quiet,
	       "0x%x: wrong options", index);
	EXPECT(model, same_permission(&rule->perm[MG_READ], &wanted->perm[MG_READ]),
	       "0x%x: wrong read permission", index);
	EXPECT(model, same_permission(&rule->perm[MG_WRITE], &wanted->perm[MG_WRITE]),
	       "0x%x: wrong write permission", index);
}

static void compare_map(struct model *model, const struct mg_policy *policy, u32 index,
			bool outside[MG_NR_DIRS])
{
	const struct mg_intercept_map *map = mg_policy_map(policy);
	const struct model_rule *rule = model_find(model, index);
	int bit = mg_map_bit(index);
	enum mg_dir dir;

	for (dir = MG_READ; dir < MG_NR_DIRS; dir++) {
		bool guarded = model_guards(rule, dir);

		if (bit < 0)
			outside[dir] |= guarded;
		else
			EXPECT(model, test_bit(bit, map->bits[dir]) == guarded,
			       "0x%x: wrong bit for direction %d", index, dir);
	}
}

static enum mg_outcome model_outcome(const struct model_rule *rule,
				     const struct mg_access *access, bool command, u64 *value)
{
	const struct mg_permission *perm = &rule->perm[access->dir];
	bool old_known = access->old_known;
	u64 old = access->old;
	bool offends = false;
	u64 result = 0;
	int i;

	switch (perm->action) {
	case MG_ALLOW:
		return MG_PASSED;
	case MG_DENY:
		return MG_DENIED;
	case MG_DROP:
		return MG_DROPPED;
	}
	if (perm->mask == ~0ULL)
		return MG_PASSED;
	if (command && access->dir == MG_WRITE) {
		old = 0;
		old_known = true;
	}
	if (!old_known)
		return MG_DENIED;
	for (i = 0; i < 64; i++) {
		bool old_bit = old >> i & 1;
		bool new_bit = access->value >> i & 1;
		bool permitted = perm->mask >> i & 1;

		if (access->dir == MG_READ) {
			offends |= old_bit && !permitted;
			result |= (u64)(old_bit && permitted) << i;
		} else {
			offends |= old_bit != new_bit && !permitted;
			result |= (u64)(permitted ? new_bit : old_bit) << i;
		}
	}
	if (!offends)
		return MG_PASSED;
	if (access->dir == MG_WRITE && !perm->keep)
		return MG_DENIED;
	*value = result;
	return MG_MASKED;
}

static void compare_verdict(struct model *model, const struct mg_policy *policy, u32 index)
{
	static const u32 commands[] = {
		0x49, 0x79, 0x10b, 0x80b, 0x83f, 0x40000070, 0x40000084, 0xc0010020,
	};
	const struct model_rule *rule = model_find(model, index);
	enum mg_mode mode = below(model, MG_MODE_ENFORCE + 1);
	struct mg_access access = {
		.index = index,
		.dir = below(model, 2) ? MG_WRITE : MG_READ,
		.old_known = below(model, 8),
		.old = random_mask(model),
	};
	enum mg_outcome outcome, would_be;
	struct mg_verdict verdict;
	bool command = false;
	u64 value = 0;
	int i;

	/* Often a bit or two from the old one. */
	access.value = below(model, 4) ? access.old ^ random_mask(model) : access.old;
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		command |= commands[i] == index;

	would_be = model_outcome(rule, &access, command, &value);
	outcome = would_be;
	if (mode == MG_MODE_OFF) {
		would_be = MG_PASSED;
		outcome = MG_PASSED;
		value = 0;
	} else if (would_be != MG_PASSED && (rule->audit || mode == MG_MODE_AUDIT)) {
		outcome = MG_AUDITED;
		value = 0;
	}
	verdict = mg_decide(mg_policy_find(policy, index), mode, &access);
	EXPECT(model, verdict.outcome == outcome && verdict.would_be == would_be &&
	       verdict.value == value,
	       "mode %d dir %d 0x%x old 0x%llx (%d) new 0x%llx: %d/%d 0x%llx, not %d/%d 0x%llx",
	       mode, access.dir, index, access.old, access.old_known, access.value,
	       outcome, would_be, value, verdict.outcome, verdict.would_be, verdict.value);
}

static void compare_all(struct model *model, const struct mg_policy *policy)
{
	const struct mg_intercept_map *map = mg_policy_map(policy);
	bool outside[MG_NR_DIRS] = {};
	unsigned int i;

	EXPECT(model, mg_policy_nr_rules(policy) == model->nr, "%u rules, wanted %u",
	       mg_policy_nr_rules(policy), model->nr);
	choose_probes(model);
	for (i = 0; i < model->nr_probes; i++) {
		compare_find(model, policy, model->probes[i]);
		compare_map(model, policy, model->probes[i], outside);
		compare_verdict(model, policy, model->probes[i]);
	}
	EXPECT(model, map->outside[MG_READ] == outside[MG_READ] &&
	       map->outside[MG_WRITE] == outside[MG_WRITE], "wrong about the outside");
	/* Now and then every bit there is. */
	if (model->round % 64)
		return;
	for (i = 0; i < 0x2000; i++) {
		compare_map(model, policy, i, outside);
		compare_map(model, policy, 0xc0000000 + i, outside);
		compare_map(model, policy, 0xc0010000 + i, outside);
		compare_map(model, policy, 0x40000000 + i, outside);
		compare_map(model, policy, 0x4b564000 + i, outside);
	}
}

static void expect_same(struct model *model, const struct mg_policy *policy,
			const struct mg_policy *other, const char *what)
{
	size_t len, other_len;
	const char *text = mg_policy_text(policy, &len);
	const char *other_text = mg_policy_text(other, &other_len);

	EXPECT(model, len == other_len && !memcmp(text, other_text, len),
	       "%s: %s\nis not\n%s", what, text, other_text);
	EXPECT(model, !memcmp(mg_policy_hash(policy), mg_policy_hash(other), MG_HASH_LEN),
	       "%s: another hash", what);
	EXPECT(model, !memcmp(mg_policy_map(policy), mg_policy_map(other),
			      sizeof(struct mg_intercept_map)), "%s: another map", what);
}

/* The policy must still be that of the model when it was written and read again. */
static void round_trip(struct model *model, const struct mg_policy *policy)
{
	struct mg_policy_error err;
	struct mg_policy *again;
	const char *text;
	size_t len;

	text = mg_policy_text(policy, &len);
	again = mg_policy_parse(text, len, &err);
	EXPECT(model, !IS_ERR(again), "canonical text refused: %u:%u: %s\n%s", err.line,
	       err.column, err.reason, text);
	if (IS_ERR(again))
		return;
	expect_same(model, policy, again, "round trip");
	mg_policy_free(again);
}

/* Take one rule away, compare, and add it again. */
static void edit(struct model *model, const struct mg_policy *policy)
{
	struct mg_policy *less, *again;
	struct mg_policy_error err;
	struct model_rule removed;
	unsigned int i;
	char *line;
	size_t len;

	if (!model->nr)
		return;
	i = below(model, model->nr);
	len = model->len;
	line = model->text + len;
	print_rule(model, i);
	removed = model->rules[i];
	model->rules[i] = model->rules[--model->nr];

	/* print_rule() may have put an empty line behind. */
	i = strchr(line, '\n') - line + 1;
	less = mg_policy_remove(policy, line, i, &err);
	EXPECT(model, !IS_ERR(less), "not removed: %s", err.reason);
	if (IS_ERR(less))
		return;
	compare_all(model, less);
	again = mg_policy_add(less, line, i, &err);
	EXPECT(model, !IS_ERR(again), "not added: %s", err.reason);
	if (!IS_ERR(again)) {
		expect_same(model, policy, again, "add");
		mg_policy_free(again);
	}
	/* Adding it twice, or another that is in conflict, must not work. */
	again = mg_policy_add(policy, line, i, &err);
	EXPECT(model, again == ERR_PTR(-EEXIST), "added twice");
	mg_policy_free(less);
	model->rules[model->nr++] = removed;
	model->len = len;
	model->text[len] = '\0';
}

static void one_round(struct model *model, unsigned int *nr_refused)
{
	struct mg_policy_error err;
	struct mg_policy *policy;
	bool bad;

	random_rules(model, below(model, 8));
	print_text(model);
	KUNIT_ASSERT_LT(model->test, model->len, sizeof(model->text) - MG_LINE_MAX);
	bad = has_conflict(model);
	policy = mg_policy_parse(model->text, model->len, &err);
	if (bad) {
		++*nr_refused;
		EXPECT(model, policy == ERR_PTR(-EINVAL), "a conflict was not seen");
		EXPECT(model, err.line && err.column, "a conflict without a place");
	} else {
		EXPECT(model, !IS_ERR(policy), "refused: %u:%u: %s", err.line, err.column,
		       err.reason);
	}
	if (IS_ERR(policy))
		return;
	if (!bad) {
		compare_all(model, policy);
		round_trip(model, policy);
		edit(model, policy);
	}
	mg_policy_free(policy);
}

static void random_policies(struct kunit *test)
{
	struct model *model = kunit_kzalloc(test, sizeof(*model), GFP_KERNEL);
	unsigned int nr_refused = 0;

	KUNIT_ASSERT_NOT_NULL(test, model);
	model->test = test;
	prandom_seed_state(&model->random, SEED);
	/* The first failure says enough. */
	for (; model->round < ROUNDS && test->status != KUNIT_FAILURE; model->round++)
		one_round(model, &nr_refused);
	kunit_info(test, "seed %u: %u policies, %u of them with a conflict", SEED,
		   model->round, nr_refused);
	/* Both kinds were seen. */
	KUNIT_EXPECT_GT(test, nr_refused, ROUNDS / 20);
	KUNIT_EXPECT_LT(test, nr_refused, ROUNDS / 2);
}

static struct kunit_case model_cases[] = {
	KUNIT_CASE(random_policies),
	{}
};

static struct kunit_suite model_suite = {
	.name = "msrguard-policy-model",
	.test_cases = model_cases,
};

kunit_test_suites(&model_suite);
