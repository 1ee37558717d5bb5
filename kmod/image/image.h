/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which image of the guest stands at the address of an instruction.
 *
 * Plain C over a callback that reads guest memory: nothing here knows KVM or x86 of the host.
 * All that is read belongs to a guest that may lie and may change it at any time. So every length
 * and offset is checked, each value is fetched once into a copy that all is taken from, what an
 * answer rests on is read again at the end, and what one look-up and one VM may cost is bounded.
 * An answer is what the guest's memory says; that the guest says the truth, nobody can promise.
 */
#ifndef MG_IMAGE_H
#define MG_IMAGE_H

#include <linux/types.h>

#define MG_IMAGE_NAME_LEN	64	/* escaped, with the NUL */
#define MG_BUILD_ID_MAX		32

/* The most one look-up may touch, in pages of 4 KB: 96 MB. Many reads of one count as several. */
#define MG_IMAGE_LOOKUP_PAGES	24576
/* What a VM's look-ups may touch in a second, and what it may save up by not doing so. */
#define MG_IMAGE_PAGES_PER_SEC	16384
#define MG_IMAGE_BUDGET_PAGES	(4 * MG_IMAGE_LOOKUP_PAGES)
/* Image ranges remembered for each VM, and addresses where nobody was found. */
#define MG_IMAGE_CACHED		32
#define MG_IMAGE_CACHED_NONE	8
/* For how long. */
#define MG_IMAGE_NONE_NSEC	1000000000ULL

enum mg_image_kind {
	MG_IMAGE_UNKNOWN,
	MG_IMAGE_PE,
	MG_IMAGE_LINUX_KERNEL,
	MG_IMAGE_LINUX_MODULE,
};

/**
 * struct mg_image - what is known of the image at an address
 * @kind:         MG_IMAGE_UNKNOWN means that nothing else is set
 * @base:         where it begins. Of a Linux kernel: _text. Of a module: what /proc/modules shows,
 *                also if the address lies in its init text
 * @size:         PE: SizeOfImage. Module: bytes of the memory at @base, which is its text alone
 *                from Linux 6.4 on. 0 for a Linux kernel, whose end cannot be told
 * @checksum:     PE: CheckSum of the optional header
 * @timestamp:    PE: TimeDateStamp of the file header
 * @build_id_len: bytes of @build_id; 0 if it is not known
 * @build_id:     Linux: of the GNU build-id note
 * @name:         "" if it is not known. Escaped: of printable ASCII all but space, quotes,
 *                backslash and "=" stand for themselves, any other byte is \xNN; a name that was
 *                too long ends in "..."
 */
struct mg_image {
	enum mg_image_kind kind;
	u64 base;
	u64 size;
	u32 checksum;
	u32 timestamp;
	u8 build_id_len;
	u8 build_id[MG_BUILD_ID_MAX];
	char name[MG_IMAGE_NAME_LEN];
};

/**
 * struct mg_image_memory - how to read the guest's memory
 * @read: read @len bytes at guest-linear address @addr, which never cross a page of 4 KB, through
 *        the paging the guest has at the moment. Returns 0 or -EFAULT. May sleep.
 * @ctx:  its first argument
 */
struct mg_image_memory {
	int (*read)(void *ctx, u64 addr, void *buf, unsigned int len);
	void *ctx;
};

/**
 * struct mg_image_stats - what the look-ups of a VM did
 * @lookups:  walks through guest memory
 * @found:    those that found an image
 * @hits:     answers given from the cache, that nobody is there included
 * @pages:    pages touched by the walks; many reads of one count as several
 * @spent:    answers "unknown" for want of budget, the VM's or the look-up's own, or because the
 *            task was being killed
 * @unstable: answers "unknown" because the memory changed while it was read
 * @dropped:  cached images that had changed or gone
 */
struct mg_image_stats {
	u64 lookups;
	u64 found;
	u64 hits;
	u64 pages;
	u64 spent;
	u64 unstable;
	u64 dropped;
};

struct mg_image_cache;

/**
 * mg_image_cache_new - what is remembered of one VM's images
 *
 * Context: may sleep.
 * Return: the cache, for mg_image_cache_free(); NULL if there is no memory.
 */
struct mg_image_cache *mg_image_cache_new(void);

/** mg_image_cache_free - forget it all; nobody may be in mg_image_find(). NULL is no error. */
void mg_image_cache_free(struct mg_image_cache *cache);

/** mg_image_cache_stats - what has been done so far; all 0 for a @cache of NULL */
void mg_image_cache_stats(struct mg_image_cache *cache, struct mg_image_stats *stats);

/**
 * mg_image_find - who stands at an address
 * @cache:    of the VM; NULL, for want of memory, finds nobody
 * @mem:      reads the guest's memory
 * @pc:       linear address of the instruction
 * @is_64bit: it was executed as 64-bit code
 * @image:    receives the answer
 *
 * @image->kind is MG_IMAGE_UNKNOWN if no image was found there, if the budget is spent, or if
 * anything was inconsistent or changed meanwhile. One walk runs at a time for a cache; who waits
 * for it is woken by a fatal signal, and then finds nobody. What is in the cache is not waited
 * for. No lock but that of the walk is held while guest memory is read.
 *
 * Context: may sleep, for as long as the callback does.
 */
void mg_image_find(struct mg_image_cache *cache, const struct mg_image_memory *mem, u64 pc,
		   bool is_64bit, struct mg_image *image);

#endif /* MG_IMAGE_H */
