// SPDX-License-Identifier: GPL-2.0
/*
 * KVM's fast path: writes of TSC_DEADLINE and of the x2APIC's ICR that it handles with interrupts
 * off, past its own filter and past the functions that other writes go through. What a rule says
 * holds there as well; what no rule speaks of stays fast.
 */
#include "kselftest_harness.h"
#include "lib/host.h"
#include "lib/probe.h"
#include "lib/row.h"

#define MSR_X2APIC_ICR		MSR_X2APIC(APIC_ICR)
#define VECTOR_A		0x41
#define VECTOR_B		0x42

/* An hour away, so that the timer does not fire and clear them; KVM counts in ns, in 64 bits. */
#define DEADLINE_A		(1ull << 42)
#define DEADLINE_B		(3ull << 41 | 0x1235)

static const struct way by_exit = { .access = guest_access, .origin = MSRGUARD_ORIGIN_EXIT };

static struct hook_line hook_for(const char *purpose)
{
	struct hook_line hooks[MAX_HOOKS];
	unsigned int nr = host_hooks(hooks);

	for (unsigned int i = 0; i < nr; i++)
		if (!strcmp(hooks[i].purpose, purpose))
			return hooks[i];
	printf("# no hook is for %s\n", purpose);
	abort();
}

static uint64_t calls_of(const char *purpose)
{
	return hook_for(purpose).calls;
}

FIXTURE(fastpath) {
	struct bench_table table;
	struct vm *vm;
	struct vcpu *vcpu;
};

/* Fixed delivery of a vector to APIC 1, by its number; its vCPU never runs to take it. */
#define SEND(vector)		(1ull << 32 | (vector))

FIXTURE_VARIANT(fastpath) {
	uint32_t msr;
	uint64_t before, value;
};

FIXTURE_VARIANT_ADD(fastpath, tsc_deadline) {
	.msr = MSR_TSC_DEADLINE, .before = DEADLINE_A, .value = DEADLINE_B,
};

FIXTURE_VARIANT_ADD(fastpath, x2apic_icr) {
	.msr = MSR_X2APIC_ICR, .before = SEND(VECTOR_A), .value = SEND(VECTOR_B),
};

/*
 * Why KVM takes no fast path here, or NULL if nothing is known to be in its way. What the hooked
 * function is called says which KVM this is.
 */
static const char *whats_missing(uint32_t msr)
{
	if (!probe_is_intel() && !probe_vendor_param("nrips"))
		return "NRIP save";
	if (msr == MSR_TSC_DEADLINE &&
	    strcmp(hook_for("fastpath-write").function, "handle_fastpath_wrmsr") &&
	    !(probe_is_intel() && probe_vendor_param("preemption_timer")))
		return "VMX preemption timer, which this kernel wants for it";
	return NULL;
}

/* How many of @n writes came to KVM's function for those that are not fast. */
static uint64_t slow_writes(struct vcpu *vcpu, uint32_t msr, uint64_t value, unsigned int n)
{
	uint64_t calls = calls_of("exit-write");

	for (unsigned int i = 0; i < n; i++)
		if (guest_wrmsr(vcpu, msr, value).vector)
			return n;
	return calls_of("exit-write") - calls;
}

#define NO_FASTPATH	"KVM takes no fast path for MSR %#x here: no %s"

/* Everything ready, two vCPUs; false if KVM takes no fast path and it is known why. */
static bool fastpath_up(struct __test_metadata *_metadata, struct bench_table *table, uint32_t msr,
			uint64_t value)
{
	uint64_t slow;

	table_up(_metadata, table, 2, VM_IRQCHIP);
	vcpu_apic_deadline(&table->vm->vcpus[0]);
	vcpu_apic_deadline(&table->vm->vcpus[1]);
	slow = slow_writes(table->vcpu, msr, value, 10);
	if (slow && whats_missing(msr))
		return false;
	/* Else it must, or this program tests nothing. */
	EXPECT_EQ(0, slow);
	return true;
}

FIXTURE_SETUP(fastpath)
{
	bool taken = fastpath_up(_metadata, &self->table, variant->msr, variant->value);

	self->vm = self->table.vm;
	self->vcpu = self->table.vcpu;
	if (!taken)
		SKIP(return, NO_FASTPATH, variant->msr, whats_missing(variant->msr));
}

FIXTURE_TEARDOWN(fastpath)
{
	table_down(&self->table);
}

static void policy_for(char *policy, uint32_t msr, const char *actions)
{
	snprintf(policy, 64, "%#x %s", msr, actions);
}

/* Without a rule, and with one for reads or for another MSR, it is as fast as on stock KVM. */
TEST_F(fastpath, taken_where_no_rule_speaks)
{
	static const char *const actions[] = { "allow allow", "deny allow" };
	uint64_t fast, exits;
	char policy[64];

	for (unsigned int i = 0; i < ARRAY_SIZE(actions) + 1; i++) {
		if (i < ARRAY_SIZE(actions))
			policy_for(policy, variant->msr, actions[i]);
		else
			policy_for(policy, MSR_KERNEL_GS_BASE, "deny deny");
		use_policy(_metadata, policy);
		fast = calls_of("fastpath-write");
		exits = vcpu_exits(self->vcpu);
		EXPECT_EQ(0, slow_writes(self->vcpu, variant->msr, variant->value, 100)) {
			TH_LOG("%s", policy);
		}
		EXPECT_EQ(100, calls_of("fastpath-write") - fast);
		/* Each is an exit nonetheless, and the payload's "done" another. */
		EXPECT_LE(200, vcpu_exits(self->vcpu) - exits);
	}
}

static void check_actions(struct __test_metadata *_metadata, struct bench_table *table,
			  uint32_t msr, uint64_t before, uint64_t value)
{
	const struct {
		const char *actions;
		struct row row;
	} cases[] = {
		{ "allow deny", {
			.vector = VECTOR_GP, .result = before,
			.verdict = MSRGUARD_VERDICT_DENIED } },
		{ "allow drop", { .result = before, .verdict = MSRGUARD_VERDICT_DROPPED } },
		{ "allow mask=0x1,keep", {
			.result = (before & ~1ull) | (value & 1),
			.verdict = MSRGUARD_VERDICT_MASKED } },
		{ "allow mask=~0x8000000000000000,keep", { .result = value } },
		{ "allow deny audit", {
			.result = value, .verdict = MSRGUARD_VERDICT_AUDITED,
			.would_be = MSRGUARD_VERDICT_DENIED } },
		{ "allow mask=0,keep audit", {
			.result = value, .verdict = MSRGUARD_VERDICT_AUDITED,
			.would_be = MSRGUARD_VERDICT_MASKED } },
		{ "allow deny quiet", {
			.vector = VECTOR_GP, .result = before, .quiet = true,
			.verdict = MSRGUARD_VERDICT_DENIED } },
	};
	char policy[64];

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		struct row row = cases[i].row;

		policy_for(policy, msr, cases[i].actions);
		row.policy = policy;
		row.op = OP_WRMSR;
		row.msr = msr;
		row.before = before;
		row.value = value;
		row.counted = true;
		if (row.verdict && !row.quiet)
			row.rule_first = msr;
		check_row(_metadata, table, &row, &by_exit);
		if (!__test_passed(_metadata)) {
			TH_LOG("under \"%s\"", policy);
			return;
		}
	}
}

TEST_F(fastpath, every_action)
{
	check_actions(_metadata, &self->table, variant->msr, variant->before, variant->value);
}

TEST_F(fastpath, default_deny)
{
	uint64_t now;

	ASSERT_TRUE(vcpu_set_msr(self->vcpu, variant->msr, variant->before));
	use_policy(_metadata, "default deny deny");
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(self->vcpu, variant->msr, variant->value).vector);
	ASSERT_TRUE(vcpu_get_msr(self->vcpu, variant->msr, &now));
	EXPECT_EQ(variant->before, now);
}

/*
 * KVM's own filter does not reach the fast path, whatever it says. (For x2APIC MSRs KVM takes
 * no filter at all.) The policy does, and no exit to userspace undoes it.
 */
TEST_F(fastpath, kvms_filter_does_not_hold_ours_does)
{
	uint64_t now;

	vm_userspace_msr(self->vm, KVM_MSR_EXIT_REASON_FILTER);
	vm_filter_one(self->vm, variant->msr, true, false);
	ASSERT_TRUE(vcpu_set_msr(self->vcpu, variant->msr, variant->before));
	EXPECT_EQ(0, guest_wrmsr(self->vcpu, variant->msr, variant->value).vector);
	ASSERT_TRUE(vcpu_get_msr(self->vcpu, variant->msr, &now));
	EXPECT_EQ(variant->value, now);
	EXPECT_EQ(0, self->vcpu->msr_exits);

	ASSERT_TRUE(vcpu_set_msr(self->vcpu, variant->msr, variant->before));
	if (variant->msr == MSR_TSC_DEADLINE)
		use_policy(_metadata, "0x6e0 allow deny");
	else
		use_policy(_metadata, "0x830 allow deny");
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(self->vcpu, variant->msr, variant->value).vector);
	ASSERT_TRUE(vcpu_get_msr(self->vcpu, variant->msr, &now));
	EXPECT_EQ(variant->before, now);
	EXPECT_EQ(0, self->vcpu->msr_exits);
}

TEST_F(fastpath, published_while_it_spins)
{
	struct vcpu *vcpu = self->vcpu;
	char policy[64];
	uint64_t ok;

	policy_for(policy, variant->msr, "allow deny quiet");
	guest_spin_start(vcpu, OP_WRMSR, variant->msr, variant->value);
	for (unsigned int i = 0; i < 3; i++) {
		ASSERT_TRUE(spin_wait_ok(vcpu, 100, 10000));
		use_policy(_metadata, policy);
		ok = spin_ok(vcpu);
		ASSERT_TRUE(spin_wait_faults(vcpu, 100, 10000));
		EXPECT_LE(spin_ok(vcpu), ok + 1);
		ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
	}
	ASSERT_TRUE(spin_wait_ok(vcpu, 100, 10000));
	guest_spin_stop(vcpu);
	EXPECT_EQ(0, slow_writes(vcpu, variant->msr, variant->value, 10));
}

static bool is_pending(struct vcpu *vcpu, unsigned int vector)
{
	return vcpu_apic_read(vcpu, APIC_IRR + vector / 32 * 0x10) & 1u << vector % 32;
}

/* What the ICR is for: an interrupt whose sending is denied or dropped is not sent. */
FIXTURE(interrupt) {
	struct bench_table table;
};

FIXTURE_SETUP(interrupt)
{
	if (!fastpath_up(_metadata, &self->table, MSR_X2APIC_ICR, SEND(VECTOR_B)))
		SKIP(return, NO_FASTPATH, MSR_X2APIC_ICR, whats_missing(MSR_X2APIC_ICR));
}

FIXTURE_TEARDOWN(interrupt)
{
	table_down(&self->table);
}

TEST_F(interrupt, sent_or_not)
{
	static const struct {
		const char *policy;
		int vector;
		bool sent;
	} writes[] = {
		{ "0x830 allow deny", VECTOR_GP, false },
		{ "0x830 allow drop", 0, false },
		{ "0x830 allow deny audit", 0, true },
		{ MG_ALLOW_ALL, 0, true },
	};
	struct vcpu *vcpu = self->table.vcpu;
	struct vcpu *target = &self->table.vm->vcpus[1];

	/* The set-up has sent some already. */
	EXPECT_TRUE(is_pending(target, VECTOR_B));
	for (unsigned int i = 0; i < ARRAY_SIZE(writes); i++) {
		use_policy(_metadata, writes[i].policy);
		vcpu_apic_write(target, APIC_IRR + VECTOR_B / 32 * 0x10, 0);
		ASSERT_FALSE(is_pending(target, VECTOR_B));
		EXPECT_EQ(writes[i].vector,
			  guest_wrmsr(vcpu, MSR_X2APIC_ICR, SEND(VECTOR_B)).vector) {
			TH_LOG("%s", writes[i].policy);
		}
		EXPECT_EQ(writes[i].sent, is_pending(target, VECTOR_B)) {
			TH_LOG("%s", writes[i].policy);
		}
	}
}

TEST_HARNESS_MAIN
