/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MG_SHIM_LINUX_LOG2_H
#define MG_SHIM_LINUX_LOG2_H

/* The least power of two that is not below @n, as its exponent; 0 for 0 and 1. */
static inline int order_base_2(unsigned long n)
{
	return n > 1 ? (int)(sizeof(n) * 8) - __builtin_clzl(n - 1) : 0;
}

#endif /* MG_SHIM_LINUX_LOG2_H */
