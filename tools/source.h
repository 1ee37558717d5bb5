/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A policy file as administrators write it, with sections for CPUs and with files it includes:
 * resolved for one CPU to the plain text that the kernel takes, and back from a line of that to
 * the file and line it came from.
 */
#ifndef MSRGUARD_SOURCE_H
#define MSRGUARD_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

struct mg_cpu;
struct mg_source;
struct stat;

/* Files in files, the first one counted. */
#define MG_INCLUDE_DEPTH	8
/* Files in all; one that is included twice counts twice. */
#define MG_INCLUDE_MAX		1000

/**
 * struct mg_place - where something stands
 * @name:   of the file
 * @line:   from 1; 0 if it is about the whole file
 * @column: from 1, in bytes; 0 if it is about the whole line
 * @text:   the file
 * @len:    its length
 *
 * Lives as long as its source.
 */
struct mg_place {
	const char *name;
	unsigned long line;
	unsigned long column;
	const char *text;
	size_t len;
};

/**
 * mg_source_read - read a policy file and what it includes
 * @path:       the file, or "-" for standard input
 * @cpu:        the CPU whose sections to take
 * @everything: also read what sections for other CPUs include, to find what is wrong there
 *
 * Lines in sections for other CPUs are not taken, but have to be rules.
 *
 * Return: the source, to be freed by mg_source_free(); see mg_source_error().
 */
struct mg_source *mg_source_read(const char *path, const struct mg_cpu *cpu, bool everything);

/** mg_source_free - free it and all that was handed out of it */
void mg_source_free(struct mg_source *source);

/**
 * mg_source_error - why the file is refused
 * @source: the source
 * @place:  set to where
 *
 * Return: the reason, or NULL if nothing is wrong.
 */
const char *mg_source_error(const struct mg_source *source, struct mg_place *place);

/** mg_source_complain - the same, said to stderr; returns an exit code */
int mg_source_complain(const struct mg_source *source);

/** mg_source_has_file - whether a file, by its inode, is one of those that were read */
bool mg_source_has_file(const struct mg_source *source, const struct stat *file);

/** mg_source_text - the plain text */
const char *mg_source_text(const struct mg_source *source, size_t *len);

/** mg_source_place - where a line of the plain text came from; with 0, the first file */
struct mg_place mg_source_place(const struct mg_source *source, unsigned long line);

/**
 * mg_source_map - what somebody says of the plain text, said of the files
 * @source: the source
 * @why:    "LINE:COLUMN: reason", as policy/error has it, or just a reason
 * @place:  set to where it is in the files
 *
 * Other lines that the reason names ("is on line 7 already") are changed as well.
 *
 * Return: the reason alone, to be freed by the caller.
 */
char *mg_source_map(const struct mg_source *source, const char *why, struct mg_place *place);

/** mg_source_diagnose - mg_diagnose() of what was said of the plain text */
void mg_source_diagnose(const struct mg_source *source, const char *why);

/** mg_source_warn - mg_warn_of() what was said of the plain text */
void mg_source_warn(const struct mg_source *source, const char *warnings);

#endif /* MSRGUARD_SOURCE_H */
