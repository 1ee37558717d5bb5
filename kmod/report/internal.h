/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between the choke point and netlink. Whoever reports an access wants report.h.
 */
#ifndef MG_REPORT_INTERNAL_H
#define MG_REPORT_INTERNAL_H

#include <linux/kernel.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "report.h"

struct genl_family;
struct sk_buff;

/* What netlink did with an event. */
enum mg_delivery {
	MG_NOT_SENT,	/* nobody listens */
	MG_SENT,
	MG_LOST,	/* a listener, or all of them, did not get it */
};

/** mg_event_value_known - whether @event->access->value says anything */
static inline bool mg_event_value_known(const struct mg_event *event)
{
	return event->access->dir == MG_WRITE || event->value_known;
}

/** mg_event_old_known - whether @event->access->old says something the value does not */
static inline bool mg_event_old_known(const struct mg_event *event)
{
	return event->access->dir == MG_WRITE && event->access->old_known;
}

/** mg_build_id_text - a build id in hexadecimal digits and a NUL; "" if there is none */
static inline void mg_build_id_text(const struct mg_image *image,
				    char text[2 * MG_BUILD_ID_MAX + 1])
{
	memset(text, 0, 2 * MG_BUILD_ID_MAX + 1);
	if (image)
		scnprintf(text, 2 * MG_BUILD_ID_MAX + 1, "%*phN", image->build_id_len,
			  image->build_id);
}

/** mg_netlink_listened - whether an event would reach anybody; any context, cheap */
bool mg_netlink_listened(void);

/**
 * mg_netlink_send - multicast one event
 * @event: all of it
 * @seq:   its last sequence number
 *
 * Context: may sleep.
 * Return: what became of it.
 */
enum mg_delivery mg_netlink_send(const struct mg_event *event, u64 seq);

/**
 * mg_netlink_send_lost - multicast that accesses of a VM are told as a number only
 * @vm_id:  the VM
 * @vm_pid: id of the task that created it
 * @count:  how many
 * @seq:    the last one's sequence number
 *
 * Context and return: as mg_netlink_send().
 */
enum mg_delivery mg_netlink_send_lost(u64 vm_id, u32 vm_pid, u64 count, u64 seq);

/* report.c */

/** mg_count - add one to a counter of the host and of a VM; NULL is a VM without account */
void mg_count(const struct mg_account *account, enum mg_counter which);

/** mg_counter_sum - sum of one counter over all CPUs; @counters NULL means the host's */
u64 mg_counter_sum(const struct mg_counters __percpu *counters, enum mg_counter which);

/** mg_sum_per_cpu - sum of a number that each CPU has its share of */
u64 mg_sum_per_cpu(const u64 __percpu *number);

/** mg_report_number - the last of @count numbers that are taken for as many accesses */
u64 mg_report_number(u64 count);

/**
 * mg_report_tell - tell an event to whoever listens
 * @event: all of it is filled in
 * @seq:   the number of the last access that it stands for, from mg_report_number()
 *
 * Context: may sleep.
 */
void mg_report_tell(const struct mg_event *event, u64 seq);

/** mg_report_tell_lost - the same for accesses that are told as a number only */
void mg_report_tell_lost(u64 vm_id, u32 vm_pid, u64 count, u64 seq);

/* account.c */
struct fold;
struct fold_table;

/**
 * struct mg_account - see account.h
 * @id:       of the VM
 * @pid:      of the task that created it
 * @counters: what was counted
 * @lock:     protects what follows, up to @tell
 * @table:    the folds, NULL before the first
 * @nr_used:  how many are in use
 * @overflow: accesses that found no fold and were not told yet
 * @telling:  accesses taken out of a fold or of @overflow and on their way to the listeners
 * @tell:     tells what is pending, at the end of each window
 * @close:    tells the rest and frees the account
 */
struct mg_account {
	u64 id;
	u32 pid;
	struct mg_counters __percpu *counters;
	spinlock_t lock;
	struct fold_table *table;
	unsigned int nr_used;
	u64 overflow;
	u64 telling;
	struct delayed_work tell;
	struct work_struct close;
};


/* What became of an access. */
enum mg_folding {
	MG_FOLDED,	/* it is counted, and told later */
	MG_FOLD_MADE,	/* it is the first of its kind: to be told now, then mg_account_described() */
};

/**
 * mg_account_fold - add an access to those like it
 * @account: the VM's
 * @event:   the access, located
 * @made:    set with MG_FOLD_MADE
 *
 * Context: may sleep.
 */
enum mg_folding mg_account_fold(struct mg_account *account, const struct mg_event *event,
				struct fold **made);

/** mg_account_described - what was found out of the first access holds for those like it */
void mg_account_described(struct mg_account *account, struct fold *fold,
			  const struct mg_event *event);

int mg_account_init(void);
void mg_account_flush(void);
void mg_account_exit(void);

/* Whom requests are passed to. */
extern const struct mg_report_source *mg_netlink_source;

/* The family, and a u64 with the padding that netlink wants. */
extern struct genl_family mg_netlink_family;
int mg_netlink_put_u64(struct sk_buff *skb, int attr, u64 value);

int mg_netlink_init(const struct mg_report_source *source);
void mg_netlink_exit(void);

#endif /* MG_REPORT_INTERNAL_H */
