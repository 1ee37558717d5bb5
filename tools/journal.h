/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events as entries of systemd's journal, with a field for each of their fields; msrguard(8)
 * lists them, catalog/msrguard.catalog explains the messages.
 */
#ifndef MSRGUARD_JOURNAL_H
#define MSRGUARD_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

struct mg_event;

/* What is told; each has its own MESSAGE_ID, which never changes. */
#define MG_JOURNAL_BLOCKED	"2201ebeda4d647b1a7e70d45f2ed9f68"
#define MG_JOURNAL_AUDITED	"0026ddd1e72f4970bf1d75f803e4593b"
#define MG_JOURNAL_LOST		"6df4ebf58639490c9267cf26570f98d9"
#define MG_JOURNAL_OVERFLOWED	"ba74063eb334402ba43fada3b07c74f8"

/** mg_journal_check - whether there is a journal to write to; else an exit code after a complaint */
int mg_journal_check(void);

/** mg_journal_ready - tell the service manager, if there is one, that we listen */
void mg_journal_ready(void);

/** mg_journal_event - an event, of any kind */
void mg_journal_event(const struct mg_event *event);

/** mg_journal_lost - the numbers of accesses that this listener lost */
void mg_journal_lost(uint64_t first, uint64_t last);

/**
 * mg_journal_failed - entries that the journal did not take, since the last one that it took
 *
 * When it takes one again, these are told first.
 */
uint64_t mg_journal_failed(void);

#endif /* MSRGUARD_JOURNAL_H */
