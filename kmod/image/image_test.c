// SPDX-License-Identifier: GPL-2.0
/*
 * What is remembered, what a look-up may cost, and names.
 */
#include <linux/module.h>
#include <linux/string.h>
#include <linux/time64.h>

#include "image_test.h"

#define BASE		0xfffff80312340000ULL
#define PC		(BASE + FAKE_TEXT + 8)
#define NOBODY		0xfffff80412345678ULL
/* What it costs to find nobody. */
#define NOBODY_PAGES	16384

static const struct fake_pe driver = {
	.base = BASE, .lfanew = 0x80, .is_64bit = true, .timestamp = 1, .checksum = 2,
	.text_size = 0x800, .pdb = "driver.pdb",
};

static struct mg_image_cache *new_cache(struct kunit *test)
{
	struct mg_image_cache *cache = mg_image_cache_new();

	KUNIT_ASSERT_NOT_NULL(test, cache);
	return cache;
}

static struct mg_image_stats stats_of(struct mg_image_cache *cache)
{
	struct mg_image_stats stats;

	mg_image_cache_stats(cache, &stats);
	return stats;
}

static void set_name(struct kunit *test)
{
	static const struct {
		const char *raw;
		const char *name;
	} names[] = {
		{ "", "" },
		{ "ntkrnlmp.pdb", "ntkrnlmp.pdb" },
		{ "~!#$%&()*+,-./09:;<>?@AZ[]^_`az{|}", "~!#$%&()*+,-./09:;<>?@AZ[]^_`az{|}" },
		{ "a b=\"c\"'\\\n\x7f\x80\xff",
		  "a\\x20b\\x3d\\x22c\\x22\\x27\\x5c\\x0a\\x7f\\x80\\xff" },
		/* 63 and 64 characters. */
		{ "123456789.123456789.123456789.123456789.123456789.123456789.123",
		  "123456789.123456789.123456789.123456789.123456789.123456789.123" },
		{ "123456789.123456789.123456789.123456789.123456789.123456789.1234",
		  "123456789.123456789.123456789.123456789.123456789.123456789...." },
		/* An escape is whole or not there. */
		{ "123456789.123456789.123456789.123456789.123456789.123456789\n",
		  "123456789.123456789.123456789.123456789.123456789.123456789\\x0a" },
		{ "123456789.123456789.123456789.123456789.123456789.12345678\nab",
		  "123456789.123456789.123456789.123456789.123456789.12345678..." },
		{ "123456789.123456789.123456789.123456789.123456789.123456789.1\n",
		  "123456789.123456789.123456789.123456789.123456789.123456789...." },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		struct mg_image image;

		memset(&image, 0xff, sizeof(image));
		mg_image_set_name(&image, names[i].raw, strlen(names[i].raw));
		KUNIT_EXPECT_STREQ(test, image.name, names[i].name);
	}
}

static void remembered(struct kunit *test)
{
	struct mg_image_cache *cache = new_cache(test);
	struct fake *fake = fake_new(test);
	struct fake_pe pe = driver;
	struct mg_image image;
	unsigned int reads, i;

	fake_put_pe(fake, &pe);
	for (i = 0; i < 10; i++) {
		reads = fake->reads;
		mg_image_find_at(cache, &fake->mem, PC + i * 16, true, i, &image);
		KUNIT_EXPECT_EQ(test, image.kind, MG_IMAGE_PE);
		KUNIT_EXPECT_EQ(test, image.timestamp, 1);
		KUNIT_EXPECT_STREQ(test, image.name, "driver.pdb");
		/* One read of what identifies it. */
		if (i)
			KUNIT_EXPECT_EQ(test, fake->reads, reads + 1);
	}
	KUNIT_EXPECT_EQ(test, stats_of(cache).lookups, 1);
	KUNIT_EXPECT_EQ(test, stats_of(cache).found, 1);
	KUNIT_EXPECT_EQ(test, stats_of(cache).hits, 9);

	/* Another in its place. */
	pe.timestamp = 3;
	pe.pdb = "reused.pdb";
	fake_put_pe(fake, &pe);
	mg_image_find_at(cache, &fake->mem, PC, true, 20, &image);
	KUNIT_EXPECT_EQ(test, image.timestamp, 3);
	KUNIT_EXPECT_STREQ(test, image.name, "reused.pdb");
	KUNIT_EXPECT_EQ(test, stats_of(cache).dropped, 1);
	/* Gone, or not in the address space of the moment. */
	fake_unmap(fake, BASE);
	mg_image_find_at(cache, &fake->mem, PC, true, 30, &image);
	KUNIT_EXPECT_EQ(test, image.kind, MG_IMAGE_UNKNOWN);
	KUNIT_EXPECT_STREQ(test, image.name, "");
	KUNIT_EXPECT_EQ(test, stats_of(cache).dropped, 2);
	KUNIT_EXPECT_FALSE(test, fake->is_broken);
	mg_image_cache_free(cache);
}

/* The one used least recently goes; what overlaps a new one goes. */
static void bounded(struct kunit *test)
{
	struct mg_image_cache *cache = new_cache(test);
	struct fake *fake = fake_new(test);
	struct fake_pe pe = driver;
	struct mg_image image;
	unsigned int i;

	pe.pdb = NULL;
	for (i = 0; i <= MG_IMAGE_CACHED; i++) {
		pe.base = BASE + i * 0x10000;
		pe.timestamp = i;
		fake_put_pe(fake, &pe);
	}
	for (i = 0; i < MG_IMAGE_CACHED; i++)
		mg_image_find_at(cache, &fake->mem, PC + i * 0x10000, true, 0, &image);
	KUNIT_EXPECT_EQ(test, stats_of(cache).lookups, MG_IMAGE_CACHED);
	/* All but the second are used again. */
	for (i = 0; i < MG_IMAGE_CACHED; i++) {
		if (i == 1)
			continue;
		mg_image_find_at(cache, &fake->mem, PC + i * 0x10000, true, 0, &image);
		KUNIT_EXPECT_EQ(test, image.timestamp, i);
	}
	mg_image_find_at(cache, &fake->mem, PC + i * 0x10000, true, 0, &image);
	KUNIT_EXPECT_EQ(test, image.timestamp, MG_IMAGE_CACHED);
	KUNIT_EXPECT_EQ(test, stats_of(cache).lookups, MG_IMAGE_CACHED + 1);
	mg_image_find_at(cache, &fake->mem, PC, true, 0, &image);
	KUNIT_EXPECT_EQ(test, stats_of(cache).lookups, MG_IMAGE_CACHED + 1);
	mg_image_find_at(cache, &fake->mem, PC + 0x10000, true, 0, &image);
	KUNIT_EXPECT_EQ(test, image.timestamp, 1);
	KUNIT_EXPECT_EQ(test, stats_of(cache).lookups, MG_IMAGE_CACHED + 2);
	KUNIT_EXPECT_EQ(test, stats_of(cache).dropped, 0);
	mg_image_cache_free(cache);
}

static void nobody(struct kunit *test)
{
	struct mg_image_cache *cache = new_cache(test);
	struct fake *fake = fake_new(test);
	struct fake_pe pe = driver;
	struct mg_image image;
	unsigned int reads;

	mg_image_find_at(cache, &fake->mem, PC, true, 5, &image);
	KUNIT_EXPECT_EQ(test, image.kind, MG_IMAGE_UNKNOWN);
	KUNIT_EXPECT_EQ(test, stats_of(cache).pages, NOBODY_PAGES);
	reads = fake->reads;
	KUNIT_EXPECT_EQ(test, reads, NOBODY_PAGES);

	/* For a second that is believed, of the same page and the same width. */
	fake_put_pe(fake, &pe);
	mg_image_find_at(cache, &fake->mem, PC ^ 0x77, true, 4 + MG_IMAGE_NONE_NSEC, &image);
	KUNIT_EXPECT_EQ(test, image.kind, MG_IMAGE_UNKNOWN);
	KUNIT_EXPECT_EQ(test, fake->reads, reads);
	KUNIT_EXPECT_EQ(test, stats_of(cache).hits, 1);
	mg_image_find_at(cache, &fake->mem, PC, false, 5, &image);
	KUNIT_EXPECT_EQ(test, image.kind, MG_IMAGE_UNKNOWN);
	KUNIT_EXPECT_GT(test, fake->reads, reads);
	mg_image_find_at(cache, &fake->mem, PC, true, 5 + MG_IMAGE_NONE_NSEC, &image);
	KUNIT_EXPECT_EQ(test, image.kind, MG_IMAGE_PE);
	mg_image_cache_free(cache);
}

static void budget(struct kunit *test)
{
	struct mg_image_cache *cache = new_cache(test);
	const u64 start = 1000 * NSEC_PER_SEC;
	struct fake *fake = fake_new(test);
	struct mg_image_stats before;
	struct mg_image image;
	unsigned int i, reads;

	fake_put_pe(fake, &driver);
	mg_image_find_at(cache, &fake->mem, PC, true, start, &image);
	for (i = 0; !stats_of(cache).spent && i < 100; i++)
		mg_image_find_at(cache, &fake->mem, NOBODY + i * 0x1000, true, start, &image);
	before = stats_of(cache);
	KUNIT_EXPECT_LE(test, before.pages, MG_IMAGE_BUDGET_PAGES);
	KUNIT_EXPECT_GT(test, before.pages, MG_IMAGE_BUDGET_PAGES - MG_IMAGE_LOOKUP_PAGES);

	/* Then nothing is read, but what is remembered is still said. */
	reads = fake->reads;
	for (i = 0; i < 10; i++)
		mg_image_find_at(cache, &fake->mem, NOBODY + 0x1000000, true, start, &image);
	KUNIT_EXPECT_EQ(test, fake->reads, reads);
	KUNIT_EXPECT_EQ(test, stats_of(cache).spent, before.spent + 10);
	mg_image_find_at(cache, &fake->mem, PC, true, start, &image);
	KUNIT_EXPECT_EQ(test, image.kind, MG_IMAGE_PE);

	/* Ten seconds of somebody who asks all the time. */
	for (i = 0; i < 10000; i++)
		mg_image_find_at(cache, &fake->mem, NOBODY + i * 0x1000, true,
				 start + i * NSEC_PER_MSEC, &image);
	KUNIT_EXPECT_LE(test, stats_of(cache).pages - before.pages,
			10 * MG_IMAGE_PAGES_PER_SEC + MG_IMAGE_LOOKUP_PAGES);
	KUNIT_EXPECT_GT(test, stats_of(cache).pages - before.pages,
			8 * MG_IMAGE_PAGES_PER_SEC);
	/* A clock that goes back, or far ahead, gives no more. */
	before = stats_of(cache);
	mg_image_find_at(cache, &fake->mem, NOBODY, true, 1, &image);
	for (i = 0; i < 20; i++)
		mg_image_find_at(cache, &fake->mem, NOBODY + i * 0x1000, true,
				 ~0ULL - MG_IMAGE_NONE_NSEC, &image);
	KUNIT_EXPECT_LE(test, stats_of(cache).pages - before.pages, 2 * MG_IMAGE_BUDGET_PAGES);
	mg_image_cache_free(cache);
}

/* A guest that maps all there is, and nothing in it: one look-up ends at its limit. */
static int read_zeroes(void *ctx, u64 addr, void *buf, unsigned int len)
{
	unsigned int *reads = ctx;

	(*reads)++;
	memset(buf, 0, len);
	return 0;
}

/* One that has a header in every page, as costly to look at as can be. */
static int read_headers(void *ctx, u64 addr, void *buf, unsigned int len)
{
	unsigned int *reads = ctx;
	unsigned int i;

	(*reads)++;
	for (i = 0; i < len; i++) {
		u64 at = addr + i;
		u32 offset = at & (MG_GUEST_PAGE - 1);
		static const u8 dos[] = "MZ", nt[] = "PE\0\0\x64\x86\x60";

		((u8 *)buf)[i] = 0;
		if (offset < 2)
			((u8 *)buf)[i] = dos[offset];
		else if (offset == 0x3d)
			((u8 *)buf)[i] = 0x0f;
		else if (offset >= 0xf00 && offset < 0xf07)
			((u8 *)buf)[i] = nt[offset - 0xf00];
		else if (offset == 0xf14)
			((u8 *)buf)[i] = 240;
		else if (offset == 0xf18 || offset == 0xf19)
			((u8 *)buf)[i] = offset & 1 ? 0x02 : 0x0b;
		else if (offset == 0xf00 + 83)
			((u8 *)buf)[i] = 0x10;
	}
	return 0;
}

static void limits(struct kunit *test)
{
	static const u64 pcs[] = {
		0xfffff80312345678ULL, 0xffffffff81234567ULL, 0xffffffffa0000123ULL,
		0xffffffffbffffff0ULL, 0xffffffffc0000000ULL, 0xfffffffffffffff0ULL, 0, 0x7fffffff,
	};
	unsigned int i, reads;
	struct mg_image_memory memory = { .ctx = &reads };

	for (i = 0; i < 2 * ARRAY_SIZE(pcs); i++) {
		struct mg_image_cache *cache = new_cache(test);
		struct mg_image image;

		reads = 0;
		memory.read = i % 2 ? read_headers : read_zeroes;
		mg_image_find_at(cache, &memory, pcs[i / 2], true, 0, &image);
		KUNIT_EXPECT_EQ(test, image.kind, MG_IMAGE_UNKNOWN);
		KUNIT_EXPECT_LE(test, stats_of(cache).pages, MG_IMAGE_LOOKUP_PAGES);
		/* Several reads of one page are bounded by its headers. */
		KUNIT_EXPECT_LE(test, reads, 4 * MG_IMAGE_LOOKUP_PAGES);
		mg_image_cache_free(cache);
	}
}

/* While a walk waits for memory, others get what is remembered. */
static void ask_inside(struct fake *fake, void *data)
{
	struct mg_image_cache *cache = data;
	struct mg_image image;

	fake->hook = NULL;
	mg_image_find_at(cache, &fake->mem, PC, true, 0, &image);
	KUNIT_EXPECT_EQ(fake->test, image.kind, MG_IMAGE_PE);
}

static void walk_blocks_nobody(struct kunit *test)
{
	struct mg_image_cache *cache = new_cache(test);
	struct fake *fake = fake_new(test);
	struct mg_image image;

	fake_put_pe(fake, &driver);
	mg_image_find_at(cache, &fake->mem, PC, true, 0, &image);
	fake->hook = ask_inside;
	fake->hook_data = cache;
	mg_image_find_at(cache, &fake->mem, NOBODY, true, 0, &image);
	KUNIT_EXPECT_PTR_EQ(test, fake->hook, NULL);
	KUNIT_EXPECT_EQ(test, stats_of(cache).hits, 1);
	KUNIT_EXPECT_EQ(test, stats_of(cache).lookups, 2);
	mg_image_cache_free(cache);
}

static void without_a_cache(struct kunit *test)
{
	struct fake *fake = fake_new(test);
	struct mg_image image;
	struct mg_image_stats stats;

	memset(&image, 0xff, sizeof(image));
	memset(&stats, 0xff, sizeof(stats));
	fake_put_pe(fake, &driver);
	mg_image_find(NULL, &fake->mem, PC, true, &image);
	KUNIT_EXPECT_EQ(test, image.kind, MG_IMAGE_UNKNOWN);
	KUNIT_EXPECT_EQ(test, fake->reads, 0);
	mg_image_cache_stats(NULL, &stats);
	KUNIT_EXPECT_EQ(test, stats.lookups, 0);
	mg_image_cache_free(NULL);
}

/* With the kernel's own clock. */
static void by_the_clock(struct kunit *test)
{
	struct mg_image_cache *cache = new_cache(test);
	struct fake *fake = fake_new(test);
	struct mg_image image;

	fake_put_pe(fake, &driver);
	mg_image_find(cache, &fake->mem, PC, true, &image);
	KUNIT_EXPECT_EQ(test, image.kind, MG_IMAGE_PE);
	mg_image_find(cache, &fake->mem, PC, true, &image);
	KUNIT_EXPECT_EQ(test, image.kind, MG_IMAGE_PE);
	KUNIT_EXPECT_EQ(test, stats_of(cache).lookups, 1);
	mg_image_cache_free(cache);
}

static unsigned int reads_of_the_same;

/* All of the kernel's range, and each word of it looks like the name of a note. */
static int read_the_same(void *ctx, u64 addr, void *buf, unsigned int len)
{
	static const char word[] = "Linu";
	unsigned int i;

	reads_of_the_same++;
	for (i = 0; i < len; i++)
		((u8 *)buf)[i] = word[(addr + i) % 4];
	return 0;
}

/* What a guest puts into its pages must not decide how often they are read. */
static void many_reads_of_a_page(struct kunit *test)
{
	const struct mg_image_memory memory = { .read = read_the_same };
	struct mg_image_cache *cache = new_cache(test);
	struct mg_image image;

	reads_of_the_same = 0;
	mg_image_find_at(cache, &memory, 0xffffffff81000000, true, 0, &image);
	KUNIT_EXPECT_EQ(test, image.kind, MG_IMAGE_UNKNOWN);
	KUNIT_EXPECT_EQ(test, stats_of(cache).spent, 1);
	KUNIT_EXPECT_EQ(test, stats_of(cache).pages, MG_IMAGE_LOOKUP_PAGES);
	KUNIT_EXPECT_LE(test, reads_of_the_same, MG_READS_A_PAGE * MG_IMAGE_LOOKUP_PAGES);
	mg_image_cache_free(cache);
}

static struct kunit_case image_cases[] = {
	KUNIT_CASE(set_name),
	KUNIT_CASE(remembered),
	KUNIT_CASE(bounded),
	KUNIT_CASE(nobody),
	KUNIT_CASE(budget),
	KUNIT_CASE(many_reads_of_a_page),
	KUNIT_CASE(limits),
	KUNIT_CASE(walk_blocks_nobody),
	KUNIT_CASE(without_a_cache),
	KUNIT_CASE(by_the_clock),
	{}
};

static struct kunit_suite image_suite = {
	.name = "msrguard-image",
	.test_cases = image_cases,
};
kunit_test_suites(&image_suite);

MODULE_LICENSE("GPL");
