// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/msrguard: mode, hooks, counters, VMs. See Documentation/ABI/testing.
 */
#include <linux/kobject.h>
#include <linux/mm.h>
#include <linux/seq_buf.h>
#include <linux/string.h>

#include "guard.h"
#include "kvm/access.h"
#include "kvm/compat.h"
#include "kvm/hooks.h"
#include "kvm/vm.h"
#include "report/report.h"
#include "sysfs.h"

/* One line a VM of some 210 bytes; a host with more VMs than this holds is not made yet. */
#define VM_LIST_MAX	(16u << 20)

static struct kobject *root;

static ssize_t mode_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct mg_status status;

	mg_guard_status(&status);
	return sysfs_emit(buf, "%s\n", mg_mode_name(status.mode));
}

static ssize_t mode_store(struct kobject *kobj, struct kobj_attribute *attr, const char *buf,
			  size_t count)
{
	int mode = mg_mode_parse(buf);
	int err;

	if (mode < 0)
		return mode;
	err = mg_guard_set_mode(mode);
	return err ?: count;
}

static struct kobj_attribute mode_attr = __ATTR(mode, 0600, mode_show, mode_store);

static ssize_t hooks_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return mg_hooks_show(buf);
}

static struct kobj_attribute hooks_attr = __ATTR(hooks, 0400, hooks_show, NULL);

static struct attribute *root_attrs[] = {
	&mode_attr.attr,
	&hooks_attr.attr,
	NULL,
};

static const struct attribute_group root_group = {
	.attrs = root_attrs,
};

/* stats/: one number a file. */
struct stat_attribute {
	struct kobj_attribute attr;
	u64 (*value)(void);
	enum mg_counter counter;
};

static ssize_t stat_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	const struct stat_attribute *stat = container_of(attr, struct stat_attribute, attr);

	return sysfs_emit(buf, "%llu\n",
			  stat->value ? stat->value() : mg_account_counter(NULL, stat->counter));
}

#define STAT_COUNTER(_name, _counter)					\
	static struct stat_attribute stat_##_name = {			\
		.attr = __ATTR(_name, 0400, stat_show, NULL),		\
		.counter = _counter,					\
	}

#define STAT_VALUE(_name, _value)					\
	static struct stat_attribute stat_##_name = {			\
		.attr = __ATTR(_name, 0400, stat_show, NULL),		\
		.value = _value,					\
	}

STAT_COUNTER(reads, MG_COUNT_READS);
STAT_COUNTER(writes, MG_COUNT_WRITES);
STAT_COUNTER(denied, MG_COUNT_DENIED);
STAT_COUNTER(dropped, MG_COUNT_DROPPED);
STAT_COUNTER(masked, MG_COUNT_MASKED);
STAT_COUNTER(audited, MG_COUNT_AUDITED);
STAT_COUNTER(quiet, MG_COUNT_QUIET);
STAT_COUNTER(overflowed, MG_COUNT_OVERFLOWED);
STAT_VALUE(sequence, mg_report_seq);
STAT_VALUE(pending, mg_report_pending);
STAT_VALUE(lost, mg_report_accesses_lost);
STAT_VALUE(events_sent, mg_report_sent);
STAT_VALUE(events_lost, mg_report_lost);
STAT_VALUE(unattributed, mg_access_unattributed);

static struct attribute *stats_attrs[] = {
	&stat_reads.attr.attr,
	&stat_writes.attr.attr,
	&stat_denied.attr.attr,
	&stat_dropped.attr.attr,
	&stat_masked.attr.attr,
	&stat_audited.attr.attr,
	&stat_quiet.attr.attr,
	&stat_overflowed.attr.attr,
	&stat_sequence.attr.attr,
	&stat_pending.attr.attr,
	&stat_lost.attr.attr,
	&stat_events_sent.attr.attr,
	&stat_events_lost.attr.attr,
	&stat_unattributed.attr.attr,
	NULL,
};

static const struct attribute_group stats_group = {
	.name = "stats",
	.attrs = stats_attrs,
};

/* events/: how events are told. */
static ssize_t window_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", mg_report_window());
}

static ssize_t window_store(struct kobject *kobj, struct kobj_attribute *attr, const char *buf,
			    size_t count)
{
	unsigned int ms;
	int err;

	err = kstrtouint(buf, 10, &ms);
	if (!err)
		err = mg_report_set_window(ms);
	return err ?: count;
}

static struct kobj_attribute window_attr = __ATTR(window, 0600, window_show, window_store);

static struct attribute *events_attrs[] = {
	&window_attr.attr,
	NULL,
};

static const struct attribute_group events_group = {
	.name = "events",
	.attrs = events_attrs,
};

static ssize_t vm_list_read(struct file *file, struct kobject *kobj, mg_bin_attribute *attr,
			    char *buf, loff_t offset, size_t count)
{
	size_t size = PAGE_SIZE;
	struct seq_buf out;
	ssize_t ret;
	char *text;

	for (;;) {
		text = kvmalloc(size, GFP_KERNEL_ACCOUNT);
		if (!text)
			return -ENOMEM;
		seq_buf_init(&out, text, size);
		ret = mg_vm_list(&out);
		if (!ret && !seq_buf_has_overflowed(&out))
			break;
		kvfree(text);
		if (ret)
			return ret;
		if (size >= VM_LIST_MAX)
			return -E2BIG;
		size *= 2;
	}
	ret = memory_read_from_buffer(buf, count, &offset, text, out.len);
	kvfree(text);
	return ret;
}

static struct bin_attribute vm_list_attr = __BIN_ATTR(list, 0400, vm_list_read, NULL, 0);

static mg_bin_attribute *vms_attrs[] = {
	&vm_list_attr,
	NULL,
};

static const struct attribute_group vms_group = {
	.name = "vms",
	.bin_attrs = vms_attrs,
};

static const struct attribute_group *groups[] = {
	&root_group,
	&mg_sysfs_policy_group,
	&mg_sysfs_rules_group,
	&stats_group,
	&events_group,
	&vms_group,
	NULL,
};

int mg_sysfs_init(void)
{
	int err;

	root = kobject_create_and_add("msrguard", kernel_kobj);
	if (!root)
		return -ENOMEM;
	err = sysfs_create_groups(root, groups);
	if (err) {
		kobject_put(root);
		mg_sysfs_policy_exit();
	}
	return err;
}

void mg_sysfs_exit(void)
{
	sysfs_remove_groups(root, groups);
	kobject_put(root);
	mg_sysfs_policy_exit();
}
