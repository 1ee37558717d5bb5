/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MG_SHIM_LINUX_ATOMIC_H
#define MG_SHIM_LINUX_ATOMIC_H

#include <linux/types.h>

static inline s64 atomic64_read(const atomic64_t *counter)
{
	return __atomic_load_n(&counter->counter, __ATOMIC_RELAXED);
}

static inline void atomic64_set(atomic64_t *counter, s64 value)
{
	__atomic_store_n(&counter->counter, value, __ATOMIC_RELAXED);
}

static inline void atomic64_add(s64 value, atomic64_t *counter)
{
	__atomic_fetch_add(&counter->counter, value, __ATOMIC_RELAXED);
}

static inline void atomic64_inc(atomic64_t *counter)
{
	atomic64_add(1, counter);
}

#endif /* MG_SHIM_LINUX_ATOMIC_H */
