// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that fails: each allocation made under a function of the module, or of KVM, fails once
 * in its turn. Whatever was asked for then says -ENOMEM and has changed nothing, or it works all
 * the same; a guest never gets past the policy by it.
 *
 * By /proc/thread-self/fail-nth of the kernel's fault injection: "fail the Nth allocation from
 * now that counts". Which ones count is told by an address that must be in the caller's stack.
 */
#include "kselftest_harness.h"
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/msrguard.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "lib/fault.h"
#include "lib/host.h"
#include "lib/msrguard.h"
#include "lib/verify.h"
#include "lib/vm.h"

#define __unused	__attribute__((unused))

/* An operation that still meets an allocation after so many fails for ever. */
#define MAX_ALLOCATIONS	5000

#define POLICY	MG_ALLOW_ALL "0xc0000081 deny deny\n0x12345 deny drop\n0x40000000-0x400000ff deny deny\n"
#define RULES	3000

/*
 * Once more with the first, second, ... allocation failing, until none is left to fail. @run
 * answers 0 or a negative errno, @check what is wrong afterwards, or NULL. @undo brings things
 * back to where @run can begin again.
 */
struct walk {
	const char *what;
	int (*run)(void *context);
	const char *(*check)(void *context, int err);
	void (*undo)(void *context);
	void *context;
	/* Findings. */
	unsigned int injected;		/* allocations that failed */
	unsigned int failed;		/* runs that said so */
};

static void walk(struct __test_metadata *_metadata, struct walk *walk)
{
	int fd = open(FAULT_NTH, O_RDWR | O_CLOEXEC);
	unsigned int nth, left;
	const char *wrong;
	int err;

	ASSERT_LE(0, fd);
	for (nth = 1; nth <= MAX_ALLOCATIONS; nth++) {
		ASSERT_TRUE(fault_set_nth(fd, nth));
		err = walk->run(walk->context);
		left = fault_get_nth(fd);
		ASSERT_TRUE(fault_set_nth(fd, 0));
		if (!left)
			walk->injected++;
		if (err)
			walk->failed++;
		/* What fails though no allocation did has another reason. */
		EXPECT_TRUE(!err || (!left && err == -ENOMEM)) {
			TH_LOG("%s: allocation %u %s, error %d", walk->what, nth,
			       left ? "did not fail" : "failed", err);
		}
		wrong = walk->check(walk->context, err);
		ASSERT_EQ(NULL, wrong) {
			TH_LOG("%s: allocation %u %s, result %d, then %s", walk->what, nth,
			       left ? "did not fail" : "failed", err, wrong);
		}
		if (!err && walk->undo)
			walk->undo(walk->context);
		if (left)
			break;
	}
	close(fd);
	EXPECT_GE(MAX_ALLOCATIONS, nth);
	EXPECT_NE(0, walk->injected);
	TH_LOG("%s: %u allocations failed, %u runs said so", walk->what, walk->injected,
	       walk->failed);
}

static const char *all_attached(void)
{
	static char why[160];
	struct hook_line hooks[MAX_HOOKS];
	unsigned int nr = host_hooks(hooks);

	if (nr < 10)
		return "some hooks are missing";
	for (unsigned int i = 0; i < nr; i++) {
		if (strcmp(hooks[i].state, "attached")) {
			snprintf(why, sizeof(why), "the hook %s is %s", hooks[i].function,
				 hooks[i].state);
			return why;
		}
	}
	return NULL;
}

/* What is in force. */
struct state {
	char hash[128];
	char mode[16];
	uint64_t generation;
};

static struct state now(void)
{
	struct state state;

	/* A short answer must not look like an equal one. */
	if (mg_read_file("policy/hash", state.hash, sizeof(state.hash)) != 65 ||
	    mg_read_file("mode", state.mode, sizeof(state.mode)) < 4) {
		printf("# cannot read the policy's hash and mode\n");
		abort();
	}
	state.generation = mg_generation();
	return state;
}

static bool same(const struct state *a, const struct state *b)
{
	return !strcmp(a->hash, b->hash) && !strcmp(a->mode, b->mode) &&
	       a->generation == b->generation;
}

FIXTURE(faults) {
	struct state before;
	char why[MG_ERROR_LEN];
};

FIXTURE_SETUP(faults)
{
	const char *missing = fault_missing();

	if (missing)
		SKIP(return, "%s", missing);
	if (mg_loaded())
		ASSERT_EQ(0, mg_rmmod());
	ASSERT_TRUE(fault_prepare());
}

FIXTURE_TEARDOWN(faults)
{
	fault_restore();
	if (mg_loaded())
		mg_rmmod();
}

/* Of itself: that faults are injected where they should be, and nowhere else. */
TEST_F(faults, injected_where_told)
{
	int fd;

	ASSERT_EQ(0, mg_start(self->why)) {
		TH_LOG("%s", self->why);
	}
	fd = open(FAULT_NTH, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_TRUE(fault_count_callers(1, 2));
	ASSERT_TRUE(fault_set_nth(fd, 1));
	EXPECT_EQ(0, mg_write_file("mode", "audit", 5));
	EXPECT_EQ(1, fault_get_nth(fd));
	ASSERT_TRUE(fault_count_own());
	EXPECT_EQ(-ENOMEM, mg_write_file("mode", "enforce", 7));
	EXPECT_EQ(0, fault_get_nth(fd));
	EXPECT_EQ(0, mg_write_file("mode", "enforce", 7));
	close(fd);
}

struct load_context {
	char *functions;
	char why[HOST_REASON_LEN];
};

static int run_load(__unused void *unused)
{
	return mg_insmod("");
}

static const char *check_load(void *context, int err)
{
	struct load_context *load = context;

	if (err)
		return host_nothing_left(load->functions, load->why) ? NULL : load->why;
	return all_attached();
}

static void undo_load(__unused void *unused)
{
	if (mg_rmmod()) {
		printf("# the module cannot be unloaded\n");
		abort();
	}
}

TEST_F_TIMEOUT(faults, load, 900)
{
	struct load_context context = { .functions = host_enabled_functions() };
	struct walk load = {
		.what = "load", .run = run_load, .check = check_load,
		.undo = undo_load, .context = &context,
	};

	ASSERT_NE(NULL, context.functions);
	ASSERT_TRUE(fault_count_modules());
	walk(_metadata, &load);
	/* Ten hooks, some twenty files, a netlink family. */
	EXPECT_LT(50, load.failed);
	EXPECT_TRUE(host_nothing_left(context.functions, context.why)) {
		TH_LOG("%s", context.why);
	}
	free(context.functions);
}

/* Nobody can be told that it failed, so it must not. */
TEST_F_TIMEOUT(faults, unload, 300)
{
	struct load_context context = { .functions = host_enabled_functions() };
	int fd = open(FAULT_NTH, O_RDWR | O_CLOEXEC);
	unsigned int nth = 0, left;
	int err;

	ASSERT_LE(0, fd);
	ASSERT_NE(NULL, context.functions);
	ASSERT_TRUE(fault_count_modules());
	/* Not walk(): perhaps there is nothing that could fail. */
	do {
		ASSERT_EQ(0, mg_insmod(""));
		ASSERT_EQ(NULL, all_attached());
		ASSERT_TRUE(fault_set_nth(fd, ++nth));
		err = mg_rmmod();
		left = fault_get_nth(fd);
		ASSERT_TRUE(fault_set_nth(fd, 0));
		ASSERT_EQ(0, err) {
			TH_LOG("unload: allocation %u, error %d", nth, err);
		}
		ASSERT_TRUE(host_nothing_left(context.functions, context.why)) {
			TH_LOG("unload: allocation %u, then %s", nth, context.why);
		}
	} while (!left && nth < MAX_ALLOCATIONS);
	EXPECT_NE(0, left);
	TH_LOG("unload: %u allocations failed", nth - 1);
	close(fd);
	free(context.functions);
}

/* What changes what is in force: one of these at a time. */
struct change {
	struct state before;
	const char *file, *text;
	size_t len;
	const char *undo_file, *undo_text;
	struct vcpu *vcpu;
};

static int run_change(void *context)
{
	struct change *change = context;

	return mg_write_file(change->file, change->text, change->len);
}

/*
 * Nothing has changed, or all of it has; and either way the guest meets the policy. STAR is
 * guarded by each policy in here.
 */
static const char *check_change(void *context, int err)
{
	struct change *change = context;
	struct state after = now();
	struct access_result result;

	if (err && !same(&change->before, &after))
		return "something was changed";
	if (!err && same(&change->before, &after))
		return "nothing was changed";
	result = guest_wrmsr(change->vcpu, MSR_STAR, 1);
	if (result.vector != (strcmp(after.mode, "enforce\n") ? 0 : VECTOR_GP))
		return "the guest did not meet the policy";
	return all_attached();
}

static void undo_change(void *context)
{
	struct change *change = context;
	int err = mg_write_file(change->undo_file, change->undo_text, strlen(change->undo_text));

	/* The hash is of the text alone, so only the generation differs. */
	change->before = now();
	if (err) {
		printf("# %s could not be undone: %d\n", change->file, err);
		abort();
	}
}

static void walk_change(struct __test_metadata *_metadata, struct change *change,
			unsigned int min_failed)
{
	struct walk change_walk = {
		.what = change->file, .run = run_change, .check = check_change,
		.undo = undo_change, .context = change,
	};
	struct vm *vm = vm_create(1, 0);
	char why[MG_ERROR_LEN];

	ASSERT_EQ(0, mg_start(why)) {
		TH_LOG("%s", why);
	}
	ASSERT_EQ(0, mg_load_policy(POLICY));
	change->vcpu = &vm->vcpus[0];
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(change->vcpu, MSR_STAR, 1).vector);
	change->before = now();
	ASSERT_TRUE(fault_count_own());
	walk(_metadata, &change_walk);
	EXPECT_LE(min_failed, change_walk.failed);
	vm_free(vm);
}

TEST_F_TIMEOUT(faults, add_rule, 120)
{
	struct change change = {
		.file = "rules/add", .text = "0x174 deny deny\n", .len = 16,
		.undo_file = "rules/remove", .undo_text = "0x174",
	};

	walk_change(_metadata, &change, 5);
}

TEST_F_TIMEOUT(faults, remove_rule, 120)
{
	struct change change = {
		.file = "rules/remove", .text = "0x12345\n", .len = 8,
		.undo_file = "rules/add", .undo_text = "0x12345 deny drop\n",
	};

	walk_change(_metadata, &change, 5);
}

TEST_F_TIMEOUT(faults, set_mode, 120)
{
	struct change change = {
		.file = "mode", .text = "audit\n", .len = 6,
		.undo_file = "mode", .undo_text = "enforce\n",
	};

	walk_change(_metadata, &change, 1);
}

/* Stages and commits; the two writes fail each for itself. */
static int run_commit(void *context)
{
	struct change *change = context;

	return mg_write_file("policy/load", change->text, change->len) ?:
	       mg_write_file("policy/commit", "1", 1);
}

static const char *check_commit(void *context, int err)
{
	char error[MG_ERROR_LEN];

	if (err && !strstr(mg_last_error(), "out of memory"))
		return "policy/error does not say why";
	if (!err && mg_last_error()[0])
		return "policy/error says something";
	if (err && mg_write_file("policy/commit", "1", 1) != -ENODATA)
		return "something was left staged";
	mg_read_file("policy/error", error, sizeof(error));
	return check_change(context, err);
}

static void undo_commit(void *context)
{
	struct change *change = context;

	if (mg_load_policy(POLICY)) {
		printf("# the policy cannot be loaded again: %s\n", mg_last_error());
		abort();
	}
	change->before = now();
}

TEST_F_TIMEOUT(faults, commit, 300)
{
	struct change change = {};
	struct walk commit = {
		.what = "commit", .run = run_commit, .check = check_commit,
		.undo = undo_commit, .context = &change,
	};
	char *text = malloc(RULES * 40 + 200);
	struct vm *vm = vm_create(1, 0);

	ASSERT_NE(NULL, text);
	ASSERT_EQ(0, mg_start(self->why)) {
		TH_LOG("%s", self->why);
	}
	ASSERT_EQ(0, mg_load_policy(POLICY));
	/* Large enough for several pages in each table, and for ranges within ranges. */
	change.len = sprintf(text, MG_ALLOW_ALL "0xc0000081 deny deny\n0x20000-0x2ffff deny deny\n");
	for (unsigned int i = 0; i < RULES; i++)
		change.len += sprintf(text + change.len, "0x%x deny drop\n", 0x20000 + 3 * i);
	change.text = text;
	change.vcpu = &vm->vcpus[0];
	change.before = now();
	ASSERT_TRUE(fault_count_own());
	walk(_metadata, &commit);
	/* Most of its tables are large, and found elsewhere if one way to memory fails. */
	EXPECT_NE(0, commit.failed);
	vm_free(vm);
	free(text);
}

/* A denied access of a VM that nothing is known of yet: its record has to be made. */
struct guest_context {
	struct vm *vm;
	struct access_result result;
	struct mg_stats before;
	struct mg_listener *listener;
	struct mg_trace *trace;
	unsigned int lost, sent;
};

static int run_guest(void *context)
{
	struct guest_context *guest = context;

	guest->result = guest_wrmsr(&guest->vm->vcpus[0], MSR_STAR, 1);
	return 0;
}

static const char *check_guest(void *context, __unused int err)
{
	struct guest_context *guest = context;
	struct mg_stats since = mg_stats_since(&guest->before);

	if (guest->result.vector != VECTOR_GP || guest->result.error)
		return "the access was not denied";
	if (since.denied != 1 || since.writes != 1 || since.sequence != 1)
		return "the access was not counted once";
	if (since.events_sent + since.events_lost != !!guest->listener)
		return "the event was neither sent nor lost";
	guest->sent += since.events_sent;
	guest->lost += since.events_lost;
	return NULL;
}

/* A VM of its own for each turn. */
static void undo_guest(void *context)
{
	struct guest_context *guest = context;

	vm_free(guest->vm);
	guest->vm = vm_create(1, 0);
	if (guest->listener)
		mg_drain(guest->listener);
	guest->before = mg_stats();
}

static void walk_guest(struct __test_metadata *_metadata, bool listen)
{
	struct guest_context guest = { .vm = vm_create(1, 0) };
	struct walk access = {
		.what = listen ? "denied, with a listener" : "denied", .run = run_guest,
		.check = check_guest, .undo = undo_guest, .context = &guest,
	};
	char why[MG_ERROR_LEN];

	ASSERT_EQ(0, mg_start(why)) {
		TH_LOG("%s", why);
	}
	ASSERT_EQ(0, mg_load_policy(POLICY));
	if (listen) {
		guest.listener = mg_listen();
		ASSERT_NE(NULL, guest.listener);
		ASSERT_TRUE(mg_listener_counts_losses(guest.listener));
		guest.trace = mg_trace_open();
		ASSERT_NE(NULL, guest.trace);
		ASSERT_EQ(0, mg_trace_enable(guest.trace, true));
	}
	/* Loading the policy has looked at this VM; its record is there. The next one has none. */
	undo_guest(&guest);
	ASSERT_TRUE(fault_count_own());
	walk(_metadata, &access);
	if (listen) {
		/* The message is one of the allocations, and the last turn had none fail. */
		EXPECT_NE(0, guest.lost);
		EXPECT_NE(0, guest.sent);
		mg_trace_free(guest.trace);
		mg_listener_free(guest.listener);
	}
	vm_free(guest.vm);
}

TEST_F_TIMEOUT(faults, denied_access, 120)
{
	walk_guest(_metadata, false);
}

TEST_F_TIMEOUT(faults, denied_access_with_a_listener, 120)
{
	walk_guest(_metadata, true);
}

/* A VM from its creation to its end, as a VMM that takes a refusal for an answer. */
static int run_vm(__unused void *unused)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm = -1, vcpu = -1, err = 0;
	struct kvm_userspace_memory_region memory = { .memory_size = 0x10000 };
	struct kvm_run *run = MAP_FAILED;
	void *mem = MAP_FAILED;

	if (kvm < 0)
		goto fail;
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		goto fail;
	mem = mmap(NULL, memory.memory_size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (mem == MAP_FAILED)
		goto fail;
	memory.userspace_addr = (uintptr_t)mem;
	/* hlt, wherever it begins */
	memset(mem, 0xf4, memory.memory_size);
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &memory))
		goto fail;
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0)
		goto fail;
	run = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		goto fail;
	goto out;
fail:
	err = -errno;
out:
	if (run != MAP_FAILED)
		munmap(run, 4096);
	if (vcpu >= 0)
		close(vcpu);
	if (vm >= 0)
		close(vm);
	if (mem != MAP_FAILED)
		munmap(mem, memory.memory_size);
	if (kvm >= 0)
		close(kvm);
	return err;
}

struct vm_context {
	struct state before;
	struct vcpu *other;
};

static const char *check_vm(void *context, __unused int err)
{
	struct vm_context *vm = context;
	struct mg_vm_line lines[8];
	struct state after = now();

	if (!same(&vm->before, &after))
		return "the policy has changed";
	if (guest_wrmsr(vm->other, MSR_STAR, 1).vector != VECTOR_GP)
		return "another VM's guest did not meet the policy";
	/* The other VM's record, and none of what has failed. */
	if (mg_vms_of(getpid(), lines, 8) != 1)
		return "vms/list shows a VM that is gone";
	return all_attached();
}

TEST_F_TIMEOUT(faults, create_vm, 900)
{
	struct vm *other = vm_create(1, 0);
	struct vm_context context = { .other = &other->vcpus[0] };
	struct walk create = {
		.what = "create a VM", .run = run_vm, .check = check_vm,
		.context = &context,
	};

	ASSERT_EQ(0, mg_start(self->why)) {
		TH_LOG("%s", self->why);
	}
	ASSERT_EQ(0, mg_load_policy(POLICY));
	EXPECT_EQ(VECTOR_GP, guest_wrmsr(context.other, MSR_STAR, 1).vector);
	context.before = now();
	/* KVM's own vmalloc() would complain in the log, with a back trace, if it failed. */
	ASSERT_TRUE(fault_spare("__vmalloc_node_range_noprof"));
	ASSERT_TRUE(fault_count_modules());
	walk(_metadata, &create);
	EXPECT_LT(10, create.failed);
	vm_free(other);
}

/* Reading: the list of VMs, and netlink's answer to "verify". */
struct read_context {
	uint64_t vm_id;
	struct mg_verify_result result;
};

static int run_list(__unused void *unused)
{
	char text[4096];
	ssize_t n = mg_read_file("vms/list", text, sizeof(text));

	return n < 0 ? n : 0;
}

static int run_verify(void *context)
{
	struct read_context *read = context;

	return mg_verify(read->vm_id, &read->result);
}

static const char *check_read(__unused void *unused, __unused int err)
{
	return all_attached();
}

TEST_F_TIMEOUT(faults, read, 120)
{
	struct vm *vm = vm_create(2, 0);
	struct read_context context = {};
	struct walk list = {
		.what = "vms/list", .run = run_list, .check = check_read,
		.context = &context,
	};
	struct walk verify = {
		.what = "verify", .run = run_verify, .check = check_read,
		.context = &context,
	};
	struct mg_vm_line line;

	ASSERT_EQ(0, mg_start(self->why)) {
		TH_LOG("%s", self->why);
	}
	ASSERT_EQ(0, mg_load_policy(POLICY));
	guest_wrmsr(&vm->vcpus[0], MSR_STAR, 1);
	ASSERT_EQ(1, mg_vms_of(getpid(), &line, 1));
	context.vm_id = line.id;
	guest_spin_start(&vm->vcpus[0], OP_WRMSR, MSR_KERNEL_GS_BASE, 0);
	ASSERT_TRUE(fault_count_own());
	walk(_metadata, &list);
	EXPECT_NE(0, list.failed);
	walk(_metadata, &verify);
	EXPECT_NE(0, verify.failed);
	/* With memory it is as it was. */
	EXPECT_EQ(0, mg_verify(context.vm_id, &context.result));
	EXPECT_EQ(2, context.result.nr);
	EXPECT_EQ(0, context.result.strange);
	guest_spin_stop(&vm->vcpus[0]);
	vm_free(vm);
}

TEST_HARNESS_MAIN
