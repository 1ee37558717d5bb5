/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory of a guest that the tests make up, and images in it.
 */
#ifndef MG_IMAGE_TEST_H
#define MG_IMAGE_TEST_H

#include <kunit/test.h>
#include <linux/prandom.h>

#include "internal.h"

#define FAKE_PAGES	128

/**
 * struct fake - the memory of a guest
 * @test:      the test
 * @mem:       what the parser gets
 * @nr:        number of @pages
 * @pages:     what is mapped
 * @reads:     how often it was read
 * @is_broken: a read crossed a page, or had no length or too much
 * @hook:      called before each read and in the middle of it, with @hook_data
 */
struct fake {
	struct kunit *test;
	struct mg_image_memory mem;
	unsigned int nr;
	struct {
		u64 addr;
		u8 *data;
	} pages[FAKE_PAGES];
	unsigned int reads;
	bool is_broken;
	void (*hook)(struct fake *fake, void *data);
	void *hook_data;
};

struct fake *fake_new(struct kunit *test);
u8 *fake_page(struct fake *fake, u64 addr);
u8 *fake_map(struct fake *fake, u64 addr);
void fake_unmap(struct fake *fake, u64 addr);
void fake_write(struct fake *fake, u64 addr, const void *data, u32 len);
void fake_read(struct fake *fake, u64 addr, void *data, u32 len);
void fake_put16(struct fake *fake, u64 addr, u16 value);
void fake_put32(struct fake *fake, u64 addr, u32 value);
void fake_put64(struct fake *fake, u64 addr, u64 value);

/* One look-up with a new cache. */
void fake_find(struct fake *fake, u64 pc, bool is_64bit, struct mg_image *image);
bool fake_is_unknown(struct fake *fake, u64 pc, bool is_64bit);

/**
 * struct fake_pe - a PE image as a linker would make it
 *
 * Sections: .text from 0x1000 on, .rdata and .data behind it, each rounded up to pages.
 */
struct fake_pe {
	u64 base;
	u32 lfanew;
	bool is_64bit;
	u32 timestamp;
	u32 checksum;
	u32 text_size;
	const char *pdb;
	const char *export_name;
};

/* Where it puts things. */
#define FAKE_TEXT	0x1000u
#define FAKE_OPT(pe)	((pe)->base + (pe)->lfanew + 24)
#define FAKE_DIRS(pe)	(FAKE_OPT(pe) + ((pe)->is_64bit ? 112 : 96))
#define FAKE_SECTIONS(pe)	(FAKE_DIRS(pe) + 128)

u32 fake_rdata(const struct fake_pe *pe);
u32 fake_size(const struct fake_pe *pe);
void fake_put_pe(struct fake *fake, const struct fake_pe *pe);
void fake_expect_pe(struct fake *fake, const struct fake_pe *pe, u32 rva, const char *name);

/* ELF notes; each returns the address behind it. */
u64 fake_put_note(struct fake *fake, u64 addr, const char *name, u32 type, const void *desc,
		  u32 len);
u64 fake_put_build_id(struct fake *fake, u64 addr, const u8 id[20]);

#endif /* MG_IMAGE_TEST_H */
