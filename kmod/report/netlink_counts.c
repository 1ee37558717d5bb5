// SPDX-License-Identifier: GPL-2.0
/*
 * What was counted: of the host ("stats-get"), of each VM ("vm-get"), of each rule ("rule-get").
 */
#include <linux/mm.h>
#include <net/genetlink.h>

#include "genl.h"
#include "internal.h"

/* Our values go out as they are. */
static_assert((int)MG_ALLOW == MSRGUARD_ACTION_ALLOW);
static_assert((int)MG_DENY == MSRGUARD_ACTION_DENY);
static_assert((int)MG_DROP == MSRGUARD_ACTION_DROP);
static_assert((int)MG_MASK == MSRGUARD_ACTION_MASK);

static int put_stats(struct sk_buff *skb)
{
	static const struct {
		int attr;
		enum mg_counter counter;
	} counters[] = {
		{ MSRGUARD_A_STATS_READS, MG_COUNT_READS },
		{ MSRGUARD_A_STATS_WRITES, MG_COUNT_WRITES },
		{ MSRGUARD_A_STATS_DENIED, MG_COUNT_DENIED },
		{ MSRGUARD_A_STATS_DROPPED, MG_COUNT_DROPPED },
		{ MSRGUARD_A_STATS_MASKED, MG_COUNT_MASKED },
		{ MSRGUARD_A_STATS_AUDITED, MG_COUNT_AUDITED },
		{ MSRGUARD_A_STATS_QUIET, MG_COUNT_QUIET },
		{ MSRGUARD_A_STATS_OVERFLOWED, MG_COUNT_OVERFLOWED },
	};
	/* Before the others: an answer with none pending counts all that was delivered or lost. */
	u64 pending = mg_report_pending();
	const struct {
		int attr;
		u64 value;
	} values[] = {
		{ MSRGUARD_A_STATS_PENDING, pending },
		{ MSRGUARD_A_STATS_SEQ, mg_report_seq() },
		{ MSRGUARD_A_STATS_LOST, mg_report_accesses_lost() },
		{ MSRGUARD_A_STATS_EVENTS_SENT, mg_report_sent() },
		{ MSRGUARD_A_STATS_EVENTS_LOST, mg_report_lost() },
		{ MSRGUARD_A_STATS_UNATTRIBUTED, mg_netlink_source->unattributed() },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(counters); i++)
		if (mg_netlink_put_u64(skb, counters[i].attr,
				       mg_account_counter(NULL, counters[i].counter)))
			return -EMSGSIZE;
	for (i = 0; i < ARRAY_SIZE(values); i++)
		if (mg_netlink_put_u64(skb, values[i].attr, values[i].value))
			return -EMSGSIZE;
	return 0;
}

int msrguard_nl_stats_get_doit(struct sk_buff *request, struct genl_info *info)
{
	struct sk_buff *skb;
	void *header;

	skb = genlmsg_new(MSRGUARD_A_STATS_MAX * nla_total_size_64bit(sizeof(u64)), GFP_KERNEL);
	if (!skb)
		return -ENOMEM;

	header = genlmsg_put_reply(skb, info, &mg_netlink_family, 0, MSRGUARD_CMD_STATS_GET);
	if (!header || put_stats(skb)) {
		nlmsg_free(skb);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, header);
	return genlmsg_reply(skb, info);
}

/**
 * struct vm_position - how far a dump of VMs has come, in netlink_callback's own memory
 * @rows: what is told
 * @next: the next row
 */
struct vm_position {
	struct mg_vm_rows *rows;
	u32 next;
};

static struct vm_position *vm_position_of(struct netlink_callback *cb)
{
	BUILD_BUG_ON(sizeof(struct vm_position) > sizeof(cb->ctx));
	return (struct vm_position *)cb->ctx;
}

static void *put_header(struct sk_buff *skb, const struct netlink_callback *cb, u8 cmd)
{
	return genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			   &mg_netlink_family, NLM_F_MULTI, cmd);
}

static int put_vm(struct sk_buff *skb, const struct mg_vm_row *row)
{
	static const int attrs[MG_NR_COUNTERS] = {
		[MG_COUNT_READS] = MSRGUARD_A_VM_READS,
		[MG_COUNT_WRITES] = MSRGUARD_A_VM_WRITES,
		[MG_COUNT_DENIED] = MSRGUARD_A_VM_DENIED,
		[MG_COUNT_DROPPED] = MSRGUARD_A_VM_DROPPED,
		[MG_COUNT_MASKED] = MSRGUARD_A_VM_MASKED,
		[MG_COUNT_AUDITED] = MSRGUARD_A_VM_AUDITED,
		[MG_COUNT_QUIET] = MSRGUARD_A_VM_QUIET,
		[MG_COUNT_OVERFLOWED] = MSRGUARD_A_VM_OVERFLOWED,
	};
	int i;

	if (mg_netlink_put_u64(skb, MSRGUARD_A_VM_ID, row->id) ||
	    nla_put_u32(skb, MSRGUARD_A_VM_PID, row->pid) ||
	    nla_put_u32(skb, MSRGUARD_A_VM_VCPUS, row->vcpus) ||
	    mg_netlink_put_u64(skb, MSRGUARD_A_VM_PENDING, row->pending))
		return -EMSGSIZE;
	for (i = 0; i < MG_NR_COUNTERS; i++)
		if (mg_netlink_put_u64(skb, attrs[i], row->counters[i]))
			return -EMSGSIZE;
	if (mg_netlink_put_u64(skb, MSRGUARD_A_VM_IMAGE_LOOKUPS, row->images.lookups) ||
	    mg_netlink_put_u64(skb, MSRGUARD_A_VM_IMAGE_HITS, row->images.hits) ||
	    mg_netlink_put_u64(skb, MSRGUARD_A_VM_IMAGE_PAGES, row->images.pages))
		return -EMSGSIZE;
	return mg_netlink_put_u64(skb, MSRGUARD_A_VM_IMAGE_SPENT, row->images.spent);
}

int msrguard_nl_vm_get_start(struct netlink_callback *cb)
{
	const struct nlattr *id = nlmsg_find_attr(cb->nlh, GENL_HDRLEN, MSRGUARD_A_VM_ID);
	struct vm_position *at = vm_position_of(cb);
	struct mg_vm_rows *rows;

	/* No VM has the id 0, which would ask for all. */
	rows = id && !nla_get_u64(id) ? ERR_PTR(-ENOENT) :
					mg_netlink_source->vms(id ? nla_get_u64(id) : 0);
	if (IS_ERR(rows)) {
		if (PTR_ERR(rows) == -ENOENT)
			NL_SET_ERR_MSG_ATTR(cb->extack, id, "no VM has this id");
		return PTR_ERR(rows);
	}
	at->rows = rows;
	at->next = 0;
	return 0;
}

int msrguard_nl_vm_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct vm_position *at = vm_position_of(cb);

	for (; at->next < at->rows->nr; at->next++) {
		void *header = put_header(skb, cb, MSRGUARD_CMD_VM_GET);

		if (!header || put_vm(skb, &at->rows->rows[at->next])) {
			if (header)
				genlmsg_cancel(skb, header);
			/* There is room in the next message; an empty one always has some. */
			return skb->len ?: -EMSGSIZE;
		}
		genlmsg_end(skb, header);
	}
	return skb->len;
}

int msrguard_nl_vm_get_done(struct netlink_callback *cb)
{
	kvfree(vm_position_of(cb)->rows);
	return 0;
}

static int put_permission(struct sk_buff *skb, const struct mg_permission *perm, int action_attr,
			  int mask_attr)
{
	if (nla_put_u8(skb, action_attr, perm->action))
		return -EMSGSIZE;
	return perm->action == MG_MASK ? mg_netlink_put_u64(skb, mask_attr, perm->mask) : 0;
}

static int put_rule(struct sk_buff *skb, const struct mg_rule_row *row)
{
	const struct mg_rule *rule = &row->rule;

	if (!rule->is_default &&
	    (nla_put_u32(skb, MSRGUARD_A_RULE_FIRST, rule->first) ||
	     nla_put_u32(skb, MSRGUARD_A_RULE_LAST, rule->last)))
		return -EMSGSIZE;
	if (put_permission(skb, &rule->perm[MG_READ], MSRGUARD_A_RULE_READ_ACTION,
			   MSRGUARD_A_RULE_READ_MASK) ||
	    put_permission(skb, &rule->perm[MG_WRITE], MSRGUARD_A_RULE_WRITE_ACTION,
			   MSRGUARD_A_RULE_WRITE_MASK))
		return -EMSGSIZE;
	if ((rule->perm[MG_WRITE].keep && nla_put_flag(skb, MSRGUARD_A_RULE_KEEP)) ||
	    (rule->audit && nla_put_flag(skb, MSRGUARD_A_RULE_AUDIT)) ||
	    (rule->quiet && nla_put_flag(skb, MSRGUARD_A_RULE_QUIET)))
		return -EMSGSIZE;
	if (mg_netlink_put_u64(skb, MSRGUARD_A_RULE_READS, row->hits[MG_READ]) ||
	    mg_netlink_put_u64(skb, MSRGUARD_A_RULE_WRITES, row->hits[MG_WRITE]))
		return -EMSGSIZE;
	return mg_netlink_put_u64(skb, MSRGUARD_A_RULE_GENERATION, row->generation);
}

/* cb->args[0] is the next rule's number. */
int msrguard_nl_rule_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct mg_rule_row row;
	void *header;

	for (;;) {
		bool more = mg_netlink_source->rule(cb->args[0], &row);

		/*
		 * Another policy than the one before: whoever asks has to ask again. The kernel
		 * says so at the dump's end too, if the policy became shorter meanwhile.
		 */
		cb->seq = row.generation;
		if (!more)
			return skb->len;
		header = put_header(skb, cb, MSRGUARD_CMD_RULE_GET);
		if (!header || put_rule(skb, &row)) {
			if (header)
				genlmsg_cancel(skb, header);
			return skb->len ?: -EMSGSIZE;
		}
		genl_dump_check_consistent(cb, header);
		genlmsg_end(skb, header);
		cb->args[0]++;
	}
}
