/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One event as the kernel sends it: accesses that were alike, or a number of accesses that are
 * not told one by one. In text and JSON it has the names that the tracepoint
 * msrguard:msrguard_access has.
 */
#ifndef MSRGUARD_EVENT_H
#define MSRGUARD_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/msrguard.h>

struct nlmsghdr;

#define MG_IMAGE_NAME_MAX	255
#define MG_BUILD_ID_MAX		64
/* For a name, or for what stands in its place. */
#define MG_NAME_LEN		32
/* "0x...-0x..." */
#define MG_RULE_LEN		32

/**
 * struct mg_event - one event
 * @has:        bit 1 << MSRGUARD_A_ACCESS_x says that attribute x came
 * @overflowed: it is a number of accesses of one VM and nothing more: @seq, @time, @vm, @pid and
 *              @count are all there is
 * @count:      how many accesses it stands for, 1 if that did not come
 * @seq:        number of the last of them; they have @count numbers in a row
 * @image_name: what the guest says; each byte that is no visible ASCII, a blank too, as \xNN
 * The other fields are the attributes of the same name.
 */
struct mg_event {
	uint64_t has;
	bool overflowed;
	uint64_t seq;
	uint64_t time;
	uint64_t vm;
	uint64_t value;
	uint64_t old;
	uint64_t pc;
	uint64_t generation;
	uint64_t count;
	uint64_t image_base;
	uint64_t image_size;
	uint32_t image_checksum;
	uint32_t image_timestamp;
	uint32_t pid;
	uint32_t vcpu;
	uint32_t msr;
	uint32_t rule_first;
	uint32_t rule_last;
	uint8_t direction;
	uint8_t origin;
	uint8_t cpl;
	uint8_t verdict;
	uint8_t would_be;
	uint8_t image_kind;
	size_t build_id_len;
	uint8_t build_id[MG_BUILD_ID_MAX];
	char image_name[MG_IMAGE_NAME_MAX * 4 + 1];
};

/* Whether attribute MSRGUARD_A_ACCESS_@attr came. */
#define MG_EVENT_HAS(event, attr) ((event)->has >> MSRGUARD_A_ACCESS_##attr & 1)

/** mg_event_first - number of the first access that an event stands for */
static inline uint64_t mg_event_first(const struct mg_event *event)
{
	return event->seq - event->count + 1;
}

/** mg_event_would_be - what enforcing does to it: the verdict, unless it was audited */
static inline uint8_t mg_event_would_be(const struct mg_event *event)
{
	return MG_EVENT_HAS(event, WOULD_BE) ? event->would_be : event->verdict;
}

/**
 * mg_event_decode - take an event out of a message
 * @message: a whole message of the family, access-ntf or lost-ntf
 * @event:   filled in
 *
 * Attributes this command does not know are skipped.
 *
 * Return: false if a mandatory attribute is missing, one has the wrong size, or the event stands
 * for no access or for more than there were.
 */
bool mg_event_decode(const struct nlmsghdr *message, struct mg_event *event);

/*
 * Names of numbers. One that a newer module may send is shown as what it is, "unknown-N", in
 * @buf of MG_NAME_LEN bytes.
 */
const char *mg_direction_name(uint8_t direction, char *buf);
const char *mg_origin_name(uint8_t origin, char *buf);
const char *mg_verdict_name(uint8_t verdict, char *buf);
const char *mg_image_kind_name(uint8_t kind, char *buf);

/** mg_direction_number - the other way round; false if there is no such name */
bool mg_direction_number(const char *name, uint8_t *direction);
bool mg_verdict_number(const char *name, uint8_t *verdict);

/** mg_rule_name - the rule that decided; @buf has MG_RULE_LEN bytes */
const char *mg_rule_name(const struct mg_event *event, char *buf);

/** mg_build_id_text - hexadecimal; @buf has 2 * MG_BUILD_ID_MAX + 1 bytes */
const char *mg_build_id_text(const struct mg_event *event, char *buf);

/** mg_event_print_text - one line of key=value to stdout */
void mg_event_print_text(const struct mg_event *event);

/** mg_event_print_json - one line with one JSON object to stdout */
void mg_event_print_json(const struct mg_event *event);

/** mg_event_print_hyperv - one line to stdout, as Hyper-V's event 12550 reads */
void mg_event_print_hyperv(const struct mg_event *event);

#endif /* MSRGUARD_EVENT_H */
