/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MG_CALLER_H
#define MG_CALLER_H

#include "hooks.h"

enum mg_caller {
	MG_CALLER_KVM,		/* kvm.ko, which emulates what was decided at its entry */
	MG_CALLER_VENDOR,	/* kvm_intel or kvm_amd */
	MG_CALLER_UNKNOWN,
};

/**
 * mg_caller_of_hook - who called the function whose hook runs
 * @call: the call
 *
 * Context: any. Must be called, however deep, from the hook's trampoline.
 */
enum mg_caller mg_caller_of_hook(const struct mg_call *call);

#endif /* MG_CALLER_H */
