// SPDX-License-Identifier: GPL-2.0
/*
 * "msrguard learn": what guests do that a default deny would block, and a policy that allows it.
 *
 * While it runs, a policy is in force that denies by default and only audits, so nothing is blocked;
 * then what was in force before is put back, however it ends. Only SIGKILL and the like leave the
 * policy of the learning in force: for that case the old one is kept as a file.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "check/dangers.h"
#include "cpu.h"
#include "engine/engine.h"
#include "filter.h"
#include "learning.h"
#include "listener.h"
#include "msrguard.h"
#include "output.h"
#include "proposal.h"
#include "source.h"

#define DURATION_MAX	(30ull * 24 * 60 * 60)
#define DATAGRAMS_A_LOOK	64

struct learn {
	const char *base;	/* NULL: none */
	const char *output;	/* NULL: standard output */
	uint64_t seconds;	/* 0: until it is interrupted */
	struct mg_filter filter;
	struct mg_cpu cpu;
	struct mg_source *source;
	struct mg_policy *policy;	/* of the base */
	struct mg_listener listener;
	struct mg_proposal *proposal;
	uint64_t lost;
	uint64_t overflowed;
	uint64_t too_many;
	uint64_t started;
};

static int read_base(struct learn *learn)
{
	const struct mg_rule *fallback;
	struct mg_policy_error err;
	struct mg_place place;
	char why[MG_WHY_LEN];
	const char *text;
	size_t len;

	if (!learn->base)
		return MG_EXIT_OK;
	learn->source = mg_source_read(learn->base, &learn->cpu, false);
	if (mg_source_error(learn->source, &place))
		return mg_source_complain(learn->source);
	text = mg_source_text(learn->source, &len);
	learn->policy = mg_policy_parse(text, len, &err);
	if (IS_ERR(learn->policy)) {
		learn->policy = NULL;
		mg_source_diagnose(learn->source, mg_engine_why(&err, why));
		return MG_EXIT_WRONG;
	}
	fallback = mg_policy_rule(learn->policy, 0);
	if (fallback->perm[MG_READ].action == MG_DENY && fallback->perm[MG_WRITE].action == MG_DENY)
		return MG_EXIT_OK;
	place = mg_source_place(learn->source, fallback->source_line);
	mg_complain("%s:%lu: a base denies by default (default deny deny), or there is nothing to learn",
		    place.name, place.line);
	return MG_EXIT_WRONG;
}

/* Also what the base includes for other CPUs: on their hosts it is a part of it. */
static bool is_part_of_base(const struct learn *learn, const struct stat *file)
{
	struct mg_source *all;
	struct stat base;
	bool found;

	if (!learn->source)
		return false;
	if (mg_source_has_file(learn->source, file))
		return true;
	/* A pipe cannot be read twice. */
	if (!strcmp(learn->base, "-") || stat(learn->base, &base) || !S_ISREG(base.st_mode))
		return false;
	all = mg_source_read(learn->base, &learn->cpu, true);
	found = mg_source_has_file(all, file);
	mg_source_free(all);
	return found;
}

/* Not in the end, when it would be too late. */
static int begin_output(const struct learn *learn)
{
	struct stat file;

	if (!learn->output)
		return MG_EXIT_OK;
	if (!stat(learn->output, &file) && is_part_of_base(learn, &file)) {
		mg_complain("%s: it is a part of the base, which the proposal would overwrite",
			    learn->output);
		return MG_EXIT_WRONG;
	}
	return mg_output_begin(learn->output);
}

static void take_event(void *context, const struct mg_event *event)
{
	struct learn *learn = context;

	if (event->overflowed) {
		learn->overflowed += event->count;
		return;
	}
	if (event->generation != mg_learning_generation() ||
	    !mg_filter_passes(&learn->filter, event))
		return;
	if (!mg_proposal_saw(learn->proposal, event))
		learn->too_many += event->count;
}

static void take_lost(void *context, uint64_t first, uint64_t last)
{
	struct learn *learn = context;

	learn->lost += last - first + 1;
}

/* While it is stopped, nothing is blocked; and what would kill it has to end it in order. */
static int block_signals(void)
{
	static const int ends[] = {
		SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU,
		SIGIO, SIGPWR,
	};
	static const int stops[] = { SIGTSTP, SIGTTIN, SIGTTOU };
	struct sigaction hangup;
	sigset_t set, blocked;
	size_t i;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	sigemptyset(&set);
	for (i = 0; i < ARRAY_SIZE(ends); i++)
		sigaddset(&set, ends[i]);
	if (!sigaction(SIGHUP, NULL, &hangup) && hangup.sa_handler != SIG_IGN)
		sigaddset(&set, SIGHUP);
	blocked = set;
	for (i = 0; i < ARRAY_SIZE(stops); i++)
		sigaddset(&blocked, stops[i]);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* 0 is never. */
static void start_timer(int timer, uint64_t seconds)
{
	const struct itimerspec when = { .it_value.tv_sec = seconds };

	timerfd_settime(timer, 0, &when, NULL);
}

static bool has_ended(struct learn *learn, int timer, int signals, int timeout)
{
	struct pollfd fds[] = {
		{ .fd = mg_listener_fd(&learn->listener), .events = POLLIN },
		{ .fd = timer, .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
	};
	int ready = poll(fds, ARRAY_SIZE(fds), timeout);

	if (!ready && timeout)
		mg_listener_waited(&learn->listener);
	return ready > 0 && (fds[1].revents || fds[2].revents);
}

/* Until the time is over, or somebody says so. */
static int collect(struct learn *learn, int timer, int signals)
{
	struct mg_listener *listener = &learn->listener;
	unsigned int taken = 0;
	int err;

	for (;;) {
		err = mg_listener_receive(listener);
		if (listener->unloaded) {
			mg_complain("the module was unloaded");
			return MG_EXIT_NOT_LOADED;
		}
		if (err && err != -EAGAIN) {
			mg_complain("cannot receive events: %s", strerror(-err));
			return MG_EXIT_WRONG;
		}
		mg_listener_settle(listener);
		/* A storm leaves no moment without an event. */
		if (!err && ++taken % DATAGRAMS_A_LOOK)
			continue;
		if (has_ended(learn, timer, signals, err ? mg_listener_patience(listener) : 0))
			return MG_EXIT_OK;
	}
}

static bool go_on(void *context)
{
	(void)context;
	return true;
}

static void put_head(FILE *out, const struct learn *learn, const struct mg_proposal_sums *sums)
{
	uint64_t seconds = (mg_now_ns() - learn->started) / 1000000000;
	char *cpu = mg_cpu_name(&learn->cpu), date[32];
	time_t now = time(NULL);
	struct tm tm;

	strftime(date, sizeof(date), "%Y-%m-%d %H:%M", localtime_r(&now, &tm));
	fprintf(out, "# Proposed by msrguard learn on %s, after %" PRIu64 " s on %s:\n", date,
		seconds, cpu);
	fprintf(out, "# %" PRIu64 " accesses to %zu MSRs, %zu rules, %zu MSRs with something left out as dangerous.\n",
		sums->accesses, sums->msrs, sums->rules, sums->dangerous);
	fprintf(out, "# It allows what was seen and no more. Read it before you load it.\n");
	free(cpu);
}

/* The base goes on to be a file of its own, unless it has no name. */
static void put_base(FILE *out, const struct learn *learn)
{
	char path[PATH_MAX];
	const char *text;
	size_t len;

	if (!learn->base) {
		fputs("default\t\tdeny\tdeny\n\n", out);
	} else if (strcmp(learn->base, "-") && realpath(learn->base, path) &&
		   !strpbrk(path, "\"\n\r")) {
		fprintf(out, "include \"%s\"\n\n", path);
	} else {
		text = mg_policy_text(learn->policy, &len);
		fprintf(out, "# The base:\n%.*s\n", (int)len, text);
	}
}

/* What is proposed has to be a policy, with the base that it was made for. */
static int check_rules(const struct learn *learn, const char *rules)
{
	struct mg_policy_error err;
	struct mg_policy *policy;
	char *text, why[MG_WHY_LEN];
	const char *base = "default deny deny\n";
	size_t len;

	if (learn->policy)
		base = mg_policy_text(learn->policy, &len);
	text = mg_format("%s%s", base, rules);
	policy = mg_policy_parse(text, strlen(text), &err);
	if (IS_ERR(policy))
		mg_diagnose("<proposal>", text, strlen(text), mg_engine_why(&err, why));
	else
		mg_policy_free(policy);
	free(text);
	return IS_ERR(policy) ? MG_EXIT_WRONG : MG_EXIT_OK;
}

/* What guests did in all that time is not lost for want of a place for it. */
static int put_out(const struct learn *learn, const char *text, size_t len)
{
	int err = learn->output ? mg_output_finish(text, len) : 0;

	if (learn->output && !err)
		return MG_EXIT_OK;
	if (err)
		mg_complain("%s: %s: the proposal is on standard output", learn->output,
			    strerror(-err));
	fwrite(text, 1, len, stdout);
	return err ? MG_EXIT_WRONG : MG_EXIT_OK;
}

static int propose(const struct learn *learn)
{
	struct mg_proposal_sums sums;
	char *rules = mg_proposal_rules(learn->proposal, &sums), *text = NULL;
	size_t size;
	FILE *out = mg_alloc_check(open_memstream(&text, &size));
	int ret;

	put_head(out, learn, &sums);
	put_base(out, learn);
	fputs(rules, out);
	if (fclose(out))
		mg_alloc_check(NULL);
	ret = check_rules(learn, rules);
	if (ret)
		fwrite(text, 1, size, stdout);
	else
		ret = put_out(learn, text, size);
	free(text);
	free(rules);
	fflush(stdout);
	fprintf(stderr, "%" PRIu64 " accesses to %zu MSRs, %zu rule%s proposed, %zu MSRs with something dangerous left out, %zu left to the base's rules\n",
		sums.accesses, sums.msrs, sums.rules, sums.rules == 1 ? "" : "s", sums.dangerous,
		sums.by_rule);
	return ret;
}

/* What is missing makes the proposal too narrow, so it is told, and no success. */
static int judge(const struct learn *learn)
{
	uint64_t missing = learn->lost + learn->overflowed;

	if (missing)
		mg_complain("%" PRIu64 " accesses were lost or came as a number only: the proposal may lack rules; learn again",
			    missing);
	if (learn->too_many)
		mg_complain("%" PRIu64 " accesses were of more than %d different MSRs, and were not kept",
			    learn->too_many, MG_PROPOSAL_MSRS);
	if (learn->listener.malformed)
		mg_complain("%" PRIu64 " messages were not understood; use the command and the module of the same version",
			    learn->listener.malformed);
	return missing || learn->too_many || learn->listener.malformed ? MG_EXIT_WRONG : MG_EXIT_OK;
}

static void say_begun(const struct learn *learn)
{
	char span[64] = "until it is interrupted";

	if (learn->seconds)
		snprintf(span, sizeof(span), "for %" PRIu64 " seconds", learn->seconds);
	fprintf(stderr, "learning %s: until then NOTHING is blocked, for any guest of this host\n",
		span);
}

static int learn_for(struct learn *learn, int timer, int signals)
{
	int ret, back;

	ret = mg_learning_begin(learn->policy);
	if (!ret) {
		say_begun(learn);
		learn->started = mg_now_ns();
		start_timer(timer, learn->seconds);
		ret = collect(learn, timer, signals);
	}
	/* First of all: from now on it is blocked again. */
	if (learn->listener.unloaded)
		mg_learning_forget();
	back = mg_learning_end();
	if (!ret) {
		mg_listener_finish(&learn->listener, go_on, NULL);
		ret = propose(learn);
		back = back ? back : judge(learn);
	}
	return ret ? ret : back;
}

static int run(struct learn *learn)
{
	struct mg_nl_status status;
	int timer, signals, ret;

	ret = read_base(learn);
	if (ret)
		return ret;
	signals = block_signals();
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (signals < 0 || timer < 0) {
		mg_complain("cannot wait for signals and time: %s", strerror(errno));
		return MG_EXIT_WRONG;
	}
	ret = begin_output(learn);
	if (!ret)
		ret = mg_listener_start(&learn->listener, "learn", MG_BUFFER_KIB * 1024, &status);
	if (!ret)
		ret = learn_for(learn, timer, signals);
	mg_output_drop();
	mg_nl_close(&learn->listener.nl);
	close(timer);
	close(signals);
	return ret;
}

/* "90", "90s", "10m", "2h", "1d" */
static bool parse_duration(const char *text, uint64_t *seconds)
{
	static const struct {
		char unit;
		unsigned int seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	size_t len = strlen(text), i;
	unsigned int factor = 1;
	char *digits = mg_format("%s", text);
	bool good;

	for (i = 0; len && i < ARRAY_SIZE(units); i++)
		if (text[len - 1] == units[i].unit) {
			factor = units[i].seconds;
			digits[len - 1] = '\0';
		}
	good = mg_parse_u64(digits, 10, seconds) && *seconds && *seconds <= DURATION_MAX / factor;
	free(digits);
	if (good)
		*seconds *= factor;
	else
		mg_complain("--for takes a time such as 90s, 10m or 2h, of at most 30 days, not \"%s\"",
			    text);
	return good;
}

static bool take_option(struct learn *learn, int option)
{
	switch (option) {
	case 'f':
		return parse_duration(optarg, &learn->seconds);
	case 'v':
		return mg_filter_add_vm(&learn->filter, optarg);
	case 'b':
		learn->base = optarg;
		return true;
	case 'o':
		learn->output = optarg;
		return true;
	default:
		return false;
	}
}

static int run_learn(const struct mg_command *command, int argc, char **argv)
{
	static const struct option options[] = {
		{ "for", required_argument, NULL, 'f' },
		{ "vm", required_argument, NULL, 'v' },
		{ "base", required_argument, NULL, 'b' },
		{ "output", required_argument, NULL, 'o' },
		{ 0 }
	};
	struct learn learn = { 0 };
	int option, ret = MG_EXIT_OK;

	mg_cpu_host(&learn.cpu);
	learn.listener.take = take_event;
	learn.listener.context = &learn;
	learn.listener.seq.tell = take_lost;
	learn.listener.seq.context = &learn;
	while (!ret && (option = getopt_long(argc, argv, "f:b:o:", options, NULL)) != -1)
		if (!take_option(&learn, option))
			ret = mg_usage(command);
	if (!ret && optind != argc) {
		mg_complain("learn takes no argument");
		ret = mg_usage(command);
	}
	learn.proposal = mg_proposal_new(mg_cpu_is_amd_like(&learn.cpu) ? MG_DANGER_OF_AMD :
					 learn.cpu.vendor ? MG_DANGER_OF_INTEL : MG_DANGER_OF_ALL);
	if (!ret)
		ret = run(&learn);
	mg_proposal_free(learn.proposal);
	mg_policy_free(learn.policy);
	if (learn.source)
		mg_source_free(learn.source);
	mg_filter_free(&learn.filter);
	return ret;
}

const struct mg_command mg_command_learn = {
	.name = "learn",
	.args = "[--for TIME] [--vm VM] [--base FILE] [-o FILE]",
	.summary = "Watch what guests do, and propose a policy that allows just that",
	.help =
"For as long as it runs, the policy in force denies by default and only audits: NOTHING\n"
"is blocked, for any guest. Then what was in force before is put back, also if it is\n"
"interrupted. It prints a policy with a rule for each MSR that would have been denied:\n"
"reads if it was read, and for writes the bits that were changed (of an address, a time or\n"
"a count all, for the next boot has another). What is dangerous is there as a comment\n"
"only. Nothing is loaded: read it first.\n\n"
"  -f, --for TIME     as 90s, 10m, 2h; without it, until it is interrupted\n"
"      --vm VM        only of this VM, by id or pid:PID; may be given several times\n"
"  -b, --base FILE    start from this policy: learn what its default line denies\n"
"  -o, --output FILE  write the proposal there, not over the base\n\n"
"Exit status 1 if accesses were lost, so that rules may be missing, or if somebody has\n"
"changed meanwhile what was to be put back.\n",
	.run = run_learn,
};
