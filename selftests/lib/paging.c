// SPDX-License-Identifier: GPL-2.0
/* More of the guest's linear addresses than the identity that vm.c maps. */
#include <stdio.h>
#include <string.h>

#include "vm.h"

#define PTE_PRESENT	(1ull << 0)
#define PTE_WRITE	(1ull << 1)
#define PTE_LARGE	(1ull << 7)
#define PTE_ADDR	0x000ffffffffff000ull
#define LEVELS		4

static uint64_t *entry_in(struct vm *vm, uint64_t table, uint64_t linear, unsigned int level)
{
	return (uint64_t *)(vm->mem + table) + (linear >> (12 + 9 * level) & 511);
}

/* The last level's entry of a page, or NULL; with @make the tables on the way are made. */
static uint64_t *find_entry(struct vm *vm, uint64_t linear, bool make)
{
	uint64_t table = GPA_PML4;

	for (unsigned int level = LEVELS - 1; level; level--) {
		uint64_t *entry = entry_in(vm, table, linear, level);

		if (*entry & PTE_LARGE)
			vm_die(NULL, "%lx is in a large page", linear);
		if (!(*entry & PTE_PRESENT)) {
			if (!make)
				return NULL;
			if (vm->nr_tables == NR_GPA_TABLES)
				vm_die(NULL, "no room for more page tables");
			*entry = (GPA_TABLES + vm->nr_tables++ * 0x1000ull) | PTE_PRESENT |
				 PTE_WRITE;
		}
		table = *entry & PTE_ADDR;
	}
	return entry_in(vm, table, linear, 0);
}

void vm_map_page(struct vm *vm, uint64_t linear, uint64_t gpa)
{
	*find_entry(vm, linear, true) = gpa | PTE_PRESENT | PTE_WRITE;
}

void vm_unmap_page(struct vm *vm, uint64_t linear)
{
	uint64_t *entry = find_entry(vm, linear, false);

	if (!entry || !(*entry & PTE_PRESENT))
		vm_die(NULL, "%lx is not mapped", linear);
	*entry = 0;
}

uint8_t *vm_at(struct vm *vm, uint64_t linear)
{
	uint64_t *entry;

	if (linear < GUEST_MEM_SIZE)
		return vm->mem + linear;
	entry = find_entry(vm, linear, false);
	if (!entry || !(*entry & PTE_PRESENT))
		vm_die(NULL, "%lx is not mapped", linear);
	return vm->mem + (*entry & PTE_ADDR) + (linear & 0xfff);
}
