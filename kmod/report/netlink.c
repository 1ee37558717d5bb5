// SPDX-License-Identifier: GPL-2.0
/*
 * The generic-netlink family "msrguard": events to those who listen, and what is
 * in force to those who ask. Documentation/netlink/specs/msrguard.yaml has the
 * contract; the tables made from it are in genl.c.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/build_bug.h>
#include <linux/ktime.h>
#include <linux/printk.h>
#include <net/genetlink.h>

#include "genl.h"
#include "internal.h"

/* Our values go out as they are. */
static_assert((int)MG_MODE_OFF == MSRGUARD_MODE_OFF);
static_assert((int)MG_MODE_AUDIT == MSRGUARD_MODE_AUDIT);
static_assert((int)MG_MODE_ENFORCE == MSRGUARD_MODE_ENFORCE);
static_assert((int)MG_AUDITED == MSRGUARD_VERDICT_AUDITED);
static_assert((int)MG_DENIED == MSRGUARD_VERDICT_DENIED);
static_assert((int)MG_DROPPED == MSRGUARD_VERDICT_DROPPED);
static_assert((int)MG_MASKED == MSRGUARD_VERDICT_MASKED);
static_assert((int)MG_READ == MSRGUARD_DIRECTION_READ);
static_assert((int)MG_WRITE == MSRGUARD_DIRECTION_WRITE);
static_assert((int)MG_ORIGIN_EXIT == MSRGUARD_ORIGIN_EXIT);
static_assert((int)MG_ORIGIN_EMULATOR == MSRGUARD_ORIGIN_EMULATOR);
static_assert((int)MG_ORIGIN_NESTED_LIST == MSRGUARD_ORIGIN_NESTED_LIST);
static_assert((int)MG_IMAGE_PE == MSRGUARD_IMAGE_KIND_PE);
static_assert((int)MG_IMAGE_LINUX_KERNEL == MSRGUARD_IMAGE_KIND_LINUX_KERNEL);
static_assert((int)MG_IMAGE_LINUX_MODULE == MSRGUARD_IMAGE_KIND_LINUX_MODULE);

/* Space for an event with every attribute present. */
#define ACCESS_U64S	10	/* seq, time, vm-id, value, old, pc, generation, count, image-base, -size */
#define ACCESS_U32S	7	/* vm-pid, vcpu, msr, rule-first, -last, image-checksum, -timestamp */
#define ACCESS_U8S	6	/* direction, origin, cpl, verdict, would-be, image-kind */
#define ACCESS_FLAGS	1	/* nested */

static size_t access_size(void)
{
	return ACCESS_U64S * nla_total_size_64bit(sizeof(u64)) +
	       ACCESS_U32S * nla_total_size(sizeof(u32)) +
	       ACCESS_U8S * nla_total_size(sizeof(u8)) +
	       ACCESS_FLAGS * nla_total_size(0) +
	       nla_total_size(MG_IMAGE_NAME_LEN) +
	       nla_total_size(MG_BUILD_ID_MAX);
}

static size_t status_size(void)
{
	return nla_total_size(sizeof(u8)) +			/* mode */
	       nla_total_size_64bit(sizeof(u64)) +		/* generation */
	       nla_total_size(MG_HASH_LEN) +			/* hash */
	       nla_total_size(sizeof(u32)) +			/* rules */
	       3 * nla_total_size_64bit(sizeof(u64));		/* seq, events-sent, events-lost */
}

const struct mg_report_source *mg_netlink_source;

/*
 * Not the family the generator would write: ours stays out of other network
 * namespaces, whose administrators have no business with the host's guests, and the
 * generator cannot say that a group is for administrators only.
 */
static const struct genl_multicast_group mcgrps[] = {
	[MSRGUARD_NLGRP_EVENTS] = {
		.name	= MSRGUARD_MCGRP_EVENTS,
		.flags	= GENL_MCAST_CAP_NET_ADMIN | GENL_MCAST_CAP_SYS_ADMIN,
	},
};

struct genl_family mg_netlink_family __ro_after_init = {
	.name		= MSRGUARD_FAMILY_NAME,
	.version	= MSRGUARD_FAMILY_VERSION,
	.netnsok	= false,
	.parallel_ops	= true,
	.module		= THIS_MODULE,
	.ops		= msrguard_nl_ops,
	.n_ops		= ARRAY_SIZE(msrguard_nl_ops),
	.mcgrps		= mcgrps,
	.n_mcgrps	= ARRAY_SIZE(mcgrps),
};

int mg_netlink_put_u64(struct sk_buff *skb, int attr, u64 value)
{
	static_assert((int)MSRGUARD_A_ACCESS_PAD == MSRGUARD_A_STATUS_PAD);
	static_assert((int)MSRGUARD_A_ACCESS_PAD == MSRGUARD_A_VERIFY_PAD);
	static_assert((int)MSRGUARD_A_ACCESS_PAD == MSRGUARD_A_STATS_PAD);
	static_assert((int)MSRGUARD_A_ACCESS_PAD == MSRGUARD_A_VM_PAD);
	static_assert((int)MSRGUARD_A_ACCESS_PAD == MSRGUARD_A_RULE_PAD);

	return nla_put_u64_64bit(skb, attr, value, MSRGUARD_A_ACCESS_PAD);
}

static int put_image(struct sk_buff *skb, const struct mg_image *image)
{
	if (nla_put_u8(skb, MSRGUARD_A_ACCESS_IMAGE_KIND, image->kind) ||
	    mg_netlink_put_u64(skb, MSRGUARD_A_ACCESS_IMAGE_BASE, image->base))
		return -EMSGSIZE;

	if (image->size &&
	    mg_netlink_put_u64(skb, MSRGUARD_A_ACCESS_IMAGE_SIZE, image->size))
		return -EMSGSIZE;

	if (image->kind == MG_IMAGE_PE &&
	    (nla_put_u32(skb, MSRGUARD_A_ACCESS_IMAGE_CHECKSUM, image->checksum) ||
	     nla_put_u32(skb, MSRGUARD_A_ACCESS_IMAGE_TIMESTAMP, image->timestamp)))
		return -EMSGSIZE;

	if (image->name[0] && nla_put_string(skb, MSRGUARD_A_ACCESS_IMAGE_NAME, image->name))
		return -EMSGSIZE;

	if (!image->build_id_len)
		return 0;
	return nla_put(skb, MSRGUARD_A_ACCESS_IMAGE_BUILD_ID, image->build_id_len,
		       image->build_id);
}

static int put_access(struct sk_buff *skb, const struct mg_event *event, u64 seq)
{
	const struct mg_access *access = event->access;
	const struct mg_verdict *verdict = event->verdict;
	const struct mg_rule *rule = event->rule;

	if (mg_netlink_put_u64(skb, MSRGUARD_A_ACCESS_SEQ, seq) ||
	    mg_netlink_put_u64(skb, MSRGUARD_A_ACCESS_TIME, event->time) ||
	    mg_netlink_put_u64(skb, MSRGUARD_A_ACCESS_VM_ID, event->vm_id) ||
	    nla_put_u32(skb, MSRGUARD_A_ACCESS_VM_PID, event->vm_pid) ||
	    nla_put_u32(skb, MSRGUARD_A_ACCESS_VCPU, event->vcpu) ||
	    nla_put_u32(skb, MSRGUARD_A_ACCESS_MSR, access->index) ||
	    nla_put_u8(skb, MSRGUARD_A_ACCESS_DIRECTION, access->dir) ||
	    nla_put_u8(skb, MSRGUARD_A_ACCESS_ORIGIN, event->origin))
		return -EMSGSIZE;

	if (mg_event_value_known(event) &&
	    mg_netlink_put_u64(skb, MSRGUARD_A_ACCESS_VALUE, access->value))
		return -EMSGSIZE;

	if (mg_event_old_known(event) &&
	    mg_netlink_put_u64(skb, MSRGUARD_A_ACCESS_OLD, access->old))
		return -EMSGSIZE;

	if (event->regs_known &&
	    (mg_netlink_put_u64(skb, MSRGUARD_A_ACCESS_PC, event->pc) ||
	     nla_put_u8(skb, MSRGUARD_A_ACCESS_CPL, event->cpl)))
		return -EMSGSIZE;

	if (event->nested && nla_put_flag(skb, MSRGUARD_A_ACCESS_NESTED))
		return -EMSGSIZE;

	if (nla_put_u8(skb, MSRGUARD_A_ACCESS_VERDICT, verdict->outcome))
		return -EMSGSIZE;

	if (verdict->outcome == MG_AUDITED &&
	    nla_put_u8(skb, MSRGUARD_A_ACCESS_WOULD_BE, verdict->would_be))
		return -EMSGSIZE;

	if (!rule->is_default &&
	    (nla_put_u32(skb, MSRGUARD_A_ACCESS_RULE_FIRST, rule->first) ||
	     nla_put_u32(skb, MSRGUARD_A_ACCESS_RULE_LAST, rule->last)))
		return -EMSGSIZE;

	if (mg_netlink_put_u64(skb, MSRGUARD_A_ACCESS_GENERATION, event->generation) ||
	    mg_netlink_put_u64(skb, MSRGUARD_A_ACCESS_COUNT, event->count))
		return -EMSGSIZE;

	return event->image ? put_image(skb, event->image) : 0;
}

bool mg_netlink_listened(void)
{
	return genl_has_listeners(&mg_netlink_family, &init_net, MSRGUARD_NLGRP_EVENTS);
}

/*
 * That a socket has joined the group does not say where: the root of any network namespace may
 * join, and gets nothing. What nobody of ours was to get is no loss, else whoever has a user
 * namespace could make the host believe that its listeners fall behind. Netlink does not tell,
 * but it clones a message that has another user for the first socket that is to get it. If there
 * is no memory for the clone, only a socket with NETLINK_BROADCAST_ERROR makes that known.
 */
static enum mg_delivery multicast(struct sk_buff *skb)
{
	bool wanted;
	int err;

	skb_get(skb);
	err = genlmsg_multicast(&mg_netlink_family, skb, 0, MSRGUARD_NLGRP_EVENTS, GFP_KERNEL);
	wanted = skb->cloned;
	consume_skb(skb);

	if (!err)
		return MG_SENT;
	return wanted || err == -ENOBUFS ? MG_LOST : MG_NOT_SENT;
}

enum mg_delivery mg_netlink_send(const struct mg_event *event, u64 seq)
{
	struct sk_buff *skb;
	void *header;

	if (!mg_netlink_listened())
		return MG_NOT_SENT;

	/* Not accounted: a VMM at its memory limit must not make its events vanish. */
	skb = genlmsg_new(access_size(), GFP_KERNEL);
	if (!skb)
		return MG_LOST;

	header = genlmsg_put(skb, 0, 0, &mg_netlink_family, 0, MSRGUARD_CMD_ACCESS_NTF);
	if (!header || put_access(skb, event, seq)) {
		WARN_ON_ONCE(1);
		nlmsg_free(skb);
		return MG_LOST;
	}
	genlmsg_end(skb, header);
	return multicast(skb);
}

enum mg_delivery mg_netlink_send_lost(u64 vm_id, u32 vm_pid, u64 count, u64 seq)
{
	struct sk_buff *skb;
	void *header;

	if (!mg_netlink_listened())
		return MG_NOT_SENT;

	skb = genlmsg_new(access_size(), GFP_KERNEL);
	if (!skb)
		return MG_LOST;

	header = genlmsg_put(skb, 0, 0, &mg_netlink_family, 0, MSRGUARD_CMD_LOST_NTF);
	if (!header || mg_netlink_put_u64(skb, MSRGUARD_A_ACCESS_SEQ, seq) ||
	    mg_netlink_put_u64(skb, MSRGUARD_A_ACCESS_TIME, ktime_get_boottime_ns()) ||
	    mg_netlink_put_u64(skb, MSRGUARD_A_ACCESS_VM_ID, vm_id) ||
	    nla_put_u32(skb, MSRGUARD_A_ACCESS_VM_PID, vm_pid) ||
	    mg_netlink_put_u64(skb, MSRGUARD_A_ACCESS_COUNT, count)) {
		WARN_ON_ONCE(1);
		nlmsg_free(skb);
		return MG_LOST;
	}
	genlmsg_end(skb, header);
	return multicast(skb);
}

int msrguard_nl_status_get_doit(struct sk_buff *request, struct genl_info *info)
{
	struct mg_status status = {};
	struct sk_buff *skb;
	void *header;

	skb = genlmsg_new(status_size(), GFP_KERNEL);
	if (!skb)
		return -ENOMEM;

	header = genlmsg_put_reply(skb, info, &mg_netlink_family, 0, MSRGUARD_CMD_STATUS_GET);
	if (!header)
		goto err_free;

	mg_netlink_source->status(&status);
	if (nla_put_u8(skb, MSRGUARD_A_STATUS_MODE, status.mode) ||
	    mg_netlink_put_u64(skb, MSRGUARD_A_STATUS_GENERATION, status.generation) ||
	    nla_put(skb, MSRGUARD_A_STATUS_HASH, sizeof(status.hash), status.hash) ||
	    nla_put_u32(skb, MSRGUARD_A_STATUS_RULES, status.rules) ||
	    mg_netlink_put_u64(skb, MSRGUARD_A_STATUS_SEQ, mg_report_seq()) ||
	    mg_netlink_put_u64(skb, MSRGUARD_A_STATUS_EVENTS_SENT, mg_report_sent()) ||
	    mg_netlink_put_u64(skb, MSRGUARD_A_STATUS_EVENTS_LOST, mg_report_lost()))
		goto err_free;

	genlmsg_end(skb, header);
	return genlmsg_reply(skb, info);

err_free:
	nlmsg_free(skb);
	return -EMSGSIZE;
}

int mg_netlink_init(const struct mg_report_source *source)
{
	int err;

	mg_netlink_source = source;
	err = genl_register_family(&mg_netlink_family);
	if (err)
		pr_err("cannot register the netlink family %s: error %d%s\n",
		       mg_netlink_family.name, err,
		       err == -EEXIST ? ", another module has the name" : "");
	return err;
}

/* Also of what was not registered. */
void mg_netlink_exit(void)
{
	genl_unregister_family(&mg_netlink_family);
}
