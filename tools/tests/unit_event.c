// SPDX-License-Identifier: GPL-2.0
/* Events that stand for several accesses, those that are only a number, images; Hyper-V's words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/msrguard.h>

#include "event.h"
#include "msrguard.h"
#include "unit.h"

static bool decodes_with_count(uint64_t seq, uint64_t count, struct mg_event *event)
{
	char buf[MESSAGE_MAX];
	struct nlmsghdr *message = make_event(buf, false, MSRGUARD_A_ACCESS_SEQ);

	mnl_attr_put_u64(message, MSRGUARD_A_ACCESS_SEQ, seq);
	mnl_attr_put_u64(message, MSRGUARD_A_ACCESS_COUNT, count);
	return mg_event_decode(message, event);
}

static void test_count(void)
{
	struct mg_event event;
	char buf[MESSAGE_MAX];

	check(mg_event_decode(make_event(buf, false, NO_ATTR), &event) && event.count == 1,
	      "an event that says nothing of a number is one access");
	check(decodes_with_count(77, 5, &event) && mg_event_first(&event) == 73,
	      "five accesses have five numbers");
	check(decodes_with_count(77, 77, &event) && mg_event_first(&event) == 1,
	      "the first number is 1");
	check(!decodes_with_count(77, 78, &event), "more accesses than there were are refused");
	check(!decodes_with_count(77, 0, &event), "no access is refused");
	check(!decodes_with_count(UINT64_MAX, 1, &event), "a number beyond all is refused");
	check(decodes_with_count(UINT64_MAX - 1, UINT64_MAX - 1, &event), "but not the last one");
}

static const uint16_t lost_attrs[] = {
	MSRGUARD_A_ACCESS_SEQ, MSRGUARD_A_ACCESS_TIME, MSRGUARD_A_ACCESS_VM_ID,
	MSRGUARD_A_ACCESS_VM_PID, MSRGUARD_A_ACCESS_COUNT,
};

static struct nlmsghdr *make_lost(void *buf, uint16_t left_out)
{
	struct nlmsghdr *message = message_of(buf, MSRGUARD_CMD_LOST_NTF);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lost_attrs); i++)
		if (lost_attrs[i] != left_out)
			put_attribute(message, lost_attrs[i]);
	return message;
}

static void test_overflowed(void)
{
	char buf[MESSAGE_MAX], text[TEXT_MAX], name[64];
	struct mg_event event;
	size_t i;

	check(mg_event_decode(make_lost(buf, NO_ATTR), &event) && event.overflowed &&
	      event.count == 5 && mg_event_first(&event) == 73, "a number of accesses decodes");
	print_to(text, &event, mg_event_print_text);
	check_text(text, "time=12.000000034 vm=3 pid=4242 overflowed=5 seq=77\n", "as text");
	print_to(text, &event, mg_event_print_json);
	check_text(text,
		   "{\"type\":\"overflowed\",\"time\":\"0x2cb417822\",\"vm\":\"0x3\",\"pid\":4242,\"count\":\"0x5\",\"seq\":\"0x4d\"}\n",
		   "as JSON");
	for (i = 0; i < ARRAY_SIZE(lost_attrs); i++) {
		snprintf(name, sizeof(name), "a number without attribute %u is refused",
			 lost_attrs[i]);
		check(!mg_event_decode(make_lost(buf, lost_attrs[i]), &event), name);
	}
	check(!mg_event_decode(message_of(buf, MSRGUARD_CMD_STATUS_GET), &event),
	      "an answer is no event");
}

static bool decodes_with_name(const char *name, size_t len, struct mg_event *event)
{
	char buf[4 * MESSAGE_MAX];
	struct nlmsghdr *message = make_event(buf, true, MSRGUARD_A_ACCESS_IMAGE_NAME);

	mnl_attr_put(message, MSRGUARD_A_ACCESS_IMAGE_NAME, len, name);
	return mg_event_decode(message, event);
}

static void test_image_name(void)
{
	char text[TEXT_MAX], longest[MG_IMAGE_NAME_MAX + 2];
	struct mg_event event;

	check(decodes_with_name("a b=\"\n\x1b[2J\xff", 12, &event), "a name with anything in it");
	check_text(event.image_name, "a\\x20b=\"\\x0a\\x1b[2J\\xff", "has no blank, and no control character");
	print_to(text, &event, mg_event_print_text);
	check(strstr(text, " image=a\\x20b=\"\\x0a\\x1b[2J\\xff image_kind=pe "),
	      "and stays one word in text");
	print_to(text, &event, mg_event_print_json);
	check(strstr(text, "\"image\":\"a\\\\x20b=\\\"\\\\x0a\\\\x1b[2J\\\\xff\""), "and a string in JSON");
	print_to(text, &event, mg_event_print_hyperv);
	check(strchr(text, '\n') == text + strlen(text) - 1, "and on the line in Hyper-V's words");

	memset(longest, 0xff, sizeof(longest));
	longest[MG_IMAGE_NAME_MAX] = '\0';
	check(decodes_with_name(longest, MG_IMAGE_NAME_MAX + 1, &event) &&
	      strlen(event.image_name) == 4 * MG_IMAGE_NAME_MAX, "the longest name");
	longest[MG_IMAGE_NAME_MAX] = 'x';
	longest[MG_IMAGE_NAME_MAX + 1] = '\0';
	check(!decodes_with_name(longest, sizeof(longest), &event), "a longer one is refused");
	check(!decodes_with_name("abcd", 4, &event), "a name without an end is refused");
	check(!decodes_with_name("", 1, &event), "an empty name is refused");
	check(!decodes_with_name("", 0, &event), "and one that is not there");
	check(!decodes_with_name("ab\0cd", 6, &event) || !strcmp(event.image_name, "ab"),
	      "nothing behind the end is shown");
}

static void test_build_id(void)
{
	char buf[MESSAGE_MAX], text[TEXT_MAX], bytes[MG_BUILD_ID_MAX + 1] = { 0 };
	size_t lengths[] = { 0, 1, 20, MG_BUILD_ID_MAX, MG_BUILD_ID_MAX + 1 }, i;
	struct nlmsghdr *message;
	struct mg_event event;
	bool good = true;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		message = make_event(buf, false, NO_ATTR);
		mnl_attr_put(message, MSRGUARD_A_ACCESS_IMAGE_BUILD_ID, lengths[i], bytes);
		if (mg_event_decode(message, &event) !=
		    (lengths[i] && lengths[i] <= MG_BUILD_ID_MAX))
			good = false;
	}
	check(good, "a build id has from 1 to 64 bytes");
	message = make_event(buf, false, NO_ATTR);
	mnl_attr_put_u8(message, MSRGUARD_A_ACCESS_IMAGE_KIND, MSRGUARD_IMAGE_KIND_LINUX_MODULE);
	mnl_attr_put_u64(message, MSRGUARD_A_ACCESS_IMAGE_BASE, 0xffffffffc0000000);
	check(mg_event_decode(message, &event), "an image of which only kind and base are known");
	print_to(text, &event, mg_event_print_text);
	check(strstr(text, " count=1 image=unknown image_kind=linux-module image_base=0xffffffffc0000000 image_size=unknown checksum=unknown timestamp=unknown build_id=unknown"),
	      "the rest is unknown");
}

/* Word by word a record that a Windows host has logged, with the values of an event of ours. */
static void test_hyperv(void)
{
	char buf[MESSAGE_MAX], text[TEXT_MAX];
	struct nlmsghdr *message = make_event(buf, true, MSRGUARD_A_ACCESS_MSR);
	struct mg_event event;
	uint16_t attr;

	mg_event_decode(make_event(buf, true, NO_ATTR), &event);
	print_to(text, &event, mg_event_print_hyperv);
	check_text(text,
		   "Hyper-V detected access to a restricted MSR (Msr: 0xC0000080, IsWrite: 0x1, MsrValue: 0xFEDCBA9876543211, AccessStatus: 0x1, Pc: 0xFFFFFFFF81000000, ImageBase: 0xFFFFF807452B0000, ImageChecksum: 0x68C4F, ImageTimestamp: 0x59FB8DEC, ImageName: esif_lf.sys)\n",
		   "an event in the words of Hyper-V");
	message = message_of(buf, MSRGUARD_CMD_ACCESS_NTF);
	for (attr = MSRGUARD_A_ACCESS_SEQ; attr <= MSRGUARD_A_ACCESS_IMAGE_NAME; attr++)
		if (attr != MSRGUARD_A_ACCESS_MSR && attr != MSRGUARD_A_ACCESS_DIRECTION &&
		    attr != MSRGUARD_A_ACCESS_VALUE && attr != MSRGUARD_A_ACCESS_PC)
			put_attribute(message, attr);
	mnl_attr_put_u32(message, MSRGUARD_A_ACCESS_MSR, 0x65c);
	mnl_attr_put_u8(message, MSRGUARD_A_ACCESS_DIRECTION, MSRGUARD_DIRECTION_READ);
	mnl_attr_put_u64(message, MSRGUARD_A_ACCESS_VALUE, 0xdd0000);
	mnl_attr_put_u64(message, MSRGUARD_A_ACCESS_PC, 0xfffff807452c0200);
	check(mg_event_decode(message, &event), "what Windows has logged");
	event.verdict = 0;
	print_to(text, &event, mg_event_print_hyperv);
	check_text(text,
		   "Hyper-V detected access to a restricted MSR (Msr: 0x65C, IsWrite: 0x0, MsrValue: 0xDD0000, AccessStatus: 0x0, Pc: 0xFFFFF807452C0200, ImageBase: 0xFFFFF807452B0000, ImageChecksum: 0x68C4F, ImageTimestamp: 0x59FB8DEC, ImageName: esif_lf.sys)\n",
		   "reads the same here");
	mg_event_decode(make_event(buf, false, NO_ATTR), &event);
	print_to(text, &event, mg_event_print_hyperv);
	check(strstr(text, "MsrValue: 0x0, AccessStatus: 0x1, Pc: 0x0, ImageBase: 0x0, ImageChecksum: 0x0, ImageTimestamp: 0x0, ImageName: )\n"),
	      "what is not known is 0x0, or empty");
}

void test_events(void)
{
	test_count();
	test_overflowed();
	test_image_name();
	test_build_id();
	test_hyperv();
}
