// SPDX-License-Identifier: GPL-2.0
/*
 * Numbers of C that the trampolines need; compiled to assembly, never linked.
 */
#define COMPILE_OFFSETS

#include <linux/kbuild.h>
#include <linux/kvm_host.h>

#include "hooks.h"
#include "../policy/policy.h"

static void __used common(void)
{
	DEFINE(MG_VCPU_RCX, offsetof(struct kvm_vcpu, arch.regs) +
			    VCPU_REGS_RCX * sizeof(unsigned long));
	OFFSET(MG_MAP_READ, mg_intercept_map, bits[MG_READ]);
	OFFSET(MG_MAP_WRITE, mg_intercept_map, bits[MG_WRITE]);
	OFFSET(MG_MAP_OUTSIDE_READ, mg_intercept_map, outside[MG_READ]);
	OFFSET(MG_MAP_OUTSIDE_WRITE, mg_intercept_map, outside[MG_WRITE]);
	DEFINE(MG_ASM_WINDOW_MSRS, MG_WINDOW_MSRS);
	DEFINE(MG_ASM_WINDOW_HIGH, MG_WINDOW_HIGH);
	DEFINE(MG_ASM_WINDOW_AMD, MG_WINDOW_AMD);
	DEFINE(MG_ASM_WINDOW_HYPERV, MG_WINDOW_HYPERV);
	DEFINE(MG_ASM_WINDOW_KVM, MG_WINDOW_KVM);
	DEFINE(MG_ASM_CALL_ON, MG_CALL_ON);
	DEFINE(MG_ASM_HOOK_EXIT_READ, MG_HOOK_EXIT_READ * sizeof(u64));
	DEFINE(MG_ASM_HOOK_EXIT_WRITE, MG_HOOK_EXIT_WRITE * sizeof(u64));
	DEFINE(MG_ASM_HOOK_EMULATOR_READ, MG_HOOK_EMULATOR_READ * sizeof(u64));
	DEFINE(MG_ASM_HOOK_EMULATOR_WRITE, MG_HOOK_EMULATOR_WRITE * sizeof(u64));
	DEFINE(MG_ASM_HOOK_NESTED_READ, MG_HOOK_NESTED_READ * sizeof(u64));
	DEFINE(MG_ASM_HOOK_NESTED_WRITE, MG_HOOK_NESTED_WRITE * sizeof(u64));
	DEFINE(MG_ASM_HOOK_FASTPATH, MG_HOOK_FASTPATH * sizeof(u64));
	DEFINE(MG_ASM_HOOK_EXIT_READ_IMM, MG_HOOK_EXIT_READ_IMM * sizeof(u64));
	DEFINE(MG_ASM_HOOK_EXIT_WRITE_IMM, MG_HOOK_EXIT_WRITE_IMM * sizeof(u64));
	DEFINE(MG_ASM_HOOK_FASTPATH_IMM, MG_HOOK_FASTPATH_IMM * sizeof(u64));
	DEFINE(MG_ASM_HOOK_BITMAP, MG_HOOK_BITMAP * sizeof(u64));
}
