// SPDX-License-Identifier: GPL-2.0
/*
 * Loading and unloading: what is refused leaves nothing, what was under the module is as it
 * was before, and KVM's vendor module may come before it, after it, or anew under it.
 */
#include "kselftest_harness.h"
#include <fcntl.h>
#include "lib/sharing.h"

/* Each makes the kernel wait for a dozen grace periods; torture.c does more of them. */
#define CYCLES		8
#define ROUNDS		5000
/* Exits an access may cause on average: the host's timer ends guest mode now and then. */
#define SLACK		0.01

#define DENY_WRITES	MG_ALLOW_ALL "0xc0000102 allow deny quiet\n"

FIXTURE(load) {
	struct host_log *log;
	char *functions;
	char why[HOST_REASON_LEN];
};

FIXTURE_SETUP(load)
{
	if (mg_loaded())
		ASSERT_EQ(0, mg_rmmod());
	self->log = host_log_open();
	ASSERT_NE(NULL, self->log);
	self->functions = host_enabled_functions();
	ASSERT_NE(NULL, self->functions);
}

FIXTURE_TEARDOWN(load)
{
	if (mg_loaded())
		mg_rmmod();
	host_write(HOST_FTRACE_ENABLED, "1");
	if (access("/dev/kvm", F_OK))
		host_modprobe_vendor();
	free(self->functions);
	host_log_free(self->log);
}

static void expect_all_attached(struct __test_metadata *_metadata)
{
	struct hook_line hooks[MAX_HOOKS];
	unsigned int nr = host_hooks(hooks);

	EXPECT_LE(10, nr);
	for (unsigned int i = 0; i < nr; i++) {
		EXPECT_STREQ("attached", hooks[i].state) {
			TH_LOG("%s", hooks[i].function);
		}
	}
}

TEST_F(load, unknown_mode)
{
	static const char *const modes[] = { "", "on", "Enforce", "enforce,", "0", "auditt" };
	char text[128];

	for (unsigned int i = 0; i < ARRAY_SIZE(modes); i++) {
		snprintf(text, sizeof(text), "mode=%s", modes[i]);
		EXPECT_EQ(-EINVAL, mg_insmod(text)) {
			TH_LOG("%s", text);
		}
		EXPECT_TRUE(host_nothing_left(self->functions, self->why)) {
			TH_LOG("%s: %s", text, self->why);
		}
		snprintf(text, sizeof(text),
			 "unknown mode \"%s\": expected off, audit or enforce", modes[i]);
		EXPECT_TRUE(host_log_has(self->log, "msrguard", text)) {
			TH_LOG("no \"%s\" in: %s", text, host_log_text(self->log));
		}
	}
}

TEST_F(load, modes)
{
	static const char *const modes[] = { "off", "audit", "enforce", NULL };
	char params[32], text[64], mode[32];

	for (unsigned int i = 0; i < ARRAY_SIZE(modes); i++) {
		const char *expected = modes[i] ?: "enforce";

		snprintf(params, sizeof(params), modes[i] ? "mode=%s" : "", expected);
		ASSERT_EQ(0, mg_insmod(params));
		ASSERT_LT(0, mg_read_file("mode", mode, sizeof(mode)));
		mode[strcspn(mode, "\n")] = '\0';
		EXPECT_STREQ(expected, mode);
		EXPECT_EQ(1, mg_generation());
		expect_all_attached(_metadata);
		snprintf(text, sizeof(text), "hooks attached, mode %s,", expected);
		EXPECT_TRUE(host_log_has(self->log, "msrguard", text));
		ASSERT_EQ(0, mg_rmmod());
		EXPECT_TRUE(host_nothing_left(self->functions, self->why)) {
			TH_LOG("%s", self->why);
		}
	}
}

TEST_F(load, twice)
{
	ASSERT_EQ(0, mg_insmod("mode=audit"));
	EXPECT_EQ(-EEXIST, mg_insmod(""));
	expect_all_attached(_metadata);
}

TEST_F(load, ftrace_is_off)
{
	int err = host_write(HOST_FTRACE_ENABLED, "0");

	if (err == -EOPNOTSUPP)
		SKIP(return, "kernel.ftrace_enabled cannot be 0 on this kernel");
	ASSERT_EQ(0, err);
	EXPECT_EQ(-EBUSY, mg_insmod(""));
	EXPECT_TRUE(host_log_has(self->log, "msrguard", "kernel.ftrace_enabled is 0; set it to 1")) {
		TH_LOG("%s", host_log_text(self->log));
	}
	ASSERT_EQ(0, host_write(HOST_FTRACE_ENABLED, "1"));
	EXPECT_TRUE(host_nothing_left(self->functions, self->why)) {
		TH_LOG("%s", self->why);
	}
	ASSERT_EQ(0, mg_insmod(""));
	expect_all_attached(_metadata);
}

TEST_F(load, ftrace_stays_on)
{
	struct vm *vm;
	char *enabled;
	int err;

	ASSERT_EQ(0, mg_insmod(""));
	ASSERT_EQ(0, mg_load_policy(DENY_WRITES));
	err = host_write(HOST_FTRACE_ENABLED, "0");
	if (err == -EOPNOTSUPP)
		SKIP(return, "kernel.ftrace_enabled cannot be 0 on this kernel");
	EXPECT_EQ(-EBUSY, err);
	enabled = host_read(HOST_FTRACE_ENABLED);
	EXPECT_STREQ("1\n", enabled);
	free(enabled);
	expect_all_attached(_metadata);
	vm = vm_create(1, 0);
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(&vm->vcpus[0], MSR_KERNEL_GS_BASE, KGS_A).vector);
	vm_free(vm);
	/* And when the module has gone, it is the administrator's again. */
	ASSERT_EQ(0, mg_rmmod());
	EXPECT_EQ(0, host_write(HOST_FTRACE_ENABLED, "0"));
	EXPECT_EQ(0, host_write(HOST_FTRACE_ENABLED, "1"));
}

static double exits_per_access(struct vcpu *vcpu, int op)
{
	uint64_t few = guest_bench(vcpu, op, MSR_KERNEL_GS_BASE, KGS_A, ROUNDS / 10).exits;
	uint64_t many = guest_bench(vcpu, op, MSR_KERNEL_GS_BASE, KGS_A, ROUNDS).exits;

	return ((double)many - (double)few) / (ROUNDS - ROUNDS / 10);
}

/* What stock KVM makes of a passed-through MSR and of an intercepted one. */
static void expect_stock(struct __test_metadata *_metadata, struct vcpu *vcpu)
{
	struct access_result r;
	struct bench_result b;

	EXPECT_LT(exits_per_access(vcpu, OP_WRMSR), SLACK);
	EXPECT_LT(exits_per_access(vcpu, OP_RDMSR), SLACK);
	ASSERT_TRUE(vcpu_set_msr(vcpu, MSR_KERNEL_GS_BASE, KGS_A));
	r = guest_wrmsr(vcpu, MSR_KERNEL_GS_BASE, KGS_B);
	EXPECT_EQ(0, r.vector);
	r = guest_rdmsr(vcpu, MSR_KERNEL_GS_BASE);
	EXPECT_EQ(0, r.vector);
	EXPECT_EQ(KGS_B, r.value);
	b = guest_bench(vcpu, OP_RDMSR, MSR_PAT, 0, 1000);
	EXPECT_EQ(0, b.faults);
	EXPECT_LE(1000, b.exits);
	EXPECT_GT(1000 * (1 + SLACK) + 50, b.exits);
	EXPECT_EQ(VECTOR_GP, guest_rdmsr(vcpu, MSR_UNKNOWN).vector);
	EXPECT_EQ(0, guest_bench(vcpu, OP_WRMSR, MSR_KERNEL_GS_BASE, KGS_A, ROUNDS).faults);
}

/*
 * Two vCPUs that never leave guest mode by themselves: the first one's access is guarded, the
 * second one's is not. The module comes and goes under them.
 */
TEST_F_TIMEOUT(load, cycles_under_a_running_guest, 750)
{
	uint64_t slowest_in = 0, slowest_out = 0;
	struct vcpu *blocked, *allowed;
	struct vm *vm;

	vm = vm_create(2, 0);
	blocked = &vm->vcpus[0];
	allowed = &vm->vcpus[1];
	expect_stock(_metadata, blocked);
	sharing_spin(blocked, OP_WRMSR, MSR_KERNEL_GS_BASE, KGS_A);
	sharing_spin(allowed, OP_RDMSR, MSR_KERNEL_GS_BASE, 0);
	for (unsigned int i = 0; i < CYCLES; i++) {
		uint64_t faults = spin_faults(blocked), ok, exits;
		uint64_t begin = now_ms();

		ASSERT_EQ(0, mg_insmod("")) {
			TH_LOG("cycle %u: %s", i, host_log_text(self->log));
		}
		if (now_ms() - begin > slowest_in)
			slowest_in = now_ms() - begin;
		EXPECT_EQ(faults, spin_faults(blocked));
		ASSERT_EQ(0, mg_load_policy(DENY_WRITES));
		ok = spin_ok(blocked);
		ASSERT_TRUE(spin_wait_faults(blocked, 100, 10000));
		ASSERT_TRUE(spin_wait_ok(allowed, 100, 10000));
		EXPECT_LE(spin_ok(blocked), ok + 1);
		if (i % 4 == 0)
			expect_all_attached(_metadata);
		begin = now_ms();
		ASSERT_EQ(0, mg_rmmod());
		if (now_ms() - begin > slowest_out)
			slowest_out = now_ms() - begin;
		faults = spin_faults(blocked);
		ASSERT_TRUE(spin_wait_ok(blocked, 100, 10000));
		ASSERT_TRUE(spin_wait_ok(allowed, 100, 10000));
		EXPECT_LE(spin_faults(blocked), faults + 1);
		EXPECT_EQ(0, spin_faults(allowed));
		/* Its bitmap is KVM's own again. */
		exits = vcpu_exits(blocked);
		ok = spin_ok(blocked);
		ASSERT_TRUE(spin_wait_ok(blocked, 1000, 10000));
		ASSERT_LT((double)(vcpu_exits(blocked) - exits) / (spin_ok(blocked) - ok), 0.5) {
			TH_LOG("cycle %u", i);
		}
	}
	TH_LOG("slowest load %lu ms, slowest unload %lu ms", slowest_in, slowest_out);
	/* As stock KVM without the guest's leaving and with it. */
	for (unsigned int n = 0; n < 2; n++) {
		uint64_t exits, ok, faults = spin_faults(&vm->vcpus[n]);

		exits = vcpu_exits(&vm->vcpus[n]);
		ok = spin_ok(&vm->vcpus[n]);
		ASSERT_TRUE(spin_wait_ok(&vm->vcpus[n], 20000, 20000));
		exits = vcpu_exits(&vm->vcpus[n]) - exits;
		ok = spin_ok(&vm->vcpus[n]) - ok;
		EXPECT_LT((double)exits / ok, SLACK);
		EXPECT_EQ(faults, spin_faults(&vm->vcpus[n]));
		guest_spin_stop(&vm->vcpus[n]);
		expect_stock(_metadata, &vm->vcpus[n]);
	}
	vm_free(vm);
	EXPECT_TRUE(host_nothing_left(self->functions, self->why)) {
		TH_LOG("%s", self->why);
	}
}

/* The policy holds a new VM in all its ways, and its faults are proper ones. */
static void expect_held(struct __test_metadata *_metadata)
{
	struct vm *vm = vm_create(2, 0);
	struct access_result r;
	uint64_t value;

	for (unsigned int n = 0; n < 2; n++) {
		struct vcpu *vcpu = &vm->vcpus[n];

		ASSERT_TRUE(vcpu_set_msr(vcpu, MSR_KERNEL_GS_BASE, KGS_A));
		r = guest_wrmsr(vcpu, MSR_KERNEL_GS_BASE, KGS_B);
		EXPECT_EQ(VECTOR_GP, r.vector);
		EXPECT_EQ(0, r.error);
		EXPECT_EQ(r.insn_rip, r.fault_rip);
		EXPECT_TRUE(r.regs_intact);
		ASSERT_TRUE(vcpu_get_msr(vcpu, MSR_KERNEL_GS_BASE, &value));
		EXPECT_EQ(KGS_A, value);
		r = guest_rdmsr(vcpu, MSR_KERNEL_GS_BASE);
		EXPECT_EQ(0, r.vector);
		EXPECT_EQ(KGS_A & 0xffff, r.value);
		ASSERT_TRUE(vcpu_set_msr(vcpu, MSR_CSTAR, 0x1234));
		r = guest_wrmsr(vcpu, MSR_CSTAR, 0xffff);
		EXPECT_EQ(0, r.vector);
		ASSERT_TRUE(vcpu_get_msr(vcpu, MSR_CSTAR, &value));
		EXPECT_EQ(0x12ff, value);
		EXPECT_EQ(VECTOR_GP, guest_rdmsr(vcpu, MSR_PAT).vector);
	}
	vm_free(vm);
}

#define HOLDING_POLICY						\
	MG_ALLOW_ALL						\
	"0xc0000102 mask=0xffff deny\n"				\
	"0xc0000083 allow mask=0xff,keep\n"			\
	"0x277 deny deny\n"

TEST_F_TIMEOUT(load, vendor_module_reloaded, 120)
{
	ASSERT_EQ(0, mg_insmod(""));
	ASSERT_EQ(0, mg_load_policy(HOLDING_POLICY));
	expect_held(_metadata);
	for (unsigned int i = 0; i < 3; i++) {
		struct mg_vm_line line;

		ASSERT_EQ(0, host_rmmod(host_vendor()));
		EXPECT_EQ(0, mg_vms_of(getpid(), &line, 1));
		/* Nothing to reach; publishing must not mind. */
		ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
		ASSERT_EQ(0, mg_load_policy(HOLDING_POLICY));
		expect_all_attached(_metadata);
		ASSERT_TRUE(host_modprobe_vendor());
		expect_held(_metadata);
	}
	expect_all_attached(_metadata);
}

TEST_F_TIMEOUT(load, before_the_vendor_module, 120)
{
	struct vm *vm;

	ASSERT_EQ(0, host_rmmod(host_vendor()));
	ASSERT_EQ(0, mg_insmod(""));
	expect_all_attached(_metadata);
	ASSERT_EQ(0, mg_load_policy(HOLDING_POLICY));
	ASSERT_TRUE(host_modprobe_vendor());
	expect_held(_metadata);
	ASSERT_EQ(0, mg_rmmod());
	vm = vm_create(1, 0);
	expect_stock(_metadata, &vm->vcpus[0]);
	vm_free(vm);
}

TEST_F(load, kvm_is_pinned)
{
	ASSERT_EQ(0, mg_insmod(""));
	ASSERT_EQ(0, host_rmmod(host_vendor()));
	EXPECT_EQ(-EWOULDBLOCK, host_rmmod("kvm"));
	EXPECT_EQ(0, access("/sys/module/kvm", F_OK));
	ASSERT_EQ(0, mg_rmmod());
	/* Nor does the module hold it longer than it is there itself. */
	EXPECT_EQ(0, host_rmmod("kvm"));
	EXPECT_NE(0, access("/sys/module/kvm", F_OK));
	ASSERT_TRUE(host_modprobe_vendor());
	ASSERT_EQ(0, mg_insmod(""));
	ASSERT_EQ(0, mg_load_policy(HOLDING_POLICY));
	expect_held(_metadata);
}

struct late_rule {
	unsigned int delay_us;
	int err;
};

static void *enforce_later(void *data)
{
	struct late_rule *late = data;

	usleep(late->delay_us);
	late->err = mg_write_file("mode", "enforce\n", strlen("enforce\n"));
	return NULL;
}

/*
 * A vCPU that is being made when a rule comes into force is held to it like all others. The moments
 * are spread over the time that the making takes.
 */
TEST_F_TIMEOUT(load, vcpus_made_meanwhile, 300)
{
	const unsigned int rounds = 40;
	uint64_t begin = now_ms();
	unsigned int span_us;

	vm_free(vm_create(VM_MAX_VCPUS, 0));
	span_us = (now_ms() - begin + 1) * 1000;
	ASSERT_EQ(0, mg_insmod("mode=off"));
	ASSERT_EQ(0, mg_load_policy(DENY_WRITES));
	for (unsigned int i = 0; i < rounds; i++) {
		struct late_rule late = { .delay_us = span_us * i / rounds };
		pthread_t thread;
		struct vm *vm;

		ASSERT_EQ(0, mg_set_mode("off"));
		ASSERT_EQ(0, pthread_create(&thread, NULL, enforce_later, &late));
		vm = vm_create(VM_MAX_VCPUS, 0);
		pthread_join(thread, NULL);
		ASSERT_EQ(0, late.err);
		for (unsigned int n = 0; n < VM_MAX_VCPUS; n++) {
			EXPECT_EQ(VECTOR_GP, guest_wrmsr(&vm->vcpus[n], MSR_KERNEL_GS_BASE,
							 KGS_B).vector) {
				TH_LOG("vCPU %u, %u of %u us", n, late.delay_us, span_us);
			}
		}
		vm_free(vm);
	}
}

/* A file of the module that is open does not stop it from going, nor outlives it. */
TEST_F(load, open_file)
{
	char text[16];
	int fd;

	ASSERT_EQ(0, mg_insmod(""));
	fd = open(MG_SYSFS "/policy/generation", O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, mg_rmmod());
	EXPECT_EQ(-1, pread(fd, text, sizeof(text), 0));
	EXPECT_EQ(ENODEV, errno);
	close(fd);
	EXPECT_TRUE(host_nothing_left(self->functions, self->why)) {
		TH_LOG("%s", self->why);
	}
}

/* Staged text goes with the module. */
TEST_F(load, staged_and_unloaded)
{
	ASSERT_EQ(0, mg_insmod(""));
	ASSERT_EQ(0, mg_write_file("policy/load", MG_ALLOW_ALL, strlen(MG_ALLOW_ALL)));
	ASSERT_EQ(0, mg_rmmod());
	ASSERT_EQ(0, mg_insmod(""));
	EXPECT_EQ(-ENODATA, mg_write_file("policy/commit", "1", 1));
	EXPECT_EQ(1, mg_generation());
}

TEST_HARNESS_MAIN
