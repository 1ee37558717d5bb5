// SPDX-License-Identifier: GPL-2.0
/*
 * Rules that promise what this host's hardware may not keep are told by their lines: x2APIC
 * registers where the hardware serves them itself. modules/apicv_on.c has KVM say so.
 */
#include "kselftest_harness.h"
#include "lib/host.h"
#include "lib/msrguard.h"
#include "lib/probe.h"

#define SWITCH		"modules/apicv_on.ko"
#define MAX_LINES	8
#define WARNING		": guards x2APIC registers"

FIXTURE(warnings) {
	struct host_log *log;
};

FIXTURE_SETUP(warnings)
{
	char why[MG_ERROR_LEN];

	ASSERT_EQ(0, mg_start(why)) {
		TH_LOG("%s", why);
	}
	self->log = host_log_open();
	ASSERT_NE(NULL, self->log);
}

FIXTURE_TEARDOWN(warnings)
{
	host_rmmod("apicv_on");
	mg_load_policy(MG_ALLOW_ALL);
	host_log_free(self->log);
}

/* The numbers of the lines that policy/warnings speaks of, in order; returns how many. */
static unsigned int warned_lines(struct __test_metadata *_metadata, unsigned int *lines)
{
	char text[4096], *save, *line;
	unsigned int nr = 0;
	char *rest;

	ASSERT_LE(0, mg_read_file("policy/warnings", text, sizeof(text)));
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		ASSERT_GT(MAX_LINES, nr);
		lines[nr++] = strtoul(line, &rest, 10);
		EXPECT_EQ(0, strncmp(rest, WARNING, strlen(WARNING))) {
			TH_LOG("%s", line);
		}
	}
	return nr;
}

static const struct {
	const char *policy;
	unsigned int nr, lines[MAX_LINES];
} policies[] = {
	{ "default allow allow\n", 0, { 0 } },
	{ "default allow allow\n0x7ff deny deny\n0x900 deny deny\n0x6e0 deny deny\n", 0, { 0 } },
	{ "default deny deny\n0x800-0x8ff allow allow\n", 0, { 0 } },
	{ "default allow allow\n0x80b allow deny\n", 1, { 2 } },
	{ "default allow allow\n0x808 deny allow\n", 1, { 2 } },
	{ "# a policy\n\ndefault allow allow\n0x277 deny deny\n0x830 allow deny\n\n"
	  "# more\n0x840-0x8ff deny deny\n", 2, { 5, 8 } },
	{ "default allow allow\n0x700-0x800 deny deny\n0x8ff-0x1000 deny deny\n", 2, { 2, 3 } },
	{ "default deny allow\n", 1, { 1 } },
	{ "default allow allow\n0x808 drop drop audit quiet\n", 1, { 2 } },
};

TEST_F(warnings, none_without_virtual_apics)
{
	unsigned int lines[MAX_LINES];

	if (probe_vendor_param("enable_apicv") || probe_vendor_param("avic"))
		SKIP(return, "APICv or AVIC is on here");
	for (unsigned int i = 0; i < ARRAY_SIZE(policies); i++) {
		ASSERT_EQ(0, mg_load_policy(policies[i].policy));
		EXPECT_EQ(0, warned_lines(_metadata, lines)) {
			TH_LOG("%s", policies[i].policy);
		}
	}
	EXPECT_FALSE(host_log_has(self->log, "msrguard", "x2APIC"));
}

TEST_F(warnings, lines_are_named)
{
	unsigned int lines[MAX_LINES], nr;
	char text[64];

	ASSERT_EQ(0, host_insmod(SWITCH, ""));
	for (unsigned int i = 0; i < ARRAY_SIZE(policies); i++) {
		host_log_free(self->log);
		self->log = host_log_open();
		ASSERT_EQ(0, mg_load_policy(policies[i].policy));
		nr = warned_lines(_metadata, lines);
		EXPECT_EQ(policies[i].nr, nr) {
			TH_LOG("%s", policies[i].policy);
		}
		for (unsigned int n = 0; n < nr; n++)
			EXPECT_EQ(policies[i].lines[n], lines[n]);
		if (!policies[i].nr) {
			EXPECT_FALSE(host_log_has(self->log, "msrguard", "x2APIC"));
			continue;
		}
		snprintf(text, sizeof(text), "line %u of the policy, and %u more",
			 policies[i].lines[0], policies[i].nr - 1);
		EXPECT_TRUE(host_log_has(self->log, "msrguard", text)) {
			TH_LOG("no \"%s\" in: %s", text, host_log_text(self->log));
		}
	}
}

/* A rule added since has no line; the warning goes with its rule, and with the host's doubt. */
TEST_F(warnings, rules_come_and_go)
{
	unsigned int lines[MAX_LINES];

	ASSERT_EQ(0, host_insmod(SWITCH, ""));
	ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
	ASSERT_EQ(0, mg_add_rule("0x808 deny deny"));
	ASSERT_EQ(1, warned_lines(_metadata, lines));
	EXPECT_EQ(0, lines[0]);
	ASSERT_EQ(0, mg_remove_rule("0x808"));
	EXPECT_EQ(0, warned_lines(_metadata, lines));
	ASSERT_EQ(0, mg_add_rule("0x808 deny deny"));
	ASSERT_EQ(0, host_rmmod("apicv_on"));
	if (!probe_vendor_param("enable_apicv") && !probe_vendor_param("avic"))
		EXPECT_EQ(0, warned_lines(_metadata, lines));
}

/* A policy that is refused warns of nothing, and the one in force stays warned of. */
TEST_F(warnings, refused_policy)
{
	unsigned int lines[MAX_LINES];

	ASSERT_EQ(0, host_insmod(SWITCH, ""));
	ASSERT_EQ(0, mg_load_policy("default allow allow\n0x808 deny deny\n"));
	EXPECT_NE(0, mg_load_policy("default allow allow\n\n\n0x80b deny deny\nnonsense\n"));
	ASSERT_EQ(1, warned_lines(_metadata, lines));
	EXPECT_EQ(2, lines[0]);
}

TEST_HARNESS_MAIN
