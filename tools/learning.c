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
#include "output.h"
#include "publish.h"

/* Rules that are named one by one when they are dropped. */
#define NAMED_MAX	20

/**
 * struct setting - a file of one word that has another one while it learns
 * @name:   the file
 * @during: what is in it then
 * @old:    what was in it; empty if it was not changed
 */
struct setting {
	const char *name;
	const char *during;
	char old[32];
};

/**
 * struct before - what was in force, to be put back
 * @lock:    on the policy, held all the time; negative: nothing has to be put back
 * @active:  the policy
 * @mode:    the mode
 * @window:  of folding
 * @words:   the policy of the learning
 * @learned: its generation, 0 if it did not come into force
 * @kept:    the file with the old policy, NULL if there is none
 */
struct before {
	int lock;
	struct mg_active active;
	struct setting mode;
	struct setting window;
	char *words;
	uint64_t learned;
	char *kept;
};

/* For exit(), which the command calls when memory is out. */
static struct before before = {
	.lock = -1,
	.mode = { .name = "mode", .during = "audit" },
	.window = { .name = "events/window", .during = "0" },
};

/* Needs no memory but to complain. Return: 0 or an exit code. */
static int read_setting(const struct setting *setting, char *word, size_t size)
{
	int fd = mg_sysfs_open(setting->name, O_RDONLY), err = fd < 0 ? fd : 0;
	ssize_t len = 0;

	if (!err) {
		len = read(fd, word, size - 1);
		err = len < 0 ? -errno : 0;
		close(fd);
	}
	if (err)
		return mg_sysfs_fail(setting->name, err);
	word[len] = '\0';
	word[strcspn(word, "\n")] = '\0';
	return MG_EXIT_OK;
}

static int write_setting(const struct setting *setting, const char *word)
{
	int err = mg_sysfs_write(setting->name, word, strlen(word));

	return err ? mg_sysfs_fail(setting->name, err) : MG_EXIT_OK;
}

static int change_setting(struct setting *setting, const char *old)
{
	int ret = write_setting(setting, setting->during);

	if (!ret)
		snprintf(setting->old, sizeof(setting->old), "%s", old);
	return ret;
}

/* What somebody else has set meanwhile is newer than what was there before. */
static int put_setting_back(const struct setting *setting)
{
	char now[sizeof(setting->old)];
	int ret;

	if (!*setting->old)
		return MG_EXIT_OK;
	ret = read_setting(setting, now, sizeof(now));
	if (ret)
		return ret;
	if (!strcmp(now, setting->during))
		return write_setting(setting, setting->old);
	mg_complain("%s was set to %s meanwhile, and is left so (before the learning it was %s)",
		    setting->name, now, setting->old);
	return MG_EXIT_WRONG;
}

static bool same_rule(const struct mg_rule *a, const struct mg_rule *b)
{
	return a->first == b->first && a->last == b->last && a->audit == b->audit &&
	       a->quiet == b->quiet && mg_engine_same(a, b, MG_READ) &&
	       mg_engine_same(a, b, MG_WRITE);
}

/* Whether a rule stands before another one in a canonical text, or in its place. */
static bool not_behind(const struct mg_rule *a, const struct mg_rule *b)
{
	return a->first < b->first || (a->first == b->first && a->last >= b->last);
}

static void put_rule(FILE *out, const struct mg_rule *rule, bool audit)
{
	char span[MG_SPAN_LEN], read[MG_WORD_LEN], write[MG_WORD_LEN];

	fprintf(out, "%s %s %s%s%s\n", mg_engine_span(rule->first, rule->last, span),
		mg_engine_word(rule, MG_READ, read), mg_engine_word(rule, MG_WRITE, write),
		audit ? " audit" : "", rule->quiet ? " quiet" : "");
}

/* The rules that the policy of the learning did not have. */
static void say_dropped(const struct mg_policy *now)
{
	struct mg_policy_error err;
	struct mg_policy *words = mg_policy_parse(before.words, strlen(before.words), &err);
	const struct mg_rule *rule, *old;
	size_t i, at = 1, nr = 0;

	for (i = 1; !IS_ERR(words) && (rule = mg_policy_rule(now, i)); i++) {
		/* Both are sorted. */
		for (; (old = mg_policy_rule(words, at)) && not_behind(old, rule); at++)
			if (same_rule(old, rule))
				break;
		if (old && same_rule(old, rule))
			continue;
		if (nr++ >= NAMED_MAX)
			continue;
		fputs("  dropped: ", stderr);
		put_rule(stderr, rule, rule->audit);
	}
	if (nr > NAMED_MAX)
		fprintf(stderr, "  dropped: %zu more\n", nr - NAMED_MAX);
	if (nr)
		fputs("  do: msrguard add, for those that are wanted\n", stderr);
	if (!IS_ERR(words))
		mg_policy_free(words);
}

static void say_left(const struct mg_active *now)
{
	mg_complain("somebody else has published a policy meanwhile (generation %" PRIu64 "): it is left in force",
		    now->generation);
	fprintf(stderr, "  do: msrguard load %s, if what was in force before is wanted\n",
		before.kept);
}

/*
 * Somebody who does not take the lock may have changed the policy. As long as that has the default
 * line of the learning, nothing is blocked by default, whatever rules were added.
 */
static bool blocks_nothing(const struct mg_active *now)
{
	const struct mg_rule *fallback;
	struct mg_policy_error err;
	struct mg_policy *policy = mg_policy_parse(now->text, now->len, &err);
	bool ours;

	/* Of a module of another version, or memory is out: the policy of before is the safer one. */
	if (IS_ERR(policy)) {
		mg_complain("what is in force (generation %" PRIu64 ") cannot be understood: what was in force before is put back",
			    now->generation);
		return true;
	}
	fallback = mg_policy_rule(policy, 0);
	ours = fallback->perm[MG_READ].action == MG_DENY &&
	       fallback->perm[MG_WRITE].action == MG_DENY && fallback->audit && !fallback->quiet;
	if (ours) {
		mg_complain("somebody else has changed the policy of the learning meanwhile (generation %" PRIu64 "): what was in force before is put back, and what guests did since then is not learned",
			    now->generation);
		say_dropped(policy);
	}
	mg_policy_free(policy);
	return ours;
}

/* Whether the old policy has to be published; *ret becomes the exit code if it is not as it was. */
static bool has_to_be_put_back(int *ret)
{
	const char *culprit;
	struct mg_active now;
	bool wanted;
	int err;

	err = mg_active_read(&now, true, &culprit);
	if (err) {
		*ret = mg_sysfs_fail(culprit, err);
		return true;
	}
	wanted = now.generation == before.learned;
	if (!wanted) {
		*ret = MG_EXIT_WRONG;
		wanted = blocks_nothing(&now);
		if (!wanted)
			say_left(&now);
	}
	free(now.text);
	return wanted;
}

static int say_not_put_back(const char *culprit, int err)
{
	mg_complain("the policy that was in force before could NOT be put back (%s: %s): NOTHING is blocked",
		    culprit, strerror(-err));
	fprintf(stderr, "  do: msrguard load %s\n", before.kept);
	return MG_EXIT_WRONG;
}

static int say_not_verified(void)
{
	mg_complain("the policy that was in force before was published again, but whether it is in force could not be read; it is kept as %s",
		    before.kept);
	fprintf(stderr, "  do: msrguard status; msrguard load %s, if it is not in force; then remove the file\n",
		before.kept);
	return MG_EXIT_WRONG;
}

/* To look at what is in force takes memory: if that is out, the old policy is published unseen. */
static int put_policy_back(bool may_look)
{
	const struct mg_text text = { .name = before.kept, .text = before.active.text,
				      .len = before.active.len };
	struct mg_active now;
	const char *culprit;
	int ret = MG_EXIT_OK, err;

	if (may_look && !has_to_be_put_back(&ret))
		return ret;
	err = mg_publish_commit(before.lock, text.text, text.len, &culprit);
	if (err)
		return say_not_put_back(culprit, err);
	if (!may_look || mg_publish_compare(&text, &now))
		return say_not_verified();
	unlink(before.kept);
	return ret;
}

/* All of it, as far as it was changed; each thing once. */
static int put_back(bool may_look)
{
	int ret = MG_EXIT_OK, err;

	if (before.lock < 0)
		return MG_EXIT_OK;
	if (before.learned)
		ret = put_policy_back(may_look);
	else if (before.kept)
		unlink(before.kept);
	err = put_setting_back(&before.mode);
	ret = ret ? ret : err;
	err = put_setting_back(&before.window);
	ret = ret ? ret : err;
	mg_publish_unlock(before.lock);
	before.lock = -1;
	return ret;
}

int mg_learning_end(void)
{
	return put_back(true);
}

/* The module has gone, and what was in force with it. */
void mg_learning_forget(void)
{
	if (before.kept)
		unlink(before.kept);
	before.lock = -1;
}

/* Every other end has put it back already. */
static void put_back_without_memory(void)
{
	put_back(false);
}

/* MSRGUARD_RUN stands in for /run, for tests. */
static char *kept_path(void)
{
	const char *run = secure_getenv("MSRGUARD_RUN");

	return mg_format("%s/msrguard-learn.policy", run && *run ? run : "/run");
}

enum mg_kept mg_learning_kept(char **path)
{
	/* Who learns holds the lock before the file is there, and until it has gone. */
	int lock = mg_publish_try_lock();
	bool there;

	*path = kept_path();
	there = !access(*path, F_OK);
	if (lock >= 0)
		mg_publish_unlock(lock);
	if (!there)
		return MG_KEPT_NONE;
	return lock < 0 ? MG_KEPT_FOR_LEARNING : MG_KEPT_LEFT;
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

/* The base, none of whose rules blocks, and a default that would. */
static char *learning_text(const struct mg_policy *base)
{
	const struct mg_rule *rule;
	char *text = NULL;
	size_t size, i;
	FILE *out = mg_alloc_check(open_memstream(&text, &size));

	fputs("default deny deny audit\n", out);
	for (i = 1; base && (rule = mg_policy_rule(base, i)); i++)
		put_rule(out, rule, true);
	if (fclose(out))
		mg_alloc_check(NULL);
	return text;
}

static int no_folding(void)
{
	char old[sizeof(before.window.old)];
	int ret = read_setting(&before.window, old, sizeof(old));

	return ret ? ret : change_setting(&before.window, old);
}

static int no_mode_off(void)
{
	char old[sizeof(before.mode.old)];
	int ret = read_setting(&before.mode, old, sizeof(old));

	return ret || strcmp(old, "off") ? ret : change_setting(&before.mode, old);
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
	int err, ret;

	before.lock = mg_publish_lock();
	if (before.lock < 0)
		return -before.lock;
	atexit(put_back_without_memory);
	err = mg_active_read(&before.active, true, &culprit);
	if (err)
		return mg_sysfs_fail(culprit, err);
	before.words = learning_text(base);
	text.text = before.words;
	text.len = strlen(before.words);
	ret = keep_policy();
	if (!ret)
		ret = no_folding();
	if (ret)
		return ret;
	err = mg_publish_commit(before.lock, text.text, text.len, &culprit);
	if (err) {
		ret = mg_publish_refused(culprit, text.name, text.text, text.len, err);
		look_after_kept();
		return ret;
	}
	/* It is in force, whatever comes: as that, unless somebody came in between. */
	before.learned = before.active.generation + 1;
	ret = mg_publish_compare(&text, &now);
	if (ret)
		return ret;
	before.learned = now.generation;
	return no_mode_off();
}

uint64_t mg_learning_generation(void)
{
	return before.learned;
}
