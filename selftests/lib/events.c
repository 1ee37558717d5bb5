// SPDX-License-Identifier: GPL-2.0
/* A listener on the netlink group, and the tracepoint read back. */
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/msrguard.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "msrguard.h"

struct mg_listener {
	struct mnl_socket *socket;
	uint16_t family;
	uint32_t group;
	/* Messages read and not yet handed out. */
	struct nlmsghdr *next;
	int left;
	char buf[65536];
};

static int find_group(const struct nlattr *attr, void *listener)
{
	struct mg_listener *to = listener;
	const struct nlattr *group, *field;

	if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
		to->family = mnl_attr_get_u16(attr);
	if (mnl_attr_get_type(attr) != CTRL_ATTR_MCAST_GROUPS)
		return MNL_CB_OK;
	mnl_attr_for_each_nested(group, attr) {
		const char *name = "";
		uint32_t id = 0;

		mnl_attr_for_each_nested(field, group) {
			if (mnl_attr_get_type(field) == CTRL_ATTR_MCAST_GRP_NAME)
				name = mnl_attr_get_str(field);
			else if (mnl_attr_get_type(field) == CTRL_ATTR_MCAST_GRP_ID)
				id = mnl_attr_get_u32(field);
		}
		if (!strcmp(name, MSRGUARD_MCGRP_EVENTS))
			to->group = id;
	}
	return MNL_CB_OK;
}

static int read_family(const struct nlmsghdr *message, void *listener)
{
	return mnl_attr_parse(message, sizeof(struct genlmsghdr), find_group, listener);
}

static int resolve(struct mg_listener *listener)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(listener->buf);
	struct genlmsghdr *header;
	ssize_t n;

	request->nlmsg_type = GENL_ID_CTRL;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	request->nlmsg_seq = 1;
	header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	header->cmd = CTRL_CMD_GETFAMILY;
	header->version = 1;
	mnl_attr_put_strz(request, CTRL_ATTR_FAMILY_NAME, MSRGUARD_FAMILY_NAME);
	if (mnl_socket_sendto(listener->socket, request, request->nlmsg_len) < 0)
		return -1;
	do {
		n = mnl_socket_recvfrom(listener->socket, listener->buf, sizeof(listener->buf));
		if (n < 0)
			return -1;
		n = mnl_cb_run(listener->buf, n, 1, mnl_socket_get_portid(listener->socket),
			       read_family, listener);
		if (n < 0)
			return -1;
	} while (n > MNL_CB_STOP);
	if (!listener->group) {
		errno = ENOENT;
		return -1;
	}
	return 0;
}

struct mg_listener *mg_listen(void)
{
	struct mg_listener *listener = calloc(1, sizeof(*listener));
	int group, error;

	if (!listener)
		return NULL;
	listener->socket = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	if (!listener->socket)
		goto fail;
	if (mnl_socket_bind(listener->socket, 0, MNL_SOCKET_AUTOPID) < 0 || resolve(listener))
		goto fail;
	group = listener->group;
	if (mnl_socket_setsockopt(listener->socket, NETLINK_ADD_MEMBERSHIP, &group,
				  sizeof(group)) < 0)
		goto fail;
	return listener;

fail:
	error = errno;
	mg_listener_free(listener);
	errno = error;
	return NULL;
}

bool mg_listener_counts_losses(struct mg_listener *listener)
{
	int on = 1;

	return !mnl_socket_setsockopt(listener->socket, NETLINK_BROADCAST_ERROR, &on, sizeof(on));
}

void mg_listener_free(struct mg_listener *listener)
{
	if (!listener)
		return;
	if (listener->socket)
		mnl_socket_close(listener->socket);
	free(listener);
}

static bool take_u64(const struct nlattr *attr, uint64_t *to)
{
	if (mnl_attr_get_payload_len(attr) != sizeof(*to))
		return false;
	*to = mnl_attr_get_u64(attr);
	return true;
}

static bool take_u32(const struct nlattr *attr, uint32_t *to)
{
	if (mnl_attr_get_payload_len(attr) != sizeof(*to))
		return false;
	*to = mnl_attr_get_u32(attr);
	return true;
}

static bool take_u8(const struct nlattr *attr, uint8_t *to)
{
	if (mnl_attr_get_payload_len(attr) != sizeof(*to))
		return false;
	*to = mnl_attr_get_u8(attr);
	return true;
}

static bool take_text(const struct nlattr *attr, char *to, size_t size)
{
	if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) < 0 ||
	    mnl_attr_get_payload_len(attr) > size)
		return false;
	strcpy(to, mnl_attr_get_str(attr));
	return true;
}

static bool take_attribute(const struct nlattr *attr, struct mg_event *event)
{
	switch (mnl_attr_get_type(attr)) {
	case MSRGUARD_A_ACCESS_PAD:
		return true;
	case MSRGUARD_A_ACCESS_SEQ:
		return take_u64(attr, &event->seq);
	case MSRGUARD_A_ACCESS_TIME:
		return take_u64(attr, &event->time);
	case MSRGUARD_A_ACCESS_VM_ID:
		return take_u64(attr, &event->vm_id);
	case MSRGUARD_A_ACCESS_VM_PID:
		return take_u32(attr, &event->vm_pid);
	case MSRGUARD_A_ACCESS_VCPU:
		return take_u32(attr, &event->vcpu);
	case MSRGUARD_A_ACCESS_MSR:
		return take_u32(attr, &event->msr);
	case MSRGUARD_A_ACCESS_DIRECTION:
		return take_u8(attr, &event->direction);
	case MSRGUARD_A_ACCESS_ORIGIN:
		return take_u8(attr, &event->origin);
	case MSRGUARD_A_ACCESS_VALUE:
		return event->has_value = take_u64(attr, &event->value);
	case MSRGUARD_A_ACCESS_OLD:
		return event->has_old = take_u64(attr, &event->old);
	case MSRGUARD_A_ACCESS_PC:
		return event->has_pc = take_u64(attr, &event->pc);
	case MSRGUARD_A_ACCESS_CPL:
		return event->has_cpl = take_u8(attr, &event->cpl);
	case MSRGUARD_A_ACCESS_NESTED:
		event->nested = true;
		return !mnl_attr_get_payload_len(attr);
	case MSRGUARD_A_ACCESS_VERDICT:
		return take_u8(attr, &event->verdict);
	case MSRGUARD_A_ACCESS_WOULD_BE:
		return event->has_would_be = take_u8(attr, &event->would_be);
	case MSRGUARD_A_ACCESS_RULE_FIRST:
		return event->has_rule = take_u32(attr, &event->rule_first);
	case MSRGUARD_A_ACCESS_RULE_LAST:
		return take_u32(attr, &event->rule_last);
	case MSRGUARD_A_ACCESS_GENERATION:
		return take_u64(attr, &event->generation);
	case MSRGUARD_A_ACCESS_COUNT:
		return take_u64(attr, &event->count);
	case MSRGUARD_A_ACCESS_IMAGE_KIND:
		return event->has_image = take_u8(attr, &event->image_kind);
	case MSRGUARD_A_ACCESS_IMAGE_BASE:
		return event->has_image_base = take_u64(attr, &event->image_base);
	case MSRGUARD_A_ACCESS_IMAGE_SIZE:
		return event->has_image_size = take_u64(attr, &event->image_size);
	case MSRGUARD_A_ACCESS_IMAGE_CHECKSUM:
		return event->has_checksum = take_u32(attr, &event->image_checksum);
	case MSRGUARD_A_ACCESS_IMAGE_TIMESTAMP:
		return event->has_timestamp = take_u32(attr, &event->image_timestamp);
	case MSRGUARD_A_ACCESS_IMAGE_NAME:
		return take_text(attr, event->image_name, sizeof(event->image_name));
	case MSRGUARD_A_ACCESS_IMAGE_BUILD_ID:
		event->build_id_len = mnl_attr_get_payload_len(attr);
		if (event->build_id_len > sizeof(event->build_id))
			return false;
		memcpy(event->build_id, mnl_attr_get_payload(attr), event->build_id_len);
		return true;
	default:
		return false;
	}
}

static bool parse_event(const struct mg_listener *listener, const struct nlmsghdr *message,
			struct mg_event *event)
{
	const struct genlmsghdr *header = mnl_nlmsg_get_payload(message);
	const struct nlattr *attr;

	if (message->nlmsg_type != listener->family ||
	    (header->cmd != MSRGUARD_CMD_ACCESS_NTF && header->cmd != MSRGUARD_CMD_LOST_NTF))
		return false;
	memset(event, 0, sizeof(*event));
	event->lost = header->cmd == MSRGUARD_CMD_LOST_NTF;
	mnl_attr_for_each(attr, message, sizeof(*header))
		if (!take_attribute(attr, event))
			event->strange++;
	return true;
}

static bool receive(struct mg_listener *listener, unsigned int timeout_ms)
{
	struct pollfd ready = {
		.fd = mnl_socket_get_fd(listener->socket),
		.events = POLLIN,
	};
	ssize_t n;

	if (poll(&ready, 1, timeout_ms) <= 0)
		return false;
	n = mnl_socket_recvfrom(listener->socket, listener->buf, sizeof(listener->buf));
	if (n <= 0)
		return false;
	listener->next = (struct nlmsghdr *)listener->buf;
	listener->left = n;
	return true;
}

bool mg_next_event(struct mg_listener *listener, struct mg_event *event, unsigned int timeout_ms)
{
	for (;;) {
		while (mnl_nlmsg_ok(listener->next, listener->left)) {
			const struct nlmsghdr *message = listener->next;

			listener->next = mnl_nlmsg_next(message, &listener->left);
			if (parse_event(listener, message, event))
				return true;
		}
		if (!receive(listener, timeout_ms))
			return false;
	}
}

unsigned int mg_drain(struct mg_listener *listener)
{
	struct mg_event event;
	unsigned int n = 0;

	while (mg_next_event(listener, &event, 0))
		n++;
	return n;
}

#define TRACING		"/sys/kernel/tracing"
/* One for all tests, never removed: 6.1 takes a second to make the files of all events. */
#define INSTANCE	TRACING "/instances/msrguard-selftest"
#define EVENT_ENABLE	"events/msrguard/msrguard_access/enable"

struct mg_trace {
	char text[65536];
	size_t done;	/* lines handed out */
	char line[1024];
};

static int write_trace_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err = -errno;
	close(fd);
	return err;
}

struct mg_trace *mg_trace_open(void)
{
	struct mg_trace *trace;

	if (mkdir(INSTANCE, 0700) && errno != EEXIST)
		return NULL;
	/* What a test that died has left; the event itself is there while the module is. */
	write_trace_file(INSTANCE "/" EVENT_ENABLE, "0");
	if (write_trace_file(INSTANCE "/trace", "\n"))
		return NULL;
	trace = calloc(1, sizeof(*trace));
	return trace;
}

void mg_trace_free(struct mg_trace *trace)
{
	if (!trace)
		return;
	mg_trace_enable(trace, false);
	free(trace);
}

int mg_trace_enable(struct mg_trace *trace, bool on)
{
	(void)trace;
	return write_trace_file(INSTANCE "/" EVENT_ENABLE, on ? "1" : "0");
}

static ssize_t read_trace(struct mg_trace *trace)
{
	size_t len = 0;
	ssize_t n;
	int fd;

	fd = open(INSTANCE "/trace", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (len < sizeof(trace->text) - 1) {
		n = read(fd, trace->text + len, sizeof(trace->text) - 1 - len);
		if (n <= 0)
			break;
		len += n;
	}
	close(fd);
	trace->text[len] = '\0';
	return len;
}

const char *mg_trace_next(struct mg_trace *trace)
{
	static const char mark[] = "msrguard_access: ";
	char *save, *line;
	size_t seen = 0;

	if (read_trace(trace) <= 0)
		return NULL;
	for (line = strtok_r(trace->text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *at = strstr(line, mark);

		if (line[0] == '#' || !at || seen++ < trace->done)
			continue;
		trace->done++;
		snprintf(trace->line, sizeof(trace->line), "%s", at + strlen(mark));
		return trace->line;
	}
	return NULL;
}

static const char *hex_or_unknown(bool known, uint64_t value, char *buf)
{
	if (!known)
		return "unknown";
	sprintf(buf, "0x%lx", value);
	return buf;
}

void mg_trace_text(const struct mg_event *e, char *buf, size_t size)
{
	static const char *const origins[] = { "exit", "emulator", "nested-list" };
	static const char *const verdicts[] = { "?", "audited", "denied", "dropped", "masked" };
	static const char *const kinds[] = { "unknown", "pe", "linux-kernel", "linux-module" };
	char value[24], old[24], pc[24], rule[32], base[24], bytes[24], checksum[24], stamp[24];
	char build_id[2 * sizeof(e->build_id) + 1] = "unknown";
	uint8_t would_be = e->has_would_be ? e->would_be : e->verdict;

	if (!e->has_rule)
		strcpy(rule, "default");
	else if (e->rule_first == e->rule_last)
		sprintf(rule, "0x%x", e->rule_first);
	else
		sprintf(rule, "0x%x-0x%x", e->rule_first, e->rule_last);
	for (unsigned int i = 0; i < e->build_id_len; i++)
		sprintf(build_id + 2 * i, "%02x", e->build_id[i]);
	snprintf(buf, size,
		 "vm=%lu pid=%u vcpu=%u msr=0x%x dir=%s origin=%s value=%s old=%s pc=%s cpl=%c nested=%d verdict=%s would_be=%s rule=%s generation=%lu seq=%lu count=%lu image=%s image_kind=%s image_base=%s image_size=%s checksum=%s timestamp=%s build_id=%s",
		 e->vm_id, e->vm_pid, e->vcpu, e->msr, e->direction ? "write" : "read",
		 origins[e->origin % 3], hex_or_unknown(e->has_value, e->value, value),
		 hex_or_unknown(e->has_old, e->old, old), hex_or_unknown(e->has_pc, e->pc, pc),
		 '0' + e->cpl % 4, e->nested, verdicts[e->verdict % 5], verdicts[would_be % 5], rule,
		 e->generation, e->seq, e->count, e->image_name[0] ? e->image_name : "unknown",
		 kinds[e->image_kind % 4],
		 hex_or_unknown(e->has_image_base, e->image_base, base),
		 hex_or_unknown(e->has_image_size, e->image_size, bytes),
		 hex_or_unknown(e->has_checksum, e->image_checksum, checksum),
		 hex_or_unknown(e->has_timestamp, e->image_timestamp, stamp), build_id);
}
