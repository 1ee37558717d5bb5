/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One access as the kernel reports it, with the same names in text and JSON as the
 * tracepoint msrguard:msrguard_access has.
 */
#ifndef MSRGUARD_EVENT_H
#define MSRGUARD_EVENT_H

#include <stdbool.h>
#include <stdint.h>

struct nlmsghdr;

/**
 * struct mg_event - one access
 * @has: bit 1 << MSRGUARD_A_ACCESS_x says that attribute x came
 */
struct mg_event {
	uint64_t has;
	uint64_t seq;
	uint64_t time;
	uint64_t vm;
	uint64_t value;
	uint64_t old;
	uint64_t pc;
	uint64_t generation;
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
};

/**
 * mg_event_decode - take an event out of a message
 * @message: a whole message of the family
 * @event:   filled in
 *
 * Attributes this command does not know are skipped.
 *
 * Return: false if a mandatory attribute is missing or one has the wrong size.
 */
bool mg_event_decode(const struct nlmsghdr *message, struct mg_event *event);

/** mg_event_print_text - one line of key=value to stdout */
void mg_event_print_text(const struct mg_event *event);

/** mg_event_print_json - one line with one JSON object to stdout */
void mg_event_print_json(const struct mg_event *event);

#endif /* MSRGUARD_EVENT_H */
