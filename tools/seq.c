// SPDX-License-Identifier: GPL-2.0
/* Lost events, see seq.h. */
#include <string.h>

#include "seq.h"

static void remove_gap(struct mg_seq *seq, size_t i)
{
	seq->nr_gaps--;
	memmove(&seq->gaps[i], &seq->gaps[i + 1], (seq->nr_gaps - i) * sizeof(seq->gaps[0]));
}

static void give_up_oldest(struct mg_seq *seq)
{
	struct mg_gap gap = seq->gaps[0];

	remove_gap(seq, 0);
	seq->lost += gap.last - gap.first + 1;
	seq->tell(seq->context, gap.first, gap.last);
}

/* @i may be 0 even if the table is full: the oldest gap then goes, and @i with it. */
static void insert_gap(struct mg_seq *seq, size_t i, struct mg_gap gap)
{
	if (seq->nr_gaps == MG_SEQ_GAPS) {
		give_up_oldest(seq);
		if (i)
			i--;
	}
	memmove(&seq->gaps[i + 1], &seq->gaps[i], (seq->nr_gaps - i) * sizeof(seq->gaps[0]));
	seq->gaps[i] = gap;
	seq->nr_gaps++;
}

/* A late event: it makes a gap shorter, or splits it. One that was given up stays so. */
static void fill(struct mg_seq *seq, uint64_t number)
{
	struct mg_gap *gap, rest;
	size_t i;

	for (i = 0; i < seq->nr_gaps; i++) {
		gap = &seq->gaps[i];
		if (number < gap->first)
			return;
		if (number <= gap->last)
			break;
	}
	if (i == seq->nr_gaps)
		return;
	if (gap->first == gap->last) {
		remove_gap(seq, i);
	} else if (number == gap->first) {
		gap->first++;
	} else if (number == gap->last) {
		gap->last--;
	} else {
		rest = *gap;
		rest.first = number + 1;
		gap->last = number - 1;
		insert_gap(seq, i + 1, rest);
	}
}

void mg_seq_saw(struct mg_seq *seq, uint64_t number, uint64_t now)
{
	if (seq->next && number < seq->next) {
		fill(seq, number);
		return;
	}
	if (seq->next && number > seq->next)
		insert_gap(seq, seq->nr_gaps,
			   (struct mg_gap){ seq->next, number - 1, now });
	seq->next = number + 1;
}

void mg_seq_expect(struct mg_seq *seq, uint64_t number, uint64_t now)
{
	if (seq->next && number >= seq->next)
		insert_gap(seq, seq->nr_gaps, (struct mg_gap){ seq->next, number, now });
	if (number >= seq->next)
		seq->next = number + 1;
}

void mg_seq_settle(struct mg_seq *seq, uint64_t now)
{
	while (seq->nr_gaps && now - seq->gaps[0].since >= MG_SEQ_PATIENCE)
		give_up_oldest(seq);
}

void mg_seq_settle_all(struct mg_seq *seq)
{
	while (seq->nr_gaps)
		give_up_oldest(seq);
}
