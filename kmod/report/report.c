// SPDX-License-Identifier: GPL-2.0
/*
 * Counts every access that needed a decision, and tells whoever listens.
 *
 * A guest can bring us here as often as it likes: no lock is taken and nothing
 * shared is written but the sequence number, and that only for what is reported.
 */
#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/kernel.h>
#include <linux/percpu.h>

#include "internal.h"

#define CREATE_TRACE_POINTS
#include <trace/events/msrguard.h>

static DEFINE_PER_CPU(struct mg_counters, host_counters);
static DEFINE_PER_CPU(u64, events_sent);
static DEFINE_PER_CPU(u64, events_lost);
static atomic64_t last_seq;

static const char *const counter_names[MG_NR_COUNTERS] = {
	[MG_COUNT_READS]	= "reads",
	[MG_COUNT_WRITES]	= "writes",
	[MG_COUNT_DENIED]	= "denied",
	[MG_COUNT_DROPPED]	= "dropped",
	[MG_COUNT_MASKED]	= "masked",
	[MG_COUNT_AUDITED]	= "audited",
};

static void count(struct mg_counters __percpu *vm_counters, enum mg_counter which)
{
	this_cpu_inc(host_counters.n[which]);
	if (vm_counters)
		this_cpu_inc(vm_counters->n[which]);
}

static void count_access(const struct mg_event *event, struct mg_counters __percpu *vm_counters)
{
	count(vm_counters, event->access->dir == MG_WRITE ? MG_COUNT_WRITES : MG_COUNT_READS);

	switch (event->verdict->outcome) {
	case MG_PASSED:
		break;
	case MG_AUDITED:
		count(vm_counters, MG_COUNT_AUDITED);
		break;
	case MG_DENIED:
		count(vm_counters, MG_COUNT_DENIED);
		break;
	case MG_DROPPED:
		count(vm_counters, MG_COUNT_DROPPED);
		break;
	case MG_MASKED:
		count(vm_counters, MG_COUNT_MASKED);
		break;
	}
}

bool mg_report_wanted(const struct mg_rule *rule, const struct mg_verdict *verdict)
{
	if (verdict->outcome == MG_PASSED || rule->quiet)
		return false;

	return trace_msrguard_access_enabled() || mg_netlink_listened();
}

void mg_report(const struct mg_event *event, struct mg_counters __percpu *vm_counters)
{
	u64 seq;

	count_access(event, vm_counters);

	if (event->verdict->outcome == MG_PASSED || event->rule->quiet)
		return;

	seq = atomic64_inc_return(&last_seq);
	if (!event->described)
		return;

	trace_msrguard_access(event, seq);

	switch (mg_netlink_send(event, seq)) {
	case MG_NOT_SENT:
		break;
	case MG_SENT:
		this_cpu_inc(events_sent);
		break;
	case MG_LOST:
		this_cpu_inc(events_lost);
		break;
	}
}

u64 mg_counter_sum(const struct mg_counters __percpu *counters, enum mg_counter which)
{
	u64 sum = 0;
	int cpu;

	if (!counters)
		counters = &host_counters;
	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(counters, cpu)->n[which]);
	return sum;
}

const char *mg_counter_name(enum mg_counter which)
{
	return counter_names[which];
}

static u64 sum_u64(const u64 __percpu *counter)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(*per_cpu_ptr(counter, cpu));
	return sum;
}

u64 mg_report_seq(void)
{
	return atomic64_read(&last_seq);
}

u64 mg_report_sent(void)
{
	return sum_u64(&events_sent);
}

u64 mg_report_lost(void)
{
	return sum_u64(&events_lost);
}

int mg_report_init(const struct mg_report_source *source)
{
	return mg_netlink_init(source);
}

void mg_report_exit(void)
{
	mg_netlink_exit();
}
