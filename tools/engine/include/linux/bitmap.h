/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MG_SHIM_LINUX_BITMAP_H
#define MG_SHIM_LINUX_BITMAP_H

#include <linux/bitops.h>

void bitmap_set(unsigned long *map, unsigned int start, unsigned int count);
void bitmap_clear(unsigned long *map, unsigned int start, unsigned int count);

#endif /* MG_SHIM_LINUX_BITMAP_H */
