/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every difference between kernel versions, so that the rest reads like mainline code.
 */
#ifndef MG_COMPAT_H
#define MG_COMPAT_H

#include <linux/ftrace.h>
#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched/task.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/version.h>
#include <asm/svm.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "msrguard supports kernels from 6.1 on"
#endif

/*
 * Later kernels were not tried. The module loads there only if all that it hooks, calls and reads
 * is seen, by the kernel's BTF, to be what it is in those that were (see prototypes.h).
 */
#define MG_FIRST_UNKNOWN_VERSION	KERNEL_VERSION(7, 4, 0)

/*
 * Makes a vCPU compute its hardware MSR bitmap anew before it enters the guest. The number is
 * the same from 6.1 on; the name changed with the way the bitmap is computed (6.17).
 */
#ifdef KVM_REQ_RECALC_INTERCEPTS
#define MG_KVM_REQ_RECALC	KVM_REQ_RECALC_INTERCEPTS
#else
#define MG_KVM_REQ_RECALC	KVM_REQ_MSR_FILTER_CHANGED
#endif

/*
 * The functions by which kvm_intel walks a nested guest's MSR lists. Until 6.12 they went past
 * the VMM's filter, and so had other names.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#define MG_FN_NESTED_GET	"kvm_get_msr"
#define MG_FN_NESTED_SET	"kvm_set_msr"
/* The same function then serves VMCS fields, where KVM warns if it fails. */
#define MG_NESTED_SET_OF_FIELDS	true
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
#define MG_FN_NESTED_GET	"kvm_get_msr_with_filter"
#define MG_FN_NESTED_SET	"kvm_set_msr_with_filter"
#define MG_NESTED_SET_OF_FIELDS	false
#else
#define MG_FN_NESTED_GET	"kvm_emulate_msr_read"
#define MG_FN_NESTED_SET	"kvm_emulate_msr_write"
#define MG_NESTED_SET_OF_FIELDS	false
#endif

/*
 * From 6.18 on: other names for the functions that read an MSR as the guest would, past the VMM's
 * filter, and that handle a WRMSR with interrupts off; RDMSR and WRMSRNS with the MSR's index in
 * the instruction (MSR_IMM), whose exits have functions of their own; kvm_vcpu_kick() is an inline.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
#define MG_FN_GET_MSR		"kvm_get_msr"
#define MG_FN_FASTPATH		"handle_fastpath_set_msr_irqoff"
#define MG_FN_KICK		"kvm_vcpu_kick"
#define MG_FN_EXIT_READ_IMM	NULL
#define MG_FN_EXIT_WRITE_IMM	NULL
#define MG_FN_FASTPATH_IMM	NULL
#define MG_PROTOTYPE_KICK	"void (struct kvm_vcpu *)"
typedef void mg_kvm_vcpu_kick_fn(struct kvm_vcpu *vcpu);
#define mg_vcpu_kick(vcpu)	static_call(mg_kvm_vcpu_kick)(vcpu)
#else
#define MG_FN_GET_MSR		"__kvm_emulate_msr_read"
#define MG_FN_FASTPATH		"handle_fastpath_wrmsr"
#define MG_FN_KICK		"__kvm_vcpu_kick"
#define MG_FN_EXIT_READ_IMM	"kvm_emulate_rdmsr_imm"
#define MG_FN_EXIT_WRITE_IMM	"kvm_emulate_wrmsr_imm"
#define MG_FN_FASTPATH_IMM	"handle_fastpath_wrmsr_imm"
#define MG_PROTOTYPE_KICK	"void (struct kvm_vcpu *, bool)"
typedef void mg_kvm_vcpu_kick_fn(struct kvm_vcpu *vcpu, bool wait);
#define mg_vcpu_kick(vcpu)	static_call(mg_kvm_vcpu_kick)(vcpu, false)
#endif

/*
 * A general-purpose register of the vCPU, by &enum kvm_reg. Only RSP may have to be fetched from
 * the VMCS first (kvm_register_read_raw()). Used for MSR_IMM alone, which only 64-bit code has, so
 * values are whole. Which registers are up to date is said by a u32 or by a bitmap: the bytes of
 * both are the same.
 */
static inline unsigned long mg_reg_read(const struct kvm_x86_ops *ops, struct kvm_vcpu *vcpu,
					int reg)
{
	if (!(((u8 *)&vcpu->arch.regs_avail)[reg / 8] & BIT(reg % 8)))
		ops->cache_reg(vcpu, reg);
	return vcpu->arch.regs[reg];
}

static inline void mg_reg_write(struct kvm_vcpu *vcpu, int reg, unsigned long value)
{
	vcpu->arch.regs[reg] = value;
	((u8 *)&vcpu->arch.regs_avail)[reg / 8] |= BIT(reg % 8);
	((u8 *)&vcpu->arch.regs_dirty)[reg / 8] |= BIT(reg % 8);
}

/* One direct call for one set of functions; the plain names took a single address until 6.4. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
static inline int mg_register_direct(struct ftrace_ops *ops, unsigned long addr)
{
	return register_ftrace_direct_multi(ops, addr);
}

static inline int mg_unregister_direct(struct ftrace_ops *ops, unsigned long addr)
{
	return unregister_ftrace_direct_multi(ops, addr);
}
#else
static inline int mg_register_direct(struct ftrace_ops *ops, unsigned long addr)
{
	return register_ftrace_direct(ops, addr);
}

static inline int mg_unregister_direct(struct ftrace_ops *ops, unsigned long addr)
{
	return unregister_ftrace_direct(ops, addr, false);
}
#endif

/* The thread that runs a vCPU, or did last; NULL if none has yet. The caller puts it. */
static inline struct task_struct *mg_vcpu_task(struct kvm_vcpu *vcpu)
{
	struct task_struct *task;

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
	rcu_read_lock();
	task = get_pid_task(rcu_dereference(vcpu->pid), PIDTYPE_PID);
	rcu_read_unlock();
#else
	read_lock(&vcpu->pid_lock);
	task = get_pid_task(vcpu->pid, PIDTYPE_PID);
	read_unlock(&vcpu->pid_lock);
#endif
	return task;
}

/* Where the hooked function is to go on, for a callback with FTRACE_OPS_FL_IPMODIFY. */
static inline void mg_ftrace_set_ip(struct ftrace_regs *fregs, unsigned long ip)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
	ftrace_instruction_pointer_set(fregs, ip);
#else
	ftrace_regs_set_instruction_pointer(fregs, ip);
#endif
}

/* A direct call's answer to others who want to change the instruction pointer there as well. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
#define MG_FTRACE_OPS_FUNC(name) \
	int name(struct ftrace_ops *ops, enum ftrace_ops_cmd cmd)
#else
#define MG_FTRACE_OPS_FUNC(name) \
	int name(struct ftrace_ops *ops, unsigned long ip, enum ftrace_ops_cmd cmd)
#endif

/* First argument of a function seen by an ftrace callback without FTRACE_OPS_FL_SAVE_REGS. */
static inline void *mg_ftrace_arg0(struct ftrace_regs *fregs)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
	return (void *)fregs->regs.di;
#else
	return (void *)ftrace_regs_get_argument(fregs, 0);
#endif
}

/* APM Vol. 2, 15.35.8: the VMCB's bit that makes a guest an SEV-ES guest; renamed in 7.x. */
static inline bool mg_vmcb_is_sev_es(const struct vmcb *vmcb)
{
#ifdef SVM_NESTED_CTL_SEV_ES_ENABLE
	return vmcb->control.nested_ctl & SVM_NESTED_CTL_SEV_ES_ENABLE;
#else
	return vmcb->control.misc_ctl & SVM_MISC_ENABLE_SEV_ES;
#endif
}

static inline unsigned long mg_module_text_start(const struct module *mod)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
	return (unsigned long)mod->core_layout.base;
#else
	return (unsigned long)mod->mem[MOD_TEXT].base;
#endif
}

static inline unsigned long mg_module_text_size(const struct module *mod)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
	return mod->core_layout.text_size;
#else
	return mod->mem[MOD_TEXT].size;
#endif
}

/*
 * module_kallsyms_on_each_symbol() told of all modules' symbols until 6.3. @visit is called for
 * those of kvm.ko; it is given to the function as @data.
 */
typedef void mg_symbol_visitor(const char *name);

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline int mg_visit_symbol(void *data, const char *name, struct module *mod,
				  unsigned long addr)
{
	mg_symbol_visitor *visit = data;

	if (!strcmp(mod->name, "kvm"))
		visit(name);
	return 0;
}

#define MG_ON_EACH_KVM_SYMBOL(call, visit)	static_call(call)(mg_visit_symbol, visit)
#else
static inline int mg_visit_symbol(void *data, const char *name, unsigned long addr)
{
	mg_symbol_visitor *visit = data;

	visit(name);
	return 0;
}

#define MG_ON_EACH_KVM_SYMBOL(call, visit)	static_call(call)("kvm", mg_visit_symbol, visit)
#endif

/* Binary sysfs attributes became const in the callbacks' prototypes in 6.16. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
#define mg_bin_attribute	struct bin_attribute
#else
#define mg_bin_attribute	const struct bin_attribute
#endif

#endif /* MG_COMPAT_H */
