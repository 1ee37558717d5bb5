// SPDX-License-Identifier: GPL-2.0
/*
 * The VMM's own filter and userspace exits beside the host's policy: the stricter wins, and
 * no answer of the VMM gives a guest what the policy denies. The VMM's own access to its
 * guest's MSRs is nobody's business.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "kselftest_harness.h"
#include "lib/row.h"

#define VMM_ANSWER	0x0badc0de0badf00dull
#define MASK		0xffffull

/* What the VMM does with an access that its filter does not allow. */
enum vmm {
	FILTER_ALLOWS,		/* and it would permit what came out */
	FILTER_FAULTS,		/* no userspace exit */
	USERSPACE_GRANTS,
	USERSPACE_REFUSES,
};

/**
 * struct combination - a policy, a VMM, and what must come of an access
 * @exits:   accesses that come out to userspace
 * @data:    of a write that comes out: what userspace is told
 * @result:  of a read: what the guest gets; of a write: what KVM holds then
 */
struct combination {
	const char *policy;
	int op;
	enum vmm vmm;
	int vector;
	unsigned int exits;
	uint64_t data, result;
	uint8_t verdict;
};

FIXTURE(beside_filter) {
	struct bench_table table;
	uint64_t data;
};

FIXTURE_VARIANT(beside_filter) {
	struct combination c;
};

#define PASSES		.vector = 0
#define FAULTS		.vector = VECTOR_GP
#define VERDICT(name)	.verdict = MSRGUARD_VERDICT_##name

#define ALLOW "0xc0000084 deny deny"
FIXTURE_VARIANT_ADD(beside_filter, allow_write_filter_allows) { .c = {
	.policy = ALLOW, .op = OP_WRMSR, .vmm = FILTER_ALLOWS, PASSES, .result = KGS_B,
} };

FIXTURE_VARIANT_ADD(beside_filter, allow_write_filter_faults) { .c = {
	.policy = ALLOW, .op = OP_WRMSR, .vmm = FILTER_FAULTS, FAULTS, .result = KGS_A,
} };

FIXTURE_VARIANT_ADD(beside_filter, allow_write_userspace_grants) { .c = {
	.policy = ALLOW, .op = OP_WRMSR, .vmm = USERSPACE_GRANTS, PASSES, .exits = 1,
	.data = KGS_B, .result = KGS_A,
} };

FIXTURE_VARIANT_ADD(beside_filter, allow_write_userspace_refuses) { .c = {
	.policy = ALLOW, .op = OP_WRMSR, .vmm = USERSPACE_REFUSES, FAULTS, .exits = 1,
	.data = KGS_B, .result = KGS_A,
} };

FIXTURE_VARIANT_ADD(beside_filter, allow_read_filter_allows) { .c = {
	.policy = ALLOW, .op = OP_RDMSR, .vmm = FILTER_ALLOWS, PASSES, .result = KGS_A,
} };

FIXTURE_VARIANT_ADD(beside_filter, allow_read_filter_faults) { .c = {
	.policy = ALLOW, .op = OP_RDMSR, .vmm = FILTER_FAULTS, FAULTS,
} };

FIXTURE_VARIANT_ADD(beside_filter, allow_read_userspace_grants) { .c = {
	.policy = ALLOW, .op = OP_RDMSR, .vmm = USERSPACE_GRANTS, PASSES, .exits = 1,
	.result = VMM_ANSWER,
} };

FIXTURE_VARIANT_ADD(beside_filter, allow_read_userspace_refuses) { .c = {
	.policy = ALLOW, .op = OP_RDMSR, .vmm = USERSPACE_REFUSES, FAULTS, .exits = 1,
} };

#define DENY "0xc0000102 deny deny"
FIXTURE_VARIANT_ADD(beside_filter, deny_write_filter_allows) { .c = {
	.policy = DENY, .op = OP_WRMSR, .vmm = FILTER_ALLOWS, FAULTS, .result = KGS_A,
	VERDICT(DENIED),
} };

FIXTURE_VARIANT_ADD(beside_filter, deny_write_filter_faults) { .c = {
	.policy = DENY, .op = OP_WRMSR, .vmm = FILTER_FAULTS, FAULTS, .result = KGS_A,
	VERDICT(DENIED),
} };

FIXTURE_VARIANT_ADD(beside_filter, deny_write_userspace_grants) { .c = {
	.policy = DENY, .op = OP_WRMSR, .vmm = USERSPACE_GRANTS, FAULTS, .result = KGS_A,
	VERDICT(DENIED),
} };

FIXTURE_VARIANT_ADD(beside_filter, deny_write_userspace_refuses) { .c = {
	.policy = DENY, .op = OP_WRMSR, .vmm = USERSPACE_REFUSES, FAULTS, .result = KGS_A,
	VERDICT(DENIED),
} };

FIXTURE_VARIANT_ADD(beside_filter, deny_read_filter_allows) { .c = {
	.policy = DENY, .op = OP_RDMSR, .vmm = FILTER_ALLOWS, FAULTS, VERDICT(DENIED),
} };

FIXTURE_VARIANT_ADD(beside_filter, deny_read_filter_faults) { .c = {
	.policy = DENY, .op = OP_RDMSR, .vmm = FILTER_FAULTS, FAULTS, VERDICT(DENIED),
} };

FIXTURE_VARIANT_ADD(beside_filter, deny_read_userspace_grants) { .c = {
	.policy = DENY, .op = OP_RDMSR, .vmm = USERSPACE_GRANTS, FAULTS, VERDICT(DENIED),
} };

FIXTURE_VARIANT_ADD(beside_filter, deny_read_userspace_refuses) { .c = {
	.policy = DENY, .op = OP_RDMSR, .vmm = USERSPACE_REFUSES, FAULTS, VERDICT(DENIED),
} };

/* A drop looks like success to the guest; where the filter forbids it, a fault is stricter. */
#define DROP "0xc0000102 drop drop"
FIXTURE_VARIANT_ADD(beside_filter, drop_write_filter_allows) { .c = {
	.policy = DROP, .op = OP_WRMSR, .vmm = FILTER_ALLOWS, PASSES, .result = KGS_A,
	VERDICT(DROPPED),
} };

FIXTURE_VARIANT_ADD(beside_filter, drop_write_filter_faults) { .c = {
	.policy = DROP, .op = OP_WRMSR, .vmm = FILTER_FAULTS, FAULTS, .result = KGS_A,
	VERDICT(DENIED),
} };

FIXTURE_VARIANT_ADD(beside_filter, drop_write_userspace_grants) { .c = {
	.policy = DROP, .op = OP_WRMSR, .vmm = USERSPACE_GRANTS, FAULTS, .result = KGS_A,
	VERDICT(DENIED),
} };

FIXTURE_VARIANT_ADD(beside_filter, drop_write_userspace_refuses) { .c = {
	.policy = DROP, .op = OP_WRMSR, .vmm = USERSPACE_REFUSES, FAULTS, .result = KGS_A,
	VERDICT(DENIED),
} };

FIXTURE_VARIANT_ADD(beside_filter, drop_read_filter_allows) { .c = {
	.policy = DROP, .op = OP_RDMSR, .vmm = FILTER_ALLOWS, PASSES, .result = 0,
	VERDICT(DROPPED),
} };

FIXTURE_VARIANT_ADD(beside_filter, drop_read_filter_faults) { .c = {
	.policy = DROP, .op = OP_RDMSR, .vmm = FILTER_FAULTS, FAULTS, VERDICT(DENIED),
} };

FIXTURE_VARIANT_ADD(beside_filter, drop_read_userspace_grants) { .c = {
	.policy = DROP, .op = OP_RDMSR, .vmm = USERSPACE_GRANTS, FAULTS, VERDICT(DENIED),
} };

FIXTURE_VARIANT_ADD(beside_filter, drop_read_userspace_refuses) { .c = {
	.policy = DROP, .op = OP_RDMSR, .vmm = USERSPACE_REFUSES, FAULTS, VERDICT(DENIED),
} };

/* A masked write reaches userspace masked; a masked read does not, nobody could mask the answer. */
#define HIDE "0xc0000102 mask=0xffff mask=0xffff,keep"
#define MERGED ((KGS_A & ~MASK) | (KGS_B & MASK))
FIXTURE_VARIANT_ADD(beside_filter, mask_write_filter_allows) { .c = {
	.policy = HIDE, .op = OP_WRMSR, .vmm = FILTER_ALLOWS, PASSES, .result = MERGED,
	VERDICT(MASKED),
} };

FIXTURE_VARIANT_ADD(beside_filter, mask_write_filter_faults) { .c = {
	.policy = HIDE, .op = OP_WRMSR, .vmm = FILTER_FAULTS, FAULTS, .result = KGS_A,
	VERDICT(MASKED),
} };

FIXTURE_VARIANT_ADD(beside_filter, mask_write_userspace_grants) { .c = {
	.policy = HIDE, .op = OP_WRMSR, .vmm = USERSPACE_GRANTS, PASSES, .exits = 1,
	.data = MERGED, .result = KGS_A, VERDICT(MASKED),
} };

FIXTURE_VARIANT_ADD(beside_filter, mask_write_userspace_refuses) { .c = {
	.policy = HIDE, .op = OP_WRMSR, .vmm = USERSPACE_REFUSES, FAULTS, .exits = 1,
	.data = MERGED, .result = KGS_A, VERDICT(MASKED),
} };

FIXTURE_VARIANT_ADD(beside_filter, mask_read_filter_allows) { .c = {
	.policy = HIDE, .op = OP_RDMSR, .vmm = FILTER_ALLOWS, PASSES, .result = KGS_A & MASK,
	VERDICT(MASKED),
} };

FIXTURE_VARIANT_ADD(beside_filter, mask_read_filter_faults) { .c = {
	.policy = HIDE, .op = OP_RDMSR, .vmm = FILTER_FAULTS, FAULTS, VERDICT(DENIED),
} };

FIXTURE_VARIANT_ADD(beside_filter, mask_read_userspace_grants) { .c = {
	.policy = HIDE, .op = OP_RDMSR, .vmm = USERSPACE_GRANTS, FAULTS, VERDICT(DENIED),
} };

FIXTURE_VARIANT_ADD(beside_filter, mask_read_userspace_refuses) { .c = {
	.policy = HIDE, .op = OP_RDMSR, .vmm = USERSPACE_REFUSES, FAULTS, VERDICT(DENIED),
} };

/* A mask that hides nothing of this value must not let userspace answer either. */
#define HIDE_NOTHING "0xc0000102 mask=0x23ffffffffffff allow"
FIXTURE_VARIANT_ADD(beside_filter, idle_mask_filter_allows) { .c = {
	.policy = HIDE_NOTHING, .op = OP_RDMSR, .vmm = FILTER_ALLOWS, PASSES, .result = KGS_A,
} };

FIXTURE_VARIANT_ADD(beside_filter, idle_mask_userspace_grants) { .c = {
	.policy = HIDE_NOTHING, .op = OP_RDMSR, .vmm = USERSPACE_GRANTS, FAULTS,
	VERDICT(DENIED),
} };

/* An audited rule leaves everything to the VMM, and still says what it would have done. */
#define AUDIT "0xc0000102 deny deny audit"
FIXTURE_VARIANT_ADD(beside_filter, audit_write_filter_allows) { .c = {
	.policy = AUDIT, .op = OP_WRMSR, .vmm = FILTER_ALLOWS, PASSES, .result = KGS_B,
	VERDICT(AUDITED),
} };

FIXTURE_VARIANT_ADD(beside_filter, audit_write_filter_faults) { .c = {
	.policy = AUDIT, .op = OP_WRMSR, .vmm = FILTER_FAULTS, FAULTS, .result = KGS_A,
	VERDICT(AUDITED),
} };

FIXTURE_VARIANT_ADD(beside_filter, audit_write_userspace_grants) { .c = {
	.policy = AUDIT, .op = OP_WRMSR, .vmm = USERSPACE_GRANTS, PASSES, .exits = 1,
	.data = KGS_B, .result = KGS_A, VERDICT(AUDITED),
} };

FIXTURE_VARIANT_ADD(beside_filter, audit_read_userspace_grants) { .c = {
	.policy = AUDIT, .op = OP_RDMSR, .vmm = USERSPACE_GRANTS, PASSES, .exits = 1,
	.result = VMM_ANSWER, VERDICT(AUDITED),
} };

struct answer {
	bool grant;
	uint64_t data;
};

static void answer_exit(struct vcpu *vcpu, struct kvm_run *run, void *context)
{
	struct answer *answer = context;

	(void)vcpu;
	if (run->exit_reason == KVM_EXIT_X86_RDMSR)
		run->msr.data = VMM_ANSWER;
	else
		answer->data = run->msr.data;
	run->msr.error = !answer->grant;
}

FIXTURE_SETUP(beside_filter)
{
	table_up(_metadata, &self->table, 1, 0);
}

FIXTURE_TEARDOWN(beside_filter)
{
	table_down(&self->table);
}

static void check_verdict(struct __test_metadata *_metadata, struct bench_table *table,
			  uint8_t verdict, const struct mg_stats *start)
{
	struct mg_stats d = mg_stats_since(start);
	struct mg_event event;

	EXPECT_EQ(verdict == MSRGUARD_VERDICT_AUDITED, d.audited);
	EXPECT_EQ(verdict == MSRGUARD_VERDICT_DENIED, d.denied);
	EXPECT_EQ(verdict == MSRGUARD_VERDICT_DROPPED, d.dropped);
	EXPECT_EQ(verdict == MSRGUARD_VERDICT_MASKED, d.masked);
	if (!verdict) {
		EXPECT_FALSE(mg_next_event(table->listener, &event, 50));
		return;
	}
	ASSERT_TRUE(mg_next_event(table->listener, &event, 2000));
	EXPECT_EQ(verdict, event.verdict);
	EXPECT_EQ(MSR_KERNEL_GS_BASE, event.msr);
}

static void check_combination(struct __test_metadata *_metadata, struct bench_table *table,
			      const struct combination *c,
			      struct access_result (*access)(struct vcpu *, int, uint32_t,
							     uint64_t))
{
	struct vcpu *vcpu = table->vcpu;
	struct answer answer = { .grant = c->vmm != USERSPACE_REFUSES };
	struct access_result r;
	struct mg_stats start;
	uint64_t now;

	ASSERT_TRUE(vcpu_set_msr(vcpu, MSR_KERNEL_GS_BASE, KGS_A));
	vcpu->on_msr_exit = answer_exit;
	vcpu->msr_exit_context = &answer;
	if (c->vmm != FILTER_FAULTS)
		vm_userspace_msr(table->vm, KVM_MSR_EXIT_REASON_FILTER |
					    KVM_MSR_EXIT_REASON_UNKNOWN |
					    KVM_MSR_EXIT_REASON_INVAL);
	vm_filter_one(table->vm, MSR_KERNEL_GS_BASE, c->vmm == FILTER_ALLOWS,
		      c->vmm == FILTER_ALLOWS);
	use_policy(_metadata, c->policy);

	start = mg_stats();
	r = access(vcpu, c->op, MSR_KERNEL_GS_BASE, KGS_B);
	EXPECT_EQ(c->vector, r.vector);
	EXPECT_TRUE(r.regs_intact);
	EXPECT_EQ(c->exits, vcpu->msr_exits);
	EXPECT_EQ(c->data, answer.data);
	ASSERT_TRUE(vcpu_get_msr(vcpu, MSR_KERNEL_GS_BASE, &now));
	EXPECT_EQ(c->op == OP_WRMSR ? c->result : KGS_A, now);
	if (c->op == OP_RDMSR && !c->vector)
		EXPECT_EQ(c->result, r.value);
	check_verdict(_metadata, table, c->verdict, &start);

	/* Without the policy the VMM has its way again. */
	ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
	vcpu->msr_exits = 0;
	r = access(vcpu, c->op, MSR_KERNEL_GS_BASE, KGS_B);
	EXPECT_EQ(c->vmm == FILTER_ALLOWS || c->vmm == USERSPACE_GRANTS ? 0 : VECTOR_GP, r.vector);
	EXPECT_EQ(c->vmm == USERSPACE_GRANTS || c->vmm == USERSPACE_REFUSES, vcpu->msr_exits);
}

static struct access_result access_fep(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value)
{
	return guest_access(vcpu, op == OP_WRMSR ? OP_WRMSR_FEP : OP_RDMSR_FEP, msr, value);
}

TEST_F(beside_filter, exit)
{
	check_combination(_metadata, &self->table, &variant->c, guest_access);
}

TEST_F(beside_filter, emulator)
{
	if (!fep_enable() || !fep_works(self->table.vcpu))
		SKIP(return, "KVM's forced-emulation prefix is not to be had");
	check_combination(_metadata, &self->table, &variant->c, access_fep);
}

TEST_F(beside_filter, nested)
{
	if (!nested_works(self->table.vm))
		SKIP(return, NESTED_MISSING);
	check_combination(_metadata, &self->table, &variant->c, l2_access);
}

FIXTURE(vmm) {
	struct bench_table table;
};

FIXTURE_SETUP(vmm)
{
	table_up(_metadata, &self->table, 1, 0);
}

FIXTURE_TEARDOWN(vmm)
{
	table_down(&self->table);
}

/* An MSR that KVM does not know comes out to userspace for another reason; the same holds. */
TEST_F(vmm, unknown_msr)
{
	static const struct {
		const char *policy;
		int vector;
		unsigned int exits;
	} rows[] = {
		{ "0xc0000102 deny deny", 0, 1 },
		{ "0x12345 deny deny audit", 0, 1 },
		{ "0x12345 deny deny", VECTOR_GP, 0 },
		{ "0x12345 drop drop", 0, 0 },
		{ "default deny deny", VECTOR_GP, 0 },
	};
	struct vcpu *vcpu = self->table.vcpu;
	struct answer answer = { .grant = true };

	vm_userspace_msr(self->table.vm, KVM_MSR_EXIT_REASON_UNKNOWN);
	vcpu->on_msr_exit = answer_exit;
	vcpu->msr_exit_context = &answer;
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		use_policy(_metadata, rows[i].policy);
		vcpu->msr_exits = 0;
		EXPECT_EQ(rows[i].vector, guest_wrmsr(vcpu, MSR_UNKNOWN, 1).vector) {
			TH_LOG("%s", rows[i].policy);
		}
		EXPECT_EQ(rows[i].exits, vcpu->msr_exits) {
			TH_LOG("%s", rows[i].policy);
		}
		EXPECT_EQ(rows[i].vector, guest_rdmsr(vcpu, MSR_UNKNOWN).vector);
		EXPECT_EQ(2 * rows[i].exits, vcpu->msr_exits);
	}
}

/*
 * Both change while the guest spins: it runs freely only while both allow. KVM waits for a grace
 * period of SRCU when its filter changes, seconds on one slow CPU that the guest spins on.
 */
TEST_F_TIMEOUT(vmm, both_change_while_it_spins, 120)
{
	struct vm *vm = self->table.vm;
	struct vcpu *vcpu = self->table.vcpu;
	uint64_t ok;

	guest_spin_start(vcpu, OP_WRMSR, MSR_KERNEL_GS_BASE, KGS_B);
	for (unsigned int i = 0; i < 3; i++) {
		ASSERT_TRUE(spin_wait_ok(vcpu, 1000, 5000));
		use_policy(_metadata, "0xc0000102 allow deny quiet");
		ok = spin_ok(vcpu);
		ASSERT_TRUE(spin_wait_faults(vcpu, 100, 5000));
		vm_filter_one(vm, MSR_KERNEL_GS_BASE, false, false);
		ASSERT_TRUE(spin_wait_faults(vcpu, 100, 5000));
		/* The filter alone. */
		ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
		ASSERT_TRUE(spin_wait_faults(vcpu, 100, 5000));
		/* The policy alone. */
		use_policy(_metadata, "0xc0000102 allow deny quiet");
		vm_clear_filter(vm);
		ASSERT_TRUE(spin_wait_faults(vcpu, 100, 5000));
		EXPECT_LE(spin_ok(vcpu), ok + 1);
		ASSERT_EQ(0, mg_load_policy(MG_ALLOW_ALL));
	}
	ASSERT_TRUE(spin_wait_ok(vcpu, 1000, 5000));
	guest_spin_stop(vcpu);
}

#define MSR_HV_VP_RUNTIME	0x40000010

struct msr_state {
	uint64_t value;
	bool got, set;
};

static void read_state(struct vcpu *vcpu, const struct kvm_msr_list *list,
		       struct msr_state *state)
{
	for (unsigned int i = 0; i < list->nmsrs; i++) {
		state[i].got = vcpu_get_msr(vcpu, list->indices[i], &state[i].value);
		state[i].set = vcpu_set_msr(vcpu, list->indices[i], state[i].value);
	}
}

/* Whatever the policy, the VMM gets and sets what it got and set before; nothing is counted. */
TEST_F(vmm, own_access_is_untouched)
{
	static const char *const policies[] = {
		"default deny deny",
		"default drop drop",
		"0-0xffffffff mask=0 mask=0,deny",
		"0-0xffffffff mask=0 mask=0,keep",
		"0-0xffffffff deny deny audit",
	};
	const unsigned int max = 1024;
	struct vcpu *vcpu = self->table.vcpu;
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + max * sizeof(list->indices[0]));
	struct msr_state *before, *again, *now;
	struct mg_stats start, d;
	unsigned int steady = 0;
	uint64_t star, value;

	ASSERT_NE(NULL, list);
	ASSERT_TRUE(vcpu_get_msr(vcpu, MSR_KERNEL_GS_BASE, &star));
	list->nmsrs = max;
	ASSERT_EQ(0, ioctl(self->table.vm->kvm_fd, KVM_GET_MSR_INDEX_LIST, list));
	before = calloc(3 * list->nmsrs, sizeof(*before));
	ASSERT_NE(NULL, before);
	again = before + list->nmsrs;
	now = again + list->nmsrs;
	read_state(vcpu, list, before);
	read_state(vcpu, list, again);
	for (unsigned int p = 0; p < ARRAY_SIZE(policies); p++) {
		use_policy(_metadata, policies[p]);
		start = mg_stats();
		read_state(vcpu, list, now);
		for (unsigned int i = 0; i < list->nmsrs; i++) {
			EXPECT_EQ(before[i].got, now[i].got) {
				TH_LOG("%x under %s", list->indices[i], policies[p]);
			}
			EXPECT_EQ(before[i].set, now[i].set) {
				TH_LOG("%x under %s", list->indices[i], policies[p]);
			}
			/* Time goes on, the vCPU's run time by leaps; compare what stands still. */
			if (before[i].value != again[i].value ||
			    list->indices[i] == MSR_HV_VP_RUNTIME)
				continue;
			steady++;
			EXPECT_EQ(before[i].value, now[i].value) {
				TH_LOG("%x under %s", list->indices[i], policies[p]);
			}
		}
		EXPECT_TRUE(vcpu_set_msr(vcpu, MSR_KERNEL_GS_BASE, KGS_B + p));
		EXPECT_TRUE(vcpu_get_msr(vcpu, MSR_KERNEL_GS_BASE, &value));
		EXPECT_EQ(KGS_B + p, value);
		EXPECT_TRUE(vcpu_set_msr(vcpu, MSR_KERNEL_GS_BASE, star));
		d = mg_stats_since(&start);
		EXPECT_EQ(0, d.reads + d.writes + d.sequence);
	}
	EXPECT_LT(20 * ARRAY_SIZE(policies), steady);
	free(before);
	free(list);
}

TEST_HARNESS_MAIN
