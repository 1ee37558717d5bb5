// SPDX-License-Identifier: GPL-2.0
/*
 * What the policy does not reach, as Documentation/limits.rst says: each test shows a way round a
 * rule that is there, so that the page cannot promise more, or less, than is true; and with it
 * the rule that closes the way, where one does.
 */
#include <stdlib.h>
#include <sys/ioctl.h>

#include "kselftest_harness.h"
#include "lib/nested.h"
#include "lib/probe.h"
#include "lib/row.h"

#define MSR_XSS			0xda0
#define MSR_GS_BASE		0xc0000101
#define CR4_FSGSBASE		(1ull << 16)
#define CPUID_FSGSBASE		1u		/* EBX of 7 */
#define CPUID_RDTSCP		(1u << 27)	/* EDX of 0x80000001 */
#define EFER_SCE		1ull
#define EFER_SVME		(1ull << 12)
#define XSS_CET			(3ull << 11)
#define APIC_BASE_X2		(1ull << 10)
#define X86_REG_TYPE_MSR	2ull

/* Has the guest run instructions, given by their bytes behind RAX, RCX and RDX. */
#define RUN(vcpu, rax, rcx, rdx, ...) \
	guest_code(vcpu, (const uint8_t[]){ __VA_ARGS__ }, \
		   sizeof((const uint8_t[]){ __VA_ARGS__ }), rax, rcx, rdx)

FIXTURE(limit) {
	struct bench_table table;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(limit)
{
	table_up(_metadata, &self->table, 1, VM_IRQCHIP);
	self->vcpu = self->table.vcpu;
}

FIXTURE_TEARDOWN(limit)
{
	table_down(&self->table);
}

/* Nobody was asked, and nobody was told. */
static void expect_unseen(struct __test_metadata *_metadata, struct bench_table *table,
			  const struct mg_stats *start)
{
	struct mg_stats d = mg_stats_since(start);
	struct mg_event event;

	EXPECT_EQ(0, d.reads + d.writes + d.denied + d.dropped + d.masked + d.audited);
	EXPECT_FALSE(mg_next_event(table->listener, &event, 50));
}

static uint64_t msr_of(struct __test_metadata *_metadata, struct vcpu *vcpu, uint32_t msr)
{
	uint64_t value = 0;

	EXPECT_TRUE(vcpu_get_msr(vcpu, msr, &value));
	return value;
}

/* An exchange of GS_BASE and KERNEL_GS_BASE. */
TEST_F(limit, swapgs)
{
	struct mg_stats start;

	ASSERT_TRUE(vcpu_set_msr(self->vcpu, MSR_GS_BASE, KGS_A));
	ASSERT_TRUE(vcpu_set_msr(self->vcpu, MSR_KERNEL_GS_BASE, KGS_B));
	use_policy(_metadata, "0xc0000101-0xc0000102 deny deny");
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(self->vcpu, MSR_KERNEL_GS_BASE, KGS_A).vector);
	mg_drain(self->table.listener);
	start = mg_stats();
	EXPECT_EQ(0, RUN(self->vcpu, 0, 0, 0, 0x0f, 0x01, 0xf8).vector);
	EXPECT_EQ(KGS_B, msr_of(_metadata, self->vcpu, MSR_GS_BASE));
	EXPECT_EQ(KGS_A, msr_of(_metadata, self->vcpu, MSR_KERNEL_GS_BASE));
	expect_unseen(_metadata, &self->table, &start);
}

TEST_F(limit, wrgsbase)
{
	struct kvm_sregs sregs;
	struct mg_stats start;

	if (!(vcpu_cpuid(self->vcpu, 7, 0, 1) & CPUID_FSGSBASE))
		SKIP(return, "the CPU has no FSGSBASE");
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	sregs.cr4 |= CR4_FSGSBASE;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SREGS, &sregs));
	ASSERT_TRUE(vcpu_set_msr(self->vcpu, MSR_GS_BASE, KGS_A));
	use_policy(_metadata, "0xc0000100-0xc0000101 deny deny");
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(self->vcpu, MSR_GS_BASE, KGS_B).vector);
	mg_drain(self->table.listener);
	start = mg_stats();
	/* WRGSBASE RAX, RDFSBASE RDX */
	EXPECT_EQ(0, RUN(self->vcpu, KGS_B, 0, ~0ull, 0xf3, 0x48, 0x0f, 0xae, 0xd8,
			 0xf3, 0x48, 0x0f, 0xae, 0xc2).vector);
	EXPECT_EQ(KGS_B, msr_of(_metadata, self->vcpu, MSR_GS_BASE));
	EXPECT_EQ(0, self->vcpu->page->rdx_out);
	expect_unseen(_metadata, &self->table, &start);
}

/* The time-stamp counter has instructions of its own. */
TEST_F(limit, rdtsc)
{
	struct mg_stats start;

	use_policy(_metadata, "0x10 deny deny\n0xc0000103 deny deny");
	EXPECT_EQ(VECTOR_GP, guest_rdmsr(self->vcpu, MSR_TSC).vector);
	mg_drain(self->table.listener);
	start = mg_stats();
	EXPECT_EQ(0, RUN(self->vcpu, 0, 0, 0, 0x0f, 0x31).vector);
	EXPECT_NE(0, self->vcpu->page->rax_out | self->vcpu->page->rdx_out);
	expect_unseen(_metadata, &self->table, &start);
}

TEST_F(limit, rdtscp)
{
	struct mg_stats start;

	if (!(vcpu_cpuid(self->vcpu, 0x80000001, 0, 3) & CPUID_RDTSCP))
		SKIP(return, "the CPU has no RDTSCP");
	ASSERT_TRUE(vcpu_set_msr(self->vcpu, MSR_TSC_AUX, 0x1234));
	use_policy(_metadata, "0xc0000103 deny deny");
	EXPECT_EQ(VECTOR_GP, guest_rdmsr(self->vcpu, MSR_TSC_AUX).vector);
	mg_drain(self->table.listener);
	start = mg_stats();
	EXPECT_EQ(0, RUN(self->vcpu, 0, 0, 0, 0x0f, 0x01, 0xf9).vector);
	EXPECT_EQ(0x1234, self->vcpu->page->rcx_out);
	expect_unseen(_metadata, &self->table, &start);
}

/* CR8 is the task priority, and so is the x2APIC's MSR 0x808. */
TEST_F(limit, mov_cr8)
{
	struct mg_stats start;

	vcpu_apic_x2(self->vcpu);
	use_policy(_metadata, "0x808 deny deny");
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(self->vcpu, MSR_X2APIC(APIC_TPR), 0x30).vector);
	EXPECT_EQ(0, vcpu_apic_read(self->vcpu, APIC_TPR));
	mg_drain(self->table.listener);
	start = mg_stats();
	EXPECT_EQ(0, RUN(self->vcpu, 5, 0, 0, 0x44, 0x0f, 0x22, 0xc0).vector);
	EXPECT_EQ(0x50, vcpu_apic_read(self->vcpu, APIC_TPR));
	expect_unseen(_metadata, &self->table, &start);
}

/* Has the guest's linear addresses from 3 GiB on reach the local APIC's page. */
static void map_apic(struct vm *vm)
{
	const uint64_t table = GPA_SCRATCH + 0x2000, apic = 0xfee00000;
	const uint64_t present_writable = 3, large_uncached = 0x90;
	uint64_t *pdpt = (uint64_t *)(vm->mem + GPA_PDPT);
	uint64_t *pd = (uint64_t *)(vm->mem + table);

	pdpt[3] = table | present_writable;
	pd[(apic >> 21) & 511] = apic | large_uncached | present_writable;
}

TEST_F(limit, xapic_by_memory)
{
	struct mg_stats start;

	map_apic(self->table.vm);
	use_policy(_metadata, "0x800-0x8ff deny deny\n0x1b deny deny");
	start = mg_stats();
	/* MOV EBX, 0xfee00080; MOV [RBX], EAX; MOV EDX, [RBX] */
	EXPECT_EQ(0, RUN(self->vcpu, 0x70, 0, 0, 0xbb, 0x80, 0x00, 0xe0, 0xfe, 0x89, 0x03,
			 0x8b, 0x13).vector);
	EXPECT_EQ(0x70, vcpu_apic_read(self->vcpu, APIC_TPR));
	EXPECT_EQ(0x70, self->vcpu->page->rdx_out);
	expect_unseen(_metadata, &self->table, &start);
}

/* The VMM sets up and migrates its guest; no rule is for it. */
TEST_F(limit, the_vmms_ioctls)
{
	struct kvm_sregs sregs;
	struct mg_stats start;

	use_policy(_metadata, "default deny deny");
	start = mg_stats();
	ASSERT_TRUE(vcpu_set_msr(self->vcpu, MSR_KERNEL_GS_BASE, KGS_B));
	EXPECT_EQ(KGS_B, msr_of(_metadata, self->vcpu, MSR_KERNEL_GS_BASE));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	sregs.efer &= ~EFER_SCE;
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SREGS, &sregs));
	EXPECT_EQ(0, msr_of(_metadata, self->vcpu, MSR_EFER) & EFER_SCE);
	EXPECT_EQ(0, msr_of(_metadata, self->vcpu, MSR_APIC_BASE) & APIC_BASE_X2);
	sregs.apic_base |= APIC_BASE_X2;
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SREGS, &sregs));
	EXPECT_EQ(APIC_BASE_X2, msr_of(_metadata, self->vcpu, MSR_APIC_BASE) & APIC_BASE_X2);
	expect_unseen(_metadata, &self->table, &start);
}

/* From Linux 6.18 on the VMM may name one MSR as one register. */
TEST_F(limit, the_vmms_one_reg)
{
	uint64_t value = KGS_A;
	struct kvm_one_reg reg = {
		.id = KVM_REG_X86 | KVM_REG_SIZE_U64 | X86_REG_TYPE_MSR << 32 | MSR_KERNEL_GS_BASE,
		.addr = (uintptr_t)&value,
	};
	struct mg_stats start;

	if (!ioctl(self->table.vm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_ONE_REG))
		SKIP(return, "KVM here has no KVM_SET_ONE_REG for x86 (Linux 6.18)");
	use_policy(_metadata, "default deny deny");
	start = mg_stats();
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_ONE_REG, &reg));
	EXPECT_EQ(KGS_A, msr_of(_metadata, self->vcpu, MSR_KERNEL_GS_BASE));
	ASSERT_TRUE(vcpu_set_msr(self->vcpu, MSR_KERNEL_GS_BASE, KGS_B));
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_ONE_REG, &reg));
	EXPECT_EQ(KGS_B, value);
	expect_unseen(_metadata, &self->table, &start);
}

#define SMBASE		0x30000
#define SMM_MISSING	"KVM here has no system-management mode (CONFIG_KVM_SMM)"

static bool has_smm(struct vm *vm)
{
	return ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_X86_SMM);
}

/* In system-management mode the guest sees another address space, the same to us. */
static bool set_smm_handler(struct vm *vm, const uint8_t *handler, size_t size)
{
	struct kvm_userspace_memory_region region = {
		.slot = 1 << 16, .memory_size = GUEST_MEM_SIZE,
		.userspace_addr = (uintptr_t)vm->mem,
	};

	memcpy(vm->mem + SMBASE + 0x8000, handler, size);
	return !ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);
}

/* From system-management mode the guest's firmware returns with an EFER of its choice. */
TEST_F(limit, rsm_writes_efer)
{
	/* AND DWORD [SMBASE + 0xfed0], ~EFER.SCE; RSM; in real mode */
	static const uint8_t handler[] = {
		0x67, 0x66, 0x81, 0x25, 0xd0, 0xfe, 0x03, 0x00, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0xaa,
	};
	struct mg_stats start;

	if (!has_smm(self->table.vm))
		SKIP(return, SMM_MISSING);
	ASSERT_TRUE(set_smm_handler(self->table.vm, handler, sizeof(handler)));
	use_policy(_metadata, "0xc0000080 deny deny");
	ASSERT_EQ(EFER_SCE, msr_of(_metadata, self->vcpu, MSR_EFER) & EFER_SCE);
	start = mg_stats();
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SMI));
	EXPECT_EQ(0, RUN(self->vcpu, 0, 0, 0, 0x90).vector);
	EXPECT_EQ(0, msr_of(_metadata, self->vcpu, MSR_EFER) & EFER_SCE);
	expect_unseen(_metadata, &self->table, &start);
}

/*
 * So can a guest's kernel, where the firmware has left SMBASE in plain memory, and set a bit that a
 * rule keeps it from setting by WRMSR: here the way into SVM, which must be in the guest's CPUID.
 */
TEST_F(limit, rsm_opens_svm)
{
	/* OR DWORD [SMBASE + 0xfed0], EFER.SVME; RSM; in real mode */
	static const uint8_t handler[] = {
		0x67, 0x66, 0x81, 0x0d, 0xd0, 0xfe, 0x03, 0x00, 0x00, 0x10, 0x00, 0x00, 0x0f, 0xaa,
	};
	struct mg_event event;
	struct mg_stats start;
	uint64_t efer;

	if (!has_smm(self->table.vm))
		SKIP(return, SMM_MISSING);
	if (nested_is_vmx() || !nested_works(self->table.vm))
		SKIP(return, "no SVM for guests here");
	ASSERT_TRUE(set_smm_handler(self->table.vm, handler, sizeof(handler)));
	efer = msr_of(_metadata, self->vcpu, MSR_EFER) & ~EFER_SVME;
	ASSERT_TRUE(vcpu_set_msr(self->vcpu, MSR_EFER, efer));
	use_policy(_metadata, "0xc0000080 allow mask=~0x1000,deny");
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(self->vcpu, MSR_EFER, efer | EFER_SVME).vector);
	ASSERT_TRUE(mg_next_event(self->table.listener, &event, 2000));
	EXPECT_EQ(efer, msr_of(_metadata, self->vcpu, MSR_EFER));
	start = mg_stats();
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SMI));
	EXPECT_EQ(0, RUN(self->vcpu, 0, 0, 0, 0x90).vector);
	EXPECT_EQ(efer | EFER_SVME, msr_of(_metadata, self->vcpu, MSR_EFER));
	expect_unseen(_metadata, &self->table, &start);
}

/* XRSTORS loads CET state only if IA32_XSS lets it, and that is an MSR like others. */
TEST_F(limit, xss_can_be_denied)
{
	struct mg_event event;

	use_policy(_metadata, "0xda0 allow mask=~0x1800,deny\n0x6a0-0x6a8 deny deny");
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(self->vcpu, MSR_XSS, XSS_CET).vector);
	ASSERT_TRUE(mg_next_event(self->table.listener, &event, 2000));
	EXPECT_EQ(MSR_XSS, event.msr);
	EXPECT_EQ(XSS_CET, event.value);
	EXPECT_EQ(MSRGUARD_VERDICT_DENIED, event.verdict);
}

TEST_HARNESS_MAIN
