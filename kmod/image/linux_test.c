// SPDX-License-Identifier: GPL-2.0
#include <linux/sizes.h>
#include <linux/string.h>

#include "image_test.h"

/* A kernel of five steps of 2 MB, of which few pages are there. */
#define KERNEL		0xffffffff9a200000ULL
#define STEP		0x200000ULL
#define NR_STEPS	5
#define PC		(KERNEL + 0x123456)
#define BANNER_AT	(KERNEL + STEP + 0x21a0)
#define VDSO_AT		(KERNEL + STEP + 0x5000)
#define NOTES_AT	(KERNEL + 2 * STEP + 0x1990)
#define BANNER		"Linux version 6.1.0-56-amd64 (someone@somewhere)"

static const u8 id_a[20] = "\x01kernel's build id";
static const u8 id_b[20] = "\x02 another build id";

/* The steps, and .notes as Debian's 6.1 has them, with Xen's or without. */
static struct fake *kernel(struct kunit *test, bool has_xen)
{
	struct fake *fake = fake_new(test);
	unsigned int i;
	u64 at = NOTES_AT;

	for (i = 0; i < NR_STEPS; i++)
		fake_map(fake, KERNEL + i * STEP);
	fake_map(fake, PC);
	fake_write(fake, BANNER_AT, BANNER, sizeof(BANNER));
	if (has_xen) {
		at = fake_put_note(fake, at, "Xen", 6, "linux", 6);
		at = fake_put_note(fake, at, "Xen", 10, "!writable_page_tables|pae", 26);
	}
	at = fake_put_build_id(fake, at, id_a);
	at = fake_put_note(fake, at, "Linux", 0x101, "\0\0\0", 4);
	at = fake_put_note(fake, at, "Linux", 0x100, "6.1.0-56-amd64", 15);
	if (has_xen)
		fake_put_note(fake, at, "Xen", 0x12, "\0\0\0\0\0\0\0", 8);
	return fake;
}

/* An ELF file of @pages pages, with notes at 0x314 of its first page. */
static void put_elf(struct fake *fake, u64 at, unsigned int pages, const char *linux_desc, u32 type,
		    const u8 *id)
{
	u64 note = at + 0x314;

	fake_write(fake, at, "\x7f\x45LF\x02\x01\x01", 7);
	fake_put64(fake, at + 0x28, pages * MG_GUEST_PAGE - 0x400);
	fake_put16(fake, at + 0x3a, 64);
	fake_put16(fake, at + 0x3c, 16);
	note = fake_put_note(fake, note, "Linux", type, linux_desc, 4);
	note = fake_put_note(fake, note, "Linux", 0x100, "6.1.0-56-amd64", 15);
	fake_put_build_id(fake, note, id);
}

static void expect_kernel(struct fake *fake, u64 pc, const u8 *id)
{
	struct kunit *test = fake->test;
	struct mg_image image;

	fake_find(fake, pc, true, &image);
	KUNIT_ASSERT_EQ(test, image.kind, MG_IMAGE_LINUX_KERNEL);
	KUNIT_EXPECT_EQ(test, image.base, KERNEL);
	KUNIT_EXPECT_EQ(test, image.size, 0);
	KUNIT_EXPECT_EQ(test, image.checksum, 0);
	KUNIT_EXPECT_EQ(test, image.timestamp, 0);
	KUNIT_EXPECT_STREQ(test, image.name, "vmlinux");
	KUNIT_EXPECT_EQ(test, image.build_id_len, id ? 20 : 0);
	if (id)
		KUNIT_EXPECT_EQ(test, memcmp(image.build_id, id, 20), 0);
}

static void kernels(struct kunit *test)
{
	struct fake *fake = kernel(test, true);
	u64 last = KERNEL + NR_STEPS * STEP - MG_GUEST_PAGE;

	expect_kernel(fake, PC, id_a);
	expect_kernel(kernel(test, false), PC, id_a);
	/* Init text, behind all else. */
	fake_map(fake, last);
	expect_kernel(fake, last + 0xfff, id_a);
	/* Not mapped, the other width, and outside of what a kernel's mapping is. */
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, last - 1, true));
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, PC, false));
	fake_map(fake, KERNEL + 0x40000000);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, KERNEL + 0x40000000, true));
}

static void without_evidence(struct kunit *test)
{
	struct fake *fake = kernel(test, true);

	/* No banner. */
	fake_put32(fake, BANNER_AT + 8, 0);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, PC, true));
	/* No notes. */
	fake = kernel(test, true);
	fake_unmap(fake, NOTES_AT);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, PC, true));
	/* A build id that none of Linux's or Xen's notes stands by. */
	fake_put_build_id(fake, NOTES_AT, id_a);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, PC, true));
	/* A step without its page ends the image before the notes. */
	fake = kernel(test, true);
	fake_unmap(fake, KERNEL + 2 * STEP);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, PC, true));
	/* Build ids that are too long or too short. */
	fake = kernel(test, false);
	fake_put32(fake, NOTES_AT + 4, 0);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, PC, true));
	fake_put32(fake, NOTES_AT + 4, 36);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, PC, true));
	fake_put32(fake, NOTES_AT + 4, 0xffffffff);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, PC, true));
}

static void vdso(struct kunit *test)
{
	struct fake *fake = kernel(test, false);

	/* Told by being an ELF file, and by the note with the version. */
	put_elf(fake, VDSO_AT, 2, "\0\1\6\0", 0, id_b);
	expect_kernel(fake, PC, id_a);
	fake_put32(fake, VDSO_AT, 0);
	expect_kernel(fake, PC, id_a);
	put_elf(fake, VDSO_AT, 2, "\0\0\0\0", 0x101, id_b);
	expect_kernel(fake, PC, id_a);
	fake_put32(fake, VDSO_AT, 0);
	expect_kernel(fake, PC, NULL);
	/* Of an ELF file longer than a vDSO only the first page is passed over. */
	fake = kernel(test, false);
	put_elf(fake, NOTES_AT - 0x1990, 1 << 20, "\0\0\0\0", 0x101, id_b);
	expect_kernel(fake, PC, id_a);
	fake_put64(fake, NOTES_AT - 0x1990 + 0x28, 0xffffffffffffff00ULL);
	expect_kernel(fake, PC, id_a);
	fake_put64(fake, NOTES_AT - 0x1990 + 0x28, 0);
	fake_put32(fake, NOTES_AT - 0x1990 + 0x3a, 0xffffffff);
	expect_kernel(fake, PC, id_a);
}

/* What a module or another kernel has left in memory that was the kernel's own once. */
static void several_candidates(struct kunit *test)
{
	struct fake *fake = kernel(test, false);
	u64 at = KERNEL + 3 * STEP + 0x3f00;

	at = fake_put_build_id(fake, at, id_a);
	fake_put_note(fake, at, "Linux", 0x101, "\0\0\0", 4);
	expect_kernel(fake, PC, id_a);
	at = KERNEL + 3 * STEP + 0x5f00;
	at = fake_put_build_id(fake, at, id_b);
	fake_put_note(fake, at, "Linux", 0x101, "\0\0\0", 4);
	expect_kernel(fake, PC, NULL);

	/* Notes of Xen tell them apart; two such do not. */
	fake = kernel(test, true);
	at = KERNEL + STEP + 0x5f00;
	at = fake_put_build_id(fake, at, id_b);
	fake_put_note(fake, at, "Linux", 0x101, "\0\0\0", 4);
	expect_kernel(fake, PC, id_a);
	at = KERNEL + STEP + 0x7ff0;
	at = fake_put_note(fake, at, "Xen", 6, "linux", 6);
	at = fake_put_build_id(fake, at, id_b);
	expect_kernel(fake, PC, NULL);

	/* Two in one run. */
	fake = kernel(test, false);
	at = fake_put_build_id(fake, NOTES_AT, id_a);
	at = fake_put_build_id(fake, at, id_b);
	fake_put_note(fake, at, "Linux", 0x101, "\0\0\0", 4);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, PC, true));
}

/* Notes across pages, and at the end of what is mapped. */
static void places_of_notes(struct kunit *test)
{
	struct fake *fake;
	u64 at;

	for (at = KERNEL + STEP + 0x3000 - 0x50; at < KERNEL + STEP + 0x3010; at += 4) {
		u64 end = at;

		fake = kernel(test, false);
		fake_unmap(fake, NOTES_AT);
		end = fake_put_note(fake, end, "Linux", 0x101, "\0\0\0", 4);
		fake_put_build_id(fake, end, id_b);
		expect_kernel(fake, PC, id_b);
	}
	fake = kernel(test, false);
	fake_unmap(fake, NOTES_AT);
	at = fake_put_note(fake, KERNEL + STEP + 0x3000 - 60, "Linux", 0x101, "\0\0\0", 4);
	KUNIT_ASSERT_EQ(test, at + 36, KERNEL + STEP + 0x3000);
	fake_put_build_id(fake, at, id_b);
	expect_kernel(fake, PC, id_b);
	/* The banner, too. */
	for (at = KERNEL + STEP + 0x3000 - 16; at < KERNEL + STEP + 0x3000; at += 4) {
		fake = kernel(test, true);
		fake_put32(fake, BANNER_AT, 0);
		fake_write(fake, at, BANNER, sizeof(BANNER));
		expect_kernel(fake, PC, id_a);
	}
}

enum layout { LINUX_6_1, LINUX_6_4, LINUX_6_13, LINUX_6_14, NR_LAYOUTS };

#define AREA	0xffffffffc0200000ULL

/* A module's parts: up to 6.3 they are one piece, of which the text is the beginning. */
struct part {
	u64 base;
	u32 size;
};

struct fake_module {
	u64 addr;		/* of struct module */
	const char *name;
	struct part text, data, rodata, init;
	u64 notes_at;
	const u8 *id;
};

/* Three modules in the order of the list; each struct in its data, notes where nothing else is. */
static const struct fake_module modules[] = {
	{ AREA + 0x12040, "msr", { AREA + 0x10000, 0x1000 }, { AREA + 0x12000, 0x2000 },
	  { AREA + 0x11000, 0x1000 }, { 0, 0 }, AREA + 0x11e40, id_a },
	{ AREA + 0x26ec0, "mg_test", { AREA + 0x20000, 0x2400 }, { AREA + 0x25000, 0x3000 },
	  { AREA + 0x23000, 0x2000 }, { AREA + 0x50000, 0x800 }, AREA + 0x23ff0, id_b },
	{ AREA + 0x33fc0, "a_module_with_a_name_of_the_greatest_length_that_it_can", /* 55 */
	  { AREA + 0x30000, 0x1000 }, { AREA + 0x32000, 0x3000 }, { AREA + 0x31000, 0x1000 },
	  { 0, 0 }, 0, NULL },
};

#define LIST_HEAD_AT	(KERNEL + 4 * STEP + 0x1230)

/* One struct module_layout or module_memory. Returns where the next begins. */
static u64 put_range(struct fake *fake, enum layout layout, const struct fake_module *module,
		     u64 at, const struct part *part, u32 size, u32 nth)
{
	fake_put64(fake, at, part->base);
	switch (layout) {
	case LINUX_6_1:
		fake_put32(fake, at + 8, size);
		fake_put32(fake, at + 12, part->size);
		fake_put32(fake, at + 16, part->size + (size - part->size) / 2);
		fake_put32(fake, at + 20, part->size + (size - part->size) / 2);
		at += 24;
		break;
	case LINUX_6_4:
		fake_put32(fake, at + 8, part->size);
		at += 16;
		break;
	case LINUX_6_13:
		fake_put64(fake, at + 8, nth ? part->base : 0);
		fake_put32(fake, at + 16, !nth && part->base);
		fake_put32(fake, at + 20, part->size);
		at += 24;
		break;
	default:
		fake_put32(fake, at + 8, !nth && part->base);
		fake_put32(fake, at + 12, part->size);
		at += 16;
		break;
	}
	fake_put64(fake, at, module->addr);
	/* The search tree's nodes. */
	fake_put64(fake, at + 8, 0xffffffffc0345601ULL);
	return at + 56;
}

static void put_module(struct fake *fake, enum layout layout, const struct fake_module *module,
		       u64 next, u64 prev)
{
	static const struct part none;
	u64 at = module->addr;

	fake_put64(fake, at, module->init.base ? 1 : 0);
	fake_put64(fake, at + 8, next);
	fake_put64(fake, at + 16, prev);
	fake_write(fake, at + 24, module->name, strlen(module->name) + 1);
	/* mkobj: sd, kref and bits, and a pointer to the module. */
	fake_put64(fake, at + 0x88, 0xffff888103456000ULL);
	fake_put64(fake, at + 0x90, 0x700000004ULL);
	fake_put64(fake, at + 0x98, module->addr);
	at += 0x140;
	if (layout == LINUX_6_1) {
		u32 size = module->data.base + module->data.size - module->text.base;

		at = put_range(fake, layout, module, at, &module->text, size, 0);
		put_range(fake, layout, module, at, &module->init, module->init.size, 1);
	} else {
		at = put_range(fake, layout, module, at, &module->text, 0, 0);
		at = put_range(fake, layout, module, at, &module->data, 0, 1);
		at = put_range(fake, layout, module, at, &module->rodata, 0, 2);
		at = put_range(fake, layout, module, at, &none, 0, 3);
		at = put_range(fake, layout, module, at, &module->init, 0, 4);
		at = put_range(fake, layout, module, at, &none, 0, 5);
		put_range(fake, layout, module, at, &none, 0, 6);
	}
	if (module->id) {
		/* The processor's properties in front of it, as from 6.12 on. */
		at = fake_put_note(fake, module->notes_at, "GNU", 5, "\2\0\0\xc0\4\0\0\0\1\0\0\0\0\0\0",
				   16);
		at = fake_put_build_id(fake, at, module->id);
		fake_put_note(fake, at, "Linux", 0x101, "\0\0\0", 4);
	}
}

static struct fake *guest(struct kunit *test, enum layout layout)
{
	struct fake *fake = fake_new(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(modules); i++) {
		u64 next = i + 1 < ARRAY_SIZE(modules) ? modules[i + 1].addr + 8 : LIST_HEAD_AT;
		u64 prev = i ? modules[i - 1].addr + 8 : LIST_HEAD_AT;

		put_module(fake, layout, &modules[i], next, prev);
	}
	fake_put64(fake, LIST_HEAD_AT, modules[0].addr + 8);
	fake_put64(fake, LIST_HEAD_AT + 8, modules[ARRAY_SIZE(modules) - 1].addr + 8);
	return fake;
}

static void expect_module(struct fake *fake, enum layout layout, u64 pc, unsigned int nth,
			  const u8 *id)
{
	const struct fake_module *module = &modules[nth];
	struct kunit *test = fake->test;
	u64 size = module->text.size;
	struct mg_image image;

	if (layout == LINUX_6_1)
		size = module->data.base + module->data.size - module->text.base;
	fake_find(fake, pc, true, &image);
	KUNIT_ASSERT_EQ_MSG(test, image.kind, MG_IMAGE_LINUX_MODULE, "layout %u pc %llx", layout,
			    pc);
	KUNIT_EXPECT_EQ(test, image.base, module->text.base);
	KUNIT_EXPECT_EQ(test, image.size, size);
	KUNIT_EXPECT_STREQ(test, image.name, module->name);
	KUNIT_EXPECT_EQ_MSG(test, image.build_id_len, id ? 20 : 0, "layout %u", layout);
	if (id)
		KUNIT_EXPECT_EQ(test, memcmp(image.build_id, id, 20), 0);
}

static void layouts(struct kunit *test)
{
	enum layout layout;
	unsigned int i;

	for (layout = 0; layout < NR_LAYOUTS; layout++) {
		struct fake *fake = guest(test, layout);

		for (i = 0; i < ARRAY_SIZE(modules); i++) {
			const struct fake_module *module = &modules[i];

			expect_module(fake, layout, module->text.base, i, module->id);
			expect_module(fake, layout, module->text.base + module->text.size - 1, i,
				      module->id);
		}
		/* Init text of a module that is just loaded. */
		expect_module(fake, layout, AREA + 0x50123, 1, id_b);
		KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, AREA + 0x50800, true));
		KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, AREA + 0x40000, true));
		KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, modules[0].text.base, false));
	}
}

static void module_build_ids(struct kunit *test)
{
	enum layout layout;

	for (layout = 0; layout < NR_LAYOUTS; layout++) {
		struct fake *fake = guest(test, layout);
		u64 pc = modules[1].text.base;

		/* A second one, be it the same: a blob in its data. */
		fake_put_build_id(fake, modules[1].data.base + 0x400, id_b);
		expect_module(fake, layout, pc, 1, NULL);
		/* In its text are none. */
		fake = guest(test, layout);
		fake_put_build_id(fake, modules[1].text.base + 0x400, id_a);
		expect_module(fake, layout, pc, 1, id_b);
		/* And another type of note is none. */
		fake_put_note(fake, modules[1].data.base + 0x400, "GNU", 5, id_a, 16);
		expect_module(fake, layout, pc, 1, id_b);
	}
}

static void broken_lists(struct kunit *test)
{
	u64 pc = modules[1].text.base + 0x10, other = modules[1].addr;
	struct fake *fake;
	unsigned int i;

	/* No back link, of either kind. */
	fake = guest(test, LINUX_6_4);
	fake_put64(fake, modules[2].addr + 16, LIST_HEAD_AT);
	fake_put64(fake, LIST_HEAD_AT, modules[1].addr + 8);
	for (i = 0; i < ARRAY_SIZE(modules); i++)
		KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, AREA + 0x40000, true));
	/* The module itself names no memory, or its struct is not in it. */
	fake = guest(test, LINUX_6_4);
	fake_put64(fake, other + 0x140 + 72 + 16, other + 8);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, pc, true));
	fake = guest(test, LINUX_6_4);
	fake_put32(fake, other + 0x140 + 72 + 8, 0x1000);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, pc, true));
	/* Ranges that are none. */
	fake = guest(test, LINUX_6_4);
	fake_put64(fake, other + 0x140, modules[1].text.base + 8);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, pc, true));
	fake_put64(fake, other + 0x140, 0xffff888000000000ULL);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, pc, true));
	fake = guest(test, LINUX_6_1);
	fake_put32(fake, other + 0x140 + 12, 0x10000);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, pc, true));
	/* Names that are none. */
	fake = guest(test, LINUX_6_4);
	fake_write(fake, other + 24, "", 1);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, pc, true));
	for (i = 0; i < 56; i++)
		fake_write(fake, other + 24 + i, "n", 1);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, pc, true));
	fake_write(fake, other + 24, "a b", 4);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, pc, true));
}

/* A list that never comes back to where it began. */
static void endless_list(struct kunit *test)
{
	struct fake *fake = guest(test, LINUX_6_4);
	u64 trap = KERNEL + 0x3000;

	fake_put64(fake, modules[2].addr + 8, trap);
	fake_put64(fake, trap, trap);
	fake_put64(fake, trap + 8, trap);
	KUNIT_EXPECT_TRUE(test, fake_is_unknown(fake, AREA + 0x40000, true));
	KUNIT_EXPECT_LT(test, fake->reads, 3 * MG_IMAGE_LOOKUP_PAGES);
}

/* Any word of what a module is told by, changed: right or unknown. */
static void module_mutations(struct kunit *test)
{
	static const u64 values[] = {
		0, 1, 8, 0x1000, 0xffffffff, AREA, AREA + 0x20000, AREA + 0x26ec0, AREA + 0x26ec8,
		LIST_HEAD_AT, KERNEL, 0xffffffffffffffffULL, 0xffff888000001000ULL,
	};
	struct rnd_state random;
	unsigned int round, found = 0;
	enum layout layout;

	prandom_seed_state(&random, 20261125);
	for (layout = 0; layout < NR_LAYOUTS; layout++) {
		struct fake *fake = guest(test, layout);

		/* The other pages near are no modules; do not let it go far for them. */
		for (round = 0; round < 60; round++) {
			const struct fake_module *module =
				&modules[prandom_u32_state(&random) % ARRAY_SIZE(modules)];
			u64 at = module->addr + prandom_u32_state(&random) % 0x340 / 8 * 8;
			u64 value = values[prandom_u32_state(&random) % ARRAY_SIZE(values)];
			struct mg_image image;
			u8 old[8];

			/* Names and sizes are the guest's to say. */
			if (at - module->addr >= 24 && at - module->addr < 80)
				continue;
			fake_read(fake, at, old, sizeof(old));
			fake_put64(fake, at, value);
			fake_find(fake, modules[1].text.base + 0x100, true, &image);
			fake_write(fake, at, old, sizeof(old));
			if (image.kind == MG_IMAGE_UNKNOWN)
				continue;
			found++;
			KUNIT_EXPECT_EQ(test, image.kind, MG_IMAGE_LINUX_MODULE);
			KUNIT_EXPECT_TRUE_MSG(test, !strcmp(image.name, "mg_test") ||
					      (module != &modules[1] && value == AREA + 0x20000),
					      "layout %u: %s, %llx at %llx", layout, image.name,
					      value, at);
		}
	}
	KUNIT_EXPECT_GT(test, found, 0);
}

static struct kunit_case linux_cases[] = {
	KUNIT_CASE(kernels),
	KUNIT_CASE(without_evidence),
	KUNIT_CASE(vdso),
	KUNIT_CASE(several_candidates),
	KUNIT_CASE(places_of_notes),
	KUNIT_CASE(layouts),
	KUNIT_CASE(module_build_ids),
	KUNIT_CASE(broken_lists),
	KUNIT_CASE(endless_list),
	KUNIT_CASE(module_mutations),
	{}
};

static struct kunit_suite linux_suite = {
	.name = "msrguard-image-linux",
	.test_cases = linux_cases,
};
kunit_test_suites(&linux_suite);
