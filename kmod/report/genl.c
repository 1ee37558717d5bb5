// SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause)
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/msrguard.yaml */
/* YNL-GEN kernel source */

#include <net/netlink.h>
#include <net/genetlink.h>

#include "genl.h"

#include <uapi/linux/msrguard.h>

/* MSRGUARD_CMD_STATUS_GET - do */
const struct nla_policy msrguard_status_get_nl_policy[MSRGUARD_A_STATUS_PAD + 1] = {
};

/* MSRGUARD_CMD_VERIFY - dump */
const struct nla_policy msrguard_verify_nl_policy[MSRGUARD_A_VERIFY_VM_ID + 1] = {
	[MSRGUARD_A_VERIFY_VM_ID] = { .type = NLA_U64, },
};

/* MSRGUARD_CMD_STATS_GET - do */
const struct nla_policy msrguard_stats_get_nl_policy[MSRGUARD_A_STATS_PAD + 1] = {
};

/* MSRGUARD_CMD_VM_GET - dump */
const struct nla_policy msrguard_vm_get_nl_policy[MSRGUARD_A_VM_ID + 1] = {
	[MSRGUARD_A_VM_ID] = { .type = NLA_U64, },
};

/* MSRGUARD_CMD_RULE_GET - dump */
const struct nla_policy msrguard_rule_get_nl_policy[MSRGUARD_A_RULE_PAD + 1] = {
};

/* Ops table for msrguard */
const struct genl_ops msrguard_nl_ops[5] = {
	{
		.cmd		= MSRGUARD_CMD_STATUS_GET,
		.doit		= msrguard_nl_status_get_doit,
		.policy		= msrguard_status_get_nl_policy,
		.maxattr	= MSRGUARD_A_STATUS_PAD,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= MSRGUARD_CMD_VERIFY,
		.start		= msrguard_nl_verify_start,
		.dumpit		= msrguard_nl_verify_dumpit,
		.done		= msrguard_nl_verify_done,
		.policy		= msrguard_verify_nl_policy,
		.maxattr	= MSRGUARD_A_VERIFY_VM_ID,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= MSRGUARD_CMD_STATS_GET,
		.doit		= msrguard_nl_stats_get_doit,
		.policy		= msrguard_stats_get_nl_policy,
		.maxattr	= MSRGUARD_A_STATS_PAD,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= MSRGUARD_CMD_VM_GET,
		.start		= msrguard_nl_vm_get_start,
		.dumpit		= msrguard_nl_vm_get_dumpit,
		.done		= msrguard_nl_vm_get_done,
		.policy		= msrguard_vm_get_nl_policy,
		.maxattr	= MSRGUARD_A_VM_ID,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= MSRGUARD_CMD_RULE_GET,
		.dumpit		= msrguard_nl_rule_get_dumpit,
		.policy		= msrguard_rule_get_nl_policy,
		.maxattr	= MSRGUARD_A_RULE_PAD,
		.flags		= GENL_ADMIN_PERM,
	},
};

static const struct genl_multicast_group msrguard_nl_mcgrps[] = {
	[MSRGUARD_NLGRP_EVENTS] = { "events", },
};
