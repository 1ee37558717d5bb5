/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The host's VMs, as the module lists them.
 */
#ifndef MSRGUARD_VMS_H
#define MSRGUARD_VMS_H

#include <stddef.h>
#include <stdint.h>

enum mg_stat {
	MG_STAT_READS,
	MG_STAT_WRITES,
	MG_STAT_DENIED,
	MG_STAT_DROPPED,
	MG_STAT_MASKED,
	MG_STAT_AUDITED,
	MG_STAT_QUIET,
	MG_STAT_SEQUENCE,
	MG_STAT_PENDING,
	MG_STAT_OVERFLOWED,
	MG_STAT_SENT,
	MG_STAT_LOST,
	MG_STAT_ACCESSES_LOST,
	MG_STAT_UNATTRIBUTED,
	MG_NR_STATS,
};

/* The first ones are also counted by VM. */
#define MG_NR_VM_STATS	(MG_STAT_AUDITED + 1)

struct mg_vm {
	uint64_t id;
	uint32_t pid;
	uint32_t vcpus;
	uint64_t stats[MG_NR_VM_STATS];
};

/* The file they are listed in, for mg_sysfs_fail(). */
#define MG_VMS_FILE	"vms/list"

/**
 * mg_vms_read - read the list
 * @vms:    set to an array, to be freed by the caller; NULL after an error
 * @nr_vms: set to how many there are
 *
 * Return: 0 or a negative errno; -EBADMSG if a line is not as expected.
 */
int mg_vms_read(struct mg_vm **vms, size_t *nr_vms);

#endif /* MSRGUARD_VMS_H */
