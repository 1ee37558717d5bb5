// SPDX-License-Identifier: GPL-2.0
/*
 * The one place the policy engine gets memory from, so that a KUnit test can make
 * any allocation fail and see whether what came before it is given back.
 */
#include <linux/gfp.h>
#include <linux/kconfig.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "internal.h"

#if IS_ENABLED(CONFIG_MSRGUARD_KUNIT_TEST)
#if __has_include("kunit/static_stub.h")
#include <kunit/static_stub.h>
#endif
#endif
/* Not a test build, or Linux 6.1, which has KUnit but not its static stubs. */
#ifndef KUNIT_STATIC_STUB_REDIRECT
#define KUNIT_STATIC_STUB_REDIRECT(...) do {} while (0)
#endif

/**
 * mg_policy_alloc - memory for an array, not cleared
 * @nr:   number of elements, bounded by the caller
 * @size: size of one
 *
 * Charged to whoever loads the policy.
 *
 * Return: the memory, to be freed by mg_policy_release(), or NULL.
 */
void *mg_policy_alloc(size_t nr, size_t size)
{
	KUNIT_STATIC_STUB_REDIRECT(mg_policy_alloc, nr, size);

	return kvmalloc(array_size(nr, size), GFP_KERNEL_ACCOUNT);
}

/**
 * mg_policy_release - free what mg_policy_alloc() gave
 * @memory: the memory; NULL is fine
 */
void mg_policy_release(void *memory)
{
	KUNIT_STATIC_STUB_REDIRECT(mg_policy_release, memory);

	kvfree(memory);
}
