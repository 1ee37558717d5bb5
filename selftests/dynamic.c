// SPDX-License-Identifier: GPL-2.0
/*
 * MSRs that KVM begins to pass through while the guest runs: after its first write, when it
 * enables last-branch recording, when its APIC goes into x2APIC mode. A rule must hold whether it
 * was there before or came later.
 */
#include "kselftest_harness.h"
#include "lib/probe.h"
#include "lib/row.h"

#define MSR_SPEC_CTRL		0x48
#define MSR_PRED_CMD		0x49
#define MSR_DEBUGCTL		0x1d9
#define MSR_LAST_BRANCH_FROM	0x1db
#define MSR_LAST_BRANCH_TO	0x1dc
#define DEBUGCTL_LBR		1

static bool has_spec_ctrl(struct vcpu *vcpu)
{
	return vcpu_cpuid(vcpu, 7, 0, 3) & (1u << 26 | 1u << 27 | 1u << 31) ||
	       vcpu_cpuid(vcpu, 0x80000008, 0, 1) & (1u << 14 | 1u << 15 | 1u << 24);
}

static bool has_pred_cmd(struct vcpu *vcpu)
{
	return vcpu_cpuid(vcpu, 7, 0, 3) & 1u << 26 ||
	       vcpu_cpuid(vcpu, 0x80000008, 0, 1) & 1u << 12;
}

static bool has_lbr(struct vcpu *vcpu)
{
	(void)vcpu;
	return !probe_is_intel() && probe_vendor_param("lbrv");
}

static bool has_virtual_x2apic(struct vcpu *vcpu)
{
	(void)vcpu;
	return probe_is_intel() || probe_vendor_param("avic");
}

static void open_by_writing(struct __test_metadata *_metadata, struct vcpu *vcpu, uint32_t msr,
			    uint64_t value)
{
	ASSERT_EQ(0, guest_wrmsr(vcpu, msr, value).vector);
}

static void open_by_lbr(struct __test_metadata *_metadata, struct vcpu *vcpu, uint32_t msr,
			uint64_t value)
{
	(void)msr;
	(void)value;
	ASSERT_EQ(0, guest_wrmsr(vcpu, MSR_DEBUGCTL, DEBUGCTL_LBR).vector);
}

static void open_by_x2apic(struct __test_metadata *_metadata, struct vcpu *vcpu, uint32_t msr,
			   uint64_t value)
{
	(void)_metadata;
	(void)msr;
	(void)value;
	vcpu_apic_x2(vcpu);
}

FIXTURE(dynamic) {
	struct bench_table table;
	struct vcpu *vcpu;
};

/**
 * FIXTURE_VARIANT(dynamic)
 * @has:     whether the guest may have it
 * @missing: what is missing else
 * @open:    makes KVM pass it through
 * @value:   what is written to it
 * @stays:   the intercept may stay when the rule goes, because KVM does not compute it anew
 * @kvm_refuses: KVM knows of it only as passed through, and faults where it intercepts
 * @may_not_open: KVM may still intercept it, for want of hardware that no parameter tells of
 */
FIXTURE_VARIANT(dynamic) {
	uint32_t msr;
	int op;
	uint64_t value;
	bool (*has)(struct vcpu *vcpu);
	const char *missing;
	void (*open)(struct __test_metadata *_metadata, struct vcpu *vcpu, uint32_t msr,
		     uint64_t value);
	bool stays, may_not_open, kvm_refuses;
};

#define SPEC_CTRL .msr = MSR_SPEC_CTRL, .value = 1, .has = has_spec_ctrl, \
	.missing = "SPEC_CTRL (CPUID: IBRS, STIBP or SSBD)", .open = open_by_writing
#define LBR .has = has_lbr, .missing = "LBR virtualisation (parameter lbrv of kvm_amd)", \
	.open = open_by_lbr, .stays = true
#define X2APIC .has = has_virtual_x2apic, .open = open_by_x2apic, .stays = true, \
	.missing = "virtualised x2APIC mode", .may_not_open = true

FIXTURE_VARIANT_ADD(dynamic, spec_ctrl_write) { .op = OP_WRMSR, SPEC_CTRL };
/* Reads were seen to go on exiting on VMX (ibt-6.12) until the next rule for writes, too. */
FIXTURE_VARIANT_ADD(dynamic, spec_ctrl_read) { .op = OP_RDMSR, SPEC_CTRL, .stays = true };
FIXTURE_VARIANT_ADD(dynamic, pred_cmd) {
	.op = OP_WRMSR, .msr = MSR_PRED_CMD, .value = 1, .has = has_pred_cmd,
	.missing = "PRED_CMD (CPUID: IBPB)", .open = open_by_writing,
};
FIXTURE_VARIANT_ADD(dynamic, lbr_from) { .op = OP_RDMSR, .msr = MSR_LAST_BRANCH_FROM, LBR };
FIXTURE_VARIANT_ADD(dynamic, lbr_to) { .op = OP_RDMSR, .msr = MSR_LAST_BRANCH_TO, LBR };
FIXTURE_VARIANT_ADD(dynamic, lbr_from_write) {
	.op = OP_WRMSR, .msr = MSR_LAST_BRANCH_FROM, LBR, .kvm_refuses = true,
};
FIXTURE_VARIANT_ADD(dynamic, x2apic_tpr_write) {
	.op = OP_WRMSR, .msr = MSR_X2APIC(APIC_TPR), .value = 0x10, X2APIC,
};
FIXTURE_VARIANT_ADD(dynamic, x2apic_tpr_read) {
	.op = OP_RDMSR, .msr = MSR_X2APIC(APIC_TPR), .value = 0x10, X2APIC,
};

FIXTURE_SETUP(dynamic)
{
	table_up(_metadata, &self->table, 1, VM_IRQCHIP);
	self->vcpu = self->table.vcpu;
	if (!variant->has(self->vcpu))
		SKIP(return, "no %s here", variant->missing);
	if (variant->may_not_open) {
		struct vm *vm = vm_create(1, VM_IRQCHIP);
		double exits;

		variant->open(_metadata, &vm->vcpus[0], variant->msr, variant->value);
		exits = probe_exits(&vm->vcpus[0], variant->op, variant->msr, variant->value);
		vm_free(vm);
		if (exits > PROBE_INTERCEPTED)
			SKIP(return, "KVM passes no MSR %#x through here: no %s", variant->msr,
			     variant->missing);
	}
}

FIXTURE_TEARDOWN(dynamic)
{
	table_down(&self->table);
}

static void use_rule(struct __test_metadata *_metadata, uint32_t msr, const char *actions)
{
	char policy[64];

	snprintf(policy, sizeof(policy), "%#x %s", msr, actions);
	use_policy(_metadata, policy);
}

/* The rule is there while KVM makes up its mind; it lets the opening write pass and sees it. */
TEST_F(dynamic, rule_before)
{
	struct mg_stats start;

	use_rule(_metadata, variant->msr, "deny deny audit quiet");
	variant->open(_metadata, self->vcpu, variant->msr, variant->value);
	EXPECT_LT(PROBE_INTERCEPTED,
		  probe_exits(self->vcpu, variant->op, variant->msr, variant->value));
	start = mg_stats();
	EXPECT_EQ(variant->kvm_refuses ? VECTOR_GP : 0,
		  guest_access(self->vcpu, variant->op, variant->msr, variant->value).vector);
	EXPECT_EQ(1, mg_stats_since(&start).audited);
	use_rule(_metadata, variant->msr, "deny deny");
	EXPECT_EQ(VECTOR_GP,
		  guest_access(self->vcpu, variant->op, variant->msr, variant->value).vector);
}

TEST_F(dynamic, rule_after)
{
	struct vcpu *vcpu = self->vcpu;
	struct mg_event event;

	variant->open(_metadata, vcpu, variant->msr, variant->value);
	EXPECT_GT(PROBE_PASSED_THROUGH,
		  probe_exits(vcpu, variant->op, variant->msr, variant->value));
	for (unsigned int i = 0; i < 2; i++) {
		use_rule(_metadata, variant->msr, "deny deny");
		EXPECT_EQ(VECTOR_GP, guest_access(vcpu, variant->op, variant->msr,
						  variant->value).vector);
		ASSERT_TRUE(mg_next_event(self->table.listener, &event, 2000));
		EXPECT_EQ(variant->msr, event.msr);
		EXPECT_EQ(MSRGUARD_VERDICT_DENIED, event.verdict);

		ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
		if (!variant->kvm_refuses || !variant->stays)
			EXPECT_EQ(0, guest_access(vcpu, variant->op, variant->msr,
						  variant->value).vector);
		if (!variant->stays)
			EXPECT_GT(PROBE_PASSED_THROUGH,
				  probe_exits(vcpu, variant->op, variant->msr, variant->value));
	}
}

TEST_F(dynamic, rule_while_it_spins)
{
	struct vcpu *vcpu = self->vcpu;
	uint64_t ok;

	variant->open(_metadata, vcpu, variant->msr, variant->value);
	guest_spin_start(vcpu, variant->op, variant->msr, variant->value);
	ASSERT_TRUE(spin_wait_ok(vcpu, 1000, 10000));
	EXPECT_EQ(0, spin_faults(vcpu));
	use_rule(_metadata, variant->msr, "deny deny quiet");
	ok = spin_ok(vcpu);
	EXPECT_TRUE(spin_wait_faults(vcpu, 100, 10000));
	EXPECT_LE(spin_ok(vcpu), ok + 1);
	ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
	if (!variant->kvm_refuses)
		EXPECT_TRUE(spin_wait_ok(vcpu, 100, 10000));
	guest_spin_stop(vcpu);
}

TEST_HARNESS_MAIN
