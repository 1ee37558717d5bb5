// SPDX-License-Identifier: GPL-2.0
#include <stddef.h>
#include <string.h>

#include "pe.h"

#define IMAGE_SYMBOLS(name)	extern const uint8_t name##_start[], name##_end[]
IMAGE_SYMBOLS(mg_driver);
IMAGE_SYMBOLS(mg_export);
IMAGE_SYMBOLS(mg_large);

const struct pe_image pe_images[NR_PE_IMAGES] = {
#include "guests/pe_images.h"
};

static uint16_t get16(const uint8_t *p)
{
	return p[0] | p[1] << 8;
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

uint32_t pe_get32(struct vm *vm, uint64_t linear)
{
	return get32(vm_at(vm, linear));
}

void pe_put32(struct vm *vm, uint64_t linear, uint32_t value)
{
	memcpy(vm_at(vm, linear), &value, sizeof(value));
}

uint64_t pe_nt(struct vm *vm, uint64_t base)
{
	return base + pe_get32(vm, base + 0x3c);
}

uint64_t pe_section(struct vm *vm, uint64_t base, unsigned int nth)
{
	uint64_t nt = pe_nt(vm, base);

	return nt + 24 + get16(vm_at(vm, nt + 20)) + 40 * nth;
}

uint64_t pe_directory(struct vm *vm, uint64_t base, unsigned int nth)
{
	return pe_nt(vm, base) + 24 + 112 + 8 * nth;
}

/* @len bytes of the file to @linear, in the pages behind *@gpa. */
static void load(struct vm *vm, uint64_t linear, const uint8_t *from, size_t len, uint64_t *gpa)
{
	for (size_t done = 0; done < len; done += 0x1000) {
		size_t step = len - done < 0x1000 ? len - done : 0x1000;

		if (*gpa + 0x1000 > GUEST_MEM_SIZE)
			vm_die(NULL, "no room for a PE image");
		memcpy(vm->mem + *gpa, from + done, step);
		/* In the identity's large pages it stands already. */
		if (linear >= GUEST_MEM_SIZE)
			vm_map_page(vm, linear + done, *gpa);
		else if (linear + done != *gpa)
			vm_die(NULL, "%lx is not where the image's next page is", linear + done);
		*gpa += 0x1000;
	}
}

void pe_map(struct vm *vm, const struct pe_image *image, uint64_t base)
{
	const uint8_t *file = image->start, *nt = file + get32(file + 0x3c);
	const uint8_t *section = nt + 24 + get16(nt + 20);
	uint64_t gpa = GPA_IMAGE;

	load(vm, base, file, get32(nt + 24 + 60), &gpa);
	for (unsigned int i = get16(nt + 6); i; i--, section += 40) {
		uint32_t size = get32(section + 8), raw = get32(section + 16);

		load(vm, base + get32(section + 12), file + get32(section + 20),
		     size < raw ? size : raw, &gpa);
	}
}
