/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MG_SHIM_LINUX_BITS_H
#define MG_SHIM_LINUX_BITS_H

#include <limits.h>

#define BITS_PER_LONG	((unsigned int)(sizeof(long) * CHAR_BIT))
#define BIT(nr)		(1UL << (nr))
#define BIT_ULL(nr)	(1ULL << (nr))
#define BIT_WORD(nr)	((nr) / BITS_PER_LONG)
#define BIT_MASK(nr)	(1UL << ((nr) % BITS_PER_LONG))

#endif /* MG_SHIM_LINUX_BITS_H */
