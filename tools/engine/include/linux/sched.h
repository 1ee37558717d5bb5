/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MG_SHIM_LINUX_SCHED_H
#define MG_SHIM_LINUX_SCHED_H

/* A program is preempted anyway. */
static inline void cond_resched(void)
{
}

#endif /* MG_SHIM_LINUX_SCHED_H */
