/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's fault injection by /proc/thread-self/fail-nth: "fail the Nth allocation from now
 * that counts". Which ones count is told by an address that must be in the caller's stack.
 */
#ifndef MG_SELFTEST_FAULT_H
#define MG_SELFTEST_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#define FAULT_NTH	"/proc/thread-self/fail-nth"

/* What this kernel lacks for it, or NULL. */
const char *fault_missing(void);

/* Before the first fault, and after the last; both leave it to be said whose allocations count. */
bool fault_prepare(void);
void fault_restore(void);

/* Whose allocations count: those with an address of [start, end) in their stack. */
bool fault_count_callers(uint64_t start, uint64_t end);
/* Any module's: for what is loaded only then, and has no address yet. */
bool fault_count_modules(void);
/* Those of msrguard as it is loaded now; kallsyms lists no other addresses of it. */
bool fault_count_own(void);

/* Nothing fails for this function of the kernel, whoever calls it; until fault_restore(). */
bool fault_spare(const char *function);

/* On a descriptor of FAULT_NTH. How many are left to pass before one fails; 0 when one has. */
bool fault_set_nth(int fd, unsigned int nth);
unsigned int fault_get_nth(int fd);

#endif /* MG_SELFTEST_FAULT_H */
