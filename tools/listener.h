/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A listener of the module's events that knows exactly what it missed.
 */
#ifndef MSRGUARD_LISTENER_H
#define MSRGUARD_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "event.h"
#include "netlink.h"
#include "seq.h"

/* Receive buffer, if nobody wishes another. */
#define MG_BUFFER_KIB	32768

/**
 * struct mg_listener - its state
 * @nl:         the sockets
 * @seq:        what is missing; @seq.tell and @seq.context are the user's to set
 * @take:       gets each event, in the order in which they come
 * @context:    for @take
 * @first:      numbers before this one are not ours to tell of,
 * @last:       nor are those after this one
 * @accesses:   how many came, one by one or folded,
 * @overflowed: and how many only as a number
 * @malformed:  messages that were not understood
 * @overrun:    the kernel had to leave something out, and nothing has come since
 * @closed:     what still comes only tells that it is not lost
 * @unloaded:   the module has gone
 */
struct mg_listener {
	struct mg_nl nl;
	struct mg_seq seq;
	void (*take)(void *context, const struct mg_event *event);
	void *context;
	uint64_t first;
	uint64_t last;
	uint64_t accesses;
	uint64_t overflowed;
	uint64_t malformed;
	bool overrun;
	bool closed;
	bool unloaded;
};

/** mg_now_ns - CLOCK_MONOTONIC */
uint64_t mg_now_ns(void);

/**
 * mg_listener_start - join, and learn where the numbers are now
 * @listener: all but @seq.tell, @seq.context, @take, @context is 0
 * @command:  which command this is for
 * @buffer:   bytes of receive buffer wished for
 * @status:   filled in
 *
 * Call mg_nl_close() in any case.
 *
 * Return: 0, or the exit code after a complaint.
 */
int mg_listener_start(struct mg_listener *listener, const char *command, unsigned int buffer,
		      struct mg_nl_status *status);

/** mg_listener_fd - to be waited for with poll(2) */
int mg_listener_fd(const struct mg_listener *listener);

/** mg_listener_patience - for how many milliseconds at most; -1 for ever */
int mg_listener_patience(const struct mg_listener *listener);

/** mg_listener_waited - nothing came in that time */
void mg_listener_waited(struct mg_listener *listener);

/**
 * mg_listener_receive - take one datagram, if there is one
 *
 * Return: 0 or a negative errno; -EAGAIN if there was none.
 */
int mg_listener_receive(struct mg_listener *listener);

/** mg_listener_settle - tell what must be lost by now */
void mg_listener_settle(struct mg_listener *listener);

/**
 * mg_listener_finish - take what is there already, wait for what is late, tell what is lost
 * @listener: the listener; if @closed, only what has come so far is ours to tell of
 * @go_on:    asked now and then; false to end at once
 * @context:  for @go_on
 */
void mg_listener_finish(struct mg_listener *listener, bool (*go_on)(void *context), void *context);

#endif /* MSRGUARD_LISTENER_H */
