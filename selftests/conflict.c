// SPDX-License-Identifier: GPL-2.0
/*
 * A function has room for one hook of our kind. Somebody else may have been there before us:
 * then the load fails, says who it likely is, and leaves nothing. Or comes later: then he is
 * refused. Module: modules/hook_squatter.c, beside this program.
 */
#include "kselftest_harness.h"
#include <libgen.h>
#include "lib/host.h"
#include "lib/row.h"

#define SQUATTER	"hook_squatter"

FIXTURE(conflict) {
	struct bench_table table;
	struct host_log *log;
	struct hook_line hooks[MAX_HOOKS];
	unsigned int nr_hooks;
	char why[HOST_REASON_LEN];
};

FIXTURE_VARIANT(conflict) {
	const char *kind;
	const char *symbol;
};

FIXTURE_VARIANT_ADD(conflict, ipmodify) { .kind = "ipmodify", .symbol = "squat_ipmodify" };
FIXTURE_VARIANT_ADD(conflict, direct) { .kind = "direct", .symbol = "squat_direct" };

static int squat(const char *function, const char *kind)
{
	char self[256], path[512], params[128];
	ssize_t n;

	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0)
		return -errno;
	self[n] = '\0';
	snprintf(path, sizeof(path), "%s/modules/" SQUATTER ".ko", dirname(self));
	snprintf(params, sizeof(params), "function=%s kind=%s", function, kind);
	return host_insmod(path, params);
}

FIXTURE_SETUP(conflict)
{
	unsigned int direct = 0;

	table_up(_metadata, &self->table, 2, 0);
	self->log = host_log_open();
	ASSERT_NE(NULL, self->log);
	self->nr_hooks = host_hooks(self->hooks);
	for (unsigned int i = 0; i < self->nr_hooks; i++)
		direct += !strcmp(self->hooks[i].mechanism, "direct");
	ASSERT_LE(8, direct);
}

FIXTURE_TEARDOWN(conflict)
{
	host_rmmod(SQUATTER);
	host_log_free(self->log);
	if (mg_loaded())
		table_down(&self->table);
	else
		vm_free(self->table.vm);
}

static void expect_attached(struct __test_metadata *_metadata)
{
	struct hook_line hooks[MAX_HOOKS];
	unsigned int nr = host_hooks(hooks);

	ASSERT_NE(0, nr);
	for (unsigned int i = 0; i < nr; i++) {
		EXPECT_STREQ("attached", hooks[i].state) {
			TH_LOG("%s", hooks[i].function);
		}
	}
}

/* Both vCPUs' accesses are blocked: one of STAR by its rule, one of PAT by its. */
static void expect_held(struct __test_metadata *_metadata, struct vm *vm)
{
	use_policy(_metadata, "0xc0000081 allow deny\n0x277 allow mask=0xff,keep");
	for (unsigned int n = 0; n < vm->nr_vcpus; n++) {
		struct vcpu *vcpu = &vm->vcpus[n];
		uint64_t value;

		EXPECT_EQ(VECTOR_GP, guest_wrmsr(vcpu, MSR_STAR, STAR_B).vector);
		ASSERT_TRUE(vcpu_set_msr(vcpu, MSR_PAT, 0x0007040600070406ull));
		EXPECT_EQ(0, guest_wrmsr(vcpu, MSR_PAT, 0x0606060606060600ull).vector);
		ASSERT_TRUE(vcpu_get_msr(vcpu, MSR_PAT, &value));
		EXPECT_EQ(0x0007040600070400ull, value);
	}
}

TEST_F_TIMEOUT(conflict, comes_second, 240)
{
	char text[256];

	for (unsigned int i = 0; i < self->nr_hooks; i++) {
		const struct hook_line *hook = &self->hooks[i];
		char *functions;

		if (strcmp(hook->mechanism, "direct"))
			continue;
		ASSERT_EQ(0, mg_rmmod());
		ASSERT_EQ(0, squat(hook->function, variant->kind)) {
			TH_LOG("cannot occupy %s", hook->function);
		}
		functions = host_enabled_functions();
		ASSERT_NE(NULL, functions);
		EXPECT_NE(NULL, strstr(functions, hook->function));
		EXPECT_EQ(-EBUSY, mg_insmod(""));
		snprintf(text, sizeof(text), "cannot hook %s: it is taken, likely by %s",
			 hook->function, variant->symbol);
		EXPECT_TRUE(host_log_has(self->log, "msrguard", text)) {
			TH_LOG("no \"%s\" in: %s", text, host_log_text(self->log));
		}
		EXPECT_TRUE(host_log_has(self->log, "msrguard", "[" SQUATTER "]"));
		EXPECT_TRUE(host_nothing_left(functions, self->why)) {
			TH_LOG("%s: %s", hook->function, self->why);
		}
		free(functions);
		ASSERT_EQ(0, host_rmmod(SQUATTER));
		ASSERT_EQ(0, mg_insmod(""));
		expect_attached(_metadata);
	}
	expect_held(_metadata, self->table.vm);
}

/*
 * All hooks but one are attached and detached again under a guest of which one vCPU exits all
 * the time, and the other never.
 */
TEST_F_TIMEOUT(conflict, under_a_running_guest, 120)
{
	struct vcpu *exits = &self->table.vm->vcpus[0], *stays = &self->table.vm->vcpus[1];

	ASSERT_EQ(0, mg_rmmod());
	guest_spin_start(exits, OP_RDMSR, MSR_PAT, 0);
	guest_spin_start(stays, OP_WRMSR, MSR_STAR, STAR_A);
	ASSERT_TRUE(spin_wait_ok(exits, 100, 10000));
	/* Hooks are attached from the last to the first. */
	ASSERT_EQ(0, squat(self->hooks[0].function, variant->kind));
	for (unsigned int i = 0; i < 3; i++) {
		EXPECT_EQ(-EBUSY, mg_insmod(""));
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
	expect_held(_metadata, self->table.vm);
	for (unsigned int i = 0; i < self->nr_hooks; i++) {
		const struct hook_line *hook = &self->hooks[i];

		if (strcmp(hook->mechanism, "direct"))
			continue;
		EXPECT_EQ(-EBUSY, squat(hook->function, variant->kind)) {
			TH_LOG("%s", hook->function);
		}
		expect_attached(_metadata);
	}
	expect_held(_metadata, self->table.vm);
}

/* Functions that we only watch have room for both. */
TEST_F_TIMEOUT(conflict, watched_functions, 120)
{
	for (unsigned int i = 0; i < self->nr_hooks; i++) {
		const struct hook_line *hook = &self->hooks[i];
		struct hook_line now[MAX_HOOKS];
		struct vm *vm;

		if (!strcmp(hook->mechanism, "direct"))
			continue;
		/* We first, then him first. */
		ASSERT_EQ(0, squat(hook->function, variant->kind));
		ASSERT_EQ(0, mg_rmmod());
		ASSERT_EQ(0, mg_insmod("")) {
			TH_LOG("%s", host_log_text(self->log));
		}
		expect_attached(_metadata);
		vm = vm_create(2, 0);
		expect_held(_metadata, vm);
		vm_free(vm);
		ASSERT_EQ(self->nr_hooks, host_hooks(now));
		EXPECT_NE(0, now[i].calls);
		ASSERT_EQ(0, host_rmmod(SQUATTER));
		expect_attached(_metadata);
	}
}

TEST_HARNESS_MAIN
