/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guests of the guest, the parts that depend on the vendor. What does not is in vm.h.
 *
 * Under VMX, L1 sets its guest's VMCS up anew for each command, with the values that
 * nested_vmx.c says, then those of vmx_set_field() and vmx_set_list().
 */
#ifndef MG_SELFTEST_NESTED_H
#define MG_SELFTEST_NESTED_H

#include "vm.h"

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#endif

#define SVM_EXIT_MSR		0x7c
#define SVM_EXIT_VMMCALL	0x81

#define VMX_EXIT_VMCALL		18
#define VMX_EXIT_RDMSR		31
#define VMX_EXIT_WRMSR		32
#define VMX_EXIT_MSR_LOAD_FAIL	34
#define VMX_EXIT_FAILED_ENTRY	(1u << 31)
/* Not the CPU's: VMLAUNCH set CF or ZF, there was no VM-exit. */
#define VMX_NO_EXIT		0xffffffffffff0000ull
#define VMX_ERROR_CONTROLS	7	/* VM-instruction error: invalid control field(s) */

/* VMCS fields: SDM Volume 3D, appendix B. */
#define VMCS_GUEST_PAT			0x2804
#define VMCS_GUEST_EFER			0x2806
#define VMCS_HOST_PAT			0x2c00
#define VMCS_HOST_EFER			0x2c02
#define VMCS_MSR_BITMAP			0x2004
#define VMCS_EXIT_STORE_ADDR		0x2006
#define VMCS_EXIT_LOAD_ADDR		0x2008
#define VMCS_ENTRY_LOAD_ADDR		0x200a
#define VMCS_VIRTUAL_APIC_ADDR		0x2012
#define VMCS_LINK_POINTER		0x2800
#define VMCS_PIN_CONTROLS		0x4000
#define VMCS_PROC_CONTROLS		0x4002
#define   PROC_TPR_SHADOW			(1u << 21)
#define   PROC_MSR_BITMAPS			(1u << 28)
#define VMCS_EXCEPTION_BITMAP		0x4004
#define VMCS_CR3_TARGETS		0x400a
#define VMCS_EXIT_CONTROLS		0x400c
#define   EXIT_HOST_IS_64BIT			(1u << 9)
#define   EXIT_LOAD_PAT				(1u << 19)
#define   EXIT_LOAD_EFER			(1u << 21)
#define VMCS_EXIT_STORE_COUNT		0x400e
#define VMCS_EXIT_LOAD_COUNT		0x4010
#define VMCS_ENTRY_CONTROLS		0x4012
#define   ENTRY_GUEST_IS_64BIT			(1u << 9)
#define   ENTRY_LOAD_PAT			(1u << 14)
#define   ENTRY_LOAD_EFER			(1u << 15)
#define VMCS_ENTRY_LOAD_COUNT		0x4014
#define VMCS_ENTRY_INTR_INFO		0x4016
#define VMCS_TPR_THRESHOLD		0x401c
#define VMCS_INSTRUCTION_ERROR		0x4400
#define VMCS_EXIT_REASON		0x4402
#define VMCS_GUEST_SYSENTER_CS		0x482a
#define VMCS_HOST_SYSENTER_CS		0x4c00
#define VMCS_CR0_MASK			0x6000
#define VMCS_CR4_MASK			0x6002
#define VMCS_CR0_SHADOW			0x6004
#define VMCS_CR4_SHADOW			0x6006
#define VMCS_EXIT_QUALIFICATION		0x6400
#define VMCS_GUEST_FS_BASE		0x680e
#define VMCS_GUEST_GS_BASE		0x6810
#define VMCS_GUEST_SYSENTER_ESP		0x6824
#define VMCS_GUEST_SYSENTER_EIP		0x6826
#define VMCS_HOST_FS_BASE		0x6c06
#define VMCS_HOST_GS_BASE		0x6c08
#define VMCS_HOST_SYSENTER_ESP		0x6c10
#define VMCS_HOST_SYSENTER_EIP		0x6c12

bool nested_is_vmx(void);

/* From the next start of L2 on, 8 bytes of its VMCB's save area have another value. */
void svm_set_save(struct vcpu *vcpu, uint32_t offset, uint64_t value);
#define SVM_SAVE_EFER	0x0d0

/* From the next start of L2 on this field has another value than the library's. */
void vmx_set_field(struct vcpu *vcpu, uint32_t field, uint64_t value);
/* Sets bits in a field of controls, beside those the library sets. False: KVM has none such. */
bool vmx_set_controls(struct vcpu *vcpu, uint32_t field, uint32_t bits);

/* What the VMCS holds since L2 last came back: the exit's fields, and L2's MSRs. */
uint64_t vmx_field(struct vcpu *vcpu, uint32_t field);

enum vmx_list {
	VMX_ENTRY_LOAD,
	VMX_EXIT_STORE,
	VMX_EXIT_LOAD,
	NR_VMX_LISTS
};

struct vmx_list_entry {
	uint32_t msr;
	uint32_t reserved;
	uint64_t value;
};

#define VMX_LIST_MAX	16

void vmx_set_list(struct vcpu *vcpu, enum vmx_list list, const struct vmx_list_entry *entries,
		  unsigned int nr);
struct vmx_list_entry vmx_list_entry(struct vcpu *vcpu, enum vmx_list list, unsigned int i);

/* Internal to the library: one of each for each vendor. */
void l2_set_field(struct vcpu *vcpu, uint32_t field, uint64_t value);
void svm_prepare(struct vcpu *vcpu);
uint64_t svm_exit_code(struct vcpu *vcpu);
void svm_set_intercept_all(struct vcpu *vcpu, bool on);
void vmx_prepare(struct vcpu *vcpu);
uint64_t vmx_exit_reason(struct vcpu *vcpu);
void vmx_set_intercept_all(struct vcpu *vcpu, bool on);

#endif /* MG_SELFTEST_NESTED_H */
