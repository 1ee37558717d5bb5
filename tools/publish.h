/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How a text becomes the policy in force: one msrguard command at a time, and read back.
 */
#ifndef MSRGUARD_PUBLISH_H
#define MSRGUARD_PUBLISH_H

#include <stddef.h>

struct mg_active;
struct mg_source;

/**
 * struct mg_text - the text of a policy
 * @source: the files it was made from, whose lines messages name; or NULL
 * @name:   what to call it
 * @text:   the text
 * @len:    its length
 */
struct mg_text {
	const struct mg_source *source;
	const char *name;
	const char *text;
	size_t len;
};

/**
 * mg_publish_lock - be the only msrguard command that changes the policy
 *
 * Waits for another one, but not for ever.
 *
 * Return: a file descriptor for mg_publish(), or a negative exit code after a complaint.
 */
int mg_publish_lock(void);

/**
 * mg_publish_try_lock - hold off others for a look at things, if none of them is at work
 *
 * Return: a file descriptor for mg_publish_unlock(), or a negative number.
 */
int mg_publish_try_lock(void);

/** mg_publish_unlock - let others change it */
void mg_publish_unlock(int lock);

/**
 * mg_publish_refused - say why the kernel did not take a text
 * @file: the file it was written to
 * @name: what to call the text
 * @text: the text
 * @len:  its length
 * @err:  negative errno of the write
 *
 * Return: an exit code.
 */
int mg_publish_refused(const char *file, const char *name, const char *text, size_t len, int err);

/**
 * mg_publish_commit - put a text in force, without a word and without need for memory
 * @lock:    of mg_publish_lock()
 * @text:    the text
 * @len:     its length, not 0
 * @culprit: set to the file an error is about, for mg_publish_refused()
 *
 * Return: 0 if it is in force, or a negative errno if what was there before is.
 */
int mg_publish_commit(int lock, const char *text, size_t len, const char **culprit);

/**
 * mg_publish_compare - read back what is in force
 * @text:   what should be
 * @active: filled in, but for its text
 *
 * Return: 0 if what is in force is this text, or an exit code after a complaint.
 */
int mg_publish_compare(const struct mg_text *text, struct mg_active *active);

/**
 * mg_publish - put a text in force, and read back what is in force then
 * @lock:   of mg_publish_lock(); may be used several times
 * @text:   the text
 * @active: filled in, but for its text, if the kernel took it
 *
 * Return: 0 if what is in force is this text, or an exit code after a complaint.
 */
int mg_publish(int lock, const struct mg_text *text, struct mg_active *active);

#endif /* MSRGUARD_PUBLISH_H */
