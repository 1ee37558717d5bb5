// SPDX-License-Identifier: GPL-2.0
/*
 * The long way of an access: judge, report, apply.
 *
 * Everything here runs for an MSR that the policy guards, called by a trampoline at the entry of
 * KVM's own function, interrupts on; it may sleep. vcpu->mutex and kvm->srcu are held, but for
 * the MSR lists of a nested guest whose vCPU is being freed. KVM's function runs only if the
 * policy lets the access through, so the VMM's own filter and its userspace exits come after us
 * and can only be stricter.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>

#include "../guard.h"
#include "../report/report.h"
#include "access.h"
#include "caller.h"
#include "compat.h"
#include "guest_memory.h"
#include "hooks.h"
#include "symbols.h"
#include "vm.h"

/* The emulator's codes (arch/x86/kvm/kvm_emulate.h, private). */
#define X86EMUL_CONTINUE	0
#define X86EMUL_PROPAGATE_FAULT	2

/*
 * Where MG_NESTED_SET_OF_FIELDS, KVM writes IA32_PERF_GLOBAL_CTRL from a VMCS field through the
 * function of the MSR lists, and warns once if that fails (load_vmcs12_host_state(),
 * prepare_vmcs02()). A denial is a drop there.
 */
#define PERF_GLOBAL_CTRL	0x38f

/* Reading it can make KVM exit to the VMM (report_tpr_access()); not for an event's sake. */
#define X2APIC_TPR	0x808

/* mg_tramp_fastpath answers it from assembly. */
static_assert(EXIT_FASTPATH_NONE == 0);

/* What is to be done with an access, once the verdict is in. */
enum action {
	CALL_ON,	/* run KVM's function */
	FAULT,		/* #GP */
	SWALLOW,	/* done, without doing it */
	SUBSTITUTE,	/* write, or give to the guest, another value */
};

static atomic64_t unattributed = ATOMIC64_INIT(0);

u64 mg_access_unattributed(void)
{
	return atomic64_read(&unattributed);
}

/* The VMM's own filter, asked past our hook. */
static bool vmm_allows(struct kvm_vcpu *vcpu, const struct mg_access *access)
{
	u32 type = access->dir == MG_READ ? KVM_MSR_FILTER_READ : KVM_MSR_FILTER_WRITE;

	return static_call(mg_kvm_msr_allowed)(vcpu, access->index, type);
}

/* What KVM keeps for the guest; fails for an MSR it does not know or that cannot be read. */
static void read_old(struct kvm_vcpu *vcpu, struct mg_access *access)
{
	if (!access->old_known)
		access->old_known = !static_call(mg_kvm_get_msr)(vcpu, access->index,
								 &access->old);
}

/* Where it was: what tells accesses apart, so it is found out for each if somebody listens. */
static void locate(struct kvm_vcpu *vcpu, struct mg_event *event)
{
	event->located = true;
	event->vcpu = vcpu->vcpu_id;
	event->nested = vcpu->arch.hflags & HF_GUEST_MASK;
	event->regs_known = !vcpu->arch.guest_state_protected;
	event->pc = event->regs_known ? static_call(mg_kvm_get_linear_rip)(vcpu) : 0;
}

/**
 * struct description - what describe() needs
 * @vcpu:   whose access it is
 * @access: the access
 * @vm:     its VM's record, or NULL
 */
struct description {
	struct kvm_vcpu *vcpu;
	struct mg_access *access;
	struct mg_vm *vm;
};

static bool is_64bit_code(struct kvm_vcpu *vcpu)
{
	int db, l;

	mg_kvm_x86_ops->get_cs_db_l_bits(vcpu, &db, &l);
	return l && (vcpu->arch.efer & EFER_LMA);
}

/* Whose code it was; not for guests whose memory is encrypted. */
static const struct mg_image *find_image(const struct description *about,
					 const struct mg_event *event, struct mg_image *image)
{
	struct mg_image_memory memory = mg_guest_memory(about->vcpu);

	if (!about->vm || !event->regs_known)
		return NULL;
	mg_image_find(mg_vm_images(about->vm), &memory, event->pc, is_64bit_code(about->vcpu),
		      image);
	return image->kind == MG_IMAGE_UNKNOWN ? NULL : image;
}

/* What costs more to find out, for an access that is told by itself. */
static void describe(void *context, struct mg_event *event, struct mg_image *image)
{
	const struct description *about = context;
	struct mg_access *access = about->access;

	event->cpl = event->regs_known ? mg_kvm_x86_ops->get_cpl(about->vcpu) : 0;
	event->vm_id = about->vm ? mg_account_id(about->vm->account) : 0;
	event->vm_pid = about->vcpu->kvm->userspace_pid;

	/* A write's old value; a blocked read is not carried out for the event's sake. */
	if (access->dir == MG_READ)
		access->value = access->old;
	else if (access->index != X2APIC_TPR)
		read_old(about->vcpu, access);
	event->value_known = access->dir == MG_WRITE || access->old_known;
	event->image = find_image(about, event, image);
}

static void report(struct kvm_vcpu *vcpu, enum mg_origin origin, const struct mg_ruling *ruling,
		   struct mg_access *access, const struct mg_verdict *verdict)
{
	struct mg_vm *vm = mg_vm_of(vcpu->kvm);
	struct description about;
	struct mg_event event;

	event.access = access;
	event.verdict = verdict;
	event.rule = ruling->rule;
	event.generation = ruling->generation;
	event.origin = origin;
	event.located = false;
	if (mg_report_wanted(ruling->rule, verdict))
		locate(vcpu, &event);
	if (!vm)
		atomic64_inc(&unattributed);
	about.vcpu = vcpu;
	about.access = access;
	about.vm = vm;
	mg_report(&event, vm ? vm->account : NULL, describe, &about);
}

static void overrule(struct mg_verdict *verdict, enum mg_outcome outcome)
{
	verdict->outcome = outcome;
	verdict->would_be = outcome;
}

/*
 * Judge and report an access. On SUBSTITUTE, @value is what to write or to give to the guest.
 */
static enum action judge(struct kvm_vcpu *vcpu, enum mg_origin origin, struct mg_access *access,
			 u64 *value)
{
	struct mg_ruling ruling = mg_guard_ruling(access->index);
	struct mg_verdict verdict;
	bool enforced, is_masked_read, takes_over;

	if (ruling.mode == MG_MODE_OFF || !mg_rule_guards(ruling.rule, access->dir))
		return CALL_ON;
	mg_policy_count_hit(ruling.policy, ruling.rule, access->dir);

	if (mg_needs_old(ruling.rule, access))
		read_old(vcpu, access);
	verdict = mg_decide(ruling.rule, ruling.mode, access);

	/*
	 * A read through a mask is always answered by us, hidden bits or none: KVM's function
	 * would read a second time, and another vCPU could have set a hidden bit meanwhile. What
	 * is answered, or swallowed, here never gets to the VMM's filter. Where that forbids the
	 * access, the stricter of the two is a fault; and an exit to userspace, which might give
	 * the guest what our rule hides, does not happen.
	 */
	enforced = ruling.mode == MG_MODE_ENFORCE && !ruling.rule->audit;
	is_masked_read = enforced && access->dir == MG_READ &&
			 ruling.rule->perm[MG_READ].action == MG_MASK;
	takes_over = is_masked_read || verdict.outcome == MG_DROPPED;
	if (takes_over && !vmm_allows(vcpu, access))
		overrule(&verdict, MG_DENIED);
	if (MG_NESTED_SET_OF_FIELDS && origin == MG_ORIGIN_NESTED_LIST &&
	    access->dir == MG_WRITE && access->index == PERF_GLOBAL_CTRL &&
	    verdict.outcome == MG_DENIED)
		overrule(&verdict, MG_DROPPED);
	report(vcpu, origin, &ruling, access, &verdict);

	switch (verdict.outcome) {
	case MG_PASSED:
		if (!is_masked_read)
			return CALL_ON;
		*value = access->old;
		return SUBSTITUTE;
	case MG_AUDITED:
		return CALL_ON;
	case MG_DROPPED:
		*value = 0;
		return SWALLOW;
	case MG_MASKED:
		*value = verdict.value;
		return SUBSTITUTE;
	case MG_DENIED:
		break;
	}
	return FAULT;
}

/* Finish an intercepted instruction as KVM does: skip it, or raise #GP, also for SEV-ES. */
static int finish_insn(struct kvm_vcpu *vcpu, bool fault)
{
	return mg_kvm_x86_ops->complete_emulated_msr(vcpu, fault);
}

/* The guest's EDX:EAX. */
static u64 edx_eax(const struct kvm_vcpu *vcpu)
{
	return lower_32_bits(vcpu->arch.regs[VCPU_REGS_RAX]) |
	       (u64)lower_32_bits(vcpu->arch.regs[VCPU_REGS_RDX]) << 32;
}

static void set_edx_eax(struct kvm_vcpu *vcpu, u64 value)
{
	vcpu->arch.regs[VCPU_REGS_RAX] = lower_32_bits(value);
	vcpu->arch.regs[VCPU_REGS_RDX] = upper_32_bits(value);
}

/* The arguments as they are, for a hooked function that is run after all. */
static int run_body(const struct mg_call *call)
{
	return mg_run_body(call->body, call->arg[0], call->arg[1], call->arg[2]);
}

/* kvm_emulate_rdmsr(vcpu) */
int mg_exit_read(const struct mg_call *call)
{
	struct kvm_vcpu *vcpu = (struct kvm_vcpu *)call->arg[0];
	struct mg_access access = {
		.index = vcpu->arch.regs[VCPU_REGS_RCX],
		.dir = MG_READ,
	};
	int token = mg_enter();
	int ret = MG_CALL_ON;
	u64 value;

	switch (judge(vcpu, MG_ORIGIN_EXIT, &access, &value)) {
	case CALL_ON:
		break;
	case FAULT:
		ret = finish_insn(vcpu, true);
		break;
	case SWALLOW:
	case SUBSTITUTE:
		set_edx_eax(vcpu, value);
		ret = finish_insn(vcpu, false);
		break;
	}
	mg_leave(token);
	return ret;
}

/* kvm_emulate_rdmsr_imm(vcpu, index, register) */
int mg_exit_read_imm(const struct mg_call *call)
{
	struct kvm_vcpu *vcpu = (struct kvm_vcpu *)call->arg[0];
	struct mg_access access = { .index = call->arg[1], .dir = MG_READ };
	int reg = call->arg[2];
	int token = mg_enter();
	int ret = MG_CALL_ON;
	u64 value;

	switch (judge(vcpu, MG_ORIGIN_EXIT, &access, &value)) {
	case CALL_ON:
		break;
	case FAULT:
		ret = finish_insn(vcpu, true);
		break;
	case SWALLOW:
	case SUBSTITUTE:
		mg_reg_write(vcpu, reg, value);
		ret = finish_insn(vcpu, false);
		break;
	}
	mg_leave(token);
	return ret;
}

/*
 * kvm_emulate_wrmsr(vcpu). To have another value written, it is put into the guest's registers for
 * the while; if the VMM asked for an exit, that holds a copy by the time the function returns.
 */
int mg_exit_write(const struct mg_call *call)
{
	struct kvm_vcpu *vcpu = (struct kvm_vcpu *)call->arg[0];
	unsigned long rax = vcpu->arch.regs[VCPU_REGS_RAX];
	unsigned long rdx = vcpu->arch.regs[VCPU_REGS_RDX];
	struct mg_access access = {
		.index = vcpu->arch.regs[VCPU_REGS_RCX],
		.dir = MG_WRITE,
		.value = edx_eax(vcpu),
	};
	int token = mg_enter();
	int ret = MG_CALL_ON;
	u64 value;

	switch (judge(vcpu, MG_ORIGIN_EXIT, &access, &value)) {
	case CALL_ON:
		break;
	case FAULT:
		ret = finish_insn(vcpu, true);
		break;
	case SWALLOW:
		ret = finish_insn(vcpu, false);
		break;
	case SUBSTITUTE:
		set_edx_eax(vcpu, value);
		ret = run_body(call);
		vcpu->arch.regs[VCPU_REGS_RAX] = rax;
		vcpu->arch.regs[VCPU_REGS_RDX] = rdx;
		break;
	}
	mg_leave(token);
	return ret;
}

/* kvm_emulate_wrmsr_imm(vcpu, index, register) */
int mg_exit_write_imm(const struct mg_call *call)
{
	struct kvm_vcpu *vcpu = (struct kvm_vcpu *)call->arg[0];
	int reg = call->arg[2];
	struct mg_access access = {
		.index = call->arg[1],
		.dir = MG_WRITE,
		.value = mg_reg_read(mg_kvm_x86_ops, vcpu, reg),
	};
	u64 guests = access.value;
	int token = mg_enter();
	int ret = MG_CALL_ON;
	u64 value;

	switch (judge(vcpu, MG_ORIGIN_EXIT, &access, &value)) {
	case CALL_ON:
		break;
	case FAULT:
		ret = finish_insn(vcpu, true);
		break;
	case SWALLOW:
		ret = finish_insn(vcpu, false);
		break;
	case SUBSTITUTE:
		mg_reg_write(vcpu, reg, value);
		ret = run_body(call);
		mg_reg_write(vcpu, reg, guests);
		break;
	}
	mg_leave(token);
	return ret;
}

/* The emulator's context is private to KVM; but it emulates for the vCPU that is loaded only. */
static struct kvm_vcpu *emulated_vcpu(void)
{
	return static_call(mg_kvm_get_running_vcpu)();
}

/* emulator_get_msr_with_filter(ctxt, index, data) */
int mg_emulator_read(const struct mg_call *call)
{
	struct mg_access access = { .index = call->arg[1], .dir = MG_READ };
	u64 *data = (u64 *)call->arg[2];
	int token = mg_enter();
	int ret = MG_CALL_ON;

	switch (judge(emulated_vcpu(), MG_ORIGIN_EMULATOR, &access, data)) {
	case CALL_ON:
		break;
	case FAULT:
		ret = X86EMUL_PROPAGATE_FAULT;
		break;
	case SWALLOW:
	case SUBSTITUTE:
		ret = X86EMUL_CONTINUE;
		break;
	}
	mg_leave(token);
	return ret;
}

/* emulator_set_msr_with_filter(ctxt, index, data) */
int mg_emulator_write(const struct mg_call *call)
{
	struct mg_access access = {
		.index = call->arg[1],
		.dir = MG_WRITE,
		.value = call->arg[2],
	};
	int token = mg_enter();
	int ret = MG_CALL_ON;
	u64 value;

	switch (judge(emulated_vcpu(), MG_ORIGIN_EMULATOR, &access, &value)) {
	case CALL_ON:
		break;
	case FAULT:
		ret = X86EMUL_PROPAGATE_FAULT;
		break;
	case SWALLOW:
		ret = X86EMUL_CONTINUE;
		break;
	case SUBSTITUTE:
		ret = mg_run_body(call->body, call->arg[0], call->arg[1], value);
		break;
	}
	mg_leave(token);
	return ret;
}

/*
 * One entry of a nested VM-exit's MSR-store list. The guest hypervisor asks for a value; failing
 * it aborts that VM-exit (SDM Vol. 3C, 28.4 "Saving MSRs").
 */
int mg_nested_read(const struct mg_call *call)
{
	struct kvm_vcpu *vcpu = (struct kvm_vcpu *)call->arg[0];
	struct mg_access access = { .index = call->arg[1], .dir = MG_READ };
	u64 *data = (u64 *)call->arg[2];
	int ret = MG_CALL_ON;
	int token;

	if (mg_caller_of_hook(call) == MG_CALLER_KVM)
		return MG_CALL_ON;
	token = mg_enter();
	switch (judge(vcpu, MG_ORIGIN_NESTED_LIST, &access, data)) {
	case CALL_ON:
		break;
	case FAULT:
		ret = 1;
		break;
	case SWALLOW:
	case SUBSTITUTE:
		ret = 0;
		break;
	}
	mg_leave(token);
	return ret;
}

/*
 * One entry of an MSR-load list of a nested VM-entry or VM-exit. Failing it fails the VM-entry
 * (SDM Vol. 3C, 27.4 "Loading MSRs") or aborts the VM-exit (28.6).
 */
int mg_nested_write(const struct mg_call *call)
{
	struct kvm_vcpu *vcpu = (struct kvm_vcpu *)call->arg[0];
	struct mg_access access = {
		.index = call->arg[1],
		.dir = MG_WRITE,
		.value = call->arg[2],
	};
	int ret = MG_CALL_ON;
	int token;
	u64 value;

	if (mg_caller_of_hook(call) == MG_CALLER_KVM)
		return MG_CALL_ON;
	token = mg_enter();
	switch (judge(vcpu, MG_ORIGIN_NESTED_LIST, &access, &value)) {
	case CALL_ON:
		break;
	case FAULT:
		ret = 1;
		break;
	case SWALLOW:
		ret = 0;
		break;
	case SUBSTITUTE:
		ret = mg_run_body(call->body, call->arg[0], call->arg[1], value);
		break;
	}
	mg_leave(token);
	return ret;
}
