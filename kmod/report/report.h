/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one choke point for reports: counts always, then tells whoever listens.
 *
 * Knows nothing of KVM: the hooks describe an access in a struct mg_event.
 */
#ifndef MG_REPORT_H
#define MG_REPORT_H

#include <linux/types.h>

#include "../image/image.h"
#include "../policy/policy.h"
#include "account.h"

/* The way by which an access reached us; the values are the uAPI's. */
enum mg_origin {
	MG_ORIGIN_EXIT,
	MG_ORIGIN_EMULATOR,
	MG_ORIGIN_NESTED_LIST,
};

/**
 * struct mg_event - accesses that needed a decision, one or several that were alike
 * @access:      the access, of several the first; for a read, @access->value is the MSR's whole
 *               value if @value_known
 * @verdict:     what was decided
 * @rule:        the rule that spoke
 * @generation:  of the policy that held it
 * @origin:      by which way it came
 * @located:     somebody listens and what follows up to @pc is filled in; else nothing of it is
 * @regs_known:  @pc and @cpl are valid (they are not for encrypted guests); else they are 0
 * @nested:      done by a guest of the guest
 * @vcpu:        the vCPU's id
 * @pc:          linear address of the instruction
 * @cpl:         privilege level at the instruction
 * @value_known: see @access
 * @vm_pid:      id of the task that created the VM, in the initial PID namespace
 * @vm_id:       the VM, never used again in this boot; 0 if there was no memory to record it
 * @time:        CLOCK_BOOTTIME, nanoseconds
 * @count:       how many accesses
 * @image:       who stands at @pc, NULL if that was not found out
 *
 * Whoever reports fills in what stands up to @pc. What follows costs more to find out, and is
 * asked for when an event is told, see &mg_describe_fn.
 */
struct mg_event {
	const struct mg_access *access;
	const struct mg_verdict *verdict;
	const struct mg_rule *rule;
	u64 generation;
	enum mg_origin origin;
	bool located;
	bool regs_known;
	bool nested;
	u32 vcpu;
	u64 pc;
	u8 cpl;
	bool value_known;
	u32 vm_pid;
	u64 vm_id;
	u64 time;
	u64 count;
	const struct mg_image *image;
};

/**
 * mg_report_wanted - whether it is worth saying where an access was
 * @rule:    the rule that spoke
 * @verdict: the verdict
 *
 * False if the access passed, the rule is quiet, or neither the tracepoint is on nor
 * netlink has a listener.
 *
 * Context: any.
 */
bool mg_report_wanted(const struct mg_rule *rule, const struct mg_verdict *verdict);

/**
 * typedef mg_describe_fn - find out the rest of an event that is to be told
 * @context: whoever reports passed it to mg_report()
 * @event:   fill in @cpl, @value_known, @vm_pid, @vm_id, @image
 * @image:   room for what event->image may point to
 *
 * Context: may sleep; the same as mg_report().
 */
typedef void mg_describe_fn(void *context, struct mg_event *event, struct mg_image *image);

/**
 * mg_report - count an access, and see to it that whoever listens is told
 * @event:    the access
 * @account:  the VM's, or NULL
 * @describe: called if this access is told by itself
 * @context:  for @describe
 *
 * Every verdict but MG_PASSED is also told, unless the rule is quiet: at once, or together with
 * others like it, or as a number, see account.h. What could not be delivered is counted as lost.
 *
 * Context: may sleep (allocates with GFP_KERNEL).
 */
void mg_report(struct mg_event *event, struct mg_account *account, mg_describe_fn *describe,
	       void *context);

/* Longest time in which accesses that are alike are gathered. */
#define MG_REPORT_WINDOW_MAX	60000

/** mg_report_window - for how many milliseconds accesses that are alike are gathered */
unsigned int mg_report_window(void);

/**
 * mg_report_set_window - set that
 * @ms: milliseconds; 0: each access is told by itself. What has been gathered is told when the
 *      window it was gathered in ends.
 *
 * Context: any.
 * Return: 0, or -ERANGE above MG_REPORT_WINDOW_MAX.
 */
int mg_report_set_window(unsigned int ms);

/** mg_counter_name - name of a counter in sysfs */
const char *mg_counter_name(enum mg_counter which);

/** mg_report_seq - number of the last access that was told, or would have been to a listener */
u64 mg_report_seq(void);
/**
 * mg_report_pending - accesses that are still to be told, or being told
 *
 * What is not pending has been delivered or is counted as lost: read this first.
 */
u64 mg_report_pending(void);
/** mg_report_sent - events queued to listeners, as far as netlink knows to all of them */
u64 mg_report_sent(void);
/** mg_report_lost - events netlink could not deliver to every listener */
u64 mg_report_lost(void);
/** mg_report_accesses_lost - accesses that those stand for */
u64 mg_report_accesses_lost(void);

/**
 * struct mg_status - what is in force, for the status request
 * @mode:       the mode
 * @generation: of the policy
 * @hash:       SHA-256 of the policy's canonical text
 * @rules:      rules in it, the default line not counted
 */
struct mg_status {
	enum mg_mode mode;
	u64 generation;
	u8 hash[MG_HASH_LEN];
	u32 rules;
};

/* What could be said of a vCPU's hardware bitmap; the values are the uAPI's. */
enum mg_bitmap_state {
	MG_BITMAP_MATCHES,
	MG_BITMAP_DIFFERS,
	MG_BITMAP_NOT_RUNNING,
	MG_BITMAP_UNREADABLE,
	MG_BITMAP_ENCRYPTED,
};

/* The MSRs that hardware bitmaps cover: the first three windows of the intercept map. */
#define MG_HW_BITS	(MG_NR_HW_WINDOWS * MG_WINDOW_MSRS)
#define MG_HW_WORDS	(MG_HW_BITS / BITS_PER_LONG)

/**
 * struct mg_bitmap_check - a vCPU's hardware bitmap held against the policy
 * @vcpu:       the vCPU's id
 * @state:      the result; what follows is for MATCHES and DIFFERS only
 * @nested:     the bitmap is the one a guest of the guest runs with
 * @guarded:    accesses that the policy guards and the hardware's bitmap covers
 * @nr_missing: those of them that are not intercepted
 * @missing:    by direction, which ones, numbered as mg_map_bit() does
 */
struct mg_bitmap_check {
	u32 vcpu;
	enum mg_bitmap_state state;
	bool nested;
	u32 guarded;
	u32 nr_missing;
	unsigned long missing[MG_NR_DIRS][MG_HW_WORDS];
};

/**
 * struct mg_verification - what came of checking a VM
 * @vm_id:      the VM
 * @vm_pid:     id of the task that created it
 * @generation: of the policy the bitmaps were held against
 * @nr:         number of vCPUs
 * @checks:     one each
 */
struct mg_verification {
	u64 vm_id;
	u32 vm_pid;
	u64 generation;
	u32 nr;
	struct mg_bitmap_check checks[] __counted_by(nr);
};

/**
 * struct mg_vm_row - a VM and what was counted of it
 * @id:       the VM
 * @pid:      id of the task that created it
 * @vcpus:    number of its vCPUs
 * @pending:  accesses still to be told
 * @counters: by &enum mg_counter
 * @images:   what the look-ups of images did
 */
struct mg_vm_row {
	u64 id;
	u32 pid;
	u32 vcpus;
	u64 pending;
	u64 counters[MG_NR_COUNTERS];
	struct mg_image_stats images;
};

/**
 * struct mg_vm_rows - the VMs, or some of them
 * @nr:   how many there are
 * @rows: one each
 */
struct mg_vm_rows {
	u32 nr;
	struct mg_vm_row rows[] __counted_by(nr);
};

/**
 * struct mg_rule_row - a rule and how often it decided
 * @rule:       the rule
 * @hits:       by direction, see mg_policy_hits()
 * @generation: of its policy
 */
struct mg_rule_row {
	struct mg_rule rule;
	u64 hits[MG_NR_DIRS];
	u64 generation;
};

/**
 * struct mg_report_source - whom the requests of netlink are passed to
 * @status: what is in force; may sleep, may run several times at once
 * @vms:    the VMs, or the one that is named if the id is not 0. The result is freed by kvfree(),
 *          an error is -ENOENT for a VM that is not there, or -ENOMEM
 * @rule:   rule number @nr of the policy in force, the default line is 0; false behind the last.
 *          The generation is filled in either way. May sleep
 * @unattributed: accesses without a VM's record, because there was no memory for it or the VM was
 *          being destroyed
 * @verify: check a VM's bitmaps; may sleep, for seconds. The result is freed by kvfree(), an
 *          error is -ENOENT for a VM that is not there, or -ENOMEM
 */
struct mg_report_source {
	void (*status)(struct mg_status *status);
	struct mg_vm_rows *(*vms)(u64 id);
	bool (*rule)(u32 nr, struct mg_rule_row *row);
	u64 (*unattributed)(void);
	struct mg_verification *(*verify)(u64 vm_id);
};

/**
 * mg_report_init - make mg_report() and accounts usable
 *
 * Return: 0 or -ENOMEM.
 */
int mg_report_init(void);

/**
 * mg_report_register - register the generic-netlink family: others may ask and listen now
 * @source: answers its requests
 *
 * The last step of the module's init that may fail: nothing waits for a dump that is under way.
 *
 * Context: may sleep.
 * Return: 0 or a negative errno; a message with the reason has then been printed.
 */
int mg_report_register(const struct mg_report_source *source);

/**
 * mg_report_unregister - no requests and no listeners from now on; nothing if there were none
 *
 * Context: may sleep; no mg_report() may be under way any more, and what is pending has been told
 * by mg_report_flush().
 */
void mg_report_unregister(void);

/** mg_report_flush - wait until what accounts were asked to tell has been told; may sleep */
void mg_report_flush(void);

/** mg_report_exit - wait for the accounts that were closed; there may be none any more */
void mg_report_exit(void);

#endif /* MG_REPORT_H */
