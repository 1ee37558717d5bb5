// SPDX-License-Identifier: GPL-2.0
/* The same rows through KVM's instruction emulator, reached by its forced-emulation prefix. */
#include "kselftest_harness.h"
#include "lib/row.h"

static struct access_result access_fep(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value)
{
	return guest_access(vcpu, op == OP_WRMSR ? OP_WRMSR_FEP : OP_RDMSR_FEP, msr, value);
}

static const struct way by_emulator = {
	.access = access_fep,
	.origin = MSRGUARD_ORIGIN_EMULATOR,
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
	if (!fep_enable() || !fep_works(self->table.vcpu))
		SKIP(return, "KVM's forced-emulation prefix is not to be had");
}

FIXTURE_TEARDOWN(row)
{
	table_down(&self->table);
}

TEST_F(row, emulator)
{
	check_row(_metadata, &self->table, &variant->row, &by_emulator);
}

/* What the emulator reads for its own use is no access of the guest's. */
FIXTURE(emulated) {
	struct bench_table table;
};

FIXTURE_SETUP(emulated)
{
	table_up(_metadata, &self->table, 1, 0);
	if (!fep_enable() || !fep_works(self->table.vcpu))
		SKIP(return, "KVM's forced-emulation prefix is not to be had");
}

FIXTURE_TEARDOWN(emulated)
{
	table_down(&self->table);
}

TEST_F(emulated, implicit_reads_are_not_judged)
{
	struct mg_stats start, d;

	use_policy(_metadata, "default deny deny\n0xc0000102 allow allow");
	start = mg_stats();
	EXPECT_EQ(0, guest_wrmsr_fep(self->table.vcpu, MSR_KERNEL_GS_BASE, KGS_A).vector);
	EXPECT_EQ(KGS_A, guest_rdmsr_fep(self->table.vcpu, MSR_KERNEL_GS_BASE).value);
	d = mg_stats_since(&start);
	EXPECT_EQ(0, d.reads + d.writes + d.denied);
}

/* A rule published while the guest spins through the emulator holds from then on. */
TEST_F(emulated, published_while_it_spins)
{
	static const int ops[] = { OP_WRMSR_FEP, OP_RDMSR_FEP };
	struct vcpu *vcpu = self->table.vcpu;

	for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++) {
		struct access_result r;
		uint64_t ok;

		ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
		guest_spin_start(vcpu, ops[i], MSR_KERNEL_GS_BASE, KGS_A);
		ASSERT_TRUE(spin_wait_ok(vcpu, 100, 5000));
		use_policy(_metadata, "0xc0000102 deny deny quiet");
		ok = spin_ok(vcpu);
		ASSERT_TRUE(spin_wait_faults(vcpu, 100, 5000));
		/* One may have been decided and not yet counted by the guest. */
		EXPECT_LE(spin_ok(vcpu), ok + 1);
		ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
		EXPECT_TRUE(spin_wait_ok(vcpu, 100, 5000));
		r = guest_spin_stop(vcpu);
		EXPECT_EQ(VECTOR_GP, r.vector);
		EXPECT_EQ(r.insn_rip, r.fault_rip);
	}
}

TEST_HARNESS_MAIN
