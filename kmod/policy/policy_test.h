/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the policy engine's tests share.
 */
#ifndef MG_POLICY_TEST_H
#define MG_POLICY_TEST_H

#include <kunit/resource.h>
#include <kunit/test.h>

#include "policy.h"

static inline void mg_test_free_policy(void *policy)
{
	mg_policy_free(policy);
}

/* A policy from a text that must be good; freed when the test ends. */
static inline struct mg_policy *mg_test_policy(struct kunit *test, const char *text)
{
	struct mg_policy_error err;
	struct mg_policy *policy = mg_policy_parse(text, strlen(text), &err);

	if (IS_ERR(policy))
		KUNIT_FAIL_AND_ABORT(test, "%u:%u: %s in\n%s", err.line, err.column,
				     err.reason, text);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, mg_test_free_policy,
							   policy));
	return policy;
}

static inline const char *mg_test_text(const struct mg_policy *policy)
{
	size_t len;

	return mg_policy_text(policy, &len);
}

#endif /* MG_POLICY_TEST_H */
