/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MG_SELFTEST_LIVEPATCH_H
#define MG_SELFTEST_LIVEPATCH_H

/* Goes on at @body with the other three arguments; livepatch_run.S. */
unsigned long livepatch_run(unsigned long body, unsigned long arg0, unsigned long arg1,
			    unsigned long arg2);

#endif /* MG_SELFTEST_LIVEPATCH_H */
