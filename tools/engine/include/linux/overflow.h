/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MG_SHIM_LINUX_OVERFLOW_H
#define MG_SHIM_LINUX_OVERFLOW_H

#include <linux/types.h>

#define check_add_overflow(a, b, sum)		__builtin_add_overflow(a, b, sum)
#define check_mul_overflow(a, b, product)	__builtin_mul_overflow(a, b, product)

/* A size no allocator has, if the product does not fit. */
static inline size_t array_size(size_t a, size_t b)
{
	size_t bytes;

	return check_mul_overflow(a, b, &bytes) ? SIZE_MAX : bytes;
}

#endif /* MG_SHIM_LINUX_OVERFLOW_H */
