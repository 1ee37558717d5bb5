/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MG_SHIM_LINUX_SLAB_H
#define MG_SHIM_LINUX_SLAB_H

#include <linux/gfp.h>

void *kvmalloc(size_t size, gfp_t flags);
void kvfree(const void *memory);

#define kmalloc(size, flags)		kvmalloc(size, flags)
#define kzalloc(size, flags)		kvmalloc(size, (flags) | __GFP_ZERO)
#define kvzalloc(size, flags)		kvmalloc(size, (flags) | __GFP_ZERO)
#define kfree(memory)			kvfree(memory)

#endif /* MG_SHIM_LINUX_SLAB_H */
