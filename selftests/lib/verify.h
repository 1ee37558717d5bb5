/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The hardware's MSR bitmaps read back and held against the policy, by the module's netlink
 * request "verify".
 */
#ifndef MG_SELFTEST_VERIFY_H
#define MG_SELFTEST_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MG_VERIFY_VCPUS		64	/* messages about vCPUs that are kept */
#define MG_VERIFY_ACCESSES	64	/* missing accesses that are kept of each */
#define MG_VERIFY_STATES	5

struct mg_verify_vcpu {
	uint32_t vm_pid, vcpu, guarded, missing;
	uint8_t state;			/* MSRGUARD_VERIFY_STATE_* */
	bool nested;
	uint64_t generation;
	unsigned int nr;		/* missing accesses that came */
	struct {
		uint32_t msr;
		uint8_t direction;
	} accesses[MG_VERIFY_ACCESSES];
};

/**
 * struct mg_verify_result - the module's answer
 * @nr:       messages about vCPUs
 * @vcpus:    they; no more than MG_VERIFY_VCPUS
 * @states:   how many vCPUs are in each state
 * @strange:  messages and attributes that make no sense, or accesses that were announced and did
 *            not come
 * @bad_attr: with an error, the type of the attribute that the kernel blames; else 0
 * @why:      with an error, the kernel's words
 */
struct mg_verify_result {
	unsigned int nr;
	struct mg_verify_vcpu vcpus[MG_VERIFY_VCPUS];
	unsigned int states[MG_VERIFY_STATES];
	unsigned int strange;
	uint16_t bad_attr;
	char why[128];
};

/**
 * mg_verify - ask for the comparison
 * @vm_id:  the VM
 * @result: the answer
 *
 * Return: 0 or a negative errno, the kernel's or that of what went wrong on the way to it.
 */
int mg_verify(uint64_t vm_id, struct mg_verify_result *result);

/**
 * mg_verify_own - verify every VM of this process
 *
 * What sysfs.c does after every change of the policy or the mode. On any difference, and on an answer
 * that makes no sense, prints what it is and aborts the test. vCPUs that do not run are no difference.
 *
 * Return: how many vCPUs ran and match.
 */
unsigned int mg_verify_own(void);

struct vcpu;

/*
 * Have a vCPU run, in a thread of its own, without any access to an MSR and without leaving guest
 * mode by itself. When quiet_run_start() returns, it is in the guest.
 */
void quiet_run_start(struct vcpu *vcpu);
void quiet_run_stop(struct vcpu *vcpu);

#endif /* MG_SELFTEST_VERIFY_H */
