// SPDX-License-Identifier: GPL-2.0
/*
 * What the policy engine takes from the kernel, for a program: the parts that are no inline
 * functions of include/.
 */
#include <crypto/sha2.h>
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <stdio.h>
#include <stdlib.h>

#include <nettle/sha2.h>

void *kvmalloc(size_t size, gfp_t flags)
{
	return flags & __GFP_ZERO ? calloc(1, size) : malloc(size);
}

void kvfree(const void *memory)
{
	free((void *)memory);
}

int vscnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
	int len;

	if (!size)
		return 0;
	len = vsnprintf(buf, size, fmt, args);
	if (len < 0) {
		*buf = '\0';
		return 0;
	}
	return (size_t)len < size ? len : (int)size - 1;
}

int scnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vscnprintf(buf, size, fmt, args);
	va_end(args);
	return len;
}

ssize_t strscpy(char *to, const char *from, size_t size)
{
	size_t len = strnlen(from, size);

	if (!size)
		return -E2BIG;
	if (len == size) {
		memcpy(to, from, size - 1);
		to[size - 1] = '\0';
		return -E2BIG;
	}
	memcpy(to, from, len + 1);
	return len;
}

static void assign_bits(unsigned long *map, unsigned int start, unsigned int count, bool value)
{
	for (; count && start % BITS_PER_LONG; count--)
		__assign_bit(start++, map, value);
	memset(map + BIT_WORD(start), value ? 0xff : 0,
	       count / BITS_PER_LONG * sizeof(*map));
	start += count / BITS_PER_LONG * BITS_PER_LONG;
	for (count %= BITS_PER_LONG; count; count--)
		__assign_bit(start++, map, value);
}

void bitmap_set(unsigned long *map, unsigned int start, unsigned int count)
{
	assign_bits(map, start, count, true);
}

void bitmap_clear(unsigned long *map, unsigned int start, unsigned int count)
{
	assign_bits(map, start, count, false);
}

void sha256(const u8 *data, unsigned int len, u8 *out)
{
	struct sha256_ctx context;

	sha256_init(&context);
	sha256_update(&context, len, data);
	sha256_digest(&context, SHA256_DIGEST_SIZE, out);
}
