// SPDX-License-Identifier: GPL-2.0
/* Rules for what was seen, and no more, see proposal.h. */
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "check/dangers.h"
#include "engine/engine.h"
#include "event.h"
#include "msrguard.h"
#include "names/names.h"
#include "proposal.h"
#include "varying.h"

#define VMS_MAX		4
#define IMAGES_MAX	3
#define IMAGE_LEN	48
/* A line of the policy format has an end. */
#define COMMENT_LEN	360

/**
 * struct way - reads or writes of one MSR
 * @count:   how many
 * @by_rule: of those, how many a rule of the base would have blocked
 * @bits:    of writes, all bits that one of them changed
 * @blind:   of one write it is not known what it changed
 * @first:   first MSR of a rule that would have blocked one, and
 * @last:    its last one
 */
struct way {
	uint64_t count;
	uint64_t by_rule;
	uint64_t bits;
	bool blind;
	u32 first;
	u32 last;
};

struct seen {
	u32 index;
	struct way way[MG_NR_DIRS];
	uint64_t vms[VMS_MAX];
	size_t nr_vms;		/* one more than there is room for: there were others */
	char images[IMAGES_MAX][IMAGE_LEN];
	size_t nr_images;
};

struct mg_proposal {
	unsigned int vendors;
	void *tree;
	struct seen **list;	/* in the order in which they were seen first */
	size_t nr;
	uint64_t accesses;
};

struct mg_proposal *mg_proposal_new(unsigned int vendors)
{
	struct mg_proposal *proposal = mg_alloc_check(calloc(1, sizeof(*proposal)));

	proposal->vendors = vendors;
	proposal->list = mg_alloc_check(calloc(MG_PROPOSAL_MSRS, sizeof(*proposal->list)));
	return proposal;
}

void mg_proposal_free(struct mg_proposal *proposal)
{
	tdestroy(proposal->tree, free);
	free(proposal->list);
	free(proposal);
}

static int compare_seen(const void *a, const void *b)
{
	const struct seen *one = a, *other = b;

	return one->index < other->index ? -1 : one->index > other->index;
}

static struct seen *find_seen(struct mg_proposal *proposal, u32 index)
{
	struct seen key = { .index = index }, **found, *new;

	found = tfind(&key, &proposal->tree, compare_seen);
	if (found)
		return *found;
	if (proposal->nr == MG_PROPOSAL_MSRS)
		return NULL;
	new = mg_alloc_check(calloc(1, sizeof(*new)));
	new->index = index;
	mg_alloc_check(tsearch(new, &proposal->tree, compare_seen));
	proposal->list[proposal->nr++] = new;
	return new;
}

static void note_vm(struct seen *seen, uint64_t vm)
{
	size_t i;

	for (i = 0; i < seen->nr_vms && i < VMS_MAX; i++)
		if (seen->vms[i] == vm)
			return;
	if (seen->nr_vms < VMS_MAX)
		seen->vms[seen->nr_vms] = vm;
	if (seen->nr_vms <= VMS_MAX)
		seen->nr_vms++;
}

static void note_image(struct seen *seen, const struct mg_event *event)
{
	char name[MG_NAME_LEN], image[IMAGE_LEN];
	size_t i;

	if (MG_EVENT_HAS(event, IMAGE_NAME) && *event->image_name)
		snprintf(image, sizeof(image), "%.*s", IMAGE_LEN - 1, event->image_name);
	else if (MG_EVENT_HAS(event, IMAGE_KIND))
		snprintf(image, sizeof(image), "%s", mg_image_kind_name(event->image_kind, name));
	else
		snprintf(image, sizeof(image), "unknown");
	for (i = 0; i < seen->nr_images && i < IMAGES_MAX; i++)
		if (!strcmp(seen->images[i], image))
			return;
	if (seen->nr_images < IMAGES_MAX)
		strcpy(seen->images[seen->nr_images], image);
	if (seen->nr_images <= IMAGES_MAX)
		seen->nr_images++;
}

static void note_write(struct way *way, const struct mg_event *event)
{
	/* A masked write of a command is judged as if it was 0 before. */
	bool old_known = MG_EVENT_HAS(event, OLD) || mg_is_command(event->msr);
	uint64_t old = mg_is_command(event->msr) ? 0 : event->old;

	if (event->count != 1 || !old_known || !MG_EVENT_HAS(event, VALUE))
		way->blind = true;
	else
		way->bits |= event->value ^ old;
}

bool mg_proposal_saw(struct mg_proposal *proposal, const struct mg_event *event)
{
	bool write = event->direction == MSRGUARD_DIRECTION_WRITE;
	struct seen *seen = find_seen(proposal, event->msr);
	struct way *way;

	if (!seen)
		return false;
	proposal->accesses += event->count;
	way = &seen->way[write ? MG_WRITE : MG_READ];
	way->count += event->count;
	note_vm(seen, event->vm);
	note_image(seen, event);
	if (MG_EVENT_HAS(event, RULE_FIRST)) {
		way->by_rule += event->count;
		way->first = event->rule_first;
		way->last = event->rule_last;
	} else if (write) {
		note_write(way, event);
	}
	return true;
}

/* What of the MSR is a value that the next boot has another of, if such a one was written. */
static const struct mg_varying *varying_of(const struct seen *seen)
{
	const struct mg_varying *field = mg_varying_find(seen->index);
	const struct way *way = &seen->way[MG_WRITE];

	return field && !way->blind && way->bits & field->bits ? field : NULL;
}

static uint64_t bits_of(const struct seen *seen)
{
	const struct mg_varying *field = varying_of(seen);

	return seen->way[MG_WRITE].bits | (field ? field->bits : 0);
}

static struct mg_doubt doubt_of(const struct mg_proposal *proposal, const struct seen *seen,
				enum mg_dir dir)
{
	const struct way *way = &seen->way[dir];

	if (way->count == way->by_rule)
		return (struct mg_doubt){ 0, NULL };
	/* A command does something, or its registers would not be there. */
	return mg_danger_doubt(seen->index, dir == MG_WRITE,
			       way->blind || mg_is_command(seen->index) ? U64_MAX : bits_of(seen),
			       proposal->vendors);
}

/* The write column for @bits. */
static char *write_word(uint64_t bits, const struct mg_refusal *refusal)
{
	if (bits == U64_MAX)
		return mg_format("allow");
	return mg_format("mask=0x%" PRIx64 ",%s", bits, refusal && !refusal->drop ? "keep" : "deny");
}

/* The same without what is dangerous: the bits beside that, if these are known. */
static char *safe_word(uint64_t bits, const struct mg_doubt *doubt, const struct mg_refusal *refusal)
{
	if (refusal && refusal->drop)
		return mg_format("%s", refusal->drop);
	if (!doubt->why)
		return write_word(bits, refusal);
	if (refusal)
		return write_word(bits == U64_MAX && !refusal->bits ? 0 : bits & ~doubt->bits,
				  refusal);
	if (bits == U64_MAX || !(bits & ~doubt->bits))
		return mg_format("deny");
	return write_word(bits & ~doubt->bits, NULL);
}

static char *add(char *text, const char *more)
{
	char *longer = mg_format("%s%s", text, more);

	free(text);
	return longer;
}

static char *count_of(const struct way *way, const char *one, const char *many)
{
	uint64_t count = way->count - way->by_rule;

	return count ? mg_format("%" PRIu64 " %s", count, count > 1 ? many : one) : NULL;
}

/* "MSR_EFER: 3 reads, 2 writes; VM 3, 4; image vmlinux" */
static char *comment_of(const struct seen *seen)
{
	const struct mg_varying *field = varying_of(seen);
	const char *label = mg_msr_label(seen->index);
	char *reads = count_of(&seen->way[MG_READ], "read", "reads");
	char *writes = count_of(&seen->way[MG_WRITE], "write", "writes");
	char *text = mg_format("%s: %s%s%s; VM", label ? label : "no name known", reads ? reads : "",
			       reads && writes ? ", " : "", writes ? writes : "");
	char *item;
	size_t i;

	free(reads);
	free(writes);
	for (i = 0; i < seen->nr_vms && i < VMS_MAX; i++) {
		item = mg_format("%s %" PRIu64, i ? "," : "", seen->vms[i]);
		text = add(text, item);
		free(item);
	}
	if (seen->nr_vms > VMS_MAX)
		text = add(text, " and others");
	text = add(text, "; image ");
	for (i = 0; i < seen->nr_images && i < IMAGES_MAX; i++) {
		text = add(text, i ? ", " : "");
		text = add(text, seen->images[i]);
	}
	if (seen->nr_images > IMAGES_MAX)
		text = add(text, " and others");
	if (seen->way[MG_WRITE].blind)
		text = add(text, "; what a write changed is not known");
	if (field) {
		text = add(text, "; holds ");
		text = add(text, field->what);
		text = add(text, ", allowed whole");
	}
	if (strlen(text) > COMMENT_LEN)
		strcpy(text + COMMENT_LEN - 3, "...");
	return text;
}

/* A rule that is left to whoever reads it, as a comment. */
static void put_left_out(FILE *out, const struct seen *seen, const char *read, const char *write,
			 const char *why)
{
	fprintf(out, "# 0x%x\t\t%s\t%s\t# not proposed: %s\n", seen->index, read, write, why);
}

static void put_by_rule(FILE *out, const struct seen *seen, enum mg_dir dir,
			struct mg_proposal_sums *sums)
{
	const struct way *way = &seen->way[dir];
	char span[MG_SPAN_LEN];

	if (!way->by_rule)
		return;
	sums->by_rule += dir == MG_READ || !seen->way[MG_READ].by_rule;
	fprintf(out, "# 0x%x: %" PRIu64 " %s%s, which the rule for %s does not allow; it is left as it is\n",
		seen->index, way->by_rule, dir == MG_READ ? "read" : "write",
		way->by_rule > 1 ? "s" : "", mg_engine_span(way->first, way->last, span));
}

static void put_seen(FILE *out, const struct mg_proposal *proposal, const struct seen *seen,
		     struct mg_proposal_sums *sums)
{
	const struct way *reads = &seen->way[MG_READ], *writes = &seen->way[MG_WRITE];
	const struct mg_doubt read_doubt = doubt_of(proposal, seen, MG_READ);
	const struct mg_doubt write_doubt = doubt_of(proposal, seen, MG_WRITE);
	bool read = reads->count > reads->by_rule, write = writes->count > writes->by_rule;
	const struct mg_refusal *refusal = mg_refusal_find(seen->index, proposal->vendors);
	uint64_t bits = writes->blind ? U64_MAX : bits_of(seen);
	char *all = write ? write_word(bits, refusal) : mg_format("deny");
	char *safe = write ? safe_word(bits, &write_doubt, refusal) : mg_format("deny");
	char *comment = comment_of(seen);

	put_by_rule(out, seen, MG_READ, sums);
	put_by_rule(out, seen, MG_WRITE, sums);
	if ((read && !read_doubt.why) || strcmp(safe, "deny")) {
		fprintf(out, "0x%x\t\t%s\t%s\t# %s\n", seen->index,
			read && !read_doubt.why ? "allow" : "deny", safe, comment);
		sums->rules++;
	} else if (read || write) {
		fprintf(out, "# 0x%x: %s\n", seen->index, comment);
	}
	if (read_doubt.why)
		put_left_out(out, seen, "allow", safe, read_doubt.why);
	if (write_doubt.why)
		put_left_out(out, seen, read ? "allow" : "deny", all, write_doubt.why);
	sums->dangerous += read_doubt.why || write_doubt.why;
	free(all);
	free(safe);
	free(comment);
}

static int compare_pointers(const void *a, const void *b)
{
	return compare_seen(*(const void *const *)a, *(const void *const *)b);
}

char *mg_proposal_rules(const struct mg_proposal *proposal, struct mg_proposal_sums *sums)
{
	char *text = NULL;
	size_t size = 0, i;
	FILE *out = mg_alloc_check(open_memstream(&text, &size));

	*sums = (struct mg_proposal_sums){
		.accesses = proposal->accesses, .msrs = proposal->nr,
	};
	qsort(proposal->list, proposal->nr, sizeof(*proposal->list), compare_pointers);
	for (i = 0; i < proposal->nr; i++)
		put_seen(out, proposal, proposal->list[i], sums);
	if (fclose(out))
		mg_alloc_check(NULL);
	return text;
}
