// SPDX-License-Identifier: GPL-2.0
/*
 * Finding what no header lets a module link to. See symbols.h for why by static calls.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kprobes.h>
#include <linux/string.h>

#include "compat.h"
#include "hooks.h"
#include "prototypes.h"
#include "symbols.h"

DEFINE_STATIC_CALL_NULL(mg_kvm_get_msr, mg_kvm_get_msr_fn);
DEFINE_STATIC_CALL_NULL(mg_kvm_get_linear_rip, mg_kvm_get_linear_rip_fn);
DEFINE_STATIC_CALL_NULL(mg_kvm_vcpu_kick, mg_kvm_vcpu_kick_fn);
DEFINE_STATIC_CALL_NULL(mg_kvm_make_all_cpus_request, mg_kvm_make_all_cpus_request_fn);
DEFINE_STATIC_CALL_NULL(mg_kvm_msr_allowed, mg_kvm_msr_allowed_fn);
DEFINE_STATIC_CALL_NULL(mg_kvm_read_guest_virt, mg_kvm_read_guest_virt_fn);
DEFINE_STATIC_CALL_NULL(mg_kvm_get_running_vcpu, kvm_get_running_vcpu);

/* Of the kernel itself; declared in its headers, exported to no module. */
DEFINE_STATIC_CALL_NULL(mg_lookup_name, kallsyms_lookup_name);
DEFINE_STATIC_CALL_NULL(mg_module_address, __module_address);
DEFINE_STATIC_CALL_NULL(mg_fentry_location, ftrace_location);
DEFINE_STATIC_CALL_NULL(mg_task_work_cancel_match, task_work_cancel_match);
DEFINE_STATIC_CALL_NULL(mg_on_each_symbol, module_kallsyms_on_each_symbol);
DEFINE_STATIC_CALL_NULL(mg_find_rec_direct, ftrace_find_rec_direct);

struct list_head *mg_kvm_vm_list;
struct mutex *mg_kvm_lock;
struct kvm_x86_ops *mg_kvm_x86_ops;
bool *mg_kvm_enable_apicv;
unsigned long mg_kvm_text_start;
unsigned long mg_kvm_text_size;

static struct ftrace_ops __rcu **ops_list;
static bool know_direct;

/*
 * Links to kvm.ko by a symbol every version exports to us: kvm.ko cannot go while we are loaded,
 * and with CONFIG_MODVERSIONS the loader compares the layout of struct kvm, and of struct
 * kvm_vcpu within it, with that of the headers we were built from.
 */
static void (*const kvm_layout_witness)(struct kvm *kvm) __used = kvm_get_kvm;

/*
 * kallsyms_lookup_name() is exported nowhere, but a kprobe knows its address (or, on kernels
 * with IBT, that of the instruction behind its ENDBR, which serves as well).
 */
static int resolve_lookup_name(void)
{
	/* Never armed: removing an armed one can fail, and it would stay on this stack. */
	struct kprobe probe = {
		.symbol_name = "kallsyms_lookup_name",
		.flags = KPROBE_FLAG_DISABLED,
	};
	int err;

	err = register_kprobe(&probe);
	if (err) {
		pr_err("cannot find kallsyms_lookup_name by a kprobe (%d): this kernel needs CONFIG_KPROBES and CONFIG_KALLSYMS\n",
		       err);
		return err;
	}
	mg_static_call_set(mg_lookup_name, probe.addr);
	unregister_kprobe(&probe);
	return 0;
}

unsigned long mg_symbol(const char *name)
{
	return static_call(mg_lookup_name)(name);
}

static unsigned long require(const char *name)
{
	unsigned long addr = mg_symbol(name);

	if (!addr)
		pr_err("this kernel has no symbol %s: msrguard does not know this kernel and will not guess\n",
		       name);
	return addr;
}

unsigned long mg_symbol_kvm(const char *name)
{
	char qualified[KSYM_NAME_LEN];

	/* A truncated name could match another symbol; no name of ours comes near. */
	if (snprintf(qualified, sizeof(qualified), "kvm:%s", name) >= sizeof(qualified))
		return 0;
	return static_call(mg_lookup_name)(qualified);
}

static unsigned long require_kvm(const char *name)
{
	unsigned long addr = mg_symbol_kvm(name);

	if (!addr)
		pr_err("this kernel's kvm.ko has no symbol %s: msrguard does not know this kernel and will not guess\n",
		       name);
	return addr;
}

unsigned long mg_symbol_fentry(unsigned long entry)
{
	return static_call(mg_fentry_location)(entry);
}

/* kvm.ko as a module: tells its callers from those in the vendor module. */
static int resolve_kvm_text(unsigned long addr)
{
	const struct module *mod;

	preempt_disable();
	mod = static_call(mg_module_address)(addr);
	if (mod) {
		mg_kvm_text_start = mg_module_text_start(mod);
		mg_kvm_text_size = mg_module_text_size(mod);
	}
	preempt_enable();
	return mod ? 0 : -ENOENT;
}

static int resolve_kernel(void)
{
	unsigned long module_addr = require("__module_address");
	unsigned long location = require("ftrace_location");
	unsigned long lookup = require("kallsyms_lookup_name");
	unsigned long cancel = require("task_work_cancel_match");
	unsigned long each = require("module_kallsyms_on_each_symbol");
	unsigned long direct;

	if (!module_addr || !location || !lookup || !cancel || !each)
		return -ENOENT;
	mg_static_call_set(mg_task_work_cancel_match, cancel);
	mg_static_call_set(mg_on_each_symbol, each);
	mg_static_call_set(mg_module_address, module_addr);
	mg_static_call_set(mg_fentry_location, location);
	/* The kprobe's address may be that of the second instruction; this is the first. */
	mg_static_call_set(mg_lookup_name, lookup);

	/* These only make a message better, so they may be missing. */
	direct = mg_symbol("ftrace_find_rec_direct");
	if (direct)
		mg_static_call_set(mg_find_rec_direct, direct);
	know_direct = direct;
	ops_list = (struct ftrace_ops __rcu **)mg_symbol("ftrace_ops_list");
	return 0;
}

/*
 * Functions by which some kernel version emulates an access to an MSR. What a kernel has of them
 * and this build does not hook would be a way round the policy.
 */
static const char *const known_entries[] = {
	"kvm_emulate_rdmsr_imm", "kvm_emulate_wrmsr_imm", "handle_fastpath_wrmsr_imm",
	"handle_fastpath_set_msr_irqoff", "handle_fastpath_wrmsr",
	"kvm_get_msr_with_filter", "kvm_set_msr_with_filter",
	"kvm_emulate_msr_read", "kvm_emulate_msr_write",
};

/* Of a kernel that is newer than we know, by its name: the first one that was seen. */
static char unknown_entry[KSYM_NAME_LEN];

/*
 * Inner functions begin with underscores; a function's cold part has a suffix, and what it is
 * called by has its name.
 */
static bool is_named_like_entry(const char *name)
{
	return (strstarts(name, "kvm_emulate_") || strstarts(name, "handle_fastpath_")) &&
	       strstr(name, "msr") && !strchr(name, '.');
}

static void see_symbol(const char *name)
{
	mg_hooks_saw_symbol(name);
	if (is_named_like_entry(name) && !mg_hooks_have(name) && !unknown_entry[0])
		strscpy(unknown_entry, name, sizeof(unknown_entry));
}

static int refuse_unhooked_entries(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(known_entries); i++) {
		if (mg_symbol_kvm(known_entries[i]) && !mg_hooks_have(known_entries[i])) {
			pr_err("this kernel's kvm.ko has %s, which this build of msrguard does not hook: build it against this kernel's own headers\n",
			       known_entries[i]);
			return -ENOEXEC;
		}
	}
	if (unknown_entry[0]) {
		pr_err("this kernel's kvm.ko has %s, which msrguard does not know and which may be a way to an MSR: report this\n",
		       unknown_entry);
		return -ENOEXEC;
	}
	return 0;
}

/* What the functions that we call take; of those that we hook, hooks.c knows. */
static const struct mg_prototype called[] = {
	{ MG_FN_GET_MSR, "s32 (struct kvm_vcpu *, u32, u64 *)" },
	{ "kvm_msr_allowed", "bool (struct kvm_vcpu *, u32, u32)" },
	{ "kvm_get_linear_rip", "u64 (struct kvm_vcpu *)" },
	{ "kvm_read_guest_virt",
	  "s32 (struct kvm_vcpu *, u64, void *, u32, struct x86_exception *)" },
	{ "kvm_get_running_vcpu", "struct kvm_vcpu * ()" },
	{ MG_FN_KICK, MG_PROTOTYPE_KICK },
	{ "kvm_make_all_cpus_request", "bool (struct kvm *, u32)" },
};

static int verify_types(void)
{
	int err;

	err = mg_prototypes_open();
	err = err ?: mg_prototypes_check(called, ARRAY_SIZE(called));
	err = err ?: mg_hooks_check();
	err = err ?: mg_prototypes_check_layout();
	mg_prototypes_close();
	return err;
}

/*
 * A function of kvm.ko that we call ourselves. If it is one that we hook, it is entered behind its
 * __fentry__ site: the hook could not always tell our call from others'. So tracers do not see it,
 * and a live patch of it is not run for us.
 */
static unsigned long require_past_hook(const char *name)
{
	unsigned long addr = require_kvm(name);
	unsigned long fentry;

	if (!addr || !mg_hooks_have(name))
		return addr;
	fentry = mg_symbol_fentry(addr);
	if (!fentry || fentry - addr > ENDBR_INSN_SIZE) {
		pr_err("%s of this kernel's kvm.ko cannot be traced at its entry, so it cannot be hooked\n",
		       name);
		return 0;
	}
	return fentry + MCOUNT_INSN_SIZE;
}

static int resolve_kvm(void)
{
	unsigned long get_msr = require_past_hook(MG_FN_GET_MSR);
	unsigned long allowed = require_past_hook("kvm_msr_allowed");
	unsigned long linear_rip = require_kvm("kvm_get_linear_rip");
	unsigned long read_virt = require_kvm("kvm_read_guest_virt");
	unsigned long running = require_kvm("kvm_get_running_vcpu");
	unsigned long kick = require_kvm(MG_FN_KICK);
	unsigned long request = require_kvm("kvm_make_all_cpus_request");

	mg_kvm_vm_list = (void *)require_kvm("vm_list");
	mg_kvm_lock = (void *)require_kvm("kvm_lock");
	mg_kvm_x86_ops = (void *)require_kvm("kvm_x86_ops");
	mg_kvm_enable_apicv = (void *)require_kvm("enable_apicv");
	if (!get_msr || !allowed || !linear_rip || !read_virt || !running || !kick || !request ||
	    !mg_kvm_vm_list || !mg_kvm_lock || !mg_kvm_x86_ops || !mg_kvm_enable_apicv)
		return -ENOENT;

	if (MG_ON_EACH_KVM_SYMBOL(mg_on_each_symbol, see_symbol))
		return -ENOENT;

	mg_static_call_set(mg_kvm_get_msr, get_msr);
	mg_static_call_set(mg_kvm_msr_allowed, allowed);
	mg_static_call_set(mg_kvm_get_linear_rip, linear_rip);
	mg_static_call_set(mg_kvm_read_guest_virt, read_virt);
	mg_static_call_set(mg_kvm_get_running_vcpu, running);
	mg_static_call_set(mg_kvm_vcpu_kick, kick);
	mg_static_call_set(mg_kvm_make_all_cpus_request, request);
	return resolve_kvm_text(allowed) ?: verify_types() ?: refuse_unhooked_entries();
}

int mg_symbols_resolve(void)
{
	int err;

	err = resolve_lookup_name();
	if (err)
		return err;
	err = resolve_kernel();
	if (err)
		return err;
	if (mg_symbol("kvm_msr_allowed") && !mg_symbol_kvm("kvm_msr_allowed")) {
		pr_err("KVM is built into this kernel; msrguard needs it as a module\n");
		return -EOPNOTSUPP;
	}
	return resolve_kvm();
}

void mg_symbol_hook_owner(unsigned long fentry, char *buf, size_t size)
{
	unsigned long direct;
	struct ftrace_ops *op;

	snprintf(buf, size, "unknown");
	preempt_disable();
	direct = know_direct ? static_call(mg_find_rec_direct)(fentry) : 0;
	if (direct) {
		snprintf(buf, size, "%pS (a direct call: a BPF program or another module)",
			 (void *)direct);
	} else if (ops_list) {
		/*
		 * Which functions an ops is attached to is ftrace's secret; that one modifies the
		 * instruction pointer at all makes it the likely owner. The list ends with a
		 * dummy whose next is NULL.
		 */
		for (op = rcu_dereference_sched(*ops_list); op;
		     op = rcu_dereference_sched(op->next)) {
			if ((op->flags & FTRACE_OPS_FL_IPMODIFY) &&
			    !within_module((unsigned long)op->func, THIS_MODULE)) {
				snprintf(buf, size, "%pS (a live patch or another module)",
					 op->func);
				break;
			}
		}
	}
	preempt_enable();
}

bool mg_symbol_is_in_module(unsigned long addr)
{
	bool is_in;

	preempt_disable();
	is_in = static_call(mg_module_address)(addr);
	preempt_enable();
	return is_in;
}

/* Any of the operations tells whose they are. KVM leaves them there when the module goes. */
struct module *mg_symbol_vendor(void)
{
	struct module *mod;

	preempt_disable();
	mod = static_call(mg_module_address)((unsigned long)mg_kvm_x86_ops->get_cpl);
	preempt_enable();
	return mod;
}

struct module *mg_symbol_get_vendor(void)
{
	struct module *mod;

	/* Modules are freed after an RCU grace period. */
	preempt_disable();
	mod = mg_symbol_vendor();
	if (mod && !try_module_get(mod))
		mod = NULL;
	preempt_enable();
	return mod;
}

bool mg_symbol_is_kvm_vendor(unsigned long addr)
{
	const struct module *mod;
	bool is_vendor;

	preempt_disable();
	mod = static_call(mg_module_address)(addr);
	is_vendor = mod && (!strcmp(mod->name, "kvm_intel") || !strcmp(mod->name, "kvm_amd"));
	preempt_enable();
	return is_vendor;
}
