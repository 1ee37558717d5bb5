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
#include <asm/cpufeature.h>
#include <asm/msr-index.h>

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
	if (!mg_symbol_is_in_module(return_address))
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
 * MSRs that KVM has to pass through to a guest with encrypted registers, whose own exception
 * handler could not work without (sev_es_init_vmcb(), sev_es_vcpu_after_set_cpuid()).
 */
static bool is_encrypted_guests_own(const struct kvm_vcpu *vcpu, u32 index)
{
	if (!vcpu->arch.guest_state_protected)
		return false;
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

/*
 * While a guest of the guest (L2) runs on SVM, the hardware uses a merge of KVM's bitmap and L1's
 * that is made at VMRUN only, so what KVM intercepts from now on would not hold for an L2 that
 * goes on. KVM makes the merge anew for this request, before it enters the guest. The request is
 * safe only here: in the vCPU's own context, with L2 active. KVM takes it back whenever it leaves
 * L2, and would warn if it met it without.
 *
 * VMX would map L1's pages a second time for this request; there it is not raised.
 */
static void remerge_nested_bitmap(struct kvm_vcpu *vcpu)
{
	if (!cpu_feature_enabled(X86_FEATURE_SVM) || !(vcpu->arch.hflags & HF_GUEST_MASK))
		return;
	/*
	 * It would also reload a PAE guest's PDPTRs from memory, which may hold others by now;
	 * those in the vCPU are the right ones.
	 */
	if (!(vcpu->arch.efer & EFER_LMA) && (vcpu->arch.cr4 & X86_CR4_PAE) &&
	    (vcpu->arch.cr0 & X86_CR0_PG))
		vcpu->arch.pdptrs_from_userspace = true;
	kvm_make_request(KVM_REQ_GET_NESTED_STATE_PAGES, vcpu);
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
	if (mg_caller_of_hook(caller) == MG_CALLER_KVM || is_encrypted_guests_own(vcpu, index))
		return MG_CALL_ON;
	remerge_nested_bitmap(vcpu);
	return false;
}
