// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest's access to an MSR costs, in instructions of the host and the guest together.
 *
 * To be run in a host whose TSC counts instructions (scripts/lab/boot --icount); scripts/bench
 * does that and makes a table of it. Prints lines of "case <tab> variant <tab> instructions".
 *
 * Each figure is the slope between a short and a long loop, so that what is done once does not
 * count. Of each loop the cheapest of several runs is taken: the rest have had timer interrupts.
 */
#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/msrguard.h"
#include "lib/probe.h"
#include "lib/vm.h"

#define MSR_MCG_STATUS	0x17a
#define SHORT_LOOP	50
#define LONG_LOOP	350
#define RUNS		20
/* Two PATs that differ in every byte, and whose bytes may be mixed. */
#define PAT_A		0x0606060606060606ull
#define PAT_B		0x0707070707070707ull
#define KERNEL_GS_VALUE	0xffff888000112000ull
#define LSTAR_VALUE	0xffffffff81000000ull

/* An access, as it is where nothing forbids it. */
struct access {
	const char *name;
	int op;
	uint32_t msr;
	uint64_t value;
};

/* KVM passes this one through on both vendors' CPUs. */
static const struct access passed_read = {
	"passed-through read", OP_RDMSR, MSR_KERNEL_GS_BASE, 0
};
static const struct access passed_write = {
	"passed-through write", OP_WRMSR, MSR_KERNEL_GS_BASE, KERNEL_GS_VALUE
};
static const struct access allowed_read = { "intercepted read", OP_RDMSR, MSR_APIC_BASE, 0 };
static const struct access allowed_write = { "intercepted write", OP_WRMSR, MSR_PAT, PAT_A };
/* No rule of ours speaks of this one, so it can be measured under a policy that has some. */
static const struct access unruled_write = {
	"intercepted write, no rule for it", OP_WRMSR, MSR_MCG_STATUS, 0
};
/* What KVM handles with interrupts off on its way back into the guest; on Intel. Hours away. */
static const struct access fast_write = {
	"fast-path write", OP_WRMSR, MSR_TSC_DEADLINE, 1ull << 42
};
static const struct access denied_write = {
	"denied write", OP_WRMSR, MSR_LSTAR, LSTAR_VALUE
};

static struct vm *vm;
static struct vcpu *vcpu;
/* With an APIC, for the fast path, or NULL. */
static struct vm *apic_vm;

static void new_vm(void)
{
	vm = vm_create(1, 0);
	vcpu = &vm->vcpus[0];
	if (!probe_is_intel())
		return;
	apic_vm = vm_create(1, VM_IRQCHIP);
	vcpu_apic_deadline(&apic_vm->vcpus[0]);
}

static void no_vm(void)
{
	vm_free(apic_vm);
	vm_free(vm);
	apic_vm = NULL;
}

static uint64_t cheapest_loop(const struct access *access, const char *variant, uint64_t count,
			      bool must_fault)
{
	uint64_t cheapest = UINT64_MAX;
	int i;

	for (i = 0; i < RUNS; i++) {
		struct bench_result r = guest_bench(vcpu, access->op, access->msr, access->value,
						    count);

		if (r.faults != (must_fault ? count : 0))
			errx(1, "%s, %s: %llu of %llu accesses faulted", access->name, variant,
			     (unsigned long long)r.faults, (unsigned long long)count);
		if (r.cycles < cheapest)
			cheapest = r.cycles;
	}
	return cheapest;
}

static void measure(const struct access *access, const char *variant, bool must_fault)
{
	uint64_t few = cheapest_loop(access, variant, SHORT_LOOP, must_fault);
	uint64_t many = cheapest_loop(access, variant, LONG_LOOP, must_fault);

	printf("%s\t%s\t%.1f\n", access->name, variant,
	       ((double)many - (double)few) / (LONG_LOOP - SHORT_LOOP));
	fflush(stdout);
}

static void measure_fast(const char *variant)
{
	if (!apic_vm)
		return;
	vcpu = &apic_vm->vcpus[0];
	measure(&fast_write, variant, false);
	vcpu = &vm->vcpus[0];
}

static void measure_unguarded(const char *variant)
{
	measure(&passed_read, variant, false);
	measure(&passed_write, variant, false);
	measure(&allowed_read, variant, false);
	measure(&allowed_write, variant, false);
	measure(&unruled_write, variant, false);
	measure_fast(variant);
}

/*
 * @nr rules: the last three are for the accesses measured, the others for MSRs that nobody has,
 * half of them within the windows of the intercept map.
 */
static void load_rules(unsigned int nr)
{
	size_t size = 200 + (size_t)nr * 40;
	char *text = malloc(size);
	size_t len = 0;
	unsigned int i;

	if (!text)
		err(1, "malloc");
	len += snprintf(text, size, "default allow allow\n");
	for (i = 0; i + 3 < nr; i++)
		len += snprintf(text + len, size - len, "0x%x allow deny\n",
				i % 2 && i < 8000 ? 0xc0001fff - i / 2 : 0x20000000 + i * 7);
	snprintf(text + len, size - len,
		 "0x277 allow mask=0xffff,keep quiet\n0xc0000082 allow deny\n0x8b deny deny\n");
	if (mg_load_policy(text))
		errx(1, "policy of %u rules refused: %s", nr, mg_last_error());
	free(text);
}

static void need(int error, const char *what)
{
	if (error)
		errx(1, "%s: %s", what, strerror(-error));
}

static void *read_events(void *listener)
{
	struct mg_event event;

	for (;;)
		mg_next_event(listener, &event, 1000);
	return NULL;
}

static void measure_listened_to(const char *variant)
{
	struct mg_listener *listener = mg_listen();
	pthread_t thread;

	if (!listener)
		err(1, "cannot listen");
	if (pthread_create(&thread, NULL, read_events, listener))
		errx(1, "no thread for the listener");
	measure(&denied_write, variant, true);
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	mg_listener_free(listener);
}

static void measure_traced(const char *variant)
{
	struct mg_trace *trace = mg_trace_open();

	if (!trace || mg_trace_enable(trace, true))
		err(1, "cannot trace");
	measure(&denied_write, variant, true);
	mg_trace_free(trace);
}

static void measure_guarded(unsigned int nr)
{
	char variant[64];

	load_rules(nr);
	snprintf(variant, sizeof(variant), "enforce, %u rules", nr);
	measure(&passed_read, variant, false);
	measure(&passed_write, variant, false);
	measure(&allowed_read, variant, false);
	measure(&unruled_write, variant, false);
	measure_fast(variant);
	measure(&(struct access){ "masked write", OP_WRMSR, MSR_PAT, PAT_B }, variant, false);
	measure(&denied_write, variant, true);
}

static void answer(struct vcpu *asking, struct kvm_run *run, void *context)
{
	(void)asking;
	(void)context;
	run->msr.error = 0;
}

/* KVM's own means, with the module out of the way, in a VM of their own: a filter leaves traces. */
static void measure_kvm(void)
{
	new_vm();
	vm_filter_one(vm, MSR_LSTAR, true, false);
	measure(&allowed_read, "KVM's filter", false);
	measure(&allowed_write, "KVM's filter", false);
	measure(&unruled_write, "KVM's filter", false);
	measure(&denied_write, "KVM's filter", true);
	vm_userspace_msr(vm, KVM_MSR_EXIT_REASON_FILTER);
	vcpu->on_msr_exit = answer;
	measure(&(struct access){ "write decided by the VMM", OP_WRMSR, MSR_LSTAR, LSTAR_VALUE },
		"KVM's exit to userspace", false);
	no_vm();
}

static uint64_t rdtsc(void)
{
	return __builtin_ia32_rdtsc();
}

/*
 * The instrument itself: what the TSC says of a loop of 1000 instructions, without the cost of
 * reading it. Whoever prints the other figures as instructions has to look at this one.
 */
static void check_clock(void)
{
	uint64_t cheapest[2] = { UINT64_MAX, UINT64_MAX };
	int i;

	for (i = 0; i < 2 * RUNS; i++) {
		uint32_t turns = i % 2 ? 1000 : 500;
		uint64_t begin = rdtsc();
		uint64_t ticks;

		asm volatile("1: dec %0\n\tjnz 1b" : "+r"(turns) : : "cc");
		ticks = rdtsc() - begin;
		if (ticks < cheapest[i % 2])
			cheapest[i % 2] = ticks;
	}
	printf("ticks of the TSC\t1000 instructions\t%.1f\n",
	       (double)(cheapest[1] - cheapest[0]));
	fflush(stdout);
}

int main(void)
{
	/* The host's own start-up work would be counted. */
	sleep(3);
	check_clock();
	new_vm();
	measure_unguarded("stock KVM");
	no_vm();
	measure_kvm();
	new_vm();

	need(mg_insmod_as_it_comes("mode=off"), "insmod");
	measure_unguarded("off");
	need(mg_set_mode("audit"), "mode audit");
	measure_unguarded("audit");
	load_rules(10);
	measure(&denied_write, "audit, 10 rules", false);
	need(mg_set_mode("enforce"), "mode enforce");
	measure_guarded(10);
	/* As it comes, accesses that are alike are one event a second. */
	measure_listened_to("enforce, 10 rules, a netlink listener");
	measure_traced("enforce, 10 rules, the tracepoint on");
	need(mg_set_window(0), "window");
	measure_listened_to("the same, each an event, netlink");
	measure_traced("the same, each an event, tracepoint");
	measure_guarded(5000);
	measure_guarded(100000);
	need(mg_rmmod(), "rmmod");
	measure_unguarded("after unload");
	no_vm();
	return 0;
}
