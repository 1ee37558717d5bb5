/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MG_SYSFS_H
#define MG_SYSFS_H

#include <linux/sysfs.h>

/** mg_sysfs_init - create /sys/kernel/msrguard; from here on root can change what is in force */
int mg_sysfs_init(void);
/** mg_sysfs_exit - remove it and wait for those who are inside */
void mg_sysfs_exit(void);

/* policy/ and rules/, see sysfs_policy.c */
extern const struct attribute_group mg_sysfs_policy_group;
extern const struct attribute_group mg_sysfs_rules_group;

/** mg_sysfs_policy_exit - drop what is staged */
void mg_sysfs_policy_exit(void);

#endif /* MG_SYSFS_H */
