// SPDX-License-Identifier: GPL-2.0
/*
 * Takes a function's place for a hook and does nothing with it: parameter "function" names it (or
 * several, with commas between), "kind" is ipmodify (as a live patch takes it), direct (a direct
 * call that stands alone) or shared (a direct call beside which others may change the instruction
 * pointer, as BPF has it).
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/linkage.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/version.h>

static char *function;
module_param(function, charp, 0);
MODULE_PARM_DESC(function, "name of the function, or several, with commas between");

static char *kind = "ipmodify";
module_param(kind, charp, 0);
MODULE_PARM_DESC(kind, "ipmodify, direct or shared");

static bool is_direct;

static void notrace squat_ipmodify(unsigned long ip, unsigned long parent_ip,
				   struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
}

/* Returns into the function it was called from, or to where others want that call to go. */
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

#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
static int share(struct ftrace_ops *direct, enum ftrace_ops_cmd command)
#else
static int share(struct ftrace_ops *direct, unsigned long ip, enum ftrace_ops_cmd command)
#endif
{
	return 0;
}

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

/*
 * Not by ftrace_set_filter(), which makes the name of each function there is to compare it. The
 * probe is disabled, so nothing is put into the function.
 */
static int __init add_function(const char *name)
{
	struct kprobe probe = { .symbol_name = name, .flags = KPROBE_FLAG_DISABLED };
	int err = register_kprobe(&probe);

	if (err)
		return err;
	err = ftrace_set_filter_ip(&ops, (unsigned long)probe.addr, 0, 0);
	unregister_kprobe(&probe);
	return err;
}

static int __init squatter_init(void)
{
	bool is_shared = !strcmp(kind, "shared");
	char *names = function, *name;
	int err = 0;

	is_direct = is_shared || !strcmp(kind, "direct");
	if (!function || (!is_direct && strcmp(kind, "ipmodify")))
		return -EINVAL;
	if (is_shared)
		ops.ops_func = share;
	while (!err && (name = strsep(&names, ",")))
		err = add_function(name);
	if (!err && is_direct) {
		err = take_direct();
	} else if (!err) {
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
