// SPDX-License-Identifier: GPL-2.0
/* One access: from the kernel's message to text and JSON. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/msrguard.h>

#include "event.h"
#include "json.h"
#include "msrguard.h"

#define NAME_LEN	32
#define NS_PER_S	((uint64_t)1000000000)
#define HAS(event, attr) ((event)->has >> MSRGUARD_A_ACCESS_##attr & 1)

_Static_assert(MSRGUARD_A_ACCESS_MAX < 64, "struct mg_event.has has a bit an attribute");

static const struct field {
	enum mnl_attr_data_type type;
	size_t offset;
	size_t size;
	bool optional;
} fields[] = {
#define FIELD(attr, mnl_type, member, opt)					\
	[MSRGUARD_A_ACCESS_##attr] = {						\
		.type = mnl_type,						\
		.offset = offsetof(struct mg_event, member),			\
		.size = sizeof(((struct mg_event *)0)->member),		\
		.optional = opt,						\
	}
	FIELD(SEQ,		MNL_TYPE_U64,	seq,		false),
	FIELD(TIME,		MNL_TYPE_U64,	time,		false),
	FIELD(VM_ID,		MNL_TYPE_U64,	vm,		false),
	FIELD(VM_PID,		MNL_TYPE_U32,	pid,		false),
	FIELD(VCPU,		MNL_TYPE_U32,	vcpu,		false),
	FIELD(MSR,		MNL_TYPE_U32,	msr,		false),
	FIELD(DIRECTION,	MNL_TYPE_U8,	direction,	false),
	FIELD(ORIGIN,		MNL_TYPE_U8,	origin,		false),
	FIELD(VALUE,		MNL_TYPE_U64,	value,		true),
	FIELD(OLD,		MNL_TYPE_U64,	old,		true),
	FIELD(PC,		MNL_TYPE_U64,	pc,		true),
	FIELD(CPL,		MNL_TYPE_U8,	cpl,		true),
	FIELD(VERDICT,		MNL_TYPE_U8,	verdict,	false),
	FIELD(WOULD_BE,		MNL_TYPE_U8,	would_be,	true),
	FIELD(RULE_FIRST,	MNL_TYPE_U32,	rule_first,	true),
	FIELD(RULE_LAST,	MNL_TYPE_U32,	rule_last,	true),
	FIELD(GENERATION,	MNL_TYPE_U64,	generation,	false),
#undef FIELD
	[MSRGUARD_A_ACCESS_NESTED] = { .type = MNL_TYPE_FLAG, .optional = true },
};

static int take_attribute(const struct nlattr *attr, void *data)
{
	uint16_t type = mnl_attr_get_type(attr);
	struct mg_event *event = data;
	const struct field *field;

	if (type >= ARRAY_SIZE(fields) || !fields[type].type)
		return MNL_CB_OK;
	field = &fields[type];
	if (mnl_attr_validate(attr, field->type) < 0)
		return MNL_CB_ERROR;
	/* The size has just been checked to be that of the type. */
	memcpy((char *)event + field->offset, mnl_attr_get_payload(attr), field->size);
	event->has |= 1ull << type;
	return MNL_CB_OK;
}

bool mg_event_decode(const struct nlmsghdr *message, struct mg_event *event)
{
	size_t i;

	memset(event, 0, sizeof(*event));
	/* libmnl would read up to the next multiple of 4; the kernel pads all it sends. */
	if (message->nlmsg_len % MNL_ALIGNTO ||
	    mnl_nlmsg_get_payload_len(message) < sizeof(struct genlmsghdr) ||
	    mnl_attr_parse(message, sizeof(struct genlmsghdr), take_attribute, event) !=
	    MNL_CB_OK)
		return false;
	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (fields[i].type && !fields[i].optional && !(event->has >> i & 1))
			return false;
	/* Half a rule would be shown as a wrong one. */
	return HAS(event, RULE_FIRST) == HAS(event, RULE_LAST);
}

/* A number that a newer module may send is shown as what it is, not guessed. */
static const char *name_of(const char *const *names, size_t count, uint8_t number, char *buf)
{
	if (number < count && names[number])
		return names[number];
	snprintf(buf, NAME_LEN, "unknown-%u", number);
	return buf;
}

static const char *direction_name(const struct mg_event *event, char *buf)
{
	static const char *const names[] = {
		[MSRGUARD_DIRECTION_READ] = "read",
		[MSRGUARD_DIRECTION_WRITE] = "write",
	};

	return name_of(names, ARRAY_SIZE(names), event->direction, buf);
}

static const char *origin_name(const struct mg_event *event, char *buf)
{
	static const char *const names[] = {
		[MSRGUARD_ORIGIN_EXIT] = "exit",
		[MSRGUARD_ORIGIN_EMULATOR] = "emulator",
		[MSRGUARD_ORIGIN_NESTED_LIST] = "nested-list",
	};

	return name_of(names, ARRAY_SIZE(names), event->origin, buf);
}

static const char *verdict_name(uint8_t verdict, char *buf)
{
	static const char *const names[] = {
		[MSRGUARD_VERDICT_AUDITED] = "audited",
		[MSRGUARD_VERDICT_DENIED] = "denied",
		[MSRGUARD_VERDICT_DROPPED] = "dropped",
		[MSRGUARD_VERDICT_MASKED] = "masked",
	};

	return name_of(names, ARRAY_SIZE(names), verdict, buf);
}

/* What was not let through is what it would be. */
static uint8_t would_be(const struct mg_event *event)
{
	return HAS(event, WOULD_BE) ? event->would_be : event->verdict;
}

static const char *rule_name(const struct mg_event *event, char *buf)
{
	if (!HAS(event, RULE_FIRST))
		return "default";
	if (event->rule_first == event->rule_last)
		snprintf(buf, NAME_LEN, "0x%" PRIx32, event->rule_first);
	else
		snprintf(buf, NAME_LEN, "0x%" PRIx32 "-0x%" PRIx32, event->rule_first,
			 event->rule_last);
	return buf;
}

static void put_hex(const char *key, bool known, uint64_t value)
{
	if (known)
		printf(" %s=0x%" PRIx64, key, value);
	else
		printf(" %s=unknown", key);
}

void mg_event_print_text(const struct mg_event *event)
{
	char name[NAME_LEN];

	printf("time=%" PRIu64 ".%09" PRIu64 " vm=%" PRIu64 " pid=%" PRIu32 " vcpu=%" PRIu32
	       " msr=0x%" PRIx32, event->time / NS_PER_S, event->time % NS_PER_S, event->vm,
	       event->pid, event->vcpu, event->msr);
	printf(" dir=%s", direction_name(event, name));
	printf(" origin=%s", origin_name(event, name));
	put_hex("value", HAS(event, VALUE), event->value);
	put_hex("old", HAS(event, OLD), event->old);
	put_hex("pc", HAS(event, PC), event->pc);
	if (HAS(event, CPL))
		printf(" cpl=%u", event->cpl);
	else
		fputs(" cpl=unknown", stdout);
	printf(" nested=%u", (unsigned int)HAS(event, NESTED));
	printf(" verdict=%s", verdict_name(event->verdict, name));
	printf(" would_be=%s", verdict_name(would_be(event), name));
	printf(" rule=%s", rule_name(event, name));
	printf(" generation=%" PRIu64 " seq=%" PRIu64 "\n", event->generation, event->seq);
}

static void add_hex(struct json_object *object, const char *key, bool known, uint64_t value)
{
	if (known)
		mg_json_hex(object, key, value);
	else
		mg_json_null(object, key);
}

void mg_event_print_json(const struct mg_event *event)
{
	struct json_object *object = mg_json_object();
	char name[NAME_LEN];

	mg_json_string(object, "type", "access");
	mg_json_hex(object, "time", event->time);
	mg_json_hex(object, "vm", event->vm);
	mg_json_u32(object, "pid", event->pid);
	mg_json_u32(object, "vcpu", event->vcpu);
	mg_json_hex(object, "msr", event->msr);
	mg_json_string(object, "dir", direction_name(event, name));
	mg_json_string(object, "origin", origin_name(event, name));
	add_hex(object, "value", HAS(event, VALUE), event->value);
	add_hex(object, "old", HAS(event, OLD), event->old);
	add_hex(object, "pc", HAS(event, PC), event->pc);
	if (HAS(event, CPL))
		mg_json_u32(object, "cpl", event->cpl);
	else
		mg_json_null(object, "cpl");
	mg_json_bool(object, "nested", HAS(event, NESTED));
	mg_json_string(object, "verdict", verdict_name(event->verdict, name));
	mg_json_string(object, "would_be", verdict_name(would_be(event), name));
	mg_json_string(object, "rule", rule_name(event, name));
	mg_json_hex(object, "generation", event->generation);
	mg_json_hex(object, "seq", event->seq);
	mg_json_print(object, true);
}
