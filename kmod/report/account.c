// SPDX-License-Identifier: GPL-2.0
/*
 * Folding: see account.h for what, here is how.
 *
 * A fold is a place in the account's table for accesses that are alike. Whoever finds none takes
 * a free one, describes the access, which may sleep, and tells it. Who comes while the fold is
 * there adds one to it under the account's lock, and that is all that a storm costs. At the end
 * of each window a work item tells what every fold has gathered, and frees those that have
 * gathered nothing.
 *
 * A number (see mg_report_number()) is taken when something is told, so that numbers that stay
 * away are accesses which the listener lost, whichever of the three ways they went.
 */
#include <linux/atomic.h>
#include <linux/hash.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "internal.h"

#define FOLD_BITS	6
/* Different accesses of a VM that are told one by one; twice as many events a window at most. */
#define NR_FOLDS	BIT(FOLD_BITS)

/**
 * struct fold - accesses that are alike
 * @node:      in the bucket of its key, or in the list of those that are free
 * @used:      in a bucket
 * @described: the first one has been told and @image is known
 * @pending:   accesses gathered and not told yet
 * @access:    the first of those, or of all
 * @verdict:   what was decided
 * @rule:      the rule that spoke; a copy, because its policy may be gone
 * @event:     all else that is told; its pointers are set when it is
 * @image:     who stands there
 */
struct fold {
	struct hlist_node node;
	bool used;
	bool described;
	u64 pending;
	struct mg_access access;
	struct mg_verdict verdict;
	struct mg_rule rule;
	struct mg_event event;
	struct mg_image image;
};

/**
 * struct fold_table - the folds of one account, made when something is first told
 * @buckets: by key
 * @free:    folds that are free
 * @folds:   all of them
 */
struct fold_table {
	struct hlist_head buckets[NR_FOLDS];
	struct hlist_head free;
	struct fold folds[NR_FOLDS];
};

#define WINDOW_DEFAULT_MS	1000

static unsigned int window_ms = WINDOW_DEFAULT_MS;
static struct workqueue_struct *tellers;

/*
 * Accesses that were gathered, and those of them that were told and whose delivery has been
 * counted; the difference is pending.
 */
static DEFINE_PER_CPU(u64, gathered);
static DEFINE_PER_CPU(u64, told);

unsigned int mg_report_window(void)
{
	return READ_ONCE(window_ms);
}

int mg_report_set_window(unsigned int ms)
{
	if (ms > MG_REPORT_WINDOW_MAX)
		return -ERANGE;
	WRITE_ONCE(window_ms, ms);
	return 0;
}

u64 mg_report_pending(void)
{
	u64 done = mg_sum_per_cpu(&told);

	/*
	 * In this order: what is told in between must not make it negative; and who sees none
	 * pending sees how they were delivered in what he reads next. Pairs with mark_told().
	 */
	smp_rmb();
	return mg_sum_per_cpu(&gathered) - done;
}

static struct hlist_head *bucket_of(struct fold_table *table, const struct mg_event *event)
{
	return &table->buckets[hash_32(event->access->index ^ (u32)event->pc, FOLD_BITS)];
}

/*
 * Everything but the vCPU, the time, the values and the privilege level, which one instruction does
 * not change. Of one generation, the MSR tells the rule.
 */
static bool is_alike(const struct fold *fold, const struct mg_event *event)
{
	const struct mg_event *other = &fold->event;

	return fold->access.index == event->access->index && other->pc == event->pc &&
	       fold->access.dir == event->access->dir &&
	       fold->verdict.outcome == event->verdict->outcome &&
	       fold->verdict.would_be == event->verdict->would_be &&
	       other->generation == event->generation && other->origin == event->origin &&
	       other->regs_known == event->regs_known && other->nested == event->nested;
}

/* What differs among accesses that are alike is that of the first not told yet. */
static void keep(struct fold *fold, const struct mg_event *event)
{
	fold->access = *event->access;
	fold->event.vcpu = event->vcpu;
	fold->event.time = ktime_get_boottime_ns();
}

static struct fold *take_free(struct mg_account *account, const struct mg_event *event)
{
	struct fold *fold;

	if (hlist_empty(&account->table->free))
		return NULL;
	fold = hlist_entry(account->table->free.first, struct fold, node);
	hlist_del(&fold->node);
	hlist_add_head(&fold->node, bucket_of(account->table, event));
	account->nr_used++;
	fold->used = true;
	fold->described = false;
	fold->pending = 0;
	fold->event = *event;
	fold->verdict = *event->verdict;
	fold->rule = *event->rule;
	keep(fold, event);
	return fold;
}

static void give_back(struct mg_account *account, struct fold *fold)
{
	hlist_del(&fold->node);
	hlist_add_head(&fold->node, &account->table->free);
	fold->used = false;
	account->nr_used--;
}

static struct fold_table *new_table(void)
{
	struct fold_table *table = kvzalloc(sizeof(*table), GFP_KERNEL_ACCOUNT);
	unsigned int i;

	for (i = 0; table && i < NR_FOLDS; i++)
		hlist_add_head(&table->folds[i].node, &table->free);
	return table;
}

static void make_table(struct mg_account *account)
{
	struct fold_table *table = new_table();

	spin_lock(&account->lock);
	if (!account->table)
		swap(account->table, table);
	spin_unlock(&account->lock);
	kvfree(table);
}

static void tell_later(struct mg_account *account)
{
	/* Folds of a window that has been set to 0 meanwhile may wait for their description. */
	unsigned int ms = mg_report_window() ?: WINDOW_DEFAULT_MS;

	/* Nothing happens if it is to come already. */
	queue_delayed_work(tellers, &account->tell, msecs_to_jiffies(ms));
}

enum mg_folding mg_account_fold(struct mg_account *account, const struct mg_event *event,
				struct fold **made)
{
	enum mg_folding what = MG_FOLDED;
	struct fold *fold;

	/* Without memory for one, everything goes to the overflow. */
	if (!READ_ONCE(account->table))
		make_table(account);

	spin_lock(&account->lock);
	if (account->table) {
		hlist_for_each_entry(fold, bucket_of(account->table, event), node) {
			if (!is_alike(fold, event))
				continue;
			if (!fold->pending++)
				keep(fold, event);
			this_cpu_inc(gathered);
			spin_unlock(&account->lock);
			return MG_FOLDED;
		}
		fold = take_free(account, event);
		if (fold) {
			*made = fold;
			what = MG_FOLD_MADE;
		}
	} else {
		fold = NULL;
	}
	if (!fold) {
		account->overflow++;
		this_cpu_inc(gathered);
		mg_count(account, MG_COUNT_OVERFLOWED);
	}
	spin_unlock(&account->lock);
	tell_later(account);
	return what;
}

void mg_account_described(struct mg_account *account, struct fold *fold,
			  const struct mg_event *event)
{
	spin_lock(&account->lock);
	if (event->image)
		fold->image = *event->image;
	else
		fold->image.kind = MG_IMAGE_UNKNOWN;
	fold->event.vm_id = event->vm_id;
	fold->event.vm_pid = event->vm_pid;
	fold->event.cpl = event->cpl;
	fold->described = true;
	/* A record that is made while KVM makes the VM is too early for it. */
	if (event->vm_pid)
		account->pid = event->vm_pid;
	spin_unlock(&account->lock);
}

/* Move what a fold has gathered to @out. Return: how much that is. */
static u64 collect(struct mg_account *account, struct fold *fold, struct fold *out)
{
	u64 nr = 0;

	spin_lock(&account->lock);
	if (fold->used && fold->described) {
		if (fold->pending) {
			nr = fold->pending;
			*out = *fold;
			fold->pending = 0;
			account->telling = nr;
		} else {
			give_back(account, fold);
		}
	}
	spin_unlock(&account->lock);
	return nr;
}

/* Only after it has been told: until then an access is neither delivered nor lost. */
static void mark_told(struct mg_account *account, u64 nr)
{
	spin_lock(&account->lock);
	account->telling = 0;
	spin_unlock(&account->lock);
	/* The counts of what was delivered and lost come first, see mg_report_pending(). */
	smp_wmb();
	this_cpu_add(told, nr);
}

static void tell_fold(struct fold *fold, u64 nr)
{
	struct mg_event *event = &fold->event;

	event->access = &fold->access;
	event->verdict = &fold->verdict;
	event->rule = &fold->rule;
	event->image = fold->image.kind == MG_IMAGE_UNKNOWN ? NULL : &fold->image;
	event->count = nr;
	/* Only the first of all was asked for its old value; a masked read brings its own. */
	event->value_known = fold->access.dir == MG_WRITE || fold->access.old_known;
	if (fold->access.dir == MG_READ)
		fold->access.value = fold->access.old;
	mg_report_tell(event, mg_report_number(nr));
}

static void tell_overflow(struct mg_account *account)
{
	u32 pid;
	u64 nr;

	spin_lock(&account->lock);
	nr = account->overflow;
	account->overflow = 0;
	account->telling = nr;
	pid = account->pid;
	spin_unlock(&account->lock);
	if (!nr)
		return;
	mg_report_tell_lost(account->id, pid, nr, mg_report_number(nr));
	mark_told(account, nr);
}

static void tell_all(struct mg_account *account, struct fold *buffer)
{
	unsigned int i;
	u64 nr;

	for (i = 0; READ_ONCE(account->table) && i < NR_FOLDS; i++) {
		nr = collect(account, &account->table->folds[i], buffer);
		if (!nr)
			continue;
		tell_fold(buffer, nr);
		mark_told(account, nr);
	}
	tell_overflow(account);
}

static bool has_more(struct mg_account *account)
{
	bool more;

	spin_lock(&account->lock);
	more = account->nr_used || account->overflow;
	spin_unlock(&account->lock);
	return more;
}

static void tell_work(struct work_struct *work)
{
	struct mg_account *account = container_of(to_delayed_work(work), struct mg_account, tell);
	struct fold buffer;

	tell_all(account, &buffer);
	if (has_more(account))
		tell_later(account);
}

static void close_work(struct work_struct *work)
{
	struct mg_account *account = container_of(work, struct mg_account, close);
	struct fold buffer;

	cancel_delayed_work_sync(&account->tell);
	tell_all(account, &buffer);
	kvfree(account->table);
	free_percpu(account->counters);
	kfree(account);
}

struct mg_account *mg_account_new(void)
{
	struct mg_account *account = kzalloc(sizeof(*account), GFP_KERNEL_ACCOUNT);

	if (!account)
		return NULL;
	account->counters = alloc_percpu_gfp(struct mg_counters, GFP_KERNEL_ACCOUNT);
	if (!account->counters) {
		kfree(account);
		return NULL;
	}
	spin_lock_init(&account->lock);
	INIT_DELAYED_WORK(&account->tell, tell_work);
	INIT_WORK(&account->close, close_work);
	return account;
}

void mg_account_open(struct mg_account *account, u64 id, u32 pid)
{
	account->id = id;
	account->pid = pid;
}

void mg_account_tell(struct mg_account *account)
{
	mod_delayed_work(tellers, &account->tell, 0);
}

void mg_account_close(struct mg_account *account)
{
	if (account)
		queue_work(tellers, &account->close);
}

u64 mg_account_id(const struct mg_account *account)
{
	return account->id;
}

u64 mg_account_counter(const struct mg_account *account, enum mg_counter which)
{
	return mg_counter_sum(account ? account->counters : NULL, which);
}

u64 mg_account_pending(struct mg_account *account)
{
	unsigned int i;
	u64 nr;

	spin_lock(&account->lock);
	nr = account->overflow + account->telling;
	for (i = 0; account->table && i < NR_FOLDS; i++)
		if (account->table->folds[i].used)
			nr += account->table->folds[i].pending;
	spin_unlock(&account->lock);
	return nr;
}

int mg_account_init(void)
{
	tellers = alloc_workqueue("msrguard", WQ_UNBOUND, 0);
	return tellers ? 0 : -ENOMEM;
}

void mg_account_flush(void)
{
	flush_workqueue(tellers);
}

void mg_account_exit(void)
{
	/* Not left to destroy_workqueue(): a timer must not expire while that drains. */
	flush_workqueue(tellers);
	destroy_workqueue(tellers);
}
