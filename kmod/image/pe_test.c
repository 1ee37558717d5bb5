// SPDX-License-Identifier: GPL-2.0
#include <linux/limits.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "image_test.h"

#define BASE		0xfffff80312340000ULL
#define PC_RVA		(FAKE_TEXT + 0x234)

static const struct fake_pe driver = {
	.base = BASE, .lfanew = 0xe8, .is_64bit = true, .timestamp = 0x6543210f,
	.checksum = 0xfedc1234, .text_size = 0x1800, .pdb = "C:\\src\\out\\driver.pdb",
	.export_name = "driver.sys",
};

static struct fake *with(struct kunit *test, const struct fake_pe *pe)
{
	struct fake *fake = fake_new(test);

	fake_put_pe(fake, pe);
	return fake;
}

static void widths(struct kunit *test)
{
	struct fake_pe pe = driver;
	u32 rva;

	for (rva = FAKE_TEXT; rva < FAKE_TEXT + pe.text_size; rva += 0x3ff)
		fake_expect_pe(with(test, &pe), &pe, rva, "driver.pdb");
	pe.is_64bit = false;
	pe.base = 0x80400000;
	fake_expect_pe(with(test, &pe), &pe, PC_RVA, "driver.pdb");
	/* UEFI, below 4 GB in 64-bit mode. */
	pe.is_64bit = true;
	fake_expect_pe(with(test, &pe), &pe, PC_RVA, "driver.pdb");

	/* Code of the other width cannot have run. */
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(with(test, &pe), pe.base + PC_RVA, false));
	pe.is_64bit = false;
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(with(test, &pe), pe.base + PC_RVA, true));
}

static void places_of_the_header(struct kunit *test)
{
	static const u32 good[] = { 0x40, 0x80, 0xfe8, 0xff0, 0xffc, 0x1000, 0x1f00, 0x7ff1 };
	static const u32 bad[] = {
		0, 1, 0x3a, 0x10000000, 0x7fffffff, 0xfffffff8, 0xffffffff,
	};
	struct fake_pe pe = driver;
	struct fake *fake;
	unsigned int i;

	/* Where the sections are out of its way it may be anywhere, crossing pages too. */
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		pe.lfanew = good[i];
		fake = with(test, &pe);
		if (good[i] < FAKE_TEXT - 0x200) {
			fake_expect_pe(fake, &pe, PC_RVA, "driver.pdb");
			continue;
		}
		/* Else the header overlaps the first section. */
		KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, BASE + PC_RVA, true));
		if (good[i] > FAKE_TEXT)
			continue;
		/* Move the code behind it. */
		fake_put32(fake, FAKE_SECTIONS(&pe) + 12, 2 * MG_GUEST_PAGE);
		fake_put32(fake, FAKE_SECTIONS(&pe) + 8, MG_GUEST_PAGE);
		fake_expect_pe(fake, &pe, 2 * MG_GUEST_PAGE + 5, "driver.pdb");
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		fake = with(test, &driver);
		fake_put32(fake, BASE + 0x3c, bad[i]);
		KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, BASE + PC_RVA, true));
	}
}

static void large(struct kunit *test)
{
	struct fake_pe pe = driver;

	pe.text_size = 48 * SZ_1M;
	fake_expect_pe(with(test, &pe), &pe, FAKE_TEXT + pe.text_size - 1, "driver.pdb");
	pe.text_size = 63 * SZ_1M;
	fake_expect_pe(with(test, &pe), &pe, FAKE_TEXT + pe.text_size - 1, "driver.pdb");
	/* Further than anybody walks. */
	pe.text_size = 65 * SZ_1M;
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(with(test, &pe), BASE + 64 * SZ_1M, true));
}

static void ends_of_the_address_space(struct kunit *test)
{
	struct fake_pe pe = driver;
	struct fake *fake;

	pe.base = 0;
	fake_expect_pe(with(test, &pe), &pe, PC_RVA, "driver.pdb");
	pe.base = 0ULL - fake_size(&pe);
	fake_expect_pe(with(test, &pe), &pe, PC_RVA, "driver.pdb");
	/* Round the end. */
	pe.base += MG_GUEST_PAGE;
	fake = with(test, &pe);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, pe.base + PC_RVA, true));
	fake = fake_new(test);
	fake_write(fake, 0ULL - MG_GUEST_PAGE, "MZ", 2);
	fake_put32(fake, 0ULL - MG_GUEST_PAGE + 0x3c, 0x2000);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, U64_MAX, true));
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, 0, true));
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, 0x800000000000ULL, true));
}

static void missing_pages(struct kunit *test)
{
	struct fake_pe pe = driver;
	struct fake *fake = with(test, &pe);

	/* Only the header and the names are needed. */
	KUNIT_EXPECT_NULL(test, fake_page(fake, BASE + PC_RVA));
	fake_expect_pe(fake, &pe, PC_RVA, "driver.pdb");
	fake_unmap(fake, BASE + fake_rdata(&pe));
	fake_expect_pe(fake, &pe, PC_RVA, "");
	memset(fake_page(fake, BASE), 0, MG_GUEST_PAGE);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, BASE + PC_RVA, true));
	fake_unmap(fake, BASE);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, BASE + PC_RVA, true));
}

/* Pages on the way that begin like an image. */
static void decoys(struct kunit *test)
{
	struct fake_pe pe = driver, inner = driver;
	struct fake *fake;

	pe.text_size = 0x20000;
	fake = with(test, &pe);
	fake_write(fake, BASE + 0x10000, "MZ", 2);
	fake_write(fake, BASE + 0x11000, "MZ", 2);
	fake_put32(fake, BASE + 0x1103c, 0xffffff00);
	fake_write(fake, BASE + 0x12000, "MZ", 2);
	fake_put32(fake, BASE + 0x1203c, 0x40);
	/* A whole image that does not reach as far. */
	inner.base = BASE + 0x13000;
	inner.text_size = 0x1000;
	inner.pdb = "inner.pdb";
	fake_put_pe(fake, &inner);
	fake_expect_pe(fake, &pe, 0x20000, "driver.pdb");
	/* And one that does, as a file would: its function table is not where it should be. */
	inner.text_size = 0x10000;
	fake_put_pe(fake, &inner);
	fake_put32(fake, FAKE_DIRS(&inner) + 3 * 8, 0x2000);
	fake_put32(fake, FAKE_DIRS(&inner) + 3 * 8 + 4, 0x18);
	fake_put64(fake, inner.base + 0x2000, 0x4589544155415641ULL);
	fake_expect_pe(fake, &pe, 0x20000, "driver.pdb");
	/* Mapped, it is the one that is meant. */
	fake_put64(fake, inner.base + 0x2000, (u64)(FAKE_TEXT + 0x20) << 32 | FAKE_TEXT);
	fake_expect_pe(fake, &inner, 0x20000 - 0x13000, "inner.pdb");
	fake_put64(fake, inner.base + 0x2000, 0);
	fake_expect_pe(fake, &inner, 0x20000 - 0x13000, "inner.pdb");
}

static bool is_unknown_with(struct kunit *test, u32 at_section, u64 offset, u32 value)
{
	struct fake *fake = with(test, &driver);

	if (at_section < 3)
		fake_put32(fake, FAKE_SECTIONS(&driver) + 40 * at_section + offset, value);
	else
		fake_put32(fake, FAKE_OPT(&driver) + offset, value);
	return fake_is_unknown(fake, BASE + PC_RVA, true);
}

static void sections(struct kunit *test)
{
	u32 rdata = fake_rdata(&driver), size = fake_size(&driver);
	static const u32 numbers[] = { 0, 1, 2, 4, 97, 0xffff };
	struct fake *fake;
	unsigned int i;

	/* Overlapping, in no order, over the end, behind the headers' end, not at a multiple. */
	KUNIT_EXPECT_TRUE(test, is_unknown_with(test, 0, 8, 0x2001));
	KUNIT_EXPECT_TRUE(test, is_unknown_with(test, 1, 12, FAKE_TEXT));
	KUNIT_EXPECT_TRUE(test, is_unknown_with(test, 1, 12, rdata + 2 * MG_GUEST_PAGE));
	KUNIT_EXPECT_TRUE(test, is_unknown_with(test, 2, 8, 0x1001));
	KUNIT_EXPECT_TRUE(test, is_unknown_with(test, 2, 8, 0xffffffff));
	KUNIT_EXPECT_TRUE(test, is_unknown_with(test, 2, 12, 0xfffff000));
	KUNIT_EXPECT_TRUE(test, is_unknown_with(test, 0, 12, 0));
	KUNIT_EXPECT_TRUE(test, is_unknown_with(test, 1, 12, rdata + 8));
	/* The address is in none, or in one without code. */
	KUNIT_EXPECT_TRUE(test, is_unknown_with(test, 0, 8, 0x200));
	KUNIT_EXPECT_TRUE(test, is_unknown_with(test, 0, 36, 0xc0000040));
	KUNIT_EXPECT_FALSE(test, is_unknown_with(test, 0, 36, 0x20000000));
	/* No virtual size: what is in the file. */
	KUNIT_EXPECT_FALSE(test, is_unknown_with(test, 0, 8, 0));
	/* SizeOfImage lies. */
	KUNIT_EXPECT_TRUE(test, is_unknown_with(test, 3, 56, 0));
	KUNIT_EXPECT_TRUE(test, is_unknown_with(test, 3, 56, 1));
	KUNIT_EXPECT_TRUE(test, is_unknown_with(test, 3, 56, size - MG_GUEST_PAGE));
	KUNIT_EXPECT_TRUE(test, is_unknown_with(test, 3, 56, size + 1));
	KUNIT_EXPECT_TRUE(test, is_unknown_with(test, 3, 56, 64 * SZ_1M));
	KUNIT_EXPECT_TRUE(test, is_unknown_with(test, 3, 56, 0xffffffff));
	/* Alignments. */
	KUNIT_EXPECT_TRUE(test, is_unknown_with(test, 3, 32, 0));
	KUNIT_EXPECT_TRUE(test, is_unknown_with(test, 3, 32, 3));
	KUNIT_EXPECT_TRUE(test, is_unknown_with(test, 3, 32, 0x80000000));
	KUNIT_EXPECT_FALSE(test, is_unknown_with(test, 3, 32, 0x200));

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		fake = with(test, &driver);
		fake_put16(fake, BASE + driver.lfanew + 6, numbers[i]);
		KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, BASE + PC_RVA, true));
	}
	/* A table that is not there. */
	fake = with(test, &driver);
	fake_put16(fake, BASE + driver.lfanew + 20, 0xffff);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, BASE + PC_RVA, true));
	fake_put16(fake, BASE + driver.lfanew + 20, 111);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, BASE + PC_RVA, true));
}

static void names(struct kunit *test)
{
	static const struct {
		const char *pdb;
		const char *name;
	} paths[] = {
		{ "ntkrnlmp.pdb", "ntkrnlmp.pdb" },
		{ "/build/edk2/MdeModule\\DxeCore.pdb", "DxeCore.pdb" },
		{ "a\\b/c d=e\"f'g.pdb", "c\\x20d\\x3de\\x22f\\x27g.pdb" },
		{ "\xc3\xa9\x01\x7f", "\\xc3\\xa9\\x01\\x7f" },
		/* Nothing that could be said: the export directory speaks. */
		{ "C:\\", "driver.sys" },
		{ "", "driver.sys" },
	};
	struct fake_pe pe = driver;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		pe.pdb = paths[i].pdb;
		fake_expect_pe(with(test, &pe), &pe, PC_RVA, paths[i].name);
	}
	pe.pdb = NULL;
	fake_expect_pe(with(test, &pe), &pe, PC_RVA, "driver.sys");
	pe.export_name = "";
	fake_expect_pe(with(test, &pe), &pe, PC_RVA, "");
	pe.export_name = NULL;
	fake_expect_pe(with(test, &pe), &pe, PC_RVA, "");
}

static void name_with(struct kunit *test, u32 offset, u32 value, const char *name)
{
	struct fake *fake = with(test, &driver);

	fake_put32(fake, BASE + fake_rdata(&driver) + offset, value);
	fake_expect_pe(fake, &driver, PC_RVA, name);
}

static void damaged_names(struct kunit *test)
{
	u32 rdata = fake_rdata(&driver), size = fake_size(&driver);
	struct fake_pe pe = driver;
	struct fake *fake;
	u32 i;

	/* Of the debug entry: type, size of the record and place. */
	name_with(test, 12, 4, "driver.sys");
	name_with(test, 16, 0, "driver.sys");
	name_with(test, 16, 24, "driver.sys");
	name_with(test, 16, 24 + 5, "driver.sys");
	name_with(test, 16, 0xffffffff, "driver.sys");
	name_with(test, 20, 0, "driver.sys");
	name_with(test, 20, size - 2, "driver.sys");
	name_with(test, 20, 0xfffffff0, "driver.sys");
	name_with(test, 0x100, 0x12345678, "driver.sys");

	/* PDB 2.0 */
	fake = with(test, &driver);
	fake_write(fake, BASE + rdata + 0x100, "NB10", 4);
	fake_write(fake, BASE + rdata + 0x110, "old/style.pdb", 14);
	fake_expect_pe(fake, &driver, PC_RVA, "style.pdb");

	/* Directories that are out of the image, too small, or too many. */
	fake = with(test, &driver);
	fake_put32(fake, FAKE_DIRS(&driver) + 6 * 8 + 4, 27);
	fake_expect_pe(fake, &driver, PC_RVA, "driver.sys");
	fake_put32(fake, FAKE_DIRS(&driver) + 6 * 8 + 4, 0xffffffff);
	fake_expect_pe(fake, &driver, PC_RVA, "driver.sys");
	fake_put32(fake, FAKE_DIRS(&driver) + 6 * 8, size);
	fake_expect_pe(fake, &driver, PC_RVA, "driver.sys");
	fake_put32(fake, FAKE_DIRS(&driver) - 4, 0);
	fake_expect_pe(fake, &driver, PC_RVA, "");
	fake_put32(fake, FAKE_DIRS(&driver) - 4, 0xffffffff);
	fake_expect_pe(fake, &driver, PC_RVA, "driver.sys");

	/* The record is the second entry. */
	fake = with(test, &driver);
	fake_put32(fake, FAKE_DIRS(&driver) + 6 * 8 + 4, 56);
	fake_put32(fake, BASE + rdata + 12, 13);
	fake_put32(fake, BASE + rdata + 28 + 12, 2);
	fake_put32(fake, BASE + rdata + 28 + 16, 64);
	fake_put32(fake, BASE + rdata + 28 + 20, rdata + 0x100);
	fake_expect_pe(fake, &driver, PC_RVA, "driver.pdb");

	/* Names without an end: of the record, and of the image. */
	fake = with(test, &driver);
	for (i = 0x100 + 24; i < MG_GUEST_PAGE; i++)
		fake_write(fake, BASE + rdata + i, "x", 1);
	fake_expect_pe(fake, &driver, PC_RVA, "");
	fake_put32(fake, BASE + rdata + 0x100 + 24 + 64, 0);
	fake_put32(fake, BASE + rdata + 16, 24 + 64);
	fake_expect_pe(fake, &driver, PC_RVA, "");
	pe.pdb = NULL;
	fake = with(test, &pe);
	fake_put32(fake, BASE + rdata + 0x800 + 12, size);
	fake_expect_pe(fake, &pe, PC_RVA, "");
	fake_put32(fake, BASE + rdata + 0x800 + 12, size - 4);
	fake_write(fake, BASE + size - 4, "abcdef", 6);
	fake_expect_pe(fake, &pe, PC_RVA, "");
	fake_write(fake, BASE + size - 4, "abc", 4);
	fake_expect_pe(fake, &pe, PC_RVA, "abc");
	/* A page that is not there is not needed if the name ends before it. */
	fake_unmap(fake, BASE + rdata + MG_GUEST_PAGE);
	fake_put32(fake, BASE + rdata + 0x800 + 12, rdata + MG_GUEST_PAGE - 4);
	fake_write(fake, BASE + rdata + MG_GUEST_PAGE - 4, "xyz", 4);
	fake_expect_pe(fake, &pe, PC_RVA, "xyz");
	fake_write(fake, BASE + rdata + MG_GUEST_PAGE - 4, "wxyz", 4);
	fake_expect_pe(fake, &pe, PC_RVA, "");
}

/*
 * The rules once more, for one image of a few pages that does not change, read as one array. No
 * name is looked for.
 */
#define MODEL_PAGES	5

static bool model(const u8 *m, u32 mapped, u32 rva, struct mg_image *image)
{
	u64 nt = mg_le32(m + 0x3c), table, end;
	u32 size, align, i, nr;
	bool in_code = false;

	if (m[0] != 'M' || m[1] != 'Z' || nt + 264 > mapped || mg_le32(m + nt) != 0x4550)
		return false;
	size = mg_le32(m + nt + 80);
	align = mg_le32(m + nt + 56);
	nr = mg_le16(m + nt + 6);
	table = nt + 24 + mg_le16(m + nt + 20);
	end = table + nr * 40;
	if (mg_le16(m + nt + 4) != 0x8664 || mg_le16(m + nt + 24) != 0x20b || rva >= size ||
	    mg_le16(m + nt + 20) < 112 || !nr || nr > 96 || end > mapped || !align ||
	    align & (align - 1))
		return false;
	for (i = 0; i < nr; i++) {
		const u8 *s = m + table + 40 * i;
		u64 start = mg_le32(s + 12), len = mg_le32(s + 8);

		if (!len)
			len = mg_le32(s + 16);
		if (start < end || start % align)
			return false;
		end = start + len;
		if (rva >= start && rva < end)
			in_code = mg_le32(s + 36) & 0x20000020;
	}
	if (align < 4096)
		align = 4096;
	if (!in_code || size < end || size > (end + align - 1) / align * align)
		return false;
	image->size = size;
	image->timestamp = mg_le32(m + nt + 8);
	image->checksum = mg_le32(m + nt + 88);
	return true;
}

static u32 interesting(struct rnd_state *random)
{
	static const u32 values[] = {
		0, 1, 2, 3, 4, 0x10, 0x40, 0x60, 0xe8, 0xf0, 0x200, 0xff0, 0x1000, 0x1001, 0x2000,
		0x3000, 0x4000, 0x5000, 0x5001, 0x6000, 0x20000020, 0x7fffffff, 0x80000000,
		0xfffff000, 0xffffffff,
	};
	u32 any = prandom_u32_state(random);

	return any % 4 ? values[any / 4 % ARRAY_SIZE(values)] : prandom_u32_state(random);
}

static void mutations(struct kunit *test)
{
	static const u16 fields[] = {
		0x3c, 0xe8 + 4, 0xe8 + 6, 0xe8 + 20, 0xe8 + 24, 0xe8 + 56, 0xe8 + 80, 0xe8 + 84,
	};
	struct fake_pe pe = driver;
	struct fake *fake = fake_new(test);
	struct rnd_state random;
	unsigned int round, found = 0;
	u8 *flat, *pristine;
	u32 i, n;

	pe.pdb = NULL;
	pe.export_name = NULL;
	flat = kunit_kzalloc(test, MODEL_PAGES * MG_GUEST_PAGE, GFP_KERNEL);
	pristine = kunit_kzalloc(test, MODEL_PAGES * MG_GUEST_PAGE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, flat);
	KUNIT_ASSERT_NOT_NULL(test, pristine);
	fake_put_pe(fake, &pe);
	for (i = 0; i < MODEL_PAGES; i++)
		memcpy(pristine + i * MG_GUEST_PAGE, fake_map(fake, BASE + i * MG_GUEST_PAGE),
		       MG_GUEST_PAGE);

	prandom_seed_state(&random, 20261125);
	for (round = 0; round < 3000; round++) {
		u32 rva = prandom_u32_state(&random) % (MODEL_PAGES * MG_GUEST_PAGE);
		struct mg_image image, expected = {};
		bool is_known;

		if (round % 2)
			rva = FAKE_TEXT + rva % pe.text_size;
		memcpy(flat, pristine, MODEL_PAGES * MG_GUEST_PAGE);
		for (n = prandom_u32_state(&random) % 3; n; n--) {
			u32 value = interesting(&random), at;

			if (prandom_u32_state(&random) % 2)
				at = fields[prandom_u32_state(&random) % ARRAY_SIZE(fields)];
			else
				at = prandom_u32_state(&random) % 0x280;
			/* The model knows no function table. */
			if (at > 0xe8 + 24 + 112 + 20 && at < 0xe8 + 24 + 112 + 32)
				continue;
			memcpy(flat + at, &value, prandom_u32_state(&random) % 4 + 1);
		}
		for (i = 0; i < MODEL_PAGES; i++)
			memcpy(fake_map(fake, BASE + i * MG_GUEST_PAGE), flat + i * MG_GUEST_PAGE,
			       MG_GUEST_PAGE);
		is_known = model(flat, MODEL_PAGES * MG_GUEST_PAGE, rva, &expected);
		fake_find(fake, BASE + rva, true, &image);
		KUNIT_ASSERT_EQ_MSG(test, is_known, image.kind == MG_IMAGE_PE, "round %u", round);
		if (!is_known)
			continue;
		found++;
		KUNIT_EXPECT_EQ_MSG(test, image.base, BASE, "round %u", round);
		KUNIT_EXPECT_EQ_MSG(test, image.size, expected.size, "round %u", round);
		KUNIT_EXPECT_EQ_MSG(test, image.timestamp, expected.timestamp, "round %u", round);
		KUNIT_EXPECT_EQ_MSG(test, image.checksum, expected.checksum, "round %u", round);
	}
	/* Both happened often. */
	KUNIT_EXPECT_GT(test, found, 500);
	KUNIT_EXPECT_LT(test, found, 2500);
}

static struct kunit_case pe_cases[] = {
	KUNIT_CASE(widths),
	KUNIT_CASE(places_of_the_header),
	KUNIT_CASE(large),
	KUNIT_CASE(ends_of_the_address_space),
	KUNIT_CASE(missing_pages),
	KUNIT_CASE(decoys),
	KUNIT_CASE(sections),
	KUNIT_CASE(names),
	KUNIT_CASE(damaged_names),
	KUNIT_CASE(mutations),
	{}
};

static struct kunit_suite pe_suite = {
	.name = "msrguard-image-pe",
	.test_cases = pe_cases,
};
kunit_test_suites(&pe_suite);
