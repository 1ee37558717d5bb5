// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that fails: whichever allocation it is, the policy engine says so, has given
 * back what it held, and has changed nothing.
 */
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "internal.h"
#include "policy_test.h"

#if __has_include("kunit/static_stub.h")
#include <kunit/static_stub.h>
#define HAVE_STATIC_STUBS 1
#endif

#ifdef HAVE_STATIC_STUBS

struct failing_memory {
	unsigned int nr_calls;
	unsigned int fail_at;	/* counted from 0 */
	int nr_held;
};

static void *failing_alloc(size_t nr, size_t size)
{
	struct failing_memory *memory = kunit_get_current_test()->priv;

	if (memory->nr_calls++ == memory->fail_at)
		return NULL;
	memory->nr_held++;
	return kvmalloc_array(nr, size, GFP_KERNEL);
}

static void counting_release(void *allocated)
{
	struct failing_memory *memory = kunit_get_current_test()->priv;

	memory->nr_held -= !!allocated;
	kvfree(allocated);
}

/* What fails must have given back all it took, and what works be freed in full. */
static void fail_each_allocation(struct kunit *test, const struct mg_policy *base,
				 const char *what, const char *text, size_t len,
				 unsigned int min_calls)
{
	struct failing_memory memory = {};
	struct mg_policy_error err;
	struct mg_policy *policy;

	test->priv = &memory;
	kunit_activate_static_stub(test, mg_policy_alloc, failing_alloc);
	kunit_activate_static_stub(test, mg_policy_release, counting_release);
	for (;; memory.fail_at++) {
		memory.nr_calls = 0;
		if (!base)
			policy = mg_policy_parse(text, len, &err);
		else if (!strcmp(what, "remove"))
			policy = mg_policy_remove(base, text, len, &err);
		else
			policy = mg_policy_add(base, text, len, &err);
		if (!IS_ERR(policy))
			break;
		KUNIT_ASSERT_EQ_MSG(test, PTR_ERR(policy), -ENOMEM, "%s, allocation %u", what,
				    memory.fail_at);
		KUNIT_EXPECT_EQ_MSG(test, memory.nr_held, 0, "%s, allocation %u", what,
				    memory.fail_at);
		KUNIT_EXPECT_EQ(test, memory.nr_calls, memory.fail_at + 1);
		KUNIT_EXPECT_EQ(test, err.line, 0);
		KUNIT_EXPECT_STREQ(test, err.reason, "out of memory");
	}
	mg_policy_free(policy);
	KUNIT_EXPECT_EQ_MSG(test, memory.nr_held, 0, "%s", what);
	/* It worked since no allocation was left to fail. */
	KUNIT_EXPECT_EQ(test, memory.nr_calls, memory.fail_at);
	KUNIT_EXPECT_GE(test, memory.nr_calls, min_calls);
	kunit_info(test, "%s: each of %u allocations failed once", what, memory.nr_calls);
	kunit_deactivate_static_stub(test, mg_policy_alloc);
	kunit_deactivate_static_stub(test, mg_policy_release);
	test->priv = NULL;
}

static void failing_allocations(struct kunit *test)
{
	char *text = kunit_kzalloc(test, SZ_16K, GFP_KERNEL);
	struct mg_policy *base;
	size_t len, base_len;
	char *before;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, text);
	/* Enough for the list of rules to grow twice. */
	len = scnprintf(text, SZ_16K, "default deny deny\n");
	for (i = 0; i < 100; i++)
		len += scnprintf(text + len, SZ_16K - len, "%d-%d allow allow\n%d drop drop\n",
				 10 * i, 10 * i + 9, 10 * i + 1);
	KUNIT_ASSERT_LT(test, len, SZ_16K - 1);

	/* lists of 64, 128, 256 and 200 rules; policy, links, segments, buckets, text, counters */
	fail_each_allocation(test, NULL, "parse", text, len, 10);
	base = mg_test_policy(test, text);
	before = kunit_kstrdup(test, mg_policy_text(base, &base_len), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, before);
	fail_each_allocation(test, base, "add", "5000 allow deny", 15, 7);
	fail_each_allocation(test, base, "replace", "default drop drop", 17, 7);
	fail_each_allocation(test, base, "remove", "0x1", 3, 7);
	KUNIT_EXPECT_STREQ(test, mg_policy_text(base, &base_len), before);

	/* Nothing but a default takes no more than a policy, its text and counters. */
	fail_each_allocation(test, NULL, "parse default", "default deny deny", 17, 3);
}

#else

static void failing_allocations(struct kunit *test)
{
	kunit_skip(test, "this kernel has no static stubs");
}

#endif /* HAVE_STATIC_STUBS */

static struct kunit_case memory_cases[] = {
	KUNIT_CASE(failing_allocations),
	{}
};

static struct kunit_suite memory_suite = {
	.name = "msrguard-policy-memory",
	.test_cases = memory_cases,
};

kunit_test_suites(&memory_suite);
