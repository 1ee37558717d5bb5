/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What must hold, whoever else is on the functions that the module hooks. Include after
 * kselftest_harness.h.
 */
#ifndef MG_SELFTEST_SHARING_H
#define MG_SELFTEST_SHARING_H

#include <sys/resource.h>

#include "host.h"
#include "row.h"

#define KGS_MASKED	((KGS_A & ~0xffffffffull) | (KGS_B & 0xffffffffull))

/*
 * Both directions of a passed-through MSR, an intercepted one and one without a bit in the
 * hardware's bitmap. What keeps bits, and what is allowed though it is intercepted, makes KVM
 * itself call kvm_msr_allowed() for a guarded MSR.
 */
static const struct row sharing_rows[] = {
	{ .policy = "0xc0000102 allow allow", .op = OP_WRMSR, .msr = MSR_KERNEL_GS_BASE,
	  .before = KGS_A, .value = KGS_B, .result = KGS_B },
	{ .policy = "0xc0000102 allow allow", .op = OP_RDMSR, .msr = MSR_KERNEL_GS_BASE,
	  .before = KGS_A, .result = KGS_A },
	{ .policy = "0xc0000102 allow deny", .op = OP_WRMSR, .msr = MSR_KERNEL_GS_BASE,
	  .before = KGS_A, .value = KGS_B, .result = KGS_A, .vector = VECTOR_GP,
	  .counted = true, .verdict = MSRGUARD_VERDICT_DENIED, .rule_first = MSR_KERNEL_GS_BASE },
	{ .policy = "0xc0000102 deny allow", .op = OP_RDMSR, .msr = MSR_KERNEL_GS_BASE,
	  .before = KGS_A, .vector = VECTOR_GP,
	  .counted = true, .verdict = MSRGUARD_VERDICT_DENIED, .rule_first = MSR_KERNEL_GS_BASE },
	{ .policy = "0xc0000102 allow drop", .op = OP_WRMSR, .msr = MSR_KERNEL_GS_BASE,
	  .before = KGS_A, .value = KGS_B, .result = KGS_A,
	  .counted = true, .verdict = MSRGUARD_VERDICT_DROPPED, .rule_first = MSR_KERNEL_GS_BASE },
	{ .policy = "0xc0000102 mask=0xffff allow", .op = OP_RDMSR, .msr = MSR_KERNEL_GS_BASE,
	  .before = KGS_A, .result = KGS_A & 0xffff, .value_shown = true,
	  .counted = true, .verdict = MSRGUARD_VERDICT_MASKED, .rule_first = MSR_KERNEL_GS_BASE },
	{ .policy = "0xc0000102 allow mask=0xffffffff,keep", .op = OP_WRMSR,
	  .msr = MSR_KERNEL_GS_BASE, .before = KGS_A, .value = KGS_B, .result = KGS_MASKED,
	  .counted = true, .verdict = MSRGUARD_VERDICT_MASKED, .rule_first = MSR_KERNEL_GS_BASE },
	/* judged, and let through as it is */
	{ .policy = "0xc0000102 allow mask=0xffffffffffff,deny", .op = OP_WRMSR,
	  .msr = MSR_KERNEL_GS_BASE, .before = KGS_A, .value = KGS_A ^ 1, .result = KGS_A ^ 1,
	  .counted = true },
	{ .policy = "0xc0000102 allow deny audit", .op = OP_WRMSR, .msr = MSR_KERNEL_GS_BASE,
	  .before = KGS_A, .value = KGS_B, .result = KGS_B,
	  .counted = true, .verdict = MSRGUARD_VERDICT_AUDITED,
	  .would_be = MSRGUARD_VERDICT_DENIED, .rule_first = MSR_KERNEL_GS_BASE },
	{ .policy = "0xc0000102 deny allow audit", .op = OP_RDMSR, .msr = MSR_KERNEL_GS_BASE,
	  .before = KGS_A, .result = KGS_A,
	  .counted = true, .verdict = MSRGUARD_VERDICT_AUDITED,
	  .would_be = MSRGUARD_VERDICT_DENIED, .rule_first = MSR_KERNEL_GS_BASE },
	{ .policy = "0x277 allow mask=0xff,keep", .op = OP_WRMSR, .msr = MSR_PAT,
	  .before = 0x0007040600070406ull, .value = 0x0606060606060600ull,
	  .result = 0x0007040600070400ull,
	  .counted = true, .verdict = MSRGUARD_VERDICT_MASKED, .rule_first = MSR_PAT },
	{ .policy = "default drop drop", .op = OP_RDMSR, .msr = MSR_UNKNOWN,
	  .unknown_to_kvm = true, .counted = true,
	  .verdict = MSRGUARD_VERDICT_DROPPED, .is_default = true },
};

static inline void sharing_check_rows(struct __test_metadata *_metadata, struct bench_table *table)
{
	static const int with_prefix[] = {
		[OP_WRMSR] = OP_WRMSR_FEP, [OP_RDMSR] = OP_RDMSR_FEP,
	};
	static const struct way by_exit = {
		.access = guest_access, .origin = MSRGUARD_ORIGIN_EXIT,
	};
	static const struct way by_emulator = {
		.access = guest_access, .origin = MSRGUARD_ORIGIN_EMULATOR,
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(sharing_rows); i++) {
		struct row row = sharing_rows[i];

		check_row(_metadata, table, &row, &by_exit);
		row.op = with_prefix[row.op];
		check_row(_metadata, table, &row, &by_emulator);
		if (__test_passed(_metadata))
			continue;
		TH_LOG("row %u: %s, op %d", i, sharing_rows[i].policy, sharing_rows[i].op);
		return;
	}
}

/* Every one of a bounded number of denials has its event, its line of trace and its count. */
static inline void sharing_check_counts(struct __test_metadata *_metadata,
					struct bench_table *table)
{
	const unsigned int times = 15;
	unsigned int lines = 0;
	struct mg_stats start, d;

	use_policy(_metadata, "0xc0000102 deny deny\n0x277 allow deny");
	start = mg_stats();
	EXPECT_EQ(times, guest_bench(table->vcpu, OP_WRMSR, MSR_KERNEL_GS_BASE, KGS_B, times).faults);
	EXPECT_EQ(times, guest_bench(table->vcpu, OP_RDMSR, MSR_KERNEL_GS_BASE, 0, times).faults);
	EXPECT_EQ(times, guest_bench(table->vcpu, OP_WRMSR, MSR_PAT, 0, times).faults);
	d = mg_stats_since(&start);
	EXPECT_EQ(3 * times, d.denied);
	EXPECT_EQ(times, d.reads);
	EXPECT_EQ(2 * times, d.writes);
	EXPECT_EQ(3 * times, d.sequence);
	EXPECT_EQ(3 * times, d.events_sent + d.events_lost);
	EXPECT_EQ(3 * times, mg_drain(table->listener));
	while (mg_trace_next(table->trace))
		lines++;
	EXPECT_EQ(3 * times, lines);
}

/*
 * Unloads the module, and loads it again unless @params is NULL; the instruments are made anew, as
 * they go with the module.
 */
static inline void sharing_reload(struct __test_metadata *_metadata, struct bench_table *table,
				  const char *params)
{
	mg_trace_free(table->trace);
	mg_listener_free(table->listener);
	table->trace = NULL;
	table->listener = NULL;
	if (mg_loaded())
		ASSERT_EQ(0, mg_rmmod());
	if (!params)
		return;
	ASSERT_EQ(0, mg_insmod(params));
	table->listener = mg_listen();
	ASSERT_NE(NULL, table->listener);
	table->trace = mg_trace_open();
	ASSERT_NE(NULL, table->trace);
	ASSERT_EQ(0, mg_trace_enable(table->trace, true));
}

static inline void sharing_down(struct bench_table *table)
{
	if (table->trace)
		mg_trace_free(table->trace);
	mg_listener_free(table->listener);
	vm_free(table->vm);
	if (mg_loaded())
		mg_rmmod();
}

/*
 * The same access again and again, in a thread that takes the moments which the host leaves it and
 * no more: the host is slow enough.
 */
static inline void sharing_spin(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value)
{
	int nice = getpriority(PRIO_PROCESS, 0);

	setpriority(PRIO_PROCESS, 0, 19);
	guest_spin_start(vcpu, op, msr, value);
	setpriority(PRIO_PROCESS, 0, nice);
}

/**
 * struct storm - one vCPU that is denied and one whose bits are kept, as fast as they can
 */
struct storm {
	struct vcpu *denied, *kept;
	struct mg_stats start;
};

static inline void storm_begin(struct __test_metadata *_metadata, struct storm *storm,
			       struct vm *vm)
{
	storm->denied = &vm->vcpus[0];
	storm->kept = &vm->vcpus[1];
	ASSERT_TRUE(vcpu_set_msr(storm->denied, MSR_KERNEL_GS_BASE, KGS_A));
	ASSERT_TRUE(vcpu_set_msr(storm->kept, MSR_CSTAR, 0xabcd));
	use_policy(_metadata,
		   "0xc0000102 allow deny quiet\n0xc0000083 allow mask=0xff,keep quiet");
	storm->start = mg_stats();
	sharing_spin(storm->denied, OP_WRMSR, MSR_KERNEL_GS_BASE, KGS_B);
	sharing_spin(storm->kept, OP_WRMSR, MSR_CSTAR, 0x1234);
}

/* Both have gone on since. */
static inline void storm_wait(struct __test_metadata *_metadata, struct storm *storm)
{
	EXPECT_TRUE(spin_wait_faults(storm->denied, 20, 20000));
	EXPECT_TRUE(spin_wait_ok(storm->kept, 20, 20000));
}

/* Not one access slipped by, none was refused, and each was counted. */
static inline void storm_end(struct __test_metadata *_metadata, struct storm *storm)
{
	struct mg_stats d;
	uint64_t value;

	guest_spin_stop(storm->denied);
	guest_spin_stop(storm->kept);
	d = mg_stats_since(&storm->start);
	EXPECT_EQ(0, spin_ok(storm->denied));
	EXPECT_EQ(0, spin_faults(storm->kept));
	EXPECT_EQ(spin_faults(storm->denied), d.denied);
	EXPECT_EQ(spin_ok(storm->kept), d.masked);
	ASSERT_TRUE(vcpu_get_msr(storm->denied, MSR_KERNEL_GS_BASE, &value));
	EXPECT_EQ(KGS_A, value);
	ASSERT_TRUE(vcpu_get_msr(storm->kept, MSR_CSTAR, &value));
	EXPECT_EQ(0xab34, value);
}

#endif /* MG_SELFTEST_SHARING_H */
