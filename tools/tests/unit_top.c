// SPDX-License-Identifier: GPL-2.0
/* What top adds up: rows and what has no row are all that came, whatever guests make up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "msrguard.h"
#include "top_model.h"
#include "unit.h"

static struct mg_top_model *model;

static void new_model(void)
{
	if (model)
		mg_top_free(model);
	free(model);
	model = mg_alloc_check(calloc(1, sizeof(*model)));
}

static void came(uint64_t vm, uint32_t msr, uint64_t count, const char *image)
{
	struct mg_event event = {
		.vm = vm, .msr = msr, .count = count, .seq = count,
		.direction = MSRGUARD_DIRECTION_WRITE, .verdict = MSRGUARD_VERDICT_DENIED,
	};

	if (image) {
		event.has = 1ull << MSRGUARD_A_ACCESS_IMAGE_NAME;
		strcpy(event.image_name, image);
	}
	mg_top_event(model, &event);
}

static void tick(double seconds)
{
	const struct mg_nl_stats stats = { 0 };

	mg_top_tick(model, seconds, &stats, NULL, 0);
}

static uint64_t sum(void)
{
	uint64_t sum = model->others;
	size_t i;

	for (i = 0; i < model->nr_rows; i++)
		sum += model->rows[i].total;
	return sum;
}

static const struct mg_top_row *first_by(enum mg_top_order order)
{
	static const struct mg_top_row *rows[MG_TOP_ROWS];

	return mg_top_sorted(model, order, rows) ? rows[0] : NULL;
}

static void test_rows(void)
{
	struct mg_event number = { .overflowed = true, .vm = 3, .count = 9 };

	new_model();
	came(3, 0x10, 5, "a.sys");
	came(3, 0x10, 2, "a.sys");
	came(3, 0x10, 1, "b.sys");
	came(3, 0x10, 1, NULL);
	came(4, 0x10, 1, "a.sys");
	came(3, 0x11, 100, "a.sys");
	mg_top_event(model, &number);
	check(model->nr_rows == 5 && sum() == 110 && model->overflowed == 9,
	      "what is the same is one row");
	tick(2);
	check(first_by(MG_TOP_BY_RATE)->rate == 50 && first_by(MG_TOP_BY_RATE)->msr == 0x11,
	      "its rate is a second's");
	came(4, 0x10, 4, "a.sys");
	tick(1);
	check(first_by(MG_TOP_BY_RATE)->vm == 4 && first_by(MG_TOP_BY_RATE)->rate == 4 &&
	      first_by(MG_TOP_BY_TOTAL)->msr == 0x11 && first_by(MG_TOP_BY_TOTAL)->rate == 0 &&
	      first_by(MG_TOP_BY_VM)->vm == 3 && first_by(MG_TOP_BY_VM)->msr == 0x10,
	      "the orders differ");
}

/* A guest that walks through all there is, with one that does the same all the time. */
static void test_bound(void)
{
	const struct mg_top_row *rows[MG_TOP_ROWS];
	uint32_t msr, round;
	size_t i, nr;
	bool good = true, there = false;

	new_model();
	for (msr = 0; msr < 5 * MG_TOP_ROWS; msr++)
		came(3, msr, 2, NULL);
	check(model->nr_rows == MG_TOP_ROWS && sum() == 10 * MG_TOP_ROWS &&
	      model->others == 8 * MG_TOP_ROWS, "a full table adds the rest to one number");
	for (round = 0; round < 20; round++) {
		tick(1);
		came(3, 7, 1, NULL);
		came(4, 0x1000000 + round, 1, NULL);
		good &= sum() == 10 * MG_TOP_ROWS + 2 * (round + 1);
	}
	check(good, "rows and that number are all that came, always");
	check(model->nr_rows < MG_TOP_ROWS, "what is idle makes room");
	nr = mg_top_sorted(model, MG_TOP_BY_TOTAL, rows);
	for (i = 0; i < nr; i++)
		there |= rows[i]->vm == 3 && rows[i]->msr == 7 && rows[i]->total == 22;
	check(there, "what is not idle stays, and goes on");
	check(rows[nr - 1]->vm == 4, "and new ones come in");
}

static void test_vm_rates(void)
{
	struct mg_nl_vm vms[] = { { .id = 3, .denied = 100 }, { .id = 4, .denied = 1000 } };
	struct mg_nl_stats stats = { .denied = 1000 };

	new_model();
	mg_top_tick(model, 1, &stats, vms, 1);
	check(model->nr_vms == 1 && model->vms[0].rate == 0 && model->rates.denied == 0,
	      "what was before has no rate");
	vms[0].denied = 140;
	vms[0].audited = 10;
	stats.denied = 1100;
	mg_top_tick(model, 2, &stats, vms, 2);
	check(model->nr_vms == 2 && model->vms[0].now.id == 3 && model->vms[0].rate == 25 &&
	      model->vms[1].rate == 0 && model->rates.denied == 50, "then it has");
	stats.denied = 3;
	vms[0].denied = 1;
	mg_top_tick(model, 1, &stats, vms, 2);
	check(model->rates.denied == 0 && model->vms[0].rate == 0,
	      "counters that began anew have none");
	mg_top_tick(model, 1, &stats, NULL, 0);
	check(!model->nr_vms, "VMs go");
}

void test_top(void)
{
	test_rows();
	test_bound();
	test_vm_rates();
	mg_top_free(model);
	free(model);
}
