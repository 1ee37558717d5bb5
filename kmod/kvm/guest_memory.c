// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory for who looks for images, see guest_memory.h.
 */
#include <linux/mm_types.h>
#include <linux/sched.h>
#include <linux/srcu.h>

#include "guest_memory.h"
#include "symbols.h"

static int read_guest(void *ctx, u64 addr, void *buf, unsigned int len)
{
	struct kvm_vcpu *vcpu = ctx;
	struct mg_exception_room unused;
	int srcu, ret;

	if (!len || len > PAGE_SIZE || offset_in_page(addr) + len > PAGE_SIZE)
		return -EFAULT;
	/* A vCPU can be freed, and walk its MSR lists then, by a task with other memory. */
	if (current->mm != vcpu->kvm->mm)
		return -EFAULT;
	/* KVM holds it on an exit, but not always on the way to the vCPU's end. */
	srcu = srcu_read_lock(&vcpu->kvm->srcu);
	ret = static_call(mg_kvm_read_guest_virt)(vcpu, addr, buf, len, &unused);
	srcu_read_unlock(&vcpu->kvm->srcu, srcu);
	return ret ? -EFAULT : 0;
}

struct mg_image_memory mg_guest_memory(struct kvm_vcpu *vcpu)
{
	return (struct mg_image_memory) { .read = read_guest, .ctx = vcpu };
}
