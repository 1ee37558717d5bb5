// SPDX-License-Identifier: GPL-2.0
/*
 * Guests of the guest: which of the two vendors' ways it is.
 */
#include <cpuid.h>
#include <stdlib.h>

#include "nested.h"

#define CPUID_SVM	(1u << 2)	/* ECX of 0x80000001 */
#define CPUID_VMX	(1u << 5)	/* ECX of 1 */

/* MSRs the hardware's bitmaps cover: 0x2000 from each of these on. */
static const uint32_t svm_windows[] = { 0, 0xc0000000, 0xc0010000 };
static const uint32_t vmx_windows[] = { 0, 0xc0000000 };
#define WINDOW_MSRS	0x2000

/* Whether the CPU we run on is one with VMX, so its nested guests are VMX guests. */
bool nested_is_vmx(void)
{
	uint32_t eax, ebx, ecx, edx;

	return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & CPUID_VMX);
}

bool nested_works(struct vm *vm)
{
	struct kvm_cpuid2 *cpuid = vm_supported_cpuid(vm);
	uint32_t leaf = nested_is_vmx() ? 1 : 0x80000001;
	uint32_t flag = nested_is_vmx() ? CPUID_VMX : CPUID_SVM;
	bool works = false;

	for (unsigned int i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == leaf)
			works = cpuid->entries[i].ecx & flag;
	free(cpuid);
	return works;
}

/* Has everything ready for L2's next start; returns LEVEL2_*. */
uint32_t nested_prepare(struct vcpu *vcpu)
{
	if (nested_is_vmx()) {
		vmx_prepare(vcpu);
		return LEVEL2_VMX;
	}
	svm_prepare(vcpu);
	return LEVEL2_SVM;
}

uint64_t nested_exit_code(struct vcpu *vcpu)
{
	return nested_is_vmx() ? vmx_exit_reason(vcpu) : svm_exit_code(vcpu);
}

/* Each field once, with the last value. */
void l2_set_field(struct vcpu *vcpu, uint32_t field, uint64_t value)
{
	unsigned int i;

	for (i = 0; i < vcpu->nr_l2_fields; i++)
		if (vcpu->l2_fields[i].field == field)
			break;
	if (i == L2_FIELDS_MAX)
		vm_die(vcpu, "too many fields of the test's own");
	vcpu->l2_fields[i].field = field;
	vcpu->l2_fields[i].value = value;
	if (i == vcpu->nr_l2_fields)
		vcpu->nr_l2_fields++;
}

void l2_set_intercept_all(struct vcpu *vcpu, bool on)
{
	if (nested_is_vmx())
		vmx_set_intercept_all(vcpu, on);
	else
		svm_set_intercept_all(vcpu, on);
}

bool l2_bitmap_covers(uint32_t msr)
{
	const uint32_t *windows = nested_is_vmx() ? vmx_windows : svm_windows;
	size_t nr = nested_is_vmx() ? ARRAY_SIZE(vmx_windows) : ARRAY_SIZE(svm_windows);

	for (size_t i = 0; i < nr; i++)
		if (msr - windows[i] < WINDOW_MSRS)
			return true;
	return false;
}

uint64_t l2_exit_of_msr(int op)
{
	if (!nested_is_vmx())
		return SVM_EXIT_MSR;
	return op == OP_WRMSR || op == OP_WRMSR_FEP ? VMX_EXIT_WRMSR : VMX_EXIT_RDMSR;
}

uint64_t l2_exit_of_call(void)
{
	return nested_is_vmx() ? VMX_EXIT_VMCALL : SVM_EXIT_VMMCALL;
}
