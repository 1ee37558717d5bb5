/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MG_SHIM_LINUX_HASH_H
#define MG_SHIM_LINUX_HASH_H

#include <linux/types.h>

/* 2^32 divided by the golden ratio: neighbours fall far from each other. */
#define GOLDEN_RATIO_32	0x61c88647u

/* @bits is 1 to 32. */
static inline u32 hash_32(u32 value, unsigned int bits)
{
	return value * GOLDEN_RATIO_32 >> (32 - bits);
}

#endif /* MG_SHIM_LINUX_HASH_H */
