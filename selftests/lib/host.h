/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The host beside the module: its log, its other modules, ftrace.
 */
#ifndef MG_SELFTEST_HOST_H
#define MG_SELFTEST_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOST_TRACING		"/sys/kernel/tracing"
#define HOST_FTRACE_ENABLED	"/proc/sys/kernel/ftrace_enabled"
#define HOST_REASON_LEN		512

/* Writes @text to a file; 0 or a negative errno. */
int host_write(const char *path, const char *text);

/* All of a file, to be freed by the caller; NULL and errno on failure. */
char *host_read(const char *path);

/* A module by its file or by its name; 0 or a negative errno. */
int host_insmod(const char *path, const char *params);
int host_rmmod(const char *name);

/* How many times slower this host may be than a stock kernel under QEMU; limits grow with it. */
unsigned int host_patience(void);

/* Whether the kernel is of version @major.@minor or later. */
bool host_kernel_since(unsigned int major, unsigned int minor);

/* Runs modprobe on the vendor module of KVM; false if it fails. host_vendor() is its name. */
bool host_modprobe_vendor(void);
const char *host_vendor(void);

/*
 * The kernel's log from host_log_open() on. host_log_has() looks for @text in a message of
 * @prefix, which is a module's name.
 */
struct host_log;

struct host_log *host_log_open(void);
void host_log_free(struct host_log *log);
bool host_log_has(struct host_log *log, const char *prefix, const char *text);
/* What has been logged, for messages. */
const char *host_log_text(struct host_log *log);

/**
 * struct hook_line - a line of msrguard's file "hooks"
 */
struct hook_line {
	char purpose[32], function[64], mechanism[16], state[16];
	uint64_t calls;
};

#define MAX_HOOKS	32

/* Whether it is one that decides, and does not only watch. */
bool host_hook_decides(const struct hook_line *hook);

/* Fills in up to MAX_HOOKS lines; returns how many there are. */
unsigned int host_hooks(struct hook_line *hooks);

/* A parameter of the loaded module; its length without the newline, or a negative errno. */
int host_param(const char *name, char *text, size_t size);

/* enabled_functions of ftrace, to be freed; to be compared with what it is later. */
char *host_enabled_functions(void);

/**
 * host_nothing_left - whether no trace of msrguard is left in the kernel
 * @functions: host_enabled_functions() from before it was loaded
 * @why:       filled in with what there is, HOST_REASON_LEN bytes
 */
bool host_nothing_left(const char *functions, char *why);

#endif /* MG_SELFTEST_HOST_H */
