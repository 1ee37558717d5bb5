/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What "msrguard top" shows: accesses added up by VM, MSR, direction, verdict and image.
 *
 * However many different ones guests make up, the table is bounded: what finds no room in it, and
 * what has been idle when room is needed, is added to one number. So rows and that number together
 * always are all accesses that came.
 */
#ifndef MSRGUARD_TOP_MODEL_H
#define MSRGUARD_TOP_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dumps.h"
#include "event.h"

#define MG_TOP_ROWS	1024
#define MG_TOP_BUCKETS	(2 * MG_TOP_ROWS)

/**
 * struct mg_top_row - accesses of which all this is the same
 * @image:  name of the image, "" if it is not known
 * @base:   where it begins, 0 if that is not known
 * @pc:     where the last of them was; 0 if that is not known
 * @total:  how many
 * @recent: of those, how many since the last tick
 * @rate:   a second, in the time before that
 * @idle:   ticks since the last of them
 */
struct mg_top_row {
	uint64_t vm;
	uint32_t msr;
	uint8_t direction;
	uint8_t verdict;
	char image[MG_IMAGE_NAME_MAX + 1];
	uint64_t base;
	uint64_t pc;
	uint64_t total;
	uint64_t recent;
	double rate;
	unsigned int idle;
};

/**
 * struct mg_top_vm - a VM
 * @now:  its counters
 * @rate: denied, dropped, masked and audited accesses a second, quiet ones too
 */
struct mg_top_vm {
	struct mg_nl_vm now;
	double rate;
};

struct mg_top_rates {
	double denied, dropped, masked, audited;
};

enum mg_top_order {
	MG_TOP_BY_RATE,
	MG_TOP_BY_TOTAL,
	MG_TOP_BY_VM,
	MG_NR_TOP_ORDERS,
};

/**
 * struct mg_top_model - all of it; all 0 is an empty one
 * @buckets:    number of a row and 1, by its hash; 0 for none
 * @rows:       the rows, in no order
 * @others:     accesses that have no row
 * @overflowed: accesses that came as a number only
 * @lost:       accesses that did not come
 * @vms:        the VMs, those first of which most is to be seen
 * @stats:      of the host
 * @rates:      of the host
 */
struct mg_top_model {
	uint16_t buckets[MG_TOP_BUCKETS];
	struct mg_top_row rows[MG_TOP_ROWS];
	size_t nr_rows;
	uint64_t others;
	uint64_t overflowed;
	uint64_t lost;
	struct mg_top_vm *vms;
	size_t nr_vms;
	struct mg_nl_stats stats;
	struct mg_top_rates rates;
	bool has_stats;
};

/** mg_top_event - an event came */
void mg_top_event(struct mg_top_model *model, const struct mg_event *event);

/**
 * mg_top_tick - an interval is over
 * @model:   the model
 * @seconds: how long it was
 * @stats:   the host's counters now
 * @vms:     the VMs now; the model does not keep it
 * @nr_vms:  how many
 */
void mg_top_tick(struct mg_top_model *model, double seconds, const struct mg_nl_stats *stats,
		 const struct mg_nl_vm *vms, size_t nr_vms);

/** mg_top_sorted - the rows in an order; MG_TOP_ROWS pointers in @rows; returns how many */
size_t mg_top_sorted(const struct mg_top_model *model, enum mg_top_order order,
		     const struct mg_top_row **rows);

void mg_top_free(struct mg_top_model *model);

#endif /* MSRGUARD_TOP_MODEL_H */
