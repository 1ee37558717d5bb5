// SPDX-License-Identifier: GPL-2.0
/*
 * BPF programs and live patches on the functions that the module hooks, before it and after it.
 * Whoever is there: what the policy says holds, and the other one's work is done too.
 */
#include "kselftest_harness.h"
#include <libgen.h>
#include <signal.h>
#include "lib/bpf.h"
#include "lib/sharing.h"

#define PATCH		"livepatch_kvm"
#define PATCH_SYSFS	"/sys/kernel/livepatch/" PATCH
#define MSR_MCG_STATUS	0x17a	/* takes any value, intercepted on every host */

/* Of every hook of this kernel: "attached" by what its function's hook is to be. */
static void expect_hooks(struct __test_metadata *_metadata, const char *function,
			 const char *mechanism, const char *others)
{
	struct hook_line hooks[MAX_HOOKS];
	unsigned int nr = host_hooks(hooks);

	ASSERT_LE(10, nr);
	for (unsigned int i = 0; i < nr; i++) {
		EXPECT_STREQ("attached", hooks[i].state) {
			TH_LOG("%s", hooks[i].function);
		}
		if (!host_hook_decides(&hooks[i]))
			continue;
		EXPECT_STREQ(function && strcmp(function, hooks[i].function) ? others : mechanism,
			     hooks[i].mechanism) {
			TH_LOG("%s", hooks[i].function);
		}
	}
}

/* A function each. */
struct probes {
	struct hook_line hooks[MAX_HOOKS];
	unsigned int nr;
	struct bpf_probe probe[MAX_HOOKS];
};

FIXTURE(bpf) {
	struct bench_table table;
	struct host_log *log;
	struct probes probes;
	char why[HOST_REASON_LEN];
};

FIXTURE_VARIANT(bpf) {
	bool at_exit;
};

FIXTURE_VARIANT_ADD(bpf, fentry) { .at_exit = false };
FIXTURE_VARIANT_ADD(bpf, fexit) { .at_exit = true };

FIXTURE_SETUP(bpf)
{
	const char *missing = bpf_missing();

	if (missing)
		SKIP(return, "%s", missing);
	self->log = host_log_open();
	ASSERT_NE(NULL, self->log);
	table_up(_metadata, &self->table, 2, 0);
	ASSERT_TRUE(fep_works(self->table.vcpu) || fep_enable());
	sharing_reload(_metadata, &self->table, "");
	self->probes.nr = host_hooks(self->probes.hooks);
	ASSERT_LE(10, self->probes.nr);
}

static void detach_all(struct probes *probes)
{
	for (unsigned int i = 0; i < probes->nr; i++)
		bpf_detach(&probes->probe[i]);
}

FIXTURE_TEARDOWN(bpf)
{
	if (bpf_missing())
		return;
	detach_all(&self->probes);
	host_log_free(self->log);
	sharing_down(&self->table);
}

/* A program on each function; @expected of those that decide, 0 of those that watch. */
static void attach_all(struct __test_metadata *_metadata, struct probes *probes, bool at_exit,
		       int expected)
{
	unsigned int known = 0;

	for (unsigned int i = 0; i < probes->nr; i++) {
		const struct hook_line *hook = &probes->hooks[i];

		if (!bpf_knows(hook->function)) {
			TH_LOG("no type information of %s", hook->function);
			continue;
		}
		known++;
		ASSERT_EQ(host_hook_decides(hook) ? expected : 0,
			  bpf_attach(&probes->probe[i], hook->function, at_exit)) {
			TH_LOG("%s", hook->function);
		}
	}
	ASSERT_LE(8, known);
}

/*
 * What a program gets that finds a direct call in its place: from the kernels that keep all
 * programs' functions in one set (update_ftrace_direct_add()) it is not the telling error.
 */
static int bpf_refusal(void)
{
	char line[256];
	int error = -EBUSY;
	FILE *file;

	file = fopen("/proc/kallsyms", "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (strstr(line, " update_ftrace_direct_add\n"))
			error = -EINVAL;
	}
	if (file)
		fclose(file);
	return error;
}

static struct bpf_probe *probe_of(struct probes *probes, const char *function)
{
	for (unsigned int i = 0; i < probes->nr; i++)
		if (!strcmp(function, probes->hooks[i].function))
			return &probes->probe[i];
	return NULL;
}

/*
 * What the programs see of accesses that we let through, and of one that we answer. An fexit
 * program is around ours, so it sees all; an fentry one is before us and sees all, too.
 */
static void expect_seen(struct __test_metadata *_metadata, struct vcpu *vcpu,
			struct probes *probes)
{
	const struct bpf_probe *probe = probe_of(probes, "kvm_emulate_wrmsr");
	uint64_t calls;

	ASSERT_NE(NULL, probe);
	use_policy(_metadata, "0xc0000102 deny deny quiet");
	calls = bpf_calls(probe);
	EXPECT_EQ(100, guest_bench(vcpu, OP_WRMSR, MSR_KERNEL_GS_BASE, KGS_B, 100).faults);
	EXPECT_EQ(calls + 100, bpf_calls(probe));
	EXPECT_EQ(0, guest_bench(vcpu, OP_WRMSR, MSR_MCG_STATUS, 0, 100).faults);
	EXPECT_EQ(calls + 200, bpf_calls(probe));
}

TEST_F_TIMEOUT(bpf, they_first, 180)
{
	char *functions, text[128];
	struct bpf_probe *probe;
	uint64_t calls;

	sharing_reload(_metadata, &self->table, NULL);
	attach_all(_metadata, &self->probes, variant->at_exit, 0);
	functions = host_enabled_functions();
	sharing_reload(_metadata, &self->table, "");
	expect_hooks(_metadata, NULL, "callback", NULL);
	for (unsigned int i = 0; i < self->probes.nr; i++) {
		if (!host_hook_decides(&self->probes.hooks[i]))
			continue;
		snprintf(text, sizeof(text), "%s is shared with bpf_trampoline",
			 self->probes.hooks[i].function);
		EXPECT_TRUE(host_log_has(self->log, "msrguard", text)) {
			TH_LOG("no \"%s\" in: %s", text, host_log_text(self->log));
		}
	}
	sharing_check_rows(_metadata, &self->table);
	sharing_check_counts(_metadata, &self->table);
	expect_seen(_metadata, self->table.vcpu, &self->probes);

	/* We go first. */
	sharing_reload(_metadata, &self->table, NULL);
	EXPECT_TRUE(host_nothing_left(functions, self->why)) {
		TH_LOG("%s", self->why);
	}
	free(functions);
	probe = probe_of(&self->probes, "kvm_emulate_wrmsr");
	calls = bpf_calls(probe);
	EXPECT_EQ(0, guest_wrmsr(self->table.vcpu, MSR_KERNEL_GS_BASE, KGS_B).vector);
	EXPECT_EQ(0, guest_wrmsr(self->table.vcpu, MSR_MCG_STATUS, 0).vector);
	EXPECT_EQ(calls + 1, bpf_calls(probe));

	/* They go first. */
	sharing_reload(_metadata, &self->table, "");
	detach_all(&self->probes);
	expect_hooks(_metadata, NULL, "callback", NULL);
	sharing_check_rows(_metadata, &self->table);
	/* With their place free, ours are direct again, from the next load on. */
	sharing_reload(_metadata, &self->table, "");
	expect_hooks(_metadata, NULL, "direct", NULL);
}

/* One function is taken, the others are not. */
TEST_F_TIMEOUT(bpf, they_first_on_one, 180)
{
	static const char *const functions[] = { "kvm_emulate_wrmsr", "kvm_msr_allowed" };

	for (unsigned int i = 0; i < 2; i++) {
		struct bpf_probe *probe = probe_of(&self->probes, functions[i]);

		sharing_reload(_metadata, &self->table, NULL);
		ASSERT_EQ(0, bpf_attach(probe, functions[i], variant->at_exit));
		sharing_reload(_metadata, &self->table, "");
		expect_hooks(_metadata, functions[i], "callback", "direct");
		sharing_check_rows(_metadata, &self->table);
		EXPECT_NE(0, bpf_calls(probe));
		bpf_detach(probe);
		sharing_check_counts(_metadata, &self->table);
	}
}

/* Our direct calls keep them out, and nothing of ours is touched by the attempt. */
TEST_F_TIMEOUT(bpf, we_first, 180)
{
	attach_all(_metadata, &self->probes, variant->at_exit, bpf_refusal());
	expect_hooks(_metadata, NULL, "direct", NULL);
	sharing_check_rows(_metadata, &self->table);
	/* Those on functions that we only watch are there. */
	vm_free(vm_create(1, 0));
	EXPECT_EQ(1, bpf_calls(probe_of(&self->probes, "kvm_arch_vcpu_postcreate")));
	EXPECT_EQ(1, bpf_calls(probe_of(&self->probes, "kvm_arch_destroy_vm")));
}

/* Our callbacks do not. */
TEST_F_TIMEOUT(bpf, we_first_by_callbacks, 180)
{
	sharing_reload(_metadata, &self->table, "direct=0");
	expect_hooks(_metadata, NULL, "callback", NULL);
	sharing_check_rows(_metadata, &self->table);
	attach_all(_metadata, &self->probes, variant->at_exit, 0);
	expect_hooks(_metadata, NULL, "callback", NULL);
	sharing_check_rows(_metadata, &self->table);
	sharing_check_counts(_metadata, &self->table);
	expect_seen(_metadata, self->table.vcpu, &self->probes);
	detach_all(&self->probes);
	expect_hooks(_metadata, NULL, "callback", NULL);
	sharing_check_counts(_metadata, &self->table);
}

TEST_F_TIMEOUT(bpf, come_and_go_under_a_storm, 240)
{
	struct storm storm;

	sharing_reload(_metadata, &self->table, "direct=0");
	storm_begin(_metadata, &storm, self->table.vm);
	for (unsigned int i = 0; i < 2; i++) {
		attach_all(_metadata, &self->probes, variant->at_exit, 0);
		storm_wait(_metadata, &storm);
		detach_all(&self->probes);
		storm_wait(_metadata, &storm);
	}
	storm_end(_metadata, &storm);
}

FIXTURE(patch) {
	struct bench_table table;
	struct host_log *log;
	char why[HOST_REASON_LEN];
};

/* What the patched function is, and what can be seen of it; see modules/livepatch.c. */
struct effect {
	const char *function;
	int op;
	bool refuses;
};

FIXTURE_VARIANT(patch) {
	struct effect patched;
};

FIXTURE_VARIANT_ADD(patch, exit_write) {
	.patched = { .function = "kvm_emulate_wrmsr", .op = OP_WRMSR },
};
FIXTURE_VARIANT_ADD(patch, exit_read) {
	.patched = { .function = "kvm_emulate_rdmsr", .op = OP_RDMSR },
};
FIXTURE_VARIANT_ADD(patch, emulator_write) {
	.patched = { .function = "emulator_set_msr_with_filter", .op = OP_WRMSR_FEP },
};
FIXTURE_VARIANT_ADD(patch, bitmap) {
	.patched = { .function = "kvm_msr_allowed", .op = OP_WRMSR, .refuses = true },
};

FIXTURE_SETUP(patch)
{
	if (access("/sys/kernel/livepatch", F_OK))
		SKIP(return, "this kernel has no live patches (CONFIG_LIVEPATCH)");
	self->log = host_log_open();
	ASSERT_NE(NULL, self->log);
	table_up(_metadata, &self->table, 2, 0);
	ASSERT_TRUE(fep_works(self->table.vcpu) || fep_enable());
	sharing_reload(_metadata, &self->table, "");
}

static void rest(int signal)
{
	(void)signal;
	usleep(20000);
}

/*
 * Until the kernel has moved every task to the patched function, or back. It moves one that comes
 * back from the kernel, sleeps or idles. A vCPU that spins does none of that, and lets no CPU idle:
 * so it is interrupted now and then, as a VMM's own timers and signals do.
 */
static bool transition_done(struct vm *vm)
{
	signal(SIGUSR1, rest);
	for (uint64_t end = now_ms() + 60000; now_ms() < end; usleep(100000)) {
		char *text = host_read(PATCH_SYSFS "/transition");
		bool done = !text || text[0] == '0';

		free(text);
		if (done)
			return true;
		for (unsigned int n = 0; n < vm->nr_vcpus; n++)
			if (vm->vcpus[n].spinning)
				pthread_kill(vm->vcpus[n].thread, SIGUSR1);
	}
	return false;
}

static int patch(struct vm *vm, const char *function)
{
	char self[256], path[512], params[128];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int err;

	if (n < 0)
		return -errno;
	self[n] = '\0';
	snprintf(path, sizeof(path), "%s/modules/" PATCH ".ko", dirname(self));
	snprintf(params, sizeof(params), "function=%s msr=%d", function, MSR_MCG_STATUS);
	err = host_insmod(path, params);
	if (err)
		return err;
	return transition_done(vm) ? 0 : -ETIMEDOUT;
}

static int unpatch(struct vm *vm)
{
	int err = host_write(PATCH_SYSFS "/enabled", "0");

	if (err)
		return err;
	if (!transition_done(vm))
		return -ETIMEDOUT;
	/* The kernel drops its hold on the module a little later. */
	for (uint64_t end = now_ms() + 20000; now_ms() < end; usleep(20000)) {
		err = host_rmmod(PATCH);
		if (!err)
			break;
	}
	return err;
}

FIXTURE_TEARDOWN(patch)
{
	if (access("/sys/kernel/livepatch", F_OK))
		return;
	if (!access(PATCH_SYSFS, F_OK))
		unpatch(self->table.vm);
	host_log_free(self->log);
	sharing_down(&self->table);
}

#define BEFORE		0x11110000ull
#define VALUE		0x22223344ull
#define EFFECT		0xffull
#define IS_WRITE(op)	((op) != OP_RDMSR)

static void expect_value(struct __test_metadata *_metadata, struct bench_table *table, int op,
			 uint64_t expected)
{
	struct access_result r;
	uint64_t now;

	ASSERT_TRUE(vcpu_set_msr(table->vcpu, MSR_MCG_STATUS, BEFORE));
	r = guest_access(table->vcpu, op, MSR_MCG_STATUS, VALUE);
	EXPECT_EQ(0, r.vector);
	EXPECT_TRUE(r.regs_intact);
	ASSERT_TRUE(vcpu_get_msr(table->vcpu, MSR_MCG_STATUS, &now));
	EXPECT_EQ(expected, IS_WRITE(op) ? now : r.value);
}

/* What an access of the patch's MSR comes to: without a rule for it, or with our leave. */
static void expect_effect(struct __test_metadata *_metadata, struct bench_table *table,
			  const struct effect *effect, bool patched)
{
	uint64_t flip = patched ? EFFECT : 0;

	if (mg_loaded())
		ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
	if (effect->refuses) {
		EXPECT_EQ(patched ? VECTOR_GP : 0,
			  guest_access(table->vcpu, effect->op, MSR_MCG_STATUS, VALUE).vector);
		return;
	}
	expect_value(_metadata, table, effect->op,
		     (IS_WRITE(effect->op) ? VALUE : BEFORE) ^ flip);
	if (!mg_loaded())
		return;
	/* What goes through our hands on its way goes to the patched function as well. */
	use_policy(_metadata, "0x17a deny deny audit quiet");
	expect_value(_metadata, table, effect->op,
		     (IS_WRITE(effect->op) ? VALUE : BEFORE) ^ flip);
	if (!IS_WRITE(effect->op))
		return;
	use_policy(_metadata, "0x17a allow mask=0xfff,keep quiet");
	expect_value(_metadata, table, effect->op,
		     ((BEFORE & ~0xfffull) | (VALUE & 0xfff)) ^ flip);
}

static void expect_patch_state(struct __test_metadata *_metadata, const char *function,
			       const char *state)
{
	struct hook_line hooks[MAX_HOOKS];
	unsigned int nr = host_hooks(hooks);

	ASSERT_LE(10, nr);
	for (unsigned int i = 0; i < nr; i++) {
		EXPECT_STREQ(strcmp(function, hooks[i].function) ? "attached" : state,
			     hooks[i].state) {
			TH_LOG("%s", hooks[i].function);
		}
		EXPECT_STREQ(host_hook_decides(&hooks[i]) ? "direct" : "observer",
			     hooks[i].mechanism);
	}
}

TEST_F_TIMEOUT(patch, they_first, 180)
{
	char *functions;

	sharing_reload(_metadata, &self->table, NULL);
	expect_effect(_metadata, &self->table, &variant->patched, false);
	ASSERT_EQ(0, patch(self->table.vm, variant->patched.function));
	functions = host_enabled_functions();
	expect_effect(_metadata, &self->table, &variant->patched, true);

	sharing_reload(_metadata, &self->table, "");
	expect_patch_state(_metadata, variant->patched.function, "shared");
	sharing_check_rows(_metadata, &self->table);
	expect_effect(_metadata, &self->table, &variant->patched, true);

	/* We go first. */
	sharing_reload(_metadata, &self->table, NULL);
	EXPECT_TRUE(host_nothing_left(functions, self->why)) {
		TH_LOG("%s", self->why);
	}
	free(functions);
	expect_effect(_metadata, &self->table, &variant->patched, true);

	/* They go first. */
	sharing_reload(_metadata, &self->table, "");
	ASSERT_EQ(0, unpatch(self->table.vm));
	expect_patch_state(_metadata, variant->patched.function, "attached");
	expect_effect(_metadata, &self->table, &variant->patched, false);
	sharing_check_rows(_metadata, &self->table);
}

TEST_F_TIMEOUT(patch, we_first, 180)
{
	sharing_check_counts(_metadata, &self->table);
	ASSERT_EQ(0, patch(self->table.vm, variant->patched.function)) {
		TH_LOG("%s", host_log_text(self->log));
	}
	expect_patch_state(_metadata, variant->patched.function, "shared");
	sharing_check_rows(_metadata, &self->table);
	sharing_check_counts(_metadata, &self->table);
	expect_effect(_metadata, &self->table, &variant->patched, true);
	ASSERT_EQ(0, unpatch(self->table.vm));
	expect_patch_state(_metadata, variant->patched.function, "attached");
	expect_effect(_metadata, &self->table, &variant->patched, false);
	sharing_check_counts(_metadata, &self->table);
}

/* Callbacks of ours and a live patch exclude each other. */
TEST_F_TIMEOUT(patch, beside_callbacks, 180)
{
	char *functions, text[128];

	sharing_reload(_metadata, &self->table, "direct=0");
	EXPECT_EQ(-EBUSY, patch(self->table.vm, variant->patched.function));
	expect_hooks(_metadata, NULL, "callback", NULL);
	sharing_check_rows(_metadata, &self->table);
	sharing_reload(_metadata, &self->table, NULL);
	ASSERT_EQ(0, patch(self->table.vm, variant->patched.function));
	functions = host_enabled_functions();
	EXPECT_EQ(-EBUSY, mg_insmod("direct=0"));
	snprintf(text, sizeof(text), "cannot hook %s: it is taken, likely by klp_ftrace_handler",
		 variant->patched.function);
	EXPECT_TRUE(host_log_has(self->log, "msrguard", text)) {
		TH_LOG("no \"%s\" in: %s", text, host_log_text(self->log));
	}
	EXPECT_TRUE(host_nothing_left(functions, self->why)) {
		TH_LOG("%s", self->why);
	}
	free(functions);
	expect_effect(_metadata, &self->table, &variant->patched, true);
}

TEST_HARNESS_MAIN
