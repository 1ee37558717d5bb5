/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VM's account: what its guests did, and which of it is still to be told.
 *
 * Accesses that are alike fold: the first is told at once, those that follow within a window of
 * time are counted and told together at the window's end. How many different ones an account can
 * hold is bounded, which bounds its memory and, with the window, the events it can cause in a
 * second. What goes beyond is told as a number. Every access is told exactly once, in one of the
 * three ways.
 */
#ifndef MG_REPORT_ACCOUNT_H
#define MG_REPORT_ACCOUNT_H

#include <linux/percpu-defs.h>
#include <linux/types.h>

struct mg_account;
struct mg_event;

/* What is counted, for the host and for each VM. */
enum mg_counter {
	MG_COUNT_READS,		/* reads that needed a decision */
	MG_COUNT_WRITES,	/* writes that needed a decision */
	MG_COUNT_DENIED,
	MG_COUNT_DROPPED,
	MG_COUNT_MASKED,
	MG_COUNT_AUDITED,
	MG_COUNT_QUIET,		/* of the four before, those whose rule wants no event */
	MG_COUNT_OVERFLOWED,	/* told as a number only */
	MG_NR_COUNTERS,
};

/**
 * struct mg_counters - one CPU's share of a set of counters
 * @n: by &enum mg_counter; only ever incremented, by this_cpu_inc()
 */
struct mg_counters {
	u64 n[MG_NR_COUNTERS];
};

/**
 * mg_account_new - an account without an owner yet
 *
 * Context: may sleep.
 * Return: the account, or NULL if there is no memory.
 */
struct mg_account *mg_account_new(void);

/**
 * mg_account_open - say whose account it is, before anything is reported to it
 * @account: the account
 * @id:      of the VM
 * @pid:     of the task that created it
 *
 * Context: any.
 */
void mg_account_open(struct mg_account *account, u64 id, u32 pid);

/**
 * mg_account_tell - tell what is pending soon, not at the end of the window
 * @account: the account
 *
 * Context: any; mg_report_flush() waits for it.
 */
void mg_account_tell(struct mg_account *account);

/**
 * mg_account_close - tell what is still to be told, and free
 * @account: the account, opened or not; nobody reports to it any more. NULL is fine.
 *
 * Context: any; the work is done later, mg_report_exit() waits for it.
 */
void mg_account_close(struct mg_account *account);

/** mg_account_id - the VM's id */
u64 mg_account_id(const struct mg_account *account);

/** mg_account_counter - sum of one counter over all CPUs; NULL means the host's */
u64 mg_account_counter(const struct mg_account *account, enum mg_counter which);

/** mg_account_pending - accesses of one VM still to be told; may spin on a lock */
u64 mg_account_pending(struct mg_account *account);

#endif /* MG_REPORT_ACCOUNT_H */
