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
#include <time.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/msrguard.h>

#include "event.h"
#include "json.h"
#include "msrguard.h"
#include "netlink.h"
#include "seq.h"

#define BUFFER_KIB	32768
#define BUFFER_KIB_MAX	(INT_MAX / 2 / 1024)
#define NS_PER_MS	1000000ull
#define PATIENCE_MS	((int)(MG_SEQ_PATIENCE / NS_PER_MS))

/*
 * An access that was judged before this listener joined may take its sequence number
 * after that, without an event for us. So many milliseconds later, none is under way;
 * what is told, and what is counted as lost, begins then.
 */
#define SETTLE_IN_MS	50

enum ending {
	RUNNING,
	ENOUGH,		/* --count */
	INTERRUPTED,
	OUTPUT_CLOSED,
	UNLOADED,
	FAILED,
};

struct watch {
	struct mg_nl nl;
	struct mg_seq seq;
	uint64_t events;
	uint64_t limit;		/* 0: none */
	uint64_t malformed;
	uint64_t first;		/* sequence numbers that are ours to tell of */
	uint64_t last;
	bool json;
	bool overrun;
	enum ending ending;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* To be called by mg_seq_*() for each run of events that are lost. */
static void tell_lost(void *context, uint64_t first, uint64_t last)
{
	struct watch *watch = context;
	struct json_object *object;

	if (!watch->json) {
		printf("lost=%" PRIu64 " first=%" PRIu64 " last=%" PRIu64 "\n",
		       last - first + 1, first, last);
		return;
	}
	object = mg_json_object();
	mg_json_string(object, "type", "lost");
	mg_json_hex(object, "count", last - first + 1);
	mg_json_hex(object, "first", first);
	mg_json_hex(object, "last", last);
	mg_json_print(object, true);
}

static void take_event(struct watch *watch, const struct nlmsghdr *message)
{
	struct mg_event event;

	if (!mg_event_decode(message, &event)) {
		watch->malformed++;
		return;
	}
	if (event.seq < watch->first || event.seq > watch->last)
		return;
	mg_seq_saw(&watch->seq, event.seq, now_ns());
	/* With --count, what comes late only tells that it is not lost. */
	if (watch->ending == ENOUGH)
		return;
	if (watch->json)
		mg_event_print_json(&event);
	else
		mg_event_print_text(&event);
	watch->events++;
	if (watch->events == watch->limit)
		watch->ending = ENOUGH;
}

static int take_family_id(const struct nlattr *attr, void *data)
{
	uint16_t *id = data;

	if (mnl_attr_get_type(attr) != CTRL_ATTR_FAMILY_ID)
		return MNL_CB_OK;
	if (mnl_attr_validate(attr, MNL_TYPE_U16) < 0)
		return MNL_CB_ERROR;
	*id = mnl_attr_get_u16(attr);
	return MNL_CB_OK;
}

static void take_message(struct watch *watch, const struct nlmsghdr *message)
{
	const struct genlmsghdr *header = mnl_nlmsg_get_payload(message);
	uint16_t gone = 0;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(*header))
		return;
	if (message->nlmsg_type == watch->nl.family && header->cmd == MSRGUARD_CMD_ACCESS_NTF)
		take_event(watch, message);
	if (message->nlmsg_type != GENL_ID_CTRL || header->cmd != CTRL_CMD_DELFAMILY)
		return;
	if (mnl_attr_parse(message, sizeof(*header), take_family_id, &gone) == MNL_CB_OK &&
	    gone == watch->nl.family && watch->ending == RUNNING)
		watch->ending = UNLOADED;
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

/* Take one datagram. Returns false if there was none. */
static bool take_datagram(struct watch *watch)
{
	char buf[MG_NL_MESSAGE_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	const struct nlmsghdr *message = (void *)buf;
	size_t len;
	int left, err;

	err = mg_nl_receive(&watch->nl, buf, &len);
	if (err == -EAGAIN)
		return false;
	if (err == -ENOBUFS) {
		/* The gap tells how many; if nothing follows, the module is asked. */
		watch->overrun = true;
		return true;
	}
	if (err) {
		mg_complain("cannot receive events: %s", strerror(-err));
		watch->ending = FAILED;
		return false;
	}
	for (left = len; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left))
		take_message(watch, message);
	return true;
}

/* Have the module say which sequence number it has reached. */
static void expect_all(struct watch *watch)
{
	struct mg_nl_status status;

	watch->overrun = false;
	if (!mg_nl_status(&watch->nl, &status))
		mg_seq_expect(&watch->seq, status.seq, now_ns());
}

static void wait_for_events(struct watch *watch, int signals)
{
	struct pollfd fds[] = {
		{ .fd = mnl_socket_get_fd(watch->nl.events), .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
		/* No events asked for: only that its reader has gone. */
		{ .fd = STDOUT_FILENO },
	};
	int timeout = watch->seq.nr_gaps || watch->overrun ? PATIENCE_MS : -1;
	int ready = poll(fds, ARRAY_SIZE(fds), timeout);

	if (ready < 0 && errno != EINTR) {
		mg_complain("cannot wait for events: %s", strerror(errno));
		watch->ending = FAILED;
	} else if (!ready && watch->overrun) {
		expect_all(watch);
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

	while (watch->ending == RUNNING) {
		if (!take_datagram(watch)) {
			if (watch->ending == RUNNING)
				wait_for_events(watch, signals);
			taken = 0;
		} else if (++taken % 64 == 0 && signal_waits(signals)) {
			/* A storm leaves no moment without an event. */
			watch->ending = INTERRUPTED;
		}
		if (watch->seq.nr_gaps)
			mg_seq_settle(&watch->seq, now_ns());
		check_output(watch);
	}
}

/*
 * What is queued was delivered, and what is missing may still come. Events after this
 * moment are not ours any more.
 */
static void drain(struct watch *watch)
{
	struct pollfd fd = { .fd = mnl_socket_get_fd(watch->nl.events), .events = POLLIN };
	uint64_t deadline = now_ns() + MG_SEQ_PATIENCE;
	struct mg_nl_status status;

	if (watch->ending == ENOUGH) {
		watch->last = watch->seq.next - 1;
	} else {
		if (!mg_nl_status(&watch->nl, &status))
			watch->last = status.seq;
		while (watch->seq.next <= watch->last && watch->ending == INTERRUPTED &&
		       take_datagram(watch))
			check_output(watch);
		if (watch->last != UINT64_MAX)
			mg_seq_expect(&watch->seq, watch->last, now_ns());
	}
	while (watch->seq.nr_gaps && now_ns() < deadline) {
		if (!take_datagram(watch))
			poll(&fd, 1, 10);
		check_output(watch);
	}
	mg_seq_settle_all(&watch->seq);
}

static void summarize(const struct watch *watch)
{
	struct json_object *object;

	if (watch->json) {
		object = mg_json_object();
		mg_json_string(object, "type", "summary");
		mg_json_hex(object, "events", watch->events);
		mg_json_hex(object, "lost", watch->seq.lost);
		mg_json_print(object, true);
		fflush(stdout);
	} else {
		fflush(stdout);
		fprintf(stderr, "%" PRIu64 " events, %" PRIu64 " lost\n", watch->events,
			watch->seq.lost);
	}
	if (watch->malformed)
		mg_complain("%" PRIu64 " messages were not understood; use the command and the module of the same version",
			    watch->malformed);
}

static int finish(struct watch *watch)
{
	switch (watch->ending) {
	case OUTPUT_CLOSED:
		return MG_EXIT_OK;
	case FAILED:
		return MG_EXIT_WRONG;
	case UNLOADED:
		mg_seq_settle_all(&watch->seq);
		summarize(watch);
		mg_complain("the module was unloaded");
		return MG_EXIT_NOT_LOADED;
	default:
		drain(watch);
		summarize(watch);
		return watch->malformed ? MG_EXIT_WRONG : MG_EXIT_OK;
	}
}

/* Join, learn where the sequence is now, and say that we listen. */
static int start(struct watch *watch, unsigned int buffer)
{
	const struct timespec settle_in = { .tv_nsec = SETTLE_IN_MS * NS_PER_MS };
	static const char *const modes[] = { "off", "audit", "enforce" };
	struct mg_nl_status status;
	int err, ret;

	ret = mg_nl_listen(&watch->nl, "watch", buffer);
	if (ret)
		return ret;
	nanosleep(&settle_in, NULL);
	err = mg_nl_status(&watch->nl, &status);
	if (err) {
		mg_complain("the module does not answer a status request: %s", strerror(-err));
		return err == -EPERM ? MG_EXIT_NO_PERMISSION : MG_EXIT_WRONG;
	}
	watch->first = status.seq + 1;
	watch->last = UINT64_MAX;
	mg_seq_expect(&watch->seq, status.seq, now_ns());
	fprintf(stderr, "listening: mode %s, policy generation %" PRIu64 ", %" PRIu32 " rules\n",
		status.mode < ARRAY_SIZE(modes) ? modes[status.mode] : "unknown",
		status.generation, status.rules);
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
	mg_nl_close(&watch->nl);
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

static int run_watch(const struct mg_command *command, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "count", required_argument, NULL, 'n' },
		{ "buffer", required_argument, NULL, 'b' },
		{ 0 }
	};
	struct watch watch = { .seq.tell = tell_lost };
	uint64_t buffer = BUFFER_KIB;
	int option;

	watch.seq.context = &watch;
	while ((option = getopt_long(argc, argv, "jn:b:", options, NULL)) != -1) {
		switch (option) {
		case 'j':
			watch.json = true;
			break;
		case 'n':
			if (!parse_option("--count", UINT64_MAX, &watch.limit))
				return mg_usage(command);
			break;
		case 'b':
			if (!parse_option("--buffer", BUFFER_KIB_MAX, &buffer))
				return mg_usage(command);
			break;
		default:
			return mg_usage(command);
		}
	}
	if (optind != argc) {
		mg_complain("watch takes no argument");
		return mg_usage(command);
	}
	return watch_events(&watch, buffer * 1024);
}

const struct mg_command mg_command_watch = {
	.name = "watch",
	.args = "[--json] [--count N] [--buffer KIB]",
	.summary = "Print guests' accesses as they are denied, dropped, masked or audited",
	.help =
"Prints one line an event until interrupted, then how many came and how many were\n"
"lost. What was lost is told from gaps in the sequence numbers, where the gap is.\n\n"
"  -j, --json         one JSON object a line; 64-bit numbers are strings with\n"
"                     hexadecimal numbers\n"
"  -n, --count N      end after N events\n"
"  -b, --buffer KIB   receive buffer (default 32768); a larger one survives longer\n"
"                     bursts without loss\n",
	.run = run_watch,
};
