// SPDX-License-Identifier: GPL-2.0
/* The request "verify", see verify.h. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/msrguard.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "msrguard.h"
#include "verify.h"
#include "vm.h"

#define OWN_VMS_MAX	16
#define ANSWER_MAX	32768
#define RUN_PATIENCE	20000		/* ms until a vCPU is in the guest */

#define BIT(attr)	(1u << MSRGUARD_A_VERIFY_##attr)
#define OF_VCPU		(BIT(VM_ID) | BIT(VM_PID) | BIT(VCPU) | BIT(STATE) | BIT(GUARDED) | \
			 BIT(MISSING) | BIT(GENERATION))
#define OF_ACCESS	(BIT(VM_ID) | BIT(VCPU) | BIT(MSR) | BIT(DIRECTION))

struct request {
	struct mnl_socket *socket;
	unsigned int port;
	uint32_t seq;
	uint16_t family;
	uint64_t vm_id;
	struct mg_verify_result *result;
	/* The one whose accesses come now; not kept if there are too many. */
	struct mg_verify_vcpu *vcpu, spare;
	char ask[256] __attribute__((aligned(NLMSG_ALIGNTO)));
};

/* The attributes of one message. */
struct fields {
	uint32_t has;
	uint64_t vm_id;
	uint32_t msr;
	uint8_t direction;
	struct mg_verify_vcpu vcpu;
};

static bool take(const struct nlattr *attr, void *to, size_t size)
{
	if (mnl_attr_get_payload_len(attr) != size)
		return false;
	memcpy(to, mnl_attr_get_payload(attr), size);
	return true;
}

static bool take_attribute(const struct nlattr *attr, struct fields *to)
{
	switch (mnl_attr_get_type(attr)) {
	case MSRGUARD_A_VERIFY_PAD:
		return true;
	case MSRGUARD_A_VERIFY_VM_ID:
		return take(attr, &to->vm_id, sizeof(to->vm_id));
	case MSRGUARD_A_VERIFY_VM_PID:
		return take(attr, &to->vcpu.vm_pid, sizeof(to->vcpu.vm_pid));
	case MSRGUARD_A_VERIFY_VCPU:
		return take(attr, &to->vcpu.vcpu, sizeof(to->vcpu.vcpu));
	case MSRGUARD_A_VERIFY_STATE:
		return take(attr, &to->vcpu.state, sizeof(to->vcpu.state));
	case MSRGUARD_A_VERIFY_NESTED:
		to->vcpu.nested = true;
		return !mnl_attr_get_payload_len(attr);
	case MSRGUARD_A_VERIFY_GUARDED:
		return take(attr, &to->vcpu.guarded, sizeof(to->vcpu.guarded));
	case MSRGUARD_A_VERIFY_MISSING:
		return take(attr, &to->vcpu.missing, sizeof(to->vcpu.missing));
	case MSRGUARD_A_VERIFY_GENERATION:
		return take(attr, &to->vcpu.generation, sizeof(to->vcpu.generation));
	case MSRGUARD_A_VERIFY_MSR:
		return take(attr, &to->msr, sizeof(to->msr));
	case MSRGUARD_A_VERIFY_DIRECTION:
		return take(attr, &to->direction, sizeof(to->direction));
	default:
		return false;
	}
}

static void end_vcpu(struct request *request)
{
	if (request->vcpu && request->vcpu->nr != request->vcpu->missing)
		request->result->strange++;
	request->vcpu = NULL;
}

static void take_vcpu(struct request *request, const struct fields *fields)
{
	struct mg_verify_result *result = request->result;

	end_vcpu(request);
	request->vcpu = result->nr < MG_VERIFY_VCPUS ? &result->vcpus[result->nr] : &request->spare;
	*request->vcpu = fields->vcpu;
	result->nr++;
	if (fields->vcpu.state < MG_VERIFY_STATES)
		result->states[fields->vcpu.state]++;
	else
		result->strange++;
	if ((fields->vcpu.state == MSRGUARD_VERIFY_STATE_DIFFERS) != !!fields->vcpu.missing ||
	    fields->vcpu.missing > fields->vcpu.guarded)
		result->strange++;
}

static void take_access(struct request *request, const struct fields *fields)
{
	struct mg_verify_vcpu *vcpu = request->vcpu;

	if (!vcpu || vcpu->vcpu != fields->vcpu.vcpu || vcpu->nested != fields->vcpu.nested) {
		request->result->strange++;
		return;
	}
	if (vcpu->nr < MG_VERIFY_ACCESSES) {
		vcpu->accesses[vcpu->nr].msr = fields->msr;
		vcpu->accesses[vcpu->nr].direction = fields->direction;
	}
	vcpu->nr++;
}

static void take_answer(struct request *request, const struct nlmsghdr *message)
{
	const struct genlmsghdr *header = mnl_nlmsg_get_payload(message);
	struct fields fields = { 0 };
	const struct nlattr *attr;

	if (message->nlmsg_type != request->family || header->cmd != MSRGUARD_CMD_VERIFY) {
		request->result->strange++;
		return;
	}
	mnl_attr_for_each(attr, message, sizeof(*header)) {
		if (!take_attribute(attr, &fields))
			request->result->strange++;
		fields.has |= 1u << mnl_attr_get_type(attr) % 32;
	}
	fields.has &= ~(BIT(PAD) | BIT(NESTED));
	if (fields.vm_id != request->vm_id)
		request->result->strange++;
	else if (fields.has == OF_VCPU)
		take_vcpu(request, &fields);
	else if (fields.has == OF_ACCESS)
		take_access(request, &fields);
	else
		request->result->strange++;
}

/* What stands behind an error: @at the first attribute. */
static void take_reason(struct request *request, const struct nlmsghdr *message, size_t at)
{
	const char *end = mnl_nlmsg_get_payload_tail(message);
	const char *payload = mnl_nlmsg_get_payload(message);
	const struct nlattr *attr = (const struct nlattr *)(payload + at);
	const struct nlattr *bad;

	if (!(message->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	for (; mnl_attr_ok(attr, end - (const char *)attr); attr = mnl_attr_next(attr)) {
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
			snprintf(request->result->why, sizeof(request->result->why), "%s",
				 mnl_attr_get_str(attr));
		if (mnl_attr_get_type(attr) != NLMSGERR_ATTR_OFFS ||
		    mnl_attr_get_u32(attr) + sizeof(*bad) > sizeof(request->ask))
			continue;
		bad = (const struct nlattr *)(request->ask + mnl_attr_get_u32(attr));
		request->result->bad_attr = mnl_attr_get_type(bad);
	}
}

/* The kernel's last message: 0 or its negative errno. */
static int take_end(struct request *request, const struct nlmsghdr *message)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);
	size_t at = MNL_ALIGN(sizeof(error->error));

	if (message->nlmsg_type == NLMSG_ERROR) {
		at = sizeof(*error);
		if (!(message->nlmsg_flags & NLM_F_CAPPED))
			at += MNL_ALIGN(error->msg.nlmsg_len) - NLMSG_HDRLEN;
	}
	take_reason(request, message, at);
	return error->error;
}

static int find_family(const struct nlattr *attr, void *family)
{
	if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
		*(uint16_t *)family = mnl_attr_get_u16(attr);
	return MNL_CB_OK;
}

static struct nlmsghdr *begin(struct request *request, uint16_t type, uint8_t cmd, uint16_t flags)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(request->ask);
	struct genlmsghdr *header;

	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | flags;
	message->nlmsg_seq = ++request->seq;
	header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
	header->cmd = cmd;
	header->version = 1;
	return message;
}

/* Send what begin() began, take all of the answer. 0 or a negative errno. */
static int talk(struct request *request, const struct nlmsghdr *question)
{
	char buf[ANSWER_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	const struct nlmsghdr *message;
	ssize_t n;
	int len;

	if (mnl_socket_sendto(request->socket, question, question->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		n = mnl_socket_recvfrom(request->socket, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		len = n;
		for (message = (struct nlmsghdr *)buf; mnl_nlmsg_ok(message, len);
		     message = mnl_nlmsg_next(message, &len)) {
			if (!mnl_nlmsg_seq_ok(message, request->seq) ||
			    !mnl_nlmsg_portid_ok(message, request->port))
				continue;
			if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE)
				return take_end(request, message);
			if (question->nlmsg_type == GENL_ID_CTRL)
				mnl_attr_parse(message, sizeof(struct genlmsghdr), find_family,
					       &request->family);
			else
				take_answer(request, message);
		}
	}
}

static int ask(struct request *request)
{
	struct nlmsghdr *message;
	int err, on = 1;

	if (mnl_socket_bind(request->socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_setsockopt(request->socket, NETLINK_EXT_ACK, &on, sizeof(on)) < 0)
		return -errno;
	request->port = mnl_socket_get_portid(request->socket);
	message = begin(request, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, NLM_F_ACK);
	mnl_attr_put_strz(message, CTRL_ATTR_FAMILY_NAME, MSRGUARD_FAMILY_NAME);
	err = talk(request, message);
	if (err)
		return err;
	message = begin(request, request->family, MSRGUARD_CMD_VERIFY, NLM_F_DUMP);
	mnl_attr_put_u64(message, MSRGUARD_A_VERIFY_VM_ID, request->vm_id);
	err = talk(request, message);
	end_vcpu(request);
	return err;
}

int mg_verify(uint64_t vm_id, struct mg_verify_result *result)
{
	struct request request = { .vm_id = vm_id, .result = result };
	int err;

	memset(result, 0, sizeof(*result));
	request.socket = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	if (!request.socket)
		return -errno;
	err = ask(&request);
	mnl_socket_close(request.socket);
	return err;
}

static void print_vcpu(uint64_t vm_id, const struct mg_verify_vcpu *vcpu)
{
	static const char *const states[MG_VERIFY_STATES] = {
		"matches", "differs", "not running", "unreadable", "encrypted",
	};
	unsigned int i;

	printf("# VM %lu vCPU %u%s: %s, %u guarded, %u missing, generation %lu\n", vm_id,
	       vcpu->vcpu, vcpu->nested ? " (its nested guest)" : "",
	       vcpu->state < MG_VERIFY_STATES ? states[vcpu->state] : "?",
	       vcpu->guarded, vcpu->missing, vcpu->generation);
	for (i = 0; i < vcpu->nr && i < MG_VERIFY_ACCESSES; i++)
		printf("#   MSR 0x%x %s is not intercepted\n", vcpu->accesses[i].msr,
		       vcpu->accesses[i].direction ? "write" : "read");
}

static unsigned int verify_one(uint64_t vm_id)
{
	static __thread struct mg_verify_result result;
	unsigned int i, bad, tries = 0;
	int err;

	/* Where it is not the VM that is not there, it is the module: another thread loads it anew. */
	do {
		err = mg_verify(vm_id, &result);
	} while (err == -ENOENT && !result.bad_attr && mg_loaded() && ++tries < 10);
	/* Or another thread has freed the VM, or unloaded the module, and nothing is to be said. */
	if (err == -ENOENT && (result.bad_attr == MSRGUARD_A_VERIFY_VM_ID || !mg_loaded()))
		return 0;
	bad = result.strange + result.states[MSRGUARD_VERIFY_STATE_DIFFERS] +
	      result.states[MSRGUARD_VERIFY_STATE_UNREADABLE];
	if (!err && !bad)
		return result.states[MSRGUARD_VERIFY_STATE_MATCHES];
	printf("# verifying VM %lu: %s%s%s, %u strange\n", vm_id, strerror(-err),
	       *result.why ? ": " : "", result.why, result.strange);
	for (i = 0; i < result.nr && i < MG_VERIFY_VCPUS; i++)
		print_vcpu(vm_id, &result.vcpus[i]);
	fflush(stdout);
	abort();
}

unsigned int mg_verify_own(void)
{
	struct mg_vm_line vms[OWN_VMS_MAX];
	unsigned int i, n, matching = 0;

	n = mg_vms_of(getpid(), vms, OWN_VMS_MAX);
	for (i = 0; i < n; i++)
		matching += verify_one(vms[i].id);
	return matching;
}

static void *quiet_run(void *vcpu)
{
	/* Counts rounds in the page that R15 points to, until it says stop; guests/abi.h. */
	static const uint8_t rounds[] = {
		0xfb,					/* sti: Bochs's SVM wants it, see payload.S */
		0x49, 0xff, 0x47, PG_OK,		/* incq PG_OK(%r15) */
		0xf3, 0x90,				/* pause */
		0x49, 0x83, 0x7f, PG_STOP, 0,		/* cmpq $0, PG_STOP(%r15) */
		0x74, 0xf3,				/* je, to the incq */
	};

	guest_code(vcpu, rounds, sizeof(rounds), 0, 0, 0);
	return NULL;
}

/* guest_code() itself wants no vCPU that spins, so that is set when it has begun. */
void quiet_run_start(struct vcpu *vcpu)
{
	int error;

	vcpu->page->ok = 0;
	error = pthread_create(&vcpu->thread, NULL, quiet_run, vcpu);
	if (error)
		vm_die(vcpu, "cannot start a thread: %s", strerror(error));
	if (!spin_wait_ok(vcpu, 1, RUN_PATIENCE))
		vm_die(vcpu, "it does not run");
	vcpu->spinning = true;
}

void quiet_run_stop(struct vcpu *vcpu)
{
	vcpu->page->stop = 1;
	pthread_join(vcpu->thread, NULL);
	vcpu->spinning = false;
}
