// SPDX-License-Identifier: GPL-2.0
/*
 * Everything that can happen to the module, in random order, while guests use guarded MSRs as fast
 * as they can; after each step, all that must hold.
 *
 *	MSRGUARD_CYCLES	how many steps (default 200)
 *	MSRGUARD_SEED	what the random order is made from (default: from the clock; printed)
 *
 * Two vCPUs spin, each on one of a few MSRs, by a read or a write, some as guests of the guest. A
 * model (lib/torture.h) says which of the MSRs are denied; every step changes the module, the model,
 * or the host. On failure the seed, the cycle and the step are printed.
 */
#include "kselftest_harness.h"
#include <fcntl.h>
#include <signal.h>
#include "lib/torture.h"

#define DEFAULT_CYCLES	200
#define CPU1_ONLINE	"/sys/devices/system/cpu/cpu1/online"

FIXTURE(torture) {
	struct torture all;
};

static const struct torture *running;

/* Every way in which a test ends early comes here. */
static void say_where(int signal)
{
	char text[128];
	int n;

	(void)signal;
	n = snprintf(text, sizeof(text), "# seed %u, cycle %u of %u, step %s\n", running->seed,
		     running->cycle, running->cycles, running->step);
	if (write(STDOUT_FILENO, text, n) < 0)
		_exit(1);
}

/* The steps. */

static void step_policy(struct __test_metadata *_metadata, struct torture *t)
{
	randomise(t);
	commit(_metadata, t);
}

static void step_rule(struct __test_metadata *_metadata, struct torture *t)
{
	unsigned int i = t->spinners[pick(t, NR_VCPUS)].msr;
	char line[64];

	for (unsigned int n = 0; n < 2; n++) {
		t->denied[i] = !t->denied[i];
		if (t->denied[i]) {
			snprintf(line, sizeof(line), "0x%x deny deny\n", msrs[i].msr);
			ASSERT_EQ(0, mg_add_rule(line));
		} else {
			snprintf(line, sizeof(line), "0x%x\n", msrs[i].msr);
			ASSERT_EQ(0, mg_remove_rule(line));
		}
		settle(_metadata, t);
	}
}

static void step_mode(struct __test_metadata *_metadata, struct torture *t)
{
	for (unsigned int n = 0; n < 3; n++) {
		t->mode = (t->mode + 1 + pick(t, 2)) % 3;
		ASSERT_EQ(0, mg_set_mode(modes[t->mode]));
		settle(_metadata, t);
	}
}

static void step_spin_otherwise(struct __test_metadata *_metadata, struct torture *t)
{
	unsigned int n = pick(t, NR_VCPUS);

	stop(_metadata, t, n);
	choose_and_spin(_metadata, t, n);
}

static void step_listener(struct __test_metadata *_metadata, struct torture *t)
{
	unsigned int i = pick(t, 2);

	expect_events(_metadata, t);
	if (t->listeners[i]) {
		mg_listener_free(t->listeners[i]);
		t->listeners[i] = NULL;
		return;
	}
	t->listeners[i] = mg_listen();
	ASSERT_NE(NULL, t->listeners[i]);
}

static void step_tracepoint(struct __test_metadata *_metadata, struct torture *t)
{
	if (t->trace) {
		mg_trace_free(t->trace);
		t->trace = NULL;
		return;
	}
	t->trace = mg_trace_open();
	ASSERT_NE(NULL, t->trace);
	ASSERT_EQ(0, mg_trace_enable(t->trace, true));
}

static void step_tracer(struct __test_metadata *_metadata, struct torture *t)
{
	static const unsigned int kinds[] = {
		TRACE_FUNCTION, TRACE_GRAPH, TRACE_KPROBE, TRACE_KRETPROBE,
		TRACE_FUNCTION | TRACE_KPROBE, TRACE_GRAPH | TRACE_KRETPROBE,
	};

	if (t->traced) {
		ASSERT_EQ(0, tracing_stop());
		t->traced = 0;
		return;
	}
	t->traced = kinds[pick(t, ARRAY_SIZE(kinds))];
	ASSERT_EQ(0, tracing_start(t->hooks, t->nr_hooks, t->traced));
}

static void step_cpu(struct __test_metadata *_metadata, struct torture *t)
{
	ASSERT_EQ(0, host_write(CPU1_ONLINE, "0"));
	settle(_metadata, t);
	randomise(t);
	commit(_metadata, t);
	ASSERT_EQ(0, host_write(CPU1_ONLINE, "1"));
}

struct swapper {
	char *texts[2];
	volatile bool stop;
	unsigned int swaps;
	int err;
};

static void *swap(void *data)
{
	struct swapper *s = data;

	while (!s->err && !s->stop) {
		const char *text = s->texts[s->swaps++ & 1];

		s->err = mg_write_file("policy/load", text, strlen(text)) ?:
			 mg_write_file("policy/commit", "1\n", 2);
	}
	return NULL;
}

/* VMs come and go while two policies of thousands of rules, alike for the guests, are swapped. */
static void step_vms(struct __test_metadata *_metadata, struct torture *t)
{
	struct swapper swapper = { .texts = { malloc(TEXT_LEN), malloc(TEXT_LEN) } };
	pthread_t thread;

	ASSERT_TRUE(swapper.texts[0] && swapper.texts[1]);
	randomise(t);
	t->big = true;
	policy_text(t, swapper.texts[0]);
	t->quiet = !t->quiet;
	strcat(policy_text(t, swapper.texts[1]), "0xc0000f00-0xc0000fff drop deny\n");
	commit(_metadata, t);
	ASSERT_EQ(0, pthread_create(&thread, NULL, swap, &swapper));
	for (unsigned int i = 0; i < 3; i++) {
		struct vm *vm = new_vm(1 + pick(t, 2), i & 1);

		for (unsigned int m = 0; m < nr_msrs(i & 1); m++) {
			struct vcpu *vcpu = &vm->vcpus[pick(t, vm->nr_vcpus)];
			int vector = guest_wrmsr(vcpu, msrs[m].msr, msrs[m].value).vector;

			ASSERT_EQ(is_denied(t, m) ? VECTOR_GP : 0, vector) {
				TH_LOG("VM %u, MSR 0x%x", i, msrs[m].msr);
			}
			t->faults += !!vector;
			t->tries[m]++;
		}
		vm_free(vm);
	}
	swapper.stop = true;
	pthread_join(thread, NULL);
	ASSERT_EQ(0, swapper.err);
	ASSERT_NE(0, swapper.swaps);
	free(swapper.texts[0]);
	free(swapper.texts[1]);
	settle(_metadata, t);
}

static void step_reload(struct __test_metadata *_metadata, struct torture *t)
{
	expect_sums(_metadata, t);
	if (t->trace)
		step_tracepoint(_metadata, t);
	if (pick(t, 2))
		drop_listeners(t);
	ASSERT_EQ(0, mg_rmmod());
	t->loaded = false;
	settle(_metadata, t);
	drop_listeners(t);
	expect_stock(_metadata, t);
	load(_metadata, t);
	expect_hooks(_metadata, t);
	step_policy(_metadata, t);
}

static void step_vendor(struct __test_metadata *_metadata, struct torture *t)
{
	vm_down(_metadata, t);
	ASSERT_EQ(t->faults, mg_stats().denied);
	ASSERT_EQ(0, host_rmmod(host_vendor()));
	randomise(t);
	commit(_metadata, t);
	expect_hooks(_metadata, t);
	ASSERT_TRUE(host_modprobe_vendor());
	vm_up(_metadata, t);
	settle(_metadata, t);
}

static const struct {
	const char *name;
	void (*run)(struct __test_metadata *_metadata, struct torture *t);
} steps[] = {
	/* As often as it stands here, in each round. */
	{ "policy", step_policy },
	{ "policy", step_policy },
	{ "rule", step_rule },
	{ "rule", step_rule },
	{ "rule", step_rule },
	{ "mode", step_mode },
	{ "mode", step_mode },
	{ "spin-otherwise", step_spin_otherwise },
	{ "spin-otherwise", step_spin_otherwise },
	{ "spin-otherwise", step_spin_otherwise },
	{ "spin-otherwise", step_spin_otherwise },
	{ "listener", step_listener },
	{ "listener", step_listener },
	{ "tracepoint", step_tracepoint },
	{ "tracer", step_tracer },
	{ "cpu", step_cpu },
	{ "vms", step_vms },
	{ "vms", step_vms },
	{ "vendor", step_vendor },
	{ "reload", step_reload },
};
#define NR_STEPS	ARRAY_SIZE(steps)

static unsigned int from_environment(const char *name, unsigned int otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 0) : otherwise;
}

/* Why CPU 1 of this host cannot be taken away; NULL if it can. */
static const char *hotplug_missing(void)
{
	if (access(CPU1_ONLINE, W_OK))
		return "this host has no CPU that can be taken offline";
	if (host_write(CPU1_ONLINE, "0"))
		return "this host's CPU 1 cannot be taken offline";
	if (host_write(CPU1_ONLINE, "1"))
		return "this host's CPU 1 does not come back";
	return NULL;
}

FIXTURE_SETUP(torture)
{
	struct torture *t = &self->all;

	running = t;
	t->step = "set-up";
	t->cycles = from_environment("MSRGUARD_CYCLES", DEFAULT_CYCLES);
	t->seed = from_environment("MSRGUARD_SEED", now_ms() * 2654435761u);
	t->random = t->seed ?: 1;
	signal(SIGABRT, say_where);
	if (mg_loaded())
		ASSERT_EQ(0, mg_rmmod());
	t->have_hotplug = !hotplug_missing();
	t->vm = vm_create(NR_VCPUS, 0);
	if (!nested_works(t->vm)) {
		/* The vendor module takes its parameter back where the CPU cannot. */
		ASSERT_FALSE(probe_vendor_param("nested"));
		SKIP(return, NESTED_MISSING);
	}
	learn_stock(_metadata, t);
	for (unsigned int n = 0; n < NR_VCPUS; n++)
		choose_and_spin(_metadata, t, n);
	load(_metadata, t);
	t->nr_hooks = host_hooks(t->hooks);
	ASSERT_LE(10, t->nr_hooks);
}

FIXTURE_TEARDOWN(torture)
{
	struct torture *t = &self->all;

	if (!access(CPU1_ONLINE, F_OK))
		host_write(CPU1_ONLINE, "1");
	tracing_stop();
	drop_listeners(t);
	mg_trace_free(t->trace);
	vm_free(t->vm);
	if (mg_loaded())
		mg_rmmod();
	if (access("/dev/kvm", F_OK))
		host_modprobe_vendor();
}

struct doing {
	unsigned int times;
	uint64_t ms;
};

/* How often each step was done and each MSR used; none that this host can do was left out. */
static void expect_all_was_done(struct __test_metadata *_metadata, struct torture *t,
				const struct doing *done)
{
	/* With fewer cycles than a round has, most of it was not. */
	bool whole = t->cycles >= NR_STEPS;
	struct doing sum = { 0 };
	unsigned int level2 = 0;

	for (unsigned int i = 0; i < NR_STEPS; i++) {
		sum.times += done[i].times;
		sum.ms += done[i].ms;
		if (i + 1 < NR_STEPS && !strcmp(steps[i].name, steps[i + 1].name))
			continue;
		TH_LOG("step %s: %u times, %lu ms", steps[i].name, sum.times, sum.ms);
		if (whole && (steps[i].run != step_cpu || t->have_hotplug))
			ASSERT_LT(0, sum.times);
		sum = (struct doing){ 0 };
	}
	for (unsigned int i = 0; i < NR_MSRS; i++) {
		TH_LOG("MSR %#x: %u spins, %u of L2, %u accesses of VMs that went again",
		       msrs[i].msr, t->spins[i][0] + t->spins[i][1], t->spins[i][1], t->tries[i]);
		level2 += t->spins[i][1];
		if (whole)
			ASSERT_LT(0, t->tries[i]);
	}
	ASSERT_LT(0, level2);
}

TEST_F_TIMEOUT(torture, all_at_once, 0)
{
	struct torture *t = &self->all;
	struct doing done[NR_STEPS] = { 0 };
	unsigned int order[NR_STEPS];

	TH_LOG("seed %u, %u cycles, CPU hotplug %s", t->seed, t->cycles,
	       t->have_hotplug ? "too" : "missing");
	for (t->cycle = 0; t->cycle < t->cycles; t->cycle++) {
		unsigned int at = t->cycle % NR_STEPS;
		uint64_t begin = now_ms();

		/* Each round has every step, in an order of its own. */
		for (unsigned int i = 0; !at && i < NR_STEPS; i++) {
			unsigned int j = pick(t, i + 1);

			order[i] = order[j];
			order[j] = i;
		}
		if (steps[order[at]].run == step_cpu && !t->have_hotplug)
			continue;
		t->step = steps[order[at]].name;
		steps[order[at]].run(_metadata, t);
		expect_all(_metadata, t);
		done[order[at]].times++;
		done[order[at]].ms += now_ms() - begin;
	}
	t->step = "end";
	stop_all(_metadata, t);
	ASSERT_EQ(t->faults, mg_stats().denied);
	ASSERT_EQ(0, mg_rmmod());
	expect_all_was_done(_metadata, t, done);
}

/* The part of it that a host may lack. */
TEST_F_TIMEOUT(torture, cpu_goes_and_comes, 300)
{
	const char *missing = hotplug_missing();
	struct torture *t = &self->all;

	if (missing)
		SKIP(return, "%s", missing);
	t->mode = ENFORCE;
	ASSERT_EQ(0, mg_set_mode("enforce"));
	for (unsigned int i = 0; i < 3; i++) {
		t->step = "cpu";
		step_cpu(_metadata, t);
		expect_all(_metadata, t);
	}
}

TEST_HARNESS_MAIN
