// SPDX-License-Identifier: GPL-2.0
/*
 * Has KVM say that it lets the hardware virtualise guests' APICs, while this module is loaded, on
 * hosts that cannot. Only for moments without a vCPU: KVM believes its own variable.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/static_call.h>

DEFINE_STATIC_CALL_NULL(lookup_name, kallsyms_lookup_name);

static bool *enable_apicv;
static bool was;

static int __init apicv_on_init(void)
{
	struct kprobe probe = { .symbol_name = "kallsyms_lookup_name" };
	int err;

	err = register_kprobe(&probe);
	if (err)
		return err;
	static_call_update(lookup_name,
			   (typeof(STATIC_CALL_TRAMP(lookup_name)) *)(void *)probe.addr);
	unregister_kprobe(&probe);
	enable_apicv = (bool *)static_call(lookup_name)("kvm:enable_apicv");
	if (!enable_apicv) {
		pr_err("kvm.ko has no enable_apicv\n");
		return -ENOENT;
	}
	was = READ_ONCE(*enable_apicv);
	WRITE_ONCE(*enable_apicv, true);
	return 0;
}

static void __exit apicv_on_exit(void)
{
	WRITE_ONCE(*enable_apicv, was);
}

module_init(apicv_on_init);
module_exit(apicv_on_exit);

MODULE_DESCRIPTION("Has KVM say that APICs are virtualised by the hardware");
MODULE_LICENSE("GPL");
