// SPDX-License-Identifier: GPL-2.0
/*
 * Every action of the policy on an intercepted access: what the guest sees, what the VMM
 * finds, what is counted, and what the event and the trace say.
 */
#include "kselftest_harness.h"
#include "lib/row.h"

static const struct way by_exit = { .access = guest_access, .origin = MSRGUARD_ORIGIN_EXIT };

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
}

FIXTURE_TEARDOWN(row)
{
	table_down(&self->table);
}

TEST_F(row, exit)
{
	check_row(_metadata, &self->table, &variant->row, &by_exit);
}

FIXTURE(access) {
	struct bench_table table;
};

FIXTURE_SETUP(access)
{
	table_up(_metadata, &self->table, 3, 0);
}

FIXTURE_TEARDOWN(access)
{
	table_down(&self->table);
}

/* A single-stepped access ends in one #DB behind it, or in #GP and no #DB. */
TEST_F(access, single_step)
{
	static const struct {
		const char *policy;
		int op;
		bool faults;
	} steps[] = {
		{ "0xc0000102 deny deny", OP_WRMSR, true },
		{ "0xc0000102 deny deny", OP_RDMSR, true },
		{ "0xc0000102 drop drop", OP_WRMSR, false },
		{ "0xc0000102 drop drop", OP_RDMSR, false },
		{ "0xc0000102 mask=0xff mask=0xff,keep", OP_WRMSR, false },
		{ "0xc0000102 mask=0xff mask=0xff,keep", OP_RDMSR, false },
		{ "0xc0000102 deny deny audit", OP_WRMSR, false },
		{ "0xc0000102 mask=0xff allow audit", OP_RDMSR, false },
	};
	struct vcpu *vcpu = self->table.vcpu;

	if (getenv("LAB_NO_SINGLE_STEP"))
		SKIP(return, "%s", getenv("LAB_NO_SINGLE_STEP"));
	for (unsigned int i = 0; i < ARRAY_SIZE(steps); i++) {
		struct access_result r;

		ASSERT_TRUE(vcpu_set_msr(vcpu, MSR_KERNEL_GS_BASE, KGS_A));
		use_policy(_metadata, steps[i].policy);
		r = guest_access_step(vcpu, steps[i].op, MSR_KERNEL_GS_BASE, KGS_B);
		EXPECT_EQ(steps[i].faults ? VECTOR_GP : 0, r.vector) {
			TH_LOG("%s, op %d", steps[i].policy, steps[i].op);
		}
		EXPECT_EQ(steps[i].faults ? 0 : 1, r.steps) {
			TH_LOG("%s, op %d", steps[i].policy, steps[i].op);
		}
		EXPECT_EQ(steps[i].faults ? 0 : after_insn(r.insn_rip), r.step_rip);
		EXPECT_TRUE(r.regs_intact);
	}
}

/* Only ECX names the MSR; a guest cannot slip past a rule with the upper half. */
TEST_F(access, upper_half_of_rcx)
{
	struct vcpu *vcpu = self->table.vcpu;
	struct mg_event event;
	struct access_result r;

	ASSERT_TRUE(vcpu_set_msr(vcpu, MSR_KERNEL_GS_BASE, KGS_A));
	use_policy(_metadata, "0xc0000102 mask=0xff deny");
	vcpu->rcx_upper = 0xdeadbeef;
	r = guest_wrmsr(vcpu, MSR_KERNEL_GS_BASE, KGS_B);
	EXPECT_EQ(VECTOR_GP, r.vector);
	EXPECT_TRUE(r.regs_intact);
	r = guest_rdmsr(vcpu, MSR_KERNEL_GS_BASE);
	EXPECT_EQ(0, r.vector);
	EXPECT_EQ(KGS_A & 0xff, r.value);
	EXPECT_TRUE(r.regs_intact);
	ASSERT_TRUE(mg_next_event(self->table.listener, &event, 2000));
	EXPECT_EQ(MSR_KERNEL_GS_BASE, event.msr);
	EXPECT_EQ(KGS_B, event.value);
	ASSERT_TRUE(mg_next_event(self->table.listener, &event, 2000));
	EXPECT_EQ(MSR_KERNEL_GS_BASE, event.msr);
}

/* Many accesses of several vCPUs: each is counted once, told once, and in order. */
TEST_F(access, exact_numbers)
{
	const unsigned int rounds = 50;
	struct vm *vm = self->table.vm;
	uint64_t last_time[VM_MAX_VCPUS] = { 0 };
	unsigned int per_vcpu[VM_MAX_VCPUS] = { 0 };
	struct mg_stats start, d;
	struct mg_vm_line line;
	struct mg_event event;
	uint64_t seq;

	use_policy(_metadata, "0xc0000102 deny deny\n0xc0000083 drop allow");
	start = mg_stats();
	seq = start.sequence;
	for (unsigned int i = 0; i < rounds; i++) {
		for (unsigned int n = 0; n < vm->nr_vcpus; n++) {
			struct vcpu *vcpu = &vm->vcpus[n];

			EXPECT_EQ(VECTOR_GP, guest_wrmsr(vcpu, MSR_KERNEL_GS_BASE, i).vector);
			EXPECT_EQ(VECTOR_GP, guest_rdmsr(vcpu, MSR_KERNEL_GS_BASE).vector);
			EXPECT_EQ(0, guest_rdmsr(vcpu, MSR_CSTAR).vector);
		}
		for (unsigned int n = 0; n < 3 * vm->nr_vcpus; n++) {
			ASSERT_TRUE(mg_next_event(self->table.listener, &event, 2000));
			ASSERT_LT(event.vcpu, vm->nr_vcpus);
			EXPECT_EQ(++seq, event.seq);
			EXPECT_EQ(n / 3, event.vcpu);
			EXPECT_LE(last_time[event.vcpu], event.time);
			last_time[event.vcpu] = event.time;
			per_vcpu[event.vcpu]++;
		}
	}
	d = mg_stats_since(&start);
	EXPECT_EQ(rounds * vm->nr_vcpus, d.writes);
	EXPECT_EQ(2 * rounds * vm->nr_vcpus, d.reads);
	EXPECT_EQ(2 * rounds * vm->nr_vcpus, d.denied);
	EXPECT_EQ(rounds * vm->nr_vcpus, d.dropped);
	EXPECT_EQ(3 * rounds * vm->nr_vcpus, d.sequence);
	EXPECT_EQ(3 * rounds * vm->nr_vcpus, d.events_sent);
	EXPECT_EQ(0, d.events_lost);
	for (unsigned int n = 0; n < vm->nr_vcpus; n++)
		EXPECT_EQ(3 * rounds, per_vcpu[n]);

	ASSERT_EQ(1, mg_vms_of(getpid(), &line, 1));
	EXPECT_EQ(vm->nr_vcpus, line.vcpus);
	EXPECT_EQ(d.reads, line.reads);
	EXPECT_EQ(d.writes, line.writes);
	EXPECT_EQ(d.denied, line.denied);
	EXPECT_EQ(d.dropped, line.dropped);
	EXPECT_EQ(0, line.masked);
	EXPECT_EQ(0, line.audited);
}

/* Two VMs of one process: ids differ, are not used again, and each has its own counters. */
TEST_F(access, vms_apart)
{
	struct mg_vm_line lines[3];
	struct vm *other = vm_create(1, 0);
	struct mg_event event;
	uint64_t other_id;

	use_policy(_metadata, "0xc0000102 allow deny");
	ASSERT_EQ(2, mg_vms_of(getpid(), lines, 3));
	EXPECT_NE(lines[0].id, lines[1].id);
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(&other->vcpus[0], MSR_KERNEL_GS_BASE, 1).vector);
	ASSERT_TRUE(mg_next_event(self->table.listener, &event, 2000));
	other_id = event.vm_id;
	ASSERT_EQ(2, mg_vms_of(getpid(), lines, 3));
	for (unsigned int i = 0; i < 2; i++) {
		EXPECT_EQ(lines[i].id == other_id ? 1 : 0, lines[i].denied);
		EXPECT_EQ(lines[i].id == other_id ? 1 : self->table.vm->nr_vcpus, lines[i].vcpus);
	}
	vm_free(other);
	EXPECT_EQ(1, mg_vms_of(getpid(), lines, 3));

	other = vm_create(1, 0);
	ASSERT_EQ(2, mg_vms_of(getpid(), lines, 3));
	EXPECT_NE(other_id, lines[0].id);
	EXPECT_NE(other_id, lines[1].id);
	EXPECT_EQ(0, lines[0].denied + lines[1].denied);
	vm_free(other);
}

/* With nobody listening an access is counted and numbered, and nothing is sent. */
TEST_F(access, nobody_listens)
{
	struct mg_stats start, d;
	struct mg_event event;

	use_policy(_metadata, "0xc0000102 allow deny");
	ASSERT_EQ(0, mg_trace_enable(self->table.trace, false));
	mg_listener_free(self->table.listener);
	self->table.listener = NULL;
	start = mg_stats();
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(self->table.vcpu, MSR_KERNEL_GS_BASE, 1).vector);
	d = mg_stats_since(&start);
	EXPECT_EQ(1, d.denied);
	EXPECT_EQ(1, d.sequence);
	EXPECT_EQ(0, d.events_sent);
	EXPECT_EQ(0, d.events_lost);
	EXPECT_EQ(NULL, mg_trace_next(self->table.trace));

	/* Only the tracepoint, then only a listener. */
	ASSERT_EQ(0, mg_trace_enable(self->table.trace, true));
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(self->table.vcpu, MSR_KERNEL_GS_BASE, 1).vector);
	EXPECT_NE(NULL, mg_trace_next(self->table.trace));
	ASSERT_EQ(0, mg_trace_enable(self->table.trace, false));
	self->table.listener = mg_listen();
	ASSERT_NE(NULL, self->table.listener);
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(self->table.vcpu, MSR_KERNEL_GS_BASE, 1).vector);
	EXPECT_TRUE(mg_next_event(self->table.listener, &event, 2000));
	EXPECT_EQ(NULL, mg_trace_next(self->table.trace));
}

/* A listener too slow for a storm: what it did not get, and nothing else, is counted as lost. */
TEST_F_TIMEOUT(access, slow_listener, 240)
{
	const uint64_t storm = 5000;
	struct mg_stats start, d;
	struct bench_result b;
	struct mg_event event;
	uint64_t got = 0, last = 0;

	use_policy(_metadata, "0xc0000102 allow deny");
	ASSERT_EQ(0, mg_trace_enable(self->table.trace, false));
	start = mg_stats();
	b = guest_bench(self->table.vcpu, OP_WRMSR, MSR_KERNEL_GS_BASE, 1, storm);
	EXPECT_EQ(storm, b.faults);
	d = mg_stats_since(&start);
	EXPECT_EQ(storm, d.denied);
	EXPECT_EQ(storm, d.sequence);
	EXPECT_EQ(storm, d.events_sent + d.events_lost);
	EXPECT_LT(0, d.events_lost);
	/* The overrun itself is reported once by the socket, as an error; go on behind it. */
	for (unsigned int misses = 0; misses < 2;) {
		if (!mg_next_event(self->table.listener, &event, 100)) {
			misses++;
			continue;
		}
		EXPECT_LT(last, event.seq);
		last = event.seq;
		got++;
	}
	EXPECT_EQ(d.events_sent, got);
}

/* The generation in an event is that of the policy that spoke. */
TEST_F(access, generation_follows)
{
	struct mg_event event;
	uint64_t generation;

	use_policy(_metadata, "0xc0000102 allow deny");
	generation = mg_generation();
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(self->table.vcpu, MSR_KERNEL_GS_BASE, 1).vector);
	ASSERT_TRUE(mg_next_event(self->table.listener, &event, 2000));
	EXPECT_EQ(generation, event.generation);
	ASSERT_EQ(0, mg_add_rule("0xc0000083 deny deny"));
	EXPECT_EQ(generation + 1, mg_generation());
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(self->table.vcpu, MSR_KERNEL_GS_BASE, 1).vector);
	ASSERT_TRUE(mg_next_event(self->table.listener, &event, 2000));
	EXPECT_EQ(generation + 1, event.generation);
	/* A mode is no policy. */
	ASSERT_EQ(0, mg_set_mode("audit"));
	EXPECT_EQ(generation + 1, mg_generation());
	/* What is refused changes nothing. */
	EXPECT_NE(0, mg_add_rule("0xc0000083 deny deny"));
	EXPECT_EQ(generation + 1, mg_generation());
}

/* TSC_DEADLINE, which KVM may handle on a fast path of its own, past its own filter. */
TEST_F(access, tsc_deadline)
{
	struct vm *vm = vm_create(1, VM_IRQCHIP);
	struct mg_stats start;
	struct mg_event event;
	struct access_result r;
	struct row row = {
		.op = OP_WRMSR, .msr = MSR_TSC_DEADLINE, .counted = true,
		.verdict = MSRGUARD_VERDICT_DENIED,
	};

	use_policy(_metadata, "0x6e0 allow deny");
	start = mg_stats();
	for (unsigned int i = 0; i < 10; i++) {
		r = guest_wrmsr(&vm->vcpus[0], MSR_TSC_DEADLINE, ~0ull >> 1);
		EXPECT_EQ(VECTOR_GP, r.vector);
		EXPECT_TRUE(r.regs_intact);
		ASSERT_TRUE(mg_next_event(self->table.listener, &event, 2000));
		EXPECT_EQ(MSR_TSC_DEADLINE, event.msr);
		EXPECT_EQ(r.insn_rip, event.pc);
	}
	check_counters(_metadata, &row, &start, 10);
	vm_free(vm);
}

TEST_HARNESS_MAIN
