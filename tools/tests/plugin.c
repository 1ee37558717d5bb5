// SPDX-License-Identifier: GPL-2.0
/*
 * The plug-in of libtraceevent, loaded by the library as trace-cmd does, given formats and records
 * of the module and strange ones. Prints TAP.
 *
 *   TRACEEVENT_PLUGIN_DIR  where the plug-in is
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event-parse.h>
#include <trace-seq.h>

#define EVENT_ID	1234
#define COMMON									\
	"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"	\
	"\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"	\
	"\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n" \
	"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"
#define VM_FIELD	"\tfield:u64 vm;\toffset:8;\tsize:8;\tsigned:0;\n"
#define MSR_FIELD	"\tfield:u32 msr;\toffset:16;\tsize:4;\tsigned:0;\n"
#define NEW_FIELD	"\tfield:u32 brand_new;\toffset:20;\tsize:4;\tsigned:0;\n"
#define PRINT		"\nprint fmt: \"vm=%llu msr=0x%x\", REC->vm, REC->msr\n"
#define NEW_PRINT	"\nprint fmt: \"vm=%llu msr=0x%x new=%u\", REC->vm, REC->msr, REC->brand_new\n"

struct record {
	uint16_t type;
	uint8_t flags;
	uint8_t preempt_count;
	int32_t pid;
	uint64_t vm;
	uint32_t msr;
	uint32_t brand_new;
};

static unsigned int tests, failed;

static void check(bool good, const char *name)
{
	tests++;
	failed += !good;
	printf("%sok %u - %s\n", good ? "" : "not ", tests, name);
}

static struct tep_handle *parse(const char *system, const char *event, const char *fields,
				bool plugins, struct tep_plugin_list **list)
{
	struct tep_handle *tep = tep_alloc();
	char format[2048];

	if (!tep)
		abort();
	tep_set_flag(tep, TEP_DISABLE_SYS_PLUGINS);
	tep_set_long_size(tep, 8);
	tep_set_page_size(tep, 4096);
	*list = plugins ? tep_load_plugins(tep) : NULL;
	snprintf(format, sizeof(format), "name: %s\nID: %d\nformat:\n" COMMON "%s", event,
		 EVENT_ID, fields);
	if (tep_parse_event(tep, format, strlen(format), system))
		printf("# the library does not like the format\n");
	return tep;
}

/* What comes out; to be freed. */
static char *print(const char *system, const char *event, const char *fields, bool plugins,
		   uint32_t msr, int size)
{
	struct record data = {
		.type = EVENT_ID, .pid = 1, .vm = 7, .msr = msr, .brand_new = 5,
	};
	struct tep_record record = { .data = &data, .size = size, .record_size = size };
	struct tep_plugin_list *list;
	struct tep_handle *tep = parse(system, event, fields, plugins, &list);
	struct trace_seq seq;
	char *text;

	trace_seq_init(&seq);
	tep_print_event(tep, &seq, &record, "%s", TEP_PRINT_INFO);
	/* A second time: that printing leaves all as it was. */
	trace_seq_putc(&seq, '|');
	tep_print_event(tep, &seq, &record, "%s", TEP_PRINT_INFO);
	trace_seq_terminate(&seq);
	text = strdup(seq.buffer);
	trace_seq_destroy(&seq);
	if (list)
		tep_unload_plugins(list, tep);
	tep_free(tep);
	if (!text)
		abort();
	return text;
}

static void check_print(const char *system, const char *event, const char *fields, uint32_t msr,
			int size, const char *suffix, const char *name)
{
	char *plain = print(system, event, fields, false, msr, size);
	char *named = print(system, event, fields, true, msr, size);
	char expected[1024];
	char *half = strchr(plain, '|');

	if (!half)
		abort();
	*half = '\0';
	snprintf(expected, sizeof(expected), "%s%s|%s%s", plain, suffix, plain, suffix);
	check(!strcmp(named, expected), name);
	if (strcmp(named, expected))
		printf("# got:      %s\n# expected: %s\n", named, expected);
	free(plain);
	free(named);
}

int main(void)
{
	const int all = sizeof(struct record);
	char *text;

	if (!getenv("TRACEEVENT_PLUGIN_DIR")) {
		printf("Bail out! set TRACEEVENT_PLUGIN_DIR to where the plug-in is\n");
		return 1;
	}
	text = print("msrguard", "msrguard_access", VM_FIELD MSR_FIELD PRINT, true, 0x79, all);
	check(!strncmp(text, "vm=7 msr=0x79 name=MSR_IA32_UCODE_WRITE|", strcspn(text, "|") + 1),
	      "the name stands behind the kernel's text");
	printf("# %s\n", text);
	free(text);
	check_print("msrguard", "msrguard_access", VM_FIELD MSR_FIELD PRINT, 0xc0000080, all,
		    " name=MSR_EFER", "and nothing else is changed");
	check_print("msrguard", "msrguard_access", VM_FIELD MSR_FIELD NEW_FIELD NEW_PRINT, 0x40d,
		    all, " name=MSR_IA32_MC3_STATUS", "a field that the plug-in does not know");
	check_print("msrguard", "msrguard_access", VM_FIELD MSR_FIELD PRINT, 0xdeadbeef, all,
		    " name=unknown", "an MSR without a name");
	check_print("msrguard", "msrguard_access", VM_FIELD "\nprint fmt: \"vm=%llu\", REC->vm\n",
		    0x79, all, "", "no field msr");
	check_print("msrguard", "msrguard_access", VM_FIELD
		    "\tfield:u32 msr;\toffset:1000;\tsize:4;\tsigned:0;\n"
		    "\nprint fmt: \"vm=%llu\", REC->vm\n", 0x79, all, "",
		    "a field msr outside the record");
	check_print("msrguard", "msrguard_access", VM_FIELD
		    "\tfield:char msr[8];\toffset:16;\tsize:8;\tsigned:0;\n"
		    "\nprint fmt: \"vm=%llu\", REC->vm\n", 0x79, all, "",
		    "a field msr that is no 32-bit number");
	check_print("msrguard", "msrguard_access", VM_FIELD MSR_FIELD
		    "\nprint fmt: \"vm=%llu\", REC->vm\n", 0x79, 16, "", "a record cut short");
	check_print("msrguard", "msrguard_access", VM_FIELD MSR_FIELD
		    "\nprint fmt: \"%s\", no_such_function(REC->vm)\n", 0x79, all,
		    " name=MSR_IA32_UCODE_WRITE", "a format that the library cannot parse");
	check_print("msrguard", "msrguard_lost", VM_FIELD MSR_FIELD PRINT, 0x79, all, "",
		    "another event of the module");
	check_print("other", "msrguard_access", VM_FIELD MSR_FIELD PRINT, 0x79, all, "",
		    "an event of the same name elsewhere");
	printf("1..%u\n", tests);
	return failed ? 1 : 0;
}
