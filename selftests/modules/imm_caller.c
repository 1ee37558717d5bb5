// SPDX-License-Identifier: GPL-2.0
/*
 * Has a guest's CPUID do what RDMSR and WRMSRNS with the MSR's index in the instruction would.
 *
 * KVM handles exits of these instructions (MSR_IMM) from 6.18 on, but its emulator does not
 * decode them and no emulator of a CPU has them. So for a CPUID with our mark in RBX the vCPU
 * calls, in its own context, the function that the exit would have called:
 *
 *	RBX   mark in bits 16-31, what to call in bits 0-3, number of the register in bits 4-7
 *	R8    MSR
 *
 * As CPUID is two bytes long, KVM skips it as it would have skipped the other instruction.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/static_call.h>
#include <linux/version.h>

#define MARK		0x4947
#define CALL_READ	0
#define CALL_WRITE	1
#define CALL_FASTPATH	2	/* and what KVM does next if that does not handle it */

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 0)
typedef int emulate_imm_fn(struct kvm_vcpu *vcpu, u32 msr, int reg);
typedef fastpath_t fastpath_imm_fn(struct kvm_vcpu *vcpu, u32 msr, int reg);

DEFINE_STATIC_CALL_NULL(read_imm, emulate_imm_fn);
DEFINE_STATIC_CALL_NULL(write_imm, emulate_imm_fn);
DEFINE_STATIC_CALL_NULL(fastpath_imm, fastpath_imm_fn);

static bool is_marked(struct kvm_vcpu *vcpu)
{
	return (u32)vcpu->arch.regs[VCPU_REGS_RBX] >> 16 == MARK;
}

static fastpath_t call_fastpath(struct kvm_vcpu *vcpu, u32 msr, int reg)
{
	fastpath_t ret;

	local_irq_disable();
	ret = static_call(fastpath_imm)(vcpu, msr, reg);
	local_irq_enable();
	return ret;
}

/* In the place of kvm_emulate_cpuid(). */
static int emulate(struct kvm_vcpu *vcpu)
{
	u32 command = vcpu->arch.regs[VCPU_REGS_RBX];
	u32 msr = vcpu->arch.regs[VCPU_REGS_R8];
	int reg = command >> 4 & 0xf;

	switch (command & 0xf) {
	case CALL_READ:
		return static_call(read_imm)(vcpu, msr, reg);
	case CALL_FASTPATH:
		switch (call_fastpath(vcpu, msr, reg)) {
		case EXIT_FASTPATH_NONE:
			break;
		case EXIT_FASTPATH_EXIT_USERSPACE:
			return 0;
		default:
			return 1;
		}
		fallthrough;
	default:
		return static_call(write_imm)(vcpu, msr, reg);
	}
}

static void notrace redirect(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			     struct ftrace_regs *fregs)
{
	if (is_marked((struct kvm_vcpu *)ftrace_regs_get_argument(fregs, 0)))
		ftrace_regs_set_instruction_pointer(fregs, (unsigned long)emulate);
}

static struct ftrace_ops ops = {
	.func = redirect,
	.flags = FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_SAVE_REGS,
};

/* Of a function that kvm.ko exports to nobody. */
static unsigned long address_of(const char *name)
{
	struct kprobe probe = { .symbol_name = name };
	unsigned long addr;

	if (register_kprobe(&probe)) {
		pr_err("kvm.ko has no %s\n", name);
		return 0;
	}
	addr = (unsigned long)probe.addr;
	unregister_kprobe(&probe);
	return addr;
}

static int __init imm_caller_init(void)
{
	char hooked[] = "kvm_emulate_cpuid";
	unsigned long read = address_of("kvm_emulate_rdmsr_imm");
	unsigned long write = address_of("kvm_emulate_wrmsr_imm");
	unsigned long fastpath = address_of("handle_fastpath_wrmsr_imm");
	int err;

	if (!read || !write || !fastpath)
		return -ENOENT;
	static_call_update(read_imm, (emulate_imm_fn *)read);
	static_call_update(write_imm, (emulate_imm_fn *)write);
	static_call_update(fastpath_imm, (fastpath_imm_fn *)fastpath);
	err = ftrace_set_filter(&ops, hooked, strlen(hooked), 1);
	if (err)
		return err;
	err = register_ftrace_function(&ops);
	if (err)
		ftrace_free_filter(&ops);
	return err;
}

static void __exit imm_caller_exit(void)
{
	unregister_ftrace_function(&ops);
	ftrace_free_filter(&ops);
	/* Whoever was redirected has left emulate(), which does not sleep for long. */
	synchronize_rcu_tasks();
}
#else
static int __init imm_caller_init(void)
{
	pr_err("this kernel's KVM has no functions for MSR_IMM\n");
	return -EOPNOTSUPP;
}

static void __exit imm_caller_exit(void)
{
}
#endif

module_init(imm_caller_init);
module_exit(imm_caller_exit);

MODULE_DESCRIPTION("Lets a guest reach KVM's functions for MSR_IMM by CPUID");
MODULE_LICENSE("GPL");
