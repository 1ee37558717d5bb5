/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests to a generic-netlink family byte by byte, good and bad, and all that the kernel says
 * to them.
 */
#ifndef MG_SELFTEST_RAW_H
#define MG_SELFTEST_RAW_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RAW_MAX_MESSAGES	8192

struct mnl_socket;

/**
 * struct raw_answer - what the kernel had to say to one request
 * @error:       0 or a negative errno, its last word; or that of what went wrong on the way
 * @interrupted: some message says that the whole is not of one piece
 * @nr:          messages of the family
 * @messages:    they
 * @bad_offset:  where in the request the attribute to blame is; 0 if none was named
 * @why:         the kernel's words
 */
struct raw_answer {
	int error;
	bool interrupted;
	unsigned int nr;
	struct nlmsghdr *messages[RAW_MAX_MESSAGES];
	uint32_t bad_offset;
	char why[256];
};

struct raw_request {
	union {
		struct nlmsghdr header;
		char bytes[1024];
	};
	size_t len;
};

/* A request without attributes; NLM_F_REQUEST and NLM_F_ACK are added. */
void raw_begin(struct raw_request *request, uint16_t family, uint8_t cmd, uint16_t flags);

/* One attribute more; the second kind has a header that may lie about its length. */
void raw_put(struct raw_request *request, uint16_t type, const void *data, size_t len);
void raw_put_lie(struct raw_request *request, uint16_t type, uint16_t says, const void *data,
		 size_t len);
void raw_put_u64(struct raw_request *request, uint16_t type, uint64_t value);

/* A socket that waits for 20 seconds at most and is told reasons; NULL and errno on failure. */
struct mnl_socket *raw_open(void);

/* Number and group of the module's family. Each returns 0 or a negative errno. */
int raw_family(uint16_t *family, uint32_t *group);
int raw_join(struct mnl_socket *socket, uint32_t group);

/* Takes one datagram; true if it was the last. @size is how much of the kernel's we take at once. */
bool raw_take(struct mnl_socket *socket, struct raw_answer *answer, size_t size);

/* Asks on a socket of its own; what @answer held before is forgotten. Returns its error. */
int raw_ask(const struct raw_request *request, struct raw_answer *answer);
int raw_ask_for(uint16_t family, uint8_t cmd, uint16_t flags, struct raw_answer *answer);
void raw_forget(struct raw_answer *answer);

/* Whether a message has an attribute, and its number: all bits set if it is not there once. */
bool raw_has(const struct nlmsghdr *message, uint16_t type);
uint64_t raw_u64(const struct nlmsghdr *message, uint16_t type);
uint32_t raw_u32(const struct nlmsghdr *message, uint16_t type);
uint8_t raw_u8(const struct nlmsghdr *message, uint16_t type);

#endif /* MG_SELFTEST_RAW_H */
