// SPDX-License-Identifier: GPL-2.0
/*
 * Takes a function's place for a hook and does nothing with it: parameter "function" names
 * it, "kind" is ipmodify (as a live patch takes it) or direct (as a BPF program does).
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ftrace.h>
#include <linux/linkage.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/version.h>

static char *function;
module_param(function, charp, 0);
MODULE_PARM_DESC(function, "name of the function");

static char *kind = "ipmodify";
module_param(kind, charp, 0);
MODULE_PARM_DESC(kind, "ipmodify or direct");

static bool is_direct;

static void notrace squat_ipmodify(unsigned long ip, unsigned long parent_ip,
				   struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
}

/* Returns into the function it was called from. */
void squat_direct(void);
asm(".pushsection .text\n"
	".balign 16\n"
	".globl squat_direct\n"
	".type squat_direct, @function\n"
	"squat_direct:\n"
	ASM_ENDBR
	ASM_RET
	".size squat_direct, . - squat_direct\n"
	".popsection\n");

static struct ftrace_ops ops;

static int take_direct(void)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
	return register_ftrace_direct_multi(&ops, (unsigned long)squat_direct);
#else
	return register_ftrace_direct(&ops, (unsigned long)squat_direct);
#endif
}

static void leave_direct(void)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
	unregister_ftrace_direct_multi(&ops, (unsigned long)squat_direct);
#else
	unregister_ftrace_direct(&ops, (unsigned long)squat_direct, false);
#endif
}

static int __init squatter_init(void)
{
	int err;

	is_direct = !strcmp(kind, "direct");
	if (!function || (!is_direct && strcmp(kind, "ipmodify")))
		return -EINVAL;
	err = ftrace_set_filter(&ops, function, strlen(function), 1);
	if (err)
		return err;
	if (is_direct) {
		err = take_direct();
	} else {
		ops.func = squat_ipmodify;
		ops.flags = FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_SAVE_REGS;
		err = register_ftrace_function(&ops);
	}
	if (err)
		ftrace_free_filter(&ops);
	return err;
}

static void __exit squatter_exit(void)
{
	if (is_direct)
		leave_direct();
	else
		unregister_ftrace_function(&ops);
	ftrace_free_filter(&ops);
}

module_init(squatter_init);
module_exit(squatter_exit);

MODULE_DESCRIPTION("Takes a function's place for a hook");
MODULE_LICENSE("GPL");
