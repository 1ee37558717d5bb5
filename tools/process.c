// SPDX-License-Identifier: GPL-2.0
/* Processes of the host, see process.h. */
#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "process.h"

const char *mg_process_name(uint32_t pid, char *buf)
{
	char path[64], name[16], *to = buf;
	ssize_t len, i;
	int fd;

	strcpy(buf, "?");
	if (!pid)
		return buf;
	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return buf;
	len = read(fd, name, sizeof(name));
	close(fd);
	for (i = 0; i < len && name[i] != '\n'; i++) {
		if (isascii(name[i]) && isgraph(name[i]))
			*to++ = name[i];
		else
			to += sprintf(to, "\\x%02x", (unsigned char)name[i]);
	}
	if (to != buf)
		*to = '\0';
	return buf;
}
