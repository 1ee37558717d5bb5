// SPDX-License-Identifier: GPL-2.0
/*
 * Publishing: what is in force before, during and after a change, and what is freed when.
 *
 * Runs as a module in a kernel with KUnit, see selftests/kunit.sh. Of the vCPUs there is only
 * the call that would reach them.
 */
#include <linux/bitmap.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/string.h>

#include <kunit/test.h>

#include "guard.h"
#include "kvm/vm.h"

/* Both guard @BOTH; each guards one MSR in a window, and one outside, that the other does not. */
#define POLICY_A	"default allow allow\n0x10 deny deny\n0xc0000082 deny deny\n" \
			"0x12345678 allow deny\n"
#define POLICY_B	"default allow allow\n0x10 drop drop\n0xc0010117 deny deny\n" \
			"0x12345678 deny allow\n"
#define BOTH		0x10
#define ONLY_A		0xc0000082
#define ONLY_B		0xc0010117
#define OUTSIDE		0x12345678

#define FLIPS		400

/* What the vCPUs would have seen when they were last told to look. */
static struct {
	unsigned int nr;
	struct mg_intercept_map live;
	u64 generation;
	enum mg_mode mode;
} told;

void mg_vm_recalc_all(void)
{
	struct mg_status status;

	mg_guard_status(&status);
	told.nr++;
	told.live = mg_live;
	told.generation = status.generation;
	told.mode = status.mode;
}

static bool apic_is_virtual;

bool mg_kvm_virtualizes_apic(void)
{
	return apic_is_virtual;
}

static bool live(u32 index, enum mg_dir dir)
{
	int bit = mg_map_bit(index);

	if (bit < 0)
		return READ_ONCE(mg_live.outside[dir]);
	return READ_ONCE(mg_live.bits[dir][BIT_WORD(bit)]) & BIT_MASK(bit);
}

static bool live_is_empty(void)
{
	return !memchr_inv(&mg_live, 0, sizeof(mg_live));
}

static int commit(const char *text)
{
	return mg_guard_commit(text, strlen(text));
}

static struct mg_status status(void)
{
	struct mg_status now;

	mg_guard_status(&now);
	return now;
}

/* Error text without its newline; a buffer as sysfs has it. */
static const char *error(struct kunit *test)
{
	char *buf = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	void *page = (void *)__get_free_page(GFP_KERNEL | __GFP_ZERO);

	KUNIT_ASSERT_NOT_NULL(test, buf);
	KUNIT_ASSERT_NOT_NULL(test, page);
	mg_guard_error(page);
	strscpy(buf, strim(page), PAGE_SIZE);
	free_page((unsigned long)page);
	return buf;
}

static void expect_live_is_of(struct kunit *test, const char *text)
{
	struct mg_policy_error err;
	struct mg_policy *policy = mg_policy_parse(text, strlen(text), &err);

	KUNIT_ASSERT_FALSE(test, IS_ERR(policy));
	KUNIT_EXPECT_MEMEQ(test, &mg_live, mg_policy_map(policy), sizeof(mg_live));
	KUNIT_EXPECT_MEMEQ(test, status().hash, mg_policy_hash(policy), MG_HASH_LEN);
	mg_policy_free(policy);
}

static void starts_with_nothing_guarded(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, live_is_empty());
	KUNIT_EXPECT_EQ(test, status().generation, 1);
	KUNIT_EXPECT_EQ(test, status().rules, 0);
	KUNIT_EXPECT_EQ(test, status().mode, MG_MODE_ENFORCE);
	KUNIT_EXPECT_EQ(test, told.nr, 0);
}

static void commit_publishes_before_it_tells(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, commit(POLICY_A), 0);
	expect_live_is_of(test, POLICY_A);
	KUNIT_EXPECT_EQ(test, status().generation, 2);
	KUNIT_EXPECT_EQ(test, status().rules, 3);
	/* Once, and what was to be seen then is what is in force now. */
	KUNIT_EXPECT_EQ(test, told.nr, 1);
	KUNIT_EXPECT_EQ(test, told.generation, 2);
	KUNIT_EXPECT_MEMEQ(test, &told.live, &mg_live, sizeof(mg_live));
	KUNIT_EXPECT_TRUE(test, live(OUTSIDE, MG_WRITE));
	KUNIT_EXPECT_FALSE(test, live(OUTSIDE, MG_READ));

	/* Bits go as well as come. */
	KUNIT_ASSERT_EQ(test, commit(POLICY_B), 0);
	expect_live_is_of(test, POLICY_B);
	KUNIT_EXPECT_EQ(test, told.nr, 2);
	KUNIT_EXPECT_FALSE(test, live(ONLY_A, MG_WRITE));
	KUNIT_EXPECT_FALSE(test, live(OUTSIDE, MG_WRITE));
	KUNIT_EXPECT_TRUE(test, live(OUTSIDE, MG_READ));
}

static void rules_one_by_one(struct kunit *test)
{
	const char *line = "0xc0000082 deny deny\n";

	KUNIT_ASSERT_EQ(test, mg_guard_add_rule(line, strlen(line)), 0);
	KUNIT_EXPECT_TRUE(test, live(ONLY_A, MG_READ));
	KUNIT_EXPECT_EQ(test, mg_guard_add_rule(line, strlen(line)), -EEXIST);
	KUNIT_EXPECT_EQ(test, status().generation, 2);
	KUNIT_EXPECT_NE(test, error(test)[0], '\0');
	KUNIT_ASSERT_EQ(test, mg_guard_remove_rule("0xc0000082", 10), 0);
	KUNIT_EXPECT_STREQ(test, error(test), "");
	KUNIT_EXPECT_TRUE(test, live_is_empty());
	KUNIT_EXPECT_EQ(test, mg_guard_remove_rule("0xc0000082", 10), -ENOENT);
	KUNIT_EXPECT_EQ(test, status().generation, 3);
	KUNIT_EXPECT_EQ(test, told.nr, 2);
}

static void a_refused_text_changes_nothing(struct kunit *test)
{
	static const char *const bad[] = { "", "default allow", POLICY_A "0x10 deny deny\n" };
	unsigned int i;

	KUNIT_ASSERT_EQ(test, commit(POLICY_A), 0);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		KUNIT_EXPECT_EQ(test, commit(bad[i]), -EINVAL);
		KUNIT_EXPECT_NE_MSG(test, error(test)[0], '\0', "text %u", i);
		expect_live_is_of(test, POLICY_A);
		KUNIT_EXPECT_EQ(test, status().generation, 2);
		KUNIT_EXPECT_EQ(test, told.nr, 1);
	}
	mg_guard_refuse("no reason at all");
	KUNIT_EXPECT_STREQ(test, error(test), "0:0: no reason at all");
	KUNIT_ASSERT_EQ(test, commit(POLICY_B), 0);
	KUNIT_EXPECT_STREQ(test, error(test), "");
}

static void off_guards_nothing_and_forgets_nothing(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, commit(POLICY_A), 0);
	KUNIT_ASSERT_EQ(test, mg_guard_set_mode(MG_MODE_OFF), 0);
	KUNIT_EXPECT_TRUE(test, live_is_empty());
	KUNIT_EXPECT_EQ(test, told.nr, 2);
	KUNIT_EXPECT_EQ(test, told.mode, MG_MODE_OFF);
	KUNIT_EXPECT_EQ(test, status().generation, 2);
	/* A policy loaded while it is off guards once it is on. */
	KUNIT_ASSERT_EQ(test, commit(POLICY_B), 0);
	KUNIT_EXPECT_TRUE(test, live_is_empty());
	KUNIT_ASSERT_EQ(test, mg_guard_set_mode(MG_MODE_AUDIT), 0);
	expect_live_is_of(test, POLICY_B);
	KUNIT_EXPECT_EQ(test, status().mode, MG_MODE_AUDIT);
	KUNIT_EXPECT_EQ(test, status().generation, 3);
}

static void disarmed_guards_nothing(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, commit("default deny deny\n"), 0);
	KUNIT_EXPECT_TRUE(test, live(OUTSIDE, MG_READ) && live(BOTH, MG_READ));
	mg_guard_disarm();
	KUNIT_EXPECT_TRUE(test, live_is_empty());
}

/* As many rules as there are x2APIC registers: more than one page of sysfs can say. */
static void warnings_fit_into_a_page(struct kunit *test)
{
	size_t room = 256 * 32, len;
	char *text = kunit_kzalloc(test, room, GFP_KERNEL);
	char *page = (char *)__get_free_page(GFP_KERNEL | __GFP_ZERO);
	unsigned int i, lines = 0;
	int found;

	KUNIT_ASSERT_NOT_NULL(test, text);
	KUNIT_ASSERT_NOT_NULL(test, page);
	len = scnprintf(text, room, "default allow allow\n");
	for (i = 0; i < 256; i++)
		len += scnprintf(text + len, room - len, "0x%x deny deny\n", 0x800 + i);
	KUNIT_EXPECT_EQ(test, commit(text), 0);
	KUNIT_EXPECT_EQ(test, mg_guard_warnings(page), 0);
	apic_is_virtual = true;
	len = mg_guard_warnings(page);
	KUNIT_EXPECT_GT(test, len, PAGE_SIZE / 2);
	KUNIT_EXPECT_LT(test, len, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, len, strlen(page));
	KUNIT_EXPECT_EQ(test, strncmp(page, "2: ", 3), 0);
	for (i = 0; i < len; i++)
		lines += page[i] == '\n';
	/* The last line counts those there was no room for. */
	KUNIT_EXPECT_EQ(test, page[len - 1], '\n');
	page[len - 1] = '\0';
	KUNIT_ASSERT_NOT_NULL(test, strrchr(page, '\n'));
	found = sscanf(strrchr(page, '\n') + 1, "0: %u more", &i);
	KUNIT_EXPECT_EQ(test, found, 1);
	KUNIT_EXPECT_EQ(test, i + lines - 1, 256);

	/* One rule that speaks for two stretches is told of once. */
	KUNIT_EXPECT_EQ(test, commit("0x800-0x8ff deny deny\ndefault allow allow\n"
				     "0x810 allow allow\n"), 0);
	len = mg_guard_warnings(page);
	KUNIT_EXPECT_EQ(test, len, strlen(page));
	KUNIT_EXPECT_EQ(test, strncmp(page, "1: ", 3), 0);
	KUNIT_EXPECT_PTR_EQ(test, strchr(page, '\n'), page + len - 1);
	free_page((unsigned long)page);
}

/* KASAN tells if the rule, or the mode, was freed under the one who is inside. */
static void a_ruling_outlives_its_policy(struct kunit *test)
{
	struct mg_ruling before, after;
	int token;

	KUNIT_ASSERT_EQ(test, commit(POLICY_A), 0);
	token = mg_enter();
	before = mg_guard_ruling(BOTH);
	KUNIT_EXPECT_EQ(test, before.rule->perm[MG_READ].action, MG_DENY);
	/* Nobody waits for us in there, or this would hang. */
	KUNIT_EXPECT_EQ(test, commit(POLICY_B), 0);
	KUNIT_EXPECT_EQ(test, mg_guard_set_mode(MG_MODE_AUDIT), 0);
	KUNIT_EXPECT_EQ(test, commit(POLICY_A), 0);
	msleep(100);
	after = mg_guard_ruling(BOTH);
	KUNIT_EXPECT_EQ(test, before.rule->perm[MG_READ].action, MG_DENY);
	KUNIT_EXPECT_EQ(test, before.rule->first, BOTH);
	KUNIT_EXPECT_EQ(test, before.mode, MG_MODE_ENFORCE);
	KUNIT_EXPECT_EQ(test, before.generation, 2);
	KUNIT_EXPECT_PTR_NE(test, before.rule, after.rule);
	KUNIT_EXPECT_EQ(test, after.mode, MG_MODE_AUDIT);
	KUNIT_EXPECT_EQ(test, after.generation, 4);
	mg_leave(token);
	/* What was replaced is freed now; what is in force stays. */
	srcu_barrier(&mg_srcu);
	token = mg_enter();
	after = mg_guard_ruling(BOTH);
	KUNIT_EXPECT_EQ(test, after.rule->first, BOTH);
	mg_leave(token);
}

/* A policy shared by several modes is freed once, with the last of them. */
static void modes_share_a_policy(struct kunit *test)
{
	static const enum mg_mode modes[] = { MG_MODE_OFF, MG_MODE_AUDIT, MG_MODE_ENFORCE };
	unsigned int i;

	KUNIT_ASSERT_EQ(test, commit(POLICY_A), 0);
	for (i = 0; i < 30; i++) {
		KUNIT_ASSERT_EQ(test, mg_guard_set_mode(modes[i % 3]), 0);
		if (i % 10 == 9)
			srcu_barrier(&mg_srcu);
	}
	expect_live_is_of(test, POLICY_A);
	KUNIT_EXPECT_EQ(test, status().generation, 2);
	KUNIT_ASSERT_EQ(test, commit(POLICY_B), 0);
	srcu_barrier(&mg_srcu);
	expect_live_is_of(test, POLICY_B);
}

struct watch {
	unsigned long looks;
	unsigned long open;	/* times that what both policies guard was not */
	unsigned long torn;	/* rulings that no policy gave */
	unsigned long backwards;	/* times that an older policy came after a newer one */
};

/* What a vCPU does, as fast as it can. Odd generations are of one policy, even ones of the other. */
static int watch_thread(void *data)
{
	struct watch *watch = data;
	u64 last = 0;

	while (!kthread_should_stop()) {
		struct mg_ruling ruling;
		enum mg_action wanted;
		int token = mg_enter();

		if (!live(BOTH, MG_READ) || !live(BOTH, MG_WRITE))
			watch->open++;
		ruling = mg_guard_ruling(BOTH);
		wanted = ruling.generation & 1 ? MG_DROP : MG_DENY;
		if (ruling.rule->first != BOTH || ruling.rule->perm[MG_READ].action != wanted ||
		    ruling.mode == MG_MODE_OFF)
			watch->torn++;
		if (ruling.generation < last)
			watch->backwards++;
		last = ruling.generation;
		mg_leave(token);
		watch->looks++;
		cond_resched();
	}
	return 0;
}

static void no_moment_without_a_policy(struct kunit *test)
{
	struct watch watches[2] = {};
	struct task_struct *threads[2];
	unsigned int i;

	KUNIT_ASSERT_EQ(test, commit(POLICY_A), 0);
	for (i = 0; i < 2; i++) {
		threads[i] = kthread_run(watch_thread, &watches[i], "mg-watch/%u", i);
		KUNIT_ASSERT_FALSE(test, IS_ERR(threads[i]));
	}
	for (i = 0; i < FLIPS; i++) {
		int err = commit(i & 1 ? POLICY_A : POLICY_B);

		if (!err && i % 16 == 0)
			err = mg_guard_set_mode(i & 16 ? MG_MODE_AUDIT : MG_MODE_ENFORCE);
		if (err) {
			KUNIT_FAIL(test, "flip %u: %d", i, err);
			break;
		}
		usleep_range(50, 500);
	}
	for (i = 0; i < 2; i++) {
		kthread_stop(threads[i]);
		KUNIT_EXPECT_EQ(test, watches[i].open, 0);
		KUNIT_EXPECT_EQ(test, watches[i].torn, 0);
		KUNIT_EXPECT_EQ(test, watches[i].backwards, 0);
		KUNIT_EXPECT_GT(test, watches[i].looks, 100);
		kunit_info(test, "thread %u looked %lu times", i, watches[i].looks);
	}
	KUNIT_EXPECT_EQ(test, status().generation, 2 + FLIPS);
}

static int guard_test_init(struct kunit *test)
{
	memset(&told, 0, sizeof(told));
	apic_is_virtual = false;
	return mg_guard_init(MG_MODE_ENFORCE);
}

static void guard_test_exit(struct kunit *test)
{
	mg_guard_disarm();
	mg_guard_exit();
}

static struct kunit_case guard_cases[] = {
	KUNIT_CASE(starts_with_nothing_guarded),
	KUNIT_CASE(commit_publishes_before_it_tells),
	KUNIT_CASE(rules_one_by_one),
	KUNIT_CASE(a_refused_text_changes_nothing),
	KUNIT_CASE(off_guards_nothing_and_forgets_nothing),
	KUNIT_CASE(disarmed_guards_nothing),
	KUNIT_CASE(warnings_fit_into_a_page),
	KUNIT_CASE(a_ruling_outlives_its_policy),
	KUNIT_CASE(modes_share_a_policy),
	KUNIT_CASE(no_moment_without_a_policy),
	{}
};

static struct kunit_suite guard_suite = {
	.name = "msrguard-guard",
	.init = guard_test_init,
	.exit = guard_test_exit,
	.test_cases = guard_cases,
};

kunit_test_suites(&guard_suite);
