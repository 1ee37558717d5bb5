// SPDX-License-Identifier: GPL-2.0
/* Numbers of events that stand for several accesses. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seq.h"
#include "unit.h"

static void note_loss(void *context, uint64_t first, uint64_t last)
{
	char *text = context;

	snprintf(text + strlen(text), TEXT_MAX - strlen(text), "%" PRIu64 "-%" PRIu64 " ", first,
		 last);
}

static void test_runs(void)
{
	char text[TEXT_MAX] = "";
	struct mg_seq seq = { .tell = note_loss, .context = text };

	mg_seq_expect(&seq, 100, 0);
	mg_seq_saw(&seq, 101, 150, 0);
	mg_seq_saw(&seq, 151, 151, 0);
	mg_seq_saw(&seq, 152, 1000, 0);
	check(!seq.nr_gaps && seq.next == 1001, "runs that follow each other leave no gap");

	mg_seq_saw(&seq, 2001, 3000, 0);
	check(seq.nr_gaps == 1, "a run that stays away is one gap");
	mg_seq_saw(&seq, 1001, 1400, 0);
	mg_seq_saw(&seq, 1901, 2000, 0);
	mg_seq_saw(&seq, 1501, 1600, 0);
	mg_seq_settle_all(&seq);
	check_text(text, "1401-1500 1601-1900 ", "late runs at its ends and within make it smaller");
	check(seq.lost == 400, "what is lost is counted in accesses");

	*text = '\0';
	mg_seq_saw(&seq, 3101, 3200, 0);
	mg_seq_saw(&seq, 3001, 3100, 0);
	check(!seq.nr_gaps, "a late run closes the gap that it left");
	mg_seq_saw(&seq, 900, 1450, 0);
	check(!seq.nr_gaps && seq.lost == 400, "a run that was given up changes nothing");
}

/* No module sends runs that overlap; if one did, we would not lose our way. */
static void test_overlap(void)
{
	char text[TEXT_MAX] = "";
	struct mg_seq seq = { .tell = note_loss, .context = text };

	mg_seq_expect(&seq, 0, 0);
	mg_seq_saw(&seq, 11, 20, 0);
	mg_seq_saw(&seq, 31, 40, 0);
	mg_seq_saw(&seq, 51, 60, 0);
	mg_seq_saw(&seq, 5, 55, 0);
	mg_seq_settle_all(&seq);
	check_text(text, "1-4 ", "a run over several gaps fills them");
	*text = '\0';
	mg_seq_saw(&seq, 71, 80, 0);
	mg_seq_saw(&seq, 66, 90, 0);
	check(seq.next == 91, "a run from within a gap past the highest number");
	mg_seq_settle_all(&seq);
	check_text(text, "61-65 ", "fills its part of the gap");
}

/* Runs of any length, in any order near their places, some lost: seen and lost are all. */
static void test_random_runs(void)
{
	enum { RUNS = 400 };
	static char text[TEXT_MAX];
	struct { uint64_t first, last; bool comes; } runs[RUNS], swap;
	bool good = true;
	unsigned int round, i, other;

	srand(4);
	for (round = 0; round < 300; round++) {
		struct mg_seq seq = { .tell = note_loss, .context = text };
		uint64_t next = 1, missing = 0;

		*text = '\0';
		mg_seq_expect(&seq, 0, 0);
		for (i = 0; i < RUNS; i++) {
			runs[i].first = next;
			runs[i].last = next + rand() % 1000 * (rand() % 3);
			runs[i].comes = rand() % 40;
			next = runs[i].last + 1;
			if (!runs[i].comes)
				missing += next - runs[i].first;
		}
		for (i = 0; i + 4 < RUNS; i++) {
			other = i + rand() % 4;
			swap = runs[i];
			runs[i] = runs[other];
			runs[other] = swap;
		}
		for (i = 0; i < RUNS; i++)
			if (runs[i].comes)
				mg_seq_saw(&seq, runs[i].first, runs[i].last, 0);
		mg_seq_expect(&seq, next - 1, 0);
		mg_seq_settle_all(&seq);
		if (seq.lost != missing)
			good = false;
	}
	check(good, "runs in any order: exactly what did not come is lost");
}

void test_ranges(void)
{
	test_runs();
	test_overlap();
	test_random_runs();
}
