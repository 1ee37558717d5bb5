/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As much of the kernel as the files under test use, for a program.
 *
 * Each header of include/linux/ that they include is one line that includes this one.
 */
#ifndef MG_FUZZ_SHIM_H
#define MG_FUZZ_SHIM_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

#define U8_MAX		UINT8_MAX
#define U16_MAX		UINT16_MAX
#define U32_MAX		UINT32_MAX
#define U64_MAX		UINT64_MAX

#define __aligned(n)	__attribute__((aligned(n)))
#define __printf(a, b)	__attribute__((format(printf, a, b)))
#define __maybe_unused	__attribute__((unused))
#define fallthrough	__attribute__((fallthrough))
#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)

#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define ALIGN_MASK(x, mask)	(((x) + (mask)) & ~(mask))
#define ALIGN(x, a)		ALIGN_MASK(x, (typeof(x))(a) - 1)
#define ALIGN_DOWN(x, a)	((x) & ~((typeof(x))(a) - 1))
#define IS_ALIGNED(x, a)	(((x) & ((typeof(x))(a) - 1)) == 0)
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))

#define min(a, b)		((a) < (b) ? (a) : (b))
#define max(a, b)		((a) > (b) ? (a) : (b))
#define min3(a, b, c)		min(min(a, b), c)
#define min_t(type, a, b)	min((type)(a), (type)(b))
#define max_t(type, a, b)	max((type)(a), (type)(b))
#define is_power_of_2(n)	((n) && !((n) & ((n) - 1)))
#define div_u64(n, d)		((u64)(n) / (u32)(d))

/* In the kernel it is a line in the log; here it is what is looked for. */
#define WARN_ON_ONCE(condition) ({			\
	bool __warned = (condition);			\
							\
	if (__warned)					\
		abort();				\
	__warned;					\
})

enum shim_gfp { GFP_KERNEL, GFP_KERNEL_ACCOUNT };

static inline void *kvmalloc(size_t size, enum shim_gfp gfp)
{
	(void)gfp;
	return malloc(size);
}

static inline void *kvzalloc(size_t size, enum shim_gfp gfp)
{
	(void)gfp;
	return calloc(1, size);
}

#define kmalloc(size, gfp)	kvmalloc(size, gfp)
#define kzalloc(size, gfp)	kvzalloc(size, gfp)
#define kvfree(p)		free(p)
#define kfree(p)		free(p)

/* One thread. That a lock is taken twice or given back untaken is a fault all the same. */
struct mutex {
	bool is_held;
};

#define spinlock_t		struct mutex

#define SHIM_TAKE(lock)		do { if ((lock)->is_held) abort(); (lock)->is_held = true; } while (0)
#define SHIM_GIVE(lock)		do { if (!(lock)->is_held) abort(); (lock)->is_held = false; } while (0)
#define mutex_init(m)		((m)->is_held = false)
#define mutex_destroy(m)	((void)(m))
#define mutex_lock(m)		SHIM_TAKE(m)
#define mutex_unlock(m)		SHIM_GIVE(m)
#define spin_lock_init(l)	((l)->is_held = false)
#define spin_lock(l)		SHIM_TAKE(l)
#define spin_unlock(l)		SHIM_GIVE(l)

static inline int mutex_lock_killable(struct mutex *mutex)
{
	SHIM_TAKE(mutex);
	return 0;
}

#define current			NULL
#define fatal_signal_pending(task)	((void)(task), false)
#define cond_resched()		((void)0)

#define NSEC_PER_SEC		1000000000L
#define NSEC_PER_MSEC		1000000L
#define ktime_get_ns()		((u64)0)

static inline ssize_t strscpy(char *to, const char *from, size_t size)
{
	size_t len = strlen(from);

	if (!size)
		return -E2BIG;
	memcpy(to, from, min(len + 1, size));
	to[size - 1] = '\0';
	return len < size ? (ssize_t)len : -E2BIG;
}

#endif /* MG_FUZZ_SHIM_H */
