/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The MSR bitmap that the hardware uses for the vCPU which runs on this CPU.
 */
#ifndef MG_BITMAP_H
#define MG_BITMAP_H

#include "../report/report.h"

struct kvm_vcpu;

/**
 * mg_bitmap_of_encrypted - whether a vCPU's registers are, or are going to be, encrypted (SEV-ES)
 * @vcpu: the vCPU
 *
 * Untested: no emulated CPU has it.
 *
 * Context: any, from the computing of the vCPU's first bitmap on.
 */
bool mg_bitmap_of_encrypted(struct kvm_vcpu *vcpu);

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
 * @check: the result, all but &struct mg_bitmap_check.vcpu
 *
 * Context: @vcpu's own thread, preemption on.
 */
void mg_bitmap_check_now(struct kvm_vcpu *vcpu, struct mg_bitmap_check *check);

#endif /* MG_BITMAP_H */
