/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which accesses were not told of, from the gaps in their numbers. An event has as many
 * numbers as it stands for accesses, all in a row, so a gap is as wide as what is lost.
 *
 * CPUs take numbers first and send then, so two events may come in the wrong order: a
 * gap counts as loss only after it has stayed open for a while.
 */
#ifndef MSRGUARD_SEQ_H
#define MSRGUARD_SEQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MG_SEQ_GAPS	64
/* How long an event may be behind one with a higher number. */
#define MG_SEQ_PATIENCE	200000000ull	/* nanoseconds */

struct mg_gap {
	uint64_t first;
	uint64_t last;
	uint64_t since;		/* nanoseconds */
};

/**
 * struct mg_seq - the state of one listener
 * @next: the number after the highest one seen; 0 before the first
 * @lost: accesses given up
 * @tell: called for each run of numbers that is given up
 * @context: for @tell
 * @gaps: runs of numbers not seen so far, ascending
 * @nr_gaps: how many
 */
struct mg_seq {
	uint64_t next;
	uint64_t lost;
	void (*tell)(void *context, uint64_t first, uint64_t last);
	void *context;
	struct mg_gap gaps[MG_SEQ_GAPS];
	size_t nr_gaps;
};

/**
 * mg_seq_saw - an event has come
 * @seq:   the listener
 * @first: its lowest number; not 0
 * @last:  its highest number; not below @first, and below UINT64_MAX
 * @now:   the time in nanoseconds
 */
void mg_seq_saw(struct mg_seq *seq, uint64_t first, uint64_t last, uint64_t now);

/** mg_seq_expect - everything up to @number has been sent by now */
void mg_seq_expect(struct mg_seq *seq, uint64_t number, uint64_t now);

/** mg_seq_settle - give up what has been missing for longer than MG_SEQ_PATIENCE */
void mg_seq_settle(struct mg_seq *seq, uint64_t now);

/** mg_seq_settle_all - give up all that is missing */
void mg_seq_settle_all(struct mg_seq *seq);

#endif /* MSRGUARD_SEQ_H */
