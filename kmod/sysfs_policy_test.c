// SPDX-License-Identifier: GPL-2.0
/*
 * Staging a policy: who may, in which order, and what is left after each refusal. The files'
 * functions are called as sysfs calls them; what they publish is real.
 *
 * Runs as a module in a kernel with KUnit, see selftests/kunit.sh.
 */
#include <linux/completion.h>
#include <linux/kobject.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/string.h>

#include <kunit/test.h>

#include "guard.h"
#include "kvm/compat.h"
#include "sysfs.h"

#define POLICY_A	"default allow allow\n0x10 deny deny\n"
#define POLICY_B	"default allow allow\n0x20 deny deny\n0x30 deny deny\n"

static mg_bin_attribute *bin_attr(const char *name)
{
	unsigned int i;

	for (i = 0; mg_sysfs_policy_group.bin_attrs[i]; i++)
		if (!strcmp(mg_sysfs_policy_group.bin_attrs[i]->attr.name, name))
			return mg_sysfs_policy_group.bin_attrs[i];
	return NULL;
}

static struct kobj_attribute *attr(const struct attribute_group *group, const char *name)
{
	unsigned int i;

	for (i = 0; group->attrs[i]; i++)
		if (!strcmp(group->attrs[i]->name, name))
			return container_of(group->attrs[i], struct kobj_attribute, attr);
	return NULL;
}

static ssize_t load_at(const char *text, loff_t offset, size_t count)
{
	mg_bin_attribute *load = bin_attr("load");

	return load->write(NULL, NULL, load, (char *)text, offset, count);
}

static ssize_t load(const char *text)
{
	return load_at(text, 0, strlen(text));
}

static ssize_t store(const struct attribute_group *group, const char *name, const char *text)
{
	struct kobj_attribute *file = attr(group, name);

	return file->store(NULL, file, text, strlen(text));
}

static ssize_t commit(const char *text)
{
	return store(&mg_sysfs_policy_group, "commit", text);
}

static u32 nr_rules(void)
{
	struct mg_status status;

	mg_guard_status(&status);
	return status.rules;
}

static void expect_error(struct kunit *test, const char *part)
{
	struct kobj_attribute *file = attr(&mg_sysfs_policy_group, "error");
	char *page = (char *)__get_free_page(GFP_KERNEL | __GFP_ZERO);

	KUNIT_ASSERT_NOT_NULL(test, page);
	file->show(NULL, file, page);
	if (part[0])
		KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(page, part), "\"%s\" in \"%s\"", part, page);
	else
		KUNIT_EXPECT_STREQ(test, page, "");
	free_page((unsigned long)page);
}

static void in_one_write(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, load(POLICY_A), strlen(POLICY_A));
	KUNIT_EXPECT_EQ(test, nr_rules(), 0);
	KUNIT_EXPECT_EQ(test, commit("1\n"), 2);
	KUNIT_EXPECT_EQ(test, nr_rules(), 1);
	expect_error(test, "");
	/* It was taken. */
	KUNIT_EXPECT_EQ(test, commit("1"), -ENODATA);
	expect_error(test, "nothing is staged");
	KUNIT_EXPECT_EQ(test, nr_rules(), 1);
}

static void byte_by_byte(struct kunit *test)
{
	size_t i;

	for (i = 0; i < strlen(POLICY_B); i++)
		KUNIT_ASSERT_EQ(test, load_at(POLICY_B + i, i, 1), 1);
	KUNIT_EXPECT_EQ(test, commit("1"), 1);
	KUNIT_EXPECT_EQ(test, nr_rules(), 2);
}

/* Across the pages by which the buffer grows. */
static void larger_than_its_buffer(struct kunit *test)
{
	size_t room = 5 * PAGE_SIZE, len = 0, at;
	char *text = kunit_kzalloc(test, room, GFP_KERNEL);
	u32 nr = 0;

	KUNIT_ASSERT_NOT_NULL(test, text);
	len = scnprintf(text, room, "default allow allow\n");
	while (len < room - 64)
		len += scnprintf(text + len, room - len, "0x%x deny deny\n", nr++);
	for (at = 0; at < len; at += 1000)
		KUNIT_ASSERT_EQ(test, load_at(text + at, at, min(len - at, 1000)),
				min(len - at, 1000));
	KUNIT_EXPECT_EQ(test, commit("1"), 1);
	KUNIT_EXPECT_EQ(test, nr_rules(), nr);
}

static void a_gap_drops_all(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, load(POLICY_A), strlen(POLICY_A));
	KUNIT_EXPECT_EQ(test, load_at("x", strlen(POLICY_A) + 1, 1), -EINVAL);
	expect_error(test, "consecutive");
	KUNIT_EXPECT_EQ(test, commit("1"), -ENODATA);
	/* Nothing to go on from. */
	KUNIT_EXPECT_EQ(test, load_at("x", 5, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, nr_rules(), 0);
}

static void starting_again_forgets(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, load("nonsense"), 8);
	KUNIT_ASSERT_EQ(test, load(POLICY_B), strlen(POLICY_B));
	KUNIT_EXPECT_EQ(test, commit("1"), 1);
	KUNIT_EXPECT_EQ(test, nr_rules(), 2);
}

static void refused_or_discarded_is_gone(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, load("nonsense"), 8);
	KUNIT_EXPECT_EQ(test, commit("1"), -EINVAL);
	expect_error(test, "1:1: ");
	KUNIT_EXPECT_EQ(test, commit("1"), -ENODATA);
	KUNIT_ASSERT_EQ(test, load(POLICY_A), strlen(POLICY_A));
	KUNIT_EXPECT_EQ(test, commit("0"), 1);
	KUNIT_EXPECT_EQ(test, commit("1"), -ENODATA);
	KUNIT_EXPECT_EQ(test, nr_rules(), 0);
}

static void commit_takes_one_or_nought(struct kunit *test)
{
	static const char *const bad[] = { "", "2", "yes", "11", "1 " };
	unsigned int i;

	KUNIT_ASSERT_EQ(test, load(POLICY_A), strlen(POLICY_A));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_EQ_MSG(test, commit(bad[i]), -EINVAL, "\"%s\"", bad[i]);
	expect_error(test, "policy/commit takes 1");
	/* What is staged is still there. */
	KUNIT_EXPECT_EQ(test, commit("1"), 1);
	KUNIT_EXPECT_EQ(test, nr_rules(), 1);
}

static void too_long_is_refused(struct kunit *test)
{
	/* It looks at the length before it reads a byte. */
	KUNIT_EXPECT_EQ(test, load_at("x", 0, MG_POLICY_TEXT_MAX + 1), -EFBIG);
	expect_error(test, "32 MiB");
	KUNIT_EXPECT_EQ(test, commit("1"), -ENODATA);
	KUNIT_ASSERT_EQ(test, load("x"), 1);
	KUNIT_EXPECT_EQ(test, load_at("x", 1, SIZE_MAX), -EFBIG);
	KUNIT_EXPECT_EQ(test, commit("1"), -ENODATA);
}

struct other {
	struct completion staged;
	ssize_t err;
};

static int other_process(void *data)
{
	struct other *other = data;

	other->err = load(POLICY_B);
	complete(&other->staged);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

static void two_processes_do_not_mix(struct kunit *test)
{
	struct task_struct *thread;
	struct other other;

	init_completion(&other.staged);
	thread = kthread_run(other_process, &other, "mg-stage");
	KUNIT_ASSERT_FALSE(test, IS_ERR(thread));
	wait_for_completion(&other.staged);
	KUNIT_EXPECT_EQ(test, other.err, strlen(POLICY_B));

	KUNIT_EXPECT_EQ(test, load(POLICY_A), -EBUSY);
	expect_error(test, "is staging a policy");
	KUNIT_EXPECT_EQ(test, load_at("x", strlen(POLICY_B), 1), -EBUSY);
	KUNIT_EXPECT_EQ(test, commit("1"), -EBUSY);
	KUNIT_EXPECT_EQ(test, commit("0"), -EBUSY);
	KUNIT_EXPECT_EQ(test, nr_rules(), 0);

	/* Once it has ended its text is anybody's to commit: "cat ... > load; echo 1 > commit". */
	kthread_stop(thread);
	KUNIT_EXPECT_EQ(test, commit("1"), 1);
	KUNIT_EXPECT_EQ(test, nr_rules(), 2);
}

static void rules_files(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, store(&mg_sysfs_rules_group, "add", "0x10 deny deny\n"), 15);
	KUNIT_EXPECT_EQ(test, nr_rules(), 1);
	KUNIT_EXPECT_EQ(test, store(&mg_sysfs_rules_group, "add", "0x10 deny deny\n"), -EEXIST);
	KUNIT_EXPECT_EQ(test, store(&mg_sysfs_rules_group, "remove", "0x11\n"), -ENOENT);
	expect_error(test, "0x11");
	KUNIT_EXPECT_EQ(test, store(&mg_sysfs_rules_group, "remove", "0x10\n"), 5);
	KUNIT_EXPECT_EQ(test, nr_rules(), 0);
}

static int staging_test_init(struct kunit *test)
{
	return mg_guard_init(MG_MODE_ENFORCE);
}

static void staging_test_exit(struct kunit *test)
{
	mg_sysfs_policy_exit();
	mg_guard_disarm();
	mg_guard_exit();
}

static struct kunit_case staging_cases[] = {
	KUNIT_CASE(in_one_write),
	KUNIT_CASE(byte_by_byte),
	KUNIT_CASE(larger_than_its_buffer),
	KUNIT_CASE(a_gap_drops_all),
	KUNIT_CASE(starting_again_forgets),
	KUNIT_CASE(refused_or_discarded_is_gone),
	KUNIT_CASE(commit_takes_one_or_nought),
	KUNIT_CASE(too_long_is_refused),
	KUNIT_CASE(two_processes_do_not_mix),
	KUNIT_CASE(rules_files),
	{}
};

static struct kunit_suite staging_suite = {
	.name = "msrguard-staging",
	.init = staging_test_init,
	.exit = staging_test_exit,
	.test_cases = staging_cases,
};

kunit_test_suites(&staging_suite);
