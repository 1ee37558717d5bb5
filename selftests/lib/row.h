/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One access under one policy, and all that must come of it.
 *
 * The rows (rows.h) are the same for every way an access can take: an exit, KVM's instruction
 * emulator, a guest of the guest. Include after kselftest_harness.h.
 */
#ifndef MG_SELFTEST_ROW_H
#define MG_SELFTEST_ROW_H

#include <string.h>
#include <unistd.h>
#include <linux/msrguard.h>

#include "msrguard.h"
#include "verify.h"
#include "vm.h"

/*
 * Two values of KERNEL_GS_BASE, which KVM passes through on both vendors' CPUs. They, their
 * complements and what a mask makes of them are canonical addresses, as the CPU demands.
 */
#define KGS_A		0x0000101000112233ull
#define KGS_B		0x0000181800445566ull

/* Two values of STAR, which takes any; KVM passes it through on AMD only. */
#define STAR_A		0x0023001000112233ull
#define STAR_B		0x0033001800445566ull

/**
 * struct row - an access and what must come of it
 * @policy:  lines beside the default line; starts with a default line of its own if
 *           it begins with "default"
 * @mode:    NULL is enforce
 * @op:      OP_WRMSR or OP_RDMSR
 * @msr:     which MSR
 * @before:  what the VMM puts in it first, unless @unknown_to_kvm
 * @value:   what the guest writes
 * @unknown_to_kvm: KVM does not know it; there is nothing to put in or to look at
 * @vector:  expected exception, 0 is none
 * @result:  of a read without exception: what the guest gets. Of a write: what the VMM then finds
 * @counted: the access needed a decision, so reads or writes goes up by one
 * @verdict: expected MSRGUARD_VERDICT_*, 0 is none
 * @would_be: with MSRGUARD_VERDICT_AUDITED
 * @quiet:   no event and no sequence number
 * @value_shown: of a read, the event has the whole value
 * @is_default: the default line spoke
 * @rule_first: else this rule did; @rule_last 0 means the same
 */
struct row {
	const char *policy;
	const char *mode;
	int op;
	uint32_t msr;
	uint64_t before, value;
	bool unknown_to_kvm;
	int vector;
	uint64_t result;
	bool counted;
	uint8_t verdict, would_be;
	bool quiet, value_shown, is_default;
	uint32_t rule_first, rule_last;
};

/* The instruments of a test. */
struct bench_table {
	struct vm *vm;
	struct vcpu *vcpu;
	struct mg_listener *listener;
	struct mg_trace *trace;
};

/* How the access is to reach the host, and what the event must say of it. */
struct way {
	struct access_result (*access)(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value);
	uint8_t origin;
	bool nested;
};

static inline void table_up(struct __test_metadata *_metadata, struct bench_table *table,
			    unsigned int nr_vcpus, unsigned int vm_flags)
{
	char why[MG_ERROR_LEN];

	ASSERT_EQ(0, mg_start(why)) {
		TH_LOG("%s", why);
	}
	table->vm = vm_create(nr_vcpus, vm_flags);
	table->vcpu = &table->vm->vcpus[0];
	table->listener = mg_listen();
	ASSERT_NE(NULL, table->listener) {
		TH_LOG("cannot listen for events: %s", strerror(errno));
	}
	table->trace = mg_trace_open();
	ASSERT_NE(NULL, table->trace) {
		TH_LOG("cannot make a tracing instance: %s", strerror(errno));
	}
	ASSERT_EQ(0, mg_trace_enable(table->trace, true));
}

static inline void table_down(struct bench_table *table)
{
	mg_trace_free(table->trace);
	mg_listener_free(table->listener);
	vm_free(table->vm);
	mg_load_policy(MG_ALLOW_ALL);
	mg_set_mode("enforce");
}

static inline bool is_write_op(int op)
{
	return op == OP_WRMSR || op == OP_WRMSR_FEP;
}

/* Loads @rules beside "default allow allow", or alone if they bring a default line. */
static inline void use_policy(struct __test_metadata *_metadata, const char *rules)
{
	char text[4096];

	snprintf(text, sizeof(text), "%s%s\n",
		 strncmp(rules, "default", strlen("default")) ? MG_ALLOW_ALL : "", rules);
	ASSERT_EQ(0, mg_load_policy(text)) {
		TH_LOG("policy refused: %s", mg_last_error());
	}
}

/* What netlink says of @access is right in every field. */
static inline void check_event(struct __test_metadata *_metadata, const struct mg_event *e,
			       const struct row *row, const struct way *way,
			       const struct access_result *access, struct vcpu *vcpu)
{
	bool write = is_write_op(row->op);
	struct mg_vm_line vm = { 0 };

	EXPECT_EQ(1, mg_vms_of(getpid(), &vm, 1));
	EXPECT_EQ(vm.id, e->vm_id);
	EXPECT_EQ((uint32_t)getpid(), e->vm_pid);
	EXPECT_EQ(vcpu->id, e->vcpu);
	EXPECT_EQ(row->msr, e->msr);
	EXPECT_EQ(write ? MSRGUARD_DIRECTION_WRITE : MSRGUARD_DIRECTION_READ, e->direction);
	EXPECT_EQ(way->origin, e->origin);
	EXPECT_EQ(way->nested, e->nested);
	EXPECT_TRUE(e->has_pc);
	EXPECT_EQ(access->insn_rip, e->pc);
	EXPECT_TRUE(e->has_cpl);
	EXPECT_EQ(0, e->cpl);
	EXPECT_EQ(row->verdict, e->verdict);
	EXPECT_EQ(row->verdict == MSRGUARD_VERDICT_AUDITED, e->has_would_be);
	EXPECT_EQ(row->would_be, e->would_be);
	EXPECT_EQ(!row->is_default, e->has_rule);
	EXPECT_EQ(row->rule_first, e->rule_first);
	EXPECT_EQ(row->rule_last ?: row->rule_first, e->rule_last);
	EXPECT_EQ(mg_generation(), e->generation);
	EXPECT_EQ(mg_stats().sequence, e->seq);
	EXPECT_NE(0, e->time);
	EXPECT_EQ(write || row->value_shown, e->has_value);
	EXPECT_EQ(write ? row->value : row->value_shown ? row->before : 0, e->value);
	EXPECT_EQ(write && !row->unknown_to_kvm, e->has_old);
	EXPECT_EQ(write && !row->unknown_to_kvm ? row->before : 0, e->old);
	EXPECT_EQ(1, e->count);
	EXPECT_FALSE(e->lost);
	/* Our payload is no image that anybody knows. */
	EXPECT_FALSE(e->has_image);
	EXPECT_EQ(0, e->strange);
}

/* The event is the only one, and the tracepoint says the same. */
static inline void check_reports(struct __test_metadata *_metadata, struct bench_table *table,
				 const struct row *row, const struct way *way,
				 const struct access_result *access, struct vcpu *vcpu)
{
	struct mg_event event;
	const char *line;
	char expected[1024];

	if (!row->verdict || row->quiet) {
		EXPECT_FALSE(mg_next_event(table->listener, &event, 50));
		EXPECT_EQ(NULL, mg_trace_next(table->trace));
		return;
	}
	ASSERT_TRUE(mg_next_event(table->listener, &event, 2000));
	check_event(_metadata, &event, row, way, access, vcpu);
	mg_trace_text(&event, expected, sizeof(expected));
	line = mg_trace_next(table->trace);
	ASSERT_NE(NULL, line);
	EXPECT_STREQ(expected, line);
	EXPECT_FALSE(mg_next_event(table->listener, &event, 0));
	EXPECT_EQ(NULL, mg_trace_next(table->trace));
}

/* Each counter moved by what the row says, and no other did. */
static inline void check_counters(struct __test_metadata *_metadata, const struct row *row,
				  const struct mg_stats *start, uint64_t times)
{
	struct mg_stats d = mg_stats_since(start);
	bool write = is_write_op(row->op);
	uint64_t events = row->verdict && !row->quiet ? times : 0;

	EXPECT_EQ(row->counted && !write ? times : 0, d.reads);
	EXPECT_EQ(row->counted && write ? times : 0, d.writes);
	EXPECT_EQ(row->verdict == MSRGUARD_VERDICT_DENIED ? times : 0, d.denied);
	EXPECT_EQ(row->verdict == MSRGUARD_VERDICT_DROPPED ? times : 0, d.dropped);
	EXPECT_EQ(row->verdict == MSRGUARD_VERDICT_MASKED ? times : 0, d.masked);
	EXPECT_EQ(row->verdict == MSRGUARD_VERDICT_AUDITED ? times : 0, d.audited);
	EXPECT_EQ(events, d.sequence);
	EXPECT_EQ(events, d.events_sent);
	EXPECT_EQ(row->verdict && row->quiet ? times : 0, d.quiet);
	EXPECT_EQ(0, d.events_lost);
	EXPECT_EQ(0, d.lost);
	EXPECT_EQ(0, d.overflowed);
	EXPECT_EQ(0, mg_stats().pending);
}

static inline void check_result(struct __test_metadata *_metadata, const struct row *row,
				const struct access_result *r, struct vcpu *vcpu)
{
	uint64_t now;

	EXPECT_EQ(row->vector, r->vector);
	EXPECT_EQ(0, r->error);
	EXPECT_EQ(row->vector ? r->insn_rip : 0, r->fault_rip);
	EXPECT_TRUE(r->regs_intact);
	if (!is_write_op(row->op) && !row->vector)
		EXPECT_EQ(row->result, r->value);
	if (row->unknown_to_kvm)
		return;
	ASSERT_TRUE(vcpu_get_msr(vcpu, row->msr, &now));
	EXPECT_EQ(is_write_op(row->op) ? row->result : row->before, now);
}

static inline void prepare_row(struct __test_metadata *_metadata, const struct row *row,
			       struct vcpu *vcpu)
{
	if (!row->unknown_to_kvm)
		ASSERT_TRUE(vcpu_set_msr(vcpu, row->msr, row->before));
	use_policy(_metadata, row->policy);
	ASSERT_EQ(0, mg_set_mode(row->mode ?: "enforce"));
}

/* What the hardware intercepts while the vCPU runs, read back. */
static inline void check_bitmap(struct __test_metadata *_metadata, struct vcpu *vcpu)
{
	quiet_run_start(vcpu);
	EXPECT_EQ(1, mg_verify_own());
	quiet_run_stop(vcpu);
}

/* All of it: the guest's view, the VMM's, the counters, the event, the trace, the hardware's. */
static inline void check_row(struct __test_metadata *_metadata, struct bench_table *table,
			     const struct row *row, const struct way *way)
{
	struct vcpu *vcpu = table->vcpu;
	struct access_result r;
	struct mg_stats start;

	prepare_row(_metadata, row, vcpu);
	start = mg_stats();
	r = way->access(vcpu, row->op, row->msr, row->value);
	check_result(_metadata, row, &r, vcpu);
	check_counters(_metadata, row, &start, 1);
	check_reports(_metadata, table, row, way, &r, vcpu);
	check_bitmap(_metadata, vcpu);
}

#endif /* MG_SELFTEST_ROW_H */
