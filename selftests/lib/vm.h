/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Raw KVM guests in which each access to an MSR is exact.
 *
 * A VM runs guests/payload.S at CPL 0 in 64-bit mode. A call such as guest_wrmsr() has
 * one vCPU execute one instruction and says all that can be known of it. What a test
 * cannot recover from (KVM refuses an ioctl, the guest shuts down) prints the reason and
 * the registers, and aborts the test.
 */
#ifndef MG_SELFTEST_VM_H
#define MG_SELFTEST_VM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/kvm.h>

#include "../guests/abi.h"

#define VM_MAX_VCPUS	4
#define L2_FIELDS_MAX	16

#define MSR_TSC			0x10
#define MSR_APIC_BASE		0x1b
#define MSR_SYSENTER_CS		0x174
#define MSR_SYSENTER_ESP	0x175
#define MSR_SYSENTER_EIP	0x176
#define MSR_MISC_ENABLE		0x1a0
#define MSR_PAT			0x277
#define MSR_TSC_DEADLINE	0x6e0
#define MSR_UNKNOWN_LOW		0x1ffe		/* neither KVM nor the CPU knows it */
#define MSR_UNKNOWN		0x12345		/* nor this, which no bitmap covers either */
#define MSR_EFER		0xc0000080
#define MSR_STAR		0xc0000081
#define MSR_LSTAR		0xc0000082
#define MSR_CSTAR		0xc0000083
#define MSR_SFMASK		0xc0000084
#define MSR_FS_BASE		0xc0000100
#define MSR_KERNEL_GS_BASE	0xc0000102
#define MSR_TSC_AUX		0xc0000103
#define MSR_VM_HSAVE_PA		0xc0010117
#define MSR_KVM_WALL_CLOCK	0x4b564d00
#define MSR_KVM_SYSTEM_TIME	0x4b564d01

#define VECTOR_UD	6
#define VECTOR_GP	13

/* The vCPU's page; guests/abi.h has the offsets and their meaning. */
struct guest_page {
	uint32_t command;
	uint32_t level2;
	uint64_t msr, rax_in, rdx_in, rflags_in, count, stop, nested;
	uint64_t vector, error, fault_rip, fault_rflags, faults, ok;
	uint32_t last_eax, last_edx;
	uint64_t rax_out, rdx_out, rcx_out, rflags_out;
	uint64_t steps, step_rip, cycles, panic_rsp;
};

struct vcpu;

/*
 * Called when an access comes out to userspace; answers by writing run->msr.error and,
 * for a read, run->msr.data.
 */
typedef void (*msr_exit_fn)(struct vcpu *vcpu, struct kvm_run *run, void *context);

struct vcpu {
	struct vm *vm;
	unsigned int id;
	int fd;
	int stats_fd;
	off_t exits_offset;
	struct kvm_run *run;
	volatile struct guest_page *page;
	msr_exit_fn on_msr_exit;	/* NULL: every such access fails with #GP */
	void *msr_exit_context;
	unsigned long msr_exits;	/* accesses that came out to userspace */
	/*
	 * Upper half of RCX at the access, which the CPU ignores. Not so QEMU's TCG when it
	 * looks an MSR below 0x2000 up in the intercept bitmap: use others to try it.
	 */
	uint32_t rcx_upper;
	bool may_shut_down;		/* a triple fault is what the test expects */
	bool has_shut_down;		/* and here it is; the VM is of no more use */
	bool nested_ready;
	struct {
		uint32_t field;
		uint64_t value;
	} l2_fields[L2_FIELDS_MAX];	/* of the test's own in L2's VMCS or VMCB, see nested.h */
	unsigned int nr_l2_fields;
	bool spinning;
	volatile bool abandoned;
	pthread_t thread;
	uint64_t spin_insn;
};

struct vm {
	int kvm_fd;
	int fd;
	uint8_t *mem;
	unsigned int nr_vcpus;
	struct vcpu vcpus[VM_MAX_VCPUS];
	const uint64_t *head;		/* of the payload */
	unsigned int nr_tables;		/* of those at GPA_TABLES, how many are in use */
};

#define VM_IRQCHIP	1u		/* in-kernel APIC; without it there is none */

/**
 * struct access_result - all that one access did
 * @vector:   0 if it went through, else the exception's vector
 * @error:    the exception's error code
 * @insn_rip: address of the instruction
 * @fault_rip: RIP the exception was reported for
 * @value:    EDX:EAX afterwards
 * @regs_intact: what the instruction must not change, it did not: after a write, and
 *            after a read that faulted, RAX, RDX, RCX and RFLAGS in all their bits;
 *            after a read, RCX and RFLAGS, and the upper halves of RAX and RDX are 0
 * @steps:    #DB taken, for an access that is single-stepped
 * @step_rip: where the last #DB was
 * @exits:    exits of the vCPU meanwhile; one of them is the payload's own "done"
 * @nested:   it was executed by a guest of the guest
 * @l2_exit:  @nested: exit code with which that guest came back
 */
struct access_result {
	int vector;
	uint32_t error;
	uint64_t insn_rip;
	uint64_t fault_rip;
	uint64_t value;
	bool regs_intact;
	unsigned int steps;
	uint64_t step_rip;
	uint64_t exits;
	bool nested;
	uint64_t l2_exit;
};

/* Address of the instruction that follows RDMSR or WRMSR. */
static inline uint64_t after_insn(uint64_t insn_rip)
{
	return insn_rip + 2;
}

struct vm *vm_create(unsigned int nr_vcpus, unsigned int flags);
void vm_free(struct vm *vm);

/* One access. @op is one of OP_*. */
struct access_result guest_access(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value);
struct access_result guest_access_step(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value);
struct access_result l2_access(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value);

/*
 * Instructions of the test's own, at GPA_CODE; RAX, RCX and RDX before, and in the
 * vCPU's page (rax_out and so on) afterwards. R12 to R15 and the stack are the payload's.
 */
struct access_result guest_code(struct vcpu *vcpu, const void *code, size_t len, uint64_t rax,
				uint64_t rcx, uint64_t rdx);
/* The same in a guest of the guest. */
struct access_result l2_code(struct vcpu *vcpu, const void *code, size_t len, uint64_t rax,
			     uint64_t rcx, uint64_t rdx);

/*
 * Pages besides the identity that is mapped for the guest's memory. What has been used by a vCPU
 * may stay in its TLB: map before a page is used, and take away only what the guest does not use.
 * vm_at() is where the host has a linear address.
 */
void vm_map_page(struct vm *vm, uint64_t linear, uint64_t gpa);
void vm_unmap_page(struct vm *vm, uint64_t linear);
uint8_t *vm_at(struct vm *vm, uint64_t linear);

static inline struct access_result guest_wrmsr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	return guest_access(vcpu, OP_WRMSR, msr, value);
}

static inline struct access_result guest_rdmsr(struct vcpu *vcpu, uint32_t msr)
{
	return guest_access(vcpu, OP_RDMSR, msr, 0);
}

static inline struct access_result guest_wrmsr_fep(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	return guest_access(vcpu, OP_WRMSR_FEP, msr, value);
}

static inline struct access_result guest_rdmsr_fep(struct vcpu *vcpu, uint32_t msr)
{
	return guest_access(vcpu, OP_RDMSR_FEP, msr, 0);
}

static inline struct access_result l2_wrmsr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	return l2_access(vcpu, OP_WRMSR, msr, value);
}

static inline struct access_result l2_rdmsr(struct vcpu *vcpu, uint32_t msr)
{
	return l2_access(vcpu, OP_RDMSR, msr, 0);
}

/* Whether KVM's forced-emulation prefix works here; fep_enable() tries to switch it on. */
bool fep_works(struct vcpu *vcpu);
bool fep_enable(void);

/* Whether the guest may run guests of its own (SVM or VMX; nested.h has what is of one only). */
bool nested_works(struct vm *vm);
#define NESTED_MISSING	"KVM offers its guests neither SVM nor VMX here"

/*
 * Have L1 intercept every access to MSRs of its guest, or none (as after vm_create()).
 * Call before the access or spin that shall see it.
 */
void l2_set_intercept_all(struct vcpu *vcpu, bool on);

/* Whether the hardware's bitmap has bits for an MSR; else L1 gets every access of its guest. */
bool l2_bitmap_covers(uint32_t msr);

/* With which exit code L2 comes back from an access that L1 intercepts, and when it is done. */
uint64_t l2_exit_of_msr(int op);
uint64_t l2_exit_of_call(void);

/*
 * The same access again and again, in a thread of its own, without leaving guest mode.
 * spin_ok() and spin_faults() can be read at any time, spin_wait_*() wait until the
 * counter has grown by @n, and return false after @timeout_ms.
 */
void guest_spin_start(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value);
void l2_spin_start(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value);
struct access_result guest_spin_stop(struct vcpu *vcpu);

/* Ends the thread of a spin, not the spin: the vCPU stays where it is, to be freed. */
void guest_spin_abandon(struct vcpu *vcpu);

static inline uint64_t spin_ok(struct vcpu *vcpu)
{
	return vcpu->page->ok;
}

static inline uint64_t spin_faults(struct vcpu *vcpu)
{
	return vcpu->page->faults;
}

static inline uint64_t spin_last_value(struct vcpu *vcpu)
{
	return (uint64_t)vcpu->page->last_edx << 32 | vcpu->page->last_eax;
}

bool spin_wait_ok(struct vcpu *vcpu, uint64_t n, unsigned int timeout_ms);
bool spin_wait_faults(struct vcpu *vcpu, uint64_t n, unsigned int timeout_ms);

/**
 * struct bench_result - a counted loop of one access
 * @cycles:      ticks of the guest's TSC
 * @host_cycles: ticks of the host's TSC around KVM_RUN
 * @exits:       exits of the vCPU; one is the payload's own "done"
 * @faults:      how many of the accesses faulted
 */
struct bench_result {
	uint64_t cycles;
	uint64_t host_cycles;
	uint64_t exits;
	uint64_t faults;
};

struct bench_result guest_bench(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value,
				uint64_t count);
struct bench_result l2_bench(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value,
			     uint64_t count);

/* Exits this vCPU has made since it was created. */
uint64_t vcpu_exits(struct vcpu *vcpu);

/* The VMM's own access: KVM_GET_MSRS, KVM_SET_MSRS. False: KVM refused. */
bool vcpu_get_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
bool vcpu_set_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value);

/*
 * The VMM's filter: of MSR @msr, reads and writes as told; everything else allowed.
 * vm_clear_filter() removes it.
 */
void vm_filter_one(struct vm *vm, uint32_t msr, bool allow_read, bool allow_write);
void vm_clear_filter(struct vm *vm);

/* KVM_CAP_X86_USER_SPACE_MSR, @reasons of KVM_MSR_EXIT_REASON_*. */
void vm_userspace_msr(struct vm *vm, unsigned int reasons);

uint64_t now_ms(void);

/* Internal to the library. */
extern const uint8_t payload_start[], payload_end[];
struct kvm_cpuid2 *vm_supported_cpuid(struct vm *vm);
void vm_die(struct vcpu *vcpu, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));
void vcpu_run_command(struct vcpu *vcpu);
uint32_t nested_prepare(struct vcpu *vcpu);
uint64_t nested_exit_code(struct vcpu *vcpu);

#endif /* MG_SELFTEST_VM_H */
