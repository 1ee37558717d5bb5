// SPDX-License-Identifier: GPL-2.0
/*
 * The MSR lists of nested VM-entries and VM-exits (VMX only): KVM walks them for the guest's
 * hypervisor (L1), and each entry is an access of the guest by a way that no instruction takes.
 *
 * Four lists: what a VM-entry loads, what a VM-exit stores, what a VM-exit loads; and the last
 * one again where a VM-entry fails so late that KVM has to put back what it had loaded.
 *
 * Until 6.12, KVM's own filter does not see any of these. The policy holds on every kernel.
 */
#include "kselftest_harness.h"
#include "lib/host.h"
#include "lib/nested.h"
#include "lib/row.h"

#define MSR_PERF_GLOBAL_CTRL	0x38f
#define NO_VMX			"KVM offers its guests no VMX here"

/* The guarded entry is between these two, which no rule speaks of. */
#define BESIDE_FIRST	MSR_STAR
#define BESIDE_LAST	MSR_LSTAR
#define NUMBER		2	/* of the guarded entry, as the exit qualification counts */
#define JUNK		0x1111

enum end {
	RAN,		/* L2 ran to its end */
	ENTRY_FAILED,	/* L1 got a VM-exit that says so */
	VMLAUNCH_FAILED,/* VMLAUNCH came back with ZF */
	SHUT_DOWN,	/* a VM-abort: L1 is gone */
};

/**
 * struct list_row - one entry for one MSR in one list, and what must come of it
 * @list: which
 * @end:  what becomes of L2 and L1
 * @row:  policy, mode, verdict and so on; op is OP_WRMSR where a list loads, OP_RDMSR where
 *        one stores. @row.result is what the MSR holds then, or what is in the list
 */
struct list_row {
	enum vmx_list list;
	enum end end;
	struct row row;
};

FIXTURE(lists) {
	struct bench_table table;
};

FIXTURE_VARIANT(lists) {
	struct list_row r;
};

#define DENIED(...)	.counted = true, .verdict = MSRGUARD_VERDICT_DENIED, \
			.rule_first = MSR_KERNEL_GS_BASE, __VA_ARGS__
#define DROPPED(...)	.counted = true, .verdict = MSRGUARD_VERDICT_DROPPED, \
			.rule_first = MSR_KERNEL_GS_BASE, __VA_ARGS__
#define MASKED(...)	.counted = true, .verdict = MSRGUARD_VERDICT_MASKED, \
			.rule_first = MSR_KERNEL_GS_BASE, __VA_ARGS__
#define AUDITED(what, ...) \
	.counted = true, .verdict = MSRGUARD_VERDICT_AUDITED, \
	.would_be = MSRGUARD_VERDICT_##what, .rule_first = MSR_KERNEL_GS_BASE, __VA_ARGS__
#define PASSED(...)	.counted = true, __VA_ARGS__
#define UNGUARDED(...)	.counted = false, __VA_ARGS__
#define LOAD		.op = OP_WRMSR, .msr = MSR_KERNEL_GS_BASE, .before = KGS_A, .value = KGS_B
#define STORE		.op = OP_RDMSR, .msr = MSR_KERNEL_GS_BASE, .before = KGS_A

/* What a VM-entry loads. */
FIXTURE_VARIANT_ADD(lists, entry_unguarded) { .r = { VMX_ENTRY_LOAD, RAN, { LOAD,
	.policy = "0xc0000084 deny deny",
	UNGUARDED(.result = KGS_B),
} } };

FIXTURE_VARIANT_ADD(lists, entry_allowed) { .r = { VMX_ENTRY_LOAD, RAN, { LOAD,
	.policy = "default deny deny\n0x1b allow allow\n0xc0000081-0xc0000082 allow allow\n"
		  "0xc0000102 allow allow",
	UNGUARDED(.result = KGS_B),
} } };

FIXTURE_VARIANT_ADD(lists, entry_beside_denied_read) { .r = { VMX_ENTRY_LOAD, RAN, { LOAD,
	.policy = "0xc0000102 deny allow",
	UNGUARDED(.result = KGS_B),
} } };

FIXTURE_VARIANT_ADD(lists, entry_denied) { .r = { VMX_ENTRY_LOAD, ENTRY_FAILED, { LOAD,
	.policy = "0xc0000102 allow deny",
	DENIED(.result = KGS_A),
} } };

FIXTURE_VARIANT_ADD(lists, entry_denied_quietly) { .r = { VMX_ENTRY_LOAD, ENTRY_FAILED, { LOAD,
	.policy = "0xc0000102 allow deny quiet",
	DENIED(.result = KGS_A, .quiet = true),
} } };

FIXTURE_VARIANT_ADD(lists, entry_dropped) { .r = { VMX_ENTRY_LOAD, RAN, { LOAD,
	.policy = "0xc0000102 allow drop",
	DROPPED(.result = KGS_A),
} } };

FIXTURE_VARIANT_ADD(lists, entry_masked) { .r = { VMX_ENTRY_LOAD, RAN, { LOAD,
	.policy = "0xc0000102 allow mask=0xffff,keep",
	MASKED(.result = (KGS_A & ~0xffffull) | (KGS_B & 0xffff)),
} } };

FIXTURE_VARIANT_ADD(lists, entry_mask_denies) { .r = { VMX_ENTRY_LOAD, ENTRY_FAILED, { LOAD,
	.policy = "0xc0000102 allow mask=0xffff,deny",
	DENIED(.result = KGS_A),
} } };

FIXTURE_VARIANT_ADD(lists, entry_mask_allows) { .r = { VMX_ENTRY_LOAD, RAN, { LOAD,
	.policy = "0xc0000102 allow mask=0xffffffffffff,deny",
	PASSED(.result = KGS_B),
} } };

FIXTURE_VARIANT_ADD(lists, entry_audited) { .r = { VMX_ENTRY_LOAD, RAN, { LOAD,
	.policy = "0xc0000102 allow deny audit",
	AUDITED(DENIED, .result = KGS_B),
} } };

FIXTURE_VARIANT_ADD(lists, entry_mode_audit) { .r = { VMX_ENTRY_LOAD, RAN, { LOAD,
	.policy = "0xc0000102 allow drop", .mode = "audit",
	AUDITED(DROPPED, .result = KGS_B),
} } };

FIXTURE_VARIANT_ADD(lists, entry_mode_off) { .r = { VMX_ENTRY_LOAD, RAN, { LOAD,
	.policy = "0xc0000102 allow deny", .mode = "off",
	UNGUARDED(.result = KGS_B),
} } };

/* What a VM-exit stores: a read, and the list is what the guest gets. */
FIXTURE_VARIANT_ADD(lists, store_unguarded) { .r = { VMX_EXIT_STORE, RAN, { STORE,
	.policy = "0xc0000084 deny deny",
	UNGUARDED(.result = KGS_A),
} } };

FIXTURE_VARIANT_ADD(lists, store_beside_denied_write) { .r = { VMX_EXIT_STORE, RAN, { STORE,
	.policy = "0xc0000102 allow deny",
	UNGUARDED(.result = KGS_A),
} } };

FIXTURE_VARIANT_ADD(lists, store_denied) { .r = { VMX_EXIT_STORE, SHUT_DOWN, { STORE,
	.policy = "0xc0000102 deny allow",
	DENIED(.result = JUNK),
} } };

FIXTURE_VARIANT_ADD(lists, store_dropped) { .r = { VMX_EXIT_STORE, RAN, { STORE,
	.policy = "0xc0000102 drop allow",
	DROPPED(.result = 0),
} } };

FIXTURE_VARIANT_ADD(lists, store_masked) { .r = { VMX_EXIT_STORE, RAN, { STORE,
	.policy = "0xc0000102 mask=0xffff allow",
	MASKED(.result = KGS_A & 0xffff, .value_shown = true),
} } };

FIXTURE_VARIANT_ADD(lists, store_nothing_to_hide) { .r = { VMX_EXIT_STORE, RAN, { STORE,
	.policy = "0xc0000102 mask=0xffffffffffff allow",
	PASSED(.result = KGS_A),
} } };

FIXTURE_VARIANT_ADD(lists, store_audited) { .r = { VMX_EXIT_STORE, RAN, { STORE,
	.policy = "0xc0000102 deny allow audit",
	AUDITED(DENIED, .result = KGS_A),
} } };

FIXTURE_VARIANT_ADD(lists, store_mode_off) { .r = { VMX_EXIT_STORE, RAN, { STORE,
	.policy = "0xc0000102 deny allow", .mode = "off",
	UNGUARDED(.result = KGS_A),
} } };

/* What a VM-exit loads, for L1. */
FIXTURE_VARIANT_ADD(lists, exit_unguarded) { .r = { VMX_EXIT_LOAD, RAN, { LOAD,
	.policy = "0xc0000084 deny deny",
	UNGUARDED(.result = KGS_B),
} } };

FIXTURE_VARIANT_ADD(lists, exit_beside_denied_read) { .r = { VMX_EXIT_LOAD, RAN, { LOAD,
	.policy = "0xc0000102 deny allow",
	UNGUARDED(.result = KGS_B),
} } };

FIXTURE_VARIANT_ADD(lists, exit_denied) { .r = { VMX_EXIT_LOAD, SHUT_DOWN, { LOAD,
	.policy = "0xc0000102 allow deny",
	DENIED(.result = KGS_A),
} } };

FIXTURE_VARIANT_ADD(lists, exit_dropped) { .r = { VMX_EXIT_LOAD, RAN, { LOAD,
	.policy = "0xc0000102 allow drop",
	DROPPED(.result = KGS_A),
} } };

FIXTURE_VARIANT_ADD(lists, exit_masked) { .r = { VMX_EXIT_LOAD, RAN, { LOAD,
	.policy = "0xc0000102 allow mask=0xffff,keep",
	MASKED(.result = (KGS_A & ~0xffffull) | (KGS_B & 0xffff)),
} } };

FIXTURE_VARIANT_ADD(lists, exit_mask_denies) { .r = { VMX_EXIT_LOAD, SHUT_DOWN, { LOAD,
	.policy = "0xc0000102 allow mask=0xffff,deny",
	DENIED(.result = KGS_A),
} } };

FIXTURE_VARIANT_ADD(lists, exit_mask_allows) { .r = { VMX_EXIT_LOAD, RAN, { LOAD,
	.policy = "0xc0000102 allow mask=0xffffffffffff,deny",
	PASSED(.result = KGS_B),
} } };

FIXTURE_VARIANT_ADD(lists, exit_audited) { .r = { VMX_EXIT_LOAD, RAN, { LOAD,
	.policy = "0xc0000102 allow deny audit",
	AUDITED(DENIED, .result = KGS_B),
} } };

FIXTURE_VARIANT_ADD(lists, exit_mode_off) { .r = { VMX_EXIT_LOAD, RAN, { LOAD,
	.policy = "0xc0000102 allow deny", .mode = "off",
	UNGUARDED(.result = KGS_B),
} } };

FIXTURE_SETUP(lists)
{
	table_up(_metadata, &self->table, 1, 0);
	if (!nested_is_vmx() || !nested_works(self->table.vm))
		SKIP(return, NO_VMX);
}

FIXTURE_TEARDOWN(lists)
{
	table_down(&self->table);
}

/* The guarded entry between two others, so that a list which is not walked whole shows. */
static void set_list(struct vcpu *vcpu, enum vmx_list list, uint64_t value)
{
	const struct vmx_list_entry entries[] = {
		{ .msr = BESIDE_FIRST, .value = STAR_A },
		{ .msr = MSR_KERNEL_GS_BASE, .value = value },
		{ .msr = BESIDE_LAST, .value = KGS_A },
	};

	vmx_set_list(vcpu, list, entries, ARRAY_SIZE(entries));
}

static void check_end(struct __test_metadata *_metadata, struct vcpu *vcpu, enum end end,
		      const struct access_result *r)
{
	EXPECT_EQ(end == SHUT_DOWN, vcpu->has_shut_down);
	switch (end) {
	case RAN:
		EXPECT_EQ(l2_exit_of_call(), r->l2_exit);
		break;
	case ENTRY_FAILED:
		EXPECT_EQ(VMX_EXIT_MSR_LOAD_FAIL | VMX_EXIT_FAILED_ENTRY, r->l2_exit);
		EXPECT_EQ(NUMBER, vmx_field(vcpu, VMCS_EXIT_QUALIFICATION));
		break;
	case VMLAUNCH_FAILED:
		EXPECT_EQ(VMX_NO_EXIT | VMX_ERROR_CONTROLS, r->l2_exit);
		break;
	case SHUT_DOWN:
		break;
	}
}

/* Where the guest is said to have been. */
static uint64_t place(struct vcpu *vcpu, enum vmx_list list)
{
	static const unsigned int heads[NR_VMX_LISTS] = {
		[VMX_ENTRY_LOAD] = HEAD_AT_L2_ENTRY,
		[VMX_EXIT_STORE] = HEAD_AT_L2_VMCALL,
		[VMX_EXIT_LOAD] = HEAD_AT_L1_RETURN,
	};

	return vcpu->vm->head[heads[list]];
}

static void check_values(struct __test_metadata *_metadata, struct vcpu *vcpu,
			 const struct list_row *r)
{
	bool whole = r->end == RAN;
	uint64_t kgs, first, last;

	ASSERT_TRUE(vcpu_get_msr(vcpu, MSR_KERNEL_GS_BASE, &kgs));
	if (r->list == VMX_EXIT_STORE) {
		EXPECT_EQ(r->row.before, kgs);
		kgs = vmx_list_entry(vcpu, r->list, 1).value;
		first = vmx_list_entry(vcpu, r->list, 0).value;
		last = vmx_list_entry(vcpu, r->list, 2).value;
		EXPECT_EQ(STAR_B, first);
		EXPECT_EQ(whole ? KGS_B : KGS_A, last);
	} else {
		ASSERT_TRUE(vcpu_get_msr(vcpu, BESIDE_FIRST, &first));
		ASSERT_TRUE(vcpu_get_msr(vcpu, BESIDE_LAST, &last));
		EXPECT_EQ(STAR_A, first);
		EXPECT_EQ(whole ? KGS_A : KGS_B, last);
	}
	EXPECT_EQ(r->row.result, kgs);
}

TEST_F(lists, entry)
{
	const struct list_row *r = &variant->r;
	const struct way way = {
		.origin = MSRGUARD_ORIGIN_NESTED_LIST,
		.nested = r->list == VMX_ENTRY_LOAD,
	};
	struct vcpu *vcpu = self->table.vcpu;
	struct access_result access;
	struct mg_stats start;

	prepare_row(_metadata, &r->row, vcpu);
	ASSERT_TRUE(vcpu_set_msr(vcpu, BESIDE_FIRST, STAR_B));
	ASSERT_TRUE(vcpu_set_msr(vcpu, BESIDE_LAST, KGS_B));
	set_list(vcpu, r->list, r->list == VMX_EXIT_STORE ? JUNK : r->row.value);
	vcpu->may_shut_down = r->end == SHUT_DOWN;
	start = mg_stats();
	access = l2_access(vcpu, OP_RDMSR, MSR_APIC_BASE, 0);
	check_end(_metadata, vcpu, r->end, &access);
	check_values(_metadata, vcpu, r);
	check_counters(_metadata, &r->row, &start, 1);
	access.insn_rip = place(vcpu, r->list);
	check_reports(_metadata, &self->table, &r->row, &way, &access, vcpu);
}

FIXTURE(list) {
	struct bench_table table;
};

FIXTURE_SETUP(list)
{
	table_up(_metadata, &self->table, 1, 0);
	if (!nested_is_vmx() || !nested_works(self->table.vm))
		SKIP(return, NO_VMX);
	ASSERT_TRUE(vcpu_set_msr(self->table.vcpu, MSR_KERNEL_GS_BASE, KGS_A));
}

FIXTURE_TEARDOWN(list)
{
	table_down(&self->table);
}

static void set_one(struct vcpu *vcpu, enum vmx_list list, uint32_t msr, uint64_t value)
{
	const struct vmx_list_entry entry = { .msr = msr, .value = value };

	vmx_set_list(vcpu, list, &entry, 1);
}

/* L2 itself reads what its VM-entry has loaded, or has not. */
TEST_F(list, seen_by_l2)
{
	struct vcpu *vcpu = self->table.vcpu;

	set_one(vcpu, VMX_ENTRY_LOAD, MSR_KERNEL_GS_BASE, KGS_B);
	EXPECT_EQ(KGS_B, l2_rdmsr(vcpu, MSR_KERNEL_GS_BASE).value);
	ASSERT_TRUE(vcpu_set_msr(vcpu, MSR_KERNEL_GS_BASE, KGS_A));
	use_policy(_metadata, "0xc0000102 allow drop quiet");
	EXPECT_EQ(KGS_A, l2_rdmsr(vcpu, MSR_KERNEL_GS_BASE).value);
}

/*
 * A named limit: for TSC, KVM has the CPU store the value at L2's exit, and hands that out without
 * asking anybody. RDTSC tells the guest the same.
 */
TEST_F(list, stored_tsc_is_not_judged)
{
	struct vcpu *vcpu = self->table.vcpu;
	struct mg_stats start, d;

	set_one(vcpu, VMX_EXIT_STORE, MSR_TSC, 0);
	use_policy(_metadata, "0x10 deny deny");
	EXPECT_EQ(VECTOR_GP, guest_rdmsr(vcpu, MSR_TSC).vector);
	start = mg_stats();
	EXPECT_EQ(l2_exit_of_call(), l2_rdmsr(vcpu, MSR_APIC_BASE).l2_exit);
	d = mg_stats_since(&start);
	EXPECT_EQ(0, d.reads + d.sequence);
	EXPECT_NE(0, vmx_list_entry(vcpu, VMX_EXIT_STORE, 0).value);
}

/* Each entry is an access of its own, in the list's order. */
TEST_F(list, every_entry_counts)
{
	const struct vmx_list_entry entries[] = {
		{ .msr = MSR_KERNEL_GS_BASE, .value = KGS_B },
		{ .msr = MSR_STAR, .value = STAR_A },
		{ .msr = MSR_KERNEL_GS_BASE, .value = KGS_B + 8 },
	};
	struct vcpu *vcpu = self->table.vcpu;
	struct mg_stats start, d;
	struct mg_event event;

	vmx_set_list(vcpu, VMX_ENTRY_LOAD, entries, ARRAY_SIZE(entries));
	use_policy(_metadata, "0xc0000102 allow drop\n0xc0000081 allow deny audit");
	start = mg_stats();
	EXPECT_EQ(KGS_A, l2_rdmsr(vcpu, MSR_KERNEL_GS_BASE).value);
	d = mg_stats_since(&start);
	EXPECT_EQ(3, d.writes);
	EXPECT_EQ(2, d.dropped);
	EXPECT_EQ(1, d.audited);
	for (unsigned int i = 0; i < ARRAY_SIZE(entries); i++) {
		ASSERT_TRUE(mg_next_event(self->table.listener, &event, 2000));
		EXPECT_EQ(entries[i].msr, event.msr);
		EXPECT_EQ(entries[i].value, event.value);
		EXPECT_EQ(MSRGUARD_ORIGIN_NESTED_LIST, event.origin);
	}
	EXPECT_FALSE(mg_next_event(self->table.listener, &event, 0));
}

/* A failed entry is not the end: L1 is told, and the next one may go well. */
TEST_F(list, failed_entry_and_then_another)
{
	struct vcpu *vcpu = self->table.vcpu;
	struct access_result r;

	set_one(vcpu, VMX_ENTRY_LOAD, MSR_KERNEL_GS_BASE, KGS_B);
	for (unsigned int i = 0; i < 3; i++) {
		use_policy(_metadata, "0xc0000102 allow deny quiet");
		r = l2_rdmsr(vcpu, MSR_KERNEL_GS_BASE);
		EXPECT_EQ(VMX_EXIT_MSR_LOAD_FAIL | VMX_EXIT_FAILED_ENTRY, r.l2_exit);
		EXPECT_EQ(1, vmx_field(vcpu, VMCS_EXIT_QUALIFICATION));
		ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
		r = l2_rdmsr(vcpu, MSR_KERNEL_GS_BASE);
		EXPECT_EQ(l2_exit_of_call(), r.l2_exit);
		EXPECT_EQ(KGS_B, r.value);
		ASSERT_TRUE(vcpu_set_msr(vcpu, MSR_KERNEL_GS_BASE, KGS_A));
	}
}

/* The list is walked when L2 comes back, by the rules of then. */
TEST_F(list, rule_published_while_l2_runs)
{
	struct vcpu *vcpu = self->table.vcpu;
	struct mg_event event;
	uint64_t value;

	set_one(vcpu, VMX_EXIT_LOAD, MSR_KERNEL_GS_BASE, KGS_B);
	vcpu->may_shut_down = true;
	l2_spin_start(vcpu, OP_RDMSR, MSR_FS_BASE, 0);
	ASSERT_TRUE(spin_wait_ok(vcpu, 1000, 10000));
	use_policy(_metadata, "0xc0000102 allow deny");
	guest_spin_stop(vcpu);
	EXPECT_TRUE(vcpu->has_shut_down);
	ASSERT_TRUE(vcpu_get_msr(vcpu, MSR_KERNEL_GS_BASE, &value));
	EXPECT_EQ(KGS_A, value);
	ASSERT_TRUE(mg_next_event(self->table.listener, &event, 2000));
	EXPECT_EQ(MSRGUARD_VERDICT_DENIED, event.verdict);
	EXPECT_EQ(MSRGUARD_ORIGIN_NESTED_LIST, event.origin);
}

/* Freeing a vCPU that is in L2 makes KVM leave L2, which walks L1's list. */
TEST_F(list, vcpu_freed_in_l2)
{
	struct vm *vm = vm_create(1, 0);
	struct vcpu *vcpu = &vm->vcpus[0];
	struct mg_stats start, d;
	struct mg_event event;

	set_one(vcpu, VMX_EXIT_LOAD, MSR_KERNEL_GS_BASE, KGS_B);
	use_policy(_metadata, "0xc0000102 allow deny");
	l2_spin_start(vcpu, OP_RDMSR, MSR_FS_BASE, 0);
	ASSERT_TRUE(spin_wait_ok(vcpu, 1000, 10000));
	start = mg_stats();
	guest_spin_abandon(vcpu);
	vm_free(vm);
	d = mg_stats_since(&start);
	EXPECT_EQ(1, d.denied);
	ASSERT_TRUE(mg_next_event(self->table.listener, &event, 2000));
	EXPECT_EQ(MSR_KERNEL_GS_BASE, event.msr);
	EXPECT_EQ(MSRGUARD_ORIGIN_NESTED_LIST, event.origin);
}

/*
 * Some consistency checks KVM leaves to the hardware, which makes them after KVM has loaded the
 * entry's list. L1 then sees a VMLAUNCH that failed, and KVM restores what it loaded from L1's list
 * of VM-exits. One such: a TPR threshold above the virtual TPR.
 */
static void make_launch_fail(struct __test_metadata *_metadata, struct vcpu *vcpu)
{
	ASSERT_TRUE(vmx_set_controls(vcpu, VMCS_PROC_CONTROLS, PROC_TPR_SHADOW)) {
		TH_LOG("KVM offers no TPR shadow");
	}
	vmx_set_field(vcpu, VMCS_VIRTUAL_APIC_ADDR, GPA_VMX_VAPIC(vcpu->id));
	vmx_set_field(vcpu, VMCS_TPR_THRESHOLD, 5);
}

struct restore_row {
	const char *policy;
	uint64_t entry, host;
	enum end end;
	uint64_t result;
	uint8_t verdict, would_be;
};

/* Bits 0-15 may change: what the entry loads may, what is to be put back may not. */
#define ALLOWED		(KGS_A ^ 0x1)
#define FORBIDDEN	(KGS_A ^ 0x10010)

static const struct restore_row restore_rows[] = {
	{ "0xc0000084 deny deny", ALLOWED, FORBIDDEN, VMLAUNCH_FAILED, FORBIDDEN, 0, 0 },
	{ "0xc0000102 deny allow", ALLOWED, FORBIDDEN, VMLAUNCH_FAILED, FORBIDDEN, 0, 0 },
	{ "0xc0000102 allow mask=0xffff,deny", ALLOWED, KGS_A, VMLAUNCH_FAILED, KGS_A, 0, 0 },
	{ "0xc0000102 allow mask=0xffff,deny", ALLOWED, FORBIDDEN, SHUT_DOWN, ALLOWED,
	  MSRGUARD_VERDICT_DENIED, 0 },
	{ "0xc0000102 allow mask=0xffff,keep", ALLOWED, FORBIDDEN, VMLAUNCH_FAILED, KGS_A ^ 0x10,
	  MSRGUARD_VERDICT_MASKED, 0 },
	{ "0xc0000102 allow mask=0xffff,deny audit", ALLOWED, FORBIDDEN, VMLAUNCH_FAILED, FORBIDDEN,
	  MSRGUARD_VERDICT_AUDITED, MSRGUARD_VERDICT_DENIED },
};

TEST_F(list, restored_after_a_failed_entry)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(restore_rows); i++) {
		const struct restore_row *r = &restore_rows[i];
		struct vm *vm = vm_create(1, 0);
		struct vcpu *vcpu = &vm->vcpus[0];
		struct access_result access;
		struct mg_stats start, d;
		struct mg_event event;
		uint64_t value;

		ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
		make_launch_fail(_metadata, vcpu);
		ASSERT_TRUE(vcpu_set_msr(vcpu, MSR_KERNEL_GS_BASE, KGS_A));
		set_one(vcpu, VMX_ENTRY_LOAD, MSR_KERNEL_GS_BASE, r->entry);
		set_one(vcpu, VMX_EXIT_LOAD, MSR_KERNEL_GS_BASE, r->host);
		use_policy(_metadata, r->policy);
		vcpu->may_shut_down = r->end == SHUT_DOWN;
		start = mg_stats();
		access = l2_rdmsr(vcpu, MSR_APIC_BASE);
		d = mg_stats_since(&start);
		check_end(_metadata, vcpu, r->end, &access);
		ASSERT_TRUE(vcpu_get_msr(vcpu, MSR_KERNEL_GS_BASE, &value));
		EXPECT_EQ(r->result, value) {
			TH_LOG("row %u, %s", i, r->policy);
		}
		EXPECT_EQ(r->verdict ? 1 : 0, d.sequence);
		if (r->verdict) {
			ASSERT_TRUE(mg_next_event(self->table.listener, &event, 2000));
			EXPECT_EQ(r->verdict, event.verdict);
			EXPECT_EQ(r->would_be, event.would_be);
			EXPECT_EQ(r->host, event.value);
			EXPECT_EQ(r->entry, event.old);
			EXPECT_EQ(MSRGUARD_ORIGIN_NESTED_LIST, event.origin);
			EXPECT_FALSE(event.nested);
		}
		EXPECT_FALSE(mg_next_event(self->table.listener, &event, 0));
		vm_free(vm);
	}
}

/* Whether KVM walks the lists by a function that VMCS fields take as well, past its own filter. */
static bool is_shared_with_fields(void)
{
	struct hook_line hooks[MAX_HOOKS];
	unsigned int nr = host_hooks(hooks);

	for (unsigned int i = 0; i < nr; i++)
		if (!strcmp(hooks[i].purpose, "nested-list-write"))
			return !strcmp(hooks[i].function, "kvm_set_msr");
	return false;
}

/* KVM's own filter, for comparison, and the two together: the stricter wins where both speak. */
TEST_F(list, beside_the_vmms_filter)
{
	struct vcpu *vcpu = self->table.vcpu;
	struct access_result r;
	struct mg_event event;

	set_one(vcpu, VMX_ENTRY_LOAD, MSR_KERNEL_GS_BASE, KGS_B);
	vm_filter_one(self->table.vm, MSR_KERNEL_GS_BASE, true, false);
	r = l2_rdmsr(vcpu, MSR_KERNEL_GS_BASE);
	if (is_shared_with_fields()) {
		EXPECT_EQ(KGS_B, r.value);
		ASSERT_TRUE(vcpu_set_msr(vcpu, MSR_KERNEL_GS_BASE, KGS_A));
	} else {
		EXPECT_EQ(VMX_EXIT_MSR_LOAD_FAIL | VMX_EXIT_FAILED_ENTRY, r.l2_exit);
	}
	EXPECT_FALSE(mg_next_event(self->table.listener, &event, 0));

	use_policy(_metadata, "0xc0000102 allow drop");
	r = l2_rdmsr(vcpu, MSR_KERNEL_GS_BASE);
	EXPECT_EQ(VMX_EXIT_MSR_LOAD_FAIL | VMX_EXIT_FAILED_ENTRY, r.l2_exit);
	ASSERT_TRUE(mg_next_event(self->table.listener, &event, 2000));
	EXPECT_EQ(MSRGUARD_VERDICT_DENIED, event.verdict);
	EXPECT_EQ(KGS_A, guest_rdmsr(vcpu, MSR_KERNEL_GS_BASE).value);
}

/*
 * IA32_PERF_GLOBAL_CTRL in a list. Where KVM would warn if its function failed for the VMCS field,
 * the module cannot tell the two apart and makes the denial a drop.
 */
TEST_F(list, perf_global_ctrl)
{
	struct vcpu *vcpu = self->table.vcpu;
	bool is_dropped = is_shared_with_fields();
	struct mg_stats start, d;
	struct access_result r;
	struct mg_event event;

	set_one(vcpu, VMX_ENTRY_LOAD, MSR_PERF_GLOBAL_CTRL, 0);
	use_policy(_metadata, "0x38f allow deny");
	start = mg_stats();
	r = l2_rdmsr(vcpu, MSR_APIC_BASE);
	d = mg_stats_since(&start);
	EXPECT_EQ(is_dropped ? l2_exit_of_call() :
			       VMX_EXIT_MSR_LOAD_FAIL | VMX_EXIT_FAILED_ENTRY, r.l2_exit);
	EXPECT_EQ(is_dropped, d.dropped);
	EXPECT_EQ(!is_dropped, d.denied);
	ASSERT_TRUE(mg_next_event(self->table.listener, &event, 2000));
	EXPECT_EQ(MSR_PERF_GLOBAL_CTRL, event.msr);
	EXPECT_EQ(MSRGUARD_ORIGIN_NESTED_LIST, event.origin);
	EXPECT_EQ(is_dropped ? MSRGUARD_VERDICT_DROPPED : MSRGUARD_VERDICT_DENIED, event.verdict);
}

TEST_HARNESS_MAIN
