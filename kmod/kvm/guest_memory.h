/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The memory of a guest as its vCPU sees it.
 */
#ifndef MG_GUEST_MEMORY_H
#define MG_GUEST_MEMORY_H

#include <linux/kvm_host.h>

#include "../image/image.h"

/*
 * Room for KVM's struct x86_exception, which is private (arch/x86/kvm/kvm_emulate.h): 24 bytes in
 * 6.1, 32 in 6.12, 48 in 7.3. KVM fills it in; nobody here wants to know.
 */
struct mg_exception_room {
	u64 words[16];
};

/**
 * mg_guest_memory - guest-linear memory as a vCPU would read it now
 * @vcpu: the vCPU; its registers must not be encrypted
 *
 * Through the paging that is in force, that of a guest of the guest (L2) while one runs, with the
 * rights of the privilege level that is in force (KVM: kvm_read_guest_virt()). A fault is told to
 * the reader and not to the guest. MMIO and what the VMM has not backed cannot be read.
 *
 * Context: its reads are for the vCPU's own thread, which has the VM's memory mapped; for any
 * other they fail. They may sleep for as long as the VMM likes.
 */
struct mg_image_memory mg_guest_memory(struct kvm_vcpu *vcpu);

#endif /* MG_GUEST_MEMORY_H */
