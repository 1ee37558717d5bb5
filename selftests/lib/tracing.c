// SPDX-License-Identifier: GPL-2.0
/* The kernel's own tracers: function, function_graph, kprobes and kretprobes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tracing.h"

#define KPROBES		"msrguard_selftest"
#define TEXT_LEN	(MAX_HOOKS * 128)

/* By hand: the files take one word or line at a time, and want no seeking. */
static int write_list(const char *path, int flags, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags);
	size_t len = strlen(text);
	int err = 0;

	if (fd < 0)
		return -errno;
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n <= 0) {
			err = n ? -errno : -EIO;
			break;
		}
		text += n;
		len -= n;
	}
	/* Only now a filter takes effect. */
	if (close(fd) && !err)
		err = -errno;
	return err;
}

/*
 * Of a name the kernel makes the name of each function it can trace, some 60,000, to compare them,
 * which takes seconds where it is slow. So their list is read once, and they go by their lines.
 */
static int filter_by_lines(const struct hook_line *hooks, unsigned int nr, char *text)
{
	char *list = host_read(HOST_TRACING "/available_filter_functions"), *line = list, *end;
	unsigned int wanted = 0, found = 0;
	size_t len = 0;

	if (!list)
		return -errno;
	for (unsigned int i = 0; i < nr; i++)
		wanted += host_hook_decides(&hooks[i]);
	for (unsigned long number = 1; (end = strchr(line, '\n')); number++, line = end + 1) {
		*end = '\0';
		if (!strstr(line, " [kvm]"))
			continue;
		*strchr(line, ' ') = '\0';
		for (unsigned int i = 0; i < nr; i++) {
			if (!host_hook_decides(&hooks[i]) || strcmp(line, hooks[i].function))
				continue;
			len += snprintf(text + len, TEXT_LEN - len, "%lu ", number);
			found++;
		}
	}
	free(list);
	return found == wanted ? 0 : -ENOENT;
}

static int start_tracer(const struct hook_line *hooks, unsigned int nr, const char *tracer)
{
	char text[TEXT_LEN];
	int err = filter_by_lines(hooks, nr, text);

	err = err ?: write_list(HOST_TRACING "/set_ftrace_filter", O_TRUNC, text);
	return err ?: host_write(HOST_TRACING "/current_tracer", tracer);
}

static int start_kprobes(const struct hook_line *hooks, unsigned int nr, char type)
{
	char text[TEXT_LEN];
	size_t len = 0;
	int err;

	for (unsigned int i = 0; i < nr; i++)
		if (host_hook_decides(&hooks[i]))
			len += snprintf(text + len, sizeof(text) - len,
					"%c:" KPROBES "/%c%u kvm:%s\n", type, type, i,
					hooks[i].function);
	err = write_list(HOST_TRACING "/kprobe_events", O_APPEND, text);
	return err ?: host_write(HOST_TRACING "/events/" KPROBES "/enable", "1");
}

int tracing_clear(void)
{
	return host_write(HOST_TRACING "/trace", "\n");
}

int tracing_start(const struct hook_line *hooks, unsigned int nr, unsigned int what)
{
	int err = tracing_clear();

	if (!err && what & TRACE_FUNCTION)
		err = start_tracer(hooks, nr, "function");
	if (!err && what & TRACE_GRAPH)
		err = start_tracer(hooks, nr, "function_graph");
	if (!err && what & TRACE_KPROBE)
		err = start_kprobes(hooks, nr, 'p');
	if (!err && what & TRACE_KRETPROBE)
		err = start_kprobes(hooks, nr, 'r');
	return err;
}

/* All of the group at once. */
static int remove_kprobes(void)
{
	int err;

	if (access(HOST_TRACING "/events/" KPROBES, F_OK))
		return 0;
	err = host_write(HOST_TRACING "/events/" KPROBES "/enable", "0");
	return write_list(HOST_TRACING "/kprobe_events", O_APPEND, "-:" KPROBES "/\n") ?: err;
}

int tracing_stop(void)
{
	int err = host_write(HOST_TRACING "/current_tracer", "nop");

	err = write_list(HOST_TRACING "/set_ftrace_filter", O_TRUNC, "") ?: err;
	return remove_kprobes() ?: err;
}

bool tracing_saw(unsigned int what, const char *function)
{
	char *text = host_read(HOST_TRACING "/trace");
	char mark[128];
	bool saw;

	if (what == TRACE_KPROBE)
		snprintf(mark, sizeof(mark), " (%s", function);
	else if (what == TRACE_KRETPROBE)
		snprintf(mark, sizeof(mark), "<- %s", function);
	else
		snprintf(mark, sizeof(mark), "%s", function);
	saw = text && strstr(text, mark);
	free(text);
	return saw;
}
