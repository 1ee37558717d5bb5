// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes the search for a guest's images (kmod/image/).
 *
 * The input is a guest's memory and what is asked of it:
 *
 *   u64  the address
 *   u8   flags: the memory changes while it is read; it was 64-bit code
 *   u8   how many pages the memory has, at most MAX_PAGES, then for each of them
 *        u32  its number, from the address on: of pages, signed
 *        u16  how many bytes of it follow; the rest is 0
 *   and those bytes, page by page.
 *
 * Besides what the sanitizers find, it is a fault if a read crosses a page or is longer than one,
 * if a lock is taken twice, if more is touched than the limits say, if an answer is not
 * well-formed, or if, of memory that does not change, the same is not said twice.
 */
#include "../kmod/image/internal.h"
#include "include/fuzz.h"

#define MAX_PAGES	24
#define CHANGES		1
#define IS_64BIT	2

struct page {
	u64 addr;
	u8 data[MG_GUEST_PAGE];
};

struct guest {
	unsigned int nr;
	u64 numbers;			/* a bit for each page's number, by its last six bits */
	struct page pages[MAX_PAGES];
	bool changes;
	u32 state;
	u64 reads;
};

static struct guest guest;

static u32 next_random(struct guest *g)
{
	g->state = g->state * 1664525 + 1013904223;
	return g->state >> 8;
}

/* Another vCPU writes: one word becomes 0, or what another is. */
static void change(struct guest *g)
{
	struct page *page;
	u32 at, value = 0;

	if (!g->nr || next_random(g) % 4)
		return;
	page = &g->pages[next_random(g) % g->nr];
	at = next_random(g) % 0x400 & ~3u;
	if (next_random(g) % 2)
		memcpy(&value, page->data + (next_random(g) % 0x400 & ~3u), 4);
	memcpy(page->data + at, &value, 4);
}

static int read_guest(void *ctx, u64 addr, void *buf, unsigned int len)
{
	struct guest *g = ctx;
	u32 offset = addr & (MG_GUEST_PAGE - 1);

	g->reads++;
	CHECK(len && offset + len <= MG_GUEST_PAGE);
	if (g->changes)
		change(g);
	if (!(g->numbers >> (addr / MG_GUEST_PAGE % 64) & 1))
		return -EFAULT;
	for (unsigned int i = 0; i < g->nr; i++) {
		if (g->pages[i].addr == (addr & MG_GUEST_PAGE_MASK)) {
			memcpy(buf, g->pages[i].data + offset, len);
			return 0;
		}
	}
	return -EFAULT;
}

static void check_answer(const struct mg_image *image, u64 pc)
{
	size_t len = strnlen(image->name, sizeof(image->name));

	CHECK(len < sizeof(image->name));
	for (size_t i = 0; i < len; i++)
		CHECK(image->name[i] > ' ' && image->name[i] < 0x7f && image->name[i] != '"' &&
		      image->name[i] != '=' && image->name[i] != '\'');
	CHECK(image->build_id_len <= MG_BUILD_ID_MAX);
	switch (image->kind) {
	case MG_IMAGE_UNKNOWN:
		CHECK(!image->base && !image->size && !image->checksum && !image->timestamp &&
		      !image->build_id_len && !len);
		break;
	case MG_IMAGE_PE:
		CHECK(pc - image->base < image->size && !image->build_id_len);
		break;
	case MG_IMAGE_LINUX_KERNEL:
		CHECK(pc >= image->base && !(image->base & 0x1fffff) && len);
		break;
	case MG_IMAGE_LINUX_MODULE:
		CHECK(!(image->base & 0xfff) && image->size && len);
		break;
	default:
		abort();
	}
}

static bool is_same(const struct mg_image *a, const struct mg_image *b)
{
	return a->kind == b->kind && a->base == b->base && a->size == b->size &&
	       a->checksum == b->checksum && a->timestamp == b->timestamp &&
	       a->build_id_len == b->build_id_len &&
	       !memcmp(a->build_id, b->build_id, a->build_id_len) && !strcmp(a->name, b->name);
}

/* What is left of the input. */
struct input {
	const u8 *data;
	size_t len;
};

static bool take(struct input *input, void *to, size_t len)
{
	if (input->len < len)
		return false;
	memcpy(to, input->data, len);
	input->data += len;
	input->len -= len;
	return true;
}

static bool make_guest(struct input *input, u64 pc)
{
	u16 len[MAX_PAGES];
	u8 nr;

	if (!take(input, &nr, 1) || nr > MAX_PAGES)
		return false;
	memset(&guest, 0, sizeof(guest));
	for (guest.nr = 0; guest.nr < nr; guest.nr++) {
		s32 number;

		if (!take(input, &number, 4) || !take(input, &len[guest.nr], 2))
			return false;
		guest.pages[guest.nr].addr =
			(pc & MG_GUEST_PAGE_MASK) + (u64)(s64)number * MG_GUEST_PAGE;
		guest.numbers |= 1ull << guest.pages[guest.nr].addr / MG_GUEST_PAGE % 64;
	}
	for (unsigned int i = 0; i < nr; i++) {
		size_t n = min_t(size_t, len[i], input->len);

		take(input, guest.pages[i].data, min_t(size_t, n, MG_GUEST_PAGE));
	}
	return true;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input input = { data, size };
	struct mg_image_memory mem = { .read = read_guest, .ctx = &guest };
	struct mg_image_cache *cache, *other;
	struct mg_image first, again;
	struct mg_image_stats stats;
	u64 pc, reads;
	u8 flags;

	if (!take(&input, &pc, 8) || !take(&input, &flags, 1) || !make_guest(&input, pc))
		return 0;
	guest.changes = flags & CHANGES;
	guest.state = size;

	cache = mg_image_cache_new();
	other = mg_image_cache_new();
	CHECK(cache && other);
	mg_image_find_at(cache, &mem, pc, flags & IS_64BIT, 0, &first);
	check_answer(&first, pc);
	mg_image_cache_stats(cache, &stats);
	CHECK(stats.lookups == 1 && stats.pages <= MG_IMAGE_LOOKUP_PAGES);
	CHECK(guest.reads <= 8ull * MG_IMAGE_LOOKUP_PAGES);

	reads = guest.reads;
	mg_image_find_at(cache, &mem, pc, flags & IS_64BIT, 1, &again);
	check_answer(&again, pc);
	if (!guest.changes) {
		CHECK(is_same(&first, &again));
		CHECK(guest.reads - reads <= 4);
		mg_image_find_at(other, &mem, pc, flags & IS_64BIT, 0, &again);
		CHECK(is_same(&first, &again));
	}
	mg_image_cache_free(cache);
	mg_image_cache_free(other);
	return 0;
}
