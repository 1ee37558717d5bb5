// SPDX-License-Identifier: GPL-2.0
/*
 * PE images: Windows kernels and drivers, UEFI.
 *
 * Offsets and their meaning: Microsoft's "PE Format". An image is believed only if it is one that
 * a loader would have mapped like that: the sections stand in order, overlap nothing, and end
 * where SizeOfImage says; the address is in one that is executable; the width of its code is that
 * of the code that ran; and on x64 its function table, if it is there, speaks of its own code.
 * The last tells a mapped image from a file that lies in some section of another image.
 */
#include <linux/align.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/string.h>

#include "internal.h"

#define DOS_MAGIC		0x5a4d		/* "MZ" */
#define DOS_LFANEW		0x3c
#define DOS_LEN			0x40

#define PE_MAGIC		0x00004550	/* "PE\0\0" */
#define NT_MACHINE		4
#define NT_NR_SECTIONS		6
#define NT_TIMESTAMP		8
#define NT_OPT_LEN		20
#define NT_OPT			24		/* the optional header */
#define MACHINE_I386		0x14c
#define MACHINE_AMD64		0x8664

#define OPT_MAGIC		(NT_OPT + 0)
#define OPT_SECTION_ALIGNMENT	(NT_OPT + 32)
#define OPT_SIZE_OF_IMAGE	(NT_OPT + 56)
#define OPT_CHECKSUM		(NT_OPT + 64)
#define OPT_MAGIC_PE32		0x10b
#define OPT_MAGIC_PE32_PLUS	0x20b
#define OPT_DIRS_PE32		96		/* from the optional header on */
#define OPT_DIRS_PE32_PLUS	112
#define NR_DIRS			16
#define NT_LEN			(NT_OPT + OPT_DIRS_PE32_PLUS + NR_DIRS * 8)
#define NT_IDENTITY_LEN		(OPT_CHECKSUM + 4)

#define DIR_EXPORT		0
#define DIR_EXCEPTION		3
#define DIR_DEBUG		6

#define SECTION_LEN		40
#define SECTION_VIRTUAL_SIZE	8
#define SECTION_ADDRESS		12
#define SECTION_RAW_SIZE	16
#define SECTION_FLAGS		36
#define SECTION_IS_CODE		0x20000020	/* IMAGE_SCN_CNT_CODE, IMAGE_SCN_MEM_EXECUTE */
#define SECTIONS_MAX		96		/* as Windows' loader has it */

#define EXPORT_LEN		40
#define EXPORT_NAME		12
#define EXPORT_NAME_MAX		256

#define DEBUG_LEN		28
#define DEBUG_TYPE		12
#define DEBUG_DATA_SIZE		16
#define DEBUG_DATA		20
#define DEBUG_TYPE_CODEVIEW	2
#define DEBUG_ENTRIES_MAX	16

#define CODEVIEW_RSDS		0x53445352	/* PDB 7.0: GUID and age follow */
#define CODEVIEW_RSDS_PATH	24
#define CODEVIEW_NB10		0x3031424e	/* PDB 2.0: offset, time and age follow */
#define CODEVIEW_NB10_PATH	16
#define CODEVIEW_PATH_MAX	1024

/**
 * struct pe - an image whose headers fit each other
 * @base:        where it begins
 * @size:        SizeOfImage
 * @nt:          the copy of its headers from "PE\0\0" on
 * @nt_addr:     where that stands
 * @dirs:        data directories, offset in @nt
 * @nr_dirs:     their number
 * @sections:    the copy of the section table
 * @nr_sections: number of sections
 */
struct pe {
	u64 base;
	u32 size;
	const u8 *nt;
	u64 nt_addr;
	u32 dirs;
	u32 nr_dirs;
	const u8 *sections;
	u32 nr_sections;
};

/* Bytes of a section in memory. */
static u32 section_size(const u8 *section)
{
	return mg_le32(section + SECTION_VIRTUAL_SIZE) ?: mg_le32(section + SECTION_RAW_SIZE);
}

/* The section with code that holds an address of the image. */
static const u8 *code_section(const struct pe *pe, u32 rva)
{
	u32 i;

	for (i = 0; i < pe->nr_sections; i++) {
		const u8 *section = pe->sections + i * SECTION_LEN;
		u32 start = mg_le32(section + SECTION_ADDRESS);

		if (rva >= start && rva - start < section_size(section))
			return mg_le32(section + SECTION_FLAGS) & SECTION_IS_CODE ? section : NULL;
	}
	return NULL;
}

/* The sections, in order, apart from each other and from the headers, up to the image's end. */
static bool sections_fit(const struct pe *pe, u64 headers_end)
{
	u32 alignment = mg_le32(pe->nt + OPT_SECTION_ALIGNMENT);
	u64 end = headers_end;
	u32 i;

	if (!is_power_of_2(alignment))
		return false;
	for (i = 0; i < pe->nr_sections; i++) {
		const u8 *section = pe->sections + i * SECTION_LEN;
		u32 start = mg_le32(section + SECTION_ADDRESS);

		if (start < end || !IS_ALIGNED(start, alignment))
			return false;
		end = (u64)start + section_size(section);
	}
	/* Images of small alignment may be rounded up to pages. */
	return pe->size >= end && pe->size <= ALIGN(end, (u64)max(alignment, MG_GUEST_PAGE));
}

/* A data directory, if it lies in the image. */
static bool directory(const struct pe *pe, u32 which, u32 min_size, u32 *rva, u32 *size)
{
	const u8 *dir = pe->nt + pe->dirs + which * 8;

	if (which >= pe->nr_dirs)
		return false;
	*rva = mg_le32(dir);
	*size = mg_le32(dir + 4);
	return *rva && *size >= min_size && *rva < pe->size && *size <= pe->size - *rva;
}

/* Whether the function table on x64 begins with a function of this image, if it is there. */
static bool function_table_fits(struct mg_walk *walk, const struct pe *pe)
{
	u32 rva, size, begin, end;
	u8 entry[8];

	if (!walk->is_64bit || !directory(pe, DIR_EXCEPTION, 12, &rva, &size) ||
	    mg_walk_read(walk, pe->base + rva, entry, sizeof(entry)))
		return !walk->is_spent;
	begin = mg_le32(entry);
	end = mg_le32(entry + 4);
	if (!begin && !end)
		return true;
	return begin < end && end <= pe->size && code_section(pe, begin);
}

/* Read the headers of what begins with "MZ", and take all from the copy. */
static bool read_headers(struct mg_walk *walk, u64 base, struct pe *pe)
{
	u32 lfanew, opt_len, dirs_at, table_at;
	const u8 *dos, *nt;

	mg_walk_forget(walk);
	dos = mg_walk_keep(walk, base, DOS_LEN);
	if (!dos || mg_le16(dos) != DOS_MAGIC)
		return false;
	lfanew = mg_le32(dos + DOS_LFANEW);
	if (base + lfanew < base)
		return false;
	nt = mg_walk_keep(walk, base + lfanew, NT_LEN);
	if (!nt || mg_le32(nt) != PE_MAGIC)
		return false;

	pe->base = base;
	pe->nt = nt;
	pe->nt_addr = base + lfanew;
	pe->size = mg_le32(nt + OPT_SIZE_OF_IMAGE);
	/* Is the address in it at all? */
	if (walk->pc - base >= pe->size || base + (pe->size - 1) < base)
		return false;

	if (walk->is_64bit) {
		if (mg_le16(nt + OPT_MAGIC) != OPT_MAGIC_PE32_PLUS ||
		    mg_le16(nt + NT_MACHINE) != MACHINE_AMD64)
			return false;
		dirs_at = OPT_DIRS_PE32_PLUS;
	} else {
		if (mg_le16(nt + OPT_MAGIC) != OPT_MAGIC_PE32 ||
		    mg_le16(nt + NT_MACHINE) != MACHINE_I386)
			return false;
		dirs_at = OPT_DIRS_PE32;
	}
	opt_len = mg_le16(nt + NT_OPT_LEN);
	if (opt_len < dirs_at)
		return false;
	pe->dirs = NT_OPT + dirs_at;
	/* Their number stands before them. */
	pe->nr_dirs = min3(mg_le32(nt + pe->dirs - 4), (opt_len - dirs_at) / 8, (u32)NR_DIRS);

	pe->nr_sections = mg_le16(nt + NT_NR_SECTIONS);
	if (!pe->nr_sections || pe->nr_sections > SECTIONS_MAX)
		return false;
	table_at = NT_OPT + opt_len;
	pe->sections = mg_walk_keep(walk, pe->nt_addr + table_at, pe->nr_sections * SECTION_LEN);
	return pe->sections &&
	       sections_fit(pe, (u64)lfanew + table_at + pe->nr_sections * SECTION_LEN);
}

/* The last component of a path of either kind. */
static void set_file_name(struct mg_image *image, const u8 *path, u32 len)
{
	u32 start = len;

	while (start && path[start - 1] != '\\' && path[start - 1] != '/')
		start--;
	mg_image_set_name(image, path + start, len - start);
}

/* The path of the program database, from one entry of the debug directory. */
static bool name_from_codeview(struct mg_walk *walk, const struct pe *pe, const u8 *entry,
			       struct mg_image *image)
{
	u32 size = mg_le32(entry + DEBUG_DATA_SIZE);
	u32 rva = mg_le32(entry + DEBUG_DATA);
	const u8 *record, *path;
	u32 path_at, len;

	if (!rva || rva >= pe->size || size > pe->size - rva || size <= CODEVIEW_NB10_PATH)
		return false;
	record = mg_walk_keep(walk, pe->base + rva, 4);
	if (!record)
		return false;
	if (mg_le32(record) == CODEVIEW_RSDS)
		path_at = CODEVIEW_RSDS_PATH;
	else if (mg_le32(record) == CODEVIEW_NB10)
		path_at = CODEVIEW_NB10_PATH;
	else
		return false;
	if (size <= path_at)
		return false;
	path = mg_walk_keep_string(walk, pe->base + rva + path_at,
				   min_t(u32, size - path_at, CODEVIEW_PATH_MAX), &len);
	if (!path)
		return false;
	set_file_name(image, path, len);
	return image->name[0];
}

static bool name_from_debug(struct mg_walk *walk, const struct pe *pe, struct mg_image *image)
{
	u32 rva, size, i;
	const u8 *entry;

	if (!directory(pe, DIR_DEBUG, DEBUG_LEN, &rva, &size))
		return false;
	for (i = 0; i < min_t(u32, size / DEBUG_LEN, DEBUG_ENTRIES_MAX); i++) {
		entry = mg_walk_keep(walk, pe->base + rva + i * DEBUG_LEN, DEBUG_LEN);
		if (!entry)
			return false;
		if (mg_le32(entry + DEBUG_TYPE) == DEBUG_TYPE_CODEVIEW)
			return name_from_codeview(walk, pe, entry, image);
	}
	return false;
}

static void name_from_exports(struct mg_walk *walk, const struct pe *pe, struct mg_image *image)
{
	const u8 *table, *name;
	u32 rva, size, len;

	if (!directory(pe, DIR_EXPORT, EXPORT_LEN, &rva, &size))
		return;
	table = mg_walk_keep(walk, pe->base + rva, EXPORT_LEN);
	if (!table)
		return;
	rva = mg_le32(table + EXPORT_NAME);
	if (!rva || rva >= pe->size)
		return;
	name = mg_walk_keep_string(walk, pe->base + rva,
				   min_t(u32, pe->size - rva, EXPORT_NAME_MAX), &len);
	if (name)
		set_file_name(image, name, len);
}

static bool find_at(struct mg_walk *walk, u64 base, struct mg_found *found)
{
	struct mg_image *image = &found->image;
	const u8 *section;
	struct pe pe;

	if (!read_headers(walk, base, &pe) || !function_table_fits(walk, &pe))
		return false;
	section = code_section(&pe, walk->pc - base);
	if (!section)
		return false;

	image->base = base;
	image->size = pe.size;
	image->checksum = mg_le32(pe.nt + OPT_CHECKSUM);
	image->timestamp = mg_le32(pe.nt + NT_TIMESTAMP);
	if (!name_from_debug(walk, &pe, image))
		name_from_exports(walk, &pe, image);
	if (!mg_walk_holds(walk))
		return false;

	/* Other sections may hold no code, so what was found holds for this one. */
	image->kind = MG_IMAGE_PE;
	found->first = base + mg_le32(section + SECTION_ADDRESS);
	found->last = found->first + (section_size(section) - 1);
	mg_walk_identify(found, pe.nt_addr, pe.nt, NT_IDENTITY_LEN);
	return true;
}

/**
 * mg_find_pe - look for a header by pages, from the address back
 * @walk:  the look-up
 * @found: receives the image
 *
 * A page that cannot be read, or begins with "MZ" and is no header of an image that holds the
 * address, is passed over.
 */
bool mg_find_pe(struct mg_walk *walk, struct mg_found *found)
{
	u64 base = walk->pc & MG_GUEST_PAGE_MASK;
	u32 pages;
	u8 magic[2];

	for (pages = 0; pages < MG_PE_WALK_PAGES; pages++, base -= MG_GUEST_PAGE) {
		if (!mg_walk_read(walk, base, magic, sizeof(magic)) &&
		    mg_le16(magic) == DOS_MAGIC && find_at(walk, base, found))
			return true;
		if (walk->is_spent || walk->is_unstable || !base)
			return false;
	}
	return false;
}
