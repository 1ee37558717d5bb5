/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which bits of an MSR hold an address, a time or a count: what a guest writes there differs from
 * one boot to the next, so that a mask of the bits seen in one boot is too narrow for another.
 */
#ifndef MSRGUARD_VARYING_H
#define MSRGUARD_VARYING_H

#include <stdint.h>

/**
 * struct mg_varying - a field that is one value, not one flag a bit
 * @first: first MSR
 * @last:  last MSR
 * @bits:  the field
 * @what:  what it holds, with an article
 */
struct mg_varying {
	uint32_t first;
	uint32_t last;
	uint64_t bits;
	const char *what;
};

/** mg_varying_find - the field of MSR @index, NULL if all it holds is flags and settings */
const struct mg_varying *mg_varying_find(uint32_t index);

#endif /* MSRGUARD_VARYING_H */
