// SPDX-License-Identifier: GPL-2.0
/*
 * Attaching to kvm.ko's functions, all or none.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ftrace.h>
#include <linux/kallsyms.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>

#include "../guard.h"
#include "compat.h"
#include "hooks.h"
#include "prototypes.h"
#include "symbols.h"
#include "vm.h"

DEFINE_PER_CPU(u64[MG_NR_HOOKS], mg_hook_calls);
unsigned long mg_hook_body[MG_NR_TRAMPOLINES] __ro_after_init;

/**
 * struct hook - one function of kvm.ko
 * @purpose:    name in sysfs and in messages
 * @function:   symbol of kvm.ko, NULL if this kernel has no such function
 * @prototype:  what it takes and returns, see struct mg_prototype
 * @trampoline: what a direct call goes to
 * @callback:   the trampoline's entry for ftrace callbacks
 * @observe:    ftrace callback of a function that is only watched
 * @ops:        ftrace's handle
 * @fentry:     the function's __fentry__ site while attached, else 0
 * @nr_symbols: how often kvm.ko has @function
 * @is_direct:  attached by a direct call
 */
struct hook {
	const char *purpose;
	const char *function;
	const char *prototype;
	void (*trampoline)(void);
	void (*callback)(void);
	ftrace_func_t observe;
	struct ftrace_ops ops;
	unsigned long fentry;
	unsigned int nr_symbols;
	bool is_direct;
};

/*
 * Which mechanism, and why:
 *
 * direct call    For every function that decides. It is the only one cheap enough for the exit
 *                path (a call and a return, where an ftrace callback costs about 100
 *                instructions), it can keep the function from running, and it cannot be lost:
 *                kprobes can be switched off in debugfs and miss nested hits. A function has room
 *                for one direct call; whoever comes second, a BPF program for one, gets -EBUSY.
 * callback       The same trampolines behind an ftrace callback that changes the instruction
 *                pointer. For a function whose direct call is somebody else's at load, or for all
 *                with the parameter direct=0. Beside it BPF programs can attach. It excludes
 *                others of its kind (live patches), who get -EBUSY.
 * observer       Two functions are only watched, once in a vCPU's or a VM's life, so a plain
 *                callback will do. Their FTRACE_OPS_FL_PERMANENT is what keeps
 *                kernel.ftrace_enabled=0 from disabling all the hooks here, direct calls
 *                included; so they are attached first and detached last.
 *
 * A live patch on a function that we call directly is shared in both orders: ftrace calls the
 * trampoline with the patched function's address where else the original's is, so the access is
 * decided, and what is let through runs the patched function.
 */
#define DECIDES(tramp) .trampoline = tramp, .callback = tramp ## _callback, .ops.ops_func = share

static MG_FTRACE_OPS_FUNC(share)
{
	return 0;
}

static struct hook hooks[MG_NR_HOOKS] = {
	[MG_HOOK_EXIT_READ] = {
		.purpose = "exit-read",
		.function = "kvm_emulate_rdmsr",
		.prototype = "s32 (struct kvm_vcpu *)",
		DECIDES(mg_tramp_exit_read),
	},
	[MG_HOOK_EXIT_WRITE] = {
		.purpose = "exit-write",
		.function = "kvm_emulate_wrmsr",
		.prototype = "s32 (struct kvm_vcpu *)",
		DECIDES(mg_tramp_exit_write),
	},
	[MG_HOOK_EMULATOR_READ] = {
		.purpose = "emulator-read",
		.function = "emulator_get_msr_with_filter",
		.prototype = "s32 (struct x86_emulate_ctxt *, u32, u64 *)",
		DECIDES(mg_tramp_emulator_read),
	},
	[MG_HOOK_EMULATOR_WRITE] = {
		.purpose = "emulator-write",
		.function = "emulator_set_msr_with_filter",
		.prototype = "s32 (struct x86_emulate_ctxt *, u32, u64)",
		DECIDES(mg_tramp_emulator_write),
	},
	[MG_HOOK_NESTED_READ] = {
		.purpose = "nested-list-read",
		.function = MG_FN_NESTED_GET,
		.prototype = "s32 (struct kvm_vcpu *, u32, u64 *)",
		DECIDES(mg_tramp_nested_read),
	},
	[MG_HOOK_NESTED_WRITE] = {
		.purpose = "nested-list-write",
		.function = MG_FN_NESTED_SET,
		.prototype = "s32 (struct kvm_vcpu *, u32, u64)",
		DECIDES(mg_tramp_nested_write),
	},
	[MG_HOOK_FASTPATH] = {
		.purpose = "fastpath-write",
		.function = MG_FN_FASTPATH,
		.prototype = "enum exit_fastpath_completion (struct kvm_vcpu *)",
		DECIDES(mg_tramp_fastpath),
	},
	[MG_HOOK_BITMAP] = {
		.purpose = "bitmap",
		.function = "kvm_msr_allowed",
		.prototype = "bool (struct kvm_vcpu *, u32, u32)",
		DECIDES(mg_tramp_bitmap),
	},
	[MG_HOOK_EXIT_READ_IMM] = {
		.purpose = "exit-read-imm",
		.function = MG_FN_EXIT_READ_IMM,
		.prototype = "s32 (struct kvm_vcpu *, u32, s32)",
		DECIDES(mg_tramp_exit_read_imm),
	},
	[MG_HOOK_EXIT_WRITE_IMM] = {
		.purpose = "exit-write-imm",
		.function = MG_FN_EXIT_WRITE_IMM,
		.prototype = "s32 (struct kvm_vcpu *, u32, s32)",
		DECIDES(mg_tramp_exit_write_imm),
	},
	[MG_HOOK_FASTPATH_IMM] = {
		.purpose = "fastpath-write-imm",
		.function = MG_FN_FASTPATH_IMM,
		.prototype = "enum exit_fastpath_completion (struct kvm_vcpu *, u32, s32)",
		DECIDES(mg_tramp_fastpath_imm),
	},
	[MG_HOOK_VCPU_CREATED] = {
		.purpose = "vcpu-created",
		.function = "kvm_arch_vcpu_postcreate",
		.prototype = "void (struct kvm_vcpu *)",
		.observe = mg_vcpu_created,
	},
	[MG_HOOK_VM_DESTROYED] = {
		.purpose = "vm-destroyed",
		.function = "kvm_arch_destroy_vm",
		.prototype = "void (struct kvm *)",
		.observe = mg_vm_destroyed,
	},
};

/* ftrace callback: the call goes on in the hook's trampoline. */
static void notrace redirect(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			     struct ftrace_regs *fregs)
{
	const struct hook *hook = container_of(ops, struct hook, ops);

	mg_ftrace_set_ip(fregs, (unsigned long)hook->callback);
}

/* ftrace keeps notes in an ops even if it refuses it. */
static void forget_ops(struct hook *hook)
{
	ftrace_free_filter(&hook->ops);
	hook->ops = (struct ftrace_ops) { .ops_func = hook->ops.ops_func };
}

static int attach_callback(struct hook *hook, unsigned long fentry)
{
	int err;

	hook->ops.func = hook->observe ?: redirect;
	if (hook->observe)
		hook->ops.flags = FTRACE_OPS_FL_PERMANENT | FTRACE_OPS_FL_RECURSION;
	else
		hook->ops.flags = FTRACE_OPS_FL_PERMANENT | FTRACE_OPS_FL_IPMODIFY;
	err = ftrace_set_filter_ip(&hook->ops, fentry, 0, 0);
	return err ?: register_ftrace_function(&hook->ops);
}

static int attach_direct(struct hook *hook, unsigned long fentry)
{
	int err;

	err = ftrace_set_filter_ip(&hook->ops, fentry, 0, 0);
	err = err ?: mg_register_direct(&hook->ops, (unsigned long)hook->trampoline);
	hook->is_direct = !err;
	return err;
}

static int attach_by(struct hook *hook, unsigned long fentry, bool want_direct)
{
	char owner[KSYM_SYMBOL_LEN + 64];
	int err;

	if (hook->observe || !want_direct)
		return attach_callback(hook, fentry);
	err = attach_direct(hook, fentry);
	if (err != -EBUSY)
		return err;
	mg_symbol_hook_owner(fentry, owner, sizeof(owner));
	forget_ops(hook);
	err = attach_callback(hook, fentry);
	if (!err)
		pr_notice("%s is shared with %s: hooked by a callback, which costs some 100 instructions more an exit\n",
			  hook->function, owner);
	return err;
}

static void complain(const struct hook *hook, unsigned long fentry, int err)
{
	char owner[KSYM_SYMBOL_LEN + 64];

	if (err == -EBUSY && hook->observe) {
		pr_err("cannot hook %s: kernel.ftrace_enabled is 0; set it to 1 and load msrguard again\n",
		       hook->function);
	} else if (err == -EBUSY) {
		mg_symbol_hook_owner(fentry, owner, sizeof(owner));
		pr_err("cannot hook %s: it is taken, likely by %s; see enabled_functions in tracefs, remove that user and load msrguard again\n",
		       hook->function, owner);
	} else {
		pr_err("cannot hook %s: error %d from ftrace; msrguard does not run without it\n",
		       hook->function, err);
	}
}

static int attach(struct hook *hook, bool want_direct)
{
	unsigned long entry = mg_symbol_kvm(hook->function);
	unsigned long fentry = mg_symbol_fentry(entry);
	int err;

	if (!fentry || fentry - entry > ENDBR_INSN_SIZE) {
		pr_err("cannot hook %s: ftrace does not know its entry; msrguard does not run without it\n",
		       hook->function);
		return -ENOENT;
	}
	if (hook->trampoline)
		mg_hook_body[hook - hooks] = fentry + MCOUNT_INSN_SIZE;
	err = attach_by(hook, fentry, want_direct);
	if (err)
		complain(hook, fentry, err);
	else
		hook->fentry = fentry;
	return err;
}

static void detach(struct hook *hook)
{
	int err;

	if (!hook->fentry)
		return;
	if (hook->is_direct)
		err = mg_unregister_direct(&hook->ops, (unsigned long)hook->trampoline);
	else
		err = unregister_ftrace_function(&hook->ops);
	/*
	 * It fails only when ftrace has shut itself down after a fault of its own. KVM goes on
	 * calling us then, so this code must stay: whoever unloads it waits for a reboot here.
	 */
	if (WARN(err, "ftrace does not let go of %s\n", hook->function)) {
		pr_emerg("cannot be unloaded: KVM still calls it. Nothing is guarded any more; reboot the host\n");
		for (;;)
			schedule_timeout_uninterruptible(MAX_SCHEDULE_TIMEOUT);
	}
	hook->fentry = 0;
}

/*
 * Each detach ends with nobody on the way into a function of ours: unregister_ftrace_function(), which
 * ends a direct call too, guarantees that (the kernel's trace/ftrace-uses.rst). It waits by Tasks RCU.
 */
static void detach_rows(int first, int last)
{
	int i;

	for (i = first; i <= last; i++)
		detach(&hooks[i]);
}

static void free_filters(int first, int last)
{
	int i;

	for (i = first; i <= last; i++)
		ftrace_free_filter(&hooks[i].ops);
}

void mg_hooks_detach_trampolines(void)
{
	detach_rows(0, MG_NR_TRAMPOLINES - 1);
	/* Whoever is in a C function, which may sleep, leaves it ... */
	synchronize_srcu(&mg_srcu);
	/* ... and comes back through the rest of the trampoline. */
	synchronize_rcu_tasks();
	free_filters(0, MG_NR_TRAMPOLINES - 1);
}

/* An observer does not sleep, so ftrace has waited for its end. */
void mg_hooks_detach_observers(void)
{
	detach_rows(MG_NR_TRAMPOLINES, MG_NR_HOOKS - 1);
	free_filters(MG_NR_TRAMPOLINES, MG_NR_HOOKS - 1);
}

int mg_hooks_attach(bool want_direct)
{
	int i, err;

	for (i = MG_NR_HOOKS - 1; i >= 0; i--) {
		if (!hooks[i].function)
			continue;
		err = attach(&hooks[i], want_direct);
		if (err) {
			mg_hooks_detach_trampolines();
			mg_hooks_detach_observers();
			return err;
		}
	}
	return 0;
}

bool mg_hooks_have(const char *function)
{
	int i;

	for (i = 0; i < MG_NR_HOOKS; i++) {
		if (hooks[i].function && !strcmp(hooks[i].function, function))
			return true;
	}
	return false;
}

void mg_hooks_saw_symbol(const char *name)
{
	int i;

	for (i = 0; i < MG_NR_HOOKS; i++) {
		if (hooks[i].function && !strcmp(hooks[i].function, name))
			hooks[i].nr_symbols++;
	}
}

static int check(const struct hook *hook)
{
	struct mg_prototype expected = { hook->function, hook->prototype };

	if (!hook->nr_symbols) {
		pr_err("cannot hook %s: this kernel's kvm.ko has no such function; msrguard does not know this kernel and will not guess\n",
		       hook->function);
		return -ENOENT;
	}
	if (hook->nr_symbols != 1) {
		pr_err("cannot hook %s: this kernel's kvm.ko has %u functions of that name; msrguard will not guess\n",
		       hook->function, hook->nr_symbols);
		return -EINVAL;
	}
	return mg_prototypes_check(&expected, 1);
}

int mg_hooks_check(void)
{
	int i, err = 0;

	for (i = 0; i < MG_NR_HOOKS && !err; i++) {
		if (hooks[i].function)
			err = check(&hooks[i]);
	}
	return err;
}

int mg_hooks_nr(void)
{
	int i, nr = 0;

	for (i = 0; i < MG_NR_HOOKS; i++)
		nr += !!hooks[i].function;
	return nr;
}

static u64 calls_of(int hook)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu(mg_hook_calls, cpu)[hook];
	return sum;
}

/*
 * What stands at the hooked function's entry: a call to our trampoline, a call to ftrace's own
 * code (which will come to us, after the tracers that share the function), or something else.
 */
static const char *state_of(const struct hook *hook)
{
	u8 insn[CALL_INSN_SIZE];
	unsigned long target;
	s32 offset;

	if (!hook->fentry || !(hook->ops.flags & FTRACE_OPS_FL_ENABLED) ||
	    copy_from_kernel_nofault(insn, (void *)hook->fentry, sizeof(insn)) ||
	    insn[0] != CALL_INSN_OPCODE)
		return "detached";
	if (!hook->is_direct)
		return "attached";
	memcpy(&offset, insn + 1, sizeof(offset));
	target = hook->fentry + CALL_INSN_SIZE + offset;
	return target == (unsigned long)hook->trampoline ? "attached" : "shared";
}

static const char *mechanism_of(const struct hook *hook)
{
	if (hook->observe)
		return "observer";
	return hook->is_direct ? "direct" : "callback";
}

ssize_t mg_hooks_show(char *buf)
{
	int i, len;

	len = sysfs_emit(buf, "# hook function mechanism state calls\n");
	for (i = 0; i < MG_NR_HOOKS; i++) {
		if (!hooks[i].function)
			continue;
		len += sysfs_emit_at(buf, len, "%s %s %s %s %llu\n", hooks[i].purpose,
				     hooks[i].function, mechanism_of(&hooks[i]),
				     state_of(&hooks[i]), calls_of(i));
	}
	return len;
}
