// SPDX-License-Identifier: GPL-2.0
/*
 * The request "verify": does the hardware intercept what the policy guards?
 *
 * The check is made when the dump starts; the dump then only tells the result, a message for each
 * vCPU and, behind it, one for each access that is not intercepted.
 */
#include <linux/mm.h>
#include <net/genetlink.h>

#include "genl.h"
#include "internal.h"

/* Our values go out as they are. */
static_assert((int)MG_BITMAP_MATCHES == MSRGUARD_VERIFY_STATE_MATCHES);
static_assert((int)MG_BITMAP_DIFFERS == MSRGUARD_VERIFY_STATE_DIFFERS);
static_assert((int)MG_BITMAP_NOT_RUNNING == MSRGUARD_VERIFY_STATE_NOT_RUNNING);
static_assert((int)MG_BITMAP_UNREADABLE == MSRGUARD_VERIFY_STATE_UNREADABLE);
static_assert((int)MG_BITMAP_ENCRYPTED == MSRGUARD_VERIFY_STATE_ENCRYPTED);

/**
 * struct position - how far the dump has come, in netlink_callback's own memory
 * @result: what is told
 * @vcpu:   of result->checks
 * @told:   that vCPU's own message is out
 * @dir:    direction of the next access to look at
 * @bit:    number of the next access to look at
 */
struct position {
	struct mg_verification *result;
	u32 vcpu;
	bool told;
	unsigned int dir;
	unsigned int bit;
};

static struct position *position_of(struct netlink_callback *cb)
{
	BUILD_BUG_ON(sizeof(struct position) > sizeof(cb->ctx));
	return (struct position *)cb->ctx;
}

static void *put_header(struct sk_buff *skb, const struct netlink_callback *cb)
{
	return genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			   &mg_netlink_family, NLM_F_MULTI, MSRGUARD_CMD_VERIFY);
}

static int put_common(struct sk_buff *skb, const struct mg_verification *result,
		      const struct mg_bitmap_check *check)
{
	if (mg_netlink_put_u64(skb, MSRGUARD_A_VERIFY_VM_ID, result->vm_id) ||
	    nla_put_u32(skb, MSRGUARD_A_VERIFY_VCPU, check->vcpu))
		return -EMSGSIZE;
	return check->nested ? nla_put_flag(skb, MSRGUARD_A_VERIFY_NESTED) : 0;
}

static int put_vcpu(struct sk_buff *skb, const struct netlink_callback *cb,
		    const struct mg_verification *result, const struct mg_bitmap_check *check)
{
	void *header = put_header(skb, cb);

	if (!header)
		return -EMSGSIZE;
	if (put_common(skb, result, check) ||
	    nla_put_u32(skb, MSRGUARD_A_VERIFY_VM_PID, result->vm_pid) ||
	    nla_put_u8(skb, MSRGUARD_A_VERIFY_STATE, check->state) ||
	    nla_put_u32(skb, MSRGUARD_A_VERIFY_GUARDED, check->guarded) ||
	    nla_put_u32(skb, MSRGUARD_A_VERIFY_MISSING, check->nr_missing) ||
	    mg_netlink_put_u64(skb, MSRGUARD_A_VERIFY_GENERATION, result->generation)) {
		genlmsg_cancel(skb, header);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, header);
	return 0;
}

static int put_missing(struct sk_buff *skb, const struct netlink_callback *cb,
		       const struct mg_verification *result, const struct mg_bitmap_check *check,
		       u32 index, enum mg_dir dir)
{
	void *header = put_header(skb, cb);

	if (!header)
		return -EMSGSIZE;
	if (put_common(skb, result, check) ||
	    nla_put_u32(skb, MSRGUARD_A_VERIFY_MSR, index) ||
	    nla_put_u8(skb, MSRGUARD_A_VERIFY_DIRECTION, dir)) {
		genlmsg_cancel(skb, header);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, header);
	return 0;
}

/* Puts what is left of one vCPU; -EMSGSIZE when the message is full. */
static int put_rest(struct sk_buff *skb, const struct netlink_callback *cb, struct position *at)
{
	const struct mg_bitmap_check *check = &at->result->checks[at->vcpu];
	int err;

	if (!at->told) {
		err = put_vcpu(skb, cb, at->result, check);
		if (err)
			return err;
		at->told = true;
	}
	for (; check->nr_missing && at->dir < MG_NR_DIRS; at->dir++, at->bit = 0) {
		for (;; at->bit++) {
			at->bit = find_next_bit(check->missing[at->dir], MG_HW_BITS, at->bit);
			if (at->bit >= MG_HW_BITS)
				break;
			err = put_missing(skb, cb, at->result, check, mg_map_index(at->bit),
					  at->dir);
			if (err)
				return err;
		}
	}
	return 0;
}

int msrguard_nl_verify_start(struct netlink_callback *cb)
{
	const struct nlattr *vm_id = nlmsg_find_attr(cb->nlh, GENL_HDRLEN, MSRGUARD_A_VERIFY_VM_ID);
	struct position *at = position_of(cb);
	struct mg_verification *result;

	if (!vm_id) {
		NL_SET_ERR_MSG(cb->extack, "the attribute vm-id is missing");
		return -EINVAL;
	}
	result = mg_netlink_source->verify(nla_get_u64(vm_id));
	if (IS_ERR(result)) {
		if (PTR_ERR(result) == -ENOENT)
			NL_SET_ERR_MSG_ATTR(cb->extack, vm_id, "no VM has this id");
		return PTR_ERR(result);
	}
	memset(at, 0, sizeof(*at));
	at->result = result;
	return 0;
}

int msrguard_nl_verify_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct position *at = position_of(cb);

	while (at->vcpu < at->result->nr) {
		/* A full message; there is room in the next. An empty one always has some. */
		if (put_rest(skb, cb, at))
			return skb->len ?: -EMSGSIZE;
		at->vcpu++;
		at->told = false;
		at->dir = 0;
		at->bit = 0;
	}
	return skb->len;
}

int msrguard_nl_verify_done(struct netlink_callback *cb)
{
	kvfree(position_of(cb)->result);
	return 0;
}
