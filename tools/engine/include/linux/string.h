/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MG_SHIM_LINUX_STRING_H
#define MG_SHIM_LINUX_STRING_H

#include_next <linux/string.h>
#include <linux/types.h>
#include <string.h>

ssize_t strscpy(char *to, const char *from, size_t size);

static inline void *memset32(u32 *to, u32 value, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		to[i] = value;
	return to;
}

#endif /* MG_SHIM_LINUX_STRING_H */
