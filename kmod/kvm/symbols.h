/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions and data of kvm.ko and of the kernel that no header lets a module link to.
 *
 * Functions are called by static calls, never through a pointer: on kernels with IBT the ENDBR
 * of a function whose address nobody takes is sealed, and an indirect call to it faults. A
 * static call is patched into a direct one.
 */
#ifndef MG_SYMBOLS_H
#define MG_SYMBOLS_H

#include <linux/ftrace.h>
#include <linux/kallsyms.h>
#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/static_call.h>
#include <linux/task_work.h>

#include "compat.h"

/* Prototypes of KVM's functions that stand in its private headers. */
typedef int mg_kvm_get_msr_fn(struct kvm_vcpu *vcpu, u32 index, u64 *data);
typedef bool mg_kvm_msr_allowed_fn(struct kvm_vcpu *vcpu, u32 index, u32 type);
typedef unsigned long mg_kvm_get_linear_rip_fn(struct kvm_vcpu *vcpu);
/* The last argument is KVM's struct x86_exception, which is written to. */
typedef int mg_kvm_read_guest_virt_fn(struct kvm_vcpu *vcpu, gva_t addr, void *buf,
				      unsigned int len, void *exception);
typedef bool mg_kvm_make_all_cpus_request_fn(struct kvm *kvm, unsigned int req);

DECLARE_STATIC_CALL(mg_kvm_get_msr, mg_kvm_get_msr_fn);
DECLARE_STATIC_CALL(mg_kvm_msr_allowed, mg_kvm_msr_allowed_fn);
DECLARE_STATIC_CALL(mg_kvm_get_linear_rip, mg_kvm_get_linear_rip_fn);
DECLARE_STATIC_CALL(mg_kvm_read_guest_virt, mg_kvm_read_guest_virt_fn);
DECLARE_STATIC_CALL(mg_kvm_get_running_vcpu, kvm_get_running_vcpu);
DECLARE_STATIC_CALL(mg_kvm_vcpu_kick, mg_kvm_vcpu_kick_fn);
DECLARE_STATIC_CALL(mg_kvm_make_all_cpus_request, mg_kvm_make_all_cpus_request_fn);

/* Of the kernel itself; declared in its headers, exported to no module. */
DECLARE_STATIC_CALL(mg_task_work_cancel_match, task_work_cancel_match);

/* KVM's list of VMs and its lock, and the operations of the vendor module loaded now. */
extern struct list_head *mg_kvm_vm_list;
extern struct mutex *mg_kvm_lock;
extern struct kvm_x86_ops *mg_kvm_x86_ops;
/* Intel's APICv or AMD's AVIC is in use. */
extern bool *mg_kvm_enable_apicv;

/** mg_static_call_set - let a static call call what is at an address found by its name */
#define mg_static_call_set(call, addr) \
	static_call_update(call, (typeof(STATIC_CALL_TRAMP(call)) *)(addr))

/**
 * mg_symbols_resolve - find everything and see that it is what we take it for, or say what is not
 *
 * Context: may sleep.
 * Return: 0, or after a message that names the symbol: -ENOENT if it is missing, -EINVAL if it
 * is there more than once, -ENOEXEC if it is of another type, or may be a way to an MSR that this build does not know, -EOPNOTSUPP if
 * this kernel cannot be guarded at all.
 */
int mg_symbols_resolve(void);

/**
 * mg_symbol - address of a symbol of the kernel or of any module
 * @name: the symbol
 *
 * Return: the address, 0 if there is no such symbol.
 */
unsigned long mg_symbol(const char *name);

/**
 * mg_symbol_kvm - address of a symbol of kvm.ko
 * @name: the symbol
 *
 * Return: the address, 0 if kvm.ko has no such symbol.
 */
unsigned long mg_symbol_kvm(const char *name);

/**
 * mg_symbol_fentry - address of a function's __fentry__ site
 * @entry: the function's address
 *
 * Return: the site's address, 0 if ftrace cannot hook the function at its entry.
 */
unsigned long mg_symbol_fentry(unsigned long entry);

/**
 * mg_symbol_hook_owner - who holds the place a hook of ours wants
 * @fentry: the function's __fentry__ site
 * @buf:    receives a short description
 * @size:   of @buf
 */
void mg_symbol_hook_owner(unsigned long fentry, char *buf, size_t size);

/**
 * mg_symbol_is_kvm_vendor - whether an address is text of kvm_intel or kvm_amd
 * @addr: the address
 *
 * Context: any.
 */
bool mg_symbol_is_kvm_vendor(unsigned long addr);

/**
 * mg_symbol_vendor - the vendor module whose operations KVM uses
 *
 * Context: any; it may go at once unless it is pinned.
 * Return: the module, NULL if none is loaded.
 */
struct module *mg_symbol_vendor(void);

/**
 * mg_symbol_get_vendor - the same, pinned
 *
 * Return: the module, for module_put(); NULL if none is loaded, or if it is going.
 */
struct module *mg_symbol_get_vendor(void);

/**
 * mg_symbol_is_in_module - whether an address lies in any module
 * @addr: the address
 *
 * Context: any.
 */
bool mg_symbol_is_in_module(unsigned long addr);

#endif /* MG_SYMBOLS_H */
