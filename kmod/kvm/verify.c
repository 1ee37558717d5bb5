// SPDX-License-Identifier: GPL-2.0
/*
 * Reading the hardware's MSR bitmaps back, each in the context of its vCPU.
 *
 * Only a vCPU's own thread knows which bitmap the hardware uses for it, and it must not be asked in
 * the middle of computing one. Task work does that: KVM runs it in the thread, on the way into the
 * guest, when it has left all of its own functions but the loop around them. The guest notices one
 * exit, the VMM nothing.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/task_work.h>

#include "../guard.h"
#include "bitmap.h"
#include "compat.h"
#include "symbols.h"
#include "verify.h"
#include "vm.h"

/* Longest wait for vCPUs that could run; a halted one is given up at once. */
#define PATIENCE	(5 * HZ)
#define POLL_MS		2

/**
 * struct errand - one vCPU's check on its way
 * @work:     queued to the vCPU's thread
 * @done:     the thread has been there
 * @task:     the thread, or NULL
 * @vcpu:     the vCPU
 * @check:    the result
 * @again:    the thread is going to compute its bitmap before it enters the guest; what it had
 *            until then says nothing
 */
struct errand {
	struct callback_head work;
	struct completion done;
	struct task_struct *task;
	struct kvm_vcpu *vcpu;
	struct mg_bitmap_check *check;
	bool again;
};

static void set_not_running(struct mg_bitmap_check *check)
{
	check->state = MG_BITMAP_NOT_RUNNING;
	check->nested = false;
	check->guarded = 0;
	check->nr_missing = 0;
}

/* In the vCPU's thread, or what was its thread. */
static void look(struct callback_head *work)
{
	struct errand *errand = container_of(work, struct errand, work);

	errand->again = kvm_test_request(MG_KVM_REQ_RECALC, errand->vcpu);
	mg_bitmap_check_now(errand->vcpu, errand->check);
	if (errand->check->state == MG_BITMAP_NOT_RUNNING)
		errand->again = false;
	complete(&errand->done);
}

static void send(struct errand *errand)
{
	set_not_running(errand->check);
	errand->again = false;
	reinit_completion(&errand->done);
	init_task_work(&errand->work, look);
	/* Who asks is not in KVM_RUN, and would wait for itself; an exiting thread takes no work. */
	if (errand->task && (errand->task == current ||
			     task_work_add(errand->task, &errand->work, TWA_RESUME))) {
		put_task_struct(errand->task);
		errand->task = NULL;
	}
	if (!errand->task)
		complete(&errand->done);
}

static bool is_work(struct callback_head *work, void *wanted)
{
	return work == wanted;
}

/* Take back what was not begun; wait for what was. */
static void call_off(struct errand *errand)
{
	if (!completion_done(&errand->done) &&
	    static_call(mg_task_work_cancel_match)(errand->task, is_work, &errand->work))
		return;
	wait_for_completion(&errand->done);
}

/* A thread that sleeps is halted, or waits for something in the VMM. It need not wake up soon. */
static bool is_asleep(const struct errand *errand)
{
	return !task_is_running(errand->task);
}

static void wait_for(struct errand *errand, unsigned long give_up)
{
	unsigned int asleep = 0;

	while (asleep < 3 && time_before(jiffies, give_up)) {
		if (wait_for_completion_timeout(&errand->done, msecs_to_jiffies(POLL_MS))) {
			if (!errand->again)
				return;
			/*
			 * KVM does such work until there is none left, and only then what it was
			 * requested. Another errand at once could keep it from that for ever.
			 */
			msleep(POLL_MS);
			send(errand);
		}
		/* Once could be a moment's wait for a lock. */
		asleep = errand->task && is_asleep(errand) ? asleep + 1 : 0;
	}
	if (errand->task)
		call_off(errand);
	/* Given up on before it had computed its bitmap: it has not run meanwhile. */
	if (errand->again)
		set_not_running(errand->check);
}

static void check_vcpus(struct kvm *kvm, struct mg_verification *result, struct errand *errands)
{
	unsigned long give_up = jiffies + PATIENCE;
	struct kvm_vcpu *vcpu;
	unsigned long i;
	u32 n;

	kvm_for_each_vcpu(i, vcpu, kvm) {
		if (i >= result->nr)
			break;
		errands[i] = (struct errand) {
			.vcpu = vcpu,
			.check = &result->checks[i],
			.task = mg_vcpu_task(vcpu),
		};
		errands[i].check->vcpu = vcpu->vcpu_id;
		init_completion(&errands[i].done);
		send(&errands[i]);
	}
	for (n = 0; n < result->nr; n++) {
		wait_for(&errands[n], give_up);
		if (errands[n].task)
			put_task_struct(errands[n].task);
	}
}

struct mg_verification *mg_verify_vm(u64 vm_id)
{
	struct mg_verification *result = NULL;
	struct errand *errands = NULL;
	struct kvm *kvm;
	u32 nr;

	kvm = mg_vm_get(vm_id);
	if (!kvm)
		return ERR_PTR(-ENOENT);
	nr = atomic_read(&kvm->online_vcpus);
	result = kvzalloc(struct_size(result, checks, nr), GFP_KERNEL_ACCOUNT);
	errands = kvcalloc(nr, sizeof(*errands), GFP_KERNEL_ACCOUNT);
	if (!result || !errands) {
		kvfree(result);
		result = ERR_PTR(-ENOMEM);
		goto out;
	}
	result->vm_id = vm_id;
	result->vm_pid = kvm->userspace_pid;
	result->nr = nr;
	result->generation = mg_guard_hold();
	check_vcpus(kvm, result, errands);
	mg_guard_release();
out:
	kvfree(errands);
	mg_vm_put(kvm);
	return result;
}

void mg_verify_exit(void)
{
	/* Threads that have just completed an errand are still on their way out of look(). */
	synchronize_rcu_tasks();
}
