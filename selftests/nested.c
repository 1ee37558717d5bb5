// SPDX-License-Identifier: GPL-2.0
/*
 * The same rows by a guest of the guest (L2), whose own hypervisor (L1) lets it do everything.
 * Under SVM or VMX, whichever the CPU has.
 *
 * An MSR that the hardware's bitmap does not cover always exits to L1, whose business it then
 * is: no rule speaks. That too is checked.
 */
#include "kselftest_harness.h"
#include "lib/nested.h"
#include "lib/probe.h"
#include "lib/row.h"

static const struct way by_l2 = {
	.access = l2_access,
	.origin = MSRGUARD_ORIGIN_EXIT,
	.nested = true,
};

static struct access_result l2_access_fep(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value)
{
	return l2_access(vcpu, op == OP_WRMSR ? OP_WRMSR_FEP : OP_RDMSR_FEP, msr, value);
}

static const struct way by_l2_emulated = {
	.access = l2_access_fep,
	.origin = MSRGUARD_ORIGIN_EMULATOR,
	.nested = true,
};

FIXTURE(row) {
	struct bench_table table;
};

FIXTURE_VARIANT(row) {
	struct row row;
};

#include "lib/rows.h"

FIXTURE_SETUP(row)
{
	table_up(_metadata, &self->table, 1, 0);
	if (!nested_works(self->table.vm))
		SKIP(return, NESTED_MISSING);
}

FIXTURE_TEARDOWN(row)
{
	table_down(&self->table);
}

/* An access that exits to L1 concerns nobody else. */
static void check_is_l1s(struct __test_metadata *_metadata, struct bench_table *table,
			 const struct row *row, const struct way *way)
{
	struct mg_stats start, d;
	struct access_result r;
	struct mg_event event;

	prepare_row(_metadata, row, table->vcpu);
	start = mg_stats();
	r = way->access(table->vcpu, row->op, row->msr, row->value);
	EXPECT_EQ(l2_exit_of_msr(row->op), r.l2_exit);
	d = mg_stats_since(&start);
	EXPECT_EQ(0, d.reads + d.writes + d.sequence);
	EXPECT_FALSE(mg_next_event(table->listener, &event, 50));
}

TEST_F(row, nested)
{
	if (l2_bitmap_covers(variant->row.msr))
		check_row(_metadata, &self->table, &variant->row, &by_l2);
	else
		check_is_l1s(_metadata, &self->table, &variant->row, &by_l2);
}

TEST_F(row, nested_and_intercepted_by_l1)
{
	l2_set_intercept_all(self->table.vcpu, true);
	check_is_l1s(_metadata, &self->table, &variant->row, &by_l2);
}

/* Under VMX KVM's emulator takes neither instruction of an L2: #UD, whatever the policy says. */
static void check_is_refused(struct __test_metadata *_metadata, struct bench_table *table,
			     const struct row *row)
{
	struct mg_stats start, d;
	struct access_result r;
	struct mg_event event;
	uint64_t now;

	prepare_row(_metadata, row, table->vcpu);
	start = mg_stats();
	r = l2_access_fep(table->vcpu, row->op, row->msr, row->value);
	EXPECT_EQ(VECTOR_UD, r.vector);
	EXPECT_EQ(r.insn_rip, r.fault_rip);
	EXPECT_TRUE(r.regs_intact);
	EXPECT_EQ(l2_exit_of_call(), r.l2_exit);
	if (!row->unknown_to_kvm) {
		ASSERT_TRUE(vcpu_get_msr(table->vcpu, row->msr, &now));
		EXPECT_EQ(row->before, now);
	}
	d = mg_stats_since(&start);
	EXPECT_EQ(0, d.reads + d.writes + d.sequence);
	EXPECT_FALSE(mg_next_event(table->listener, &event, 50));
}

TEST_F(row, nested_and_emulated)
{
	if (!fep_enable() || !fep_works(self->table.vcpu))
		SKIP(return, "KVM's forced-emulation prefix is not to be had");
	if (nested_is_vmx())
		check_is_refused(_metadata, &self->table, &variant->row);
	else if (l2_bitmap_covers(variant->row.msr))
		check_row(_metadata, &self->table, &variant->row, &by_l2_emulated);
	else
		check_is_l1s(_metadata, &self->table, &variant->row, &by_l2_emulated);
}

/*
 * L2 writes what KVM handles on its fast path when L1 does. The APIC that it reaches so is L1's, where
 * L1 does not intercept.
 */
FIXTURE(l2_apic) {
	struct bench_table table;
};

FIXTURE_VARIANT(l2_apic) {
	struct row row;
};

/* An hour away; and interrupts for an APIC that nobody has. */
#define WRITE_DEADLINE	.op = OP_WRMSR, .msr = MSR_TSC_DEADLINE, .before = 1ull << 42, \
			.value = 3ull << 41 | 0x1235
#define WRITE_ICR	.op = OP_WRMSR, .msr = MSR_X2APIC(APIC_ICR), .before = 0x7full << 32 | 0x41, \
			.value = 0x7full << 32 | 0x42

FIXTURE_VARIANT_ADD(l2_apic, deadline_allowed) { .row = {
	.policy = "0x830 deny deny", WRITE_DEADLINE,
	UNGUARDED(.result = 3ull << 41 | 0x1235),
} };

FIXTURE_VARIANT_ADD(l2_apic, deadline_denied) { .row = {
	.policy = "0x6e0 allow deny", WRITE_DEADLINE,
	DENIED(.result = 1ull << 42, .rule_first = MSR_TSC_DEADLINE),
} };

FIXTURE_VARIANT_ADD(l2_apic, deadline_audited) { .row = {
	.policy = "0x6e0 allow deny audit", WRITE_DEADLINE,
	AUDITED(DENIED, .result = 3ull << 41 | 0x1235, .rule_first = MSR_TSC_DEADLINE),
} };

FIXTURE_VARIANT_ADD(l2_apic, icr_allowed) { .row = {
	.policy = "0x6e0 deny deny", WRITE_ICR,
	UNGUARDED(.result = 0x7full << 32 | 0x42),
} };

FIXTURE_VARIANT_ADD(l2_apic, icr_denied) { .row = {
	.policy = "0x830 allow deny", WRITE_ICR,
	DENIED(.result = 0x7full << 32 | 0x41, .rule_first = MSR_X2APIC(APIC_ICR)),
} };

FIXTURE_VARIANT_ADD(l2_apic, icr_audited) { .row = {
	.policy = "0x830 allow deny audit", WRITE_ICR,
	AUDITED(DENIED, .result = 0x7full << 32 | 0x42, .rule_first = MSR_X2APIC(APIC_ICR)),
} };

FIXTURE_SETUP(l2_apic)
{
	table_up(_metadata, &self->table, 1, VM_IRQCHIP);
	if (!nested_works(self->table.vm))
		SKIP(return, NESTED_MISSING);
	vcpu_apic_deadline(self->table.vcpu);
}

FIXTURE_TEARDOWN(l2_apic)
{
	table_down(&self->table);
}

TEST_F(l2_apic, nested)
{
	check_row(_metadata, &self->table, &variant->row, &by_l2);
}

FIXTURE(l2_spin) {
	struct bench_table table;
};

/*
 * MSRs that the hardware lets L2 access on both vendors' CPUs if L1 does, and one (SYSENTER_ESP)
 * that KVM passes to L1 on Intel, and intercepts there for L2.
 */
FIXTURE_VARIANT(l2_spin) {
	int op;
	uint32_t msr;
	const char *deny;
	bool exits;
};

#define DENY_KGS	"0xc0000102 deny deny quiet"
#define DENY_FS		"0xc0000100 deny deny quiet"
#define DENY_SYSENTER	"0x175 deny deny quiet"

FIXTURE_VARIANT_ADD(l2_spin, write) {
	.op = OP_WRMSR, .msr = MSR_KERNEL_GS_BASE, .deny = DENY_KGS,
};

FIXTURE_VARIANT_ADD(l2_spin, read) {
	.op = OP_RDMSR, .msr = MSR_KERNEL_GS_BASE, .deny = DENY_KGS,
};

FIXTURE_VARIANT_ADD(l2_spin, write_fs_base) {
	.op = OP_WRMSR, .msr = MSR_FS_BASE, .deny = DENY_FS,
};

FIXTURE_VARIANT_ADD(l2_spin, read_fs_base) {
	.op = OP_RDMSR, .msr = MSR_FS_BASE, .deny = DENY_FS,
};

FIXTURE_VARIANT_ADD(l2_spin, write_sysenter_esp) {
	.op = OP_WRMSR, .msr = MSR_SYSENTER_ESP, .deny = DENY_SYSENTER, .exits = true,
};

FIXTURE_SETUP(l2_spin)
{
	table_up(_metadata, &self->table, 1, 0);
	if (!nested_works(self->table.vm))
		SKIP(return, NESTED_MISSING);
	ASSERT_TRUE(vcpu_set_msr(self->table.vcpu, variant->msr, KGS_A));
}

FIXTURE_TEARDOWN(l2_spin)
{
	table_down(&self->table);
}

TEST_F(l2_spin, rule_before_it_starts)
{
	struct vcpu *vcpu = self->table.vcpu;
	struct access_result r;

	use_policy(_metadata, variant->deny);
	l2_spin_start(vcpu, variant->op, variant->msr, KGS_B);
	ASSERT_TRUE(spin_wait_faults(vcpu, 1000, 10000));
	EXPECT_EQ(0, spin_ok(vcpu));
	r = guest_spin_stop(vcpu);
	EXPECT_EQ(VECTOR_GP, r.vector);
	EXPECT_EQ(r.insn_rip, r.fault_rip);
	EXPECT_EQ(l2_exit_of_call(), r.l2_exit);
}

/* Nothing between L2 and the hardware: only then do the tests below show what they say. */
TEST_F(l2_spin, passed_through)
{
	struct bench_result r;

	r = l2_bench(self->table.vcpu, variant->op, variant->msr, KGS_B, 20000);
	EXPECT_EQ(0, r.faults);
	if (!variant->exits)
		EXPECT_LT(r.exits, 20000 / 20);
	use_policy(_metadata, variant->deny);
	r = l2_bench(self->table.vcpu, variant->op, variant->msr, KGS_B, 2000);
	EXPECT_EQ(2000, r.faults);
	EXPECT_GE(r.exits, 2000);
}

/* A rule published while L2 runs holds from then on, though L1 does not enter L2 again. */
TEST_F(l2_spin, rule_while_it_runs)
{
	struct vcpu *vcpu = self->table.vcpu;
	uint64_t ok;

	l2_spin_start(vcpu, variant->op, variant->msr, KGS_B);
	ASSERT_TRUE(spin_wait_ok(vcpu, 10000, 10000));
	EXPECT_EQ(0, spin_faults(vcpu));
	use_policy(_metadata, variant->deny);
	ok = spin_ok(vcpu);
	EXPECT_TRUE(spin_wait_faults(vcpu, 100, 5000));
	EXPECT_LE(spin_ok(vcpu), ok + 1);
	EXPECT_EQ(l2_exit_of_call(), guest_spin_stop(vcpu).l2_exit);
}

/* Again and again in one run of L2: each time both ways. */
TEST_F_TIMEOUT(l2_spin, rules_come_and_go_while_it_runs, 120)
{
	struct vcpu *vcpu = self->table.vcpu;
	uint64_t ok, faults;

	l2_spin_start(vcpu, variant->op, variant->msr, KGS_B);
	for (unsigned int i = 0; i < 5; i++) {
		ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
		faults = spin_faults(vcpu);
		ASSERT_TRUE(spin_wait_ok(vcpu, 100, 10000));
		EXPECT_LE(spin_faults(vcpu), faults + 1);
		ASSERT_EQ(0, mg_add_rule(variant->deny));
		ok = spin_ok(vcpu);
		EXPECT_TRUE(spin_wait_faults(vcpu, 100, 5000));
		EXPECT_LE(spin_ok(vcpu), ok + 1);
	}
	EXPECT_EQ(l2_exit_of_call(), guest_spin_stop(vcpu).l2_exit);
}

/* Withdrawn while L2 runs: allowed at once, by hardware at the latest from the next entry on. */
TEST_F(l2_spin, rule_withdrawn_while_it_runs)
{
	struct vcpu *vcpu = self->table.vcpu;
	struct bench_result r;
	uint64_t faults;

	use_policy(_metadata, variant->deny);
	l2_spin_start(vcpu, variant->op, variant->msr, KGS_B);
	ASSERT_TRUE(spin_wait_faults(vcpu, 1000, 10000));
	ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
	faults = spin_faults(vcpu);
	EXPECT_TRUE(spin_wait_ok(vcpu, 100, 5000));
	EXPECT_LE(spin_faults(vcpu), faults + 1);
	EXPECT_EQ(l2_exit_of_call(), guest_spin_stop(vcpu).l2_exit);
	r = l2_bench(vcpu, variant->op, variant->msr, KGS_B, 20000);
	EXPECT_EQ(0, r.faults);
	if (!variant->exits)
		EXPECT_LT(r.exits, 20000 / 20);
}

/* The rule came while L2 ran; L1, which was not running then, is held to it as well. */
TEST_F(l2_spin, rule_outlives_it)
{
	struct vcpu *vcpu = self->table.vcpu;

	l2_spin_start(vcpu, variant->op, variant->msr, KGS_B);
	ASSERT_TRUE(spin_wait_ok(vcpu, 1000, 10000));
	use_policy(_metadata, variant->deny);
	EXPECT_EQ(l2_exit_of_call(), guest_spin_stop(vcpu).l2_exit);
	EXPECT_EQ(VECTOR_GP, guest_access(vcpu, variant->op, variant->msr, KGS_B).vector);
	EXPECT_EQ(VECTOR_GP, l2_access(vcpu, variant->op, variant->msr, KGS_B).vector);
	ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
	EXPECT_EQ(0, guest_access(vcpu, variant->op, variant->msr, KGS_B).vector);
	EXPECT_EQ(0, l2_access(vcpu, variant->op, variant->msr, KGS_B).vector);
}

/* A rule for L1's vCPU while it alternates between L1 and L2. */
TEST_F(l2_spin, both_levels)
{
	struct vcpu *vcpu = self->table.vcpu;
	uint32_t msr = variant->msr;

	for (unsigned int i = 0; i < 10; i++) {
		use_policy(_metadata, variant->deny);
		EXPECT_EQ(VECTOR_GP, l2_access(vcpu, variant->op, msr, KGS_B).vector);
		EXPECT_EQ(VECTOR_GP, guest_access(vcpu, variant->op, msr, KGS_B).vector);
		ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
		EXPECT_EQ(0, guest_access(vcpu, variant->op, msr, KGS_B).vector);
		EXPECT_EQ(0, l2_access(vcpu, variant->op, msr, KGS_B).vector);
	}
}

TEST_HARNESS_MAIN
