/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one choke point for reports: counts always, then tells whoever listens.
 *
 * Knows nothing of KVM: the hooks describe an access in a struct mg_event.
 */
#ifndef MG_REPORT_H
#define MG_REPORT_H

#include <linux/percpu-defs.h>
#include <linux/types.h>

#include "../policy/policy.h"

/* The way by which an access reached us; the values are the uAPI's. */
enum mg_origin {
	MG_ORIGIN_EXIT,
	MG_ORIGIN_EMULATOR,
	MG_ORIGIN_NESTED_LIST,
};

/* What is counted, for the host and for each VM. */
enum mg_counter {
	MG_COUNT_READS,		/* reads that needed a decision */
	MG_COUNT_WRITES,	/* writes that needed a decision */
	MG_COUNT_DENIED,
	MG_COUNT_DROPPED,
	MG_COUNT_MASKED,
	MG_COUNT_AUDITED,
	MG_NR_COUNTERS,
};

/**
 * struct mg_counters - one CPU's share of a set of counters
 * @n: by &enum mg_counter; only ever incremented, by this_cpu_inc()
 */
struct mg_counters {
	u64 n[MG_NR_COUNTERS];
};

/**
 * struct mg_event - one access that needed a decision
 * @access:      the access; for a read, @access->value is the MSR's whole value if @value_known
 * @verdict:     what was decided
 * @rule:        the rule that spoke
 * @generation:  of the policy that held it
 * @origin:      by which way it came
 * @described:   somebody listens and all of what follows is filled in; else nothing of it is
 * @value_known: see @access
 * @regs_known:  @pc and @cpl are valid (they are not for encrypted guests)
 * @nested:      done by a guest of the guest
 * @cpl:         privilege level at the instruction
 * @vm_pid:      id of the task that created the VM, in the initial PID namespace
 * @vcpu:        the vCPU's id
 * @vm_id:       the VM, never used again in this boot; 0 if there was no memory to record it
 * @pc:          linear address of the instruction
 *
 * Lives on the stack of whoever reports; a denial that nobody listens to fills in little.
 */
struct mg_event {
	const struct mg_access *access;
	const struct mg_verdict *verdict;
	const struct mg_rule *rule;
	u64 generation;
	enum mg_origin origin;
	bool described;
	bool value_known;
	bool regs_known;
	bool nested;
	u8 cpl;
	u32 vm_pid;
	u32 vcpu;
	u64 vm_id;
	u64 pc;
};

/**
 * mg_report_wanted - whether it is worth describing an access in full
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
 * mg_report - count an access, and tell whoever listens if it is described
 * @event:       the access
 * @vm_counters: the VM's counters, or NULL
 *
 * Every verdict but MG_PASSED also takes a sequence number, described or not, unless the
 * rule is quiet. What could not be delivered is counted as lost.
 *
 * Context: may sleep (allocates with GFP_KERNEL).
 */
void mg_report(const struct mg_event *event, struct mg_counters __percpu *vm_counters);

/** mg_counter_sum - sum of one counter over all CPUs; @counters NULL means the host's */
u64 mg_counter_sum(const struct mg_counters __percpu *counters, enum mg_counter which);

/** mg_counter_name - name of a counter in sysfs */
const char *mg_counter_name(enum mg_counter which);

/** mg_report_seq - sequence number of the last access that took one */
u64 mg_report_seq(void);
/** mg_report_sent - events queued to listeners, as far as netlink knows to all of them */
u64 mg_report_sent(void);
/** mg_report_lost - events netlink could not deliver to every listener */
u64 mg_report_lost(void);

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
 * struct mg_report_source - whom the requests of netlink are passed to
 * @status: what is in force; may sleep, may run several times at once
 * @verify: check a VM's bitmaps; may sleep, for seconds. The result is freed by kvfree(), an
 *          error is -ENOENT for a VM that is not there, -ENOMEM, or -EINTR
 */
struct mg_report_source {
	void (*status)(struct mg_status *status);
	struct mg_verification *(*verify)(u64 vm_id);
};

/**
 * mg_report_init - register the generic-netlink family
 * @source: answers its requests
 *
 * Return: 0 or a negative errno; a message with the reason has then been printed.
 */
int mg_report_init(const struct mg_report_source *source);

/** mg_report_exit - unregister it; no mg_report() may be under way any more */
void mg_report_exit(void);

#endif /* MG_REPORT_H */
