// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel of a Linux guest, x86-64.
 *
 * A kernel maps its image from 0xffffffff80000000 on, somewhere, in steps of 2 MB
 * (CONFIG_PHYSICAL_ALIGN is no less), and clears what was mapped below _text and above _brk_end
 * before it runs anything else (arch/x86/kernel/head64.c and cleanup_highmap()). So the lowest
 * multiple of 2 MB from which on all is mapped up to the address is _text. Each section of the
 * image begins at such a multiple; between them pages may be missing.
 *
 * The build id is in .notes, behind the read-only data. Three other kinds of notes can be in
 * that range: those of the vDSOs, which are ELF files, aligned to pages; those of a module, if the
 * kernel has given back the memory of its init sections or between sections and a module has got
 * it; and any file's in the same way. Only a kernel's have Xen's notes among them, if it was
 * built with those. Without them several candidates remain now and then, and nothing is said.
 */
#include <linux/align.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "internal.h"

#define KERNEL_MAP_FIRST	0xffffffff80000000ULL
#define KERNEL_MAP_END		0xffffffffc0000000ULL
#define STEP			0x200000ULL

#define ELF_MAGIC		0x464c457f
#define ELF_CLASS		4
#define ELF64_SHOFF		0x28
#define ELF64_SHENTSIZE		0x3a
#define ELF64_SHNUM		0x3c
#define ELF32_SHOFF		0x20
#define ELF32_SHENTSIZE		0x2e
#define ELF32_SHNUM		0x30
/* A vDSO is not larger. What claims to be is no reason to pass over more. */
#define ELF_PAGES_MAX		16

#define BANNER			"Linux version "	/* init/version-timestamp.c */
#define BANNER_LEN		(sizeof(BANNER) - 1)

/* What was found of one kind of candidates. */
enum how_many { NONE, ONE, SEVERAL };

struct candidates {
	enum how_many how_many;
	struct mg_notes notes;
};

/**
 * struct scan - a search through the mapped image
 * @end:        where it ended
 * @notes_end:  end of the last run of notes
 * @banner_at:  address of the banner, 0 if none was found
 * @xen:        runs of notes with some of Xen's
 * @other:      runs without
 */
struct scan {
	u64 end;
	u64 notes_end;
	u64 banner_at;
	struct candidates xen;
	struct candidates other;
};

static void add_candidate(struct candidates *candidates, const struct mg_notes *notes)
{
	if (candidates->how_many == NONE) {
		candidates->notes = *notes;
		candidates->how_many = ONE;
	} else if (candidates->notes.build_id_len != notes->build_id_len ||
		   memcmp(candidates->notes.build_id, notes->build_id, notes->build_id_len)) {
		candidates->how_many = SEVERAL;
	}
}

static void look_at_notes(struct mg_walk *walk, u64 addr, struct scan *scan)
{
	struct mg_notes notes;

	if (addr < scan->notes_end)
		return;
	mg_notes_parse(walk, addr, &notes);
	if (!notes.len)
		return;
	scan->notes_end = addr + notes.len;
	if (notes.nr_build_ids != 1 || !notes.build_id_len || notes.has_vdso)
		return;
	if (notes.has_xen)
		add_candidate(&scan->xen, &notes);
	else if (notes.has_linux)
		add_candidate(&scan->other, &notes);
}

static void look_at_banner(struct mg_walk *walk, u64 addr, struct scan *scan)
{
	u8 text[BANNER_LEN + 1];

	if (!scan->banner_at && !mg_walk_read(walk, addr, text, sizeof(text)) &&
	    !memcmp(text, BANNER, BANNER_LEN) && text[BANNER_LEN] >= '0' &&
	    text[BANNER_LEN] <= '9')
		scan->banner_at = addr;
}

/* Pages of an ELF file that begins here, by its section headers, which are its end; or 0. */
static unsigned int elf_pages(const u8 *page)
{
	u64 table, end;

	if (mg_le32(page) != ELF_MAGIC)
		return 0;
	if (page[ELF_CLASS] == 1) {
		table = mg_le32(page + ELF32_SHOFF);
		end = table + (u32)mg_le16(page + ELF32_SHNUM) * mg_le16(page + ELF32_SHENTSIZE);
	} else {
		table = mg_le64(page + ELF64_SHOFF);
		end = table + (u32)mg_le16(page + ELF64_SHNUM) * mg_le16(page + ELF64_SHENTSIZE);
	}
	/* Round the end of a u64, or longer than any vDSO: it holds for its first page only. */
	if (end < table || end > ELF_PAGES_MAX * MG_GUEST_PAGE || !end)
		return 1;
	return DIV_ROUND_UP((u32)end, MG_GUEST_PAGE);
}

/* All names of notes, and the banner, begin at multiples of four. */
static void scan_page(struct mg_walk *walk, u64 page, struct scan *scan)
{
	u32 at;

	for (at = 0; at < MG_GUEST_PAGE && !walk->is_spent; at += 4) {
		switch (mg_le32(walk->page + at)) {
		case MG_NOTE_NAME_LINUX:
			look_at_banner(walk, page + at, scan);
			fallthrough;
		case MG_NOTE_NAME_GNU:
		case MG_NOTE_NAME_XEN:
			look_at_notes(walk, page + at - MG_NOTE_HEADER, scan);
			break;
		}
	}
}

/* False if the budget was spent before the end was seen. */
static bool scan_image(struct mg_walk *walk, u64 base, struct scan *scan)
{
	unsigned int elf = 0;
	u64 page;

	for (page = base; page < KERNEL_MAP_END; page += MG_GUEST_PAGE) {
		if (mg_walk_read(walk, page, walk->page, MG_GUEST_PAGE)) {
			if (walk->is_spent)
				return false;
			elf = 0;
			if (IS_ALIGNED(page, STEP))
				break;
			continue;
		}
		if (!elf)
			elf = elf_pages(walk->page);
		if (elf)
			elf--;
		else
			scan_page(walk, page, scan);
	}
	scan->end = page;
	return !walk->is_spent;
}

/* The lowest step from which on all steps up to the address are mapped. */
static bool find_base(struct mg_walk *walk, u64 *base)
{
	u64 step = ALIGN_DOWN(walk->pc, STEP);
	u8 byte;

	if (mg_walk_read(walk, walk->pc, &byte, 1) || mg_walk_read(walk, step, &byte, 1))
		return false;
	while (step > KERNEL_MAP_FIRST && !mg_walk_read(walk, step - STEP, &byte, 1))
		step -= STEP;
	*base = step;
	return !walk->is_spent;
}

/**
 * mg_find_linux_kernel - whether the address is in the image of a Linux kernel
 * @walk:  the look-up
 * @found: receives the image
 *
 * It is one if there is a banner and at least one run of notes. The build id is said if only one
 * comes into question.
 */
bool mg_find_linux_kernel(struct mg_walk *walk, struct mg_found *found)
{
	static const u8 name[] = "vmlinux";
	const struct candidates *candidates;
	struct scan scan = {};
	const u8 *banner;
	u64 base;

	if (!walk->is_64bit || walk->pc < KERNEL_MAP_FIRST || walk->pc >= KERNEL_MAP_END)
		return false;
	if (!find_base(walk, &base) || !scan_image(walk, base, &scan) || !scan.banner_at)
		return false;
	candidates = scan.xen.how_many != NONE ? &scan.xen : &scan.other;
	if (candidates->how_many == NONE)
		return false;

	mg_walk_forget(walk);
	banner = mg_walk_keep(walk, scan.banner_at, BANNER_LEN);
	if (!banner || memcmp(banner, BANNER, BANNER_LEN)) {
		walk->is_unstable = !walk->is_spent;
		return false;
	}
	mg_walk_identify(found, scan.banner_at, banner, BANNER_LEN);
	if (candidates->how_many == ONE && !mg_notes_keep_build_id(walk, &candidates->notes, found))
		return false;
	if (!mg_walk_holds(walk))
		return false;
	found->image.kind = MG_IMAGE_LINUX_KERNEL;
	found->image.base = base;
	mg_image_set_name(&found->image, name, sizeof(name) - 1);
	found->first = base;
	found->last = scan.end - 1;
	return true;
}
