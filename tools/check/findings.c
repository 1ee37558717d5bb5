// SPDX-License-Identifier: GPL-2.0
/* What a check found: kept, sorted and printed, see findings.h. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "findings.h"
#include "json.h"
#include "msrguard.h"

static const char *const severity_names[] = {
	[MG_NOTE] = "note", [MG_WARNING] = "warning", [MG_ERROR] = "error",
};

static void add(struct mg_findings *findings, struct mg_finding finding)
{
	if (finding.severity == MG_NOTE && !findings->strict) {
		free(finding.text);
		return;
	}
	/* Grows by doubling: room for a power of two of them. */
	if (!(findings->nr & (findings->nr - 1)))
		findings->list = mg_alloc_check(realloc(findings->list,
							(findings->nr ? 2 * findings->nr : 1) *
							sizeof(*findings->list)));
	findings->list[findings->nr++] = finding;
	findings->by_severity[finding.severity]++;
}

void mg_find(struct mg_findings *findings, enum mg_severity severity, const char *id,
	     unsigned long line, const char *fmt, ...)
{
	struct mg_finding finding = { .severity = severity, .id = id, .at = line };
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&finding.text, fmt, args) < 0)
		mg_alloc_check(NULL);
	va_end(args);
	finding.place = mg_source_place(findings->source, line);
	add(findings, finding);
}

void mg_find_at(struct mg_findings *findings, enum mg_severity severity, const char *id,
		struct mg_place place, char *text)
{
	add(findings, (struct mg_finding){
		.severity = severity, .id = id, .place = place, .text = text,
	});
}

/* By line of the plain text; those about the whole come first; else the worse first. */
static int compare(const void *a, const void *b)
{
	const struct mg_finding *one = a, *other = b;

	if (one->at != other->at)
		return one->at < other->at ? -1 : 1;
	return one->severity > other->severity ? -1 : one->severity < other->severity;
}

static void sort_findings(struct mg_findings *findings)
{
	if (findings->nr)
		qsort(findings->list, findings->nr, sizeof(*findings->list), compare);
}

static void print(const struct mg_finding *finding)
{
	char *why;

	if (finding->severity == MG_ERROR) {
		why = mg_format("%lu:%lu: %s", finding->place.line, finding->place.column,
				finding->text);
		mg_diagnose(finding->place.name, finding->place.text, finding->place.len, why);
		free(why);
		return;
	}
	mg_put_visible(stderr, finding->place.name, strlen(finding->place.name));
	if (finding->place.line)
		fprintf(stderr, ":%lu", finding->place.line);
	fprintf(stderr, ": %s: ", severity_names[finding->severity]);
	mg_put_visible(stderr, finding->text, strlen(finding->text));
	fputc('\n', stderr);
}

void mg_findings_print(struct mg_findings *findings)
{
	size_t i;

	sort_findings(findings);
	fflush(stdout);
	for (i = 0; i < findings->nr; i++)
		print(&findings->list[i]);
}

void mg_findings_json(struct mg_findings *findings, struct json_object *object)
{
	struct json_object *array = mg_json_array(object, "findings"), *entry;
	const struct mg_finding *finding;
	size_t i;

	sort_findings(findings);
	for (i = 0; i < findings->nr; i++) {
		finding = &findings->list[i];
		entry = mg_json_append(array);
		mg_json_string(entry, "severity", severity_names[finding->severity]);
		mg_json_string(entry, "id", finding->id);
		mg_json_string(entry, "file", finding->place.name);
		mg_json_u32(entry, "line", finding->place.line);
		mg_json_u32(entry, "column", finding->place.column);
		mg_json_string(entry, "text", finding->text);
	}
}

void mg_findings_free(struct mg_findings *findings)
{
	size_t i;

	for (i = 0; i < findings->nr; i++)
		free(findings->list[i].text);
	free(findings->list);
	findings->list = NULL;
	findings->nr = 0;
}
