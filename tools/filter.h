/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which events are shown. Options of one kind add to each other, those of different kinds must all
 * hold.
 */
#ifndef MSRGUARD_FILTER_H
#define MSRGUARD_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mg_event;

struct mg_filter_vm {
	uint64_t number;
	bool is_pid;
};

struct mg_filter_range {
	uint32_t first;
	uint32_t last;
};

/**
 * struct mg_filter - the wishes; all 0 lets everything through
 * @verdicts:   bit 1 << MSRGUARD_VERDICT_x, 0 for any
 * @directions: bit 1 << MSRGUARD_DIRECTION_x, 0 for any
 */
struct mg_filter {
	struct mg_filter_vm *vms;
	size_t nr_vms;
	struct mg_filter_range *ranges;
	size_t nr_ranges;
	uint32_t verdicts;
	uint32_t directions;
};

/*
 * Add a wish. False after a complaint.
 */
bool mg_filter_add_vm(struct mg_filter *filter, const char *text);
bool mg_filter_add_msr(struct mg_filter *filter, const char *text);
bool mg_filter_add_verdict(struct mg_filter *filter, const char *text);
bool mg_filter_add_direction(struct mg_filter *filter, const char *text);

/**
 * mg_filter_passes - whether an event is shown
 *
 * Of accesses that are only a number nothing is known but their VM, so nothing but the VM can
 * exclude them.
 */
bool mg_filter_passes(const struct mg_filter *filter, const struct mg_event *event);

void mg_filter_free(struct mg_filter *filter);

#endif /* MSRGUARD_FILTER_H */
