// SPDX-License-Identifier: GPL-2.0
/*
 * Does one wrong thing when it is loaded, to see that a debug host notices. For the emulated
 * hosts only.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timer.h>
#include <linux/vmalloc.h>

static char *bug = "none";
module_param(bug, charp, 0);
MODULE_PARM_DESC(bug, "which one, see the table");

/* What the compiler must not see through. */
static noinline u8 byte_of(const u8 *memory, size_t i)
{
	return memory[i];
}

static void use_after_free(void)
{
	u8 *memory = kzalloc(100, GFP_KERNEL);

	kfree(memory);
	pr_info("a freed byte: %u\n", byte_of(memory, 10));
}

static void out_of_bounds(void)
{
	u8 *memory = vzalloc(100);

	pr_info("a byte too far: %u\n", byte_of(memory, 100));
	vfree(memory);
}

static DEFINE_SPINLOCK(spin);

static void sleep_in_atomic(void)
{
	spin_lock(&spin);
	msleep(20);
	spin_unlock(&spin);
}

static DEFINE_MUTEX(a);
static DEFINE_MUTEX(b);

static void ab_ba(void)
{
	mutex_lock(&a);
	mutex_lock(&b);
	mutex_unlock(&b);
	mutex_unlock(&a);
	mutex_lock(&b);
	mutex_lock(&a);
	mutex_unlock(&a);
	mutex_unlock(&b);
}

static int published_value;
static int __rcu *published = (int __rcu *)&published_value;

static void rcu_outside(void)
{
	pr_info("read without being a reader: %d\n", *rcu_dereference(published));
}

static void on_timer(struct timer_list *timer)
{
}

static void free_active_timer(void)
{
	struct timer_list *timer = kmalloc(sizeof(*timer), GFP_KERNEL);

	/* Without a function it would be one that has been shut down, and is never queued. */
	timer_setup(timer, on_timer, 0);
	mod_timer(timer, jiffies + 1000 * HZ);
	kfree(timer);
}

static void lose_memory(void)
{
	void *volatile memory = kmalloc(77, GFP_KERNEL);

	memory = NULL;
	(void)memory;
}

static unsigned long shared;

static int racer(void *unused)
{
	while (!kthread_should_stop()) {
		unsigned int i;

		for (i = 0; i < 1000; i++)
			shared++;
		cond_resched();
	}
	return 0;
}

static void race_for_data(void)
{
	struct task_struct *threads[2];
	unsigned int i;

	for (i = 0; i < 2; i++)
		threads[i] = kthread_run(racer, NULL, "seeded/%u", i);
	msleep(5000);
	for (i = 0; i < 2; i++)
		if (!IS_ERR(threads[i]))
			kthread_stop(threads[i]);
}

static const struct {
	const char *name;
	void (*commit)(void);
} bugs[] = {
	{ "use-after-free", use_after_free },
	{ "out-of-bounds", out_of_bounds },
	{ "sleep-in-atomic", sleep_in_atomic },
	{ "ab-ba", ab_ba },
	{ "rcu-outside", rcu_outside },
	{ "free-active-timer", free_active_timer },
	{ "lose-memory", lose_memory },
	{ "data-race", race_for_data },
};

static int __init seeded_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bugs); i++) {
		if (!strcmp(bug, bugs[i].name)) {
			bugs[i].commit();
			return 0;
		}
	}
	return -EINVAL;
}

static void __exit seeded_exit(void)
{
}

module_init(seeded_init);
module_exit(seeded_exit);

MODULE_DESCRIPTION("Seeded bugs, to see that a debug host finds them");
MODULE_LICENSE("GPL");
