/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file that is written whole or not at all, and is known to be writable long before.
 */
#ifndef MSRGUARD_OUTPUT_H
#define MSRGUARD_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

/**
 * mg_output_begin - create the temporary file that shall become @path
 * @path: the file, which stays as it is for now; there is only one at a time
 *
 * Return: 0, or an exit code after a complaint.
 */
int mg_output_begin(const char *path);

/**
 * mg_output_finish - write it, and put it in its place
 * @text: the content
 * @len:  its length
 *
 * Return: 0, or a negative errno; then there is nothing of it.
 */
int mg_output_finish(const char *text, size_t len);

/** mg_output_drop - remove what was begun and not finished; also happens at exit */
void mg_output_drop(void);

/** mg_write_all - write(2) until all is written; false with errno set */
bool mg_write_all(int fd, const char *text, size_t len);

#endif /* MSRGUARD_OUTPUT_H */
