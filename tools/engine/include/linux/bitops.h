/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MG_SHIM_LINUX_BITOPS_H
#define MG_SHIM_LINUX_BITOPS_H

#include <linux/bits.h>
#include <linux/types.h>

static inline unsigned int hweight64(u64 word)
{
	return __builtin_popcountll(word);
}

static inline void __assign_bit(unsigned int nr, unsigned long *map, bool value)
{
	if (value)
		map[BIT_WORD(nr)] |= BIT_MASK(nr);
	else
		map[BIT_WORD(nr)] &= ~BIT_MASK(nr);
}

static inline bool test_bit(unsigned int nr, const unsigned long *map)
{
	return map[BIT_WORD(nr)] & BIT_MASK(nr);
}

#endif /* MG_SHIM_LINUX_BITOPS_H */
