// SPDX-License-Identifier: GPL-2.0
/*
 * The netlink family as its spec (Documentation/netlink/specs/msrguard.yaml) says: what was counted of
 * the host, of each VM and of each rule, to the last access; what is refused, with which reason and
 * which attribute to blame; many listeners; and who may not ask.
 */
#include "kselftest_harness.h"
#include <libmnl/libmnl.h>
#include <linux/capability.h>
#include <linux/genetlink.h>
#include <linux/msrguard.h>
#include <grp.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "lib/host.h"
#include "lib/raw.h"
#include "lib/row.h"

#define NOBODY		65534
#define NO_SUCH_VM	0xfffffffffffffff0ull
#define LISTENERS	10

FIXTURE(netlink) {
	struct bench_table table;
	struct raw_answer *answer;
	uint16_t family;
	uint32_t group;
};

FIXTURE_SETUP(netlink)
{
	table_up(_metadata, &self->table, 2, 0);
	self->answer = calloc(1, sizeof(*self->answer));
	ASSERT_NE(NULL, self->answer);
	ASSERT_EQ(0, raw_family(&self->family, &self->group));
}

FIXTURE_TEARDOWN(netlink)
{
	mg_set_window(0);
	raw_forget(self->answer);
	free(self->answer);
	table_down(&self->table);
}

/* Both ways of telling it tell the same, and every access is in it. */
TEST_F(netlink, stats)
{
	struct vcpu *vcpu = self->table.vcpu;
	struct mg_stats before = mg_stats(), now;
	struct nlmsghdr *message;

	use_policy(_metadata, "0xc0000102 deny deny\n0xc0000083 deny drop quiet\n"
		   "0xc0000084 mask=0xff deny audit");
	for (unsigned int i = 0; i < 7; i++)
		guest_wrmsr(vcpu, MSR_KERNEL_GS_BASE, i);
	for (unsigned int i = 0; i < 5; i++)
		guest_wrmsr(vcpu, MSR_CSTAR, i);
	guest_wrmsr(vcpu, MSR_SFMASK, 0);
	ASSERT_EQ(0, raw_ask_for(self->family, MSRGUARD_CMD_STATS_GET, 0, self->answer));
	ASSERT_EQ(1, self->answer->nr);
	message = self->answer->messages[0];
	now = mg_stats();
	EXPECT_EQ(now.reads, raw_u64(message, MSRGUARD_A_STATS_READS));
	EXPECT_EQ(now.writes, raw_u64(message, MSRGUARD_A_STATS_WRITES));
	EXPECT_EQ(now.denied, raw_u64(message, MSRGUARD_A_STATS_DENIED));
	EXPECT_EQ(now.dropped, raw_u64(message, MSRGUARD_A_STATS_DROPPED));
	EXPECT_EQ(now.masked, raw_u64(message, MSRGUARD_A_STATS_MASKED));
	EXPECT_EQ(now.audited, raw_u64(message, MSRGUARD_A_STATS_AUDITED));
	EXPECT_EQ(now.quiet, raw_u64(message, MSRGUARD_A_STATS_QUIET));
	EXPECT_EQ(now.overflowed, raw_u64(message, MSRGUARD_A_STATS_OVERFLOWED));
	EXPECT_EQ(now.sequence, raw_u64(message, MSRGUARD_A_STATS_SEQ));
	EXPECT_EQ(now.pending, raw_u64(message, MSRGUARD_A_STATS_PENDING));
	EXPECT_EQ(now.lost, raw_u64(message, MSRGUARD_A_STATS_LOST));
	EXPECT_EQ(now.events_sent, raw_u64(message, MSRGUARD_A_STATS_EVENTS_SENT));
	EXPECT_EQ(now.events_lost, raw_u64(message, MSRGUARD_A_STATS_EVENTS_LOST));
	EXPECT_EQ(0, raw_u64(message, MSRGUARD_A_STATS_UNATTRIBUTED));
	now = mg_stats_since(&before);
	EXPECT_EQ(13, now.writes);
	EXPECT_EQ(7, now.denied);
	EXPECT_EQ(5, now.dropped);
	EXPECT_EQ(1, now.audited);
	EXPECT_EQ(5, now.quiet);
	EXPECT_EQ(now.denied + now.dropped + now.masked + now.audited,
		  now.quiet + now.sequence + now.pending);
}

/* What gathers is pending, of the host and of its VM, and then is not. */
TEST_F(netlink, pending)
{
	struct nlmsghdr *message;

	ASSERT_EQ(0, mg_set_window(60000));
	use_policy(_metadata, "0xc0000102 deny deny");
	for (unsigned int i = 0; i < 9; i++)
		guest_wrmsr(self->table.vcpu, MSR_KERNEL_GS_BASE, i);
	ASSERT_EQ(0, raw_ask_for(self->family, MSRGUARD_CMD_STATS_GET, 0, self->answer));
	EXPECT_EQ(8, raw_u64(self->answer->messages[0], MSRGUARD_A_STATS_PENDING));
	ASSERT_EQ(0, raw_ask_for(self->family, MSRGUARD_CMD_VM_GET, NLM_F_DUMP, self->answer));
	ASSERT_EQ(1, self->answer->nr);
	message = self->answer->messages[0];
	EXPECT_EQ(8, raw_u64(message, MSRGUARD_A_VM_PENDING));
	EXPECT_EQ(9, raw_u64(message, MSRGUARD_A_VM_DENIED));
	EXPECT_EQ(0, raw_u64(message, MSRGUARD_A_VM_OVERFLOWED));
}

/* All VMs, one of them, one that there is not. */
TEST_F(netlink, vms)
{
	struct vm *other = vm_create(3, 0);
	struct mg_vm_line lines[2];
	struct raw_request request;
	struct nlmsghdr *message;
	unsigned int i, found = 0;

	use_policy(_metadata, "0xc0000102 deny deny quiet\n0xc0000083 drop deny");
	for (i = 0; i < 4; i++)
		guest_rdmsr(&other->vcpus[i % 3], MSR_CSTAR);
	for (i = 0; i < 6; i++)
		guest_wrmsr(self->table.vcpu, MSR_KERNEL_GS_BASE, i);
	ASSERT_EQ(2, mg_vms_of(getpid(), lines, 2));
	ASSERT_EQ(0, raw_ask_for(self->family, MSRGUARD_CMD_VM_GET, NLM_F_DUMP, self->answer));
	ASSERT_EQ(2, self->answer->nr);
	for (i = 0; i < 2; i++) {
		const struct mg_vm_line *line = lines;

		message = self->answer->messages[i];
		if (raw_u64(message, MSRGUARD_A_VM_ID) != line->id)
			line++;
		ASSERT_EQ(line->id, raw_u64(message, MSRGUARD_A_VM_ID));
		found |= 1u << (line - lines);
		EXPECT_EQ(line->pid, raw_u32(message, MSRGUARD_A_VM_PID));
		EXPECT_EQ(line->vcpus, raw_u32(message, MSRGUARD_A_VM_VCPUS));
		EXPECT_EQ(line->reads, raw_u64(message, MSRGUARD_A_VM_READS));
		EXPECT_EQ(line->writes, raw_u64(message, MSRGUARD_A_VM_WRITES));
		EXPECT_EQ(line->denied, raw_u64(message, MSRGUARD_A_VM_DENIED));
		EXPECT_EQ(line->dropped, raw_u64(message, MSRGUARD_A_VM_DROPPED));
		EXPECT_EQ(line->masked, raw_u64(message, MSRGUARD_A_VM_MASKED));
		EXPECT_EQ(line->audited, raw_u64(message, MSRGUARD_A_VM_AUDITED));
		EXPECT_EQ(line->quiet, raw_u64(message, MSRGUARD_A_VM_QUIET));
		EXPECT_EQ(0, raw_u64(message, MSRGUARD_A_VM_OVERFLOWED));
		EXPECT_EQ(0, raw_u64(message, MSRGUARD_A_VM_PENDING));
		EXPECT_EQ(line->vcpus == 3 ? 4 : 0, raw_u64(message, MSRGUARD_A_VM_DROPPED));
		EXPECT_EQ(line->vcpus == 3 ? 0 : 6, raw_u64(message, MSRGUARD_A_VM_DENIED));
		EXPECT_EQ(line->vcpus == 3 ? 0 : 6, raw_u64(message, MSRGUARD_A_VM_QUIET));
	}
	EXPECT_EQ(3, found);

	for (i = 0; i < 2; i++) {
		raw_begin(&request, self->family, MSRGUARD_CMD_VM_GET, NLM_F_DUMP);
		raw_put_u64(&request, MSRGUARD_A_VM_ID, lines[i].id);
		ASSERT_EQ(0, raw_ask(&request, self->answer));
		ASSERT_EQ(1, self->answer->nr);
		EXPECT_EQ(lines[i].id, raw_u64(self->answer->messages[0], MSRGUARD_A_VM_ID));
	}
	vm_free(other);
	/* The last one has just gone, 0 is none, and the highest is far. */
	for (i = 0; i < 3; i++) {
		uint64_t id = i == 0 ? 0 : i == 1 ? NO_SUCH_VM :
			      lines[lines[1].vcpus == 3].id;

		raw_begin(&request, self->family, MSRGUARD_CMD_VM_GET, NLM_F_DUMP);
		raw_put_u64(&request, MSRGUARD_A_VM_ID, id);
		EXPECT_EQ(-ENOENT, raw_ask(&request, self->answer));
		EXPECT_EQ(0, self->answer->nr);
		/* Linux 6.1 gives a dump that is just starting no place for a reason. */
		if (host_kernel_since(6, 12)) {
			EXPECT_STREQ("no VM has this id", self->answer->why);
			EXPECT_EQ(NLMSG_HDRLEN + GENL_HDRLEN, self->answer->bad_offset);
		}
	}
	ASSERT_EQ(0, raw_ask_for(self->family, MSRGUARD_CMD_VM_GET, NLM_F_DUMP, self->answer));
	EXPECT_EQ(1, self->answer->nr);
}

/* Rule by rule what the policy says, and how often each decided, to the last access. */
TEST_F(netlink, rules)
{
	struct vcpu *vcpu = self->table.vcpu;
	uint64_t generation;
	struct nlmsghdr *message;
	unsigned int i;

	use_policy(_metadata, "default drop deny\n0xc0000102 allow mask=0xff,keep\n"
		   "0x2000-0x20ff deny drop quiet\n0x2010 deny deny audit\n"
		   "0xc0000080 allow allow");
	generation = mg_generation();
	for (i = 0; i < 3; i++)
		guest_wrmsr(vcpu, MSR_KERNEL_GS_BASE, KGS_A);
	for (i = 0; i < 5; i++)
		guest_rdmsr(vcpu, 0x2001 + i);
	for (i = 0; i < 2; i++)
		guest_wrmsr(vcpu, 0x20f0, i);
	guest_rdmsr(vcpu, 0x2010);
	for (i = 0; i < 4; i++)
		guest_rdmsr(vcpu, MSR_UNKNOWN);

	ASSERT_EQ(0, raw_ask_for(self->family, MSRGUARD_CMD_RULE_GET, NLM_F_DUMP, self->answer));
	EXPECT_FALSE(self->answer->interrupted);
	ASSERT_EQ(5, self->answer->nr);
	message = self->answer->messages[0];
	EXPECT_FALSE(raw_has(message, MSRGUARD_A_RULE_FIRST));
	EXPECT_FALSE(raw_has(message, MSRGUARD_A_RULE_LAST));
	EXPECT_EQ(MSRGUARD_ACTION_DROP, raw_u8(message, MSRGUARD_A_RULE_READ_ACTION));
	EXPECT_EQ(MSRGUARD_ACTION_DENY, raw_u8(message, MSRGUARD_A_RULE_WRITE_ACTION));
	EXPECT_EQ(4, raw_u64(message, MSRGUARD_A_RULE_READS));
	EXPECT_EQ(0, raw_u64(message, MSRGUARD_A_RULE_WRITES));

	for (i = 1; i < 5; i++) {
		uint32_t first;

		message = self->answer->messages[i];
		EXPECT_EQ(generation, raw_u64(message, MSRGUARD_A_RULE_GENERATION));
		first = raw_u32(message, MSRGUARD_A_RULE_FIRST);
		switch (first) {
		case MSR_KERNEL_GS_BASE:
			EXPECT_EQ(MSRGUARD_ACTION_ALLOW, raw_u8(message, MSRGUARD_A_RULE_READ_ACTION));
			EXPECT_EQ(MSRGUARD_ACTION_MASK, raw_u8(message, MSRGUARD_A_RULE_WRITE_ACTION));
			EXPECT_FALSE(raw_has(message, MSRGUARD_A_RULE_READ_MASK));
			EXPECT_EQ(0xff, raw_u64(message, MSRGUARD_A_RULE_WRITE_MASK));
			EXPECT_TRUE(raw_has(message, MSRGUARD_A_RULE_KEEP));
			EXPECT_FALSE(raw_has(message, MSRGUARD_A_RULE_QUIET));
			EXPECT_EQ(3, raw_u64(message, MSRGUARD_A_RULE_WRITES));
			EXPECT_EQ(0, raw_u64(message, MSRGUARD_A_RULE_READS));
			break;
		case 0x2000:
			EXPECT_EQ(0x20ff, raw_u32(message, MSRGUARD_A_RULE_LAST));
			EXPECT_TRUE(raw_has(message, MSRGUARD_A_RULE_QUIET));
			EXPECT_FALSE(raw_has(message, MSRGUARD_A_RULE_AUDIT));
			EXPECT_EQ(5, raw_u64(message, MSRGUARD_A_RULE_READS));
			EXPECT_EQ(2, raw_u64(message, MSRGUARD_A_RULE_WRITES));
			break;
		case 0x2010:
			EXPECT_EQ(0x2010, raw_u32(message, MSRGUARD_A_RULE_LAST));
			EXPECT_TRUE(raw_has(message, MSRGUARD_A_RULE_AUDIT));
			EXPECT_EQ(1, raw_u64(message, MSRGUARD_A_RULE_READS));
			break;
		case MSR_EFER:
			EXPECT_EQ(0, raw_u64(message, MSRGUARD_A_RULE_READS));
			EXPECT_EQ(0, raw_u64(message, MSRGUARD_A_RULE_WRITES));
			break;
		default:
			EXPECT_EQ(0, first);
		}
	}
	/* A policy that is published anew begins to count anew. */
	ASSERT_EQ(0, mg_add_rule("0x3000 deny deny"));
	ASSERT_EQ(0, raw_ask_for(self->family, MSRGUARD_CMD_RULE_GET, NLM_F_DUMP, self->answer));
	ASSERT_EQ(6, self->answer->nr);
	for (i = 0; i < 6; i++)
		EXPECT_EQ(0, raw_u64(self->answer->messages[i], MSRGUARD_A_RULE_READS));
	EXPECT_EQ(generation + 1, raw_u64(self->answer->messages[0], MSRGUARD_A_RULE_GENERATION));
}

/* A policy of many datagrams; another one is published when the first of them has been read. */
static void dump_and_publish(struct __test_metadata *_metadata, uint16_t family,
			     struct raw_answer *answer, const char *then)
{
	struct mnl_socket *socket = raw_open();
	struct raw_request request;

	ASSERT_NE(NULL, socket);
	raw_forget(answer);
	raw_begin(&request, family, MSRGUARD_CMD_RULE_GET, NLM_F_DUMP);
	ASSERT_LT(0, mnl_socket_sendto(socket, request.bytes, request.len));
	ASSERT_FALSE(raw_take(socket, answer, 8192));
	ASSERT_FALSE(answer->interrupted);
	if (then)
		ASSERT_EQ(0, mg_load_policy(then));
	while (!raw_take(socket, answer, 8192))
		;
	mnl_socket_close(socket);
	EXPECT_EQ(0, answer->error);
}

TEST_F(netlink, rules_of_two_policies)
{
	const unsigned int nr = 3000;
	char *many = malloc(nr * 32 + 64);
	size_t len = sprintf(many, "%s", MG_ALLOW_ALL);

	for (unsigned int i = 0; i < nr; i++)
		len += sprintf(many + len, "0x%x deny deny\n", 0x100000 + i);
	ASSERT_EQ(0, mg_load_policy(many));
	dump_and_publish(_metadata, self->family, self->answer, NULL);
	EXPECT_FALSE(self->answer->interrupted);
	EXPECT_EQ(nr + 1, self->answer->nr);

	dump_and_publish(_metadata, self->family, self->answer, many);
	EXPECT_TRUE(self->answer->interrupted);
	/* Also when there is nothing left to tell. */
	ASSERT_EQ(0, mg_load_policy(many));
	dump_and_publish(_metadata, self->family, self->answer, MG_ALLOW_ALL);
	EXPECT_TRUE(self->answer->interrupted);
	EXPECT_GT(nr, self->answer->nr);
	free(many);
}

/**
 * struct bad - a request that is refused
 * @bad_at: offset of the attribute to blame in the request; 0 for none
 * @why:    what the kernel says
 */
struct bad {
	struct raw_request request;
	int error;
	uint32_t bad_at;
	const char *why;
};

#define FIRST_ATTR	(NLMSG_HDRLEN + GENL_HDRLEN)

static void expect_refused(struct __test_metadata *_metadata, struct raw_answer *answer,
			   const char *what, const struct bad *bad)
{
	const struct genlmsghdr *header = (const void *)(bad->request.bytes + NLMSG_HDRLEN);

	EXPECT_EQ(bad->error, raw_ask(&bad->request, answer)) {
		TH_LOG("command %u: %s", header->cmd, what);
	}
	EXPECT_EQ(0, answer->nr) {
		TH_LOG("command %u: %s", header->cmd, what);
	}
	/* In Linux 6.1 a dump has no place for them. */
	if (!host_kernel_since(6, 12) && bad->request.header.nlmsg_flags & NLM_F_DUMP)
		return;
	EXPECT_STREQ(bad->why, answer->why) {
		TH_LOG("command %u: %s", header->cmd, what);
	}
	EXPECT_EQ(bad->bad_at, answer->bad_offset) {
		TH_LOG("command %u: %s", header->cmd, what);
	}
}

/* Each command with each kind of request that it does not take. */
TEST_F(netlink, malformed)
{
	static const struct {
		uint8_t cmd;
		uint16_t flags;
		uint16_t id;	/* its u64 attribute, if it has one */
		uint16_t max;	/* its highest attribute */
	} commands[] = {
		{ MSRGUARD_CMD_STATUS_GET, 0, 0, 1 },
		{ MSRGUARD_CMD_STATS_GET, 0, 0, 1 },
		{ MSRGUARD_CMD_VERIFY, NLM_F_DUMP, MSRGUARD_A_VERIFY_VM_ID, MSRGUARD_A_VERIFY_VM_ID },
		{ MSRGUARD_CMD_VM_GET, NLM_F_DUMP, MSRGUARD_A_VM_ID, MSRGUARD_A_VM_ID },
		{ MSRGUARD_CMD_RULE_GET, NLM_F_DUMP, 0, 1 },
	};
	static const char zeros[64];

	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++) {
		uint16_t family = self->family, flags = commands[i].flags, id = commands[i].id;
		uint8_t cmd = commands[i].cmd;
		struct bad bad = { .error = -EINVAL };

		bad.bad_at = FIRST_ATTR;
		bad.why = "Unknown attribute type";
		for (uint16_t type = commands[i].max + 1; type < 1000; type += 99) {
			raw_begin(&bad.request, family, cmd, flags);
			raw_put_u64(&bad.request, type, 3);
			expect_refused(_metadata, self->answer, "an attribute of no type", &bad);
		}
		raw_begin(&bad.request, family, cmd, flags);
		raw_put(&bad.request, 0, zeros, 4);
		expect_refused(_metadata, self->answer, "an attribute of type 0", &bad);
		raw_begin(&bad.request, family, cmd, flags);
		raw_put(&bad.request, 1, zeros, 0);
		bad.why = "Unsupported attribute";
		expect_refused(_metadata, self->answer, "a padding", &bad);

		raw_begin(&bad.request, family, cmd, flags);
		raw_put_lie(&bad.request, 1, 3, zeros, 4);
		bad.bad_at = 0;
		bad.why = "bytes leftover after parsing attributes";
		expect_refused(_metadata, self->answer, "an attribute shorter than its header", &bad);
		raw_begin(&bad.request, family, cmd, flags);
		raw_put_lie(&bad.request, 1, 0, zeros, 0);
		expect_refused(_metadata, self->answer, "an attribute of length 0", &bad);
		raw_begin(&bad.request, family, cmd, flags);
		raw_put_lie(&bad.request, id ? id : 1, 200, zeros, 8);
		expect_refused(_metadata, self->answer, "an attribute beyond the message", &bad);
		raw_begin(&bad.request, family, cmd, flags);
		raw_put_lie(&bad.request, id ? id : 1, UINT16_MAX, zeros, 8);
		expect_refused(_metadata, self->answer, "an attribute beyond everything", &bad);

		raw_begin(&bad.request, family, cmd, flags);
		((struct genlmsghdr *)(bad.request.bytes + NLMSG_HDRLEN))->reserved = 1;
		bad.why = "genlmsghdr.reserved field is not 0";
		expect_refused(_metadata, self->answer, "the reserved field", &bad);
		raw_begin(&bad.request, family, cmd, flags | 0x1000);
		bad.why = "ambiguous or reserved bits set in nlmsg_flags";
		expect_refused(_metadata, self->answer, "a flag that is none", &bad);

		/* As a dump what is none, and the other way round. */
		raw_begin(&bad.request, family, cmd, flags ^ NLM_F_DUMP);
		bad.error = -EOPNOTSUPP;
		bad.why = "";
		expect_refused(_metadata, self->answer, "the other way to ask", &bad);
		if (!id)
			continue;

		bad.error = -EINVAL;
		bad.bad_at = FIRST_ATTR;
		bad.why = "invalid attribute length";
		for (size_t len = 0; len <= 16; len++) {
			if (len == sizeof(uint64_t))
				continue;
			raw_begin(&bad.request, family, cmd, flags);
			raw_put(&bad.request, id, zeros, len);
			expect_refused(_metadata, self->answer, "an id of a wrong length", &bad);
		}
		raw_begin(&bad.request, family, cmd, flags);
		raw_put_u64(&bad.request, id | NLA_F_NESTED, 3);
		bad.why = "NLA_F_NESTED not expected";
		expect_refused(_metadata, self->answer, "an id that is nested", &bad);
		/* Behind a good one, the second is to blame. */
		raw_begin(&bad.request, family, cmd, flags);
		raw_put_u64(&bad.request, id, 3);
		raw_put_u64(&bad.request, id + 7, 3);
		bad.bad_at = FIRST_ATTR + 12;
		bad.why = "Unknown attribute type";
		expect_refused(_metadata, self->answer, "an attribute of no type behind an id", &bad);
	}
	/* After all that, it works. */
	EXPECT_EQ(0, raw_ask_for(self->family, MSRGUARD_CMD_STATS_GET, 0, self->answer));
	EXPECT_EQ(1, self->answer->nr);
}

TEST_F(netlink, missing)
{
	struct bad bad = { .error = -EINVAL, .why = "the attribute vm-id is missing" };

	raw_begin(&bad.request, self->family, MSRGUARD_CMD_VERIFY, NLM_F_DUMP);
	expect_refused(_metadata, self->answer, "verify without a VM", &bad);
}

/* Commands that there are not, and events, which nobody may ask for. */
TEST_F(netlink, other_commands)
{
	for (unsigned int cmd = 0; cmd <= 255; cmd++) {
		if (cmd == MSRGUARD_CMD_STATUS_GET || cmd == MSRGUARD_CMD_VERIFY ||
		    (cmd >= MSRGUARD_CMD_STATS_GET && cmd <= MSRGUARD_CMD_MAX))
			continue;
		EXPECT_EQ(-EOPNOTSUPP, raw_ask_for(self->family, cmd, 0, self->answer)) {
			TH_LOG("%u", cmd);
		}
		EXPECT_EQ(-EOPNOTSUPP, raw_ask_for(self->family, cmd, NLM_F_DUMP, self->answer)) {
			TH_LOG("%u", cmd);
		}
	}
}

/* What is shorter than its headers. Netlink itself does not answer what is no message at all. */
TEST_F(netlink, truncated)
{
	const struct timeval soon = { .tv_usec = 200000 };
	struct raw_request request;
	struct mnl_socket *socket;

	for (uint32_t len = 0; len < NLMSG_HDRLEN + GENL_HDRLEN; len++) {
		raw_begin(&request, self->family, MSRGUARD_CMD_STATS_GET, 0);
		request.header.nlmsg_len = len;
		request.len = len < NLMSG_HDRLEN ? NLMSG_HDRLEN : len;
		if (len >= NLMSG_HDRLEN) {
			EXPECT_EQ(-EINVAL, raw_ask(&request, self->answer)) {
				TH_LOG("%u bytes", len);
			}
			continue;
		}
		if (len % 5)
			continue;
		socket = raw_open();
		ASSERT_NE(NULL, socket);
		setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
		ASSERT_LT(0, mnl_socket_sendto(socket, request.bytes, request.len));
		raw_forget(self->answer);
		EXPECT_TRUE(raw_take(socket, self->answer, 8192));
		EXPECT_EQ(-EAGAIN, self->answer->error);
		mnl_socket_close(socket);
	}
	/* Longer than what came. */
	raw_begin(&request, self->family, MSRGUARD_CMD_STATS_GET, 0);
	request.header.nlmsg_len += 4;
	socket = raw_open();
	ASSERT_NE(NULL, socket);
	setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	ASSERT_LT(0, mnl_socket_sendto(socket, request.bytes, request.len));
	raw_forget(self->answer);
	EXPECT_TRUE(raw_take(socket, self->answer, 8192));
	EXPECT_EQ(-EAGAIN, self->answer->error);
	mnl_socket_close(socket);
}

/* Bytes of any kind behind the family's header: an answer or a refusal, and the host stays well. */
TEST_F(netlink, noise)
{
	unsigned int refused = 0, answered = 0;
	struct raw_request request;

	srand(7);
	for (unsigned int round = 0; round < 3000; round++) {
		uint8_t cmd = rand() % (MSRGUARD_CMD_MAX + 2);
		size_t len = rand() % 40;

		raw_begin(&request, self->family, cmd, rand() % 2 ? NLM_F_DUMP : 0);
		for (size_t i = 0; i < len; i++)
			request.bytes[request.len + i] = rand() % 8 ? rand() % 13 : rand();
		request.len += len;
		request.header.nlmsg_len = request.len;
		if (raw_ask(&request, self->answer))
			refused++;
		else
			answered++;
		ASSERT_NE(-EAGAIN, self->answer->error);
	}
	EXPECT_LT(100, refused);
	EXPECT_LT(10, answered);
	EXPECT_EQ(0, raw_ask_for(self->family, MSRGUARD_CMD_STATS_GET, 0, self->answer));
}

/* How many accesses the events that are there stand for; of one socket that fell behind. */
static uint64_t read_all(struct mnl_socket *socket, struct raw_answer *answer, bool *overrun)
{
	const struct timeval soon = { .tv_usec = 200000 };
	uint64_t told = 0;

	setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	for (;;) {
		raw_forget(answer);
		if (raw_take(socket, answer, 65536)) {
			if (answer->error != -ENOBUFS)
				break;
			*overrun = true;
			continue;
		}
		for (unsigned int i = 0; i < answer->nr; i++)
			told += raw_u64(answer->messages[i], MSRGUARD_A_ACCESS_COUNT);
	}
	return told;
}

/* Ten who listen and one who sleeps: nobody takes another's events away. */
TEST_F(netlink, ten_listeners)
{
	/* As many events as the usual receive buffer has room for. */
	const unsigned int nr = 60;
	struct mg_listener *listeners[LISTENERS];
	struct mnl_socket *sleeper = raw_open();
	int smallest = 1, on = 1;
	struct mg_stats start, d;
	struct mg_event event;
	bool overrun = false;
	uint64_t told;

	use_policy(_metadata, "0xc0000102 allow deny");
	for (unsigned int i = 0; i < LISTENERS; i++) {
		listeners[i] = mg_listen();
		ASSERT_NE(NULL, listeners[i]);
		ASSERT_TRUE(mg_listener_counts_losses(listeners[i]));
	}
	ASSERT_NE(NULL, sleeper);
	ASSERT_EQ(0, setsockopt(mnl_socket_get_fd(sleeper), SOL_SOCKET, SO_RCVBUF, &smallest,
				sizeof(smallest)));
	ASSERT_EQ(0, mnl_socket_setsockopt(sleeper, NETLINK_BROADCAST_ERROR, &on, sizeof(on)));
	ASSERT_EQ(0, raw_join(sleeper, self->group));
	start = mg_stats();
	for (unsigned int n = 0; n < nr; n++)
		ASSERT_EQ(VECTOR_GP, guest_wrmsr(self->table.vcpu, MSR_KERNEL_GS_BASE, n).vector);
	/* And folded. */
	ASSERT_EQ(0, mg_set_window(300));
	for (unsigned int n = 0; n < nr; n++)
		guest_wrmsr(self->table.vcpu, MSR_KERNEL_GS_BASE, n);
	for (unsigned int n = 0; n < 100 * host_patience() && mg_stats().pending; n++)
		usleep(100000);
	d = mg_stats_since(&start);
	EXPECT_EQ(0, d.pending);
	EXPECT_EQ(2 * nr, d.denied);
	EXPECT_EQ(2 * nr, d.sequence);
	for (unsigned int i = 0; i < LISTENERS; i++) {
		uint64_t next = start.sequence + 1;

		told = 0;
		while (mg_next_event(listeners[i], &event, 200)) {
			EXPECT_EQ(next, event.seq - event.count + 1) {
				TH_LOG("listener %u", i);
			}
			next = event.seq + 1;
			told += event.count;
		}
		EXPECT_EQ(2 * nr, told) {
			TH_LOG("listener %u", i);
		}
		mg_listener_free(listeners[i]);
	}
	/* What it did not get is exactly what the host counts as lost. */
	told = read_all(sleeper, self->answer, &overrun);
	EXPECT_TRUE(overrun);
	EXPECT_GT(2 * nr, told);
	EXPECT_EQ(2 * nr, told + d.lost);
	mnl_socket_close(sleeper);
}

static int become_nobody(void)
{
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		return -errno;
	return 0;
}

static int drop(unsigned int capability)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	data[0].effective &= ~(1u << capability);
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

static int try_to_join(uint32_t group)
{
	struct mnl_socket *socket = raw_open();
	int err;

	if (!socket)
		return -errno;
	err = raw_join(socket, group);
	mnl_socket_close(socket);
	return err;
}

static void expect_no_answer(struct __test_metadata *_metadata, uint16_t family,
			     struct raw_answer *answer, int error)
{
	EXPECT_EQ(error, raw_ask_for(family, MSRGUARD_CMD_STATUS_GET, 0, answer));
	EXPECT_EQ(error, raw_ask_for(family, MSRGUARD_CMD_STATS_GET, 0, answer));
	EXPECT_EQ(error, raw_ask_for(family, MSRGUARD_CMD_VM_GET, NLM_F_DUMP, answer));
	EXPECT_EQ(error, raw_ask_for(family, MSRGUARD_CMD_RULE_GET, NLM_F_DUMP, answer));
	EXPECT_EQ(error, raw_ask_for(family, MSRGUARD_CMD_VERIFY, NLM_F_DUMP, answer));
	EXPECT_EQ(0, answer->nr);
}

/* Each test is a process of its own, so what it becomes ends with it. */
TEST_F(netlink, nobody)
{
	ASSERT_EQ(0, become_nobody());
	expect_no_answer(_metadata, self->family, self->answer, -EPERM);
	EXPECT_EQ(-EPERM, try_to_join(self->group));
}

TEST_F(netlink, root_without_net_admin)
{
	ASSERT_EQ(0, drop(CAP_NET_ADMIN));
	expect_no_answer(_metadata, self->family, self->answer, -EPERM);
	EXPECT_EQ(-EPERM, try_to_join(self->group));
}

/* Events tell of guests' memory and registers, so they take more than counters do. */
TEST_F(netlink, root_without_sys_admin)
{
	EXPECT_EQ(0, try_to_join(self->group));
	ASSERT_EQ(0, drop(CAP_SYS_ADMIN));
	EXPECT_EQ(0, raw_ask_for(self->family, MSRGUARD_CMD_STATS_GET, 0, self->answer));
	EXPECT_EQ(-EPERM, try_to_join(self->group));
}

/* There is no such family elsewhere, whatever its number. */
TEST_F(netlink, another_network_namespace)
{
	ASSERT_EQ(0, unshare(CLONE_NEWNET));
	expect_no_answer(_metadata, self->family, self->answer, -ENOENT);
	EXPECT_EQ(-ENOENT, raw_family(&self->family, &self->group));
}

TEST_HARNESS_MAIN
