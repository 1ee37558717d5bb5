// SPDX-License-Identifier: GPL-2.0
/*
 * Counts every access that needed a decision, and tells whoever listens.
 *
 * A guest can bring us here as often as it likes. While nobody listens no lock is taken, and
 * nothing shared is written but the sequence number, and that only for what is reported; else see
 * account.h for what bounds it.
 */
#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/percpu.h>

#include "internal.h"

#define CREATE_TRACE_POINTS
#include <trace/events/msrguard.h>

static DEFINE_PER_CPU(struct mg_counters, host_counters);
static DEFINE_PER_CPU(u64, events_sent);
static DEFINE_PER_CPU(u64, events_lost);
static DEFINE_PER_CPU(u64, accesses_lost);
static atomic64_t last_seq;

static const char *const counter_names[MG_NR_COUNTERS] = {
	[MG_COUNT_READS]	= "reads",
	[MG_COUNT_WRITES]	= "writes",
	[MG_COUNT_DENIED]	= "denied",
	[MG_COUNT_DROPPED]	= "dropped",
	[MG_COUNT_MASKED]	= "masked",
	[MG_COUNT_AUDITED]	= "audited",
	[MG_COUNT_QUIET]	= "quiet",
	[MG_COUNT_OVERFLOWED]	= "overflowed",
};

void mg_count(const struct mg_account *account, enum mg_counter which)
{
	this_cpu_inc(host_counters.n[which]);
	if (account)
		this_cpu_inc(account->counters->n[which]);
}

static void count_access(const struct mg_event *event, const struct mg_account *account)
{
	mg_count(account, event->access->dir == MG_WRITE ? MG_COUNT_WRITES : MG_COUNT_READS);

	switch (event->verdict->outcome) {
	case MG_PASSED:
		return;
	case MG_AUDITED:
		mg_count(account, MG_COUNT_AUDITED);
		break;
	case MG_DENIED:
		mg_count(account, MG_COUNT_DENIED);
		break;
	case MG_DROPPED:
		mg_count(account, MG_COUNT_DROPPED);
		break;
	case MG_MASKED:
		mg_count(account, MG_COUNT_MASKED);
		break;
	}
	if (event->rule->quiet)
		mg_count(account, MG_COUNT_QUIET);
}

bool mg_report_wanted(const struct mg_rule *rule, const struct mg_verdict *verdict)
{
	if (verdict->outcome == MG_PASSED || rule->quiet)
		return false;

	return trace_msrguard_access_enabled() || trace_msrguard_lost_enabled() ||
	       mg_netlink_listened();
}

u64 mg_report_number(u64 count)
{
	return atomic64_add_return(count, &last_seq);
}

static void count_delivery(enum mg_delivery delivery, u64 accesses)
{
	switch (delivery) {
	case MG_NOT_SENT:
		break;
	case MG_SENT:
		this_cpu_inc(events_sent);
		break;
	case MG_LOST:
		this_cpu_inc(events_lost);
		this_cpu_add(accesses_lost, accesses);
		break;
	}
}

void mg_report_tell(const struct mg_event *event, u64 seq)
{
	trace_msrguard_access(event, seq);
	count_delivery(mg_netlink_send(event, seq), event->count);
}

void mg_report_tell_lost(u64 vm_id, u32 vm_pid, u64 count, u64 seq)
{
	trace_msrguard_lost(vm_id, vm_pid, count, seq);
	count_delivery(mg_netlink_send_lost(vm_id, vm_pid, count, seq), count);
}

/* Apart from mg_report(), whose stack frame is paid for by each access: an image takes room. */
static noinline void tell_described(struct mg_event *event, struct mg_account *account,
				    struct fold *fold, mg_describe_fn *describe, void *context)
{
	struct mg_image image;

	event->count = 1;
	event->time = ktime_get_boottime_ns();
	describe(context, event, &image);
	mg_report_tell(event, mg_report_number(1));
	if (fold)
		mg_account_described(account, fold, event);
}

void mg_report(struct mg_event *event, struct mg_account *account, mg_describe_fn *describe,
	       void *context)
{
	struct fold *fold = NULL;

	count_access(event, account);

	if (event->verdict->outcome == MG_PASSED || event->rule->quiet)
		return;
	if (!event->located) {
		mg_report_number(1);
		return;
	}
	if (account && mg_report_window() &&
	    mg_account_fold(account, event, &fold) == MG_FOLDED)
		return;

	tell_described(event, account, fold, describe, context);
}

u64 mg_sum_per_cpu(const u64 __percpu *number)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(*per_cpu_ptr(number, cpu));
	return sum;
}

u64 mg_counter_sum(const struct mg_counters __percpu *counters, enum mg_counter which)
{
	if (!counters)
		counters = &host_counters;
	return mg_sum_per_cpu(&counters->n[which]);
}

const char *mg_counter_name(enum mg_counter which)
{
	return counter_names[which];
}

u64 mg_report_seq(void)
{
	return atomic64_read(&last_seq);
}

u64 mg_report_sent(void)
{
	return mg_sum_per_cpu(&events_sent);
}

u64 mg_report_lost(void)
{
	return mg_sum_per_cpu(&events_lost);
}

u64 mg_report_accesses_lost(void)
{
	return mg_sum_per_cpu(&accesses_lost);
}

int mg_report_init(void)
{
	return mg_account_init();
}

int mg_report_register(const struct mg_report_source *source)
{
	return mg_netlink_init(source);
}

void mg_report_unregister(void)
{
	mg_netlink_exit();
}

void mg_report_flush(void)
{
	mg_account_flush();
}

void mg_report_exit(void)
{
	mg_account_exit();
}
