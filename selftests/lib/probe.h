/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What this host's CPU and KVM can do, found out and not concluded from a name; and the parts of
 * a vCPU that only some tests set: CPUID, the local APIC.
 */
#ifndef MG_SELFTEST_PROBE_H
#define MG_SELFTEST_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "vm.h"

#define MSR_X2APIC(reg)		(0x800 + ((reg) >> 4))
#define APIC_TPR		0x80
#define APIC_SPIV		0xf0
#define APIC_IRR		0x200
#define APIC_ICR		0x300
#define APIC_LVTT		0x320
#define APIC_SPIV_ENABLED	0x100
#define APIC_LVT_MASKED		(1u << 16)
#define APIC_LVT_TSC_DEADLINE	(2u << 17)
#define CPUID_TSC_DEADLINE	(1u << 24)	/* ECX of 1 */

/* Whether kvm_intel is the vendor module. */
bool probe_is_intel(void);

/* A boolean parameter of the vendor module; false too if it has no such parameter. */
bool probe_vendor_param(const char *name);

/* Exits that one access of the vCPU makes on average, from two loops of different lengths. */
double probe_exits(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value);
#define PROBE_PASSED_THROUGH	0.02	/* the host's timer ends guest mode now and then */
#define PROBE_INTERCEPTED	0.9

/*
 * Bits of a CPUID leaf of the vCPU as it is now, and setting them; @reg is 0 to 3 for EAX to EDX.
 * A leaf that is not there is added. KVM takes a change only before the vCPU's first run.
 */
uint32_t vcpu_cpuid(struct vcpu *vcpu, uint32_t leaf, uint32_t index, unsigned int reg);
void vcpu_cpuid_write(struct vcpu *vcpu, uint32_t leaf, uint32_t index, unsigned int reg,
		      uint32_t value);

/* Registers of the in-kernel APIC, by their offset in the page. */
uint32_t vcpu_apic_read(struct vcpu *vcpu, uint32_t reg);
void vcpu_apic_write(struct vcpu *vcpu, uint32_t reg, uint32_t value);

/* By the VMM: x2APIC mode, and software-enabled. */
void vcpu_apic_x2(struct vcpu *vcpu);

/* The same, and the timer takes TSC_DEADLINE, masked. Only before the vCPU's first run. */
void vcpu_apic_deadline(struct vcpu *vcpu);

#endif /* MG_SELFTEST_PROBE_H */
