/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PE images for guests, as a loader would map them, and what objdump says of them.
 */
#ifndef MG_SELFTEST_PE_H
#define MG_SELFTEST_PE_H

#include <stdint.h>

#include "vm.h"

/**
 * struct pe_image - an image, linked by mingw-w64
 * @name:      of its program database; else as @exported
 * @exported:  the export directory's name for it
 * @checksum:  CheckSum
 * @timestamp: Time/Date
 * @size:      SizeOfImage
 * @wrmsr:     distance from its beginning to PE_ACCESSES instructions WRMSR, a page apart
 * @rewrite:   and to mg_rewrite(), see guests/driver.S
 * @start:     the file
 * @end:       its end
 */
struct pe_image {
	const char *name;
	const char *exported;
	uint32_t checksum, timestamp, size;
	uint32_t wrmsr, rewrite;
	const uint8_t *start, *end;
};

#define PE_ACCESSES	16

/* With a program database; without; with sections 16 MB apart. */
enum pe_which { PE_DRIVER, PE_EXPORT, PE_LARGE, NR_PE_IMAGES };
extern const struct pe_image pe_images[NR_PE_IMAGES];

/* Maps one, in a VM that has none yet; no relocation is needed. */
void pe_map(struct vm *vm, const struct pe_image *image, uint64_t base);

/* Where its headers from "PE\0\0" on, a section's header and a data directory are. */
uint64_t pe_nt(struct vm *vm, uint64_t base);
uint64_t pe_section(struct vm *vm, uint64_t base, unsigned int nth);
uint64_t pe_directory(struct vm *vm, uint64_t base, unsigned int nth);
uint32_t pe_get32(struct vm *vm, uint64_t linear);
void pe_put32(struct vm *vm, uint64_t linear, uint32_t value);

#endif /* MG_SELFTEST_PE_H */
