// SPDX-License-Identifier: GPL-2.0
/* Commands to the payload: one access, a spin, a counted loop. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

#include "vm.h"

/* Bits that no access may bring in or lose, in the halves an MSR's value does not use. */
#define UPPER_RAX	0xa5c3a5c300000000ull
#define UPPER_RDX	0x5a3c5a3c00000000ull
#define RFLAGS_FIXED	0x2ull
#define RFLAGS_STATUS	0x8d5ull	/* CF PF AF ZF SF OF */
#define RFLAGS_TF	0x100ull
#define RFLAGS_RF	0x10000ull

static bool is_write(int op)
{
	return op == OP_WRMSR || op == OP_WRMSR_FEP;
}

static void clear_results(struct vcpu *vcpu)
{
	memset((uint8_t *)vcpu->page + PG_VECTOR, 0, sizeof(*vcpu->page) - PG_VECTOR);
}

static void set_command(struct vcpu *vcpu, unsigned int command, uint32_t msr, uint64_t value,
			bool level2)
{
	volatile struct guest_page *page = vcpu->page;

	if (vcpu->spinning)
		vm_die(vcpu, "a command for a vCPU that spins");
	page->level2 = level2 ? nested_prepare(vcpu) : 0;
	clear_results(vcpu);
	page->command = command;
	page->msr = (uint64_t)vcpu->rcx_upper << 32 | msr;
	page->rax_in = UPPER_RAX | (uint32_t)value;
	page->rdx_in = UPPER_RDX | value >> 32;
	page->rflags_in = RFLAGS_FIXED | RFLAGS_STATUS;
	page->stop = 0;
}

static bool registers_intact(volatile struct guest_page *page, int op)
{
	uint64_t rflags_in = page->rflags_in & ~RFLAGS_TF;

	if (page->rcx_out != page->msr || page->rflags_out != rflags_in)
		return false;
	if (page->vector && (page->fault_rflags & ~(RFLAGS_RF | RFLAGS_TF)) != rflags_in)
		return false;
	if (is_write(op) || page->vector)
		return page->rax_out == page->rax_in && page->rdx_out == page->rdx_in;
	return !(page->rax_out >> 32) && !(page->rdx_out >> 32);
}

/* Runs the command that the page holds, and tells what came of it. */
static struct access_result run_prepared(struct vcpu *vcpu, int op)
{
	volatile struct guest_page *page = vcpu->page;
	struct access_result result = { .nested = page->level2 };
	uint64_t exits;

	exits = vcpu_exits(vcpu);
	vcpu_run_command(vcpu);
	result.exits = vcpu_exits(vcpu) - exits;
	if (result.nested)
		result.l2_exit = nested_exit_code(vcpu);

	result.vector = page->vector;
	result.error = page->error;
	result.insn_rip = vcpu->vm->head[HEAD_AT_INSN + FORM_ONCE + op];
	result.fault_rip = page->fault_rip;
	result.value = page->rdx_out << 32 | (uint32_t)page->rax_out;
	result.regs_intact = registers_intact(page, op);
	result.steps = page->steps;
	result.step_rip = page->step_rip;
	return result;
}

static struct access_result run_once(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value,
				     bool level2, bool step)
{
	set_command(vcpu, FORM_ONCE + op, msr, value, level2);
	if (step)
		vcpu->page->rflags_in |= RFLAGS_TF;
	return run_prepared(vcpu, op);
}

static struct access_result run_code(struct vcpu *vcpu, const void *code, size_t len, uint64_t rax,
				     uint64_t rcx, uint64_t rdx, bool level2)
{
	static const uint8_t ret = 0xc3;

	memcpy(vcpu->vm->mem + GPA_CODE, code, len);
	memcpy(vcpu->vm->mem + GPA_CODE + len, &ret, sizeof(ret));
	set_command(vcpu, OP_CODE, 0, 0, level2);
	vcpu->page->rax_in = rax;
	vcpu->page->msr = rcx;
	vcpu->page->rdx_in = rdx;
	return run_prepared(vcpu, OP_CODE);
}

struct access_result guest_code(struct vcpu *vcpu, const void *code, size_t len, uint64_t rax,
				uint64_t rcx, uint64_t rdx)
{
	return run_code(vcpu, code, len, rax, rcx, rdx, false);
}

struct access_result l2_code(struct vcpu *vcpu, const void *code, size_t len, uint64_t rax,
			     uint64_t rcx, uint64_t rdx)
{
	return run_code(vcpu, code, len, rax, rcx, rdx, true);
}

struct access_result guest_access(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value)
{
	return run_once(vcpu, op, msr, value, false, false);
}

/* The same with RFLAGS.TF set at the instruction. */
struct access_result guest_access_step(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value)
{
	return run_once(vcpu, op, msr, value, false, true);
}

struct access_result l2_access(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value)
{
	return run_once(vcpu, op, msr, value, true, false);
}

static void *spin_thread(void *vcpu)
{
	vcpu_run_command(vcpu);
	return NULL;
}

static void spin_start(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value, bool level2)
{
	unsigned int command = FORM_SPIN + op;
	int error;

	set_command(vcpu, command, msr, value, level2);
	vcpu->spin_insn = vcpu->vm->head[HEAD_AT_INSN + command];
	error = pthread_create(&vcpu->thread, NULL, spin_thread, vcpu);
	if (error)
		vm_die(vcpu, "cannot start a thread: %s", strerror(error));
	vcpu->spinning = true;
}

void guest_spin_start(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value)
{
	spin_start(vcpu, op, msr, value, false);
}

void l2_spin_start(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value)
{
	spin_start(vcpu, op, msr, value, true);
}

/* Ends a spin; the result is that of its last fault, if it had any. */
struct access_result guest_spin_stop(struct vcpu *vcpu)
{
	volatile struct guest_page *page = vcpu->page;
	struct access_result result = {
		.insn_rip = vcpu->spin_insn,
		.nested = page->level2,
		.regs_intact = true,
	};

	if (!vcpu->spinning)
		vm_die(vcpu, "no spin to stop");
	page->stop = 1;
	pthread_join(vcpu->thread, NULL);
	vcpu->spinning = false;
	result.vector = page->vector;
	result.error = page->error;
	result.fault_rip = page->fault_rip;
	result.value = spin_last_value(vcpu);
	if (result.nested)
		result.l2_exit = nested_exit_code(vcpu);
	return result;
}

static void ignore_signal(int signal)
{
	(void)signal;
}

void guest_spin_abandon(struct vcpu *vcpu)
{
	const struct sigaction action = { .sa_handler = ignore_signal };

	if (!vcpu->spinning)
		vm_die(vcpu, "no spin to abandon");
	sigaction(SIGUSR1, &action, NULL);
	vcpu->abandoned = true;
	/* Whether the signal finds the thread in KVM_RUN or just before it. */
	vcpu->run->immediate_exit = 1;
	pthread_kill(vcpu->thread, SIGUSR1);
	pthread_join(vcpu->thread, NULL);
	vcpu->spinning = false;
}

static bool wait_for(const volatile uint64_t *counter, uint64_t n, unsigned int timeout_ms)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	uint64_t start = *counter;
	uint64_t end = now_ms() + timeout_ms;

	while (*counter - start < n) {
		if (now_ms() >= end)
			return false;
		nanosleep(&nap, NULL);
	}
	return true;
}

bool spin_wait_ok(struct vcpu *vcpu, uint64_t n, unsigned int timeout_ms)
{
	return wait_for(&vcpu->page->ok, n, timeout_ms);
}

bool spin_wait_faults(struct vcpu *vcpu, uint64_t n, unsigned int timeout_ms)
{
	return wait_for(&vcpu->page->faults, n, timeout_ms);
}

static struct bench_result bench(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value,
				 uint64_t count, bool level2)
{
	struct bench_result result;
	uint64_t exits, start;

	if (!count)
		vm_die(vcpu, "a loop of 0 rounds");
	set_command(vcpu, FORM_BENCH + op, msr, value, level2);
	vcpu->page->count = count;
	exits = vcpu_exits(vcpu);
	start = __rdtsc();
	vcpu_run_command(vcpu);
	result.host_cycles = __rdtsc() - start;
	result.exits = vcpu_exits(vcpu) - exits;
	result.cycles = vcpu->page->cycles;
	result.faults = vcpu->page->faults;
	return result;
}

struct bench_result guest_bench(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value,
				uint64_t count)
{
	return bench(vcpu, op, msr, value, count, false);
}

struct bench_result l2_bench(struct vcpu *vcpu, int op, uint32_t msr, uint64_t value,
			     uint64_t count)
{
	return bench(vcpu, op, msr, value, count, true);
}
