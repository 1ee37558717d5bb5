// SPDX-License-Identifier: GPL-2.0
/* The same rows through KVM's instruction emulator, reached by its forced-emulation prefix. */
#include <sys/ioctl.h>

#include "kselftest_harness.h"
#include "lib/probe.h"
#include "lib/row.h"

#define CR0_PG		(1ull << 31)
#define CR4_PAE		(1ull << 5)

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

/*
 * What the emulator reads for its own use is no access of the guest's: the instruction does what it
 * does although a rule denies the MSR that it is done with, and nobody is told.
 */
FIXTURE(emulated) {
	struct bench_table table;
};

FIXTURE_SETUP(emulated)
{
	/* The second one's CPUID can still be changed. */
	table_up(_metadata, &self->table, 2, 0);
	if (!fep_enable() || !fep_works(self->table.vcpu))
		SKIP(return, "KVM's forced-emulation prefix is not to be had");
}

FIXTURE_TEARDOWN(emulated)
{
	table_down(&self->table);
}

/* An instruction behind KVM's forced-emulation prefix (UD2, "kvm"): the CPU does not execute it. */
#define RUN_EMULATED(vcpu, ...) \
	guest_code(vcpu, (const uint8_t[]){ 0x0f, 0x0b, 'k', 'v', 'm', __VA_ARGS__ }, \
		   sizeof((const uint8_t[]){ 0x0f, 0x0b, 'k', 'v', 'm', __VA_ARGS__ }), 0, 0, 0)

#define MSR_MISC_FEATURES_ENABLES 0x140
#define CPUID_RDPID	(1u << 22)	/* ECX of 7 */
#define EFER_SCE	(1ull << 0)
#define RFLAGS_FIXED	0x2ull
#define RFLAGS_RF	0x10000ull
/* Where SYSCALL and SYSENTER arrive. */
#define ARRIVAL		(GPA_CODE + 0x100)

/* By RDMSR, the same MSRs are denied to the guest, by the emulator as well, and that is told. */
static void expect_denied(struct __test_metadata *_metadata, struct bench_table *table,
			  struct vcpu *vcpu, const uint32_t *msrs, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		struct mg_stats start = mg_stats();
		struct mg_event event;

		EXPECT_EQ(VECTOR_GP, guest_rdmsr_fep(vcpu, msrs[i]).vector);
		EXPECT_EQ(1, mg_stats_since(&start).denied);
		ASSERT_TRUE(mg_next_event(table->listener, &event, 2000));
		EXPECT_EQ(msrs[i], event.msr);
		EXPECT_EQ(MSRGUARD_ORIGIN_EMULATOR, event.origin);
	}
}

static void expect_unseen(struct __test_metadata *_metadata, struct bench_table *table,
			  const struct mg_stats *start)
{
	struct mg_stats d = mg_stats_since(start);
	struct mg_event event;

	EXPECT_EQ(0, d.reads + d.writes + d.denied + d.dropped + d.masked + d.audited);
	EXPECT_EQ(0, d.sequence);
	EXPECT_FALSE(mg_next_event(table->listener, &event, 50));
}

TEST_F(emulated, implicit_rdtsc)
{
	static const uint32_t msrs[] = { MSR_TSC };
	struct vcpu *vcpu = self->table.vcpu;
	uint64_t before, after, tsc;
	struct mg_stats start;

	use_policy(_metadata, "0x10 deny deny");
	expect_denied(_metadata, &self->table, vcpu, msrs, ARRAY_SIZE(msrs));
	start = mg_stats();
	ASSERT_TRUE(vcpu_get_msr(vcpu, MSR_TSC, &before));
	EXPECT_EQ(0, RUN_EMULATED(vcpu, 0x0f, 0x31).vector);
	ASSERT_TRUE(vcpu_get_msr(vcpu, MSR_TSC, &after));
	tsc = vcpu->page->rdx_out << 32 | vcpu->page->rax_out;
	EXPECT_LT(before, tsc);
	EXPECT_GT(after, tsc);
	expect_unseen(_metadata, &self->table, &start);
}

TEST_F(emulated, implicit_rdpid)
{
	static const uint32_t msrs[] = { MSR_TSC_AUX };
	struct vcpu *vcpu = &self->table.vm->vcpus[1];
	struct mg_stats start;

	/* RDPID RDX. KVM emulates it for CPUs that have none, where they have RDTSCP. */
	vcpu_cpuid_write(vcpu, 7, 0, 2, vcpu_cpuid(vcpu, 7, 0, 2) | CPUID_RDPID);
	if (!vcpu_set_msr(vcpu, MSR_TSC_AUX, 0x1234))
		SKIP(return, "KVM offers its guests no TSC_AUX here");
	use_policy(_metadata, "0xc0000103 deny deny");
	expect_denied(_metadata, &self->table, vcpu, msrs, ARRAY_SIZE(msrs));
	start = mg_stats();
	EXPECT_EQ(0, RUN_EMULATED(vcpu, 0xf3, 0x0f, 0xc7, 0xfa).vector);
	EXPECT_EQ(0x1234, vcpu->page->rdx_out);
	expect_unseen(_metadata, &self->table, &start);
}

/* MISC_FEATURES_ENABLES says who may execute CPUID. */
TEST_F(emulated, implicit_cpuid)
{
	static const uint32_t msrs[] = { MSR_MISC_FEATURES_ENABLES };
	struct vcpu *vcpu = self->table.vcpu;
	struct mg_stats start;

	use_policy(_metadata, "0x140 deny deny");
	expect_denied(_metadata, &self->table, vcpu, msrs, ARRAY_SIZE(msrs));
	start = mg_stats();
	EXPECT_EQ(0, RUN_EMULATED(vcpu, 0x0f, 0xa2).vector);
	EXPECT_EQ(vcpu_cpuid(vcpu, 0, 0, 0), vcpu->page->rax_out);
	EXPECT_EQ(vcpu_cpuid(vcpu, 0, 0, 3), vcpu->page->rdx_out);
	expect_unseen(_metadata, &self->table, &start);
}

/* EFER says whether there is a SYSCALL, LSTAR where to, STAR by which segments, SFMASK which flags. */
TEST_F(emulated, implicit_syscall)
{
	static const uint32_t msrs[] = { MSR_EFER, MSR_STAR, MSR_LSTAR, MSR_SFMASK };
	/* MOV RDX, R11; MOV EAX, 0x11223344; JMP R14. Behind the SYSCALL is a RET. */
	static const uint8_t arrival[] = { 0x4c, 0x89, 0xda, 0xb8, 0x44, 0x33, 0x22, 0x11,
					   0x41, 0xff, 0xe6 };
	const uint64_t cs = 0x18, flags = 0x41;		/* ZF, CF */
	struct vcpu *vcpu = self->table.vcpu;
	struct kvm_sregs before, after;
	struct access_result r;
	struct mg_stats start;

	memcpy(self->table.vm->mem + ARRIVAL, arrival, sizeof(arrival));
	ASSERT_TRUE(vcpu_set_msr(vcpu, MSR_STAR, cs << 32));
	ASSERT_TRUE(vcpu_set_msr(vcpu, MSR_LSTAR, ARRIVAL));
	ASSERT_TRUE(vcpu_set_msr(vcpu, MSR_SFMASK, flags));
	ASSERT_EQ(0, ioctl(vcpu->fd, KVM_GET_SREGS, &before));
	ASSERT_EQ(EFER_SCE, before.efer & EFER_SCE);
	use_policy(_metadata, "0xc0000080-0xc0000084 deny deny");
	expect_denied(_metadata, &self->table, vcpu, msrs, ARRAY_SIZE(msrs));

	start = mg_stats();
	r = RUN_EMULATED(vcpu, 0x0f, 0x05);
	EXPECT_EQ(0, r.vector);
	EXPECT_EQ(0x11223344, vcpu->page->rax_out);
	EXPECT_EQ(GPA_CODE + 7, vcpu->page->rcx_out);
	/* All flags are set before an access. */
	EXPECT_EQ(flags, vcpu->page->rdx_out & flags);
	EXPECT_EQ((vcpu->page->rdx_out & ~flags & ~RFLAGS_RF) | RFLAGS_FIXED,
		  vcpu->page->rflags_out & ~RFLAGS_RF);
	ASSERT_EQ(0, ioctl(vcpu->fd, KVM_GET_SREGS, &after));
	EXPECT_EQ(cs, after.cs.selector);
	EXPECT_EQ(cs + 8, after.ss.selector);
	expect_unseen(_metadata, &self->table, &start);

	/* Its segments are none that the payload could come back to by itself after an exception. */
	before.efer &= ~EFER_SCE;
	ASSERT_EQ(0, ioctl(vcpu->fd, KVM_SET_SREGS, &before));
	start = mg_stats();
	EXPECT_EQ(VECTOR_UD, RUN_EMULATED(vcpu, 0x0f, 0x05).vector);
	expect_unseen(_metadata, &self->table, &start);
}

/*
 * KVM's emulator has no SYSENTER in 64-bit mode, and none in compatibility mode for guests of AMD's
 * kind. So the VMM puts the vCPU in legacy protected mode, in which the payload has no part.
 */
TEST_F(emulated, implicit_sysenter)
{
	static const uint32_t msrs[] = { MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP };
	/* The prefix and SYSENTER. */
	static const uint8_t code[] = { 0x0f, 0x0b, 'k', 'v', 'm', 0x0f, 0x34 };
	/* MOV DX, PORT_DONE; OUT DX, AL */
	static const uint8_t arrival[] = { 0x66, 0xba, PORT_DONE & 0xff, PORT_DONE >> 8, 0xee };
	const uint64_t cs = 0x28, esp = GPA_SCRATCH + 0x800;
	struct vcpu *vcpu = self->table.vcpu;
	struct kvm_sregs sregs;
	struct mg_stats start;
	struct kvm_regs regs;

	memcpy(self->table.vm->mem + GPA_CODE, code, sizeof(code));
	memcpy(self->table.vm->mem + ARRIVAL, arrival, sizeof(arrival));
	ASSERT_TRUE(vcpu_set_msr(vcpu, MSR_SYSENTER_CS, cs));
	ASSERT_TRUE(vcpu_set_msr(vcpu, MSR_SYSENTER_ESP, esp));
	ASSERT_TRUE(vcpu_set_msr(vcpu, MSR_SYSENTER_EIP, ARRIVAL));
	use_policy(_metadata, "0x174-0x176 deny deny");
	expect_denied(_metadata, &self->table, vcpu, msrs, ARRAY_SIZE(msrs));

	ASSERT_EQ(0, ioctl(vcpu->fd, KVM_GET_SREGS, &sregs));
	ASSERT_EQ(0, ioctl(vcpu->fd, KVM_GET_REGS, &regs));
	sregs.cr0 &= ~CR0_PG;
	sregs.cr4 &= ~CR4_PAE;
	sregs.efer = 0;
	sregs.cs.l = 0;
	sregs.cs.db = 1;
	regs.rip = GPA_CODE;
	ASSERT_EQ(0, ioctl(vcpu->fd, KVM_SET_SREGS, &sregs));
	ASSERT_EQ(0, ioctl(vcpu->fd, KVM_SET_REGS, &regs));
	start = mg_stats();
	vcpu_run_command(vcpu);
	ASSERT_EQ(0, ioctl(vcpu->fd, KVM_GET_SREGS, &sregs));
	ASSERT_EQ(0, ioctl(vcpu->fd, KVM_GET_REGS, &regs));
	EXPECT_EQ(cs, sregs.cs.selector);
	EXPECT_EQ(esp, regs.rsp);
	/* It stands at the OUT or behind it. */
	EXPECT_LE(ARRIVAL + 4, regs.rip);
	EXPECT_GE(ARRIVAL + 5, regs.rip);
	expect_unseen(_metadata, &self->table, &start);
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
