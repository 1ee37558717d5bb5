/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between the choke point and netlink. Whoever reports an access wants report.h.
 */
#ifndef MG_REPORT_INTERNAL_H
#define MG_REPORT_INTERNAL_H

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

/** mg_netlink_listened - whether an event would reach anybody; any context, cheap */
bool mg_netlink_listened(void);

/**
 * mg_netlink_send - multicast one event
 * @event: the access, described
 * @seq:   its sequence number
 *
 * Context: may sleep.
 * Return: what became of it.
 */
enum mg_delivery mg_netlink_send(const struct mg_event *event, u64 seq);

/* Whom requests are passed to. */
extern const struct mg_report_source *mg_netlink_source;

/* The family, and a u64 with the padding that netlink wants. */
extern struct genl_family mg_netlink_family;
int mg_netlink_put_u64(struct sk_buff *skb, int attr, u64 value);

int mg_netlink_init(const struct mg_report_source *source);
void mg_netlink_exit(void);

#endif /* MG_REPORT_INTERNAL_H */
