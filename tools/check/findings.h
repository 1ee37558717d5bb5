/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What "msrguard check" found in a policy.
 */
#ifndef MSRGUARD_FINDINGS_H
#define MSRGUARD_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "source.h"

struct json_object;

enum mg_severity {
	MG_NOTE,	/* true, and perhaps as meant: told with --strict only */
	MG_WARNING,	/* it does not do what it seems to */
	MG_ERROR,	/* the module would not take it */
	MG_NR_SEVERITIES,
};

/**
 * struct mg_finding - one of them
 * @severity: how bad it is
 * @id:       what kind it is, one word, for programs
 * @at:       line of the plain text, to sort by
 * @place:    where in the files
 * @text:     what it is
 */
struct mg_finding {
	enum mg_severity severity;
	const char *id;
	unsigned long at;
	struct mg_place place;
	char *text;
};

struct mg_findings {
	const struct mg_source *source;
	struct mg_finding *list;
	size_t nr;
	size_t by_severity[MG_NR_SEVERITIES];
	bool strict;	/* notes count */
};

/**
 * mg_find - note a finding
 * @findings: where
 * @severity: how bad
 * @id:       its kind, a literal
 * @line:     line of the plain text, 0 for the whole
 * @fmt:      the text, one sentence
 *
 * A note is dropped unless notes count.
 */
void mg_find(struct mg_findings *findings, enum mg_severity severity, const char *id,
	     unsigned long line, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/** mg_find_at - the same at a place in the files; takes over @text */
void mg_find_at(struct mg_findings *findings, enum mg_severity severity, const char *id,
		struct mg_place place, char *text);

/** mg_findings_print - all of them to stderr, by line */
void mg_findings_print(struct mg_findings *findings);

/** mg_findings_json - the same, as an array "findings" of @object */
void mg_findings_json(struct mg_findings *findings, struct json_object *object);

/** mg_findings_free - forget them */
void mg_findings_free(struct mg_findings *findings);

#endif /* MSRGUARD_FINDINGS_H */
