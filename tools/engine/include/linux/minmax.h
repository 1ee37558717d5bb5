/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MG_SHIM_LINUX_MINMAX_H
#define MG_SHIM_LINUX_MINMAX_H

#define min_t(type, a, b) ({			\
	type min_a = (a);			\
	type min_b = (b);			\
	min_a < min_b ? min_a : min_b; })

#define max_t(type, a, b) ({			\
	type max_a = (a);			\
	type max_b = (b);			\
	max_a > max_b ? max_a : max_b; })

/* The first one's type, which the kernel's own macros make sure is the second one's too. */
#define min(a, b)	min_t(__typeof__(a), a, b)
#define max(a, b)	max_t(__typeof__(a), a, b)

#endif /* MG_SHIM_LINUX_MINMAX_H */
