// SPDX-License-Identifier: GPL-2.0
/*
 * The answer to a verify request, see verify_answer.h. That it says "all is well" is only worth
 * something if nothing of it was lost or misread: what does not fit together is refused.
 */
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/msrguard.h>

#include "msrguard.h"
#include "verify_answer.h"

#define BIT(attr)	(1u << MSRGUARD_A_VERIFY_##attr)
#define OF_VCPU		(BIT(VM_ID) | BIT(VM_PID) | BIT(VCPU) | BIT(STATE) | BIT(GUARDED) | \
			 BIT(MISSING) | BIT(GENERATION))
#define OF_ACCESS	(BIT(VM_ID) | BIT(VCPU) | BIT(MSR) | BIT(DIRECTION))

_Static_assert(MSRGUARD_A_VERIFY_MAX < 32, "struct fields.has has a bit an attribute");

struct fields {
	uint32_t has;
	uint64_t vm;
	struct mg_verify_vcpu vcpu;
	struct mg_verify_access access;
};

static bool take_u64(const struct nlattr *attr, uint64_t *value)
{
	if (mnl_attr_validate(attr, MNL_TYPE_U64) < 0)
		return false;
	*value = mnl_attr_get_u64(attr);
	return true;
}

static bool take_u32(const struct nlattr *attr, uint32_t *value)
{
	if (mnl_attr_validate(attr, MNL_TYPE_U32) < 0)
		return false;
	*value = mnl_attr_get_u32(attr);
	return true;
}

static bool take_u8(const struct nlattr *attr, uint8_t *value)
{
	if (mnl_attr_validate(attr, MNL_TYPE_U8) < 0)
		return false;
	*value = mnl_attr_get_u8(attr);
	return true;
}

static bool take_value(const struct nlattr *attr, struct fields *fields)
{
	switch (mnl_attr_get_type(attr)) {
	case MSRGUARD_A_VERIFY_VM_ID:
		return take_u64(attr, &fields->vm);
	case MSRGUARD_A_VERIFY_VM_PID:
		return take_u32(attr, &fields->vcpu.pid);
	case MSRGUARD_A_VERIFY_VCPU:
		return take_u32(attr, &fields->vcpu.vcpu);
	case MSRGUARD_A_VERIFY_STATE:
		return take_u8(attr, &fields->vcpu.state);
	case MSRGUARD_A_VERIFY_NESTED:
		fields->vcpu.nested = true;
		return mnl_attr_validate(attr, MNL_TYPE_FLAG) >= 0;
	case MSRGUARD_A_VERIFY_GUARDED:
		return take_u32(attr, &fields->vcpu.guarded);
	case MSRGUARD_A_VERIFY_MISSING:
		return take_u32(attr, &fields->vcpu.missing);
	case MSRGUARD_A_VERIFY_GENERATION:
		return take_u64(attr, &fields->vcpu.generation);
	case MSRGUARD_A_VERIFY_MSR:
		return take_u32(attr, &fields->access.msr);
	case MSRGUARD_A_VERIFY_DIRECTION:
		return take_u8(attr, &fields->access.direction);
	default:
		/* A padding, or of a later version. */
		return true;
	}
}

static int take_attribute(const struct nlattr *attr, void *data)
{
	uint16_t type = mnl_attr_get_type(attr);
	struct fields *fields = data;

	if (!take_value(attr, fields))
		return MNL_CB_ERROR;
	if (type <= MSRGUARD_A_VERIFY_MAX)
		fields->has |= 1u << type;
	return MNL_CB_OK;
}

static bool decode(const struct nlmsghdr *message, struct fields *fields)
{
	const struct genlmsghdr *header = mnl_nlmsg_get_payload(message);

	memset(fields, 0, sizeof(*fields));
	/* libmnl would read up to the next multiple of 4; the kernel pads all it sends. */
	return !(message->nlmsg_len % MNL_ALIGNTO) &&
	       mnl_nlmsg_get_payload_len(message) >= sizeof(*header) &&
	       header->cmd == MSRGUARD_CMD_VERIFY &&
	       mnl_attr_parse(message, sizeof(*header), take_attribute, fields) == MNL_CB_OK;
}

static bool state_fits(const struct mg_verify_vcpu *vcpu)
{
	switch (vcpu->state) {
	case MSRGUARD_VERIFY_STATE_MATCHES:
		return !vcpu->missing;
	case MSRGUARD_VERIFY_STATE_DIFFERS:
		return vcpu->missing && vcpu->missing <= vcpu->guarded;
	default:
		return !vcpu->missing;
	}
}

static bool vcpu_complete(const struct mg_verify_vcpu *vcpu)
{
	return vcpu->nr == vcpu->missing;
}

static bool add_vcpu(struct mg_verify_answer *answer, const struct fields *fields)
{
	if (!state_fits(&fields->vcpu) || !mg_verify_complete(answer))
		return false;
	answer->vcpus = mg_alloc_check(realloc(answer->vcpus,
					       (answer->nr + 1) * sizeof(*answer->vcpus)));
	answer->vcpus[answer->nr++] = fields->vcpu;
	return true;
}

static bool add_access(struct mg_verify_answer *answer, const struct fields *fields)
{
	struct mg_verify_vcpu *vcpu;

	if (!answer->nr)
		return false;
	vcpu = &answer->vcpus[answer->nr - 1];
	if (fields->vcpu.vcpu != vcpu->vcpu || fields->vcpu.nested != vcpu->nested ||
	    vcpu_complete(vcpu))
		return false;
	/* Doubles in size: there may be tens of thousands. */
	if (!(vcpu->nr & (vcpu->nr - 1)))
		vcpu->accesses = mg_alloc_check(realloc(vcpu->accesses,
			(vcpu->nr ? 2 * vcpu->nr : 1) * sizeof(*vcpu->accesses)));
	vcpu->accesses[vcpu->nr++] = fields->access;
	return true;
}

bool mg_verify_take(struct mg_verify_answer *answer, const struct nlmsghdr *message)
{
	struct fields fields;

	if (!decode(message, &fields) || fields.vm != answer->vm)
		return false;
	if (fields.has & BIT(STATE))
		return (fields.has & OF_VCPU) == OF_VCPU && !(fields.has & BIT(MSR)) &&
		       add_vcpu(answer, &fields);
	return (fields.has & OF_ACCESS) == OF_ACCESS && add_access(answer, &fields);
}

bool mg_verify_complete(const struct mg_verify_answer *answer)
{
	return !answer->nr || vcpu_complete(&answer->vcpus[answer->nr - 1]);
}

void mg_verify_free(struct mg_verify_answer *answer)
{
	size_t i;

	for (i = 0; i < answer->nr; i++)
		free(answer->vcpus[i].accesses);
	free(answer->vcpus);
	answer->vcpus = NULL;
	answer->nr = 0;
}
