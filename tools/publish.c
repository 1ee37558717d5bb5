// SPDX-License-Identifier: GPL-2.0
/* How a text becomes the policy in force, see publish.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "engine/engine.h"
#include "msrguard.h"
#include "publish.h"
#include "source.h"

#define LOCK_TRIES	100	/* of 100 ms */

/*
 * What is staged and policy/error are then this command's own. The lock ends with the process. The
 * kernel holds off those who do not take it.
 */
int mg_publish_lock(void)
{
	const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };
	int fd, i;

	/* sysfs ignores O_TRUNC; a plain file of a test does not. */
	fd = mg_sysfs_open("policy/load", O_WRONLY | O_TRUNC);
	if (fd < 0)
		return -mg_sysfs_fail("policy/load", fd);
	for (i = 0; i < LOCK_TRIES; i++) {
		if (!flock(fd, LOCK_EX | LOCK_NB))
			return fd;
		if (errno != EWOULDBLOCK && errno != EINTR) {
			mg_complain("cannot lock %s/policy/load: %s", mg_sysfs_dir(),
				    strerror(errno));
			goto err_close;
		}
		nanosleep(&pause, NULL);
	}
	mg_complain("another msrguard command is changing the policy, and does not end");
	fprintf(stderr, "  do: find it with \"fuser -v %s/policy/load\"\n", mg_sysfs_dir());

err_close:
	close(fd);
	return -MG_EXIT_WRONG;
}

void mg_publish_unlock(int lock)
{
	close(lock);
}

int mg_publish_try_lock(void)
{
	int fd = mg_sysfs_open("policy/load", O_WRONLY);

	/* Shared, not to make one who only looks believe that another one changes something. */
	if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB)) {
		close(fd);
		return -1;
	}
	return fd < 0 ? -1 : fd;
}

static int stage(int fd, const char *text, size_t len)
{
	ssize_t written;

	/* It may not be the first text of this lock. sysfs has no length; a plain file of a test has. */
	if (lseek(fd, 0, SEEK_SET) || (ftruncate(fd, 0) && errno == EIO))
		return -errno;
	while (len) {
		written = write(fd, text, len);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		if (!written)
			return -EIO;
		text += written;
		len -= written;
	}
	return 0;
}

/*
 * What the kernel says in policy/error is of the last attempt, which was ours; nothing there means
 * that the text did not even come that far. Return: its words, to be freed by the caller, or NULL.
 */
static char *kernel_reason(int err)
{
	char *reason;

	if (err == -EACCES || mg_sysfs_read_line("policy/error", &reason))
		return NULL;
	if (*reason)
		return reason;
	free(reason);
	return NULL;
}

static int refused(const char *file, const struct mg_text *text, int err)
{
	char *reason = kernel_reason(err);

	if (!reason)
		return mg_sysfs_fail(file, err);
	if (text->source)
		mg_source_diagnose(text->source, reason);
	else
		mg_diagnose(text->name, text->text, text->len, reason);
	free(reason);
	return MG_EXIT_WRONG;
}

int mg_publish_refused(const char *file, const char *name, const char *text, size_t len, int err)
{
	const struct mg_text wanted = { .name = name, .text = text, .len = len };

	return refused(file, &wanted, err);
}

static void put_hash(const u8 *hash, char digits[MG_HASH_DIGITS + 1])
{
	int i;

	for (i = 0; i < MG_HASH_LEN; i++)
		sprintf(digits + 2 * i, "%02x", hash[i]);
}

static int say_difference(const struct mg_active *active, const char *wanted, const char *name)
{
	mg_complain("what is in force is not what was loaded: generation %llu has the hash %s, %s has %s",
		    (unsigned long long)active->generation, active->hash, name, wanted);
	fprintf(stderr, "  do: see what differs with \"msrguard diff active %s\"; find out who else changes the policy, and load it again\n",
		name);
	return MG_EXIT_WRONG;
}

static void explain_disagreement(const struct mg_text *text, const struct mg_policy_error *err)
{
	char why[MG_WHY_LEN];

	mg_complain("the module took what this command would not: use the command and the module of the same version");
	mg_engine_why(err, why);
	if (text->source)
		mg_source_diagnose(text->source, why);
	else
		mg_diagnose(text->name, text->text, text->len, why);
}

/* By its text and by its hash. */
int mg_publish_compare(const struct mg_text *text, struct mg_active *active)
{
	struct mg_policy_error err;
	char wanted[MG_HASH_DIGITS + 1];
	struct mg_policy *policy;
	const char *canonical, *culprit;
	size_t len;
	int ret;

	ret = mg_active_read(active, true, &culprit);
	if (ret)
		return mg_sysfs_fail(culprit, ret);
	policy = mg_policy_parse(text->text, text->len, &err);
	if (IS_ERR(policy)) {
		explain_disagreement(text, &err);
		ret = MG_EXIT_WRONG;
	} else {
		canonical = mg_policy_text(policy, &len);
		put_hash(mg_policy_hash(policy), wanted);
		if (active->len != len || memcmp(active->text, canonical, len) ||
		    strcmp(active->hash, wanted))
			ret = say_difference(active, wanted, text->name);
		mg_policy_free(policy);
	}
	free(active->text);
	active->text = NULL;
	return ret;
}

int mg_publish_commit(int lock, const char *text, size_t len, const char **culprit)
{
	int err;

	*culprit = "policy/load";
	err = stage(lock, text, len);
	if (err) {
		/* The reason is asked for later: 0 in policy/commit leaves it as it is. */
		mg_sysfs_write("policy/commit", "0\n", 2);
		return err;
	}
	*culprit = "policy/commit";
	return mg_sysfs_write(*culprit, "1\n", 2);
}

int mg_publish(int lock, const struct mg_text *wanted, struct mg_active *active)
{
	struct mg_text text = *wanted;
	const char *culprit;
	int err;

	/* A write of nothing would stage nothing; let the kernel say what an empty text lacks. */
	if (!text.len) {
		text.text = "\n";
		text.len = 1;
	}
	err = mg_publish_commit(lock, text.text, text.len, &culprit);
	return err ? refused(culprit, &text, err) : mg_publish_compare(&text, active);
}
