/* SPDX-License-Identifier: GPL-2.0 */
/* As in the kernel: any char is safe, and no locale changes what a digit is. */
#ifndef MG_SHIM_LINUX_CTYPE_H
#define MG_SHIM_LINUX_CTYPE_H

#include <linux/types.h>

#define isdigit(c)	shim_isdigit(c)
#define isxdigit(c)	shim_isxdigit(c)
#define tolower(c)	shim_tolower(c)

static inline bool shim_isdigit(int c)
{
	return c >= '0' && c <= '9';
}

static inline bool shim_isxdigit(int c)
{
	return isdigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static inline int shim_tolower(int c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

#endif /* MG_SHIM_LINUX_CTYPE_H */
