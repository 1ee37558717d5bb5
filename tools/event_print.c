// SPDX-License-Identifier: GPL-2.0
/* One event as a line of text, or as a JSON object; msrguard(8) documents every key. */
#include <inttypes.h>
#include <stdio.h>

#include "event.h"
#include "json.h"
#include "names/names.h"

#define NS_PER_S	((uint64_t)1000000000)
#define HAS		MG_EVENT_HAS

static void put_hex(const char *key, bool known, uint64_t value)
{
	if (known)
		printf(" %s=0x%" PRIx64, key, value);
	else
		printf(" %s=unknown", key);
}

static void put_word(const char *key, bool known, const char *word)
{
	printf(" %s=%s", key, known ? word : "unknown");
}

/* The name is ours, not the event's, so it comes last. */
static void put_name(const struct mg_event *event)
{
	const char *name = mg_msr_label(event->msr);

	put_word("name", name, name);
}

static void put_image(const struct mg_event *event)
{
	char build_id[2 * MG_BUILD_ID_MAX + 1], name[MG_NAME_LEN];

	put_word("image", HAS(event, IMAGE_NAME), event->image_name);
	put_word("image_kind", HAS(event, IMAGE_KIND), mg_image_kind_name(event->image_kind, name));
	put_hex("image_base", HAS(event, IMAGE_BASE), event->image_base);
	put_hex("image_size", HAS(event, IMAGE_SIZE), event->image_size);
	put_hex("checksum", HAS(event, IMAGE_CHECKSUM), event->image_checksum);
	put_hex("timestamp", HAS(event, IMAGE_TIMESTAMP), event->image_timestamp);
	put_word("build_id", HAS(event, IMAGE_BUILD_ID), mg_build_id_text(event, build_id));
}

/* Accesses that are only a number. */
static void print_overflowed(const struct mg_event *event)
{
	printf("time=%" PRIu64 ".%09" PRIu64 " vm=%" PRIu64 " pid=%" PRIu32 " overflowed=%" PRIu64
	       " seq=%" PRIu64 "\n", event->time / NS_PER_S, event->time % NS_PER_S, event->vm,
	       event->pid, event->count, event->seq);
}

void mg_event_print_text(const struct mg_event *event)
{
	char name[MG_NAME_LEN], rule[MG_RULE_LEN];

	if (event->overflowed) {
		print_overflowed(event);
		return;
	}
	printf("time=%" PRIu64 ".%09" PRIu64 " vm=%" PRIu64 " pid=%" PRIu32 " vcpu=%" PRIu32
	       " msr=0x%" PRIx32, event->time / NS_PER_S, event->time % NS_PER_S, event->vm,
	       event->pid, event->vcpu, event->msr);
	printf(" dir=%s", mg_direction_name(event->direction, name));
	printf(" origin=%s", mg_origin_name(event->origin, name));
	put_hex("value", HAS(event, VALUE), event->value);
	put_hex("old", HAS(event, OLD), event->old);
	put_hex("pc", HAS(event, PC), event->pc);
	if (HAS(event, CPL))
		printf(" cpl=%u", event->cpl);
	else
		fputs(" cpl=unknown", stdout);
	printf(" nested=%u", (unsigned int)HAS(event, NESTED));
	printf(" verdict=%s", mg_verdict_name(event->verdict, name));
	printf(" would_be=%s", mg_verdict_name(mg_event_would_be(event), name));
	printf(" rule=%s", mg_rule_name(event, rule));
	printf(" generation=%" PRIu64 " seq=%" PRIu64 " count=%" PRIu64, event->generation,
	       event->seq, event->count);
	put_image(event);
	put_name(event);
	putchar('\n');
}

static void add_hex(struct json_object *object, const char *key, bool known, uint64_t value)
{
	if (known)
		mg_json_hex(object, key, value);
	else
		mg_json_null(object, key);
}

static void add_image(struct json_object *object, const struct mg_event *event)
{
	char build_id[2 * MG_BUILD_ID_MAX + 1], name[MG_NAME_LEN];

	mg_json_string(object, "image", HAS(event, IMAGE_NAME) ? event->image_name : NULL);
	mg_json_string(object, "image_kind", HAS(event, IMAGE_KIND) ?
		       mg_image_kind_name(event->image_kind, name) : NULL);
	add_hex(object, "image_base", HAS(event, IMAGE_BASE), event->image_base);
	add_hex(object, "image_size", HAS(event, IMAGE_SIZE), event->image_size);
	add_hex(object, "checksum", HAS(event, IMAGE_CHECKSUM), event->image_checksum);
	add_hex(object, "timestamp", HAS(event, IMAGE_TIMESTAMP), event->image_timestamp);
	mg_json_string(object, "build_id", HAS(event, IMAGE_BUILD_ID) ?
		       mg_build_id_text(event, build_id) : NULL);
}

void mg_event_print_json(const struct mg_event *event)
{
	struct json_object *object = mg_json_object();
	char name[MG_NAME_LEN], rule[MG_RULE_LEN];

	mg_json_string(object, "type", event->overflowed ? "overflowed" : "access");
	mg_json_hex(object, "time", event->time);
	mg_json_hex(object, "vm", event->vm);
	mg_json_u32(object, "pid", event->pid);
	if (event->overflowed) {
		mg_json_hex(object, "count", event->count);
		mg_json_hex(object, "seq", event->seq);
		mg_json_print(object, true);
		return;
	}
	mg_json_u32(object, "vcpu", event->vcpu);
	mg_json_hex(object, "msr", event->msr);
	mg_json_string(object, "dir", mg_direction_name(event->direction, name));
	mg_json_string(object, "origin", mg_origin_name(event->origin, name));
	add_hex(object, "value", HAS(event, VALUE), event->value);
	add_hex(object, "old", HAS(event, OLD), event->old);
	add_hex(object, "pc", HAS(event, PC), event->pc);
	if (HAS(event, CPL))
		mg_json_u32(object, "cpl", event->cpl);
	else
		mg_json_null(object, "cpl");
	mg_json_bool(object, "nested", HAS(event, NESTED));
	mg_json_string(object, "verdict", mg_verdict_name(event->verdict, name));
	mg_json_string(object, "would_be", mg_verdict_name(mg_event_would_be(event), name));
	mg_json_string(object, "rule", mg_rule_name(event, rule));
	mg_json_hex(object, "generation", event->generation);
	mg_json_hex(object, "seq", event->seq);
	mg_json_hex(object, "count", event->count);
	add_image(object, event);
	mg_json_string(object, "name", mg_msr_label(event->msr));
	mg_json_print(object, true);
}
