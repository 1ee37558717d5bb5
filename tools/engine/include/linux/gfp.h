/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MG_SHIM_LINUX_GFP_H
#define MG_SHIM_LINUX_GFP_H

#include <linux/types.h>

#define GFP_KERNEL		0u
#define GFP_KERNEL_ACCOUNT	0u
#define __GFP_ZERO		1u

#endif /* MG_SHIM_LINUX_GFP_H */
