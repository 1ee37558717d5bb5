// SPDX-License-Identifier: GPL-2.0
/* Requests to the netlink family byte by byte, see raw.h. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/msrguard.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "raw.h"

void raw_begin(struct raw_request *request, uint16_t family, uint8_t cmd, uint16_t flags)
{
	struct genlmsghdr *header;

	memset(request, 0, sizeof(*request));
	mnl_nlmsg_put_header(request->bytes);
	request->header.nlmsg_type = family;
	request->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	request->header.nlmsg_seq = 77;
	header = mnl_nlmsg_put_extra_header(&request->header, sizeof(*header));
	header->cmd = cmd;
	header->version = MSRGUARD_FAMILY_VERSION;
	request->len = request->header.nlmsg_len;
}

void raw_put_lie(struct raw_request *request, uint16_t type, uint16_t says, const void *data,
		 size_t len)
{
	struct nlattr attr = { .nla_type = type, .nla_len = says };

	memcpy(request->bytes + request->len, &attr, sizeof(attr));
	memcpy(request->bytes + request->len + sizeof(attr), data, len);
	request->len += MNL_ALIGN(sizeof(attr) + len);
	request->header.nlmsg_len = request->len;
}

void raw_put(struct raw_request *request, uint16_t type, const void *data, size_t len)
{
	raw_put_lie(request, type, sizeof(struct nlattr) + len, data, len);
}

void raw_put_u64(struct raw_request *request, uint16_t type, uint64_t value)
{
	raw_put(request, type, &value, sizeof(value));
}

struct mnl_socket *raw_open(void)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	const struct timeval patience = { .tv_sec = 20 };
	int on = 1;

	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return NULL;
	mnl_socket_setsockopt(socket, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return socket;
}

static void take_end(const struct nlmsghdr *message, struct raw_answer *answer)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);
	size_t at = sizeof(error->error), end = mnl_nlmsg_get_payload_len(message);
	const struct nlattr *attr;

	answer->error = error->error;
	if (message->nlmsg_type == NLMSG_ERROR)
		at = sizeof(*error) + (message->nlmsg_flags & NLM_F_CAPPED ? 0 :
				       MNL_ALIGN(error->msg.nlmsg_len) - NLMSG_HDRLEN);
	if (!(message->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	for (; at + sizeof(*attr) <= end; at += MNL_ALIGN(attr->nla_len)) {
		attr = (const void *)((const char *)error + at);
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
			snprintf(answer->why, sizeof(answer->why), "%s", mnl_attr_get_str(attr));
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_OFFS)
			answer->bad_offset = mnl_attr_get_u32(attr);
	}
}

bool raw_take(struct mnl_socket *socket, struct raw_answer *answer, size_t size)
{
	const struct nlmsghdr *message;
	char buf[65536];
	ssize_t got = mnl_socket_recvfrom(socket, buf, size);
	int left = got;

	if (got < 0) {
		answer->error = -errno;
		return true;
	}
	for (message = (void *)buf; mnl_nlmsg_ok(message, left);
	     message = mnl_nlmsg_next(message, &left)) {
		answer->interrupted |= message->nlmsg_flags & NLM_F_DUMP_INTR;
		if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE) {
			take_end(message, answer);
			return true;
		}
		if (answer->nr == RAW_MAX_MESSAGES)
			abort();
		answer->messages[answer->nr] = malloc(message->nlmsg_len);
		memcpy(answer->messages[answer->nr++], message, message->nlmsg_len);
	}
	return false;
}

void raw_forget(struct raw_answer *answer)
{
	while (answer->nr)
		free(answer->messages[--answer->nr]);
	memset(answer, 0, sizeof(*answer));
}

int raw_ask(const struct raw_request *request, struct raw_answer *answer)
{
	struct mnl_socket *socket = raw_open();

	raw_forget(answer);
	if (!socket || mnl_socket_sendto(socket, request->bytes, request->len) < 0)
		answer->error = -errno;
	else
		while (!raw_take(socket, answer, 65536))
			;
	if (socket)
		mnl_socket_close(socket);
	return answer->error;
}

int raw_ask_for(uint16_t family, uint8_t cmd, uint16_t flags, struct raw_answer *answer)
{
	struct raw_request request;

	raw_begin(&request, family, cmd, flags);
	return raw_ask(&request, answer);
}

/* An attribute of a message; it must be there, of that size, once. */
static bool raw_get(const struct nlmsghdr *message, uint16_t type, void *to, size_t size)
{
	const struct nlattr *attr;
	unsigned int found = 0;

	memset(to, 0, size);
	mnl_attr_for_each(attr, message, sizeof(struct genlmsghdr)) {
		if (mnl_attr_get_type(attr) != type)
			continue;
		if (mnl_attr_get_payload_len(attr) != size)
			return false;
		memcpy(to, mnl_attr_get_payload(attr), size);
		found++;
	}
	return found == 1;
}

bool raw_has(const struct nlmsghdr *message, uint16_t type)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, message, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(attr) == type)
			return true;
	return false;
}

uint64_t raw_u64(const struct nlmsghdr *message, uint16_t type)
{
	uint64_t value;

	/* No counter of a test comes near it. */
	return raw_get(message, type, &value, sizeof(value)) ? value : UINT64_MAX;
}

uint32_t raw_u32(const struct nlmsghdr *message, uint16_t type)
{
	uint32_t value;

	return raw_get(message, type, &value, sizeof(value)) ? value : UINT32_MAX;
}

uint8_t raw_u8(const struct nlmsghdr *message, uint16_t type)
{
	uint8_t value;

	return raw_get(message, type, &value, sizeof(value)) ? value : UINT8_MAX;
}

static int note_family(const struct nlattr *attr, void *data)
{
	const struct nlattr *group, *field;
	uint32_t *found = data;

	if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
		found[0] = mnl_attr_get_u16(attr);
	if (mnl_attr_get_type(attr) == CTRL_ATTR_MCAST_GROUPS)
		mnl_attr_for_each_nested(group, attr)
			mnl_attr_for_each_nested(field, group)
				if (mnl_attr_get_type(field) == CTRL_ATTR_MCAST_GRP_ID)
					found[1] = mnl_attr_get_u32(field);
	return MNL_CB_OK;
}

int raw_family(uint16_t *family, uint32_t *group)
{
	struct raw_answer *answer = calloc(1, sizeof(*answer));
	uint32_t found[2] = { 0 };
	struct raw_request request;
	int err;

	raw_begin(&request, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);
	raw_put(&request, CTRL_ATTR_FAMILY_NAME, MSRGUARD_FAMILY_NAME,
		sizeof(MSRGUARD_FAMILY_NAME));
	err = raw_ask(&request, answer);
	if (!err && answer->nr == 1)
		mnl_attr_parse(answer->messages[0], sizeof(struct genlmsghdr), note_family, found);
	if (!err && !(found[0] && found[1]))
		err = -EBADMSG;
	*family = found[0];
	*group = found[1];
	raw_forget(answer);
	free(answer);
	return err;
}

int raw_join(struct mnl_socket *socket, uint32_t group)
{
	int number = group;

	return mnl_socket_setsockopt(socket, NETLINK_ADD_MEMBERSHIP, &number, sizeof(number)) < 0 ?
	       -errno : 0;
}
