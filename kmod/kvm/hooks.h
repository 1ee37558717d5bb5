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
	MG_HOOK_EXIT_READ_IMM,
	MG_HOOK_EXIT_WRITE_IMM,
	MG_HOOK_FASTPATH_IMM,
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

/* Where each hooked function goes on behind its __fentry__ site, by &enum mg_hook. */
extern unsigned long mg_hook_body[MG_NR_TRAMPOLINES];

/* trampoline.S; not to be called from C. The second of each is for ftrace callbacks. */
void mg_tramp_exit_read(void);
void mg_tramp_exit_read_callback(void);
void mg_tramp_exit_write(void);
void mg_tramp_exit_write_callback(void);
void mg_tramp_emulator_read(void);
void mg_tramp_emulator_read_callback(void);
void mg_tramp_emulator_write(void);
void mg_tramp_emulator_write_callback(void);
void mg_tramp_nested_read(void);
void mg_tramp_nested_read_callback(void);
void mg_tramp_nested_write(void);
void mg_tramp_nested_write_callback(void);
void mg_tramp_fastpath(void);
void mg_tramp_fastpath_callback(void);
void mg_tramp_bitmap(void);
void mg_tramp_bitmap_callback(void);
void mg_tramp_exit_read_imm(void);
void mg_tramp_exit_read_imm_callback(void);
void mg_tramp_exit_write_imm(void);
void mg_tramp_exit_write_imm_callback(void);
void mg_tramp_fastpath_imm(void);
void mg_tramp_fastpath_imm_callback(void);

/**
 * struct mg_call - a call of a hooked function, as the trampoline finds it on the stack
 * @arg:    the function's first three arguments, whether it has so many or not
 * @body:   where the function goes on behind its __fentry__ site; with a live patch on it, that
 *          of the patched one
 * @caller: the address the function returns to
 */
struct mg_call {
	unsigned long arg[3];
	unsigned long body;
	unsigned long caller;
};

/*
 * What the trampolines ask, in access.c and caller.c. Return MG_CALL_ON, or what the hooked
 * function shall return.
 */
int mg_exit_read(const struct mg_call *call);
int mg_exit_write(const struct mg_call *call);
int mg_exit_read_imm(const struct mg_call *call);
int mg_exit_write_imm(const struct mg_call *call);
int mg_emulator_read(const struct mg_call *call);
int mg_emulator_write(const struct mg_call *call);
int mg_nested_read(const struct mg_call *call);
int mg_nested_write(const struct mg_call *call);
int mg_bitmap_answer(const struct mg_call *call);

/**
 * mg_run_body - run a hooked function itself, past the hook
 * @body: &struct mg_call.body
 * @arg0: its arguments
 * @arg1: its arguments
 * @arg2: its arguments
 *
 * Tracers have seen the call already, when it came to the hook.
 *
 * Return: what the function returns.
 */
int mg_run_body(unsigned long body, unsigned long arg0, unsigned long arg1, unsigned long arg2);

/**
 * mg_hooks_attach - attach every hook of this kernel, or none
 * @want_direct: by direct calls where possible, else by callbacks only
 *
 * Context: may sleep.
 * Return: 0, or a negative errno; a message that names the function, the reason and what to
 * do next has then been printed and nothing is left attached.
 */
int mg_hooks_attach(bool want_direct);

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
 * On return nobody is in an observer. Whoever else is under mg_srcu is not waited for.
 *
 * Context: may sleep. Does not return if ftrace has broken down, see above.
 */
void mg_hooks_detach_observers(void);

/** mg_hooks_have - whether a function of kvm.ko is one that we hook */
bool mg_hooks_have(const char *function);

/**
 * mg_hooks_saw_symbol - kvm.ko has a symbol of this name
 *
 * Called once for each of its symbols before mg_hooks_check(): a function that is there twice
 * could be hooked once only.
 */
void mg_hooks_saw_symbol(const char *name);

/**
 * mg_hooks_check - whether kvm.ko has each function that is to be hooked, once and of its type
 *
 * Context: between mg_prototypes_open() and mg_prototypes_close(), when mg_hooks_saw_symbol() was
 * told of all symbols.
 * Return: 0, or after a message that names the function: -ENOENT, -EINVAL if there are several, or
 * as mg_prototypes_check().
 */
int mg_hooks_check(void);

/** mg_hooks_nr - number of hooks that this kernel needs */
int mg_hooks_nr(void);

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
