/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The MSR bitmap that the hardware uses for the vCPU which runs on this CPU.
 */
#ifndef MG_BITMAP_H
#define MG_BITMAP_H

#include <linux/types.h>

#include "../policy/policy.h"

struct kvm_vcpu;

/**
 * enum mg_bitmap_state - what could be said of a vCPU's hardware bitmap
 * @MG_BITMAP_MATCHES:     it intercepts all that the policy guards
 * @MG_BITMAP_DIFFERS:     it lets something through that the policy guards
 * @MG_BITMAP_NOT_RUNNING: the vCPU is not in KVM_RUN, or was halted; the hardware uses none
 * @MG_BITMAP_UNREADABLE:  where it lies could not be found out
 * @MG_BITMAP_ENCRYPTED:   the guest's registers are encrypted, KVM must pass some MSRs through
 */
enum mg_bitmap_state {
	MG_BITMAP_MATCHES,
	MG_BITMAP_DIFFERS,
	MG_BITMAP_NOT_RUNNING,
	MG_BITMAP_UNREADABLE,
	MG_BITMAP_ENCRYPTED,
};

/* One direction's MSRs of the three windows that hardware bitmaps cover. */
#define MG_HW_BITS	(MG_NR_HW_WINDOWS * MG_WINDOW_MSRS)
#define MG_HW_WORDS	(MG_HW_BITS / BITS_PER_LONG)

/**
 * struct mg_bitmap_check - a hardware bitmap held against the policy
 * @state:   the result; the other members are for MATCHES and DIFFERS only
 * @nested:  the bitmap is the one a guest of the guest runs with
 * @guarded: accesses that the policy guards and the hardware's bitmap covers
 * @missing: by direction, those that are not intercepted, numbered as mg_map_bit() does
 */
struct mg_bitmap_check {
	enum mg_bitmap_state state;
	bool nested;
	u32 guarded;
	unsigned long missing[MG_NR_DIRS][MG_HW_WORDS];
};

/**
 * mg_bitmap_tighten - intercept at once what the policy guards
 * @vcpu: the vCPU; nothing happens unless it is loaded on this CPU
 *
 * KVM computes the bitmap of its own, but not all of it each time: not the merge that a running
 * guest of the guest (L2) uses, nor the x2APIC registers, nor, on some, the last-branch records.
 * Only sets bits, in the bitmap in use; KVM clears them again when it computes those.
 *
 * Context: any.
 */
void mg_bitmap_tighten(struct kvm_vcpu *vcpu);

/**
 * mg_bitmap_check_now - hold the bitmap that the hardware uses against the policy in force
 * @vcpu:  a vCPU
 * @check: the result
 *
 * Context: @vcpu's own thread, preemption on.
 */
void mg_bitmap_check_now(struct kvm_vcpu *vcpu, struct mg_bitmap_check *check);

#endif /* MG_BITMAP_H */
