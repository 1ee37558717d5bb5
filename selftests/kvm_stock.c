// SPDX-License-Identifier: GPL-2.0
/*
 * The tests' own instruments, tried on KVM alone: what the other tests conclude from
 * them is worth something only if each of them shows what stock KVM is known to do.
 */
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "lib/vm.h"

#define BASE_A		0xffffffff81000000ull
#define BASE_B		0xffffffff82000040ull
#define ROUNDS		5000

static double exits_per_access(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value)
{
	uint64_t few = guest_bench(vcpu, op, msr, value, ROUNDS).exits;
	uint64_t many = guest_bench(vcpu, op, msr, value, 3 * ROUNDS).exits;

	return ((double)many - (double)few) / (2 * ROUNDS);
}

FIXTURE(stock) {
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(stock)
{
	struct stat st;

	if (!stat("/sys/kernel/msrguard", &st))
		SKIP(return, "msrguard is loaded, these tests are about KVM alone");
	self->vm = vm_create(2, 0);
	self->vcpu = &self->vm->vcpus[0];
}

FIXTURE_TEARDOWN(stock)
{
	vm_free(self->vm);
}

TEST_F(stock, write_then_read)
{
	struct access_result r = guest_wrmsr(self->vcpu, MSR_KERNEL_GS_BASE, BASE_A);
	uint64_t value;

	EXPECT_EQ(0, r.vector);
	EXPECT_TRUE(r.regs_intact);
	r = guest_rdmsr(self->vcpu, MSR_KERNEL_GS_BASE);
	EXPECT_EQ(0, r.vector);
	EXPECT_EQ(BASE_A, r.value);
	EXPECT_TRUE(r.regs_intact);
	ASSERT_TRUE(vcpu_get_msr(self->vcpu, MSR_KERNEL_GS_BASE, &value));
	EXPECT_EQ(BASE_A, value);
	ASSERT_TRUE(vcpu_set_msr(self->vcpu, MSR_KERNEL_GS_BASE, BASE_B));
	EXPECT_EQ(BASE_B, guest_rdmsr(self->vcpu, MSR_KERNEL_GS_BASE).value);
}

TEST_F(stock, unknown_msr_faults)
{
	struct access_result r = guest_rdmsr(self->vcpu, MSR_UNKNOWN);

	EXPECT_EQ(VECTOR_GP, r.vector);
	EXPECT_EQ(0, r.error);
	EXPECT_EQ(r.insn_rip, r.fault_rip);
	EXPECT_TRUE(r.regs_intact);
	r = guest_wrmsr(self->vcpu, MSR_UNKNOWN, 1);
	EXPECT_EQ(VECTOR_GP, r.vector);
	EXPECT_EQ(0, r.error);
	EXPECT_EQ(r.insn_rip, r.fault_rip);
	EXPECT_TRUE(r.regs_intact);
}

TEST_F(stock, upper_half_of_rcx_is_ignored)
{
	struct access_result r;

	self->vcpu->rcx_upper = 0x12344321;
	r = guest_wrmsr(self->vcpu, MSR_KERNEL_GS_BASE, BASE_A);
	EXPECT_EQ(0, r.vector);
	EXPECT_TRUE(r.regs_intact);
	r = guest_rdmsr(self->vcpu, MSR_KERNEL_GS_BASE);
	EXPECT_EQ(BASE_A, r.value);
	EXPECT_TRUE(r.regs_intact);
}

TEST_F(stock, every_vcpu_has_its_own)
{
	EXPECT_EQ(0, guest_wrmsr(&self->vm->vcpus[0], MSR_KERNEL_GS_BASE, BASE_A).vector);
	EXPECT_EQ(0, guest_wrmsr(&self->vm->vcpus[1], MSR_KERNEL_GS_BASE, BASE_B).vector);
	EXPECT_EQ(BASE_A, guest_rdmsr(&self->vm->vcpus[0], MSR_KERNEL_GS_BASE).value);
	EXPECT_EQ(BASE_B, guest_rdmsr(&self->vm->vcpus[1], MSR_KERNEL_GS_BASE).value);
}

TEST_F(stock, irqchip)
{
	struct vm *vm = vm_create(2, VM_IRQCHIP);

	EXPECT_EQ(0, guest_wrmsr(&vm->vcpus[1], MSR_KERNEL_GS_BASE, BASE_A).vector);
	EXPECT_EQ(BASE_A, guest_rdmsr(&vm->vcpus[1], MSR_KERNEL_GS_BASE).value);
	vm_free(vm);
}

TEST_F(stock, passed_through_makes_no_exit)
{
	EXPECT_LT(exits_per_access(self->vcpu, OP_WRMSR, MSR_KERNEL_GS_BASE, BASE_A), 0.01);
	EXPECT_LT(exits_per_access(self->vcpu, OP_RDMSR, MSR_KERNEL_GS_BASE, 0), 0.01);
}

TEST_F(stock, intercepted_exits_once)
{
	double slope = exits_per_access(self->vcpu, OP_RDMSR, MSR_APIC_BASE, 0);

	EXPECT_GT(slope, 0.99);
	EXPECT_LT(slope, 1.05);
}

TEST_F(stock, bench_counts_faults)
{
	EXPECT_EQ(1000, guest_bench(self->vcpu, OP_RDMSR, MSR_UNKNOWN, 0, 1000).faults);
	EXPECT_EQ(0, guest_bench(self->vcpu, OP_RDMSR, MSR_KERNEL_GS_BASE, 0, 1000).faults);
	EXPECT_LT(0, guest_bench(self->vcpu, OP_RDMSR, MSR_KERNEL_GS_BASE, 0, 1000).cycles);
}

TEST_F(stock, single_step)
{
	struct vcpu *vcpu = self->vcpu;
	struct access_result r;

	if (getenv("LAB_NO_SINGLE_STEP"))
		SKIP(return, "%s", getenv("LAB_NO_SINGLE_STEP"));
	r = guest_access_step(vcpu, OP_WRMSR, MSR_KERNEL_GS_BASE, BASE_A);
	EXPECT_EQ(0, r.vector);
	EXPECT_EQ(1, r.steps);
	EXPECT_EQ(after_insn(r.insn_rip), r.step_rip);
	EXPECT_TRUE(r.regs_intact);
	r = guest_access_step(self->vcpu, OP_RDMSR, MSR_APIC_BASE, 0);
	EXPECT_EQ(0, r.vector);
	EXPECT_EQ(1, r.steps);
	EXPECT_EQ(after_insn(r.insn_rip), r.step_rip);
}

TEST_F(stock, vmm_filter)
{
	struct access_result r;

	vm_filter_one(self->vm, MSR_KERNEL_GS_BASE, true, false);
	r = guest_wrmsr(self->vcpu, MSR_KERNEL_GS_BASE, BASE_A);
	EXPECT_EQ(VECTOR_GP, r.vector);
	EXPECT_EQ(r.insn_rip, r.fault_rip);
	EXPECT_TRUE(r.regs_intact);
	EXPECT_EQ(0, guest_rdmsr(self->vcpu, MSR_KERNEL_GS_BASE).vector);
	EXPECT_GT(exits_per_access(self->vcpu, OP_WRMSR, MSR_KERNEL_GS_BASE, BASE_A), 0.99);
	vm_filter_one(self->vm, MSR_KERNEL_GS_BASE, false, true);
	EXPECT_EQ(0, guest_wrmsr(self->vcpu, MSR_KERNEL_GS_BASE, BASE_A).vector);
	r = guest_rdmsr(self->vcpu, MSR_KERNEL_GS_BASE);
	EXPECT_EQ(VECTOR_GP, r.vector);
	EXPECT_TRUE(r.regs_intact);
	vm_clear_filter(self->vm);
	EXPECT_EQ(0, guest_wrmsr(self->vcpu, MSR_KERNEL_GS_BASE, BASE_A).vector);
	EXPECT_EQ(BASE_A, guest_rdmsr(self->vcpu, MSR_KERNEL_GS_BASE).value);
}

struct seen_exit {
	unsigned int reads, writes;
	uint32_t msr, reason;
	uint64_t data;
};

static void answer_exit(struct vcpu *vcpu, struct kvm_run *run, void *context)
{
	struct seen_exit *seen = context;

	(void)vcpu;
	seen->msr = run->msr.index;
	seen->reason = run->msr.reason;
	if (run->exit_reason == KVM_EXIT_X86_RDMSR) {
		seen->reads++;
		run->msr.data = 0x123456789abcdef0ull;
	} else {
		seen->writes++;
		seen->data = run->msr.data;
	}
	run->msr.error = 0;
}

TEST_F(stock, userspace_exit)
{
	struct seen_exit seen = { 0 };
	struct access_result r;

	vm_userspace_msr(self->vm, KVM_MSR_EXIT_REASON_FILTER | KVM_MSR_EXIT_REASON_UNKNOWN);
	vm_filter_one(self->vm, MSR_KERNEL_GS_BASE, false, false);
	self->vcpu->on_msr_exit = answer_exit;
	self->vcpu->msr_exit_context = &seen;
	r = guest_wrmsr(self->vcpu, MSR_KERNEL_GS_BASE, BASE_A);
	EXPECT_EQ(0, r.vector);
	EXPECT_TRUE(r.regs_intact);
	EXPECT_EQ(1, seen.writes);
	EXPECT_EQ(BASE_A, seen.data);
	EXPECT_EQ(MSR_KERNEL_GS_BASE, seen.msr);
	EXPECT_EQ(KVM_MSR_EXIT_REASON_FILTER, seen.reason);
	r = guest_rdmsr(self->vcpu, MSR_KERNEL_GS_BASE);
	EXPECT_EQ(0, r.vector);
	EXPECT_EQ(0x123456789abcdef0ull, r.value);
	EXPECT_TRUE(r.regs_intact);
	EXPECT_EQ(1, seen.reads);
	EXPECT_EQ(0, guest_rdmsr(self->vcpu, MSR_UNKNOWN).vector);
	EXPECT_EQ(KVM_MSR_EXIT_REASON_UNKNOWN, seen.reason);
	EXPECT_EQ(3, self->vcpu->msr_exits);
	/* And with nobody to answer. */
	self->vcpu->on_msr_exit = NULL;
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(self->vcpu, MSR_KERNEL_GS_BASE, BASE_A).vector);
}

TEST_F(stock, emulated)
{
	struct access_result r;

	if (!fep_enable() || !fep_works(self->vcpu))
		SKIP(return, "KVM's forced-emulation prefix is not to be had");
	r = guest_wrmsr_fep(self->vcpu, MSR_KERNEL_GS_BASE, BASE_A);
	EXPECT_EQ(0, r.vector);
	EXPECT_TRUE(r.regs_intact);
	r = guest_rdmsr_fep(self->vcpu, MSR_KERNEL_GS_BASE);
	EXPECT_EQ(0, r.vector);
	EXPECT_EQ(BASE_A, r.value);
	EXPECT_TRUE(r.regs_intact);
	EXPECT_GT(exits_per_access(self->vcpu, OP_RDMSR_FEP, MSR_KERNEL_GS_BASE, 0), 0.99);
	r = guest_rdmsr_fep(self->vcpu, MSR_UNKNOWN);
	EXPECT_EQ(VECTOR_GP, r.vector);
	EXPECT_EQ(r.insn_rip, r.fault_rip);
	EXPECT_TRUE(r.regs_intact);
}

TEST_F(stock, spin)
{
	struct vcpu *vcpu = self->vcpu;
	struct access_result r;
	uint64_t exits, ok;

	guest_spin_start(vcpu, OP_WRMSR, MSR_KERNEL_GS_BASE, BASE_A);
	ASSERT_TRUE(spin_wait_ok(vcpu, 1000, 5000));
	exits = vcpu_exits(vcpu);
	ok = spin_ok(vcpu);
	ASSERT_TRUE(spin_wait_ok(vcpu, 100000, 20000));
	exits = vcpu_exits(vcpu) - exits;
	ok = spin_ok(vcpu) - ok;
	EXPECT_LT((double)exits / ok, 0.01);
	EXPECT_EQ(0, spin_faults(vcpu));
	/* The VMM's filter reaches the guest without the guest leaving by itself. */
	vm_filter_one(self->vm, MSR_KERNEL_GS_BASE, true, false);
	ASSERT_TRUE(spin_wait_faults(vcpu, 100, 5000));
	ok = spin_ok(vcpu);
	ASSERT_TRUE(spin_wait_faults(vcpu, 100, 5000));
	EXPECT_EQ(ok, spin_ok(vcpu));
	vm_clear_filter(self->vm);
	EXPECT_TRUE(spin_wait_ok(vcpu, 1000, 5000));
	r = guest_spin_stop(vcpu);
	EXPECT_EQ(VECTOR_GP, r.vector);
	EXPECT_EQ(r.insn_rip, r.fault_rip);
	/* The vCPU takes commands again, and reads spin too. */
	EXPECT_EQ(BASE_A, guest_rdmsr(vcpu, MSR_KERNEL_GS_BASE).value);
	guest_spin_start(vcpu, OP_RDMSR, MSR_KERNEL_GS_BASE, 0);
	guest_spin_start(&self->vm->vcpus[1], OP_RDMSR, MSR_APIC_BASE, 0);
	ASSERT_TRUE(spin_wait_ok(vcpu, 1000, 5000));
	ASSERT_TRUE(spin_wait_ok(&self->vm->vcpus[1], 1000, 5000));
	EXPECT_EQ(BASE_A, spin_last_value(vcpu));
	EXPECT_EQ(BASE_A, guest_spin_stop(vcpu).value);
	EXPECT_EQ(0, guest_spin_stop(&self->vm->vcpus[1]).vector);
}

TEST_F(stock, nested)
{
	struct vcpu *vcpu = self->vcpu;
	struct access_result r;

	if (!nested_works(self->vm))
		SKIP(return, NESTED_MISSING);
	r = l2_wrmsr(vcpu, MSR_KERNEL_GS_BASE, BASE_A);
	EXPECT_EQ(0, r.vector);
	EXPECT_EQ(l2_exit_of_call(), r.l2_exit);
	EXPECT_TRUE(r.regs_intact);
	EXPECT_TRUE(r.nested);
	r = l2_rdmsr(vcpu, MSR_KERNEL_GS_BASE);
	EXPECT_EQ(0, r.vector);
	EXPECT_EQ(BASE_A, r.value);
	EXPECT_TRUE(r.regs_intact);
	EXPECT_EQ(BASE_A, guest_rdmsr(vcpu, MSR_KERNEL_GS_BASE).value);
	r = l2_rdmsr(vcpu, MSR_UNKNOWN_LOW);
	EXPECT_EQ(VECTOR_GP, r.vector);
	EXPECT_EQ(r.insn_rip, r.fault_rip);
	EXPECT_TRUE(r.regs_intact);
	EXPECT_EQ(l2_exit_of_call(), r.l2_exit);
	EXPECT_LT(l2_bench(vcpu, OP_WRMSR, MSR_KERNEL_GS_BASE, BASE_A, ROUNDS).exits, ROUNDS / 20);

	vm_filter_one(self->vm, MSR_KERNEL_GS_BASE, true, false);
	r = l2_wrmsr(vcpu, MSR_KERNEL_GS_BASE, BASE_B);
	EXPECT_EQ(VECTOR_GP, r.vector);
	EXPECT_EQ(0, r.error);
	EXPECT_EQ(r.insn_rip, r.fault_rip);
	EXPECT_TRUE(r.regs_intact);
	EXPECT_EQ(BASE_A, l2_rdmsr(vcpu, MSR_KERNEL_GS_BASE).value);
	vm_clear_filter(self->vm);

	/* What L1 intercepts is L1's, and what no bitmap covers is always intercepted. */
	EXPECT_EQ(l2_exit_of_msr(OP_RDMSR), l2_rdmsr(vcpu, MSR_UNKNOWN).l2_exit);
	l2_set_intercept_all(vcpu, true);
	r = l2_wrmsr(vcpu, MSR_KERNEL_GS_BASE, BASE_B);
	EXPECT_EQ(l2_exit_of_msr(OP_WRMSR), r.l2_exit);
	EXPECT_EQ(BASE_A, guest_rdmsr(vcpu, MSR_KERNEL_GS_BASE).value);
	l2_set_intercept_all(vcpu, false);

	l2_spin_start(vcpu, OP_WRMSR, MSR_KERNEL_GS_BASE, BASE_B);
	ASSERT_TRUE(spin_wait_ok(vcpu, 100000, 20000));
	EXPECT_EQ(0, spin_faults(vcpu));
	EXPECT_EQ(l2_exit_of_call(), guest_spin_stop(vcpu).l2_exit);
	EXPECT_EQ(BASE_B, guest_rdmsr(vcpu, MSR_KERNEL_GS_BASE).value);
}

TEST_HARNESS_MAIN
