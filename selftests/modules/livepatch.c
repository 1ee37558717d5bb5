// SPDX-License-Identifier: GPL-2.0
/*
 * A live patch of one function of kvm.ko, parameter "function". The patched function does what the
 * old one does, but for the MSR of parameter "msr":
 *
 *	kvm_emulate_wrmsr		flips the lowest byte of the guest's value
 *	emulator_set_msr_with_filter	likewise
 *	kvm_emulate_rdmsr		flips the lowest byte of what the guest gets
 *	kvm_msr_allowed			answers "no"
 *
 * so that it can be seen whether it, the old one, or neither ran.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ftrace.h>
#include <linux/kvm_host.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "livepatch.h"

#define EFFECT		0xff

static char *function;
module_param(function, charp, 0);
MODULE_PARM_DESC(function, "name of the function");

static uint msr = 0xc0000102;
module_param(msr, uint, 0);
MODULE_PARM_DESC(msr, "the MSR for which the patched function does something else");

static struct klp_func funcs[2];

/* Where the old function goes on behind its call of ftrace, by which we have come here. */
static unsigned long body;

/*
 * Called when the old function is known, and nobody changes its entry: that begins with the call
 * (or with the NOP in its place, 0f 1f 44), or has an ENDBR or what was one before it.
 */
static int find_body(struct klp_object *object)
{
	unsigned long entry = (unsigned long)funcs[0].old_func;
	u8 first[3];

	if (copy_from_kernel_nofault(first, (void *)entry, sizeof(first)))
		return -EFAULT;
	if (first[0] != CALL_INSN_OPCODE && (first[0] != 0x0f || first[2] != 0x44))
		entry += ENDBR_INSN_SIZE;
	body = entry + CALL_INSN_SIZE;
	return 0;
}

static bool is_ours(const struct kvm_vcpu *vcpu)
{
	return (u32)vcpu->arch.regs[VCPU_REGS_RCX] == msr;
}

static int patched_wrmsr(struct kvm_vcpu *vcpu)
{
	unsigned long rax = vcpu->arch.regs[VCPU_REGS_RAX];
	int ret;

	if (is_ours(vcpu))
		vcpu->arch.regs[VCPU_REGS_RAX] ^= EFFECT;
	ret = livepatch_run(body, (unsigned long)vcpu, 0, 0);
	vcpu->arch.regs[VCPU_REGS_RAX] = rax;
	return ret;
}

static int patched_rdmsr(struct kvm_vcpu *vcpu)
{
	int ret = livepatch_run(body, (unsigned long)vcpu, 0, 0);

	if (is_ours(vcpu))
		vcpu->arch.regs[VCPU_REGS_RAX] ^= EFFECT;
	return ret;
}

static int patched_emulator_set(void *ctxt, u32 index, u64 data)
{
	return livepatch_run(body, (unsigned long)ctxt, index,
			     index == msr ? data ^ EFFECT : data);
}

static bool patched_allowed(struct kvm_vcpu *vcpu, u32 index, u32 type)
{
	if (index == msr)
		return false;
	return (u8)livepatch_run(body, (unsigned long)vcpu, index, type);
}

static const struct {
	const char *name;
	void *patched;
} known[] = {
	{ "kvm_emulate_wrmsr", patched_wrmsr },
	{ "kvm_emulate_rdmsr", patched_rdmsr },
	{ "emulator_set_msr_with_filter", patched_emulator_set },
	{ "kvm_msr_allowed", patched_allowed },
};

static struct klp_object objects[] = {
	{ .name = "kvm", .funcs = funcs, .callbacks.pre_patch = find_body },
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objects,
};

static int __init patch_init(void)
{
	int i;

	for (i = 0; function && i < ARRAY_SIZE(known); i++) {
		if (strcmp(known[i].name, function))
			continue;
		funcs[0].old_name = known[i].name;
		funcs[0].new_func = known[i].patched;
		return klp_enable_patch(&patch);
	}
	return -EINVAL;
}

static void __exit patch_exit(void)
{
}

module_init(patch_init);
module_exit(patch_exit);

MODULE_DESCRIPTION("A live patch of a function of kvm.ko");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
