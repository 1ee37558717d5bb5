// SPDX-License-Identifier: GPL-2.0
/*
 * Accesses that are alike are told together, those of a VM that makes too many different ones as
 * a number; and whatever happens, every access is told once: the sum of what a listener was told
 * and of what it knows it lost is what sysfs counts.
 */
#include <pthread.h>

#include "kselftest_harness.h"
#include "lib/host.h"
#include "lib/row.h"

/* Long enough for a test to do its accesses within one, also on a slow host. */
#define WINDOW_MS	1500
/* What an account holds (kmod/report/account.c). */
#define NR_FOLDS	64

/* How many accesses each of two guests makes; MSRGUARD_STORM overrides it. */
#define STORM		200000ull

FIXTURE(folding) {
	struct bench_table table;
};

FIXTURE_SETUP(folding)
{
	table_up(_metadata, &self->table, 3, 0);
	ASSERT_EQ(0, mg_set_window(WINDOW_MS));
}

FIXTURE_TEARDOWN(folding)
{
	mg_set_window(0);
	table_down(&self->table);
}

/* Nothing is to come any more; false if that takes far longer than a window. */
static bool all_told(void)
{
	for (unsigned int i = 0; i < 100 * host_patience(); i++) {
		if (!mg_stats().pending)
			return true;
		usleep(100000);
	}
	return false;
}

/* The first at once with all that is known of it, the rest in one event, numbered without a gap. */
TEST_F(folding, alike_are_told_together)
{
	const unsigned int times = 40;
	struct mg_stats start = mg_stats(), d;
	struct mg_event first, rest;
	struct mg_vm_line line;

	use_policy(_metadata, "0xc0000102 allow deny");
	ASSERT_TRUE(vcpu_set_msr(self->table.vcpu, MSR_KERNEL_GS_BASE, KGS_A));
	for (unsigned int i = 0; i < times; i++)
		ASSERT_EQ(VECTOR_GP, guest_wrmsr(self->table.vcpu, MSR_KERNEL_GS_BASE, i).vector);
	ASSERT_TRUE(mg_next_event(self->table.listener, &first, 2000));
	EXPECT_EQ(1, first.count);
	EXPECT_EQ(start.sequence + 1, first.seq);
	EXPECT_EQ(0, first.value);
	EXPECT_TRUE(first.has_old);
	EXPECT_EQ(KGS_A, first.old);

	ASSERT_TRUE(mg_next_event(self->table.listener, &rest, 4 * WINDOW_MS * host_patience()));
	ASSERT_TRUE(all_told());
	/* On a slow host the window may end among them. */
	while (rest.seq < start.sequence + times) {
		struct mg_event more;

		ASSERT_TRUE(mg_next_event(self->table.listener, &more, 2000));
		EXPECT_EQ(rest.seq + more.count, more.seq);
		rest.seq = more.seq;
		rest.count += more.count;
	}
	EXPECT_EQ(times - 1, rest.count);
	EXPECT_EQ(start.sequence + times, rest.seq);
	EXPECT_EQ(1, rest.value);
	EXPECT_FALSE(rest.has_old);
	EXPECT_LE(first.time, rest.time);
	EXPECT_EQ(first.vm_id, rest.vm_id);
	EXPECT_EQ(first.vm_pid, rest.vm_pid);
	EXPECT_EQ(first.msr, rest.msr);
	EXPECT_EQ(first.pc, rest.pc);
	EXPECT_EQ(first.direction, rest.direction);
	EXPECT_EQ(first.verdict, rest.verdict);
	EXPECT_EQ(first.rule_first, rest.rule_first);
	EXPECT_EQ(first.generation, rest.generation);
	EXPECT_EQ(0, rest.strange);

	d = mg_stats_since(&start);
	EXPECT_EQ(times, d.denied);
	EXPECT_EQ(times, d.sequence);
	EXPECT_EQ(0, d.overflowed);
	EXPECT_EQ(0, d.lost);
	ASSERT_EQ(1, mg_vms_of(getpid(), &line, 1));
	EXPECT_EQ(times, line.denied);
}

/* What tells accesses apart keeps them apart: MSR, direction, place, verdict, policy. */
TEST_F(folding, different_are_told_apart)
{
	struct vcpu *vcpu = self->table.vcpu;
	struct mg_event event;

	use_policy(_metadata, "0xc0000102 deny deny\n0xc0000083 deny drop");
	guest_wrmsr(vcpu, MSR_KERNEL_GS_BASE, 1);
	guest_rdmsr(vcpu, MSR_KERNEL_GS_BASE);
	guest_wrmsr(vcpu, MSR_CSTAR, 1);
	/* Another instruction that does the same. */
	if (fep_enable() && fep_works(vcpu))
		guest_wrmsr_fep(vcpu, MSR_KERNEL_GS_BASE, 1);
	else
		guest_rdmsr(vcpu, MSR_CSTAR);
	ASSERT_EQ(0, mg_set_mode("audit"));
	guest_wrmsr(vcpu, MSR_KERNEL_GS_BASE, KGS_A);
	ASSERT_EQ(0, mg_add_rule("0xc0000084 deny deny"));
	guest_wrmsr(vcpu, MSR_KERNEL_GS_BASE, KGS_A);
	for (unsigned int i = 0; i < 6; i++) {
		ASSERT_TRUE(mg_next_event(self->table.listener, &event, 2000));
		EXPECT_EQ(1, event.count);
		EXPECT_EQ(0, event.strange);
	}
	EXPECT_FALSE(mg_next_event(self->table.listener, &event, 0));
	EXPECT_EQ(0, mg_stats().pending);
}

/* vCPUs of one VM share a fold, VMs do not. */
TEST_F(folding, vms_apart)
{
	struct mg_stats start = mg_stats();
	struct vm *other = vm_create(1, 0);
	struct mg_vm_line lines[2];
	uint64_t counts[2] = { 0 };
	struct mg_event event;
	unsigned int mine;

	use_policy(_metadata, "0xc0000102 allow deny");
	for (unsigned int i = 0; i < 5; i++) {
		for (unsigned int n = 0; n < self->table.vm->nr_vcpus; n++)
			guest_wrmsr(&self->table.vm->vcpus[n], MSR_KERNEL_GS_BASE, i);
		guest_wrmsr(&other->vcpus[0], MSR_KERNEL_GS_BASE, i);
	}
	ASSERT_TRUE(all_told());
	ASSERT_EQ(2, mg_vms_of(getpid(), lines, 2));
	mine = lines[1].vcpus == self->table.vm->nr_vcpus;
	while (mg_next_event(self->table.listener, &event, 100)) {
		ASSERT_TRUE(event.vm_id == lines[0].id || event.vm_id == lines[1].id);
		counts[event.vm_id != lines[mine].id] += event.count;
	}
	EXPECT_EQ(5 * self->table.vm->nr_vcpus, counts[0]);
	EXPECT_EQ(5, counts[1]);
	EXPECT_EQ(5 * (self->table.vm->nr_vcpus + 1), mg_stats_since(&start).sequence);
	vm_free(other);
}

/* More different accesses than an account holds: those beyond are a number, and nobody else's. */
TEST_F(folding, too_many_are_a_number)
{
	const unsigned int nr = NR_FOLDS + 100;
	uint64_t told = 0, lost = 0, first_seq = mg_stats().sequence, last_seq = 0;
	struct mg_stats start = mg_stats(), d;
	struct vm *other = vm_create(1, 0);
	struct mg_vm_line lines[2];
	struct mg_event event;
	bool heard_other = false;
	uint64_t id;

	use_policy(_metadata, "0x2000-0x3fff deny deny\n0xc0000102 allow deny");
	for (unsigned int i = 0; i < nr; i++)
		ASSERT_EQ(VECTOR_GP, guest_rdmsr(self->table.vcpu, 0x2000 + i).vector);
	/* The other VM's event is not in the way of it. */
	guest_wrmsr(&other->vcpus[0], MSR_KERNEL_GS_BASE, 1);
	ASSERT_EQ(2, mg_vms_of(getpid(), lines, 2));
	id = lines[lines[1].reads > lines[0].reads].id;
	ASSERT_TRUE(all_told());
	while (mg_next_event(self->table.listener, &event, 100)) {
		EXPECT_EQ(0, event.strange);
		last_seq = event.seq > last_seq ? event.seq : last_seq;
		EXPECT_EQ((uint32_t)getpid(), event.vm_pid);
		if (event.vm_id != id) {
			EXPECT_FALSE(event.lost);
			heard_other = true;
		} else if (event.lost) {
			lost += event.count;
		} else {
			told += event.count;
		}
	}
	EXPECT_TRUE(heard_other);
	EXPECT_EQ(nr, told + lost);
	EXPECT_LE(NR_FOLDS, told);
	EXPECT_LT(0, lost);
	EXPECT_EQ(first_seq + nr + 1, last_seq);
	d = mg_stats_since(&start);
	EXPECT_EQ(lost, d.overflowed);
	EXPECT_EQ(nr + 1, d.denied);
	EXPECT_EQ(nr + 1, d.sequence);
	EXPECT_EQ(0, d.lost);
	vm_free(other);
}

/* What a VM leaves untold when it is destroyed is told then, under its own number. */
TEST_F(folding, the_last_words_of_a_vm)
{
	struct vm *vm = vm_create(1, 0);
	struct mg_stats start = mg_stats();
	struct mg_event event;
	uint64_t id;

	ASSERT_EQ(0, mg_set_window(60000));
	use_policy(_metadata, "0xc0000102 allow deny");
	for (unsigned int i = 0; i < 7; i++)
		guest_wrmsr(&vm->vcpus[0], MSR_KERNEL_GS_BASE, 1);
	ASSERT_TRUE(mg_next_event(self->table.listener, &event, 2000));
	EXPECT_EQ(6, mg_stats().pending);
	id = event.vm_id;
	vm_free(vm);
	ASSERT_TRUE(mg_next_event(self->table.listener, &event, 20000 * host_patience()));
	EXPECT_EQ(6, event.count);
	EXPECT_EQ(id, event.vm_id);
	EXPECT_EQ(7, mg_stats_since(&start).sequence);
	EXPECT_EQ(0, mg_stats().pending);
}

/* The same at unload: listeners get what is pending before the family goes. */
TEST_F(folding, the_last_words_of_the_module)
{
	struct mg_event event;
	uint64_t told = 0;

	ASSERT_EQ(0, mg_set_window(60000));
	use_policy(_metadata, "0xc0000102 allow deny");
	for (unsigned int i = 0; i < 7; i++)
		guest_wrmsr(self->table.vcpu, MSR_KERNEL_GS_BASE, 1);
	mg_trace_free(self->table.trace);
	self->table.trace = NULL;
	ASSERT_EQ(0, mg_rmmod());
	while (told < 7 && mg_next_event(self->table.listener, &event, 2000))
		told += event.count;
	EXPECT_EQ(7, told);
}

/*
 * Unload while guests are denied all the time, with windows so short that work to tell what is
 * pending is queued at any moment of it.
 */
TEST_F_TIMEOUT(folding, unload_in_a_storm, 240)
{
	static const unsigned int windows[] = { 1, 3, 10, 40 };
	struct vm *vms[4];

	mg_trace_free(self->table.trace);
	self->table.trace = NULL;
	for (unsigned int i = 0; i < ARRAY_SIZE(vms); i++)
		vms[i] = vm_create(1, 0);
	for (unsigned int round = 0; round < 2 * ARRAY_SIZE(windows); round++) {
		use_policy(_metadata, "0xc0000102 allow deny");
		ASSERT_EQ(0, mg_set_window(windows[round % ARRAY_SIZE(windows)]));
		for (unsigned int i = 0; i < ARRAY_SIZE(vms); i++)
			guest_spin_start(&vms[i]->vcpus[0], OP_WRMSR, MSR_KERNEL_GS_BASE, 1);
		for (unsigned int i = 0; i < ARRAY_SIZE(vms); i++)
			ASSERT_TRUE(spin_wait_faults(&vms[i]->vcpus[0], 50, 20000 * host_patience()));
		mg_drain(self->table.listener);
		ASSERT_EQ(0, mg_rmmod());
		for (unsigned int i = 0; i < ARRAY_SIZE(vms); i++)
			guest_spin_stop(&vms[i]->vcpus[0]);
		mg_listener_free(self->table.listener);
		ASSERT_EQ(0, mg_insmod_as_it_comes(""));
		self->table.listener = mg_listen();
		ASSERT_NE(NULL, self->table.listener);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(vms); i++)
		vm_free(vms[i]);
}

/* The window is a number of milliseconds, and no other text changes it. */
TEST_F(folding, window_file)
{
	static const char *const bad[] = { "", "-1", "60001", "1s", "0x10000000000", "4294967297" };
	char text[32];

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_GT(0, mg_write_file("events/window", bad[i], strlen(bad[i]) ?: 1));
	ASSERT_LT(0, mg_read_file("events/window", text, sizeof(text)));
	EXPECT_EQ(WINDOW_MS, atoi(text));
	EXPECT_EQ(0, mg_set_window(60000));
	EXPECT_EQ(0, mg_set_window(0));
}

/* A module that nobody has told otherwise gathers for a second. */
TEST_F(folding, default_window)
{
	char text[32];

	mg_trace_free(self->table.trace);
	self->table.trace = NULL;
	ASSERT_EQ(0, mg_rmmod());
	ASSERT_EQ(0, mg_insmod_as_it_comes(""));
	ASSERT_LT(0, mg_read_file("events/window", text, sizeof(text)));
	EXPECT_EQ(1000, atoi(text));
}

struct storm {
	struct vm *vm;
	uint32_t msr;
	uint64_t nr;
	struct bench_result result;
};

static void *storm_thread(void *arg)
{
	struct storm *storm = arg;

	storm->result = guest_bench(&storm->vm->vcpus[0], OP_WRMSR, storm->msr, 1, storm->nr);
	return NULL;
}

struct reader {
	struct mg_listener *listener;
	volatile bool stop;
	uint64_t told, lost;
	unsigned int events;
};

static void *reader_thread(void *arg)
{
	struct reader *reader = arg;
	struct mg_event event;

	while (!reader->stop) {
		while (mg_next_event(reader->listener, &event, 50)) {
			reader->events++;
			if (event.lost)
				reader->lost += event.count;
			else
				reader->told += event.count;
		}
	}
	return NULL;
}

/* The kernel's unreclaimable slab memory, in kilobytes: where events and accounts would pile up. */
static long slab_kb(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	long kb = -1;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "SUnreclaim: %ld kB", &kb) == 1)
			break;
	if (file)
		fclose(file);
	return kb;
}

/*
 * Two guests that do nothing but denied accesses, a listener that reads and one that does not:
 * to the last one, what the first was told is what was denied; memory stays what it was.
 */
TEST_F_TIMEOUT(folding, storm_is_counted_to_the_last, 1200)
{
	const char *wanted = getenv("MSRGUARD_STORM");
	uint64_t nr = wanted && *wanted ? strtoull(wanted, NULL, 0) : STORM / host_patience();
	struct storm storms[2] = {
		{ .vm = self->table.vm, .msr = MSR_KERNEL_GS_BASE, .nr = nr },
		{ .vm = vm_create(1, 0), .msr = MSR_CSTAR, .nr = nr },
	};
	struct mg_listener *stalled = mg_listen();
	struct reader reader = { .listener = self->table.listener };
	struct mg_stats start, d;
	uint64_t stalled_told = 0;
	long before, after;
	pthread_t threads[3];
	struct mg_event event;

	ASSERT_NE(NULL, stalled);
	ASSERT_EQ(0, mg_trace_enable(self->table.trace, false));
	ASSERT_EQ(0, mg_set_window(200));
	use_policy(_metadata, "0xc0000102 allow deny\n0xc0000083 allow deny");
	start = mg_stats();
	before = slab_kb();
	ASSERT_EQ(0, pthread_create(&threads[2], NULL, reader_thread, &reader));
	for (unsigned int i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, storm_thread, &storms[i]));
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	ASSERT_TRUE(all_told());
	after = slab_kb();
	usleep(300000);
	reader.stop = true;
	pthread_join(threads[2], NULL);

	d = mg_stats_since(&start);
	EXPECT_EQ(nr, storms[0].result.faults);
	EXPECT_EQ(nr, storms[1].result.faults);
	EXPECT_EQ(2 * nr, d.denied);
	EXPECT_EQ(2 * nr, d.sequence);
	EXPECT_EQ(2 * nr, reader.told + reader.lost);
	EXPECT_EQ(0, reader.lost);
	EXPECT_EQ(reader.events, d.events_sent);
	/* Some events a second tell of it all. */
	EXPECT_GT(nr / 100 + 100, reader.events);
	EXPECT_GT(4096, after - before);
	/* The one that slept finds as much as its buffer took. */
	while (mg_next_event(stalled, &event, 100))
		stalled_told += event.count;
	EXPECT_GE(2 * nr, stalled_told);
	TH_LOG("%lu denials in %u events; the one that slept was told of %lu; slab %+ld kB", 2 * nr,
	       reader.events, stalled_told, after - before);
	mg_listener_free(stalled);
	vm_free(storms[1].vm);
}

TEST_HARNESS_MAIN
