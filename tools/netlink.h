/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The module's generic-netlink family: a listener for its events, and requests.
 */
#ifndef MSRGUARD_NETLINK_H
#define MSRGUARD_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mnl_socket;

/* What the kernel sends at most in one message to a listener. */
#define MG_NL_MESSAGE_MAX	8192

/**
 * struct mg_nl - a listener, and a second socket for requests
 * @events:   member of the multicast groups
 * @requests: for questions, so that answers do not queue behind events
 * @family:   number of the family
 * @sequence: of the last request
 */
struct mg_nl {
	struct mnl_socket *events;
	struct mnl_socket *requests;
	uint16_t family;
	uint32_t sequence;
};

/**
 * struct mg_nl_status - what the family answers to a status request
 */
struct mg_nl_status {
	uint64_t generation;
	uint64_t seq;
	uint32_t rules;
	uint8_t mode;
};

/**
 * mg_nl_listen - find the family and join its events
 * @nl:     filled in; call mg_nl_close() in any case
 * @buffer: bytes of receive buffer wished for
 *
 * Return: 0, or the exit code after a complaint.
 */
int mg_nl_listen(struct mg_nl *nl, unsigned int buffer);

void mg_nl_close(struct mg_nl *nl);

/** mg_nl_status - ask for the status; 0 or a negative errno */
int mg_nl_status(struct mg_nl *nl, struct mg_nl_status *status);

/**
 * mg_nl_receive - next datagram from the kernel, without waiting
 * @nl:  the listener
 * @buf: MG_NL_MESSAGE_MAX bytes, aligned for a struct nlmsghdr
 * @len: set to how many were received; 0 if there was nothing worth looking at
 *
 * Return: 0 or a negative errno; -EAGAIN if there is none, -ENOBUFS if some were lost.
 */
int mg_nl_receive(struct mg_nl *nl, void *buf, size_t *len);

#endif /* MSRGUARD_NETLINK_H */
