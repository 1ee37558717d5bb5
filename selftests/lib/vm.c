// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "vm.h"

#define CHECK_OFFSET(field, offset) \
	_Static_assert(offsetof(struct guest_page, field) == (offset), #field)
CHECK_OFFSET(command, PG_COMMAND);
CHECK_OFFSET(level2, PG_LEVEL2);
CHECK_OFFSET(msr, PG_MSR);
CHECK_OFFSET(rflags_in, PG_RFLAGS_IN);
CHECK_OFFSET(stop, PG_STOP);
CHECK_OFFSET(nested, PG_NESTED);
CHECK_OFFSET(vector, PG_VECTOR);
CHECK_OFFSET(fault_rflags, PG_FAULT_RFLAGS);
CHECK_OFFSET(ok, PG_OK);
CHECK_OFFSET(last_edx, PG_LAST_EDX);
CHECK_OFFSET(rcx_out, PG_RCX_OUT);
CHECK_OFFSET(rflags_out, PG_RFLAGS_OUT);
CHECK_OFFSET(steps, PG_STEPS);
CHECK_OFFSET(cycles, PG_CYCLES);
CHECK_OFFSET(panic_rsp, PG_PANIC_RSP);

#define CR0_PE		(1ull << 0)
#define CR0_NE		(1ull << 5)
#define CR0_PG		(1ull << 31)
#define CR4_PAE		(1ull << 5)
#define EFER_SCE	(1ull << 0)
#define EFER_LME	(1ull << 8)
#define EFER_LMA	(1ull << 10)
#define PTE_PRESENT	(1ull << 0)
#define PTE_WRITE	(1ull << 1)
#define PTE_LARGE	(1ull << 7)
#define LARGE_PAGE	0x200000ull
#define GATE_INTERRUPT	0x8eull		/* present, DPL 0, 64-bit interrupt gate */

void vm_die(struct vcpu *vcpu, const char *format, ...)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	va_list args;

	printf("# ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	if (vcpu && !ioctl(vcpu->fd, KVM_GET_REGS, &regs) &&
	    !ioctl(vcpu->fd, KVM_GET_SREGS, &sregs)) {
		printf("# vcpu %u rip %llx rsp %llx rflags %llx\n", vcpu->id, regs.rip,
		       regs.rsp, regs.rflags);
		printf("# rax %llx rbx %llx rcx %llx rdx %llx r13 %llx r14 %llx r15 %llx\n",
		       regs.rax, regs.rbx, regs.rcx, regs.rdx, regs.r13, regs.r14, regs.r15);
		printf("# cr0 %llx cr2 %llx cr3 %llx cr4 %llx efer %llx\n", sregs.cr0,
		       sregs.cr2, sregs.cr3, sregs.cr4, sregs.efer);
		printf("# command %u msr %lx last exception %ld error %lx at %lx\n",
		       vcpu->page->command, vcpu->page->msr, vcpu->page->vector,
		       vcpu->page->error, vcpu->page->fault_rip);
	}
	fflush(stdout);
	abort();
}

uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

static void build_tables(struct vm *vm)
{
	uint64_t *gdt = (uint64_t *)(vm->mem + GPA_GDT);
	uint64_t *idt = (uint64_t *)(vm->mem + GPA_IDT);
	uint64_t *pml4 = (uint64_t *)(vm->mem + GPA_PML4);
	uint64_t *pdpt = (uint64_t *)(vm->mem + GPA_PDPT);
	uint64_t *pd = (uint64_t *)(vm->mem + GPA_PD);

	gdt[SEL_CODE / 8] = 0x00af9b000000ffffull;
	gdt[SEL_DATA / 8] = 0x00cf93000000ffffull;
	gdt[SEL_TSS / 8] = 0x00008b0000000067ull | (uint64_t)GPA_TSS << 16;

	for (unsigned int i = 0; i < NR_VECTORS; i++) {
		uint64_t stub = vm->head[HEAD_AT_VECTORS] + i * VECTOR_STUB_SIZE;

		idt[2 * i] = (stub & 0xffff) | SEL_CODE << 16 | GATE_INTERRUPT << 40 |
			     (stub >> 16 & 0xffff) << 48;
		idt[2 * i + 1] = stub >> 32;
	}

	pml4[0] = GPA_PDPT | PTE_PRESENT | PTE_WRITE;
	pdpt[0] = GPA_PD | PTE_PRESENT | PTE_WRITE;
	for (unsigned int i = 0; i < 512; i++)
		pd[i] = i * LARGE_PAGE | PTE_PRESENT | PTE_WRITE | PTE_LARGE;
}

/* To be freed by the caller. */
struct kvm_cpuid2 *vm_supported_cpuid(struct vm *vm)
{
	const unsigned int max = 256;
	struct kvm_cpuid2 *cpuid;

	cpuid = calloc(1, sizeof(*cpuid) + max * sizeof(cpuid->entries[0]));
	if (!cpuid)
		vm_die(NULL, "out of memory");
	cpuid->nent = max;
	if (ioctl(vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid))
		vm_die(NULL, "KVM_GET_SUPPORTED_CPUID: %s", strerror(errno));
	return cpuid;
}

static void set_cpuid(struct vcpu *vcpu)
{
	struct kvm_cpuid2 *cpuid = vm_supported_cpuid(vcpu->vm);

	for (unsigned int i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (e->function == 1)
			e->ebx = (e->ebx & 0xffffff) | vcpu->id << 24;
		else if (e->function == 0xb)
			e->edx = vcpu->id;
	}
	if (ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid))
		vm_die(vcpu, "KVM_SET_CPUID2: %s", strerror(errno));
	free(cpuid);
}

static void set_registers(struct vcpu *vcpu)
{
	struct kvm_segment code = {
		.limit = 0xffffffff, .selector = SEL_CODE, .type = 11, .present = 1,
		.s = 1, .l = 1, .g = 1,
	};
	struct kvm_segment data = {
		.limit = 0xffffffff, .selector = SEL_DATA, .type = 3, .present = 1,
		.s = 1, .db = 1, .g = 1,
	};
	struct kvm_regs regs = {
		.rip = vcpu->vm->head[HEAD_AT_ENTRY],
		.rsp = GPA_STACK_TOP(vcpu->id),
		.r15 = GPA_PAGE(vcpu->id),
		.rflags = 2,
	};
	struct kvm_sregs sregs;
	struct kvm_mp_state running = { .mp_state = KVM_MP_STATE_RUNNABLE };

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		vm_die(vcpu, "KVM_GET_SREGS: %s", strerror(errno));
	sregs.cr0 = CR0_PE | CR0_NE | CR0_PG;
	sregs.cr3 = GPA_PML4;
	sregs.cr4 = CR4_PAE;
	sregs.efer = EFER_SCE | EFER_LME | EFER_LMA;
	sregs.cs = code;
	sregs.ss = data;
	sregs.ds = data;
	sregs.es = data;
	sregs.fs = data;
	sregs.gs = data;
	sregs.tr.base = GPA_TSS;
	sregs.tr.limit = 0x67;
	sregs.tr.selector = SEL_TSS;
	sregs.tr.type = 11;
	sregs.tr.present = 1;
	sregs.tr.s = 0;
	sregs.gdt.base = GPA_GDT;
	sregs.gdt.limit = SEL_TSS + 16 - 1;
	sregs.idt.base = GPA_IDT;
	sregs.idt.limit = NR_VECTORS * 16 - 1;
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs))
		vm_die(vcpu, "KVM_SET_SREGS: %s", strerror(errno));
	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs))
		vm_die(vcpu, "KVM_SET_REGS: %s", strerror(errno));
	/* With an in-kernel APIC all but the first vCPU would wait for a SIPI. */
	if (vcpu->id)
		ioctl(vcpu->fd, KVM_SET_MP_STATE, &running);
}

/* Where in the binary statistics the counter of exits stands. */
static void find_exit_counter(struct vcpu *vcpu)
{
	struct kvm_stats_header header;
	struct kvm_stats_desc *desc;
	size_t size;

	vcpu->stats_fd = ioctl(vcpu->fd, KVM_GET_STATS_FD, NULL);
	if (vcpu->stats_fd < 0)
		vm_die(vcpu, "KVM_GET_STATS_FD: %s", strerror(errno));
	if (pread(vcpu->stats_fd, &header, sizeof(header), 0) != sizeof(header))
		vm_die(vcpu, "cannot read the statistics' header");
	size = sizeof(*desc) + header.name_size;
	desc = malloc(size);
	if (!desc)
		vm_die(vcpu, "out of memory");
	for (unsigned int i = 0; i < header.num_desc; i++) {
		off_t at = header.desc_offset + i * size;

		if (pread(vcpu->stats_fd, desc, size, at) != (ssize_t)size)
			vm_die(vcpu, "cannot read statistics descriptor %u", i);
		if (!strcmp(desc->name, "exits"))
			vcpu->exits_offset = header.data_offset + desc->offset;
	}
	free(desc);
	if (!vcpu->exits_offset)
		vm_die(vcpu, "KVM's statistics have no counter named exits");
}

uint64_t vcpu_exits(struct vcpu *vcpu)
{
	uint64_t exits;

	if (pread(vcpu->stats_fd, &exits, sizeof(exits), vcpu->exits_offset) != sizeof(exits))
		vm_die(NULL, "cannot read the counter of exits: %s", strerror(errno));
	return exits;
}

static void add_vcpu(struct vm *vm, unsigned int id)
{
	struct vcpu *vcpu = &vm->vcpus[id];
	int size;

	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->page = (volatile struct guest_page *)(vm->mem + GPA_PAGE(id));
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, id);
	if (vcpu->fd < 0)
		vm_die(NULL, "KVM_CREATE_VCPU %u: %s", id, strerror(errno));
	size = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
	if (size < 0)
		vm_die(vcpu, "KVM_GET_VCPU_MMAP_SIZE: %s", strerror(errno));
	vcpu->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		vm_die(vcpu, "mmap of a vCPU: %s", strerror(errno));
	set_cpuid(vcpu);
	set_registers(vcpu);
	find_exit_counter(vcpu);
}

/**
 * vm_create - a VM with its vCPUs, ready for commands
 * @nr_vcpus: how many, 1 to VM_MAX_VCPUS
 * @flags:    VM_IRQCHIP or 0
 */
struct vm *vm_create(unsigned int nr_vcpus, unsigned int flags)
{
	struct kvm_userspace_memory_region region = { .memory_size = GUEST_MEM_SIZE };
	struct vm *vm = calloc(1, sizeof(*vm));

	if (!vm || !nr_vcpus || nr_vcpus > VM_MAX_VCPUS)
		vm_die(NULL, "cannot create a VM of %u vCPUs", nr_vcpus);
	vm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm_fd < 0)
		vm_die(NULL, "/dev/kvm: %s", strerror(errno));
	vm->fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		vm_die(NULL, "KVM_CREATE_VM: %s", strerror(errno));
	vm->mem = mmap(NULL, GUEST_MEM_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm->mem == MAP_FAILED)
		vm_die(NULL, "guest memory: %s", strerror(errno));
	region.userspace_addr = (uintptr_t)vm->mem;
	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region))
		vm_die(NULL, "KVM_SET_USER_MEMORY_REGION: %s", strerror(errno));
	if (flags & VM_IRQCHIP && ioctl(vm->fd, KVM_CREATE_IRQCHIP, NULL))
		vm_die(NULL, "KVM_CREATE_IRQCHIP: %s", strerror(errno));

	memcpy(vm->mem + GPA_PAYLOAD, payload_start, payload_end - payload_start);
	vm->head = (const uint64_t *)payload_start;
	if (vm->head[HEAD_AT_MAGIC] != HEAD_MAGIC)
		vm_die(NULL, "the payload does not begin with its head");
	build_tables(vm);
	for (vm->nr_vcpus = 0; vm->nr_vcpus < nr_vcpus; vm->nr_vcpus++)
		add_vcpu(vm, vm->nr_vcpus);
	return vm;
}

void vm_free(struct vm *vm)
{
	if (!vm)
		return;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];

		if (vcpu->spinning)
			guest_spin_stop(vcpu);
		munmap(vcpu->run, ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, NULL));
		close(vcpu->stats_fd);
		close(vcpu->fd);
	}
	close(vm->fd);
	close(vm->kvm_fd);
	munmap(vm->mem, GUEST_MEM_SIZE);
	free(vm);
}

static void handle_msr_exit(struct vcpu *vcpu)
{
	vcpu->msr_exits++;
	if (vcpu->on_msr_exit)
		vcpu->on_msr_exit(vcpu, vcpu->run, vcpu->msr_exit_context);
	else
		vcpu->run->msr.error = 1;
}

/* Lets the vCPU run until the payload says that the command is done. */
void vcpu_run_command(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	for (;;) {
		if (ioctl(vcpu->fd, KVM_RUN, NULL)) {
			if (vcpu->abandoned && errno == EINTR)
				return;
			if (errno == EINTR || errno == EAGAIN)
				continue;
			vm_die(vcpu, "KVM_RUN: %s", strerror(errno));
		}
		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			if (run->io.port == PORT_DONE)
				return;
			if (run->io.port == PORT_PANIC)
				vm_die(vcpu, "the guest took exception %lu it did not expect",
				       vcpu->page->vector);
			vm_die(vcpu, "the guest wrote to port %x", run->io.port);
		case KVM_EXIT_X86_RDMSR:
		case KVM_EXIT_X86_WRMSR:
			handle_msr_exit(vcpu);
			break;
		case KVM_EXIT_SHUTDOWN:
			if (vcpu->may_shut_down) {
				vcpu->has_shut_down = true;
				return;
			}
			vm_die(vcpu, "the guest shut down (triple fault)");
		case KVM_EXIT_INTERNAL_ERROR:
			vm_die(vcpu, "KVM_EXIT_INTERNAL_ERROR %u", run->internal.suberror);
		case KVM_EXIT_FAIL_ENTRY:
			vm_die(vcpu, "KVM_EXIT_FAIL_ENTRY %llx",
			       run->fail_entry.hardware_entry_failure_reason);
		default:
			vm_die(vcpu, "KVM_RUN came back with exit reason %u", run->exit_reason);
		}
	}
}
