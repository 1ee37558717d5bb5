// SPDX-License-Identifier: GPL-2.0
/*
 * Who called the hooked function: kvm.ko, which emulates, or the vendor module?
 *
 * The return address tells, unless a function-graph tracer or a kretprobe has put its own there;
 * then the kernel's unwinder, which knows of both, finds the real one.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitops.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/stacktrace.h>
#include <asm/msr-index.h>

#include "../guard.h"
#include "bitmap.h"
#include "caller.h"
#include "hooks.h"
#include "symbols.h"

/* Deep enough for our own frames, a tracer's, the hooked function and its caller. */
#define MAX_FRAMES	16

static bool is_kvm_text(unsigned long addr)
{
	return addr - mg_kvm_text_start < mg_kvm_text_size;
}

/*
 * The frame behind the hooked function, but for those of code that stands in no module, a BPF
 * program's trampoline, which calls the function for a program that runs at its exit; and but for
 * our callback's entry, where ftrace made that call go and which it takes for its return address.
 */
static unsigned long unwind_to_caller(unsigned long body)
{
	unsigned long frames[MAX_FRAMES];
	unsigned int nr, i;

	nr = stack_trace_save(frames, ARRAY_SIZE(frames), 0);
	for (i = 0; i < nr && frames[i] != body; i++)
		;
	for (i++; i < nr; i++) {
		if (mg_symbol_is_in_module(frames[i]) && !within_module(frames[i], THIS_MODULE))
			return frames[i];
	}
	return 0;
}

enum mg_caller mg_caller_of_hook(const struct mg_call *call)
{
	unsigned long address = call->caller;

	if (!mg_symbol_is_in_module(address))
		address = unwind_to_caller(call->body);
	if (is_kvm_text(address))
		return MG_CALLER_KVM;
	if (mg_symbol_is_kvm_vendor(address))
		return MG_CALLER_VENDOR;
	pr_warn_once("a hooked function was called from %pS, which is neither kvm nor its vendor module; answering as to the vendor module\n",
		     (void *)address);
	return MG_CALLER_UNKNOWN;
}

/*
 * Whether the rule in force can be kept for an encrypted guest. An MSR that KVM would pass through
 * has its value in the guest's encrypted save area, where KVM's emulation does not reach. KVM
 * guards itself against emulating it only while it is not intercepted
 * (sev_es_prevent_msr_access()). So an access that we intercepted and let through would read
 * KVM's stale copy, or lose a write, or worse: to svm_update_lbrv(), a DEBUGCTL that turns LBRs off
 * is a bug of KVM's, which ends the VM. It can be refused, or left to the hardware.
 */
static bool can_be_kept(u32 index, enum mg_dir dir)
{
	int token = mg_enter();
	struct mg_ruling now = mg_guard_ruling(index);
	bool only_refuses = mg_rule_only_refuses(now.rule, now.mode, dir);

	mg_leave(token);
	return only_refuses;
}

/*
 * Besides there are those that KVM has to pass through to a guest with encrypted registers, whose
 * own exception handler could not work without (sev_es_init_vmcb(), sev_es_vcpu_after_set_cpuid()).
 */
static bool is_encrypted_guests_own(struct kvm_vcpu *vcpu, u32 index, enum mg_dir dir)
{
	if (!mg_bitmap_of_encrypted(vcpu))
		return false;
	if (!can_be_kept(index, dir))
		return true;
	switch (index) {
	case MSR_AMD64_SEV_ES_GHCB:
	case MSR_EFER:
	case MSR_IA32_CR_PAT:
	case MSR_IA32_XSS:
		return true;
	default:
		return false;
	}
}

/* Whether the policy in force wants to see this access. */
static bool is_guarded(u32 index, enum mg_dir dir)
{
	int bit = mg_map_bit(index);

	return bit < 0 ? READ_ONCE(mg_live.outside[dir]) : test_bit(bit, mg_live.bits[dir]);
}

/*
 * kvm_msr_allowed(vcpu, index, type): may the hardware let this access through?
 *
 * "No" makes KVM set the intercept, in its own bitmap and by its own code, so the merge with a
 * nested guest's bitmap holds as well. An unknown caller is told "no" too: for a bitmap that is
 * the safe answer, and an access that is being emulated has passed our decision before it got
 * here, so it can only be refused once more.
 *
 * KVM asks when it computes the bitmap anew, in the vCPU's own context. That is the moment to see
 * to it that the bitmap which the hardware uses right now holds what KVM does not compute.
 *
 * Context: any, also with interrupts off; hence no report from here.
 */
int mg_bitmap_answer(const struct mg_call *call)
{
	struct kvm_vcpu *vcpu = (struct kvm_vcpu *)call->arg[0];
	enum mg_dir dir = call->arg[2] == KVM_MSR_FILTER_READ ? MG_READ : MG_WRITE;
	u32 index = call->arg[1];

	if (mg_caller_of_hook(call) == MG_CALLER_KVM)
		return MG_CALL_ON;
	mg_bitmap_tighten(vcpu);
	if (!is_guarded(index, dir) || is_encrypted_guests_own(vcpu, index, dir))
		return MG_CALL_ON;
	return false;
}
