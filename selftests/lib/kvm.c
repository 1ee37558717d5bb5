// SPDX-License-Identifier: GPL-2.0
/* What a VMM tells KVM about MSRs, and what KVM can do here. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vm.h"

static int one_msr(struct vcpu *vcpu, unsigned long request, uint32_t msr, uint64_t *value)
{
	union {
		struct kvm_msrs msrs;
		char room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} one = { .msrs.nmsrs = 1 };
	struct kvm_msr_entry *entry = one.msrs.entries;
	int done;

	entry->index = msr;
	entry->data = *value;
	done = ioctl(vcpu->fd, request, &one);

	if (done < 0)
		vm_die(vcpu, "KVM_GET_MSRS or KVM_SET_MSRS of %x: %s", msr, strerror(errno));
	*value = entry->data;
	return done;
}

bool vcpu_get_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	*value = 0;
	return one_msr(vcpu, KVM_GET_MSRS, msr, value) == 1;
}

bool vcpu_set_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	return one_msr(vcpu, KVM_SET_MSRS, msr, &value) == 1;
}

void vm_filter_one(struct vm *vm, uint32_t msr, bool allow_read, bool allow_write)
{
	uint8_t read_bit = allow_read, write_bit = allow_write;
	struct kvm_msr_filter filter = {
		.flags = KVM_MSR_FILTER_DEFAULT_ALLOW,
		.ranges[0] = {
			.flags = KVM_MSR_FILTER_READ, .base = msr, .nmsrs = 1,
			.bitmap = &read_bit,
		},
		.ranges[1] = {
			.flags = KVM_MSR_FILTER_WRITE, .base = msr, .nmsrs = 1,
			.bitmap = &write_bit,
		},
	};

	if (ioctl(vm->fd, KVM_X86_SET_MSR_FILTER, &filter))
		vm_die(NULL, "KVM_X86_SET_MSR_FILTER: %s", strerror(errno));
}

void vm_clear_filter(struct vm *vm)
{
	struct kvm_msr_filter filter = { .flags = KVM_MSR_FILTER_DEFAULT_ALLOW };

	if (ioctl(vm->fd, KVM_X86_SET_MSR_FILTER, &filter))
		vm_die(NULL, "KVM_X86_SET_MSR_FILTER: %s", strerror(errno));
}

void vm_userspace_msr(struct vm *vm, unsigned int reasons)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR,
		.args[0] = reasons,
	};

	if (ioctl(vm->fd, KVM_ENABLE_CAP, &cap))
		vm_die(NULL, "KVM_CAP_X86_USER_SPACE_MSR: %s", strerror(errno));
}

bool fep_enable(void)
{
	int fd = open("/sys/module/kvm/parameters/force_emulation_prefix", O_WRONLY | O_CLOEXEC);
	bool written;

	if (fd < 0)
		return false;
	written = write(fd, "1", 1) == 1;
	close(fd);
	return written;
}

bool fep_works(struct vcpu *vcpu)
{
	return guest_rdmsr_fep(vcpu, MSR_APIC_BASE).vector != VECTOR_UD;
}
