// SPDX-License-Identifier: GPL-2.0
/* Which events are shown. */
#include <string.h>

#include "event.h"
#include "filter.h"
#include "unit.h"

static const struct mg_event sample = {
	.vm = 3, .pid = 4242, .msr = 0xc0000080, .direction = MSRGUARD_DIRECTION_WRITE,
	.verdict = MSRGUARD_VERDICT_DENIED, .count = 1, .seq = 1,
};

static const struct mg_event number = { .overflowed = true, .vm = 3, .pid = 4242, .count = 9 };

/* Whether one wish lets the sample through. */
static bool passes(bool (*add)(struct mg_filter *filter, const char *text), const char *text)
{
	struct mg_filter filter = { 0 };
	bool good;

	if (!add(&filter, text))
		check(false, text);
	good = mg_filter_passes(&filter, &sample);
	mg_filter_free(&filter);
	return good;
}

static bool refuses(bool (*add)(struct mg_filter *filter, const char *text), const char *text)
{
	struct mg_filter filter = { 0 };
	bool good = !add(&filter, text);

	good = good && mg_filter_passes(&filter, &sample);
	mg_filter_free(&filter);
	return good;
}

static void test_wishes(void)
{
	struct mg_filter none = { 0 };

	check(mg_filter_passes(&none, &sample), "without a wish everything passes");
	check(passes(mg_filter_add_vm, "3") && passes(mg_filter_add_vm, "id:0x3") &&
	      passes(mg_filter_add_vm, "pid:4242"), "a VM by id and by process id");
	check(!passes(mg_filter_add_vm, "4242") && !passes(mg_filter_add_vm, "pid:3"),
	      "and not one for the other");
	check(passes(mg_filter_add_msr, "0xc0000080") && passes(mg_filter_add_msr, "3221225600") &&
	      passes(mg_filter_add_msr, "0xc0000000-0xc0001fff") &&
	      passes(mg_filter_add_msr, "0-0xffffffff") &&
	      passes(mg_filter_add_msr, "0xc0000080-0xc0000080"), "an MSR, and ranges with it");
	check(passes(mg_filter_add_msr, "MSR_EFER") && passes(mg_filter_add_msr, "efer") &&
	      !passes(mg_filter_add_msr, "LSTAR"), "an MSR by its name");
	check(!passes(mg_filter_add_msr, "0xc0000081") &&
	      !passes(mg_filter_add_msr, "0-0xc000007f") &&
	      !passes(mg_filter_add_msr, "0xc0000081-0xffffffff"), "others, and ranges beside it");
	check(passes(mg_filter_add_verdict, "denied") && !passes(mg_filter_add_verdict, "audited"),
	      "a verdict");
	check(passes(mg_filter_add_direction, "write") &&
	      !passes(mg_filter_add_direction, "read"), "a direction");
}

static void test_bad_wishes(void)
{
	check(refuses(mg_filter_add_vm, "") && refuses(mg_filter_add_vm, "x") &&
	      refuses(mg_filter_add_vm, "pid:") && refuses(mg_filter_add_vm, "-1") &&
	      refuses(mg_filter_add_vm, "pid:4294967296") &&
	      refuses(mg_filter_add_vm, "18446744073709551616") &&
	      refuses(mg_filter_add_vm, "id:pid:3"), "what is no VM is refused");
	check(refuses(mg_filter_add_msr, "") && refuses(mg_filter_add_msr, "0x10-") &&
	      refuses(mg_filter_add_msr, "-0x10") && refuses(mg_filter_add_msr, "2-1") &&
	      refuses(mg_filter_add_msr, "0x100000000") && refuses(mg_filter_add_msr, "1-2-3") &&
	      refuses(mg_filter_add_msr, "0-0x100000000") &&
	      refuses(mg_filter_add_msr, "NO_SUCH_MSR"), "what is no MSR is refused");
	check(refuses(mg_filter_add_verdict, "") && refuses(mg_filter_add_verdict, "deny") &&
	      refuses(mg_filter_add_verdict, "Denied"), "what is no verdict is refused");
	check(refuses(mg_filter_add_direction, "") && refuses(mg_filter_add_direction, "both"),
	      "what is no direction is refused");
}

static void test_several(void)
{
	struct mg_filter filter = { 0 };
	struct mg_event event = sample;

	check(mg_filter_add_vm(&filter, "4") && mg_filter_add_vm(&filter, "pid:4242") &&
	      mg_filter_add_msr(&filter, "1") && mg_filter_add_msr(&filter, "0xc0000000-0xc00000ff") &&
	      mg_filter_add_verdict(&filter, "dropped") && mg_filter_add_verdict(&filter, "denied"),
	      "several wishes");
	check(mg_filter_passes(&filter, &event), "one of each kind is enough");
	event.verdict = MSRGUARD_VERDICT_AUDITED;
	check(!mg_filter_passes(&filter, &event), "but there must be one: verdict");
	event = sample;
	event.msr = 2;
	check(!mg_filter_passes(&filter, &event), "MSR");
	event = sample;
	event.pid = 7;
	check(!mg_filter_passes(&filter, &event), "VM");
	event = sample;
	event.verdict = 200;
	check(!mg_filter_passes(&filter, &event), "a verdict of a later module is none of those");
	check(mg_filter_passes(&filter, &number), "what is only a number may be any MSR");
	event = number;
	event.pid = 7;
	check(!mg_filter_passes(&filter, &event), "but not another VM's");
	mg_filter_free(&filter);
}

void test_filter(void)
{
	test_wishes();
	test_bad_wishes();
	test_several();
}
