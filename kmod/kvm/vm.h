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
 * @id:       never used again in this boot
 * @pid:      process id of the VMM in the initial PID namespace
 * @counters: what its guests did
 * @rcu:      frees it
 */
struct mg_vm {
	struct hlist_node node;
	const struct kvm *kvm;
	u64 id;
	pid_t pid;
	struct mg_counters __percpu *counters;
	struct rcu_head rcu;
};

/**
 * mg_vm_of - the record of a VM, made on first use
 * @kvm: a VM that cannot be destroyed meanwhile (the caller runs one of its vCPUs, or holds
 *       kvm_lock and found it on KVM's list)
 *
 * Context: may sleep, between mg_enter() and mg_leave().
 * Return: the record, valid as long as @kvm; NULL if there is no memory.
 */
struct mg_vm *mg_vm_of(struct kvm *kvm);

struct seq_buf;

/**
 * mg_vm_list - the running VMs, a line each, for sysfs
 * @out: receives the text; overflows if it is too small
 *
 * Lines have a fixed length, so that a reader who comes in pieces gets whole numbers.
 *
 * Context: may sleep; takes kvm_lock.
 */
void mg_vm_list(struct seq_buf *out);

/**
 * mg_vm_recalc_all - make every vCPU compute its hardware MSR bitmap anew
 *
 * On return no vCPU is in guest mode with the bitmap it had before, with or without intent to
 * leave the guest: whoever was there has been brought out and computes its bitmap before it goes
 * in again.
 *
 * Context: may sleep; takes kvm_lock.
 */
void mg_vm_recalc_all(void);

/** mg_vm_exit - free all records; the hooks must be detached */
void mg_vm_exit(void);

/* ftrace callbacks of the lifecycle hooks. */
void mg_vcpu_created(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
		     struct ftrace_regs *fregs);
void mg_vm_destroyed(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
		     struct ftrace_regs *fregs);

#endif /* MG_VM_H */
