/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MG_CALLER_H
#define MG_CALLER_H

enum mg_caller {
	MG_CALLER_KVM,
	MG_CALLER_VENDOR,
	MG_CALLER_UNKNOWN,
};

/**
 * mg_caller_of_hook - who called the function whose hook runs
 * @return_address: what stands on the stack as the function's return address
 *
 * Context: any. Must be called, however deep, from the hook's trampoline.
 */
enum mg_caller mg_caller_of_hook(unsigned long return_address);

#endif /* MG_CALLER_H */
