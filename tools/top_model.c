// SPDX-License-Identifier: GPL-2.0
/* What "msrguard top" shows, see top_model.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "msrguard.h"
#include "top_model.h"

/* After so many intervals without an access a row makes room, if room is needed. */
#define IDLE_TICKS	5

_Static_assert(MG_TOP_ROWS < UINT16_MAX, "a bucket holds the number of a row and 1");

static struct mg_top_row row_of(const struct mg_event *event)
{
	struct mg_top_row row = {
		.vm = event->vm,
		.msr = event->msr,
		.direction = event->direction,
		.verdict = event->verdict,
	};

	/* The kernel's names are shorter; of a longer one, the base tells it from others. */
	if (MG_EVENT_HAS(event, IMAGE_NAME))
		snprintf(row.image, sizeof(row.image), "%.*s", MG_IMAGE_NAME_MAX,
			 event->image_name);
	if (MG_EVENT_HAS(event, IMAGE_BASE))
		row.base = event->image_base;
	return row;
}

static bool is_same(const struct mg_top_row *row, const struct mg_top_row *other)
{
	return row->vm == other->vm && row->msr == other->msr &&
	       row->direction == other->direction && row->verdict == other->verdict &&
	       row->base == other->base && !strcmp(row->image, other->image);
}

static size_t hash_of(const struct mg_top_row *row)
{
	uint64_t hash = row->vm * 31 + row->msr;

	hash = hash * 31 + row->direction * 8 + row->verdict;
	hash = (hash ^ row->base >> 12) * 0x9e3779b97f4a7c15ull;
	return hash >> 32;
}

/* The bucket of a row, or the free one where it belongs; at most half of them are taken. */
static uint16_t *bucket_of(struct mg_top_model *model, const struct mg_top_row *row)
{
	size_t i = hash_of(row);

	for (;; i++) {
		uint16_t *bucket = &model->buckets[i % MG_TOP_BUCKETS];

		if (!*bucket || is_same(&model->rows[*bucket - 1], row))
			return bucket;
	}
}

static struct mg_top_row *find_or_add(struct mg_top_model *model, const struct mg_top_row *wanted)
{
	uint16_t *bucket = bucket_of(model, wanted);

	if (!*bucket) {
		if (model->nr_rows == MG_TOP_ROWS)
			return NULL;
		model->rows[model->nr_rows] = *wanted;
		*bucket = ++model->nr_rows;
	}
	return &model->rows[*bucket - 1];
}

void mg_top_event(struct mg_top_model *model, const struct mg_event *event)
{
	struct mg_top_row wanted, *row;

	if (event->overflowed) {
		model->overflowed += event->count;
		return;
	}
	wanted = row_of(event);
	row = find_or_add(model, &wanted);
	if (!row) {
		model->others += event->count;
		return;
	}
	row->total += event->count;
	row->recent += event->count;
	row->idle = 0;
	row->pc = MG_EVENT_HAS(event, PC) ? event->pc : 0;
}

/* Only if there is no room left: what is idle is still of interest. */
static void make_room(struct mg_top_model *model)
{
	size_t i, kept = 0;

	if (model->nr_rows < MG_TOP_ROWS)
		return;
	memset(model->buckets, 0, sizeof(model->buckets));
	for (i = 0; i < model->nr_rows; i++) {
		if (model->rows[i].idle >= IDLE_TICKS) {
			model->others += model->rows[i].total;
			continue;
		}
		if (kept != i)
			model->rows[kept] = model->rows[i];
		/* All of them differ, so this is a free one. */
		*bucket_of(model, &model->rows[kept]) = kept + 1;
		kept++;
	}
	model->nr_rows = kept;
}

static uint64_t seen(const struct mg_nl_vm *vm)
{
	return vm->denied + vm->dropped + vm->masked + vm->audited;
}

static const struct mg_nl_vm *find_vm(const struct mg_top_model *model, uint64_t id)
{
	size_t i;

	for (i = 0; i < model->nr_vms; i++)
		if (model->vms[i].now.id == id)
			return &model->vms[i].now;
	return NULL;
}

/* A module that was loaded again counts from 0. */
static double rate(uint64_t now, uint64_t before, double seconds)
{
	return now < before ? 0 : (now - before) / seconds;
}

static int compare_vms(const void *a, const void *b)
{
	const struct mg_top_vm *vm = a, *other = b;

	if (vm->rate != other->rate)
		return vm->rate < other->rate ? 1 : -1;
	if (seen(&vm->now) != seen(&other->now))
		return seen(&vm->now) < seen(&other->now) ? 1 : -1;
	return (vm->now.id > other->now.id) - (vm->now.id < other->now.id);
}

static void take_vms(struct mg_top_model *model, double seconds, const struct mg_nl_vm *vms,
		     size_t nr)
{
	struct mg_top_vm *next = mg_alloc_check(calloc(nr + 1, sizeof(*next)));
	const struct mg_nl_vm *before;
	size_t i;

	for (i = 0; i < nr; i++) {
		before = find_vm(model, vms[i].id);
		next[i].now = vms[i];
		/* What a new VM did before we saw it is not of this interval for certain. */
		next[i].rate = before ? rate(seen(&vms[i]), seen(before), seconds) : 0;
	}
	qsort(next, nr, sizeof(*next), compare_vms);
	free(model->vms);
	model->vms = next;
	model->nr_vms = nr;
}

static void take_stats(struct mg_top_model *model, double seconds, const struct mg_nl_stats *stats)
{
	const struct mg_nl_stats *before = &model->stats;

	if (model->has_stats)
		model->rates = (struct mg_top_rates){
			.denied = rate(stats->denied, before->denied, seconds),
			.dropped = rate(stats->dropped, before->dropped, seconds),
			.masked = rate(stats->masked, before->masked, seconds),
			.audited = rate(stats->audited, before->audited, seconds),
		};
	model->stats = *stats;
	model->has_stats = true;
}

void mg_top_tick(struct mg_top_model *model, double seconds, const struct mg_nl_stats *stats,
		 const struct mg_nl_vm *vms, size_t nr_vms)
{
	size_t i;

	for (i = 0; i < model->nr_rows; i++) {
		model->rows[i].rate = model->rows[i].recent / seconds;
		model->rows[i].idle += !model->rows[i].recent;
		model->rows[i].recent = 0;
	}
	make_room(model);
	take_vms(model, seconds, vms, nr_vms);
	take_stats(model, seconds, stats);
}

static int by_place(const struct mg_top_row *row, const struct mg_top_row *other)
{
	if (row->vm != other->vm)
		return row->vm < other->vm ? -1 : 1;
	if (row->msr != other->msr)
		return row->msr < other->msr ? -1 : 1;
	if (row->direction != other->direction)
		return row->direction < other->direction ? -1 : 1;
	if (row->verdict != other->verdict)
		return row->verdict < other->verdict ? -1 : 1;
	return (row->base > other->base) - (row->base < other->base) ?:
	       strcmp(row->image, other->image);
}

static int by_vm(const void *a, const void *b)
{
	const struct mg_top_row *const *row = a, *const *other = b;

	return by_place(*row, *other);
}

static int by_total(const void *a, const void *b)
{
	const struct mg_top_row *const *row = a, *const *other = b;

	if ((*row)->total != (*other)->total)
		return (*row)->total < (*other)->total ? 1 : -1;
	return by_place(*row, *other);
}

static int by_rate(const void *a, const void *b)
{
	const struct mg_top_row *const *row = a, *const *other = b;

	if ((*row)->rate != (*other)->rate)
		return (*row)->rate < (*other)->rate ? 1 : -1;
	return by_total(a, b);
}

size_t mg_top_sorted(const struct mg_top_model *model, enum mg_top_order order,
		     const struct mg_top_row **rows)
{
	static int (*const orders[])(const void *a, const void *b) = {
		[MG_TOP_BY_RATE] = by_rate,
		[MG_TOP_BY_TOTAL] = by_total,
		[MG_TOP_BY_VM] = by_vm,
	};
	size_t i;

	for (i = 0; i < model->nr_rows; i++)
		rows[i] = &model->rows[i];
	qsort(rows, model->nr_rows, sizeof(*rows), orders[order]);
	return model->nr_rows;
}

void mg_top_free(struct mg_top_model *model)
{
	free(model->vms);
}
