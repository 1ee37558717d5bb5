// SPDX-License-Identifier: GPL-2.0
/* "msrguard watch": events as they come, and exactly how many did not come. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "event.h"
#include "filter.h"
#include "journal.h"
#include "json.h"
#include "listener.h"
#include "msrguard.h"

#define BUFFER_KIB_MAX	(INT_MAX / 2 / 1024)

enum ending {
	RUNNING,
	ENOUGH,		/* --count */
	INTERRUPTED,
	OUTPUT_CLOSED,
	FAILED,
};

struct watch;

/**
 * struct output - a form in which events are told
 * @option:    that asks for it, for messages
 * @event:     one event
 * @lost:      numbers of accesses that did not come
 * @summarize: all that came
 * @ready:     we listen; may be NULL
 */
struct output {
	const char *option;
	void (*event)(const struct mg_event *event);
	void (*lost)(uint64_t first, uint64_t last);
	void (*summarize)(const struct watch *watch);
	void (*ready)(void);
};

struct watch {
	struct mg_listener listener;
	const struct output *output;
	struct mg_filter filter;
	uint64_t events;	/* accesses told one by one, or folded */
	uint64_t shown;		/* of those */
	uint64_t limit;		/* 0: none */
	enum ending ending;
};

static void say_lost(FILE *out, uint64_t first, uint64_t last)
{
	fprintf(out, "lost=%" PRIu64 " first=%" PRIu64 " last=%" PRIu64 "\n", last - first + 1,
		first, last);
}

static void lost_in_text(uint64_t first, uint64_t last)
{
	say_lost(stdout, first, last);
}

static void lost_in_json(uint64_t first, uint64_t last)
{
	struct json_object *object = mg_json_object();

	mg_json_string(object, "type", "lost");
	mg_json_hex(object, "count", last - first + 1);
	mg_json_hex(object, "first", first);
	mg_json_hex(object, "last", last);
	mg_json_print(object, true);
}

static void summarize_in_text(const struct watch *watch)
{
	const struct mg_listener *listener = &watch->listener;

	fflush(stdout);
	fprintf(stderr, "%" PRIu64 " events of %" PRIu64 " accesses", watch->events,
		listener->accesses);
	if (listener->overflowed)
		fprintf(stderr, ", %" PRIu64 " more only counted", listener->overflowed);
	fprintf(stderr, ", %" PRIu64 " lost", listener->seq.lost);
	if (watch->shown != watch->events)
		fprintf(stderr, "; %" PRIu64 " events shown", watch->shown);
	fputc('\n', stderr);
}

static void summarize_in_json(const struct watch *watch)
{
	struct json_object *object = mg_json_object();

	mg_json_string(object, "type", "summary");
	mg_json_hex(object, "events", watch->events);
	mg_json_hex(object, "accesses", watch->listener.accesses);
	mg_json_hex(object, "overflowed", watch->listener.overflowed);
	mg_json_hex(object, "lost", watch->listener.seq.lost);
	mg_json_hex(object, "shown", watch->shown);
	mg_json_print(object, true);
	fflush(stdout);
}

/* Nothing but sentences goes where a program reads them. */
static void event_as_hyperv(const struct mg_event *event)
{
	if (event->overflowed)
		fprintf(stderr, "vm=%" PRIu64 " pid=%" PRIu32 " overflowed=%" PRIu64 "\n", event->vm,
			event->pid, event->count);
	else
		mg_event_print_hyperv(event);
}

static void lost_beside(uint64_t first, uint64_t last)
{
	fflush(stdout);
	say_lost(stderr, first, last);
}

static const struct output as_text = {
	.event = mg_event_print_text,
	.lost = lost_in_text,
	.summarize = summarize_in_text,
};

static const struct output as_json = {
	.option = "--json",
	.event = mg_event_print_json,
	.lost = lost_in_json,
	.summarize = summarize_in_json,
};

static const struct output as_hyperv = {
	.option = "--hyperv",
	.event = event_as_hyperv,
	.lost = lost_beside,
	.summarize = summarize_in_text,
};

static const struct output to_journal = {
	.option = "--journal",
	.event = mg_journal_event,
	.lost = mg_journal_lost,
	.summarize = summarize_in_text,
	.ready = mg_journal_ready,
};

static void take_event(void *context, const struct mg_event *event)
{
	struct watch *watch = context;
	bool passes = mg_filter_passes(&watch->filter, event);

	watch->events += !event->overflowed;
	if (!passes)
		return;
	watch->output->event(event);
	watch->shown += !event->overflowed;
	if (watch->limit && watch->shown == watch->limit) {
		/* What comes late only tells that it is not lost. */
		watch->listener.closed = true;
		watch->ending = ENOUGH;
	}
}

/* To be called by mg_seq_*() for each run of numbers that are lost. */
static void take_lost(void *context, uint64_t first, uint64_t last)
{
	struct watch *watch = context;

	watch->output->lost(first, last);
}

static void check_output(struct watch *watch)
{
	if (!ferror(stdout))
		return;
	if (errno == EPIPE) {
		watch->ending = OUTPUT_CLOSED;
	} else {
		mg_complain("cannot write the output: %s", strerror(errno));
		watch->ending = FAILED;
	}
	/* All has been said. */
	__fpurge(stdout);
	clearerr(stdout);
}

static void wait_for_events(struct watch *watch, int signals)
{
	struct pollfd fds[] = {
		{ .fd = mg_listener_fd(&watch->listener), .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
		/* No events asked for: only that its reader has gone. */
		{ .fd = watch->output == &to_journal ? -1 : STDOUT_FILENO },
	};
	int ready = poll(fds, ARRAY_SIZE(fds), mg_listener_patience(&watch->listener));

	if (ready < 0 && errno != EINTR) {
		mg_complain("cannot wait for events: %s", strerror(errno));
		watch->ending = FAILED;
	} else if (!ready) {
		mg_listener_waited(&watch->listener);
	} else if (ready > 0 && fds[1].revents) {
		watch->ending = INTERRUPTED;
	} else if (ready > 0 && fds[2].revents) {
		watch->ending = OUTPUT_CLOSED;
	}
}

static bool signal_waits(int signals)
{
	struct pollfd fd = { .fd = signals, .events = POLLIN };

	return poll(&fd, 1, 0) > 0;
}

static void run_until_end(struct watch *watch, int signals)
{
	unsigned int taken = 0;
	int err;

	while (watch->ending == RUNNING && !watch->listener.unloaded) {
		err = mg_listener_receive(&watch->listener);
		if (err == -EAGAIN) {
			wait_for_events(watch, signals);
			taken = 0;
		} else if (err) {
			mg_complain("cannot receive events: %s", strerror(-err));
			watch->ending = FAILED;
		} else if (++taken % 64 == 0 && signal_waits(signals)) {
			/* A storm leaves no moment without an event. */
			watch->ending = INTERRUPTED;
		}
		mg_listener_settle(&watch->listener);
		check_output(watch);
	}
}

static bool may_go_on(void *context)
{
	struct watch *watch = context;

	check_output(watch);
	return watch->ending == INTERRUPTED || watch->ending == ENOUGH;
}

static int summarize(const struct watch *watch)
{
	uint64_t malformed = watch->listener.malformed;

	watch->output->summarize(watch);
	if (malformed)
		mg_complain("%" PRIu64 " messages were not understood; use the command and the module of the same version",
			    malformed);
	if (mg_journal_failed())
		mg_complain("%" PRIu64 " entries were not taken by the journal", mg_journal_failed());
	return malformed || mg_journal_failed() ? MG_EXIT_WRONG : MG_EXIT_OK;
}

static int finish(struct watch *watch)
{
	if (watch->ending == OUTPUT_CLOSED)
		return MG_EXIT_OK;
	if (watch->ending == FAILED)
		return MG_EXIT_WRONG;
	if (watch->ending == RUNNING) {
		mg_seq_settle_all(&watch->listener.seq);
		summarize(watch);
		mg_complain("the module was unloaded");
		return MG_EXIT_NOT_LOADED;
	}
	mg_listener_finish(&watch->listener, may_go_on, watch);
	return summarize(watch);
}

/* Join, and say that we listen. */
static int start(struct watch *watch, unsigned int buffer)
{
	static const char *const modes[] = { "off", "audit", "enforce" };
	struct mg_nl_status status;
	int ret;

	ret = mg_listener_start(&watch->listener, "watch", buffer, &status);
	if (ret)
		return ret;
	fprintf(stderr, "listening: mode %s, policy generation %" PRIu64 ", %" PRIu32 " rules\n",
		status.mode < ARRAY_SIZE(modes) ? modes[status.mode] : "unknown",
		status.generation, status.rules);
	if (watch->output->ready)
		watch->output->ready();
	return MG_EXIT_OK;
}

static int block_signals(void)
{
	struct sigaction hangup;
	sigset_t set;

	/* A reader that goes away is no reason to die without a word of what was lost. */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	/* A signal that is blocked comes even if it is ignored, as under nohup(1). */
	if (!sigaction(SIGHUP, NULL, &hangup) && hangup.sa_handler != SIG_IGN)
		sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int watch_events(struct watch *watch, unsigned int buffer)
{
	int signals, ret;

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	if (watch->output == &to_journal) {
		ret = mg_journal_check();
		if (ret)
			return ret;
	}
	signals = block_signals();
	if (signals < 0) {
		mg_complain("cannot wait for signals: %s", strerror(errno));
		return MG_EXIT_WRONG;
	}
	ret = start(watch, buffer);
	if (!ret) {
		run_until_end(watch, signals);
		ret = finish(watch);
	}
	mg_nl_close(&watch->listener.nl);
	close(signals);
	return ret;
}

static bool parse_option(const char *name, uint64_t max, uint64_t *value)
{
	if (mg_parse_u64(optarg, 10, value) && *value && *value <= max)
		return true;
	mg_complain("%s takes a number from 1 to %" PRIu64 ", not \"%s\"", name, max, optarg);
	return false;
}

static bool set_output(struct watch *watch, const struct output *output)
{
	if (watch->output != &as_text && watch->output != output) {
		mg_complain("%s and %s exclude each other", watch->output->option, output->option);
		return false;
	}
	watch->output = output;
	return true;
}

static bool take_option(struct watch *watch, uint64_t *buffer, int option)
{
	switch (option) {
	case 'j':
		return set_output(watch, &as_json);
	case 'h':
		return set_output(watch, &as_hyperv);
	case 'J':
		return set_output(watch, &to_journal);
	case 'n':
		return parse_option("--count", UINT64_MAX, &watch->limit);
	case 'b':
		return parse_option("--buffer", BUFFER_KIB_MAX, buffer);
	case 'v':
		return mg_filter_add_vm(&watch->filter, optarg);
	case 'm':
		return mg_filter_add_msr(&watch->filter, optarg);
	case 'V':
		return mg_filter_add_verdict(&watch->filter, optarg);
	case 'd':
		return mg_filter_add_direction(&watch->filter, optarg);
	default:
		return false;
	}
}

static int run_watch(const struct mg_command *command, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "hyperv", no_argument, NULL, 'h' },
		{ "journal", no_argument, NULL, 'J' },
		{ "count", required_argument, NULL, 'n' },
		{ "buffer", required_argument, NULL, 'b' },
		{ "vm", required_argument, NULL, 'v' },
		{ "msr", required_argument, NULL, 'm' },
		{ "verdict", required_argument, NULL, 'V' },
		{ "dir", required_argument, NULL, 'd' },
		{ 0 }
	};
	struct watch watch = { .output = &as_text };
	uint64_t buffer = MG_BUFFER_KIB;
	int option, ret = MG_EXIT_OK;

	watch.listener.take = take_event;
	watch.listener.context = &watch;
	watch.listener.seq.tell = take_lost;
	watch.listener.seq.context = &watch;
	while (!ret && (option = getopt_long(argc, argv, "jn:b:", options, NULL)) != -1)
		if (!take_option(&watch, &buffer, option))
			ret = mg_usage(command);
	if (!ret && optind != argc) {
		mg_complain("watch takes no argument");
		ret = mg_usage(command);
	}
	if (!ret)
		ret = watch_events(&watch, buffer * 1024);
	mg_filter_free(&watch.filter);
	return ret;
}

const struct mg_command mg_command_watch = {
	.name = "watch",
	.args = "[--json | --hyperv | --journal] [--vm VM] [--msr MSR] [--verdict VERDICT] [--dir DIR] [--count N] [--buffer KIB]",
	.summary = "Print guests' accesses as they are denied, dropped, masked or audited",
	.help =
"Prints one line an event until interrupted, then how many came and how many accesses\n"
"were lost. What was lost is told from gaps in the sequence numbers, where the gap is.\n"
"An event may stand for several accesses that were alike: \"count\" says for how many.\n\n"
"  -j, --json           one JSON object a line; 64-bit numbers are strings with\n"
"                       hexadecimal numbers\n"
"      --hyperv         one sentence an event, as Hyper-V's event 12550 reads\n"
"      --journal        write entries of systemd's journal, and print none\n"
"      --vm ID|pid:PID  only this VM's, by its id or its process id\n"
"      --msr MSR        only of this MSR, of a range FIRST-LAST, or of that name\n"
"      --verdict VERDICT  only those denied, dropped, masked or audited\n"
"      --dir read|write   only these\n"
"                       Each of the last four may be given several times. What is lost\n"
"                       is told of all accesses, whatever is shown.\n"
"  -n, --count N        end after N events were shown\n"
"  -b, --buffer KIB     receive buffer (default 32768); a larger one survives longer\n"
"                       bursts without loss\n",
	.run = run_watch,
};
