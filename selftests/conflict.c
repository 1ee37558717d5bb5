// SPDX-License-Identifier: GPL-2.0
/*
 * Another module has hooked one of our functions, in each way that ftrace has for that. He may have
 * been there before us: then we go beside him if both of us can, and he stays in place; or the load
 * fails, says who it likely is, and leaves nothing. Or he comes later: then ftrace lets him in or
 * not, and nothing of ours is touched. Module: modules/hook_squatter.c, beside this program.
 */
#include "kselftest_harness.h"
#include <libgen.h>
#include "lib/sharing.h"

#define SQUATTER	"hook_squatter"

FIXTURE(conflict) {
	struct bench_table table;
	struct host_log *log;
	struct hook_line hooks[MAX_HOOKS];
	unsigned int nr_hooks;
};

/*
 * @beside: which mechanism of ours goes beside him where he came first; NULL: none does
 * @state:  and what "hooks" says then
 * @after:  what he gets where he came last
 */
FIXTURE_VARIANT(conflict) {
	const char *kind;
	const char *symbol;
	const char *params;
	const char *mechanism;
	const char *beside, *state;
	int after;
};

FIXTURE_VARIANT_ADD(conflict, ipmodify) {
	.kind = "ipmodify", .symbol = "squat_ipmodify", .params = "", .mechanism = "direct",
	.beside = "direct", .state = "shared", .after = 0,
};
FIXTURE_VARIANT_ADD(conflict, ipmodify_and_callbacks) {
	.kind = "ipmodify", .symbol = "squat_ipmodify", .params = "direct=0",
	.mechanism = "callback", .after = -EBUSY,
};
FIXTURE_VARIANT_ADD(conflict, direct) {
	.kind = "direct", .symbol = "squat_direct", .params = "", .mechanism = "direct",
	.after = -EBUSY,
};
FIXTURE_VARIANT_ADD(conflict, shared) {
	.kind = "shared", .symbol = "squat_direct", .params = "", .mechanism = "direct",
	.beside = "callback", .state = "attached", .after = -EBUSY,
};
FIXTURE_VARIANT_ADD(conflict, shared_and_callbacks) {
	.kind = "shared", .symbol = "squat_direct", .params = "direct=0",
	.mechanism = "callback", .beside = "callback", .state = "attached", .after = 0,
};

static int squat(const char *functions, const char *kind)
{
	char self[256], path[512], params[2048];
	ssize_t n;

	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0)
		return -errno;
	self[n] = '\0';
	snprintf(path, sizeof(path), "%s/modules/" SQUATTER ".ko", dirname(self));
	snprintf(params, sizeof(params), "function=%s kind=%s", functions, kind);
	return host_insmod(path, params);
}

static int squat_on_all(const struct hook_line *hooks, unsigned int nr, bool decide,
			const char *kind)
{
	char names[1024];
	size_t len = 0;

	for (unsigned int i = 0; i < nr; i++)
		if (host_hook_decides(&hooks[i]) == decide)
			len += snprintf(names + len, sizeof(names) - len, "%s%s", len ? "," : "",
					hooks[i].function);
	return squat(names, kind);
}

FIXTURE_SETUP(conflict)
{
	table_up(_metadata, &self->table, 2, 0);
	ASSERT_TRUE(fep_works(self->table.vcpu) || fep_enable());
	self->log = host_log_open();
	ASSERT_NE(NULL, self->log);
	sharing_reload(_metadata, &self->table, variant->params);
	self->nr_hooks = host_hooks(self->hooks);
	ASSERT_LE(10, self->nr_hooks);
}

FIXTURE_TEARDOWN(conflict)
{
	host_rmmod(SQUATTER);
	host_log_free(self->log);
	sharing_down(&self->table);
}

static void expect_hooks(struct __test_metadata *_metadata, const char *mechanism,
			 const char *state)
{
	struct hook_line hooks[MAX_HOOKS];
	unsigned int nr = host_hooks(hooks);

	ASSERT_LE(10, nr);
	for (unsigned int i = 0; i < nr; i++) {
		bool decides = host_hook_decides(&hooks[i]);

		EXPECT_STREQ(decides ? mechanism : "observer", hooks[i].mechanism) {
			TH_LOG("%s", hooks[i].function);
		}
		EXPECT_STREQ(decides ? state : "attached", hooks[i].state) {
			TH_LOG("%s", hooks[i].function);
		}
	}
}

/*
 * With his hook on one function after the other (of callbacks, which are all alike, the one that is
 * attached last): the load fails, names both, and leaves nothing.
 */
static void expect_refusals(struct __test_metadata *_metadata, struct host_log *log,
			    const struct hook_line *hooks, unsigned int nr, const char *params,
			    const char *kind, const char *symbol)
{
	char text[256], why[HOST_REASON_LEN];

	for (unsigned int i = 0; i < nr; i++) {
		const struct hook_line *hook = &hooks[i];
		char *functions;

		if (!host_hook_decides(hook))
			continue;
		ASSERT_EQ(0, squat(hook->function, kind)) {
			TH_LOG("cannot occupy %s", hook->function);
		}
		functions = host_enabled_functions();
		ASSERT_NE(NULL, functions);
		EXPECT_NE(NULL, strstr(functions, hook->function));
		EXPECT_EQ(-EBUSY, mg_insmod(params));
		snprintf(text, sizeof(text), "cannot hook %s: it is taken, likely by %s",
			 hook->function, symbol);
		EXPECT_TRUE(host_log_has(log, "msrguard", text)) {
			TH_LOG("no \"%s\" in: %s", text, host_log_text(log));
		}
		EXPECT_TRUE(host_log_has(log, "msrguard", "[" SQUATTER "]"));
		EXPECT_TRUE(host_nothing_left(functions, why)) {
			TH_LOG("%s: %s", hook->function, why);
		}
		free(functions);
		ASSERT_EQ(0, host_rmmod(SQUATTER));
	}
}

TEST_F_TIMEOUT(conflict, comes_second, 240)
{
	sharing_reload(_metadata, &self->table, NULL);
	if (!variant->beside)
		expect_refusals(_metadata, self->log, self->hooks,
				*variant->params ? 1 : self->nr_hooks, variant->params,
				variant->kind, variant->symbol);
	else
		ASSERT_EQ(0, squat_on_all(self->hooks, self->nr_hooks, true, variant->kind));
	sharing_reload(_metadata, &self->table, variant->params);
	expect_hooks(_metadata, variant->beside ?: variant->mechanism,
		     variant->state ?: "attached");
	sharing_check_rows(_metadata, &self->table);
	if (!variant->beside)
		return;
	/* He goes, we stay. */
	ASSERT_EQ(0, host_rmmod(SQUATTER));
	expect_hooks(_metadata, variant->beside, "attached");
	sharing_check_counts(_metadata, &self->table);
}

/*
 * All hooks, or all but the one that is refused, are attached and detached again under a guest of
 * which one vCPU exits all the time, and the other never.
 */
TEST_F_TIMEOUT(conflict, under_a_running_guest, 120)
{
	struct vcpu *exits = &self->table.vm->vcpus[0], *stays = &self->table.vm->vcpus[1];

	sharing_reload(_metadata, &self->table, NULL);
	sharing_spin(exits, OP_RDMSR, MSR_PAT, 0);
	sharing_spin(stays, OP_WRMSR, MSR_KERNEL_GS_BASE, KGS_A);
	ASSERT_TRUE(spin_wait_ok(exits, 100, 10000));
	/* Hooks are attached from the last to the first. */
	ASSERT_EQ(0, squat(self->hooks[0].function, variant->kind));
	EXPECT_EQ(variant->beside ? 0 : -EBUSY, mg_insmod(variant->params));
	EXPECT_TRUE(spin_wait_ok(exits, 100, 10000));
	EXPECT_TRUE(spin_wait_ok(stays, 100, 10000));
	if (variant->beside) {
		ASSERT_EQ(0, mg_rmmod());
		EXPECT_TRUE(spin_wait_ok(exits, 100, 10000));
		EXPECT_TRUE(spin_wait_ok(stays, 100, 10000));
	}
	guest_spin_stop(exits);
	guest_spin_stop(stays);
	EXPECT_EQ(0, spin_faults(exits));
	EXPECT_EQ(0, spin_faults(stays));
}

TEST_F_TIMEOUT(conflict, comes_first, 120)
{
	expect_hooks(_metadata, variant->mechanism, "attached");
	for (unsigned int i = 0; i < self->nr_hooks; i++) {
		const struct hook_line *hook = &self->hooks[i];

		if (!host_hook_decides(hook) || !variant->after)
			continue;
		EXPECT_EQ(variant->after, squat(hook->function, variant->kind)) {
			TH_LOG("%s", hook->function);
		}
		expect_hooks(_metadata, variant->mechanism, "attached");
	}
	if (!variant->after) {
		ASSERT_EQ(0, squat_on_all(self->hooks, self->nr_hooks, true, variant->kind));
		expect_hooks(_metadata, variant->mechanism, variant->state);
	}
	sharing_check_rows(_metadata, &self->table);
	sharing_check_counts(_metadata, &self->table);
}

/* Functions that we only watch have room for both. */
TEST_F_TIMEOUT(conflict, watched_functions, 120)
{
	struct hook_line now[MAX_HOOKS];
	struct vm *vm;

	/* We first, then him first. */
	ASSERT_EQ(0, squat_on_all(self->hooks, self->nr_hooks, false, variant->kind));
	sharing_reload(_metadata, &self->table, variant->params);
	expect_hooks(_metadata, variant->mechanism, "attached");
	vm = vm_create(2, 0);
	use_policy(_metadata, "0xc0000102 deny deny");
	for (unsigned int n = 0; n < 2; n++)
		EXPECT_EQ(VECTOR_GP, guest_wrmsr(&vm->vcpus[n], MSR_KERNEL_GS_BASE, KGS_B).vector);
	vm_free(vm);
	ASSERT_EQ(self->nr_hooks, host_hooks(now));
	for (unsigned int i = 0; i < self->nr_hooks; i++) {
		if (!host_hook_decides(&now[i]))
			EXPECT_NE(0, now[i].calls);
	}
	ASSERT_EQ(0, host_rmmod(SQUATTER));
	expect_hooks(_metadata, variant->mechanism, "attached");
}

TEST_HARNESS_MAIN
