// SPDX-License-Identifier: GPL-2.0
/*
 * MSRs that no hardware has: KVM's own, Hyper-V's, and Xen's, whose index the VMM chooses. No
 * bitmap knows them, they always exit. Beside them what kvm.ignore_msrs makes of MSRs that
 * nobody knows.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "kselftest_harness.h"
#include "lib/host.h"
#include "lib/probe.h"
#include "lib/row.h"

#define HV_LEAF_VENDOR		0x40000000
#define HV_LEAF_INTERFACE	0x40000001
#define HV_INTERFACE		0x31237648	/* "Hv#1" */
#define MSR_HV_GUEST_OS_ID	0x40000000
#define MSR_HV_HYPERCALL	0x40000001
#define MSR_HV_VP_ASSIST	0x40000073
#define HYPERCALL_ENABLE	1

#define IGNORE_MSRS		"/sys/module/kvm/parameters/ignore_msrs"

static const struct way by_exit = { .access = guest_access, .origin = MSRGUARD_ORIGIN_EXIT };
static const struct way by_emulator = {
	.access = guest_access, .origin = MSRGUARD_ORIGIN_EMULATOR
};

/* KVM knows its guest as one of Hyper-V by this leaf alone. */
static void become_hyperv_guest(struct vcpu *vcpu)
{
	vcpu_cpuid_write(vcpu, HV_LEAF_VENDOR, 0, 0, HV_LEAF_INTERFACE);
	vcpu_cpuid_write(vcpu, HV_LEAF_INTERFACE, 0, 0, HV_INTERFACE);
}

FIXTURE(pv) {
	struct bench_table table;
};

/* Two values that KVM takes, neither of them 0. */
FIXTURE_VARIANT(pv) {
	uint32_t msr;
	uint64_t before, value;
	bool is_hyperv;
};

#define AREA_A	(GPA_SCRATCH | 1)
#define AREA_B	((GPA_SCRATCH + 0x200) | 1)

FIXTURE_VARIANT_ADD(pv, old_wall_clock) {
	.msr = 0x11, .before = GPA_SCRATCH, .value = GPA_SCRATCH + 0x200,
};

FIXTURE_VARIANT_ADD(pv, old_system_time) {
	.msr = 0x12, .before = AREA_A, .value = AREA_B,
};

FIXTURE_VARIANT_ADD(pv, wall_clock) {
	.msr = MSR_KVM_WALL_CLOCK, .before = GPA_SCRATCH, .value = GPA_SCRATCH + 0x200,
};

FIXTURE_VARIANT_ADD(pv, system_time) {
	.msr = MSR_KVM_SYSTEM_TIME, .before = AREA_A, .value = AREA_B,
};

FIXTURE_VARIANT_ADD(pv, async_pf) {
	.msr = 0x4b564d02, .before = AREA_A, .value = AREA_B,
};

FIXTURE_VARIANT_ADD(pv, steal_time) {
	.msr = 0x4b564d03, .before = AREA_A, .value = AREA_B,
};

FIXTURE_VARIANT_ADD(pv, end_of_interrupt) {
	.msr = 0x4b564d04, .before = AREA_A, .value = AREA_B,
};

FIXTURE_VARIANT_ADD(pv, async_pf_vector) {
	.msr = 0x4b564d06, .before = 0xec, .value = 0xed,
};

FIXTURE_VARIANT_ADD(pv, hyperv_guest_os_id) {
	.msr = MSR_HV_GUEST_OS_ID, .before = 0x1122, .value = 0x3344, .is_hyperv = true,
};

FIXTURE_VARIANT_ADD(pv, hyperv_vp_assist) {
	.msr = MSR_HV_VP_ASSIST, .before = GPA_SCRATCH, .value = GPA_SCRATCH | 1,
	.is_hyperv = true,
};

FIXTURE_SETUP(pv)
{
	table_up(_metadata, &self->table, 1, VM_IRQCHIP);
	if (variant->is_hyperv)
		become_hyperv_guest(self->table.vcpu);
}

FIXTURE_TEARDOWN(pv)
{
	table_down(&self->table);
}

#define VERDICT_OF(name)	.counted = true, .verdict = MSRGUARD_VERDICT_##name
#define WOULD_BE(name)		VERDICT_OF(AUDITED), .would_be = MSRGUARD_VERDICT_##name

/* What is to come of an access, by words for the two values. */
enum comes_of { KEEPS, TAKES, FAULTS, READS_IT, READS_NOTHING };

static const struct {
	const char *actions;		/* behind the MSR's number; NULL: only "default deny deny" */
	bool is_write;
	enum comes_of comes;
	struct row row;
} cases[] = {
	{ "allow deny", true, FAULTS, { VERDICT_OF(DENIED) } },
	{ "allow drop", true, KEEPS, { VERDICT_OF(DROPPED) } },
	{ "allow mask=0,keep", true, KEEPS, { VERDICT_OF(MASKED) } },
	{ "allow mask=0,deny", true, FAULTS, { VERDICT_OF(DENIED) } },
	{ "allow deny audit", true, TAKES, { WOULD_BE(DENIED) } },
	{ "deny allow", true, TAKES, { 0 } },
	{ NULL, true, FAULTS, { VERDICT_OF(DENIED), .is_default = true } },
	{ "deny allow", false, FAULTS, { VERDICT_OF(DENIED) } },
	{ "drop allow", false, READS_NOTHING, { VERDICT_OF(DROPPED) } },
	{ "mask=0 allow", false, READS_NOTHING, { VERDICT_OF(MASKED), .value_shown = true } },
	{ "allow deny", false, READS_IT, { 0 } },
	{ NULL, false, FAULTS, { VERDICT_OF(DENIED), .is_default = true } },
};

static void check_cases(struct __test_metadata *_metadata, struct bench_table *table,
			uint32_t msr, uint64_t before, uint64_t value, bool emulated)
{
	char policy[64];

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		bool is_write = cases[i].is_write;
		struct row row = cases[i].row;

		if (cases[i].actions)
			snprintf(policy, sizeof(policy), "%#x %s", msr, cases[i].actions);
		else
			snprintf(policy, sizeof(policy), "default deny deny");
		row.policy = policy;
		row.msr = msr;
		row.before = before;
		row.value = value;
		row.op = is_write ? OP_WRMSR : OP_RDMSR;
		if (emulated)
			row.op = is_write ? OP_WRMSR_FEP : OP_RDMSR_FEP;
		if (cases[i].comes == FAULTS)
			row.vector = VECTOR_GP;
		if (cases[i].comes == TAKES)
			row.result = value;
		else if (cases[i].comes != READS_NOTHING)
			row.result = before;
		if (row.verdict && !row.is_default)
			row.rule_first = msr;
		check_row(_metadata, table, &row, emulated ? &by_emulator : &by_exit);
		if (!__test_passed(_metadata)) {
			TH_LOG("%s of %#x under \"%s\"", is_write ? "write" : "read", msr, policy);
			return;
		}
	}
}

TEST_F(pv, exit)
{
	check_cases(_metadata, &self->table, variant->msr, variant->before, variant->value, false);
}

TEST_F(pv, emulator)
{
	if (!fep_enable() || !fep_works(self->table.vcpu))
		SKIP(return, "KVM's forced-emulation prefix is not to be had");
	check_cases(_metadata, &self->table, variant->msr, variant->before, variant->value, true);
}

FIXTURE(page) {
	struct bench_table table;
	uint8_t *page;		/* of the guest, into which KVM writes */
};

FIXTURE_SETUP(page)
{
	table_up(_metadata, &self->table, 1, VM_IRQCHIP);
	self->page = self->table.vm->mem + GPA_SCRATCH;
}

FIXTURE_TEARDOWN(page)
{
	table_down(&self->table);
}

static bool is_blank(const uint8_t *page)
{
	for (unsigned int i = 0; i < 16; i++)
		if (page[i])
			return false;
	return true;
}

/* What KVM would do because of the write, it does not do; and does it when allowed. */
static void check_page(struct __test_metadata *_metadata, struct bench_table *table,
		       const uint8_t *page, uint32_t msr, uint64_t value)
{
	static const struct {
		const char *actions;
		int vector;
		bool written;
	} writes[] = {
		{ "deny deny", VECTOR_GP, false },
		{ "drop drop", 0, false },
		{ "deny deny audit", 0, true },
	};
	struct mg_event event;
	char policy[64];

	for (unsigned int i = 0; i < ARRAY_SIZE(writes); i++) {
		snprintf(policy, sizeof(policy), "%#x %s", msr, writes[i].actions);
		use_policy(_metadata, policy);
		ASSERT_TRUE(is_blank(page));
		EXPECT_EQ(writes[i].vector, guest_wrmsr(table->vcpu, msr, value).vector) {
			TH_LOG("%s", policy);
		}
		EXPECT_EQ(writes[i].written, !is_blank(page)) {
			TH_LOG("%s", policy);
		}
		ASSERT_TRUE(mg_next_event(table->listener, &event, 2000));
		EXPECT_EQ(msr, event.msr);
		EXPECT_EQ(value, event.value);
	}
}

TEST_F(page, hyperv_hypercall)
{
	struct vcpu *vcpu = self->table.vcpu;

	become_hyperv_guest(vcpu);
	ASSERT_TRUE(vcpu_set_msr(vcpu, MSR_HV_GUEST_OS_ID, 0x1122));
	check_page(_metadata, &self->table, self->page, MSR_HV_HYPERCALL,
		   GPA_SCRATCH | HYPERCALL_ENABLE);
}

/* At the usual index, inside a window of ours, and at one that nothing foresees. */
TEST_F(page, xen_hypercall)
{
	static const uint32_t indices[] = { 0x40000000, 0x40000200, 0x4ffe1234 };
	struct kvm_xen_hvm_config config = { .flags = KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL };
	struct vm *vm = self->table.vm;

	if (!(ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_XEN_HVM) &
	      KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL))
		SKIP(return, "KVM here has no Xen emulation (CONFIG_KVM_XEN)");
	for (unsigned int i = 0; i < ARRAY_SIZE(indices); i++) {
		config.msr = indices[i];
		ASSERT_EQ(0, ioctl(vm->fd, KVM_XEN_HVM_CONFIG, &config)) {
			TH_LOG("%#x: %s", indices[i], strerror(errno));
		}
		memset(self->page, 0, 0x1000);
		check_page(_metadata, &self->table, self->page, indices[i], GPA_SCRATCH);
		memset(self->page, 0, 0x1000);
		/* A policy that names no index holds as well. */
		use_policy(_metadata, "default deny deny");
		EXPECT_EQ(VECTOR_GP, guest_wrmsr(self->table.vcpu, indices[i], GPA_SCRATCH).vector);
		EXPECT_TRUE(is_blank(self->page));
		mg_drain(self->table.listener);
	}
}

FIXTURE(ignore) {
	struct bench_table table;
	char *was;
};

FIXTURE_SETUP(ignore)
{
	self->was = host_read(IGNORE_MSRS);
	ASSERT_NE(NULL, self->was);
	ASSERT_EQ(0, host_write(IGNORE_MSRS, "1"));
	table_up(_metadata, &self->table, 1, 0);
}

FIXTURE_TEARDOWN(ignore)
{
	table_down(&self->table);
	host_write(IGNORE_MSRS, self->was);
	free(self->was);
}

TEST_F(ignore, comes_after_the_policy)
{
	static const struct {
		const char *policy;
		int vector;
	} rows[] = {
		{ MG_ALLOW_ALL, 0 },
		{ "default deny deny", VECTOR_GP },
		{ "default drop drop", 0 },
		{ "0x12345 deny deny\n0x1ffe deny deny\n0xdeadbeef deny deny", VECTOR_GP },
		{ "0-0xffffffff deny deny audit", 0 },
	};
	static const uint32_t unknown[] = { MSR_UNKNOWN_LOW, MSR_UNKNOWN, 0xdeadbeef };
	struct vcpu *vcpu = self->table.vcpu;

	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		use_policy(_metadata, rows[i].policy);
		for (unsigned int m = 0; m < ARRAY_SIZE(unknown); m++) {
			struct access_result r = guest_rdmsr(vcpu, unknown[m]);

			EXPECT_EQ(rows[i].vector, r.vector) {
				TH_LOG("read of %#x under %s", unknown[m], rows[i].policy);
			}
			if (!r.vector)
				EXPECT_EQ(0, r.value);
			EXPECT_EQ(rows[i].vector, guest_wrmsr(vcpu, unknown[m], 0x55).vector) {
				TH_LOG("write of %#x under %s", unknown[m], rows[i].policy);
			}
		}
	}
}

/* An MSR that KVM does not know reads as 0 then, and a mask is held against that. */
TEST_F(ignore, mask_against_nothing)
{
	struct vcpu *vcpu = self->table.vcpu;
	struct access_result r;

	use_policy(_metadata, "0x12345 mask=0xff mask=0xff,deny");
	r = guest_rdmsr(vcpu, MSR_UNKNOWN);
	EXPECT_EQ(0, r.vector);
	EXPECT_EQ(0, r.value);
	EXPECT_EQ(0, guest_wrmsr(vcpu, MSR_UNKNOWN, 0x55).vector);
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(vcpu, MSR_UNKNOWN, 0x155).vector);
}

TEST_HARNESS_MAIN
