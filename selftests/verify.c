// SPDX-License-Identifier: GPL-2.0
/*
 * The bitmaps that the hardware uses, read back: that they are what the policy says, and that the
 * reading would notice if they were not. Module: modules/bitmap_hole.c, beside this program.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "lib/host.h"
#include "lib/probe.h"
#include "lib/row.h"
#include "lib/verify.h"

#define HOLE		"bitmap_hole"
#define NO_SUCH_VM	0xfffffffffffffff0ull
/* Accesses that a bitmap has a bit for: both directions of two or three windows. */
#define COVERED_VMX	(2 * 2 * 0x2000)
#define COVERED_SVM	(2 * 3 * 0x2000)

FIXTURE(verify) {
	struct bench_table table;
	uint64_t vm_id;
	struct mg_verify_result result;
};

FIXTURE_SETUP(verify)
{
	struct mg_vm_line vm;

	table_up(_metadata, &self->table, 2, 0);
	ASSERT_EQ(1, mg_vms_of(getpid(), &vm, 1));
	self->vm_id = vm.id;
}

FIXTURE_TEARDOWN(verify)
{
	host_rmmod(HOLE);
	table_down(&self->table);
}

#define verify(expected_nr)							\
	do {									\
		ASSERT_EQ(0, mg_verify(self->vm_id, &self->result));		\
		ASSERT_EQ(0, self->result.strange);				\
		ASSERT_EQ((unsigned int)(expected_nr), self->result.nr);	\
	} while (0)

TEST_F(verify, unknown_vm)
{
	EXPECT_EQ(-ENOENT, mg_verify(NO_SUCH_VM, &self->result));
	EXPECT_EQ(0, self->result.nr);
	/* Linux 6.1 gives a dump that is just starting no place for a reason. */
	if (host_kernel_since(6, 12)) {
		EXPECT_EQ(MSRGUARD_A_VERIFY_VM_ID, self->result.bad_attr);
		EXPECT_STREQ("no VM has this id", self->result.why);
	}
}

/* Neither those that have never run, nor those whose thread is who asks, are waited for. */
TEST_F(verify, not_running)
{
	uint64_t start = now_ms();

	verify(2);
	EXPECT_EQ(2, self->result.states[MSRGUARD_VERIFY_STATE_NOT_RUNNING]);
	EXPECT_EQ(0, guest_rdmsr(self->table.vcpu, MSR_EFER).vector);
	verify(2);
	EXPECT_EQ(2, self->result.states[MSRGUARD_VERIFY_STATE_NOT_RUNNING]);
	EXPECT_EQ(0, mg_verify_own());
	/* Five seconds for each that is waited for, kmod/kvm/verify.c; a busy machine has its own. */
	EXPECT_GT(10000, now_ms() - start);
	EXPECT_EQ(0, self->result.vcpus[0].vcpu);
	EXPECT_EQ(1, self->result.vcpus[1].vcpu);
	EXPECT_EQ((uint32_t)getpid(), self->result.vcpus[0].vm_pid);
}

/* What is guarded is counted, and what runs is told from what does not. */
TEST_F(verify, counts)
{
	struct vcpu *vcpu = &self->table.vm->vcpus[1];

	/* The last two are beyond every bitmap. */
	use_policy(_metadata,
		   "0x174-0x176 deny deny\n0xc0000102 allow deny\n0x12345 deny deny\n"
		   "0x4b564d00 deny deny");
	quiet_run_start(vcpu);
	verify(2);
	EXPECT_EQ(MSRGUARD_VERIFY_STATE_NOT_RUNNING, self->result.vcpus[0].state);
	EXPECT_EQ(MSRGUARD_VERIFY_STATE_MATCHES, self->result.vcpus[1].state);
	EXPECT_EQ(7, self->result.vcpus[1].guarded);
	EXPECT_EQ(0, self->result.vcpus[1].missing);
	EXPECT_FALSE(self->result.vcpus[1].nested);
	EXPECT_EQ(mg_generation(), self->result.vcpus[1].generation);

	ASSERT_EQ(0, mg_set_mode("audit"));
	verify(2);
	EXPECT_EQ(7, self->result.vcpus[1].guarded);
	ASSERT_EQ(0, mg_set_mode("off"));
	verify(2);
	EXPECT_EQ(MSRGUARD_VERIFY_STATE_MATCHES, self->result.vcpus[1].state);
	EXPECT_EQ(0, self->result.vcpus[1].guarded);
	quiet_run_stop(vcpu);
}

/*
 * The vCPU has still to compute its bitmap anew when it is asked. It comes to that between two
 * questions, and answers long before it would be given up.
 */
TEST_F_TIMEOUT(verify, right_after_a_change, 120)
{
	uint64_t start, took, longest = 0;
	unsigned int slow = 0;

	quiet_run_start(self->table.vcpu);
	for (unsigned int i = 0; i < 100; i++) {
		start = now_ms();
		use_policy(_metadata, i & 1 ? "0x174 deny deny" : "0x175 deny deny");
		verify(2);
		took = now_ms() - start;
		longest = took > longest ? took : longest;
		slow += took > 2000;
		ASSERT_EQ(MSRGUARD_VERIFY_STATE_MATCHES, self->result.vcpus[0].state) {
			TH_LOG("change %u, %lu ms", i, took);
		}
	}
	/* Now and then the machine may be busy with something else. */
	EXPECT_GT(10, slow);
	TH_LOG("the longest took %lu ms, %u more than two seconds", longest, slow);
	quiet_run_stop(self->table.vcpu);
}

/* Every bit of it: nothing that KVM passes through is left. Nor when only one thing is allowed. */
static void expect_everything(struct __test_metadata *_metadata, uint64_t vm_id, unsigned int vcpus)
{
	struct mg_verify_result result;
	uint32_t all;

	use_policy(_metadata, "default deny deny");
	ASSERT_EQ(0, mg_verify(vm_id, &result));
	ASSERT_EQ(0, result.strange);
	ASSERT_EQ(vcpus, result.nr);
	EXPECT_EQ(MSRGUARD_VERIFY_STATE_MATCHES, result.vcpus[0].state);
	all = result.vcpus[0].guarded;
	EXPECT_EQ(probe_is_intel() ? COVERED_VMX : COVERED_SVM, all);
	use_policy(_metadata, "default deny deny\n0xc0000102 allow allow");
	ASSERT_EQ(0, mg_verify(vm_id, &result));
	EXPECT_EQ(MSRGUARD_VERIFY_STATE_MATCHES, result.vcpus[0].state);
	EXPECT_EQ(all - 2, result.vcpus[0].guarded);
}

TEST_F(verify, everything)
{
	quiet_run_start(self->table.vcpu);
	expect_everything(_metadata, self->vm_id, 2);
	quiet_run_stop(self->table.vcpu);
}

/* With a local APIC in x2APIC mode, whose registers the hardware may serve. */
TEST_F(verify, everything_x2apic)
{
	struct vm *vm = vm_create(1, VM_IRQCHIP);
	struct mg_vm_line lines[2];

	ASSERT_EQ(2, mg_vms_of(getpid(), lines, 2));
	vcpu_apic_x2(&vm->vcpus[0]);
	EXPECT_EQ(0, guest_rdmsr(&vm->vcpus[0], MSR_X2APIC(APIC_TPR)).vector);
	quiet_run_start(&vm->vcpus[0]);
	expect_everything(_metadata, lines[lines[0].id == self->vm_id].id, 1);
	quiet_run_stop(&vm->vcpus[0]);
	vm_free(vm);
}

/**
 * struct leaver - a vCPU's thread that stays in the kernel while its VM goes
 * @vm:     the VM that it has run once
 * @zeros:  where it reads zeros to, a small file mapped many times over
 * @size:   how much
 * @state:  how far it is
 */
struct leaver {
	struct vm *vm;
	char *zeros;
	size_t size;
	enum { LEAVER_STARTS, LEAVER_READS, LEAVER_DONE } state;
};

#define ZEROS_CHUNK	(2ul << 20)
#define ZEROS_MAX	(1ul << 30)

/* A page fault for every page of it is what takes the time. */
static char *map_zeros(void)
{
	char *zeros = mmap(NULL, ZEROS_MAX, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = memfd_create("zeros", MFD_CLOEXEC);

	if (zeros == MAP_FAILED || fd < 0 || ftruncate(fd, ZEROS_CHUNK))
		return NULL;
	for (size_t at = 0; at < ZEROS_MAX; at += ZEROS_CHUNK)
		if (mmap(zeros + at, ZEROS_CHUNK, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			 0) == MAP_FAILED)
			return NULL;
	close(fd);
	return zeros;
}

static bool read_zeros(char *to, size_t size)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	bool whole = read(fd, to, size) == (ssize_t)size;

	close(fd);
	return whole;
}

/* As much as takes some three seconds. */
static size_t measure_zeros(char *zeros)
{
	const size_t sample = 8 * ZEROS_CHUNK;
	uint64_t start = now_ms(), took;

	if (!read_zeros(zeros, sample))
		return 0;
	took = now_ms() - start;
	madvise(zeros, sample, MADV_DONTNEED);
	return took < 3000 * sample / ZEROS_MAX ? ZEROS_MAX : sample * (3000 / (took ?: 1) ?: 1);
}

static void *run_leaver(void *arg)
{
	struct leaver *leaver = arg;

	guest_rdmsr(&leaver->vm->vcpus[0], MSR_EFER);
	__atomic_store_n(&leaver->state, LEAVER_READS, __ATOMIC_SEQ_CST);
	read_zeros(leaver->zeros, leaver->size);
	__atomic_store_n(&leaver->state, LEAVER_DONE, __ATOMIC_SEQ_CST);
	return NULL;
}

/*
 * Who verifies may be the last to have the VM. Its destruction is code of the vendor module, so
 * that cannot go before. (KVM pins it by the open files of a VM only, from Linux 6.8 on.)
 */
TEST(vendor_module_is_pinned)
{
	struct leaver leaver = { .zeros = map_zeros() };
	int pipe_ends[2], status, err;
	struct mg_verify_result result;
	struct mg_vm_line line;
	pthread_t thread;
	uint64_t id;
	pid_t asker;

	ASSERT_NE(NULL, leaver.zeros);
	leaver.size = measure_zeros(leaver.zeros);
	ASSERT_NE(0, leaver.size);
	if (!mg_loaded())
		ASSERT_EQ(0, mg_insmod(""));
	/* Before there is a VM: what a child inherits of it would keep it. */
	ASSERT_EQ(0, pipe(pipe_ends));
	asker = fork();
	if (!asker) {
		/* So that it ends if the test does, too. */
		close(pipe_ends[1]);
		err = read(pipe_ends[0], &id, sizeof(id)) == sizeof(id) ? mg_verify(id, &result) : 1;
		_exit(err || result.nr != 1);
	}
	ASSERT_LT(0, asker);
	leaver.vm = vm_create(1, 0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_leaver, &leaver));
	while (__atomic_load_n(&leaver.state, __ATOMIC_SEQ_CST) == LEAVER_STARTS)
		usleep(1000);
	ASSERT_EQ(1, mg_vms_of(getpid(), &line, 1));
	ASSERT_EQ(sizeof(line.id), write(pipe_ends[1], &line.id, sizeof(line.id)));
	usleep(300000);
	vm_free(leaver.vm);
	err = host_rmmod(host_vendor());
	/* Else nobody was verifying any more, and this shows nothing. */
	ASSERT_EQ(LEAVER_READS, __atomic_load_n(&leaver.state, __ATOMIC_SEQ_CST));
	EXPECT_TRUE(err == -EAGAIN || err == -EBUSY) {
		TH_LOG("rmmod while a VM is verified: %d", err);
	}
	ASSERT_EQ(asker, waitpid(asker, &status, 0));
	EXPECT_EQ(0, status);
	pthread_join(thread, NULL);
	EXPECT_EQ(err ? 0 : -ENOENT, host_rmmod(host_vendor()));
	EXPECT_TRUE(host_modprobe_vendor());
	EXPECT_EQ(0, mg_rmmod());
	munmap(leaver.zeros, ZEROS_MAX);
}

FIXTURE(hole) {
	struct vm *vm;
	uint64_t vm_id;
	char policy[64];
	struct mg_verify_result result;
};

/**
 * FIXTURE_VARIANT(hole)
 * @nested: L2 does it
 * @x2apic: it is a register of the APIC, in x2APIC mode
 * @amd:    only AMD's bitmap has a bit for it
 * @value:  what is written
 */
FIXTURE_VARIANT(hole) {
	bool nested, x2apic, amd;
	int op;
	uint32_t msr;
	uint64_t value;
};

#define KGS		.msr = MSR_KERNEL_GS_BASE, .value = KGS_B
#define SYSENTER	.msr = MSR_SYSENTER_CS, .value = 0x28
/* Of the two ends of AMD's third window; no CPU has them, and those that are emulated let them pass. */
#define AMD_FIRST	.amd = true, .msr = 0xc0010009, .value = 0
#define AMD_LAST	.amd = true, .msr = 0xc0011ffe, .value = 0
#define TPR		.x2apic = true, .msr = MSR_X2APIC(APIC_TPR), .value = 0x10

FIXTURE_VARIANT_ADD(hole, write) { .op = OP_WRMSR, KGS };
FIXTURE_VARIANT_ADD(hole, read) { .op = OP_RDMSR, KGS };
FIXTURE_VARIANT_ADD(hole, nested_write) { .op = OP_WRMSR, .nested = true, KGS };
FIXTURE_VARIANT_ADD(hole, nested_read) { .op = OP_RDMSR, .nested = true, KGS };
FIXTURE_VARIANT_ADD(hole, low_write) { .op = OP_WRMSR, SYSENTER };
FIXTURE_VARIANT_ADD(hole, low_read) { .op = OP_RDMSR, SYSENTER };
FIXTURE_VARIANT_ADD(hole, nested_low_write) { .op = OP_WRMSR, .nested = true, SYSENTER };
FIXTURE_VARIANT_ADD(hole, nested_low_read) { .op = OP_RDMSR, .nested = true, SYSENTER };
FIXTURE_VARIANT_ADD(hole, amd_first_write) { .op = OP_WRMSR, AMD_FIRST };
FIXTURE_VARIANT_ADD(hole, amd_first_read) { .op = OP_RDMSR, AMD_FIRST };
FIXTURE_VARIANT_ADD(hole, amd_last_write) { .op = OP_WRMSR, AMD_LAST };
FIXTURE_VARIANT_ADD(hole, amd_last_read) { .op = OP_RDMSR, AMD_LAST };
FIXTURE_VARIANT_ADD(hole, x2apic_write) { .op = OP_WRMSR, TPR };
FIXTURE_VARIANT_ADD(hole, x2apic_read) { .op = OP_RDMSR, TPR };

FIXTURE_SETUP(hole)
{
	char why[MG_ERROR_LEN];
	struct mg_vm_line vm;

	ASSERT_EQ(0, mg_start(why)) {
		TH_LOG("%s", why);
	}
	self->vm = vm_create(1, variant->x2apic ? VM_IRQCHIP : 0);
	if (variant->nested && !nested_works(self->vm))
		SKIP(return, NESTED_MISSING);
	if (variant->amd && probe_is_intel())
		SKIP(return, "Intel's bitmap has no bit for MSR %#x", variant->msr);
	if (variant->x2apic) {
		vcpu_apic_x2(&self->vm->vcpus[0]);
		/* Else the guest would get at the host's own APIC. */
		if (probe_exits(&self->vm->vcpus[0], variant->op, variant->msr, variant->value) >
		    PROBE_PASSED_THROUGH)
			SKIP(return, "no virtualised x2APIC mode here");
	}
	ASSERT_EQ(1, mg_vms_of(getpid(), &vm, 1));
	self->vm_id = vm.id;
	snprintf(self->policy, sizeof(self->policy), MG_ALLOW_ALL "0x%x %s\n", variant->msr,
		 variant->op == OP_WRMSR ? "allow deny" : "deny allow");
}

FIXTURE_TEARDOWN(hole)
{
	host_rmmod(HOLE);
	vm_free(self->vm);
	mg_load_policy(MG_ALLOW_ALL);
}

static int open_hole(uint32_t msr, bool write)
{
	char self[256], path[512], params[128];
	ssize_t n;

	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0)
		return -errno;
	self[n] = '\0';
	snprintf(path, sizeof(path), "%s/modules/" HOLE ".ko", dirname(self));
	snprintf(params, sizeof(params), "pid=%d msr=%u write=%d", getpid(), msr, write);
	return host_insmod(path, params);
}

static int holes(void)
{
	char *text = host_read("/sys/module/" HOLE "/parameters/holes");
	int n = text ? atoi(text) : -1;

	free(text);
	return n;
}

/* On one CPU, whoever else runs there takes the vCPU off it. */
static void share_a_cpu(struct __test_metadata *_metadata)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(one), &one));
}

static void wait_for_hole(struct __test_metadata *_metadata)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	uint64_t end = now_ms() + 20000;

	while (!holes() && now_ms() < end)
		nanosleep(&nap, NULL);
	ASSERT_EQ(1, holes());
}

/* Behind a hole the guest does what the policy forbids, and nobody but the read-back knows. */
TEST_F(hole, is_found)
{
	struct vcpu *vcpu = &self->vm->vcpus[0];
	bool write = variant->op == OP_WRMSR;
	const struct mg_verify_vcpu *found = &self->result.vcpus[0];
	uint64_t denied;

	share_a_cpu(_metadata);
	ASSERT_EQ(0, mg_load_policy(self->policy));
	if (variant->nested)
		l2_spin_start(vcpu, variant->op, variant->msr, variant->value);
	else
		guest_spin_start(vcpu, variant->op, variant->msr, variant->value);
	ASSERT_TRUE(spin_wait_faults(vcpu, 10, 20000));
	EXPECT_EQ(0, spin_ok(vcpu));
	verify(1);
	EXPECT_EQ(MSRGUARD_VERIFY_STATE_MATCHES, found->state);
	EXPECT_EQ(variant->nested, found->nested);
	EXPECT_EQ(1, found->guarded);

	ASSERT_EQ(0, open_hole(variant->msr, write));
	wait_for_hole(_metadata);
	ASSERT_EQ(0, host_rmmod(HOLE));
	ASSERT_TRUE(spin_wait_ok(vcpu, 100, 20000));
	denied = mg_stats().denied;
	ASSERT_TRUE(spin_wait_ok(vcpu, 100, 20000));
	EXPECT_EQ(denied, mg_stats().denied);
	verify(1);
	EXPECT_EQ(MSRGUARD_VERIFY_STATE_DIFFERS, found->state);
	EXPECT_EQ(variant->nested, found->nested);
	EXPECT_EQ(1, found->guarded);
	ASSERT_EQ(1, found->missing);
	EXPECT_EQ(variant->msr, found->accesses[0].msr);
	EXPECT_EQ(write ? MSRGUARD_DIRECTION_WRITE : MSRGUARD_DIRECTION_READ,
		  found->accesses[0].direction);

	/* A policy published anew closes it; this looks by itself, too. */
	ASSERT_EQ(0, mg_load_policy(self->policy));
	ASSERT_TRUE(spin_wait_faults(vcpu, 10, 20000));
	verify(1);
	EXPECT_EQ(MSRGUARD_VERIFY_STATE_MATCHES, found->state);
	guest_spin_stop(vcpu);
}

TEST_HARNESS_MAIN
