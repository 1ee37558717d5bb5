// SPDX-License-Identifier: GPL-2.0
/* Events to systemd's journal, see journal.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#include "event.h"
#include "journal.h"
#include "msrguard.h"
#include "names/names.h"

#ifdef HAVE_LIBSYSTEMD

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

#define SOCKET		"/run/systemd/journal/socket"
#define MAX_FIELDS	48
#define HAS		MG_EVENT_HAS

struct entry {
	struct iovec fields[MAX_FIELDS];
	int nr;
};

static uint64_t failed;

static void __attribute__((format(printf, 2, 3))) add(struct entry *entry, const char *fmt, ...)
{
	char *text;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vasprintf(&text, fmt, args);
	va_end(args);
	mg_alloc_check(len < 0 ? NULL : text);
	if (entry->nr == MAX_FIELDS)
		abort();
	entry->fields[entry->nr++] = (struct iovec){ text, len };
}

static void add_hex(struct entry *entry, const char *name, bool known, uint64_t value)
{
	if (known)
		add(entry, "MSRGUARD_%s=0x%" PRIx64, name, value);
}

static int send_entry(const struct entry *entry)
{
	/* Without a journal, sd_journal_sendv() says that all went well. */
	if (access(SOCKET, W_OK))
		return -errno;
	return sd_journal_sendv(entry->fields, entry->nr);
}

static void free_entry(struct entry *entry)
{
	while (entry->nr)
		free(entry->fields[--entry->nr].iov_base);
}

static void add_head(struct entry *entry, const char *id, int priority)
{
	add(entry, "MESSAGE_ID=%s", id);
	add(entry, "PRIORITY=%d", priority);
	add(entry, "SYSLOG_IDENTIFIER=msrguard");
}

/* What the journal refused is not in it, but that it is missing there is. */
static bool confess(void)
{
	struct entry entry = { .nr = 0 };
	int err;

	add(&entry, "MESSAGE=%" PRIu64 " entries about guests' accesses were not taken by the journal",
	    failed);
	add_head(&entry, MG_JOURNAL_LOST, LOG_WARNING);
	add(&entry, "MSRGUARD_TYPE=unwritten");
	add(&entry, "MSRGUARD_COUNT=%" PRIu64, failed);
	err = send_entry(&entry);
	free_entry(&entry);
	if (err)
		return false;
	failed = 0;
	return true;
}

static void send_and_free(struct entry *entry)
{
	int err;

	if (failed && !confess()) {
		failed++;
	} else {
		err = send_entry(entry);
		if (err && !failed)
			mg_complain("the journal does not take an entry: %s", strerror(-err));
		failed += err != 0;
	}
	free_entry(entry);
}

uint64_t mg_journal_failed(void)
{
	return failed;
}

int mg_journal_check(void)
{
	if (!access(SOCKET, W_OK))
		return MG_EXIT_OK;
	mg_complain("cannot write to the journal: %s: %s", SOCKET, strerror(errno));
	fputs("  do: start systemd-journald, or leave out --journal\n", stderr);
	return MG_EXIT_WRONG;
}

void mg_journal_ready(void)
{
	sd_notify(0, "READY=1\nSTATUS=Listening to guests' accesses");
}

/* What a person reads; all of it is also in fields of its own. */
static char *sentence(const struct mg_event *event)
{
	char direction[MG_NAME_LEN], verdict[MG_NAME_LEN], rule[MG_RULE_LEN];
	const char *name = mg_msr_label(event->msr);
	char *text = NULL;
	size_t len = 0;
	FILE *out = mg_alloc_check(open_memstream(&text, &len));

	fprintf(out, "VM %" PRIu64 " (pid %" PRIu32 "): %s of MSR 0x%" PRIx32, event->vm, event->pid,
		mg_direction_name(event->direction, direction), event->msr);
	if (name)
		fprintf(out, " (%s)", name);
	if (event->direction == MSRGUARD_DIRECTION_WRITE && HAS(event, VALUE))
		fprintf(out, ", value 0x%" PRIx64 ",", event->value);
	fprintf(out, " %s", mg_verdict_name(event->verdict, verdict));
	if (HAS(event, WOULD_BE))
		fprintf(out, " (would be %s)", mg_verdict_name(event->would_be, verdict));
	fprintf(out, " by rule %s", mg_rule_name(event, rule));
	if (event->count > 1)
		fprintf(out, ", %" PRIu64 " times", event->count);
	if (HAS(event, IMAGE_NAME))
		fprintf(out, ", done by %s", event->image_name);
	if (HAS(event, PC))
		fprintf(out, ", at 0x%" PRIx64, event->pc);
	if (fclose(out))
		mg_alloc_check(NULL);
	return text;
}

static void add_image(struct entry *entry, const struct mg_event *event)
{
	char build_id[2 * MG_BUILD_ID_MAX + 1], name[MG_NAME_LEN];

	if (HAS(event, IMAGE_NAME))
		add(entry, "MSRGUARD_IMAGE=%s", event->image_name);
	if (HAS(event, IMAGE_KIND))
		add(entry, "MSRGUARD_IMAGE_KIND=%s", mg_image_kind_name(event->image_kind, name));
	add_hex(entry, "IMAGE_BASE", HAS(event, IMAGE_BASE), event->image_base);
	add_hex(entry, "IMAGE_SIZE", HAS(event, IMAGE_SIZE), event->image_size);
	add_hex(entry, "CHECKSUM", HAS(event, IMAGE_CHECKSUM), event->image_checksum);
	add_hex(entry, "TIMESTAMP", HAS(event, IMAGE_TIMESTAMP), event->image_timestamp);
	if (HAS(event, IMAGE_BUILD_ID))
		add(entry, "MSRGUARD_BUILD_ID=%s", mg_build_id_text(event, build_id));
}

/* What every event has. With OBJECT_PID the journal adds the VMM's unit, command line and so on. */
static void add_common(struct entry *entry, const struct mg_event *event)
{
	add(entry, "MSRGUARD_VM=%" PRIu64, event->vm);
	add(entry, "MSRGUARD_PID=%" PRIu32, event->pid);
	if (event->pid)
		add(entry, "OBJECT_PID=%" PRIu32, event->pid);
	add(entry, "MSRGUARD_TIME=%" PRIu64, event->time);
	add(entry, "MSRGUARD_SEQ=%" PRIu64, event->seq);
	add(entry, "MSRGUARD_COUNT=%" PRIu64, event->count);
}

static void add_access(struct entry *entry, const struct mg_event *event)
{
	char name[MG_NAME_LEN], rule[MG_RULE_LEN];
	const char *label = mg_msr_label(event->msr);

	add(entry, "MSRGUARD_VCPU=%" PRIu32, event->vcpu);
	add_hex(entry, "MSR", true, event->msr);
	if (label)
		add(entry, "MSRGUARD_NAME=%s", label);
	add(entry, "MSRGUARD_DIR=%s", mg_direction_name(event->direction, name));
	add(entry, "MSRGUARD_ORIGIN=%s", mg_origin_name(event->origin, name));
	add_hex(entry, "VALUE", HAS(event, VALUE), event->value);
	add_hex(entry, "OLD", HAS(event, OLD), event->old);
	add_hex(entry, "PC", HAS(event, PC), event->pc);
	if (HAS(event, CPL))
		add(entry, "MSRGUARD_CPL=%u", event->cpl);
	add(entry, "MSRGUARD_NESTED=%u", (unsigned int)HAS(event, NESTED));
	add(entry, "MSRGUARD_VERDICT=%s", mg_verdict_name(event->verdict, name));
	add(entry, "MSRGUARD_WOULD_BE=%s", mg_verdict_name(mg_event_would_be(event), name));
	add(entry, "MSRGUARD_RULE=%s", mg_rule_name(event, rule));
	add(entry, "MSRGUARD_GENERATION=%" PRIu64, event->generation);
	add_image(entry, event);
}

void mg_journal_event(const struct mg_event *event)
{
	bool audited = event->verdict == MSRGUARD_VERDICT_AUDITED;
	struct entry entry = { .nr = 0 };
	char *text;

	if (event->overflowed) {
		add(&entry, "MESSAGE=VM %" PRIu64 " (pid %" PRIu32 "): %" PRIu64
		    " more accesses, too many different ones to tell them one by one", event->vm,
		    event->pid, event->count);
		add_head(&entry, MG_JOURNAL_OVERFLOWED, LOG_WARNING);
		add(&entry, "MSRGUARD_TYPE=overflowed");
		add_common(&entry, event);
	} else {
		text = sentence(event);
		add(&entry, "MESSAGE=%s", text);
		free(text);
		add_head(&entry, audited ? MG_JOURNAL_AUDITED : MG_JOURNAL_BLOCKED,
			 audited ? LOG_NOTICE : LOG_WARNING);
		add(&entry, "MSRGUARD_TYPE=access");
		add_common(&entry, event);
		add_access(&entry, event);
	}
	send_and_free(&entry);
}

void mg_journal_lost(uint64_t first, uint64_t last)
{
	struct entry entry = { .nr = 0 };

	add(&entry, "MESSAGE=%" PRIu64 " accesses of guests were not told to this listener (numbers %"
	    PRIu64 " to %" PRIu64 "); the counters have them", last - first + 1, first, last);
	add_head(&entry, MG_JOURNAL_LOST, LOG_WARNING);
	add(&entry, "MSRGUARD_TYPE=lost");
	add(&entry, "MSRGUARD_COUNT=%" PRIu64, last - first + 1);
	add(&entry, "MSRGUARD_FIRST=%" PRIu64, first);
	add(&entry, "MSRGUARD_LAST=%" PRIu64, last);
	send_and_free(&entry);
}

#else /* !HAVE_LIBSYSTEMD */

int mg_journal_check(void)
{
	mg_complain("this msrguard was built without libsystemd and cannot write to the journal");
	fputs("  do: install libsystemd-dev and build it again\n", stderr);
	return MG_EXIT_WRONG;
}

void mg_journal_ready(void)
{
}

/* mg_journal_check() has seen to it that nobody comes here. */
void mg_journal_event(const struct mg_event *event)
{
	(void)event;
	abort();
}

void mg_journal_lost(uint64_t first, uint64_t last)
{
	(void)first;
	(void)last;
	abort();
}

uint64_t mg_journal_failed(void)
{
	return 0;
}

#endif
