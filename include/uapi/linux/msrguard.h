/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause) */
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/msrguard.yaml */
/* YNL-GEN uapi header */

#ifndef _UAPI_LINUX_MSRGUARD_H
#define _UAPI_LINUX_MSRGUARD_H

#define MSRGUARD_FAMILY_NAME	"msrguard"
#define MSRGUARD_FAMILY_VERSION	1

/**
 * enum msrguard_mode - What is done with the verdicts.
 * @MSRGUARD_MODE_OFF: Nothing is intercepted, nothing is counted.
 * @MSRGUARD_MODE_AUDIT: Accesses are judged and reported, none is blocked.
 * @MSRGUARD_MODE_ENFORCE: Accesses are judged, reported and blocked.
 */
enum msrguard_mode {
	MSRGUARD_MODE_OFF,
	MSRGUARD_MODE_AUDIT,
	MSRGUARD_MODE_ENFORCE,
};

/**
 * enum msrguard_verdict - What happened to an access. These numbers are
 *   msrguard's own; they are not the undocumented AccessStatus of Hyper-V's
 *   event 12550.
 * @MSRGUARD_VERDICT_AUDITED: Let through; "would-be" says what enforcing would
 *   have done.
 * @MSRGUARD_VERDICT_DENIED: The guest got a general protection fault.
 * @MSRGUARD_VERDICT_DROPPED: A write was swallowed, or a read gave 0.
 * @MSRGUARD_VERDICT_MASKED: Some bits of the value were kept from the guest,
 *   or kept as they were.
 */
enum msrguard_verdict {
	MSRGUARD_VERDICT_AUDITED = 1,
	MSRGUARD_VERDICT_DENIED,
	MSRGUARD_VERDICT_DROPPED,
	MSRGUARD_VERDICT_MASKED,
};

/**
 * enum msrguard_direction - Which instruction.
 * @MSRGUARD_DIRECTION_READ: RDMSR, or an MSR list that stores.
 * @MSRGUARD_DIRECTION_WRITE: WRMSR, or an MSR list that loads.
 */
enum msrguard_direction {
	MSRGUARD_DIRECTION_READ,
	MSRGUARD_DIRECTION_WRITE,
};

/**
 * enum msrguard_origin - The way by which the access reached the host.
 * @MSRGUARD_ORIGIN_EXIT: An intercepted RDMSR or WRMSR.
 * @MSRGUARD_ORIGIN_EMULATOR: KVM's instruction emulator.
 * @MSRGUARD_ORIGIN_NESTED_LIST: An MSR list of a nested VM-entry or VM-exit.
 */
enum msrguard_origin {
	MSRGUARD_ORIGIN_EXIT,
	MSRGUARD_ORIGIN_EMULATOR,
	MSRGUARD_ORIGIN_NESTED_LIST,
};

/**
 * enum msrguard_verify_state - What came of comparing the MSR bitmap that the
 *   hardware uses for a vCPU with the policy.
 * @MSRGUARD_VERIFY_STATE_MATCHES: Every access that the policy wants to see is
 *   intercepted.
 * @MSRGUARD_VERIFY_STATE_DIFFERS: Some are not; a message for each follows.
 * @MSRGUARD_VERIFY_STATE_NOT_RUNNING: The vCPU did not run, or did not come to
 *   answer in time: there was no bitmap in use to read. It is computed before
 *   the vCPU runs again.
 * @MSRGUARD_VERIFY_STATE_UNREADABLE: The vCPU runs, but the bitmap in use
 *   could not be read.
 * @MSRGUARD_VERIFY_STATE_ENCRYPTED: The guest's registers are encrypted, so
 *   that some MSRs must not be intercepted; the bitmap was not compared.
 */
enum msrguard_verify_state {
	MSRGUARD_VERIFY_STATE_MATCHES,
	MSRGUARD_VERIFY_STATE_DIFFERS,
	MSRGUARD_VERIFY_STATE_NOT_RUNNING,
	MSRGUARD_VERIFY_STATE_UNREADABLE,
	MSRGUARD_VERIFY_STATE_ENCRYPTED,
};

enum {
	MSRGUARD_A_ACCESS_PAD = 1,
	MSRGUARD_A_ACCESS_SEQ,
	MSRGUARD_A_ACCESS_TIME,
	MSRGUARD_A_ACCESS_VM_ID,
	MSRGUARD_A_ACCESS_VM_PID,
	MSRGUARD_A_ACCESS_VCPU,
	MSRGUARD_A_ACCESS_MSR,
	MSRGUARD_A_ACCESS_DIRECTION,
	MSRGUARD_A_ACCESS_ORIGIN,
	MSRGUARD_A_ACCESS_VALUE,
	MSRGUARD_A_ACCESS_OLD,
	MSRGUARD_A_ACCESS_PC,
	MSRGUARD_A_ACCESS_CPL,
	MSRGUARD_A_ACCESS_NESTED,
	MSRGUARD_A_ACCESS_VERDICT,
	MSRGUARD_A_ACCESS_WOULD_BE,
	MSRGUARD_A_ACCESS_RULE_FIRST,
	MSRGUARD_A_ACCESS_RULE_LAST,
	MSRGUARD_A_ACCESS_GENERATION,

	__MSRGUARD_A_ACCESS_MAX,
	MSRGUARD_A_ACCESS_MAX = (__MSRGUARD_A_ACCESS_MAX - 1)
};

enum {
	MSRGUARD_A_STATUS_PAD = 1,
	MSRGUARD_A_STATUS_MODE,
	MSRGUARD_A_STATUS_GENERATION,
	MSRGUARD_A_STATUS_HASH,
	MSRGUARD_A_STATUS_RULES,
	MSRGUARD_A_STATUS_SEQ,
	MSRGUARD_A_STATUS_EVENTS_SENT,
	MSRGUARD_A_STATUS_EVENTS_LOST,

	__MSRGUARD_A_STATUS_MAX,
	MSRGUARD_A_STATUS_MAX = (__MSRGUARD_A_STATUS_MAX - 1)
};

enum {
	MSRGUARD_A_VERIFY_PAD = 1,
	MSRGUARD_A_VERIFY_VM_ID,
	MSRGUARD_A_VERIFY_VM_PID,
	MSRGUARD_A_VERIFY_VCPU,
	MSRGUARD_A_VERIFY_STATE,
	MSRGUARD_A_VERIFY_NESTED,
	MSRGUARD_A_VERIFY_GUARDED,
	MSRGUARD_A_VERIFY_MISSING,
	MSRGUARD_A_VERIFY_GENERATION,
	MSRGUARD_A_VERIFY_MSR,
	MSRGUARD_A_VERIFY_DIRECTION,

	__MSRGUARD_A_VERIFY_MAX,
	MSRGUARD_A_VERIFY_MAX = (__MSRGUARD_A_VERIFY_MAX - 1)
};

enum {
	MSRGUARD_CMD_STATUS_GET = 1,
	MSRGUARD_CMD_ACCESS_NTF,
	MSRGUARD_CMD_VERIFY,

	__MSRGUARD_CMD_MAX,
	MSRGUARD_CMD_MAX = (__MSRGUARD_CMD_MAX - 1)
};

#define MSRGUARD_MCGRP_EVENTS	"events"

#endif /* _UAPI_LINUX_MSRGUARD_H */
