// SPDX-License-Identifier: GPL-2.0
/* A file that is written whole or not at all, see output.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "msrguard.h"
#include "output.h"

/* For exit(), which the command calls when memory is out. */
static struct {
	const char *path;
	char *temporary;
	int fd;
} output = { .fd = -1 };

bool mg_write_all(int fd, const char *text, size_t len)
{
	ssize_t written;

	while (len) {
		written = write(fd, text, len);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		text += written;
		len -= written;
	}
	return true;
}

static void forget(void)
{
	close(output.fd);
	output.fd = -1;
	free(output.temporary);
	output.temporary = NULL;
}

void mg_output_drop(void)
{
	if (output.fd < 0)
		return;
	unlink(output.temporary);
	forget();
}

int mg_output_begin(const char *path)
{
	struct stat stat_of;

	/* A device or a pipe would be replaced by a file. */
	if (!stat(path, &stat_of) && !S_ISREG(stat_of.st_mode)) {
		mg_complain("%s: not a regular file", path);
		return MG_EXIT_WRONG;
	}
	output.path = path;
	output.temporary = mg_format("%s.%d.tmp", path, (int)getpid());
	output.fd = open(output.temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (output.fd >= 0) {
		atexit(mg_output_drop);
		return MG_EXIT_OK;
	}
	mg_complain("%s: %s", path, strerror(errno));
	free(output.temporary);
	output.temporary = NULL;
	return MG_EXIT_WRONG;
}

int mg_output_finish(const char *text, size_t len)
{
	int err = 0;

	if (!mg_write_all(output.fd, text, len) || fsync(output.fd) ||
	    rename(output.temporary, output.path))
		err = errno ? -errno : -EIO;
	if (err)
		mg_output_drop();
	else
		forget();
	return err;
}
