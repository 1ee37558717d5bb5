// SPDX-License-Identifier: GPL-2.0
/*
 * Opens a hole in the MSR bitmap that the hardware uses for a VM's vCPUs, behind the backs of KVM and
 * of msrguard: what reads the bitmaps back must find it.
 *
 * Parameters: "pid" of the process that created the VM, "msr", and "write" (1) or read (0). Each time
 * one of the vCPUs is taken off its CPU the bit is cleared; "holes" counts how often it was set.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/kprobes.h>
#include <linux/kvm_host.h>
#include <linux/mem_encrypt.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <asm/svm.h>
#include <asm/vmx.h>

#define WINDOW_MSRS	0x2000

static int pid;
module_param(pid, int, 0);

static uint msr;
module_param(msr, uint, 0);

static bool write;
module_param(write, bool, 0);

static atomic_t holes;

static int get_holes(char *buf, const struct kernel_param *param)
{
	return sysfs_emit(buf, "%d\n", atomic_read(&holes));
}

static const struct kernel_param_ops holes_ops = { .get = get_holes };

module_param_cb(holes, &holes_ops, NULL, 0444);

/* Number of the window the MSR is in: 0x0, 0xc0000000, 0xc0010000; and its place there. */
static int window_of(u32 index, unsigned int *place)
{
	static const u32 first[] = { 0, 0xc0000000, 0xc0010000 };
	int i;

	for (i = 0; i < ARRAY_SIZE(first); i++) {
		*place = index - first[i];
		if (*place < WINDOW_MSRS)
			return i;
	}
	return -1;
}

static unsigned long read_vmcs(unsigned long field)
{
	unsigned long value;

	asm volatile("vmread %1, %0" : "=rm" (value) : "r" (field) : "cc");
	return value;
}

/* SDM Vol. 3C, 25.6.9. On VMX, the VMCS of the vCPU is still loaded here. */
static void *bitmap_vmx(int window, unsigned int place, unsigned int *bit)
{
	if (window > 1 || !(read_vmcs(CPU_BASED_VM_EXEC_CONTROL) & CPU_BASED_USE_MSR_BITMAPS))
		return NULL;
	*bit = ((write ? 2 : 0) + window) * WINDOW_MSRS + place;
	return phys_to_virt(read_vmcs(MSR_BITMAP));
}

/* APM Vol. 2, 15.11. The first that follows the vCPU in struct vcpu_svm is the VMCB in use. */
static void *bitmap_svm(struct kvm_vcpu *vcpu, int window, unsigned int place, unsigned int *bit)
{
	const struct vmcb *vmcb = *(struct vmcb **)(vcpu + 1);

	*bit = 2 * (window * WINDOW_MSRS + place) + write;
	return phys_to_virt(__sme_clr(vmcb->control.msrpm_base_pa));
}

static int on_put(struct kprobe *probe, struct pt_regs *regs)
{
	struct kvm_vcpu *vcpu = (struct kvm_vcpu *)regs->di;
	unsigned int place, bit;
	unsigned long *bitmap;
	int window;

	if (vcpu->kvm->userspace_pid != pid)
		return 0;
	window = window_of(msr, &place);
	bitmap = boot_cpu_has(X86_FEATURE_SVM) ? bitmap_svm(vcpu, window, place, &bit) :
						 bitmap_vmx(window, place, &bit);
	if (bitmap && test_and_clear_bit(bit, bitmap))
		atomic_inc(&holes);
	return 0;
}

static struct kprobe probe = {
	.symbol_name	= "kvm_arch_vcpu_put",
	.pre_handler	= on_put,
};

static int __init hole_init(void)
{
	unsigned int place;

	if (window_of(msr, &place) < 0)
		return -EINVAL;
	return register_kprobe(&probe);
}

static void __exit hole_exit(void)
{
	unregister_kprobe(&probe);
}

module_init(hole_init);
module_exit(hole_exit);

MODULE_DESCRIPTION("Opens a hole in a VM's MSR bitmap");
MODULE_LICENSE("GPL");
