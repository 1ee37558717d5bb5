/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MG_SHIM_LINUX_COMPILER_ATTRIBUTES_H
#define MG_SHIM_LINUX_COMPILER_ATTRIBUTES_H

#define __printf(format_at, args_at) __attribute__((format(printf, format_at, args_at)))

#endif /* MG_SHIM_LINUX_COMPILER_ATTRIBUTES_H */
