// SPDX-License-Identifier: GPL-2.0
/*
 * Finding an image, by what is remembered or by a walk; budget and locks.
 */
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/time64.h>

#include "internal.h"

/**
 * struct cached - an image that was found
 * @used:      when it was used last, by @clock; 0 if the place is free
 * @is_64bit:  for whom it was found
 * @found:     the image
 */
struct cached {
	u64 used;
	bool is_64bit;
	struct mg_found found;
};

/**
 * struct cached_none - a page in which nobody was found
 * @page:     the page
 * @is_64bit: for whom
 * @until:    the time up to which that is believed
 */
struct cached_none {
	u64 page;
	bool is_64bit;
	u64 until;
};

/**
 * struct mg_image_cache - what is remembered of one VM's images
 * @walk_lock: one walk at a time. Held while guest memory is read, for as long as the VMM likes
 * @lock:      for all else; never held while guest memory is read
 * @clock:     counts uses
 * @images:    found
 * @none:      not found
 * @next_none: the place that goes next
 * @budget:    pages that walks may touch now
 * @filled:    time up to which @budget has been filled
 * @stats:     see there
 */
struct mg_image_cache {
	struct mutex walk_lock;
	spinlock_t lock;
	u64 clock;
	struct cached images[MG_IMAGE_CACHED];
	struct cached_none none[MG_IMAGE_CACHED_NONE];
	unsigned int next_none;
	u32 budget;
	u64 filled;
	struct mg_image_stats stats;
};

struct mg_image_cache *mg_image_cache_new(void)
{
	struct mg_image_cache *cache = kvzalloc(sizeof(*cache), GFP_KERNEL_ACCOUNT);

	if (!cache)
		return NULL;
	mutex_init(&cache->walk_lock);
	spin_lock_init(&cache->lock);
	cache->budget = MG_IMAGE_BUDGET_PAGES;
	return cache;
}

void mg_image_cache_free(struct mg_image_cache *cache)
{
	if (!cache)
		return;
	mutex_destroy(&cache->walk_lock);
	kvfree(cache);
}

void mg_image_cache_stats(struct mg_image_cache *cache, struct mg_image_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	if (!cache)
		return;
	spin_lock(&cache->lock);
	*stats = cache->stats;
	spin_unlock(&cache->lock);
}

static struct cached *cached_at(struct mg_image_cache *cache, u64 pc, bool is_64bit)
{
	unsigned int i;

	for (i = 0; i < MG_IMAGE_CACHED; i++) {
		struct cached *cached = &cache->images[i];

		if (cached->used && cached->is_64bit == is_64bit && pc >= cached->found.first &&
		    pc <= cached->found.last)
			return cached;
	}
	return NULL;
}

static bool is_none_at(const struct mg_image_cache *cache, u64 pc, bool is_64bit, u64 now)
{
	unsigned int i;

	for (i = 0; i < MG_IMAGE_CACHED_NONE; i++) {
		const struct cached_none *none = &cache->none[i];

		if (none->until > now && none->page == (pc & MG_GUEST_PAGE_MASK) &&
		    none->is_64bit == is_64bit)
			return true;
	}
	return false;
}

/* Read one identity, by pages; @len is a few dozen bytes. */
static bool is_there(const struct mg_image_memory *mem, const struct mg_identity *identity)
{
	u8 now[MG_IDENTITY_LEN];
	u32 done = 0;

	while (done < identity->len) {
		u64 at = identity->addr + done;
		u32 step = MG_GUEST_PAGE - (at & (MG_GUEST_PAGE - 1));

		step = min(step, identity->len - done);
		if (mem->read(mem->ctx, at, now + done, step))
			return false;
		done += step;
	}
	return !memcmp(now, identity->bytes, identity->len);
}

/*
 * Answer from what is remembered. An image that is not there any more, in the address space that
 * the guest has now, is forgotten.
 */
static bool find_cached(struct mg_image_cache *cache, const struct mg_image_memory *mem, u64 pc,
			bool is_64bit, u64 now, struct mg_image *image)
{
	struct mg_found found;
	struct cached *cached;
	unsigned int i;
	u64 used;

	spin_lock(&cache->lock);
	cached = cached_at(cache, pc, is_64bit);
	if (!cached) {
		bool is_none = is_none_at(cache, pc, is_64bit, now);

		cache->stats.hits += is_none;
		spin_unlock(&cache->lock);
		return is_none;
	}
	used = ++cache->clock;
	cached->used = used;
	found = cached->found;
	spin_unlock(&cache->lock);

	for (i = 0; i < found.nr_identity; i++) {
		if (!is_there(mem, &found.identity[i]))
			break;
	}
	spin_lock(&cache->lock);
	if (i == found.nr_identity) {
		*image = found.image;
		cache->stats.hits++;
	} else if (cached->used == used) {
		/* Nobody has used or replaced it meanwhile. */
		cached->used = 0;
		cache->stats.dropped++;
	}
	spin_unlock(&cache->lock);
	return i == found.nr_identity;
}

static void remember(struct mg_image_cache *cache, const struct mg_found *found, bool is_64bit)
{
	struct cached *place = &cache->images[0];
	unsigned int i;

	for (i = 0; i < MG_IMAGE_CACHED; i++) {
		struct cached *cached = &cache->images[i];

		/* What overlaps has gone, or one of the two is wrong. */
		if (cached->used && cached->found.first <= found->last &&
		    found->first <= cached->found.last)
			cached->used = 0;
		if (cached->used < place->used)
			place = cached;
	}
	place->used = ++cache->clock;
	place->is_64bit = is_64bit;
	place->found = *found;
}

static void remember_none(struct mg_image_cache *cache, u64 pc, bool is_64bit, u64 now)
{
	struct cached_none *none = &cache->none[cache->next_none];

	none->page = pc & MG_GUEST_PAGE_MASK;
	none->is_64bit = is_64bit;
	none->until = now + MG_IMAGE_NONE_NSEC;
	cache->next_none = (cache->next_none + 1) % MG_IMAGE_CACHED_NONE;
}

/* A walk begins only if the budget lasts for the longest. */
static bool take_budget(struct mg_image_cache *cache, u64 now)
{
	u64 passed = now - cache->filled;
	u64 pages;

	if (now < cache->filled)
		passed = 0;
	/* More fills it anyway, and would overflow. */
	passed = min_t(u64, passed, 100ULL * NSEC_PER_SEC);
	pages = div_u64(passed * MG_IMAGE_PAGES_PER_SEC, NSEC_PER_SEC);
	if (pages) {
		cache->budget = min_t(u64, cache->budget + pages, MG_IMAGE_BUDGET_PAGES);
		cache->filled = now;
	}
	if (cache->budget < MG_IMAGE_LOOKUP_PAGES) {
		cache->stats.spent++;
		return false;
	}
	cache->budget -= MG_IMAGE_LOOKUP_PAGES;
	return true;
}

/* A test has a time of its own. */
static u64 time_now(const u64 *given)
{
	return given ? *given : ktime_get_ns();
}

static void settle(struct mg_image_cache *cache, const struct mg_walk *walk,
		   const struct mg_found *found, u64 now)
{
	spin_lock(&cache->lock);
	cache->budget += walk->pages_left;
	cache->stats.lookups++;
	cache->stats.pages += walk->pages;
	cache->stats.spent += walk->is_spent;
	cache->stats.unstable += walk->is_unstable;
	if (found->image.kind != MG_IMAGE_UNKNOWN) {
		cache->stats.found++;
		remember(cache, found, walk->is_64bit);
	} else if (!walk->is_unstable) {
		remember_none(cache, walk->pc, walk->is_64bit, now);
	}
	spin_unlock(&cache->lock);
}

static bool find(struct mg_walk *walk, struct mg_found *found)
{
	static bool (*const finders[])(struct mg_walk *walk, struct mg_found *found) = {
		mg_find_linux_kernel, mg_find_linux_module, mg_find_pe,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(finders); i++) {
		memset(found, 0, sizeof(*found));
		if (finders[i](walk, found))
			return true;
		if (walk->is_spent || walk->is_unstable)
			break;
	}
	memset(found, 0, sizeof(*found));
	return false;
}

static void look_up(struct mg_image_cache *cache, const struct mg_image_memory *mem, u64 pc,
		    bool is_64bit, const u64 *given, struct mg_image *image)
{
	struct mg_found found;
	struct mg_walk *walk;
	bool may;

	walk = kvmalloc(sizeof(*walk), GFP_KERNEL_ACCOUNT);
	if (!walk)
		return;
	spin_lock(&cache->lock);
	may = take_budget(cache, time_now(given));
	spin_unlock(&cache->lock);
	if (may) {
		mg_walk_begin(walk, mem, pc, is_64bit, MG_IMAGE_LOOKUP_PAGES);
		if (find(walk, &found))
			*image = found.image;
		/* The walk took its time, and "nobody is here" holds from its end on. */
		settle(cache, walk, &found, time_now(given));
	}
	kvfree(walk);
}

static void find_image(struct mg_image_cache *cache, const struct mg_image_memory *mem, u64 pc,
		       bool is_64bit, const u64 *given, struct mg_image *image)
{
	memset(image, 0, sizeof(*image));
	if (!cache || find_cached(cache, mem, pc, is_64bit, time_now(given), image))
		return;
	if (mutex_lock_killable(&cache->walk_lock))
		return;
	/* Whoever had the lock may have looked for the same. */
	if (!find_cached(cache, mem, pc, is_64bit, time_now(given), image))
		look_up(cache, mem, pc, is_64bit, given, image);
	mutex_unlock(&cache->walk_lock);
}

/* mg_image_find(), with the time given. */
void mg_image_find_at(struct mg_image_cache *cache, const struct mg_image_memory *mem, u64 pc,
		      bool is_64bit, u64 now, struct mg_image *image)
{
	find_image(cache, mem, pc, is_64bit, &now, image);
}

void mg_image_find(struct mg_image_cache *cache, const struct mg_image_memory *mem, u64 pc,
		   bool is_64bit, struct mg_image *image)
{
	find_image(cache, mem, pc, is_64bit, NULL, image);
}
