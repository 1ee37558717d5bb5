// SPDX-License-Identifier: GPL-2.0
/*
 * A guest of the guest, under Intel VMX.
 *
 * A VMCS cannot be written but by VMWRITE, so this makes the list of what L1 shall write,
 * and the payload works it off. CR4.VMXE and FEATURE_CONTROL are set by the host, so that
 * no access of L1's own is needed, which a policy under test could deny. L2 has L1's page
 * tables, segments and IDT and no EPT of L1's; MSRs that no VMCS field holds (STAR,
 * KERNEL_GS_BASE, ...) are shared with L1.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "nested.h"

#define CR4_VMXE		(1ull << 13)
#define MSR_FEATURE_CONTROL	0x3a
#define FEATURE_CONTROL_LOCKED	(1ull << 0)
#define FEATURE_CONTROL_VMXON	(1ull << 2)
#define MSR_VMX_BASIC		0x480
#define BASIC_REVISION		0x7fffffffull
#define BASIC_TRUE_CONTROLS	(1ull << 55)
#define MSR_GS_BASE		0xc0000101

#define ACCESS_CODE64		0xa09b
#define ACCESS_DATA		0xc093
#define ACCESS_TSS		0x008b
#define ACCESS_UNUSABLE		0x10000
#define DR7_RESET		0x400

/* Capability MSR of each field of controls; the "true" one is so much higher. */
static const struct {
	uint32_t field, msr, true_msr;
} capabilities[] = {
	{ VMCS_PIN_CONTROLS, 0x481, 0x48d },
	{ VMCS_PROC_CONTROLS, 0x482, 0x48e },
	{ VMCS_EXIT_CONTROLS, 0x483, 0x48f },
	{ VMCS_ENTRY_CONTROLS, 0x484, 0x490 },
};

/* What L1 reads after each run. */
static const uint32_t fields_read[] = {
	VMCS_EXIT_REASON, VMCS_EXIT_QUALIFICATION, VMCS_INSTRUCTION_ERROR,
	VMCS_GUEST_FS_BASE, VMCS_GUEST_GS_BASE,
	VMCS_GUEST_SYSENTER_CS, VMCS_GUEST_SYSENTER_ESP, VMCS_GUEST_SYSENTER_EIP,
};

struct vmx_pair {
	uint64_t field, value;
};

/* The page the payload works off: VW_* in guests/abi.h. */
struct vmx_work {
	uint64_t vmxon, vmcs, entered, failed, nr_writes, nr_reads, unused[2];
	struct vmx_pair writes[VW_MAX_WRITES];
	struct vmx_pair reads[VW_MAX_READS];
};

_Static_assert(offsetof(struct vmx_work, entered) == VW_ENTERED, "entered");
_Static_assert(offsetof(struct vmx_work, failed) == VW_FAILED, "failed");
_Static_assert(offsetof(struct vmx_work, nr_reads) == VW_NR_READS, "nr_reads");
_Static_assert(offsetof(struct vmx_work, writes) == VW_WRITES, "writes");
_Static_assert(offsetof(struct vmx_work, reads) == VW_READS, "reads");

static volatile struct vmx_work *work_of(struct vcpu *vcpu)
{
	return (volatile struct vmx_work *)(vcpu->vm->mem + GPA_VMX_WORK(vcpu->id));
}

static uint64_t get_msr(struct vcpu *vcpu, uint32_t msr)
{
	uint64_t value;

	if (!vcpu_get_msr(vcpu, msr, &value))
		vm_die(vcpu, "KVM does not tell MSR %x", msr);
	return value;
}

/* Bits that must be set in the low half, bits that may be in the high one. */
static uint64_t capability(struct vcpu *vcpu, uint32_t field)
{
	bool has_true = get_msr(vcpu, MSR_VMX_BASIC) & BASIC_TRUE_CONTROLS;

	for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++)
		if (capabilities[i].field == field)
			return get_msr(vcpu, has_true ? capabilities[i].true_msr :
							capabilities[i].msr);
	vm_die(vcpu, "what bits field %x may have no MSR tells", field);
}

static void enable_vmx(struct vcpu *vcpu)
{
	volatile struct vmx_work *work = work_of(vcpu);
	uint32_t revision = get_msr(vcpu, MSR_VMX_BASIC) & BASIC_REVISION;
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		vm_die(vcpu, "KVM_GET_SREGS: %s", strerror(errno));
	sregs.cr4 |= CR4_VMXE;
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs))
		vm_die(vcpu, "KVM_SET_SREGS with CR4.VMXE: %s", strerror(errno));
	if (!vcpu_set_msr(vcpu, MSR_FEATURE_CONTROL,
			  FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMXON))
		vm_die(vcpu, "KVM refuses FEATURE_CONTROL");
	memcpy(vcpu->vm->mem + GPA_VMXON(vcpu->id), &revision, sizeof(revision));
	memcpy(vcpu->vm->mem + GPA_VMCS(vcpu->id), &revision, sizeof(revision));
	work->vmxon = GPA_VMXON(vcpu->id);
	work->vmcs = GPA_VMCS(vcpu->id);
	vcpu->page->nested = GPA_VMX_WORK(vcpu->id);
	vcpu->nested_ready = true;
}

static void put(struct vcpu *vcpu, uint32_t field, uint64_t value)
{
	volatile struct vmx_work *work = work_of(vcpu);

	if (work->nr_writes >= VW_MAX_WRITES)
		vm_die(vcpu, "too many fields");
	work->writes[work->nr_writes].field = field;
	work->writes[work->nr_writes].value = value;
	work->nr_writes++;
}

static void put_controls(struct vcpu *vcpu, uint32_t field, uint32_t bits)
{
	uint64_t allowed = capability(vcpu, field);

	if (bits & ~(uint32_t)(allowed >> 32))
		vm_die(vcpu, "KVM lacks bits %x of the controls in field %x", bits, field);
	put(vcpu, field, (uint32_t)allowed | bits);
}

static void put_all_controls(struct vcpu *vcpu)
{
	put_controls(vcpu, VMCS_PIN_CONTROLS, 0);
	put_controls(vcpu, VMCS_PROC_CONTROLS, PROC_MSR_BITMAPS);
	put_controls(vcpu, VMCS_EXIT_CONTROLS, EXIT_HOST_IS_64BIT);
	put_controls(vcpu, VMCS_ENTRY_CONTROLS, ENTRY_GUEST_IS_64BIT);
	put(vcpu, VMCS_MSR_BITMAP, GPA_MSRPM(vcpu->id));
	put(vcpu, VMCS_EXCEPTION_BITMAP, 0);
	put(vcpu, VMCS_CR3_TARGETS, 0);
	put(vcpu, VMCS_ENTRY_INTR_INFO, 0);
	put(vcpu, VMCS_ENTRY_LOAD_COUNT, 0);
	put(vcpu, VMCS_EXIT_STORE_COUNT, 0);
	put(vcpu, VMCS_EXIT_LOAD_COUNT, 0);
	put(vcpu, VMCS_TPR_THRESHOLD, 0);
	put(vcpu, VMCS_LINK_POINTER, ~0ull);
}

static void put_guest_segment(struct vcpu *vcpu, unsigned int n, uint16_t selector,
			      uint32_t access, uint32_t limit, uint64_t base)
{
	put(vcpu, 0x800 + 2 * n, selector);
	put(vcpu, 0x4800 + 2 * n, limit);
	put(vcpu, 0x4814 + 2 * n, access);
	put(vcpu, 0x6806 + 2 * n, base);
}

static void put_guest(struct vcpu *vcpu, const struct kvm_sregs *s)
{
	const uint32_t flat = 0xffffffff;

	put(vcpu, 0x6800, s->cr0);
	put(vcpu, 0x6802, s->cr3);
	put(vcpu, 0x6804, s->cr4);
	put(vcpu, VMCS_CR0_MASK, 0);
	put(vcpu, VMCS_CR4_MASK, 0);
	put(vcpu, VMCS_CR0_SHADOW, s->cr0);
	put(vcpu, VMCS_CR4_SHADOW, s->cr4);
	put_guest_segment(vcpu, 0, SEL_DATA, ACCESS_DATA, flat, 0);		/* ES */
	put_guest_segment(vcpu, 1, SEL_CODE, ACCESS_CODE64, flat, 0);
	put_guest_segment(vcpu, 2, SEL_DATA, ACCESS_DATA, flat, 0);		/* SS */
	put_guest_segment(vcpu, 3, SEL_DATA, ACCESS_DATA, flat, 0);		/* DS */
	put_guest_segment(vcpu, 4, SEL_DATA, ACCESS_DATA, flat, s->fs.base);
	put_guest_segment(vcpu, 5, SEL_DATA, ACCESS_DATA, flat, s->gs.base);
	put_guest_segment(vcpu, 6, 0, ACCESS_UNUSABLE, 0, 0);			/* LDTR */
	put_guest_segment(vcpu, 7, SEL_TSS, ACCESS_TSS, s->tr.limit, s->tr.base);
	put(vcpu, 0x6816, s->gdt.base);
	put(vcpu, 0x6818, s->idt.base);
	put(vcpu, 0x4810, s->gdt.limit);
	put(vcpu, 0x4812, s->idt.limit);
	put(vcpu, 0x681a, DR7_RESET);
	put(vcpu, 0x681c, GPA_L2_STACK_TOP(vcpu->id));
	put(vcpu, 0x681e, vcpu->vm->head[HEAD_AT_L2_ENTRY]);
	put(vcpu, 0x6820, 2);		/* RFLAGS */
	put(vcpu, 0x6822, 0);		/* no pending debug exceptions */
	put(vcpu, 0x4824, 0);		/* interruptibility */
	put(vcpu, 0x4826, 0);		/* active */
	put(vcpu, VMCS_GUEST_SYSENTER_CS, get_msr(vcpu, MSR_SYSENTER_CS));
	put(vcpu, VMCS_GUEST_SYSENTER_ESP, get_msr(vcpu, MSR_SYSENTER_ESP));
	put(vcpu, VMCS_GUEST_SYSENTER_EIP, get_msr(vcpu, MSR_SYSENTER_EIP));
}

/* L1 goes on as it was. */
static void put_host(struct vcpu *vcpu, const struct kvm_sregs *s)
{
	put(vcpu, 0x6c00, s->cr0);
	put(vcpu, 0x6c02, s->cr3);
	put(vcpu, 0x6c04, s->cr4);
	put(vcpu, 0xc00, SEL_DATA);	/* ES, CS, SS, DS, FS, GS, TR */
	put(vcpu, 0xc02, SEL_CODE);
	put(vcpu, 0xc04, SEL_DATA);
	put(vcpu, 0xc06, SEL_DATA);
	put(vcpu, 0xc08, SEL_DATA);
	put(vcpu, 0xc0a, SEL_DATA);
	put(vcpu, 0xc0c, SEL_TSS);
	put(vcpu, VMCS_HOST_FS_BASE, s->fs.base);
	put(vcpu, VMCS_HOST_GS_BASE, s->gs.base);
	put(vcpu, 0x6c0a, s->tr.base);
	put(vcpu, 0x6c0c, s->gdt.base);
	put(vcpu, 0x6c0e, s->idt.base);
	put(vcpu, VMCS_HOST_SYSENTER_CS, get_msr(vcpu, MSR_SYSENTER_CS));
	put(vcpu, VMCS_HOST_SYSENTER_ESP, get_msr(vcpu, MSR_SYSENTER_ESP));
	put(vcpu, VMCS_HOST_SYSENTER_EIP, get_msr(vcpu, MSR_SYSENTER_EIP));
	put(vcpu, 0x6c14, GPA_STACK_TOP(vcpu->id));
	put(vcpu, 0x6c16, vcpu->vm->head[HEAD_AT_L1_RETURN]);
}

/* Has L1 set L2's VMCS up anew before it launches it. */
void vmx_prepare(struct vcpu *vcpu)
{
	volatile struct vmx_work *work = work_of(vcpu);
	struct kvm_sregs sregs;

	if (!vcpu->nested_ready)
		enable_vmx(vcpu);
	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		vm_die(vcpu, "KVM_GET_SREGS: %s", strerror(errno));
	work->nr_writes = 0;
	put_all_controls(vcpu);
	put_guest(vcpu, &sregs);
	put_host(vcpu, &sregs);
	for (unsigned int i = 0; i < vcpu->nr_l2_fields; i++)
		put(vcpu, vcpu->l2_fields[i].field, vcpu->l2_fields[i].value);

	work->nr_reads = ARRAY_SIZE(fields_read);
	for (unsigned int i = 0; i < work->nr_reads; i++) {
		work->reads[i].field = fields_read[i];
		work->reads[i].value = ~0ull;
	}
	work->failed = 0;
}

void vmx_set_field(struct vcpu *vcpu, uint32_t field, uint64_t value)
{
	l2_set_field(vcpu, field, value);
}

bool vmx_set_controls(struct vcpu *vcpu, uint32_t field, uint32_t bits)
{
	uint64_t allowed = capability(vcpu, field);
	uint32_t always = field == VMCS_PROC_CONTROLS ? PROC_MSR_BITMAPS :
			  field == VMCS_EXIT_CONTROLS ? EXIT_HOST_IS_64BIT :
			  field == VMCS_ENTRY_CONTROLS ? ENTRY_GUEST_IS_64BIT : 0;

	if (bits & ~(uint32_t)(allowed >> 32))
		return false;
	vmx_set_field(vcpu, field, (uint32_t)allowed | always | bits);
	return true;
}

uint64_t vmx_field(struct vcpu *vcpu, uint32_t field)
{
	volatile struct vmx_work *work = work_of(vcpu);

	for (unsigned int i = 0; i < work->nr_reads; i++)
		if (work->reads[i].field == field)
			return work->reads[i].value;
	vm_die(vcpu, "field %x is not read after L2 has run", field);
}

uint64_t vmx_exit_reason(struct vcpu *vcpu)
{
	uint64_t failed = work_of(vcpu)->failed;

	if (failed && failed != VW_STEP_VMLAUNCH)
		vm_die(vcpu, "step %lu of starting L2 failed", failed);
	if (failed)
		return VMX_NO_EXIT | vmx_field(vcpu, VMCS_INSTRUCTION_ERROR);
	return vmx_field(vcpu, VMCS_EXIT_REASON);
}

/* Read low, read high, write low, write high MSRs: 1 KiB each. */
void vmx_set_intercept_all(struct vcpu *vcpu, bool on)
{
	memset(vcpu->vm->mem + GPA_MSRPM(vcpu->id), on ? 0xff : 0, 0x1000);
}

static uint64_t list_address(struct vcpu *vcpu, enum vmx_list list)
{
	return GPA_VMX_LISTS(vcpu->id) +
	       list * VMX_LIST_MAX * sizeof(struct vmx_list_entry);
}

void vmx_set_list(struct vcpu *vcpu, enum vmx_list list, const struct vmx_list_entry *entries,
		  unsigned int nr)
{
	static const uint32_t address_field[NR_VMX_LISTS] = {
		[VMX_ENTRY_LOAD] = VMCS_ENTRY_LOAD_ADDR,
		[VMX_EXIT_STORE] = VMCS_EXIT_STORE_ADDR,
		[VMX_EXIT_LOAD] = VMCS_EXIT_LOAD_ADDR,
	};
	static const uint32_t count_field[NR_VMX_LISTS] = {
		[VMX_ENTRY_LOAD] = VMCS_ENTRY_LOAD_COUNT,
		[VMX_EXIT_STORE] = VMCS_EXIT_STORE_COUNT,
		[VMX_EXIT_LOAD] = VMCS_EXIT_LOAD_COUNT,
	};

	if (nr > VMX_LIST_MAX)
		vm_die(vcpu, "a list of %u entries", nr);
	memcpy(vcpu->vm->mem + list_address(vcpu, list), entries, nr * sizeof(entries[0]));
	vmx_set_field(vcpu, address_field[list], list_address(vcpu, list));
	vmx_set_field(vcpu, count_field[list], nr);
}

struct vmx_list_entry vmx_list_entry(struct vcpu *vcpu, enum vmx_list list, unsigned int i)
{
	struct vmx_list_entry entry;

	memcpy(&entry, vcpu->vm->mem + list_address(vcpu, list) + i * sizeof(entry),
	       sizeof(entry));
	return entry;
}
