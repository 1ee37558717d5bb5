/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every difference between kernel versions, so that the rest reads like mainline code.
 */
#ifndef MG_COMPAT_H
#define MG_COMPAT_H

#include <linux/ftrace.h>
#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/sysfs.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "msrguard supports kernels from 6.1 on"
#endif

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
#define MG_GET_MSR_IS_HOOKED	true
/* The same function then serves VMCS fields, where KVM warns if it fails. */
#define MG_NESTED_SET_OF_FIELDS	true
#else
#define MG_FN_NESTED_GET	"kvm_get_msr_with_filter"
#define MG_FN_NESTED_SET	"kvm_set_msr_with_filter"
#define MG_GET_MSR_IS_HOOKED	false
#define MG_NESTED_SET_OF_FIELDS	false
#endif

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

/* First argument of a function seen by an ftrace callback without FTRACE_OPS_FL_SAVE_REGS. */
static inline void *mg_ftrace_arg0(struct ftrace_regs *fregs)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
	return (void *)fregs->regs.di;
#else
	return (void *)ftrace_regs_get_argument(fregs, 0);
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

/* Binary sysfs attributes became const in the callbacks' prototypes in 6.16. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
#define mg_bin_attribute	struct bin_attribute
#else
#define mg_bin_attribute	const struct bin_attribute
#endif

#endif /* MG_COMPAT_H */
