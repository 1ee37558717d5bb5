// SPDX-License-Identifier: GPL-2.0
/*
 * RDMSR and WRMSRNS with the MSR's index in the instruction, from 6.18 on: the same rows, and
 * that the value may stand in any register. modules/imm_caller.c has the vCPU call KVM's
 * functions for them.
 */
#include <errno.h>

#include "kselftest_harness.h"
#include "lib/host.h"
#include "lib/probe.h"
#include "lib/row.h"

#define CALLER		"modules/imm_caller.ko"
#define MARK		0x49470000u
#define CALL_READ	0
#define CALL_WRITE	1
#define CALL_FASTPATH	2
#define UNTOUCHED	0x5566778811223344ull
#define RFLAGS_STATUS	0x8d5ull

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11 };

static uint8_t *put_u32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

/* MOV reg, imm64 */
static uint8_t *put_load(uint8_t *at, int reg, uint64_t value)
{
	*at++ = 0x48 | reg >> 3;
	*at++ = 0xb8 | (reg & 7);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

/* MOV RAX, reg */
static uint8_t *put_fetch(uint8_t *at, int reg)
{
	*at++ = 0x48 | reg >> 3 << 2;
	*at++ = 0x89;
	*at++ = 0xc0 | (reg & 7) << 3;
	return at;
}

/*
 * One access with a register. Another value in RSP would be fatal, so it is left as it is; RAX
 * has what is in the register before and after.
 */
static struct access_result access_with(struct vcpu *vcpu, unsigned int call, int reg,
					uint32_t msr, uint64_t value)
{
	uint64_t before = call == CALL_READ ? UNTOUCHED : value;
	volatile struct guest_page *page = vcpu->page;
	struct access_result r;
	uint8_t code[64], *at = code, *insn;

	if (reg != RSP)
		at = put_load(at, reg, before);
	at = put_fetch(at, reg);
	*at++ = 0x41;		/* MOV R8D, imm32 */
	*at++ = 0xb8;
	at = put_u32(at, msr);
	*at++ = 0xbb;		/* MOV EBX, imm32 */
	at = put_u32(at, MARK | reg << 4 | call);
	insn = at;
	*at++ = 0x0f;		/* CPUID */
	*at++ = 0xa2;
	at = put_fetch(at, reg);
	r = guest_code(vcpu, code, at - code, UNTOUCHED, UNTOUCHED, UNTOUCHED);
	r.insn_rip = GPA_CODE + (insn - code);
	r.value = page->rax_out;
	r.regs_intact = (reg == RCX || page->rcx_out == UNTOUCHED) &&
			(reg == RDX || page->rdx_out == UNTOUCHED) &&
			(page->rflags_out & RFLAGS_STATUS) == RFLAGS_STATUS &&
			(reg == RSP || (call == CALL_READ && !r.vector) ||
			 page->rax_out == before);
	return r;
}

static struct access_result access_imm(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value)
{
	return access_with(vcpu, op == OP_RDMSR ? CALL_READ : CALL_WRITE, R9, msr, value);
}

static struct access_result access_fast(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value)
{
	return access_with(vcpu, op == OP_RDMSR ? CALL_READ : CALL_FASTPATH, RDI, msr, value);
}

static const struct way by_immediate = { .access = access_imm, .origin = MSRGUARD_ORIGIN_EXIT };
static const struct way by_fastpath = { .access = access_fast, .origin = MSRGUARD_ORIGIN_EXIT };

#define MISSING		"kvm.ko has no kvm_emulate_rdmsr_imm"

/*
 * Loads the caller if it is not there yet. 0 or a negative errno; -EOPNOTSUPP is its word for a
 * kernel whose KVM has no functions for MSR_IMM.
 */
static int start_caller(void)
{
	int err = host_insmod(CALLER, "");

	return err == -EEXIST ? 0 : err;
}

FIXTURE(row) {
	struct bench_table table;
};

FIXTURE_VARIANT(row) {
	struct row row;
};

#include "lib/rows.h"

FIXTURE_SETUP(row)
{
	int err = start_caller();

	if (err == -EOPNOTSUPP)
		SKIP(return, MISSING);
	ASSERT_EQ(0, err) {
		TH_LOG("%s: %s", CALLER, strerror(-err));
	}
	table_up(_metadata, &self->table, 1, 0);
}

FIXTURE_TEARDOWN(row)
{
	table_down(&self->table);
}

TEST_F(row, immediate)
{
	check_row(_metadata, &self->table, &variant->row, &by_immediate);
}

TEST_F(row, immediate_after_the_fast_path)
{
	check_row(_metadata, &self->table, &variant->row, &by_fastpath);
}

FIXTURE(immediate) {
	struct bench_table table;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(immediate)
{
	int err = start_caller();

	if (err == -EOPNOTSUPP)
		SKIP(return, MISSING);
	ASSERT_EQ(0, err) {
		TH_LOG("%s: %s", CALLER, strerror(-err));
	}
	table_up(_metadata, &self->table, 1, VM_IRQCHIP);
	self->vcpu = self->table.vcpu;
}

FIXTURE_TEARDOWN(immediate)
{
	table_down(&self->table);
}

/* Without the mark CPUID is CPUID, so the instrument does nothing by itself. */
TEST_F(immediate, other_cpuid)
{
	static const uint8_t cpuid[] = { 0x31, 0xdb, 0x0f, 0xa2 };

	EXPECT_EQ(0, guest_code(self->vcpu, cpuid, sizeof(cpuid), 1, 0, 0).vector);
	EXPECT_EQ(vcpu_cpuid(self->vcpu, 1, 0, 0), self->vcpu->page->rax_out);
}

TEST_F(immediate, any_register)
{
	static const int regs[] = { RAX, RCX, RDX, RBP, RSI, RDI, R9, R10, R11 };
	struct vcpu *vcpu = self->vcpu;
	struct access_result r;
	uint64_t now;

	for (unsigned int i = 0; i < ARRAY_SIZE(regs); i++) {
		uint64_t value = KGS_B + i;

		ASSERT_TRUE(vcpu_set_msr(vcpu, MSR_KERNEL_GS_BASE, KGS_A));
		use_policy(_metadata, "0xc0000102 mask=0xffffffff mask=0xff,keep quiet");
		r = access_with(vcpu, CALL_WRITE, regs[i], MSR_KERNEL_GS_BASE, value);
		EXPECT_EQ(0, r.vector);
		EXPECT_TRUE(r.regs_intact) {
			TH_LOG("masked write from register %d", regs[i]);
		}
		ASSERT_TRUE(vcpu_get_msr(vcpu, MSR_KERNEL_GS_BASE, &now));
		EXPECT_EQ((KGS_A & ~0xffull) | (value & 0xff), now);
		r = access_with(vcpu, CALL_READ, regs[i], MSR_KERNEL_GS_BASE, 0);
		EXPECT_EQ(0, r.vector);
		EXPECT_TRUE(r.regs_intact) {
			TH_LOG("masked read to register %d", regs[i]);
		}
		EXPECT_EQ(now & 0xffffffff, r.value);
		use_policy(_metadata, "0xc0000102 deny deny quiet");
		r = access_with(vcpu, CALL_READ, regs[i], MSR_KERNEL_GS_BASE, 0);
		EXPECT_EQ(VECTOR_GP, r.vector);
		EXPECT_TRUE(r.regs_intact) {
			TH_LOG("denied read to register %d", regs[i]);
		}
		use_policy(_metadata, "0xc0000102 drop drop quiet");
		r = access_with(vcpu, CALL_READ, regs[i], MSR_KERNEL_GS_BASE, 0);
		EXPECT_EQ(0, r.vector);
		EXPECT_EQ(0, r.value);
		ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
		r = access_with(vcpu, CALL_READ, regs[i], MSR_KERNEL_GS_BASE, 0);
		EXPECT_EQ(now, r.value);
	}
}

/* RSP is the one that KVM may have to fetch from the hardware first. */
TEST_F(immediate, stack_pointer)
{
	struct vcpu *vcpu = self->vcpu;
	struct mg_event event;
	struct access_result r;
	uint64_t now;

	use_policy(_metadata, "0xc0000102 allow deny audit");
	r = access_with(vcpu, CALL_WRITE, RSP, MSR_KERNEL_GS_BASE, 0);
	EXPECT_EQ(0, r.vector);
	ASSERT_TRUE(vcpu_get_msr(vcpu, MSR_KERNEL_GS_BASE, &now));
	EXPECT_EQ(r.value, now);
	ASSERT_TRUE(mg_next_event(self->table.listener, &event, 2000));
	EXPECT_EQ(r.value, event.value);
}

/* The whole register counts, and the MSR is that of the instruction, whatever ECX holds. */
TEST_F(immediate, whole_register)
{
	struct vcpu *vcpu = self->vcpu;
	struct mg_event event;

	ASSERT_TRUE(vcpu_set_msr(vcpu, MSR_KERNEL_GS_BASE, KGS_A));
	use_policy(_metadata, "0xc0000102 allow mask=0xffffffff,deny");
	EXPECT_EQ(VECTOR_GP, access_with(vcpu, CALL_WRITE, RSI, MSR_KERNEL_GS_BASE,
					 KGS_A ^ 1ull << 32).vector);
	EXPECT_EQ(0, access_with(vcpu, CALL_WRITE, RSI, MSR_KERNEL_GS_BASE, KGS_A ^ 1).vector);
	ASSERT_TRUE(mg_next_event(self->table.listener, &event, 2000));
	EXPECT_EQ(MSR_KERNEL_GS_BASE, event.msr);
	EXPECT_EQ(KGS_A ^ 1ull << 32, event.value);
	EXPECT_EQ(KGS_A, event.old);
}

static struct hook_line hook_of(const char *function)
{
	struct hook_line hooks[MAX_HOOKS];
	unsigned int nr = host_hooks(hooks);

	for (unsigned int i = 0; i < nr; i++)
		if (!strcmp(hooks[i].function, function))
			return hooks[i];
	printf("# no hook is on %s\n", function);
	abort();
}

/*
 * TSC_DEADLINE is what KVM writes on its fast path. A guarded write does not end there, an
 * unguarded one does. (KVM skips the instruction with interrupts off; that takes NRIP save.)
 */
TEST_F(immediate, fast_path)
{
	struct vcpu *vcpu = self->vcpu;
	uint64_t fast, slow;

	use_policy(_metadata, "0x6e0 allow deny");
	fast = hook_of("handle_fastpath_wrmsr_imm").calls;
	slow = hook_of("kvm_emulate_wrmsr_imm").calls;
	EXPECT_EQ(VECTOR_GP, access_with(vcpu, CALL_FASTPATH, RSI, MSR_TSC_DEADLINE, 1).vector);
	EXPECT_EQ(fast + 1, hook_of("handle_fastpath_wrmsr_imm").calls);
	EXPECT_EQ(slow + 1, hook_of("kvm_emulate_wrmsr_imm").calls);

	if (!probe_is_intel() && !probe_vendor_param("nrips"))
		return;
	ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
	EXPECT_EQ(0, access_with(vcpu, CALL_FASTPATH, RSI, MSR_TSC_DEADLINE, 1).vector);
	EXPECT_EQ(fast + 2, hook_of("handle_fastpath_wrmsr_imm").calls);
	EXPECT_EQ(slow + 1, hook_of("kvm_emulate_wrmsr_imm").calls);
}

/* The VMM's filter and its answers to exits come after the policy here, too. */
TEST_F(immediate, vmms_filter)
{
	struct vcpu *vcpu = self->vcpu;

	vm_userspace_msr(self->table.vm, KVM_MSR_EXIT_REASON_FILTER);
	vm_filter_one(self->table.vm, MSR_KERNEL_GS_BASE, false, false);
	use_policy(_metadata, "0xc0000102 deny deny");
	EXPECT_EQ(VECTOR_GP, access_with(vcpu, CALL_WRITE, R9, MSR_KERNEL_GS_BASE, KGS_B).vector);
	EXPECT_EQ(VECTOR_GP, access_with(vcpu, CALL_READ, R9, MSR_KERNEL_GS_BASE, 0).vector);
	EXPECT_EQ(0, vcpu->msr_exits);
	ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
	EXPECT_EQ(VECTOR_GP, access_with(vcpu, CALL_WRITE, R9, MSR_KERNEL_GS_BASE, KGS_B).vector);
	EXPECT_EQ(1, vcpu->msr_exits);
}

FIXTURE(last) {
};

FIXTURE_SETUP(last)
{
}

FIXTURE_TEARDOWN(last)
{
}

/* Nobody wants it any more. */
TEST_F(last, caller_goes)
{
	if (start_caller() == -EOPNOTSUPP)
		SKIP(return, MISSING);
	EXPECT_EQ(0, host_rmmod("imm_caller"));
}

TEST_HARNESS_MAIN
