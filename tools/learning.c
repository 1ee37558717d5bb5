// SPDX-License-Identifier: GPL-2.0
/* The policy of a learning, and what was in force before, see learning.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"
#include "learning.h"
#include "msrguard.h"
#include "publish.h"

#define WINDOW_FILE	"events/window"

/**
 * struct before - what was in force, to be put back
 * @lock:    on the policy, held all the time; negative: nothing has to be put back
 * @active:  the policy
 * @mode:    the mode, NULL if it was not changed
 * @window:  of folding, as the file has it; NULL if it was not changed
 * @learned: generation of the policy of the learning, 0 if it is not in force
 * @kept:    the file with the old policy, NULL if there is none
 */
struct before {
	int lock;
	struct mg_active active;
	char *mode;
	char *window;
	uint64_t learned;
	char *kept;
};

/* For exit(), which the command calls when memory is out. */
static struct before before = { .lock = -1 };

static int write_file(const char *name, const char *text)
{
	int err = mg_sysfs_write(name, text, strlen(text));

	return err ? mg_sysfs_fail(name, err) : MG_EXIT_OK;
}

/* Somebody who does not take the lock may have changed it. */
static bool is_still_ours(void)
{
	struct mg_active now;
	const char *culprit;
	int err;

	err = mg_active_read(&now, false, &culprit);
	if (err) {
		mg_sysfs_fail(culprit, err);
		return false;
	}
	if (now.generation == before.learned)
		return true;
	mg_complain("somebody else has published a policy meanwhile (generation %" PRIu64 "): it is left in force",
		    now.generation);
	fprintf(stderr, "  do: msrguard load %s, if what was in force before is wanted\n",
		before.kept);
	return false;
}

static int put_policy_back(void)
{
	struct mg_text text = { .name = before.kept, .text = before.active.text,
				.len = before.active.len };
	struct mg_active now;
	int ret;

	if (!is_still_ours())
		return MG_EXIT_WRONG;
	ret = mg_publish(before.lock, &text, &now);
	if (ret) {
		mg_complain("the policy that was in force before could NOT be put back: nothing is blocked");
		fprintf(stderr, "  do: msrguard load %s\n", before.kept);
		return ret;
	}
	unlink(before.kept);
	return MG_EXIT_OK;
}

/* All of it, as far as it was changed; each thing once. */
int mg_learning_end(void)
{
	int ret = MG_EXIT_OK, err;

	if (before.lock < 0)
		return MG_EXIT_OK;
	if (before.learned)
		ret = put_policy_back();
	else if (before.kept)
		unlink(before.kept);
	if (before.mode) {
		err = write_file("mode", before.mode);
		ret = ret ? ret : err;
	}
	if (before.window) {
		err = write_file(WINDOW_FILE, before.window);
		ret = ret ? ret : err;
	}
	mg_publish_unlock(before.lock);
	before.lock = -1;
	return ret;
}

/* The module has gone, and what was in force with it. */
void mg_learning_forget(void)
{
	if (before.kept)
		unlink(before.kept);
	before.lock = -1;
}

static void put_back_at_exit(void)
{
	mg_learning_end();
}

/* MSRGUARD_RUN stands in for /run, for tests. */
static char *kept_path(void)
{
	const char *run = secure_getenv("MSRGUARD_RUN");

	return mg_format("%s/msrguard-learn.policy", run && *run ? run : "/run");
}

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

/* One that is there already is the only trace of what was in force before an earlier learning. */
static int keep_policy(void)
{
	char *path = kept_path();
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 && errno == EEXIST) {
		mg_complain("%s is there: a learning was killed, and this is the policy that was in force before it",
			    path);
		fprintf(stderr, "  do: msrguard load %s, or whatever is wanted, and remove the file\n",
			path);
		free(path);
		return MG_EXIT_WRONG;
	}
	if (fd < 0 || !mg_write_all(fd, before.active.text, before.active.len)) {
		mg_complain("cannot keep the policy in force as %s: %s", path, strerror(errno));
		if (fd >= 0) {
			close(fd);
			unlink(path);
		}
		free(path);
		return MG_EXIT_WRONG;
	}
	close(fd);
	before.kept = path;
	return MG_EXIT_OK;
}

static void put_rule(FILE *out, const struct mg_rule *rule)
{
	char span[MG_SPAN_LEN], read[MG_WORD_LEN], write[MG_WORD_LEN];

	fprintf(out, "%s %s %s audit%s\n", mg_engine_span(rule->first, rule->last, span),
		mg_engine_word(rule, MG_READ, read), mg_engine_word(rule, MG_WRITE, write),
		rule->quiet ? " quiet" : "");
}

/* The base, none of whose rules blocks, and a default that would. */
static char *learning_text(const struct mg_policy *base)
{
	const struct mg_rule *rule;
	char *text = NULL;
	size_t size, i;
	FILE *out = mg_alloc_check(open_memstream(&text, &size));

	fputs("default deny deny audit\n", out);
	for (i = 1; base && (rule = mg_policy_rule(base, i)); i++)
		put_rule(out, rule);
	if (fclose(out))
		mg_alloc_check(NULL);
	return text;
}

static int no_folding(void)
{
	int err = mg_sysfs_read_line(WINDOW_FILE, &before.window);

	if (err)
		return mg_sysfs_fail(WINDOW_FILE, err);
	return write_file(WINDOW_FILE, "0");
}

static int no_mode_off(void)
{
	char *mode;
	int err;

	err = mg_sysfs_read_line("mode", &mode);
	if (err)
		return mg_sysfs_fail("mode", err);
	if (strcmp(mode, "off")) {
		free(mode);
		return MG_EXIT_OK;
	}
	before.mode = mode;
	return write_file("mode", "audit");
}

/* The policy of the learning was refused, or something else is in force since: then keep the file. */
static void look_after_kept(void)
{
	struct mg_active now;
	const char *culprit;

	if (!mg_active_read(&now, false, &culprit) && now.generation == before.active.generation)
		return;
	mg_complain("what was in force before is kept as %s", before.kept);
	free(before.kept);
	before.kept = NULL;
}

/* Publish the policy of the learning. From here on there is something to put back. */
int mg_learning_begin(const struct mg_policy *base)
{
	struct mg_text text = { .name = "<policy for learning>" };
	struct mg_active now;
	const char *culprit;
	char *words;
	int err, ret;

	before.lock = mg_publish_lock();
	if (before.lock < 0)
		return -before.lock;
	atexit(put_back_at_exit);
	err = mg_active_read(&before.active, true, &culprit);
	if (err)
		return mg_sysfs_fail(culprit, err);
	ret = keep_policy();
	if (!ret)
		ret = no_folding();
	if (ret)
		return ret;
	words = learning_text(base);
	text.text = words;
	text.len = strlen(words);
	ret = mg_publish(before.lock, &text, &now);
	free(words);
	if (ret) {
		look_after_kept();
		return ret;
	}
	before.learned = now.generation;
	return no_mode_off();
}

uint64_t mg_learning_generation(void)
{
	return before.learned;
}
