/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel found when it compared the MSR bitmaps that the hardware uses with the policy:
 * from its messages to structures.
 */
#ifndef MSRGUARD_VERIFY_ANSWER_H
#define MSRGUARD_VERIFY_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nlmsghdr;

/* An access that the policy wants to see and that the hardware lets through. */
struct mg_verify_access {
	uint32_t msr;
	uint8_t direction;	/* enum msrguard_direction */
};

/**
 * struct mg_verify_vcpu - what was found about a vCPU
 * @pid:        of the task that created the VM
 * @vcpu:       the vCPU's id
 * @state:      enum msrguard_verify_state, or what a later module may add
 * @nested:     the bitmap is the one a guest of the guest runs with
 * @guarded:    accesses the policy wants to see and the bitmap has a bit for
 * @missing:    how many of them it lets through
 * @generation: of the policy that it was compared with
 * @accesses:   those @missing
 * @nr:         how many of them have come
 */
struct mg_verify_vcpu {
	uint32_t pid;
	uint32_t vcpu;
	uint8_t state;
	bool nested;
	uint32_t guarded;
	uint32_t missing;
	uint64_t generation;
	struct mg_verify_access *accesses;
	size_t nr;
};

/**
 * struct mg_verify_answer - all that was found about a VM
 * @vm:    its id, set before the first message
 * @vcpus: by vCPU; one may come twice, with the bitmap of its nested guest too
 * @nr:    how many
 */
struct mg_verify_answer {
	uint64_t vm;
	struct mg_verify_vcpu *vcpus;
	size_t nr;
};

/** mg_verify_take - add a message of the answer; false if it makes no sense there */
bool mg_verify_take(struct mg_verify_answer *answer, const struct nlmsghdr *message);

/** mg_verify_complete - whether, after the last message, all that was announced has come */
bool mg_verify_complete(const struct mg_verify_answer *answer);

/** mg_verify_free - free what the answer holds, and forget it; @answer->vm stays */
void mg_verify_free(struct mg_verify_answer *answer);

#endif /* MSRGUARD_VERIFY_ANSWER_H */
