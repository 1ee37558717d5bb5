// SPDX-License-Identifier: GPL-2.0
/*
 * A plug-in of libtraceevent, which trace-cmd prints events with: msrguard:msrguard_access with the
 * name of the MSR behind it.
 *
 * All but the name is printed by the library, after the format that the kernel put into the trace,
 * so a field that the tracepoint gets one day is printed without this file knowing of it.
 */
#include <stdbool.h>

#include <event-parse.h>
#include <trace-seq.h>

#include "names/names.h"

#define PUBLIC	__attribute__((visibility("default")))
#define SYSTEM	"msrguard"
#define EVENT	"msrguard_access"

/* The trace may be of any module and any length: nothing is taken for granted but the library. */
static bool read_msr(struct tep_event *event, const struct tep_record *record, uint32_t *msr)
{
	struct tep_format_field *field = tep_find_field(event, "msr");
	unsigned long long value;

	if (!field || field->offset < 0 || field->size <= 0 || record->size < field->size ||
	    field->offset > record->size - field->size ||
	    tep_read_number_field(field, record->data, &value) || value > UINT32_MAX)
		return false;
	*msr = value;
	return true;
}

/* As the library prints an event that has no handler. */
static void print_plain(struct trace_seq *s, struct tep_record *record, struct tep_event *event)
{
	int flags = event->flags;

	event->flags |= TEP_EVENT_FL_NOHANDLE;
	tep_print_event(event->tep, s, record, "%s", TEP_PRINT_INFO);
	event->flags = flags;
}

/* Not 0 leaves the event to the library. */
static int print_access(struct trace_seq *s, struct tep_record *record, struct tep_event *event,
			void *context)
{
	const char *name;
	uint32_t msr;

	(void)context;
	if (!read_msr(event, record, &msr))
		return 1;
	print_plain(s, record, event);
	name = mg_msr_label(msr);
	trace_seq_printf(s, " name=%s", name ? name : "unknown");
	return 0;
}

PUBLIC int TEP_PLUGIN_LOADER(struct tep_handle *tep)
{
	/* Above 0 if it is kept until the event is known: no error. */
	return tep_register_event_handler(tep, -1, SYSTEM, EVENT, print_access, NULL);
}

PUBLIC int TEP_PLUGIN_UNLOADER(struct tep_handle *tep)
{
	tep_unregister_event_handler(tep, -1, SYSTEM, EVENT, print_access, NULL);
	return 0;
}
