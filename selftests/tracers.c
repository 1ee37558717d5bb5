// SPDX-License-Identifier: GPL-2.0
/*
 * Tracers on the very functions that the module hooks. They share ftrace's place with us, and
 * two of them (function_graph and a kretprobe) change the return address by which we tell the
 * callers of kvm_msr_allowed() apart. The policy must hold all the while, whether they come after
 * us or before, and whether we call directly or by ftrace callbacks.
 */
#include "kselftest_harness.h"
#include "lib/sharing.h"
#include "lib/tracing.h"

/* A variant of a test: a tracer, how the module is loaded, and what "hooks" says meanwhile. */
struct traced {
	unsigned int what;
	const char *params;
	const char *state;
};

#define FUNCTION_AND_KPROBE	(TRACE_FUNCTION | TRACE_KPROBE)
#define GRAPH_AND_KRETPROBE	(TRACE_GRAPH | TRACE_KRETPROBE)
#define DIRECT(tracers)		{ .what = (tracers), .params = "", .state = "shared" }
#define CALLBACKS(tracers)	{ .what = (tracers), .params = "direct=0", .state = "attached" }

struct set_up {
	struct bench_table table;
	struct hook_line hooks[MAX_HOOKS];
	unsigned int nr_hooks;
};

static void set_up(struct __test_metadata *_metadata, struct set_up *self,
		   const struct traced *traced)
{
	char direct[8];

	/* The tests of one mechanism use one loading of the module. */
	if (mg_loaded()) {
		ASSERT_LT(0, host_param("direct", direct, sizeof(direct)));
		if ((direct[0] == 'Y') != !*traced->params)
			ASSERT_EQ(0, mg_rmmod());
	}
	if (!mg_loaded())
		ASSERT_EQ(0, mg_insmod(traced->params));
	table_up(_metadata, &self->table, 2, 0);
	self->nr_hooks = host_hooks(self->hooks);
	ASSERT_LE(10, self->nr_hooks);
}

static void tear_down(struct set_up *self)
{
	tracing_stop();
	if (mg_loaded())
		table_down(&self->table);
	else
		vm_free(self->table.vm);
}

static void expect_state(struct __test_metadata *_metadata, const char *deciding)
{
	struct hook_line hooks[MAX_HOOKS];
	unsigned int nr = host_hooks(hooks);

	ASSERT_NE(0, nr);
	for (unsigned int i = 0; i < nr; i++) {
		EXPECT_STREQ(host_hook_decides(&hooks[i]) ? deciding : "attached", hooks[i].state) {
			TH_LOG("%s", hooks[i].function);
		}
	}
}

/* The tracer has seen the guest's accesses, those that we answer too. */
static void expect_traced(struct __test_metadata *_metadata, unsigned int what)
{
	for (unsigned int one = TRACE_FUNCTION; one <= TRACE_KRETPROBE; one <<= 1) {
		if (!(what & one))
			continue;
		EXPECT_TRUE(tracing_saw(one, "kvm_emulate_wrmsr")) {
			TH_LOG("tracer %u did not see kvm_emulate_wrmsr()", one);
		}
		EXPECT_TRUE(tracing_saw(one, "kvm_msr_allowed")) {
			TH_LOG("tracer %u did not see kvm_msr_allowed()", one);
		}
	}
}

FIXTURE(tracers) {
	struct set_up up;
};

FIXTURE_VARIANT(tracers) {
	struct traced traced;
};

FIXTURE_VARIANT_ADD(tracers, function_and_kprobe) { .traced = DIRECT(FUNCTION_AND_KPROBE) };
FIXTURE_VARIANT_ADD(tracers, function_graph) { .traced = DIRECT(TRACE_GRAPH) };
FIXTURE_VARIANT_ADD(tracers, kretprobe) { .traced = DIRECT(TRACE_KRETPROBE) };
FIXTURE_VARIANT_ADD(tracers, graph_and_kretprobe) { .traced = DIRECT(GRAPH_AND_KRETPROBE) };
FIXTURE_VARIANT_ADD(tracers, function_and_kprobe_on_callbacks) {
	.traced = CALLBACKS(FUNCTION_AND_KPROBE),
};
FIXTURE_VARIANT_ADD(tracers, graph_and_kretprobe_on_callbacks) {
	.traced = CALLBACKS(GRAPH_AND_KRETPROBE),
};

FIXTURE_SETUP(tracers)
{
	set_up(_metadata, &self->up, &variant->traced);
}

FIXTURE_TEARDOWN(tracers)
{
	tear_down(&self->up);
}

TEST_F_TIMEOUT(tracers, policy_holds, 180)
{
	const struct traced *traced = &variant->traced;
	struct set_up *up = &self->up;

	ASSERT_TRUE(fep_works(up->table.vcpu) || fep_enable());
	expect_state(_metadata, "attached");
	ASSERT_EQ(0, tracing_start(up->hooks, up->nr_hooks, traced->what));
	expect_state(_metadata, traced->state);
	sharing_check_rows(_metadata, &up->table);
	expect_traced(_metadata, traced->what);
	sharing_check_counts(_metadata, &up->table);
	expect_state(_metadata, traced->state);
	ASSERT_EQ(0, tracing_stop());
	expect_state(_metadata, "attached");
	sharing_check_counts(_metadata, &up->table);
}

/*
 * While the tracer, the policy or the module comes and goes: with the two that do most to the
 * functions.
 */
FIXTURE(changes) {
	struct set_up up;
};

FIXTURE_VARIANT(changes) {
	struct traced traced;
};

FIXTURE_VARIANT_ADD(changes, function_and_kprobe) { .traced = DIRECT(FUNCTION_AND_KPROBE) };
FIXTURE_VARIANT_ADD(changes, graph_and_kretprobe) { .traced = DIRECT(GRAPH_AND_KRETPROBE) };
FIXTURE_VARIANT_ADD(changes, graph_and_kretprobe_on_callbacks) {
	.traced = CALLBACKS(GRAPH_AND_KRETPROBE),
};

FIXTURE_SETUP(changes)
{
	set_up(_metadata, &self->up, &variant->traced);
}

FIXTURE_TEARDOWN(changes)
{
	tear_down(&self->up);
}

#define DENY_WRITES	"0xc0000102 allow deny quiet"

/* Bitmaps computed under the tracer: by a publication, and by a vCPU's creation. */
TEST_F_TIMEOUT(changes, published_and_withdrawn, 180)
{
	const struct traced *traced = &variant->traced;
	struct set_up *up = &self->up;
	struct vcpu *vcpu = up->table.vcpu;
	uint64_t ok, faults, exits;
	struct vm *vm;

	sharing_spin(vcpu, OP_WRMSR, MSR_KERNEL_GS_BASE, KGS_A);
	ASSERT_TRUE(spin_wait_ok(vcpu, 100, 10000));
	ASSERT_EQ(0, tracing_start(up->hooks, up->nr_hooks, traced->what));
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
		EXPECT_EQ(VECTOR_GP, guest_wrmsr(&vm->vcpus[n], MSR_KERNEL_GS_BASE, KGS_B).vector);
	vm_free(vm);
}

/*
 * The tracer comes and goes while one vCPU is denied and the other has its bits kept, as fast
 * as they can: not one access may slip by in between, be refused, or go without being counted.
 */
TEST_F_TIMEOUT(changes, come_and_go_under_a_storm, 240)
{
	const struct traced *traced = &variant->traced;
	struct set_up *up = &self->up;
	struct storm storm;

	storm_begin(_metadata, &storm, up->table.vm);
	for (unsigned int i = 0; i < 2; i++) {
		ASSERT_EQ(0, tracing_start(up->hooks, up->nr_hooks, traced->what));
		storm_wait(_metadata, &storm);
		ASSERT_EQ(0, tracing_stop());
		storm_wait(_metadata, &storm);
	}
	storm_end(_metadata, &storm);
	expect_state(_metadata, "attached");
}

/* The tracer is there first, and stays when we go. */
TEST_F_TIMEOUT(changes, loaded_and_unloaded_under_it, 180)
{
	const struct traced *traced = &variant->traced;
	struct set_up *up = &self->up;
	struct vcpu *vcpu = up->table.vcpu;

	ASSERT_EQ(0, mg_rmmod());
	ASSERT_EQ(0, tracing_start(up->hooks, up->nr_hooks, traced->what));
	ASSERT_EQ(0, mg_insmod(traced->params));
	expect_state(_metadata, traced->state);
	use_policy(_metadata, DENY_WRITES);
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(vcpu, MSR_KERNEL_GS_BASE, KGS_B).vector);
	ASSERT_EQ(0, mg_rmmod());
	EXPECT_EQ(0, guest_wrmsr(vcpu, MSR_KERNEL_GS_BASE, KGS_B).vector);
	ASSERT_EQ(0, tracing_clear());
	EXPECT_EQ(0, guest_wrmsr(vcpu, MSR_PAT, 0x0007040600070406ull).vector);
	expect_traced(_metadata, traced->what);
	/* It goes while we are there. */
	ASSERT_EQ(0, mg_insmod(traced->params));
	expect_state(_metadata, traced->state);
	use_policy(_metadata, DENY_WRITES);
	ASSERT_EQ(0, tracing_stop());
	expect_state(_metadata, "attached");
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(vcpu, MSR_KERNEL_GS_BASE, KGS_B).vector);
}

TEST_HARNESS_MAIN
