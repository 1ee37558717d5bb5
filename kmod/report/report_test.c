// SPDX-License-Identifier: GPL-2.0
/*
 * The choke point: every access is counted once, whoever reports from wherever, and every report
 * has a number of its own.
 *
 * Runs as a module in a kernel with KUnit, see selftests/kunit.sh. Netlink is played by the test;
 * the tracepoint is the real one.
 */
#include <linux/bitmap.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/tracepoint.h>

#include <kunit/test.h>

#include "internal.h"

#include <trace/events/msrguard.h>

#define NR_THREADS	4
#define PER_THREAD	2000

static struct {
	bool listened;
	enum mg_delivery answer;
	atomic_t nr_sent;
	u64 last_seq;
	/* Numbers that came, by their distance from @first_seq; set twice is counted. */
	u64 first_seq;
	unsigned long *seen;
	atomic_t twice;
} netlink;

bool mg_netlink_listened(void)
{
	return netlink.listened;
}

enum mg_delivery mg_netlink_send(const struct mg_event *event, u64 seq)
{
	atomic_inc(&netlink.nr_sent);
	if (netlink.seen && test_and_set_bit(seq - netlink.first_seq, netlink.seen))
		atomic_inc(&netlink.twice);
	if (!netlink.seen)
		netlink.last_seq = seq;
	return netlink.answer;
}

int mg_netlink_init(const struct mg_report_source *source)
{
	return 0;
}

void mg_netlink_exit(void)
{
}

struct mg_counts {
	u64 n[MG_NR_COUNTERS];
};

static struct mg_counts counts_of(const struct mg_counters __percpu *counters)
{
	struct mg_counts counts;
	unsigned int i;

	for (i = 0; i < MG_NR_COUNTERS; i++)
		counts.n[i] = mg_counter_sum(counters, i);
	return counts;
}

/* One access and all that is said of it. */
struct one {
	struct mg_access access;
	struct mg_verdict verdict;
	struct mg_rule rule;
	struct mg_event event;
};

static void make_one(struct one *one, enum mg_dir dir, enum mg_outcome outcome)
{
	*one = (struct one) {
		.access = { .index = 0x10, .dir = dir, .value = 5 },
		.verdict = { .outcome = outcome, .would_be = outcome },
		.rule = { .first = 0x10, .last = 0x10 },
		.event = { .generation = 1, .described = true },
	};
	one->event.access = &one->access;
	one->event.verdict = &one->verdict;
	one->event.rule = &one->rule;
}

static const struct count_case {
	enum mg_outcome outcome;
	enum mg_counter counter;
	bool reported;
} count_cases[] = {
	{ MG_PASSED, MG_NR_COUNTERS, false },
	{ MG_AUDITED, MG_COUNT_AUDITED, true },
	{ MG_DENIED, MG_COUNT_DENIED, true },
	{ MG_DROPPED, MG_COUNT_DROPPED, true },
	{ MG_MASKED, MG_COUNT_MASKED, true },
};

static void expect_one_more(struct kunit *test, const struct mg_counters __percpu *counters,
			    const struct mg_counts *before, enum mg_counter which,
			    enum mg_counter other)
{
	struct mg_counts after = counts_of(counters);
	unsigned int i;

	for (i = 0; i < MG_NR_COUNTERS; i++)
		KUNIT_EXPECT_EQ_MSG(test, after.n[i], before->n[i] + (i == which || i == other),
				    "%s", mg_counter_name(i));
}

static void each_outcome_counts_as_what_it_is(struct kunit *test)
{
	struct mg_counters __percpu *vm = alloc_percpu(struct mg_counters);
	unsigned int i, dir;
	struct one one;

	KUNIT_ASSERT_NOT_NULL(test, (void __force *)vm);
	for (i = 0; i < ARRAY_SIZE(count_cases); i++) {
		const struct count_case *c = &count_cases[i];

		for (dir = 0; dir < MG_NR_DIRS; dir++) {
			struct mg_counts host = counts_of(NULL), own = counts_of(vm);
			enum mg_counter both = dir == MG_READ ? MG_COUNT_READS : MG_COUNT_WRITES;
			u64 seq = mg_report_seq();

			make_one(&one, dir, c->outcome);
			mg_report(&one.event, vm);
			expect_one_more(test, NULL, &host, both, c->counter);
			expect_one_more(test, vm, &own, both, c->counter);
			KUNIT_EXPECT_EQ(test, mg_report_seq(), seq + c->reported);
		}
	}
	/* A VM that there was no memory for counts for the host all the same. */
	{
		struct mg_counts host = counts_of(NULL);

		make_one(&one, MG_WRITE, MG_DENIED);
		mg_report(&one.event, NULL);
		expect_one_more(test, NULL, &host, MG_COUNT_WRITES, MG_COUNT_DENIED);
	}
	free_percpu(vm);
}

static void quiet_counts_and_says_nothing(struct kunit *test)
{
	struct mg_counts before = counts_of(NULL);
	u64 seq = mg_report_seq();
	struct one one;

	netlink.listened = true;
	make_one(&one, MG_READ, MG_DENIED);
	one.rule.quiet = true;
	KUNIT_EXPECT_FALSE(test, mg_report_wanted(&one.rule, &one.verdict));
	mg_report(&one.event, NULL);
	expect_one_more(test, NULL, &before, MG_COUNT_READS, MG_COUNT_DENIED);
	KUNIT_EXPECT_EQ(test, mg_report_seq(), seq);
	KUNIT_EXPECT_EQ(test, atomic_read(&netlink.nr_sent), 0);
}

static void undescribed_takes_a_number_only(struct kunit *test)
{
	u64 seq = mg_report_seq();
	struct one one;

	netlink.listened = true;
	make_one(&one, MG_WRITE, MG_DROPPED);
	one.event.described = false;
	mg_report(&one.event, NULL);
	KUNIT_EXPECT_EQ(test, mg_report_seq(), seq + 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&netlink.nr_sent), 0);
	one.event.described = true;
	mg_report(&one.event, NULL);
	KUNIT_EXPECT_EQ(test, atomic_read(&netlink.nr_sent), 1);
	KUNIT_EXPECT_EQ(test, netlink.last_seq, seq + 2);
}

static void delivery_is_counted(struct kunit *test)
{
	u64 sent = mg_report_sent(), lost = mg_report_lost();
	struct one one;

	make_one(&one, MG_WRITE, MG_DENIED);
	netlink.answer = MG_NOT_SENT;
	mg_report(&one.event, NULL);
	KUNIT_EXPECT_EQ(test, mg_report_sent(), sent);
	KUNIT_EXPECT_EQ(test, mg_report_lost(), lost);
	netlink.answer = MG_SENT;
	mg_report(&one.event, NULL);
	KUNIT_EXPECT_EQ(test, mg_report_sent(), sent + 1);
	KUNIT_EXPECT_EQ(test, mg_report_lost(), lost);
	netlink.answer = MG_LOST;
	mg_report(&one.event, NULL);
	KUNIT_EXPECT_EQ(test, mg_report_sent(), sent + 1);
	KUNIT_EXPECT_EQ(test, mg_report_lost(), lost + 1);
}

struct traced {
	unsigned int nr;
	u64 seq;
	u32 msr;
};

static void on_trace(void *data, const struct mg_event *event, u64 seq)
{
	struct traced *traced = data;

	traced->nr++;
	traced->seq = seq;
	traced->msr = event->access->index;
}

static void the_tracepoint_is_a_listener(struct kunit *test)
{
	struct traced traced = {};
	struct one one;

	make_one(&one, MG_WRITE, MG_DENIED);
	KUNIT_EXPECT_FALSE(test, mg_report_wanted(&one.rule, &one.verdict));
	KUNIT_ASSERT_EQ(test, register_trace_msrguard_access(on_trace, &traced), 0);
	KUNIT_EXPECT_TRUE(test, mg_report_wanted(&one.rule, &one.verdict));
	mg_report(&one.event, NULL);
	KUNIT_EXPECT_EQ(test, traced.nr, 1);
	KUNIT_EXPECT_EQ(test, traced.seq, mg_report_seq());
	KUNIT_EXPECT_EQ(test, traced.msr, 0x10);
	make_one(&one, MG_WRITE, MG_PASSED);
	KUNIT_EXPECT_FALSE(test, mg_report_wanted(&one.rule, &one.verdict));
	mg_report(&one.event, NULL);
	KUNIT_EXPECT_EQ(test, traced.nr, 1);
	unregister_trace_msrguard_access(on_trace, &traced);
	tracepoint_synchronize_unregister();
	netlink.listened = true;
	make_one(&one, MG_READ, MG_MASKED);
	KUNIT_EXPECT_TRUE(test, mg_report_wanted(&one.rule, &one.verdict));
}

static struct mg_counters __percpu *shared_vm;

/* Reads and writes by turns, every fourth one let through, wherever the scheduler takes it. */
static int report_thread(void *unused)
{
	struct one one;
	unsigned int i;

	for (i = 0; i < PER_THREAD; i++) {
		make_one(&one, i & 1 ? MG_WRITE : MG_READ, i % 4 ? MG_DENIED : MG_PASSED);
		mg_report(&one.event, shared_vm);
		cond_resched();
	}
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

static void nothing_is_lost_between_threads(struct kunit *test)
{
	struct mg_counts host = counts_of(NULL), now;
	struct task_struct *threads[NR_THREADS];
	u64 reported = NR_THREADS * PER_THREAD / 4 * 3, seq = mg_report_seq();
	unsigned int i;

	shared_vm = alloc_percpu(struct mg_counters);
	KUNIT_ASSERT_NOT_NULL(test, (void __force *)shared_vm);
	netlink.first_seq = seq + 1;
	netlink.seen = bitmap_zalloc(reported, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, netlink.seen);
	netlink.answer = MG_SENT;
	for (i = 0; i < NR_THREADS; i++) {
		threads[i] = kthread_create(report_thread, NULL, "mg-report/%u", i);
		KUNIT_ASSERT_FALSE(test, IS_ERR(threads[i]));
		kthread_bind(threads[i], cpumask_nth(i % num_online_cpus(), cpu_online_mask));
		wake_up_process(threads[i]);
	}
	while (mg_counter_sum(shared_vm, MG_COUNT_READS) +
	       mg_counter_sum(shared_vm, MG_COUNT_WRITES) < NR_THREADS * PER_THREAD)
		schedule_timeout_uninterruptible(1);
	for (i = 0; i < NR_THREADS; i++)
		kthread_stop(threads[i]);

	KUNIT_EXPECT_EQ(test, mg_report_seq(), seq + reported);
	KUNIT_EXPECT_EQ(test, atomic_read(&netlink.nr_sent), reported);
	KUNIT_EXPECT_EQ(test, atomic_read(&netlink.twice), 0);
	KUNIT_EXPECT_EQ(test, bitmap_weight(netlink.seen, reported), reported);
	now = counts_of(NULL);
	KUNIT_EXPECT_EQ(test, now.n[MG_COUNT_DENIED] - host.n[MG_COUNT_DENIED], reported);
	KUNIT_EXPECT_EQ(test, mg_counter_sum(shared_vm, MG_COUNT_DENIED), reported);
	KUNIT_EXPECT_EQ(test, mg_counter_sum(shared_vm, MG_COUNT_READS),
			NR_THREADS * PER_THREAD / 2);
	KUNIT_EXPECT_EQ(test, mg_counter_sum(shared_vm, MG_COUNT_WRITES),
			NR_THREADS * PER_THREAD / 2);
	bitmap_free(netlink.seen);
	free_percpu(shared_vm);
}

static int report_test_init(struct kunit *test)
{
	memset(&netlink, 0, sizeof(netlink));
	return 0;
}

static struct kunit_case report_cases[] = {
	KUNIT_CASE(each_outcome_counts_as_what_it_is),
	KUNIT_CASE(quiet_counts_and_says_nothing),
	KUNIT_CASE(undescribed_takes_a_number_only),
	KUNIT_CASE(delivery_is_counted),
	KUNIT_CASE(the_tracepoint_is_a_listener),
	KUNIT_CASE(nothing_is_lost_between_threads),
	{}
};

static struct kunit_suite report_suite = {
	.name = "msrguard-report",
	.init = report_test_init,
	.test_cases = report_cases,
};

kunit_test_suites(&report_suite);
