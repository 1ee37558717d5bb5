/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MG_SHIM_LINUX_KERNEL_H
#define MG_SHIM_LINUX_KERNEL_H

#include_next <linux/kernel.h>
#include <linux/compiler_attributes.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/types.h>
#include <stdarg.h>

/* Return: what was written, without the NUL; not what would have been. */
int vscnprintf(char *buf, size_t size, const char *fmt, va_list args) __printf(3, 0);
int scnprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);

#endif /* MG_SHIM_LINUX_KERNEL_H */
