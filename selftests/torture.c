// SPDX-License-Identifier: GPL-2.0
/*
 * Everything that can happen to the module, in random order, while guests use guarded MSRs as fast
 * as they can; after each step, all that must hold.
 *
 *	MSRGUARD_CYCLES	how many steps (default 200)
 *	MSRGUARD_SEED	what the random order is made from (default: from the clock; printed)
 *
 * Two vCPUs spin, each on one of a few MSRs, by a read or a write, some as guests of the guest. A
 * model says which of the MSRs are denied; every step changes the module, the model, or the host.
 * On failure the seed, the cycle and the step are printed.
 */
#include "kselftest_harness.h"
#include <fcntl.h>
#include <signal.h>
#include "lib/probe.h"
#include "lib/sharing.h"
#include "lib/tracing.h"

#define DEFAULT_CYCLES	200
#define FILLER_RULES	5000
#define TEXT_LEN	(256 * 1024)
#define NR_VCPUS	2
#define WAIT_MS		30000
#define CPU1_ONLINE	"/sys/devices/system/cpu/cpu1/online"

/*
 * Passed through on both vendors' CPUs, on one vendor's, on none; and of VMs with an in-kernel APIC
 * in x2APIC mode those that KVM handles on its fast path, and one that it passes through on VMX.
 * @stays: when the module goes it may still be intercepted, until KVM computes its bitmap anew.
 */
static const struct {
	uint32_t msr;
	uint64_t value;		/* what is written to it */
	bool stays;
} msrs[] = {
	{ .msr = MSR_KERNEL_GS_BASE, .value = KGS_B },
	{ .msr = MSR_SYSENTER_ESP, .value = KGS_B },
	{ .msr = MSR_CSTAR, .value = KGS_B },
	{ .msr = 0x17a, .value = KGS_B },
	/* Hours away. */
	{ .msr = MSR_TSC_DEADLINE, .value = KGS_B },
	/* An interrupt for an APIC that nobody has. */
	{ .msr = MSR_X2APIC(APIC_ICR), .value = 0x7full << 32 | 0x41 },
	{ .msr = MSR_X2APIC(APIC_TPR), .value = 0x10, .stays = true },
};
#define NR_MSRS		ARRAY_SIZE(msrs)
#define NR_PLAIN_MSRS	4

enum mode { OFF, AUDIT, ENFORCE };
static const char *const modes[] = { "off", "audit", "enforce" };

struct spinner {
	unsigned int msr;	/* index in msrs[] */
	int op;
	bool level2;
	bool runs;
	uint64_t faults_before;	/* of this spin, before the module was loaded */
};

struct torture {
	unsigned int cycles, cycle;
	unsigned int seed;
	uint32_t random;
	const char *step;
	struct vm *vm;
	bool have_apic;		/* that VM has one */
	bool begun;
	struct spinner spinners[NR_VCPUS];
	unsigned int spins[NR_MSRS][2];	/* how many there were, by level 2 */
	unsigned int tries[NR_MSRS];	/* and by VMs that were there for a moment */
	bool have_hotplug;
	bool stock_exits[NR_MSRS][2][2];	/* by MSR, write, level 2 */
	/* what is in force */
	bool loaded, direct;
	enum mode mode;
	bool denied[NR_MSRS];
	bool quiet, big;
	/* who else is there */
	unsigned int traced;
	struct mg_listener *listeners[2];
	struct {
		uint64_t vm_id, seq;
	} last[2][VM_MAX_VCPUS];	/* events by listener and vCPU */
	struct mg_trace *trace;
	/* what the guests saw since the load, and those of the VM there is */
	uint64_t faults, vm_faults;
	struct hook_line hooks[MAX_HOOKS];
	unsigned int nr_hooks;
	char text[TEXT_LEN];
};

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

static unsigned int pick(struct torture *t, unsigned int n)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 17;
	t->random ^= t->random << 5;
	return t->random % n;
}

static bool is_denied(const struct torture *t, unsigned int msr)
{
	return t->loaded && t->mode == ENFORCE && t->denied[msr];
}

/*
 * The policy that the model says, and on demand thousands of rules more, which the guests do not
 * feel but the bitmaps do.
 */
static char *policy_text(struct torture *t, char *text)
{
	size_t len = sprintf(text, MG_ALLOW_ALL);

	for (unsigned int i = 0; i < NR_MSRS; i++)
		if (t->denied[i])
			len += sprintf(text + len, "0x%x deny deny%s\n", msrs[i].msr,
				       t->quiet ? " quiet" : "");
	for (unsigned int i = 0; t->big && i < FILLER_RULES; i++)
		len += sprintf(text + len, "0x%x deny %s\n",
			       (i & 1 ? 0x1000 : 0xc0001000) + i / 2, i & 2 ? "deny" : "drop");
	return text;
}

static void spin(struct __test_metadata *_metadata, struct torture *t, unsigned int n)
{
	struct vcpu *vcpu = &t->vm->vcpus[n];
	struct spinner *s = &t->spinners[n];
	int nice = getpriority(PRIO_PROCESS, 0);

	if (s->msr < NR_PLAIN_MSRS)
		ASSERT_TRUE(vcpu_set_msr(vcpu, msrs[s->msr].msr, KGS_A));
	setpriority(PRIO_PROCESS, 0, 19);
	if (s->level2)
		l2_spin_start(vcpu, s->op, msrs[s->msr].msr, msrs[s->msr].value);
	else
		guest_spin_start(vcpu, s->op, msrs[s->msr].msr, msrs[s->msr].value);
	setpriority(PRIO_PROCESS, 0, nice);
	s->faults_before = 0;
	s->runs = true;
}

static unsigned int nr_msrs(bool have_apic)
{
	return have_apic ? NR_MSRS : NR_PLAIN_MSRS;
}

/*
 * The first is a guest of a guest. VMs with an APIC have none: a rule for the task priority that comes
 * while L2 runs may reach L1's bitmap late, see limits.rst.
 */
static void choose_and_spin(struct __test_metadata *_metadata, struct torture *t, unsigned int n)
{
	struct spinner *s = &t->spinners[n];

	s->msr = pick(t, nr_msrs(t->have_apic));
	s->op = pick(t, 2) ? OP_WRMSR : OP_RDMSR;
	s->level2 = !pick(t, 3) || !t->begun;
	t->begun = true;
	if (t->have_apic)
		s->level2 = false;
	t->spins[s->msr][s->level2]++;
	spin(_metadata, t, n);
}

/* Ends a spin and adds what it saw to the sums. */
static void stop(struct __test_metadata *_metadata, struct torture *t, unsigned int n)
{
	struct vcpu *vcpu = &t->vm->vcpus[n];
	struct spinner *s = &t->spinners[n];
	struct access_result r;

	if (!s->runs)
		return;
	r = guest_spin_stop(vcpu);
	s->runs = false;
	if (r.vector) {
		ASSERT_EQ(VECTOR_GP, r.vector);
		ASSERT_EQ(0, r.error);
		ASSERT_EQ(r.insn_rip, r.fault_rip);
	}
	if (s->level2)
		ASSERT_EQ(l2_exit_of_call(), r.l2_exit);
	t->faults += spin_faults(vcpu) - s->faults_before;
	t->vm_faults += spin_faults(vcpu) - s->faults_before;
}

static void stop_all(struct __test_metadata *_metadata, struct torture *t)
{
	for (unsigned int n = 0; t->vm && n < NR_VCPUS; n++)
		stop(_metadata, t, n);
}

static struct vm *new_vm(unsigned int nr_vcpus, bool have_apic)
{
	struct vm *vm = vm_create(nr_vcpus, have_apic ? VM_IRQCHIP : 0);

	for (unsigned int n = 0; have_apic && n < nr_vcpus; n++)
		vcpu_apic_deadline(&vm->vcpus[n]);
	return vm;
}

/* With an APIC and without in turn. */
static void vm_up(struct __test_metadata *_metadata, struct torture *t)
{
	t->have_apic = !t->have_apic;
	t->vm = new_vm(NR_VCPUS, t->have_apic);
	t->vm_faults = 0;
	for (unsigned int n = 0; n < NR_VCPUS; n++)
		choose_and_spin(_metadata, t, n);
}

static void vm_down(struct __test_metadata *_metadata, struct torture *t)
{
	stop_all(_metadata, t);
	vm_free(t->vm);
	t->vm = NULL;
}

/*
 * Something was committed just now: from the next access on but one (which may have been under
 * way), each vCPU gets what the model says.
 */
static void settle(struct __test_metadata *_metadata, struct torture *t)
{
	uint64_t ok[NR_VCPUS], faults[NR_VCPUS];

	for (unsigned int n = 0; n < NR_VCPUS; n++) {
		ok[n] = spin_ok(&t->vm->vcpus[n]);
		faults[n] = spin_faults(&t->vm->vcpus[n]);
	}
	for (unsigned int n = 0; n < NR_VCPUS; n++) {
		struct vcpu *vcpu = &t->vm->vcpus[n];
		const struct spinner *s = &t->spinners[n];
		bool denied = is_denied(t, s->msr);

		if (denied) {
			ASSERT_TRUE(spin_wait_faults(vcpu, 10, WAIT_MS));
			ASSERT_LE(spin_ok(vcpu), ok[n] + 1) {
				TH_LOG("vCPU %u: MSR 0x%x op %d level2 %d is not denied", n,
				       msrs[s->msr].msr, s->op, s->level2);
			}
		} else {
			ASSERT_TRUE(spin_wait_ok(vcpu, 10, WAIT_MS));
			ASSERT_LE(spin_faults(vcpu), faults[n] + 1) {
				TH_LOG("vCPU %u: MSR 0x%x op %d level2 %d is denied", n,
				       msrs[s->msr].msr, s->op, s->level2);
			}
		}
	}
}

static void commit(struct __test_metadata *_metadata, struct torture *t)
{
	ASSERT_EQ(0, mg_load_policy(policy_text(t, t->text))) {
		TH_LOG("%s", mg_last_error());
	}
	if (t->vm)
		settle(_metadata, t);
}

/* Exits a loop of accesses makes; by hardware alone it is nearly none. */
static bool exits_always(struct vcpu *vcpu, unsigned int msr, int op, bool level2)
{
	const unsigned int rounds = 200;
	struct bench_result r;

	r = level2 ? l2_bench(vcpu, op, msrs[msr].msr, msrs[msr].value, rounds) :
		     guest_bench(vcpu, op, msrs[msr].msr, msrs[msr].value, rounds);
	return r.exits >= rounds;
}

/* What stock KVM makes of each MSR. */
static void learn_stock(struct __test_metadata *_metadata, struct torture *t)
{
	struct vm *vm = new_vm(1, true);

	ASSERT_FALSE(mg_loaded());
	for (unsigned int i = 0; i < NR_MSRS * 4; i++) {
		unsigned int msr = i / 4;
		bool write = i & 2, level2 = i & 1, plain = msr < NR_PLAIN_MSRS;
		struct vcpu *vcpu = plain ? &t->vm->vcpus[0] : &vm->vcpus[0];

		if (level2 && !plain)
			continue;
		if (plain)
			ASSERT_TRUE(vcpu_set_msr(vcpu, msrs[msr].msr, KGS_A));
		t->stock_exits[msr][write][level2] =
			exits_always(vcpu, msr, write ? OP_WRMSR : OP_RDMSR, level2);
	}
	ASSERT_FALSE(t->stock_exits[0][0][0]);
	ASSERT_FALSE(t->stock_exits[0][1][0]);
	ASSERT_TRUE(t->stock_exits[NR_PLAIN_MSRS - 1][0][0]);
	vm_free(vm);
}

/* KVM is as it was before the module came, for the guests that were there. */
static void expect_stock(struct __test_metadata *_metadata, struct torture *t)
{
	for (unsigned int n = 0; n < NR_VCPUS; n++) {
		struct spinner *s = &t->spinners[n];
		bool exits;

		stop(_metadata, t, n);
		exits = exits_always(&t->vm->vcpus[n], s->msr, s->op, s->level2);
		if (!exits || !msrs[s->msr].stays) {
			ASSERT_EQ(t->stock_exits[s->msr][s->op == OP_WRMSR][s->level2], exits) {
				TH_LOG("vCPU %u: MSR 0x%x op %d level2 %d", n, msrs[s->msr].msr,
				       s->op, s->level2);
			}
		}
		ASSERT_EQ(0, spin_faults(&t->vm->vcpus[n]));
		spin(_metadata, t, n);
	}
}

static void expect_hooks(struct __test_metadata *_metadata, struct torture *t)
{
	unsigned int nr = host_hooks(t->hooks);

	ASSERT_EQ(t->nr_hooks, nr);
	for (unsigned int i = 0; i < nr; i++) {
		const struct hook_line *hook = &t->hooks[i];
		bool decides = host_hook_decides(hook);

		ASSERT_STREQ(!decides ? "observer" : t->direct ? "direct" : "callback",
			     hook->mechanism);
		ASSERT_STREQ(decides && t->direct && t->traced ? "shared" : "attached",
			     hook->state) {
			TH_LOG("%s", hook->function);
		}
	}
}

/* Events of one vCPU come in order, and tell of what the guests can have done. */
static void expect_events(struct __test_metadata *_metadata, struct torture *t)
{
	struct mg_event event;

	for (unsigned int i = 0; i < 2; i++) {
		while (t->listeners[i] && mg_next_event(t->listeners[i], &event, 0)) {
			ASSERT_EQ((uint32_t)getpid(), event.vm_pid);
			ASSERT_GT(VM_MAX_VCPUS, event.vcpu);
			if (event.vm_id == t->last[i][event.vcpu].vm_id)
				ASSERT_LT(t->last[i][event.vcpu].seq, event.seq);
			t->last[i][event.vcpu].vm_id = event.vm_id;
			t->last[i][event.vcpu].seq = event.seq;
			ASSERT_TRUE(event.verdict == MSRGUARD_VERDICT_DENIED ||
				    event.verdict == MSRGUARD_VERDICT_AUDITED);
			ASSERT_EQ(event.rule_first, event.msr);
			ASSERT_EQ(0, event.strange);
		}
	}
}

/* With the guests at rest: each fault that they saw is a denial, and the other way round. */
static void expect_sums(struct __test_metadata *_metadata, struct torture *t)
{
	struct mg_vm_line line;
	struct mg_stats s;

	stop_all(_metadata, t);
	s = mg_stats();
	ASSERT_EQ(t->faults, s.denied);
	ASSERT_EQ(s.denied + s.audited, s.reads + s.writes);
	ASSERT_LE(s.sequence, s.denied + s.audited);
	ASSERT_LE(s.events_sent + s.events_lost, s.sequence);
	ASSERT_EQ(0, s.dropped + s.masked);
	ASSERT_EQ(1, mg_vms_of(getpid(), &line, 1));
	ASSERT_EQ(NR_VCPUS, line.vcpus);
	ASSERT_EQ(t->vm_faults, line.denied);
	for (unsigned int n = 0; n < NR_VCPUS; n++)
		spin(_metadata, t, n);
}

static void expect_all(struct __test_metadata *_metadata, struct torture *t)
{
	expect_hooks(_metadata, t);
	expect_sums(_metadata, t);
	settle(_metadata, t);
	expect_events(_metadata, t);
}

static void randomise(struct torture *t)
{
	for (unsigned int i = 0; i < NR_MSRS; i++)
		t->denied[i] = pick(t, 2);
	t->quiet = pick(t, 2);
	t->big = !pick(t, 3);
}

static void drop_listeners(struct torture *t)
{
	for (unsigned int i = 0; i < 2; i++) {
		mg_listener_free(t->listeners[i]);
		t->listeners[i] = NULL;
	}
}

static void load(struct __test_metadata *_metadata, struct torture *t)
{
	char params[32];

	t->direct = pick(t, 3);
	t->mode = pick(t, 3);
	snprintf(params, sizeof(params), "direct=%d mode=%s", t->direct, modes[t->mode]);
	ASSERT_EQ(0, mg_insmod(params));
	t->loaded = true;
	t->faults = 0;
	t->vm_faults = 0;
	memset(t->last, 0, sizeof(t->last));
	memset(t->denied, 0, sizeof(t->denied));
	for (unsigned int n = 0; n < NR_VCPUS; n++)
		t->spinners[n].faults_before = spin_faults(&t->vm->vcpus[n]);
	settle(_metadata, t);
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
	{ "listener", step_listener },
	{ "listener", step_listener },
	{ "tracepoint", step_tracepoint },
	{ "tracer", step_tracer },
	{ "cpu", step_cpu },
	{ "vms", step_vms },
	{ "vms", step_vms },
	{ "vendor", step_vendor },
	{ "reload", step_reload },
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

/* How often each step was done and each MSR used; none that this host can do was left out. */
static void expect_all_was_done(struct __test_metadata *_metadata, struct torture *t,
				const unsigned int *done)
{
	/* With fewer cycles than a round has, most of it was not. */
	bool whole = t->cycles >= NR_STEPS;
	unsigned int level2 = 0;

	for (unsigned int i = 0, times = 0; i < NR_STEPS; i++) {
		times += done[i];
		if (i + 1 < NR_STEPS && !strcmp(steps[i].name, steps[i + 1].name))
			continue;
		TH_LOG("step %s: %u times", steps[i].name, times);
		if (whole && (steps[i].run != step_cpu || t->have_hotplug))
			ASSERT_LT(0, times);
		times = 0;
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
	unsigned int order[NR_STEPS], done[NR_STEPS] = { 0 };

	TH_LOG("seed %u, %u cycles, CPU hotplug %s", t->seed, t->cycles,
	       t->have_hotplug ? "too" : "missing");
	for (t->cycle = 0; t->cycle < t->cycles; t->cycle++) {
		unsigned int at = t->cycle % NR_STEPS;

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
		done[order[at]]++;
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
