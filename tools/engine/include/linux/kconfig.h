/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MG_SHIM_LINUX_KCONFIG_H
#define MG_SHIM_LINUX_KCONFIG_H

/* A program has no kernel configuration, and an option that is not defined is 0 in an #if. */
#define IS_ENABLED(CONFIG_option)	(CONFIG_option)

#endif /* MG_SHIM_LINUX_KCONFIG_H */
