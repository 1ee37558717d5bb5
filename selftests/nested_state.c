// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest's hypervisor (L1) does to MSR-like state without an MSR access: named limits.
 *
 * The fields of its guest's VMCS or VMCB and AMD's VMLOAD set MSRs of L1 and L2 in KVM itself, past
 * every place where the module is. The tests show each, under a rule that denies the MSR, so that
 * Documentation/limits.rst is held to what it says; and then that the way in can be closed.
 */
#include <stdlib.h>
#include <sys/ioctl.h>

#include "kselftest_harness.h"
#include "lib/host.h"
#include "lib/nested.h"
#include "lib/row.h"

#define NO_VMX			"KVM offers its guests no VMX here"
#define NO_SVM			"KVM offers its guests no SVM here"

#define MSR_FEATURE_CONTROL	0x3a
#define FEATURE_LOCKED		(1ull << 0)
#define FEATURE_VMX		(1ull << 2)
#define MSR_VMX_BASIC		0x480
#define MSR_GS_BASE		0xc0000101
#define CR4_VMXE		(1ull << 13)
#define EFER_SCE		(1ull << 0)
#define EFER_NX			(1ull << 11)
#define EFER_SVME		(1ull << 12)
#define RFLAGS_CF_ZF		0x41ull

static void up(struct __test_metadata *_metadata, struct bench_table *table)
{
	table_up(_metadata, table, 1, 0);
}

/* The rule does hold where it can: the guest's own WRMSR of each MSR faults. */
static void expect_denied(struct __test_metadata *_metadata, struct bench_table *table,
			  const uint32_t *msrs, size_t nr)
{
	struct mg_event event;

	for (size_t i = 0; i < nr; i++) {
		EXPECT_EQ(VECTOR_GP, guest_wrmsr(table->vcpu, msrs[i], 0).vector) {
			TH_LOG("MSR %x", msrs[i]);
		}
		EXPECT_TRUE(mg_next_event(table->listener, &event, 2000));
		EXPECT_EQ(msrs[i], event.msr);
		EXPECT_NE(NULL, mg_trace_next(table->trace));
	}
}

/* And here nobody was asked. */
static void expect_unseen(struct __test_metadata *_metadata, struct bench_table *table,
			  const struct mg_stats *start)
{
	struct mg_stats d = mg_stats_since(start);
	struct mg_event event;

	EXPECT_EQ(0, d.writes + d.denied + d.dropped + d.masked + d.audited + d.sequence);
	EXPECT_FALSE(mg_next_event(table->listener, &event, 50));
	EXPECT_EQ(NULL, mg_trace_next(table->trace));
}

/* The vendor's module again, so or so; no VM may be open. */
static bool reload_vendor(bool nested)
{
	char command[64];

	if (host_rmmod(host_vendor()))
		return false;
	snprintf(command, sizeof(command), "modprobe %s nested=%d", host_vendor(), nested);
	return !system(command);
}

FIXTURE(vmx) {
	struct bench_table table;
};

FIXTURE_SETUP(vmx)
{
	up(_metadata, &self->table);
	if (!nested_is_vmx() || !nested_works(self->table.vm))
		SKIP(return, NO_VMX);
}

FIXTURE_TEARDOWN(vmx)
{
	table_down(&self->table);
}

#define DENY_FIELDS \
	"0x174-0x176 allow deny\n0x277 allow deny\n0xc0000080 allow deny\n" \
	"0xc0000100-0xc0000101 allow deny"

static const uint32_t field_msrs[] = {
	MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_PAT, MSR_EFER, MSR_FS_BASE,
	MSR_GS_BASE,
};

#define PAT_OTHER	0x0007040600070401ull

/* A VM-exit loads L1's MSRs from the host-state fields. */
TEST_F(vmx, host_state_fields)
{
	static const struct {
		uint32_t msr, field;
		uint64_t value;
	} fields[] = {
		{ MSR_SYSENTER_CS, VMCS_HOST_SYSENTER_CS, 0x28 },
		{ MSR_SYSENTER_ESP, VMCS_HOST_SYSENTER_ESP, KGS_A },
		{ MSR_SYSENTER_EIP, VMCS_HOST_SYSENTER_EIP, KGS_B },
		{ MSR_FS_BASE, VMCS_HOST_FS_BASE, KGS_A + 0x1000 },
		{ MSR_GS_BASE, VMCS_HOST_GS_BASE, KGS_B + 0x1000 },
		{ MSR_PAT, VMCS_HOST_PAT, PAT_OTHER },
		{ MSR_EFER, VMCS_HOST_EFER, 0x500 },	/* LME, LMA; no SCE */
	};
	struct bench_table *table = &self->table;
	struct vcpu *vcpu = table->vcpu;
	struct mg_stats start;
	uint64_t value;

	use_policy(_metadata, DENY_FIELDS);
	expect_denied(_metadata, table, field_msrs, ARRAY_SIZE(field_msrs));
	ASSERT_TRUE(vmx_set_controls(vcpu, VMCS_EXIT_CONTROLS, EXIT_LOAD_PAT | EXIT_LOAD_EFER));
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		ASSERT_TRUE(vcpu_get_msr(vcpu, fields[i].msr, &value));
		ASSERT_NE(fields[i].value, value);
		vmx_set_field(vcpu, fields[i].field, fields[i].value);
	}
	start = mg_stats();
	EXPECT_EQ(l2_exit_of_call(), l2_rdmsr(vcpu, MSR_APIC_BASE).l2_exit);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		ASSERT_TRUE(vcpu_get_msr(vcpu, fields[i].msr, &value));
		EXPECT_EQ(fields[i].value, value) {
			TH_LOG("MSR %x", fields[i].msr);
		}
	}
	expect_unseen(_metadata, table, &start);
}

/* A VM-entry loads L2's MSRs from the guest-state fields. */
TEST_F(vmx, guest_state_fields)
{
	static const struct {
		uint32_t msr, field;
		uint64_t value;
	} fields[] = {
		{ MSR_SYSENTER_CS, VMCS_GUEST_SYSENTER_CS, 0x28 },
		{ MSR_SYSENTER_ESP, VMCS_GUEST_SYSENTER_ESP, KGS_A },
		{ MSR_SYSENTER_EIP, VMCS_GUEST_SYSENTER_EIP, KGS_B },
		{ MSR_FS_BASE, VMCS_GUEST_FS_BASE, KGS_A + 0x1000 },
		{ MSR_GS_BASE, VMCS_GUEST_GS_BASE, KGS_B + 0x1000 },
		{ MSR_PAT, VMCS_GUEST_PAT, PAT_OTHER },
		{ MSR_EFER, VMCS_GUEST_EFER, 0x500 },
	};
	struct bench_table *table = &self->table;
	struct vcpu *vcpu = table->vcpu;
	struct mg_stats start;

	use_policy(_metadata, DENY_FIELDS);
	ASSERT_TRUE(vmx_set_controls(vcpu, VMCS_ENTRY_CONTROLS, ENTRY_LOAD_PAT | ENTRY_LOAD_EFER));
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		vmx_set_field(vcpu, fields[i].field, fields[i].value);
	start = mg_stats();
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		struct access_result r = l2_rdmsr(vcpu, fields[i].msr);

		EXPECT_EQ(l2_exit_of_call(), r.l2_exit);
		EXPECT_EQ(fields[i].value, r.value) {
			TH_LOG("MSR %x", fields[i].msr);
		}
	}
	expect_unseen(_metadata, table, &start);
	/* L2's own WRMSR is held to the rule. */
	EXPECT_EQ(VECTOR_GP, l2_wrmsr(vcpu, MSR_SYSENTER_ESP, KGS_B).vector);
	EXPECT_EQ(VECTOR_GP, l2_wrmsr(vcpu, MSR_FS_BASE, KGS_B).vector);
}

/*
 * Once a VMM's firmware, or the VMM itself, has set FEATURE_CONTROL, no rule keeps a guest from
 * VMX: CR4.VMXE is no MSR, and a hypervisor need not read the capability MSRs.
 */
TEST_F(vmx, no_rule_forbids_vmxon)
{
	static const uint32_t msrs[] = { MSR_FEATURE_CONTROL, MSR_VMX_BASIC };
	struct bench_table *table = &self->table;
	struct mg_stats start;

	use_policy(_metadata, "0x3a deny deny\n0x480-0x493 deny deny");
	expect_denied(_metadata, table, msrs, ARRAY_SIZE(msrs));
	start = mg_stats();
	EXPECT_EQ(l2_exit_of_call(), l2_rdmsr(table->vcpu, MSR_APIC_BASE).l2_exit);
	expect_unseen(_metadata, table, &start);
}

/* CR4.VMXE, then VMXON of a region; the vector of the fault, -1 if VMXON said no by CF or ZF. */
static int guest_vmxon(struct vcpu *vcpu)
{
	static const uint8_t set_cr4[] = { 0x0f, 0x22, 0xe0 };			/* mov %rax, %cr4 */
	static const uint8_t vmxon[] = { 0xf3, 0x0f, 0xc7, 0x31 };		/* vmxon (%rcx) */
	static const uint8_t vmxoff[] = { 0x0f, 0x01, 0xc4 };
	const uint64_t region = GPA_VMXON(0);
	struct kvm_sregs sregs;
	struct access_result r;
	uint64_t revision = 0;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		return -2;
	vcpu_get_msr(vcpu, MSR_VMX_BASIC, &revision);
	revision &= 0x7fffffff;
	memcpy(vcpu->vm->mem + region, &revision, sizeof(uint32_t));
	memcpy(vcpu->vm->mem + GPA_SCRATCH, &region, sizeof(region));
	r = guest_code(vcpu, set_cr4, sizeof(set_cr4), sregs.cr4 | CR4_VMXE, 0, 0);
	if (r.vector)
		return r.vector;
	r = guest_code(vcpu, vmxon, sizeof(vmxon), 0, GPA_SCRATCH, 0);
	if (r.vector)
		return r.vector;
	if (vcpu->page->rflags_out & RFLAGS_CF_ZF)
		return -1;
	return guest_code(vcpu, vmxoff, sizeof(vmxoff), 0, 0, 0).vector;
}

/* Where FEATURE_CONTROL is left to the guest's firmware, a rule on it does forbid VMX. */
TEST_F(vmx, feature_control_left_to_the_guest)
{
	struct vcpu *vcpu = self->table.vcpu;
	struct mg_event event;

	ASSERT_TRUE(vcpu_set_msr(vcpu, MSR_FEATURE_CONTROL, 0));
	EXPECT_EQ(VECTOR_GP, guest_vmxon(vcpu));

	use_policy(_metadata, "0x3a allow mask=~0x6,deny");
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(vcpu, MSR_FEATURE_CONTROL,
					 FEATURE_LOCKED | FEATURE_VMX).vector);
	ASSERT_TRUE(mg_next_event(self->table.listener, &event, 2000));
	EXPECT_EQ(MSR_FEATURE_CONTROL, event.msr);
	EXPECT_EQ(VECTOR_GP, guest_vmxon(vcpu));
	/* The firmware may lock it without VMX. */
	EXPECT_EQ(0, guest_wrmsr(vcpu, MSR_FEATURE_CONTROL, FEATURE_LOCKED).vector);
	EXPECT_EQ(FEATURE_LOCKED, guest_rdmsr(vcpu, MSR_FEATURE_CONTROL).value);
	EXPECT_EQ(VECTOR_GP, guest_vmxon(vcpu));

	/* And without the rule it is as it always was. */
	ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
	ASSERT_TRUE(vcpu_set_msr(vcpu, MSR_FEATURE_CONTROL, 0));
	EXPECT_EQ(0, guest_wrmsr(vcpu, MSR_FEATURE_CONTROL, FEATURE_LOCKED | FEATURE_VMX).vector);
	EXPECT_EQ(0, guest_vmxon(vcpu));
}

FIXTURE(svm) {
	struct bench_table table;
};

FIXTURE_SETUP(svm)
{
	up(_metadata, &self->table);
	if (nested_is_vmx() || !nested_works(self->table.vm))
		SKIP(return, NO_SVM);
}

FIXTURE_TEARDOWN(svm)
{
	table_down(&self->table);
}

static const uint8_t vmrun[] = { 0x0f, 0x01, 0xd8 };	/* of the VMCB at RAX */
static const uint8_t vmload[] = { 0x0f, 0x01, 0xda };
static const uint8_t vmsave[] = { 0x0f, 0x01, 0xdb };

/* VMLOAD, which loads half of the system-call MSRs from memory. */
TEST_F(svm, vmload)
{
	static const struct {
		uint32_t msr;
		unsigned int offset;	/* in the VMCB */
		uint64_t value;
	} fields[] = {
		{ MSR_FS_BASE, 0x448, KGS_A + 0x1000 },
		{ MSR_GS_BASE, 0x458, KGS_B + 0x1000 },
		{ MSR_STAR, 0x600, STAR_B },
		{ MSR_LSTAR, 0x608, KGS_A + 0x2000 },
		{ MSR_CSTAR, 0x610, KGS_A + 0x3000 },
		{ MSR_SFMASK, 0x618, 0x40700 },
		{ MSR_KERNEL_GS_BASE, 0x620, KGS_B },
		{ MSR_SYSENTER_CS, 0x628, 0x28 },
		{ MSR_SYSENTER_ESP, 0x630, 0x12345000 },	/* KVM tells 32 bits */
		{ MSR_SYSENTER_EIP, 0x638, 0x23456000 },
	};
	struct bench_table *table = &self->table;
	struct vcpu *vcpu = table->vcpu;
	uint8_t *vmcb = vcpu->vm->mem + GPA_VMCB(0);
	uint32_t msrs[ARRAY_SIZE(fields)];
	struct mg_stats start;
	uint64_t value;

	/* SVM on, by the host; this also fills in TR, which VMLOAD loads too, by a VMSAVE. */
	EXPECT_EQ(l2_exit_of_call(), l2_rdmsr(vcpu, MSR_APIC_BASE).l2_exit);
	EXPECT_EQ(0, guest_code(vcpu, vmsave, sizeof(vmsave), GPA_VMCB(0), 0, 0).vector);

	use_policy(_metadata, "0x174-0x176 allow deny\n0xc0000081-0xc0000084 allow deny\n"
			      "0xc0000100-0xc0000102 allow deny");
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		msrs[i] = fields[i].msr;
		ASSERT_TRUE(vcpu_get_msr(vcpu, msrs[i], &value));
		ASSERT_NE(fields[i].value, value);
		memcpy(vmcb + fields[i].offset, &fields[i].value, sizeof(fields[i].value));
	}
	expect_denied(_metadata, table, msrs, ARRAY_SIZE(msrs));
	start = mg_stats();
	EXPECT_EQ(0, guest_code(vcpu, vmload, sizeof(vmload), GPA_VMCB(0), 0, 0).vector);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		ASSERT_TRUE(vcpu_get_msr(vcpu, fields[i].msr, &value));
		EXPECT_EQ(fields[i].value, value) {
			TH_LOG("MSR %x", fields[i].msr);
		}
	}
	expect_unseen(_metadata, table, &start);
}

/* VMRUN loads L2's EFER from the VMCB. */
TEST_F(svm, vmcb_efer)
{
	struct bench_table *table = &self->table;
	struct vcpu *vcpu = table->vcpu;
	struct mg_stats start;
	uint64_t efer;

	ASSERT_TRUE(vcpu_get_msr(vcpu, MSR_EFER, &efer));
	ASSERT_EQ(0, efer & EFER_NX);
	ASSERT_NE(0, efer & EFER_SCE);
	use_policy(_metadata, "0xc0000080 allow deny");
	svm_set_save(vcpu, SVM_SAVE_EFER, (efer | EFER_NX | EFER_SVME) & ~EFER_SCE);
	start = mg_stats();
	efer = l2_rdmsr(vcpu, MSR_EFER).value;
	EXPECT_NE(0, efer & EFER_NX);
	EXPECT_EQ(0, efer & EFER_SCE);
	expect_unseen(_metadata, table, &start);
	EXPECT_EQ(VECTOR_GP, l2_wrmsr(vcpu, MSR_EFER, efer).vector);
}

/* The way in is an MSR, so a rule closes it, but for RSM: limits.c, rsm_opens_svm. */
TEST_F(svm, enablement_denied)
{
	struct vcpu *vcpu = self->table.vcpu;
	struct access_result r;
	struct mg_event event;
	uint64_t efer;

	ASSERT_TRUE(vcpu_get_msr(vcpu, MSR_EFER, &efer));
	use_policy(_metadata, "0xc0000080 allow mask=~0x1000,deny");
	r = guest_wrmsr(vcpu, MSR_EFER, efer | EFER_SVME);
	EXPECT_EQ(VECTOR_GP, r.vector);
	ASSERT_TRUE(mg_next_event(self->table.listener, &event, 2000));
	EXPECT_EQ(MSR_EFER, event.msr);
	EXPECT_EQ(MSRGUARD_VERDICT_DENIED, event.verdict);
	EXPECT_EQ(VECTOR_UD, guest_code(vcpu, vmload, sizeof(vmload), GPA_VMCB(0), 0, 0).vector);
	EXPECT_EQ(VECTOR_UD, guest_code(vcpu, vmsave, sizeof(vmsave), GPA_VMCB(0), 0, 0).vector);
	EXPECT_EQ(VECTOR_UD, guest_code(vcpu, vmrun, sizeof(vmrun), GPA_VMCB(0), 0, 0).vector);
	/* The other bits are the guest's. */
	EXPECT_EQ(0, guest_wrmsr(vcpu, MSR_EFER, efer | EFER_NX).vector);
	EXPECT_EQ(efer | EFER_NX, guest_rdmsr(vcpu, MSR_EFER).value);

	/* Without the rule SVM is there. */
	ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
	EXPECT_EQ(0, guest_wrmsr(vcpu, MSR_EFER, efer | EFER_SVME).vector);
	EXPECT_EQ(0, guest_code(vcpu, vmsave, sizeof(vmsave), GPA_VMCB(0), 0, 0).vector);
}

/* nested=0 closes all of it, on both vendors' CPUs. */
FIXTURE(without_nested) {
	struct bench_table table;
};

FIXTURE_SETUP(without_nested)
{
	struct vm *vm = vm_create(1, 0);
	bool works = nested_works(vm);

	vm_free(vm);
	if (!works)
		SKIP(return, NESTED_MISSING);
	ASSERT_TRUE(reload_vendor(false));
	up(_metadata, &self->table);
}

FIXTURE_TEARDOWN(without_nested)
{
	if (!self->table.vm)
		return;
	table_down(&self->table);
	reload_vendor(true);
}

TEST_F(without_nested, no_way_in)
{
	struct vcpu *vcpu = self->table.vcpu;
	uint64_t efer;

	EXPECT_FALSE(nested_works(vcpu->vm));
	if (nested_is_vmx()) {
		vcpu_set_msr(vcpu, MSR_FEATURE_CONTROL, FEATURE_LOCKED | FEATURE_VMX);
		EXPECT_EQ(VECTOR_GP, guest_vmxon(vcpu));
	} else {
		ASSERT_TRUE(vcpu_get_msr(vcpu, MSR_EFER, &efer));
		EXPECT_EQ(VECTOR_GP, guest_wrmsr(vcpu, MSR_EFER, efer | EFER_SVME).vector);
		EXPECT_EQ(VECTOR_UD,
			  guest_code(vcpu, vmload, sizeof(vmload), GPA_VMCB(0), 0, 0).vector);
	}
}

TEST_HARNESS_MAIN
