// SPDX-License-Identifier: GPL-2.0
/* The host beside the module. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "host.h"
#include "msrguard.h"

int host_write(const char *path, const char *text)
{
	size_t len = strlen(text);
	int fd, err = 0;
	ssize_t n;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	if (n < 0)
		err = -errno;
	else if ((size_t)n != len)
		err = -EIO;
	close(fd);
	return err;
}

char *host_read(const char *path)
{
	size_t len = 0, room = 4096;
	char *text = malloc(room);
	ssize_t n = -1;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && text) {
		n = read(fd, text + len, room - 1 - len);
		if (n <= 0)
			break;
		len += n;
		if (len == room - 1) {
			room *= 2;
			text = realloc(text, room);
		}
	}
	if (fd >= 0)
		close(fd);
	if (n < 0 || !text) {
		free(text);
		return NULL;
	}
	text[len] = '\0';
	return text;
}

int host_insmod(const char *path, const char *params)
{
	int fd, err = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_finit_module, fd, params, 0))
		err = -errno;
	close(fd);
	return err;
}

int host_rmmod(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

const char *host_vendor(void)
{
	return getenv("LAB_VENDOR_MODULE") ?: "kvm_amd";
}

unsigned int host_patience(void)
{
	const char *patience = getenv("MSRGUARD_PATIENCE");
	int times = patience ? atoi(patience) : 1;

	return times > 0 ? times : 1;
}

bool host_kernel_since(unsigned int major, unsigned int minor)
{
	unsigned int has_major, has_minor;
	struct utsname name;

	if (uname(&name) || sscanf(name.release, "%u.%u", &has_major, &has_minor) != 2)
		return false;
	return has_major > major || (has_major == major && has_minor >= minor);
}

bool host_modprobe_vendor(void)
{
	char command[64];

	snprintf(command, sizeof(command), "modprobe %s", host_vendor());
	return !system(command);
}

struct host_log {
	int fd;
	size_t len;
	char text[1 << 18];
};

struct host_log *host_log_open(void)
{
	struct host_log *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	log->fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (log->fd < 0 || lseek(log->fd, 0, SEEK_END) < 0) {
		free(log);
		return NULL;
	}
	return log;
}

void host_log_free(struct host_log *log)
{
	if (!log)
		return;
	close(log->fd);
	free(log);
}

/* A record is "PRIORITY,NUMBER,TIME,FLAGS;MESSAGE\n" and lines of its own behind that. */
const char *host_log_text(struct host_log *log)
{
	char record[8192];
	const char *message;
	ssize_t n;

	for (;;) {
		n = read(log->fd, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			break;
		record[n] = '\0';
		message = strchr(record, ';');
		if (!message)
			continue;
		n = strcspn(++message, "\n");
		if (log->len + n + 2 > sizeof(log->text))
			break;
		memcpy(log->text + log->len, message, n);
		log->len += n;
		log->text[log->len++] = '\n';
		log->text[log->len] = '\0';
	}
	return log->text;
}

bool host_log_has(struct host_log *log, const char *prefix, const char *text)
{
	char *copy = strdup(host_log_text(log));
	size_t len = strlen(prefix);
	char *save, *line;
	bool found = false;

	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		found |= !strncmp(line, prefix, len) && line[len] == ':' && strstr(line, text);
	free(copy);
	return found;
}

bool host_hook_decides(const struct hook_line *hook)
{
	return strcmp(hook->mechanism, "observer");
}

unsigned int host_hooks(struct hook_line *hooks)
{
	char text[4096];
	unsigned int nr = 0;
	char *save, *line;

	if (mg_read_file("hooks", text, sizeof(text)) < 0)
		return 0;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct hook_line *hook = &hooks[nr];

		if (line[0] == '#')
			continue;
		if (nr == MAX_HOOKS ||
		    sscanf(line, "%31s %63s %15s %15s %lu", hook->purpose, hook->function,
			   hook->mechanism, hook->state, &hook->calls) != 5) {
			printf("# hooks has a line of another form: %s\n", line);
			abort();
		}
		nr++;
	}
	return nr;
}

int host_param(const char *name, char *text, size_t size)
{
	char path[128], *value;

	snprintf(path, sizeof(path), "/sys/module/msrguard/parameters/%s", name);
	value = host_read(path);
	if (!value)
		return -errno;
	snprintf(text, size, "%.*s", (int)strcspn(value, "\n"), value);
	free(value);
	return strlen(text);
}

char *host_enabled_functions(void)
{
	return host_read(HOST_TRACING "/enabled_functions");
}

static bool is_there(const char *path, char *why)
{
	if (access(path, F_OK))
		return false;
	snprintf(why, HOST_REASON_LEN, "%s is there", path);
	return true;
}

static bool family_is_there(char *why)
{
	struct mg_listener *listener = mg_listen();

	if (!listener && errno == ENOENT)
		return false;
	snprintf(why, HOST_REASON_LEN, "netlink says of the family: %s",
		 listener ? "it is there" : strerror(errno));
	mg_listener_free(listener);
	return true;
}

bool host_nothing_left(const char *functions, char *why)
{
	char *now = host_enabled_functions();
	bool same = now && !strcmp(now, functions);

	why[0] = '\0';
	if (!same)
		snprintf(why, HOST_REASON_LEN, "enabled_functions was \"%.160s\", is \"%.160s\"",
			 functions, now ?: "unreadable");
	free(now);
	return same && !is_there(MG_SYSFS, why) && !is_there("/sys/module/msrguard", why) &&
	       !is_there(HOST_TRACING "/events/msrguard", why) && !family_is_there(why);
}
