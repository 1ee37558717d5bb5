// SPDX-License-Identifier: GPL-2.0
/* "msrguard top": which VM does what to which MSR, how often, and who it is; live. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "dumps.h"
#include "event.h"
#include "listener.h"
#include "msrguard.h"
#include "names/names.h"
#include "process.h"
#include "top_model.h"
#include "top_screen.h"

#define DELAY_DEFAULT	2
#define DELAY_MAX	3600
#define NS_PER_S	1000000000ull
#define NS_PER_MS	1000000ull
/* What is printed of VMs and rows if no terminal says how much fits. */
#define BATCH_ROWS	MG_TOP_ROWS

enum ending {
	RUNNING,
	ENDED,
	OUTPUT_CLOSED,
	FAILED,
};

struct top {
	struct mg_listener listener;
	struct mg_top_model model;
	struct mg_nl_status status;
	enum mg_top_order order;
	bool on_terminal;
	bool keys;		/* standard input is one, and not at its end */
	uint64_t reports;	/* still to be made; 0: no limit */
	uint64_t delay;		/* nanoseconds */
	uint64_t last_tick;
	enum ending ending;
	int code;
};

static void take_event(void *context, const struct mg_event *event)
{
	struct top *top = context;

	mg_top_event(&top->model, event);
}

static void take_lost(void *context, uint64_t first, uint64_t last)
{
	struct top *top = context;

	top->model.lost += last - first + 1;
}

static const char *mode_name(uint8_t mode)
{
	static const char *const modes[] = { "off", "audit", "enforce" };

	return mode < ARRAY_SIZE(modes) ? modes[mode] : "unknown";
}

static void put_head(FILE *out, const struct top *top)
{
	const struct mg_nl_stats *stats = &top->model.stats;
	const struct mg_top_rates *rates = &top->model.rates;
	time_t now = time(NULL);
	struct tm local;
	char clock[16] = "?";
	uint64_t window;

	if (localtime_r(&now, &local))
		strftime(clock, sizeof(clock), "%H:%M:%S", &local);
	fprintf(out, "msrguard top  %s  mode %s  generation %" PRIu64 "  rules %" PRIu32, clock,
		mode_name(top->status.mode), top->status.generation, top->status.rules);
	if (!mg_sysfs_read_u64("events/window", &window))
		fprintf(out, "  window %" PRIu64 " ms", window);
	fprintf(out, "\ndenied %" PRIu64 " (%.1f/s)  dropped %" PRIu64 " (%.1f/s)  masked %" PRIu64
		" (%.1f/s)  audited %" PRIu64 " (%.1f/s)\n", stats->denied, rates->denied,
		stats->dropped, rates->dropped, stats->masked, rates->masked, stats->audited,
		rates->audited);
	fprintf(out, "quiet %" PRIu64 "  pending %" PRIu64 "  here: overflowed %" PRIu64 "  lost %"
		PRIu64 "  not listed %" PRIu64 "\n\n", stats->quiet, stats->pending,
		top->model.overflowed, top->model.lost, top->model.others);
}

/**
 * struct layout - what fits
 * @vms:    lines for VMs
 * @rows:   lines for MSRs
 * @id:     width of a VM's id, which grows with the time since the boot
 * @number: width of a number; a small one has it shortened
 * @name:   width of an MSR's name
 */
struct layout {
	size_t vms;
	size_t rows;
	int id;
	int number;
	int name;
};

/* Blanks and a number: to the last digit for scripts, shortened on a terminal. */
static void put_number(FILE *out, const struct layout *layout, uint64_t number)
{
	static const char units[] = "kMGTPE";
	double shorter = number;
	size_t i;

	if (layout->number >= 12 || number < 100000) {
		fprintf(out, " %*" PRIu64, layout->number, number);
		return;
	}
	for (i = 0; shorter >= 999.5; i++)
		shorter /= 1000;
	fprintf(out, " %*.*f%c", layout->number - 1, shorter < 99.95, shorter, units[i - 1]);
}

static void put_vms(FILE *out, const struct mg_top_model *model, const struct layout *layout)
{
	static const char *const columns[] = { "DENIED", "DROPPED", "MASKED", "AUDITED", "QUIET" };
	const struct mg_nl_vm *vm;
	char name[MG_PROCESS_NAME];
	size_t i;

	fprintf(out, "%*s %8s %-15s %5s %8s", layout->id, "VM", "PID", "PROCESS", "VCPUS",
		"RATE/s");
	for (i = 0; i < ARRAY_SIZE(columns); i++)
		fprintf(out, " %*s", layout->number, columns[i]);
	fputc('\n', out);
	for (i = 0; i < model->nr_vms && i < layout->vms; i++) {
		vm = &model->vms[i].now;
		fprintf(out, "%*" PRIu64 " %8" PRIu32 " %-15s %5" PRIu32 " %8.1f", layout->id, vm->id,
			vm->pid, mg_process_name(vm->pid, name), vm->vcpus, model->vms[i].rate);
		put_number(out, layout, vm->denied);
		put_number(out, layout, vm->dropped);
		put_number(out, layout, vm->masked);
		put_number(out, layout, vm->audited);
		put_number(out, layout, vm->quiet);
		fputc('\n', out);
	}
	if (i < model->nr_vms)
		fprintf(out, "%*s and %zu more\n", layout->id, "", model->nr_vms - i);
	fputc('\n', out);
}

/* The image, or at least where it was. */
static const char *who(const struct mg_top_row *row, char *buf, size_t size)
{
	if (*row->image)
		return row->image;
	if (!row->pc)
		return "unknown";
	snprintf(buf, size, "pc 0x%" PRIx64, row->pc);
	return buf;
}

static const char *short_name(uint32_t msr, const struct layout *layout)
{
	const char *name = mg_msr_label(msr);

	if (!name)
		return "";
	/* The headers' prefix says nothing here. */
	return strlen(name) > (size_t)layout->name && !strncmp(name, "MSR_", 4) ? name + 4 : name;
}

static void put_rows(FILE *out, const struct top *top, const struct layout *layout)
{
	const struct mg_top_row *rows[MG_TOP_ROWS], *row;
	char direction[MG_NAME_LEN], verdict[MG_NAME_LEN], place[32];
	size_t nr = mg_top_sorted(&top->model, top->order, rows), i;

	fprintf(out, "%*s %-10s %-*s %-5s %-7s %8s %*s  %s\n", layout->id, "VM", "MSR", layout->name,
		"NAME", "DIR", "VERDICT", "RATE/s", layout->number, "TOTAL", "WHO");
	for (i = 0; i < nr && i < layout->rows; i++) {
		row = rows[i];
		fprintf(out, "%*" PRIu64 " 0x%-8" PRIx32 " %-*.*s %-5s %-7s %8.1f", layout->id, row->vm,
			row->msr, layout->name, layout->name, short_name(row->msr, layout),
			mg_direction_name(row->direction, direction),
			mg_verdict_name(row->verdict, verdict), row->rate);
		put_number(out, layout, row->total);
		fprintf(out, "  %s\n", who(row, place, sizeof(place)));
	}
	if (i < nr)
		fprintf(out, "%*s and %zu more\n", layout->id, "", nr - i);
}

static int digits(uint64_t number)
{
	int count = 1;

	for (; number >= 10; number /= 10)
		count++;
	return count;
}

static int id_width(const struct mg_top_model *model)
{
	int width = 7;
	size_t i;

	for (i = 0; i < model->nr_vms; i++)
		if (digits(model->vms[i].now.id) > width)
			width = digits(model->vms[i].now.id);
	for (i = 0; i < model->nr_rows; i++)
		if (digits(model->rows[i].vm) > width)
			width = digits(model->rows[i].vm);
	return width;
}

/* Four lines of head, a line before, and three beside the VMs; a third of the rest is theirs. */
static struct layout lay_out(const struct top *top)
{
	struct layout layout = {
		.vms = BATCH_ROWS,
		.rows = BATCH_ROWS,
		.id = id_width(&top->model),
		.number = 12,
		.name = 32,
	};
	size_t columns, lines, left;

	if (!top->on_terminal)
		return layout;
	mg_screen_size(&columns, &lines);
	left = lines > 9 ? lines - 9 : 2;
	layout.vms = top->model.nr_vms <= left / 3 ? top->model.nr_vms : left / 3;
	layout.rows = left - layout.vms;
	layout.number = columns < 120 ? 7 : 12;
	/* On the usual 80 columns, so that who it is can still be read. */
	if (columns < 100)
		layout.name = layout.id < 16 ? 24 - layout.id : 8;
	return layout;
}

static void show(const struct top *top)
{
	const struct layout layout = lay_out(top);
	char *text = NULL;
	size_t len = 0;
	FILE *out = mg_alloc_check(open_memstream(&text, &len));

	put_head(out, top);
	put_vms(out, &top->model, &layout);
	put_rows(out, top, &layout);
	if (fclose(out))
		mg_alloc_check(NULL);
	if (top->on_terminal) {
		mg_screen_show(text);
	} else {
		puts(text);
		fflush(stdout);
	}
	free(text);
}

static void fail(struct top *top, int code)
{
	top->ending = FAILED;
	top->code = code;
}

/* The module's counters now. False if it could not be asked, after a complaint. */
static bool ask(struct top *top, double seconds)
{
	struct mg_nl *nl = &top->listener.nl;
	struct mg_nl_refusal refusal = { 0 };
	struct mg_nl_stats stats;
	struct mg_nl_vm *vms;
	size_t nr;
	int err;

	err = mg_nl_status(nl, &top->status);
	if (!err)
		err = mg_nl_stats(nl, &stats, &refusal);
	if (!err)
		err = mg_nl_vms(nl, 0, &vms, &nr, &refusal);
	if (err) {
		mg_screen_close();
		fail(top, mg_nl_refused("the counters", err, &refusal));
		return false;
	}
	mg_top_tick(&top->model, seconds, &stats, vms, nr);
	free(vms);
	return true;
}

static void tick(struct top *top)
{
	uint64_t now = mg_now_ns();

	mg_listener_settle(&top->listener);
	if (!ask(top, (double)(now - top->last_tick) / NS_PER_S))
		return;
	top->last_tick = now;
	show(top);
	if (top->reports && !--top->reports)
		top->ending = ENDED;
}

static void check_output(struct top *top)
{
	if (!ferror(stdout))
		return;
	if (errno == EPIPE) {
		top->ending = OUTPUT_CLOSED;
	} else {
		mg_complain("cannot write the output: %s", strerror(errno));
		fail(top, MG_EXIT_WRONG);
	}
	__fpurge(stdout);
	clearerr(stdout);
}

static void take_signal(struct top *top, int signals)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) != sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGWINCH:
		if (top->on_terminal)
			show(top);
		break;
	case SIGTSTP:
		if (top->on_terminal) {
			mg_screen_suspend();
			show(top);
		} else {
			raise(SIGSTOP);
		}
		break;
	default:
		top->ending = ENDED;
	}
}

static void take_key(struct top *top)
{
	char key;

	/* At its end, or in the background: no keys any more. */
	if (read(STDIN_FILENO, &key, 1) != 1) {
		top->keys = false;
		return;
	}
	if (key == 'q' || key == 'Q') {
		top->ending = ENDED;
	} else if (key == 's') {
		top->order = (top->order + 1) % MG_NR_TOP_ORDERS;
		show(top);
	} else if (key == ' ') {
		show(top);
	}
}

/* Waits, at most to the next tick, and takes what came besides events. */
static void wait_for_something(struct top *top, int signals, uint64_t left)
{
	struct pollfd fds[] = {
		{ .fd = mg_listener_fd(&top->listener), .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
		{ .fd = top->keys ? STDIN_FILENO : -1, .events = POLLIN },
		/* Only that its reader has gone. */
		{ .fd = STDOUT_FILENO },
	};
	int patience = mg_listener_patience(&top->listener);
	int timeout = (left + NS_PER_MS - 1) / NS_PER_MS, ready;

	if (patience >= 0 && patience < timeout)
		timeout = patience;
	ready = poll(fds, ARRAY_SIZE(fds), timeout);
	if (ready < 0 && errno != EINTR) {
		mg_complain("cannot wait for events: %s", strerror(errno));
		fail(top, MG_EXIT_WRONG);
	}
	if (!ready && timeout == patience)
		mg_listener_waited(&top->listener);
	if (ready <= 0)
		return;
	if (fds[1].revents)
		take_signal(top, signals);
	if (fds[2].revents)
		take_key(top);
	if (fds[3].revents)
		top->ending = OUTPUT_CLOSED;
}

static void run_until_end(struct top *top, int signals)
{
	uint64_t now, due;
	unsigned int taken = 0;
	int err;

	while (top->ending == RUNNING) {
		now = mg_now_ns();
		due = top->last_tick + top->delay;
		err = mg_listener_receive(&top->listener);
		if (top->listener.unloaded) {
			mg_screen_close();
			mg_complain("the module was unloaded");
			fail(top, MG_EXIT_NOT_LOADED);
		} else if (now >= due) {
			tick(top);
		} else if (err == -EAGAIN || ++taken % 64 == 0) {
			/* A storm leaves no moment without an event. */
			wait_for_something(top, signals, err == -EAGAIN ? due - now : 0);
		} else if (err) {
			mg_screen_close();
			mg_complain("cannot receive events: %s", strerror(-err));
			fail(top, MG_EXIT_WRONG);
		}
		check_output(top);
	}
}

static int take_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	/* To write to the terminal from the background is no reason to be stopped. */
	signal(SIGTTOU, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTSTP);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int run_on(struct top *top)
{
	int signals = take_signals(), ret;

	if (signals < 0) {
		mg_complain("cannot wait for signals: %s", strerror(errno));
		return MG_EXIT_WRONG;
	}
	ret = mg_listener_start(&top->listener, "top", MG_BUFFER_KIB * 1024, &top->status);
	top->last_tick = mg_now_ns();
	if (!ret && ask(top, 1)) {
		if (top->on_terminal) {
			mg_screen_open();
			show(top);
		}
		run_until_end(top, signals);
		mg_screen_close();
	}
	mg_nl_close(&top->listener.nl);
	close(signals);
	return ret ? ret : top->code;
}

static bool parse_option(const char *name, uint64_t max, uint64_t *value)
{
	if (mg_parse_u64(optarg, 10, value) && *value && *value <= max)
		return true;
	mg_complain("%s takes a number from 1 to %" PRIu64 ", not \"%s\"", name, max, optarg);
	return false;
}

static int run_top(const struct mg_command *command, int argc, char **argv)
{
	static const struct option options[] = {
		{ "once", no_argument, NULL, 'o' },
		{ "batch", required_argument, NULL, 'b' },
		{ "delay", required_argument, NULL, 'd' },
		{ 0 }
	};
	struct top *top = mg_alloc_check(calloc(1, sizeof(*top)));
	uint64_t delay = DELAY_DEFAULT;
	int option, ret = MG_EXIT_OK;

	while (!ret && (option = getopt_long(argc, argv, "b:d:", options, NULL)) != -1) {
		if (option == 'o')
			top->reports = 1;
		else if (option == 'b' ? !parse_option("--batch", UINT64_MAX, &top->reports) :
			 option == 'd' ? !parse_option("--delay", DELAY_MAX, &delay) : true)
			ret = mg_usage(command);
	}
	if (!ret && optind != argc) {
		mg_complain("top takes no argument");
		ret = mg_usage(command);
	}
	if (!ret) {
		top->delay = delay * NS_PER_S;
		top->on_terminal = !top->reports && isatty(STDOUT_FILENO);
		top->keys = top->on_terminal && isatty(STDIN_FILENO);
		top->listener.take = take_event;
		top->listener.context = top;
		top->listener.seq.tell = take_lost;
		top->listener.seq.context = top;
		ret = run_on(top);
	}
	mg_top_free(&top->model);
	free(top);
	return ret;
}

const struct mg_command mg_command_top = {
	.name = "top",
	.args = "[--once | --batch N] [--delay SECONDS]",
	.summary = "Show live which VM does what to which MSR, how often, and who it is",
	.help =
"Shows the VMs with what was counted of each, and what their guests do since this\n"
"command began: MSR, direction, verdict, how often a second and in all, and the image\n"
"in the guest that does it, or the place of the instruction if that is not known. What\n"
"is missing is told as a number: lost, told as a number only (overflowed), or without\n"
"room in the table (not listed).\n\n"
"      --once            one report, after one interval, for scripts\n"
"  -b, --batch N         N reports, one each interval\n"
"  -d, --delay SECONDS   interval (default 2)\n\n"
"If standard output is no terminal, it prints reports until it is interrupted. On a\n"
"terminal, q ends it and s changes the order: by rate, by total, by VM and MSR.\n",
	.run = run_top,
};
