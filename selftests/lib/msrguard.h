/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The module as its administrator sees it: sysfs, netlink, the tracepoint.
 *
 * The module to load is named by the environment variable MSRGUARD_KO.
 */
#ifndef MG_SELFTEST_MSRGUARD_H
#define MG_SELFTEST_MSRGUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MG_SYSFS		"/sys/kernel/msrguard"
#define MG_ERROR_LEN		512
#define MG_ALLOW_ALL		"default allow allow\n"

bool mg_loaded(void);

/*
 * Each returns 0 or a negative errno. @params may be "". With mg_insmod() each access is an event
 * of its own, see mg_set_window().
 */
int mg_insmod(const char *params);
int mg_insmod_as_it_comes(const char *params);
int mg_rmmod(void);

/**
 * mg_start - have the module loaded, enforcing, with a policy that guards nothing
 * @why: filled in with the reason on failure, MG_ERROR_LEN bytes
 *
 * Return: 0 or a negative errno.
 */
int mg_start(char *why);

/* Reads or writes a file below MG_SYSFS. Reading ends @buf with NUL and returns its length. */
ssize_t mg_read_file(const char *name, char *buf, size_t size);
int mg_write_file(const char *name, const void *text, size_t len);

/*
 * Publish a policy, add or remove a rule, change the mode. 0 or a negative errno; on failure
 * of the first three mg_last_error() has the reason. After a success the hardware's bitmaps of this
 * process's VMs are read back, see verify.h.
 */
int mg_load_policy(const char *text);
int mg_add_rule(const char *line);
int mg_remove_rule(const char *range);
int mg_set_mode(const char *mode);

/* For how many milliseconds accesses that are alike gather in one event. */
int mg_set_window(unsigned int ms);

/* policy/error, without its newline; good until the next call. */
const char *mg_last_error(void);
uint64_t mg_generation(void);

/**
 * struct mg_stats - all of stats/
 */
struct mg_stats {
	uint64_t reads, writes, denied, dropped, masked, audited, quiet, overflowed;
	uint64_t sequence, pending, lost, events_sent, events_lost;
};

struct mg_stats mg_stats(void);

/* What has been added between two readings. */
struct mg_stats mg_stats_since(const struct mg_stats *start);

/**
 * struct mg_vm_line - one line of vms/list
 */
struct mg_vm_line {
	uint64_t id;
	uint32_t pid, vcpus;
	uint64_t reads, writes, denied, dropped, masked, audited, quiet, overflowed;
};

/* Fills in up to @max VMs of process @pid; returns how many it has. */
unsigned int mg_vms_of(pid_t pid, struct mg_vm_line *lines, unsigned int max);

/**
 * struct mg_event - one event as netlink tells it
 * @lost: accesses of a VM told as a number only; then only seq, time, vm_id, vm_pid and count are
 *        filled in
 * @has_value: and so on: the attribute was there
 * @strange: attributes this file does not know, or of a wrong size
 */
struct mg_event {
	uint64_t seq, time, vm_id, value, old, pc, generation, count;
	uint64_t image_base, image_size;
	uint32_t vm_pid, vcpu, msr, rule_first, rule_last;
	uint32_t image_checksum, image_timestamp;
	uint8_t direction, origin, cpl, verdict, would_be, image_kind;
	uint8_t build_id[64];
	unsigned int build_id_len;
	char image_name[256];
	bool has_value, has_old, has_pc, has_cpl, has_would_be, has_rule;
	bool has_image, has_image_base, has_image_size, has_checksum, has_timestamp;
	bool nested;
	bool lost;
	unsigned int strange;
};

struct mg_listener;

/* NULL and errno on failure. */
struct mg_listener *mg_listen(void);
void mg_listener_free(struct mg_listener *listener);
/* From now on what this listener does not get counts as lost, also without memory for it. */
bool mg_listener_counts_losses(struct mg_listener *listener);
/* False if there is none within @timeout_ms. An overrun of the socket counts as one event lost. */
bool mg_next_event(struct mg_listener *listener, struct mg_event *event, unsigned int timeout_ms);
/* Throws away what is there; returns how many. */
unsigned int mg_drain(struct mg_listener *listener);

/*
 * The tracepoint, in a tracing instance of our own. mg_trace_next() gives the text after
 * "msrguard_access: " of the next line not yet read, or NULL.
 */
struct mg_trace;

struct mg_trace *mg_trace_open(void);
void mg_trace_free(struct mg_trace *trace);
int mg_trace_enable(struct mg_trace *trace, bool on);
const char *mg_trace_next(struct mg_trace *trace);

/* What the tracepoint prints for the access of an event. */
void mg_trace_text(const struct mg_event *event, char *buf, size_t size);

#endif /* MG_SELFTEST_MSRGUARD_H */
