/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's types for the policy engine in a program. The C library's own header of
 * this name comes first, so that files which also speak netlink see one set of types.
 */
#ifndef MG_SHIM_LINUX_TYPES_H
#define MG_SHIM_LINUX_TYPES_H

#include_next <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;

#define gfp_t unsigned int

#define atomic64_t struct atomic64
struct atomic64 {
	s64 counter;
};

#endif /* MG_SHIM_LINUX_TYPES_H */
