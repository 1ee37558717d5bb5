// SPDX-License-Identifier: GPL-2.0
/*
 * The MSR bitmap that the hardware uses for the vCPU which runs on this CPU: reading it back, and
 * setting in it what KVM does not compute anew.
 *
 * VMX: the VMCS that is loaded (vmcs01, or vmcs02 while L2 runs) names it. SVM: the VMCB that the
 * vCPU uses does. Neither is in a public structure of KVM's; VMREAD asks the hardware itself, and
 * the VMCB is taken only if what stands around it is what must stand there.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitmap.h>
#include <linux/kvm_host.h>
#include <linux/mem_encrypt.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <asm/asm.h>
#include <asm/svm.h>
#include <asm/vmx.h>

#include "../guard.h"
#include "bitmap.h"
#include "compat.h"
#include "symbols.h"

/**
 * struct hw_bitmap - a hardware bitmap
 * @base:      its memory; NULL: none is in use and every access exits
 * @is_svm:    its layout
 * @is_unused: there is one, but the hardware does not look at it and lets everything through
 * @is_l2_apic: x2APIC registers are those of L2's own virtual APIC, which its hypervisor gave it and
 *              the hardware serves; an exit would be answered with L1's
 */
struct hw_bitmap {
	unsigned long *base;
	bool is_svm;
	bool is_unused;
	bool is_l2_apic;
};

/* SDM Vol. 3C, 25.6.9: 1024 bytes each for reads LOW, reads HIGH, writes LOW, writes HIGH. */
#define VMX_WINDOWS	2
#define WINDOW_WORDS	(MG_WINDOW_MSRS / BITS_PER_LONG)

/* The VMCS loaded on this CPU. Fails where there is none (KVM's enlightened VMCS on Hyper-V). */
static bool vmcs_read(unsigned long field, unsigned long *value)
{
	bool ok = false;

	*value = 0;
	asm volatile("1: vmread %[field], %[value]\n"
		     "   seta %[ok]\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     : [value] "+r" (*value), [ok] "+q" (ok)
		     : [field] "r" (field)
		     : "cc");
	return ok;
}

/* SDM Vol. 3C, 30.5 "Virtualizing MSR-Based APIC Accesses", for L2 by the VMCS of L1. */
static bool has_l2_apic(struct kvm_vcpu *vcpu, unsigned long controls)
{
	unsigned long secondary;

	return (vcpu->arch.hflags & HF_GUEST_MASK) &&
	       (controls & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS) &&
	       vmcs_read(SECONDARY_VM_EXEC_CONTROL, &secondary) &&
	       (secondary & SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE);
}

static bool find_vmx(struct kvm_vcpu *vcpu, struct hw_bitmap *bitmap)
{
	unsigned long controls, address;

	if (!vmcs_read(CPU_BASED_VM_EXEC_CONTROL, &controls))
		return false;
	if (!(controls & CPU_BASED_USE_MSR_BITMAPS))
		return true;
	if (!vmcs_read(MSR_BITMAP, &address) || !address || !PAGE_ALIGNED(address) ||
	    !pfn_valid(PHYS_PFN(address)))
		return false;
	bitmap->base = phys_to_virt(address);
	bitmap->is_l2_apic = has_l2_apic(vcpu, controls);
	return true;
}

/* What follows the vCPU in struct vcpu_svm, the same from 6.1 to 7.3 (svm.h, private). */
struct svm_vcpu_tail {
	struct vmcb *vmcb;		/* the one in use */
	struct vmcb *vmcb01;
	unsigned long vmcb01_pa;
};

/* NULL if it is not what stands there, or not yet. */
static const struct svm_vcpu_tail *svm_tail(struct kvm_vcpu *vcpu)
{
	const struct svm_vcpu_tail *tail = (void *)(vcpu + 1);

	if (!PAGE_ALIGNED(tail->vmcb) || !virt_addr_valid(tail->vmcb) ||
	    !PAGE_ALIGNED(tail->vmcb01) || !virt_addr_valid(tail->vmcb01) ||
	    __sme_clr(tail->vmcb01_pa) != __pa(tail->vmcb01))
		return NULL;
	return tail;
}

/*
 * KVM says so of a vCPU (guest_state_protected) only when its first registers have been encrypted;
 * the bitmap is computed before, and not again then. The bit in the VMCB is what sev_es_init_vmcb()
 * begins with.
 */
bool mg_bitmap_of_encrypted(struct kvm_vcpu *vcpu)
{
	const struct svm_vcpu_tail *tail;

	if (vcpu->arch.guest_state_protected)
		return true;
	if (!boot_cpu_has(X86_FEATURE_SVM))
		return false;
	tail = svm_tail(vcpu);
	return tail && mg_vmcb_is_sev_es(tail->vmcb01);
}

static bool find_svm(struct kvm_vcpu *vcpu, struct hw_bitmap *bitmap)
{
	const struct svm_vcpu_tail *tail = svm_tail(vcpu);
	unsigned long address;

	if (!tail)
		return false;
	if (!(tail->vmcb->control.intercepts[INTERCEPT_MSR_PROT / 32] &
	      BIT(INTERCEPT_MSR_PROT % 32)))
		bitmap->is_unused = true;
	address = __sme_clr(tail->vmcb->control.msrpm_base_pa);
	if (!address || !PAGE_ALIGNED(address) || !pfn_valid(PHYS_PFN(address)))
		return false;
	bitmap->base = phys_to_virt(address);
	bitmap->is_svm = true;
	return true;
}

/* Preemption is off, so that the vCPU stays loaded if it is. */
static bool is_loaded(const struct kvm_vcpu *vcpu)
{
	return static_call(mg_kvm_get_running_vcpu)() == vcpu;
}

static bool find(struct kvm_vcpu *vcpu, struct hw_bitmap *bitmap)
{
	*bitmap = (struct hw_bitmap) {};
	return boot_cpu_has(X86_FEATURE_SVM) ? find_svm(vcpu, bitmap) : find_vmx(vcpu, bitmap);
}

/*
 * APM Vol. 2, 15.11: two bits an MSR, the read's and the write's, 2048 bytes a window. Spreads the
 * bits of 32 MSRs to the even places.
 */
static u64 spread(u32 bits)
{
	u64 x = bits;

	x = (x | x << 16) & 0x0000ffff0000ffffull;
	x = (x | x << 8) & 0x00ff00ff00ff00ffull;
	x = (x | x << 4) & 0x0f0f0f0f0f0f0f0full;
	x = (x | x << 2) & 0x3333333333333333ull;
	x = (x | x << 1) & 0x5555555555555555ull;
	return x;
}

static u32 gather(u64 x)
{
	x &= 0x5555555555555555ull;
	x = (x | x >> 1) & 0x3333333333333333ull;
	x = (x | x >> 2) & 0x0f0f0f0f0f0f0f0full;
	x = (x | x >> 4) & 0x00ff00ff00ff00ffull;
	x = (x | x >> 8) & 0x0000ffff0000ffffull;
	return x | x >> 16;
}

/* Number of MSRs of one direction that the hardware's bitmap covers, in words of the map. */
static unsigned int words_of(const struct hw_bitmap *bitmap)
{
	return (bitmap->is_svm ? MG_NR_HW_WINDOWS : VMX_WINDOWS) * WINDOW_WORDS;
}

/* Which of the 64 accesses of one word of the map the hardware intercepts. */
static unsigned long intercepted(const struct hw_bitmap *bitmap, enum mg_dir dir, unsigned int word)
{
	const unsigned long *pair;

	if (!bitmap->base)
		return ~0ul;
	if (bitmap->is_unused)
		return 0;
	if (!bitmap->is_svm)
		return READ_ONCE(bitmap->base[dir * VMX_WINDOWS * WINDOW_WORDS + word]);
	pair = bitmap->base + 2 * word;
	return gather(READ_ONCE(pair[0]) >> dir) |
	       (unsigned long)gather(READ_ONCE(pair[1]) >> dir) << 32;
}

static bool is_x2apic_word(unsigned int word)
{
	return word >= MG_X2APIC_FIRST / BITS_PER_LONG && word <= MG_X2APIC_LAST / BITS_PER_LONG;
}

/* Which of them must be intercepted. */
static unsigned long wanted(const struct hw_bitmap *bitmap, enum mg_dir dir, unsigned int word)
{
	if (bitmap->is_l2_apic && is_x2apic_word(word))
		return 0;
	return READ_ONCE(mg_live.bits[dir][word]);
}

static void intercept(const struct hw_bitmap *bitmap, enum mg_dir dir, unsigned int word,
		      unsigned long bits)
{
	unsigned long *pair;

	if (!bitmap->is_svm) {
		bitmap->base[dir * VMX_WINDOWS * WINDOW_WORDS + word] |= bits;
		return;
	}
	pair = bitmap->base + 2 * word;
	pair[0] |= spread(lower_32_bits(bits)) << dir;
	pair[1] |= spread(upper_32_bits(bits)) << dir;
}

/*
 * With interrupts off it is a toggle of the last-branch records on the way into the guest
 * (vmx_passthrough_lbr_msrs()): KVM asks for each of them, and time matters.
 */
void mg_bitmap_tighten(struct kvm_vcpu *vcpu)
{
	struct hw_bitmap bitmap;
	unsigned int dir, word;
	unsigned long missing;

	if (irqs_disabled() || mg_bitmap_of_encrypted(vcpu))
		return;
	preempt_disable();
	if (!is_loaded(vcpu)) {
		/* It is being created, or set up by the VMM. */
	} else if (!find(vcpu, &bitmap)) {
		pr_warn_once("cannot find the MSR bitmap of a running vCPU: KVM's own calculation holds, but not while a guest of the guest runs on, nor for x2APIC; see msrguard verify\n");
	} else if (bitmap.base) {
		for (dir = 0; dir < MG_NR_DIRS; dir++) {
			for (word = 0; word < words_of(&bitmap); word++) {
				missing = wanted(&bitmap, dir, word);
				if (missing)
					missing &= ~intercepted(&bitmap, dir, word);
				if (missing)
					intercept(&bitmap, dir, word, missing);
			}
		}
	}
	preempt_enable();
}

static void compare(const struct hw_bitmap *bitmap, struct mg_bitmap_check *check)
{
	unsigned int dir, word;
	unsigned long guarded;

	check->guarded = 0;
	check->nr_missing = 0;
	memset(check->missing, 0, sizeof(check->missing));
	for (dir = 0; dir < MG_NR_DIRS; dir++) {
		for (word = 0; word < words_of(bitmap); word++) {
			guarded = wanted(bitmap, dir, word);
			check->guarded += hweight_long(guarded);
			guarded &= ~intercepted(bitmap, dir, word);
			check->missing[dir][word] = guarded;
			check->nr_missing += hweight_long(guarded);
		}
	}
	check->state = check->nr_missing ? MG_BITMAP_DIFFERS : MG_BITMAP_MATCHES;
}

void mg_bitmap_check_now(struct kvm_vcpu *vcpu, struct mg_bitmap_check *check)
{
	struct hw_bitmap bitmap;

	preempt_disable();
	if (!is_loaded(vcpu)) {
		check->state = MG_BITMAP_NOT_RUNNING;
	} else if (mg_bitmap_of_encrypted(vcpu)) {
		check->state = MG_BITMAP_ENCRYPTED;
	} else if (!find(vcpu, &bitmap)) {
		check->state = MG_BITMAP_UNREADABLE;
	} else {
		check->nested = vcpu->arch.hflags & HF_GUEST_MASK;
		compare(&bitmap, check);
	}
	preempt_enable();
}
