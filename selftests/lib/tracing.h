/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's own tracers on the functions that the module hooks.
 */
#ifndef MG_SELFTEST_TRACING_H
#define MG_SELFTEST_TRACING_H

#include "host.h"

/* What is traced at a time. */
#define TRACE_FUNCTION	1u
#define TRACE_GRAPH	2u
#define TRACE_KPROBE	4u
#define TRACE_KRETPROBE	8u

/* Each returns 0 or a negative errno. Only functions of hooks that decide are traced. */
int tracing_start(const struct hook_line *hooks, unsigned int nr, unsigned int what);
int tracing_stop(void);

/* Throws away what has been traced. */
int tracing_clear(void);

/* Whether the trace has a line by @what, one of TRACE_*, of a function. */
bool tracing_saw(unsigned int what, const char *function);

#endif /* MG_SELFTEST_TRACING_H */
