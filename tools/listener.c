// SPDX-License-Identifier: GPL-2.0
/* A listener of the module's events, see listener.h. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/msrguard.h>

#include "listener.h"
#include "msrguard.h"

#define NS_PER_MS	1000000ull

/*
 * An access that was judged before this listener joined may take its sequence number
 * after that, without an event for us. So many milliseconds later, none is under way;
 * what is told, and what is counted as lost, begins then.
 */
#define SETTLE_IN_MS	50

uint64_t mg_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static void take_event(struct mg_listener *listener, const struct nlmsghdr *message)
{
	uint64_t first, last;
	struct mg_event event;

	if (!mg_event_decode(message, &event)) {
		listener->malformed++;
		return;
	}
	first = mg_event_first(&event);
	last = event.seq;
	if (last < listener->first || first > listener->last)
		return;
	mg_seq_saw(&listener->seq, first < listener->first ? listener->first : first, last,
		   mg_now_ns());
	if (listener->closed)
		return;
	if (event.overflowed)
		listener->overflowed += event.count;
	else
		listener->accesses += event.count;
	listener->take(listener->context, &event);
}

static int take_family_id(const struct nlattr *attr, void *data)
{
	uint16_t *id = data;

	if (mnl_attr_get_type(attr) != CTRL_ATTR_FAMILY_ID)
		return MNL_CB_OK;
	if (mnl_attr_validate(attr, MNL_TYPE_U16) < 0)
		return MNL_CB_ERROR;
	*id = mnl_attr_get_u16(attr);
	return MNL_CB_OK;
}

static void take_message(struct mg_listener *listener, const struct nlmsghdr *message)
{
	const struct genlmsghdr *header = mnl_nlmsg_get_payload(message);
	uint16_t gone = 0;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(*header))
		return;
	if (message->nlmsg_type == listener->nl.family &&
	    (header->cmd == MSRGUARD_CMD_ACCESS_NTF || header->cmd == MSRGUARD_CMD_LOST_NTF))
		take_event(listener, message);
	if (message->nlmsg_type != GENL_ID_CTRL || header->cmd != CTRL_CMD_DELFAMILY)
		return;
	if (mnl_attr_parse(message, sizeof(*header), take_family_id, &gone) == MNL_CB_OK &&
	    gone == listener->nl.family)
		listener->unloaded = true;
}

int mg_listener_receive(struct mg_listener *listener)
{
	char buf[MG_NL_MESSAGE_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	const struct nlmsghdr *message = (void *)buf;
	size_t len;
	int left, err;

	err = mg_nl_receive(&listener->nl, buf, &len);
	if (err == -ENOBUFS) {
		/* The gap tells how many; if nothing follows, the module is asked. */
		listener->overrun = true;
		return 0;
	}
	if (err)
		return err;
	for (left = len; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left))
		take_message(listener, message);
	return 0;
}

int mg_listener_fd(const struct mg_listener *listener)
{
	return mnl_socket_get_fd(listener->nl.events);
}

int mg_listener_patience(const struct mg_listener *listener)
{
	return listener->seq.nr_gaps || listener->overrun ? (int)(MG_SEQ_PATIENCE / NS_PER_MS) : -1;
}

/* Have the module say which number it has reached. */
void mg_listener_waited(struct mg_listener *listener)
{
	struct mg_nl_status status;

	if (!listener->overrun)
		return;
	listener->overrun = false;
	if (!mg_nl_status(&listener->nl, &status))
		mg_seq_expect(&listener->seq, status.seq, mg_now_ns());
}

void mg_listener_settle(struct mg_listener *listener)
{
	if (listener->seq.nr_gaps)
		mg_seq_settle(&listener->seq, mg_now_ns());
}

/*
 * What is queued was delivered, and what is missing may still come. Events after this moment are
 * not ours any more.
 */
void mg_listener_finish(struct mg_listener *listener, bool (*go_on)(void *context), void *context)
{
	struct pollfd fd = { .fd = mg_listener_fd(listener), .events = POLLIN };
	uint64_t deadline = mg_now_ns() + MG_SEQ_PATIENCE;
	struct mg_nl_status status;

	if (listener->closed) {
		listener->last = listener->seq.next - 1;
	} else {
		if (!mg_nl_status(&listener->nl, &status))
			listener->last = status.seq;
		while (listener->seq.next <= listener->last && go_on(context) &&
		       !mg_listener_receive(listener))
			;
		if (listener->last != UINT64_MAX)
			mg_seq_expect(&listener->seq, listener->last, mg_now_ns());
	}
	while (listener->seq.nr_gaps && mg_now_ns() < deadline && go_on(context))
		if (mg_listener_receive(listener))
			poll(&fd, 1, 10);
	mg_seq_settle_all(&listener->seq);
}

int mg_listener_start(struct mg_listener *listener, const char *command, unsigned int buffer,
		      struct mg_nl_status *status)
{
	const struct timespec settle_in = { .tv_nsec = SETTLE_IN_MS * NS_PER_MS };
	int err, ret;

	ret = mg_nl_listen(&listener->nl, command, buffer);
	if (ret)
		return ret;
	nanosleep(&settle_in, NULL);
	err = mg_nl_status(&listener->nl, status);
	if (err) {
		mg_complain("the module does not answer a status request: %s", strerror(-err));
		return err == -EPERM ? MG_EXIT_NO_PERMISSION : MG_EXIT_WRONG;
	}
	listener->first = status->seq + 1;
	listener->last = UINT64_MAX;
	mg_seq_expect(&listener->seq, status->seq, mg_now_ns());
	return MG_EXIT_OK;
}
