// SPDX-License-Identifier: GPL-2.0
/* The kernel's fault injection, see fault.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "host.h"

#define DEBUGFS		"/sys/kernel/debug"

static const char *const knob_dirs[] = { DEBUGFS "/failslab", DEBUGFS "/fail_page_alloc" };

static bool set_knob(const char *name, const char *value)
{
	bool ok = true;
	char path[128];

	for (unsigned int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", knob_dirs[i], name);
		ok &= !host_write(path, value);
	}
	return ok;
}

bool fault_count_callers(uint64_t start, uint64_t end)
{
	char text[32];
	bool ok;

	/* Nobody's in between: these writes allocate too. */
	ok = set_knob("require-start", "0xffffffffffffffff");
	snprintf(text, sizeof(text), "0x%lx", end);
	ok &= set_knob("require-end", text);
	snprintf(text, sizeof(text), "0x%lx", start);
	return ok && set_knob("require-start", text);
}

bool fault_count_modules(void)
{
	return fault_count_callers(0xffffffffa0000000ull, 0xffffffffff000000ull);
}

bool fault_count_own(void)
{
	uint64_t first = UINT64_MAX, last = 0, addr;
	char line[512], type;
	FILE *file = fopen("/proc/kallsyms", "r");

	while (file && fgets(line, sizeof(line), file)) {
		if (!strstr(line, "[msrguard]") || sscanf(line, "%lx %c", &addr, &type) != 2 ||
		    (type != 't' && type != 'T'))
			continue;
		first = addr < first ? addr : first;
		last = addr > last ? addr : last;
	}
	if (file)
		fclose(file);
	/* The last one is shorter than this. */
	return last > first && fault_count_callers(first, last + 4096);
}

bool fault_spare(const char *function)
{
	uint64_t addr, start = 0, end = 0;
	char line[512], name[256], text[32];
	FILE *file = fopen("/proc/kallsyms", "r");

	/* The kernel's own are listed by address: the next one is where it ends. */
	while (file && !end && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx %*c %255s", &addr, name) != 2)
			continue;
		if (start && addr > start)
			end = addr;
		else if (!strcmp(name, function))
			start = addr;
	}
	if (file)
		fclose(file);
	if (!end)
		return false;
	snprintf(text, sizeof(text), "0x%lx", start);
	if (!set_knob("reject-start", text))
		return false;
	snprintf(text, sizeof(text), "0x%lx", end);
	return set_knob("reject-end", text);
}

bool fault_set_nth(int fd, unsigned int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", nth);
	return pwrite(fd, text, strlen(text), 0) == (ssize_t)strlen(text);
}

unsigned int fault_get_nth(int fd)
{
	char text[16] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0) {
		printf("# cannot read " FAULT_NTH "\n");
		abort();
	}
	return strtoul(text, NULL, 10);
}

const char *fault_missing(void)
{
	char path[128];

	if (access(FAULT_NTH, F_OK))
		return "this kernel injects no faults (CONFIG_FAULT_INJECTION)";
	if (access(DEBUGFS "/failslab", F_OK))
		return "this kernel fails no allocations (CONFIG_FAILSLAB, CONFIG_FAULT_INJECTION_DEBUG_FS)";
	if (access(DEBUGFS "/fail_page_alloc", F_OK))
		return "this kernel fails no pages (CONFIG_FAIL_PAGE_ALLOC)";
	snprintf(path, sizeof(path), "%s/require-start", knob_dirs[0]);
	if (access(path, F_OK))
		return "faults cannot be told by caller (CONFIG_FAULT_INJECTION_STACKTRACE_FILTER)";
	return NULL;
}

bool fault_prepare(void)
{
	/* Also those that may wait for memory; and no back trace of each in the log. */
	return set_knob("ignore-gfp-wait", "N") && set_knob("verbose", "0") &&
	       !host_write(DEBUGFS "/fail_page_alloc/min-order", "0");
}

void fault_restore(void)
{
	fault_count_callers(0, 0);
	set_knob("reject-start", "0");
	set_knob("reject-end", "0");
	set_knob("ignore-gfp-wait", "Y");
}
