// SPDX-License-Identifier: GPL-2.0
/*
 * The choke point: every access is counted once, whoever reports from wherever, and told once: by
 * itself, with others like it, or as a number.
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
	/* Of the last event, whosever it was where several report at once. */
	u64 count;
	u64 value;
	u64 vm_id;
	enum mg_image_kind image;
	/* Told as a number, all together. */
	atomic64_t lost;
	/* What was pending while netlink had it: of the host, and of this account. */
	struct mg_account *account;
	u64 host_pending;
	u64 vm_pending;
	/* Numbers that came, by their distance from @first_seq; set twice is counted. */
	u64 first_seq;
	unsigned long *seen;
	atomic_t twice;
} netlink;

bool mg_netlink_listened(void)
{
	return netlink.listened;
}

static enum mg_delivery take_numbers_of(u64 count, u64 seq)
{
	u64 i;

	if (netlink.account) {
		netlink.host_pending = mg_report_pending();
		netlink.vm_pending = mg_account_pending(netlink.account);
	}
	atomic_inc(&netlink.nr_sent);
	for (i = 0; netlink.seen && i < count; i++)
		if (test_and_set_bit(seq - i - netlink.first_seq, netlink.seen))
			atomic_inc(&netlink.twice);
	if (!netlink.seen)
		WRITE_ONCE(netlink.last_seq, seq);
	return netlink.answer;
}

enum mg_delivery mg_netlink_send(const struct mg_event *event, u64 seq)
{
	WRITE_ONCE(netlink.count, event->count);
	WRITE_ONCE(netlink.value, event->access->value);
	WRITE_ONCE(netlink.vm_id, event->vm_id);
	WRITE_ONCE(netlink.image, event->image ? event->image->kind : MG_IMAGE_UNKNOWN);
	return take_numbers_of(event->count, seq);
}

enum mg_delivery mg_netlink_send_lost(u64 vm_id, u32 vm_pid, u64 count, u64 seq)
{
	atomic64_add(count, &netlink.lost);
	WRITE_ONCE(netlink.vm_id, vm_id);
	return take_numbers_of(count, seq);
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

static struct mg_counts counts_of(const struct mg_account *account)
{
	struct mg_counts counts;
	unsigned int i;

	for (i = 0; i < MG_NR_COUNTERS; i++)
		counts.n[i] = mg_account_counter(account, i);
	return counts;
}

/* One access and all that is said of it. */
struct one {
	struct mg_access access;
	struct mg_verdict verdict;
	struct mg_rule rule;
	struct mg_event event;
};

#define VM_ID		77
#define IMAGE_KIND	MG_IMAGE_PE

static const struct mg_image image = { .kind = IMAGE_KIND, .base = 0x1000 };

/* What the hooks would find out. */
static void describe(void *context, struct mg_event *event, struct mg_image *room)
{
	unsigned int *times = context;

	if (times)
		(*times)++;
	event->value_known = true;
	event->vm_id = VM_ID;
	event->vm_pid = 1;
	event->image = &image;
}

static struct mg_account *new_account(struct kunit *test)
{
	struct mg_account *account = mg_account_new();

	KUNIT_ASSERT_NOT_NULL(test, account);
	mg_account_open(account, VM_ID, 1);
	return account;
}

static void make_one(struct one *one, enum mg_dir dir, enum mg_outcome outcome)
{
	*one = (struct one) {
		.access = { .index = 0x10, .dir = dir, .value = 5 },
		.verdict = { .outcome = outcome, .would_be = outcome },
		.rule = { .first = 0x10, .last = 0x10 },
		.event = { .generation = 1, .located = true },
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

static void expect_one_more(struct kunit *test, const struct mg_account *account,
			    const struct mg_counts *before, enum mg_counter which,
			    enum mg_counter other)
{
	struct mg_counts after = counts_of(account);
	unsigned int i;

	for (i = 0; i < MG_NR_COUNTERS; i++)
		KUNIT_EXPECT_EQ_MSG(test, after.n[i], before->n[i] + (i == which || i == other),
				    "%s", mg_counter_name(i));
}

static void expect_three_more(struct kunit *test, const struct mg_counts *before,
			      enum mg_counter which, enum mg_counter other, enum mg_counter third)
{
	struct mg_counts after = counts_of(NULL);
	unsigned int i;

	for (i = 0; i < MG_NR_COUNTERS; i++)
		KUNIT_EXPECT_EQ_MSG(test, after.n[i],
				    before->n[i] + (i == which || i == other || i == third),
				    "%s", mg_counter_name(i));
}

static void each_outcome_counts_as_what_it_is(struct kunit *test)
{
	struct mg_account *vm = new_account(test);
	unsigned int i, dir;
	struct one one;

	for (i = 0; i < ARRAY_SIZE(count_cases); i++) {
		const struct count_case *c = &count_cases[i];

		for (dir = 0; dir < MG_NR_DIRS; dir++) {
			struct mg_counts host = counts_of(NULL), own = counts_of(vm);
			enum mg_counter both = dir == MG_READ ? MG_COUNT_READS : MG_COUNT_WRITES;
			u64 seq = mg_report_seq();

			make_one(&one, dir, c->outcome);
			mg_report(&one.event, vm, describe, NULL);
			expect_one_more(test, NULL, &host, both, c->counter);
			expect_one_more(test, vm, &own, both, c->counter);
			KUNIT_EXPECT_EQ(test, mg_report_seq(), seq + c->reported);
		}
	}
	/* A VM that there was no memory for counts for the host all the same. */
	{
		struct mg_counts host = counts_of(NULL);

		make_one(&one, MG_WRITE, MG_DENIED);
		mg_report(&one.event, NULL, describe, NULL);
		expect_one_more(test, NULL, &host, MG_COUNT_WRITES, MG_COUNT_DENIED);
	}
	mg_account_close(vm);
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
	mg_report(&one.event, NULL, describe, NULL);
	expect_three_more(test, &before, MG_COUNT_READS, MG_COUNT_DENIED, MG_COUNT_QUIET);
	KUNIT_EXPECT_EQ(test, mg_report_seq(), seq);
	KUNIT_EXPECT_EQ(test, atomic_read(&netlink.nr_sent), 0);
}

static void unlocated_takes_a_number_only(struct kunit *test)
{
	u64 seq = mg_report_seq();
	struct one one;

	netlink.listened = true;
	make_one(&one, MG_WRITE, MG_DROPPED);
	one.event.located = false;
	mg_report(&one.event, NULL, describe, NULL);
	KUNIT_EXPECT_EQ(test, mg_report_seq(), seq + 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&netlink.nr_sent), 0);
	one.event.located = true;
	mg_report(&one.event, NULL, describe, NULL);
	KUNIT_EXPECT_EQ(test, atomic_read(&netlink.nr_sent), 1);
	KUNIT_EXPECT_EQ(test, netlink.last_seq, seq + 2);
}

static void delivery_is_counted(struct kunit *test)
{
	u64 sent = mg_report_sent(), lost = mg_report_lost();
	struct one one;

	make_one(&one, MG_WRITE, MG_DENIED);
	netlink.answer = MG_NOT_SENT;
	mg_report(&one.event, NULL, describe, NULL);
	KUNIT_EXPECT_EQ(test, mg_report_sent(), sent);
	KUNIT_EXPECT_EQ(test, mg_report_lost(), lost);
	netlink.answer = MG_SENT;
	mg_report(&one.event, NULL, describe, NULL);
	KUNIT_EXPECT_EQ(test, mg_report_sent(), sent + 1);
	KUNIT_EXPECT_EQ(test, mg_report_lost(), lost);
	netlink.answer = MG_LOST;
	mg_report(&one.event, NULL, describe, NULL);
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
	mg_report(&one.event, NULL, describe, NULL);
	KUNIT_EXPECT_EQ(test, traced.nr, 1);
	KUNIT_EXPECT_EQ(test, traced.seq, mg_report_seq());
	KUNIT_EXPECT_EQ(test, traced.msr, 0x10);
	make_one(&one, MG_WRITE, MG_PASSED);
	KUNIT_EXPECT_FALSE(test, mg_report_wanted(&one.rule, &one.verdict));
	mg_report(&one.event, NULL, describe, NULL);
	KUNIT_EXPECT_EQ(test, traced.nr, 1);
	unregister_trace_msrguard_access(on_trace, &traced);
	tracepoint_synchronize_unregister();
	netlink.listened = true;
	make_one(&one, MG_READ, MG_MASKED);
	KUNIT_EXPECT_TRUE(test, mg_report_wanted(&one.rule, &one.verdict));
}

static struct mg_account *shared_vm;

/* Reads and writes by turns, every fourth one let through, wherever the scheduler takes it. */
static int report_thread(void *unused)
{
	struct one one;
	unsigned int i;

	for (i = 0; i < PER_THREAD; i++) {
		make_one(&one, i & 1 ? MG_WRITE : MG_READ, i % 4 ? MG_DENIED : MG_PASSED);
		mg_report(&one.event, shared_vm, describe, NULL);
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

	shared_vm = new_account(test);
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
	while (mg_account_counter(shared_vm, MG_COUNT_READS) +
	       mg_account_counter(shared_vm, MG_COUNT_WRITES) < NR_THREADS * PER_THREAD)
		schedule_timeout_uninterruptible(1);
	for (i = 0; i < NR_THREADS; i++)
		kthread_stop(threads[i]);

	KUNIT_EXPECT_EQ(test, mg_report_seq(), seq + reported);
	KUNIT_EXPECT_EQ(test, atomic_read(&netlink.nr_sent), reported);
	KUNIT_EXPECT_EQ(test, atomic_read(&netlink.twice), 0);
	KUNIT_EXPECT_EQ(test, bitmap_weight(netlink.seen, reported), reported);
	now = counts_of(NULL);
	KUNIT_EXPECT_EQ(test, now.n[MG_COUNT_DENIED] - host.n[MG_COUNT_DENIED], reported);
	KUNIT_EXPECT_EQ(test, mg_account_counter(shared_vm, MG_COUNT_DENIED), reported);
	KUNIT_EXPECT_EQ(test, mg_account_counter(shared_vm, MG_COUNT_READS),
			NR_THREADS * PER_THREAD / 2);
	KUNIT_EXPECT_EQ(test, mg_account_counter(shared_vm, MG_COUNT_WRITES),
			NR_THREADS * PER_THREAD / 2);
	bitmap_free(netlink.seen);
	netlink.seen = NULL;
	mg_account_close(shared_vm);
}

/* The first is told, the rest is gathered and told when the window is over, as of the first. */
static void alike_are_told_together(struct kunit *test)
{
	struct mg_account *vm = new_account(test);
	u64 seq = mg_report_seq(), pending = mg_report_pending();
	unsigned int i, described = 0;
	struct one one;

	KUNIT_ASSERT_EQ(test, mg_report_set_window(MG_REPORT_WINDOW_MAX), 0);
	netlink.answer = MG_SENT;
	for (i = 0; i < 10; i++) {
		make_one(&one, MG_WRITE, MG_DENIED);
		one.access.value = i;
		mg_report(&one.event, vm, describe, &described);
	}
	KUNIT_EXPECT_EQ(test, described, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&netlink.nr_sent), 1);
	KUNIT_EXPECT_EQ(test, netlink.count, 1);
	KUNIT_EXPECT_EQ(test, mg_report_seq(), seq + 1);
	KUNIT_EXPECT_EQ(test, mg_report_pending(), pending + 9);
	KUNIT_EXPECT_EQ(test, mg_account_pending(vm), 9);

	mg_account_tell(vm);
	mg_report_flush();
	KUNIT_EXPECT_EQ(test, atomic_read(&netlink.nr_sent), 2);
	KUNIT_EXPECT_EQ(test, netlink.count, 9);
	KUNIT_EXPECT_EQ(test, netlink.value, 1);
	KUNIT_EXPECT_EQ(test, netlink.vm_id, VM_ID);
	KUNIT_EXPECT_EQ(test, netlink.image, IMAGE_KIND);
	KUNIT_EXPECT_EQ(test, netlink.last_seq, seq + 10);
	KUNIT_EXPECT_EQ(test, mg_report_pending(), pending);

	/* Nothing came in this window: the next one is told at once again. */
	mg_account_tell(vm);
	mg_report_flush();
	KUNIT_EXPECT_EQ(test, atomic_read(&netlink.nr_sent), 2);
	make_one(&one, MG_WRITE, MG_DENIED);
	mg_report(&one.event, vm, describe, &described);
	KUNIT_EXPECT_EQ(test, described, 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&netlink.nr_sent), 3);
	mg_account_close(vm);
}

/* Nothing is changed by 0; what a later one changes, no earlier one did. */
#define NR_CHANGES	10

static void change(struct one *one, unsigned int nr)
{
	switch (nr) {
	case 1:
		one->access.index = 0x11;
		break;
	case 2:
		one->access.dir = MG_READ;
		break;
	case 3:
		one->event.pc = 1;
		break;
	case 4:
		one->verdict.outcome = MG_DROPPED;
		break;
	case 5:
		one->verdict.outcome = MG_AUDITED;
		break;
	case 6:
		one->verdict.would_be = MG_DROPPED;
		break;
	case 7:
		one->event.generation = 2;
		break;
	case 8:
		one->event.origin = MG_ORIGIN_EMULATOR;
		break;
	case 9:
		one->event.nested = true;
		break;
	}
}

/* Each thing that tells accesses apart makes an event of its own. */
static void different_are_told_apart(struct kunit *test)
{
	struct mg_account *vm = new_account(test);
	unsigned int i, described = 0;
	struct one one;

	KUNIT_ASSERT_EQ(test, mg_report_set_window(MG_REPORT_WINDOW_MAX), 0);
	for (i = 0; i < NR_CHANGES; i++) {
		make_one(&one, MG_WRITE, MG_DENIED);
		change(&one, i);
		mg_report(&one.event, vm, describe, &described);
		KUNIT_EXPECT_EQ_MSG(test, described, i + 1, "change %u", i);
	}
	mg_account_close(vm);
}

/* More different ones than an account holds are told as a number, and never a new event each. */
static void too_many_are_a_number(struct kunit *test)
{
	const unsigned int nr = 1000;
	struct mg_account *vm = new_account(test);
	u64 seq = mg_report_seq(), before = mg_account_counter(NULL, MG_COUNT_OVERFLOWED);
	unsigned int i, described = 0;
	struct one one;

	KUNIT_ASSERT_EQ(test, mg_report_set_window(MG_REPORT_WINDOW_MAX), 0);
	netlink.answer = MG_SENT;
	for (i = 0; i < nr; i++) {
		make_one(&one, MG_WRITE, MG_DENIED);
		one.event.pc = i;
		mg_report(&one.event, vm, describe, &described);
	}
	KUNIT_EXPECT_GT(test, described, 0);
	KUNIT_EXPECT_LT(test, described, nr / 2);
	KUNIT_EXPECT_EQ(test, mg_account_pending(vm), nr - described);
	mg_account_tell(vm);
	mg_report_flush();
	KUNIT_EXPECT_EQ(test, atomic64_read(&netlink.lost), nr - described);
	KUNIT_EXPECT_EQ(test, netlink.vm_id, VM_ID);
	KUNIT_EXPECT_EQ(test, mg_report_seq(), seq + nr);
	KUNIT_EXPECT_EQ(test, mg_account_counter(NULL, MG_COUNT_OVERFLOWED),
			before + nr - described);
	KUNIT_EXPECT_EQ(test, mg_account_counter(vm, MG_COUNT_OVERFLOWED), nr - described);
	KUNIT_EXPECT_EQ(test, atomic_read(&netlink.nr_sent), described + 1);

	/* All were idle: there is room again. */
	mg_account_tell(vm);
	mg_report_flush();
	one.event.pc = nr;
	mg_report(&one.event, vm, describe, &described);
	KUNIT_EXPECT_EQ(test, netlink.count, 1);
	mg_account_close(vm);
}

/* What is pending when an account is closed is told, and a lost event loses all it stands for. */
static void the_last_words_of_an_account(struct kunit *test)
{
	struct mg_account *vm = new_account(test);
	u64 seq = mg_report_seq(), lost = mg_report_accesses_lost();
	unsigned int i;
	struct one one;

	KUNIT_ASSERT_EQ(test, mg_report_set_window(MG_REPORT_WINDOW_MAX), 0);
	netlink.answer = MG_LOST;
	for (i = 0; i < 5; i++) {
		make_one(&one, MG_READ, MG_MASKED);
		mg_report(&one.event, vm, describe, NULL);
	}
	KUNIT_EXPECT_EQ(test, mg_report_accesses_lost(), lost + 1);
	mg_account_close(vm);
	mg_report_flush();
	KUNIT_EXPECT_EQ(test, mg_report_seq(), seq + 5);
	KUNIT_EXPECT_EQ(test, netlink.count, 4);
	KUNIT_EXPECT_EQ(test, mg_report_accesses_lost(), lost + 5);
}

/*
 * An access is pending until it has been delivered or counted as lost: whoever sees none pending
 * has all in the numbers that he reads next.
 */
static void pending_until_delivered(struct kunit *test)
{
	struct mg_account *vm = new_account(test);
	u64 pending = mg_report_pending();
	unsigned int i, described = 0;
	struct one one;

	KUNIT_ASSERT_EQ(test, mg_report_set_window(MG_REPORT_WINDOW_MAX), 0);
	for (i = 0; i < 5; i++) {
		make_one(&one, MG_WRITE, MG_DENIED);
		mg_report(&one.event, vm, describe, &described);
	}
	netlink.account = vm;
	mg_account_tell(vm);
	mg_report_flush();
	KUNIT_EXPECT_EQ(test, netlink.count, 4);
	KUNIT_EXPECT_EQ(test, netlink.host_pending, pending + 4);
	KUNIT_EXPECT_EQ(test, netlink.vm_pending, 4);
	KUNIT_EXPECT_EQ(test, mg_report_pending(), pending);
	KUNIT_EXPECT_EQ(test, mg_account_pending(vm), 0);
	netlink.account = NULL;

	/* The same for those that are only a number: fewer fit than come. */
	for (i = 0; i < 200; i++) {
		make_one(&one, MG_WRITE, MG_DENIED);
		one.event.pc = i + 1;
		mg_report(&one.event, vm, describe, &described);
	}
	netlink.account = vm;
	mg_account_tell(vm);
	mg_report_flush();
	KUNIT_EXPECT_GT(test, atomic64_read(&netlink.lost), 0);
	KUNIT_EXPECT_EQ(test, netlink.host_pending, pending + atomic64_read(&netlink.lost));
	KUNIT_EXPECT_EQ(test, netlink.vm_pending, atomic64_read(&netlink.lost));
	KUNIT_EXPECT_EQ(test, mg_report_pending(), pending);
	KUNIT_EXPECT_EQ(test, mg_account_pending(vm), 0);
	netlink.account = NULL;
	mg_account_close(vm);
}

/* Threads that report and a worker that tells, in each other's way: nothing is lost or told twice. */
static void nothing_is_lost_while_it_folds(struct kunit *test)
{
	struct task_struct *threads[NR_THREADS];
	u64 reported = NR_THREADS * PER_THREAD / 4 * 3, seq = mg_report_seq();
	unsigned int i;

	shared_vm = new_account(test);
	KUNIT_ASSERT_EQ(test, mg_report_set_window(1), 0);
	netlink.first_seq = seq + 1;
	netlink.seen = bitmap_zalloc(reported, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, netlink.seen);
	for (i = 0; i < NR_THREADS; i++) {
		threads[i] = kthread_create(report_thread, NULL, "mg-report/%u", i);
		KUNIT_ASSERT_FALSE(test, IS_ERR(threads[i]));
		kthread_bind(threads[i], cpumask_nth(i % num_online_cpus(), cpu_online_mask));
		wake_up_process(threads[i]);
	}
	while (mg_account_counter(shared_vm, MG_COUNT_READS) +
	       mg_account_counter(shared_vm, MG_COUNT_WRITES) < NR_THREADS * PER_THREAD) {
		mg_account_tell(shared_vm);
		schedule_timeout_uninterruptible(1);
	}
	for (i = 0; i < NR_THREADS; i++)
		kthread_stop(threads[i]);
	mg_account_close(shared_vm);
	mg_report_flush();

	KUNIT_EXPECT_EQ(test, mg_report_pending(), 0);
	KUNIT_EXPECT_EQ(test, mg_report_seq(), seq + reported);
	KUNIT_EXPECT_EQ(test, atomic_read(&netlink.twice), 0);
	KUNIT_EXPECT_EQ(test, bitmap_weight(netlink.seen, reported), reported);
	KUNIT_EXPECT_LT(test, atomic_read(&netlink.nr_sent), reported);
	bitmap_free(netlink.seen);
	netlink.seen = NULL;
}

static void the_window_has_a_limit(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, mg_report_set_window(5), 0);
	KUNIT_EXPECT_EQ(test, mg_report_set_window(MG_REPORT_WINDOW_MAX + 1), -ERANGE);
	KUNIT_EXPECT_EQ(test, mg_report_window(), 5);
}

static int report_test_init(struct kunit *test)
{
	memset(&netlink, 0, sizeof(netlink));
	return mg_report_set_window(0);
}

/* What is left of an account that was closed still goes by the played netlink. */
static void report_test_exit(struct kunit *test)
{
	mg_report_flush();
}

static const struct mg_report_source no_source;

static int report_suite_init(struct kunit_suite *suite)
{
	int err = mg_report_init();

	return err ? err : mg_report_register(&no_source);
}

static void report_suite_exit(struct kunit_suite *suite)
{
	mg_report_unregister();
	mg_report_exit();
}

static struct kunit_case report_cases[] = {
	KUNIT_CASE(each_outcome_counts_as_what_it_is),
	KUNIT_CASE(quiet_counts_and_says_nothing),
	KUNIT_CASE(unlocated_takes_a_number_only),
	KUNIT_CASE(delivery_is_counted),
	KUNIT_CASE(the_tracepoint_is_a_listener),
	KUNIT_CASE(nothing_is_lost_between_threads),
	KUNIT_CASE(alike_are_told_together),
	KUNIT_CASE(different_are_told_apart),
	KUNIT_CASE(too_many_are_a_number),
	KUNIT_CASE(the_last_words_of_an_account),
	KUNIT_CASE(pending_until_delivered),
	KUNIT_CASE(nothing_is_lost_while_it_folds),
	KUNIT_CASE(the_window_has_a_limit),
	{}
};

static struct kunit_suite report_suite = {
	.name = "msrguard-report",
	.suite_init = report_suite_init,
	.suite_exit = report_suite_exit,
	.init = report_test_init,
	.exit = report_test_exit,
	.test_cases = report_cases,
};

kunit_test_suites(&report_suite);
