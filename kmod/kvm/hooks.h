/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The hooks in kvm.ko: which functions, by which mechanism, attached or not.
 */
#ifndef MG_HOOKS_H
#define MG_HOOKS_H

#include <linux/limits.h>
#include <linux/percpu.h>
#include <linux/types.h>

struct kvm_vcpu;

/* Rows of the table in hooks.c; those below MG_NR_TRAMPOLINES have one in trampoline.S. */
enum mg_hook {
	MG_HOOK_EXIT_READ,
	MG_HOOK_EXIT_WRITE,
	MG_HOOK_EMULATOR_READ,
	MG_HOOK_EMULATOR_WRITE,
	MG_HOOK_NESTED_READ,
	MG_HOOK_NESTED_WRITE,
	MG_HOOK_FASTPATH,
	MG_HOOK_BITMAP,
	MG_NR_TRAMPOLINES,
	MG_HOOK_VCPU_CREATED = MG_NR_TRAMPOLINES,
	MG_HOOK_VM_DESTROYED,
	MG_NR_HOOKS,
};

/* Answer of a trampoline's C function: run the hooked function as if nobody had asked. */
#define MG_CALL_ON	INT_MIN

/* Calls of each hook's function that reached us, by &enum mg_hook. */
DECLARE_PER_CPU(u64[MG_NR_HOOKS], mg_hook_calls);

/* Where kvm.ko's text lies; fixed while we are loaded, because we pin kvm.ko. */
extern unsigned long mg_kvm_text_start;
extern unsigned long mg_kvm_text_size;

/* trampoline.S; not to be called from C */
void mg_tramp_exit_read(void);
void mg_tramp_exit_write(void);
void mg_tramp_emulator_read(void);
void mg_tramp_emulator_write(void);
void mg_tramp_nested_read(void);
void mg_tramp_nested_write(void);
void mg_tramp_fastpath(void);
void mg_tramp_bitmap(void);

/* What the trampolines ask, access.c and caller.c; @caller is the hooked function's caller. */
int mg_exit_read(struct kvm_vcpu *vcpu);
int mg_exit_write(struct kvm_vcpu *vcpu);
int mg_emulator_read(void *ctxt, u32 index, u64 *data);
int mg_emulator_write(void *ctxt, u32 index, u64 data);
int mg_nested_read(struct kvm_vcpu *vcpu, u32 index, u64 *data, unsigned long caller);
int mg_nested_write(struct kvm_vcpu *vcpu, u32 index, u64 data, unsigned long caller);
int mg_bitmap_answer(struct kvm_vcpu *vcpu, u32 index, u32 type, unsigned long caller);

/**
 * mg_hooks_attach - attach every hook of this kernel, or none
 *
 * Context: may sleep.
 * Return: 0, or a negative errno; a message that names the function, the reason and what to
 * do next has then been printed and nothing is left attached.
 */
int mg_hooks_attach(void);

/**
 * mg_hooks_detach_trampolines - detach the hooks that decide, and wait until nobody is inside
 *
 * On return no vCPU runs, or will return to, a trampoline or its C function. Nothing may need a
 * decision any more when this is called.
 *
 * Context: may sleep, also for as long as an emulated access sleeps. Does not return if ftrace
 * has broken down: what KVM still calls must not be freed.
 */
void mg_hooks_detach_trampolines(void);

/**
 * mg_hooks_detach_observers - detach the hooks that watch vCPUs and VMs come and go
 *
 * Context: as mg_hooks_detach_trampolines().
 */
void mg_hooks_detach_observers(void);

/**
 * mg_hooks_show - one line a hook for sysfs
 * @buf: PAGE_SIZE bytes
 *
 * Says of each hook what is found in KVM's text now, not what we did when we attached it.
 *
 * Return: bytes written.
 */
ssize_t mg_hooks_show(char *buf);

#endif /* MG_HOOKS_H */
