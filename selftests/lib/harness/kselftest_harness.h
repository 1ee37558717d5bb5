/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's own harness, with more patience where the host is slow in all it does: a test's
 * limit is times MSRGUARD_PATIENCE, which scripts/lab/boot sets.
 */
#ifndef MG_SELFTEST_HARNESS_H
#define MG_SELFTEST_HARNESS_H

#include <stdlib.h>
#include <unistd.h>

static inline unsigned int patient_alarm(unsigned int seconds)
{
	const char *factor = getenv("MSRGUARD_PATIENCE");

	return alarm(seconds * (factor ? atoi(factor) : 1));
}

#define alarm patient_alarm
#include_next <kselftest_harness.h>
#undef alarm

#endif /* MG_SELFTEST_HARNESS_H */
