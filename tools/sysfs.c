// SPDX-License-Identifier: GPL-2.0
/* The module's files in sysfs, and what to say when they cannot be used. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "msrguard.h"

/* Nothing the module shows comes near; a fake or foreign file might. */
#define READ_MAX	(256u << 20)
#define READ_START	65536u

/* MSRGUARD_SYSFS stands in for /sys, for tests. */
static const char *sysfs_root(void)
{
	const char *root = secure_getenv("MSRGUARD_SYSFS");

	return root && *root ? root : "/sys";
}

const char *mg_sysfs_dir(void)
{
	static char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s/kernel/msrguard", sysfs_root());
	return dir;
}

bool mg_sysfs_loaded(void)
{
	return !access(mg_sysfs_dir(), F_OK);
}

bool mg_sysfs_host_module(const char *module)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/module/%s", sysfs_root(), module);
	return !access(path, F_OK);
}

/* The first character of a module's parameter, NUL if there is none. */
static char parameter_of(const char *module, const char *parameter)
{
	char path[PATH_MAX], value = '\0';
	int fd;

	snprintf(path, sizeof(path), "%s/module/%s/parameters/%s", sysfs_root(), module, parameter);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return '\0';
	if (read(fd, &value, 1) != 1)
		value = '\0';
	close(fd);
	return value;
}

bool mg_sysfs_parameter_is_off(const char *parameter)
{
	char value = parameter_of("msrguard", parameter);

	return value == 'N' || value == '0';
}

bool mg_sysfs_module_parameter_is_on(const char *module, const char *parameter)
{
	char value = parameter_of(module, parameter);

	return value == 'Y' || value == '1';
}

int mg_sysfs_open(const char *name, int flags)
{
	char path[PATH_MAX];
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", mg_sysfs_dir(), name) >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int mg_fd_read(int fd, size_t max, char **text, size_t *len)
{
	size_t size = READ_START, used = 0;
	char *buf = mg_alloc_check(malloc(size));
	ssize_t got;
	int err;

	for (;;) {
		/* One byte stays for the NUL. */
		if (used == size - 1) {
			size *= 2;
			buf = mg_alloc_check(realloc(buf, size));
		}
		got = read(fd, buf + used, size - 1 - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			err = -errno;
			goto err_free;
		}
		if (!got)
			break;
		used += got;
		if (used > max) {
			err = -EFBIG;
			goto err_free;
		}
	}
	buf[used] = '\0';
	*text = buf;
	if (len)
		*len = used;
	return 0;

err_free:
	free(buf);
	return err;
}

int mg_sysfs_read(const char *name, char **text, size_t *len)
{
	int fd, err;

	fd = mg_sysfs_open(name, O_RDONLY);
	if (fd < 0)
		return fd;
	err = mg_fd_read(fd, READ_MAX, text, len);
	close(fd);
	return err;
}

int mg_sysfs_read_line(const char *name, char **text)
{
	int err = mg_sysfs_read(name, text, NULL);

	if (!err)
		(*text)[strcspn(*text, "\n")] = '\0';
	return err;
}

int mg_sysfs_read_u64(const char *name, uint64_t *value)
{
	char *text;
	int err;

	err = mg_sysfs_read_line(name, &text);
	if (err)
		return err;
	if (!mg_parse_u64(text, 10, value))
		err = -EBADMSG;
	free(text);
	return err;
}

int mg_sysfs_each_line(const char *name, int (*take)(void *context, char *line), void *context)
{
	char *text, *line, *rest = NULL;
	int err;

	err = mg_sysfs_read(name, &text, NULL);
	if (err)
		return err;
	for (line = strtok_r(text, "\n", &rest); line && !err;
	     line = strtok_r(NULL, "\n", &rest))
		if (*line != '#')
			err = take(context, line);
	free(text);
	return err;
}

int mg_sysfs_write(const char *name, const char *data, size_t len)
{
	ssize_t written;
	int fd, err = 0;

	/* sysfs ignores O_TRUNC; a plain file of a test does not. */
	fd = mg_sysfs_open(name, O_WRONLY | O_TRUNC);
	if (fd < 0)
		return fd;
	do {
		written = write(fd, data, len);
	} while (written < 0 && errno == EINTR);
	if (written < 0)
		err = -errno;
	else if ((size_t)written != len)
		err = -EIO;
	close(fd);
	return err;
}

static int exit_code_of(int err)
{
	switch (-err) {
	case ENOENT:
	case ENOTDIR:
	case ENODEV:	/* the module was unloaded while the file was open */
		return mg_sysfs_loaded() ? MG_EXIT_WRONG : MG_EXIT_NOT_LOADED;
	case EACCES:
	case EPERM:
		return MG_EXIT_NO_PERMISSION;
	default:
		return MG_EXIT_WRONG;
	}
}

static const char *advice_load(void)
{
	if (!mg_sysfs_host_module("kvm"))
		return "modprobe msrguard (or, where it was built: modprobe kvm && insmod msrguard.ko)";
	return "modprobe msrguard (or, where it was built: insmod msrguard.ko)";
}

int mg_sysfs_explain(const char *name, int err, char **what, char **action)
{
	static const char mismatch[] = "use the command and the module of the same version";
	int code = exit_code_of(err);
	const char *todo = NULL;

	if (code == MG_EXIT_NOT_LOADED) {
		*what = mg_format("the module is not loaded (there is no %s)", mg_sysfs_dir());
		todo = advice_load();
	} else if (code == MG_EXIT_NO_PERMISSION) {
		*what = mg_format("%s/%s: permission denied", mg_sysfs_dir(), name);
		todo = "run this as root of the host, for example with sudo";
	} else if (err == -ENOENT) {
		*what = mg_format("%s/%s is not there", mg_sysfs_dir(), name);
		todo = mismatch;
	} else if (err == -EBADMSG) {
		*what = mg_format("%s/%s holds something else than expected", mg_sysfs_dir(), name);
		todo = mismatch;
	} else if (err == -EAGAIN) {
		*what = mg_format("the policy changes faster than it can be read");
		todo = "find out what publishes policies all the time, and try again";
	} else {
		*what = mg_format("%s/%s: %s", mg_sysfs_dir(), name, strerror(-err));
	}
	*action = todo ? mg_format("%s", todo) : NULL;
	return code;
}

int mg_sysfs_fail(const char *name, int err)
{
	char *what, *action;
	int code;

	code = mg_sysfs_explain(name, err, &what, &action);
	mg_complain("%s", what);
	if (action)
		fprintf(stderr, "  do: %s\n", action);
	free(what);
	free(action);
	return code;
}
