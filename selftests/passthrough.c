// SPDX-License-Identifier: GPL-2.0
/*
 * MSRs that stock KVM passes through: free of cost while allowed, and blocked the moment a
 * rule is published although the guest never leaves guest mode by itself.
 *
 * "At once" is exact: when the write that publishes returns, at most the access that a vCPU
 * was just executing may still be counted by the guest.
 */
#include "kselftest_harness.h"
#include "lib/probe.h"
#include "lib/row.h"

#define ROUNDS		10000
/* Exits an access may cause on average: the host's timer ends guest mode now and then. */
#define SLACK		0.005

FIXTURE(passthrough) {
	struct bench_table table;
};

FIXTURE_VARIANT(passthrough) {
	int op;
	unsigned int nr_vcpus;
	const char *deny_this, *deny_other;
};

#define DENY_WRITE	"0xc0000102 allow deny quiet"
#define DENY_READ	"0xc0000102 deny allow quiet"

FIXTURE_VARIANT_ADD(passthrough, write) {
	.op = OP_WRMSR, .nr_vcpus = 1, .deny_this = DENY_WRITE, .deny_other = DENY_READ,
};

FIXTURE_VARIANT_ADD(passthrough, read) {
	.op = OP_RDMSR, .nr_vcpus = 1, .deny_this = DENY_READ, .deny_other = DENY_WRITE,
};

FIXTURE_VARIANT_ADD(passthrough, write_2_vcpus) {
	.op = OP_WRMSR, .nr_vcpus = 2, .deny_this = DENY_WRITE, .deny_other = DENY_READ,
};

static void guests_up(struct __test_metadata *_metadata, struct bench_table *table,
		      unsigned int nr_vcpus)
{
	table_up(_metadata, table, nr_vcpus, 0);
	for (unsigned int n = 0; n < nr_vcpus; n++)
		ASSERT_TRUE(vcpu_set_msr(&table->vm->vcpus[n], MSR_KERNEL_GS_BASE, KGS_A));
}

FIXTURE_SETUP(passthrough)
{
	guests_up(_metadata, &self->table, variant->nr_vcpus);
}

FIXTURE_TEARDOWN(passthrough)
{
	table_down(&self->table);
}

static double exits_per_access(struct vcpu *vcpu, int op)
{
	uint64_t few = guest_bench(vcpu, op, MSR_KERNEL_GS_BASE, KGS_A, ROUNDS / 10).exits;
	uint64_t many = guest_bench(vcpu, op, MSR_KERNEL_GS_BASE, KGS_A, ROUNDS).exits;

	return ((double)many - (double)few) / (ROUNDS - ROUNDS / 10);
}

static void start_all(struct bench_table *table, int op)
{
	for (unsigned int n = 0; n < table->vm->nr_vcpus; n++)
		guest_spin_start(&table->vm->vcpus[n], op, MSR_KERNEL_GS_BASE, KGS_A);
}

static void stop_all(struct bench_table *table)
{
	for (unsigned int n = 0; n < table->vm->nr_vcpus; n++)
		guest_spin_stop(&table->vm->vcpus[n]);
}

static void read_all(struct bench_table *table, uint64_t (*counter)(struct vcpu *), uint64_t *to)
{
	for (unsigned int n = 0; n < table->vm->nr_vcpus; n++)
		to[n] = counter(&table->vm->vcpus[n]);
}

/* From @ok on no access went through, and every one faults. */
static void expect_blocked(struct __test_metadata *_metadata, struct bench_table *table,
			   const uint64_t *ok)
{
	for (unsigned int n = 0; n < table->vm->nr_vcpus; n++) {
		struct vcpu *vcpu = &table->vm->vcpus[n];

		EXPECT_TRUE(spin_wait_faults(vcpu, 1000, 10000));
		EXPECT_LE(spin_ok(vcpu), ok[n] + 1);
	}
}

/* From @faults on no access faulted, and they cause no exits. */
static void expect_free(struct __test_metadata *_metadata, struct bench_table *table,
			const uint64_t *faults)
{
	for (unsigned int n = 0; n < table->vm->nr_vcpus; n++) {
		struct vcpu *vcpu = &table->vm->vcpus[n];
		uint64_t ok, exits;

		EXPECT_TRUE(spin_wait_ok(vcpu, 1000, 10000));
		exits = vcpu_exits(vcpu);
		ok = spin_ok(vcpu);
		EXPECT_TRUE(spin_wait_ok(vcpu, ROUNDS, 20000));
		exits = vcpu_exits(vcpu) - exits;
		ok = spin_ok(vcpu) - ok;
		EXPECT_LT((double)exits / ok, SLACK);
		EXPECT_LE(spin_faults(vcpu), faults[n] + 1);
	}
}

TEST_F_TIMEOUT(passthrough, no_exit_more_than_stock, 120)
{
	static const char *const policies[] = {
		"0xc0000084 deny deny",
		"default deny deny\n0xc0000102 allow allow",
		"0x0-0xffffffff deny deny\n0xc0000102 allow allow",
		NULL,	/* what denies the other direction */
	};
	struct vcpu *vcpu = self->table.vcpu;
	double stock;

	/* The VM stays while the module goes and comes back. */
	ASSERT_EQ(0, mg_rmmod());
	stock = exits_per_access(vcpu, variant->op);
	EXPECT_LT(stock, SLACK);
	ASSERT_EQ(0, mg_insmod(""));
	EXPECT_LT(exits_per_access(vcpu, variant->op), stock + SLACK);
	for (unsigned int i = 0; i < ARRAY_SIZE(policies); i++) {
		const char *policy = policies[i] ?: variant->deny_other;

		use_policy(_metadata, policy);
		EXPECT_LT(exits_per_access(vcpu, variant->op), stock + SLACK) {
			TH_LOG("under %s", policy);
		}
	}
	/* And the instrument would have noticed. */
	use_policy(_metadata, variant->deny_this);
	EXPECT_GT(exits_per_access(vcpu, variant->op), 0.9);
	ASSERT_EQ(0, mg_set_mode("off"));
	EXPECT_LT(exits_per_access(vcpu, variant->op), stock + SLACK);
}

TEST_F_TIMEOUT(passthrough, published_and_withdrawn, 120)
{
	uint64_t ok[VM_MAX_VCPUS], faults[VM_MAX_VCPUS];

	start_all(&self->table, variant->op);
	read_all(&self->table, spin_faults, faults);
	expect_free(_metadata, &self->table, faults);
	for (unsigned int i = 0; i < 3; i++) {
		use_policy(_metadata, variant->deny_this);
		read_all(&self->table, spin_ok, ok);
		expect_blocked(_metadata, &self->table, ok);
		ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
		read_all(&self->table, spin_faults, faults);
		expect_free(_metadata, &self->table, faults);
	}
	stop_all(&self->table);
}

TEST_F_TIMEOUT(passthrough, by_single_rules, 120)
{
	uint64_t ok[VM_MAX_VCPUS], faults[VM_MAX_VCPUS];

	start_all(&self->table, variant->op);
	ASSERT_TRUE(spin_wait_ok(self->table.vcpu, 1000, 10000));
	ASSERT_EQ(0, mg_add_rule(variant->deny_this));
	read_all(&self->table, spin_ok, ok);
	expect_blocked(_metadata, &self->table, ok);
	ASSERT_EQ(0, mg_remove_rule("0xc0000102"));
	read_all(&self->table, spin_faults, faults);
	expect_free(_metadata, &self->table, faults);
	stop_all(&self->table);
}

/* A rule for the other direction costs this one nothing. */
TEST_F_TIMEOUT(passthrough, directions_apart, 120)
{
	uint64_t faults[VM_MAX_VCPUS];

	start_all(&self->table, variant->op);
	ASSERT_TRUE(spin_wait_ok(self->table.vcpu, 1000, 10000));
	use_policy(_metadata, variant->deny_other);
	read_all(&self->table, spin_faults, faults);
	expect_free(_metadata, &self->table, faults);
	stop_all(&self->table);
}

TEST_F_TIMEOUT(passthrough, by_mode, 120)
{
	uint64_t ok[VM_MAX_VCPUS], faults[VM_MAX_VCPUS];

	ASSERT_EQ(0, mg_set_mode("off"));
	use_policy(_metadata, variant->deny_this);
	start_all(&self->table, variant->op);
	read_all(&self->table, spin_faults, faults);
	expect_free(_metadata, &self->table, faults);

	ASSERT_EQ(0, mg_set_mode("enforce"));
	read_all(&self->table, spin_ok, ok);
	expect_blocked(_metadata, &self->table, ok);

	/* Audit lets it through but must see it. */
	ASSERT_EQ(0, mg_set_mode("audit"));
	read_all(&self->table, spin_faults, faults);
	for (unsigned int n = 0; n < variant->nr_vcpus; n++) {
		struct vcpu *vcpu = &self->table.vm->vcpus[n];
		uint64_t exits = vcpu_exits(vcpu);

		ASSERT_TRUE(spin_wait_ok(vcpu, 1000, 10000));
		EXPECT_LE(spin_faults(vcpu), faults[n] + 1);
		EXPECT_GE(vcpu_exits(vcpu) - exits, 1000);
	}

	ASSERT_EQ(0, mg_set_mode("off"));
	read_all(&self->table, spin_faults, faults);
	expect_free(_metadata, &self->table, faults);
	stop_all(&self->table);
}

/* A VM and a vCPU that come after the rule are held by it from their first access on. */
TEST_F(passthrough, created_later)
{
	struct access_result r;
	struct vm *vm;

	use_policy(_metadata, variant->deny_this);
	vm = vm_create(variant->nr_vcpus, 0);
	for (unsigned int n = 0; n < variant->nr_vcpus; n++) {
		r = guest_access(&vm->vcpus[n], variant->op, MSR_KERNEL_GS_BASE, KGS_A);
		EXPECT_EQ(VECTOR_GP, r.vector);
	}
	vm_free(vm);
}

/*
 * The module may go while vCPUs spin, blocked or not, and come back under them. What they do does
 * not matter to that, so it is done once: the kernel waits long for them, most where it is emulated.
 */
FIXTURE(unload) {
	struct bench_table table;
};

FIXTURE_SETUP(unload)
{
	guests_up(_metadata, &self->table, 2);
}

FIXTURE_TEARDOWN(unload)
{
	table_down(&self->table);
}

TEST_F_TIMEOUT(unload, and_load_under_it, 180)
{
	uint64_t ok[VM_MAX_VCPUS], faults[VM_MAX_VCPUS];

	start_all(&self->table, OP_WRMSR);
	ASSERT_TRUE(spin_wait_ok(self->table.vcpu, 1000, 10000));
	use_policy(_metadata, DENY_WRITE);
	read_all(&self->table, spin_ok, ok);
	expect_blocked(_metadata, &self->table, ok);
	ASSERT_EQ(0, mg_rmmod());
	read_all(&self->table, spin_faults, faults);
	expect_free(_metadata, &self->table, faults);
	ASSERT_EQ(0, mg_insmod(""));
	read_all(&self->table, spin_faults, faults);
	expect_free(_metadata, &self->table, faults);
	/* As before. That it may go again and again is torture.c's. */
	use_policy(_metadata, DENY_WRITE);
	read_all(&self->table, spin_ok, ok);
	expect_blocked(_metadata, &self->table, ok);
	stop_all(&self->table);
}

/*
 * Whatever this CPU and this kernel pass through, out of all that any of them does: each turns
 * into a fault under a rule, and is free again without.
 */
FIXTURE(each) {
	struct bench_table table;
};

FIXTURE_SETUP(each)
{
	table_up(_metadata, &self->table, 1, 0);
}

FIXTURE_TEARDOWN(each)
{
	table_down(&self->table);
}

static bool is_passed_through(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value)
{
	return !guest_access(vcpu, op, msr, value).vector &&
	       probe_exits(vcpu, op, msr, value) < PROBE_PASSED_THROUGH;
}

TEST_F_TIMEOUT(each, guarded_and_free, 120)
{
	static const uint32_t candidates[] = {
		MSR_TSC, 0x48, 0x49, 0x10b, MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP,
		0x1c4, 0x1c5, 0x3fd, 0x660, 0x6a0, 0x6a2, 0x6a4, 0x6a7, MSR_STAR, MSR_LSTAR,
		MSR_CSTAR, 0xc0000084, MSR_FS_BASE, 0xc0000101, MSR_KERNEL_GS_BASE, MSR_TSC_AUX,
	};
	static const int ops[] = { OP_RDMSR, OP_WRMSR };
	struct vcpu *vcpu = self->table.vcpu;
	unsigned int passed = 0;
	char policy[64];

	for (unsigned int i = 0; i < 2 * ARRAY_SIZE(candidates); i++) {
		uint32_t msr = candidates[i / 2];
		int op = ops[i % 2];
		uint64_t value;

		if (!vcpu_get_msr(vcpu, msr, &value) || !is_passed_through(vcpu, op, msr, value))
			continue;
		passed++;
		snprintf(policy, sizeof(policy), "%#x %s quiet", msr,
			 op == OP_RDMSR ? "deny allow" : "allow deny");
		use_policy(_metadata, policy);
		EXPECT_EQ(VECTOR_GP, guest_access(vcpu, op, msr, value).vector) {
			TH_LOG("under %s", policy);
		}
		EXPECT_LT(PROBE_INTERCEPTED, probe_exits(vcpu, op, msr, value));
		ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
		EXPECT_TRUE(is_passed_through(vcpu, op, msr, value)) {
			TH_LOG("%#x is not passed through any more", msr);
		}
	}
	/* VMX: the TSC's reads, three bases, SYSENTER_*; SVM: STAR and its like besides. */
	TH_LOG("%u kinds of access are passed through", passed);
	EXPECT_LE(9, passed);
}

TEST_HARNESS_MAIN
