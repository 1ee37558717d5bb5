// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that changes while it is read: the answer is of one of its states, or there is none.
 */
#include <linux/string.h>

#include "image_test.h"

#define BASE	0xfffff80312340000ULL
#define KERNEL	0xffffffff9a200000ULL

/* What stands at the same place in turn. */
static const struct fake_pe states[] = {
	{ .base = BASE, .lfanew = 0x80, .is_64bit = true, .timestamp = 0x11111111,
	  .checksum = 0x1a1a1a1a, .text_size = 0x1800, .pdb = "first.pdb" },
	{ .base = BASE, .lfanew = 0x80, .is_64bit = true, .timestamp = 0x22222222,
	  .checksum = 0x2b2b2b2b, .text_size = 0x1900, .pdb = "other.pdb" },
	/* The header elsewhere, and across two pages of which the second has the checksum. */
	{ .base = BASE, .lfanew = 0xfc0, .is_64bit = true, .timestamp = 0x33333333,
	  .checksum = 0x3c3c3c3c, .text_size = 0x1800, .pdb = "third.pdb" },
};

struct flips {
	struct fake *memory[ARRAY_SIZE(states)];
	unsigned int nr_states;
	unsigned int state;
	unsigned int calls;
	unsigned int at;	/* the call at which the state changes, if not at random */
	unsigned int one_in;	/* how often it changes at random; 0 never */
	struct rnd_state random;
};

static void show(struct fake *fake, struct flips *flips)
{
	struct fake *now = flips->memory[flips->state];

	fake->nr = now->nr;
	memcpy(fake->pages, now->pages, sizeof(fake->pages));
}

static void flip(struct fake *fake, void *data)
{
	struct flips *flips = data;

	if (flips->one_in ? prandom_u32_state(&flips->random) % flips->one_in :
			    flips->calls++ != flips->at)
		return;
	flips->state = (flips->state + 1) % flips->nr_states;
	show(fake, flips);
}

/* -1 if nothing was said. */
static int state_of(struct kunit *test, const struct mg_image *image)
{
	unsigned int i;

	if (image->kind == MG_IMAGE_UNKNOWN)
		return -1;
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		if (image->timestamp == states[i].timestamp)
			break;
	}
	KUNIT_ASSERT_LT(test, i, ARRAY_SIZE(states));
	KUNIT_EXPECT_EQ(test, image->base, BASE);
	KUNIT_EXPECT_EQ(test, image->size, fake_size(&states[i]));
	KUNIT_EXPECT_EQ(test, image->checksum, states[i].checksum);
	KUNIT_EXPECT_STREQ(test, image->name, states[i].pdb);
	return i;
}

static struct fake *flipping(struct kunit *test, struct flips *flips)
{
	struct fake *fake = fake_new(test);
	unsigned int i;

	memset(flips, 0, sizeof(*flips));
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		struct fake_pe pe = states[i];

		flips->memory[i] = fake_new(test);
		fake_put_pe(flips->memory[i], &pe);
		/* Behind the header, if that is long. */
		if (pe.lfanew > 0x100) {
			fake_put32(flips->memory[i], FAKE_SECTIONS(&pe) + 12, 0x2000);
			fake_put32(flips->memory[i], FAKE_SECTIONS(&pe) + 8, 0x900);
		}
	}
	fake->hook = flip;
	fake->hook_data = flips;
	return fake;
}

/* One change, at each place at which there may be one. */
static void one_change(struct kunit *test)
{
	unsigned int from, to, at, unknown = 0, seen[ARRAY_SIZE(states)] = {};

	for (from = 0; from < ARRAY_SIZE(states); from++) {
		for (to = 0; to < ARRAY_SIZE(states); to++) {
			struct flips flips;
			struct fake *fake = flipping(test, &flips);
			struct fake *pair[] = { flips.memory[from], flips.memory[to] };

			memcpy(flips.memory, pair, sizeof(pair));
			flips.nr_states = 2;
			for (at = 0; at < 300; at++) {
				struct mg_image image;
				int state;

				flips.state = 0;
				flips.calls = 0;
				flips.at = at;
				show(fake, &flips);
				fake_find(fake, BASE + 0x2010, true, &image);
				state = state_of(test, &image);
				if (state < 0)
					unknown++;
				else
					seen[state]++;
				KUNIT_EXPECT_TRUE(test, state < 0 || state == from || state == to);
			}
		}
	}
	KUNIT_EXPECT_GT(test, unknown, 100);
	for (from = 0; from < ARRAY_SIZE(states); from++)
		KUNIT_EXPECT_GT(test, seen[from], 100);
}

/* Changes all the time. */
static void many_changes(struct kunit *test)
{
	struct flips flips;
	struct fake *fake = flipping(test, &flips);
	unsigned int round, unknown = 0;

	flips.nr_states = ARRAY_SIZE(states);
	prandom_seed_state(&flips.random, 20261125);
	for (round = 0; round < 3000; round++) {
		struct mg_image image;

		flips.one_in = 2 + round % 40;
		show(fake, &flips);
		fake_find(fake, BASE + 0x2010, true, &image);
		unknown += state_of(test, &image) < 0;
	}
	KUNIT_EXPECT_GT(test, unknown, 2000);
	KUNIT_EXPECT_LT(test, unknown, 3000);
}

/* A build id that changes between two reads of it. */
static void build_id(struct kunit *test)
{
	static const u8 id_a[20] = "aaaaaaaaaaaaaaaaaaaa", id_b[20] = "bbbbbbbbbbbbbbbbbbbb";
	struct fake *fake = fake_new(test);
	struct flips flips = {};
	unsigned int i, at, seen[2] = {}, unknown = 0;

	for (i = 0; i < 2; i++) {
		struct fake *memory = fake_new(test);
		u64 note = KERNEL + 0x3010;

		fake_map(memory, KERNEL);
		fake_write(memory, KERNEL + 0x2000, "Linux version 6", 15);
		note = fake_put_note(memory, note, "Xen", 6, "linux", 6);
		fake_put_build_id(memory, note, i ? id_b : id_a);
		flips.memory[i] = memory;
	}
	flips.nr_states = 2;
	fake->hook = flip;
	fake->hook_data = &flips;
	/* It is read after the 512 pages of a step. */
	for (at = 0; at < 700; at++) {
		struct mg_image image;

		flips.state = 0;
		flips.calls = 0;
		flips.at = at;
		show(fake, &flips);
		fake_find(fake, KERNEL + 0x2010, true, &image);
		if (image.kind == MG_IMAGE_UNKNOWN) {
			unknown++;
			continue;
		}
		KUNIT_ASSERT_EQ(test, image.kind, MG_IMAGE_LINUX_KERNEL);
		KUNIT_ASSERT_EQ(test, image.build_id_len, 20);
		i = image.build_id[0] == 'b';
		KUNIT_EXPECT_EQ(test, memcmp(image.build_id, i ? id_b : id_a, 20), 0);
		seen[i]++;
	}
	KUNIT_EXPECT_GT(test, unknown, 10);
	KUNIT_EXPECT_GT(test, seen[0], 10);
	KUNIT_EXPECT_GT(test, seen[1], 5);
}

static struct kunit_case torn_cases[] = {
	KUNIT_CASE(one_change),
	KUNIT_CASE(many_changes),
	KUNIT_CASE(build_id),
	{}
};

static struct kunit_suite torn_suite = {
	.name = "msrguard-image-torn",
	.test_cases = torn_cases,
};
kunit_test_suites(&torn_suite);
