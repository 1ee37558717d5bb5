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
#include "symbols.h"
#include "vm.h"

DEFINE_PER_CPU(u64[MG_NR_HOOKS], mg_hook_calls);

/**
 * struct hook - one function of kvm.ko
 * @purpose:    name in sysfs and in messages
 * @function:   symbol of kvm.ko
 * @trampoline: direct call to attach, or NULL
 * @observe:    ftrace callback to attach, or NULL
 * @ops:        ftrace's handle
 * @fentry:     the function's __fentry__ site while attached, else 0
 */
struct hook {
	const char *purpose;
	const char *function;
	void (*trampoline)(void);
	ftrace_func_t observe;
	struct ftrace_ops ops;
	unsigned long fentry;
};

/*
 * Which mechanism, and why:
 *
 * A direct call is the only one cheap enough for the exit path (it costs a call and a return
 * where an ftrace callback costs about 100 instructions), it can keep the function from running,
 * and it cannot be lost: kprobes can be switched off in debugfs and miss nested hits.
 *
 * A function has room for one direct call and, beside it, for any number of tracers. Somebody
 * else's direct call (a BPF trampoline) or change of the instruction pointer (a live patch) on
 * the same function excludes ours and ours excludes theirs: whoever comes second gets -EBUSY.
 *
 * Two functions are only watched, once in a vCPU's or a VM's life, so a callback will do. Their
 * FTRACE_OPS_FL_PERMANENT is what keeps kernel.ftrace_enabled=0 from disabling all the hooks
 * here, direct calls included; so they are attached first and detached last.
 */
static struct hook hooks[MG_NR_HOOKS] = {
	[MG_HOOK_EXIT_READ] = {
		.purpose = "exit-read",
		.function = "kvm_emulate_rdmsr",
		.trampoline = mg_tramp_exit_read,
	},
	[MG_HOOK_EXIT_WRITE] = {
		.purpose = "exit-write",
		.function = "kvm_emulate_wrmsr",
		.trampoline = mg_tramp_exit_write,
	},
	[MG_HOOK_EMULATOR_READ] = {
		.purpose = "emulator-read",
		.function = "emulator_get_msr_with_filter",
		.trampoline = mg_tramp_emulator_read,
	},
	[MG_HOOK_EMULATOR_WRITE] = {
		.purpose = "emulator-write",
		.function = "emulator_set_msr_with_filter",
		.trampoline = mg_tramp_emulator_write,
	},
	[MG_HOOK_NESTED_READ] = {
		.purpose = "nested-list-read",
		.function = MG_FN_NESTED_GET,
		.trampoline = mg_tramp_nested_read,
	},
	[MG_HOOK_NESTED_WRITE] = {
		.purpose = "nested-list-write",
		.function = MG_FN_NESTED_SET,
		.trampoline = mg_tramp_nested_write,
	},
	[MG_HOOK_FASTPATH] = {
		.purpose = "fastpath-write",
		.function = "handle_fastpath_set_msr_irqoff",
		.trampoline = mg_tramp_fastpath,
	},
	[MG_HOOK_BITMAP] = {
		.purpose = "bitmap",
		.function = "kvm_msr_allowed",
		.trampoline = mg_tramp_bitmap,
	},
	[MG_HOOK_VCPU_CREATED] = {
		.purpose = "vcpu-created",
		.function = "kvm_arch_vcpu_postcreate",
		.observe = mg_vcpu_created,
		.ops.flags = FTRACE_OPS_FL_PERMANENT | FTRACE_OPS_FL_RECURSION,
	},
	[MG_HOOK_VM_DESTROYED] = {
		.purpose = "vm-destroyed",
		.function = "kvm_arch_destroy_vm",
		.observe = mg_vm_destroyed,
		.ops.flags = FTRACE_OPS_FL_PERMANENT | FTRACE_OPS_FL_RECURSION,
	},
};

static int attach_ops(struct hook *hook)
{
	if (hook->trampoline)
		return mg_register_direct(&hook->ops, (unsigned long)hook->trampoline);
	hook->ops.func = hook->observe;
	return register_ftrace_function(&hook->ops);
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

static int attach(struct hook *hook)
{
	unsigned long entry = mg_symbol_kvm(hook->function);
	unsigned long fentry = entry ? mg_symbol_fentry(entry) : 0;
	int err;

	if (!entry) {
		pr_err("cannot hook %s: this kernel's kvm.ko has no such function; msrguard does not know this kernel and will not guess\n",
		       hook->function);
		return -ENOENT;
	}
	if (!fentry || fentry - entry > ENDBR_INSN_SIZE) {
		pr_err("cannot hook %s: ftrace does not know its entry; msrguard does not run without it\n",
		       hook->function);
		return -ENOENT;
	}
	err = ftrace_set_filter_ip(&hook->ops, fentry, 0, 0);
	if (!err)
		err = attach_ops(hook);
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
	if (hook->trampoline)
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

/* Detach the hooks of table rows @first to @last, wait until nobody is inside, free the filters. */
static void detach_rows(int first, int last)
{
	int i;

	for (i = first; i <= last; i++)
		detach(&hooks[i]);
	/* Whoever was in a trampoline, before or after its C function, has left it ... */
	synchronize_rcu_tasks();
	/* ... or is in the C function, which may sleep ... */
	synchronize_srcu(&mg_srcu);
	/* ... or is on its way back from there through the trampoline. */
	synchronize_rcu_tasks();
	for (i = first; i <= last; i++)
		ftrace_free_filter(&hooks[i].ops);
}

void mg_hooks_detach_trampolines(void)
{
	detach_rows(0, MG_NR_TRAMPOLINES - 1);
}

void mg_hooks_detach_observers(void)
{
	detach_rows(MG_NR_TRAMPOLINES, MG_NR_HOOKS - 1);
}

int mg_hooks_attach(void)
{
	int i, err;

	for (i = MG_NR_HOOKS - 1; i >= 0; i--) {
		err = attach(&hooks[i]);
		if (err) {
			mg_hooks_detach_trampolines();
			mg_hooks_detach_observers();
			return err;
		}
	}
	return 0;
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
	if (hook->observe)
		return "attached";
	memcpy(&offset, insn + 1, sizeof(offset));
	target = hook->fentry + CALL_INSN_SIZE + offset;
	return target == (unsigned long)hook->trampoline ? "attached" : "shared";
}

ssize_t mg_hooks_show(char *buf)
{
	int i, len;

	len = sysfs_emit(buf, "# hook function mechanism state calls\n");
	for (i = 0; i < MG_NR_HOOKS; i++)
		len += sysfs_emit_at(buf, len, "%s %s %s %s %llu\n", hooks[i].purpose,
				     hooks[i].function,
				     hooks[i].trampoline ? "direct" : "callback",
				     state_of(&hooks[i]), calls_of(i));
	return len;
}
