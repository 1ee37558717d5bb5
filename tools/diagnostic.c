// SPDX-License-Identifier: GPL-2.0
/*
 * Why a text was refused, or what is doubtful in it, as compilers say it: NAME:LINE:COLUMN:
 * reason, the line, a caret. The line is somebody's file: nothing in it may steer the terminal.
 */
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "msrguard.h"

#define WIDTH	76	/* of the quoted line */
#define CONTEXT	40	/* bytes kept before the caret if the line is longer */
#define TAB	8

struct place {
	unsigned long line;	/* 0: none */
	unsigned long column;	/* 0: none */
	const char *reason;
};

/*
 * One character, in a form that is safe to print. Returns how many bytes of the text it
 * was and sets how many columns it takes.
 */
static size_t put_char(FILE *out, const char *text, size_t len, size_t column, size_t *width)
{
	unsigned char byte = *text;
	mbstate_t state = { 0 };
	wchar_t wide;
	size_t bytes;

	if (byte == '\t') {
		*width = TAB - column % TAB;
		fprintf(out, "%*s", (int)*width, "");
		return 1;
	}
	bytes = mbrtowc(&wide, text, len, &state);
	if (bytes && bytes <= len && iswprint(wide) && wcwidth(wide) >= 0) {
		*width = wcwidth(wide);
		fwrite(text, 1, bytes, out);
		return bytes;
	}
	*width = fprintf(out, "\\x%02x", byte);
	return 1;
}

void mg_put_visible(FILE *out, const char *text, size_t len)
{
	size_t at = 0, column = 0, width;

	while (at < len) {
		at += put_char(out, text + at, len - at, column, &width);
		column += width;
	}
}

/* "LINE:COLUMN: reason", or just a reason. */
static struct place parse_reason(const char *text)
{
	struct place place = { .reason = text };
	unsigned long line, column;
	int end = 0;

	if (sscanf(text, "%9lu:%9lu: %n", &line, &column, &end) == 2 && end) {
		place.line = line;
		place.column = column;
		place.reason = text + end;
	}
	return place;
}

static bool find_line(const char *text, size_t len, unsigned long number, const char **line,
		      size_t *line_len)
{
	const char *end = text + len, *newline;

	for (;;) {
		newline = memchr(text, '\n', end - text);
		if (--number == 0)
			break;
		if (!newline)
			return false;
		text = newline + 1;
	}
	*line = text;
	*line_len = (newline ? newline : end) - text;
	return true;
}

static bool continues_char(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;
}

static void put_line(const char *line, size_t len, size_t column)
{
	size_t caret = column ? column - 1 : 0;
	size_t at = 0, shown = 0, caret_shown, width;

	if (caret > len)
		caret = len;
	fputs("  ", stderr);
	if (caret > WIDTH - TAB) {
		at = caret - CONTEXT;
		while (at < caret && continues_char(line[at]))
			at++;
		shown = fprintf(stderr, "...");
	}
	caret_shown = shown;
	while (at < len && shown < WIDTH) {
		if (at <= caret)
			caret_shown = shown;
		at += put_char(stderr, line + at, len - at, shown, &width);
		shown += width;
	}
	if (caret >= at)
		caret_shown = shown;
	fprintf(stderr, "%s\n", at < len ? "..." : "");
	if (column)
		fprintf(stderr, "  %*s^\n", (int)caret_shown, "");
}

void mg_diagnose(const char *name, const char *text, size_t len, const char *reason)
{
	struct place place = parse_reason(reason);
	const char *line;
	size_t line_len;

	fflush(stdout);
	mg_put_visible(stderr, name, strlen(name));
	if (place.line && place.column)
		fprintf(stderr, ":%lu:%lu", place.line, place.column);
	else if (place.line)
		fprintf(stderr, ":%lu", place.line);
	fputs(": ", stderr);
	mg_put_visible(stderr, place.reason, strcspn(place.reason, "\n"));
	fputc('\n', stderr);
	if (place.line && find_line(text, len, place.line, &line, &line_len))
		put_line(line, line_len, place.column);
}

/* One line of policy/warnings. Without a line number, or with 0, it is about the whole. */
static void warn_of(const char *name, const char *text, size_t len)
{
	unsigned long line = 0;
	size_t at;

	at = strspn(text, "0123456789");
	if (at && at < 10 && at + 1 < len && text[at] == ':' && text[at + 1] == ' ') {
		line = strtoul(text, NULL, 10);
		text += at + 2;
		len -= at + 2;
	}
	mg_put_visible(stderr, name, strlen(name));
	if (line)
		fprintf(stderr, ":%lu", line);
	fputs(": warning: ", stderr);
	mg_put_visible(stderr, text, len);
	fputc('\n', stderr);
}

void mg_warn_of(const char *name, const char *warnings)
{
	size_t len;

	fflush(stdout);
	for (; *warnings; warnings += len + (warnings[len] == '\n')) {
		len = strcspn(warnings, "\n");
		if (len)
			warn_of(name, warnings, len);
	}
}
