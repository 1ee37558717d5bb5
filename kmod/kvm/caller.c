// SPDX-License-Identifier: GPL-2.0
/*
 * Who called the hooked function: kvm.ko, which emulates, or the vendor module?
 *
 * The return address tells, unless a function-graph tracer or a kretprobe has put its own there;
 * then the kernel's unwinder, which knows of both, finds the real one.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/printk.h>
#include <linux/stacktrace.h>

#include "caller.h"
#include "hooks.h"
#include "symbols.h"

/* Deep enough for our own frames, a tracer's, the hooked function and its caller. */
#define MAX_FRAMES	16

static bool is_kvm_text(unsigned long addr)
{
	return addr - mg_kvm_text_start < mg_kvm_text_size;
}

static unsigned long unwind_to_caller(void)
{
	unsigned long frames[MAX_FRAMES];
	unsigned int nr, i;

	nr = stack_trace_save(frames, ARRAY_SIZE(frames), 0);
	/* The first frame in kvm.ko is the hooked function itself. */
	for (i = 0; i + 1 < nr; i++) {
		if (is_kvm_text(frames[i]))
			return frames[i + 1];
	}
	return 0;
}

enum mg_caller mg_caller_of_hook(unsigned long return_address)
{
	if (!mg_symbol_is_module_text(return_address))
		return_address = unwind_to_caller();
	if (is_kvm_text(return_address))
		return MG_CALLER_KVM;
	if (mg_symbol_is_kvm_vendor(return_address))
		return MG_CALLER_VENDOR;
	pr_warn_once("a hooked function was called from %pS, which is neither kvm nor its vendor module; answering as to the vendor module\n",
		     (void *)return_address);
	return MG_CALLER_UNKNOWN;
}

/*
 * mg_bitmap_answer - may the hardware let this access through?
 *
 * Asked only for an MSR that the policy guards. "No" makes KVM set the intercept, in its own
 * bitmap and by its own code, so the merge with a nested guest's bitmap holds as well. An unknown
 * caller is told "no" too: for a bitmap that is the safe answer, and an access that is being
 * emulated has passed our decision before it got here, so it can only be refused once more.
 *
 * Context: any, also with interrupts off; hence no report from here.
 */
int mg_bitmap_answer(struct kvm_vcpu *vcpu, u32 index, u32 type, unsigned long caller)
{
	return mg_caller_of_hook(caller) == MG_CALLER_KVM ? MG_CALL_ON : false;
}
