/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the image parser share and nobody else needs.
 */
#ifndef MG_IMAGE_INTERNAL_H
#define MG_IMAGE_INTERNAL_H

#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/types.h>

#include "image.h"

/* The guest's smallest page, whatever the host's is. */
#define MG_GUEST_PAGE		4096U
#define MG_GUEST_PAGE_MASK	(~(u64)(MG_GUEST_PAGE - 1))

/* What an answer rests on: pieces of guest memory, and how often they are read again. */
#define MG_PIECES		32
#define MG_EVIDENCE_LEN		8192
#define MG_SETTLE_READS		8

/* What a cached answer is held against each time it is used. */
#define MG_IDENTITIES		2
#define MG_IDENTITY_LEN		96

/*
 * How far behind its header an address is looked for, and how far from it a struct module, both
 * ways taken together: 64 MB. A fuzzer, which has small images, makes it less.
 */
#ifndef MG_PE_WALK_PAGES
#define MG_PE_WALK_PAGES	16384
#endif
#ifndef MG_MODULE_SEARCH_PAGES
#define MG_MODULE_SEARCH_PAGES	16384
#endif

/*
 * So many more reads of the page touched last count as another page: each is a walk through the
 * guest's page tables, and what a guest puts there decides how many there are.
 */
#define MG_READS_A_PAGE		16

/* The longest run of notes that is looked at, and of struct module. */
#define MG_NOTES_LEN		2048
#define MG_MODULE_LEN		2048

/* The look-up, or the VM, has used up what it may touch. Never leaves the parser. */
#define MG_SPENT		(-EDQUOT)

/**
 * struct mg_identity - bytes that stay as they are while an image stands where it stands
 * @addr:  where they are
 * @len:   how many
 * @bytes: what they were
 */
struct mg_identity {
	u64 addr;
	u32 len;
	u8 bytes[MG_IDENTITY_LEN];
};

/**
 * struct mg_found - an image, and what the cache needs to know of it
 * @image:       the image
 * @first:       first address the answer holds for
 * @last:        last address it holds for
 * @nr_identity: number of @identity, at least 1
 * @identity:    see there
 */
struct mg_found {
	struct mg_image image;
	u64 first;
	u64 last;
	unsigned int nr_identity;
	struct mg_identity identity[MG_IDENTITIES];
};

/**
 * struct mg_walk - one look-up under way
 * @mem:          reads the guest's memory
 * @pc:           the address in question
 * @is_64bit:     it was executed as 64-bit code
 * @is_spent:     a read was refused for want of budget, or because the task is being killed: no
 *                answer then
 * @is_unstable:  memory changed while it was read: no answer then
 * @pages_left:   pages that may still be touched
 * @pages:        pages touched
 * @last_page:    the one touched last
 * @again:        reads of it since one was counted, see MG_READS_A_PAGE
 * @nr_pieces:    number of @pieces
 * @pieces:       what the answer rests on: place, length and offset in @evidence
 * @evidence_len: bytes in use of @evidence
 * @evidence:     the one copy from which all values are taken
 * @page:         a page of the guest that is searched
 * @notes:        a run of ELF notes
 * @module:       a struct module, or what may be one
 */
struct mg_walk {
	const struct mg_image_memory *mem;
	u64 pc;
	bool is_64bit;
	bool is_spent;
	bool is_unstable;
	u32 pages_left;
	u32 pages;
	u64 last_page;
	unsigned int again;
	unsigned int nr_pieces;
	struct {
		u64 addr;
		u32 len;
		u32 at;
	} pieces[MG_PIECES];
	u32 evidence_len;
	u8 evidence[MG_EVIDENCE_LEN];
	u8 page[MG_GUEST_PAGE] __aligned(8);
	u8 notes[MG_NOTES_LEN] __aligned(8);
	u8 module[MG_MODULE_LEN] __aligned(8);
};

/* The guest is x86, the host of a test may not be. */
static inline u16 mg_le16(const u8 *p)
{
	return p[0] | (u16)(p[1] << 8);
}

static inline u32 mg_le32(const u8 *p)
{
	return mg_le16(p) | (u32)mg_le16(p + 2) << 16;
}

static inline u64 mg_le64(const u8 *p)
{
	return mg_le32(p) | (u64)mg_le32(p + 4) << 32;
}

/* walk.c */
void mg_walk_begin(struct mg_walk *walk, const struct mg_image_memory *mem, u64 pc, bool is_64bit,
		   u32 pages);
int mg_walk_read(struct mg_walk *walk, u64 addr, void *buf, u32 len);
u32 mg_walk_read_some(struct mg_walk *walk, u64 addr, void *buf, u32 len);
void mg_walk_forget(struct mg_walk *walk);
const u8 *mg_walk_keep(struct mg_walk *walk, u64 addr, u32 len);
const u8 *mg_walk_keep_string(struct mg_walk *walk, u64 addr, u32 max, u32 *len);
bool mg_walk_holds(struct mg_walk *walk);
void mg_walk_identify(struct mg_found *found, u64 addr, const u8 *bytes, u32 len);
void mg_image_set_name(struct mg_image *image, const u8 *name, u32 len);

/* pe.c, kernel.c, module.c: whether the image at the look-up's address is one of theirs */
bool mg_find_pe(struct mg_walk *walk, struct mg_found *found);
bool mg_find_linux_kernel(struct mg_walk *walk, struct mg_found *found);
bool mg_find_linux_module(struct mg_walk *walk, struct mg_found *found);

/* notes.c */

/* Name, type and size of an ELF note, and the GNU build id's type; see elf(5). */
#define MG_NOTE_HEADER		12
#define MG_NOTE_BUILD_ID	3
#define MG_NOTE_NAME_GNU	0x00554e47	/* "GNU\0" in a little-endian word */
#define MG_NOTE_NAME_XEN	0x006e6558	/* "Xen\0" */
#define MG_NOTE_NAME_LINUX	0x756e694c	/* "Linu" */

/**
 * struct mg_notes - a run of notes, one behind the other
 * @addr:         of the first
 * @len:          bytes of them all, 0 if there is none
 * @has_xen:      one is of Xen's: only a vmlinux has such
 * @has_linux:    one is a Linux kernel's or module's (build salt, LTO)
 * @has_vdso:     one gives the kernel's version: a vDSO
 * @nr_build_ids: how many are build ids
 * @build_id_at:  address of the last build id's note
 * @build_id_len: its bytes
 * @build_id:     itself
 */
struct mg_notes {
	u64 addr;
	u32 len;
	bool has_xen;
	bool has_linux;
	bool has_vdso;
	unsigned int nr_build_ids;
	u64 build_id_at;
	u8 build_id_len;
	u8 build_id[MG_BUILD_ID_MAX];
};

void mg_notes_parse(struct mg_walk *walk, u64 addr, struct mg_notes *notes);
bool mg_notes_keep_build_id(struct mg_walk *walk, const struct mg_notes *notes,
			    struct mg_found *found);

/* image.c, for tests that have a time of their own, in nanoseconds */
void mg_image_find_at(struct mg_image_cache *cache, const struct mg_image_memory *mem, u64 pc,
		      bool is_64bit, u64 now, struct mg_image *image);

#endif /* MG_IMAGE_INTERNAL_H */
