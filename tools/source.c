// SPDX-License-Identifier: GPL-2.0
/* Policy files with sections and includes, see source.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpu.h"
#include "engine/engine.h"
#include "msrguard.h"
#include "section.h"
#include "source.h"

struct file {
	char *name;
	char *text;
	size_t len;
	dev_t device;
	ino_t inode;
};

/**
 * struct frame - a file that is being read
 * @file:     its place in the source's files
 * @pos:      the next byte of it
 * @line:     number of the line before that
 * @wanted:   whether what includes it is for this CPU
 * @active:   whether the section it is in is, too
 * @first:    line of its first section for some CPU, 0 if it has none
 * @matched:  whether one of its sections was for this CPU
 */
struct frame {
	unsigned int file;
	size_t pos;
	unsigned long line;
	bool wanted;
	bool active;
	unsigned long first;
	bool matched;
};

/* From this line of the text on, lines come from consecutive ones of a file. */
struct run {
	unsigned long line;
	unsigned int file;
	unsigned long from;
};

struct mg_source {
	const struct mg_cpu *cpu;
	bool everything;
	struct file files[MG_INCLUDE_MAX];
	unsigned int nr_files;
	struct frame stack[MG_INCLUDE_DEPTH];
	unsigned int depth;
	size_t bytes;		/* read in all */
	char *text;
	size_t len;
	size_t room;
	unsigned long lines;
	struct run *runs;
	size_t nr_runs;
	struct mg_place place;	/* of what is wrong */
	char *reason;		/* NULL: nothing is */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct mg_place place_in(const struct mg_source *source, unsigned int file,
				unsigned long line, unsigned long column)
{
	return (struct mg_place){
		.name = source->files[file].name,
		.line = line,
		.column = column,
		.text = source->files[file].text ? source->files[file].text : "",
		.len = source->files[file].len,
	};
}

/* The first thing that is wrong counts. Return: false, for the caller to return. */
static bool refuse(struct mg_source *source, struct mg_place place, char *reason)
{
	source->place = place;
	source->reason = reason;
	return false;
}

static bool refuse_here(struct mg_source *source, const struct frame *frame, size_t column,
			char *reason)
{
	return refuse(source, place_in(source, frame->file, frame->line, column), reason);
}

/* Only a file's own text is judged by its kind: standard input may well be a pipe. */
static char *open_file(const char *path, bool included, int *fd, struct stat *stat)
{
	*fd = STDIN_FILENO;
	if (strcmp(path, "-") || included)
		*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (included ? O_NONBLOCK : 0));
	if (*fd < 0 || fstat(*fd, stat))
		return mg_format("%s", strerror(errno));
	if (S_ISDIR(stat->st_mode))
		return mg_format("%s", strerror(EISDIR));
	if (included && !S_ISREG(stat->st_mode))
		return mg_format("not a regular file");
	return NULL;
}

/* Return: why not, to be freed by the caller, or NULL. */
static char *read_file(struct mg_source *source, const char *path, bool included, struct file *file)
{
	struct stat stat = { 0 };
	char *why;
	int fd, err;

	why = open_file(path, included, &fd, &stat);
	if (!why) {
		file->device = stat.st_dev;
		file->inode = stat.st_ino;
		err = mg_fd_read(fd, MG_POLICY_MAX - source->bytes, &file->text, &file->len);
		if (err == -EFBIG)
			why = mg_format("%slarger than %u MiB, the most the module takes",
					included ? "with it the policy is " : "",
					MG_POLICY_MAX >> 20);
		else if (err)
			why = mg_format("%s", strerror(-err));
		else
			source->bytes += file->len;
	}
	if (fd > STDIN_FILENO)
		close(fd);
	return why;
}

static bool is_being_read(const struct mg_source *source, const struct file *file)
{
	const struct file *other;
	unsigned int i;

	for (i = 0; i < source->depth; i++) {
		other = &source->files[source->stack[i].file];
		if (other->device == file->device && other->inode == file->inode)
			return true;
	}
	return false;
}

static void push(struct mg_source *source, bool wanted)
{
	source->stack[source->depth++] = (struct frame){
		.file = source->nr_files++, .wanted = wanted, .active = wanted,
	};
}

/* A name is relative to the folder of the file that includes it. */
static char *path_of(const char *including, const char *name, size_t len)
{
	const char *slash = strrchr(including, '/');

	if (*name == '/' || !slash)
		return mg_format("%.*s", (int)len, name);
	return mg_format("%.*s/%.*s", (int)(slash - including), including, (int)len, name);
}

static bool include_file(struct mg_source *source, struct frame *frame, const char *name, size_t len,
			 size_t column)
{
	struct file *file = &source->files[source->nr_files];
	char *why, *reason;

	if (!frame->active && !source->everything)
		return true;
	if (source->depth == MG_INCLUDE_DEPTH)
		return refuse_here(source, frame, column,
				   mg_format("includes are nested deeper than %d files",
					     MG_INCLUDE_DEPTH));
	if (source->nr_files == MG_INCLUDE_MAX)
		return refuse_here(source, frame, column,
				   mg_format("more than %d files", MG_INCLUDE_MAX));
	file->name = path_of(source->files[frame->file].name, name, len);
	why = read_file(source, file->name, true, file);
	if (!why && is_being_read(source, file))
		why = mg_format("it is included by itself");
	if (why) {
		reason = mg_format("cannot include %s: %s", file->name, why);
		free(why);
		free(file->text);
		free(file->name);
		*file = (struct file){ 0 };
		return refuse_here(source, frame, column, reason);
	}
	push(source, frame->active);
	return true;
}

/*
 * "include NAME", or "include "NAME"" for a name with blanks or a #. What does not start like
 * that is left to the kernel's parser.
 */
static bool is_include(const char *line, size_t len)
{
	static const char word[] = "include";
	const size_t word_len = sizeof(word) - 1;

	return len >= word_len && !memcmp(line, word, word_len) &&
	       (len == word_len || is_blank(line[word_len]) || line[word_len] == '#');
}

static bool take_include(struct mg_source *source, struct frame *frame, const char *line,
			 size_t indent, size_t len)
{
	size_t at = indent + strlen("include"), end, next;

	while (at < len && is_blank(line[at]))
		at++;
	if (at < len && line[at] == '"') {
		at++;
		for (end = at; end < len && line[end] != '"'; end++)
			;
		if (end == len)
			return refuse_here(source, frame, at, mg_format("the closing \" is missing"));
		next = end + 1;
	} else {
		for (end = at; end < len && !is_blank(line[end]) && line[end] != '#'; end++)
			;
		next = end;
	}
	if (end == at)
		return refuse_here(source, frame, at + 1,
				   mg_format("the name of the file to include is missing"));
	if (memchr(line + at, '\0', end - at) || memchr(line + at, '\r', end - at))
		return refuse_here(source, frame, at + 1,
				   mg_format("NUL or carriage return in the name of a file"));
	while (next < len && is_blank(line[next]))
		next++;
	if (next < len && line[next] != '#')
		return refuse_here(source, frame, next + 1,
				   mg_format("nothing but a comment may follow the name of a file"));
	return include_file(source, frame, line + at, end - at, at + 1);
}

static bool take_section(struct mg_source *source, struct frame *frame, const char *line,
			 size_t indent, size_t len)
{
	enum mg_section section;
	size_t column;
	char *reason;

	section = mg_section_parse(line + indent, len - indent, source->cpu, &column, &reason);
	if (section == MG_SECTION_WRONG)
		return refuse_here(source, frame, indent + column, reason);
	if (section == MG_SECTION_ALL) {
		frame->active = frame->wanted;
		return true;
	}
	if (section == MG_SECTION_OTHER && !frame->first)
		return refuse_here(source, frame, indent + 1,
				   mg_format("[other] needs a section for some CPU before it"));
	if (!frame->first)
		frame->first = frame->line;
	frame->active = section == MG_SECTION_MATCHES ||
			(section == MG_SECTION_OTHER && !frame->matched);
	frame->matched |= frame->active;
	frame->active &= frame->wanted;
	return true;
}

/* Note where the line just added came from. */
static void put_origin(struct mg_source *source, const struct frame *frame)
{
	const struct run *run;

	if (source->nr_runs) {
		run = &source->runs[source->nr_runs - 1];
		if (run->file == frame->file &&
		    frame->line - run->from == source->lines - run->line)
			return;
	}
	source->runs = mg_alloc_check(realloc(source->runs, (source->nr_runs + 1) *
					      sizeof(*source->runs)));
	source->runs[source->nr_runs++] = (struct run){
		.line = source->lines, .file = frame->file, .from = frame->line,
	};
}

/* There is room for it. */
static void put_line(struct mg_source *source, const struct frame *frame, const char *line,
		     size_t len)
{
	if (source->len && source->text[source->len - 1] != '\n')
		source->text[source->len++] = '\n';
	source->lines++;
	put_origin(source, frame);
	memcpy(source->text + source->len, line, len);
	source->len += len;
}

static bool reserve(struct mg_source *source, size_t len)
{
	/* A newline may have to be added before. */
	if (source->len + len + 1 <= source->room)
		return true;
	if (source->len + len + 1 > MG_POLICY_MAX + 1ul)
		return refuse(source, place_in(source, 0, 0, 0),
			      mg_format("larger than %u MiB, the most the module takes",
					MG_POLICY_MAX >> 20));
	source->room = 2 * (source->len + len + 1);
	source->text = mg_alloc_check(realloc(source->text, source->room));
	return true;
}

/* Not for this CPU; what is no rule is wrong all the same. */
static bool check_line(struct mg_source *source, const struct frame *frame, const char *line,
		       size_t len)
{
	struct mg_policy_error err;

	if (!mg_engine_check_line(line, len, &err))
		return true;
	return refuse_here(source, frame, err.column, mg_format("%s", err.reason));
}

/* One line, @whole bytes with its newline if it has one. */
static bool take_line(struct mg_source *source, struct frame *frame, const char *line,
		      size_t whole)
{
	size_t len = whole - (whole && line[whole - 1] == '\n'), indent = 0;

	while (indent < len && is_blank(line[indent]))
		indent++;
	if (indent < len && line[indent] == '[')
		return take_section(source, frame, line, indent, len);
	if (is_include(line + indent, len - indent))
		return take_include(source, frame, line, indent, len);
	if (!frame->active)
		return check_line(source, frame, line, len);
	if (!reserve(source, whole))
		return false;
	put_line(source, frame, line, whole);
	return true;
}

/* A file that only speaks of other CPUs would leave this host unguarded. */
static bool end_of_file(struct mg_source *source, const struct frame *frame)
{
	char *cpu, *reason;

	source->depth--;
	if (!frame->first || frame->matched)
		return true;
	cpu = mg_cpu_name(source->cpu);
	reason = mg_format("no section is for this CPU (%s), and there is no [other]", cpu);
	free(cpu);
	return refuse(source, place_in(source, frame->file, frame->first, 0), reason);
}

static bool resolve(struct mg_source *source)
{
	const struct file *file;
	const char *line, *newline;
	struct frame *frame;
	size_t len;

	while (source->depth) {
		frame = &source->stack[source->depth - 1];
		file = &source->files[frame->file];
		if (frame->pos == file->len) {
			/* Of an include that is looked at only for its form, none need match. */
			if (!frame->wanted)
				source->depth--;
			else if (!end_of_file(source, frame))
				return false;
			continue;
		}
		line = file->text + frame->pos;
		newline = memchr(line, '\n', file->len - frame->pos);
		len = newline ? (size_t)(newline + 1 - line) : file->len - frame->pos;
		frame->pos += len;
		frame->line++;
		if (!take_line(source, frame, line, len))
			return false;
	}
	return true;
}

struct mg_source *mg_source_read(const char *path, const struct mg_cpu *cpu, bool everything)
{
	struct mg_source *source = mg_alloc_check(calloc(1, sizeof(*source)));
	char *why;

	source->cpu = cpu;
	source->everything = everything;
	source->files[0].name = mg_format("%s", strcmp(path, "-") ? path : "<stdin>");
	why = read_file(source, path, false, &source->files[0]);
	if (why) {
		source->nr_files = 1;
		refuse(source, place_in(source, 0, 0, 0), why);
		return source;
	}
	push(source, true);
	resolve(source);
	return source;
}

void mg_source_free(struct mg_source *source)
{
	unsigned int i;

	for (i = 0; i < source->nr_files; i++) {
		free(source->files[i].name);
		free(source->files[i].text);
	}
	free(source->text);
	free(source->runs);
	free(source->reason);
	free(source);
}

const char *mg_source_error(const struct mg_source *source, struct mg_place *place)
{
	if (source->reason)
		*place = source->place;
	return source->reason;
}

/* mg_diagnose() takes the place in front of the reason. */
static void diagnose(const struct mg_place *place, const char *reason)
{
	char *why = mg_format("%lu:%lu: %s", place->line, place->column, reason);

	mg_diagnose(place->name, place->text, place->len, why);
	free(why);
}

int mg_source_complain(const struct mg_source *source)
{
	diagnose(&source->place, source->reason);
	return MG_EXIT_WRONG;
}

bool mg_source_has_file(const struct mg_source *source, const struct stat *file)
{
	unsigned int i;

	for (i = 0; i < source->nr_files; i++)
		if (source->files[i].device == file->st_dev &&
		    source->files[i].inode == file->st_ino)
			return true;
	return false;
}

const char *mg_source_text(const struct mg_source *source, size_t *len)
{
	*len = source->len;
	return source->len ? source->text : "";
}

struct mg_place mg_source_place(const struct mg_source *source, unsigned long line)
{
	size_t low = 0, high = source->nr_runs, middle;
	const struct run *run;

	if (!line || line > source->lines)
		return place_in(source, 0, 0, 0);
	/* The last run that starts at or before the line. */
	while (high - low > 1) {
		middle = low + (high - low) / 2;
		if (source->runs[middle].line <= line)
			low = middle;
		else
			high = middle;
	}
	run = &source->runs[low];
	return place_in(source, run->file, run->from + (line - run->line), 0);
}

/*
 * The kernel names the line of the other rule in a conflict. A word of the text, which is in
 * quotes and without blanks, cannot look like that.
 */
static char *map_reason(const struct mg_source *source, const char *reason,
			const struct mg_place *place)
{
	static const char mark[] = " on line ";
	const char *found = strstr(reason, mark), *number;
	struct mg_place other;
	unsigned long line;
	char *end;

	if (!found)
		return mg_format("%s", reason);
	number = found + strlen(mark);
	line = strtoul(number, &end, 10);
	other = mg_source_place(source, line);
	if (end == number || !other.line)
		return mg_format("%s", reason);
	if (other.text == place->text)
		return mg_format("%.*s%s%lu%s", (int)(found - reason), reason, mark, other.line, end);
	return mg_format("%.*s%s%lu of %s%s", (int)(found - reason), reason, mark, other.line,
			 other.name, end);
}

char *mg_source_map(const struct mg_source *source, const char *why, struct mg_place *place)
{
	unsigned long line, column;
	int end = 0;

	if (sscanf(why, "%9lu:%9lu: %n", &line, &column, &end) != 2 || !end) {
		*place = place_in(source, 0, 0, 0);
		return mg_format("%s", why);
	}
	*place = mg_source_place(source, line);
	/* A place that is not in the text: leave it as it is. */
	if (line && !place->line)
		place->line = line;
	place->column = column;
	return map_reason(source, why + end, place);
}

void mg_source_diagnose(const struct mg_source *source, const char *why)
{
	struct mg_place place;
	char *reason = mg_source_map(source, why, &place);

	diagnose(&place, reason);
	free(reason);
}

static void warn_of(const struct mg_source *source, const char *warning, size_t len)
{
	struct mg_place place = place_in(source, 0, 0, 0);
	char *mapped = NULL;
	unsigned long line;
	int end = 0;

	if (sscanf(warning, "%9lu: %n", &line, &end) == 1 && end && (size_t)end <= len)
		place = mg_source_place(source, line);
	if (place.line)
		mapped = mg_format("%lu: %.*s", place.line, (int)len - end, warning + end);
	else
		mapped = mg_format("%.*s", (int)len, warning);
	mg_warn_of(place.name, mapped);
	free(mapped);
}

void mg_source_warn(const struct mg_source *source, const char *warnings)
{
	size_t len;

	for (; *warnings; warnings += len + (warnings[len] == '\n')) {
		len = strcspn(warnings, "\n");
		if (len)
			warn_of(source, warnings, len);
	}
}
