// SPDX-License-Identifier: GPL-2.0
/*
 * Modules of a Linux guest, x86-64.
 *
 * A kernel links its modules in a list, and each struct module lies in its module's own memory.
 * Its layout is not known here, but for its head, which has not changed in ten years: a state, the
 * list's node, a name of 56 bytes. What follows is found by a pointer that modules.h has for each
 * part of a module's memory, as key of a search tree (struct mod_tree_node): it points back to the
 * struct itself. In front of it stand, on x86-64:
 *
 *   struct module_layout, up to 6.3      base, size, text size, read-only size,
 *                                        read-only-after-init size
 *   struct module_memory, 6.4 to 6.12    base, size
 *   struct module_memory, 6.13           base, writable copy, is ROX, size
 *   struct module_memory, from 6.14 on   base, is ROX, size
 *
 * A struct module is believed if its neighbours in the list point back to it and it lies in one of
 * the parts of memory that it names.
 */
#include <linux/align.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "internal.h"

/* Without KASLR modules follow 512 MB of kernel image, with it 1 GB. */
#define KERNEL_MAP_FIRST	0xffffffff80000000ULL
#define MODULES_FIRST		0xffffffffa0000000ULL
#define MODULES_END		0xffffffffff000000ULL

#define LIST_MAX		1024
/* How much of a module is searched for its notes: 16 MB. */
#define NOTES_PAGES		4096

#define MODULE_ALIGN		64
#define HEAD_STATE		0
#define HEAD_NEXT		8
#define HEAD_PREV		16
#define HEAD_NAME		24
#define NAME_LEN		56
#define HEAD_LEN		(HEAD_NAME + NAME_LEN)
#define STATE_UNFORMED		3
#define RANGES_MAX		8

/* Places in enum mod_mem_type, from 6.4 on. */
#define MOD_TEXT		0
#define MOD_INIT_TEXT		4

/**
 * struct range - a part of a module's memory
 * @base:    where it begins, 0 if it is not there
 * @size:    its bytes
 * @skip:    bytes at its beginning in which no notes are
 * @at:      offset of what was read here, in struct module
 * @at_size: length of that
 */
struct range {
	u64 base;
	u32 size;
	u32 skip;
	u32 at;
	u32 at_size;
};

/**
 * struct guest_module - what was read of a struct module of the guest
 * @addr:      where it stands
 * @len:       how much of it is in @walk->module
 * @nr_ranges: number of @ranges
 * @ranges:    parts of its memory, as they come
 */
struct guest_module {
	u64 addr;
	u32 len;
	unsigned int nr_ranges;
	struct range ranges[RANGES_MAX];
};

static bool is_name_char(u8 c)
{
	return c > ' ' && c < 0x7f;
}

/* Length of a module's name, 0 if it is none. */
static u32 name_len(const u8 *name)
{
	u32 len = 0;

	while (len < NAME_LEN && is_name_char(name[len]))
		len++;
	return len < NAME_LEN && !name[len] ? len : 0;
}

static bool is_list_pointer(u64 addr)
{
	return addr >= KERNEL_MAP_FIRST && addr < MODULES_END && IS_ALIGNED(addr, 8);
}

/* Whether a struct module may begin here: the part of the head that is in every page whole. */
static bool may_be_head(const u8 *head)
{
	return mg_le64(head + HEAD_STATE) <= STATE_UNFORMED &&
	       is_list_pointer(mg_le64(head + HEAD_NEXT)) &&
	       is_list_pointer(mg_le64(head + HEAD_PREV));
}

static bool is_in(const struct range *range, u64 addr)
{
	return addr >= range->base && addr - range->base < range->size;
}

static bool is_base(u64 addr)
{
	return addr >= MODULES_FIRST && addr < MODULES_END && IS_ALIGNED(addr, MG_GUEST_PAGE);
}

/* Read the words in front of a pointer to the struct itself. False: they are something else. */
static bool parse_range(const u8 *copy, u32 self, unsigned int nth, struct range *range)
{
	u64 word1 = mg_le64(copy + self - 8);
	u64 word2 = mg_le64(copy + self - 16);
	u64 word3 = mg_le64(copy + self - 24);
	u32 low = word1, high = word1 >> 32;

	memset(range, 0, sizeof(*range));
	range->at = self - 24;
	range->at_size = 32;
	if (is_base(word2) || (!word2 && !word1)) {
		/* From 6.4 on. 6.13's writable copy, if it is there, is at the base. */
		range->base = word2;
		range->size = high && low <= 1 ? high : low;
		if (high && low > 1)
			return false;
		/* Text and init have no notes. */
		if (nth == MOD_TEXT || nth >= MOD_INIT_TEXT)
			range->skip = range->size;
	} else if (is_base(word3) && !word2 && low <= 1 && high) {
		/* 6.13, the copy is gone. */
		range->base = word3;
		range->size = high;
		if (nth == MOD_TEXT || nth >= MOD_INIT_TEXT)
			range->skip = range->size;
	} else if (is_base(word3)) {
		u32 text = word2 >> 32;

		range->base = word3;
		range->size = word2;
		range->skip = text;
		if (text > low || low > high || high > range->size)
			return false;
	} else {
		return false;
	}
	if (!range->base)
		return !range->size;
	return range->size && range->size <= MODULES_END - range->base;
}

/* Find the parts of its memory, and itself in one of them. */
static bool parse_module(struct mg_walk *walk, struct guest_module *module)
{
	const u8 *copy = walk->module;
	bool is_inside = false;
	u32 at;

	module->nr_ranges = 0;
	for (at = HEAD_LEN + 24; at + 8 <= module->len && module->nr_ranges < RANGES_MAX; at += 8) {
		struct range *range = &module->ranges[module->nr_ranges];

		if (mg_le64(copy + at) != module->addr ||
		    !parse_range(copy, at, module->nr_ranges, range))
			continue;
		is_inside |= range->base && is_in(range, module->addr);
		module->nr_ranges++;
	}
	return is_inside;
}

static bool read_module(struct mg_walk *walk, u64 addr, struct guest_module *module)
{
	module->addr = addr;
	module->len = mg_walk_read_some(walk, addr, walk->module, MG_MODULE_LEN);
	return module->len >= HEAD_LEN && may_be_head(walk->module) &&
	       name_len(walk->module + HEAD_NAME) && parse_module(walk, module);
}

static bool points_to(struct mg_walk *walk, u64 at, u64 addr)
{
	u8 word[8];

	return !mg_walk_read(walk, at, word, sizeof(word)) && mg_le64(word) == addr;
}

/* A struct module whose neighbours point back to it. */
static bool is_linked(struct mg_walk *walk, const struct guest_module *module)
{
	u64 node = module->addr + HEAD_NEXT;

	return points_to(walk, mg_le64(walk->module + HEAD_NEXT) + 8, node) &&
	       points_to(walk, mg_le64(walk->module + HEAD_PREV), node);
}

static bool find_in_page(struct mg_walk *walk, u64 page, struct guest_module *module)
{
	u32 at;

	if (mg_walk_read(walk, page, walk->page, MG_GUEST_PAGE))
		return false;
	for (at = 0; at < MG_GUEST_PAGE && !walk->is_spent; at += MODULE_ALIGN) {
		if (may_be_head(walk->page + at) && is_name_char(walk->page[at + HEAD_NAME]) &&
		    read_module(walk, page + at, module) && is_linked(walk, module))
			return true;
	}
	return false;
}

/* Any struct module, from the address outwards. Its own is likely behind it, and near. */
static bool find_any(struct mg_walk *walk, struct guest_module *module)
{
	u64 middle = walk->pc & MG_GUEST_PAGE_MASK;
	u64 up = middle, down = middle;
	u32 pages;

	for (pages = 0; pages < MG_MODULE_SEARCH_PAGES && !walk->is_spent; pages += 2) {
		if (up < MODULES_END && find_in_page(walk, up, module))
			return true;
		up += MG_GUEST_PAGE;
		if (down > MODULES_FIRST) {
			down -= MG_GUEST_PAGE;
			if (find_in_page(walk, down, module))
				return true;
		}
	}
	return false;
}

static const struct range *range_of(const struct guest_module *module, u64 addr)
{
	unsigned int i;

	for (i = 0; i < module->nr_ranges; i++) {
		if (is_in(&module->ranges[i], addr))
			return &module->ranges[i];
	}
	return NULL;
}

/* Go round the list. The head of it, in the kernel's data, is no module. */
static bool find_in_list(struct mg_walk *walk, struct guest_module *module)
{
	u64 first = module->addr + HEAD_NEXT;
	u64 node = first;
	unsigned int i;

	for (i = 0; i < LIST_MAX; i++) {
		u8 links[16];
		u64 next;

		if (read_module(walk, node - HEAD_NEXT, module) && range_of(module, walk->pc))
			return true;
		if (walk->is_spent || mg_walk_read(walk, node, links, sizeof(links)))
			return false;
		next = mg_le64(links);
		if (next == first || !is_list_pointer(next) || !points_to(walk, next + 8, node))
			return false;
		node = next;
	}
	return false;
}

static bool is_build_id(const u8 *page, u32 at)
{
	return mg_le32(page + at) == MG_NOTE_NAME_GNU;
}

/* The one build id in a module's memory; false if there are others, or none. */
static bool find_build_id(struct mg_walk *walk, const struct guest_module *module,
			  struct mg_notes *notes)
{
	u32 pages = 0, nr = 0, at;
	unsigned int i;
	u64 page, end;

	for (i = 0; i < module->nr_ranges; i++) {
		const struct range *range = &module->ranges[i];

		if (range->skip >= range->size)
			continue;
		end = range->base + range->size;
		for (page = (range->base + range->skip) & MG_GUEST_PAGE_MASK; page < end;
		     page += MG_GUEST_PAGE) {
			if (pages++ == NOTES_PAGES)
				return false;
			if (mg_walk_read(walk, page, walk->page, MG_GUEST_PAGE))
				continue;
			for (at = 0; at < MG_GUEST_PAGE; at += 4) {
				struct mg_notes one;

				if (!is_build_id(walk->page, at))
					continue;
				mg_notes_parse(walk, page + at - MG_NOTE_HEADER, &one);
				/* Of a run the first counts; the others come by themselves. */
				if (!one.len || mg_le32(walk->notes + 8) != MG_NOTE_BUILD_ID)
					continue;
				if (nr++ || one.nr_build_ids > 1 || !one.build_id_len)
					return false;
				*notes = one;
			}
		}
	}
	return nr == 1;
}

/* Make the answer rest on the name and on the range. False if they are not what they were. */
static bool keep_module(struct mg_walk *walk, const struct guest_module *module,
			const struct range *range, struct mg_found *found)
{
	const u8 *name = mg_walk_keep(walk, module->addr + HEAD_NAME, NAME_LEN);
	const u8 *copy = mg_walk_keep(walk, module->addr + range->at, range->at_size);

	if (!name || !copy || memcmp(name, walk->module + HEAD_NAME, NAME_LEN) ||
	    memcmp(copy, walk->module + range->at, range->at_size)) {
		walk->is_unstable = !walk->is_spent;
		return false;
	}
	mg_walk_identify(found, module->addr + HEAD_NAME, name, NAME_LEN);
	mg_image_set_name(&found->image, name, name_len(name));
	return true;
}

/**
 * mg_find_linux_module - whether the address is in a module of a Linux kernel
 * @walk:  the look-up
 * @found: receives the image
 *
 * The build id is said if there is exactly one in the module's memory.
 */
bool mg_find_linux_module(struct mg_walk *walk, struct mg_found *found)
{
	const struct range *range, *text;
	struct mg_notes notes;
	struct guest_module module;

	if (!walk->is_64bit || walk->pc < MODULES_FIRST || walk->pc >= MODULES_END)
		return false;
	if (!find_any(walk, &module) || !find_in_list(walk, &module))
		return false;
	range = range_of(&module, walk->pc);
	text = module.ranges[MOD_TEXT].base ? &module.ranges[MOD_TEXT] : range;

	mg_walk_forget(walk);
	if (!keep_module(walk, &module, range, found))
		return false;
	if (find_build_id(walk, &module, &notes) && !mg_notes_keep_build_id(walk, &notes, found))
		return false;
	if (walk->is_spent || !mg_walk_holds(walk))
		return false;
	found->image.kind = MG_IMAGE_LINUX_MODULE;
	found->image.base = text->base;
	found->image.size = text->size;
	found->first = range->base;
	found->last = range->base + (range->size - 1);
	return true;
}
