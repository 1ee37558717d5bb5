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
struct nlmsghdr;

/* What the kernel sends at most in one message to a listener. */
#define MG_NL_MESSAGE_MAX	8192

/**
 * struct mg_nl - a listener, and a second socket for requests
 * @command:  which command this is for, for advice
 * @events:   member of the multicast groups
 * @requests: for questions, so that answers do not queue behind events
 * @family:   number of the family
 * @sequence: of the last request
 */
struct mg_nl {
	const char *command;
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
 * struct mg_nl_refusal - what the kernel says of a request it refuses
 * @bad_attr: the type of the attribute that is to blame; 0 if it named none
 * @text:     its words; empty if it had none
 */
struct mg_nl_refusal {
	uint16_t bad_attr;
	char text[128];
};

/**
 * mg_nl_open - find the family, for requests alone
 * @nl:      filled in; call mg_nl_close() in any case
 * @command: which command this is for
 *
 * Return: 0, or the exit code after a complaint.
 */
int mg_nl_open(struct mg_nl *nl, const char *command);

/**
 * mg_nl_listen - find the family and join its events
 * @nl:      filled in; call mg_nl_close() in any case
 * @command: which command this is for
 * @buffer:  bytes of receive buffer wished for
 *
 * Return: 0, or the exit code after a complaint.
 */
int mg_nl_listen(struct mg_nl *nl, const char *command, unsigned int buffer);

void mg_nl_close(struct mg_nl *nl);

/** mg_nl_status - ask for the status; 0 or a negative errno */
int mg_nl_status(struct mg_nl *nl, struct mg_nl_status *status);

/**
 * struct mg_nl_question - one request to the family
 * @cmd:     command
 * @dump:    whether it is one that is answered by any number of messages
 * @attr:    u64 attribute to go with it; 0 for none
 * @value:   of the attribute
 * @take:    gets each message of the answer; false ends it
 * @context: for @take
 */
struct mg_nl_question {
	uint8_t cmd;
	bool dump;
	uint16_t attr;
	uint64_t value;
	bool (*take)(void *context, const struct nlmsghdr *message);
	void *context;
};

/**
 * mg_nl_ask - ask, and hand out what is answered
 * @nl:       the sockets
 * @question: what is asked
 * @refusal:  filled in
 *
 * Return: 0; -EBADMSG if the taker said false or what came is no answer; -EINTR if the answer is
 * not of one piece, so that it is worth to ask again; else the negative errno with which the kernel
 * refused, or with which it could not be asked.
 */
int mg_nl_ask(struct mg_nl *nl, const struct mg_nl_question *question,
	      struct mg_nl_refusal *refusal);

/** mg_nl_verify - mg_nl_ask() for the comparison of a VM's bitmaps with the policy */
int mg_nl_verify(struct mg_nl *nl, uint64_t vm,
		 bool (*take)(void *context, const struct nlmsghdr *message), void *context,
		 struct mg_nl_refusal *refusal);

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
