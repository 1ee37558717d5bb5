// SPDX-License-Identifier: GPL-2.0
#include <linux/align.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "image_test.h"

u8 *fake_page(struct fake *fake, u64 addr)
{
	unsigned int i;

	for (i = 0; i < fake->nr; i++) {
		if (fake->pages[i].addr == (addr & MG_GUEST_PAGE_MASK))
			return fake->pages[i].data;
	}
	return NULL;
}

u8 *fake_map(struct fake *fake, u64 addr)
{
	u8 *page = fake_page(fake, addr);

	if (page)
		return page;
	page = kunit_kzalloc(fake->test, MG_GUEST_PAGE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(fake->test, page);
	KUNIT_ASSERT_LT(fake->test, fake->nr, FAKE_PAGES);
	fake->pages[fake->nr].addr = addr & MG_GUEST_PAGE_MASK;
	fake->pages[fake->nr++].data = page;
	return page;
}

void fake_unmap(struct fake *fake, u64 addr)
{
	unsigned int i;

	for (i = 0; i < fake->nr; i++) {
		if (fake->pages[i].addr == (addr & MG_GUEST_PAGE_MASK)) {
			fake->pages[i] = fake->pages[--fake->nr];
			return;
		}
	}
	KUNIT_FAIL(fake->test, "nothing to unmap at %llx", addr);
}

static int read_fake(void *ctx, u64 addr, void *buf, unsigned int len)
{
	struct fake *fake = ctx;
	u32 offset = addr & (MG_GUEST_PAGE - 1);
	u32 half = fake->hook ? len / 2 : len;
	u8 *page;

	fake->reads++;
	if (!len || offset + len > MG_GUEST_PAGE) {
		fake->is_broken = true;
		return -EFAULT;
	}
	if (fake->hook)
		fake->hook(fake, fake->hook_data);
	page = fake_page(fake, addr);
	if (!page)
		return -EFAULT;
	memcpy(buf, page + offset, half);
	if (half < len) {
		fake->hook(fake, fake->hook_data);
		page = fake_page(fake, addr);
		if (!page)
			return -EFAULT;
		memcpy((u8 *)buf + half, page + offset + half, len - half);
	}
	return 0;
}

struct fake *fake_new(struct kunit *test)
{
	struct fake *fake = kunit_kzalloc(test, sizeof(*fake), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, fake);
	fake->test = test;
	fake->mem.read = read_fake;
	fake->mem.ctx = fake;
	return fake;
}

void fake_write(struct fake *fake, u64 addr, const void *data, u32 len)
{
	u32 i;

	for (i = 0; i < len; i++)
		fake_map(fake, addr + i)[(addr + i) & (MG_GUEST_PAGE - 1)] = ((const u8 *)data)[i];
}

void fake_read(struct fake *fake, u64 addr, void *data, u32 len)
{
	u32 i;

	for (i = 0; i < len; i++)
		((u8 *)data)[i] = fake_map(fake, addr + i)[(addr + i) & (MG_GUEST_PAGE - 1)];
}

void fake_put16(struct fake *fake, u64 addr, u16 value)
{
	const u8 bytes[] = { value, value >> 8 };

	fake_write(fake, addr, bytes, sizeof(bytes));
}

void fake_put32(struct fake *fake, u64 addr, u32 value)
{
	fake_put16(fake, addr, value);
	fake_put16(fake, addr + 2, value >> 16);
}

void fake_put64(struct fake *fake, u64 addr, u64 value)
{
	fake_put32(fake, addr, value);
	fake_put32(fake, addr + 4, value >> 32);
}

void fake_find(struct fake *fake, u64 pc, bool is_64bit, struct mg_image *image)
{
	struct mg_image_cache *cache = mg_image_cache_new();

	KUNIT_ASSERT_NOT_NULL(fake->test, cache);
	mg_image_find_at(cache, &fake->mem, pc, is_64bit, 0, image);
	mg_image_cache_free(cache);
	KUNIT_EXPECT_FALSE(fake->test, fake->is_broken);
}

/* Then nothing at all is said. */
bool fake_is_unknown(struct fake *fake, u64 pc, bool is_64bit)
{
	struct mg_image image;

	memset(&image, 0xff, sizeof(image));
	fake_find(fake, pc, is_64bit, &image);
	return image.kind == MG_IMAGE_UNKNOWN && !memchr_inv(&image, 0, sizeof(image));
}

u32 fake_rdata(const struct fake_pe *pe)
{
	return FAKE_TEXT + ALIGN(pe->text_size, MG_GUEST_PAGE);
}

u32 fake_size(const struct fake_pe *pe)
{
	return fake_rdata(pe) + 2 * MG_GUEST_PAGE;
}

static void put_section(struct fake *fake, const struct fake_pe *pe, u32 nth, const char *name,
			u32 rva, u32 size, u32 flags)
{
	u64 at = FAKE_SECTIONS(pe) + nth * 40;

	fake_write(fake, at, name, strlen(name));
	fake_put32(fake, at + 8, size);
	fake_put32(fake, at + 12, rva);
	fake_put32(fake, at + 16, ALIGN(size, 512));
	fake_put32(fake, at + 20, rva);
	fake_put32(fake, at + 36, flags);
}

/* The debug directory, its record at 0x100 and the export directory at 0x800 of .rdata. */
static void put_names(struct fake *fake, const struct fake_pe *pe)
{
	u32 rdata = fake_rdata(pe);
	u64 at = pe->base + rdata;

	if (pe->pdb) {
		fake_put32(fake, FAKE_DIRS(pe) + 6 * 8, rdata);
		fake_put32(fake, FAKE_DIRS(pe) + 6 * 8 + 4, 28);
		fake_put32(fake, at + 12, 2);
		fake_put32(fake, at + 16, 24 + strlen(pe->pdb) + 1);
		fake_put32(fake, at + 20, rdata + 0x100);
		fake_write(fake, at + 0x100, "RSDS", 4);
		fake_write(fake, at + 0x100 + 24, pe->pdb, strlen(pe->pdb) + 1);
	}
	if (pe->export_name) {
		fake_put32(fake, FAKE_DIRS(pe), rdata + 0x800);
		fake_put32(fake, FAKE_DIRS(pe) + 4, 40 + strlen(pe->export_name) + 1);
		fake_put32(fake, at + 0x800 + 12, rdata + 0x828);
		fake_write(fake, at + 0x828, pe->export_name, strlen(pe->export_name) + 1);
	}
}

void fake_put_pe(struct fake *fake, const struct fake_pe *pe)
{
	u64 nt = pe->base + pe->lfanew;
	u64 opt = FAKE_OPT(pe);
	u32 rdata = fake_rdata(pe);

	fake_write(fake, pe->base, "MZ", 2);
	fake_put32(fake, pe->base + 0x3c, pe->lfanew);
	fake_write(fake, nt, "PE\0", 4);
	fake_put16(fake, nt + 4, pe->is_64bit ? 0x8664 : 0x14c);
	fake_put16(fake, nt + 6, 3);
	fake_put32(fake, nt + 8, pe->timestamp);
	fake_put16(fake, nt + 20, pe->is_64bit ? 240 : 224);
	fake_put16(fake, opt, pe->is_64bit ? 0x20b : 0x10b);
	fake_put32(fake, opt + 32, MG_GUEST_PAGE);
	fake_put32(fake, opt + 36, 512);
	fake_put32(fake, opt + 56, fake_size(pe));
	fake_put32(fake, opt + 60, 0x400);
	fake_put32(fake, opt + 64, pe->checksum);
	fake_put32(fake, FAKE_DIRS(pe) - 4, 16);
	put_section(fake, pe, 0, ".text", FAKE_TEXT, pe->text_size, 0x60000020);
	put_section(fake, pe, 1, ".rdata", rdata, 0xa00, 0x40000040);
	put_section(fake, pe, 2, ".data", rdata + MG_GUEST_PAGE, 0x123, 0xc0000040);
	put_names(fake, pe);
}

void fake_expect_pe(struct fake *fake, const struct fake_pe *pe, u32 rva, const char *name)
{
	struct kunit *test = fake->test;
	struct mg_image image;

	fake_find(fake, pe->base + rva, pe->is_64bit, &image);
	KUNIT_ASSERT_EQ(test, image.kind, MG_IMAGE_PE);
	KUNIT_EXPECT_EQ(test, image.base, pe->base);
	KUNIT_EXPECT_EQ(test, image.size, fake_size(pe));
	KUNIT_EXPECT_EQ(test, image.timestamp, pe->timestamp);
	KUNIT_EXPECT_EQ(test, image.checksum, pe->checksum);
	KUNIT_EXPECT_EQ(test, image.build_id_len, 0);
	KUNIT_EXPECT_STREQ(test, image.name, name);
}

u64 fake_put_note(struct fake *fake, u64 addr, const char *name, u32 type, const void *desc,
		  u32 len)
{
	u32 name_len = strlen(name) + 1;

	fake_put32(fake, addr, name_len);
	fake_put32(fake, addr + 4, len);
	fake_put32(fake, addr + 8, type);
	fake_write(fake, addr + 12, name, name_len);
	addr += 12 + ALIGN(name_len, 4);
	fake_write(fake, addr, desc, len);
	return addr + ALIGN(len, 4);
}

u64 fake_put_build_id(struct fake *fake, u64 addr, const u8 id[20])
{
	return fake_put_note(fake, addr, "GNU", 3, id, 20);
}
