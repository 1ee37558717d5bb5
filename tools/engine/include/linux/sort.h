/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MG_SHIM_LINUX_SORT_H
#define MG_SHIM_LINUX_SORT_H

#include <stdlib.h>

/*
 * The C library's, which is no heapsort and may be stable: the result is the kernel's as
 * long as no two elements compare equal.
 */
static inline void sort(void *base, size_t nr, size_t size,
			int (*compare)(const void *a, const void *b), void *swap)
{
	(void)swap;
	qsort(base, nr, size, compare);
}

#endif /* MG_SHIM_LINUX_SORT_H */
