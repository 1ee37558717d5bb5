// SPDX-License-Identifier: GPL-2.0
/* Generic netlink by libmnl: find the family, join its group, ask and receive. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/msrguard.h>

#include "msrguard.h"
#include "netlink.h"

#define ANSWER_SECONDS	5
/* The kernel fills its part of a dump up to what was read before, and to this at most. */
#define DUMP_MAX	32768
#define CTRL_NAME	"nlctrl"
#define CTRL_GROUP	"notify"

struct family {
	const char *group_name;
	uint16_t id;
	uint32_t group;		/* 0: not there */
};

static int take_group(const struct nlattr *attr, void *data)
{
	const struct nlattr **attrs = data;
	uint16_t type = mnl_attr_get_type(attr);

	if ((type == CTRL_ATTR_MCAST_GRP_NAME && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) < 0) ||
	    (type == CTRL_ATTR_MCAST_GRP_ID && mnl_attr_validate(attr, MNL_TYPE_U32) < 0))
		return MNL_CB_ERROR;
	if (type <= CTRL_ATTR_MCAST_GRP_MAX)
		attrs[type] = attr;
	return MNL_CB_OK;
}

static int take_groups(const struct nlattr *groups, struct family *family)
{
	const struct nlattr *group;

	mnl_attr_for_each_nested(group, groups) {
		const struct nlattr *attrs[CTRL_ATTR_MCAST_GRP_MAX + 1] = { 0 };

		if (mnl_attr_parse_nested(group, take_group, attrs) != MNL_CB_OK)
			return MNL_CB_ERROR;
		if (attrs[CTRL_ATTR_MCAST_GRP_NAME] && attrs[CTRL_ATTR_MCAST_GRP_ID] &&
		    !strcmp(mnl_attr_get_str(attrs[CTRL_ATTR_MCAST_GRP_NAME]),
			    family->group_name))
			family->group = mnl_attr_get_u32(attrs[CTRL_ATTR_MCAST_GRP_ID]);
	}
	return MNL_CB_OK;
}

static int take_family_attribute(const struct nlattr *attr, void *data)
{
	struct family *family = data;

	switch (mnl_attr_get_type(attr)) {
	case CTRL_ATTR_FAMILY_ID:
		if (mnl_attr_validate(attr, MNL_TYPE_U16) < 0)
			return MNL_CB_ERROR;
		family->id = mnl_attr_get_u16(attr);
		return MNL_CB_OK;
	case CTRL_ATTR_MCAST_GROUPS:
		if (mnl_attr_validate(attr, MNL_TYPE_NESTED) < 0)
			return MNL_CB_ERROR;
		return take_groups(attr, family);
	default:
		return MNL_CB_OK;
	}
}

static int parse_attributes(const struct nlmsghdr *message, mnl_attr_cb_t take, void *data)
{
	if (mnl_nlmsg_get_payload_len(message) < sizeof(struct genlmsghdr) ||
	    mnl_attr_parse(message, sizeof(struct genlmsghdr), take, data) != MNL_CB_OK) {
		errno = EBADMSG;
		return MNL_CB_ERROR;
	}
	return MNL_CB_OK;
}

static int take_family(const struct nlmsghdr *message, void *data)
{
	return parse_attributes(message, take_family_attribute, data);
}

static int take_status_attribute(const struct nlattr *attr, void *data)
{
	struct mg_nl_status *status = data;

	switch (mnl_attr_get_type(attr)) {
	case MSRGUARD_A_STATUS_MODE:
		if (mnl_attr_validate(attr, MNL_TYPE_U8) < 0)
			return MNL_CB_ERROR;
		status->mode = mnl_attr_get_u8(attr);
		break;
	case MSRGUARD_A_STATUS_GENERATION:
		if (mnl_attr_validate(attr, MNL_TYPE_U64) < 0)
			return MNL_CB_ERROR;
		status->generation = mnl_attr_get_u64(attr);
		break;
	case MSRGUARD_A_STATUS_RULES:
		if (mnl_attr_validate(attr, MNL_TYPE_U32) < 0)
			return MNL_CB_ERROR;
		status->rules = mnl_attr_get_u32(attr);
		break;
	case MSRGUARD_A_STATUS_SEQ:
		if (mnl_attr_validate(attr, MNL_TYPE_U64) < 0)
			return MNL_CB_ERROR;
		status->seq = mnl_attr_get_u64(attr);
		break;
	}
	return MNL_CB_OK;
}

static int take_status(const struct nlmsghdr *message, void *data)
{
	return parse_attributes(message, take_status_attribute, data);
}

static struct nlmsghdr *request(struct mg_nl *nl, void *buf, uint16_t type, uint8_t cmd,
				uint8_t version)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *header;

	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	message->nlmsg_seq = ++nl->sequence;
	header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
	header->cmd = cmd;
	header->version = version;
	return message;
}

/* Send a request and hand every part of the answer to @take. 0 or a negative errno. */
static int talk(struct mg_nl *nl, struct nlmsghdr *message, mnl_cb_t take, void *data)
{
	unsigned int port = mnl_socket_get_portid(nl->requests);
	char buf[MG_NL_MESSAGE_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	ssize_t len;
	int ret;

	if (mnl_socket_sendto(nl->requests, message, message->nlmsg_len) < 0)
		return -errno;
	do {
		len = mnl_socket_recvfrom(nl->requests, buf, sizeof(buf));
		if (len < 0 && errno == EINTR) {
			ret = MNL_CB_OK;
			continue;
		}
		if (len < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		ret = mnl_cb_run(buf, len, message->nlmsg_seq, port, take, data);
	} while (ret > MNL_CB_STOP);
	return ret == MNL_CB_ERROR ? -errno : 0;
}

static int find_family(struct mg_nl *nl, const char *name, struct family *family)
{
	char buf[MG_NL_MESSAGE_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *message;

	message = request(nl, buf, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
	mnl_attr_put_strz(message, CTRL_ATTR_FAMILY_NAME, name);
	return talk(nl, message, take_family, family);
}

int mg_nl_status(struct mg_nl *nl, struct mg_nl_status *status)
{
	char buf[MG_NL_MESSAGE_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *message;

	memset(status, 0, sizeof(*status));
	message = request(nl, buf, nl->family, MSRGUARD_CMD_STATUS_GET,
			  MSRGUARD_FAMILY_VERSION);
	return talk(nl, message, take_status, status);
}

struct reply {
	bool (*take)(void *context, const struct nlmsghdr *message);
	void *context;
	struct mg_nl_refusal *refusal;
	bool interrupted;	/* not of one piece, says the kernel */
	bool done;
};

/* @at is the first of the attributes behind an error that say more about it. */
static void take_refusal(const struct nlmsghdr *request, const struct nlmsghdr *message, size_t at,
			 struct mg_nl_refusal *refusal)
{
	size_t end = mnl_nlmsg_get_payload_len(message), place;
	const char *payload = mnl_nlmsg_get_payload(message);
	const struct nlattr *attr;

	if (!(message->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	while (at < end) {
		attr = (const struct nlattr *)(payload + at);
		if (!mnl_attr_ok(attr, end - at))
			return;
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG &&
		    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
			snprintf(refusal->text, sizeof(refusal->text), "%s",
				 mnl_attr_get_str(attr));
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_OFFS &&
		    mnl_attr_validate(attr, MNL_TYPE_U32) >= 0) {
			place = mnl_attr_get_u32(attr);
			if (place % MNL_ALIGNTO == 0 &&
			    place + sizeof(*attr) <= request->nlmsg_len)
				refusal->bad_attr = mnl_attr_get_type((const struct nlattr *)
					((const char *)request + place));
		}
		at += MNL_ALIGN(attr->nla_len);
	}
}

/* The kernel's last word: 0, the negative errno in it, or -EBADMSG. */
static int take_end(const struct nlmsghdr *request, const struct nlmsghdr *message,
		    struct mg_nl_refusal *refusal)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);
	size_t size, len = mnl_nlmsg_get_payload_len(message);

	size = message->nlmsg_type == NLMSG_ERROR ? sizeof(*error) : sizeof(error->error);
	if (len < size || error->error > 0)
		return -EBADMSG;
	/* An error comes with the request's header, and all of it unless capped. */
	if (message->nlmsg_type == NLMSG_ERROR && !(message->nlmsg_flags & NLM_F_CAPPED))
		size += MNL_ALIGN(request->nlmsg_len) - NLMSG_HDRLEN;
	take_refusal(request, message, size, refusal);
	return error->error;
}

static int take_datagram(struct mg_nl *nl, const struct nlmsghdr *request, const void *buf, int len,
			 struct reply *reply)
{
	unsigned int port = mnl_socket_get_portid(nl->requests);
	const struct nlmsghdr *message;

	for (message = buf; mnl_nlmsg_ok(message, len); message = mnl_nlmsg_next(message, &len)) {
		/* Of an earlier request that was given up. */
		if (!mnl_nlmsg_portid_ok(message, port) ||
		    !mnl_nlmsg_seq_ok(message, request->nlmsg_seq))
			continue;
		if (message->nlmsg_flags & NLM_F_DUMP_INTR)
			reply->interrupted = true;
		if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) {
			reply->done = true;
			return take_end(request, message, reply->refusal);
		}
		if (message->nlmsg_type != nl->family)
			return -EBADMSG;
		/* To its end all the same: there is one dump at a time on a socket. */
		if (!reply->interrupted && !reply->take(reply->context, message))
			return -EBADMSG;
	}
	return len ? -EBADMSG : 0;
}

int mg_nl_ask(struct mg_nl *nl, const struct mg_nl_question *question, struct mg_nl_refusal *refusal)
{
	char buf[DUMP_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	char ask[MNL_ALIGN(sizeof(struct nlmsghdr)) + 64] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct reply reply = {
		.take = question->take,
		.context = question->context,
		.refusal = refusal,
	};
	struct nlmsghdr *message;
	ssize_t len;
	int err = 0;

	memset(refusal, 0, sizeof(*refusal));
	message = request(nl, ask, nl->family, question->cmd, MSRGUARD_FAMILY_VERSION);
	if (question->dump)
		message->nlmsg_flags |= NLM_F_DUMP;
	if (question->attr)
		mnl_attr_put_u64(message, question->attr, question->value);
	if (mnl_socket_sendto(nl->requests, message, message->nlmsg_len) < 0)
		return -errno;
	while (!err && !reply.done) {
		len = mnl_socket_recvfrom(nl->requests, buf, sizeof(buf));
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		err = take_datagram(nl, message, buf, len, &reply);
	}
	return !err && reply.interrupted ? -EINTR : err;
}

int mg_nl_verify(struct mg_nl *nl, uint64_t vm,
		 bool (*take)(void *context, const struct nlmsghdr *message), void *context,
		 struct mg_nl_refusal *refusal)
{
	const struct mg_nl_question question = {
		.cmd = MSRGUARD_CMD_VERIFY,
		.dump = true,
		.attr = MSRGUARD_A_VERIFY_VM_ID,
		.value = vm,
		.take = take,
		.context = context,
	};

	return mg_nl_ask(nl, &question, refusal);
}

static struct mnl_socket *open_socket(void)
{
	struct mnl_socket *sock = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);

	if (sock && mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(sock);
		sock = NULL;
	}
	return sock;
}

static int no_socket(void)
{
	mg_complain("cannot open a netlink socket: %s", strerror(errno));
	return MG_EXIT_WRONG;
}

static int no_family(const struct mg_nl *nl, int err)
{
	if (err != -ENOENT) {
		mg_complain("cannot ask for the netlink family %s: %s", MSRGUARD_FAMILY_NAME,
			    strerror(-err));
		return MG_EXIT_WRONG;
	}
	if (!mg_sysfs_loaded())
		return mg_sysfs_fail("mode", err);
	mg_complain("the netlink family %s is not in this network namespace",
		    MSRGUARD_FAMILY_NAME);
	fprintf(stderr, "  do: run this in the host's own network namespace, for example with\n"
		"      nsenter --net=/proc/1/ns/net msrguard %s\n", nl->command);
	return MG_EXIT_WRONG;
}

/* Return: 0 or the exit code after a complaint. */
static int join_group(struct mg_nl *nl, const char *family, uint32_t group)
{
	if (!mnl_socket_setsockopt(nl->events, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)))
		return MG_EXIT_OK;
	if (errno == EPERM || errno == EACCES) {
		mg_complain("listening to the events is not permitted");
		fputs("  do: run this as root of the host, for example with sudo\n", stderr);
		return MG_EXIT_NO_PERMISSION;
	}
	mg_complain("cannot join the multicast group of %s: %s", family, strerror(errno));
	return MG_EXIT_WRONG;
}

static void set_buffer(struct mg_nl *nl, int bytes)
{
	int fd = mnl_socket_get_fd(nl->events);

	/* The first needs CAP_NET_ADMIN, the second is cut to net.core.rmem_max. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

/* Open the socket for requests and find the family. 0 or the exit code after a complaint. */
static int open_requests(struct mg_nl *nl, const char *command, struct family *family)
{
	const struct timeval timeout = { .tv_sec = ANSWER_SECONDS };
	int err, on = 1;

	memset(nl, 0, sizeof(*nl));
	nl->command = command;
	nl->requests = open_socket();
	if (!nl->requests)
		return no_socket();
	/* Whatever goes wrong in the kernel, do not wait for ever. */
	setsockopt(mnl_socket_get_fd(nl->requests), SOL_SOCKET, SO_RCVTIMEO, &timeout,
		   sizeof(timeout));
	/* Without its words, what the kernel refuses is still refused. */
	mnl_socket_setsockopt(nl->requests, NETLINK_EXT_ACK, &on, sizeof(on));
	err = find_family(nl, MSRGUARD_FAMILY_NAME, family);
	if (err)
		return no_family(nl, err);
	nl->family = family->id;
	return MG_EXIT_OK;
}

static int other_version(const char *what)
{
	mg_complain("the netlink family %s has no %s", MSRGUARD_FAMILY_NAME, what);
	fputs("  do: use the command and the module of the same version\n", stderr);
	return MG_EXIT_WRONG;
}

int mg_nl_open(struct mg_nl *nl, const char *command)
{
	struct family family = { .group_name = MSRGUARD_MCGRP_EVENTS };
	int ret;

	ret = open_requests(nl, command, &family);
	if (!ret && !family.id)
		ret = other_version("number");
	return ret;
}

int mg_nl_listen(struct mg_nl *nl, const char *command, unsigned int buffer)
{
	struct family family = { .group_name = MSRGUARD_MCGRP_EVENTS };
	struct family ctrl = { .group_name = CTRL_GROUP };
	int err, ret, on = 1;

	ret = open_requests(nl, command, &family);
	if (ret)
		return ret;
	if (!family.id || !family.group)
		return other_version("group \"" MSRGUARD_MCGRP_EVENTS "\"");

	nl->events = open_socket();
	if (!nl->events)
		return no_socket();
	set_buffer(nl, buffer);
	/* The kernel is to count what it cannot queue for us. */
	if (mnl_socket_setsockopt(nl->events, NETLINK_BROADCAST_ERROR, &on, sizeof(on))) {
		mg_complain("cannot set NETLINK_BROADCAST_ERROR: %s", strerror(errno));
		return MG_EXIT_WRONG;
	}
	ret = join_group(nl, MSRGUARD_FAMILY_NAME, family.group);
	if (ret)
		return ret;
	/* That the module goes away is told by the controller of all families. */
	err = find_family(nl, CTRL_NAME, &ctrl);
	if (err || !ctrl.group) {
		mg_complain("cannot ask for the netlink family %s: %s", CTRL_NAME,
			    strerror(err ? -err : ENOENT));
		return MG_EXIT_WRONG;
	}
	return join_group(nl, CTRL_NAME, ctrl.group);
}

void mg_nl_close(struct mg_nl *nl)
{
	if (nl->events)
		mnl_socket_close(nl->events);
	if (nl->requests)
		mnl_socket_close(nl->requests);
}

int mg_nl_receive(struct mg_nl *nl, void *buf, size_t *len)
{
	struct iovec part = { .iov_base = buf, .iov_len = MG_NL_MESSAGE_MAX };
	struct sockaddr_nl from = { 0 };
	struct msghdr header = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &part,
		.msg_iovlen = 1,
	};
	ssize_t got;

	got = recvmsg(mnl_socket_get_fd(nl->events), &header, MSG_DONTWAIT);
	if (got < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	/* Only the kernel has something to say here. */
	if (header.msg_namelen != sizeof(from) || from.nl_family != AF_NETLINK || from.nl_pid ||
	    header.msg_flags & MSG_TRUNC)
		got = 0;
	*len = got;
	return 0;
}
