// SPDX-License-Identifier: GPL-2.0
/*
 * Tracers on the very functions that the module hooks. They share ftrace's place with us, and
 * two of them (function_graph and a kretprobe) change the return address by which we tell the
 * callers of kvm_msr_allowed() apart. The policy must hold all the while.
 */
#include "kselftest_harness.h"
#include <fcntl.h>
#include "lib/host.h"
#include "lib/row.h"

#define KPROBES		"msrguard_selftest"

/* What is traced at a time. */
#define FUNCTION	1u
#define GRAPH		2u
#define KPROBE		4u
#define KRETPROBE	8u

static const struct way by_exit = { .access = guest_access, .origin = MSRGUARD_ORIGIN_EXIT };

FIXTURE(tracers) {
	struct bench_table table;
	struct hook_line hooks[MAX_HOOKS];
	unsigned int nr_hooks;
};

FIXTURE_VARIANT(tracers) {
	unsigned int what;
};

FIXTURE_VARIANT_ADD(tracers, function_and_kprobe) { .what = FUNCTION | KPROBE };
FIXTURE_VARIANT_ADD(tracers, function_graph) { .what = GRAPH };
FIXTURE_VARIANT_ADD(tracers, kretprobe) { .what = KRETPROBE };
FIXTURE_VARIANT_ADD(tracers, graph_and_kretprobe) { .what = GRAPH | KRETPROBE };

static bool is_direct(const struct hook_line *hook)
{
	return !strcmp(hook->mechanism, "direct");
}

/* By hand, because stdio wants to seek to the end, which kprobe_events cannot. */
static int append_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err = -errno;
	close(fd);
	return err;
}

static int start_tracer(const struct hook_line *hooks, unsigned int nr, const char *tracer)
{
	int err = host_write(HOST_TRACING "/trace", "\n");

	for (unsigned int i = 0; !err && i < nr; i++)
		if (is_direct(&hooks[i]))
			err = append_to(HOST_TRACING "/set_ftrace_filter", hooks[i].function);
	return err ?: host_write(HOST_TRACING "/current_tracer", tracer);
}

static int start_kprobes(const struct hook_line *hooks, unsigned int nr, char type)
{
	char line[256];
	int err = 0;

	for (unsigned int i = 0; !err && i < nr; i++) {
		if (!is_direct(&hooks[i]))
			continue;
		snprintf(line, sizeof(line), "%c:" KPROBES "/%c%u kvm:%s\n", type, type, i,
			 hooks[i].function);
		err = append_to(HOST_TRACING "/kprobe_events", line);
	}
	return err ?: host_write(HOST_TRACING "/events/" KPROBES "/enable", "1");
}

static int trace(const struct hook_line *hooks, unsigned int nr, unsigned int what)
{
	int err = 0;

	if (what & FUNCTION)
		err = start_tracer(hooks, nr, "function");
	if (!err && what & GRAPH)
		err = start_tracer(hooks, nr, "function_graph");
	if (!err && what & KPROBE)
		err = start_kprobes(hooks, nr, 'p');
	if (!err && what & KRETPROBE)
		err = start_kprobes(hooks, nr, 'r');
	return err;
}

static int remove_kprobes(void)
{
	char *events = host_read(HOST_TRACING "/kprobe_events");
	char *save, *line;
	int err = 0;

	if (!events)
		return -errno;
	if (strstr(events, KPROBES))
		err = host_write(HOST_TRACING "/events/" KPROBES "/enable", "0");
	for (line = strtok_r(events, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char text[128];
		char *name = strstr(line, KPROBES "/");

		if (!name)
			continue;
		snprintf(text, sizeof(text), "-:%.*s\n", (int)strcspn(name, " "), name);
		err = append_to(HOST_TRACING "/kprobe_events", text) ?: err;
	}
	free(events);
	return err;
}

static int stop_tracing(void)
{
	int err = host_write(HOST_TRACING "/current_tracer", "nop");
	int filter = open(HOST_TRACING "/set_ftrace_filter", O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (filter >= 0)
		close(filter);
	return remove_kprobes() ?: err;
}

FIXTURE_SETUP(tracers)
{
	table_up(_metadata, &self->table, 2, 0);
	self->nr_hooks = host_hooks(self->hooks);
	ASSERT_NE(0, self->nr_hooks);
}

FIXTURE_TEARDOWN(tracers)
{
	stop_tracing();
	if (mg_loaded())
		table_down(&self->table);
	else
		vm_free(self->table.vm);
}

static void expect_state(struct __test_metadata *_metadata, const char *direct)
{
	struct hook_line hooks[MAX_HOOKS];
	unsigned int nr = host_hooks(hooks);

	ASSERT_NE(0, nr);
	for (unsigned int i = 0; i < nr; i++) {
		EXPECT_STREQ(is_direct(&hooks[i]) ? direct : "attached", hooks[i].state) {
			TH_LOG("%s", hooks[i].function);
		}
	}
}

/*
 * Both directions of a passed-through MSR, an intercepted one and one without a bit in the
 * hardware's bitmap. What keeps bits, and what is allowed though it is intercepted, makes KVM
 * itself call kvm_msr_allowed() for a guarded MSR.
 */
static const struct row rows[] = {
	{ .policy = "0xc0000081 allow allow", .op = OP_WRMSR, .msr = MSR_STAR,
	  .before = STAR_A, .value = STAR_B, .result = STAR_B },
	{ .policy = "0xc0000081 allow allow", .op = OP_RDMSR, .msr = MSR_STAR,
	  .before = STAR_A, .result = STAR_A },
	{ .policy = "0xc0000081 allow deny", .op = OP_WRMSR, .msr = MSR_STAR,
	  .before = STAR_A, .value = STAR_B, .result = STAR_A, .vector = VECTOR_GP,
	  .counted = true, .verdict = MSRGUARD_VERDICT_DENIED, .rule_first = MSR_STAR },
	{ .policy = "0xc0000081 deny allow", .op = OP_RDMSR, .msr = MSR_STAR,
	  .before = STAR_A, .vector = VECTOR_GP,
	  .counted = true, .verdict = MSRGUARD_VERDICT_DENIED, .rule_first = MSR_STAR },
	{ .policy = "0xc0000081 allow drop", .op = OP_WRMSR, .msr = MSR_STAR,
	  .before = STAR_A, .value = STAR_B, .result = STAR_A,
	  .counted = true, .verdict = MSRGUARD_VERDICT_DROPPED, .rule_first = MSR_STAR },
	{ .policy = "0xc0000081 mask=0xffff allow", .op = OP_RDMSR, .msr = MSR_STAR,
	  .before = STAR_A, .result = STAR_A & 0xffff, .value_shown = true,
	  .counted = true, .verdict = MSRGUARD_VERDICT_MASKED, .rule_first = MSR_STAR },
	{ .policy = "0xc0000081 allow mask=0xffffffff,keep", .op = OP_WRMSR, .msr = MSR_STAR,
	  .before = STAR_A, .value = STAR_B,
	  .result = (STAR_A & ~0xffffffffull) | (STAR_B & 0xffffffffull),
	  .counted = true, .verdict = MSRGUARD_VERDICT_MASKED, .rule_first = MSR_STAR },
	/* judged, and let through as it is */
	{ .policy = "0xc0000081 allow mask=0xffffffffffff,deny", .op = OP_WRMSR,
	  .msr = MSR_STAR, .before = STAR_A, .value = STAR_A ^ 1, .result = STAR_A ^ 1,
	  .counted = true },
	{ .policy = "0xc0000081 allow deny audit", .op = OP_WRMSR, .msr = MSR_STAR,
	  .before = STAR_A, .value = STAR_B, .result = STAR_B,
	  .counted = true, .verdict = MSRGUARD_VERDICT_AUDITED,
	  .would_be = MSRGUARD_VERDICT_DENIED, .rule_first = MSR_STAR },
	{ .policy = "0xc0000081 deny allow audit", .op = OP_RDMSR, .msr = MSR_STAR,
	  .before = STAR_A, .result = STAR_A,
	  .counted = true, .verdict = MSRGUARD_VERDICT_AUDITED,
	  .would_be = MSRGUARD_VERDICT_DENIED, .rule_first = MSR_STAR },
	{ .policy = "0x277 allow mask=0xff,keep", .op = OP_WRMSR, .msr = MSR_PAT,
	  .before = 0x0007040600070406ull, .value = 0x0606060606060600ull,
	  .result = 0x0007040600070400ull,
	  .counted = true, .verdict = MSRGUARD_VERDICT_MASKED, .rule_first = MSR_PAT },
	{ .policy = "default drop drop", .op = OP_RDMSR, .msr = MSR_UNKNOWN,
	  .unknown_to_kvm = true, .counted = true,
	  .verdict = MSRGUARD_VERDICT_DROPPED, .is_default = true },
};

static void check_rows(struct __test_metadata *_metadata, struct bench_table *table)
{
	static const int with_prefix[] = {
		[OP_WRMSR] = OP_WRMSR_FEP, [OP_RDMSR] = OP_RDMSR_FEP,
	};
	const struct way by_emulator = {
		.access = guest_access, .origin = MSRGUARD_ORIGIN_EMULATOR,
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		struct row row = rows[i];

		check_row(_metadata, table, &row, &by_exit);
		row.op = with_prefix[row.op];
		check_row(_metadata, table, &row, &by_emulator);
		if (__test_passed(_metadata))
			continue;
		TH_LOG("row %u: %s, op %d", i, rows[i].policy, rows[i].op);
		return;
	}
}

/* The tracer has seen the guest's accesses, those that we answer too. */
static void expect_traced(struct __test_metadata *_metadata, unsigned int what)
{
	char *text = host_read(HOST_TRACING "/trace");

	ASSERT_NE(NULL, text);
	if (what & (FUNCTION | GRAPH)) {
		EXPECT_NE(NULL, strstr(text, "kvm_emulate_wrmsr")) {
			TH_LOG("the tracer did not see kvm_emulate_wrmsr()");
		}
		EXPECT_NE(NULL, strstr(text, "kvm_msr_allowed"));
	}
	if (what & KPROBE)
		EXPECT_NE(NULL, strstr(text, " (kvm_emulate_wrmsr"));
	if (what & KRETPROBE)
		EXPECT_NE(NULL, strstr(text, "<- kvm_emulate_wrmsr"));
	free(text);
}

TEST_F_TIMEOUT(tracers, policy_holds, 180)
{
	ASSERT_TRUE(fep_works(self->table.vcpu) || fep_enable());
	expect_state(_metadata, "attached");
	ASSERT_EQ(0, trace(self->hooks, self->nr_hooks, variant->what));
	expect_state(_metadata, "shared");
	check_rows(_metadata, &self->table);
	expect_traced(_metadata, variant->what);
	expect_state(_metadata, "shared");
	ASSERT_EQ(0, stop_tracing());
	expect_state(_metadata, "attached");
	check_rows(_metadata, &self->table);
}

#define DENY_WRITES	"0xc0000081 allow deny quiet"

/* Bitmaps computed under the tracer: by a publication, and by a vCPU's creation. */
TEST_F_TIMEOUT(tracers, published_and_withdrawn, 180)
{
	struct vcpu *vcpu = self->table.vcpu;
	uint64_t ok, faults, exits;
	struct vm *vm;

	guest_spin_start(vcpu, OP_WRMSR, MSR_STAR, STAR_A);
	ASSERT_TRUE(spin_wait_ok(vcpu, 100, 10000));
	ASSERT_EQ(0, trace(self->hooks, self->nr_hooks, variant->what));
	for (unsigned int i = 0; i < 2; i++) {
		use_policy(_metadata, DENY_WRITES);
		ok = spin_ok(vcpu);
		EXPECT_TRUE(spin_wait_faults(vcpu, 100, 10000));
		EXPECT_LE(spin_ok(vcpu), ok + 1);
		ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
		faults = spin_faults(vcpu);
		ASSERT_TRUE(spin_wait_ok(vcpu, 100, 10000));
		exits = vcpu_exits(vcpu);
		ok = spin_ok(vcpu);
		ASSERT_TRUE(spin_wait_ok(vcpu, 20000, 20000));
		EXPECT_LT((double)(vcpu_exits(vcpu) - exits) / (spin_ok(vcpu) - ok), 0.01);
		EXPECT_LE(spin_faults(vcpu), faults + 1);
	}
	guest_spin_stop(vcpu);
	use_policy(_metadata, DENY_WRITES);
	vm = vm_create(2, 0);
	for (unsigned int n = 0; n < 2; n++)
		EXPECT_EQ(VECTOR_GP, guest_wrmsr(&vm->vcpus[n], MSR_STAR, STAR_B).vector);
	vm_free(vm);
}

/*
 * The tracer comes and goes while one vCPU is denied and the other has its bits kept, as fast
 * as they can: not one access may slip by in between, or be refused.
 */
TEST_F_TIMEOUT(tracers, come_and_go_under_a_storm, 240)
{
	struct vcpu *denied = &self->table.vm->vcpus[0], *kept = &self->table.vm->vcpus[1];
	uint64_t value;

	ASSERT_TRUE(vcpu_set_msr(denied, MSR_STAR, STAR_A));
	ASSERT_TRUE(vcpu_set_msr(kept, MSR_CSTAR, 0xabcd));
	use_policy(_metadata,
		   DENY_WRITES "\n0xc0000083 allow mask=0xff,keep quiet");
	guest_spin_start(denied, OP_WRMSR, MSR_STAR, STAR_B);
	guest_spin_start(kept, OP_WRMSR, MSR_CSTAR, 0x1234);
	for (unsigned int i = 0; i < 3; i++) {
		ASSERT_EQ(0, trace(self->hooks, self->nr_hooks, variant->what));
		EXPECT_TRUE(spin_wait_faults(denied, 20, 10000));
		EXPECT_TRUE(spin_wait_ok(kept, 20, 10000));
		ASSERT_EQ(0, stop_tracing());
		EXPECT_TRUE(spin_wait_faults(denied, 20, 10000));
		EXPECT_TRUE(spin_wait_ok(kept, 20, 10000));
	}
	guest_spin_stop(denied);
	guest_spin_stop(kept);
	EXPECT_EQ(0, spin_ok(denied));
	EXPECT_EQ(0, spin_faults(kept));
	ASSERT_TRUE(vcpu_get_msr(denied, MSR_STAR, &value));
	EXPECT_EQ(STAR_A, value);
	ASSERT_TRUE(vcpu_get_msr(kept, MSR_CSTAR, &value));
	EXPECT_EQ(0xab34, value);
	expect_state(_metadata, "attached");
}

/* The tracer is there first, and stays when we go. */
TEST_F_TIMEOUT(tracers, loaded_and_unloaded_under_it, 180)
{
	struct vcpu *vcpu = self->table.vcpu;

	ASSERT_EQ(0, mg_rmmod());
	ASSERT_EQ(0, trace(self->hooks, self->nr_hooks, variant->what));
	for (unsigned int i = 0; i < 2; i++) {
		ASSERT_EQ(0, mg_insmod(""));
		expect_state(_metadata, "shared");
		use_policy(_metadata, DENY_WRITES);
		EXPECT_EQ(VECTOR_GP, guest_wrmsr(vcpu, MSR_STAR, STAR_B).vector);
		ASSERT_EQ(0, mg_rmmod());
		EXPECT_EQ(0, guest_wrmsr(vcpu, MSR_STAR, STAR_B).vector);
	}
	ASSERT_EQ(0, host_write(HOST_TRACING "/trace", "\n"));
	EXPECT_EQ(0, guest_wrmsr(vcpu, MSR_PAT, 0x0007040600070406ull).vector);
	expect_traced(_metadata, variant->what);
	ASSERT_EQ(0, stop_tracing());
	ASSERT_EQ(0, mg_insmod(""));
	expect_state(_metadata, "attached");
}

TEST_HARNESS_MAIN
