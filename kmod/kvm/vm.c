// SPDX-License-Identifier: GPL-2.0
/*
 * The VMs of this host. Records are made when a VM is first heard of and go with the VM.
 */
#include <linux/delay.h>
#include <linux/hashtable.h>
#include <linux/jiffies.h>
#include <linux/percpu.h>
#include <linux/rculist.h>
#include <linux/seq_buf.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "../guard.h"
#include "compat.h"
#include "hooks.h"
#include "symbols.h"
#include "vm.h"

#define VM_TABLE_BITS	8
/* Longest a vCPU's creation is waited for at unload; it takes milliseconds. */
#define CREATION_TIMEOUT	(5 * HZ)

/* Read under mg_srcu, changed under table_lock (which an ftrace callback takes, so a raw one). */
static DEFINE_HASHTABLE(vm_table, VM_TABLE_BITS);
static DEFINE_RAW_SPINLOCK(table_lock);
static u64 last_id;

static u64 boottime_ms(void)
{
	return div_u64(ktime_get_boottime_ns(), NSEC_PER_MSEC);
}

/*
 * Unique over reloads of the module in one boot: an id is never below the time of its making,
 * and mg_vm_exit() waits until the time has passed the last one.
 */
static u64 next_id(void)
{
	lockdep_assert_held(&table_lock);
	last_id = max(last_id + 1, boottime_ms());
	return last_id;
}

static struct mg_vm *lookup(const struct kvm *kvm)
{
	struct mg_vm *vm;

	hash_for_each_possible_rcu(vm_table, vm, node, (unsigned long)kvm,
				   lockdep_is_held(&table_lock) ||
				   srcu_read_lock_held(&mg_srcu)) {
		if (vm->kvm == kvm)
			return vm;
	}
	return NULL;
}

static void free_vm(struct mg_vm *vm)
{
	mg_account_close(vm->account);
	mg_image_cache_free(vm->images);
	kfree(vm);
}

static void free_vm_rcu(struct rcu_head *rcu)
{
	free_vm(container_of(rcu, struct mg_vm, rcu));
}

static struct mg_vm *make(struct kvm *kvm)
{
	struct mg_vm *vm, *other;

	vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	if (!vm)
		return NULL;
	vm->account = mg_account_new();
	if (!vm->account) {
		kfree(vm);
		return NULL;
	}
	vm->kvm = kvm;

	/* The VM's destruction takes the lock too; it is not under way, see mg_vm_of(). */
	raw_spin_lock(&table_lock);
	other = lookup(kvm);
	if (!other) {
		mg_account_open(vm->account, next_id(), kvm->userspace_pid);
		hash_add_rcu(vm_table, &vm->node, (unsigned long)kvm);
	}
	raw_spin_unlock(&table_lock);
	if (!other)
		return vm;
	free_vm(vm);
	return other;
}

struct mg_vm *mg_vm_of(struct kvm *kvm)
{
	struct mg_vm *vm = lookup(kvm);

	/*
	 * A VM without users is being destroyed and has no record any more. Its vCPUs may still
	 * get here: freeing one that is in a nested guest walks that guest's MSR lists.
	 */
	if (!vm && refcount_read(&kvm->users_count))
		vm = make(kvm);
	return vm;
}

struct mg_image_cache *mg_vm_images(struct mg_vm *vm)
{
	struct mg_image_cache *images = READ_ONCE(vm->images), *other;

	if (images)
		return images;
	images = mg_image_cache_new();
	other = images ? cmpxchg(&vm->images, NULL, images) : NULL;
	if (!other)
		return images;
	mg_image_cache_free(images);
	return other;
}

/* Under kvm_lock: a VM that is being destroyed, or whose vendor module is going, is none. */
static bool pin(struct kvm *kvm)
{
	struct module *vendor = mg_symbol_get_vendor();

	if (!vendor)
		return false;
	if (kvm_get_kvm_safe(kvm))
		return true;
	module_put(vendor);
	return false;
}

void mg_vm_put(struct kvm *kvm)
{
	/* Pinned, so it is there, and it is the one. */
	struct module *vendor = mg_symbol_vendor();

	kvm_put_kvm(kvm);
	module_put(vendor);
}

/* A VM of KVM's list that has no record yet, pinned; NULL if there is none. */
static struct kvm *get_unrecorded(void)
{
	struct kvm *kvm, *found = NULL;

	mutex_lock(mg_kvm_lock);
	list_for_each_entry(kvm, mg_kvm_vm_list, vm_list) {
		if (!lookup(kvm) && pin(kvm)) {
			found = kvm;
			break;
		}
	}
	mutex_unlock(mg_kvm_lock);
	return found;
}

/* Not under kvm_lock: KVM's shrinker takes it, so nothing may be allocated there. */
static void record_all(void)
{
	struct kvm *kvm;
	bool made;

	do {
		kvm = get_unrecorded();
		if (!kvm)
			return;
		made = mg_vm_of(kvm);
		mg_vm_put(kvm);
	} while (made);
}

struct kvm *mg_vm_get(u64 id)
{
	struct kvm *kvm, *found = NULL;
	int token = mg_enter();
	struct mg_vm *vm;

	record_all();
	mutex_lock(mg_kvm_lock);
	list_for_each_entry(kvm, mg_kvm_vm_list, vm_list) {
		vm = lookup(kvm);
		if (vm && mg_account_id(vm->account) == id) {
			if (pin(kvm))
				found = kvm;
			break;
		}
	}
	mutex_unlock(mg_kvm_lock);
	mg_leave(token);
	return found;
}

/* The VM of a record that is on KVM's list, and the record; under kvm_lock. */
static void fill_row(struct mg_vm_row *row, const struct kvm *kvm, const struct mg_vm *vm)
{
	unsigned int i;

	row->id = mg_account_id(vm->account);
	row->pid = kvm->userspace_pid;
	row->vcpus = atomic_read(&kvm->online_vcpus);
	row->pending = mg_account_pending(vm->account);
	for (i = 0; i < MG_NR_COUNTERS; i++)
		row->counters[i] = mg_account_counter(vm->account, i);
	mg_image_cache_stats(READ_ONCE(vm->images), &row->images);
}

/* How many VMs there are, or more; one that comes meanwhile is not told of. */
static u32 nr_vms(void)
{
	struct kvm *kvm;
	u32 nr = 0;

	mutex_lock(mg_kvm_lock);
	list_for_each_entry(kvm, mg_kvm_vm_list, vm_list)
		nr++;
	mutex_unlock(mg_kvm_lock);
	return nr;
}

struct mg_vm_rows *mg_vm_rows(u64 id)
{
	int token = mg_enter();
	struct mg_vm_rows *rows;
	struct mg_vm *vm;
	struct kvm *kvm;
	u32 max;

	record_all();
	max = nr_vms();
	rows = kvzalloc(struct_size(rows, rows, max), GFP_KERNEL_ACCOUNT);
	if (!rows) {
		mg_leave(token);
		return ERR_PTR(-ENOMEM);
	}
	mutex_lock(mg_kvm_lock);
	list_for_each_entry(kvm, mg_kvm_vm_list, vm_list) {
		vm = lookup(kvm);
		if (!vm || (id && mg_account_id(vm->account) != id) || rows->nr == max)
			continue;
		rows->nr++;
		fill_row(&rows->rows[rows->nr - 1], kvm, vm);
	}
	mutex_unlock(mg_kvm_lock);
	mg_leave(token);
	if (id && !rows->nr) {
		kvfree(rows);
		return ERR_PTR(-ENOENT);
	}
	return rows;
}

int mg_vm_list(struct seq_buf *out)
{
	struct mg_vm_rows *rows = mg_vm_rows(0);
	const struct mg_vm_row *row;
	unsigned int i;

	if (IS_ERR(rows))
		return PTR_ERR(rows);
	seq_buf_printf(out, "#%19s %10s %5s", "id", "pid", "vcpus");
	for (i = 0; i < MG_NR_COUNTERS; i++)
		seq_buf_printf(out, " %20s", mg_counter_name(i));
	seq_buf_printf(out, "\n");
	for (row = rows->rows; row < rows->rows + rows->nr; row++) {
		seq_buf_printf(out, "%20llu %10u %5u", row->id, row->pid, row->vcpus);
		for (i = 0; i < MG_NR_COUNTERS; i++)
			seq_buf_printf(out, " %20llu", row->counters[i]);
		seq_buf_printf(out, "\n");
	}
	kvfree(rows);
	return 0;
}

/*
 * A VM on the list under kvm_lock is alive, its reference count may be 0 but its destruction
 * begins with taking it off the list under that lock. KVM's own walkers (cpufreq and Hyper-V TSC
 * notifiers) raise requests in the same way. A VM that is not on the list yet has no vCPU; a vCPU
 * that is not online yet is caught by mg_vcpu_created().
 */
void mg_vm_recalc_all(void)
{
	struct kvm *kvm;

	mutex_lock(mg_kvm_lock);
	list_for_each_entry(kvm, mg_kvm_vm_list, vm_list)
		static_call(mg_kvm_make_all_cpus_request)(kvm, MG_KVM_REQ_RECALC |
							       KVM_REQUEST_WAIT);
	mutex_unlock(mg_kvm_lock);
}

bool mg_kvm_virtualizes_apic(void)
{
	return READ_ONCE(*mg_kvm_enable_apicv);
}

/* Whether a vCPU is between the computing of its first bitmap and mg_vcpu_created(). */
static bool vcpu_in_creation(void)
{
	bool found = false;
	struct kvm *kvm;

	mutex_lock(mg_kvm_lock);
	list_for_each_entry(kvm, mg_kvm_vm_list, vm_list)
		found |= READ_ONCE(kvm->created_vcpus) != atomic_read(&kvm->online_vcpus);
	mutex_unlock(mg_kvm_lock);
	return found;
}

void mg_vm_wait_for_creations(void)
{
	unsigned long give_up = jiffies + CREATION_TIMEOUT;

	while (vcpu_in_creation() && time_before(jiffies, give_up))
		usleep_range(USEC_PER_MSEC, 2 * USEC_PER_MSEC);
}

/*
 * kvm_arch_vcpu_postcreate(vcpu): the vCPU has just become visible to kvm_for_each_vcpu(). Its
 * bitmap was computed before, perhaps under an older policy.
 *
 * Context: ftrace callback, must not sleep.
 */
void notrace mg_vcpu_created(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			     struct ftrace_regs *fregs)
{
	struct kvm_vcpu *vcpu = mg_ftrace_arg0(fregs);

	this_cpu_inc(mg_hook_calls[MG_HOOK_VCPU_CREATED]);
	kvm_make_request(MG_KVM_REQ_RECALC, vcpu);
	/* Its file descriptor is out already: a VMM that guessed it may be in the guest. */
	mg_vcpu_kick(vcpu);
}

/*
 * kvm_arch_destroy_vm(kvm): no vCPU of it runs any more, it is off KVM's list.
 *
 * Context: ftrace callback, must not sleep.
 */
void notrace mg_vm_destroyed(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			     struct ftrace_regs *fregs)
{
	const struct kvm *kvm = mg_ftrace_arg0(fregs);
	struct mg_vm *vm;

	this_cpu_inc(mg_hook_calls[MG_HOOK_VM_DESTROYED]);
	raw_spin_lock(&table_lock);
	vm = lookup(kvm);
	if (vm)
		hash_del_rcu(&vm->node);
	raw_spin_unlock(&table_lock);
	if (vm)
		call_srcu(&mg_srcu, &vm->rcu, free_vm_rcu);
}

void mg_vm_tell_pending(void)
{
	struct mg_vm *vm;
	int bucket;

	/* Records of destroyed VMs on their way through free_vm_rcu(). */
	srcu_barrier(&mg_srcu);
	raw_spin_lock(&table_lock);
	hash_for_each(vm_table, bucket, vm, node)
		mg_account_tell(vm->account);
	raw_spin_unlock(&table_lock);
	mg_report_flush();
}

void mg_vm_exit(void)
{
	struct hlist_node *next;
	struct mg_vm *vm;
	int bucket;
	u64 now;

	hash_for_each_safe(vm_table, bucket, next, vm, node) {
		hash_del(&vm->node);
		free_vm(vm);
	}
	/* Records of destroyed VMs on their way through free_vm_rcu(). */
	srcu_barrier(&mg_srcu);

	now = boottime_ms();
	if (last_id > now)
		msleep(last_id - now);
}
