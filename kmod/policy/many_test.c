// SPDX-License-Identifier: GPL-2.0
/* Many rules: loaded in reasonable time, and each of them found. */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "policy_test.h"

#define MANY		100000
/* So many ranges to nine times as many singles. */
#define NR_RANGES(nr)	((nr) / 10)
#define NR_SINGLES(nr)	((nr) - NR_RANGES(nr))
/* A stride that is odd takes every index once before it comes back. */
#define STRIDE		0x9e3779b1u

/* Below 2^31, in no order. */
static u32 nth_single(u32 n)
{
	return (n * STRIDE) >> 1;
}

/* The last of 16, above 2^31, the higher first. */
static u32 nth_range(u32 n)
{
	return U32_MAX - 32 * n;
}

static void free_text(void *text)
{
	kvfree(text);
}

/* Return: the microseconds that @nr rules in no order took to load. */
static s64 load_many(struct kunit *test, u32 nr, struct mg_policy **policy)
{
	size_t room = nr * 48 + 64, len;
	char *text = kvmalloc(room, GFP_KERNEL);
	ktime_t start;
	s64 us;
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, text);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_text, text));

	len = scnprintf(text, room, "default deny deny\n");
	for (i = 0; i < NR_SINGLES(nr); i++)
		len += scnprintf(text + len, room - len, "0x%x allow deny\n", nth_single(i));
	for (i = 0; i < NR_RANGES(nr); i++)
		len += scnprintf(text + len, room - len, "0x%x-0x%x deny allow\n",
				 nth_range(i) - 15, nth_range(i));
	KUNIT_ASSERT_LT(test, len, room - 1);

	start = ktime_get();
	*policy = mg_test_policy(test, text);
	us = ktime_us_delta(ktime_get(), start);
	kunit_info(test, "%u rules in no order loaded in %lld us", nr, us);
	return us;
}

static void a_hundred_thousand_rules(struct kunit *test)
{
	struct mg_policy *policy, *again;
	const struct mg_rule *rule;
	ktime_t start;
	s64 some, many;
	u32 i;

	/*
	 * 20 times as many, sorted, take some 30 times as long, and would take 400 times as long
	 * if each was compared with each; the rest is for a machine that is busy at the wrong
	 * moment. Seconds would tell how slow it is.
	 */
	some = load_many(test, MANY / 20, &policy);
	many = load_many(test, MANY, &policy);
	KUNIT_EXPECT_LT(test, many, 200 * some);
	KUNIT_EXPECT_EQ(test, mg_policy_nr_rules(policy), MANY);

	start = ktime_get();
	again = mg_test_policy(test, mg_test_text(policy));
	kunit_info(test, "the same in canonical order in %lld us",
		   ktime_us_delta(ktime_get(), start));
	KUNIT_EXPECT_MEMEQ(test, mg_policy_hash(policy), mg_policy_hash(again), MG_HASH_LEN);

	start = ktime_get();
	for (i = 0; i < NR_SINGLES(MANY); i++) {
		rule = mg_policy_find(policy, nth_single(i));
		if (rule->first != nth_single(i) || rule->last != rule->first)
			KUNIT_FAIL(test, "single %u not found", i);
	}
	for (i = 0; i < NR_RANGES(MANY); i++) {
		rule = mg_policy_find(policy, nth_range(i) - 7);
		if (rule->first != nth_range(i) - 15 || rule->last != nth_range(i))
			KUNIT_FAIL(test, "range %u not found", i);
		if (!mg_policy_find(policy, nth_range(i) - 16)->is_default)
			KUNIT_FAIL(test, "something below range %u", i);
	}
	kunit_info(test, "%u look-ups in %lld us", NR_SINGLES(MANY) + 2 * NR_RANGES(MANY),
		   ktime_us_delta(ktime_get(), start));
}

static struct kunit_case many_cases[] = {
	KUNIT_CASE(a_hundred_thousand_rules),
	{}
};

static struct kunit_suite many_suite = {
	.name = "msrguard-policy-many",
	.test_cases = many_cases,
};

kunit_test_suites(&many_suite);
