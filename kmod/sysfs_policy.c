// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/msrguard/policy and rules: how text becomes the policy in force.
 *
 * A policy is larger than one write, so it is staged first (policy/load) and validated and
 * published as a whole then (policy/commit). What is staged belongs to the process that wrote
 * it, as long as it lives: two writers at once cannot mix their texts, nor one commit what the
 * other has staged. A shell that stages with cat and commits with echo works too, because cat
 * is gone by then.
 */
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#include "guard.h"
#include "kvm/compat.h"
#include "sysfs.h"

/**
 * struct staged - text on its way to become a policy
 * @lock:     protects the rest
 * @text:     the buffer
 * @len:      bytes used of it
 * @capacity: bytes there are
 * @owner:    thread group that staged it; NULL if nothing is staged
 */
static struct staged {
	struct mutex lock;
	char *text;
	size_t len;
	size_t capacity;
	struct pid *owner;
} staged = {
	.lock = __MUTEX_INITIALIZER(staged.lock),
};

static void discard(void)
{
	lockdep_assert_held(&staged.lock);
	kvfree(staged.text);
	put_pid(staged.owner);
	staged.text = NULL;
	staged.len = 0;
	staged.capacity = 0;
	staged.owner = NULL;
}

/* Whether somebody else, who still runs, has staged something. */
static bool owned_by_other(void)
{
	struct task_struct *leader;
	bool alive;

	if (!staged.owner || staged.owner == task_tgid(current))
		return false;
	rcu_read_lock();
	leader = pid_task(staged.owner, PIDTYPE_TGID);
	/* One that has ended and is not reaped yet does not count. */
	alive = leader && atomic_read(&leader->signal->live);
	rcu_read_unlock();
	return alive;
}

static int refuse_other(void)
{
	char reason[MG_REASON_LEN];

	snprintf(reason, sizeof(reason),
		 "process %d is staging a policy; nothing of this one's was taken",
		 pid_nr(staged.owner));
	mg_guard_refuse(reason);
	return -EBUSY;
}

static int reserve(size_t needed)
{
	size_t capacity = max_t(size_t, PAGE_SIZE, staged.capacity);
	char *text;

	if (needed <= staged.capacity)
		return 0;
	while (capacity < needed)
		capacity *= 2;
	text = kvmalloc(capacity, GFP_KERNEL_ACCOUNT);
	if (!text) {
		mg_guard_refuse("out of memory for the policy's text; what was staged is gone");
		return -ENOMEM;
	}
	if (staged.len)
		memcpy(text, staged.text, staged.len);
	kvfree(staged.text);
	staged.text = text;
	staged.capacity = capacity;
	return 0;
}

static int stage(const char *buf, loff_t offset, size_t count)
{
	int err;

	if (owned_by_other())
		return refuse_other();
	if (offset == 0) {
		discard();
		staged.owner = get_pid(task_tgid(current));
	}
	if (!staged.owner || offset != staged.len) {
		discard();
		mg_guard_refuse("policy/load takes one text in consecutive writes; what was staged is gone");
		return -EINVAL;
	}
	if (count > MG_POLICY_TEXT_MAX - staged.len) {
		discard();
		mg_guard_refuse("the policy's text is longer than 32 MiB; what was staged is gone");
		return -EFBIG;
	}
	err = reserve(staged.len + count);
	if (err) {
		discard();
		return err;
	}
	memcpy(staged.text + staged.len, buf, count);
	staged.len += count;
	return 0;
}

static ssize_t load_write(struct file *file, struct kobject *kobj, mg_bin_attribute *attr,
			  char *buf, loff_t offset, size_t count)
{
	int err;

	mutex_lock(&staged.lock);
	err = stage(buf, offset, count);
	mutex_unlock(&staged.lock);
	return err ?: count;
}

static int commit(bool publish)
{
	int err = 0;

	if (owned_by_other())
		return refuse_other();
	if (publish) {
		if (staged.owner) {
			err = mg_guard_commit(staged.text, staged.len);
		} else {
			mg_guard_refuse("nothing is staged; write the policy's text to policy/load first");
			err = -ENODATA;
		}
	}
	discard();
	return err;
}

static ssize_t commit_store(struct kobject *kobj, struct kobj_attribute *attr, const char *buf,
			    size_t count)
{
	bool publish;
	int err;

	if (sysfs_streq(buf, "1")) {
		publish = true;
	} else if (sysfs_streq(buf, "0")) {
		publish = false;
	} else {
		mg_guard_refuse("policy/commit takes 1 (validate and publish) or 0 (discard)");
		return -EINVAL;
	}
	mutex_lock(&staged.lock);
	err = commit(publish);
	mutex_unlock(&staged.lock);
	return err ?: count;
}

static ssize_t active_read(struct file *file, struct kobject *kobj, mg_bin_attribute *attr,
			   char *buf, loff_t offset, size_t count)
{
	return mg_guard_read_text(buf, offset, count);
}

static ssize_t error_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return mg_guard_error(buf);
}

static ssize_t generation_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct mg_status status;

	mg_guard_status(&status);
	return sysfs_emit(buf, "%llu\n", status.generation);
}

static ssize_t hash_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct mg_status status;

	mg_guard_status(&status);
	return sysfs_emit(buf, "%*phN\n", MG_HASH_LEN, status.hash);
}

static ssize_t warnings_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return mg_guard_warnings(buf);
}

static struct kobj_attribute commit_attr = __ATTR(commit, 0200, NULL, commit_store);
static struct kobj_attribute error_attr = __ATTR(error, 0400, error_show, NULL);
static struct kobj_attribute warnings_attr = __ATTR(warnings, 0400, warnings_show, NULL);
static struct kobj_attribute generation_attr = __ATTR(generation, 0400, generation_show, NULL);
static struct kobj_attribute hash_attr = __ATTR(hash, 0400, hash_show, NULL);
static struct bin_attribute load_attr = __BIN_ATTR(load, 0200, NULL, load_write, 0);
static struct bin_attribute active_attr = __BIN_ATTR(active, 0400, active_read, NULL, 0);

static struct attribute *policy_attrs[] = {
	&commit_attr.attr,
	&error_attr.attr,
	&warnings_attr.attr,
	&generation_attr.attr,
	&hash_attr.attr,
	NULL,
};

static mg_bin_attribute *policy_bin_attrs[] = {
	&load_attr,
	&active_attr,
	NULL,
};

const struct attribute_group mg_sysfs_policy_group = {
	.name = "policy",
	.attrs = policy_attrs,
	.bin_attrs = policy_bin_attrs,
};

static ssize_t add_store(struct kobject *kobj, struct kobj_attribute *attr, const char *buf,
			 size_t count)
{
	int err = mg_guard_add_rule(buf, count);

	return err ?: count;
}

static ssize_t remove_store(struct kobject *kobj, struct kobj_attribute *attr, const char *buf,
			    size_t count)
{
	int err = mg_guard_remove_rule(buf, count);

	return err ?: count;
}

static struct kobj_attribute add_attr = __ATTR(add, 0200, NULL, add_store);
static struct kobj_attribute remove_attr = __ATTR(remove, 0200, NULL, remove_store);

static struct attribute *rules_attrs[] = {
	&add_attr.attr,
	&remove_attr.attr,
	NULL,
};

const struct attribute_group mg_sysfs_rules_group = {
	.name = "rules",
	.attrs = rules_attrs,
};

void mg_sysfs_policy_exit(void)
{
	mutex_lock(&staged.lock);
	discard();
	mutex_unlock(&staged.lock);
}
