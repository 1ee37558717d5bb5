// SPDX-License-Identifier: GPL-2.0
/*
 * A guest of the guest, under AMD SVM.
 *
 * The host writes the VMCB and switches EFER.SVME and VM_HSAVE_PA on itself, so that
 * no access of L1's own is needed, which a policy under test could deny. L2 has L1's
 * page tables, segments and IDT; the state that VMLOAD would change is shared with L1.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "nested.h"

#define EFER_SVME	(1ull << 12)

/* VMCB: APM Volume 2, appendix B. */
#define VMCB_INTERCEPT_3	0x00c
#define   INTERCEPT_MSR_PROT	(1u << 28)
#define   INTERCEPT_SHUTDOWN	(1u << 31)
#define VMCB_INTERCEPT_4	0x010
#define   INTERCEPT_VMRUN	(1u << 0)
#define   INTERCEPT_VMMCALL	(1u << 1)
#define VMCB_MSRPM_BASE		0x048
#define VMCB_ASID		0x058
#define VMCB_EXITCODE		0x070
#define VMCB_SAVE		0x400
#define   SAVE_ES		0x000
#define   SAVE_CS		0x010
#define   SAVE_SS		0x020
#define   SAVE_DS		0x030
#define   SAVE_GDTR		0x060
#define   SAVE_IDTR		0x080
#define   SAVE_CR4		0x148
#define   SAVE_CR3		0x150
#define   SAVE_CR0		0x158
#define   SAVE_DR7		0x160
#define   SAVE_DR6		0x168
#define   SAVE_RFLAGS		0x170
#define   SAVE_RIP		0x178
#define   SAVE_RSP		0x1d8
#define   SAVE_PAT		0x268
#define SEG_ATTR_CODE64		0xa9b
#define SEG_ATTR_DATA		0xc93
#define PAT_RESET		0x0007040600070406ull
#define DR6_RESET		0xffff0ff0ull
#define DR7_RESET		0x400ull
#define MSRPM_SIZE		0x2000

static void put16(uint8_t *at, uint16_t value)
{
	memcpy(at, &value, sizeof(value));
}

static void put32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

static void put64(uint8_t *at, uint64_t value)
{
	memcpy(at, &value, sizeof(value));
}

static void put_segment(uint8_t *at, uint16_t selector, uint16_t attributes, uint32_t limit,
			uint64_t base)
{
	put16(at, selector);
	put16(at + 2, attributes);
	put32(at + 4, limit);
	put64(at + 8, base);
}

static uint8_t *vmcb_of(struct vcpu *vcpu)
{
	return vcpu->vm->mem + GPA_VMCB(vcpu->id);
}

static void enable_svm(struct vcpu *vcpu)
{
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		vm_die(vcpu, "KVM_GET_SREGS: %s", strerror(errno));
	sregs.efer |= EFER_SVME;
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs))
		vm_die(vcpu, "KVM_SET_SREGS with EFER.SVME: %s", strerror(errno));
	if (!vcpu_set_msr(vcpu, MSR_VM_HSAVE_PA, GPA_HSAVE(vcpu->id)))
		vm_die(vcpu, "KVM refuses VM_HSAVE_PA");
	vcpu->page->nested = GPA_VMCB(vcpu->id);
	vcpu->nested_ready = true;
}

/* Puts L2 where its next VMRUN starts. */
void svm_prepare(struct vcpu *vcpu)
{
	uint8_t *vmcb = vmcb_of(vcpu);
	uint8_t *save = vmcb + VMCB_SAVE;
	struct kvm_sregs sregs;

	if (!vcpu->nested_ready)
		enable_svm(vcpu);
	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		vm_die(vcpu, "KVM_GET_SREGS: %s", strerror(errno));

	memset(vmcb, 0, 0x1000);
	put32(vmcb + VMCB_INTERCEPT_3, INTERCEPT_MSR_PROT | INTERCEPT_SHUTDOWN);
	put32(vmcb + VMCB_INTERCEPT_4, INTERCEPT_VMRUN | INTERCEPT_VMMCALL);
	put64(vmcb + VMCB_MSRPM_BASE, GPA_MSRPM(vcpu->id));
	put32(vmcb + VMCB_ASID, 1);

	put_segment(save + SAVE_CS, SEL_CODE, SEG_ATTR_CODE64, 0xffffffff, 0);
	put_segment(save + SAVE_SS, SEL_DATA, SEG_ATTR_DATA, 0xffffffff, 0);
	put_segment(save + SAVE_DS, SEL_DATA, SEG_ATTR_DATA, 0xffffffff, 0);
	put_segment(save + SAVE_ES, SEL_DATA, SEG_ATTR_DATA, 0xffffffff, 0);
	put_segment(save + SAVE_GDTR, 0, 0, sregs.gdt.limit, sregs.gdt.base);
	put_segment(save + SAVE_IDTR, 0, 0, sregs.idt.limit, sregs.idt.base);
	put64(save + SVM_SAVE_EFER, sregs.efer);
	put64(save + SAVE_CR0, sregs.cr0);
	put64(save + SAVE_CR3, sregs.cr3);
	put64(save + SAVE_CR4, sregs.cr4);
	put64(save + SAVE_DR6, DR6_RESET);
	put64(save + SAVE_DR7, DR7_RESET);
	put64(save + SAVE_RFLAGS, 2);
	put64(save + SAVE_PAT, PAT_RESET);
	put64(save + SAVE_RIP, vcpu->vm->head[HEAD_AT_L2_ENTRY]);
	put64(save + SAVE_RSP, GPA_L2_STACK_TOP(vcpu->id));
	for (unsigned int i = 0; i < vcpu->nr_l2_fields; i++)
		put64(save + vcpu->l2_fields[i].field, vcpu->l2_fields[i].value);
}

void svm_set_save(struct vcpu *vcpu, uint32_t offset, uint64_t value)
{
	l2_set_field(vcpu, offset, value);
}

uint64_t svm_exit_code(struct vcpu *vcpu)
{
	uint64_t code;

	memcpy(&code, vmcb_of(vcpu) + VMCB_EXITCODE, sizeof(code));
	return code;
}

void svm_set_intercept_all(struct vcpu *vcpu, bool on)
{
	memset(vcpu->vm->mem + GPA_MSRPM(vcpu->id), on ? 0xff : 0, MSRPM_SIZE);
}
