// SPDX-License-Identifier: GPL-2.0
/* The host's VMs, see vms.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "msrguard.h"
#include "vms.h"

#define VM_WORDS	(3 + MG_NR_VM_STATS)

struct list {
	struct mg_vm *vms;
	size_t nr;
};

static bool parse_vm(char *line, struct mg_vm *vm)
{
	char *words[VM_WORDS];
	uint64_t numbers[VM_WORDS];
	size_t i;

	if (mg_split(line, words, VM_WORDS) != VM_WORDS)
		return false;
	for (i = 0; i < VM_WORDS; i++)
		if (!mg_parse_u64(words[i], 10, &numbers[i]))
			return false;
	if (numbers[1] > UINT32_MAX || numbers[2] > UINT32_MAX)
		return false;
	vm->id = numbers[0];
	vm->pid = numbers[1];
	vm->vcpus = numbers[2];
	memcpy(vm->stats, numbers + 3, sizeof(vm->stats));
	return true;
}

static int add_vm(void *context, char *line)
{
	struct list *list = context;

	list->vms = mg_alloc_check(realloc(list->vms, (list->nr + 1) * sizeof(*list->vms)));
	if (!parse_vm(line, &list->vms[list->nr]))
		return -EBADMSG;
	list->nr++;
	return 0;
}

int mg_vms_read(struct mg_vm **vms, size_t *nr_vms)
{
	struct list list = { 0 };
	int err;

	err = mg_sysfs_each_line(MG_VMS_FILE, add_vm, &list);
	if (err) {
		free(list.vms);
		list = (struct list){ 0 };
	}
	*vms = list.vms;
	*nr_vms = list.nr;
	return err;
}
