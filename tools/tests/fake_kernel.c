// SPDX-License-Identifier: GPL-2.0
/*
 * Stands in for the kernel's side of a netlink socket, to be preloaded before libmnl. The file
 * FAKE_KERNEL says how requests are answered, a word and its arguments a line:
 *
 *   family ERRNO                    there is no such family (or another error)
 *   vm ID                           what follows answers a verify request about this VM; of several
 *                                   such sections each answers one request, the last one all others
 *   answer CMD                      the same for requests with this command; without a section a
 *                                   status request is answered all the same, others with EOPNOTSUPP
 *   vcpu VCPU STATE GUARDED MISSING [nested]
 *   access VCPU MSR DIRECTION [nested]  messages, as the module sends them
 *   message [TYPE:HEX]...           one of these attributes, whatever they are
 *   bytes HEX                       a message with this behind its header
 *   other                           the next message is of another family
 *   stale                           the next message is of another request
 *   torn                            the next message says that the dump is not of one piece
 *   datagram                        what follows comes in another datagram
 *   error ERRNO [ATTRIBUTE TEXT]    NLMSG_ERROR, with the attribute to blame and words
 *   done ERRNO                      NLMSG_DONE; by itself, with 0, at the end of a section
 *   silence                         nothing at the end
 *   remove DIR                      the folder goes away (to .gone) while the request is under way
 *
 * What it says of events is in fake_events.c.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/msrguard.h>

#include "fake_kernel.h"

#define PORT		4711
#define PID		4242
#define GENERATION	7
#define DATAGRAMS	64
#define SIZE		16384
#define SECTIONS	256

struct datagram {
	size_t len;
	char bytes[SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
};

static struct datagram queue[DATAGRAMS];
static size_t queued, handed_out;
static struct { const char *word; uint64_t number; unsigned int requests; } seen[SECTIONS];
static const struct nlmsghdr *asked;
static uint16_t flags;
static uint32_t sequence_off;
static uint16_t family_off;
static uint8_t command;

static struct nlmsghdr *message_of(uint16_t type)
{
	struct datagram *to = &queue[queued - 1];
	struct nlmsghdr *message;

	if (to->len > SIZE - 4096)
		abort();
	message = mnl_nlmsg_put_header(to->bytes + to->len);
	message->nlmsg_type = type + family_off;
	message->nlmsg_flags = NLM_F_MULTI | flags;
	message->nlmsg_seq = asked->nlmsg_seq + sequence_off;
	message->nlmsg_pid = PORT;
	flags = 0;
	sequence_off = 0;
	family_off = 0;
	return message;
}

static void end_message(const struct nlmsghdr *message)
{
	queue[queued - 1].len += MNL_ALIGN(message->nlmsg_len);
}

static struct nlmsghdr *answer(uint8_t cmd)
{
	struct nlmsghdr *message = message_of(FAMILY);
	struct genlmsghdr *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));

	header->cmd = cmd;
	header->version = MSRGUARD_FAMILY_VERSION;
	return message;
}

static void new_datagram(void)
{
	if (queued == DATAGRAMS)
		abort();
	queue[queued++].len = 0;
}

size_t fake_from_hex(const char *text, uint8_t *bytes)
{
	unsigned int byte;
	size_t len = 0;

	for (; sscanf(text, "%2x", &byte) == 1; text += 2)
		bytes[len++] = byte;
	return len;
}

static void put_vcpu(uint64_t vm, const char *args)
{
	unsigned int vcpu, state, guarded, missing;
	struct nlmsghdr *message;
	char nested[16] = "";

	if (sscanf(args, "%u %u %u %u %15s", &vcpu, &state, &guarded, &missing, nested) < 4)
		abort();
	message = answer(MSRGUARD_CMD_VERIFY);
	mnl_attr_put_u64(message, MSRGUARD_A_VERIFY_VM_ID, vm);
	mnl_attr_put_u32(message, MSRGUARD_A_VERIFY_VM_PID, PID);
	mnl_attr_put_u32(message, MSRGUARD_A_VERIFY_VCPU, vcpu);
	mnl_attr_put_u8(message, MSRGUARD_A_VERIFY_STATE, state);
	if (*nested)
		mnl_attr_put(message, MSRGUARD_A_VERIFY_NESTED, 0, NULL);
	mnl_attr_put_u32(message, MSRGUARD_A_VERIFY_GUARDED, guarded);
	mnl_attr_put_u32(message, MSRGUARD_A_VERIFY_MISSING, missing);
	mnl_attr_put_u64(message, MSRGUARD_A_VERIFY_GENERATION, GENERATION);
	end_message(message);
}

static void put_access(uint64_t vm, const char *args)
{
	unsigned int vcpu, msr, direction;
	struct nlmsghdr *message;
	char nested[16] = "";

	if (sscanf(args, "%u %i %u %15s", &vcpu, (int *)&msr, &direction, nested) < 3)
		abort();
	message = answer(MSRGUARD_CMD_VERIFY);
	mnl_attr_put_u64(message, MSRGUARD_A_VERIFY_VM_ID, vm);
	mnl_attr_put_u32(message, MSRGUARD_A_VERIFY_VCPU, vcpu);
	if (*nested)
		mnl_attr_put(message, MSRGUARD_A_VERIFY_NESTED, 0, NULL);
	mnl_attr_put_u32(message, MSRGUARD_A_VERIFY_MSR, msr);
	mnl_attr_put_u8(message, MSRGUARD_A_VERIFY_DIRECTION, direction);
	end_message(message);
}

void fake_put_attributes(struct nlmsghdr *message, const char *args)
{
	char copy[1024], *word, *rest = NULL, *colon;
	uint8_t bytes[512];

	snprintf(copy, sizeof(copy), "%s", args);
	for (word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		colon = strchr(word, ':');
		mnl_attr_put(message, atoi(word), fake_from_hex(colon + 1, bytes), bytes);
	}
}

static void put_attributes(const char *args)
{
	struct nlmsghdr *message = answer(command);

	fake_put_attributes(message, args);
	end_message(message);
}

static void put_bytes(const char *hex)
{
	struct nlmsghdr *message = message_of(FAMILY);
	uint8_t bytes[512];
	size_t len = fake_from_hex(hex, bytes);

	memcpy(mnl_nlmsg_put_extra_header(message, len), bytes, len);
	/* Not padded: as it is given. */
	message->nlmsg_len = NLMSG_HDRLEN + len;
	end_message(message);
}

static void put_error(const char *args)
{
	int error, attribute, at = 0;
	const struct nlattr *attr;
	struct nlmsghdr *message;
	struct nlmsgerr *payload;

	if (sscanf(args, "%d %d %n", &error, &attribute, &at) < 1)
		abort();
	if (at)
		flags = NLM_F_ACK_TLVS;
	message = message_of(NLMSG_ERROR);
	payload = mnl_nlmsg_put_extra_header(message, sizeof(payload->error) + asked->nlmsg_len);
	payload->error = -error;
	memcpy(&payload->msg, asked, asked->nlmsg_len);
	if (at) {
		mnl_attr_put_strz(message, NLMSGERR_ATTR_MSG, args + at);
		mnl_attr_for_each(attr, asked, sizeof(struct genlmsghdr))
			if (mnl_attr_get_type(attr) == attribute)
				mnl_attr_put_u32(message, NLMSGERR_ATTR_OFFS,
						 (const char *)attr - (const char *)asked);
	}
	end_message(message);
}

static void put_done(int error)
{
	struct nlmsghdr *message = message_of(NLMSG_DONE);
	int *payload = mnl_nlmsg_put_extra_header(message, sizeof(*payload));

	*payload = -error;
	end_message(message);
}

/* One line of a section; false if it is none that others may follow. */
static bool obey(uint64_t vm, const char *word, const char *args)
{
	if (!strcmp(word, "vcpu")) {
		put_vcpu(vm, args);
	} else if (!strcmp(word, "access")) {
		put_access(vm, args);
	} else if (!strcmp(word, "message")) {
		put_attributes(args);
	} else if (!strcmp(word, "bytes")) {
		put_bytes(args);
	} else if (!strcmp(word, "other")) {
		family_off = 1;
	} else if (!strcmp(word, "stale")) {
		sequence_off = 1;
	} else if (!strcmp(word, "torn")) {
		flags = NLM_F_DUMP_INTR;
	} else if (!strcmp(word, "datagram")) {
		new_datagram();
	} else if (!strcmp(word, "remove")) {
		if (rename(args, ".gone"))
			abort();
	} else {
		return false;
	}
	return true;
}

/* The last word of a section. */
static void end_section(const char *word, const char *args)
{
	if (!strcmp(word, "error")) {
		put_error(args);
	} else if (!strcmp(word, "done")) {
		put_done(atoi(args));
	} else if (strcmp(word, "silence")) {
		fprintf(stderr, "fake_kernel: what is \"%s\"?\n", word);
		abort();
	}
}

FILE *fake_open_script(void)
{
	FILE *script = fopen(getenv("FAKE_KERNEL"), "r");

	if (!script)
		abort();
	return script;
}

/* The word of the next line, and where its arguments begin in it; NULL at the end. */
char *fake_next_line(FILE *script, char *line, size_t size, char **args)
{
	if (!fgets(line, size, script))
		return NULL;
	line[strcspn(line, "\n")] = '\0';
	*args = line + strcspn(line, " ");
	if (**args)
		*(*args)++ = '\0';
	return line;
}

static unsigned int count_request(const char *word, uint64_t number)
{
	size_t i;

	for (i = 0; seen[i].requests && (seen[i].word != word || seen[i].number != number); i++)
		if (i + 1 == SECTIONS)
			abort();
	seen[i].word = word;
	seen[i].number = number;
	return seen[i].requests++;
}

static bool begins_section(const char *line)
{
	return !strcmp(line, "vm") || !strcmp(line, "answer");
}

/* Which of the sections answers: the one of that number, or the last. */
static int section_of(const char *word, uint64_t number, unsigned int request)
{
	char line[1024], *args;
	FILE *script = fake_open_script();
	unsigned int sections = 0;

	while (fake_next_line(script, line, sizeof(line), &args))
		if (!strcmp(line, word) && strtoull(args, NULL, 0) == number)
			sections++;
	fclose(script);
	return sections <= request ? (int)sections - 1 : (int)request;
}

/* What stands in the section "WORD NUMBER"; false if there is none. */
static bool answer_by_script(const char *word, uint64_t number)
{
	int section = section_of(word, number, count_request(word, number)), at = -1;
	bool ours = false, open = true;
	char line[1024], *args;
	FILE *script;

	if (section < 0)
		return false;
	script = fake_open_script();
	while (open && fake_next_line(script, line, sizeof(line), &args)) {
		if (begins_section(line)) {
			ours = !strcmp(line, word) && strtoull(args, NULL, 0) == number;
			at += ours;
		} else if (ours && at == section && !fake_is_of_events(line)) {
			open = obey(number, line, args);
			if (!open)
				end_section(line, args);
		}
	}
	fclose(script);
	if (open && (asked->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP)
		put_done(0);
	else if (open)
		put_error("0");
	return true;
}

static void answer_verify(uint64_t vm)
{
	if (!answer_by_script("vm", vm))
		put_error("2 2 no such VM");
}

static void answer_status(void)
{
	struct nlmsghdr *message = answer(MSRGUARD_CMD_STATUS_GET);

	mnl_attr_put_u8(message, MSRGUARD_A_STATUS_MODE, MSRGUARD_MODE_ENFORCE);
	mnl_attr_put_u64(message, MSRGUARD_A_STATUS_GENERATION, GENERATION);
	mnl_attr_put_u32(message, MSRGUARD_A_STATUS_RULES, 2);
	mnl_attr_put_u64(message, MSRGUARD_A_STATUS_SEQ, fake_sequence());
	end_message(message);
	put_error("0");
}

static void put_group(struct nlmsghdr *message, const char *name, uint32_t id)
{
	struct nlattr *groups = mnl_attr_nest_start(message, CTRL_ATTR_MCAST_GROUPS);
	struct nlattr *group = mnl_attr_nest_start(message, 1);

	mnl_attr_put_strz(message, CTRL_ATTR_MCAST_GRP_NAME, name);
	mnl_attr_put_u32(message, CTRL_ATTR_MCAST_GRP_ID, id);
	mnl_attr_nest_end(message, group);
	mnl_attr_nest_end(message, groups);
}

static void answer_family(const char *name)
{
	char line[1024], *args;
	FILE *script = fake_open_script();
	struct genlmsghdr *header;
	struct nlmsghdr *message;
	bool ours = !strcmp(name, MSRGUARD_FAMILY_NAME);
	int error = 0;

	while (fake_next_line(script, line, sizeof(line), &args))
		if (!strcmp(line, "family"))
			error = atoi(args);
	fclose(script);
	new_datagram();
	if (!error) {
		message = message_of(GENL_ID_CTRL);
		message->nlmsg_flags = 0;
		header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
		header->cmd = CTRL_CMD_NEWFAMILY;
		mnl_attr_put_u16(message, CTRL_ATTR_FAMILY_ID, ours ? FAMILY : GENL_ID_CTRL);
		put_group(message, ours ? MSRGUARD_MCGRP_EVENTS : "notify", ours ? 5 : 1);
		end_message(message);
		put_error("0");
	} else {
		snprintf(line, sizeof(line), "%d", error);
		put_error(line);
	}
}

static void take_request(const struct nlmsghdr *request)
{
	const struct genlmsghdr *header = mnl_nlmsg_get_payload(request);
	const struct nlattr *attr = mnl_nlmsg_get_payload_offset(request, sizeof(*header));
	bool has_attr = mnl_nlmsg_get_payload_len(request) > sizeof(*header);
	bool dump = (request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;

	asked = request;
	command = header->cmd;
	if (request->nlmsg_type == GENL_ID_CTRL) {
		answer_family(mnl_attr_get_str(attr));
		return;
	}
	new_datagram();
	switch (command) {
	case MSRGUARD_CMD_VERIFY:
		if (!dump || !has_attr || mnl_attr_get_type(attr) != MSRGUARD_A_VERIFY_VM_ID)
			abort();
		answer_verify(mnl_attr_get_u64(attr));
		break;
	case MSRGUARD_CMD_STATUS_GET:
	case MSRGUARD_CMD_STATS_GET:
		if (dump || has_attr)
			abort();
		if (!answer_by_script("answer", command)) {
			if (command == MSRGUARD_CMD_STATUS_GET)
				answer_status();
			else
				put_error("95");
		}
		if (command == MSRGUARD_CMD_STATUS_GET)
			fake_arm_events();
		break;
	default:
		if (!dump)
			abort();
		if (!answer_by_script("answer", command))
			put_error("95");
		break;
	}
}

/* What the command uses of libmnl's sockets: the first is for requests, the second for events. */

static char sockets[2];
static unsigned int opened;

static bool is_for_events(const struct mnl_socket *nl)
{
	return (const char *)nl == &sockets[1];
}

struct mnl_socket *mnl_socket_open2(int bus, int open_flags)
{
	(void)bus;
	(void)open_flags;
	if (opened == 2)
		abort();
	return (struct mnl_socket *)&sockets[opened++];
}

int mnl_socket_bind(struct mnl_socket *nl, unsigned int groups, pid_t pid)
{
	(void)nl;
	(void)groups;
	(void)pid;
	return 0;
}

int mnl_socket_get_fd(const struct mnl_socket *nl)
{
	return is_for_events(nl) ? fake_events_fd() : -1;
}

unsigned int mnl_socket_get_portid(const struct mnl_socket *nl)
{
	(void)nl;
	return PORT;
}

int mnl_socket_setsockopt(const struct mnl_socket *nl, int type, void *buf, socklen_t len)
{
	(void)nl;
	(void)type;
	(void)buf;
	(void)len;
	return 0;
}

int mnl_socket_close(struct mnl_socket *nl)
{
	(void)nl;
	return 0;
}

ssize_t mnl_socket_sendto(const struct mnl_socket *nl, const void *buf, size_t len)
{
	if (is_for_events(nl))
		abort();
	queued = 0;
	handed_out = 0;
	take_request(buf);
	return len;
}

ssize_t mnl_socket_recvfrom(const struct mnl_socket *nl, void *buf, size_t size)
{
	const struct datagram *datagram = &queue[handed_out];

	(void)nl;
	if (handed_out == queued || !datagram->len) {
		errno = EAGAIN;
		return -1;
	}
	if (datagram->len > size) {
		errno = ENOSPC;
		return -1;
	}
	handed_out++;
	memcpy(buf, datagram->bytes, datagram->len);
	return datagram->len;
}
