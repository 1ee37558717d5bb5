// SPDX-License-Identifier: GPL-2.0
/* What this host's CPU and KVM can do; CPUID and the local APIC of a vCPU. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host.h"
#include "probe.h"

#define ROUNDS		2000
#define MAX_LEAVES	256
#define APIC_BASE_X2	(1ull << 10)
#define APIC_BASE_ON	(1ull << 11)

bool probe_is_intel(void)
{
	return !access("/sys/module/kvm_intel", F_OK);
}

bool probe_vendor_param(const char *name)
{
	char path[128], *text;
	bool is_on;

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s",
		 probe_is_intel() ? "kvm_intel" : "kvm_amd", name);
	text = host_read(path);
	is_on = text && (text[0] == 'Y' || text[0] == '1');
	free(text);
	return is_on;
}

double probe_exits(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value)
{
	uint64_t few = guest_bench(vcpu, op, msr, value, ROUNDS / 10).exits;
	uint64_t many = guest_bench(vcpu, op, msr, value, ROUNDS).exits;

	return ((double)many - (double)few) / (ROUNDS - ROUNDS / 10);
}

static struct kvm_cpuid2 *get_cpuid(struct vcpu *vcpu)
{
	struct kvm_cpuid2 *cpuid;

	cpuid = calloc(1, sizeof(*cpuid) + (MAX_LEAVES + 1) * sizeof(cpuid->entries[0]));
	if (!cpuid)
		vm_die(vcpu, "out of memory");
	cpuid->nent = MAX_LEAVES;
	if (ioctl(vcpu->fd, KVM_GET_CPUID2, cpuid))
		vm_die(vcpu, "KVM_GET_CPUID2: %s", strerror(errno));
	return cpuid;
}

static struct kvm_cpuid_entry2 *find_leaf(struct kvm_cpuid2 *cpuid, uint32_t leaf, uint32_t index)
{
	for (unsigned int i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == leaf &&
		    (cpuid->entries[i].index == index ||
		     !(cpuid->entries[i].flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX)))
			return &cpuid->entries[i];
	return NULL;
}

static uint32_t *reg_of(struct kvm_cpuid_entry2 *entry, unsigned int reg)
{
	uint32_t *const regs[] = { &entry->eax, &entry->ebx, &entry->ecx, &entry->edx };

	return regs[reg];
}

uint32_t vcpu_cpuid(struct vcpu *vcpu, uint32_t leaf, uint32_t index, unsigned int reg)
{
	struct kvm_cpuid2 *cpuid = get_cpuid(vcpu);
	struct kvm_cpuid_entry2 *entry = find_leaf(cpuid, leaf, index);
	uint32_t value = entry ? *reg_of(entry, reg) : 0;

	free(cpuid);
	return value;
}

void vcpu_cpuid_write(struct vcpu *vcpu, uint32_t leaf, uint32_t index, unsigned int reg,
		      uint32_t value)
{
	struct kvm_cpuid2 *cpuid = get_cpuid(vcpu);
	struct kvm_cpuid_entry2 *entry = find_leaf(cpuid, leaf, index);

	if (!entry) {
		entry = &cpuid->entries[cpuid->nent++];
		entry->function = leaf;
		entry->index = index;
	}
	*reg_of(entry, reg) = value;
	if (ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid))
		vm_die(vcpu, "KVM_SET_CPUID2 with leaf %x: %s", leaf, strerror(errno));
	free(cpuid);
}

static void lapic(struct vcpu *vcpu, unsigned long request, struct kvm_lapic_state *state)
{
	if (ioctl(vcpu->fd, request, state))
		vm_die(vcpu, "KVM_GET_LAPIC or KVM_SET_LAPIC: %s", strerror(errno));
}

uint32_t vcpu_apic_read(struct vcpu *vcpu, uint32_t reg)
{
	struct kvm_lapic_state state;
	uint32_t value;

	lapic(vcpu, KVM_GET_LAPIC, &state);
	memcpy(&value, state.regs + reg, sizeof(value));
	return value;
}

void vcpu_apic_write(struct vcpu *vcpu, uint32_t reg, uint32_t value)
{
	struct kvm_lapic_state state;

	lapic(vcpu, KVM_GET_LAPIC, &state);
	memcpy(state.regs + reg, &value, sizeof(value));
	lapic(vcpu, KVM_SET_LAPIC, &state);
}

void vcpu_apic_x2(struct vcpu *vcpu)
{
	uint64_t base;

	if (!vcpu_get_msr(vcpu, MSR_APIC_BASE, &base) ||
	    !vcpu_set_msr(vcpu, MSR_APIC_BASE, base | APIC_BASE_ON | APIC_BASE_X2))
		vm_die(vcpu, "cannot switch the APIC to x2APIC mode");
	vcpu_apic_write(vcpu, APIC_SPIV, APIC_SPIV_ENABLED | 0xff);
}

void vcpu_apic_deadline(struct vcpu *vcpu)
{
	vcpu_cpuid_write(vcpu, 1, 0, 2, vcpu_cpuid(vcpu, 1, 0, 2) | CPUID_TSC_DEADLINE);
	vcpu_apic_x2(vcpu);
	vcpu_apic_write(vcpu, APIC_LVTT, APIC_LVT_TSC_DEADLINE | APIC_LVT_MASKED | 0xef);
}
