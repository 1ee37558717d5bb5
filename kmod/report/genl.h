/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause) */
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/msrguard.yaml */
/* YNL-GEN kernel header */

#ifndef _LINUX_MSRGUARD_GEN_H
#define _LINUX_MSRGUARD_GEN_H

#include <net/netlink.h>
#include <net/genetlink.h>

#include <uapi/linux/msrguard.h>

extern const struct nla_policy msrguard_status_get_nl_policy[MSRGUARD_A_STATUS_PAD + 1];

extern const struct nla_policy msrguard_verify_nl_policy[MSRGUARD_A_VERIFY_VM_ID + 1];

extern const struct nla_policy msrguard_stats_get_nl_policy[MSRGUARD_A_STATS_PAD + 1];

extern const struct nla_policy msrguard_vm_get_nl_policy[MSRGUARD_A_VM_ID + 1];

extern const struct nla_policy msrguard_rule_get_nl_policy[MSRGUARD_A_RULE_PAD + 1];

/* Ops table for msrguard */
extern const struct genl_ops msrguard_nl_ops[5];

int msrguard_nl_verify_start(struct netlink_callback *cb);
int msrguard_nl_vm_get_start(struct netlink_callback *cb);
int msrguard_nl_verify_done(struct netlink_callback *cb);
int msrguard_nl_vm_get_done(struct netlink_callback *cb);

int msrguard_nl_status_get_doit(struct sk_buff *skb, struct genl_info *info);
int msrguard_nl_verify_dumpit(struct sk_buff *skb, struct netlink_callback *cb);
int msrguard_nl_stats_get_doit(struct sk_buff *skb, struct genl_info *info);
int msrguard_nl_vm_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb);
int msrguard_nl_rule_get_dumpit(struct sk_buff *skb,
				struct netlink_callback *cb);

enum {
	MSRGUARD_NLGRP_EVENTS,
};

#endif /* _LINUX_MSRGUARD_GEN_H */
