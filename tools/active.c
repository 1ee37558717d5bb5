// SPDX-License-Identifier: GPL-2.0
/* The running policy, read so that all of it is of one generation. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "msrguard.h"

#define TRIES	100

static int read_hash(char *hash, const char **culprit)
{
	char *text;
	size_t i;
	int err;

	*culprit = "policy/hash";
	err = mg_sysfs_read_line(*culprit, &text);
	if (err)
		return err;
	if (strlen(text) != MG_HASH_DIGITS)
		err = -EBADMSG;
	for (i = 0; !err && i < MG_HASH_DIGITS; i++)
		if (!isxdigit((unsigned char)text[i]))
			err = -EBADMSG;
	if (!err)
		memcpy(hash, text, MG_HASH_DIGITS + 1);
	free(text);
	return err;
}

static int read_generation(uint64_t *generation, const char **culprit)
{
	*culprit = "policy/generation";
	return mg_sysfs_read_u64(*culprit, generation);
}

/* -EAGAIN says that another policy was published meanwhile. */
static int read_once(struct mg_active *active, bool with_text, const char **culprit)
{
	uint64_t after;
	int err;

	active->text = NULL;
	active->len = 0;
	err = read_generation(&active->generation, culprit);
	if (!err)
		err = read_hash(active->hash, culprit);
	if (!err && with_text) {
		*culprit = "policy/active";
		err = mg_sysfs_read(*culprit, &active->text, &active->len);
	}
	if (!err)
		err = read_generation(&after, culprit);
	if (!err && after != active->generation)
		err = -EAGAIN;
	if (err) {
		free(active->text);
		active->text = NULL;
	}
	return err;
}

int mg_active_read(struct mg_active *active, bool with_text, const char **culprit)
{
	const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	int err, i;

	for (i = 0; i < TRIES; i++) {
		err = read_once(active, with_text, culprit);
		if (err != -EAGAIN)
			return err;
		nanosleep(&pause, NULL);
	}
	return -EAGAIN;
}
