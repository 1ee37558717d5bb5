// SPDX-License-Identifier: GPL-2.0
/* Lost accesses, see seq.h. */
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

/*
 * A late event: what it covers of a gap is no longer missing. Its numbers are a row that one
 * event took, so they touch one gap; the loop is for a sender that breaks this. What was given
 * up stays so.
 */
static void fill(struct mg_seq *seq, uint64_t first, uint64_t last)
{
	struct mg_gap *gap, rest;
	size_t i = 0;

	while (i < seq->nr_gaps && seq->gaps[i].first <= last) {
		gap = &seq->gaps[i];
		if (gap->last < first) {
			i++;
		} else if (first <= gap->first && last >= gap->last) {
			remove_gap(seq, i);
		} else if (first <= gap->first) {
			gap->first = last + 1;
			return;
		} else if (last >= gap->last) {
			gap->last = first - 1;
			i++;
		} else {
			rest = *gap;
			rest.first = last + 1;
			gap->last = first - 1;
			insert_gap(seq, i + 1, rest);
			return;
		}
	}
}

void mg_seq_saw(struct mg_seq *seq, uint64_t first, uint64_t last, uint64_t now)
{
	if (seq->next && first < seq->next)
		fill(seq, first, last);
	else if (seq->next && first > seq->next)
		insert_gap(seq, seq->nr_gaps,
			   (struct mg_gap){ seq->next, first - 1, now });
	if (last >= seq->next)
		seq->next = last + 1;
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
