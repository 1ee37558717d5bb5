// SPDX-License-Identifier: GPL-2.0
/* "msrguard vms": the VMs that run and what was counted of each. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <linux/msrguard.h>

#include "dumps.h"
#include "json.h"
#include "msrguard.h"
#include "process.h"

static uint64_t blocked(const struct mg_nl_vm *vm)
{
	return vm->denied + vm->dropped + vm->masked + vm->audited;
}

static int compare(const void *a, const void *b)
{
	const struct mg_nl_vm *vm = a, *other = b;

	if (blocked(vm) != blocked(other))
		return blocked(vm) < blocked(other) ? 1 : -1;
	return (vm->id > other->id) - (vm->id < other->id);
}

static void print_text(const struct mg_nl_vm *vms, size_t nr)
{
	static const char *const columns[] = {
		"reads", "writes", "denied", "dropped", "masked", "audited", "quiet", "pending",
		"overflowed",
	};
	char name[MG_PROCESS_NAME];
	size_t i;

	if (!nr) {
		puts("no VM is running");
		return;
	}
	printf("%8s %10s %-15s %5s", "VM", "PID", "PROCESS", "VCPUS");
	for (i = 0; i < ARRAY_SIZE(columns); i++)
		printf(" %12s", columns[i]);
	putchar('\n');
	for (; nr; nr--, vms++)
		printf("%8" PRIu64 " %10" PRIu32 " %-15s %5" PRIu32 " %12" PRIu64 " %12" PRIu64 " %12"
		       PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64
		       " %12" PRIu64 "\n", vms->id, vms->pid, mg_process_name(vms->pid, name),
		       vms->vcpus, vms->reads, vms->writes, vms->denied, vms->dropped, vms->masked,
		       vms->audited, vms->quiet, vms->pending, vms->overflowed);
}

static void print_json(const struct mg_nl_vm *vms, size_t nr)
{
	struct json_object *root = mg_json_object(), *array = mg_json_array(root, "vms"), *item;
	char name[MG_PROCESS_NAME];

	for (; nr; nr--, vms++) {
		item = mg_json_append(array);
		mg_json_hex(item, "id", vms->id);
		mg_json_u32(item, "pid", vms->pid);
		mg_json_string(item, "process",
			       strcmp(mg_process_name(vms->pid, name), "?") ? name : NULL);
		mg_json_u32(item, "vcpus", vms->vcpus);
		mg_json_hex(item, "reads", vms->reads);
		mg_json_hex(item, "writes", vms->writes);
		mg_json_hex(item, "denied", vms->denied);
		mg_json_hex(item, "dropped", vms->dropped);
		mg_json_hex(item, "masked", vms->masked);
		mg_json_hex(item, "audited", vms->audited);
		mg_json_hex(item, "quiet", vms->quiet);
		mg_json_hex(item, "pending", vms->pending);
		mg_json_hex(item, "overflowed", vms->overflowed);
		mg_json_hex(item, "image_lookups", vms->image_lookups);
		mg_json_hex(item, "image_hits", vms->image_hits);
		mg_json_hex(item, "image_pages", vms->image_pages);
		mg_json_hex(item, "image_spent", vms->image_spent);
	}
	mg_json_print(root, false);
}

/* Of all that came, only those of a process. */
static size_t keep_process(struct mg_nl_vm *vms, size_t nr, uint64_t pid)
{
	size_t i, kept = 0;

	for (i = 0; i < nr; i++)
		if (vms[i].pid == pid)
			vms[kept++] = vms[i];
	return kept;
}

static int no_such_vm(const char *wanted)
{
	mg_complain("no VM of this host is %s", wanted);
	fputs("  do: \"msrguard vms\" lists the VMs\n", stderr);
	return MG_EXIT_WRONG;
}

static int list_vms(const char *wanted, bool json)
{
	bool by_pid = wanted && !strncmp(wanted, "pid:", 4);
	struct mg_nl_refusal refusal;
	struct mg_nl_vm *vms = NULL;
	struct mg_nl nl;
	uint64_t number = 0;
	size_t nr = 0;
	int err, ret;

	if (wanted && (!mg_parse_u64(wanted + (by_pid ? 4 : strncmp(wanted, "id:", 3) ? 0 : 3), 0,
				     &number) || !number)) {
		mg_complain("vms takes a VM's id, or pid: and its process id, not \"%s\"", wanted);
		return MG_EXIT_USAGE;
	}
	ret = mg_nl_open(&nl, "vms");
	if (ret) {
		mg_nl_close(&nl);
		return ret;
	}
	err = mg_nl_vms(&nl, by_pid ? 0 : number, &vms, &nr, &refusal);
	mg_nl_close(&nl);
	/* Else that ENOENT would be the family's. */
	if (err == -ENOENT && refusal.bad_attr == MSRGUARD_A_VM_ID)
		return no_such_vm(wanted);
	if (err)
		return mg_nl_refused("the VMs", err, &refusal);
	if (by_pid)
		nr = keep_process(vms, nr, number);
	if (wanted && !nr) {
		free(vms);
		return no_such_vm(wanted);
	}
	if (nr)
		qsort(vms, nr, sizeof(*vms), compare);
	if (json)
		print_json(vms, nr);
	else
		print_text(vms, nr);
	free(vms);
	return MG_EXIT_OK;
}

static int run_vms(const struct mg_command *command, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ 0 }
	};
	bool json = false;
	int option, ret;

	while ((option = getopt_long(argc, argv, "j", options, NULL)) != -1) {
		if (option != 'j')
			return mg_usage(command);
		json = true;
	}
	if (argc - optind > 1) {
		mg_complain("vms takes one VM, or none for all");
		return mg_usage(command);
	}
	ret = list_vms(argv[optind], json);
	return ret == MG_EXIT_USAGE ? mg_usage(command) : ret;
}

const struct mg_command mg_command_vms = {
	.name = "vms",
	.args = "[VM] [--json]",
	.summary = "Show what was counted of each VM",
	.help =
"Lists the VMs that run, the one first of which most accesses were denied, dropped,\n"
"masked or audited.\n\n"
"  VM           only this one: its id, or pid: and its process id\n"
"  -j, --json   one JSON object; 64-bit numbers are strings with hexadecimal numbers\n",
	.run = run_vms,
};
