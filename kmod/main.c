// SPDX-License-Identifier: GPL-2.0
/*
 * msrguard: the host administrator's policy for guests' model-specific registers.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

#include "guard.h"
#include "kvm/access.h"
#include "kvm/hooks.h"
#include "kvm/symbols.h"
#include "kvm/verify.h"
#include "kvm/vm.h"
#include "report/report.h"
#include "sysfs.h"

static char *mode = "enforce";
module_param(mode, charp, 0);
MODULE_PARM_DESC(mode, "off, audit or enforce (default); sysfs changes it later");

static bool direct = true;
module_param(direct, bool, 0444);
MODULE_PARM_DESC(direct, "hook by direct calls (default); 0: by callbacks, beside which BPF programs can attach");

static const struct mg_report_source report_source = {
	.status = mg_guard_status,
	.vms = mg_vm_rows,
	.rule = mg_guard_rule,
	.unattributed = mg_access_unattributed,
	.verify = mg_verify_vm,
};

/*
 * Backwards, with one step more: once nobody is inside a hook that decides, the vCPUs compute
 * their bitmaps by KVM's own rules again.
 */
static void take_down(void)
{
	mg_guard_disarm();
	mg_hooks_detach_trampolines();
	/* What comes online meanwhile may not have met the observers, so it waits first. */
	mg_vm_wait_for_creations();
	mg_vm_recalc_all();
	mg_hooks_detach_observers();
	/* Listeners get what is pending before they go. */
	mg_vm_tell_pending();
	mg_report_unregister();
	mg_verify_exit();
	mg_vm_exit();
	mg_report_exit();
	mg_guard_exit();
}

/*
 * The order: the state that the hooks read, the hooks, the files by which root changes the state,
 * and last the channel that others ask: a dump that is under way keeps nobody from freeing a
 * module whose init fails. Nothing is guarded until a policy is loaded.
 */
static int __init msrguard_init(void)
{
	int wanted_mode = mg_mode_parse(mode);
	int err;

	if (wanted_mode < 0) {
		pr_err("unknown mode \"%s\": expected off, audit or enforce\n", mode);
		return wanted_mode;
	}
	err = mg_symbols_resolve();
	if (err)
		return err;
	err = mg_guard_init(wanted_mode);
	if (err)
		return err;
	err = mg_report_init();
	if (err)
		goto exit_guard;
	err = mg_hooks_attach(direct);
	if (err)
		goto exit_report;
	err = mg_sysfs_init();
	if (err) {
		/* Some of the files were there, so root may have changed something already. */
		pr_err("cannot create /sys/kernel/msrguard: error %d\n", err);
		goto undo;
	}
	err = mg_report_register(&report_source);
	if (err)
		goto exit_sysfs;
	pr_info("all %d hooks attached, mode %s, nothing guarded until a policy is loaded\n",
		mg_hooks_nr(), mg_mode_name(wanted_mode));
	return 0;

exit_sysfs:
	mg_sysfs_exit();
undo:
	take_down();
	return err;
exit_report:
	mg_report_exit();
exit_guard:
	mg_guard_exit();
	return err;
}

static void __exit msrguard_exit(void)
{
	mg_sysfs_exit();
	take_down();
}

module_init(msrguard_init);
module_exit(msrguard_exit);

MODULE_AUTHOR("The msrguard developers");
MODULE_DESCRIPTION("Host policy for guests' model-specific registers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
