/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The torture test's model: which MSRs are denied now, the guests that use them as fast as they
 * can, and what must hold whatever was done to the module. The steps are in torture.c. Include after
 * kselftest_harness.h.
 */
#ifndef MG_SELFTEST_TORTURE_H
#define MG_SELFTEST_TORTURE_H

#include "probe.h"
#include "sharing.h"
#include "tracing.h"

#define FILLER_RULES	5000
#define TEXT_LEN	(256 * 1024)
#define NR_VCPUS	2
#define WAIT_MS		30000

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

#endif /* MG_SELFTEST_TORTURE_H */
