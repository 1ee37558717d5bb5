/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MG_VERIFY_H
#define MG_VERIFY_H

#include "../report/report.h"

/**
 * mg_verify_vm - does the hardware intercept what the policy guards, on each vCPU of a VM?
 * @vm_id: the VM's id
 *
 * Each vCPU's own thread reads the bitmap that the hardware uses for it at that moment, as it is:
 * nothing is computed anew for the check. A vCPU that is outside of KVM_RUN, or halted, or gets no
 * CPU for seconds, is reported as not running.
 *
 * Context: may sleep, some seconds at most; policy and mode cannot be changed meanwhile.
 * Return: the result, to be freed by kvfree(); -ENOENT, -ENOMEM.
 */
struct mg_verification *mg_verify_vm(u64 vm_id);

/** mg_verify_exit - wait until no thread is in this file; after the last mg_verify_vm() */
void mg_verify_exit(void);

#endif /* MG_VERIFY_H */
