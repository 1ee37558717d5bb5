// SPDX-License-Identifier: GPL-2.0
/*
 * Stands in for the module's side of policy/commit, to be preloaded: what was written to policy/load
 * is judged by the module's own policy engine, and becomes policy/active, policy/hash and one
 * generation more; or policy/error and EINVAL. Each text that was committed is kept beside it, as
 * policy/committed.N, from 1. With FAKE_REFUSE=N the commit with that number is refused. The shell
 * runs FAKE_AFTER_N after the commit with the number N, in the folder policy. With FAKE_NO_MEMORY=N
 * there is no memory to read a file after it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"

#define TEXT_SIZE	65536
/* What mg_fd_read() begins with. */
#define READ_SIZE	65536

/* glibc's own. */
void *__libc_malloc(size_t size);

__attribute__((visibility("default")))
void *malloc(size_t size);
__attribute__((visibility("default")))
ssize_t write(int fd, const void *buf, size_t len);

static char folder[PATH_MAX];
static unsigned int commits;
static bool no_memory;

static FILE *open_file(const char *name, const char *mode)
{
	char path[PATH_MAX + 32];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, mode);
	if (!file)
		abort();
	return file;
}

static void put_file(const char *name, const char *text, size_t len)
{
	FILE *file = open_file(name, "w");

	if (fwrite(text, 1, len, file) != len || fclose(file))
		abort();
}

static void put_line(const char *name, const char *line)
{
	char text[512];

	put_file(name, text, snprintf(text, sizeof(text), "%s\n", line));
}

static void publish(const struct mg_policy *policy)
{
	char line[2 * MG_HASH_LEN + 1];
	unsigned long long generation;
	const char *text;
	size_t len, i;
	FILE *file;

	file = open_file("generation", "r");
	if (fscanf(file, "%llu", &generation) != 1)
		abort();
	fclose(file);
	text = mg_policy_text(policy, &len);
	put_file("active", text, len);
	for (i = 0; i < MG_HASH_LEN; i++)
		sprintf(line + 2 * i, "%02x", mg_policy_hash(policy)[i]);
	put_line("hash", line);
	snprintf(line, sizeof(line), "%llu", generation + 1);
	put_line("generation", line);
	put_line("error", "");
}

/* The library is preloaded into the shell, too, which does no harm. */
static void happen_after(void)
{
	const char *number = getenv("FAKE_NO_MEMORY"), *script;
	char name[32], line[2 * PATH_MAX];

	if (number && strtoul(number, NULL, 10) == commits)
		no_memory = true;
	snprintf(name, sizeof(name), "FAKE_AFTER_%u", commits);
	script = getenv(name);
	if (!script)
		return;
	if ((size_t)snprintf(line, sizeof(line), "cd '%s' && { %s; }", folder, script) >=
	    sizeof(line) || system(line))
		abort();
}

static int commit(void)
{
	static char text[TEXT_SIZE];
	const char *refused = getenv("FAKE_REFUSE");
	struct mg_policy_error err;
	struct mg_policy *policy;
	char name[32], why[MG_WHY_LEN];
	FILE *file = open_file("load", "r");
	size_t len = fread(text, 1, sizeof(text), file);

	fclose(file);
	snprintf(name, sizeof(name), "committed.%u", ++commits);
	put_file(name, text, len);
	if (refused && strtoul(refused, NULL, 10) == commits) {
		put_line("error", "0:0: refused by the test");
		return -EINVAL;
	}
	policy = mg_policy_parse(text, len, &err);
	if (IS_ERR(policy)) {
		put_line("error", mg_engine_why(&err, why));
		return PTR_ERR(policy);
	}
	publish(policy);
	mg_policy_free(policy);
	happen_after();
	return 0;
}

/* Whether @fd is policy/commit. Remembers the folder. */
static bool is_commit(int fd)
{
	static const char name[] = "/policy/commit";
	char link[64];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, folder, sizeof(folder) - 1);
	if (len < (ssize_t)strlen(name))
		return false;
	folder[len] = '\0';
	if (strcmp(folder + len - strlen(name), name))
		return false;
	*strrchr(folder, '/') = '\0';
	return true;
}

ssize_t write(int fd, const void *buf, size_t len)
{
	static ssize_t (*real)(int fd, const void *buf, size_t len);
	int err;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "write");
	if (len && *(const char *)buf == '1' && is_commit(fd)) {
		err = commit();
		if (err) {
			errno = -err;
			return -1;
		}
	}
	return real(fd, buf, len);
}

void *malloc(size_t size)
{
	if (no_memory && size == READ_SIZE) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_malloc(size);
}
