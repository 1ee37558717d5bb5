// SPDX-License-Identifier: GPL-2.0
/*
 * What needs no kernel: messages, good and bad, to text and JSON; sequence gaps.
 * Prints TAP. The rest is in unit_*.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/msrguard.h>

#include "event.h"
#include "msrguard.h"
#include "seq.h"
#include "unit.h"
#include "verify_answer.h"

static unsigned int tests, failed;

void check(bool good, const char *name)
{
	tests++;
	failed += !good;
	printf("%sok %u - %s\n", good ? "" : "not ", tests, name);
}

void check_text(const char *got, const char *expected, const char *name)
{
	bool good = !strcmp(got, expected);

	check(good, name);
	if (!good)
		printf("# got:      %s# expected: %s", got, expected);
}

struct nlmsghdr *message_of(void *buf, uint8_t cmd)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));

	header->cmd = cmd;
	return message;
}

static struct nlmsghdr *new_message(void *buf)
{
	return message_of(buf, MSRGUARD_CMD_ACCESS_NTF);
}

static bool is_optional(uint16_t attr)
{
	switch (attr) {
	case MSRGUARD_A_ACCESS_VALUE:
	case MSRGUARD_A_ACCESS_OLD:
	case MSRGUARD_A_ACCESS_PC:
	case MSRGUARD_A_ACCESS_CPL:
	case MSRGUARD_A_ACCESS_NESTED:
	case MSRGUARD_A_ACCESS_WOULD_BE:
	case MSRGUARD_A_ACCESS_COUNT:
	case MSRGUARD_A_ACCESS_IMAGE_KIND:
	case MSRGUARD_A_ACCESS_IMAGE_BASE:
	case MSRGUARD_A_ACCESS_IMAGE_SIZE:
	case MSRGUARD_A_ACCESS_IMAGE_CHECKSUM:
	case MSRGUARD_A_ACCESS_IMAGE_TIMESTAMP:
	case MSRGUARD_A_ACCESS_IMAGE_NAME:
	case MSRGUARD_A_ACCESS_IMAGE_BUILD_ID:
		return true;
	default:
		return false;
	}
}

void put_attribute(struct nlmsghdr *message, uint16_t attr)
{
	switch (attr) {
	case MSRGUARD_A_ACCESS_SEQ:
		mnl_attr_put_u64(message, attr, 77);
		break;
	case MSRGUARD_A_ACCESS_TIME:
		mnl_attr_put_u64(message, attr, 12000000034);
		break;
	case MSRGUARD_A_ACCESS_VM_ID:
		mnl_attr_put_u64(message, attr, 3);
		break;
	case MSRGUARD_A_ACCESS_VM_PID:
		mnl_attr_put_u32(message, attr, 4242);
		break;
	case MSRGUARD_A_ACCESS_VCPU:
		mnl_attr_put_u32(message, attr, 1);
		break;
	case MSRGUARD_A_ACCESS_MSR:
	case MSRGUARD_A_ACCESS_RULE_FIRST:
		mnl_attr_put_u32(message, attr, 0xc0000080);
		break;
	case MSRGUARD_A_ACCESS_RULE_LAST:
		mnl_attr_put_u32(message, attr, 0xc0000082);
		break;
	case MSRGUARD_A_ACCESS_DIRECTION:
		mnl_attr_put_u8(message, attr, MSRGUARD_DIRECTION_WRITE);
		break;
	case MSRGUARD_A_ACCESS_ORIGIN:
		mnl_attr_put_u8(message, attr, MSRGUARD_ORIGIN_NESTED_LIST);
		break;
	case MSRGUARD_A_ACCESS_VALUE:
		mnl_attr_put_u64(message, attr, 0xfedcba9876543211);
		break;
	case MSRGUARD_A_ACCESS_OLD:
		mnl_attr_put_u64(message, attr, 0);
		break;
	case MSRGUARD_A_ACCESS_PC:
		mnl_attr_put_u64(message, attr, 0xffffffff81000000);
		break;
	case MSRGUARD_A_ACCESS_CPL:
		mnl_attr_put_u8(message, attr, 3);
		break;
	case MSRGUARD_A_ACCESS_NESTED:
		mnl_attr_put(message, attr, 0, NULL);
		break;
	case MSRGUARD_A_ACCESS_VERDICT:
		mnl_attr_put_u8(message, attr, MSRGUARD_VERDICT_AUDITED);
		break;
	case MSRGUARD_A_ACCESS_WOULD_BE:
		mnl_attr_put_u8(message, attr, MSRGUARD_VERDICT_DENIED);
		break;
	case MSRGUARD_A_ACCESS_GENERATION:
		mnl_attr_put_u64(message, attr, 9);
		break;
	case MSRGUARD_A_ACCESS_COUNT:
		mnl_attr_put_u64(message, attr, 5);
		break;
	case MSRGUARD_A_ACCESS_IMAGE_KIND:
		mnl_attr_put_u8(message, attr, MSRGUARD_IMAGE_KIND_PE);
		break;
	case MSRGUARD_A_ACCESS_IMAGE_BASE:
		mnl_attr_put_u64(message, attr, 0xfffff807452b0000);
		break;
	case MSRGUARD_A_ACCESS_IMAGE_SIZE:
		mnl_attr_put_u64(message, attr, 0x1f000);
		break;
	case MSRGUARD_A_ACCESS_IMAGE_CHECKSUM:
		mnl_attr_put_u32(message, attr, 0x68c4f);
		break;
	case MSRGUARD_A_ACCESS_IMAGE_TIMESTAMP:
		mnl_attr_put_u32(message, attr, 0x59fb8dec);
		break;
	case MSRGUARD_A_ACCESS_IMAGE_NAME:
		mnl_attr_put_strz(message, attr, "esif_lf.sys");
		break;
	case MSRGUARD_A_ACCESS_IMAGE_BUILD_ID:
		mnl_attr_put(message, attr, 4, "\x01\xab\x00\xff");
		break;
	}
}

/* An event with all attributes, or without the optional ones, or without @left_out. */
struct nlmsghdr *make_event(void *buf, bool optional, uint16_t left_out)
{
	struct nlmsghdr *message = new_message(buf);
	uint16_t attr;

	for (attr = MSRGUARD_A_ACCESS_SEQ; attr <= MSRGUARD_A_ACCESS_MAX; attr++)
		if (attr != left_out && (optional || !is_optional(attr)))
			put_attribute(message, attr);
	return message;
}

void print_to(char *text, const struct mg_event *event,
	      void (*print)(const struct mg_event *event))
{
	FILE *terminal = stdout, *memory = fmemopen(text, TEXT_MAX, "w");

	stdout = mg_alloc_check(memory);
	print(event);
	fclose(memory);
	stdout = terminal;
}

static void test_full_event(void)
{
	char buf[MESSAGE_MAX], text[TEXT_MAX];
	struct mg_event event;

	check(mg_event_decode(make_event(buf, true, NO_ATTR), &event), "full event decodes");
	print_to(text, &event, mg_event_print_text);
	check_text(text,
		   "time=12.000000034 vm=3 pid=4242 vcpu=1 msr=0xc0000080 dir=write origin=nested-list value=0xfedcba9876543211 old=0x0 pc=0xffffffff81000000 cpl=3 nested=1 verdict=audited would_be=denied rule=0xc0000080-0xc0000082 generation=9 seq=77 count=5 image=esif_lf.sys image_kind=pe image_base=0xfffff807452b0000 image_size=0x1f000 checksum=0x68c4f timestamp=0x59fb8dec build_id=01ab00ff name=MSR_EFER\n",
		   "full event as text");
	print_to(text, &event, mg_event_print_json);
	check_text(text,
		   "{\"type\":\"access\",\"time\":\"0x2cb417822\",\"vm\":\"0x3\",\"pid\":4242,\"vcpu\":1,\"msr\":\"0xc0000080\",\"dir\":\"write\",\"origin\":\"nested-list\",\"value\":\"0xfedcba9876543211\",\"old\":\"0x0\",\"pc\":\"0xffffffff81000000\",\"cpl\":3,\"nested\":true,\"verdict\":\"audited\",\"would_be\":\"denied\",\"rule\":\"0xc0000080-0xc0000082\",\"generation\":\"0x9\",\"seq\":\"0x4d\",\"count\":\"0x5\",\"image\":\"esif_lf.sys\",\"image_kind\":\"pe\",\"image_base\":\"0xfffff807452b0000\",\"image_size\":\"0x1f000\",\"checksum\":\"0x68c4f\",\"timestamp\":\"0x59fb8dec\",\"build_id\":\"01ab00ff\",\"name\":\"MSR_EFER\"}\n",
		   "full event as JSON");
}

static void test_sparse_event(void)
{
	char buf[MESSAGE_MAX], text[TEXT_MAX];
	struct mg_event event;

	check(mg_event_decode(make_event(buf, false, NO_ATTR), &event),
	      "event without optional attributes decodes");
	print_to(text, &event, mg_event_print_text);
	check_text(text,
		   "time=12.000000034 vm=3 pid=4242 vcpu=1 msr=0xc0000080 dir=write origin=nested-list value=unknown old=unknown pc=unknown cpl=unknown nested=0 verdict=audited would_be=audited rule=0xc0000080-0xc0000082 generation=9 seq=77 count=1 image=unknown image_kind=unknown image_base=unknown image_size=unknown checksum=unknown timestamp=unknown build_id=unknown name=MSR_EFER\n",
		   "what is not known is shown as unknown");
	print_to(text, &event, mg_event_print_json);
	check(strstr(text, "\"value\":null,\"old\":null,\"pc\":null,\"cpl\":null,\"nested\":false"),
	      "what is not known is null in JSON");
}

/* By itself, as the generator of the message would not put it. */
static void put_rule(struct nlmsghdr *message, uint32_t last)
{
	uint16_t attr;

	for (attr = MSRGUARD_A_ACCESS_SEQ; attr < MSRGUARD_A_ACCESS_RULE_LAST; attr++)
		if (!is_optional(attr))
			put_attribute(message, attr);
	mnl_attr_put_u32(message, MSRGUARD_A_ACCESS_RULE_LAST, last);
	put_attribute(message, MSRGUARD_A_ACCESS_GENERATION);
}

static void test_rules(void)
{
	char buf[MESSAGE_MAX], text[TEXT_MAX];
	struct nlmsghdr *message = new_message(buf);
	struct mg_event event;
	uint16_t attr;

	put_rule(message, 0xc0000080);
	check(mg_event_decode(message, &event), "event with a rule of one MSR decodes");
	print_to(text, &event, mg_event_print_text);
	check(strstr(text, " rule=0xc0000080 "), "rule of one MSR");

	message = new_message(buf);
	for (attr = MSRGUARD_A_ACCESS_SEQ; attr <= MSRGUARD_A_ACCESS_MAX; attr++)
		if (attr != MSRGUARD_A_ACCESS_RULE_FIRST && attr != MSRGUARD_A_ACCESS_RULE_LAST)
			put_attribute(message, attr);
	check(mg_event_decode(message, &event), "event of the default line decodes");
	print_to(text, &event, mg_event_print_text);
	check(strstr(text, " rule=default "), "default line");
}

static void test_missing(void)
{
	char buf[MESSAGE_MAX], name[64];
	struct mg_event event;
	uint16_t attr;

	for (attr = MSRGUARD_A_ACCESS_SEQ; attr <= MSRGUARD_A_ACCESS_MAX; attr++) {
		if (is_optional(attr))
			continue;
		snprintf(name, sizeof(name), "event without attribute %u is refused", attr);
		check(!mg_event_decode(make_event(buf, true, attr), &event), name);
	}
}

static uint16_t right_size(uint16_t attr)
{
	char buf[MESSAGE_MAX];
	struct nlmsghdr *message = new_message(buf);

	put_attribute(message, attr);
	return mnl_attr_get_payload_len(mnl_nlmsg_get_payload_offset(message,
						sizeof(struct genlmsghdr)));
}

static void test_wrong_size(void)
{
	char buf[MESSAGE_MAX], name[64], payload[16] = { 0 };
	struct nlmsghdr *message;
	struct mg_event event;
	uint16_t attr, size;
	bool good;

	for (attr = MSRGUARD_A_ACCESS_SEQ; attr <= MSRGUARD_A_ACCESS_MAX; attr++) {
		if (attr == MSRGUARD_A_ACCESS_IMAGE_NAME ||
		    attr == MSRGUARD_A_ACCESS_IMAGE_BUILD_ID)
			continue;
		good = true;
		/* No event stands for no access. */
		payload[0] = 1;
		for (size = 0; size <= sizeof(payload); size++) {
			message = make_event(buf, attr != MSRGUARD_A_ACCESS_SEQ, attr);
			mnl_attr_put(message, attr, size, payload);
			if (mg_event_decode(message, &event) != (size == right_size(attr)))
				good = false;
		}
		snprintf(name, sizeof(name), "attribute %u is taken in its own size only", attr);
		check(good, name);
	}
}

static void test_strange(void)
{
	char buf[MESSAGE_MAX], text[TEXT_MAX];
	struct nlmsghdr *message = make_event(buf, true, NO_ATTR);
	struct mg_event event;

	mnl_attr_put_u64(message, MSRGUARD_A_ACCESS_MAX + 1, 1);
	mnl_attr_put_strz(message, 1000, "from a later version");
	mnl_attr_put(message, MSRGUARD_A_ACCESS_PAD, 0, NULL);
	check(mg_event_decode(message, &event), "unknown attributes are skipped");

	message = make_event(buf, true, MSRGUARD_A_ACCESS_VERDICT);
	mnl_attr_put_u8(message, MSRGUARD_A_ACCESS_VERDICT, 200);
	check(mg_event_decode(message, &event), "unknown verdict decodes");
	print_to(text, &event, mg_event_print_text);
	check(strstr(text, " verdict=unknown-200 "), "unknown verdict is shown as unknown");

	message = mnl_nlmsg_put_header(buf);
	check(!mg_event_decode(message, &event), "message without a header is refused");
	check(!mg_event_decode(new_message(buf), &event), "empty message is refused");
}

/* Every way of cutting a message short, and random bytes: refused or not, never read past. */
static void test_noise(void)
{
	char buf[MESSAGE_MAX] = { 0 };
	struct nlmsghdr *message = make_event(buf, false, NO_ATTR);
	uint32_t whole = message->nlmsg_len, len, i;
	unsigned int round, accepted = 0;
	struct mg_event event;
	char *copy;

	for (len = NLMSG_HDRLEN; len < whole; len++) {
		/* Of the exact size, so that a memory checker sees a step too far. */
		copy = mg_alloc_check(malloc(len));
		memcpy(copy, buf, len);
		((struct nlmsghdr *)copy)->nlmsg_len = len;
		accepted += mg_event_decode((struct nlmsghdr *)copy, &event);
		free(copy);
	}
	check(!accepted, "a message that is cut short is refused");
	accepted = 0;
	whole = make_event(buf, true, NO_ATTR)->nlmsg_len;

	srand(1);
	for (round = 0; round < 100000; round++) {
		copy = mg_alloc_check(malloc(whole));
		memcpy(copy, buf, whole);
		for (i = 0; i < 4; i++)
			copy[NLMSG_HDRLEN + rand() % (whole - NLMSG_HDRLEN)] = rand();
		accepted += mg_event_decode((struct nlmsghdr *)copy, &event);
		free(copy);
	}
	check(accepted > 0 && accepted < round, "of damaged messages some are refused");
}

static struct nlmsghdr *make_vcpu(void *buf, uint64_t vm, uint32_t vcpu, uint8_t state,
				  uint32_t missing)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));

	header->cmd = MSRGUARD_CMD_VERIFY;
	mnl_attr_put_u64(message, MSRGUARD_A_VERIFY_VM_ID, vm);
	mnl_attr_put_u32(message, MSRGUARD_A_VERIFY_VM_PID, 4242);
	mnl_attr_put_u32(message, MSRGUARD_A_VERIFY_VCPU, vcpu);
	mnl_attr_put_u8(message, MSRGUARD_A_VERIFY_STATE, state);
	mnl_attr_put(message, MSRGUARD_A_VERIFY_NESTED, 0, NULL);
	mnl_attr_put_u32(message, MSRGUARD_A_VERIFY_GUARDED, 100);
	mnl_attr_put_u32(message, MSRGUARD_A_VERIFY_MISSING, missing);
	mnl_attr_put_u64(message, MSRGUARD_A_VERIFY_GENERATION, 1ull << 40);
	return message;
}

static struct nlmsghdr *make_missing(void *buf, uint64_t vm, uint32_t vcpu, uint32_t msr)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));

	header->cmd = MSRGUARD_CMD_VERIFY;
	mnl_attr_put_u64(message, MSRGUARD_A_VERIFY_VM_ID, vm);
	mnl_attr_put_u32(message, MSRGUARD_A_VERIFY_VCPU, vcpu);
	mnl_attr_put(message, MSRGUARD_A_VERIFY_NESTED, 0, NULL);
	mnl_attr_put_u32(message, MSRGUARD_A_VERIFY_MSR, msr);
	mnl_attr_put_u8(message, MSRGUARD_A_VERIFY_DIRECTION, MSRGUARD_DIRECTION_WRITE);
	return message;
}

static void test_verify(void)
{
	struct mg_verify_answer answer = { .vm = 1ull << 33 };
	char buf[MESSAGE_MAX];
	bool good = true;
	uint32_t i;

	check(mg_verify_complete(&answer), "an answer about no vCPU is complete");
	check(mg_verify_take(&answer, make_vcpu(buf, answer.vm, 5, MSRGUARD_VERIFY_STATE_DIFFERS,
						100)), "a vCPU that differs");
	check(!mg_verify_complete(&answer), "is not all");
	for (i = 0; i < 100; i++)
		good &= mg_verify_take(&answer, make_missing(buf, answer.vm, 5, 0xc0000000 + i));
	check(good && mg_verify_complete(&answer), "with its accesses it is");
	check(!mg_verify_take(&answer, make_missing(buf, answer.vm, 5, 1)), "and takes no more");
	check(answer.nr == 1 && answer.vcpus[0].nr == 100 && answer.vcpus[0].vcpu == 5 &&
	      answer.vcpus[0].pid == 4242 && answer.vcpus[0].nested &&
	      answer.vcpus[0].guarded == 100 && answer.vcpus[0].generation == 1ull << 40 &&
	      answer.vcpus[0].accesses[99].msr == 0xc0000063 &&
	      answer.vcpus[0].accesses[99].direction == MSRGUARD_DIRECTION_WRITE,
	      "all of it is there");
	check(!mg_verify_take(&answer, make_vcpu(buf, 3, 6, MSRGUARD_VERIFY_STATE_MATCHES, 0)),
	      "another VM's vCPU is refused");
	mg_verify_free(&answer);
	check(!answer.nr && mg_verify_complete(&answer), "what was freed can be used again");
}

/* An event would have the same attributes' numbers. */
static void test_verify_strange(void)
{
	struct mg_verify_answer answer = { .vm = 3 };
	char buf[MESSAGE_MAX];
	struct nlmsghdr *message = make_vcpu(buf, 3, 0, MSRGUARD_VERIFY_STATE_MATCHES, 0);
	struct genlmsghdr *header = mnl_nlmsg_get_payload(message);

	header->cmd = MSRGUARD_CMD_ACCESS_NTF;
	check(!mg_verify_take(&answer, message), "another command's message is refused");
	message = mnl_nlmsg_put_header(buf);
	check(!mg_verify_take(&answer, message), "verify: a message without a header is refused");
	mg_verify_free(&answer);
}

/* As test_noise(): refused or not, never read past, and never more accesses than announced. */
static void test_verify_noise(void)
{
	struct mg_verify_answer answer = { .vm = 3 };
	unsigned int round, accepted = 0;
	char buf[MESSAGE_MAX] = { 0 };
	struct nlmsghdr *message;
	uint32_t whole, len, i;
	bool good = true;
	char *copy;

	message = make_vcpu(buf, 3, 0, MSRGUARD_VERIFY_STATE_DIFFERS, 2);
	whole = message->nlmsg_len;
	for (len = NLMSG_HDRLEN; len < whole; len++) {
		copy = mg_alloc_check(malloc(len));
		memcpy(copy, buf, len);
		((struct nlmsghdr *)copy)->nlmsg_len = len;
		accepted += mg_verify_take(&answer, (struct nlmsghdr *)copy);
		free(copy);
	}
	check(!accepted && !answer.nr, "verify: a message that is cut short is refused");

	srand(3);
	for (round = 0; round < 100000; round++) {
		message = round % 2 ? make_missing(buf, 3, 0, 0x10) :
			  make_vcpu(buf, 3, 0, MSRGUARD_VERIFY_STATE_DIFFERS, 2);
		whole = message->nlmsg_len;
		copy = mg_alloc_check(malloc(whole));
		memcpy(copy, buf, whole);
		for (i = 0; i < 2; i++)
			copy[NLMSG_HDRLEN + rand() % (whole - NLMSG_HDRLEN)] = rand();
		accepted += mg_verify_take(&answer, (struct nlmsghdr *)copy);
		free(copy);
		if (answer.nr && answer.vcpus[answer.nr - 1].nr >
		    answer.vcpus[answer.nr - 1].missing)
			good = false;
		if (answer.nr > 50)
			mg_verify_free(&answer);
	}
	check(accepted > 0 && accepted < round, "verify: of damaged messages some are refused");
	check(good, "verify: no vCPU has more accesses than announced");
	mg_verify_free(&answer);
}

/* What mg_seq_*() told, as text: "FIRST-LAST " for each run. */
static void note_loss(void *context, uint64_t first, uint64_t last)
{
	char *text = context;

	snprintf(text + strlen(text), TEXT_MAX - strlen(text), "%" PRIu64 "-%" PRIu64 " ", first,
		 last);
}

static void saw(struct mg_seq *seq, uint64_t number, uint64_t now)
{
	mg_seq_saw(seq, number, number, now);
}

static void test_sequence(void)
{
	char text[TEXT_MAX] = "";
	struct mg_seq seq = { .tell = note_loss, .context = text };

	mg_seq_expect(&seq, 100, 0);
	mg_seq_settle_all(&seq);
	check(!seq.lost, "what was before the start is not lost");
	saw(&seq, 99, 0);
	saw(&seq, 101, 0);
	saw(&seq, 102, 0);
	check(!seq.nr_gaps && !*text, "no gap in a sequence without one");

	saw(&seq, 105, 10);
	mg_seq_settle(&seq, 10 + MG_SEQ_PATIENCE - 1);
	check(!*text, "a gap is no loss at once");
	saw(&seq, 104, 20);
	saw(&seq, 103, 30);
	check(!seq.nr_gaps, "late events close the gap");

	saw(&seq, 111, 1000);
	saw(&seq, 108, 1000);
	mg_seq_settle(&seq, 1000 + MG_SEQ_PATIENCE);
	check_text(text, "106-107 109-110 ", "what stays away is lost");
	check(seq.lost == 4, "and counted");
	saw(&seq, 107, 2000);
	check(seq.lost == 4 && !seq.nr_gaps, "what comes after it was given up changes nothing");

	*text = '\0';
	mg_seq_expect(&seq, 111, 3000);
	check(!seq.nr_gaps, "nothing is missing at the end");
	mg_seq_expect(&seq, 120, 3000);
	mg_seq_settle_all(&seq);
	check_text(text, "112-120 ", "a loss at the end is seen");

	*text = '\0';
	saw(&seq, 1ull << 62, 4000);
	mg_seq_settle_all(&seq);
	check(seq.lost == (1ull << 62) - 121 + 13, "a huge gap costs nothing");
}

/* More gaps than the table holds, and then all of their events but some. */
static void test_many_gaps(void)
{
	static char text[TEXT_MAX];
	struct mg_seq seq = { .tell = note_loss, .context = text };
	uint64_t i;

	mg_seq_expect(&seq, 0, 0);
	for (i = 1; i <= 200; i++)
		saw(&seq, 10 * i, 0);
	check(seq.nr_gaps == MG_SEQ_GAPS, "the table of gaps is full");
	check(seq.lost == 9 * (200 - MG_SEQ_GAPS), "the oldest were given up");
	saw(&seq, 10 * 200 - 5, 0);
	check(seq.nr_gaps == MG_SEQ_GAPS && seq.lost == 9 * (201 - MG_SEQ_GAPS),
	      "splitting a gap in a full table gives up the oldest");
	saw(&seq, 10 * (202 - MG_SEQ_GAPS) - 5, 0);
	mg_seq_settle_all(&seq);
	/* The oldest was split in two, of which the first part was given up. */
	check(seq.lost == 200 * 9 - 2, "all is accounted for");
}

/* Any order, any loss: seen and lost together are all. */
static void test_random(void)
{
	enum { EVENTS = 1000 };
	static char text[TEXT_MAX];
	bool good = true;
	unsigned int round, i;

	srand(2);
	for (round = 0; round < 200; round++) {
		struct mg_seq seq = { .tell = note_loss, .context = text };
		bool come[EVENTS + 9] = { false };
		unsigned int missing = 0, late[EVENTS];

		*text = '\0';
		mg_seq_expect(&seq, 0, 0);
		for (i = 1; i <= EVENTS; i++) {
			come[i] = rand() % 50;
			missing += !come[i];
			late[i - 1] = i;
		}
		/* Each no further than a few places from where it belongs. */
		for (i = 0; i + 4 < EVENTS; i++) {
			unsigned int other = i + rand() % 4, swap = late[i];

			late[i] = late[other];
			late[other] = swap;
		}
		for (i = 0; i < EVENTS; i++)
			if (come[late[i]])
				saw(&seq, late[i], 0);
		mg_seq_expect(&seq, EVENTS, 0);
		mg_seq_settle_all(&seq);
		if (seq.lost != missing)
			good = false;
	}
	check(good, "in any order, exactly what did not come is lost");
}

int main(void)
{
	test_full_event();
	test_sparse_event();
	test_rules();
	test_missing();
	test_wrong_size();
	test_strange();
	test_noise();
	test_verify();
	test_verify_strange();
	test_verify_noise();
	test_sequence();
	test_many_gaps();
	test_random();
	test_ranges();
	test_events();
	test_filter();
	test_journal();
	test_top();
	printf("1..%u\n", tests);
	return failed ? 1 : 0;
}
