// SPDX-License-Identifier: GPL-2.0
/*
 * "msrguard verify": does the hardware intercept what the policy says? Not what the module meant to
 * set up: the kernel reads the bitmaps back from the vCPUs while they run.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/msrguard.h>

#include "json.h"
#include "msrguard.h"
#include "netlink.h"
#include "verify_answer.h"
#include "vms.h"

#define WAIT_MAX	86400
#define TRIES		10	/* for an answer of one piece */
#define PAUSE_MS	100
#define NAME_LEN	32
#define NR_STATES	(MSRGUARD_VERIFY_STATE_ENCRYPTED + 1)

struct target {
	struct mg_vm vm;
	struct mg_verify_answer answer;
	bool gone;
};

struct verify {
	struct mg_nl nl;
	struct target *targets;
	size_t nr;
	bool named;		/* VMs were asked for, not just all there are */
	bool json;
};

struct counts {
	size_t vcpus;
	size_t gone;
	size_t state[NR_STATES];
	size_t unknown;		/* in a state this command does not know */
};

static const char *const state_names[NR_STATES] = {
	[MSRGUARD_VERIFY_STATE_MATCHES] = "matches",
	[MSRGUARD_VERIFY_STATE_DIFFERS] = "differs",
	[MSRGUARD_VERIFY_STATE_NOT_RUNNING] = "not-running",
	[MSRGUARD_VERIFY_STATE_UNREADABLE] = "unreadable",
	[MSRGUARD_VERIFY_STATE_ENCRYPTED] = "encrypted",
};

static const char *direction_name(uint8_t direction, char *buf)
{
	if (direction == MSRGUARD_DIRECTION_READ)
		return "read";
	if (direction == MSRGUARD_DIRECTION_WRITE)
		return "write";
	snprintf(buf, NAME_LEN, "unknown-%u", direction);
	return buf;
}

static const char *state_name(uint8_t state, char *buf)
{
	if (state < NR_STATES)
		return state_names[state];
	snprintf(buf, NAME_LEN, "unknown-%u", state);
	return buf;
}

static void add_target(struct verify *verify, const struct mg_vm *vm)
{
	struct target *targets;

	targets = mg_alloc_check(realloc(verify->targets, (verify->nr + 1) * sizeof(*targets)));
	targets[verify->nr++] = (struct target){ .vm = *vm, .answer.vm = vm->id };
	verify->targets = targets;
}

/* "id:N", "pid:N", or a number that is either; 0 or an exit code after a complaint. */
static int find_vms(struct verify *verify, const char *text, const struct mg_vm *vms, size_t nr)
{
	bool by_id = strncmp(text, "pid:", 4), by_pid = strncmp(text, "id:", 3);
	const char *number = text + (by_id ? by_pid ? 0 : 3 : 4);
	size_t i, ids = 0, pids = 0;
	uint64_t value;

	if (!mg_parse_u64(number, 0, &value)) {
		mg_complain("verify takes a VM's id or process id, as \"msrguard status\" has them, not \"%s\"",
			    text);
		return MG_EXIT_USAGE;
	}
	for (i = 0; i < nr; i++) {
		ids += by_id && vms[i].id == value;
		pids += by_pid && vms[i].pid == value && vms[i].id != value;
	}
	if (ids && pids) {
		mg_complain("%s is the id of one VM and the process id of another", text);
		fprintf(stderr, "  do: msrguard verify id:%s, or pid:%s\n", number, number);
		return MG_EXIT_USAGE;
	}
	if (!ids && !pids) {
		mg_complain("no VM of this host has the %s %s", by_id && by_pid ? "id or process id" :
			    by_id ? "id" : "process id", number);
		fputs("  do: \"msrguard status\" lists the VMs\n", stderr);
		return MG_EXIT_WRONG;
	}
	for (i = 0; i < nr; i++)
		if ((by_id && vms[i].id == value) || (by_pid && vms[i].pid == value))
			add_target(verify, &vms[i]);
	return MG_EXIT_OK;
}

static int find_targets(struct verify *verify, const char *wanted)
{
	int err, ret = MG_EXIT_OK;
	struct mg_vm *vms;
	size_t nr, i;

	err = mg_vms_read(&vms, &nr);
	if (err)
		return mg_sysfs_fail(MG_VMS_FILE, err);
	verify->named = wanted;
	if (wanted)
		ret = find_vms(verify, wanted, vms, nr);
	else
		for (i = 0; i < nr; i++)
			add_target(verify, &vms[i]);
	free(vms);
	return ret;
}

/* A vCPU may come twice, one message behind the other. */
static size_t vcpus_of(const struct mg_verify_answer *answer)
{
	size_t i, count = 0;

	for (i = 0; i < answer->nr; i++)
		count += !i || answer->vcpus[i].vcpu != answer->vcpus[i - 1].vcpu;
	return count;
}

static bool take(void *context, const struct nlmsghdr *message)
{
	return mg_verify_take(context, message);
}

static int refused(struct verify *verify, const struct target *target, int err,
		   const struct mg_nl_refusal *refusal)
{
	if (!mg_sysfs_loaded()) {
		mg_complain("the module was unloaded meanwhile");
		return MG_EXIT_NOT_LOADED;
	}
	if (err == -EPERM || err == -EACCES) {
		mg_complain("verifying is not permitted");
		fputs("  do: run this as root of the host, for example with sudo\n", stderr);
		return MG_EXIT_NO_PERMISSION;
	}
	if (err == -EOPNOTSUPP || err == -EBADMSG) {
		mg_complain(err == -EBADMSG ? "the module's answer about VM %" PRIu64 " is malformed" :
					      "the module cannot verify VM %" PRIu64,
			    target->vm.id);
		fputs("  do: use the command and the module of the same version\n", stderr);
		return MG_EXIT_WRONG;
	}
	fflush(stdout);
	fprintf(stderr, "msrguard: cannot verify VM %" PRIu64 ": %s", target->vm.id,
		err == -EINTR ? "it changes faster than it can be read" : strerror(-err));
	if (*refusal->text) {
		fputs(" (", stderr);
		mg_put_visible(stderr, refusal->text, strlen(refusal->text));
		fputc(')', stderr);
	}
	fputc('\n', stderr);
	/* Another module of the name has been loaded since: the family is not ours any more. */
	if (err == -ENOENT && verify->nr)
		fputs("  do: try again\n", stderr);
	return MG_EXIT_WRONG;
}

/* Ask about one VM. 0, or the exit code after a complaint. */
static int ask(struct verify *verify, struct target *target)
{
	struct mg_nl_refusal refusal;
	int err, i;

	for (i = 0; i < TRIES; i++) {
		mg_verify_free(&target->answer);
		err = mg_nl_verify(&verify->nl, target->vm.id, take, &target->answer, &refusal);
		if (err != -EINTR)
			break;
	}
	/* Else that ENOENT would be the family's. */
	if (err == -ENOENT && refusal.bad_attr == MSRGUARD_A_VERIFY_VM_ID) {
		mg_verify_free(&target->answer);
		target->gone = true;
		return MG_EXIT_OK;
	}
	/* vCPUs do not leave a VM; silence about one must not pass for a match. */
	if (!err && (!mg_verify_complete(&target->answer) ||
		     vcpus_of(&target->answer) < target->vm.vcpus))
		err = -EBADMSG;
	return err ? refused(verify, target, err, &refusal) : MG_EXIT_OK;
}

static bool settled(const struct target *target)
{
	size_t i;

	for (i = 0; i < target->answer.nr; i++)
		if (target->answer.vcpus[i].state != MSRGUARD_VERIFY_STATE_MATCHES &&
		    target->answer.vcpus[i].state != MSRGUARD_VERIFY_STATE_ENCRYPTED)
			return false;
	return true;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ull + now.tv_nsec / 1000000;
}

/* Ask about all, and again about those that do not match, until @wait_ms are over. */
static int ask_all(struct verify *verify, uint64_t wait_ms)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000 };
	uint64_t deadline = now_ms() + wait_ms;
	bool first = true, again;
	size_t i;
	int ret;

	do {
		if (!first)
			nanosleep(&pause, NULL);
		again = false;
		for (i = 0; i < verify->nr; i++) {
			if (!first && (verify->targets[i].gone || settled(&verify->targets[i])))
				continue;
			ret = ask(verify, &verify->targets[i]);
			if (ret)
				return ret;
			again |= !settled(&verify->targets[i]);
		}
		first = false;
	} while (again && now_ms() < deadline);
	return MG_EXIT_OK;
}

static void count(const struct verify *verify, struct counts *counts)
{
	const struct mg_verify_vcpu *vcpu;
	size_t i, j;

	memset(counts, 0, sizeof(*counts));
	for (i = 0; i < verify->nr; i++) {
		counts->gone += verify->targets[i].gone;
		counts->vcpus += vcpus_of(&verify->targets[i].answer);
		for (j = 0; j < verify->targets[i].answer.nr; j++) {
			vcpu = &verify->targets[i].answer.vcpus[j];
			if (vcpu->state < NR_STATES)
				counts->state[vcpu->state]++;
			else
				counts->unknown++;
		}
	}
}

static int exit_code(const struct verify *verify, const struct counts *counts)
{
	if (counts->state[MSRGUARD_VERIFY_STATE_DIFFERS])
		return MG_EXIT_DIFFERS;
	if (counts->state[MSRGUARD_VERIFY_STATE_UNREADABLE] ||
	    counts->state[MSRGUARD_VERIFY_STATE_ENCRYPTED] || counts->unknown)
		return MG_EXIT_UNVERIFIED;
	return verify->named && counts->gone ? MG_EXIT_WRONG : MG_EXIT_OK;
}

static void print_state(const struct mg_verify_vcpu *vcpu)
{
	switch (vcpu->state) {
	case MSRGUARD_VERIFY_STATE_MATCHES:
		if (vcpu->guarded)
			printf("matches, %" PRIu32 " guarded accesses are intercepted",
			       vcpu->guarded);
		else
			fputs("matches, nothing is guarded that the bitmap could let through",
			      stdout);
		break;
	case MSRGUARD_VERIFY_STATE_DIFFERS:
		printf("DIFFERS, %" PRIu32 " of %" PRIu32 " guarded accesses are not intercepted",
		       vcpu->missing, vcpu->guarded);
		break;
	case MSRGUARD_VERIFY_STATE_NOT_RUNNING:
		fputs("not running, so no bitmap is in use; it is computed before the vCPU runs",
		      stdout);
		break;
	case MSRGUARD_VERIFY_STATE_UNREADABLE:
		fputs("UNREADABLE, it runs but the bitmap in use could not be read", stdout);
		break;
	case MSRGUARD_VERIFY_STATE_ENCRYPTED:
		fputs("ENCRYPTED, the guest's registers are, and the bitmap was not compared",
		      stdout);
		break;
	default:
		printf("UNKNOWN, the module says %u", vcpu->state);
		break;
	}
	printf(" (generation %" PRIu64 ")\n", vcpu->generation);
}

/* One line for each run of MSRs: a bitmap that is all open would be tens of thousands. */
static void print_accesses(const struct mg_verify_vcpu *vcpu)
{
	const struct mg_verify_access *access = vcpu->accesses, *end = access + vcpu->nr, *last;
	char name[NAME_LEN];

	for (; access < end; access = last + 1) {
		for (last = access; last + 1 < end; last++)
			if (last[1].direction != access->direction || last[1].msr != last->msr + 1)
				break;
		printf("  msr 0x%" PRIx32, access->msr);
		if (last != access)
			printf("-0x%" PRIx32, last->msr);
		printf(" %s: the hardware does it without an exit, so the policy's rule for it does not hold\n",
		       direction_name(access->direction, name));
	}
}

static void print_target(const struct target *target)
{
	const struct mg_verify_vcpu *vcpu;
	size_t i;

	if (target->gone)
		printf("vm %" PRIu64 " pid %" PRIu32 ": gone meanwhile\n", target->vm.id,
		       target->vm.pid);
	else if (!target->answer.nr)
		printf("vm %" PRIu64 " pid %" PRIu32 ": has no vCPU\n", target->vm.id,
		       target->vm.pid);
	for (i = 0; i < target->answer.nr; i++) {
		vcpu = &target->answer.vcpus[i];
		printf("vm %" PRIu64 " pid %" PRIu32 " vcpu %" PRIu32 "%s: ", target->vm.id,
		       vcpu->pid, vcpu->vcpu, vcpu->nested ? " (its nested guest)" : "");
		print_state(vcpu);
		print_accesses(vcpu);
	}
}

static void print_text(const struct verify *verify, const struct counts *counts)
{
	size_t i;

	if (!verify->nr) {
		puts("no VM is running: there is nothing to verify");
		return;
	}
	for (i = 0; i < verify->nr; i++)
		print_target(&verify->targets[i]);
	printf("%zu VM%s, %zu vCPU%s:", verify->nr, verify->nr == 1 ? "" : "s", counts->vcpus,
	       counts->vcpus == 1 ? "" : "s");
	for (i = 0; i < NR_STATES; i++)
		printf("%s %zu %s", i ? "," : "", counts->state[i], state_names[i]);
	if (counts->unknown)
		printf(", %zu unknown", counts->unknown);
	if (counts->gone)
		printf(", %zu VM%s gone", counts->gone, counts->gone == 1 ? "" : "s");
	putchar('\n');
	if (counts->state[MSRGUARD_VERIFY_STATE_DIFFERS])
		puts("   do: msrguard verify --wait 5; if it still differs, guests can do these accesses\n"
		     "       unseen: load the policy again, and report it with this output");
	if (counts->state[MSRGUARD_VERIFY_STATE_UNREADABLE] || counts->unknown)
		puts("   do: look for the reason in dmesg, and use the command and the module of the\n"
		     "       same version");
}

static void json_vcpu(struct json_object *array, const struct mg_verify_vcpu *vcpu)
{
	struct json_object *item = mg_json_append(array), *accesses, *access;
	char name[NAME_LEN];
	size_t i;

	mg_json_u32(item, "vcpu", vcpu->vcpu);
	mg_json_string(item, "state", state_name(vcpu->state, name));
	mg_json_bool(item, "nested", vcpu->nested);
	mg_json_u32(item, "guarded", vcpu->guarded);
	mg_json_u32(item, "missing", vcpu->missing);
	mg_json_hex(item, "generation", vcpu->generation);
	accesses = mg_json_array(item, "accesses");
	for (i = 0; i < vcpu->nr; i++) {
		access = mg_json_append(accesses);
		mg_json_hex(access, "msr", vcpu->accesses[i].msr);
		mg_json_string(access, "dir", direction_name(vcpu->accesses[i].direction, name));
	}
}

static void print_json(const struct verify *verify, int code)
{
	struct json_object *root = mg_json_object(), *vms, *vm, *vcpus;
	const struct target *target;
	size_t i, j;

	mg_json_bool(root, "ok", code == MG_EXIT_OK);
	vms = mg_json_array(root, "vms");
	for (i = 0; i < verify->nr; i++) {
		target = &verify->targets[i];
		vm = mg_json_append(vms);
		mg_json_hex(vm, "id", target->vm.id);
		mg_json_u32(vm, "pid", target->vm.pid);
		mg_json_bool(vm, "gone", target->gone);
		vcpus = mg_json_array(vm, "vcpus");
		for (j = 0; j < target->answer.nr; j++)
			json_vcpu(vcpus, &target->answer.vcpus[j]);
	}
	mg_json_print(root, false);
}

static int verify_vms(struct verify *verify, const char *wanted, uint64_t wait_ms)
{
	struct counts counts;
	int ret;

	ret = find_targets(verify, wanted);
	if (ret)
		return ret;
	ret = mg_nl_open(&verify->nl, "verify");
	if (!ret)
		ret = ask_all(verify, wait_ms);
	mg_nl_close(&verify->nl);
	if (ret)
		return ret;
	count(verify, &counts);
	ret = exit_code(verify, &counts);
	if (verify->json)
		print_json(verify, ret);
	else
		print_text(verify, &counts);
	return ret;
}

static int run_verify(const struct mg_command *command, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "wait", required_argument, NULL, 'w' },
		{ 0 }
	};
	struct verify verify = { 0 };
	uint64_t wait = 0;
	int option, ret;
	size_t i;

	while ((option = getopt_long(argc, argv, "jw:", options, NULL)) != -1) {
		switch (option) {
		case 'j':
			verify.json = true;
			break;
		case 'w':
			if (mg_parse_u64(optarg, 10, &wait) && wait <= WAIT_MAX)
				break;
			mg_complain("--wait takes a number of seconds up to %d, not \"%s\"", WAIT_MAX,
				    optarg);
			return mg_usage(command);
		default:
			return mg_usage(command);
		}
	}
	if (argc - optind > 1) {
		mg_complain("verify takes one VM, or none for all");
		return mg_usage(command);
	}
	ret = verify_vms(&verify, argv[optind], wait * 1000);
	for (i = 0; i < verify.nr; i++)
		mg_verify_free(&verify.targets[i].answer);
	free(verify.targets);
	return ret == MG_EXIT_USAGE ? mg_usage(command) : ret;
}

const struct mg_command mg_command_verify = {
	.name = "verify",
	.args = "[VM] [--json] [--wait SECONDS]",
	.summary = "Compare the bitmaps that the hardware uses with the policy",
	.help =
"Reads the MSR bitmap that the hardware uses for each vCPU right now, in the vCPU's own\n"
"thread, and names each access that the policy wants to see and that the bitmap lets\n"
"through. Of a vCPU that runs a guest of its own, the bitmap of that guest is read.\n\n"
"  VM                   id or process id of a VM as \"msrguard status\" has them; id:N or\n"
"                       pid:N says which; all VMs if left out\n"
"  -j, --json           one JSON object; 64-bit numbers are strings with hexadecimal\n"
"                       numbers\n"
"  -w, --wait SECONDS   ask again for so long, until every vCPU runs and matches\n\n"
"Exit status: 0 if every vCPU that runs matches (one that does not run is named, and is\n"
"no difference), 5 if one differs, 6 if none differs but one could not be compared,\n"
"3 if the module is not loaded, 4 without permission, 1 if it could not be done.\n",
	.run = run_verify,
};
