// SPDX-License-Identifier: GPL-2.0
/* One event: out of the kernel's message. */
#include <ctype.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/msrguard.h>

#include "event.h"
#include "msrguard.h"

_Static_assert(MSRGUARD_A_ACCESS_MAX < 64, "struct mg_event.has has a bit an attribute");

/* Of which kind of event an attribute is a part that may not be missing. */
enum need {
	OPTIONAL,
	OF_ACCESS,
	OF_ALL,
};

static const struct field {
	enum mnl_attr_data_type type;
	size_t offset;
	size_t size;
	enum need need;
} fields[] = {
#define FIELD(attr, mnl_type, member, must)					\
	[MSRGUARD_A_ACCESS_##attr] = {						\
		.type = mnl_type,						\
		.offset = offsetof(struct mg_event, member),			\
		.size = sizeof(((struct mg_event *)0)->member),		\
		.need = must,							\
	}
	FIELD(SEQ,		MNL_TYPE_U64,	seq,		OF_ALL),
	FIELD(TIME,		MNL_TYPE_U64,	time,		OF_ALL),
	FIELD(VM_ID,		MNL_TYPE_U64,	vm,		OF_ALL),
	FIELD(VM_PID,		MNL_TYPE_U32,	pid,		OF_ALL),
	FIELD(VCPU,		MNL_TYPE_U32,	vcpu,		OF_ACCESS),
	FIELD(MSR,		MNL_TYPE_U32,	msr,		OF_ACCESS),
	FIELD(DIRECTION,	MNL_TYPE_U8,	direction,	OF_ACCESS),
	FIELD(ORIGIN,		MNL_TYPE_U8,	origin,		OF_ACCESS),
	FIELD(VALUE,		MNL_TYPE_U64,	value,		OPTIONAL),
	FIELD(OLD,		MNL_TYPE_U64,	old,		OPTIONAL),
	FIELD(PC,		MNL_TYPE_U64,	pc,		OPTIONAL),
	FIELD(CPL,		MNL_TYPE_U8,	cpl,		OPTIONAL),
	FIELD(VERDICT,		MNL_TYPE_U8,	verdict,	OF_ACCESS),
	FIELD(WOULD_BE,		MNL_TYPE_U8,	would_be,	OPTIONAL),
	FIELD(RULE_FIRST,	MNL_TYPE_U32,	rule_first,	OPTIONAL),
	FIELD(RULE_LAST,	MNL_TYPE_U32,	rule_last,	OPTIONAL),
	FIELD(GENERATION,	MNL_TYPE_U64,	generation,	OF_ACCESS),
	/* A module that does not fold says nothing of it. */
	FIELD(COUNT,		MNL_TYPE_U64,	count,		OPTIONAL),
	FIELD(IMAGE_KIND,	MNL_TYPE_U8,	image_kind,	OPTIONAL),
	FIELD(IMAGE_BASE,	MNL_TYPE_U64,	image_base,	OPTIONAL),
	FIELD(IMAGE_SIZE,	MNL_TYPE_U64,	image_size,	OPTIONAL),
	FIELD(IMAGE_CHECKSUM,	MNL_TYPE_U32,	image_checksum,	OPTIONAL),
	FIELD(IMAGE_TIMESTAMP,	MNL_TYPE_U32,	image_timestamp, OPTIONAL),
#undef FIELD
	[MSRGUARD_A_ACCESS_NESTED] = { .type = MNL_TYPE_FLAG },
};

/* The module escapes what is not printable; a blank would end the value in a line of text. */
static bool take_image_name(const struct nlattr *attr, struct mg_event *event)
{
	const char *from = mnl_attr_get_str(attr);
	char *to = event->image_name;
	size_t len;

	if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) < 0)
		return false;
	len = strlen(from);
	if (!len || len > MG_IMAGE_NAME_MAX)
		return false;
	for (; *from; from++) {
		if (isascii(*from) && isgraph(*from))
			*to++ = *from;
		else
			to += sprintf(to, "\\x%02x", (unsigned char)*from);
	}
	*to = '\0';
	return true;
}

static bool take_build_id(const struct nlattr *attr, struct mg_event *event)
{
	size_t len = mnl_attr_get_payload_len(attr);

	if (!len || len > MG_BUILD_ID_MAX)
		return false;
	memcpy(event->build_id, mnl_attr_get_payload(attr), len);
	event->build_id_len = len;
	return true;
}

static bool take_number(const struct nlattr *attr, const struct field *field,
			struct mg_event *event)
{
	if (mnl_attr_validate(attr, field->type) < 0)
		return false;
	/* The size has just been checked to be that of the type. */
	memcpy((char *)event + field->offset, mnl_attr_get_payload(attr), field->size);
	return true;
}

static int take_attribute(const struct nlattr *attr, void *data)
{
	uint16_t type = mnl_attr_get_type(attr);
	struct mg_event *event = data;
	bool good;

	if (type == MSRGUARD_A_ACCESS_IMAGE_NAME)
		good = take_image_name(attr, event);
	else if (type == MSRGUARD_A_ACCESS_IMAGE_BUILD_ID)
		good = take_build_id(attr, event);
	else if (type < ARRAY_SIZE(fields) && fields[type].type)
		good = take_number(attr, &fields[type], event);
	else
		return MNL_CB_OK;
	event->has |= 1ull << type;
	return good ? MNL_CB_OK : MNL_CB_ERROR;
}

static bool is_complete(const struct mg_event *event)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (fields[i].need >= (event->overflowed ? OF_ALL : OF_ACCESS) &&
		    !(event->has >> i & 1))
			return false;
	/* Half a rule would be shown as a wrong one. */
	return MG_EVENT_HAS(event, RULE_FIRST) == MG_EVENT_HAS(event, RULE_LAST);
}

bool mg_event_decode(const struct nlmsghdr *message, struct mg_event *event)
{
	const struct genlmsghdr *header = mnl_nlmsg_get_payload(message);

	memset(event, 0, sizeof(*event));
	/* libmnl would read up to the next multiple of 4; the kernel pads all it sends. */
	if (message->nlmsg_len % MNL_ALIGNTO ||
	    mnl_nlmsg_get_payload_len(message) < sizeof(*header))
		return false;
	if (header->cmd != MSRGUARD_CMD_ACCESS_NTF && header->cmd != MSRGUARD_CMD_LOST_NTF)
		return false;
	event->overflowed = header->cmd == MSRGUARD_CMD_LOST_NTF;
	if (mnl_attr_parse(message, sizeof(*header), take_attribute, event) != MNL_CB_OK ||
	    !is_complete(event))
		return false;
	if (!MG_EVENT_HAS(event, COUNT)) {
		if (event->overflowed)
			return false;
		event->count = 1;
	}
	/* Numbers start at 1; the highest is kept free for the one after it. */
	return event->count && event->count <= event->seq && event->seq < UINT64_MAX;
}

static const char *name_of(const char *const *names, size_t count, uint8_t number, char *buf)
{
	if (number < count && names[number])
		return names[number];
	snprintf(buf, MG_NAME_LEN, "unknown-%u", number);
	return buf;
}

static bool number_of(const char *const *names, size_t count, const char *name, uint8_t *number)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (names[i] && !strcmp(names[i], name)) {
			*number = i;
			return true;
		}
	}
	return false;
}

static const char *const directions[] = {
	[MSRGUARD_DIRECTION_READ] = "read",
	[MSRGUARD_DIRECTION_WRITE] = "write",
};

static const char *const origins[] = {
	[MSRGUARD_ORIGIN_EXIT] = "exit",
	[MSRGUARD_ORIGIN_EMULATOR] = "emulator",
	[MSRGUARD_ORIGIN_NESTED_LIST] = "nested-list",
};

static const char *const verdicts[] = {
	[MSRGUARD_VERDICT_AUDITED] = "audited",
	[MSRGUARD_VERDICT_DENIED] = "denied",
	[MSRGUARD_VERDICT_DROPPED] = "dropped",
	[MSRGUARD_VERDICT_MASKED] = "masked",
};

static const char *const image_kinds[] = {
	[MSRGUARD_IMAGE_KIND_PE] = "pe",
	[MSRGUARD_IMAGE_KIND_LINUX_KERNEL] = "linux-kernel",
	[MSRGUARD_IMAGE_KIND_LINUX_MODULE] = "linux-module",
};

const char *mg_direction_name(uint8_t direction, char *buf)
{
	return name_of(directions, ARRAY_SIZE(directions), direction, buf);
}

const char *mg_origin_name(uint8_t origin, char *buf)
{
	return name_of(origins, ARRAY_SIZE(origins), origin, buf);
}

const char *mg_verdict_name(uint8_t verdict, char *buf)
{
	return name_of(verdicts, ARRAY_SIZE(verdicts), verdict, buf);
}

const char *mg_image_kind_name(uint8_t kind, char *buf)
{
	return name_of(image_kinds, ARRAY_SIZE(image_kinds), kind, buf);
}

bool mg_direction_number(const char *name, uint8_t *direction)
{
	return number_of(directions, ARRAY_SIZE(directions), name, direction);
}

bool mg_verdict_number(const char *name, uint8_t *verdict)
{
	return number_of(verdicts, ARRAY_SIZE(verdicts), name, verdict);
}

const char *mg_rule_name(const struct mg_event *event, char *buf)
{
	if (!MG_EVENT_HAS(event, RULE_FIRST))
		return "default";
	if (event->rule_first == event->rule_last)
		snprintf(buf, MG_RULE_LEN, "0x%" PRIx32, event->rule_first);
	else
		snprintf(buf, MG_RULE_LEN, "0x%" PRIx32 "-0x%" PRIx32, event->rule_first,
			 event->rule_last);
	return buf;
}

const char *mg_build_id_text(const struct mg_event *event, char *buf)
{
	size_t i;

	*buf = '\0';
	for (i = 0; i < event->build_id_len; i++)
		sprintf(buf + 2 * i, "%02x", event->build_id[i]);
	return buf;
}
