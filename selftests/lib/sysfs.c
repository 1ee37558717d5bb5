// SPDX-License-Identifier: GPL-2.0
/* The module and its files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "msrguard.h"
#include "verify.h"

bool mg_loaded(void)
{
	return !access(MG_SYSFS "/mode", F_OK);
}

int mg_insmod_as_it_comes(const char *params)
{
	const char *path = getenv("MSRGUARD_KO");
	int fd, err = 0;

	if (!path)
		return -ENOENT;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_finit_module, fd, params, 0))
		err = -errno;
	close(fd);
	return err;
}

int mg_insmod(const char *params)
{
	int err = mg_insmod_as_it_comes(params);

	return err ?: mg_set_window(0);
}

int mg_rmmod(void)
{
	return syscall(SYS_delete_module, "msrguard", O_NONBLOCK) ? -errno : 0;
}

int mg_start(char *why)
{
	int err;

	if (!mg_loaded()) {
		err = mg_insmod("");
		if (err) {
			snprintf(why, MG_ERROR_LEN, "cannot load %s: %s",
				 getenv("MSRGUARD_KO") ?: "the module, MSRGUARD_KO is not set",
				 strerror(-err));
			return err;
		}
	}
	err = mg_load_policy(MG_ALLOW_ALL);
	if (err) {
		snprintf(why, MG_ERROR_LEN, "cannot load \"default allow allow\": %s: %.256s",
			 strerror(-err), mg_last_error());
		return err;
	}
	err = mg_set_mode("enforce");
	if (err) {
		snprintf(why, MG_ERROR_LEN, "cannot set the mode: %s", strerror(-err));
		return err;
	}
	err = mg_set_window(0);
	if (err)
		snprintf(why, MG_ERROR_LEN, "cannot set the window: %s", strerror(-err));
	return err;
}

static int open_file(const char *name, int flags)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), MG_SYSFS "/%s", name);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

ssize_t mg_read_file(const char *name, char *buf, size_t size)
{
	int fd = open_file(name, O_RDONLY);
	size_t len = 0;
	ssize_t n;

	buf[0] = '\0';
	if (fd < 0)
		return fd;
	while (len < size - 1) {
		n = read(fd, buf + len, size - 1 - len);
		if (n < 0) {
			n = -errno;
			close(fd);
			return n;
		}
		if (!n)
			break;
		len += n;
	}
	close(fd);
	buf[len] = '\0';
	return len;
}

int mg_write_file(const char *name, const void *text, size_t len)
{
	int fd = open_file(name, O_WRONLY);
	const char *at = text;
	int err = 0;

	if (fd < 0)
		return fd;
	while (len) {
		ssize_t n = write(fd, at, len);

		if (n <= 0) {
			err = n ? -errno : -EIO;
			break;
		}
		at += n;
		len -= n;
	}
	close(fd);
	return err;
}

static int write_text(const char *name, const char *text)
{
	return mg_write_file(name, text, strlen(text));
}

/* A change holds for running vCPUs when the write returns: look at once whether it does. */
static int changed(int err)
{
	if (!err)
		mg_verify_own();
	return err;
}

int mg_load_policy(const char *text)
{
	int err = write_text("policy/load", text);

	return changed(err ?: write_text("policy/commit", "1\n"));
}

int mg_add_rule(const char *line)
{
	return changed(write_text("rules/add", line));
}

int mg_remove_rule(const char *range)
{
	return changed(write_text("rules/remove", range));
}

int mg_set_mode(const char *mode)
{
	return changed(write_text("mode", mode));
}

int mg_set_window(unsigned int ms)
{
	char text[16];

	sprintf(text, "%u", ms);
	return write_text("events/window", text);
}

const char *mg_last_error(void)
{
	static char reason[MG_ERROR_LEN];

	mg_read_file("policy/error", reason, sizeof(reason));
	reason[strcspn(reason, "\n")] = '\0';
	return reason;
}

static uint64_t number(const char *name)
{
	char text[32];
	char *end;
	uint64_t value;

	if (mg_read_file(name, text, sizeof(text)) <= 0) {
		printf("# cannot read " MG_SYSFS "/%s\n", name);
		abort();
	}
	value = strtoull(text, &end, 10);
	if (strcmp(end, "\n")) {
		printf("# " MG_SYSFS "/%s holds \"%s\", not a number\n", name, text);
		abort();
	}
	return value;
}

uint64_t mg_generation(void)
{
	return number("policy/generation");
}

struct mg_stats mg_stats(void)
{
	struct mg_stats stats = {
		.reads = number("stats/reads"),
		.writes = number("stats/writes"),
		.denied = number("stats/denied"),
		.dropped = number("stats/dropped"),
		.masked = number("stats/masked"),
		.audited = number("stats/audited"),
		.quiet = number("stats/quiet"),
		.overflowed = number("stats/overflowed"),
		.sequence = number("stats/sequence"),
		.pending = number("stats/pending"),
		.lost = number("stats/lost"),
		.events_sent = number("stats/events_sent"),
		.events_lost = number("stats/events_lost"),
	};

	return stats;
}

struct mg_stats mg_stats_since(const struct mg_stats *start)
{
	struct mg_stats now = mg_stats();

	now.reads -= start->reads;
	now.writes -= start->writes;
	now.denied -= start->denied;
	now.dropped -= start->dropped;
	now.masked -= start->masked;
	now.audited -= start->audited;
	now.quiet -= start->quiet;
	now.overflowed -= start->overflowed;
	now.sequence -= start->sequence;
	now.pending -= start->pending;
	now.lost -= start->lost;
	now.events_sent -= start->events_sent;
	now.events_lost -= start->events_lost;
	return now;
}

unsigned int mg_vms_of(pid_t pid, struct mg_vm_line *lines, unsigned int max)
{
	static __thread char text[65536];
	unsigned int found = 0;
	char *save, *line;

	if (mg_read_file("vms/list", text, sizeof(text)) < 0) {
		printf("# cannot read " MG_SYSFS "/vms/list\n");
		abort();
	}
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct mg_vm_line vm;

		if (line[0] == '#')
			continue;
		if (sscanf(line, "%lu %u %u %lu %lu %lu %lu %lu %lu %lu %lu", &vm.id, &vm.pid, &vm.vcpus,
			   &vm.reads, &vm.writes, &vm.denied, &vm.dropped, &vm.masked,
			   &vm.audited, &vm.quiet, &vm.overflowed) != 11) {
			printf("# vms/list has a line of another form: %s\n", line);
			abort();
		}
		if (vm.pid == (uint32_t)pid && found < max)
			lines[found++] = vm;
	}
	return found;
}
