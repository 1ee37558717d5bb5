/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The VMs of this host: what we keep of each, and reaching all their vCPUs.
 */
#ifndef MG_VM_H
#define MG_VM_H

#include <linux/ftrace.h>
#include <linux/kvm_host.h>

#include "../report/report.h"

/**
 * struct mg_vm - what we keep of a VM
 * @node:     in the table, by @kvm
 * @kvm:      the VM, a key only
 * @account:  its id, what its guests did, and what of that is still to be told
 * @images:   what is remembered of its guests' images, NULL before the first look-up
 * @rcu:      frees it
 */
struct mg_vm {
	struct hlist_node node;
	const struct kvm *kvm;
	struct mg_account *account;
	struct mg_image_cache *images;
	struct rcu_head rcu;
};

/**
 * mg_vm_of - the record of a VM, made on first use
 * @kvm: a VM that cannot be freed meanwhile: the caller runs one of its vCPUs or has pinned it
 *
 * Context: may sleep, between mg_enter() and mg_leave().
 * Return: the record, valid until mg_leave(); NULL if there is no memory, or if the VM is being
 * destroyed.
 */
struct mg_vm *mg_vm_of(struct kvm *kvm);

/**
 * mg_vm_images - what is remembered of a VM's images, made on first use
 * @vm: the VM's record
 *
 * Context: may sleep, between mg_enter() and mg_leave().
 * Return: the cache, or NULL if there is no memory.
 */
struct mg_image_cache *mg_vm_images(struct mg_vm *vm);

/**
 * mg_vm_get - a VM by its id, pinned
 * @id: the id
 *
 * Context: may sleep; takes kvm_lock.
 * The vendor module is pinned with it. From 6.8 on KVM pins that by the open files of a VM only, so
 * a reference to the VM alone could be the last one when the code that destroys it is gone.
 *
 * Return: the VM, to be given to mg_vm_put(); NULL if there is none.
 */
struct kvm *mg_vm_get(u64 id);

/**
 * mg_vm_put - let go of a VM of mg_vm_get()
 * @kvm: the VM
 *
 * Context: may sleep; destroys the VM if nobody else has it.
 */
void mg_vm_put(struct kvm *kvm);

struct seq_buf;

/**
 * mg_vm_list - the running VMs, a line each, for sysfs
 * @out: receives the text; overflows if it is too small
 *
 * Lines have a fixed length, so that a reader who comes in pieces gets whole numbers.
 *
 * Context: may sleep; takes kvm_lock.
 * Return: 0 or -ENOMEM.
 */
int mg_vm_list(struct seq_buf *out);

/**
 * mg_vm_rows - the running VMs or one of them, for netlink; see &struct mg_report_source
 *
 * Context: may sleep; takes kvm_lock.
 */
struct mg_vm_rows *mg_vm_rows(u64 id);

/**
 * mg_vm_tell_pending - tell what is pending of all VMs, and of those that are gone
 *
 * Context: may sleep; at unload, when nothing is reported any more.
 */
void mg_vm_tell_pending(void);

/**
 * mg_vm_recalc_all - make every vCPU compute its hardware MSR bitmap anew
 *
 * On return no vCPU enters the guest any more with the bitmap it had before: whoever was there
 * has been brought out and computes its bitmap before it goes in again. An access that KVM was
 * just emulating may still end by what was in force when it began.
 *
 * Context: may sleep; takes kvm_lock.
 */
void mg_vm_recalc_all(void);

/** mg_kvm_virtualizes_apic - whether KVM lets the hardware serve guests' APIC registers */
bool mg_kvm_virtualizes_apic(void);

/**
 * mg_vm_wait_for_creations - wait until no vCPU is being created
 *
 * At unload, before mg_vm_recalc_all() and the detaching of the vcpu-created hook: a vCPU that
 * computed its first bitmap under our answers is online then and told, or that hook tells it.
 *
 * Context: may sleep, some seconds at most.
 */
void mg_vm_wait_for_creations(void);

/** mg_vm_exit - free all records; the hooks must be detached */
void mg_vm_exit(void);

/* ftrace callbacks of the lifecycle hooks. */
void mg_vcpu_created(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
		     struct ftrace_regs *fregs);
void mg_vm_destroyed(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
		     struct ftrace_regs *fregs);

#endif /* MG_VM_H */
