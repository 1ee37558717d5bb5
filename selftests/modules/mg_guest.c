// SPDX-License-Identifier: GPL-2.0
/*
 * For the real guest: a module with a WRMSR of its own, so that an access can be told from one of
 * the kernel's. Writing "MSR VALUE", both hexadecimal, to its parameter "wrmsr" does it; the write
 * fails with -EIO if the instruction faults.
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <asm/asm.h>

static int set_wrmsr(const char *text, const struct kernel_param *kp)
{
	int err = -EIO;
	u64 value;
	u32 msr;

	if (sscanf(text, "%x %llx", &msr, &value) != 2)
		return -EINVAL;
	asm volatile("1:	wrmsr\n"
		     "	xorl	%[err], %[err]\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     : [err] "+r" (err)
		     : "c" (msr), "a" ((u32)value), "d" ((u32)(value >> 32))
		     : "memory");
	return err;
}

static const struct kernel_param_ops wrmsr_ops = {
	.set = set_wrmsr,
};

module_param_cb(wrmsr, &wrmsr_ops, NULL, 0200);
MODULE_PARM_DESC(wrmsr, "an MSR and a value to write to it");

MODULE_DESCRIPTION("msrguard's test guest: a WRMSR in a module");
MODULE_LICENSE("GPL");
