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

extern const struct mg_danger mg_dangers[];
extern const size_t mg_nr_dangers;

/**
 * mg_danger_find - whether an access is on the list
 * @index: the MSR
 * @bits:  bits that are written; 0 for a read
 * @of:    MG_DANGER_OF_*, of the CPU
 */
const struct mg_danger *mg_danger_find(uint32_t index, uint64_t bits, unsigned int of);

#endif /* MSRGUARD_DANGERS_H */
