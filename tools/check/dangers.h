/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one list of accesses that no guest should be allowed, with reasons: "check" warns of rules
 * that allow them, and "learn" never proposes them.
 */
#ifndef MSRGUARD_DANGERS_H
#define MSRGUARD_DANGERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whose CPUs have it. */
#define MG_DANGER_OF_INTEL	1
#define MG_DANGER_OF_AMD	2
#define MG_DANGER_OF_ALL	(MG_DANGER_OF_INTEL | MG_DANGER_OF_AMD)

/**
 * struct mg_danger - MSRs, and what is dangerous about them
 * @first: first MSR
 * @last:  last MSR
 * @read:  reading it is
 * @bits:  changing these bits is
 * @of:    MG_DANGER_OF_*
 * @why:   what happens, with where it is said
 */
struct mg_danger {
	uint32_t first;
	uint32_t last;
	bool read;
	uint64_t bits;
	uint8_t of;
	const char *why;
};

/**
 * struct mg_refusal - a write that guests make without expecting a fault
 * @index: the MSR
 * @of:    MG_DANGER_OF_*
 * @drop:  how the policy format says that nothing of the write is done; NULL if the bits that are
 *         no danger may change, and the others are kept as they are
 * @bits:  that are to be kept, where the list of dangers has none of this MSR
 * @why:   why these are
 *
 * What should not be done of it is left undone in silence, as in the shipped policies.
 */
struct mg_refusal {
	uint32_t index;
	uint8_t of;
	const char *drop;
	uint64_t bits;
	const char *why;
};

/** mg_refusal_find - how a write of MSR @index is refused; NULL if by a fault */
const struct mg_refusal *mg_refusal_find(uint32_t index, unsigned int of);

extern const struct mg_danger mg_dangers[];
extern const size_t mg_nr_dangers;

/**
 * mg_danger_find - whether an access is on the list
 * @index: the MSR
 * @bits:  bits that are written; 0 for a read
 * @of:    MG_DANGER_OF_*, of the CPU
 */
const struct mg_danger *mg_danger_find(uint32_t index, uint64_t bits, unsigned int of);

/**
 * struct mg_doubt - why an access should not be proposed
 * @bits: of a write, those that are the reason
 * @why:  the reason; NULL if there is none
 */
struct mg_doubt {
	uint64_t bits;
	const char *why;
};

/**
 * mg_danger_doubt - whether an access is on the list, or is one that the names' notes warn of
 * @index: the MSR
 * @write: it is a write
 * @bits:  of a write, those that it changes; none: what is there is written again
 * @of:    MG_DANGER_OF_*, of the CPU
 *
 * Where the list tells bits of an MSR apart, it has the last word on it.
 */
struct mg_doubt mg_danger_doubt(uint32_t index, bool write, uint64_t bits, unsigned int of);

#endif /* MSRGUARD_DANGERS_H */
